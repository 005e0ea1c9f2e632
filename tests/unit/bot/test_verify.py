"""Only what Slack signed gets in, whatever the headers and the body look like."""

import asyncio
import gzip
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.typedefs import Handler
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.transport import verify as verify_module
from bot.transport.verify import FORM, JSON, LIMIT_BYTES, SIGNATURE, TIMESTAMP, Rejection, SentHeaders, Verifier, guard
from bot.transport.web import serving

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
NOW = 1_700_000_000.0
BODY = urlencode({"command": "/deploy", "text": "v2"}).encode()
VERIFIER = Verifier(SecretStr(SECRET))

Headers = list[tuple[str, str]]


def signed(body: bytes = BODY, at: str = "1700000000", secret: str = SECRET, kind: str = FORM) -> Headers:
    signature = hmac.new(secret.encode(), b"v0:" + at.encode("latin-1", "replace") + b":" + body, hashlib.sha256)
    return [
        ("Content-Type", kind),
        ("X-Slack-Request-Timestamp", at),
        ("X-Slack-Signature", f"v0={signature.hexdigest()}"),
    ]


def without(headers: Headers, name: str) -> Headers:
    return [(key, value) for key, value in headers if key.lower() != name]


def verify(
    headers: Headers, body: bytes, now: float = NOW, verifier: Verifier = VERIFIER
) -> Rejection | dict[str, Any]:
    given = SentHeaders(headers)
    return verifier.check_headers(given, now) or verifier.read(given, body)


def status(headers: Headers, body: bytes = BODY, verifier: Verifier = VERIFIER) -> int | None:
    rejection = verify(headers, body, verifier=verifier)
    return rejection.status if isinstance(rejection, Rejection) else None


def test_what_slack_signed_gets_in() -> None:
    assert status(signed()) is None


def test_the_example_of_slacks_documentation_gets_in() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name="
        b"foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2F"
        b"hooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id="
        b"398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-slack-request-timestamp", "1531420618"),
        ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
    ]

    assert not isinstance(verify(headers, body, 1531420618.0), Rejection)


@pytest.mark.parametrize("kind", [FORM, f"{FORM}; charset=utf-8", "Application/X-WWW-Form-Urlencoded;charset=UTF-8"])
def test_a_form_may_name_its_charset(kind: str) -> None:
    assert status(signed(kind=kind)) is None


def test_events_are_json() -> None:
    body = json.dumps({"type": "event_callback", "text": "ü😀"}).encode()

    assert status(signed(body, kind=JSON), body) is None


def test_an_interaction_is_json_in_a_form() -> None:
    body = urlencode({"payload": json.dumps({"type": "block_actions"})}).encode()

    assert status(signed(body), body) is None


# --- every malformed header ---------------------------------------------------------------


@pytest.mark.parametrize(
    "at",
    ["abc", "", "-1700000000", "1e400", "1700000000.5", " 1700000000", "+1700000000", "١٧٠٠٠٠٠٠٠٠", "9" * 400, "nan"],
)
def test_a_malformed_timestamp_is_400(at: str) -> None:
    """Security 1; Adversarial 27."""
    headers = [*without(signed(), TIMESTAMP), (TIMESTAMP, at)]

    assert status(headers) == 400


@pytest.mark.parametrize(("at", "expected"), [(-301, 401), (-300, None), (300, None), (301, 401), (-(10**9), 401)])
def test_an_old_or_future_timestamp_is_401(at: int, expected: int | None) -> None:
    """Security 1; Adversarial 27."""
    assert status(signed(at=str(1_700_000_000 + at))) == expected


@pytest.mark.parametrize("name", [TIMESTAMP, SIGNATURE])
def test_a_missing_header_is_401(name: str) -> None:
    assert status(without(signed(), name)) == 401


@pytest.mark.parametrize("name", [TIMESTAMP, SIGNATURE, "content-type"])
def test_a_header_given_twice_is_refused(name: str) -> None:
    """Security 1; Adversarial 28."""
    headers = signed()
    again = next((key, value) for key, value in headers if key.lower() == name)

    assert status([*headers, again]) in (400, 415)
    assert status([(again[0], "other"), *headers]) in (400, 415)


@pytest.mark.parametrize(
    "signature",
    ["", "v0=", "v1=" + "0" * 64, "v0=" + "0" * 63, "v0=" + "G" * 64, "v0=" + "é" * 64, "v0=" + "0" * 64 + "\n"],
)
def test_a_malformed_signature_is_400(signature: str) -> None:
    assert status([*without(signed(), SIGNATURE), (SIGNATURE, signature)]) == 400


def test_a_wrong_signature_is_401() -> None:
    """Security 1; Adversarial 25."""
    assert status(signed(secret="another secret")) == 401
    assert status([*without(signed(), SIGNATURE), (SIGNATURE, "v0=" + "0" * 64)]) == 401


def test_the_signature_covers_every_byte_and_the_time() -> None:
    """Security 1."""
    assert status(signed(), BODY + b"&") == 401
    assert status(signed(), BODY.replace(b"%2F", b"/")) == 401
    assert status([*without(signed(), TIMESTAMP), (TIMESTAMP, "1700000001")]) == 401


@pytest.mark.parametrize("secret", ["", "  ", "\n"])
def test_an_empty_secret_is_refused_at_once(secret: str) -> None:
    """Security 1; Adversarial 26."""
    with pytest.raises(ValueError, match="signing secret is empty"):
        Verifier(SecretStr(secret))


def test_the_secret_does_not_show() -> None:
    assert SECRET not in repr(VERIFIER)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip", "x"])
def test_a_compressed_body_is_415(encoding: str) -> None:
    """Adversarial 29."""
    body = gzip.compress(BODY)

    assert status([*signed(body), ("Content-Encoding", encoding)], body) == 415


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "multipart/form-data; boundary=x", "application/xml", f"{FORM}; charset=utf-16", "json"]
)
def test_another_content_type_is_415(kind: str) -> None:
    assert status(signed(kind=kind)) == 415


def test_a_body_without_content_type_is_415() -> None:
    assert status(without(signed(), "content-type")) == 415


@pytest.mark.parametrize(
    ("length", "expected"), [("1048577", 413), ("9" * 30, 400), ("-1", 400), ("abc", 400), ("22", None)]
)
def test_the_announced_length_is_checked_before_the_body_is_read(length: str, expected: int | None) -> None:
    rejection = VERIFIER.check_headers(SentHeaders([*signed(), ("Content-Length", length)]), NOW)

    assert (rejection.status if rejection else None) == expected


def test_a_body_of_a_mebibyte_gets_in_and_one_byte_more_does_not() -> None:
    """Security 11; Adversarial 31."""
    body = b"text=" + b"x" * (LIMIT_BYTES - 5)

    assert status(signed(body), body) is None
    assert status(signed(body + b"x"), body + b"x") == 413


# --- a good signature on a bad body ---------------------------------------------------------


@given(st.dictionaries(st.text(), st.text() | st.integers()))
def test_a_payload_means_what_was_sent(payload: dict[str, Any]) -> None:
    body = urlencode({"payload": json.dumps(payload)}).encode()

    assert verify(signed(body), body) == payload


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (JSON, b"{"),
        (JSON, b""),
        (JSON, b"[1]"),
        (JSON, b'"x"'),
        (JSON, b"[" * 100_000),
        (JSON, b'{"text": "\xff"}'),
        (FORM, b"\xff=1"),
        (FORM, b"text=%ff"),
        (FORM, b"no form"),
        (FORM, b"payload=%7B"),
        (FORM, b"payload=%5B%5D"),
        (FORM, b"payload="),
        (FORM, b"payload=%7B%22a%22:%22%ff%22%7D"),
        (FORM, b"payload={}&payload={}"),
        (FORM, b"&".join(b"a=1" for _ in range(101))),
    ],
)
def test_an_unreadable_body_is_400(kind: str, body: bytes) -> None:
    assert status(signed(body, kind=kind), body) == 400


@given(
    st.lists(
        st.tuples(
            st.sampled_from([TIMESTAMP, SIGNATURE, "content-type", "content-length", "content-encoding"]),
            st.text() | st.sampled_from(["1700000000", FORM, JSON, "v0=" + "a" * 64]),
        )
    ),
    st.binary(),
)
def test_whatever_comes_gets_an_answer_and_never_in(headers: Headers, body: bytes) -> None:
    assert status(headers, body) in (400, 401, 413, 415)


@given(st.binary(), st.sampled_from([FORM, JSON]))
def test_whatever_is_signed_is_judged(body: bytes, kind: str) -> None:
    assert status(signed(body, kind=kind), body) in (None, 400)


# --- in front of an application -------------------------------------------------------------


async def answered(
    headers: dict[str, str], body: bytes | AsyncIterator[bytes], path: str = "/slack/events"
) -> tuple[int, list[bytes]]:
    reached: list[bytes] = []

    async def handler(request: web.Request) -> web.Response:
        reached.append(await request.read())
        return web.Response(text="ok")

    app = web.Application(middlewares=[guard(VERIFIER, "/slack/events", lambda: NOW)], client_max_size=LIMIT_BYTES)
    app.add_routes([web.post("/slack/events", handler), web.post("/other", handler)])
    async with TestClient(TestServer(app)) as client:
        response = await client.post(path, data=body, headers=headers, skip_auto_headers=["Content-Type"])
        return response.status, reached


async def test_the_guard_lets_slack_through_with_its_body() -> None:
    assert await answered(dict(signed()), BODY) == (200, [BODY])


async def test_the_guard_stops_everybody_else(caplog: pytest.LogCaptureFixture) -> None:
    code, reached = await answered(dict(signed(secret="wrong")), BODY)

    assert (code, reached) == (401, [])
    assert "request refused" in caplog.text
    assert BODY.decode() not in caplog.text


async def test_the_guard_stops_what_is_too_large() -> None:
    async def piecemeal() -> AsyncIterator[bytes]:
        for _ in range(LIMIT_BYTES // 1024 + 1):
            yield b"x" * 1024  # without an announced length

    code, reached = await answered(dict(signed()), piecemeal())

    assert (code, reached) == (413, [])


async def test_the_guard_waits_for_no_body_longer_than_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Security 11."""
    monkeypatch.setattr(verify_module, "BODY_S", 0.01)

    async def never() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    code, reached = await answered(dict(signed()), never())

    assert (code, reached) == (408, [])


async def test_a_body_that_is_cut_off_is_refused() -> None:
    """Security 11."""
    judged = asyncio.get_running_loop().create_future()

    @web.middleware
    async def outermost(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        judged.set_result(answer.status)
        return answer

    app = web.Application(middlewares=[outermost, guard(VERIFIER, "/slack/events", lambda: NOW)])
    headers = "".join(f"{name}: {value}\r\n" for name, value in [("Host", "x"), ("Content-Length", "99"), *signed()])
    async with serving(app, "127.0.0.1", 0) as port, asyncio.timeout(5):
        _, there = await asyncio.open_connection("127.0.0.1", port)
        there.write(f"POST /slack/events HTTP/1.1\r\n{headers}\r\nhalf of".encode())
        await there.drain()
        there.close()

        assert await judged == 400


async def test_the_guard_leaves_other_paths_alone() -> None:
    assert await answered({}, BODY, "/other") == (200, [BODY])


async def sent(many: int, headers: Headers, answer: Callable[[], web.Response]) -> tuple[list[int], int]:
    """Send the same request so often; return the answers' statuses, and how many reached the handler."""
    reached = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal reached
        reached += 1
        return answer()

    app = web.Application(middlewares=[guard(VERIFIER, "/slack/events", lambda: NOW)])
    app.add_routes([web.post("/slack/events", handler)])
    async with TestClient(TestServer(app)) as client:
        statuses = [(await client.post("/slack/events", data=BODY, headers=dict(headers))).status for _ in range(many)]
    return statuses, reached


async def test_a_request_that_was_taken_is_not_taken_again() -> None:
    """Security 1."""
    assert await sent(3, signed(), web.Response) == ([200, 200, 200], 1)


async def test_a_request_that_was_not_taken_may_come_again() -> None:
    assert await sent(3, signed(), lambda: web.Response(status=503)) == ([503, 503, 503], 3)


async def test_an_address_that_is_always_refused_floods_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Security 11."""
    statuses, reached = await sent(150, signed(secret="wrong"), web.Response)

    assert (statuses[:100], statuses[100:]) == ([401] * 100, [429] * 50)
    assert reached == 0
    assert caplog.text.count("request refused") == 100
