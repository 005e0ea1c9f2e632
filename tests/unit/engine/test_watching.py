"""What ``stream_events(expose_internal=True)`` tells of the engine's own work."""

from __future__ import annotations

import asyncio

from engine import Context, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.events import StepState, StepStateChanged, WorkflowIdleEvent
from engine.handler import WorkflowHandler


class A(Event):
    pass


class Asking(Workflow):
    @step
    async def gen(self, ev: StartEvent) -> A:
        return A()

    @step
    async def ask(self, ev: A) -> InputRequiredEvent:
        return InputRequiredEvent(prefix="?")

    @step
    async def end(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=1)


class Queueing(Workflow):
    @step
    async def gen(self, ctx: Context, ev: StartEvent) -> A | None:
        for _ in range(3):
            ctx.send_event(A())
        return None

    @step(num_workers=1)
    async def one(self, ctx: Context, ev: A) -> StopEvent | None:
        await asyncio.sleep(0)
        return StopEvent() if ctx.collect_events(ev, [A] * 3) else None


async def told(handler: WorkflowHandler) -> list[str]:
    """Stream a run to its end, answering when it is idle; each event in a word or two."""
    found: list[str] = []
    async for event in handler.stream_events(expose_internal=True):
        found.append(
            f"{event.name} {event.step_state}" if isinstance(event, StepStateChanged) else type(event).__name__
        )
        if isinstance(event, WorkflowIdleEvent):
            handler.ctx.send_event(HumanResponseEvent(response="y"))
    return found


async def test_each_call_is_told_to_begin_and_to_end_and_the_run_to_be_idle() -> None:
    """Behaviour 30."""
    assert await told(Asking().run()) == [
        "gen running",
        "gen not_running",
        "ask running",
        "ask not_running",
        "InputRequiredEvent",
        "WorkflowIdleEvent",
        "end running",
        "end not_running",
        "StopEvent",
    ]


async def test_a_call_that_must_wait_for_a_worker_is_told_once() -> None:
    """Behaviour 56."""
    assert (await told(Queueing().run())).count("one preparing") == 2


async def test_a_run_that_ends_over_calls_that_wait_is_told_to_its_end() -> None:
    """Behaviour 28, 30: the worker that the end frees takes up nothing more."""

    class Ending(Queueing):
        @step(num_workers=1)
        async def one(self, ctx: Context, ev: A) -> StopEvent:
            return StopEvent()

    assert (await told(Ending().run()))[-2:] == ["one not_running", "StopEvent"]


async def test_events_are_named_as_in_llamaindex() -> None:
    handler = Asking().run()

    seen = [e async for e in handler.stream_events(expose_internal=True) if await answered(handler, e)]

    begin, end = seen[0], seen[1]
    assert (begin.worker_id, begin.input_event_name, begin.output_event_name) == ("0", "StartEvent", None)
    assert (end.step_state, end.input_event_name) == (StepState.NOT_RUNNING, "<class 'engine.events.StartEvent'>")
    assert end.output_event_name == f"<class '{A.__module__}.A'>"


async def test_nobody_is_told_who_does_not_ask() -> None:
    handler = Asking().run()

    seen = [type(e).__name__ async for e in handler.stream_events() if await answered(handler, e)]

    assert seen == ["InputRequiredEvent", "StopEvent"]


async def answered(handler: WorkflowHandler, event: Event) -> bool:
    if isinstance(event, InputRequiredEvent):
        handler.ctx.send_event(HumanResponseEvent(response="y"))
    return True
