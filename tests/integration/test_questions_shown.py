"""What a question shows while it is open: how many have agreed, that it still waits, and where it stands."""

from __future__ import annotations

from bot import Choice, CommandReceived, Prompt, slash_command
from engine import HumanResponseEvent, StopEvent, Workflow, step
from engine.verdicts import Accepted, Recorded
from tests.e2e.stage import buttons, shown
from tests.integration.desk import ANA, BEN, CHLOE, DAN, desk


@slash_command("/board", summary="Ask the board")
class Board(Workflow):
    """Asks for what it was given."""

    def __init__(self, **prompt: object) -> None:
        super().__init__(timeout=None)
        self._prompt = prompt

    @step
    async def ask(self, ev: CommandReceived) -> Prompt:
        choices = [Choice("approve"), Choice("reject", style="danger")]
        return Prompt(prefix="Buy the boat?", choices=choices, **self._prompt)

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=f"decided: {ev.response}")


async def test_each_vote_shows_how_many_have_agreed() -> None:
    """Acceptance 17."""
    board = Board(approvers=[BEN, CHLOE, DAN], quorum=2)
    async with desk(board) as found:
        await found.start(board)

        told = await found.answer(BEN, "approve")

        (prompt,) = found.home()
        assert told.verdict == Recorded(1, 2)
        assert f"1 of 2 so far: <@{BEN}>: approved" in shown(prompt)
        assert buttons(prompt) == ["Approve", "Reject"]


async def test_the_decision_shows_after_the_votes() -> None:
    board = Board(approvers=[BEN, CHLOE, DAN], quorum=2)
    async with desk(board) as found:
        await found.start(board)
        await found.answer(BEN, "approve")

        told = await found.answer(CHLOE, "approve")

        prompt, result = found.home()
        assert isinstance(told.verdict, Accepted)
        assert buttons(prompt) == []
        assert f"Votes: <@{BEN}>: approved, <@{CHLOE}>: approved" in shown(prompt)
        assert result.text == "decided: approve"


async def test_a_vote_that_slack_would_not_show_is_shown_later() -> None:
    board = Board(quorum=2)
    async with desk(board) as found:
        await found.start(board)
        found.slack.faults.fail("chat.update", "server_error")

        await found.answer(BEN, "approve")
        await found.pass_time(2)

        (prompt,) = found.home()
        assert "1 of 2 so far" in shown(prompt)


async def test_a_reminder_says_on_the_question_that_it_still_waits() -> None:
    board = Board(approvers=[BEN], remind=[60.0])
    async with desk(board) as found:
        await found.start(board)
        opened = (await found.ask()).opened_at

        await found.pass_time(61)

        prompt, reminder = found.home()
        assert f"Still waiting: asked <!date^{int(opened)}^" in shown(prompt)
        assert f"reminded <!date^{int(opened) + 61}^" in shown(prompt)
        assert buttons(prompt) == ["Approve", "Reject"]
        assert reminder.thread_ts == prompt.ts
        assert f"<@{BEN}>" in reminder.text
        assert ANA not in reminder.text
