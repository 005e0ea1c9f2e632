"""Socket Mode alone: connections that end, and what was on its way in them."""

from __future__ import annotations

import pytest

from tests.e2e.shapes import SOCKET, SOCKET_FLEET, only
from tests.e2e.stage import ANA, BEN, Stage
from tests.messages import shown

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    only(SOCKET, SOCKET_FLEET, because="they are about the connection that only Socket Mode has"),
]


async def test_a_connection_slack_announces_to_end_is_replaced(own_stage: Stage) -> None:
    room = own_stage.room()
    prompt = await room.started(ANA, "/deploy v2")

    await room.slack.sockets.ask_to_reconnect()
    await room.see(lambda: room.slack.sockets.ready)
    await room.press(BEN, prompt, "Ship")

    assert (await room.result()).text == "Shipped v2"


async def test_a_reply_whose_connection_ends_before_its_acknowledgement_counts_once(own_stage: Stage) -> None:
    """Adversarial 45."""
    room = own_stage.room()
    first = await room.started(ANA, "/approve-draft AI safety")
    room.slack.sockets.cuts = 1

    await room.reply(BEN, first, "Shorter, please")
    await room.slack.settled()
    await room.see(lambda: room.slack.sockets.ready)
    await room.slack.advance(61)

    assert "Shorter, please" in shown(await room.prompt(2))
    await own_stage.idle()
    assert len(room.posted("prompt:")) == 2
    assert await room.times("answered", first) == 1


async def test_without_a_signing_secret_no_request_is_taken_over_http(own_stage: Stage) -> None:
    room = own_stage.room()
    room.slack.request_url = own_stage.bot.request_url

    refused = await room.command(ANA, "/deploy v2")

    assert refused.status == 404
    assert room.posted("prompt:") == []


async def test_sigterm_ends_a_connected_bot_with_code_0(own_stage: Stage) -> None:
    codes = await own_stage.terminate()

    assert codes == {0}
