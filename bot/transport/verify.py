"""Is this request from Slack? Asked before anything else looks at it.

`Verifier` is pure: size, header syntax, age, signature over the raw bytes, then whether
the body can be read at all. `guard` puts it in front of an aiohttp application.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import SecretStr
from yarl import URL

from bot.transport.limits import Allowance, Seen

logger = logging.getLogger(__name__)

LIMIT_BYTES = 1024 * 1024
MAX_AGE_S = 300  # docs.slack.dev/authentication/verifying-requests-from-slack
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
TIMESTAMP = "x-slack-request-timestamp"
SIGNATURE = "x-slack-signature"
QUICK_CHARS = 64 * 1024
BODY_S = 3.0
"""For a body to come: by then Slack has given the request up."""
REPLAY_S = 600.0
"""Longer than a signature is good for."""
STRANGER_PER_MINUTE, STRANGER_AT_ONCE = 60, 100
"""Refused requests of one address that are answered with the reason and logged."""
SAID = web.RequestKey("said", dict[str, Any])
"""What a request that got past `guard` says."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """The HTTP status to answer with, and why, for our log; Slack reads neither."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Verifier:
    """Checks requests against the app's signing secret.

    Raises:
        ValueError: the secret is empty: anybody could sign with that.
    """

    secret: SecretStr
    max_age_s: float = MAX_AGE_S
    limit_bytes: int = LIMIT_BYTES
    _key: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.secret.get_secret_value().strip():
            raise ValueError("the signing secret is empty; see Basic Information > App Credentials of your Slack app")
        object.__setattr__(self, "_key", self.secret.get_secret_value().encode())

    def check_headers(self, given: SentHeaders, now: float) -> Rejection | None:
        """Judge what can be judged before the body is read. *now* is POSIX seconds."""
        return (
            self._length(given)
            or _encoding(given)
            or _content_type(given)
            or self._timestamp(given, now)
            or _signature_syntax(given)
        )

    def read(self, given: SentHeaders, body: bytes) -> Rejection | dict[str, Any]:
        """Return why the request is refused, or what it says, its headers having been found in order."""
        if len(body) > self.limit_bytes:
            return Rejection(413, f"body of {len(body)} bytes")
        signed = b"v0:" + given.one(TIMESTAMP).encode() + b":" + body
        expected = "v0=" + hmac.digest(self._key, signed, "sha256").hex()
        if not hmac.compare_digest(expected.encode(), given.one(SIGNATURE).encode()):
            return Rejection(401, "wrong signature")
        return _read(given.one("content-type"), body)

    def _length(self, given: SentHeaders) -> Rejection | None:
        for length in given.all("content-length"):
            if not re.fullmatch(r"[0-9]{1,15}", length):
                return Rejection(400, "malformed content length")
            if int(length) > self.limit_bytes:
                return Rejection(413, f"body of {int(length)} bytes announced")
        return None

    def _timestamp(self, given: SentHeaders, now: float) -> Rejection | None:
        if not given.all(TIMESTAMP):
            return Rejection(401, "no timestamp")
        if not re.fullmatch(r"[0-9]{1,12}", given.one(TIMESTAMP)):
            return Rejection(400, "malformed timestamp")
        if abs(now - int(given.one(TIMESTAMP))) > self.max_age_s:
            return Rejection(401, "timestamp too far from now")
        return None


class SentHeaders:
    """The headers of a request, repeated ones, too, by lower-case name."""

    def __init__(self, headers: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in headers:
            self._values.setdefault(name.lower(), []).append(value)

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def one(self, name: str) -> str:
        """The value of a header that stands there once; "" otherwise."""
        values = self.all(name)
        return values[0] if len(values) == 1 else ""


def _encoding(given: SentHeaders) -> Rejection | None:
    if any(value.strip().lower() != "identity" for value in given.all("content-encoding")):
        return Rejection(415, "compressed body")
    return None


def _content_type(given: SentHeaders) -> Rejection | None:
    kind, _, rest = given.one("content-type").partition(";")
    if kind.strip().lower() not in (FORM, JSON):
        return Rejection(415, "unsupported content type")
    charset = re.search(r"charset\s*=\s*\"?([^\s\";]+)", rest, re.IGNORECASE)
    if charset and charset[1].lower() not in ("utf-8", "utf8"):
        return Rejection(415, "unsupported charset")
    return None


def _signature_syntax(given: SentHeaders) -> Rejection | None:
    if not given.all(SIGNATURE):
        return Rejection(401, "no signature")
    if not re.fullmatch(r"v0=[0-9a-f]{64}", given.one(SIGNATURE)):
        return Rejection(400, "malformed signature")
    return None


def _read(content_type: str, body: bytes) -> Rejection | dict[str, Any]:
    """Return the JSON object, that in the form's payload, or else the form's fields."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return Rejection(400, "body is not UTF-8")
    if content_type.partition(";")[0].strip().lower() == JSON:
        return _object(text, "body")
    if (payload := _sole_payload(text)) is not None:
        return _object(payload, "payload")
    try:
        form = parse_qs(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=100)
    except ValueError:  # UnicodeDecodeError is one too
        return Rejection(400, "body is not a form")
    payloads = form.get("payload")
    if payloads is None:
        return {name: values[0] for name, values in form.items()}
    if len(payloads) > 1:
        return Rejection(400, "more than one payload")
    return _object(payloads[0], "payload")


def _sole_payload(text: str) -> str | None:
    """Return the payload of an interaction, as Slack sends it; None for any other form.

    yarl takes a tenth of the time, which for a click is as much as all the rest that Bolt does; but it lets pass what
    is not UTF-8, and keeps the last it was given.
    """
    if not text.startswith("payload=") or "&" in text or len(text) > QUICK_CHARS:
        return None
    payload = URL.build(query_string=text, encoded=True).query["payload"]
    return None if "\N{REPLACEMENT CHARACTER}" in payload else payload


def _object(text: str, where: str) -> Rejection | dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else Rejection(400, f"{where} is not a JSON object")


def guard(verifier: Verifier, path: str, now: Callable[[], float]) -> Middleware:
    """Return an aiohttp middleware that lets only Slack reach *path*, and nothing twice. *now* is POSIX seconds.

    A request that was taken and comes again, signature and all, is not looked at: what Slack repeats it signs anew.
    An address that is refused all the time gets 429 and no line in the log; what Slack signed gets in from any
    address, since a proxy has one for all.
    """
    answered, strangers = Seen(REPLAY_S), Allowance[str](STRANGER_PER_MINUTE, STRANGER_AT_ONCE)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path != path:
            return await handler(request)
        said = await _judged(verifier, request, now())
        if isinstance(said, Rejection):
            return _refused(request, said, strangers.take(request.remote or "", now()) > 0)
        signature = request.headers[SIGNATURE]
        if answered.has(signature, now()):
            logger.warning("request came again", extra={"signature": signature[:12]})
            return web.Response()
        request[SAID] = said
        answer = await handler(request)
        if answer.status == 200 and answer.content_length == 0:
            answered.add(signature, now())
        return answer

    return check


async def _judged(verifier: Verifier, request: web.Request, now: float) -> Rejection | dict[str, Any]:
    given = SentHeaders(request.headers.items())
    if (rejection := verifier.check_headers(given, now)) is not None:
        return rejection
    try:
        async with asyncio.timeout(BODY_S):
            body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        return Rejection(413, "body too large")
    except TimeoutError:
        return Rejection(408, f"body not there within {BODY_S:g} s")
    except (ConnectionError, web.RequestPayloadError) as error:
        return Rejection(400, f"body cut off: {type(error).__name__}")
    return verifier.read(given, body)


def _refused(request: web.Request, rejection: Rejection, too_often: bool) -> web.Response:
    if too_often:  # by whoever floods us the log shall not be flooded, too
        return web.json_response({"ok": False, "error": "too many refused requests"}, status=429)
    logger.warning("request refused", extra={"status": rejection.status, "reason": rejection.reason})
    return web.json_response({"ok": False, "error": "request refused"}, status=rejection.status)
