"""What one person may do: enough, and no more; and that what was taken is not taken again."""

from __future__ import annotations

import pytest

from tests.e2e import requests
from tests.e2e.conftest import SetStage
from tests.e2e.shapes import HTTP, HTTP_FLEET, only
from tests.e2e.stage import ANA, BEN, CHLOE, Room
from tests.messages import buttons

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_of_five_hundred_commands_of_one_person_some_start_a_run_and_the_others_are_told(
    set_stage: SetStage,
) -> None:
    """Security 11; Adversarial 44."""
    async with set_stage(settings={"SIGNOFF_PER_MINUTE": "1"}) as found:
        room = found.room()
        answers = [await room.command(ANA, f"/deploy v{n}") for n in range(500)]
        other = await room.command(BEN, "/deploy other")
        runs = await found.store.runs(requester=ANA, limit=1000)

    assert {answer.status for answer in answers} == {200}
    told = [answer.shown for answer in answers if answer.shown]
    assert all("That was a lot at once" in text for text in told)
    assert 60 <= len(runs) == 500 - len(told) <= 65
    assert (other.status, other.shown) == (200, None)


async def test_a_click_too_many_is_told_so_and_does_not_count(set_stage: SetStage) -> None:
    async with set_stage(settings={"SIGNOFF_PER_MINUTE": "1"}) as found:
        room = found.room()
        prompt = await room.started(ANA, "/deploy v1")
        for n in range(60):
            await room.slack.run_command(requests.command(room, f"/unknown {n}", BEN))

        await room.press(BEN, prompt, "Ship")
        await room.told(BEN, "That was a lot at once, so this was not done")
        await room.press(ANA, prompt, "Ship")

        assert "*Answered" in await room.locked(prompt)
        assert f"<@{ANA}>" in await room.locked(prompt)


async def test_a_click_too_many_in_app_home_is_told_so_too(set_stage: SetStage) -> None:
    async with set_stage(settings={"SIGNOFF_PER_MINUTE": "1"}) as found:
        room = found.room()
        prompt = await room.started(ANA, "/deploy v1")
        await room.slack.open_home(ANA)
        home = await room.see(lambda: room.slack.home_of(ANA))
        (cancel,) = (block["accessory"]["action_id"] for block in home.blocks if "accessory" in block)
        for n in range(60):
            await room.slack.run_command(requests.command(room, f"/unknown {n}", ANA))

        await room.slack.click_view(ANA, home.id, cancel)

        notice = await room.see(lambda: room.slack.view_of(ANA))
        assert "That was a lot at once, so this was not done" in str(notice.blocks)
        assert buttons(prompt)


@only(HTTP, HTTP_FLEET, because="over a socket nobody can listen or send")
async def test_a_request_sent_again_by_somebody_who_listened_does_nothing(room: Room) -> None:
    """Security 1."""
    prompt = await room.started(ANA, "/deploy v1")
    request = requests.interaction(requests.click(room, prompt, "Ship", BEN))

    answers = [await request.to(room.stage.bot) for _ in range(3)]
    await room.result()
    await room.stage.idle()
    await room.reply(CHLOE, prompt, "keep back")
    await room.told(CHLOE, "already")

    assert answers == [(200, "")] * 3
    assert len(room.notes(BEN)) == 1
