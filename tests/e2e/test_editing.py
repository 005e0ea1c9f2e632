"""A text may be changed before it is approved: then that is what was approved, and everybody can see it."""

from __future__ import annotations

import hashlib

import pytest

from bot.playground.workspace import Message, View
from tests.e2e import requests
from tests.e2e.stage import ANA, BEN, CHLOE, DAN, Room
from tests.messages import buttons, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def opened(room: Room, user: str = BEN) -> tuple[Message, View]:
    prompt = await room.started(ANA, "/approve-draft AI safety")
    return prompt, await room.open_form(user, prompt, "Edit and approve")


async def approves(room: Room, prompt: Message) -> list[str | None]:
    """What the journal says was approved instead of what was shown."""
    return [entry.details.get("approves") for entry in await room.journal(prompt) if entry.what == "answered"]


async def test_the_edited_text_is_what_is_approved(room: Room) -> None:
    """Acceptance 10."""
    prompt, form = await opened(room)
    draft = form.blocks[-1]["element"]["initial_value"]

    result = await room.slack.submit(BEN, form.id, {"edited": "Ours, *now*."})

    assert result.ok
    assert draft.startswith("AI safety: what this is, why it matters")
    assert "Ours, *now*." in shown(await room.result())
    assert draft not in shown(await room.result())
    locked = await room.locked(prompt)
    assert f"*Approved* by <@{BEN}>" in locked
    assert "It was edited first" in locked
    assert "Ours, *now*." in locked
    assert await approves(room, prompt) == [hashlib.sha256(b"Ours, *now*.").hexdigest()[:16]]


async def test_an_empty_text_is_marked_in_the_modal_and_changes_nothing(room: Room) -> None:
    """Acceptance 10."""
    prompt, form = await opened(room)
    blank = requests.submission(room, form, BEN, {"edited": " \n\u200b"})

    forged = await room.slack.interact(blank)
    result = await room.slack.submit(BEN, form.id, {"edited": "  \n "})

    assert forged.body["errors"] == {"edited": "Please fill this in."}
    assert result.errors == {"edited": "Please fill this in."}
    assert await room.times("answered", prompt) == 0
    await room.slack.close_view(BEN, form.id)


async def test_a_text_sent_as_it_was_is_approved_as_it_was(room: Room) -> None:
    prompt, form = await opened(room)

    assert (await room.slack.submit(BEN, form.id, {})).ok

    assert "AI safety: what this is" in shown(await room.result())
    assert "edited first" not in await room.locked(prompt)
    assert await approves(room, prompt) == [None]


async def test_a_text_edited_too_late_is_told_what_became_of_it_and_where_the_newest_is(room: Room) -> None:
    """Adversarial 24: while the draft went on."""
    prompt, form = await opened(room)
    await room.reply(CHLOE, prompt, "Shorter, please")
    second = await room.prompt(2)
    await room.stage.idle()

    await room.slack.submit(BEN, form.id, {"edited": "Mine"})

    notice = await room.see(lambda: room.slack.view_of(BEN))
    assert f"already sent back with feedback by <@{CHLOE}>" in str(notice.blocks)
    assert "Please answer the current one" in str(notice.blocks)
    assert buttons(second) == ["Approve", "Edit and approve", "Reject", "Give feedback"]
    await room.slack.close_view(BEN, notice.id)


async def test_a_draft_too_long_for_a_modal_is_not_cut_but_says_how_to_change_it(room: Room) -> None:
    prompt = await room.started(ANA, "/approve-draft AI safety")

    await room.reply(DAN, prompt, "Add this: " + "word " * 580)

    second = await room.prompt(2)
    assert buttons(second) == ["Approve", "Reject", "Give feedback"]
    assert "Longer than the 3,000 characters that can be edited here" in shown(second)
    assert "reply in the thread" in shown(second)
