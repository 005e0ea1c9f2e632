"""Ends that no step decides: time runs out, or somebody cancels."""

import asyncio
import json
import threading
import time
from typing import Any

import pytest

from engine import (
    AskExpired,
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    WorkflowCancelledByUser,
    WorkflowTimeoutError,
    step,
)
from engine.events import WorkflowCancelledEvent, WorkflowTimedOutEvent
from engine.handler import WorkflowHandler
from tests.unit.engine.turns import until

SOON_S = 0.02


class A(Event): ...


class Ask(Workflow):
    """Asks with the options it is given; ends with the answer, or with word that there was none."""

    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(prefix="?", **ev.to_dict())

    @step
    async def decide(self, ev: HumanResponseEvent | AskExpired) -> StopEvent:
        return StopEvent(result="nobody" if isinstance(ev, AskExpired) else ev.response)


class Stuck(Workflow):
    """A step that never ends, and one beside it on request."""

    @step
    async def first(self, ctx: Context, ev: StartEvent) -> StopEvent | A:
        if ev.get("beside"):
            ctx.send_event(A())
        await asyncio.Event().wait()
        return StopEvent()

    @step
    async def second(self, ev: A) -> None:
        await asyncio.Event().wait()


async def paused(handler: WorkflowHandler) -> None:
    await until(lambda: handler.ctx.open_asks)


# --- Timeouts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("beside", "steps"), [(False, "first"), (True, "first, second")])
async def test_a_run_that_takes_too_long_names_what_it_was_doing(beside: bool, steps: str) -> None:
    """Behaviour 26."""
    handler = Stuck(timeout=SOON_S).run(beside=beside)
    seen = [event async for event in handler.stream_events()]

    with pytest.raises(WorkflowTimeoutError) as timed_out:
        await handler
    assert str(timed_out.value) == f"Operation timed out after 0.02 seconds. Currently active steps: {steps}"
    (last,) = seen
    assert isinstance(last, WorkflowTimedOutEvent)
    assert (last.timeout, last.active_steps) == (SOON_S, steps.split(", "))


async def test_waiting_for_a_person_counts_in_process() -> None:
    """Behaviour 26, 51."""
    handler = Ask(timeout=SOON_S).run()

    with pytest.raises(WorkflowTimeoutError, match=r"Operation timed out after 0.02 seconds. No steps active"):
        await handler


async def test_a_timeout_reads_the_same_whether_integer_or_not() -> None:
    """Behaviour 26."""
    assert Ask(timeout=300).definition.timeout == 300.0
    assert str(Ask(timeout=300).definition.timeout) == "300.0"


@pytest.mark.parametrize("timeout", [None, float("inf")])
async def test_a_run_may_have_no_timeout(timeout: float | None) -> None:
    """Behaviour 26."""
    handler = Ask(timeout=timeout).run()
    await paused(handler)

    snapshot = json.loads(json.dumps(handler.ctx.to_dict(), allow_nan=False))
    handler.ctx.send_event(HumanResponseEvent(response="yes"))

    assert await handler == "yes"
    assert Context[Any].from_dict(Ask(timeout=timeout), snapshot).is_running


async def test_steps_that_never_wait_do_not_hold_time_up() -> None:
    """Behaviour 26."""

    class Flow(Workflow):
        @step
        async def spin(self, ev: StartEvent | A) -> A | StopEvent:
            return A()

    with pytest.raises(WorkflowTimeoutError):
        await Flow(timeout=SOON_S).run()


async def test_a_step_in_a_thread_does_not_hold_time_up() -> None:
    """Behaviour 26."""
    go = threading.Event()

    class Flow(Workflow):
        @step
        def only(self, ev: StartEvent) -> StopEvent:
            go.wait(10)
            return StopEvent()

    try:
        with pytest.raises(WorkflowTimeoutError, match="Currently active steps: only"):
            await Flow(timeout=SOON_S).run()
    finally:
        go.set()


async def test_a_wait_has_its_own_timeout() -> None:
    """Behaviour 13."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            try:
                await ctx.wait_for_event(HumanResponseEvent, prompt="?", timeout=SOON_S)
            except TimeoutError as error:
                return StopEvent(result=str(error))
            return StopEvent()

    handler = Flow().run()

    assert await handler == "Timed out waiting for HumanResponseEvent"
    assert handler.ctx.open_asks == []


async def test_a_wait_that_nobody_catches_fails_the_run() -> None:
    """Behaviour 13, 25."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            await ctx.wait_for_event(A, timeout=SOON_S)
            return StopEvent()

    with pytest.raises(asyncio.TimeoutError, match="Timed out waiting for A"):
        await Flow().run()


@pytest.mark.parametrize("timeout", [None, float("inf")])
async def test_a_wait_may_last_for_ever(timeout: float | None) -> None:
    """Behaviour 13."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            await ctx.wait_for_event(HumanResponseEvent, prompt="?", timeout=timeout)
            return StopEvent()

    handler = Flow().run()
    await paused(handler)

    (call,) = handler.ctx.to_dict()["calls"]
    assert call["waits"][0]["deadline"] is None
    await handler.cancel_run()


async def test_a_wait_lasts_two_thousand_seconds_unless_told() -> None:
    """Behaviour 13."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            await ctx.wait_for_event(HumanResponseEvent, prompt="?")
            return StopEvent()

    handler = Flow().run()
    await paused(handler)

    (call,) = handler.ctx.to_dict()["calls"]
    assert time.time() + 1_900 < call["waits"][0]["deadline"] < time.time() + 2_000
    await handler.cancel_run()


async def test_a_question_that_expires_is_told_to_the_step_that_wants_to_know() -> None:
    assert await Ask().run(timeout=SOON_S) == "nobody"


async def test_a_question_that_expires_gets_the_answer_its_author_named() -> None:
    assert await Ask().run(timeout=SOON_S, on_timeout="reject") == "reject"


async def test_a_question_that_must_be_answered_fails_the_run() -> None:
    handler = Ask().run(timeout=SOON_S, on_timeout="fail")

    with pytest.raises(WorkflowTimeoutError, match="Nobody answered question a2 within"):
        await handler
    assert isinstance(handler.get_stop_event(), WorkflowTimedOutEvent)


async def test_a_question_of_a_wait_expires_within_the_step() -> None:
    """Behaviour 13."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            question = InputRequiredEvent(prefix="?", timeout=SOON_S, on_timeout=ev.get("on_timeout"))
            answer = await ctx.wait_for_event(HumanResponseEvent, waiter_event=question)
            return StopEvent(result=answer.response)

    assert await Flow().run(on_timeout="reject") == "reject"
    with pytest.raises(asyncio.TimeoutError, match="Timed out waiting for HumanResponseEvent"):
        await Flow().run()


async def test_an_overdue_deadline_fires_once_and_at_once_after_a_restore() -> None:
    """Behaviour 14."""
    flow = Ask()
    handler = flow.run(timeout=1_000, on_timeout="reject")
    await paused(handler)
    snapshot = handler.ctx.to_dict()
    await handler.cancel_run()
    snapshot["asks"][0]["deadline"] = 1.0

    assert await flow.run(ctx=Context[Any].from_dict(flow, snapshot)) == "reject"


# --- Cancelling --------------------------------------------------------------------------------------


@pytest.mark.parametrize("beside", [False, True])
async def test_a_cancelled_run_says_so_everywhere(beside: bool) -> None:
    """Behaviour 27."""
    handler = Stuck().run(beside=beside)
    await asyncio.sleep(0)
    assert await handler.ctx.running_steps()

    await handler.cancel_run()

    assert handler.is_done()
    assert [type(event) async for event in handler.stream_events()] == [WorkflowCancelledEvent]
    assert isinstance(handler.get_stop_event(), WorkflowCancelledEvent)
    with pytest.raises(WorkflowCancelledByUser):
        await handler


async def test_a_run_may_be_cancelled_twice_and_after_its_end() -> None:
    """Behaviour 27."""
    cancelled, done = Ask().run(), Ask().run()
    await paused(done)
    done.ctx.send_event(HumanResponseEvent(response="yes"))
    await done

    for handler in (cancelled, cancelled, done):
        await handler.cancel_run()

    assert await done == "yes"


async def test_cancelling_waits_for_steps_to_unwind() -> None:
    """Behaviour 27."""
    unwound = []
    begun = asyncio.Event()

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            try:
                begun.set()
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                await ctx.store.set("late", True)
                unwound.append(True)
            return StopEvent()

    handler = Flow().run()
    await begun.wait()
    await handler.cancel_run()

    assert unwound == [True]
    assert await handler.ctx.store.get("late", default=None) is None


async def test_cancelling_does_not_wait_for_ever() -> None:
    """Behaviour 27."""
    begun, go = asyncio.Event(), asyncio.Event()

    class Flow(Workflow):
        @step
        async def stubborn(self, ev: StartEvent) -> StopEvent:
            begun.set()
            while not go.is_set():
                try:
                    await go.wait()
                except asyncio.CancelledError:
                    continue
            return StopEvent()

    handler = Flow().run()
    await begun.wait()

    await handler.cancel_run(timeout=SOON_S)

    assert not handler.is_done()
    go.set()
    with pytest.raises(WorkflowCancelledByUser):
        await handler


@pytest.mark.parametrize("deep", [False, True])
async def test_a_step_may_cancel_its_own_run(deep: bool) -> None:
    """Behaviour 27."""
    handlers: list[WorkflowHandler] = []
    unwound = []

    class Flow(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            try:
                if deep:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(handlers[0].cancel_run(timeout=None))
                        await asyncio.Event().wait()
                await handlers[0].cancel_run(timeout=None)
            finally:
                unwound.append(True)
            return StopEvent()

    handlers.append(Flow().run())

    with pytest.raises(WorkflowCancelledByUser):
        await handlers[0]
    assert unwound == [True]


async def test_another_thread_may_cancel() -> None:
    """Behaviour 27, 33."""
    handler = Ask().run()
    await paused(handler)
    loop = asyncio.get_running_loop()

    def cancel() -> None:
        asyncio.run_coroutine_threadsafe(handler.cancel_run(), loop).result()

    await asyncio.to_thread(cancel)

    assert handler.is_done()


async def test_a_run_without_a_slot_can_be_cancelled() -> None:
    """Behaviour 27, 62."""
    flow = Ask(num_concurrent_runs=1)
    first, second = flow.run(), flow.run()
    await paused(first)

    await second.cancel_run()

    with pytest.raises(WorkflowCancelledByUser):
        await second
    first.ctx.send_event(HumanResponseEvent(response="yes"))
    assert await first == "yes"


async def test_a_cancelled_run_keeps_its_questions_and_the_time_it_has_spent() -> None:
    """Behaviour 27, 42, 51."""
    handler = Ask(timeout=100).run()
    await paused(handler)

    await handler.cancel_run()

    snapshot = handler.ctx.to_dict()
    assert len(snapshot["asks"]) == 1
    assert 0 < snapshot["spent"] < 50
    assert len(Context[Any].from_dict(Ask(timeout=100), snapshot).open_asks) == 1


def test_a_run_ends_with_its_event_loop() -> None:
    handlers: list[WorkflowHandler] = []

    async def main() -> None:
        handlers.append(Stuck().run(beside=True))
        await asyncio.sleep(0)

    asyncio.run(main())

    assert handlers[0].is_done()
    assert handlers[0].get_stop_event() is None
