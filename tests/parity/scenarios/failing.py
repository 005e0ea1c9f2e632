"""What goes wrong: failures, retries, handlers, timeouts, cancellation."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

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
from engine.retry import (
    retry_all,
    retry_always,
    retry_any,
    retry_if_exception,
    retry_if_exception_cause_type,
    retry_if_exception_message,
    retry_if_exception_type,
    retry_if_not_exception_message,
    retry_if_not_exception_type,
    retry_never,
    retry_unless_exception_type,
    stop_after_attempt,
    stop_after_delay,
    stop_all,
    stop_any,
    stop_before_delay,
    stop_never,
    wait_chain,
    wait_combine,
    wait_exponential,
    wait_fixed,
    wait_incrementing,
    wait_none,
)
from tests.parity.seeing import Seen, end_of, every, first_questions, plain, refusal, seen, turns


class Fail(Workflow):
    @step
    async def a_fail(self, ev: StartEvent) -> StopEvent:
        raise KeyError("nothing here")


async def a_step_that_fails() -> Seen:
    return await seen(Fail().run())


async def a_step_that_fails_with_internal_events() -> Seen:
    return await seen(Fail().run(), internal=True)


async def a_failed_run_awaited_twice() -> Seen:
    handler = Fail().run()
    return await end_of(handler), await end_of(handler), handler.is_done()


async def the_event_that_ended_a_failed_run() -> Seen:
    handler = Fail().run()
    return await end_of(handler.stop_event_result()), plain(handler.get_stop_event())


class Flaky(Workflow):
    failures = 2

    @step(retry_policy=retry_policy(wait=wait_none(), stop=stop_after_attempt(4)))
    async def a_try(self, ctx: Context, ev: StartEvent) -> StopEvent:
        info = ctx.retry_info()
        if info.retry_number < self.failures:
            raise ValueError(f"failure {info.retry_number} after {info.last_exception}")
        return StopEvent(result=(info.retry_number, plain(info.last_exception), info.last_failed_at is None))


async def a_step_that_succeeds_at_last() -> Seen:
    return await seen(Flaky().run())


async def a_step_that_succeeds_at_last_with_internal_events() -> Seen:
    return await seen(Flaky().run(), internal=True)


async def a_step_that_never_succeeds() -> Seen:
    flow = Flaky()
    flow.failures = 99
    return await seen(flow.run())


class Chatty(Workflow):
    @step(retry_policy=retry_policy(wait=wait_none()))
    async def a_try(self, ctx: Context, ev: StartEvent) -> StopEvent:
        ctx.write_event_to_stream(Event(attempt=ctx.retry_info().retry_number))
        await ctx.store.set("total", await ctx.store.get("total", default=0) + 1)
        if ctx.retry_info().retry_number < 1:
            raise ValueError("after its effects")
        return StopEvent(result=await ctx.store.get("total"))


async def effects_of_an_attempt_that_failed() -> Seen:
    return await seen(Chatty().run())


class Delayed(Workflow):
    @step(retry_policy=retry_policy(wait=wait_fixed(0.01), stop=stop_after_attempt(3)))
    async def a_try(self, ctx: Context, ev: StartEvent) -> StopEvent:
        info = ctx.retry_info()
        if info.retry_number < 2:
            raise ValueError("early")
        return StopEvent(result=info.elapsed_seconds >= 0.02)


async def retries_after_a_while() -> Seen:
    return await seen(Delayed().run())


class Selective(Workflow):
    @step(retry_policy=retry_policy(retry_if_exception_type(ConnectionError), wait_none(), stop_after_attempt(5)))
    async def a_try(self, ctx: Context, ev: StartEvent) -> StopEvent:
        if ctx.retry_info().retry_number < 2:
            raise ConnectionResetError("again")
        raise ValueError("no use")


async def an_error_that_is_not_retried() -> Seen:
    return await seen(Selective().run())


class Broken:
    def next(self, elapsed_time: float, attempts: int, error: Exception, *, seed: int | None = None) -> float | None:
        raise ZeroDivisionError("in the policy")


async def a_policy_that_fails_itself() -> Seen:
    class Flow(Workflow):
        @step(retry_policy=Broken())
        async def a_fail(self, ev: StartEvent) -> StopEvent:
            raise ValueError("in the step")

    return await end_of(Flow().run())


class Thrice:
    """A policy of one's own that takes no seed."""

    def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
        return 0 if attempts < 3 else None


async def a_policy_of_ones_own() -> Seen:
    policy: Any = Thrice()

    class Flow(Workflow):
        @step(retry_policy=policy)
        async def a_fail(self, ctx: Context, ev: StartEvent) -> StopEvent:
            raise ValueError(f"attempt {ctx.retry_info().retry_number}")

    return await seen(Flow().run())


def _delays(policy: Any, error: Exception, times: int = 8) -> list[float | None]:
    return [policy.next(float(n), n, error) for n in range(1, times)]


async def waits_between_attempts() -> Seen:
    waits = [
        wait_fixed(2),
        wait_fixed(timedelta(seconds=3)),
        wait_none(),
        wait_exponential(),
        wait_exponential(multiplier=2, exp_base=3, max=50, min=5),
        wait_incrementing(),
        wait_incrementing(start=10, increment=-3, max=8),
        wait_chain(wait_fixed(1), wait_fixed(2), wait_none()),
        wait_combine(wait_fixed(1), wait_exponential()),
        wait_fixed(1) + wait_incrementing(1, 1),
    ]
    return [_delays(retry_policy(wait=wait, stop=stop_never()), ValueError("x")) for wait in waits]


async def when_attempts_stop() -> Seen:
    stops = [
        stop_after_attempt(3),
        stop_after_delay(4),
        stop_after_delay(timedelta(seconds=2)),
        stop_before_delay(6),
        stop_any(stop_after_attempt(5), stop_after_delay(3)),
        stop_all(stop_after_attempt(5), stop_after_delay(3)),
        stop_after_attempt(6) | stop_after_delay(2),
        stop_after_attempt(2) & stop_after_delay(4),
    ]
    by_default = _delays(retry_policy(), ValueError("x"))
    return by_default, [_delays(retry_policy(wait=wait_fixed(2), stop=stop), ValueError("x")) for stop in stops]


async def which_errors_are_retried() -> Seen:
    try:
        try:
            raise KeyError("cause")
        except KeyError as cause:
            raise ValueError("the words that matter") from cause
    except ValueError as raised:
        caused = raised
    errors = [ValueError("x"), ConnectionResetError("reset by peer"), caused, TimeoutError()]
    conditions = [
        retry_always(),
        retry_never(),
        retry_if_exception(lambda error: "e" in str(error)),
        retry_if_exception_type((ValueError, TimeoutError)),
        retry_if_not_exception_type(ConnectionError),
        retry_unless_exception_type(OSError),
        retry_if_exception_message(message="x"),
        retry_if_exception_message(match="the words"),
        retry_if_not_exception_message(match=".*peer"),
        retry_if_exception_cause_type(KeyError),
        retry_any(retry_if_exception_type(TimeoutError), retry_if_exception_message(message="x")),
        retry_all(retry_if_exception_type(ValueError), retry_if_exception_message(match="the")),
        retry_if_exception_type(ValueError) & retry_if_exception_message(match="the"),
        retry_if_exception_type(ValueError) | retry_if_exception_type(OSError),
    ]
    return [[retry_policy(one, wait_none()).next(0.0, 1, error) for error in errors] for one in conditions]


async def conditions_that_make_no_sense() -> Seen:
    wrong: list[Any] = [
        lambda: retry_if_exception_message(),
        lambda: retry_if_exception_message(message="a", match="b"),
        lambda: wait_fixed("long"),  # type: ignore[arg-type]  # the mistake
    ]
    return [refusal(act) for act in wrong]


class Caught(Workflow):
    @step
    async def a_fail(self, ev: StartEvent) -> StopEvent:
        raise ValueError("caught?")

    @catch_error
    async def b_handle(self, ctx: Context, ev: StepFailedEvent) -> StopEvent:
        return StopEvent(result=(ev.step_name, type(ev.input_event).__name__, plain(ev.exception), ev.attempts))


async def an_error_that_is_caught() -> Seen:
    return await seen(Caught().run())


async def an_error_that_is_caught_with_internal_events() -> Seen:
    return await seen(Caught().run(), internal=True)


class Work(Event):
    n: int = 0


class Assigned(Workflow):
    """One handler for one step, another for the rest."""

    @step
    async def a_begin(self, ev: StartEvent) -> Work | StopEvent:
        if ev.where == "a":
            raise ValueError("in a")
        return Work()

    @step(retry_policy=retry_policy(wait=wait_none(), stop=stop_after_attempt(2)))
    async def b_work(self, ev: Work) -> StopEvent:
        raise ValueError("in b")

    @catch_error(for_steps=["b_work"])
    async def c_for_b(self, ev: StepFailedEvent) -> StopEvent:
        return StopEvent(result=("c", ev.step_name, ev.attempts))

    @catch_error
    async def d_for_the_rest(self, ev: StepFailedEvent) -> StopEvent:
        return StopEvent(result=("d", ev.step_name, ev.attempts))


async def handlers_for_some_steps() -> Seen:
    return [await seen(Assigned().run(where=where)) for where in ("a", "b")]


class Repeated(Workflow):
    """The handler sends the failing step back to work, as often as its budget allows."""

    @step
    async def a_work(self, ev: StartEvent | Work) -> StopEvent:
        raise ValueError(f"again {ev.n if isinstance(ev, Work) else 0}")

    @catch_error(max_recoveries=2)
    async def b_handle(self, ev: StepFailedEvent) -> Work:
        before = ev.input_event
        return Work(n=1 + (before.n if isinstance(before, Work) else 0))


async def a_handler_runs_out_of_budget() -> Seen:
    return await seen(Repeated().run())


async def a_handler_that_fails_itself() -> Seen:
    class Flow(Workflow):
        @step
        async def a_fail(self, ev: StartEvent) -> StopEvent:
            raise ValueError("in the step")

        @catch_error
        async def b_handle(self, ev: StepFailedEvent) -> StopEvent:
            raise KeyError("in the handler")

    return await seen(Flow().run())


async def a_handler_is_not_for_timeouts() -> Seen:
    class Flow(Workflow):
        @step
        async def a_hang(self, ev: StartEvent) -> StopEvent:
            await asyncio.Event().wait()
            return StopEvent()

        @catch_error
        async def b_handle(self, ev: StepFailedEvent) -> StopEvent:
            return StopEvent(result="handled")

    return await seen(Flow(timeout=0.1).run())


class Hang(Workflow):
    @step
    async def a_begin(self, ctx: Context, ev: StartEvent) -> Work | None:
        ctx.send_event(Work(n=1))
        ctx.send_event(Work(n=2))
        return None

    @step
    async def b_hang(self, ctx: Context, ev: Work) -> StopEvent:
        try:
            await asyncio.Event().wait()
        finally:
            ctx.write_event_to_stream(Event(too="late"))
        return StopEvent()


async def a_run_that_takes_too_long() -> Seen:
    return await seen(Hang(timeout=0.1).run())


class Ask(Workflow):
    @step
    async def a_ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(prefix="?")

    @step
    async def b_end(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)


async def a_timeout_with_no_step_at_work() -> Seen:
    return await seen(Ask(timeout=0.1).run())


async def a_run_that_is_cancelled() -> Seen:
    handler = Ask().run()
    asked = await first_questions(handler)
    await handler.cancel_run()
    rest = await every(handler.stream_events())
    return asked, rest, await _kind_of_end(handler), handler.is_done(), plain(handler.get_stop_event())


async def _kind_of_end(handler: Any) -> Seen:
    return str(await end_of(handler)).partition(":")[0]


async def the_words_of_a_cancellation() -> Seen:
    handler = Ask().run()
    await first_questions(handler)
    await handler.cancel_run()
    return await end_of(handler)


async def a_run_that_is_cancelled_while_it_works() -> Seen:
    handler = Hang().run()
    await turns()
    await handler.cancel_run()
    return await every(handler.stream_events()), await _kind_of_end(handler)


async def a_run_that_is_cancelled_after_its_end() -> Seen:
    handler = Fail().run()
    end = await end_of(handler)
    cancelled = await end_of(handler.cancel_run())
    return end, cancelled, await end_of(handler)


class Race(Workflow):
    """The first to end ends the run; the other one's words come too late."""

    @step
    async def a_begin(self, ctx: Context, ev: StartEvent) -> Work | None:
        ctx.send_event(Work(n=1))
        ctx.send_event(Work(n=2))
        return None

    @step
    async def b_run(self, ctx: Context, ev: Work) -> StopEvent:
        await turns(3 if ev.n == 2 else 40)
        ctx.write_event_to_stream(Event(n=ev.n))
        return StopEvent(result=ev.n)


async def the_first_end_counts() -> Seen:
    handler = Race().run()
    shown = await seen(handler)
    await turns(60)
    return shown, await end_of(handler)


class Errors(Workflow):
    """Every kind of failure inside: what awaiting the run raises is what the step raised."""

    kind: type[Exception] = ValueError

    @step
    async def a_fail(self, ev: StartEvent) -> StopEvent:
        raise self.kind(ev.words)


async def errors_come_out_as_they_are() -> Seen:
    found = []
    for kind in (ValueError, TimeoutError, asyncio.QueueEmpty, ZeroDivisionError, RuntimeError):
        flow = Errors()
        flow.kind = kind
        found.append(await end_of(flow.run(words=kind.__name__)))
    return found
