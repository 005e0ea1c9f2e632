"""What Signoff is for, from the slash command to the result."""

from __future__ import annotations

import copy
import re

import pytest

from tests.e2e.shapes import everywhere
from tests.e2e.stage import ANA, BEN, CHLOE, DAN, Room
from tests.messages import buttons, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")


# --- asking ------------------------------------------------------------------------------------


@everywhere
async def test_a_command_leads_to_one_question_with_its_buttons(room: Room) -> None:
    """Acceptance 1, 27."""
    result = await room.command(ANA, "/approve-draft AI safety")

    prompt = await room.prompt()
    await room.stage.idle()
    assert (result.status, result.shown) == (200, None)
    assert result.duration_s < 1
    assert len(room.slack.messages(room.channel)) == 1
    assert buttons(prompt) == ["Approve", "Edit and approve", "Reject", "Give feedback"]
    assert "Version 1 of 3: AI safety" in shown(prompt)
    assert f"<@{ANA}>" in shown(prompt)


# --- feedback ----------------------------------------------------------------------------------


@everywhere
async def test_a_reply_in_the_thread_is_feedback_and_brings_version_two(room: Room) -> None:
    first = await room.started(ANA, "/approve-draft AI safety")

    await room.reply(BEN, first, "Name an owner for each rule")

    second = await room.prompt(2)
    assert "Version 2 of 3" in shown(second)
    assert "Name an owner for each rule" in shown(second)
    assert second.thread_ts == first.ts
    assert "Name an owner for each rule" in await room.locked(first)
    assert f"<@{BEN}>" in shown(first)
    await room.told(BEN, "sent back with feedback")


@everywhere
async def test_feedback_through_the_modal_brings_version_two(room: Room) -> None:
    first = await room.started(ANA, "/approve-draft AI safety")
    form = await room.open_form(CHLOE, first, "Give feedback")

    result = await room.submit(CHLOE, form, "Shorter, please")

    second = await room.prompt(2)
    assert result.ok
    assert room.slack.view_of(CHLOE) is None
    assert "Shorter, please" in shown(second)
    assert "Shorter, please" in await room.locked(first)


async def test_blank_feedback_is_marked_in_the_modal_and_changes_nothing(room: Room) -> None:
    first = await room.started(ANA, "/approve-draft AI safety")
    form = await room.open_form(CHLOE, first, "Give feedback")

    result = await room.submit(CHLOE, form, "  \n ")

    assert result.errors.keys() == {"comment"}
    assert room.slack.view_of(CHLOE) is not None
    assert await room.times("answered", first) == 0
    await room.slack.close_view(CHLOE, form.id)


async def test_a_modal_sent_after_the_decision_says_who_was_first(room: Room) -> None:
    """Adversarial 23."""
    prompt = await room.started(ANA, "/approve-draft AI safety")
    form = await room.open_form(CHLOE, prompt, "Give feedback")
    await room.press(BEN, prompt, "Approve")
    await room.result()

    await room.submit(CHLOE, form, "Wait!")

    notice = await room.see(lambda: room.slack.view_of(CHLOE))
    assert "already approved by <@U2>" in str(notice.blocks)
    assert await room.times("answered", prompt) == 1
    await room.slack.close_view(CHLOE, notice.id)


@everywhere
async def test_feedback_on_the_third_version_ends_the_run(room: Room) -> None:
    """Acceptance 11."""
    first = await room.started(ANA, "/approve-draft AI safety")
    await room.reply(BEN, first, "Shorter, please")
    await room.prompt(2)
    await room.reply(BEN, first, "With an example, please")
    third = await room.prompt(3)
    await room.stage.idle()

    await room.reply(BEN, third, "And once more")

    result = await room.result()
    assert re.search("Status: max.revisions Version: 3", result.text)
    assert "With an example, please" in shown(result)
    assert "And once more" in await room.locked(third)
    await room.stage.idle()
    assert len(room.posted("prompt:")) == 3


@everywhere
async def test_the_button_of_an_old_version_says_that_it_is_outdated(room: Room) -> None:
    first = await room.started(ANA, "/approve-draft AI safety")
    on_screen = copy.deepcopy(first)
    await room.reply(BEN, first, "Shorter, please")
    second = await room.prompt(2)

    await room.press(DAN, first, "Approve", as_seen=on_screen)

    await room.told(DAN, "outdated")
    assert buttons(second) == ["Approve", "Edit and approve", "Reject", "Give feedback"]


# --- deciding ----------------------------------------------------------------------------------


@everywhere
async def test_approval_locks_the_question_and_brings_the_result_into_the_thread(room: Room) -> None:
    """Acceptance 8, 27."""
    prompt = await room.started(ANA, "/approve-draft AI safety")

    await room.press(BEN, prompt, "Approve")

    result = await room.result()
    assert result.thread_ts == prompt.ts
    assert "approved" in shown(result)
    assert f"*Approved* by <@{BEN}>" in await room.locked(prompt)
    await room.told(BEN, "now approved")


@everywhere
async def test_a_late_click_is_told_who_was_first(room: Room) -> None:
    prompt = await room.started(ANA, "/approve-draft AI safety")
    on_screen = copy.deepcopy(prompt)
    await room.press(BEN, prompt, "Approve")
    await room.result()

    await room.press(CHLOE, prompt, "Reject", as_seen=on_screen)

    await room.told(CHLOE, f"already approved by <@{BEN}>")
    await room.stage.idle()
    assert len(room.posted("result")) == 1
    assert await room.times("answered", prompt) == 1


@everywhere
async def test_the_same_click_delivered_twice_is_told_the_same_and_counts_once(room: Room) -> None:
    """Acceptance 14."""
    prompt = await room.started(ANA, "/approve-draft AI safety")
    room.slack.faults.deliver_twice = True

    await room.press(BEN, prompt, "Approve")

    first = await room.told(BEN, "approved")
    second = await room.told(BEN, "approved", nth=2)
    await room.result()
    await room.stage.idle()
    assert first == second == "Thank you, this is now approved."
    assert await room.times("answered", prompt) == 1
    assert len(room.posted("result")) == 1


async def test_two_clicks_of_one_impatient_person_count_once(room: Room) -> None:
    """Acceptance 14."""
    prompt = await room.started(ANA, "/approve-draft AI safety")
    on_screen = copy.deepcopy(prompt)
    await room.press(BEN, prompt, "Approve")

    await room.press(BEN, prompt, "Approve", as_seen=on_screen)

    await room.told(BEN, "You have answered this before")
    await room.result()
    assert await room.times("answered", prompt) == 1


@pytest.mark.parametrize("reason", ["Too vague\nand too long", ""])
async def test_a_rejection_asks_why_and_says_so_but_needs_no_reason(room: Room, reason: str) -> None:
    """Acceptance 9."""
    prompt = await room.started(ANA, "/approve-draft AI safety")
    form = await room.open_form(BEN, prompt, "Reject")

    result = await room.submit(BEN, form, reason)

    assert result.ok
    assert "Why?" in str(form.blocks)
    assert "rejected" in shown(await room.result())
    assert f"*Rejected* by <@{BEN}>" in await room.locked(prompt)
    assert reason in shown(prompt)


async def test_a_rejection_by_reply_keeps_its_reason(room: Room) -> None:
    prompt = await room.started(ANA, "/approve-draft AI safety")

    await room.reply(BEN, prompt, "reject: too vague")

    assert "rejected" in shown(await room.result())
    assert "too vague" in await room.locked(prompt)


async def test_an_edited_reply_after_the_decision_changes_nothing(room: Room) -> None:
    """Acceptance 18."""
    prompt = await room.started(ANA, "/approve-draft AI safety")
    said = await room.reply(BEN, prompt, "approve")
    await room.result()

    await room.slack.edit(BEN, room.channel, said.ts, "reject")

    await room.stage.idle()
    assert f"*Approved* by <@{BEN}>" in await room.locked(prompt)
    assert len(room.posted("result")) == 1
    assert await room.times("answered", prompt) == 1


# --- the small workflows -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "label", "outcome"),
    [
        ("/quick-approve lunch", "Yes", "Approved: yes"),
        ("/quick-approve lunch", "No", "Approved: no"),
        ("/deploy v2", "Ship", "Shipped v2"),
        ("/deploy v2", "Keep back", "Kept back v2"),
    ],
)
async def test_a_button_decides(room: Room, command: str, label: str, outcome: str) -> None:
    prompt = await room.started(ANA, command)

    await room.press(BEN, prompt, label)

    assert outcome in (await room.result()).text
    assert f"<@{BEN}>" in await room.locked(prompt)


@pytest.mark.parametrize(
    ("command", "words", "outcome"),
    [
        ("/quick-approve lunch", "yes", "Approved: yes"),
        ("/quick-approve lunch", "No.", "Approved: no"),
        ("/deploy v2", ":+1:", "Shipped v2"),
        ("/deploy v2", "Keep back", "Kept back v2"),
    ],
)
async def test_a_reply_decides(room: Room, command: str, words: str, outcome: str) -> None:
    prompt = await room.started(ANA, command)

    await room.reply(BEN, prompt, words)

    assert outcome in (await room.result()).text
    assert f"<@{BEN}>" in await room.locked(prompt)


async def test_a_reply_that_is_no_answer_is_asked_back_and_decides_nothing(room: Room) -> None:
    prompt = await room.started(ANA, "/quick-approve lunch")

    await room.reply(BEN, prompt, "where is it?")

    await room.told(BEN, "“where is it?” is not an answer", "*Yes* or *No*")
    assert buttons(prompt) == ["Yes", "No"]
    assert await room.times("answered", prompt) == 0
