"""When a failed step is tried again, and what it is told then."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from engine import Context, Event, StartEvent, StopEvent, Workflow, retry_policy, step
from engine.events import WorkflowFailedEvent
from engine.retry import (
    ConstantDelayRetryPolicy,
    RetryPolicy,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential,
    wait_fixed,
)

AT_ONCE = retry_policy(wait=wait_fixed(0))


class A(Event): ...


def failing(times: int, policy: Any, error: Callable[[], Exception] = lambda: ValueError("no ink")) -> Workflow:
    """Return a workflow whose step fails so many times, then tells its retry info."""

    class Flow(Workflow):
        @step(retry_policy=policy)
        async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
            info = ctx.retry_info()
            if info.retry_number < times:
                raise error()
            return StopEvent(result=info)

    return Flow()


# --- Policies ----------------------------------------------------------------------------------


def delays(policy: RetryPolicy, error: Exception | None = None, elapsed: float = 0) -> list[float | None]:
    return [policy.next(elapsed, failures, error or ValueError()) for failures in range(1, 6)]


def test_by_default_there_are_three_attempts_five_seconds_apart() -> None:
    """Behaviour 60."""
    assert delays(retry_policy()) == [5, 5, None, None, None]


def test_attempts_are_counted_in_all() -> None:
    """Behaviour 60."""
    assert delays(retry_policy(wait=wait_fixed(1), stop=stop_after_attempt(2))) == [1, None, None, None, None]
    assert delays(ConstantDelayRetryPolicy(maximum_attempts=3, delay=2)) == [2, 2, None, None, None]


def test_a_delay_grows_within_its_bounds() -> None:
    """Behaviour 60."""
    growing = retry_policy(wait=wait_exponential(multiplier=1, max=6, min=2), stop=stop_after_attempt(9))

    assert delays(growing) == [2, 2, 4, 6, 6]


def test_a_delay_that_grows_without_end_stays_at_its_maximum() -> None:
    assert wait_exponential(exp_base=10, max=60)(5_000) == 60


def test_a_delay_may_be_a_timedelta() -> None:
    assert wait_fixed(timedelta(minutes=1))(0) == 60
    assert stop_after_delay(timedelta(minutes=1))(60, 1)


def test_time_since_the_first_attempt_can_end_it() -> None:
    """Behaviour 60."""
    policy = retry_policy(stop=stop_after_delay(10))

    assert policy.next(9.9, 50, ValueError()) == 5
    assert policy.next(10, 1, ValueError()) is None


def test_only_chosen_errors_are_tried_again() -> None:
    """Behaviour 60."""
    policy = retry_policy(retry_if_exception_type((KeyError, OSError)), wait_fixed(1))

    assert policy.next(0, 1, FileNotFoundError()) == 1
    assert policy.next(0, 1, ValueError()) is None


# --- Runs ----------------------------------------------------------------------------------------


async def test_without_a_policy_a_failure_is_final() -> None:
    """Behaviour 25, 60."""
    with pytest.raises(ValueError, match="no ink"):
        await failing(1, None).run()


async def test_a_step_is_tried_until_it_succeeds() -> None:
    """Behaviour 60."""
    info = await failing(2, AT_ONCE).run()

    assert info.retry_number == 2
    assert str(info.last_exception) == "no ink"
    assert info.elapsed_seconds >= 0
    assert info.last_failed_at is not None


async def test_a_first_attempt_knows_of_no_failure() -> None:
    """Behaviour 60."""
    info = await failing(0, AT_ONCE).run()

    assert (info.retry_number, info.last_exception, info.last_failed_at) == (0, None, None)


async def test_the_last_error_is_raised_when_attempts_are_used_up() -> None:
    """Behaviour 25, 60."""
    handler = failing(9, AT_ONCE).run()
    seen = [event async for event in handler.stream_events()]

    with pytest.raises(ValueError, match="no ink"):
        await handler
    assert isinstance(seen[-1], WorkflowFailedEvent)
    assert (seen[-1].step_name, seen[-1].attempts) == ("write", 3)


async def test_a_delayed_attempt_comes() -> None:
    """Behaviour 60."""
    info = await failing(2, retry_policy(wait=wait_fixed(0.001))).run()

    assert info.retry_number == 2


async def test_an_error_that_is_not_chosen_is_final() -> None:
    """Behaviour 60."""
    handler = failing(9, retry_policy(retry_if_exception_type(KeyError), wait_fixed(0))).run()

    with pytest.raises(ValueError, match="no ink"):
        await handler
    stop = handler.get_stop_event()
    assert isinstance(stop, WorkflowFailedEvent)
    assert stop.attempts == 1


@dataclass
class Odd:
    """A policy of somebody's own."""

    answer: Any

    def next(self, elapsed_time: float, attempts: int, error: Exception, *, seed: int | None = None) -> float | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]  # that is the point


async def test_a_policy_that_raises_ends_the_run_with_its_own_error() -> None:
    with pytest.raises(KeyError, match="policy"):
        await failing(1, Odd(KeyError("policy"))).run()


async def test_a_policy_that_answers_nonsense_ends_the_run() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        await failing(1, Odd("soon")).run()


async def test_a_group_of_errors_is_one_failure() -> None:
    """Behaviour 25."""
    group = ExceptionGroup("two", [ValueError(), KeyError()])

    with pytest.raises(ExceptionGroup, match="two"):
        await failing(1, None, lambda: group).run()


async def test_awaiting_something_cancelled_is_a_failure_like_any_other() -> None:
    """Behaviour 25, 60."""

    class Flow(Workflow):
        @step(retry_policy=AT_ONCE)
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            if ctx.retry_info().retry_number == 0:
                raise asyncio.CancelledError
            return StopEvent(result="again")

    assert await Flow().run() == "again"


async def test_a_delayed_call_gives_its_worker_to_the_next() -> None:
    """Behaviour 56, 60."""

    class Flow(Workflow):
        @step
        async def split(self, ctx: Context, ev: StartEvent) -> A | None:
            ctx.send_event(A(name="first"))
            ctx.send_event(A(name="second"))
            return None

        @step(num_workers=1, retry_policy=retry_policy(wait=wait_fixed(100)))
        async def write(self, ev: A) -> StopEvent:
            if ev.name == "first":
                raise ValueError
            return StopEvent(result=ev.name)

    assert await Flow().run() == "second"


async def test_what_a_failed_attempt_did_is_not_done_again() -> None:
    """Behaviour 17, 40."""

    class Flow(Workflow):
        @step(retry_policy=AT_ONCE)
        async def write(self, ctx: Context, ev: StartEvent) -> StopEvent | A:
            await ctx.store.set("n", await ctx.store.get("n", default=0) + 1)
            ctx.write_event_to_stream(A())
            ctx.send_event(A())
            if ctx.retry_info().retry_number < 2:
                raise ValueError
            await ctx.store.set("last", True)
            return StopEvent(result=[await ctx.store.get(key) for key in ("n", "counted", "last")])

        @step
        async def count(self, ctx: Context, ev: A) -> None:
            await ctx.store.set("counted", await ctx.store.get("counted", default=0) + 1)

    handler = Flow().run()
    shown = [event async for event in handler.stream_events() if isinstance(event, A)]

    assert await handler == [1, 1, True]
    assert len(shown) == 1


async def test_a_write_that_was_refused_is_refused_again() -> None:
    """Behaviour 17."""
    refused = []

    class Flow(Workflow):
        @step(retry_policy=AT_ONCE)
        async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
            await ctx.store.set("n", 1)
            try:
                await ctx.store.set("n.below", 2)
            except AttributeError:
                refused.append(ctx.retry_info().retry_number)
                await ctx.store.set("n", 3)
            if ctx.retry_info().retry_number == 0:
                raise ValueError
            return StopEvent(result=await ctx.store.get("n"))

    assert await Flow().run() == 3
    assert refused == [0, 1]


async def test_once_is_done_once_however_often_a_step_is_tried() -> None:
    """Behaviour 17."""
    made = []

    async def make(value: str) -> str:
        made.append(value)
        return value.upper()

    def keep(value: str) -> Any:
        made.append(value)

    class Flow(Workflow):
        @step(retry_policy=AT_ONCE)
        async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
            text = await ctx.once("draft", make, "x")
            kept: Any = await ctx.once("plain", keep, "plain")
            if ctx.retry_info().retry_number < 2:
                raise ValueError
            return StopEvent(result=[text, kept, ctx.idempotency_key])

    handler = Flow().run()

    assert await handler == ["X", None, f"{handler.run_id}:1"]
    assert made == ["x", "plain"]
