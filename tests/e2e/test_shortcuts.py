"""A message picked from its menu is sent for approval as it is; what cannot be is refused in private."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.playground import DeliveryResult
from bot.playground.workspace import Message
from engine.core.snapshot import START
from tests.e2e.stage import ANA, BEN, CHLOE, Room
from tests.e2e.test_places import private_notes
from tests.messages import buttons, run_of, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")
SEND = "send_for_approval"


async def pick(room: Room, user: str, message: Message) -> DeliveryResult:
    return await room.slack.shortcut(user, room.channel, message.ts, SEND)


async def test_a_message_is_sent_for_approval_as_it_is(room: Room) -> None:
    said = await room.slack.say(BEN, room.channel, "Our *new* rules\n\nBe kind & <!here> brief, @chloe.")

    result = await pick(room, ANA, said)

    prompt = await room.prompt()
    assert (result.ok, result.shown) == (True, None)
    assert {"Approve", "Reject", "Give feedback"} <= set(buttons(prompt))
    assert "Version 1 of 3: Our *new* rules" in shown(prompt)
    assert "Be kind & " in shown(prompt)
    assert f"<@{ANA}>" in shown(prompt)
    await room.stage.idle()
    await room.press(CHLOE, prompt, "Approve")
    assert "Our *new* rules" in shown(await room.result())


async def test_the_run_knows_which_message_it_was(room: Room) -> None:
    said = await room.slack.say(BEN, room.channel, "Send *this*.")
    await pick(room, ANA, said)
    prompt = await room.prompt()
    await room.stage.idle()

    start = (await room.stage.store.state(run_of(prompt), START))[START].decode()

    for known in (said.ts, BEN, f"/archives/{room.channel}/p{said.ts.replace('.', '')}", "Send *this*."):
        assert known in start


async def test_the_same_delivery_twice_starts_one_run(room: Room) -> None:
    said = await room.slack.say(BEN, room.channel, "Only once.")
    room.slack.faults.set("deliver_twice", True)

    await pick(room, ANA, said)

    await room.prompt()
    await room.stage.idle()
    assert len(room.posted("prompt:")) == 1


async def test_a_message_without_text_is_refused_privately(room: Room) -> None:
    said = await room.slack.say(BEN, room.channel, "\u200b \n")

    result = await pick(room, ANA, said)

    await room.told(ANA, "no text that I could take")
    await room.stage.idle()
    assert result.ok
    assert room.posted("prompt:") == []


async def test_a_message_that_is_too_long_is_refused_privately_with_the_limit(room: Room) -> None:
    said = await room.slack.say(BEN, room.channel, "x" * 12_001)

    await pick(room, ANA, said)

    await room.told(ANA, "12,001 characters", "12,000")
    await room.stage.idle()
    assert room.posted("prompt:") == []


async def test_where_the_bot_is_no_member_whoever_picked_is_told_to_invite_it(room: Room) -> None:
    room = room.stage.room(ANA, BEN, kind="private", with_bot=False)
    said = await room.slack.say(BEN, room.channel, "A secret draft.")
    before = len(private_notes(room.stage, ANA))

    result = await pick(room, ANA, said)

    await room.see(lambda: private_notes(room.stage, ANA)[before:])
    await room.stage.idle()
    (note,) = private_notes(room.stage, ANA)[before:]
    assert result.ok
    assert "/invite" in note
    assert room.slack.messages(room.channel) == [said]


async def test_a_shortcut_of_an_older_manifest_is_told_of_kindly(room: Room) -> None:
    said = await room.slack.say(BEN, room.channel, "Something.")

    result = await room.slack.shortcut(ANA, room.channel, said.ts, "gone")

    await room.told(ANA, "not something I know any more")
    assert result.ok


async def test_a_message_of_an_app_has_no_author(room: Room) -> None:
    first = await room.started(ANA, "/deploy v1")
    room.slack.workspace.in_channel(room.channel).append(
        replace(first, ts=room.slack.mint_ts(), text="Posted by an app", blocks=None, metadata=None)
    )

    await pick(room, CHLOE, room.slack.messages(room.channel)[-1])

    prompt = await room.prompt(2)
    await room.stage.idle()
    start = (await room.stage.store.state(run_of(prompt), START))[START].decode()
    assert "Posted by an app" in start
    assert '"message_author": ""' in start or '"message_author":""' in start or "message_author" not in start
