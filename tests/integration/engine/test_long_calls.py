"""The first call of a turn runs in the worker's own task; the run is looked after all the same when it has to wait."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from engine import Context, Event, StartEvent, StopEvent, Workflow, step
from engine.execution import IN_A_ROW
from engine.run_store import RunStore
from engine.runner import Runner
from tests.integration.engine.stores import Heard, StoreWithClock
from tests.unit.engine.turns import LIMIT_S, until


class Long(Event):
    """For a step that waits."""


class Short(Event):
    """For a step that does not."""

    n: int = 0


class Next(Event):
    """What a short step comes to."""


class Both(Workflow):
    """Two calls at once, the first of which waits until what follows the second has begun."""

    def __init__(self, store: Heard) -> None:
        super().__init__(timeout=LIMIT_S)
        self._store = store
        self._begun = asyncio.Event()
        self.saved_before: list[str] = []

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Long | Short | None:
        ctx.send_event(Long())
        ctx.send_event(Short())
        return None

    @step
    async def long(self, ev: Long) -> StopEvent:
        self._store.told.clear()
        await self._begun.wait()
        return StopEvent(result="ended")

    @step
    async def short(self, ev: Short) -> Next:
        return Next()

    @step
    async def follow(self, ev: Next) -> StopEvent | None:
        self.saved_before = [*self._store.told]
        self._begun.set()
        return None


async def test_what_other_calls_come_to_is_saved_and_followed_while_the_first_one_waits(world: StoreWithClock) -> None:
    store = Heard(world.store)
    workflow = Both(store)
    runner = Runner(cast(RunStore, store), [workflow])

    view = await runner.drain(await runner.start(workflow))

    assert view.result == "ended"
    assert workflow.saved_before == ["commit"]


async def test_the_lease_is_renewed_while_the_first_call_waits(world: StoreWithClock) -> None:
    store = Heard(world.store)

    class Waiting(Workflow):
        @step
        async def wait(self, ev: StartEvent) -> StopEvent:
            await until(lambda: store.told.count("renew") == 2)
            return StopEvent(result="kept")

    runner = Runner(cast(RunStore, store), lease_s=0.03)

    view = await runner.drain(await runner.start(Waiting()))

    assert view.result == "kept"


async def test_a_store_that_is_away_for_less_than_a_lease_ends_no_work(world: StoreWithClock) -> None:
    store = Heard(world.store)
    tried: list[str] = []

    class Waiting(Workflow):
        @step
        async def wait(self, ev: StartEvent) -> StopEvent:
            tried.append("once")
            store.broken = "renew"
            await until(lambda: store.told.count("renew") == 2)
            store.broken = ""
            await until(lambda: store.told.count("renew") == 4)
            return StopEvent(result="kept")

    runner = Runner(cast(RunStore, store), lease_s=0.3)

    view = await runner.drain(await runner.start(Waiting()))

    assert view.result == "kept"
    assert tried == ["once"]


async def test_a_call_may_give_itself_a_time_limit(world: StoreWithClock) -> None:
    class Limited(Workflow):
        @step
        async def wait(self, ev: StartEvent) -> StopEvent:
            try:
                async with asyncio.timeout(0.01):
                    await asyncio.Event().wait()
            except TimeoutError:
                return StopEvent(result="given up")
            return StopEvent()

    runner = Runner(world.store)

    view = await runner.drain(await runner.start(Limited()))

    assert view.result == "given up"


async def test_calls_that_are_ready_together_are_saved_together(world: StoreWithClock) -> None:
    store = Heard(world.store)

    class Many(Workflow):
        @step
        async def begin(self, ctx: Context, ev: StartEvent) -> Short | None:
            for n in range(20):
                ctx.send_event(Short(n=n))
            return None

        @step(num_workers=20)
        async def work(self, ev: Short) -> Next:
            return Next()

        @step
        async def end(self, ctx: Context, ev: Next) -> StopEvent | None:
            return StopEvent() if ctx.collect_events(ev, [Next] * 20) is not None else None

    runner = Runner(cast(RunStore, store))

    run_id = await runner.start(Many())
    store.told.clear()
    view = await runner.drain(run_id)

    assert view.status == "done"
    assert store.told.count("commit") == 1 + 1 + 20 / 4  # `end` has four workers


class Chain(Workflow):
    """Steps that follow each other and never wait."""

    @step
    async def begin(self, ev: StartEvent) -> Short:
        return Short()

    @step
    async def short(self, ev: Short) -> Next:
        return Next()

    @step
    async def follow(self, ev: Next) -> StopEvent:
        return StopEvent(result="ended")


class Crowd(Workflow):
    """Calls that are ready together, more than others have to wait for."""

    @step
    async def begin(self, ev: StartEvent) -> list[Short]:
        return [Short(n=n) for n in range(IN_A_ROW + 1)]

    @step(num_workers=IN_A_ROW + 1)
    async def short(self, ev: Short) -> Next:
        return Next()

    @step
    async def follow(self, found: list[Next]) -> StopEvent:
        return StopEvent(result="ended")


@pytest.mark.parametrize(
    ("workflow", "told"),
    [(Chain, "renew commit renew commit commit"), (Crowd, "renew commit renew renew commit commit")],
)
async def test_the_lease_is_renewed_while_calls_follow_each_other(
    world: StoreWithClock, workflow: type[Workflow], told: str
) -> None:
    """A lease so short is over by a third at once. That alone takes no run away: somebody else has to claim it."""
    store = Heard(world.store)
    runner = Runner(cast(RunStore, store), [workflow()], lease_s=1e-6)

    run_id = await runner.start(workflow())
    await runner.work(run_id)

    assert (await runner.view(run_id)).result == "ended"
    assert [verb for verb in store.told if verb in ("renew", "commit")] == told.split()


async def test_the_lease_of_a_short_run_is_not_renewed(world: StoreWithClock) -> None:
    store = Heard(world.store)
    runner = Runner(cast(RunStore, store), [Crowd()])

    await runner.work(await runner.start(Crowd()))

    assert "renew" not in store.told
