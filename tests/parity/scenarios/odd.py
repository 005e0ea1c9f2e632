"""What authors do now and then, and nobody wrote down."""

from __future__ import annotations

import asyncio
from typing import Any, Optional, Union

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
from engine.retry import stop_after_attempt, wait_fixed, wait_none
from tests.parity.seeing import Seen, end_of, every, first_questions, idles, plain, refusal, seen, turns


class A(Event):
    n: int = 0


class B(Event):
    n: int = 0


class Question(InputRequiredEvent):
    about: str = "?"


class SendsQuestion(Workflow):
    @step
    async def a(self, ctx: Context, ev: StartEvent) -> Question | None:
        ctx.send_event(Question(about="sent"))
        return None

    @step
    async def b(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)


async def a_question_that_is_sent() -> Seen:
    handler = SendsQuestion().run()
    return await seen(handler, [HumanResponseEvent(response="yes")], when=idles, internal=True)


class StreamsQuestion(Workflow):
    @step
    async def a(self, ctx: Context, ev: StartEvent) -> None:
        ctx.write_event_to_stream(InputRequiredEvent(prefix="streamed"))

    @step
    async def b(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)


async def a_question_that_is_only_streamed() -> Seen:
    return await seen(StreamsQuestion(disable_validation=True).run(), [HumanResponseEvent(response="y")])


class SendsStop(Workflow):
    @step
    async def a(self, ctx: Context, ev: StartEvent) -> A | StopEvent:
        ctx.send_event(StopEvent(result="sent"))
        return A()

    @step
    async def b(self, ev: A) -> StopEvent:
        await turns()
        return StopEvent(result="returned")


async def a_stop_event_that_is_sent_by_a_step() -> Seen:
    return await seen(SendsStop().run())


class StreamsStop(Workflow):
    @step
    async def a(self, ctx: Context, ev: StartEvent) -> A:
        ctx.write_event_to_stream(StopEvent(result="streamed"))
        return A()

    @step
    async def b(self, ctx: Context, ev: A) -> StopEvent:
        ctx.write_event_to_stream(Event(after=True))
        return StopEvent(result="returned")


async def a_stop_event_that_is_only_streamed() -> Seen:
    return await seen(StreamsStop().run())


class MakesAnswer(Workflow):
    @step
    async def a(self, ev: StartEvent) -> HumanResponseEvent:
        return HumanResponseEvent(response="by itself")

    @step
    async def b(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)


async def an_answer_that_a_step_makes() -> Seen:
    return await seen(MakesAnswer().run())


class OldHints(Workflow):
    @step
    async def a(self, ctx: Context, ev: Union[StartEvent, B]) -> Optional[A]:  # noqa: UP007, UP045 - the old way of writing it
        return A(n=1)

    @step
    async def b(self, ctx: Context, ev: A) -> Union[StopEvent, B]:  # noqa: UP007 - the old way of writing it
        return StopEvent(result=ev.n)


async def hints_written_the_old_way() -> Seen:
    return await seen(OldHints().run(), internal=True)


class Everything(Workflow):
    @step
    async def a(self, ctx: Context, ev: StartEvent) -> A | B:
        ctx.send_event(B(n=2))
        await turns()
        return A(n=1)

    @step(accept_event_subclasses=True, num_workers=1)
    async def b(self, ctx: Context, ev: Event) -> StopEvent | None:
        ctx.write_event_to_stream(Event(got=type(ev).__name__))
        return StopEvent(result="b") if isinstance(ev, A) else None


async def a_step_that_takes_everything() -> Seen:
    return await seen(Everything(disable_validation=True).run())


class Early(Workflow):
    @step
    async def a(self, ev: StartEvent) -> None:
        await turns()

    @step
    async def b(self, ev: A) -> StopEvent:
        return StopEvent(result=ev.n)


async def an_event_right_after_the_start() -> Seen:
    handler = Early(disable_validation=True).run()
    handler.ctx.send_event(A(n=5))
    return await seen(handler, internal=True)


class EndsWhileAsking(Workflow):
    @step
    async def a(self, ctx: Context, ev: StartEvent) -> A:
        await ctx.wait_for_event(HumanResponseEvent, Question(about="never answered"))
        return A()

    @step
    async def b(self, ev: StartEvent) -> B:
        await turns()
        return B()

    @step
    async def c(self, ev: A | B) -> StopEvent:
        return StopEvent(result=type(ev).__name__)


async def an_end_while_a_question_is_open() -> Seen:
    return await seen(EndsWhileAsking().run())


class Queueing(Workflow):
    """One worker: the first call waits for an answer, the second one works meanwhile."""

    @step
    async def a(self, ctx: Context, ev: StartEvent) -> A | None:
        ctx.send_event(A(n=1))
        ctx.send_event(A(n=2))
        return None

    @step(num_workers=1)
    async def b(self, ctx: Context, ev: A) -> B:
        ctx.write_event_to_stream(Event(begins=ev.n))
        if ev.n == 1:
            answer = await ctx.wait_for_event(HumanResponseEvent, Question(about="one"))
            return B(n=answer.n)
        await turns(10)
        return B(n=ev.n)

    @step(num_workers=1)
    async def c(self, ctx: Context, ev: B) -> StopEvent | None:
        found = ctx.collect_events(ev, [B] * 2)
        return None if found is None else StopEvent(result=sorted(one.n for one in found))


async def a_worker_goes_on_with_the_next_while_one_waits() -> Seen:
    shown = await seen(Queueing().run(), [HumanResponseEvent(n=11)])
    return shown["end"], [plain(one) for one in shown["stream"] if one[0] == "Question"]


class NoRescue(Workflow):
    @step(retry_policy=retry_policy(wait=wait_fixed(0.005), stop=stop_after_attempt(2)))
    async def a(self, ev: StartEvent) -> StopEvent:
        raise ValueError("always")

    @catch_error
    async def b(self, ev: StepFailedEvent) -> StopEvent | None:
        return None


async def a_handler_that_returns_nothing() -> Seen:
    return await seen(NoRescue(timeout=0.1).run(), internal=True)


class Rescued(StopEvent):
    attempts: int


class RescueEnds(Workflow):
    @step(retry_policy=retry_policy(wait=wait_none(), stop=stop_after_attempt(3)))
    async def a(self, ev: StartEvent) -> Rescued:
        raise ValueError("always")

    @catch_error
    async def b(self, ctx: Context, ev: StepFailedEvent) -> Rescued:
        return Rescued(attempts=ev.attempts)


async def a_handler_that_ends_the_run() -> Seen:
    return await seen(RescueEnds().run())


class RescueAsks(Workflow):
    @step
    async def a(self, ev: StartEvent) -> StopEvent:
        raise ValueError("ask somebody")

    @catch_error
    async def b(self, ctx: Context, ev: StepFailedEvent) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, Question(about=str(ev.exception)))
        return StopEvent(result=answer.response)


async def a_handler_that_asks() -> Seen:
    return await seen(RescueAsks().run(), [HumanResponseEvent(response="leave it")])


class CancelsItself(Workflow):
    @step
    async def a(self, ev: StartEvent) -> StopEvent:
        raise asyncio.CancelledError


async def a_step_that_raises_cancelled() -> Seen:
    return str(await end_of(CancelsItself(timeout=0.1).run())).partition(":")[0]


class WaitsForever(Workflow):
    @step
    async def a(self, ctx: Context, ev: StartEvent) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, Question(), timeout=None)
        return StopEvent(result=answer.response)


async def a_wait_without_an_end() -> Seen:
    return await seen(WaitsForever().run(), [HumanResponseEvent(response="at last")])


class Aimed(Workflow):
    """Takes in a call of its own what it waits for, too."""

    @step
    async def a(self, ctx: Context, ev: StartEvent | HumanResponseEvent) -> StopEvent:
        if isinstance(ev, HumanResponseEvent):
            return StopEvent(result=f"called with {ev.response}")
        answer = await ctx.wait_for_event(HumanResponseEvent, Question())
        return StopEvent(result=f"woken with {answer.response}")


async def an_answer_sent_to_a_step_by_name() -> Seen:
    handler = Aimed().run()
    await first_questions(handler)
    handler.ctx.send_event(HumanResponseEvent(response="x"), step="a")
    return await end_of(handler)


async def an_answer_that_the_waiting_step_also_takes() -> Seen:
    handler = Aimed().run()
    await first_questions(handler)
    handler.ctx.send_event(HumanResponseEvent(response="x"))
    return await end_of(handler)


class Hears(Workflow):
    """Waits, and hears of what nobody takes meanwhile."""

    @step
    async def a(self, ctx: Context, ev: StartEvent) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, Question())
        return StopEvent(result=answer.response)


async def an_event_that_nobody_takes_while_a_step_waits() -> Seen:
    return await seen(Hears().run(), [A(), HumanResponseEvent(response="x")], when=idles, internal=True)


async def a_question_from_outside() -> Seen:
    return await seen(Hears().run(), [Question(), HumanResponseEvent(response="x")], when=idles, internal=True)


async def what_is_sent_that_is_no_event() -> Seen:
    handler = Hears(timeout=0.05).run()
    return refusal(lambda: handler.ctx.send_event("yes")), await end_of(handler)  # type: ignore[arg-type]  # the mistake


class SharedBuffers(Workflow):
    """Two steps collect the same events, each for itself."""

    @step
    async def a(self, ctx: Context, ev: StartEvent) -> A | None:
        for n in range(4):
            ctx.send_event(A(n=n))
        return None

    @step(num_workers=1)
    async def b(self, ctx: Context, ev: A) -> B | None:
        found = ctx.collect_events(ev, [A, A])
        return None if found is None else B(n=sum(one.n for one in found))

    @step(num_workers=1)
    async def c(self, ctx: Context, ev: A) -> B | None:
        found = ctx.collect_events(ev, [A] * 4)
        return None if found is None else B(n=100)

    @step(num_workers=1)
    async def d(self, ctx: Context, ev: B) -> StopEvent | None:
        found = ctx.collect_events(ev, [B] * 3)
        return None if found is None else StopEvent(result=sorted(one.n for one in found))


async def two_steps_that_collect_the_same_events() -> Seen:
    return await seen(SharedBuffers().run())


class RunsInOrder(Workflow):
    @step
    async def a(self, ctx: Context, ev: StartEvent) -> StopEvent:
        await ctx.store.set("log", [*await ctx.store.get("log", default=[]), ev.word])
        return StopEvent(result=await ctx.store.get("log"))


async def a_run_after_a_failed_one_in_one_context() -> Seen:
    flow = RunsInOrder()
    ctx = Context[Any](flow)
    ends = [await end_of(flow.run(ctx=ctx, word="one")), await end_of(flow.run(ctx=ctx)), ctx.is_running]
    return ends, await end_of(flow.run(ctx=ctx, word="two"))


async def a_run_after_a_cancelled_one_in_one_context() -> Seen:
    flow = WaitsForever()
    ctx = Context[Any](flow)
    handler = flow.run(ctx=ctx)
    await first_questions(handler)
    await handler.cancel_run()
    again = flow.run(ctx=ctx)
    await turns()
    again.ctx.send_event(HumanResponseEvent(response="again"))
    return await end_of(again)


async def a_run_after_a_timed_out_one_in_one_context() -> Seen:
    flow = WaitsForever(timeout=0.1)
    ctx = Context[Any](flow)
    first = await end_of(flow.run(ctx=ctx))
    running = ctx.is_running
    return first, running, await every(flow.run(ctx=ctx).stream_events())


class Tasks(Workflow):
    """A step that works on several things at once by itself."""

    @step
    async def a(self, ctx: Context, ev: StartEvent) -> StopEvent:
        async def part(n: int) -> int:
            await turns(n)
            ctx.write_event_to_stream(Event(part=n))
            async with ctx.store.edit_state() as state:
                state["sum"] = state.get("sum", 0) + n
            return n

        async with asyncio.TaskGroup() as tasks:
            parts = [tasks.create_task(part(n)) for n in (3, 1, 2)]
        return StopEvent(result=([one.result() for one in parts], await ctx.store.get("sum")))


async def tasks_within_a_step() -> Seen:
    return await seen(Tasks().run())


class Pausing(Workflow):
    @step
    async def a(self, ctx: Context, ev: StartEvent) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, Question(about=ev.about))
        return StopEvent(result=answer.response)


async def a_paused_run_keeps_its_slot() -> Seen:
    flow = Pausing(num_concurrent_runs=1)
    first, second = flow.run(about="one"), flow.run(about="two")
    asked = await first_questions(first)
    await turns()
    first.ctx.send_event(HumanResponseEvent(response="1"))
    ends = [await end_of(first)]
    asked += await first_questions(second)
    second.ctx.send_event(HumanResponseEvent(response="2"))
    return asked, [*ends, await end_of(second)]


class WaitsTwice(Workflow):
    """The same wait, in two calls after each other: each asks."""

    @step
    async def a(self, ctx: Context, ev: StartEvent | A) -> A | StopEvent:
        n = ev.n if isinstance(ev, A) else 0
        answer = await ctx.wait_for_event(HumanResponseEvent, Question(about=f"round {n}"), waiter_id="same")
        return StopEvent(result=(n, answer.response)) if n == 2 else A(n=n + 1)


async def the_same_wait_in_several_calls() -> Seen:
    answers = [HumanResponseEvent(response=str(n)) for n in range(3)]
    return await seen(WaitsTwice().run(), answers)


class Writes(Workflow):
    @step
    async def a(self, ctx: Context, ev: StartEvent) -> StopEvent:
        await ctx.store.set("a", 1)
        state = await ctx.store.get_state()
        state["b"] = 2
        await ctx.store.set_state(state)
        async with ctx.store.edit_state() as edited:
            edited.c = 3
            edited["d"] = edited.a + edited["b"]
        return StopEvent(result=sorted((await ctx.store.get_state()).items()))


async def a_state_taken_out_and_put_back() -> Seen:
    return await end_of(Writes().run())


class Retried(Workflow):
    """Sends before it fails: what is sent by each attempt."""

    @step
    async def a(self, ev: StartEvent) -> list[A]:
        return [A(n=n) for n in range(3)]

    @step(retry_policy=retry_policy(wait=wait_fixed(0.002), stop=stop_after_attempt(3)))
    async def b(self, ctx: Context, ev: A) -> B:
        if ctx.retry_info().retry_number < ev.n:
            raise ValueError(f"{ev.n} at {ctx.retry_info().retry_number}")
        return B(n=ctx.retry_info().retry_number)

    @step
    async def c(self, evs: list[B]) -> StopEvent:
        return StopEvent(result=sorted(one.n for one in evs))


async def attempts_counted_for_each_call() -> Seen:
    return await seen(Retried().run())


async def a_failure_while_others_work() -> Seen:
    class Flow(Workflow):
        @step
        async def a(self, ctx: Context, ev: StartEvent) -> A | None:
            for n in range(3):
                ctx.send_event(A(n=n))
            return None

        @step
        async def b(self, ctx: Context, ev: A) -> StopEvent:
            await turns(5)
            if ev.n == 1:
                raise KeyError("one of three")
            await turns(100)
            ctx.write_event_to_stream(Event(late=ev.n))
            return StopEvent(result=ev.n)

    return await seen(Flow().run())


async def a_result_of_every_kind() -> Seen:
    class Flow(Workflow):
        @step
        async def a(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=ev.value)

    values: list[Any] = [None, 0, "", [], {}, (1, 2), A(n=3), StopEvent(result=1), ValueError("as a value")]
    return [(await seen(Flow().run(value=value)))["end"] for value in values]


async def a_start_event_kept_whole() -> Seen:
    class Begin(StartEvent):
        n: int = 1

    class Flow(Workflow):
        @step
        async def a(self, ev: Begin) -> StopEvent:
            return StopEvent(result=(ev.n, ev.get("more"), ev.to_dict()))

    event = Begin(n=2, more={"x": 1})
    return await end_of(Flow().run(start_event=event)), await end_of(Flow().run(n=3)), await end_of(Flow().run(other=4))
