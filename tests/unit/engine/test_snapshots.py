"""A run saved as JSON and taken up again: whenever that is, nothing is lost and nothing done twice."""

import asyncio
import gc
import json

import pytest

from engine import (
    Context,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from engine.core.model import DictState, RunState
from engine.core.reducer import begin
from engine.core.snapshot import dump, load
from engine.errors import UnreconstructedException
from tests.unit.engine.pausing import Stages, Waits, paused, restored, saved, yes

# --- When ------------------------------------------------------------------------------------------


async def test_a_paused_run_goes_on_elsewhere_with_the_same_result() -> None:
    """Behaviour 35, 38."""
    first, second, third = Stages(), Stages(), Stages()
    snapshot = await saved(first.run(topic="birds"))

    ctx = restored(second, snapshot)
    handler = second.run(ctx=ctx)
    ctx.send_event(yes())
    snapshot = await saved(handler)
    ctx = restored(third, snapshot)
    ctx.send_event(yes(response="at last"))

    assert await third.run(ctx=ctx) == ("birds", 2, "at last")
    assert [first.bodies, second.bodies, third.bodies] == [
        {"write": 1, "ask": 1},
        {"decide": 1, "ask": 1},
        {"decide": 1},
    ]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_restored_context_is_answered_before_and_after_its_run(when: str) -> None:
    """Behaviour 36."""
    flow = Stages()
    ctx = restored(flow, await saved(flow.run(topic="birds")))

    if when == "before":
        ctx.send_event(yes())
    handler = flow.run(ctx=ctx)
    if when == "after":
        ctx.send_event(yes())
    await paused(handler)

    assert flow.bodies == {"write": 1, "ask": 2, "decide": 1}
    assert [ask.event.prefix for ask in ctx.open_asks if ask.event] == ["birds v2?"]
    await handler.cancel_run()


async def test_an_answer_before_a_snapshot_is_in_it() -> None:
    """Behaviour 41."""
    first, second = Waits(), Waits()
    handler = first.run()
    await paused(handler)

    handler.ctx.send_event(yes(response="just in time", n=0))
    snapshot = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()

    ctx = restored(second, snapshot)
    ctx.send_event(yes(n=1))
    handler = second.run(ctx=ctx)
    await paused(handler)
    ctx.send_event(yes(n=1))
    assert await handler == ["just in time", "yes", 2]


async def test_an_answer_that_calls_a_step_is_in_the_snapshot_at_once() -> None:
    """Behaviour 41."""
    flow = Stages()
    handler = flow.run(topic="birds")
    await paused(handler)

    handler.ctx.send_event(yes())
    snapshot = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()

    handler = flow.run(ctx=restored(flow, snapshot))
    await paused(handler)
    assert [ask.event.prefix for ask in handler.ctx.open_asks if ask.event] == ["birds v2?"]
    await handler.cancel_run()


async def test_a_snapshot_can_be_taken_in_the_stream_and_after_leaving_it() -> None:
    """Behaviour 34."""
    handler = Stages().run(topic="birds")
    taken = []
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            taken.append(handler.ctx.to_dict())
            break
    taken.append(handler.ctx.to_dict())
    await handler.cancel_run()

    inside, outside = taken
    assert {**inside, "spent": 0} == {**outside, "spent": 0}
    assert json.loads(json.dumps(inside)) == inside


async def test_a_snapshot_during_a_step_runs_the_step_again() -> None:
    """Behaviour 34, 39, 40."""
    begun = asyncio.Event()
    bodies = 0

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            nonlocal bodies
            bodies += 1
            await ctx.store.set("n", await ctx.store.get("n", default=0) + 1)
            if bodies == 1:
                begun.set()
                await asyncio.Event().wait()
            await ctx.store.set("m", await ctx.store.get("m", default=0) + 1)
            return StopEvent(result=[await ctx.store.get("n"), await ctx.store.get("m")])

    flow = Flow()
    handler = flow.run()
    await begun.wait()
    snapshot = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()

    assert await flow.run(ctx=restored(flow, snapshot)) == [1, 1]
    assert bodies == 2


async def test_a_snapshot_after_the_end_keeps_the_store_for_the_next_run() -> None:
    """Behaviour 34, 47."""
    flow = Waits()
    handler = flow.run()
    for n in range(2):
        await paused(handler)
        handler.ctx.send_event(yes(n=n))
    await handler
    ctx = restored(flow, json.loads(json.dumps(handler.ctx.to_dict())))

    assert not ctx.is_running
    assert await ctx.store.get("writes") == 2
    await saved(flow.run(ctx=ctx))
    assert await ctx.store.get("writes") == 3


async def test_a_snapshot_before_the_run_keeps_what_was_seeded() -> None:
    """Behaviour 47."""
    flow = Waits()
    ctx = Context[DictState](flow)
    await ctx.store.set("writes", 10)

    again = restored(flow, json.loads(json.dumps(ctx.to_dict())))
    await saved(flow.run(ctx=again))

    assert await again.store.get("writes") == 11


async def test_a_cancelled_run_can_go_on() -> None:
    """Behaviour 27."""
    flow = Stages()
    handler = flow.run(topic="birds")
    await paused(handler)
    await handler.cancel_run()

    ctx = restored(flow, json.loads(json.dumps(handler.ctx.to_dict())))

    assert ctx.is_running
    ctx.send_event(yes())
    handler = flow.run(ctx=ctx)
    await paused(handler)
    ctx.send_event(yes())
    assert await handler == ("birds", 2, "yes")


async def test_a_failed_run_is_saved_with_its_reason() -> None:
    """Behaviour 34."""

    class Flow(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            raise ValueError("no ink")

    flow = Flow()
    handler = flow.run()
    await handler.stop_event_result()

    state = load(flow.definition, json.loads(json.dumps(handler.ctx.to_dict())))

    assert state.status == "failed"
    assert isinstance(state.error, UnreconstructedException)
    assert str(state.error) == "ValueError: no ink"


# --- Cost -----------------------------------------------------------------------------------------------


class Rounds(Workflow):
    @step
    async def ask(self, ctx: Context, ev: StartEvent | HumanResponseEvent) -> InputRequiredEvent | StopEvent:
        n = await ctx.store.get("n", default=0) + 1
        await ctx.store.set("n", n)
        await ctx.once("x", dict)
        return InputRequiredEvent(prefix="?", timeout=10_000)


async def test_nothing_grows_with_the_rounds_gone_by() -> None:
    """Behaviour 52: neither the snapshot nor what is held in memory."""
    handler = Rounds(disable_validation=True).run()
    sizes, objects = {}, {}
    async for event in handler.stream_events():
        n = await handler.ctx.store.get("n")
        if n in (10, 4_000):
            gc.collect()
            sizes[n], objects[n] = len(json.dumps(handler.ctx.to_dict())), len(gc.get_objects())
        if n == 4_000:
            break
        assert isinstance(event, InputRequiredEvent)
        handler.ctx.send_event(yes())

    assert len(handler._execution._timers) < 300
    assert sizes[4_000] < sizes[10] + 40
    assert objects[4_000] < objects[10] + 1_000
    await handler.cancel_run()


def test_time_spent_is_charged_to_the_timeout_of_whoever_goes_on() -> None:
    """Behaviour 51."""
    definition, longer = Stages(timeout=100).definition, Stages(timeout=500).definition
    state: RunState = begin(definition, "r", StartEvent(topic="x"), at=0.0)
    state.deadline = 100.0

    snapshot = dump(definition, state, at=30.0)

    assert snapshot["spent"] == 30.0
    assert load(definition, snapshot).budget == 70.0
    assert load(longer, snapshot).budget == 470.0
    assert load(Stages(timeout=None).definition, snapshot).budget is None
