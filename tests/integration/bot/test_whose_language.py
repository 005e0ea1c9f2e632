"""Who is told something alone reads it in their own language; what several read is in the language of messages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot import Choice, CommandReceived, Prompt, slash_command
from bot.languages import GERMAN
from bot.payloads.tokens import AskToken
from bot.playground.workspace import Message
from bot.views.wording import not_in_channel
from engine import HumanResponseEvent, StopEvent, Workflow, step
from tests.integration.bot.desk import ANA, BEN, CHLOE, DAN, HOME, Board, Desk, desk
from tests.messages import buttons, shown


def tokens(message: Message) -> list[AskToken]:
    """What the message's buttons stand for."""
    (row,) = [block for block in message.blocks or [] if block["type"] == "actions"]
    found = [AskToken.decode(element["value"]) for element in row["elements"] if element["type"] == "button"]
    return [token for token in found if token is not None]


def in_german(found: Desk, *users: str) -> None:
    for user in users:
        found.slack.workspace.users[user] = replace(found.slack.workspace.users[user], locale="de-DE")


async def test_who_is_asked_in_private_is_asked_in_their_own_language() -> None:
    board = Board(approvers=[BEN, CHLOE], quorum=2, takes_text="feedback", where=["channel", "approvers"])
    async with desk(board) as found:
        in_german(found, BEN)
        await found.start(board)

        (prompt,), (bens,), (chloes,) = found.home(), found.private(BEN), found.private(CHLOE)
        assert buttons(bens) == ["Approve", "Reject", "Anmerkungen geben"]
        assert "2 Personen müssen zustimmen" in shown(bens)
        assert bens.text == "Buy the boat? – antworte mit Approve, Reject oder Anmerkungen geben"
        assert [buttons(message)[-1] for message in (prompt, chloes)] == ["Give feedback"] * 2
        assert "2 people must agree" in shown(prompt)


@pytest.mark.parametrize("restarted", [False, True], ids=["by the same process", "by another process"])
async def test_what_becomes_of_it_is_told_there_in_their_own_language_too(restarted: bool) -> None:
    board = Board(approvers=[BEN, CHLOE, DAN], quorum=2, where=["channel", "approvers"], remind=[60.0])
    async with desk(board) as found:
        in_german(found, BEN)
        await found.start(board)

        if restarted:
            found.restart()
        await found.answer(CHLOE, "approve")
        assert f"Bisher 1 von 2: <@{CHLOE}>: freigegeben" in shown(found.private(BEN)[0])
        await found.pass_time(61)
        copy, reminder = found.private(BEN)
        assert "Noch offen: gefragt <!date^" in shown(copy)
        assert reminder.text == f"Wartet noch auf eine Antwort <@{BEN}>, <@{DAN}>"
        await found.answer(BEN, "approve")
        assert f"*Freigegeben* von <@{BEN}>" in shown(copy)
        assert f"*Approved* by <@{BEN}>" in shown(found.home()[0])
        resumed = [call for call in found.slack.log.calls("conversations.open") if "channel" in call.request]
        assert len(resumed) == (3 if restarted else 0)  # each conversation once, whatever is shown there


async def test_a_deleted_copy_is_posted_again_in_its_readers_language() -> None:
    board = Board(approvers=[BEN], quorum=1, remind=[60.0], where=["channel", "approvers"])
    async with desk(board) as found:
        in_german(found, BEN)
        await found.start(board)
        (copy,) = found.private(BEN)
        await found.slack.delete(BEN, copy.channel, copy.ts, anybodys=True)
        found.restart()

        await found.pass_time(61)

        (again,) = [message for message in found.private(BEN) if not message.thread_ts]
        assert again.text == "Buy the boat? – antworte mit Approve oder Reject"


async def test_in_whose_language_a_question_is_shown_does_not_matter_to_its_approval() -> None:
    board = Board(approvers=[BEN, CHLOE], where=["channel", "approvers"])
    async with desk(board) as found:
        in_german(found, BEN)
        await found.start(board)

        (bens,), (chloes,) = found.private(BEN), found.private(CHLOE)
        digest = (await found.ask()).digest
        assert bens.text != chloes.text
        assert tokens(bens) == tokens(chloes)
        assert [token.digest for token in tokens(bens)] == [digest, digest]


async def test_while_slack_does_not_say_who_reads_it_is_in_the_language_of_messages() -> None:
    board = Board(approvers=[BEN, CHLOE], quorum=2, where=["channel", "approvers"])
    async with desk(board) as found:
        in_german(found, BEN)
        await found.start(board)
        found.restart()
        found.slack.faults.fail("conversations.open", "server_error", times=2)

        await found.answer(CHLOE, "approve")

        assert "1 of 2 so far" in shown(found.private(BEN)[0])


async def test_what_was_started_with_the_bot_alone_is_in_its_requesters_language() -> None:
    board = Board()
    async with desk(board) as found:
        in_german(found, ANA)
        await found.start(board, channel=found.slack.workspace.dm_of(ANA).id)
        await found.answer(ANA, "approve")

        prompt, result = found.private(ANA)
        assert f"*Freigegeben* von <@{ANA}>" in shown(prompt)
        assert result.thread_ts == prompt.ts


async def test_what_the_requester_is_told_in_private_is_in_their_language() -> None:
    board = Board(quorum=2)
    async with desk(board) as found:
        in_german(found, ANA)
        await found.start(board)
        found.slack.archive(HOME)

        await found.answer(BEN, "approve")

        assert [message.text for message in found.private(ANA)] == [GERMAN.not_posted]


async def test_who_starts_something_where_the_bot_is_not_is_told_so_in_their_language() -> None:
    """Acceptance 4."""
    board = Board()
    async with desk(board) as found:
        in_german(found, ANA)
        found.slack.remove_bot(HOME)

        await found.start(board)

        assert [message.text for message in found.private(ANA)] == [not_in_channel(HOME, words=GERMAN)]


@slash_command("/ask-ben", summary="Ask for words")
class AskBen(Workflow):
    """Asks with one label of its own, and takes words."""

    @step
    async def ask(self, ev: CommandReceived) -> Prompt:
        return Prompt(prefix="Good?", choices=[Choice("fine", label="Fine by me")], takes_text="feedback")

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=ev.comment)


async def test_a_button_nobody_put_into_words_is_in_the_language_of_messages() -> None:
    workflow = AskBen(timeout=None)
    async with desk(workflow, words=GERMAN) as found:
        await found.start(workflow)

        (prompt,) = found.home()
        assert buttons(prompt) == ["Fine by me", "Anmerkungen geben"]
        assert prompt.text == "Good? – antworte mit Fine by me oder Anmerkungen geben"
