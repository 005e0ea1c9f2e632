"""One run in this process: how it begins, what it is told from outside, and how it ends."""

import asyncio
import contextlib
import gc
import threading
import weakref
from typing import Any

import pytest

from engine import (
    Context,
    ContextStateError,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    WorkflowRuntimeError,
    step,
)
from engine.core.model import DictState
from engine.events import InternalDispatchEvent, UnhandledEvent
from engine.handler import WorkflowHandler
from tests.unit.engine.turns import until


class A(Event): ...


class B(Event): ...


class Echo(Workflow):
    @step
    async def only(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result=ev.get("text"))


class Count(Workflow):
    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        n = await ctx.store.get("n", default=0) + 1
        await ctx.store.set("n", n)
        return StopEvent(result=n)


class Approve(Workflow):
    """Asks, and ends with the answer. It also takes an A, from outside, and counts those."""

    @step
    async def ask(self, ctx: Context, ev: StartEvent) -> InputRequiredEvent | A:
        return InputRequiredEvent(prefix="Good?")

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)

    @step
    async def count(self, ctx: Context, ev: A) -> None:
        await ctx.store.set("n", await ctx.store.get("n", default=0) + 1)


async def paused(handler: WorkflowHandler) -> InputRequiredEvent:
    """Wait until the run asks."""
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            return event
    raise AssertionError("the run asked nothing")


async def internal(handler: WorkflowHandler) -> list[Event]:
    return [ev async for ev in handler.stream_events(expose_internal=True) if isinstance(ev, InternalDispatchEvent)]


# --- The result --------------------------------------------------------------------------------


async def test_awaiting_a_run_gives_its_result_as_often_as_you_like() -> None:
    """Behaviour 29."""
    handler = Echo().run(text="x")

    assert await handler == "x"
    assert await handler == "x"
    assert handler.is_done()


async def test_the_event_that_ended_a_run_can_be_had_without_raising() -> None:
    """Behaviour 29."""
    handler = Echo().run(text="x")
    assert handler.get_stop_event() is None

    stop = await handler.stop_event_result()

    assert isinstance(stop, StopEvent)
    assert stop.result == "x"
    assert handler.get_stop_event() is stop


async def test_a_handler_tells_what_it_is() -> None:
    handler = Echo(workflow_name="echo").run(text="x", run_id="r1")
    assert str(handler) == "WorkflowHandler(workflow=echo, run_id=r1, result=None)"

    await handler

    assert str(handler) == "WorkflowHandler(workflow=echo, run_id=r1, result=x)"


async def test_a_run_has_the_id_it_is_given_or_one_of_its_own() -> None:
    flow = Echo()
    named, first, second = flow.run(run_id="r1"), flow.run(), flow.run()

    assert named.run_id == "r1"
    assert len({first.run_id, second.run_id, ""}) == 3
    for handler in (named, first, second):
        await handler


async def test_the_id_of_a_run_that_goes_on_cannot_be_used_again() -> None:
    handler = Approve().run(run_id="r1")

    with pytest.raises(RuntimeError, match="Workflow run with run_id 'r1' already exists"):
        Echo().run(run_id="r1")

    await handler.cancel_run()
    assert await Echo().run(run_id="r1", text="free again") == "free again"


async def test_a_failing_step_raises_its_own_error_each_time() -> None:
    """Behaviour 25."""

    class Flow(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            raise LookupError("no draft")

    handler = Flow().run()

    for _ in range(2):
        with pytest.raises(LookupError, match="no draft"):
            await handler
    assert handler.is_done()


def test_a_run_needs_an_event_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        Echo().run()


async def test_a_run_that_nobody_awaits_goes_on() -> None:
    """Behaviour 64."""
    done = asyncio.Event()

    class Flow(Workflow):
        @step
        async def first(self, ev: StartEvent) -> A:
            await asyncio.sleep(0)
            return A()

        @step
        async def second(self, ev: A) -> StopEvent:
            done.set()
            return StopEvent()

    Flow().run()
    gc.collect()

    async with asyncio.timeout(5):
        await done.wait()


# --- Contexts -------------------------------------------------------------------------------------


async def test_runs_of_one_context_share_its_store() -> None:
    """Behaviour 47."""
    flow = Count()
    ctx = Context[DictState](flow)

    assert [await flow.run(ctx=ctx) for _ in range(3)] == [1, 2, 3]


async def test_runs_of_different_contexts_share_nothing() -> None:
    """Behaviour 47."""
    flow = Count()

    assert [await flow.run() for _ in range(3)] == [1, 1, 1]


async def test_the_context_that_was_given_is_the_handlers() -> None:
    flow = Echo()
    ctx = Context[DictState](flow)

    handler = flow.run(ctx=ctx)

    assert handler.ctx is ctx
    assert ctx.is_running
    await handler
    assert not ctx.is_running


async def test_a_context_runs_one_run_at_a_time() -> None:
    """Behaviour 48."""
    flow = Approve()
    handler = flow.run()

    with pytest.raises(ContextStateError, match="Cannot start a new run while context is already running"):
        flow.run(ctx=handler.ctx)

    await handler.cancel_run()
    assert flow.run(ctx=handler.ctx).ctx is handler.ctx


async def test_a_context_before_its_run_takes_no_event() -> None:
    """Behaviour 37."""
    ctx = Context[DictState](Approve())

    with pytest.raises(ContextStateError, match=r"send_event\(\) called before workflow started"):
        ctx.send_event(HumanResponseEvent(response="yes"))
    with pytest.raises(ContextStateError, match="stream_events requires a running workflow"):
        ctx.stream_events()
    with pytest.raises(ContextStateError, match="running_steps requires a running workflow"):
        await ctx.running_steps()


async def test_the_steps_at_work_can_be_listed() -> None:
    go = asyncio.Event()

    class Flow(Workflow):
        @step
        async def first(self, ev: StartEvent) -> StopEvent:
            await go.wait()
            return StopEvent()

    handler = Flow().run()
    await asyncio.sleep(0)

    assert await handler.ctx.running_steps() == ["first"]
    go.set()
    await handler
    assert await handler.ctx.running_steps() == []


# --- Events from outside ----------------------------------------------------------------------------


async def test_the_handler_and_its_context_both_send() -> None:
    """Behaviour 2, 3."""
    flow = Approve()
    first, second = flow.run(), flow.run()
    await paused(first)
    await paused(second)

    first.ctx.send_event(HumanResponseEvent(response="by context"))
    await second.send_event(HumanResponseEvent(response="by handler"))

    assert [await first, await second] == ["by context", "by handler"]


async def test_an_event_sent_as_soon_as_the_run_is_made_is_handled_once() -> None:
    """Behaviour 33."""
    handler = Approve().run()

    handler.ctx.send_event(A())
    await paused(handler)
    handler.ctx.send_event(HumanResponseEvent(response="yes"))
    await handler

    assert await handler.ctx.store.get("n") == 1


@pytest.mark.parametrize("when", ["outside", "inside"])
async def test_a_target_that_makes_no_sense_is_told_at_once(when: str) -> None:
    """Behaviour 32."""
    told = []

    def send(ctx: Context, event: Event, to: str) -> None:
        try:
            ctx.send_event(event, step=to)
        except WorkflowRuntimeError as error:
            told.append(str(error))

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent | HumanResponseEvent) -> StopEvent | InputRequiredEvent:
            if when == "inside":
                send(ctx, A(), "nowhere")
                send(ctx, A(), "only")
            return InputRequiredEvent() if isinstance(ev, StartEvent) else StopEvent()

    handler = Flow().run()
    await paused(handler)
    if when == "outside":
        send(handler.ctx, A(), "nowhere")
        send(handler.ctx, A(), "only")
    await handler.cancel_run()

    assert told == ["Step nowhere does not exist", f"Step only does not accept event of type {A}"]


async def test_an_event_that_nobody_takes_is_told_and_does_no_harm() -> None:
    """Behaviour 31."""
    handler = Approve().run()
    await paused(handler)

    handler.ctx.send_event(B())
    handler.ctx.send_event(HumanResponseEvent(response="yes"))

    (told,) = [event for event in await internal(handler) if isinstance(event, UnhandledEvent)]
    assert isinstance(told, UnhandledEvent)
    assert (told.event_type, told.step_name, told.idle) == ("B", None, True)
    assert told.qualified_name.endswith("test_runs.B")
    assert await handler == "yes"


async def test_a_stop_event_from_outside_does_not_end_the_run() -> None:
    """Behaviour 31."""
    handler = Approve().run()
    await paused(handler)

    handler.ctx.send_event(StopEvent(result="mine"))
    handler.ctx.send_event(HumanResponseEvent(response="yes"))

    (told,) = [event for event in await internal(handler) if isinstance(event, UnhandledEvent)]
    assert isinstance(told, UnhandledEvent)
    assert told.event_type == "StopEvent"
    assert await handler == "yes"


async def test_an_event_for_a_run_that_is_over_is_refused() -> None:
    """Behaviour 33."""
    handler = Echo().run()
    await handler

    with pytest.raises(WorkflowRuntimeError, match=r"HumanResponseEvent not delivered: the run is over \(done\)"):
        handler.ctx.send_event(HumanResponseEvent(response="late"))


async def test_another_thread_may_answer() -> None:
    """Behaviour 33."""
    handler = Approve().run()
    await paused(handler)

    thread = threading.Thread(target=handler.ctx.send_event, args=(HumanResponseEvent(response="from a thread"),))
    thread.start()

    assert await handler == "from a thread"
    thread.join()


async def test_many_threads_lose_no_event() -> None:
    """Behaviour 33."""
    handler = Approve().run()
    await paused(handler)

    def send() -> None:
        for _ in range(20):
            handler.ctx.send_event(A())

    await asyncio.to_thread(_in_threads, send, 5)
    handler.ctx.send_event(A())
    await until(lambda: handler.ctx.to_dict()["store"].get("n") == 101)

    await handler.cancel_run()


def _in_threads(work: Any, count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- Steps side by side ------------------------------------------------------------------------------


class Crowd(Workflow):
    """Sends *count* events to a step of two workers, which all must come to an end."""

    @step
    async def split(self, ctx: Context, ev: StartEvent) -> A | None:
        for _ in range(ev.count):
            ctx.send_event(A())
        return None

    @step(num_workers=2)
    async def work(self, ctx: Context, ev: A) -> StopEvent | None:
        at_work = await ctx.store.get("at_work", default=0) + 1
        await ctx.store.set("at_work", at_work)
        await ctx.store.set("most", max(at_work, await ctx.store.get("most", default=0)))
        for _ in range(3):
            await asyncio.sleep(0)
        await ctx.store.set("at_work", await ctx.store.get("at_work") - 1)
        done = await ctx.store.get("done", default=0) + 1
        await ctx.store.set("done", done)
        return StopEvent(result=await ctx.store.get("most")) if done == 9 else None


async def test_a_step_has_no_more_calls_than_workers() -> None:
    """Behaviour 56."""
    handler = Crowd().run(count=9)

    assert await handler == 2
    assert await handler.ctx.store.get("done") == 9


async def test_events_that_wait_for_a_worker_come_in_order() -> None:
    """Behaviour 56."""
    seen = []

    class Flow(Workflow):
        @step
        async def split(self, ctx: Context, ev: StartEvent) -> A | None:
            for n in range(5):
                ctx.send_event(A(n=n))
            return None

        @step(num_workers=1)
        async def work(self, ev: A) -> StopEvent | None:
            seen.append(ev.n)
            await asyncio.sleep(0)
            return StopEvent() if len(seen) == 5 else None

    await Flow().run()

    assert seen == [0, 1, 2, 3, 4]


async def test_the_first_stop_event_ends_the_others() -> None:
    """Behaviour 28."""
    unwound = []

    class Flow(Workflow):
        @step
        async def split(self, ev: StartEvent) -> A:
            return A()

        @step
        async def slow(self, ctx: Context, ev: A) -> StopEvent | None:
            try:
                await asyncio.Event().wait()
            finally:
                unwound.append("slow")
                ctx.write_event_to_stream(B())
                await ctx.store.set("late", True)
            return None

        @step
        async def fast(self, ev: A) -> StopEvent:
            return StopEvent(result="fast")

    handler = Flow().run()
    seen = [event async for event in handler.stream_events()]

    assert await handler == "fast"
    assert [type(event) for event in seen] == [StopEvent]
    assert unwound == ["slow"]
    assert await handler.ctx.store.get("late", default=False) is False


@pytest.mark.parametrize("swallows", [False, True])
async def test_a_lone_step_is_ended_by_one_that_it_called_up(swallows: bool) -> None:
    """Behaviour 28."""

    class Flow(Workflow):
        @step
        async def lone(self, ctx: Context, ev: StartEvent) -> A | StopEvent:
            ctx.send_event(A())
            with contextlib.suppress(*([asyncio.CancelledError] if swallows else [])):
                await asyncio.Event().wait()
            return StopEvent(result="lone")

        @step
        async def other(self, ev: A) -> StopEvent:
            return StopEvent(result="other")

    assert await Flow().run() == "other"


async def test_a_lone_step_does_not_keep_events_from_outside_waiting() -> None:
    """Behaviour 2."""
    begun = asyncio.Event()

    class Flow(Workflow):
        @step
        async def lone(self, ev: StartEvent) -> InputRequiredEvent:
            begun.set()
            await asyncio.Event().wait()
            return InputRequiredEvent()

        @step
        async def decide(self, ev: HumanResponseEvent) -> StopEvent:
            return StopEvent(result=ev.response)

    handler = Flow().run()
    await begun.wait()

    handler.ctx.send_event(HumanResponseEvent(response="yes"))

    assert await handler == "yes"


async def test_a_run_of_quick_steps_leaves_room_for_others() -> None:
    turns = 0

    class Flow(Workflow):
        @step
        async def spin(self, ev: StartEvent | A) -> A | StopEvent:
            return StopEvent() if ev.get("n", 0) >= 100 else A(n=ev.get("n", 0) + 1)

    handler = Flow().run()
    while not handler.is_done():
        turns += 1
        await asyncio.sleep(0)

    assert turns > 10


async def test_the_number_of_runs_at_once_can_be_limited() -> None:
    """Behaviour 62."""
    flow = Approve(num_concurrent_runs=1)
    first, second = flow.run(), flow.run()
    await paused(first)
    assert second.ctx.open_asks == []

    first.ctx.send_event(HumanResponseEvent(response="one"))
    await paused(second)
    second.ctx.send_event(HumanResponseEvent(response="two"))

    assert [await first, await second] == ["one", "two"]


async def test_a_thousand_steps_in_a_row_take_no_stack() -> None:
    class Flow(Workflow):
        @step
        async def spin(self, ev: StartEvent | A) -> A | StopEvent:
            return StopEvent(result=ev.n) if ev.get("n", 0) == 1_000 else A(n=ev.get("n", 0) + 1)

    assert await Flow().run() == 1_000


# --- What must not escape, and what must -----------------------------------------------------------------


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_a_step_that_ends_the_program_ends_the_program(error: BaseException) -> None:
    class Flow(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            raise error

    async def main() -> None:
        await Flow().run()

    with pytest.raises(type(error)):
        asyncio.run(main())


async def test_a_run_within_a_step_is_a_run_of_its_own() -> None:
    class Outer(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            inner = await Echo().run(text="inner")
            assert Context.get_step_context() is ctx
            return StopEvent(result=inner)

    assert await Outer().run() == "inner"


async def test_cancelling_whoever_awaits_a_run_leaves_the_run_alone() -> None:
    handler = Approve().run()
    await paused(handler)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(handler.stop_event_result())
        await asyncio.sleep(0)
        waiting.cancel()

    handler.ctx.send_event(HumanResponseEvent(response="yes"))

    assert await handler == "yes"


def test_a_run_whose_loop_has_died_can_go_on_in_another() -> None:
    """Behaviour 35, 43, 48."""
    flow = Approve()
    ctx = Context[DictState](flow)

    async def begin() -> None:
        await paused(flow.run(ctx=ctx))

    async def finish() -> Any:
        handler = flow.run(ctx=ctx)
        await paused(handler)
        ctx.send_event(HumanResponseEvent(response="in another loop"))
        return await handler

    asyncio.run(begin())

    assert ctx.is_running
    assert asyncio.run(finish()) == "in another loop"


class Fussy(Approve):
    """Fails on every answer."""

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        raise ValueError(ev.response)


@pytest.mark.parametrize("end", ["done", "failed", "cancelled"])
async def test_a_finished_run_leaves_nothing_behind(end: str) -> None:
    """Behaviour 64."""

    async def run() -> list[weakref.ref[Any]]:
        flow = Fussy() if end == "failed" else Approve()
        handler = flow.run(text="x")
        await paused(handler)
        if end == "cancelled":
            await handler.cancel_run()
        else:
            handler.ctx.send_event(HumanResponseEvent(response="yes"))
        await handler.stop_event_result()
        return [weakref.ref(thing) for thing in (flow, handler, handler.ctx, handler.get_stop_event())]

    left = await run()
    await asyncio.sleep(0)
    gc.collect()

    assert [ref() for ref in left] == [None] * 4


async def test_a_finished_run_leaves_nothing_to_the_garbage_collector() -> None:
    """What refers to itself stays until a pass over the whole heap, and such passes were a third of a busy process."""

    async def run() -> object:
        handler = Approve().run()
        async for event in handler.stream_events():
            if isinstance(event, InputRequiredEvent):
                handler.ctx.send_event(HumanResponseEvent(response="yes"))
        return await handler

    await run()  # classes are read and validators built the first time
    gc.collect()
    gc.disable()
    try:
        assert await run() == "yes"
        await asyncio.sleep(0)  # its task lets go of it

        assert gc.collect() == 0
    finally:
        gc.enable()
