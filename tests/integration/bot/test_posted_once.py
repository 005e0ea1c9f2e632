"""What was posted and not confirmed is found again, however much others have written since, and so is there once."""

from __future__ import annotations

import pytest

from bot import CommandReceived, Prompt, slash_command
from bot.languages import ENGLISH
from bot.playground.faults import Kind
from bot.playground.workspace import Message
from bot.slack.calls import PAGE, PAGES
from engine import HumanResponseEvent, StopEvent, Workflow, step
from engine.verdicts import Accepted
from tests.integration.bot.desk import ANA, BEN, DAN, HOME, Board, Desk, desk
from tests.messages import buttons


@slash_command("/ship", summary="Ask whether to ship")
class Ship(Workflow):
    """Asks one question."""

    @step
    async def ask(self, ev: CommandReceived) -> Prompt:
        return Prompt(prefix="Ship it?", choices=["ship", "keep back"])

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=f"decided: {ev.response}")


@slash_command("/publish", summary="Ask about a long text")
class Publish(Ship):
    """Asks about more than a message holds."""

    @step
    async def ask(self, ev: CommandReceived) -> Prompt:
        return Prompt(prefix="Publish this?\n\n" + "Word after word. " * 2_000, choices=["publish", "keep back"])


@slash_command("/recite", summary="Come to a long text")
class Recite(Ship):
    """Comes to more than a message holds."""

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result="Word after word. " * 2_000)


def others_write(found: Desk, messages: int, thread_ts: str | None = None) -> None:
    channel = found.slack.workspace.in_channel(HOME)
    channel += [
        Message(HOME, found.slack.mint_ts(), DAN, f"{n} bottles", thread_ts=thread_ts) for n in range(messages, 0, -1)
    ]


def ours(found: Desk) -> list[str]:
    return [message.text for message in found.home() if message.user == found.slack.app.bot_user_id]


@pytest.mark.parametrize("messages", [PAGE, 3 * PAGE])
async def test_a_question_is_found_again_in_a_busy_channel(messages: int) -> None:
    """Adversarial 9."""
    workflow = Ship(timeout=None)
    async with desk(workflow) as found:
        found.slack.faults.fail("chat.postMessage", "reset", applied=True)
        await found.start(workflow)
        others_write(found, messages)

        await found.pass_time(2)

        assert len(ours(found)) == 1
        assert (await found.ask()).messages == (f"{HOME}:{found.home()[0].ts}",)


async def test_a_result_is_found_again_in_a_long_thread() -> None:
    """Adversarial 9. Slack hands out a thread from its beginning."""
    workflow = Ship(timeout=None)
    async with desk(workflow) as found:
        await found.start(workflow)
        others_write(found, 3 * PAGE, found.home()[0].ts)
        found.slack.faults.fail("chat.postMessage", "reset", applied=True)
        await found.answer(BEN, "ship")

        await found.pass_time(2)

        assert ours(found)[1:] == ["decided: ship"]


async def test_who_may_look_once_a_minute_only_asks_all_the_same() -> None:
    """Slack lets apps that are sold outside its Marketplace read one page of a channel a minute."""
    workflow = Ship(timeout=None)
    async with desk(workflow) as found:
        found.slack.faults.fail("chat.postMessage", "reset", applied=True)
        await found.start(workflow)
        others_write(found, PAGE)
        found.slack.faults.fail("conversations.history", "slow", seconds=0)
        found.slack.faults.fail("conversations.history", "ratelimited", retry_after="60", times=None)

        await found.pass_time(2)

        assert [buttons(message) for message in found.home()[:1] + found.home()[-1:]] == [["Ship", "Keep back"]] * 2
        assert len(ours(found)) == 2


async def test_no_more_is_looked_through_than_was_written_since_the_question_was_opened() -> None:
    workflow = Ship(timeout=None)
    async with desk(workflow) as found:
        others_write(found, 2 * PAGE)
        await found.world.pass_time(found.slack.clock.now() + 3600 - 1_700_000_000)
        found.slack.faults.fail("chat.postMessage", "reset")
        await found.start(workflow)

        await found.pass_time(2)

        assert len(found.slack.log.calls("conversations.history")) == 1
        assert len(ours(found)) == 1


async def test_a_channel_is_not_looked_through_for_ever() -> None:
    workflow = Ship(timeout=None)
    async with desk(workflow) as found:
        found.slack.faults.fail("chat.postMessage", "reset")
        await found.start(workflow)
        others_write(found, (PAGES + 1) * PAGE)

        await found.pass_time(2)

        assert len(found.slack.log.calls("conversations.history")) == PAGES
        assert len(ours(found)) == 1


@pytest.mark.parametrize("applied", [False, True], ids=["was not taken", "was taken"])
@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "files.completeUploadExternal", "chat.postMessage"])
async def test_what_a_message_does_not_hold_is_there_once_as_a_file(method: str, applied: bool) -> None:
    """Acceptance 6; Adversarial 9."""
    workflow = Publish(timeout=None)
    async with desk(workflow) as found:
        found.slack.faults.fail(method, "reset", applied=applied)
        await found.start(workflow)

        await found.pass_time(2)

        question, *files = found.home()
        assert buttons(question) == ["Publish", "Keep back"]
        assert [(file.thread_ts, len(file.files)) for file in files] == [(question.ts, 1)]


@pytest.mark.parametrize(
    ("fault", "applied"), [("server_error", True), ("html", True), ("reset", True), ("server_error", False)]
)
async def test_a_question_whose_outcome_is_unclear_is_there_once(fault: Kind, applied: bool) -> None:
    """Adversarial 9."""
    board = Board()
    async with desk(board) as found:
        found.slack.faults.fail("chat.postMessage", fault, applied=applied)
        await found.start(board)

        await found.pass_time(2)
        await found.pass_time(100)

        assert len(found.home()) == 1
        assert isinstance((await found.answer(BEN, "approve")).verdict, Accepted)


@pytest.mark.parametrize("looked", ["after it came", "before it came"])
async def test_a_question_that_slack_posts_after_we_have_given_up_is_there_once(looked: str) -> None:
    """Adversarial 9: a timeout."""
    board = Board()
    async with desk(board, timeout_s=1) as found:
        found.slack.faults.fail("chat.postMessage", "slow", seconds=1.3)
        await found.start(board)

        if looked == "before it came":
            await found.pass_time(2)
        await found.slack.settled()
        await found.pass_time(2)
        await found.pass_time(400)

        assert len(found.home()) == 1
        assert isinstance((await found.answer(BEN, "approve")).verdict, Accepted)


@pytest.mark.parametrize("trouble", ["ratelimited", "server_error"])
async def test_a_second_copy_is_deleted_though_slack_was_busy_when_we_looked_for_it(trouble: Kind) -> None:
    """Adversarial 9."""
    board = Board()
    async with desk(board, timeout_s=1) as found:
        found.slack.faults.fail("chat.postMessage", "slow", seconds=1.3)
        await found.start(board)
        await found.pass_time(2)
        await found.slack.settled()
        assert len(found.home()) == 2
        found.slack.faults.fail("conversations.history", trouble)

        await found.pass_time(70)
        await found.pass_time(2)

        assert len(found.home()) == 1


async def test_nobody_is_asked_about_a_text_whose_rest_slack_does_not_take() -> None:
    """Acceptance 6."""
    workflow = Publish(timeout=None)
    async with desk(workflow) as found:
        found.slack.faults.fail("files.getUploadURLExternal", "error", code="file_uploads_disabled", times=None)

        await found.start(workflow)

        assert found.home() == []
        assert [message.text for message in found.private(ANA)] == [ENGLISH.not_posted]


async def test_a_result_whose_rest_slack_does_not_take_stands_with_its_beginning() -> None:
    workflow = Recite(timeout=None)
    async with desk(workflow) as found:
        await found.start(workflow)
        found.slack.faults.fail("files.getUploadURLExternal", "error", code="file_uploads_disabled", times=None)

        await found.answer(BEN, "ship")

        assert found.home()[-1].text.startswith("Word after word.")
        assert [message.text for message in found.private(ANA)] == [ENGLISH.not_posted]


@pytest.mark.parametrize("code", ["team_added_to_org", "org_login_required", "message_limit_exceeded"])
async def test_a_question_waits_for_a_workspace_that_is_moved_or_has_its_fill(code: str) -> None:
    board = Board()
    async with desk(board) as found:
        found.slack.faults.fail("chat.postMessage", "error", code=code, times=3)
        await found.start(board)

        for _ in range(10):
            await found.pass_time(2)

        assert buttons(found.home()[0]) == ["Approve", "Reject"]
        assert found.private(ANA) == []
