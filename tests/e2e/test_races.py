"""Many people and two processes at once: one answer wins, everybody else is told whose."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

import pytest
import pytest_asyncio

from bot.playground.workspace import User
from engine.run_store import JournalEntry
from tests.e2e import requests
from tests.e2e.process import until
from tests.e2e.requests import Request, statuses
from tests.e2e.shapes import HTTP, Shape, only
from tests.e2e.stage import ANA, BEN, CHLOE, Logs, Room, Stage, stage
from tests.messages import shown

pytestmark = pytest.mark.asyncio(loop_scope="session")
T = TypeVar("T")


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def pair_stage(logs: Logs, redis_url: str, shape: Shape) -> AsyncIterator[Stage]:
    """Two processes that both take requests and do the work."""
    async with stage(logs, redis_url, f"e2e-pair-{shape.name}", replace(shape, workers=2)) as found:
        yield found


@pytest.fixture
def pair(pair_stage: Stage) -> Iterator[Room]:
    yield pair_stage.room()
    pair_stage.check()


by_hand = only(HTTP, because="what process a request goes to is decided by hand; Slack itself chooses among sockets")


async def at_once(sent: Iterable[Awaitable[T]]) -> list[T]:
    """Let all of them begin before any of them ends."""

    async def one(awaited: Awaitable[T]) -> T:
        return await awaited

    async with asyncio.TaskGroup() as tasks:
        answers = [tasks.create_task(one(awaited)) for awaited in sent]
    return [answer.result() for answer in answers]


async def to_both(room: Room, request: Request, times: int) -> set[int]:
    """Send the same request so often, in turn to each of the processes; the statuses of the answers."""
    bots = itertools.islice(itertools.cycle(room.stage.bots), times)
    return statuses(await at_once(request.to(bot) for bot in bots))


async def test_of_100_people_who_click_at_once_one_decides_and_99_are_told_who(room: Room) -> None:
    """Acceptance 13."""
    people = [f"UCROWD{n}" for n in range(100)]
    room.slack.workspace.users.update({who: User(who, who.lower(), who) for who in people})
    prompt = await room.started(ANA, "/deploy v2")
    labels = ("Ship", "Keep back")
    clicks = [requests.click(room, prompt, labels[n % 3 == 0], who) for n, who in enumerate(people)]

    answers = await at_once(room.slack.interact(click) for click in clicks)

    told = {who: await room.told(who) for who in people}
    result = await room.result()
    await room.stage.idle()
    winners = [who for who, note in told.items() if note.startswith("Thank you")]
    assert all(answer.ok for answer in answers)
    assert len(winners) == 1
    winner = winners[0]
    assert all(f"by <@{winner}>" in note for who, note in told.items() if who != winner)
    assert f"by <@{winner}>" in await room.locked(prompt)
    assert len(room.posted("result")) == 1
    assert result.text in ("Shipped v2", "Kept back v2")
    assert await room.times("answered", prompt) == 1


async def test_approval_and_rejection_in_the_same_moment_give_one_outcome(room: Room) -> None:
    """Acceptance 15."""
    prompt = await room.started(ANA, "/approve-draft AI safety")
    yes = requests.click(room, prompt, "Approve", BEN)
    form = await room.open_form(CHLOE, prompt, "Reject")
    no = requests.submission(room, form, CHLOE, {"comment": "Too vague"})

    _, answered = await at_once([room.slack.interact(yes), room.slack.interact(no)])

    await room.slack.close_view(CHLOE, form.id)
    told = {BEN: await room.told(BEN), CHLOE: str(answered.body) or await room.told(CHLOE)}
    status = re.search(r"Status: (\w+)", (await room.result()).text)
    winner, loser = (BEN, CHLOE) if "Thank you" in told[BEN] else (CHLOE, BEN)
    assert status is not None
    assert status[1] == {BEN: "approved", CHLOE: "rejected"}[winner]
    assert f"already {status[1]} by <@{winner}>" in told[loser]


@by_hand
async def test_one_click_delivered_to_both_processes_at_once_counts_once(pair: Room) -> None:
    """Acceptance 14."""
    room = pair
    prompt = await room.started(ANA, "/deploy v2")
    click = requests.interaction(requests.click(room, prompt, "Ship", BEN))

    await to_both(room, click, times=2)

    assert await room.told(BEN) == await room.told(BEN, nth=2) == "Thank you, this is now answered “Ship”."
    await room.result()
    await room.stage.idle()
    assert await room.times("answered", prompt) == 1
    assert len(room.posted("result")) == 1


async def test_a_command_delivered_twice_starts_one_run(room: Room) -> None:
    """Acceptance 3."""
    room.slack.faults.deliver_twice = True

    result = await room.command(ANA, "/deploy v2")

    await room.prompt()
    await room.stage.idle()
    assert result.ok
    assert len(room.slack.messages(room.channel)) == 1


@by_hand
async def test_a_command_delivered_to_both_processes_starts_one_run(pair: Room) -> None:
    """Acceptance 3; Adversarial 10."""
    room = pair
    typed = requests.signed(requests.form(requests.command(room, "/deploy v2")))

    answered = await to_both(room, typed, times=4)

    await room.prompt()
    await room.stage.idle()
    assert answered == {200}
    assert len(room.slack.messages(room.channel)) == 1


async def test_the_same_command_typed_twice_starts_two_runs(room: Room) -> None:
    await room.command(ANA, "/deploy v2")
    await room.command(ANA, "/deploy v2")

    await room.prompt(2)
    await room.stage.idle()
    assert len(room.posted("prompt:")) == 2


@by_hand
async def test_an_event_delivered_4_times_to_two_processes_counts_once(pair: Room) -> None:
    """Adversarial 10."""
    room = pair
    prompt = await room.started(ANA, "/approve-draft AI safety")
    said = requests.event(requests.reply(room, prompt, "Shorter, please", BEN))

    answered = await to_both(room, said, times=4)

    second = await room.prompt(2)
    await room.stage.idle()
    assert answered == {200}
    assert len(room.posted("prompt:")) == 2
    assert shown(second).count("Shorter, please") == 1
    assert await room.times("answered", prompt) == 1


async def test_who_came_too_late_stands_in_the_audit_with_what_they_wanted(room: Room) -> None:
    """Acceptance 22."""
    prompt = await room.started(ANA, "/deploy v2")
    on_screen = replace(prompt)
    await room.press(BEN, prompt, "Ship")
    await room.result()

    async def too_late() -> list[JournalEntry]:
        return [line for line in await room.journal(prompt) if line.details.get("why") == "late"]

    await room.press(BEN, prompt, "Ship", as_seen=on_screen)  # that is what counts already
    await room.told(BEN, "answered this before")
    await room.reply(CHLOE, prompt, "what a pity")  # and this is talk
    await room.press(CHLOE, prompt, "Keep back", as_seen=on_screen)
    await room.told(CHLOE, "already")
    (late,) = await until(too_late)

    assert (late.by, late.details["response"], late.details["via"]) == (CHLOE, "keep back", "button")
