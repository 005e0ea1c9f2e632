"""What cannot be shown where it belongs: the requester is told in private, once, however Slack is just then."""

from __future__ import annotations

import pytest

from bot.playground.faults import Kind
from tests.integration.bot.desk import ANA, BEN, HOME, Board, Desk, desk

TROUBLE: list[tuple[Kind, bool]] = [
    ("ratelimited", False),
    ("server_error", False),
    ("server_error", True),
    ("reset", True),
]


def told(found: Desk) -> list[str]:
    return [message.text for message in found.private(ANA)]


@pytest.mark.parametrize(("trouble", "applied"), TROUBLE)
async def test_a_result_for_an_archived_channel_reaches_the_requester_once(trouble: Kind, applied: bool) -> None:
    """Adversarial 5, 9."""
    board = Board()
    async with desk(board) as found:
        await found.start(board)
        found.slack.archive(HOME)
        found.slack.faults.fail("chat.postMessage", "error", code="is_archived")
        found.slack.faults.fail("chat.postMessage", trouble, applied=applied)

        await found.answer(BEN, "approve")
        await found.pass_time(2)
        await found.pass_time(100)

        assert told(found) == ["decided: approve"]


@pytest.mark.parametrize(("trouble", "applied"), TROUBLE)
async def test_who_starts_something_where_the_bot_is_not_is_told_so_once(trouble: Kind, applied: bool) -> None:
    """Adversarial 6, 9."""
    board = Board()
    async with desk(board) as found:
        found.slack.workspace.channels[HOME].members.remove(found.slack.app.bot_user_id)
        found.slack.faults.fail("chat.postMessage", "error", code="not_in_channel")
        found.slack.faults.fail("chat.postMessage", trouble, applied=applied)

        await found.start(board)
        await found.pass_time(2)
        await found.pass_time(100)

        (text,) = told(found)
        assert "/invite" in text
        run = await found.world.store.run(found.run_id)
        assert run is not None
        assert run.status == "cancelled"


async def test_a_requester_who_cannot_be_reached_holds_nothing_up() -> None:
    """Adversarial 7."""
    board = Board()
    async with desk(board) as found:
        await found.start(board)
        found.slack.archive(HOME)
        found.slack.workspace.users[ANA].deleted = True

        await found.answer(BEN, "approve")

        assert not await found.world.store.effects_of(found.run_id)
        assert (await found.whats())[-1] == "dropped"
