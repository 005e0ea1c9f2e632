"""Worker processes that are killed, or stopped until their leases are long over, while runs are at work.

``SIGNOFF_RUNS`` says how many runs are seen through; ``make chaos`` sees 1,000 through.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
from collections import Counter
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from engine.redis import RedisRunStore
from engine.runner import Runner
from tests import servers
from tests.chaos.office import LANES, LEASE_S, Clerk, Office, RedisBoard, Release
from tests.forks import forks

pytestmark = pytest.mark.chaos

RUNS = int(os.environ.get("SIGNOFF_RUNS", "60"))
WORKERS = 3
PAUSES_S = (0.05, 0.25)
STALLS_S = (0.5 * LEASE_S, 2.5 * LEASE_S)


def work(url: str, prefix: str) -> None:
    """Be a worker until killed, or until nobody is left who could do that."""
    asyncio.run(_work(url, prefix))


async def _work(url: str, prefix: str) -> None:
    store = RedisRunStore.from_url(url, prefix=prefix, lanes=LANES)
    clerk = Clerk(Runner(store, [Release()], lease_s=LEASE_S, max_attempts=1_000), RedisBoard(url, f"{prefix}-board"))
    parent = os.getppid()
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(clerk.serve())
        while os.getppid() == parent:  # noqa: ASYNC110 - the kernel tells it no other way everywhere
            await asyncio.sleep(0.5)
        serving.cancel()


class Workers:
    """Some worker processes, and what is done to them."""

    def __init__(self, url: str, prefix: str, random: random.Random) -> None:
        self._arguments = (url, prefix)
        self._random = random
        self._stopped: dict[int, float] = {}
        self._processes = [self._start() for _ in range(WORKERS)]
        self.done: Counter[str] = Counter()

    def _start(self) -> ForkServerProcess:
        process = forks.Process(target=work, args=self._arguments, daemon=True)
        process.start()
        return process

    async def harass(self) -> None:
        """Kill and stop them, until cancelled."""
        while True:
            await asyncio.sleep(self._random.uniform(*PAUSES_S))
            self._wake_up()
            place = self._random.randrange(WORKERS)
            process = self._processes[place]
            assert process.pid is not None
            if self._random.random() < 0.6:
                self._kill(place)
                self.done["kill -9"] += 1
            elif process.pid not in self._stopped:
                os.kill(process.pid, signal.SIGSTOP)
                until = asyncio.get_running_loop().time() + self._random.uniform(*STALLS_S)
                self._stopped[process.pid] = until
                self.done["SIGSTOP"] += 1

    def let_be(self) -> None:
        """Let all of them work from now on."""
        self._wake_up(at_once=True)

    def end(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()

    def _kill(self, place: int) -> None:
        process = self._processes[place]
        process.kill()
        process.join()
        self._stopped.pop(process.pid or 0, None)
        self._processes[place] = self._start()

    def _wake_up(self, *, at_once: bool = False) -> None:
        now = asyncio.get_running_loop().time()
        for pid in [pid for pid, until in self._stopped.items() if at_once or until <= now]:
            os.kill(pid, signal.SIGCONT)
            del self._stopped[pid]


async def test_runs_outlive_workers_that_are_killed_and_stopped(tmp_path: Path, prefix: str) -> None:
    seed = secrets.randbits(32)
    chance = random.Random(seed)
    with servers.server(tmp_path / "valkey") as server:
        store = RedisRunStore.from_url(server.url, prefix=prefix, lanes=LANES)
        board = RedisBoard(server.url, f"{prefix}-board")
        office = Office(store, board, chance)
        workers = Workers(server.url, prefix, chance)
        try:
            async with asyncio.TaskGroup() as tasks:
                harassing = tasks.create_task(workers.harass())
                await office.see_through(RUNS, at_once=3)
                harassing.cancel()
            workers.let_be()
            await office.settled()
        finally:
            workers.end()
            print(f"seed {seed}: {len(office.clicks)} runs, {dict(workers.done)}")

        await office.check()

        assert await store.leftovers() == []
        assert len(office.clicks) == RUNS
        assert workers.done["kill -9"] > RUNS / 6, "it was over before it could be called chaos"
        await board.redis.aclose()
        await store.close()
