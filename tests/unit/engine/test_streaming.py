"""The stream of a run: everything once, in order, to whoever reads it, and an end."""

import asyncio

import pytest

from engine import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    WorkflowRuntimeError,
    step,
)
from engine.events import InternalDispatchEvent, UnhandledEvent, WorkflowFailedEvent, WorkflowIdleEvent
from engine.handler import WorkflowHandler
from engine.retry import retry_policy, wait_fixed
from tests.unit.engine.turns import until


class Note(Event):
    text: str


class Notes(Workflow):
    """Writes notes, asks, writes the answer down."""

    @step
    async def write(self, ctx: Context, ev: StartEvent) -> InputRequiredEvent:
        ctx.write_event_to_stream(Note(text=f"{ev.get('name', '')}1"))
        ctx.write_event_to_stream(None)
        ctx.write_event_to_stream(Note(text=f"{ev.get('name', '')}2"))
        return InputRequiredEvent(prefix="?")

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        ctx.write_event_to_stream(Note(text=ev.response))
        return StopEvent(result="end")


def told(event: Event) -> str:
    return event.text if isinstance(event, Note) else type(event).__name__


async def read(handler: WorkflowHandler) -> list[str]:
    """Read to the end, answering what is asked."""
    seen = []
    async for event in handler.stream_events():
        seen.append(told(event))
        if isinstance(event, InputRequiredEvent):
            handler.ctx.send_event(HumanResponseEvent(response="yes"))
    return seen


async def test_a_question_is_published_once_and_the_run_stays_alive() -> None:
    """Behaviour 1, 2."""
    handler = Notes().run()

    assert await read(handler) == ["1", "2", "InputRequiredEvent", "yes", "StopEvent"]
    assert await handler == "end"


async def test_a_late_reader_gets_everything() -> None:
    """Behaviour 21."""
    handler = Notes().run()
    await until(lambda: handler.ctx.open_asks)
    handler.ctx.send_event(HumanResponseEvent(response="early"))
    await handler

    assert await read_all(handler) == ["1", "2", "InputRequiredEvent", "early", "StopEvent"]


async def read_all(handler: WorkflowHandler) -> list[str]:
    return [told(event) async for event in handler.stream_events()]


async def test_the_context_streams_as_well() -> None:
    """Behaviour 21."""
    handler = Notes().run()
    seen = []
    async for event in handler.ctx.stream_events():
        seen.append(told(event))
        if len(seen) == 3:
            handler.ctx.send_event(HumanResponseEvent(response="yes"))

    assert seen == ["1", "2", "InputRequiredEvent", "yes", "StopEvent"]


async def test_after_the_end_there_is_no_stream() -> None:
    """Behaviour 22."""
    handler = Notes().run()
    await read(handler)

    for _ in range(2):
        with pytest.raises(WorkflowRuntimeError, match="All the streamed events have already been consumed"):
            await read_all(handler)


async def test_leaving_at_the_end_is_an_end_too() -> None:
    """Behaviour 22."""
    handler = Notes().run()
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            handler.ctx.send_event(HumanResponseEvent(response="yes"))
        if isinstance(event, StopEvent):
            break

    with pytest.raises(WorkflowRuntimeError, match="already been consumed"):
        await read_all(handler)


async def test_who_leaves_goes_on_where_they_left() -> None:
    """Behaviour 23."""
    handler = Notes().run()
    async for event in handler.stream_events():
        assert told(event) == "1"
        break

    assert await read(handler) == ["2", "InputRequiredEvent", "yes", "StopEvent"]


async def test_who_leaves_goes_on_even_if_the_old_stream_is_kept() -> None:
    """Behaviour 23."""
    handler = Notes().run()
    old = handler.stream_events()
    assert told(await anext(old)) == "1"

    new = handler.stream_events()

    assert told(await anext(new)) == "2"
    assert told(await anext(old)) == "InputRequiredEvent"
    await old.aclose()
    handler.ctx.send_event(HumanResponseEvent(response="yes"))
    assert told(await anext(new)) == "yes"
    await new.aclose()
    await handler


async def test_a_reader_that_is_cancelled_loses_nothing() -> None:
    """Behaviour 23."""
    handler = Notes().run()
    seen: list[str] = []

    async def listen() -> None:
        async for event in handler.stream_events():
            seen.append(told(event))  # noqa: PERF401 - it is read while it grows

    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(listen())
        await until(lambda: len(seen) == 3)
        listening.cancel()
    handler.ctx.send_event(HumanResponseEvent(response="yes"))

    assert await read_all(handler) == ["yes", "StopEvent"]


async def test_a_second_reader_is_told_while_the_first_listens() -> None:
    """Behaviour 23."""
    handler = Notes().run()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(read_all(handler))
        await until(lambda: handler.ctx.open_asks and handler._channel.awaited)

        with pytest.raises(WorkflowRuntimeError, match="Events can only be streamed once per workflow run"):
            await read_all(handler)
        handler.ctx.send_event(HumanResponseEvent(response="yes"))

    assert first.result() == ["1", "2", "InputRequiredEvent", "yes", "StopEvent"]


async def test_runs_stream_each_their_own() -> None:
    """Behaviour 24."""
    flow = Notes()
    handlers = [flow.run(name=name) for name in "ab"]
    async with asyncio.TaskGroup() as tasks:
        reading = [tasks.create_task(read(handler)) for handler in handlers]

    assert [task.result()[:2] for task in reading] == [["a1", "a2"], ["b1", "b2"]]


async def test_progress_is_seen_while_the_step_still_works() -> None:
    """Behaviour 21."""
    go = asyncio.Event()

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            ctx.write_event_to_stream(Note(text="halfway"))
            await go.wait()
            return StopEvent()

    handler = Flow().run()
    async for event in handler.stream_events():
        if isinstance(event, Note):
            assert not handler.is_done()
            go.set()

    assert handler.is_done()


async def test_a_question_that_a_step_also_takes_is_shown_and_taken() -> None:
    """Behaviour 1."""

    class Flow(Workflow):
        @step
        async def ask(self, ev: StartEvent) -> InputRequiredEvent:
            return InputRequiredEvent(prefix="?")

        @step
        async def see(self, ev: InputRequiredEvent) -> StopEvent:
            return StopEvent(result=ev.prefix)

    handler = Flow().run()

    assert await read_all(handler) == ["InputRequiredEvent", "StopEvent"]
    assert await handler == "?"


async def test_a_failed_run_ends_its_stream_with_the_reason() -> None:
    """Behaviour 25."""

    class Flow(Workflow):
        @step
        async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
            ctx.write_event_to_stream(Note(text="before"))
            raise ValueError("no ink")

    handler = Flow().run()
    seen = [event async for event in handler.stream_events()]

    assert [told(event) for event in seen] == ["before", "WorkflowFailedEvent"]
    failed = seen[-1]
    assert isinstance(failed, WorkflowFailedEvent)
    assert (failed.step_name, str(failed.exception), failed.attempts) == ("write", "no ink", 1)
    assert handler.get_stop_event() is failed


async def test_the_engines_own_events_are_shown_on_request_only() -> None:
    """Behaviour 30, 31."""
    for expose in (False, True):
        handler = Notes().run()
        handler.ctx.send_event(Note(text="for nobody"))
        seen = []
        async for event in handler.stream_events(expose_internal=expose):
            seen.append(event)
            if isinstance(event, InputRequiredEvent):
                handler.ctx.send_event(HumanResponseEvent(response="yes"))

        unhandled = [event for event in seen if isinstance(event, UnhandledEvent)]
        assert len(unhandled) == (1 if expose else 0)
        assert expose or not any(isinstance(event, InternalDispatchEvent) for event in seen)


async def test_a_run_that_will_try_again_is_not_idle() -> None:
    """Behaviour 30."""

    class Flow(Workflow):
        @step(retry_policy=retry_policy(wait=wait_fixed(0.001)))
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            if ctx.retry_info().retry_number == 0:
                raise ValueError
            return StopEvent()

    seen = [event async for event in Flow().run().stream_events(expose_internal=True)]

    assert not any(isinstance(event, WorkflowIdleEvent) for event in seen)


async def test_a_run_that_waits_hears_idly_of_what_nobody_takes_and_says_nothing_of_questions() -> None:
    """Behaviour 30, 31."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            await ctx.wait_for_event(HumanResponseEvent)
            return StopEvent()

    handler = Flow().run()
    events: list[Event] = [Note(text="for nobody"), InputRequiredEvent(), HumanResponseEvent()]
    seen = []
    async for event in handler.stream_events(expose_internal=True):
        seen.append(event)
        if isinstance(event, WorkflowIdleEvent):
            handler.ctx.send_event(events.pop(0))

    assert [(event.event_type, event.idle) for event in seen if isinstance(event, UnhandledEvent)] == [("Note", True)]
