"""Workers whose Redis is away: they say so and try again, whichever kind of Redis it is."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import pytest
from redis.asyncio import Redis
from redis.typing import EncodableT, FieldT

from bot.fleet import KNOWN, Fleet

LIMIT_S = 30
Fields: TypeAlias = dict[FieldT, EncodableT]


class Telling(logging.Handler):
    """Tells when a line is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.told = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.told.set()


@pytest.mark.parametrize("url", ["redis://", "redis+cluster://", "redis+sentinel://"])
async def test_a_redis_that_is_away_does_not_end_the_process(url: str) -> None:
    async def attend(run_id: str) -> None:
        raise AssertionError("there is no work")

    async def due() -> Iterable[str]:
        return ()

    async def tidy() -> None:
        pass

    service = "/svc" if "sentinel" in url else ""
    fleet = Fleet(f"{url}127.0.0.1:1{service}", attend, due, tidy)
    telling = Telling()
    logging.getLogger("bot.fleet").addHandler(telling)
    try:
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(fleet.serve())
            async with asyncio.timeout(LIMIT_S):
                await telling.told.wait()

            assert not serving.done()
            serving.cancel()
    finally:
        logging.getLogger("bot.fleet").removeHandler(telling)


class Evil:
    """Makes a folder where somebody unpickles it; it might do anything."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("where", ["task", "strike"])
async def test_what_somebody_else_has_pickled_into_redis_is_not_run(
    where: str, redis_url: str, redis: Redis, prefix: str, tmp_path: Path
) -> None:
    """Whoever can write to Redis may take runs away, but executes nothing in the processes that read it."""
    told, attended, folder = Telling(), asyncio.Event(), tmp_path / "made"
    evil = pickle.dumps(Evil(str(folder)))

    async def attend(run_id: str) -> None:
        attended.set()

    async def none() -> Iterable[str]:
        return ()

    fleet = Fleet(redis_url, attend, none, _tidy, name=prefix)
    task: Fields = {"function": "wake", "args": evil, "kwargs": evil, "key": "k", "when": "2026-01-01", "attempt": "1"}
    strike: Fields = {"direction": "strike", "operator": "==", "parameter": "x", "value": evil}
    logging.getLogger("bot.plain_pickles").addHandler(told)
    try:
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(LIMIT_S):
            serving = tasks.create_task(fleet.serve())
            await _woken(fleet, attended)
            if where == "task":
                await redis.xadd(f"{prefix}-wakes:stream", task)
            else:
                await redis.xadd(f"{prefix}-wakes:strikes", strike)
            await told.told.wait()
            await _woken(fleet, attended)
            serving.cancel()
    finally:
        logging.getLogger("bot.plain_pickles").removeHandler(told)

    assert not folder.exists()


async def test_a_wake_that_is_done_is_soon_forgotten(redis_url: str, redis: Redis, prefix: str) -> None:
    attended = asyncio.Event()

    async def attend(run_id: str) -> None:
        attended.set()

    async def none() -> Iterable[str]:
        return ()

    fleet = Fleet(redis_url, attend, none, _tidy, name=prefix)
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(LIMIT_S):
        serving = tasks.create_task(fleet.serve())
        await _woken(fleet, attended)
        serving.cancel()

    lifetimes = [await redis.ttl(name) async for name in redis.scan_iter(f"{prefix}-wakes:runs:*")]
    done = [seconds for seconds in lifetimes if seconds != -1]
    assert done
    assert max(done) <= KNOWN.total_seconds()


async def _tidy() -> None:
    pass


async def _woken(fleet: Fleet, attended: asyncio.Event) -> None:
    """Wake a run until a worker attends to it."""
    attended.clear()
    while not attended.is_set():
        await fleet.wake("k0-run")
