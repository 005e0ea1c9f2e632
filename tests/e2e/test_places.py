"""Where a question may and may not stand, and what is said around it that is no answer."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.e2e import requests
from tests.e2e.shapes import Shape
from tests.e2e.stage import ANA, BEN, CHLOE, Logs, Room, Stage, stage
from tests.messages import buttons, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def quiet_stage(logs: Logs, redis_url: str, shape: Shape) -> AsyncIterator[Stage]:
    async with stage(logs, redis_url, f"e2e-quiet-{shape.name}", shape) as found:
        yield found


@pytest.fixture
def quiet(quiet_stage: Stage) -> Iterator[Stage]:
    """A stage in which nobody else waits for anything, and Ana's conversation with the bot is empty."""
    quiet_stage.slack.workspace.messages.pop(quiet_stage.slack.workspace.dm_of(ANA).id, None)
    yield quiet_stage
    quiet_stage.check()


def private_notes(found: Stage, user: str) -> list[str]:
    """What the bot wrote into its conversation with one person."""
    return [message.text for message in found.slack.messages(found.slack.workspace.dm_of(user).id)]


# --- channels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["public", "private"])
async def test_where_the_bot_is_no_member_the_requester_is_told_to_invite_it(quiet: Stage, kind: str) -> None:
    """Acceptance 4."""
    room = quiet.room(ANA, BEN, kind=kind, with_bot=False)

    result = await room.command(ANA, "/deploy v2")

    await room.see(lambda: private_notes(quiet, ANA))
    await quiet.idle()
    (note,) = private_notes(quiet, ANA)
    assert result.ok
    assert "/invite" in note
    assert room.channel in note
    assert room.slack.messages(room.channel) == []
    assert await quiet.store.leftovers() == []
    assert await quiet.store.asks_for(room.slack.workspace.team_id, "") == []


async def test_after_the_invitation_the_command_works(room: Room) -> None:
    room = room.stage.room(ANA, BEN, kind="private", with_bot=False)
    await room.command(ANA, "/deploy v2")
    await room.stage.idle()

    await room.command(ANA, "/invite @signoff")
    prompt = await room.started(ANA, "/deploy v2")

    assert buttons(prompt) == ["Ship", "Keep back"]


async def test_a_private_channel_with_the_bot_works(room: Room) -> None:
    """Acceptance 4."""
    room = room.stage.room(ANA, BEN, kind="private")
    prompt = await room.started(ANA, "/deploy v2")

    await room.reply(BEN, prompt, "ship")

    assert (await room.result()).text == "Shipped v2"


async def test_a_conversation_with_the_bot_alone_works(shared_stage: Stage) -> None:
    """Acceptance 4."""
    room = Room(shared_stage, shared_stage.slack.workspace.dm_of(CHLOE).id)
    await room.command(CHLOE, "/quick-approve lunch")
    prompt = (await room.see(lambda: [m for m in room.posted("prompt:") if buttons(m)]))[-1]
    await shared_stage.idle()

    await room.reply(CHLOE, prompt, "yes")

    result = await room.see(lambda: [m for m in room.posted("result") if m.thread_ts == prompt.ts])
    assert "Approved: yes" in result[0].text


async def test_a_group_conversation_works(shared_stage: Stage) -> None:
    """Acceptance 4."""
    room = Room(shared_stage, shared_stage.slack.workspace.conversation_of([ANA, BEN]).id)
    prompt = await room.started(ANA, "/deploy v2")

    await room.reply(BEN, prompt, "ship")

    assert (await room.result()).text == "Shipped v2"


@pytest.mark.parametrize("how", ["archived", "without the bot"])
async def test_a_channel_that_is_closed_to_the_bot_is_told_in_private(quiet: Stage, how: str) -> None:
    """Adversarial 5, 6."""
    room = quiet.room()
    prompt = await room.started(ANA, "/deploy v2")
    click = requests.click(room, prompt, "Ship", BEN)
    if how == "archived":
        room.slack.archive(room.channel)
    else:
        room.slack.remove_bot(room.channel)

    clicked = await room.slack.interact(click)

    await room.see(lambda: private_notes(quiet, ANA))
    await quiet.idle()
    assert clicked.ok
    assert private_notes(quiet, ANA) == ["Shipped v2"]
    assert await room.times("answered", prompt) == 1
    assert await quiet.store.leftovers() == []


async def test_a_command_where_the_bot_was_removed_leaves_no_open_run(quiet: Stage) -> None:
    """Adversarial 6."""
    room = quiet.room()
    room.slack.remove_bot(room.channel)

    await room.command(ANA, "/approve-draft AI safety")

    await room.see(lambda: private_notes(quiet, ANA))
    await quiet.idle()
    assert "/invite" in private_notes(quiet, ANA)[0]
    assert await quiet.store.asks_for(room.slack.workspace.team_id, "") == []


# --- messages that go away -----------------------------------------------------------------------------


async def test_a_question_deleted_by_a_person_can_still_be_decided(quiet: Stage) -> None:
    """Adversarial 3. Somebody presses the button in the moment in which somebody else deletes the message."""
    room = quiet.room()
    prompt = await room.started(ANA, "/deploy v2")
    click = requests.click(room, copy.deepcopy(prompt), "Ship", BEN)
    await room.slack.delete(ANA, room.channel, prompt.ts, anybodys=True)

    clicked = await room.slack.interact(click)

    await room.told(BEN, "Thank you")
    await quiet.idle()
    told = private_notes(quiet, ANA) + [message.text for message in room.posted("result")]
    assert clicked.ok
    assert told == ["Shipped v2"]
    assert await quiet.store.leftovers() == []


async def test_a_question_with_replies_that_is_deleted_leaves_its_thread_usable(room: Room) -> None:
    first = await room.started(ANA, "/approve-draft AI safety")
    await room.reply(BEN, first, "Shorter, please")
    second = await room.prompt(2)
    await room.stage.idle()
    await room.slack.delete(ANA, room.channel, first.ts, anybodys=True)

    await room.press(CHLOE, second, "Approve")

    assert "Status: approved Version: 2" in (await room.result()).text


# --- what is no answer ---------------------------------------------------------------------------------


async def test_only_replies_of_people_in_the_thread_answer(room: Room) -> None:
    """Adversarial 16, 17.

    One after the other, and at the end one that does answer: had any other, its answer would stand.
    """
    prompt = await room.started(ANA, "/deploy v2")
    elsewhere = await room.slack.say(BEN, room.channel, "ship")

    await room.reply(BEN, elsewhere, "ship")
    for odd in (
        {"bot_id": "B0OTHER", "user": "U0OTHER"},
        {"bot_id": room.slack.app.bot_id, "user": room.slack.app.bot_user_id},
        {"subtype": "bot_message", "bot_id": "B0OTHER"},
        {"subtype": "message_deleted"},
        {"subtype": "channel_join"},
        {"user": "USLACKBOT"},
        {"text": ""},
        {"subtype": "file_share", "text": "", "files": [{"id": "F1"}]},
        {"subtype": "message_changed"},
        {"thread_ts": None},
    ):
        said = requests.reply(room, prompt, "ship", BEN)
        said["event"] |= odd
        assert (await room.slack.send_envelope(said)).ok
    await room.slack.settled()
    await room.reply(CHLOE, prompt, "keep back")

    assert (await room.result()).text == "Kept back v2"
    assert f"<@{CHLOE}>" in await room.locked(prompt)
    assert await room.times("answered", prompt) == 1
    await room.told(CHLOE, "“keep back” was taken as *Keep back*")
    assert room.notes(BEN) == []


async def test_an_edited_message_in_the_thread_does_not_answer(room: Room) -> None:
    """Adversarial 17."""
    prompt = await room.started(ANA, "/quick-approve lunch")
    said = await room.reply(BEN, prompt, "let me think")
    await room.told(BEN, "is not an answer")

    await room.slack.edit(BEN, room.channel, said.ts, "yes")
    await room.told(BEN, "An edited reply is not taken as an answer")
    await room.slack.edit(BEN, room.channel, said.ts, "let me sleep on it")
    await room.slack.settled()
    assert len(room.notes(BEN)) == 2
    await room.reply(CHLOE, prompt, "no")

    assert "Approved: no" in (await room.result()).text


async def test_a_reply_that_is_edited_after_the_decision_changes_nothing(room: Room) -> None:
    """Acceptance 18."""
    prompt = await room.started(ANA, "/deploy v2")
    said = await room.reply(BEN, prompt, "ship")
    await room.told(BEN, "“ship” was taken as *Ship*")
    await room.result()
    before = await room.locked(prompt)

    await room.slack.edit(BEN, room.channel, said.ts, "keep back")
    await room.stage.idle()
    await room.reply(CHLOE, prompt, "keep back")
    await room.told(CHLOE, "already")

    assert shown(prompt) == before
    assert await room.times("answered", prompt) == 1
    assert len(room.notes(BEN)) == 1
    assert "Shipped v2" in (await room.result()).text


async def test_an_answer_below_a_decision_is_told_what_was_decided_and_talk_is_not(room: Room) -> None:
    prompt = await room.started(ANA, "/deploy v2")
    await room.reply(BEN, prompt, "ship")
    await room.told(BEN, "“ship” was taken as *Ship*")
    await room.result()

    await room.reply(CHLOE, prompt, "thanks, that was quick")
    await room.reply(CHLOE, prompt, "keep back")

    await room.told(CHLOE, "already", f"<@{BEN}>", "Nothing was changed")
    assert len(room.notes(CHLOE)) == 1


async def test_a_reply_also_sent_to_the_channel_answers(room: Room) -> None:
    """Adversarial 17."""
    prompt = await room.started(ANA, "/deploy v2")

    await room.reply(BEN, prompt, "ship", broadcast=True)

    assert (await room.result()).text == "Shipped v2"


async def test_the_bots_own_messages_start_nothing(room: Room) -> None:
    """Adversarial 16. Slack tells the bot of each of its own messages, too."""
    first = await room.started(ANA, "/approve-draft approve")
    await room.reply(BEN, first, "approve it, but shorter")

    second = await room.prompt(2)

    await room.stage.idle()
    assert "approve it, but shorter" in shown(second)
    assert buttons(second) == ["Approve", "Edit and approve", "Reject", "Give feedback"]
    assert await room.times("answered", first) == 1
