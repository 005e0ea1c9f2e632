"""What a durable run cannot store fails the step that left it, and the committed state stays in force."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import pytest

from engine import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
    Workflow,
    catch_error,
    retry_policy,
    step,
)
from engine.core.snapshot import load_fields
from engine.retry import stop_after_attempt, wait_fixed
from engine.run_store import RunStore
from engine.runner import Runner, RunView
from tests.integration.engine.stores import StoreWithClock

LIMIT = 64 * 1024
AT_ONCE = retry_policy(wait=wait_fixed(0), stop=stop_after_attempt(3))


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


class Go(Event):
    """Lets the second step begin, after the first has been committed."""


class Growing(Workflow):
    """Commits a little, then leaves behind what *left* names."""

    tries: list[int]

    def __init__(self, left: str) -> None:
        super().__init__()
        self.left = left
        self.tries = []

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Go:
        await ctx.store.set("draft", "small")
        return Go()

    @step
    async def grow(self, ctx: Context, ev: Go) -> InputRequiredEvent | StopEvent:
        self.tries.append(ctx.retry_info().retry_number)
        await ctx.store.set("n", len(self.tries))
        match self.left:
            case "large state":
                await ctx.store.set("draft", noise(2 * LIMIT))
            case "odd state":
                await ctx.store.set("draft", object())
            case "large result":
                return StopEvent(result=noise(2 * LIMIT))
            case "odd wait":
                await ctx.wait_for_event(HumanResponseEvent, requirements={"x": object()})
            case "large state and an error":
                await ctx.store.set("draft", noise(2 * LIMIT))
                raise ConnectionError("its own")
        return InputRequiredEvent(prefix="?")

    @step
    async def end(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=await ctx.store.get("draft"))


class Persistent(Growing):
    """Tries again, and is content with less the third time."""

    @step(retry_policy=AT_ONCE)
    async def grow(self, ctx: Context, ev: Go) -> InputRequiredEvent | StopEvent:
        if ctx.retry_info().retry_number == 2:
            self.left = "nothing"
        return await super().grow(ctx, ev)


class Careful(Growing):
    """Says what became of a step that failed."""

    @catch_error
    async def give_up(self, ctx: Context, ev: StepFailedEvent) -> StopEvent:
        return StopEvent(result=[ev.step_name, str(ev.exception), await ctx.store.get("draft")])


async def ran(world: StoreWithClock, flow: Workflow, **options: Any) -> RunView:
    runner = Runner(world.store, limit_bytes=LIMIT, **options)
    return await runner.drain(await runner.start(flow))


async def stored(store: RunStore, flow: Workflow, run_id: str) -> dict[str, Any]:
    state = load_fields(flow.definition, await store.state(run_id))
    return dict(state.store)


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        ("large state", r"state is 13\d\.\d KiB compressed, of 64\.0 KiB at most: state\.draft 13\d\.\d KiB"),
        ("odd state", r"state\.draft: a builtins\.object cannot be stored"),
        ("large result", r"state is 13\d\.\d KiB compressed, .*: events and calls 13\d\.\d KiB"),
        ("odd wait", r"requirements of .* cannot be stored"),
    ],
)
async def test_a_step_fails_that_leaves_what_cannot_be_stored(world: StoreWithClock, left: str, reason: str) -> None:
    """Behaviour 69."""
    flow = Growing(left)

    view = await ran(world, flow)

    assert view.status == "failed"
    assert flow.tries == [0]
    with pytest.raises(Exception, match=reason):
        raise view.error or AssertionError("no error")
    assert await stored(world.store, flow, view.run_id) == {"draft": "small"}


async def test_a_retry_begins_where_the_run_was_committed(world: StoreWithClock) -> None:
    """Behaviour 69."""
    flow = Persistent("large state")

    view = await ran(world, flow)

    assert flow.tries == [0, 1, 2]
    assert len(view.asks) == 1
    assert await stored(world.store, flow, view.run_id) == {"draft": "small", "n": 3}


@pytest.mark.parametrize("left", ["large state", "odd state"])
async def test_a_handler_of_errors_is_told_and_sees_the_committed_state(world: StoreWithClock, left: str) -> None:
    """Behaviour 69."""
    view = await ran(world, Careful(left))

    assert view.status == "done"
    assert view.result[0] == "grow"
    assert "state.draft" in view.result[1]
    assert view.result[2] == "small"


async def test_a_step_that_fails_by_itself_keeps_its_own_reason(world: StoreWithClock) -> None:
    flow = Growing("large state and an error")

    view = await ran(world, flow)

    assert "its own" in str(view.error)
    assert await stored(world.store, flow, view.run_id) == {"draft": "small"}


async def test_what_a_step_had_remembered_is_not_done_again(world: StoreWithClock) -> None:
    """Behaviour 17."""
    paid: list[int] = []

    class Flow(Workflow):
        @step(retry_policy=AT_ONCE)
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            await ctx.once("pay", paid.append, 1)
            await ctx.effect("send", paid.append, 2)
            if ctx.retry_info().retry_number == 0:
                await ctx.store.set("draft", noise(2 * LIMIT))
            return StopEvent()

    view = await ran(world, Flow())

    assert view.status == "done"
    assert paid == [1, 2]


async def test_a_step_beside_the_one_that_fails_begins_anew_and_has_not_failed(world: StoreWithClock) -> None:
    began: list[int] = []
    both = asyncio.Event()

    class Flow(Workflow):
        @step
        async def split(self, ctx: Context, ev: StartEvent) -> Go | None:
            ctx.send_event(Go(n=1))
            ctx.send_event(Go(n=2))
            return None

        @step
        async def grow(self, ctx: Context, ev: Go) -> StopEvent | None:
            began.append(ev.n)
            if ev.n == 2 and began.count(2) == 1:
                both.set()
                await asyncio.Event().wait()
            await both.wait()
            if ev.n == 1:
                await ctx.store.set("draft", noise(2 * LIMIT))
                return None
            return StopEvent(result=ctx.retry_info().retry_number)

        @catch_error
        async def go_on(self, ev: StepFailedEvent) -> None:
            return None

    view = await ran(world, Flow())

    assert view.result == 0
    assert sorted(began) == [1, 2, 2]


async def test_an_event_from_outside_that_is_too_large_ends_the_run(world: StoreWithClock) -> None:
    class Flow(Workflow):
        @step
        async def ask(self, ev: StartEvent) -> InputRequiredEvent:
            return InputRequiredEvent(prefix="?")

        @step
        async def take(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
            await ctx.wait_for_event(HumanResponseEvent, prompt="And?")
            return StopEvent()

    runner = Runner(world.store, limit_bytes=LIMIT)
    run_id = await runner.start(Flow())
    (ask,) = (await runner.drain(run_id)).asks

    await runner.answer(run_id, ask.id, "x", user_id="U1", text=noise(2 * LIMIT))
    view = await runner.drain(run_id)

    assert view.status == "failed"
    assert "events and calls" in str(view.error)


@pytest.mark.parametrize("draft", ["small", "too large"])
async def test_what_this_code_cannot_read_parks_a_run_that_is_at_work(world: StoreWithClock, draft: str) -> None:
    """Newer code may have sent it; what the run had come to by then is kept."""

    class Flow(Workflow):
        @step
        async def begin(self, ctx: Context, ev: StartEvent) -> Go:
            await ctx.store.set("begun", True)
            await world.store.send(run_id, "d1", b'{"$": "model", "t": "Newer", "v": {}}')
            return Go()

        @step
        async def go_on(self, ctx: Context, ev: Go) -> InputRequiredEvent | StopEvent:
            await ctx.store.set("draft", b"" if draft == "small" else noise(2 * LIMIT))
            return InputRequiredEvent(prefix="?")

    flow = Flow()
    runner = Runner(world.store, limit_bytes=LIMIT)
    run_id = await runner.start(flow)

    view = await runner.drain(run_id)

    assert view.status == "parked"
    assert (await stored(world.store, flow, run_id))["begun"]
    assert "names 'Newer', which this workflow does not know" in (await world.store.journal(run_id))[-1].details["note"]


async def test_a_run_that_grows_heavy_is_told_of_once(world: StoreWithClock, caplog: pytest.LogCaptureFixture) -> None:
    class Flow(Growing):
        @step
        async def grow(self, ctx: Context, ev: Go) -> InputRequiredEvent | StopEvent:
            await ctx.store.set("draft", noise(LIMIT // 2))
            return InputRequiredEvent(prefix="?")

    with caplog.at_level(logging.WARNING):
        view = await ran(world, Flow(""), warn_bytes=LIMIT // 4)

    assert view.asks
    told = [record.__dict__["reason"] for record in caplog.records]
    assert len(told) == 1
    assert "state.draft 32." in told[0]
