"""A socket between Signoff and Slack: whatever becomes of a connection, there is another, and no answer is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from prometheus_client import Histogram
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import AppConfig, CommandInfo, DeliveryResult, FakeSlack
from bot.playground.socket_mode import MOST_CONNECTIONS
from bot.transport.dispatch import dispatch_to
from bot.transport.socket import OPEN_S, PAUSES_S, PING_S, SocketMode

ASK = "/ask"
AT_ONCE = (0.0, 0.0)


@dataclass
class Wired:
    """A Slack and a bot at the other end of its socket, that answers commands when it may."""

    slack: FakeSlack
    socket: SocketMode
    others: list[aiohttp.ClientWebSocketResponse]
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def on_command(self, ack: AsyncAck) -> None:
        self.asked.set()
        await self.may_answer.wait()
        await ack("asked")

    async def ready(self) -> None:
        await self.slack.wait_for(lambda: self.slack.sockets.ready)

    async def ask(self) -> DeliveryResult:
        return await self.slack.command("U1", "C2", f"{ASK} AI")


@asynccontextmanager
async def wired(
    *, ping_s: float = PING_S, pauses_s: Sequence[float] = AT_ONCE, refusals: int = 0, others: int = 0
) -> AsyncIterator[Wired]:
    """Hold a connection, beside so many *others* that were there first."""
    async with FakeSlack(AppConfig("secret", commands=(CommandInfo(ASK),))) as slack, aiohttp.ClientSession() as http:
        client = AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_base_url)
        there = [await _connected(http, client, slack.app.app_token) for _ in range(others)]
        slack.log.clear()
        slack.sockets.refusals = refusals
        bolt = AsyncApp(client=client, authorize=_anybody, process_before_response=True)
        dispatch = dispatch_to(bolt, Histogram("took", "For so long.", registry=None))
        socket = SocketMode(dispatch, slack.app.app_token, client, ping_s=ping_s, pauses_s=pauses_s)
        found = Wired(slack, socket, there)
        found.may_answer.set()
        bolt.command(ASK)(found.on_command)
        async with found.socket.held():
            yield found


def opened(found: Wired) -> int:
    """Return how many addresses of connections were asked for."""
    return len(found.slack.log.calls("apps.connections.open"))


async def _connected(
    http: aiohttp.ClientSession, client: AsyncWebClient, app_token: str
) -> aiohttp.ClientWebSocketResponse:
    return await http.ws_connect(str((await client.apps_connections_open(app_token=app_token))["url"]))


async def _anybody() -> AuthorizeResult:
    return AuthorizeResult(enterprise_id=None, team_id="T1")


async def test_an_envelope_is_acknowledged_with_what_the_listener_says() -> None:
    async with wired() as found:
        await found.ready()

        assert (await found.ask()).shown == "asked"
        assert found.socket.connected


async def test_a_connection_on_which_nothing_is_heard_is_replaced() -> None:
    """Adversarial 47."""
    async with wired(ping_s=0.05) as found:
        await found.ready()
        found.slack.sockets.silent = True

        await found.slack.wait_for(lambda: opened(found) >= 2)
        found.slack.sockets.silent = False
        await found.slack.wait_for(lambda: found.slack.sockets.count == 1)

        assert (await found.ask()).shown == "asked"


def test_a_silent_connection_is_replaced_within_a_minute() -> None:
    """Adversarial 47."""
    noticed_s = PING_S * 1.5  # aiohttp waits half as long for the answer to a ping

    assert noticed_s + PAUSES_S[1] + OPEN_S < 60


async def test_an_address_that_was_used_in_vain_is_not_used_again() -> None:
    async with wired(refusals=2) as found:
        await found.ready()

        assert (await found.ask()).shown == "asked"
        assert opened(found) == 3


async def test_too_many_connections_are_tried_again_after_ever_longer_pauses() -> None:
    """Adversarial 46."""
    async with wired(pauses_s=(0.0, 0.0, 0.01, 3600.0), others=MOST_CONNECTIONS) as found:
        await found.slack.wait_for(lambda: found.slack.sockets.turned_away == 3)

        for other in found.others:
            await other.close()
        await found.slack.wait_for(lambda: not found.slack.sockets.count)

        assert opened(found) == 3
        assert not found.socket.connected


async def test_what_came_before_a_connection_is_replaced_is_still_acknowledged() -> None:
    async with wired() as found:
        await found.ready()
        found.may_answer.clear()

        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(found.ask())
            await found.asked.wait()
            await found.slack.sockets.ask_to_reconnect()
            await found.slack.wait_for(lambda: opened(found) == 2)
            found.may_answer.set()

        assert asking.result().shown == "asked"


async def test_a_connection_that_ends_before_an_acknowledgement_fails_that_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Adversarial 45."""
    async with wired() as found:
        await found.ready()
        found.slack.sockets.cuts = 1

        failed = await found.ask()
        await found.ready()

        assert failed.error == "dispatch_failed"
        assert (await found.ask()).shown == "asked"
        assert "Traceback" not in caplog.text


async def test_what_came_before_the_end_is_still_acknowledged() -> None:
    async with asyncio.TaskGroup() as tasks, wired() as found:
        await found.ready()
        found.may_answer.clear()
        asking = tasks.create_task(found.ask())
        await found.asked.wait()
        asyncio.get_running_loop().call_soon(found.may_answer.set)

    assert asking.result().shown == "asked"
