"""A step that ends every process that runs it: tried ever more rarely, then set aside, and somebody is told."""

from __future__ import annotations

import itertools

import pytest

from engine import Context, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.runner import Runner
from engine.worker import LEASE_S, LONGEST_LEASE_S, MAX_ATTEMPTS, PARKED
from tests.chaos.crashing import Crash
from tests.integration.engine.stores import StoreWithClock

pytestmark = pytest.mark.chaos


class Drafted(Event):
    pass


class Deadly(Workflow):
    """Does well at first; what follows ends the process as often as *lives* says."""

    def __init__(self, lives: int) -> None:
        super().__init__()
        self.lives = lives
        self.tried = 0

    @step
    async def draft(self, ctx: Context, ev: StartEvent) -> Drafted:
        await ctx.store.set("draft", "a good one")
        return Drafted()

    @step
    async def publish(self, ev: Drafted) -> InputRequiredEvent:
        self.tried += 1
        if self.tried <= self.lives:
            raise Crash
        return InputRequiredEvent(prefix="Fine?")

    @step
    async def end(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=await ctx.store.get("draft"))


async def sweep(world: StoreWithClock, flow: Deadly) -> bool:
    """Start a process that works on what is due; tell whether it had to do and lived."""
    runner = Runner(world.store, [flow])
    try:
        return any([await runner.work(run_id) for run_id in await runner.sweep()])
    except* Crash:
        pass
    return False


async def test_what_ends_its_workers_is_tried_ever_more_rarely_and_then_set_aside(world: StoreWithClock) -> None:
    flow = Deadly(lives=1_000)
    run_id = await Runner(world.store).start(flow)
    tried_at: list[float] = []
    for second in range(0, 2_000, 10):
        before = flow.tried
        await sweep(world, flow)
        tried_at += [second] * (flow.tried - before)
        await world.pass_time(10)

    run = await world.store.run(run_id)
    last = (await world.store.journal(run_id))[-1]
    owed = [effect for effect in await world.store.effects_of(run_id) if effect.startswith(PARKED)]

    pauses = [after - before for before, after in itertools.pairwise(tried_at)]
    assert len(tried_at) == 1 + MAX_ATTEMPTS, "the first time it went on from a commit of its own worker"
    assert all(after > before for before, after in itertools.pairwise(pauses[1:])), pauses
    assert min(pauses) >= LEASE_S
    assert pauses[-1] <= LONGEST_LEASE_S
    assert run is not None
    assert run.status == "parked"
    assert last.details["note"] == f"{MAX_ATTEMPTS} workers in a row ended while they worked on it"
    assert len(owed) == 1, "whoever started it is told once"


async def test_a_run_that_cost_some_workers_and_then_went_on_starts_counting_anew(world: StoreWithClock) -> None:
    flow = Deadly(lives=MAX_ATTEMPTS - 1)
    runner = Runner(world.store)
    run_id = await runner.start(flow)
    while not (view := await runner.view(run_id)).asks:
        await sweep(world, flow)
        await world.pass_time(LONGEST_LEASE_S)

    await runner.answer(run_id, view.asks[0].id, "yes", user_id="U1")
    claim = await world.store.claim(run_id, "w", LEASE_S)

    assert claim is not None
    assert claim.attempts == 1
    await world.pass_time(LEASE_S + 1)
    assert (await runner.drain(run_id)).result == "a good one"


async def test_a_run_that_ends_its_workers_can_be_cancelled(world: StoreWithClock) -> None:
    """It is not set aside in place of that, nor is its step tried once more."""
    flow = Deadly(lives=1_000)
    runner = Runner(world.store, [flow])
    run_id = await runner.start(flow)
    while flow.tried <= MAX_ATTEMPTS:
        await sweep(world, flow)
        await world.pass_time(LONGEST_LEASE_S)

    await runner.cancel(run_id, by="U1")
    view = await runner.drain(run_id)

    assert view.status == "cancelled"
    assert flow.tried == 1 + MAX_ATTEMPTS
    assert not [effect for effect in await world.store.effects_of(run_id) if effect.startswith(PARKED)]
