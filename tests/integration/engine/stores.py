"""The two run stores, each with a clock that a test can move, and one that tells what it was asked.

Unless told otherwise they have no patience: what a worker cannot read is parked at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from engine.errors import StoreUnavailable
from engine.memory_store import MemoryRunStore
from engine.redis import RedisRunStore
from engine.run_store import RunStore

LANES = 3


@dataclass(frozen=True)
class StoreWithClock:
    """A store, and what lets its clock run by some seconds."""

    store: RunStore
    pass_time: Callable[[float], Awaitable[None]]


def in_memory(patience_s: float = 0) -> StoreWithClock:
    now = [1_700_000_000.0]

    async def pass_time(seconds: float) -> None:
        now[0] += seconds

    return StoreWithClock(MemoryRunStore(lambda: now[0], patience_s=patience_s), pass_time)


@asynccontextmanager
async def in_redis(url: str, prefix: str, patience_s: float = 0) -> AsyncIterator[StoreWithClock]:
    """A store on a real server; leaving it checks that nothing is kept for ever that no open run needs."""
    store = RedisRunStore.from_url(url, prefix=prefix, lanes=LANES, patience_s=patience_s)
    try:
        yield StoreWithClock(store, skewing(store, LANES))
        assert await store.leftovers() == []
    finally:
        await store.close()


def skewing(store: RedisRunStore, lanes: int) -> Callable[[float], Awaitable[None]]:
    """Return what moves a Redis store's clock."""
    names = [f"{store.prefix}:{{{lane}}}:skew" for lane in range(lanes)]

    async def pass_time(seconds: float) -> None:
        for name in names:
            await store.server.read("INCRBYFLOAT", name, seconds)

    return pass_time


@dataclass
class Heard:
    """A store that says what it is told, and can be out of order for one verb."""

    store: RunStore
    told: list[str] = field(default_factory=list)
    broken: str = ""

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self.store, name)
        if name == "new_run_id":
            return verb

        async def call(*given: Any, **named: Any) -> Any:
            self.told.append(name)
            if name == self.broken:
                raise StoreUnavailable("away")
            return await verb(*given, **named)

        return call
