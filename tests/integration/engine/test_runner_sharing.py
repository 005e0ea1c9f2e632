"""Durable runs on both stores: of several runners one works on a run, and nothing is lost between them."""

from __future__ import annotations

import asyncio

from engine import (
    Context,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from engine.runner import Runner
from engine.worker import LEASE_S
from tests.integration.engine.reviewing import Draft, Flaky, Review, fresh
from tests.integration.engine.stores import StoreWithClock
from tests.unit.engine.turns import until


async def test_a_worker_leaves_workflows_it_does_not_know_to_others(world: StoreWithClock) -> None:
    run_id = await fresh(world.store).start(Review(), topic="tea")

    worked = await fresh(world.store, Flaky()).work(run_id)

    assert not worked
    assert await fresh(world.store).reopen(run_id, "U9") == "parked", "here others have no time to take it"
    assert (await fresh(world.store).drain(run_id)).status == "waiting"


async def test_work_that_is_cancelled_gives_its_run_back_at_once(world: StoreWithClock) -> None:
    """What the run has come to is kept, and the step in hand runs again."""
    begun, woken = [], []

    class Slow(Workflow):
        @step
        async def first(self, ctx: Context, ev: StartEvent) -> Draft:
            await ctx.store.set("begun", True)
            return Draft(text="tea", version=1)

        @step
        async def second(self, ctx: Context, ev: Draft) -> StopEvent:
            begun.append(await ctx.store.get("begun"))
            if len(begun) == 1:
                await asyncio.Event().wait()
            return StopEvent(result=ev.text)

    async def wake(run_id: str) -> None:
        woken.append(run_id)

    runner = Runner(world.store, [Slow()], wake=wake)
    run_id = await runner.start(Slow())
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(runner.work(run_id))
        await until(lambda: bool(begun))
        work.cancel()
    assert await world.store.due() == [run_id]

    view = await fresh(world.store, Slow()).drain(run_id)

    assert (view.result, begun, woken) == ("tea", [True, True], [run_id, run_id])


async def test_two_runners_never_work_on_one_run_at_once(world: StoreWithClock) -> None:
    """Behaviour 50."""
    running, most = 0, 0

    class Counting(Workflow):
        @step
        async def work(self, ev: StartEvent) -> StopEvent:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            return StopEvent()

    runners = [fresh(world.store, Counting()) for _ in range(5)]
    run_id = await runners[0].start(Counting())

    async with asyncio.TaskGroup() as tasks:
        for runner in runners:
            tasks.create_task(runner.work(run_id))

    assert most == 1
    assert (await runners[0].view(run_id)).status == "done"


class Slow(Workflow):
    """Asks, and then takes its time with the answer; counts who gets to it and who to its end."""

    begun: list[str] = []  # noqa: RUF012 - shared by all instances on purpose: the outside world

    def __init__(self, hold: asyncio.Event) -> None:
        super().__init__()
        self.hold = hold

    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(prefix="?")

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        self.begun.append(ev.response)
        await self.hold.wait()
        return StopEvent(result=len(self.begun))


async def test_of_many_who_resume_a_paused_run_one_wins(world: StoreWithClock) -> None:
    """Behaviour 50."""
    Slow.begun.clear()
    hold = asyncio.Event()
    hold.set()
    runners = [fresh(world.store, Slow(hold)) for _ in range(5)]
    run_id = await runners[0].start(Slow(hold))
    (ask,) = (await runners[0].drain(run_id)).asks
    await runners[0].answer(run_id, ask.id, "yes", user_id="U2")

    async with asyncio.TaskGroup() as tasks:
        worked = [tasks.create_task(runner.work(run_id)) for runner in runners]

    assert Slow.begun == ["yes"]
    assert sum(one.result() for one in worked) == 1
    assert (await runners[0].view(run_id)).result == 1


async def test_whoever_comes_back_after_its_lease_has_lost_the_run(world: StoreWithClock) -> None:
    """Behaviour 50: what the one who was overtaken comes to counts for nothing."""
    Slow.begun.clear()
    hold, free = asyncio.Event(), asyncio.Event()
    free.set()
    stalled, other = fresh(world.store, Slow(hold)), fresh(world.store, Slow(free))
    run_id = await stalled.start(Slow(hold))
    (ask,) = (await stalled.drain(run_id)).asks
    await stalled.answer(run_id, ask.id, "yes", user_id="U2")

    async with asyncio.TaskGroup() as tasks:
        late = tasks.create_task(stalled.work(run_id))
        await until(lambda: Slow.begun)
        await world.pass_time(LEASE_S + 1)
        assert await other.work(run_id)
        hold.set()

    assert not late.result()
    assert (await other.view(run_id)).result == 2, "the second who got to the step is the one whose end counts"


async def test_the_number_of_runs_at_work_is_limited_and_a_paused_one_is_not_at_work(world: StoreWithClock) -> None:
    """Behaviour 62."""
    working, most = 0, 0

    class Limited(Workflow):
        @step
        async def ask(self, ev: StartEvent) -> InputRequiredEvent:
            nonlocal working, most
            working += 1
            most = max(most, working)
            await asyncio.sleep(0)
            working -= 1
            return InputRequiredEvent(prefix="?")

        @step
        async def end(self, ev: HumanResponseEvent) -> StopEvent:
            return StopEvent()

    flow = Limited(num_concurrent_runs=1)
    runner = fresh(world.store, flow)
    run_ids = [await runner.start(flow) for _ in range(3)]

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        for run_id in run_ids:
            tasks.create_task(runner.work(run_id))

    assert most == 1
    assert [len((await runner.view(run_id)).asks) for run_id in run_ids] == [1, 1, 1]
