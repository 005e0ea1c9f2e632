"""Log lines: one format, the run on each line, no secret and no answer in any. Only this file configures logging."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

_run_id: ContextVar[str] = ContextVar("run_id", default="")

_TOKEN = re.compile(r"\b(?:xox[a-z](?:\.xox[a-z])?|xapp|xwfp)-[\w.-]+")
_HEADER = re.compile(r"(?i)(['\"]?(?:authorization|x-slack-signature|cookie)['\"]?\s*[:=]\s*)(?:b?['\"])?[^\r\n,'\"]+")
_NAMED = re.compile(
    r"(?i)(\b(?:signing_secret|client_secret|access_token|refresh_token|bot_token|app_token|sentinel_password|password|passwd|token)"
    r"['\"]?\s*[:=]\s*)(?:SecretStr\()?(?:b?['\"])?[^\s,'\"&)}]+"
)
_PASSWORD = re.compile(r"(\b[a-z+]{1,32}://[^\s/:@]*:)[^\s/@]+@")
_HINTS = ("xox", "xapp", "xwfp", "authorization", "x-slack-signature", "cookie", "secret", "token", "passw", "://")
"""One of them is in whatever these patterns match: most lines hold none, and to search each for all took long."""
HIDDEN = "[hidden]"
REPEAT_S = 60.0
"""How often the same line is written while it stays true, as that Redis is away."""
REPEATS_KEPT = 1_000

# What people wrote is nobody's business but theirs: such extras are named, never shown.
PRIVATE = frozenset("answer blocks body comment form payload prefix prompt question response text values".split())
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "run_id"}
# These write whole requests, with answers in them, as low as DEBUG and as high as WARNING. Bolt also names a
# logger after the main file, so we go by where the line was written.
_TALKATIVE = re.compile(r"[/\\](?:slack_bolt|slack_sdk)[/\\]")
_QUIET = ("aiohttp.access", "asyncio", "docket", "redis", "slack_bolt", "slack_sdk")


@contextmanager
def run_logged(run_id: str) -> Iterator[None]:
    """Put *run_id* on every line logged inside, in this task and those it starts."""
    token = _run_id.set(run_id)
    try:
        yield
    finally:
        _run_id.reset(token)


def configure(level: str = "INFO", log_format: Literal["text", "json"] = "text", secrets: Iterable[str] = ()) -> None:
    """Send every log line of the process to stderr, in one format. Call it once, at the start.

    *secrets* are values never to be shown, besides what looks like a token.
    """
    handler = logging.StreamHandler()
    handler.addFilter(_of_our_concern)
    handler.addFilter(_with_run)
    handler.addFilter(_brief)
    handler.addFilter(Repetitions())
    handler.setFormatter(JsonLines(secrets) if log_format == "json" else TextLines(secrets))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


@contextmanager
def also_to(handler: logging.Handler) -> Iterator[None]:
    """Let *handler*, too, have every line that is logged while the block runs."""
    handler.addFilter(_of_our_concern)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class Repetitions:
    """Holds back a warning or error that was written within `REPEAT_S` seconds and says the same of the same run.

    The next that is written says how many were held back. What people do, at INFO, is written each time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._written: dict[str, tuple[float, int]] = {}
        """When each was written last, and how many were held back since; oldest first."""

    def __call__(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        now = self._clock()
        error = record.exc_info[1] if record.exc_info else None
        said = f"{record.name} {record.getMessage()} {_run_of(record)} {extras(record)} {error!r}"
        at, held_back = self._written.get(said, (-REPEAT_S, 0))
        if now - at < REPEAT_S:
            self._written[said] = at, held_back + 1
            return False
        self._written.pop(said, None)
        self._written[said] = now, 0
        if held_back:
            record.repeated = held_back
        if len(self._written) > REPEATS_KEPT:
            self._written.pop(next(iter(self._written)), None)  # a step in a thread may log, too
        return True


class _Redacting(logging.Formatter):
    """A formatter whose lines went through `redact`."""

    converter = staticmethod(time.gmtime)

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%S")
        self._secrets = tuple(secret for secret in secrets if len(secret) >= 6)

    def format(self, record: logging.LogRecord) -> str:
        return redact(self.line(record), self._secrets)

    def line(self, record: logging.LogRecord) -> str:
        raise NotImplementedError

    def when(self, record: logging.LogRecord) -> str:
        return f"{self.formatTime(record, self.datefmt)}.{int(record.msecs):03d}Z"

    def trace(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info) if record.exc_info else ""


class JsonLines(_Redacting):
    """One JSON object a line, for machines."""

    def line(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "at": self.when(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if run_id := _run_of(record):
            entry["run_id"] = run_id
        entry |= {name: value for name, value in extras(record).items() if name not in entry}
        if trace := self.trace(record):
            entry["error"] = trace
        # redacted piece by piece: what hides a secret must not eat the quotes around it
        hidden = {name: _redacted(value, self._secrets) for name, value in entry.items()}
        return json.dumps(hidden, ensure_ascii=True, default=lambda value: redact(str(value), self._secrets))

    def format(self, record: logging.LogRecord) -> str:
        return self.line(record)


class TextLines(_Redacting):
    """One readable line, extras behind it as ``name=value``; a traceback below, indented, so that no error's words
    pass for a line."""

    def line(self, record: logging.LogRecord) -> str:
        run_id = _run_of(record)
        shown = {"run_id": run_id, **extras(record)} if run_id else extras(record)
        parts = [self.when(record), f"{record.levelname:<7}", record.name, _one_line(record.getMessage())]
        parts += [f"{name}={_one_line(str(value))}" for name, value in shown.items()]
        trace = [f"  {_one_line(line)}" for line in self.trace(record).splitlines()]
        return "\n".join([" ".join(parts), *trace])


def extras(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a line was given in ``extra``, without what people wrote."""
    given = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return {name: HIDDEN if name in PRIVATE else value for name, value in given.items()}


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return *text* without tokens, signatures, passwords and the given *secrets*."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    lowered = text.casefold()
    if not any(hint in lowered for hint in _HINTS):
        return text
    text = _TOKEN.sub(HIDDEN, text)
    for pattern in (_HEADER, _NAMED):
        text = pattern.sub(lambda match: f"{match[1]}{HIDDEN}", text)
    return _PASSWORD.sub(lambda match: f"{match[1]}{HIDDEN}@", text)


def _redacted(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, int | float | None):
        return value
    return redact(str(value), secrets)


def _run_of(record: logging.LogRecord) -> str:
    return str(getattr(record, "run_id", ""))


def _one_line(text: str) -> str:
    """Return *text* with what would end a line, or do something to a terminal, spelled out."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _with_run(record: logging.LogRecord) -> bool:
    if not getattr(record, "run_id", ""):
        record.run_id = _run_id.get()
    return True


def _brief(record: logging.LogRecord) -> bool:
    """Turn the traceback of what a library gets over by itself, as an outage of Redis, into its last line.

    Of what is no HTTP only the kind of fault is told: its words are those of whoever has sent it.
    """
    if not record.exc_info or not record.name.startswith((*_QUIET, "aiohttp.server")):
        return True
    error = record.exc_info[1]
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if type(error).__module__ == "aiohttp.http_exceptions":
        record.reason = type(error).__name__
        record.exc_info = record.exc_text = None
    elif error is not None and (record.levelno < logging.ERROR or type(error).__module__.startswith("redis.")):
        record.reason = f"{type(error).__name__}: {error}"
        record.exc_info = record.exc_text = None
    return True


def _of_our_concern(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR or _TALKATIVE.search(record.pathname) is None
