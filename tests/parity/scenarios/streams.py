"""Streams and handlers: who reads what, and when."""

from __future__ import annotations

import asyncio
import re
import warnings
from typing import Any

from engine import Context, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.testing import WorkflowTestRunner
from tests.parity.seeing import Seen, end_of, every, first_questions, plain, refusal, seen, turns


class Count(Workflow):
    @step
    async def a_count(self, ctx: Context, ev: StartEvent) -> StopEvent:
        for n in range(ev.to):
            ctx.write_event_to_stream(Event(n=n))
            await turns(2)
        return StopEvent(result=ev.to)


async def a_late_reader() -> Seen:
    handler = Count().run(to=3)
    await handler
    return await every(handler.stream_events()), handler.is_done()


async def a_stream_read_twice() -> Seen:
    handler = Count().run(to=2)
    first = await every(handler.stream_events())
    return first, await end_of(every(handler.stream_events()))


async def a_stream_left_and_read_again() -> Seen:
    handler = Count().run(to=4)
    first: list[Seen] = []
    stream = handler.stream_events()
    async for event in stream:
        first.append(plain(event))
        if len(first) == 2:
            break
    await stream.aclose()
    return first, await every(handler.stream_events())


async def a_stream_left_in_a_for_loop() -> Seen:
    """The loop's own generator is closed when nobody holds it."""
    handler = Rounds().run()
    asked = []
    for response in ("a", "b", "stop"):
        asked += await first_questions(handler)
        handler.ctx.send_event(HumanResponseEvent(response=response))
    return asked, await every(handler.stream_events()), await end_of(handler)


class Again(Event):
    text: str


class Rounds(Workflow):
    @step
    async def a_ask(self, ev: StartEvent | Again) -> InputRequiredEvent:
        return InputRequiredEvent(prefix=ev.text if isinstance(ev, Again) else "first")

    @step
    async def b_decide(self, ev: HumanResponseEvent) -> Again | StopEvent:
        return StopEvent(result="end") if ev.response == "stop" else Again(text=ev.response)


async def runs_of_one_workflow_stream_apart() -> Seen:
    flow = Count()
    handlers = [flow.run(to=n) for n in (1, 2, 3)]
    return [await seen(handler) for handler in handlers]


async def a_result_awaited_twice() -> Seen:
    handler = Count().run(to=1)
    return await handler, await handler, handler.is_done(), plain(await handler.stop_event_result())


async def streams_through_the_context() -> Seen:
    handler = Count().run(to=2)
    return await every(handler.ctx.stream_events()), await end_of(handler)


async def nothing_is_written_to_the_stream() -> Seen:
    class Flow(Workflow):
        @step
        async def a(self, ctx: Context, ev: StartEvent) -> StopEvent:
            ctx.write_event_to_stream(None)
            return StopEvent()

    return await seen(Flow().run())


class Faces(Workflow):
    """Calls on its context what is for the outside."""

    @step
    async def a(self, ctx: Context, ev: StartEvent) -> StopEvent:
        return StopEvent(result=[await _refused(getattr(ctx, name)) for name in ("stream_events", "to_dict")])


async def _refused(method: Any) -> Seen:
    try:
        found = method()
        return "ok" if isinstance(found, dict) else await every(found)
    except Exception as error:  # noqa: BLE001 - an error is what is to be seen
        return plain(error)


async def methods_of_the_wrong_face() -> Seen:
    outside, before = Count().run(to=1), Context[Any](Count())
    await outside
    inside_only: list[Seen] = []
    for ctx in (outside.ctx, before):
        inside_only += [
            await end_of(ctx.wait_for_event(Event)),
            refusal(lambda ctx=ctx: ctx.collect_events(Event(), [])),  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            refusal(lambda ctx=ctx: ctx.write_event_to_stream(Event())),  # type: ignore[misc]
            refusal(lambda ctx=ctx: ctx.retry_info()),  # type: ignore[misc]
        ]
    running_only = [await end_of(before.running_steps()), await _refused(before.stream_events)]
    return await end_of(Faces().run()), inside_only, running_only


class Slow(Workflow):
    """Tells how many runs were at work at once."""

    now = most = 0

    @step
    async def a(self, ev: StartEvent) -> StopEvent:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.002)
        self.now -= 1
        return StopEvent(result=ev.n)


async def few_runs_at_once() -> Seen:
    flow = Slow(num_concurrent_runs=2)
    handlers = [flow.run(n=n) for n in range(6)]
    return [await end_of(handler) for handler in handlers], flow.most


async def running_steps() -> Seen:
    go_on = asyncio.Event()

    class Flow(Workflow):
        @step
        async def a_busy(self, ev: StartEvent) -> StopEvent:
            await go_on.wait()
            return StopEvent()

    handler = Flow().run()
    await turns()
    found = await handler.ctx.running_steps()
    go_on.set()
    await handler
    return found


async def a_run_for_tests() -> Seen:
    ran = await WorkflowTestRunner(Count()).run(start_event=StartEvent(to=2))
    short = await WorkflowTestRunner(Count()).run(StartEvent(to=2), expose_internal=False, exclude_events=[Event])
    return plain([ran.collected, ran.event_types, ran.result, short.collected, short.event_types])


async def keywords_beside_a_start_event() -> Seen:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        handler = Count().run(start_event=StartEvent(to=1), more=2)
    return [(one.category.__name__, str(one.message)) for one in caught], await end_of(handler)


async def a_run_id() -> Seen:
    named, unnamed = Count().run(to=1, run_id="mine"), Count().run(to=1)
    ends = [await end_of(named), await end_of(unnamed)]
    return named.run_id, bool(re.fullmatch(r"[A-Za-z0-9]{10}", unnamed.run_id)), ends


async def a_nested_workflow() -> Seen:
    class Outer(Workflow):
        @step
        async def a(self, ctx: Context, ev: StartEvent) -> StopEvent:
            inner = Count().run(to=ev.to)
            async for event in inner.stream_events():
                ctx.write_event_to_stream(Event(inner=plain(event)))
            return StopEvent(result=("outer", await inner))

    return await seen(Outer().run(to=2))


async def an_event_after_the_end() -> Seen:
    handler = Count().run(to=1)
    await handler
    return refusal(lambda: handler.ctx.send_event(Event()))


async def old_ways_of_asking_a_handler() -> Seen:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        handler = Count().run(to=1)
        before = handler.done()
        await handler
        return before, handler.done(), handler.cancelled()
