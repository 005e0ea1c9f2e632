"""Socket Mode alone: connections that end, and what was on its way in them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.conftest import check_stage
from tests.e2e.stage import ANA, BEN, Logs, Stage, shown, stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def wired(logs: Logs, redis_url: str, prefix: str) -> AsyncIterator[Stage]:
    """A bot with a connection of its own, to be cut."""
    async with stage(logs, redis_url, prefix, socket_mode=True) as found:
        yield found
        check_stage(found)


async def test_a_connection_slack_announces_to_end_is_replaced(wired: Stage) -> None:
    room = wired.room()
    prompt = await room.started(ANA, "/deploy v2")

    await room.slack.sockets.ask_to_reconnect()
    await room.see(lambda: room.slack.sockets.ready)
    await room.press(BEN, prompt, "Ship")

    assert (await room.result()).text == "Shipped v2"


async def test_a_reply_whose_connection_ends_before_its_acknowledgement_counts_once(wired: Stage) -> None:
    """Adversarial 45."""
    room = wired.room()
    first = await room.started(ANA, "/approve-draft AI safety")
    room.slack.sockets.cuts = 1

    await room.reply(BEN, first, "Shorter, please")
    await room.slack.settled()
    await room.see(lambda: room.slack.sockets.ready)
    await room.slack.advance(61)

    assert "Shorter, please" in shown(await room.prompt(2))
    await wired.idle()
    assert len(room.posted("prompt:")) == 2
    assert await room.times("answered", first) == 1


async def test_a_killed_bot_connects_again_and_goes_on(wired: Stage) -> None:
    room = wired.room()
    first = await room.started(ANA, "/approve-draft AI safety")

    await wired.bot.kill()
    await room.reply(BEN, first, "Shorter, please")
    await room.slack.settled()
    await wired.bot.start()
    await room.slack.advance(61)

    assert "Shorter, please" in shown(await room.prompt(2))


async def test_without_a_signing_secret_no_request_is_taken_over_http(wired: Stage) -> None:
    room = wired.room()
    room.slack.request_url = wired.bot.request_url

    refused = await room.command(ANA, "/deploy v2")

    assert refused.status == 404
    assert room.posted("prompt:") == []


async def test_sigterm_ends_a_connected_bot_with_code_0(wired: Stage) -> None:
    code = await wired.bot.terminate()

    assert code == 0
