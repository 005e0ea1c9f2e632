"""What a question shows while it is open: how many have agreed, that it still waits, and where it stands."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic_core import to_json

from bot import CommandReceived, Escalation, slash_command
from bot.languages import ENGLISH
from bot.operations.reports import reason
from bot.views.wording import closed_channel
from engine import HumanResponseEvent, InputRequiredEvent, StopEvent, Workflow, step
from engine.run_store import Amendment, NewEffect
from engine.verdicts import Accepted, Already, NotAllowed, Recorded
from tests.integration.bot.desk import ANA, BEN, CHLOE, DAN, HOME, Board, desk
from tests.messages import buttons, shown


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


async def test_what_a_plain_question_keeps_by_the_name_of_a_rule_keeps_it_from_nobody() -> None:
    @slash_command("/plain", summary="Asks as a workflow of LlamaIndex does.")
    class Plain(Workflow):
        @step
        async def ask(self, ev: CommandReceived) -> InputRequiredEvent:
            return InputRequiredEvent(prefix="Go? (yes/no)", escalate=True, remind="soon", options=7, copies=1)

        @step
        async def end(self, ev: HumanResponseEvent) -> StopEvent:
            return StopEvent(result=ev.response)

    flow = Plain()
    async with desk(flow) as found:
        await found.start(flow)

        (prompt,) = found.home()
        assert buttons(prompt) == ["Yes", "No"]


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


async def test_the_same_person_twice_counts_once_and_one_rejection_ends_it() -> None:
    """Acceptance 17."""
    board = Board(approvers=[BEN, CHLOE, DAN], quorum=2)
    async with desk(board) as found:
        await found.start(board)
        await found.answer(BEN, "approve")

        again = await found.answer(BEN, "approve")
        ended = await found.answer(CHLOE, "reject")

        prompt, result = found.home()
        assert again.verdict == Recorded(1, 2)
        assert isinstance(ended.verdict, Accepted)
        assert f"*Rejected* by <@{CHLOE}>" in shown(prompt)
        assert result.text == "decided: reject"


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


# --- further people, and silence ------------------------------------------------------------------


async def test_further_people_are_asked_in_private_and_may_answer() -> None:
    """Acceptance 19."""
    board = Board(approvers=[BEN], escalate=[Escalation(after=60.0, to=[CHLOE])])
    async with desk(board) as found:
        await found.start(board)

        refused = await found.answer(CHLOE, "approve")
        await found.pass_time(61)
        told = await found.answer(CHLOE, "approve")

        prompt, note, _ = found.home()
        (copy,) = found.private(CHLOE)
        assert isinstance(refused.verdict, NotAllowed)
        assert isinstance(told.verdict, Accepted)
        assert f"<@{CHLOE}>: this has waited since" in note.text
        assert note.thread_ts == prompt.ts
        assert buttons(copy) == []
        assert (await found.whats()).count("asked too") == 1


async def test_nobody_is_called_to_a_question_that_was_decided_meanwhile() -> None:
    board = Board(approvers=[BEN], escalate=[Escalation(after=60.0, to=[DAN])])
    async with desk(board) as found:
        await found.start(board)
        found.slack.faults.fail("chat.postMessage", "ratelimited", retry_after="30")
        await found.pass_time(61)

        await found.answer(BEN, "approve")
        await found.pass_time(31)

        assert [DAN in message.text for message in found.home()] == [False, False]
        assert found.private(DAN) == []


async def test_a_question_tells_who_was_asked_since() -> None:
    board = Board(approvers=[BEN], escalate=[Escalation(after=60.0, to=[CHLOE])])
    async with desk(board) as found:
        await found.start(board)

        await found.pass_time(61)

        prompt = found.home()[0]
        assert f"For <@{BEN}> or <@{CHLOE}>" in shown(prompt)
        assert f"Asked since: <@{CHLOE}>" in shown(prompt)


async def test_a_question_for_everybody_stays_one_when_somebody_is_asked_too() -> None:
    board = Board(escalate=[Escalation(after=60.0, to=[CHLOE])])
    async with desk(board) as found:
        await found.start(board)

        await found.pass_time(61)

        assert len(found.private(CHLOE)) == 1
        assert isinstance((await found.answer(DAN, "approve")).verdict, Accepted)


async def test_a_response_that_silence_stands_for_shows_as_the_decision() -> None:
    board = Board(timeout=60.0, on_timeout="reject")
    async with desk(board) as found:
        await found.start(board)

        await found.pass_time(61)

        prompt, result = found.home()
        assert "*Rejected* because nobody answered in time" in shown(prompt)
        assert result.text == "decided: reject"
        told = await found.answer(BEN, "approve")
        assert isinstance(told.verdict, Already)
        assert (told.verdict.by, told.verdict.response) == ("", "reject")
        assert "when its time ran out" in told.text(ENGLISH)


async def test_a_deadline_shows_in_each_readers_time_zone_and_then_that_it_is_over() -> None:
    board = Board(timeout=60.0)
    async with desk(board) as found:
        await found.start(board)
        opened = (await found.ask()).opened_at
        assert f"Answer before <!date^{int(opened) + 60}^" in shown(found.home()[0])

        await found.pass_time(61)

        assert "*Expired* without an answer" in shown(found.home()[0])
        assert buttons(found.home()[0]) == []


# --- copies --------------------------------------------------------------------------------------


async def test_named_people_are_asked_in_private_too_and_any_copy_takes_the_answer() -> None:
    board = Board(approvers=[BEN, CHLOE], where=["channel", "approvers"])
    async with desk(board) as found:
        await found.start(board)
        ((bens,), (chloes,), (prompt,)) = found.private(BEN), found.private(CHLOE), found.home()

        told = await found.answer(CHLOE, "approve")

        assert isinstance(told.verdict, Accepted)
        for copy in (prompt, bens, chloes):
            assert buttons(copy) == []
            assert f"*Approved* by <@{CHLOE}>" in shown(copy)
        assert found.home()[-1].text == "decided: approve"


async def test_a_vote_shows_on_every_copy() -> None:
    board = Board(approvers=[BEN, CHLOE], quorum=2, where=["channel", "approvers"])
    async with desk(board) as found:
        await found.start(board)

        await found.answer(BEN, "approve")

        for (copy,) in (found.home(), found.private(BEN), found.private(CHLOE)):
            assert f"1 of 2 so far: <@{BEN}>: approved" in shown(copy)


async def test_a_question_asked_in_private_stays_there() -> None:
    """Security 8."""
    board = Board(where=BEN)
    async with desk(board) as found:
        await found.start(board)
        (note,) = found.home()
        (question,) = found.private(BEN)
        assert "boat" in shown(question)

        refused = await found.answer(CHLOE, "approve")
        told = await found.answer(BEN, "approve")

        assert isinstance(refused.verdict, NotAllowed)
        assert isinstance(told.verdict, Accepted)
        assert "boat" not in shown(note) + note.text
        assert f"*Approved* by <@{BEN}>" in shown(note)
        assert found.private(CHLOE) == []


async def test_what_is_asked_back_about_a_private_question_stays_in_private() -> None:
    """Security 8."""
    board = Board(where=BEN)
    async with desk(board) as found:
        await found.start(board)
        before, ask = found.home(), await found.ask()
        details = NewEffect(f"details:{ask.ask_id}:1", to_json({"by": BEN, "text": "Which boat?"}), ask.ask_id)

        await found.runner.amend(
            Amendment(ask.run_id, ask.ask_id, "1", BEN, "asked back", effects=[details], asks_back=True)
        )
        await found.settle()

        (asked,) = found.private(ANA)
        assert "Which boat?" in shown(asked)
        assert found.home() == before


async def test_somebody_who_cannot_be_asked_is_told_of_to_the_requester() -> None:
    board = Board(approvers=[BEN, CHLOE], where=["channel", "approvers"])
    async with desk(board) as found:
        found.slack.workspace.users[BEN] = replace(found.slack.workspace.users[BEN], deleted=True)

        await found.start(board)

        (note,) = found.private(ANA)
        assert f"<@{BEN}>" in note.text
        assert len(found.private(CHLOE)) == 1
        assert buttons(found.home()[0]) == ["Approve", "Reject"]


async def test_a_copy_whose_outcome_was_unclear_is_there_once() -> None:
    board = Board(approvers=[BEN], where=["channel", "approvers"])
    async with desk(board) as found:
        await found.start(board, shown=False)
        await found.surface.perform(found.run_id, "prompt:a1")
        found.slack.faults.fail("chat.postMessage", "reset", applied=True)

        await found.settle()
        await found.pass_time(2)

        assert len(found.private(BEN)) == 1
        await found.answer(BEN, "approve")
        assert buttons(found.private(BEN)[0]) == []


async def test_a_reminder_comes_below_every_copy_and_names_who_has_not_voted() -> None:
    board = Board(approvers=[BEN, CHLOE], quorum=2, remind=[60.0], where=["channel", "approvers"])
    async with desk(board) as found:
        await found.start(board)
        await found.answer(BEN, "approve")

        await found.pass_time(61)

        for messages in (found.home(), found.private(BEN), found.private(CHLOE)):
            copy, reminder = messages
            assert reminder.thread_ts == copy.ts
            assert f"<@{CHLOE}>" in reminder.text
            assert BEN not in reminder.text
            assert "Still waiting: asked" in shown(copy)


async def test_people_asked_in_private_are_reminded_though_the_channel_is_archived() -> None:
    board = Board(approvers=[BEN], remind=[60.0], where=["channel", "approvers"])
    async with desk(board) as found:
        await found.start(board)
        found.slack.archive(HOME)

        await found.pass_time(61)

        assert len(found.private(BEN)) == 2
        assert isinstance((await found.answer(BEN, "approve")).verdict, Accepted)


async def test_a_reminder_that_slack_posts_in_private_after_we_have_given_up_is_there_once() -> None:
    """Adversarial 9: a timeout."""
    board = Board(approvers=[BEN], remind=[60.0], where=["channel", "approvers"])
    async with desk(board, timeout_s=1) as found:
        await found.start(board)
        found.slack.faults.fail("chat.postMessage", "slow", seconds=0)  # in the channel
        found.slack.faults.fail("chat.postMessage", "slow", seconds=1.3)
        await found.pass_time(61)
        await found.pass_time(2)
        await found.slack.settled()
        assert len(found.private(BEN)) == 3

        await found.pass_time(100)

        assert [len(found.home()), len(found.private(BEN))] == [2, 2]


async def test_a_reminder_that_is_held_back_in_private_comes_to_the_channel_once() -> None:
    board = Board(approvers=[BEN], remind=[60.0], where=["channel", "approvers"])
    async with desk(board) as found:
        for n in range(7):  # more than Ben's conversation takes at once, half of it in each channel
            await found.start(board, "C1" if n % 2 else HOME)

        for _ in range(80):
            await found.pass_time(1)

        assert [len(found.slack.messages("C1")), len(found.home()), len(found.private(BEN))] == [6, 8, 14]


async def test_a_copy_that_cannot_show_the_decision_keeps_it_from_no_other() -> None:
    """A text may be too long in one reader's language alone."""
    board = Board(approvers=[BEN], where=["channel", "approvers"])
    async with desk(board) as found:
        await found.start(board)
        found.slack.faults.fail("chat.update", "ratelimited")
        found.slack.faults.fail("chat.update", "error", code="msg_too_long")

        await found.answer(BEN, "approve")
        await found.pass_time(2)

        assert buttons(found.home()[0]) == []


async def test_what_is_decided_is_not_reminded_of() -> None:
    board = Board(remind=[60.0])
    async with desk(board) as found:
        await found.start(board)
        await found.answer(BEN, "approve")

        await found.pass_time(61)

        assert [message.text for message in found.home()[1:]] == ["decided: approve"]


async def test_a_prompt_that_cannot_work_ends_its_run_with_a_reason_in_plain_words() -> None:
    board = Board(approvers=["bob"])
    async with desk(board) as found:
        await found.start(board)

        (told,) = found.home()
        whole = await found.world.store.export(found.run_id)
        assert whole is not None
        assert reason(whole).startswith("ValueError: Prompt.approvers is ['bob']: approver 'bob': give a Slack id")
        assert "http" not in reason(whole)
        assert ENGLISH.failed_why in shown(told)
        assert "bob" not in shown(told)


@pytest.mark.parametrize("code", ["restricted_action", "restricted_action_read_only_channel", "is_archived"])
async def test_who_starts_something_where_posting_is_restricted_is_told_so(code: str) -> None:
    """No invitation of the bot would help."""
    board = Board()
    async with desk(board) as found:
        found.slack.faults.fail("chat.postMessage", "error", code=code)

        await found.start(board)
        await found.settle()

        assert [message.text for message in found.private(ANA)] == [closed_channel(HOME)]
        assert (await found.runner.view(found.run_id)).status == "cancelled"
