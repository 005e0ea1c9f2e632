"""Replies in a thread: what they answer, and what their writers are told."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot import Choice, CommandReceived, Prompt
from bot.asking.replies import NotTaken
from bot.background import Background
from bot.languages import ENGLISH
from bot.listeners.admission import Admission
from bot.listeners.answering import Answering, Via
from bot.payloads.events import ThreadReply, thread_link
from bot.payloads.tokens import AskToken
from bot.playground import AppConfig, FakeSlack
from bot.plugins import discover
from bot.slack.directory import Directory
from bot.slack.workspaces import OneWorkspace
from bot.views.told import Told
from engine import HumanResponseEvent, StopEvent, Workflow, step
from engine.runner import Runner
from engine.verdicts import Accepted, Already, Stale, Unknown
from tests.integration.bot.desk import BEN, CHLOE, Desk, desk
from tests.integration.engine.stores import in_memory

WORKFLOWS = Path(__file__).parents[3] / "workflows"
THREAD = "100.000001"


@dataclass
class Room:
    """One run of /approve-draft and its thread; questions are posted at times the test names."""

    runner: Runner
    answering: Answering
    bot: str
    run_id: str = ""

    async def begin(self) -> None:
        plugin = discover(WORKFLOWS)["/approve-draft"]
        event = CommandReceived(text="tea", user_id="U1", channel_id="C2", team_id="T1")
        self.run_id = await self.runner.start(plugin.workflow, event, tenant="T1", requester="U1", address="C2")
        await self.runner.drain(self.run_id)
        await self.runner.store.link(thread_link("T1", "C2", THREAD), self.run_id)

    async def post(self, ts: str) -> None:
        """Show what the run owes as a message posted at *ts*."""
        store = self.runner.store
        for effect_id in await store.effects_of(self.run_id):
            claim = await store.claim_effect(self.run_id, effect_id, 30.0)
            if claim is not None:
                await store.finish_effect(claim, f"C2:{ts}")

    async def reply(self, text: str, ts: str, user: str = "U2", team: str = "T1") -> Told | None:
        said = ThreadReply(
            text=text,
            user_id=user,
            channel_id="C2",
            thread_ts=THREAD,
            message_ts=ts,
            parent_user_id="U0BOT",
            team_id=team,
            enterprise_id="",
            delivery_id=f"reply:{ts}",
        )
        told = await self.answering.reply(await self.answering.thread(team, "C2", THREAD), said)
        await self.runner.drain(self.run_id)
        return told if told is None else await self.answering.with_link(told)


async def permalink(tenant: str, ref: str) -> str:
    return f"https://example.slack.com/{ref}"


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    runner = Runner(in_memory().store)
    async with FakeSlack(AppConfig(signing_secret="s")) as slack:
        client = AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_base_url, retry_handlers=[])
        directory = Directory(OneWorkspace(client))
        answering = Answering(runner, Admission(runner, directory), permalink, Background().spawn)
        room = Room(runner, answering, slack.app.bot_user_id)
        await room.begin()
        yield room


async def test_a_reply_answers_the_question_its_writer_could_see(room: Room) -> None:
    await room.post(THREAD)

    told = await room.reply("shorter please", "101.000001")

    assert told is not None
    assert isinstance(told.verdict, Accepted)
    assert [ask.event.prefix[:18] for ask in (await room.runner.view(room.run_id)).asks] == ["**Version 2 of 3: "]


async def test_words_on_the_last_version_end_the_request_and_are_told_so(room: Room) -> None:
    """Acceptance 11."""
    for n in (1, 2):
        await room.post(f"10{n}.000001")
        await room.reply("shorter please", f"10{n}.000002")
    await room.post("103.000001")

    told = await room.reply("shorter please", "103.000002")

    assert told is not None
    assert isinstance(told.verdict, Accepted)
    assert "was taken as *Give feedback and end*" in told.text(ENGLISH)
    assert "sent back" not in told.text(ENGLISH)
    assert not (await room.runner.view(room.run_id)).asks


async def test_a_click_on_what_is_not_known_stands_in_the_log(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """Redis that came back without its data shows so."""
    with caplog.at_level(logging.INFO):
        told = await room.answering.choose(None, AskToken("k0-lost", "a2", 1, "approve"), BEN, "d1", via="button")

    (line,) = [vars(record) for record in caplog.records]
    assert told.verdict == Unknown()
    assert (line["run_id"], line["by"], line["verdict"]) == ("k0-lost", BEN, "Unknown")


async def test_a_reply_older_than_the_question_was_meant_for_another(room: Room) -> None:
    await room.post(THREAD)
    await room.reply("shorter please", "101.000001")
    await room.post("103.000001")

    told = await room.reply("and friendlier", "102.000001")

    assert told is not None
    assert told.verdict == Stale()
    assert "https://example.slack.com/C2:103.000001" in told.text(ENGLISH)
    assert [ask.event.prefix[:18] for ask in (await room.runner.view(room.run_id)).asks] == ["**Version 2 of 3: "]


async def test_a_reply_while_the_next_question_is_on_its_way_is_told_so(room: Room) -> None:
    await room.post(THREAD)
    await room.reply("shorter please", "101.000001")

    told = await room.reply("and friendlier", "102.000001")

    assert told is not None
    assert "No question is open" in told.text(ENGLISH)


async def test_people_may_go_on_talking_below_a_decision(room: Room) -> None:
    await room.post(THREAD)
    await room.reply("approve", "101.000001")

    assert (await room.runner.view(room.run_id)).status == "done"
    assert await room.reply("great, thanks", "102.000001") is None


@pytest.mark.parametrize("said", ["approve", "Reject", ":+1:", "lgtm!"])
async def test_an_answer_below_a_decision_is_told_what_was_decided(room: Room, said: str) -> None:
    await room.post(THREAD)
    await room.reply("approve", "101.000001", user="U3")

    late = await room.reply(said, "102.000001")

    assert late is not None
    assert isinstance(late.verdict, Already)
    assert "already approved by <@U3>" in late.text(ENGLISH)


@pytest.mark.parametrize("said", ["approve", "shorter please"])
@pytest.mark.parametrize("shown", [True, False])
async def test_a_reply_delivered_again_is_told_the_same_whatever_has_been_asked_since(
    room: Room, said: str, shown: bool
) -> None:
    await room.post(THREAD)
    first = await room.reply(said, "101.000001")
    if shown:
        await room.post("103.000001")

    again = await room.reply(said, "101.000001")

    assert first is not None
    assert isinstance(first.verdict, Accepted)
    assert again == first


async def test_what_was_taken_as_an_answer_is_quoted(room: Room) -> None:
    await room.post(THREAD)

    told = await room.reply("  *LGTM*, <!channel>:+1:", "101.000001")
    feedback = told if told is None else told.text(ENGLISH)
    await room.post("103.000001")
    approved = await room.reply("looks good to me", "104.000001")

    assert feedback is not None
    assert feedback.startswith("“*LGTM*, &lt;!channel&gt;:+1:” was taken as *Give feedback*.")
    assert approved is not None
    assert approved.text(ENGLISH).startswith("“looks good to me” was taken as *Approve*.")


async def test_a_thread_of_no_run_is_nobody_s(room: Room) -> None:
    thread = await room.answering.thread("T1", "C2", "999.000001")

    assert thread.run is None


async def press(room: Room, token: AskToken, team: str = "T1", via: Via = "button") -> Told:
    asked = await room.answering.look_up(token, team)
    told = await room.answering.choose(asked, token, "U2", f"click:{token.encode()}", via=via)
    return await room.answering.with_link(told)


@pytest.mark.parametrize("seen", [{"revision": 2}, {"digest": "another"}])
async def test_a_button_answers_only_what_was_shown_with_it(room: Room, seen: dict[str, Any]) -> None:
    await room.post(THREAD)
    (ask,) = await room.runner.store.open_asks(room.run_id)
    shown = AskToken(room.run_id, ask.ask_id, ask.revision, "approve", ask.digest)

    outdated = await press(room, replace(shown, **seen))
    told = await press(room, shown)

    assert outdated.verdict == Stale()
    assert f"https://example.slack.com/C2:{THREAD}" in outdated.text(ENGLISH)
    assert isinstance(told.verdict, Accepted)


async def test_a_button_from_before_there_were_digests_still_answers(room: Room) -> None:
    await room.post(THREAD)
    (ask,) = await room.runner.store.open_asks(room.run_id)

    told = await press(room, AskToken(room.run_id, ask.ask_id, 1, "approve"))

    assert isinstance(told.verdict, Accepted)


@pytest.mark.parametrize(("team", "going_on"), [("T1", True), ("T2", False)])
async def test_a_question_that_is_not_known_of_a_run_that_goes_on_is_lost(
    room: Room, team: str, going_on: bool
) -> None:
    found = await room.answering.lost(AskToken(room.run_id, "a99", 1, "approve"), team)

    assert found == (room.run_id if going_on else None)


# --- whose answers count ------------------------------------------------------------------------


async def test_a_bot_s_account_answers_nothing(room: Room) -> None:
    """Adversarial 16."""
    await room.post(THREAD)

    told = await room.reply("approve", "101.000001", user=room.bot)

    assert told is not None
    assert told.verdict == NotTaken("bot")
    assert "Only people" in told.text(ENGLISH)
    assert (await room.runner.view(room.run_id)).status == "waiting"


@pytest.mark.parametrize("via", ["button", "modal"])
async def test_a_workspace_with_the_same_ids_never_meets_another_s_questions(room: Room, via: Via) -> None:
    """Security 2; Adversarial 15."""
    await room.post(THREAD)
    (ask,) = await room.runner.store.open_asks(room.run_id)
    shown = AskToken(room.run_id, ask.ask_id, ask.revision, "approve", ask.digest)

    other = await press(room, shown, team="T2", via=via)

    assert other.verdict == Unknown()
    assert (await room.runner.view(room.run_id)).status == "waiting"
    assert isinstance((await press(room, shown, via=via)).verdict, Accepted)


async def test_a_thread_with_the_same_ids_in_another_workspace_is_another_thread(room: Room) -> None:
    """Security 2; Adversarial 15."""
    await room.post(THREAD)

    assert await room.reply("approve", "101.000001", team="T2") is None
    assert (await room.runner.view(room.run_id)).status == "waiting"


# --- at once ------------------------------------------------------------------------------------


class Letter(Workflow):
    """Asks what may be answered in a word, and what may not."""

    @step
    async def ask(self, ev: CommandReceived) -> Prompt:
        return Prompt(prefix="Send it?", choices=["send", Choice("drop", label="Throw away", asks_comment=True)])

    @step
    async def end(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=[ev.response, ev.choice, ev.comment, ev.user_id])


@pytest.fixture
async def letters() -> AsyncIterator[Desk]:
    async with desk(Letter()) as found:
        await found.start(Letter())
        yield found


async def at_once(
    letters: Desk, choice: str = "send", user: str = BEN, team: str = "T1", ref: str | None = None
) -> Any:
    ask = await letters.ask()
    token = AskToken(letters.run_id, ask.ask_id, ask.revision, choice, ask.digest)
    ref = ask.messages[0] if ref is None else ref
    return await letters.answering.choose_at_once(token, team, ref, user, "click 1", via="button")


async def test_a_whole_answer_of_somebody_known_is_taken_at_once(letters: Desk) -> None:
    await letters.directory.check("T1", BEN)

    first = await at_once(letters)
    again = await at_once(letters)
    await letters.settle()

    assert isinstance(first, Accepted)
    assert again == first
    assert (await letters.runner.view(letters.run_id)).result == ["send", "send", "", BEN]
    answered = next(line for line in await letters.world.store.journal(letters.run_id) if line.what == "answered")
    assert answered.details["via"] == "button"


@pytest.mark.parametrize(
    "given", [{"choice": "drop"}, {"choice": "burn"}, {"user": CHLOE}, {"team": "T2"}, {"ref": "C2:1.000001"}]
)
async def test_what_is_not_clear_is_not_taken_at_once(letters: Desk, given: dict[str, str]) -> None:
    """A comment is asked for, there is no such choice, Slack was not asked of Chloe, or it was not shown there."""
    await letters.directory.check("T1", BEN)
    await letters.directory.check("T2", BEN)
    before = await letters.whats()

    assert await at_once(letters, **given) is None

    assert await letters.whats() == before
    assert isinstance((await letters.answer(CHLOE, "send")).verdict, Accepted)


async def test_a_guest_s_answer_is_not_taken_at_once(letters: Desk) -> None:
    guest = letters.slack.workspace.users["U5"]
    await letters.directory.check("T1", guest.id)

    assert guest.is_restricted
    assert await at_once(letters, user=guest.id) is None


async def test_another_workspace_is_not_told_at_once_what_was_decided(letters: Desk) -> None:
    """Security 2; Adversarial 15."""
    await letters.answer(CHLOE, "send")
    await letters.directory.check("T2", BEN)

    assert await at_once(letters, team="T2") is None


async def test_what_was_taken_at_once_is_told_in_the_question_s_words(letters: Desk) -> None:
    ask = await letters.ask()
    token = AskToken(letters.run_id, ask.ask_id, ask.revision, "drop", ask.digest)
    verdict = Accepted(BEN, 1.0, "drop")

    told = await letters.answering.accepted(token, "T1", BEN, verdict)
    lost = await letters.answering.accepted(replace(token, run_id="k0-gone"), "T1", BEN, verdict)

    assert "Throw away" in told.text(ENGLISH)
    assert told.counts
    assert lost.text(ENGLISH)
