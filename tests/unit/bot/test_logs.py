"""Log lines carry the run, and no secret and no answer."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator
from types import CodeType

import pytest
from aiohttp.http_exceptions import BadHttpMessage
from hypothesis import given
from hypothesis import strategies as st

from bot import logs
from bot.logs import JsonLines, TextLines, configure, redact, run_logged

Written = Callable[[], str]


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[Written]:
    """Returns what was logged to stderr; the process's own logging is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs._QUIET}
    yield lambda: capsys.readouterr().err
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    logging.captureWarnings(False)


def line(text: str) -> dict[str, object]:
    [only] = text.splitlines()
    return dict(json.loads(only))


def test_a_line_names_its_run_and_its_extras(written: Written) -> None:
    configure("INFO", "json")

    with run_logged("r1"):
        logging.getLogger("bot.x").info("run finished", extra={"steps": 4})

    entry = line(written())
    assert (entry["message"], entry["run_id"], entry["steps"], entry["level"]) == ("run finished", "r1", 4, "info")
    assert str(entry["at"]).endswith("Z")


def test_outside_a_run_there_is_none(written: Written) -> None:
    configure("INFO", "json")

    with run_logged("r1"):
        pass
    logging.getLogger("bot.x").info("idle")

    assert "run_id" not in line(written())


def test_a_run_given_with_the_line_wins(written: Written) -> None:
    configure("INFO", "json")

    with run_logged("r1"):
        logging.getLogger("bot.x").info("looked at", extra={"run_id": "r2"})

    assert line(written())["run_id"] == "r2"


async def test_runs_that_go_on_together_keep_their_names(written: Written) -> None:
    configure("INFO", "json")
    both = asyncio.Barrier(2)

    async def work(run_id: str) -> None:
        with run_logged(run_id):
            await both.wait()
            logging.getLogger("bot.x").info("working", extra={"mine": run_id})

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work("r1"))
        tasks.create_task(work("r2"))

    entries = [json.loads(text) for text in written().splitlines()]
    assert {(entry["run_id"], entry["mine"]) for entry in entries} == {("r1", "r1"), ("r2", "r2")}


def test_a_readable_line_is_one_line(written: Written) -> None:
    configure("INFO", "text")

    with run_logged("r1"):
        logging.getLogger("bot.x").info("a\nforged line", extra={"by": "U1\nINFO forged"})

    [text] = written().splitlines()
    assert text.endswith(r"INFO    bot.x a\nforged line run_id=r1 by=U1\nINFO forged")


def test_no_error_s_words_pass_for_a_line_or_speak_to_the_terminal(written: Written) -> None:
    """Security 5."""
    configure("INFO", "text")
    typed = "\x1b]0;title\x07\u2028\n2026-01-01T00:00:00.000Z INFO    bot.app ready\x9b2J\u202e"

    try:
        raise ValueError(typed)
    except ValueError:
        logging.getLogger("bot.x").exception("step failed", extra={"reason": typed})

    first, *below = written().removesuffix("\n").split("\n")
    assert "step failed reason=\\x1b]0;title" in first
    assert all(line.startswith("  ") for line in below)
    assert all(line.isprintable() for line in (first, *below))


def test_what_stays_true_is_not_written_again_and_again(written: Written) -> None:
    now = 0.0
    held_back = logs.Repetitions(lambda: now)
    logger = logging.getLogger("docket.worker")

    def says(reason: str, level: int = logging.WARNING, run_id: str = "") -> logging.LogRecord | None:
        record = logger.makeRecord(logger.name, level, "", 0, "away", (), None, extra={"reason": reason})
        record.run_id = run_id
        return record if held_back(record) else None

    first = [says("refused") for _ in range(30)]
    others = [says("full"), says("refused", run_id="r1"), says("a click", logging.INFO), says("a click", logging.INFO)]
    now = logs.REPEAT_S
    again = says("refused")

    assert [record is not None for record in first] == [True] + [False] * 29
    assert None not in others
    assert again is not None
    assert logs.extras(again) == {"reason": "refused", "repeated": 29}


def test_two_errors_in_one_place_are_two_lines(written: Written) -> None:
    configure("INFO", "text")
    logger = logging.getLogger("bot.x")

    for number in range(2):
        try:
            raise KeyError(number)
        except KeyError:
            logger.exception("it failed")

    told = written()
    assert "KeyError: 0" in told
    assert "KeyError: 1" in told


def test_what_is_remembered_of_lines_does_not_grow(written: Written) -> None:
    held_back = logs.Repetitions()
    logger = logging.getLogger("bot.x")

    for number in range(logs.REPEATS_KEPT + 10):
        held_back(logger.makeRecord(logger.name, logging.ERROR, "", 0, "line %d", (number,), None))

    assert len(held_back._written) == logs.REPEATS_KEPT


SECRETS = [
    "xoxb-123-456-AbC",
    "xoxp-1-2",
    "xoxe.xoxb-1-MS0y",
    "xoxe-1-abc",
    "xapp-1-A1-2-c0ffee",
    "Authorization: Bearer abc.def",
    "'Authorization': 'Bearer abc.def'",
    "signing_secret=c0ffee99",
    "{'client_secret': 'c0ffee99'}",
    "redis://user:hunter22@host:6379/0",
    "rediss://:hunter22@host",
    "X-Slack-Signature: v0=c0ffee99",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("log_format", ["json", "text"])
def test_no_secret_is_written_wherever_it_stands(written: Written, secret: str, log_format: str) -> None:
    """Security 9."""
    configure("INFO", "json" if log_format == "json" else "text")
    logger = logging.getLogger("bot.x")

    logger.info("got %s", secret)
    logger.info("got", extra={"reason": secret, "more": [secret], "deep": {"a": secret}})
    try:
        raise ValueError(secret)
    except ValueError:
        logger.exception("failed")

    told = written()
    for part in ("123-456", "-MS0y", "c0ffee", "abc.def", "hunter22", "xoxp-1"):
        assert part not in told
    assert logs.HIDDEN in told


def test_known_secrets_are_hidden_whatever_they_look_like(written: Written) -> None:
    configure("INFO", "text", secrets=["8f742231b10e"])

    logging.getLogger("bot.x").info("key 8f742231b10e used")

    assert "8f742231b10e" not in written()


@pytest.mark.parametrize("name", ["text", "response", "comment", "payload", "body", "values"])
def test_what_people_wrote_is_not_written(written: Written, name: str) -> None:
    configure("INFO", "json")

    logging.getLogger("bot.x").info("answered", extra={name: "I quit"})

    assert "I quit" not in written()


def test_bolt_writes_no_bodies_whatever_its_logger_is_called(written: Written) -> None:
    configure("DEBUG", "text")
    code = compile("def say(l):\n    l.warning('Unhandled request: I quit')", "/x/slack_bolt/logger.py", "exec")

    run(code, logging.getLogger("app.py:AsyncApp"))
    logging.getLogger("slack_bolt.AsyncApp").info("Unsuccessful Bolt execution: I quit")

    assert written() == ""


def test_what_fails_in_bolt_is_written(written: Written) -> None:
    configure("INFO", "text")
    code = compile("def say(l):\n    l.error('Failed to run listener')", "/x/slack_bolt/app.py", "exec")

    run(code, logging.getLogger("app.py:AsyncApp"))

    assert "Failed to run listener" in written()


def run(code: CodeType, logger: logging.Logger) -> None:
    """Call code as if it stood in the file it was compiled for."""
    space: dict[str, object] = {}
    exec(code, space)  # noqa: S102 - ours, a line above
    say = space["say"]
    assert callable(say)
    say(logger)


def test_what_a_library_gets_over_by_itself_is_one_line(written: Written) -> None:
    configure("INFO", "text")

    try:
        raise ConnectionError("Connection closed by server.")
    except ConnectionError:
        logging.getLogger("docket.worker").warning("Redis is unavailable, retrying", exc_info=True)

    assert "Traceback" not in (told := written())
    assert "reason=ConnectionError: Connection closed by server." in told


def test_of_what_is_no_http_only_the_fault_is_told(written: Written) -> None:
    configure("INFO", "text")

    for said in ("<first>", "<second>"):
        try:
            raise BadHttpMessage(said)
        except BadHttpMessage:
            logging.getLogger("aiohttp.server").exception("Error handling request from 192.0.2.1")

    [only] = written().splitlines()
    assert only.endswith("Error handling request from 192.0.2.1 reason=BadHttpMessage")


def test_a_line_that_seeks_to_be_slow_is_not() -> None:
    started = time.perf_counter()

    for evil in (
        "a+" * 100_000,
        "token" * 40_000,
        "token" + " " * 200_000,
        "a://b:" * 30_000,
        "authorization" * 15_000,
    ):
        redact(f"{evil} ://token")

    assert time.perf_counter() - started < 10  # about 0.2 s; a quadratic pattern takes minutes


def test_configuring_twice_writes_once(written: Written) -> None:
    configure("INFO", "text")
    configure("INFO", "text")

    logging.getLogger("bot.x").info("once")

    assert written().count("once") == 1


@given(st.text(), st.dictionaries(st.text(min_size=1), st.none() | st.integers() | st.text()))
def test_any_line_is_one_json_object(message: str, extra: dict[str, object]) -> None:
    record = logging.makeLogRecord({"msg": message, "levelname": "INFO", "name": "bot.x", "msecs": 1.0})
    for name, value in extra.items():
        record.__dict__.setdefault(name, value)

    text = JsonLines().format(record)

    assert "\n" not in text
    assert json.loads(text)["message"] == redact(message)
    assert TextLines().format(record)


@given(st.text())
def test_redacting_is_done_once(text: str) -> None:
    assert redact(redact(text)) == redact(text)
