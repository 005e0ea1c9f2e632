"""What one person may do: enough, and no more; and that what was taken is not taken again."""

from __future__ import annotations

import pytest

from tests.e2e import requests
from tests.e2e.stage import ANA, BEN, Logs, Room, stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_of_five_hundred_commands_of_one_person_some_start_a_run_and_the_others_are_told(
    logs: Logs, redis_url: str, prefix: str
) -> None:
    """Security 11; Adversarial 44."""
    async with stage(logs, redis_url, prefix, settings={"SIGNOFF_PER_MINUTE": "1"}) as found:
        room = found.room()
        sent = [requests.signed(requests.form(requests.command(room, f"/deploy v{n}"))) for n in range(500)]
        answers = [await request.to(found.bot) for request in sent]
        other = await requests.signed(requests.form(requests.command(room, "/deploy other", BEN))).to(found.bot)
        runs = await found.store.runs(requester=ANA, limit=1000)

    assert requests.statuses(answers) == {200}
    told = [text for _, text in answers if text]
    assert all("That was a lot at once" in text for text in told)
    assert 60 <= len(runs) == 500 - len(told) <= 65
    assert other == (200, "")


async def test_a_click_too_many_is_told_so_and_does_not_count(logs: Logs, redis_url: str, prefix: str) -> None:
    async with stage(logs, redis_url, prefix, settings={"SIGNOFF_PER_MINUTE": "1"}) as found:
        room = found.room()
        prompt = await room.started(ANA, "/deploy v1")
        for n in range(60):
            await requests.signed(requests.form(requests.command(room, f"/unknown {n}", BEN))).to(found.bot)

        await room.press(BEN, prompt, "Ship")
        await room.told(BEN, "That was a lot at once, so this was not done")
        await room.press(ANA, prompt, "Ship")

        assert "*Answered" in await room.locked(prompt)
        assert f"<@{ANA}>" in await room.locked(prompt)


async def test_a_request_sent_again_by_somebody_who_listened_does_nothing(http_room: Room) -> None:
    """Security 1."""
    prompt = await http_room.started(ANA, "/deploy v1")
    request = requests.interaction(requests.click(http_room, prompt, "Ship", BEN))

    answers = [await request.to(http_room.stage.bot) for _ in range(3)]
    await http_room.result()
    await http_room.stage.idle()

    assert answers == [(200, "")] * 3
    assert len(http_room.notes(BEN)) == 1
