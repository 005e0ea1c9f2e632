"""Fan-in with ``ctx.collect_events``: each event is handled once, the batch comes once and in order."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Context, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.core.collecting import Buffer, collect
from engine.errors import ContextStateError
from tests.unit.engine.turns import until


class A(Event):
    n: int = 0


class B(Event):
    n: int = 0


class C(Event):
    pass


def types_of(found: list[Event] | None) -> list[type[Event]] | None:
    return None if found is None else [type(event) for event in found]


def test_what_was_expected_comes_in_the_order_it_was_named() -> None:
    """Behaviour 57."""
    buffer = Buffer()

    told = [collect(buffer, event, [A, B, A]) for event in (B(), A(n=1), A(n=2))]

    assert told[:2] == [None, None]
    assert [event.n for event in told[2] or []] == [1, 0, 2]


def test_an_event_that_is_not_or_no_longer_wanted_is_dropped() -> None:
    """Behaviour 57."""
    buffer = Buffer()

    told = [types_of(collect(buffer, event, [A, B])) for event in (C(), A(n=1), A(n=2), B())]

    assert told == [None, None, None, [A, B]]


def test_nothing_expected_is_complete_at_once() -> None:
    assert collect(Buffer(), A(), []) == []


@given(st.lists(st.sampled_from([A, B, C]), min_size=1), st.randoms(use_true_random=False))
def test_any_batch_in_any_order_is_complete_with_its_last_event(expected: list[type[Event]], random: object) -> None:
    """Behaviour 57."""
    shuffled = sorted(expected, key=lambda kind: kind.__name__)
    buffer = Buffer()

    told = [types_of(collect(buffer, kind(), expected)) for kind in shuffled]

    assert told == [None] * (len(expected) - 1) + [expected]


class FanOut(Workflow):
    """Sends work to several workers and collects it; counts how often its bodies run."""

    handled = 0

    @step
    async def spread(self, ctx: Context, ev: StartEvent) -> A | None:
        await ctx.store.set("count", ev.count)
        for n in range(ev.count):
            ctx.send_event(A(n=n))
        return None

    @step(num_workers=3)
    async def work(self, ev: A) -> B:
        await asyncio.sleep(0)
        return B(n=ev.n * ev.n)

    @step
    async def gather(self, ctx: Context, ev: B) -> StopEvent | None:
        type(self).handled += 1
        found = ctx.collect_events(ev, [B] * await ctx.store.get("count"))
        return None if found is None else StopEvent(result=sorted(event.n for event in found))


@pytest.mark.parametrize("count", [1, 7, 200])
async def test_each_event_is_handled_once_and_collected_once(count: int) -> None:
    """Behaviour 57."""
    FanOut.handled = 0

    result = await FanOut().run(count=count)

    assert result == [n * n for n in range(count)]
    assert FanOut.handled == count


class Pausing(Workflow):
    """Has half a batch when it asks a person."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> A | InputRequiredEvent:
        ctx.send_event(A(n=1))
        return InputRequiredEvent(prefix="and the other half?")

    @step
    async def answered(self, ev: HumanResponseEvent) -> B:
        return B(n=int(ev.response))

    @step
    async def gather(self, ctx: Context, ev: A | B) -> StopEvent | None:
        found = ctx.collect_events(ev, [A, B], buffer_id="halves")
        return None if found is None else StopEvent(result=[event.n for event in found])


async def test_half_a_batch_survives_a_snapshot() -> None:
    """Behaviour 44."""
    handler = Pausing().run()
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            break
    await until(lambda: "buffers" in handler.ctx.to_dict())
    saved = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()

    ctx: Context = Context.from_dict(Pausing(), saved)
    ctx.send_event(HumanResponseEvent(response="2"))

    assert await Pausing().run(ctx=ctx) == [1, 2]


class Retold(Workflow):
    """Collects, then waits: its body runs twice."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> A | B | None:
        ctx.send_event(A(n=1))
        ctx.send_event(B(n=2))
        return None

    @step
    async def gather(self, ctx: Context, ev: A | B) -> StopEvent | None:
        found = ctx.collect_events(ev, [A, B])
        if found is None:
            return None
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt="all there: go on?")
        return StopEvent(result=[answer.response, *(event.n for event in found)])


async def test_a_call_that_runs_again_is_given_the_same_batch() -> None:
    """Behaviour 17."""
    handler = Retold().run()

    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            handler.ctx.send_event(HumanResponseEvent(response="yes"))

    assert await handler == ["yes", 1, 2]


class InThreads(Workflow):
    """The same with plain functions, which run in threads."""

    @step
    def begin(self, ctx: Context, ev: StartEvent) -> A | B | None:
        ctx.send_event(A(n=1))
        ctx.send_event(B(n=2))
        return None

    @step
    def gather(self, ctx: Context, ev: A | B) -> StopEvent | None:
        found = ctx.collect_events(ev, [B, A])
        return None if found is None else StopEvent(result=[event.n for event in found])


async def test_a_plain_function_collects_too() -> None:
    assert await InThreads().run() == [2, 1]


def test_only_a_step_collects() -> None:
    with pytest.raises(ContextStateError, match="collect_events requires a running workflow"):
        Context(Pausing()).collect_events(A(), [A])
