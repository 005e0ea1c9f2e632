"""Messages that people delete, or that can no longer be changed: the question stays answerable."""

from __future__ import annotations

from bot import CommandReceived, Prompt, slash_command
from bot.languages import ENGLISH
from engine import HumanResponseEvent, StopEvent, Workflow, step
from engine.verdicts import Accepted
from tests.integration.bot.desk import ANA, BEN, CHLOE, HOME, Board, desk
from tests.messages import buttons, shown


@slash_command("/twice", summary="Ask two questions")
class Twice(Workflow):
    """Asks a second question once the first is answered."""

    @step
    async def ask(self, ev: CommandReceived | HumanResponseEvent) -> Prompt | StopEvent:
        if isinstance(ev, HumanResponseEvent) and ev.response == "done":
            return StopEvent(result="done")
        return Prompt(prefix="Go on?", choices=["on", "done"])


async def test_a_deleted_question_is_posted_again_by_the_next_update_once() -> None:
    """Acceptance 26; Adversarial 4."""
    board = Board(quorum=2, remind=[60.0])
    async with desk(board) as found:
        await found.start(board)
        (first,) = found.home()
        await found.slack.delete(ANA, HOME, first.ts, anybodys=True)

        await found.answer(BEN, "approve")
        await found.pass_time(61)

        again, reminder = found.home()
        assert "1 of 2 so far" in shown(again)
        assert buttons(again) == ["Approve", "Reject"]
        assert reminder.thread_ts == again.ts
        assert (await found.whats()).count("shown again") == 1
        assert isinstance((await found.answer(CHLOE, "approve")).verdict, Accepted)
        assert found.home()[-1].text == "decided: approve"


async def test_a_deleted_question_is_posted_again_by_a_reminder() -> None:
    """Acceptance 26."""
    board = Board(remind=[60.0])
    async with desk(board) as found:
        await found.start(board)
        (first,) = found.home()
        await found.slack.delete(ANA, HOME, first.ts, anybodys=True)

        await found.pass_time(61)
        await found.pass_time(60)

        assert [buttons(message) for message in found.home() if message.blocks and buttons(message)] == [
            ["Approve", "Reject"]
        ]


async def test_a_deleted_copy_is_posted_again_where_it_was() -> None:
    board = Board(approvers=[BEN], quorum=1, remind=[60.0], where=["channel", "approvers"])
    async with desk(board) as found:
        await found.start(board)
        (copy,) = found.private(BEN)
        await found.slack.delete(BEN, copy.channel, copy.ts, anybodys=True)

        await found.pass_time(61)

        assert len(found.home()) == 2
        assert [buttons(message) for message in found.private(BEN) if not message.thread_ts] == [["Approve", "Reject"]]


async def test_a_question_whose_thread_was_deleted_is_answered_below_itself() -> None:
    """Slack puts it into the channel then."""
    twice = Twice(timeout=None)
    async with desk(twice) as found:
        await found.start(twice)
        (first,) = found.home()
        ask = await found.ask()
        await found.runner.answer(found.run_id, ask.ask_id, "on", user_id=BEN)
        await found.surface.perform(found.run_id, f"lock:{ask.ask_id}")
        await found.slack.delete(BEN, HOME, first.ts, anybodys=True)

        await found.settle()

        question = found.home()[-1]
        thread = await found.answering.thread("T1", HOME, question.ts)
        assert question.thread_ts is None
        assert thread.run is not None
        assert thread.run.run_id == found.run_id


async def test_an_unclear_question_whose_thread_was_deleted_is_found_in_the_channel() -> None:
    """Adversarial 9."""
    twice = Twice(timeout=None)
    async with desk(twice) as found:
        await found.start(twice)
        (first,) = found.home()
        ask = await found.ask()
        await found.runner.answer(found.run_id, ask.ask_id, "on", user_id=BEN)
        await found.surface.catch_up()
        await found.slack.delete(ANA, HOME, first.ts, anybodys=True)
        found.slack.faults.fail("chat.postMessage", "reset", applied=True)

        await found.settle()
        await found.pass_time(2)

        (second,) = found.home()
        assert (await found.ask()).messages == (f"{HOME}:{second.ts}",)


async def test_the_requester_is_told_when_a_question_can_no_longer_be_changed() -> None:
    board = Board(quorum=2)
    async with desk(board) as found:
        await found.start(board)
        found.slack.archive(HOME)

        await found.answer(BEN, "approve")

        assert [message.text for message in found.private(ANA)] == [ENGLISH.not_posted]
