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


async def test_the_end_of_a_question_that_nobody_was_shown_keeps_nothing_else_from_being_shown() -> None:
    board = Board()
    async with desk(board) as found:
        await found.start(board, shown=False)
        prompt, *_ = await found.world.store.effects_of(found.run_id)
        asking = await found.world.store.claim_effect(found.run_id, prompt, 30)
        assert asking is not None
        await found.world.store.drop_effect(asking, "channel_not_found")
        await found.runner.cancel(found.run_id, ANA)
        await found.runner.drain(found.run_id)
        lock, _ = await found.world.store.effects_of(found.run_id)
        assert await found.world.store.claim_effect(found.run_id, lock, 30)  # and the process dies

        await found.pass_time(31)
        await found.pass_time(100)

        assert await found.world.store.effects_of(found.run_id) == []
