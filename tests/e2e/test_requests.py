"""What reaches the address Slack posts to, but is not from Slack, or not readable: refused, without a word too many."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable

import aiohttp
import pytest

from tests.e2e import requests
from tests.e2e.requests import FORM, JSON, SIGNATURE, TIMESTAMP, Request, signed
from tests.e2e.shapes import HTTP, HTTP_FLEET, only
from tests.e2e.stage import Room, Stage

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    only(HTTP, HTTP_FLEET, because="what comes over a socket of ours is Slack's, has no signature and no address"),
]
MIB = 1024 * 1024
REFUSED = '{"ok": false, "error": "request refused"}'


def genuine(room: Room) -> Request:
    return signed(requests.form(requests.command(room, "/deploy v2")))


def twice(name: str) -> Callable[[Request], Request]:
    def repeat(request: Request) -> Request:
        return Request(request.body, [*request.headers, next(pair for pair in request.headers if pair[0] == name)])

    return repeat


def stamped(at: str) -> Callable[[Request], Request]:
    """Signed for a time that reads *at*."""
    return lambda request: signed(request.body, at=at)


def seconds_from_now(seconds: float) -> Callable[[Request], Request]:
    return lambda request: signed(request.body, at=time.time() + seconds)


def compressed(request: Request) -> Request:
    packed = gzip.compress(request.body)
    return Request(packed, [*signed(packed).headers, ("Content-Encoding", "gzip")])


FLAWS: dict[str, tuple[int, Callable[[Request], Request]]] = {
    "another body": (401, lambda request: Request(request.body + b"&x=1", request.headers)),
    "another secret": (401, lambda request: signed(request.body, secret="not-ours")),
    "no headers": (401, lambda request: request.without(SIGNATURE, TIMESTAMP)),
    "no signature": (401, lambda request: request.without(SIGNATURE)),
    "no timestamp": (401, lambda request: request.without(TIMESTAMP)),
    "empty signature": (400, lambda request: request.having((SIGNATURE, ""))),
    "signature abc": (400, lambda request: request.having((SIGNATURE, "abc"))),
    "signature v1": (400, lambda request: request.having((SIGNATURE, "v1=" + "0" * 64))),
    "signature beyond ASCII": (400, lambda request: request.having((SIGNATURE, "v0=é"))),
    "two signatures": (400, twice(SIGNATURE)),
    "two timestamps": (400, twice(TIMESTAMP)),
    "timestamp abc": (400, stamped("abc")),
    "timestamp empty": (400, stamped("")),
    "timestamp negative": (400, stamped("-1")),
    "timestamp 1e400": (400, stamped("1e400")),
    "timestamp nan": (400, stamped("nan")),
    "timestamp with a fraction": (400, stamped(f"{time.time():.3f}")),
    "timestamp of 400 digits": (400, stamped("9" * 400)),
    "timestamp in other digits": (400, lambda request: request.having((TIMESTAMP, "١٢٣"))),
    "301 seconds old": (401, seconds_from_now(-302)),
    "from the future": (401, seconds_from_now(302)),
    "gzip": (415, compressed),
    "no content type": (415, lambda request: request.without("Content-Type")),
    "text/plain": (415, lambda request: request.having(("Content-Type", "text/plain"))),
    "utf-16": (415, lambda request: request.having(("Content-Type", f"{FORM}; charset=utf-16"))),
    "not UTF-8": (400, lambda request: signed(b"command=\xff\xfe")),
    "JSON cut off": (400, lambda request: signed(b'{"type": "event_callb', JSON)),
    "a JSON list": (400, lambda request: signed(b"[]", JSON)),
    "JSON nested too deep": (400, lambda request: signed(b'{"a":' + b"[" * 100_000, JSON)),
    "payload that is no JSON": (400, lambda request: signed(b"payload=hello")),
    "two payloads": (400, lambda request: signed(b"payload=%7B%7D&payload=%7B%7D")),
    "payload that is a number": (400, lambda request: signed(b"payload=1")),
}


@pytest.mark.parametrize("flaw", FLAWS)
async def test_a_request_that_is_not_slacks_is_refused_and_does_nothing(room: Room, flaw: str) -> None:
    """Security 1; Adversarial 25, 27, 28, 29, 30."""
    status, spoil = FLAWS[flaw]

    answer = await spoil(genuine(room)).to(room.stage.bot)

    await room.stage.idle()
    assert answer == (status, REFUSED)
    assert room.slack.messages(room.channel) == []


async def test_299_seconds_old_is_young_enough(room: Room) -> None:
    answer = await seconds_from_now(-299)(genuine(room)).to(room.stage.bot)

    await room.prompt()
    assert answer == (200, "")


@pytest.mark.parametrize("size", [MIB + 1, 8 * MIB])
async def test_a_body_over_1_mib_is_refused(room: Room, size: int) -> None:
    """Security 11; Adversarial 31."""
    body = genuine(room).body
    padded = body + b"&pad=" + b"x" * (size - len(body) - 5)

    status, _ = await signed(padded).to(room.stage.bot)

    assert status == 413


async def test_a_body_over_1_mib_of_unannounced_length_is_refused(room: Room) -> None:
    """Security 11; Adversarial 31."""
    body = genuine(room).body + b"&pad=" + b"x" * MIB

    async def in_chunks() -> object:
        for at in range(0, len(body), 64 * 1024):
            yield body[at : at + 64 * 1024]

    async with (
        aiohttp.ClientSession() as http,
        http.post(room.stage.bot.request_url, data=in_chunks(), headers=signed(body).headers) as answer,
    ):
        status = answer.status

    assert status == 413


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/slack/events", 405), ("POST", "/", 404), ("GET", "/slack/install", 404)]
)
async def test_no_other_address_and_method_is_open(shared_stage: Stage, method: str, path: str, status: int) -> None:
    async with aiohttp.ClientSession() as http, http.request(method, shared_stage.bot.url + path) as answer:
        assert answer.status in (status, 401, 415)
        assert "Traceback" not in await answer.text()


async def test_slacks_check_of_the_address_is_answered_with_its_challenge(shared_stage: Stage) -> None:
    """Acceptance 28."""
    check = {
        "type": "url_verification",
        "token": "t",
        "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P",
    }

    status, said = await requests.event(check).to(shared_stage.bot)

    assert status == 200
    assert check["challenge"] in said


async def test_an_ssl_check_needs_a_signature_too(room: Room) -> None:
    """Acceptance 28."""
    probe = requests.form({"ssl_check": "1", "token": "t"})

    signed_answer = await signed(probe).to(room.stage.bot)
    unsigned_answer = await Request(probe + b"&command=%2Fdeploy", [("Content-Type", FORM)]).to(room.stage.bot)

    assert signed_answer[0] == 200
    assert unsigned_answer[0] == 401


async def test_a_signed_request_about_nothing_is_answered_without_a_fuss(shared_stage: Stage) -> None:
    status, said = await signed(b"").to(shared_stage.bot)

    assert (status, said) == (200, "")
