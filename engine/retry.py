"""When a failed step is tried again. A policy says in how many seconds, or None for never.

`retry_policy` makes one of three rules. They live in `engine.retry_rules`; import them from here.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import warnings
from dataclasses import dataclass
from datetime import datetime
from numbers import Real
from typing import Protocol, runtime_checkable

from engine.facts import fact
from engine.retry_rules import (
    RetryCondition,
    Seconds,
    StopCondition,
    WaitStrategy,
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

__all__ = [
    "ComposedRetryPolicy",
    "ConstantDelayRetryPolicy",
    "ExponentialBackoffRetryPolicy",
    "RetryCondition",
    "RetryInfo",
    "RetryPolicy",
    "StopCondition",
    "WaitStrategy",
    "next_delay",
    "retry_all",
    "retry_always",
    "retry_any",
    "retry_if_exception",
    "retry_if_exception_cause_type",
    "retry_if_exception_message",
    "retry_if_exception_type",
    "retry_if_not_exception_message",
    "retry_if_not_exception_type",
    "retry_never",
    "retry_policy",
    "retry_unless_exception_type",
    "stop_after_attempt",
    "stop_after_delay",
    "stop_all",
    "stop_any",
    "stop_before_delay",
    "stop_never",
    "wait_chain",
    "wait_combine",
    "wait_exponential",
    "wait_exponential_jitter",
    "wait_fixed",
    "wait_full_jitter",
    "wait_incrementing",
    "wait_none",
    "wait_random",
    "wait_random_exponential",
]


@dataclass(slots=True)  # no fact: an event may hold one, and what is stored are dataclasses
class RetryInfo:
    """How a call came to be tried again. Seconds; *last_failed_at* is aware, in UTC."""

    retry_number: int
    elapsed_seconds: float
    last_exception: Exception | None
    last_failed_at: datetime | None


@runtime_checkable
class RetryPolicy(Protocol):
    """Anything with this method can be a step's ``retry_policy``; one without *seed* will do."""

    def next(self, elapsed_time: float, attempts: int, error: Exception, *, seed: int | None = None) -> float | None:
        """Return the delay in seconds before the next attempt, or None to give up.

        *attempts* counts failures so far, from 1; *elapsed_time* is seconds since the first attempt
        began. *seed* follows from the run, the step and *attempts*, so whoever asks again gives the same.
        """


def next_delay(
    policy: RetryPolicy, elapsed_time: float, attempts: int, error: Exception, *, run_id: str, step: str
) -> float | None:
    """Ask *policy* about a failure of *step*, with a seed if it takes one.

    Raises:
        ValueError: what it returns is no time to wait.
    """
    delay = _asked(policy, elapsed_time, attempts, error, f"{run_id}:{step}:{attempts}")
    if delay is None:
        return None
    if not isinstance(delay, Real) or not math.isfinite(delay):
        raise ValueError(
            f"the retry policy of step {step} returned {delay!r}; it returns a number of seconds, or None for never"
        ) from error
    return float(delay)


def _asked(policy: RetryPolicy, elapsed_time: float, attempts: int, error: Exception, seed: str) -> object:
    takes = inspect.signature(policy.next).parameters.values()
    if not any(each.name == "seed" or each.kind is each.VAR_KEYWORD for each in takes):
        return policy.next(elapsed_time, attempts, error)
    digest = hashlib.sha256(seed.encode()).digest()
    return policy.next(elapsed_time, attempts, error, seed=int.from_bytes(digest[-4:]))  # LlamaIndex's number


@fact
class ComposedRetryPolicy:
    """What `retry_policy` makes."""

    retry: RetryCondition
    wait: WaitStrategy
    stop: StopCondition

    def next(self, elapsed_time: float, attempts: int, error: Exception, *, seed: int | None = None) -> float | None:
        if not self.retry(error):
            return None
        delay = self.wait(max(attempts - 1, 0), seed=seed)
        return None if self.stop(attempts, elapsed_time, upcoming_sleep=delay) else delay


def retry_policy(
    retry: RetryCondition | None = None, wait: WaitStrategy | None = None, stop: StopCondition | None = None
) -> ComposedRetryPolicy:
    """Compose a policy; by default any error, 5 seconds between, 3 attempts in all."""
    return ComposedRetryPolicy(
        retry=retry or retry_always(),
        wait=wait or wait_fixed(5),
        stop=stop or stop_after_attempt(3),
    )


def ConstantDelayRetryPolicy(maximum_attempts: int = 3, delay: Seconds = 5) -> ComposedRetryPolicy:  # noqa: N802 - LlamaIndex's name
    """At most *maximum_attempts* attempts, *delay* apart. Deprecated."""
    _deprecated("ConstantDelayRetryPolicy", "retry_policy(wait=wait_fixed(delay), stop=stop_after_attempt(n))")
    return retry_policy(wait=wait_fixed(delay), stop=stop_after_attempt(maximum_attempts))


def ExponentialBackoffRetryPolicy(  # noqa: N802 - LlamaIndex's name
    maximum_attempts: int = 5,
    initial_delay: float = 1,
    multiplier: float = 2,
    max_delay: Seconds = 60,
    jitter: bool = True,
) -> ComposedRetryPolicy:
    """Delays that grow by *multiplier* up to *max_delay*; with *jitter*, anything up to that. Deprecated."""
    _deprecated("ExponentialBackoffRetryPolicy", "retry_policy(wait=wait_exponential(...), stop=stop_after_attempt(n))")
    wait = wait_random_exponential if jitter else wait_exponential
    return retry_policy(
        wait=wait(multiplier=initial_delay, exp_base=multiplier, max=max_delay),
        stop=stop_after_attempt(maximum_attempts),
    )


def _deprecated(name: str, instead: str) -> None:
    warnings.warn(f"{name} is deprecated, use {instead} instead", DeprecationWarning, stacklevel=3)
