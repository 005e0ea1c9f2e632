"""A process that dies at some of its calls: all points of a reference run, each alone, and pairs of them.

``SIGNOFF_PAIRS`` says how many pairs are tried of each run; ``make chaos`` tries 1,000.
"""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, NamedTuple

from engine.run_store import RunStore
from engine.worker import LEASE_S

PAIRS = int(os.environ.get("SIGNOFF_PAIRS", "20"))
RECOVERY = 10
"""How many calls more than the reference run one that crashes makes, about."""
LEASE_OVER_S = 2 * LEASE_S + 1
"""After that whoever died is not waited for any more; the second lease of a run is twice as long as the first."""


class Crash(BaseException):
    """The process is gone."""


class Point(NamedTuple):
    """A call, counted from 1, that is the last of its process: it was not made, or its answer was lost."""

    at: int
    moment: Literal["before", "after"]


class Fuse:
    """Crashes at *points*. Calls are counted on in the process that comes after."""

    def __init__(self, *points: Point) -> None:
        self.points = points
        self.calls: list[str] = []

    async def burn(self, name: str, call: Callable[[], Awaitable[Any]]) -> Any:
        self.calls.append(name)
        at = len(self.calls)
        if (at, "before") in self.points:
            raise Crash(name)
        answer = await call()
        if (at, "after") in self.points:
            raise Crash(name)
        return answer

    def __str__(self) -> str:
        return ", ".join(f"crashed {moment} call {at}" for at, moment in self.points) or "not crashed"


def singles(calls: int) -> Iterator[Fuse]:
    """Yield what crashes once, at each point of a run of so many calls."""
    for at in range(1, calls + 1):
        yield Fuse(Point(at, "before"))
        yield Fuse(Point(at, "after"))


def pairs(calls: int) -> Iterator[Fuse]:
    """Yield what crashes twice, the second time also while the first is made good: `PAIRS` of them by chance."""
    points = [point for fuse in singles(calls + RECOVERY) for point in fuse.points]
    both = [(first, second) for first, second in combinations(points, 2) if first.at < second.at and first.at <= calls]
    for pair in random.Random(calls).sample(both, min(PAIRS, len(both))):
        yield Fuse(*pair)


@dataclass
class CrashingStore:
    """A run store whose every call may be the last."""

    store: RunStore
    fuse: Fuse

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        if name == "new_run_id":
            return method

        async def call(*given: Any, **named: Any) -> Any:
            return await self.fuse.burn(name, lambda: method(*given, **named))

        return call
