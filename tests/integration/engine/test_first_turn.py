"""An eager runner stores a run with its first question, and before that if anything else happens first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from engine import Context, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.errors import StoreUnavailable
from engine.run_store import RunStore
from engine.runner import Runner, RunView
from engine.verdicts import Accepted
from tests.chaos.crashing import LEASE_OVER_S, Crash, CrashingStore, Fuse, pairs, singles
from tests.integration.engine.stores import Heard, StoreWithClock
from tests.unit.engine.turns import until

LEASE_S = 30.0


class Asking(Workflow):
    """Asks, after *first* has been awaited, and tells what was answered."""

    def __init__(self, first: Callable[[Context], Awaitable[Any]] | None = None, **options: Any) -> None:
        super().__init__(timeout=None, **options)
        self._first = first

    @step
    async def ask(self, ctx: Context, ev: StartEvent) -> InputRequiredEvent:
        if self._first is not None:
            await self._first(ctx)
        return InputRequiredEvent(prefix="Ship?", timeout=600)

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)


class Greeting(Workflow):
    """Lets a runner hear what the store's clock says."""

    @step
    async def greet(self, ev: StartEvent) -> StopEvent:
        return StopEvent()


async def hearing(world: StoreWithClock) -> tuple[Runner, Heard]:
    """Return an eager runner that knows the store's clock, and what it says to the store from now on."""
    store = Heard(world.store)
    runner = Runner(cast(RunStore, store), eager=True)
    await runner.start(Greeting())
    store.told.clear()
    return runner, store


async def test_a_run_is_stored_with_its_question_in_one_call(world: StoreWithClock) -> None:
    runner, store = await hearing(world)

    run_id = await runner.start(Asking())

    assert store.told == ["begin"]
    (ask,) = (await runner.view(run_id)).asks
    store.told.clear()
    assert isinstance(await runner.answer(run_id, ask.id, "yes", user_id="U1"), Accepted)
    assert store.told == ["deliver_and_claim", "commit"]
    assert (await runner.view(run_id)).result == "yes"


async def test_a_run_with_a_key_is_stored_before_its_first_step(world: StoreWithClock) -> None:
    runner, store = await hearing(world)

    await runner.start(Asking(), key="once")
    await runner.start(Asking(), key="once")

    assert store.told == ["start", "commit", "start"]


async def test_a_step_that_waits_is_stored_as_it_was_started(world: StoreWithClock) -> None:
    come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    runner, store = await hearing(world)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(runner.start(Asking(lambda ctx: come)))
        await until(lambda: store.told == ["start"])
        stored = await world.store.runs(statuses=["ready"])
        come.set_result(None)

    assert len(stored) == 1
    assert store.told == ["start", "commit"]


@pytest.mark.parametrize("how", ["once", "effect"])
async def test_what_counts_once_happens_only_in_a_run_that_is_stored(world: StoreWithClock, how: str) -> None:
    found: list[str] = []

    async def look(ctx: Context) -> None:
        run_id = ctx.idempotency_key.partition(":")[0]

        async def stored() -> bool:
            run = await world.store.run(run_id)
            found.append("nothing" if run is None else run.status)
            return True

        await getattr(ctx, how)("pay", stored)

    runner, store = await hearing(world)

    await runner.start(Asking(look))

    assert found == ["ready"]
    assert "begin" not in store.told


async def test_a_run_that_waits_for_its_turn_is_stored(world: StoreWithClock) -> None:
    come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    runner, store = await hearing(world)
    flow = Asking(lambda ctx: come, num_concurrent_runs=1)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(runner.start(flow))
        tasks.create_task(runner.start(flow))
        await until(lambda: store.told == ["start", "start"])
        come.set_result(None)

    assert sorted(store.told) == ["commit", "commit", "start", "start"]


async def test_a_clock_that_jumped_costs_a_second_go_and_no_deadline(world: StoreWithClock) -> None:
    runner, store = await hearing(world)
    await world.pass_time(3600)

    run_id = await runner.start(Asking())

    assert store.told == ["begin", "start", "commit"]
    (ask,) = await world.store.open_asks(run_id)
    assert ask.deadline == pytest.approx(ask.opened_at + 600, abs=5)
    store.told.clear()
    await runner.start(Asking())
    assert store.told == ["begin"], "it knows the clock again"


async def test_whoever_starts_a_run_is_told_that_it_was_not_stored(world: StoreWithClock) -> None:
    runner, store = await hearing(world)
    store.broken = "begin"

    with pytest.raises(StoreUnavailable):
        await runner.start(Asking())


@pytest.mark.chaos
async def test_whatever_call_is_the_last_what_was_acknowledged_goes_on(world: StoreWithClock) -> None:
    """Steps that ask at once, that do something once before, and that wait before."""

    async def once(ctx: Context) -> None:
        await ctx.once("look", lambda: 1)

    async def wait(ctx: Context) -> None:
        await asyncio.sleep(0)

    for first in (None, once, wait):
        whole = Fuse()
        await live(world, whole, Asking(first))
        assert len(whole.calls) >= 4
        for fuse in [*singles(len(whole.calls)), *pairs(len(whole.calls))]:
            await live(world, fuse, Asking(first))


async def live(world: StoreWithClock, fuse: Fuse, flow: Workflow) -> None:
    """Start a run, answer it and see it through, however often the process dies of *fuse*."""
    before = {run.run_id for run in await world.store.runs()}
    store = CrashingStore(world.store, Fuse())
    runner = Runner(cast(RunStore, store), [flow], eager=True)
    await runner.start(Greeting())
    store.fuse = fuse
    view: RunView | None = None
    told = ""
    for _ in range(10):
        try:
            if not told:
                told = await runner.start(flow)
            view = await runner.drain(told)
            if not view.asks:
                break
            await runner.answer(told, view.asks[0].id, "yes", user_id="U1", delivery_id="d1")
        except* Crash:
            await world.pass_time(LEASE_OVER_S)
    assert view is not None
    assert (view.status, view.result) == ("done", "yes"), fuse
    for run_id in {run.run_id for run in await world.store.runs()} - before:
        left = await Runner(world.store, [flow, Greeting()]).drain(run_id)
        assert left.status in ("waiting", "done"), "one that nobody was told of is whole, too"
