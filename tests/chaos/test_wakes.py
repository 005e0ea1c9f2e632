"""Wakes that get lost, come twice or come late, and none at all: runs come to the same end.

Here the workers are the bot's own, `bot.fleet` on pydocket; only what a wake is worth differs.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bot.fleet import Fleet
from engine.redis import RedisRunStore
from engine.runner import Runner
from tests.chaos.office import LANES, LEASE_S, Clerk, MemoryBoard, Office, Release

pytestmark = pytest.mark.chaos

RUNS = int(os.environ.get("SIGNOFF_RUNS", "60")) // 3
MISFORTUNE = 0.3
LATE_S = (0.05, 1.0)


class Dispatcher:
    """Brings wakes to a fleet; 30 % are lost, 30 % doubled and 30 % late, each by itself. *off*, it brings none."""

    def __init__(self, fleet: Fleet, chance: random.Random, tasks: asyncio.TaskGroup, *, off: bool = False) -> None:
        self._fleet = fleet
        self._random = chance
        self._tasks = tasks
        self.off = off
        self.asked = self.brought = 0

    async def wake(self, run_id: str) -> None:
        self.asked += 1
        if self.off or self._unlucky():
            return
        for _ in range(2 if self._unlucky() else 1):
            after_s = self._random.uniform(*LATE_S) if self._unlucky() else 0.0
            self._tasks.create_task(self._bring(run_id, after_s))

    async def _bring(self, run_id: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self._fleet.wake(run_id)
        self.brought += 1

    def _unlucky(self) -> bool:
        return self._random.random() < MISFORTUNE


@asynccontextmanager
async def at_work(office: Office, redis_url: str, prefix: str, *, off: bool) -> AsyncIterator[Dispatcher]:
    """Run two workers of the bot's fleet while the block runs."""
    clerk = Clerk(Runner(office.store, [Release()], lease_s=LEASE_S), office.board)
    fleets = [Fleet(redis_url, clerk.attend, clerk.due, clerk.tidy, name=prefix, sweep_s=0.25) for _ in range(2)]
    async with asyncio.TaskGroup() as tasks:
        dispatcher = Dispatcher(fleets[0], office.random, tasks, off=off)
        office.runner.wake = clerk.runner.wake = dispatcher.wake
        serving = [tasks.create_task(fleet.serve()) for fleet in fleets]
        yield dispatcher
        for one in serving:
            one.cancel()


@pytest.mark.parametrize("off", [False, True], ids=["30 % lost, doubled, late", "switched off"])
async def test_what_becomes_of_wakes_changes_no_result(redis_url: str, prefix: str, off: bool) -> None:
    store = RedisRunStore.from_url(redis_url, prefix=prefix, lanes=LANES)
    office = Office(store, MemoryBoard(), random.Random(prefix))

    async with at_work(office, redis_url, prefix, off=off) as dispatcher:
        await office.see_through(RUNS)
        await office.settled()

    print(f"{len(office.clicks)} runs, {dispatcher.asked} wakes wanted, {dispatcher.brought} brought")
    await office.check()
    assert len(office.clicks) == RUNS
    assert (dispatcher.brought == 0) is off
    await store.close()
