"""When a failed step is tried again. A policy says in how many seconds, or None for never."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeAlias

Seconds: TypeAlias = int | float | timedelta


class RetryPolicy(Protocol):
    """Anything with this method can be a step's ``retry_policy``."""

    def next(self, elapsed_time: float, attempts: int, error: Exception, *, seed: int | None = None) -> float | None:
        """Return the delay in seconds before the next attempt, or None to give up.

        *attempts* counts failures so far, from 1; *elapsed_time* is seconds since the first attempt began.
        """


@dataclass(frozen=True, slots=True)
class ConstantDelayRetryPolicy:
    """At most *maximum_attempts* attempts, *delay* seconds apart."""

    maximum_attempts: int = 3
    delay: float = 5

    def next(self, elapsed_time: float, attempts: int, error: Exception, *, seed: int | None = None) -> float | None:
        return None if attempts >= self.maximum_attempts else self.delay


WaitRule: TypeAlias = Callable[[int], float]
StopRule: TypeAlias = Callable[[float, int], bool]
RetryRule: TypeAlias = Callable[[Exception], bool]


@dataclass(frozen=True, slots=True)
class ComposedRetryPolicy:
    """What `retry_policy` makes: which errors, how long between, when to give up."""

    retry: RetryRule
    wait: WaitRule
    stop: StopRule

    def next(self, elapsed_time: float, attempts: int, error: Exception, *, seed: int | None = None) -> float | None:
        if not self.retry(error) or self.stop(elapsed_time, attempts):
            return None
        return self.wait(attempts - 1)


def retry_policy(
    retry: RetryRule | None = None, wait: WaitRule | None = None, stop: StopRule | None = None
) -> ComposedRetryPolicy:
    """Compose a policy; by default any error, 5 seconds between, 3 attempts in all."""
    return ComposedRetryPolicy(
        retry=retry or retry_if_exception_type(Exception),
        wait=wait or wait_fixed(5),
        stop=stop or stop_after_attempt(3),
    )


def retry_if_exception_type(types: type[Exception] | tuple[type[Exception], ...] = Exception) -> RetryRule:
    """Retry errors of these types."""
    return lambda error: isinstance(error, types)


def wait_fixed(wait: Seconds) -> WaitRule:
    """Wait the same time before each attempt."""
    seconds = in_seconds(wait)
    return lambda failures: seconds


def wait_exponential(multiplier: float = 1, exp_base: float = 2, max: Seconds = 60, min: Seconds = 0) -> WaitRule:  # noqa: A002 - LlamaIndex's names
    """Wait ``multiplier * exp_base ** n`` seconds, n from 0, within *min* and *max*."""
    low, high = in_seconds(min), in_seconds(max)

    def wait(failures: int) -> float:
        try:
            grown = multiplier * math.pow(exp_base, failures)
        except OverflowError:
            grown = high
        return sorted((low, grown, high))[1]

    return wait


def stop_after_attempt(attempts: int) -> StopRule:
    """Give up after *attempts* attempts in all."""
    return lambda elapsed, failures: failures >= attempts


def stop_after_delay(delay: Seconds) -> StopRule:
    """Give up once *delay* has passed since the first attempt."""
    seconds = in_seconds(delay)
    return lambda elapsed, failures: elapsed >= seconds


def in_seconds(value: Seconds) -> float:
    """Return a number of seconds or a timedelta as seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
