"""How fast messages go out, and what waits while Slack asks for patience."""

from __future__ import annotations

import pytest

from bot.slack.pace import BURST
from tests.integration.bot.desk import Board, desk


async def test_a_channel_that_asks_for_patience_holds_back_no_other() -> None:
    """Adversarial 8: 3600."""
    board = Board()
    async with desk(board) as found:
        found.slack.faults.fail("chat.postMessage", "ratelimited", retry_after="3600")
        await found.start(board)
        calls = found.slack.log.calls("chat.postMessage")

        await found.start(board)
        await found.start(board, channel="C1")
        await found.pass_time(3000)

        assert found.home() == []
        assert len(found.slack.messages("C1")) == 1
        assert len(found.slack.log.calls("chat.postMessage")) == len(calls) + 1
        await found.pass_time(700)
        assert len(found.home()) == 2


@pytest.mark.parametrize("told", ["0", None, "soon", "nan"])
async def test_a_channel_that_says_no_time_to_wait_is_tried_again_soon(told: str | None) -> None:
    """Adversarial 8: 0, missing, not a number."""
    board = Board()
    async with desk(board) as found:
        found.slack.faults.fail("chat.postMessage", "ratelimited", retry_after=told)
        await found.start(board)

        await found.pass_time(1.1)

        assert len(found.home()) == 1


async def test_many_messages_to_a_channel_go_out_one_a_second_after_the_first() -> None:
    board = Board()
    async with desk(board) as found:
        for _ in range(BURST + 3):
            await found.start(board)
        posted = [len(found.home())]

        for _ in range(4):
            await found.pass_time(1.01)
            posted.append(len(found.home()))

        assert posted == [BURST, BURST + 1, BURST + 2, BURST + 3, BURST + 3]
