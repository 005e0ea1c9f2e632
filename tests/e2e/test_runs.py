"""``/runs``: what somebody has started, told to them alone, and cancelled by them alone."""

from __future__ import annotations

import re

import pytest

from bot.playground.workspace import Message
from tests.e2e.stage import ANA, BEN, CHLOE, DAN, Room
from tests.messages import buttons, run_of, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def listed(room: Room, user: str, line: str = "/runs") -> Message:
    """Type the command and return what only *user* sees."""
    result = await room.command(user, line)
    assert result.ok, result
    return room.slack.ephemerals(user, room.channel)[-1]


def cancel_buttons(message: Message) -> dict[str, str]:
    """The run behind each cancel button, by its action id."""
    blocks = message.blocks or []
    return {block["accessory"]["action_id"]: block["accessory"]["value"] for block in blocks if "accessory" in block}


async def finish_all(room: Room, user: str) -> None:
    """Cancel what *user* has started before, so that a list is of this test alone."""
    while found := cancel_buttons(note := await listed(room, user)):
        for action_id in found:
            await room.slack.click(user, room.channel, note.ts, action_id)
        await room.stage.idle()


async def test_a_list_has_what_i_started_and_nothing_else(room: Room) -> None:
    """Acceptance 20."""
    mine = await room.started(ANA, "/approve-draft AI *safety*")
    theirs = await room.command(BEN, "/deploy v9")
    assert theirs.ok
    await room.stage.idle()

    note = await listed(room, ANA)

    text = shown(note)
    assert "1. /approve-draft AI *safety*" in text
    assert "Waiting · Started <!date" in text
    assert "Waiting for anybody" in text
    assert "Version 1 of 3: AI *safety*" in text
    assert f"/archives/{room.channel}/p{mine.ts.replace('.', '')}" in text
    assert run_of(mine) == cancel_buttons(note)["runs.cancel.1"]
    assert "v9" not in text
    assert "v9" in shown(await listed(room, BEN))


async def test_a_workspace_sees_nothing_of_another(room: Room) -> None:
    """Acceptance 20; Security 2."""
    prompt = await room.started(DAN, "/deploy v77")
    assert "v77" in shown(await listed(room, DAN))
    run = await room.stage.store.run(run_of(prompt))
    assert run is not None

    fields = {
        "team_id": "T2",
        "user_id": DAN,
        "channel_id": room.channel,
        "command": "/runs",
        "text": f"show {run.run_id}",
        "trigger_id": room.slack.trigger(DAN),
        "response_url": room.slack.response_url(room.channel, DAN),
    }
    answer = await room.slack.run_command(fields)
    everything = await room.slack.run_command({**fields, "text": ""})

    assert "nothing that goes by" in answer.body["text"]
    assert "v77" not in str(everything.body)


async def test_cancelling_from_the_list_closes_the_question_everywhere(room: Room) -> None:
    """Acceptance 20."""
    prompt = await room.started(ANA, "/deploy v1")
    note = await listed(room, ANA)
    assert next(block for block in note.blocks or [] if "accessory" in block)["accessory"]["confirm"]

    await room.slack.click(ANA, room.channel, note.ts, "runs.cancel.1")

    assert f"*Cancelled* by <@{ANA}>" in await room.locked(prompt)
    told = await room.see(lambda: text if "Cancelled: /deploy v1" in (text := shown(note)) else None)
    assert "1. /deploy v1\nCancelled" in told
    assert run_of(prompt) not in cancel_buttons(note).values()
    await room.stage.idle()
    assert await room.times("cancelled", prompt) == 1


async def test_cancelling_by_number_or_id_asks_first(room: Room) -> None:
    prompt = await room.started(ANA, "/deploy v2")
    by_number, by_id = (
        await listed(room, ANA, "/runs cancel 1"),
        await listed(room, ANA, f"/runs cancel {run_of(prompt)}"),
    )
    assert buttons(prompt) == ["Ship", "Keep back"]

    await room.slack.click(ANA, room.channel, by_number.ts, "runs.cancel.0")
    await room.locked(prompt)
    await room.stage.idle()
    await room.slack.click(ANA, room.channel, by_id.ts, "runs.cancel.0")

    for note in (by_number, by_id):
        await room.see(lambda note=note: "Cancelled: /deploy v2" in shown(note) or None)  # type: ignore[misc]
    assert await room.times("cancelled", prompt) == 1


async def test_only_its_requester_can_cancel_or_see_a_run(room: Room) -> None:
    """Acceptance 20; Security 3: the button's value is forged."""
    prompt = await room.started(ANA, "/deploy v3")
    await room.started(BEN, "/deploy v4")
    note = await listed(room, BEN)

    refused = await listed(room, BEN, f"/runs show {run_of(prompt)}")
    await room.slack.click(BEN, room.channel, note.ts, "runs.cancel.1", run_of(prompt))

    await room.see(lambda: "nothing that goes by" in shown(note) or None)
    assert "nothing that goes by" in shown(refused)
    assert buttons(prompt) == ["Ship", "Keep back"]
    assert await room.times("cancelled", prompt) == 0


async def test_one_run_is_shown_with_what_it_waits_for_and_how_it_ended(room: Room) -> None:
    prompt = await room.started(CHLOE, "/deploy v5")
    before = shown(await listed(room, CHLOE, "/runs show 1"))
    await room.press(BEN, prompt, "Ship")
    await room.result()
    await room.stage.idle()

    after = await listed(room, CHLOE, f"/runs show {run_of(prompt)}")

    assert "Waiting for anybody" in before
    assert "Ship v5?" in before
    assert "Done · Started" in shown(after)
    assert run_of(prompt) in shown(after)
    assert cancel_buttons(after) == {}


async def test_a_run_that_was_over_before_the_click_is_told_of_as_it_is(room: Room) -> None:
    prompt = await room.started(ANA, "/deploy v6")
    note = await listed(room, ANA, "/runs cancel 1")
    await room.press(BEN, prompt, "Ship")
    await room.result()
    await room.stage.idle()

    await room.slack.click(ANA, room.channel, note.ts, "runs.cancel.0")

    await room.see(lambda: "nothing to cancel any more: /deploy v6" in shown(note) or None)


async def test_a_long_list_has_pages(room: Room) -> None:
    """Acceptance 20."""
    dm = Room(room.stage, room.slack.workspace.dm_of(DAN).id)
    for number in range(12):
        assert (await dm.command(DAN, f"/deploy page-{number}")).ok
    await room.stage.idle()
    note = await listed(dm, DAN)
    first = shown(note)

    await room.slack.click(DAN, dm.channel, note.ts, "runs.page.1")
    second = await room.see(lambda: text if "page 2" in (text := shown(note)) else None)
    await room.slack.click(DAN, dm.channel, note.ts, "runs.page.0")
    again = await room.see(lambda: text if "page 2" not in (text := shown(note)) else None)

    assert re.findall(r"^(\d+)\. ", first, re.MULTILINE) == [str(number) for number in range(1, 11)]
    assert "11. /deploy page-1" in second
    assert "page-11" in first
    assert again == first
    await finish_all(dm, DAN)


async def test_what_is_typed_wrong_is_answered_with_how_it_goes(room: Room) -> None:
    for line in ("/runs frobnicate", "/runs cancel", "/runs show 1 2"):
        assert "Like this: `/runs`" in shown(await listed(room, ANA, line))
    for line in ("/runs show 9999", "/runs cancel nothing|<!channel>"):
        assert "nothing that goes by" in shown(await listed(room, ANA, line))


async def test_a_number_longer_than_any_list_is_no_run_of_mine(room: Room) -> None:
    """Adversarial 18."""
    told = await listed(room, ANA, f"/runs show {'9' * 5_000}")

    assert "999" in told.text
    assert "\N{HORIZONTAL ELLIPSIS}" in told.text
