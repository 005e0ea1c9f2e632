"""What 100,000 runs that wait take, and whether one of them is answered as fast as one of 1,000."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bot.playground.valkey import PrivateValkey
from engine import Context, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.redis import RedisRunStore
from engine.runner import Runner
from engine.verdicts import Accepted
from tests.bench.contenders import ASK_ID
from tests.bench.harness import Report, Table, number, quantile, times
from tests.bench.prose import draft

FEW, MANY = 1_000, 100_000
STATE_BYTES = 2_000
AT_ONCE = 50
ANSWERED = 500
"""Runs that are answered, one at a time, to see how long it takes."""
COMPUTED_MS = 1.0
"""What is computed beside each answer: how late it ends is what the machine does to anybody."""
EACH = 20
"""Open questions of one person."""
WATCHED_S = 10.0


class Waiting(Workflow):
    """Keeps 2 KB, and asks one person."""

    @step
    async def ask(self, ctx: Context, ev: StartEvent) -> InputRequiredEvent:
        await ctx.store.set("draft", draft(f"Topic {ev.number}", STATE_BYTES))
        return InputRequiredEvent(prefix="Ship it?", options=["yes", "no"], allowed=[_person(ev.number)])

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)


def _person(number: int) -> str:
    return f"U{number // EACH}"


@dataclass
class Crowd:
    """Runs that wait, on a server of their own."""

    client: Redis
    runner: Runner
    workflow: Workflow = field(default_factory=lambda: Waiting(timeout=None))
    waiting: dict[int, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def grow_to(self, many: int) -> None:
        """Begin runs until so many wait."""

        async def begin() -> None:
            while len(self.waiting) < many:
                number = next(self._numbers)
                self.waiting[number] = ""
                self.waiting[number] = await self.runner.start(self.workflow, number=number)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(begin())

    async def answer_some(self) -> tuple[list[float], list[float]]:
        """Answer some of them, here and there, and compute a while after each.

        Returns how long each answer took until its run was done, and how long each computing, in milliseconds.
        """
        taken: list[float] = []
        computed: list[float] = []
        for number_ in random.Random(7).sample(sorted(self.waiting), ANSWERED):
            run_id = self.waiting.pop(number_)
            begun = time.perf_counter()
            verdict = await self.runner.answer(run_id, ASK_ID, "yes", user_id=_person(number_))
            taken.append(1000 * (time.perf_counter() - begun))
            assert isinstance(verdict, Accepted)
            computed.append(_compute(COMPUTED_MS))
        return taken, computed

    async def listed(self) -> list[float]:
        """List the open questions of some people, one after the other; return how long each took, in milliseconds."""
        people = [_person(number_) for number_ in random.Random(8).sample(sorted(self.waiting), 100)]
        taken: list[float] = []
        for person in people:
            begun = time.perf_counter()
            found = await self.runner.store.asks_for("", person)
            taken.append(1000 * (time.perf_counter() - begun))
            assert 1 <= len(found) <= EACH
        return taken

    async def used_bytes(self) -> int:
        return int((await self.client.info("memory"))["used_memory"])

    async def cpu_at_rest(self) -> tuple[float, float]:
        """Return the share of a core that the server and a worker take while nothing happens, in percent."""
        server, worker = await self._server_cpu_s(), time.process_time()
        for _ in range(int(WATCHED_S)):
            assert await self.runner.sweep() == []
            await asyncio.sleep(1)
        shares = await self._server_cpu_s() - server, time.process_time() - worker
        return 100 * shares[0] / WATCHED_S, 100 * shares[1] / WATCHED_S

    async def _server_cpu_s(self) -> float:
        used = await self.client.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


@asynccontextmanager
async def crowd(folder: Path) -> AsyncIterator[Crowd]:
    async with (
        PrivateValkey(folder, appendfsync="everysec", port=0) as valkey,
        Redis.from_url(valkey.url, decode_responses=True) as client,
    ):
        store = RedisRunStore.from_url(valkey.url)
        try:
            yield Crowd(client, Runner(store, eager=True))
        finally:
            await store.close()


@pytest.mark.many
async def test_one_of_many_is_answered_as_fast_as_one_of_few(report: Report, tmp_path: Path) -> None:
    table = Table(
        f"{MANY:,} runs that wait",
        ["", f"{FEW:,} runs", f"{MANY:,} runs", "ratio"],
        f"Signoff alone; each run keeps {STATE_BYTES:,} bytes of prose and asks one person, who has {EACH} open "
        f"questions. {ANSWERED} of them are answered one at a time, from the answer to the run's end. Nobody posted "
        "the questions, so that each is owed to Slack as well. The computing beside each answer asks nothing of "
        "Redis: its p99 is what other processes on the machine do to anybody. At rest a worker sweeps once a second; "
        "its share and the server's are those of one core.",
    )

    async with crowd(tmp_path) as runs:
        empty = await runs.used_bytes()
        columns: list[list[float]] = []
        for many in (FEW, MANY):
            await runs.grow_to(many + ANSWERED)
            await runs.answer_some()  # to warm up
            await runs.grow_to(many + ANSWERED)
            answered, computed = await runs.answer_some()
            listed = await runs.listed()
            columns.append([*_p50_and_p99(answered), quantile(computed, 0.99), *_p50_and_p99(listed)])
            columns[-1] += [(await runs.used_bytes() - empty) / 2**30, *await runs.cpu_at_rest()]

    names = ["answer to done, p50, ms", "answer to done, p99, ms", f"{COMPUTED_MS:g} ms of computing, p99, ms"]
    names += ["open questions of one person listed, p50, ms"]
    names += ["open questions of one person listed, p99, ms", "in Redis, GiB", "server at rest, % of a core"]
    names += ["worker at rest, % of a core"]
    for name, few, many_ in zip(names, *columns, strict=True):
        table.row(name, number(few), number(many_), times(many_ / few))
    report.add(table)


def _compute(ms: float) -> float:
    """Compute for so long; return for how long, in milliseconds: longer, if something else had the core."""
    begun = time.perf_counter()
    while (taken := 1000 * (time.perf_counter() - begun)) < ms:
        pass
    return taken


def _p50_and_p99(taken: list[float]) -> tuple[float, float]:
    return quantile(taken, 0.5), quantile(taken, 0.99)
