"""Workflows that a step runs."""

from __future__ import annotations

import asyncio

from engine import Context, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.retry import retry_policy, stop_after_attempt, wait_none
from tests.parity.seeing import Seen, end_of, plain, seen


class Part(Event):
    n: int


class Add(Workflow):
    """Works in two steps, and fails for 13."""

    @step
    async def a_take(self, ev: StartEvent) -> Part:
        await asyncio.sleep(0.001)
        return Part(n=ev.n)

    @step
    async def b_add(self, ev: Part) -> StopEvent:
        if ev.n == 13:
            raise ValueError("13 is no number to add to")
        return StopEvent(result=ev.n + 1)


class Asking(Workflow):
    @step
    async def a_ask(self, ctx: Context, ev: StartEvent) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, waiter_event=InputRequiredEvent(prefix="Go?"))
        return StopEvent(result=answer.response)


async def one_after_the_other() -> Seen:
    class Outer(Workflow):
        @step
        async def a(self, ev: StartEvent) -> StopEvent:
            first = await Add().run(n=1)
            return StopEvent(result=[first, await Add().run(n=first)])

    return await seen(Outer().run())


async def several_at_once() -> Seen:
    class Outer(Workflow):
        @step
        async def a(self, ev: StartEvent) -> StopEvent:
            found = await asyncio.gather(*[Add().run(n=n) for n in range(3)])
            return StopEvent(result=found)

    return await seen(Outer().run())


async def one_that_fails() -> Seen:
    class Outer(Workflow):
        @step
        async def a(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Add().run(n=13))

    return await seen(Outer().run())


async def one_whose_failure_is_caught() -> Seen:
    class Outer(Workflow):
        @step
        async def a(self, ev: StartEvent) -> StopEvent:
            try:
                return StopEvent(result=await Add().run(n=13))
            except ValueError as error:
                return StopEvent(result=str(error))

    return await seen(Outer().run())


async def one_that_is_tried_again() -> Seen:
    tried: list[int] = []

    class Outer(Workflow):
        @step(retry_policy=retry_policy(wait=wait_none(), stop=stop_after_attempt(3)))
        async def a(self, ev: StartEvent) -> StopEvent:
            tried.append(len(tried))
            return StopEvent(result=await Add().run(n=12 + (len(tried) < 3)))

    return await seen(Outer().run()), tried


async def one_that_times_out() -> Seen:
    class Slow(Workflow):
        @step
        async def a(self, ev: StartEvent) -> StopEvent:
            await asyncio.sleep(1)
            return StopEvent()

    class Outer(Workflow):
        @step
        async def a(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Slow(timeout=0.02).run())

    return await end_of(Outer().run())


async def one_whose_questions_the_step_answers() -> Seen:
    class Outer(Workflow):
        @step
        async def a(self, ctx: Context, ev: StartEvent) -> StopEvent:
            inner = Asking().run()
            async for event in inner.stream_events():
                ctx.write_event_to_stream(Event(inner=plain(event)))
                if isinstance(event, InputRequiredEvent):
                    inner.ctx.send_event(HumanResponseEvent(response="yes"))
            return StopEvent(result=await inner)

    return await seen(Outer().run())


async def one_that_asks_whoever_streams_the_outer_run() -> Seen:
    class Outer(Workflow):
        @step
        async def a(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Asking().run())

    return await seen(Outer(timeout=0.1).run(), [HumanResponseEvent(response="yes")])
