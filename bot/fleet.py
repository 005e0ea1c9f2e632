"""Workers: pydocket brings each wake to one of them, and a sweep finds what no wake was brought for.

Nothing depends on a wake: lost, doubled or late, the truth is in the run store and the sweep
looks there. A wake carries one string, the ids of runs.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

from docket import Docket, Perpetual, Worker
from redis.exceptions import RedisClusterException, RedisError

from bot.logs import run_logged
from bot.plain_pickles import read_plain_pickles_only

logger = logging.getLogger(__name__)

REDELIVERY = timedelta(seconds=10)
"""How long a wake or sweep may stay with a process that died, or lost Redis meanwhile, before another takes it."""
AT_ONCE = 20
"""How many tasks a process works on at once."""
TOGETHER = 16
"""How many runs one task brings at most. To add a task costs more than to answer a click."""
OUT_OF_REACH = (RedisError, RedisClusterException, OSError)
WAKE_LIMIT_S = 1.0
APART_S = 0.02
"""How long after one task the next is added; the runs that are to be brought meanwhile travel together."""
RECONNECT_S = 1.0
SWEEP_BUCKET_S = 10
"""The sweep wakes a run at most once in this time, however long the queue is."""
KNOWN = timedelta(seconds=2 * SWEEP_BUCKET_S)
"""How long pydocket remembers a task that is done. In the quarter of an hour that it does by default a busy process
leaves 45,000 of them, some 1.9 KB each."""


class Fleet:
    """This process's place among the workers. While it serves, it can `wake`."""

    def __init__(
        self,
        url: str,
        attend: Callable[[str], Awaitable[None]],
        due: Callable[[], Awaitable[Iterable[str]]],
        tidy: Callable[[], Awaitable[None]],
        *,
        name: str = "signoff",
        sweep_s: float = 1.0,
    ) -> None:
        """*attend* does what one run needs; *due* does what time brings and returns the runs that need attention;
        *tidy* does what else is late, and may take its time.
        """
        self._attend = attend
        self._due = due
        self._tidy = tidy
        self._url = url
        self._name = f"{name}-wakes"
        self._docket: Docket | None = None
        self._sweep_every = timedelta(seconds=sweep_s)
        self._in_hand: set[asyncio.Task[Any]] = set()
        self._waiting: dict[str, None] = {}
        self._adding = asyncio.Lock()
        self._next_at = 0.0
        self._wake_task = self._make_wake()
        self._sweep_task = self._make_sweep()
        self._tidying_task = self._make_tidying()
        self._first_task = self._make_first()

    async def wake(self, run_id: str) -> None:
        """Bring a run to a worker. If that fails the sweep will: what was saved stays saved.

        Runs that are to be brought while one is on its way travel together.
        """
        self._waiting[run_id] = None
        async with self._adding:
            if run_id not in self._waiting:
                return
            loop = asyncio.get_running_loop()
            if len(self._waiting) < TOGETHER and (early_s := self._next_at - loop.time()) > 0:
                await asyncio.sleep(early_s)
            together = list(itertools.islice(self._waiting, TOGETHER))
            for brought in together:
                del self._waiting[brought]
            await self._bring(together)
            self._next_at = loop.time() + APART_S

    async def _bring(self, run_ids: Sequence[str], key: str | None = None) -> None:
        try:
            if self._docket is None:
                raise ConnectionError("Redis has not been reached yet")
            async with asyncio.timeout(WAKE_LIMIT_S):
                await self._docket.add(self._wake_task, key=key)(" ".join(run_ids))
        except (*OUT_OF_REACH, TimeoutError) as error:
            logger.warning("wake not sent", extra={"run_ids": run_ids, "reason": str(error)})

    def drop(self) -> None:
        """Cancel the work that is in hand."""
        for task in self._in_hand:
            task.cancel()

    async def serve(self, *, worker: bool = True) -> None:
        """Bring wakes, and as a *worker* work on them, until cancelled. Goes on by itself when Redis comes back.

        Once cancelled it takes no more work and ends when what is in hand has ended; see `drop`.
        """
        me = asyncio.current_task()
        read_plain_pickles_only()
        # pydocket's worker swallows the cancellation: it ends its tasks and returns as if nothing had been.
        while me is None or not me.cancelling():
            try:
                async with Docket(name=self._name, url=self._url, execution_ttl=KNOWN) as docket:
                    docket.register(self._wake_task)
                    docket.register(self._sweep_task)
                    docket.register(self._tidying_task)
                    docket.register(self._first_task)
                    self._docket = docket
                    await (self._work(docket) if worker else asyncio.Event().wait())
            except OUT_OF_REACH as error:
                logger.warning("Redis cannot be reached; trying again", extra={"reason": str(error)})
                await asyncio.sleep(RECONNECT_S)
            finally:
                self._docket = None

    async def _work(self, docket: Docket) -> None:
        async with Worker(
            docket,
            concurrency=AT_ONCE,
            redelivery_timeout=REDELIVERY,
            reconnection_delay=timedelta(seconds=RECONNECT_S),
            minimum_check_interval=timedelta(milliseconds=100),
            scheduling_resolution=min(self._sweep_every, timedelta(milliseconds=250)),
        ) as worker:
            # Now, and not with the others: a sweep that a killed process had begun comes again only after REDELIVERY.
            await docket.add(self._first_task)()
            await worker.run_forever()

    def _make_wake(self) -> Callable[[str], Awaitable[None]]:
        async def wake(run_ids: str) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._in_hand.add(task)
            try:
                async with asyncio.TaskGroup() as runs:
                    for run_id in run_ids.split():
                        runs.create_task(self._attend_to(run_id))
            finally:
                self._in_hand.discard(task)

        return wake

    async def _attend_to(self, run_id: str) -> None:
        with run_logged(run_id):
            await self._attend(run_id)

    def _make_sweep(self) -> Callable[[Perpetual], Awaitable[None]]:
        async def sweep(perpetual: Perpetual = Perpetual(every=self._sweep_every, automatic=True)) -> None:  # noqa: B008
            bucket = int(time.time() // SWEEP_BUCKET_S)
            for run_id in await self._due():
                await self._bring([run_id], key=f"{run_id}@{bucket}")

        return sweep

    def _make_tidying(self) -> Callable[[Perpetual], Awaitable[None]]:
        """Apart from the sweep: a Slack that is slow must not make timers late."""

        async def tidying(perpetual: Perpetual = Perpetual(every=self._sweep_every, automatic=True)) -> None:  # noqa: B008
            await self._tidy()

        return tidying

    def _make_first(self) -> Callable[[], Awaitable[None]]:
        async def sweep_once() -> None:
            due = list(await self._due())
            for first in range(0, len(due), TOGETHER):  # without a key: the killed process may have held that one, too
                await self._bring(due[first : first + TOGETHER])
            await self._tidy()

        return sweep_once
