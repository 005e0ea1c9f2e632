"""When a failed step is tried again, and what it is told then."""

import asyncio
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from engine import Context, Event, StartEvent, StopEvent, Workflow, retry_policy, step
from engine.core.codec import Codec
from engine.events import WorkflowFailedEvent
from engine.retry import (
    ConstantDelayRetryPolicy,
    ExponentialBackoffRetryPolicy,
    RetryCondition,
    RetryInfo,
    RetryPolicy,
    WaitStrategy,
    next_delay,
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
    wait_exponential_jitter,
    wait_fixed,
    wait_full_jitter,
    wait_incrementing,
    wait_none,
    wait_random,
    wait_random_exponential,
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


def waits(wait: WaitStrategy) -> list[float]:
    return [wait(failures, seed=7) for failures in range(5)]


def caused_by(*causes: Exception) -> Exception:
    """Return an error raised from the first of them, that from the second, and so on."""
    error = RuntimeError()
    for effect, cause in pairwise((error, *causes)):
        effect.__cause__ = cause
    return error


def test_by_default_there_are_three_attempts_five_seconds_apart() -> None:
    """Behaviour 60."""
    assert delays(retry_policy()) == [5, 5, None, None, None]


def test_attempts_are_counted_in_all() -> None:
    """Behaviour 60."""
    assert delays(retry_policy(wait=wait_fixed(1), stop=stop_after_attempt(2))) == [1, None, None, None, None]


def test_plain_callables_are_rules_too() -> None:
    def longer(attempts: int, *, seed: int | None = None) -> float:
        return attempts + 0.5

    def at_four(attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0) -> bool:
        return attempts + upcoming_sleep > 4

    policy = retry_policy(lambda error: isinstance(error, ValueError), longer, at_four)

    assert delays(policy) == [0.5, 1.5, None, None, None]
    assert delays(policy, KeyError()) == [None] * 5


def test_whatever_has_next_is_a_policy() -> None:
    assert isinstance(retry_policy(), RetryPolicy)
    assert isinstance(Odd(1), RetryPolicy)
    assert not isinstance(wait_fixed(1), RetryPolicy)


def test_a_first_failure_counted_from_nought_waits_like_the_first() -> None:
    assert retry_policy(wait=wait_chain(wait_fixed(1), wait_fixed(2))).next(0, 0, ValueError()) == 1


def test_the_deprecated_policies_say_so_and_work() -> None:
    with pytest.deprecated_call(match="use retry_policy"):
        constant = ConstantDelayRetryPolicy(maximum_attempts=3, delay=2)
    with pytest.deprecated_call(match="use retry_policy"):
        growing = ExponentialBackoffRetryPolicy(initial_delay=2, multiplier=3, max_delay=10, jitter=False)
    with pytest.deprecated_call(match="use retry_policy"):
        varied = ExponentialBackoffRetryPolicy(jitter=True)

    assert delays(constant) == [2, 2, None, None, None]
    assert delays(growing) == [2, 6, 10, 10, None]
    assert all(0 <= delay <= most for delay, most in zip(delays(varied)[:4], (1, 2, 4, 8), strict=True) if delay)
    assert delays(varied)[4] is None


# --- Which errors --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "chosen", "left"),
    [
        (retry_always(), ValueError(), None),
        (retry_never(), None, ValueError()),
        (retry_if_exception(lambda error: "5" in str(error)), OSError("HTTP 503"), OSError("HTTP 404")),
        (retry_if_exception_type(), ValueError(), None),
        (retry_if_exception_type((KeyError, OSError)), FileNotFoundError(), ValueError()),
        (retry_if_not_exception_type(OSError), ValueError(), FileNotFoundError()),
        (retry_unless_exception_type((KeyError, OSError)), ValueError(), KeyError()),
        (retry_if_exception_message("busy"), OSError("busy"), OSError("busy now")),
        (retry_if_exception_message(match=r"HTTP 5\d\d"), OSError("got HTTP 503"), OSError("got HTTP 404")),
        (retry_if_exception_message(match=re.compile("BUSY", re.IGNORECASE)), OSError("busy"), OSError()),
        (retry_if_not_exception_message(message="gone"), OSError("busy"), OSError("gone")),
        (retry_if_not_exception_message(match="invalid|denied"), OSError("busy"), OSError("access denied")),
        (retry_if_exception_cause_type(OSError), caused_by(ValueError(), FileNotFoundError()), caused_by(KeyError())),
        (retry_if_exception_cause_type(OSError), caused_by(OSError()), OSError("itself is no cause")),
        (retry_any(), None, ValueError()),
        (retry_all(), ValueError(), None),
    ],
)
def test_only_chosen_errors_are_tried_again(rule: RetryCondition, chosen: Any, left: Any) -> None:
    """Behaviour 60."""
    policy = retry_policy(rule, wait_fixed(1))

    assert chosen is None or policy.next(0, 1, chosen) == 1
    assert left is None or policy.next(0, 1, left) is None


def test_conditions_combine() -> None:
    busy, network = retry_if_exception_message("busy"), retry_if_exception_type(OSError)

    def is_key(error: Exception) -> bool:
        return isinstance(error, KeyError)

    errors = OSError("busy"), ValueError("busy"), OSError("gone"), KeyError()
    assert [(busy & network)(error) for error in errors] == [True, False, False, False]
    assert [(busy | network)(error) for error in errors] == [True, True, True, False]
    assert [(is_key | busy & network)(error) for error in errors] == [True, False, False, True]
    assert [(is_key & network)(error) for error in errors] == [False] * 4


@pytest.mark.parametrize("rule", [retry_if_exception_message, retry_if_not_exception_message])
def test_a_text_is_given_whole_or_as_a_pattern(rule: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match="missing 1 required argument 'message' or 'match'"):
        rule()
    with pytest.raises(TypeError, match="either 'message' or 'match', not both"):
        rule("busy", match="busy")


def test_an_error_that_is_its_own_cause_is_looked_at_once() -> None:
    error = ValueError()
    error.__cause__ = error

    assert not retry_if_exception_cause_type(OSError)(error)


# --- How long between ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        (wait_none(), [0, 0, 0, 0, 0]),
        (wait_fixed(timedelta(minutes=1)), [60, 60, 60, 60, 60]),
        (wait_exponential(), [1, 2, 4, 8, 16]),
        (wait_exponential(multiplier=3, exp_base=0.5), [3, 1.5, 0.75, 0.375, 0.1875]),
        (wait_exponential(max=timedelta(seconds=6), min=2), [2, 2, 4, 6, 6]),
        (wait_exponential(max=5, min=10), [10, 10, 10, 10, 10]),
        (wait_incrementing(), [0, 100, 200, 300, 400]),
        (wait_incrementing(start=timedelta(seconds=1), increment=2, max=6), [1, 3, 5, 6, 6]),
        (wait_incrementing(start=5, increment=-3), [5, 2, 0, 0, 0]),
        (wait_chain(wait_fixed(1), wait_fixed(2), wait_exponential()), [1, 2, 4, 8, 16]),
        (wait_combine(), [0, 0, 0, 0, 0]),
        (wait_combine(wait_fixed(1), wait_exponential()), [2, 3, 5, 9, 17]),
        (wait_fixed(1) + wait_exponential(), [2, 3, 5, 9, 17]),
        (sum([wait_fixed(1), wait_fixed(2), wait_fixed(3)]), [6, 6, 6, 6, 6]),
        (wait_exponential_jitter(jitter=0, max=10), [1, 2, 4, 8, 10]),
    ],
)
def test_a_delay_follows_from_the_attempt(wait: WaitStrategy, expected: list[float]) -> None:
    """Behaviour 60."""
    assert waits(wait) == expected


def test_a_delay_can_be_added_to_a_plain_one() -> None:
    def second(attempts: int, *, seed: int | None = None) -> float:
        return 1

    assert waits(second + wait_exponential()) == [2, 3, 5, 9, 17]
    assert waits(wait_exponential() + second) == [2, 3, 5, 9, 17]
    with pytest.raises(TypeError, match="unsupported operand"):
        5 + wait_fixed(1)


@pytest.mark.parametrize("wait", [wait_exponential(exp_base=10), wait_exponential_jitter(exp_base=10)])
def test_a_delay_that_grows_without_end_stays_at_its_maximum(wait: WaitStrategy) -> None:
    assert wait(5_000) == 60


def test_a_delay_of_nothing_never_grows() -> None:
    assert wait_exponential(multiplier=0)(5_000) == 0


def test_a_chain_needs_a_link() -> None:
    with pytest.raises(ValueError, match="at least one"):
        wait_chain()


JITTERS = [
    (wait_random(), [0] * 5, [1] * 5),
    (wait_random(min=timedelta(seconds=3), max=9), [3] * 5, [9] * 5),
    (wait_exponential_jitter(), [1, 2, 4, 8, 16], [2, 3, 5, 9, 17]),
    (wait_exponential_jitter(initial=2, exp_base=3, max=10, jitter=timedelta(seconds=4)), [2, 6, 10, 10, 10], [10] * 5),
    (wait_random_exponential(), [0] * 5, [1, 2, 4, 8, 16]),
    (wait_full_jitter(multiplier=2, exp_base=3, max=10, min=1), [1] * 5, [2, 6, 10, 10, 10]),
    (wait_full_jitter(max=1, min=4), [4] * 5, [4] * 5),
    (wait_fixed(1) + wait_random(max=2), [1] * 5, [3] * 5),
    (wait_chain(wait_fixed(1), wait_random(max=2)), [1, 0, 0, 0, 0], [1, 2, 2, 2, 2]),
]


@pytest.mark.parametrize(("wait", "least", "most"), JITTERS)
@pytest.mark.parametrize("seed", [None, 0, 1, 2**32])
def test_jitter_stays_within_its_bounds(
    wait: WaitStrategy, least: list[float], most: list[float], seed: int | None
) -> None:
    for attempts in range(5):
        assert least[attempts] <= wait(attempts, seed=seed) <= most[attempts]


@pytest.mark.parametrize(("wait", "least", "most"), JITTERS)
def test_the_same_seed_gives_the_same_jitter(wait: WaitStrategy, least: list[float], most: list[float]) -> None:
    assert waits(wait) == waits(wait)


def test_seeds_spread_jitter_evenly() -> None:
    spread = [wait_random()(0, seed=seed) for seed in range(1_000)]

    assert len(set(spread)) == 1_000
    assert min(sum(low <= value * 8 < low + 1 for value in spread) for low in range(8)) > 90


def test_attempts_of_one_seed_differ_in_their_jitter() -> None:
    assert len(set(waits(wait_random()))) == 5


# --- When to give up ---------------------------------------------------------------------------------


def test_time_since_the_first_attempt_can_end_it() -> None:
    """Behaviour 60."""
    policy = retry_policy(stop=stop_after_delay(timedelta(seconds=10)))

    assert policy.next(9.9, 50, ValueError()) == 5
    assert policy.next(10, 1, ValueError()) is None


def test_the_delay_to_come_can_end_it() -> None:
    policy = retry_policy(stop=stop_before_delay(timedelta(seconds=10)))

    assert policy.next(4.9, 50, ValueError()) == 5
    assert policy.next(5, 1, ValueError()) is None


def test_stops_combine() -> None:
    tries, time = stop_after_attempt(3), stop_before_delay(10)

    def at_last(attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0) -> bool:
        return attempts == 9

    cases = (3, 10.0), (3, 0.0), (1, 10.0), (1, 0.0), (9, 0.0)
    assert [(tries & time)(*case) for case in cases] == [True, False, False, False, False]
    assert [(tries | time)(*case) for case in cases] == [True, True, True, False, True]
    assert [(at_last | time)(*case) for case in cases] == [True, False, True, False, True]
    assert [(at_last & tries)(*case) for case in cases] == [False, False, False, False, True]
    assert (tries & time)(3, 6, upcoming_sleep=4)


def test_no_stop_never_gives_up_and_all_of_none_gives_up_at_once() -> None:
    assert not stop_never()(1_000_000, 1e9)
    assert not stop_any()(1_000_000, 1e9)
    assert stop_all()(1, 0)


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


@pytest.mark.parametrize("answer", ["soon", timedelta(seconds=1), math.nan, math.inf])
async def test_a_policy_that_answers_nonsense_ends_the_run(answer: Any) -> None:
    with pytest.raises(ValueError, match=r"the retry policy of step write returned .*; it returns a number of") as said:
        await failing(1, Odd(answer)).run()

    assert str(said.value.__cause__) == "no ink"


class Seeds:
    """A policy that notes its seeds."""

    def __init__(self) -> None:
        self.seen: list[int | None] = []

    def next(self, elapsed_time: float, attempts: int, error: Exception, *, seed: int | None = None) -> float | None:
        self.seen.append(seed)
        return 0 if attempts < 3 else None


async def test_each_failure_has_a_seed_of_its_own() -> None:
    one, other = Seeds(), Seeds()

    for policy in (one, other):
        with pytest.raises(ValueError, match="no ink"):
            await failing(9, policy).run()

    assert None not in one.seen
    assert len({*one.seen, *other.seen}) == 6


def test_a_failure_asked_about_again_has_the_same_seed() -> None:
    policy = Seeds()

    for run_id, step_name in (("r", "write"), ("r", "write"), ("r", "read"), ("s", "write")):
        next_delay(policy, 0, 1, ValueError(), run_id=run_id, step=step_name)

    first, again, *others = policy.seen
    assert first == again
    assert len({first, *others}) == 3


async def test_a_policy_without_a_seed_will_do() -> None:
    class Old:
        def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
            return 0 if attempts < 3 else None

    info = await failing(2, Old()).run()

    assert info.retry_number == 2


async def test_a_policy_around_a_policy_passes_the_seed_on() -> None:
    inner = Seeds()

    class Around:
        def next(self, *args: Any, **kwargs: Any) -> float | None:
            return inner.next(*args, **kwargs)

    await failing(1, Around()).run()

    assert None not in inner.seen


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


def test_what_a_step_is_told_of_its_retries_can_be_stored() -> None:
    info = RetryInfo(2, 1.5, None, datetime(2030, 1, 1, tzinfo=UTC))
    codec = Codec({"RetryInfo": RetryInfo})

    assert codec.loads(codec.dumps(info, "info"), "info") == info
