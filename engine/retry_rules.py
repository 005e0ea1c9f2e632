"""What a retry policy is made of: which errors, how long between attempts, when to give up.

Names, arguments and defaults are LlamaIndex's. A plain callable of the same form can stand
wherever a rule can. Nothing here draws a random number: jitter follows from the seed and the
attempt, so that the same failure is always given the same delay.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol, TypeAlias

from engine.facts import fact

Seconds: TypeAlias = int | float | timedelta
ErrorTypes: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]
RetryCondition: TypeAlias = Callable[[Exception], bool]


class WaitStrategy(Protocol):
    """How long to wait; *attempts* is 0 before the first repeat."""

    def __call__(self, attempts: int, /, *, seed: int | None = None) -> float: ...


class StopCondition(Protocol):
    """Whether to give up; *attempts* counts failures from 1, *upcoming_sleep* is the delay to come."""

    def __call__(self, attempts: int, elapsed_time: float, /, *, upcoming_sleep: float = 0.0) -> bool: ...


# --- Which errors --------------------------------------------------------------------------


@fact
class Retry:
    """A condition that combines with others by ``&`` and ``|``."""

    holds: RetryCondition

    def __call__(self, error: Exception) -> bool:
        return self.holds(error)

    def __and__(self, other: RetryCondition) -> Retry:
        return retry_all(self, other)

    def __rand__(self, other: RetryCondition) -> Retry:
        return retry_all(other, self)

    def __or__(self, other: RetryCondition) -> Retry:
        return retry_any(self, other)

    def __ror__(self, other: RetryCondition) -> Retry:
        return retry_any(other, self)


def retry_always() -> Retry:
    """Retry any error."""
    return Retry(lambda error: True)


def retry_never() -> Retry:
    """Retry no error."""
    return Retry(lambda error: False)


def retry_all(*retries: RetryCondition) -> Retry:
    """Retry what all of them retry."""
    return Retry(lambda error: all(retry(error) for retry in retries))


def retry_any(*retries: RetryCondition) -> Retry:
    """Retry what one of them retries."""
    return Retry(lambda error: any(retry(error) for retry in retries))


def retry_if_exception(predicate: RetryCondition) -> Retry:
    """Retry errors for which *predicate* is true."""
    return Retry(predicate)


def retry_if_exception_type(exception_types: ErrorTypes = Exception) -> Retry:
    """Retry errors of these types."""
    return Retry(lambda error: isinstance(error, exception_types))


def retry_if_not_exception_type(exception_types: ErrorTypes = Exception) -> Retry:
    """Retry errors of other types than these."""
    return Retry(lambda error: not isinstance(error, exception_types))


retry_unless_exception_type = retry_if_not_exception_type


def retry_if_exception_message(message: str | None = None, match: str | re.Pattern[str] | None = None) -> Retry:
    """Retry errors whose text is *message*, or holds the pattern *match*.

    Raises:
        TypeError: neither was given, or both.
    """
    fits = _message_test("retry_if_exception_message", message, match)
    return Retry(lambda error: fits(str(error)))


def retry_if_not_exception_message(message: str | None = None, match: str | re.Pattern[str] | None = None) -> Retry:
    """Retry errors that `retry_if_exception_message` would not.

    Raises:
        TypeError: neither was given, or both.
    """
    fits = _message_test("retry_if_not_exception_message", message, match)
    return Retry(lambda error: not fits(str(error)))


def _message_test(name: str, message: str | None, match: str | re.Pattern[str] | None) -> Callable[[str], bool]:
    if message is not None and match is not None:
        raise TypeError(f"{name}() takes either 'message' or 'match', not both")
    if message is not None:
        return lambda text: text == message
    if match is None:
        raise TypeError(f"{name}() missing 1 required argument 'message' or 'match'")
    pattern = re.compile(match)
    return lambda text: pattern.search(text) is not None


def retry_if_exception_cause_type(exception_types: ErrorTypes = Exception) -> Retry:
    """Retry errors raised ``from`` one of these types, directly or further back."""

    def holds(error: Exception) -> bool:
        seen: set[int] = set()
        cause = error.__cause__
        while cause is not None and id(cause) not in seen:  # `raise error from error` is a circle
            if isinstance(cause, exception_types):
                return True
            seen.add(id(cause))
            cause = cause.__cause__
        return False

    return Retry(holds)


# --- How long between ------------------------------------------------------------------------


@fact
class Wait:
    """A strategy that others can be added to, by ``+`` or ``sum``."""

    delay: Callable[[int, int | None], float]

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        return self.delay(attempts, seed)

    def __add__(self, other: WaitStrategy) -> Wait:
        return wait_combine(self, other)

    def __radd__(self, other: WaitStrategy | int) -> Wait:
        if other == 0:  # where `sum` begins
            return self
        return wait_combine(other, self) if callable(other) else NotImplemented


def wait_none() -> Wait:
    """Try again at once."""
    return wait_fixed(0)


def wait_fixed(wait: Seconds) -> Wait:
    """Wait the same time before each attempt."""
    seconds = _in_seconds(wait)
    return Wait(lambda attempts, seed: seconds)


def wait_incrementing(start: Seconds = 0, increment: Seconds = 100, max: Seconds = math.inf) -> Wait:  # noqa: A002 - LlamaIndex's names
    """Wait *start*, then *increment* longer each time, at most *max*."""
    first, more, high = _in_seconds(start), _in_seconds(increment), _in_seconds(max)
    return Wait(lambda attempts, seed: _within(0, first + more * attempts, high))


def wait_exponential(multiplier: float = 1, exp_base: float = 2, max: Seconds = 60, min: Seconds = 0) -> Wait:  # noqa: A002 - LlamaIndex's names
    """Wait ``multiplier * exp_base ** n`` seconds, n from 0, within *min* and *max*."""
    low, high = _in_seconds(min), _in_seconds(max)
    return Wait(lambda attempts, seed: _within(low, _grown(multiplier, exp_base, attempts), high))


def wait_random(min: Seconds = 0, max: Seconds = 1) -> Wait:  # noqa: A002 - LlamaIndex's names
    """Wait some time between *min* and *max*."""
    low, high = _in_seconds(min), _in_seconds(max)
    return Wait(lambda attempts, seed: _between(low, high, attempts, seed))


def wait_random_exponential(multiplier: float = 1, exp_base: float = 2, max: Seconds = 60, min: Seconds = 0) -> Wait:  # noqa: A002 - LlamaIndex's names
    """Wait some time between *min* and what `wait_exponential` would wait."""
    low, longest = _in_seconds(min), wait_exponential(multiplier, exp_base, max, min)
    return Wait(lambda attempts, seed: _between(low, longest(attempts), attempts, seed))


wait_full_jitter = wait_random_exponential


def wait_exponential_jitter(
    initial: Seconds = 1,
    exp_base: float = 2,
    max: Seconds = 60,  # noqa: A002 - LlamaIndex's name
    jitter: Seconds = 1,
) -> Wait:
    """Wait ``initial * exp_base ** n`` seconds and up to *jitter* more, at most *max* in all."""
    first, high, spread = _in_seconds(initial), _in_seconds(max), _in_seconds(jitter)

    def delay(attempts: int, seed: int | None) -> float:
        return _within(0, _grown(first, exp_base, attempts) + _between(0, spread, attempts, seed), high)

    return Wait(delay)


def wait_chain(*strategies: WaitStrategy) -> Wait:
    """Wait as the first says, then as the second, and from then on as the last.

    Raises:
        ValueError: none was given.
    """
    if not strategies:
        raise ValueError("wait_chain requires at least one strategy")
    last = len(strategies) - 1
    return Wait(lambda attempts, seed: strategies[min(attempts, last)](attempts, seed=seed))


def wait_combine(*strategies: WaitStrategy) -> Wait:
    """Wait as long as all of them together."""
    return Wait(lambda attempts, seed: sum(strategy(attempts, seed=seed) for strategy in strategies))


def _grown(first: float, base: float, times: int) -> float:
    try:
        return first * float(base) ** times
    except OverflowError:
        return math.inf if first > 0 else 0.0


def _within(low: float, value: float, high: float) -> float:
    return max(0.0, low, min(value, high))


def _between(low: float, high: float, attempts: int, seed: int | None) -> float:
    digest = hashlib.sha256(f"{seed}:{attempts}".encode()).digest()
    return low + (high - low) * int.from_bytes(digest[:6]) / 2**48


# --- When to give up -------------------------------------------------------------------------


@fact
class Stop:
    """A condition that combines with others by ``&`` and ``|``."""

    holds: Callable[[int, float, float], bool]

    def __call__(self, attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
        return self.holds(attempts, elapsed_time, upcoming_sleep)

    def __and__(self, other: StopCondition) -> Stop:
        return stop_all(self, other)

    def __rand__(self, other: StopCondition) -> Stop:
        return stop_all(other, self)

    def __or__(self, other: StopCondition) -> Stop:
        return stop_any(self, other)

    def __ror__(self, other: StopCondition) -> Stop:
        return stop_any(other, self)


def stop_never() -> Stop:
    """Never give up."""
    return Stop(lambda attempts, elapsed, sleep: False)


def stop_after_attempt(max_attempt_number: int) -> Stop:
    """Give up after so many attempts in all."""
    return Stop(lambda attempts, elapsed, sleep: attempts >= max_attempt_number)


def stop_after_delay(max_delay: Seconds) -> Stop:
    """Give up once *max_delay* has passed since the first attempt."""
    limit = _in_seconds(max_delay)
    return Stop(lambda attempts, elapsed, sleep: elapsed >= limit)


def stop_before_delay(max_delay: Seconds) -> Stop:
    """Give up if the next attempt would come *max_delay* or later after the first."""
    limit = _in_seconds(max_delay)
    return Stop(lambda attempts, elapsed, sleep: elapsed + sleep >= limit)


def stop_all(*stops: StopCondition) -> Stop:
    """Give up when all of them do."""
    return Stop(lambda attempts, elapsed, sleep: all(stop(attempts, elapsed, upcoming_sleep=sleep) for stop in stops))


def stop_any(*stops: StopCondition) -> Stop:
    """Give up when one of them does."""
    return Stop(lambda attempts, elapsed, sleep: any(stop(attempts, elapsed, upcoming_sleep=sleep) for stop in stops))


def _in_seconds(value: Seconds) -> float:
    """Return a number of seconds or a timedelta as seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
