"""Many people and two processes at once: one answer wins, everybody else is told whose."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import pytest

from bot.playground.workspace import User
from tests.e2e import requests
from tests.e2e.process import BotProcess
from tests.e2e.requests import Request, statuses
from tests.e2e.stage import ANA, BEN, CHLOE, Room, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def at_once(sent: Sequence[tuple[Request, BotProcess]]) -> list[tuple[int, str]]:
    async with asyncio.TaskGroup() as tasks:
        answers = [tasks.create_task(request.to(bot)) for request, bot in sent]
    return [answer.result() for answer in answers]


def in_turn(room: Room, sent: Sequence[Request]) -> list[tuple[Request, BotProcess]]:
    """Give the first request to the first bot, the second to the second, and so on."""
    bots = room.stage.bots
    return [(request, bots[place % len(bots)]) for place, request in enumerate(sent)]


async def test_of_100_people_who_click_at_once_one_decides_and_99_are_told_who(http_room: Room) -> None:
    """Acceptance 13."""
    room = http_room
    people = [f"UCROWD{n}" for n in range(100)]
    room.slack.workspace.users.update({who: User(who, who.lower(), who) for who in people})
    prompt = await room.started(ANA, "/deploy v2")
    labels = ("Ship", "Keep back")
    clicks = [
        requests.interaction(requests.click(room, prompt, labels[n % 3 == 0], who)) for n, who in enumerate(people)
    ]

    answers = await at_once(in_turn(room, clicks))

    told = {who: await room.told(who) for who in people}
    result = await room.result()
    await room.stage.idle()
    winners = [who for who, note in told.items() if note.startswith("Thank you")]
    assert statuses(answers) == {200}
    assert len(winners) == 1
    winner = winners[0]
    assert all(f"by <@{winner}>" in note for who, note in told.items() if who != winner)
    assert f"by <@{winner}>" in await room.locked(prompt)
    assert len(room.posted("result")) == 1
    assert result.text in ("Shipped v2", "Kept back v2")
    assert await room.times("answered", prompt) == 1


async def test_approval_and_rejection_in_the_same_moment_give_one_outcome(http_room: Room) -> None:
    """Acceptance 15."""
    room = http_room
    prompt = await room.started(ANA, "/approve-draft AI safety")
    yes = requests.interaction(requests.click(room, prompt, "Approve", BEN))
    form = await room.open_form(CHLOE, prompt, "Reject")
    no = requests.interaction(requests.submission(room, form, CHLOE, {"comment": "Too vague"}))

    answers = await at_once(in_turn(room, [yes, no]))

    await room.slack.close_view(CHLOE, form.id)
    told = {BEN: await room.told(BEN), CHLOE: answers[1][1] or await room.told(CHLOE)}
    status = re.search(r"Status: (\w+)", (await room.result()).text)
    winner, loser = (BEN, CHLOE) if "Thank you" in told[BEN] else (CHLOE, BEN)
    assert status is not None
    assert status[1] == {BEN: "approved", CHLOE: "rejected"}[winner]
    assert f"already {status[1]} by <@{winner}>" in told[loser]


async def test_one_click_delivered_to_both_processes_at_once_counts_once(http_room: Room) -> None:
    """Acceptance 14."""
    room = http_room
    prompt = await room.started(ANA, "/deploy v2")
    click = requests.interaction(requests.click(room, prompt, "Ship", BEN))

    await at_once(in_turn(room, [click, click]))

    assert await room.told(BEN) == await room.told(BEN, nth=2) == "Thank you, this is now answered “Ship”."
    await room.result()
    await room.stage.idle()
    assert await room.times("answered", prompt) == 1
    assert len(room.posted("result")) == 1


async def test_a_command_delivered_twice_starts_one_run(http_room: Room) -> None:
    """Acceptance 3."""
    room = http_room
    room.slack.faults.deliver_twice = True

    result = await room.command(ANA, "/deploy v2")

    await room.prompt()
    await room.stage.idle()
    assert result.ok
    assert len(room.slack.messages(room.channel)) == 1


async def test_a_command_delivered_to_both_processes_starts_one_run(http_room: Room) -> None:
    """Acceptance 3; Adversarial 10."""
    room = http_room
    typed = requests.signed(requests.form(requests.command(room, "/deploy v2")))

    answers = await at_once(in_turn(room, [typed] * 4))

    await room.prompt()
    await room.stage.idle()
    assert statuses(answers) == {200}
    assert len(room.slack.messages(room.channel)) == 1


async def test_the_same_command_typed_twice_starts_two_runs(http_room: Room) -> None:
    await http_room.command(ANA, "/deploy v2")
    await http_room.command(ANA, "/deploy v2")

    await http_room.prompt(2)
    await http_room.stage.idle()
    assert len(http_room.posted("prompt:")) == 2


async def test_an_event_delivered_4_times_to_two_processes_counts_once(http_room: Room) -> None:
    """Adversarial 10."""
    room = http_room
    prompt = await room.started(ANA, "/approve-draft AI safety")
    said = requests.event(requests.reply(room, prompt, "Shorter, please", BEN))

    answers = await at_once(in_turn(room, [said] * 4))

    second = await room.prompt(2)
    await room.stage.idle()
    assert statuses(answers) == {200}
    assert len(room.posted("prompt:")) == 2
    assert shown(second).count("Shorter, please") == 1
    assert await room.times("answered", prompt) == 1
