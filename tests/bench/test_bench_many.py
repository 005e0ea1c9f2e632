"""What 100,000 runs that wait take, and whether one of them is answered as fast as one of 1,000."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
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
TURNS = 20
"""How often the few and the many are answered in turns: the machine drifts meanwhile."""
ANSWERED, LISTED = 25, 5
"""Runs that are answered in a turn, one at a time, and people whose open questions are listed."""
COMPUTED_MS = 1.0
"""What is computed beside each answer: how late it ends is what the machine does to anybody."""
EACH = 20
"""Open questions of one person."""
WATCHED_S = 10.0
KEEPS_ITS_LOG = ("--auto-aof-rewrite-percentage", "0")
"""A server that has just grown would write its log anew on the other core while we measure."""


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


@dataclass(eq=False)
class Crowd:
    """Runs that wait, on a server of their own."""

    client: Redis
    runner: Runner
    workflow: Workflow = field(default_factory=lambda: Waiting(timeout=None))
    waiting: list[tuple[str, str]] = field(default_factory=list)
    """Run, and who is asked; in no order."""
    answered_ms: list[float] = field(default_factory=list)
    computed_ms: list[float] = field(default_factory=list)
    listed_ms: list[float] = field(default_factory=list)

    async def begin(self, many: int) -> None:
        """Begin so many runs."""
        numbers = iter(range(many))

        async def begin_some() -> None:
            for number_ in numbers:
                run_id = await self.runner.start(self.workflow, number=number_)
                self.waiting.append((run_id, _person(number_)))

        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(begin_some())
        random.Random(7).shuffle(self.waiting)

    async def turn(self) -> None:
        """Answer some runs, here and there, computing a while after each; then list what some people are asked."""
        for _ in range(ANSWERED):
            run_id, person = self.waiting.pop()
            begun = time.perf_counter()
            verdict = await self.runner.answer(run_id, ASK_ID, "yes", user_id=person)
            self.answered_ms.append(_ms_since(begun))
            assert isinstance(verdict, Accepted)
            self.computed_ms.append(_compute(COMPUTED_MS))
        for _, person in self.waiting[-LISTED:]:
            begun = time.perf_counter()
            found = await self.runner.store.asks_for("", person)
            self.listed_ms.append(_ms_since(begun))
            assert 1 <= len(found) <= EACH

    def forget(self) -> None:
        """Begin to measure anew."""
        for taken in (self.answered_ms, self.computed_ms, self.listed_ms):
            taken.clear()

    def found(self) -> list[float]:
        """Return p50 and p99 of the answers, p99 of the computing, p50 and p99 of the lists, in milliseconds."""
        return [*_p50_and_p99(self.answered_ms), quantile(self.computed_ms, 0.99), *_p50_and_p99(self.listed_ms)]

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
        PrivateValkey(folder, appendfsync="everysec", port=0, extra=KEEPS_ITS_LOG) as valkey,
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
        f"questions. {TURNS * ANSWERED} of them are answered one at a time, from the answer to the run's end: the few "
        f"and the many on a server each, {ANSWERED} of the one and {ANSWERED} of the other in turns. Nobody posted the "
        "questions, so that each is owed to Slack as well. The computing beside each answer asks nothing of "
        "Redis: its p99 is what other processes on the machine do to anybody. At rest a worker sweeps once a second; "
        "its share and the server's are those of one core.",
    )

    async with crowd(tmp_path / "few") as few, crowd(tmp_path / "many") as many:
        sizes = {few: FEW, many: MANY}
        empty = await few.used_bytes()
        for runs, size in sizes.items():
            await runs.begin(size + (TURNS + 1) * ANSWERED)
            await runs.turn()
            runs.forget()  # that was to warm up
        for n in range(TURNS):
            for runs in (few, many) if n % 2 == 0 else (many, few):
                await runs.turn()
        columns = [
            [*runs.found(), (await runs.used_bytes() - empty) / 2**30, *await runs.cpu_at_rest()] for runs in sizes
        ]

    names = ["answer to done, p50, ms", "answer to done, p99, ms", f"{COMPUTED_MS:g} ms of computing, p99, ms"]
    names += ["open questions of one person listed, p50, ms"]
    names += ["open questions of one person listed, p99, ms", "in Redis, GiB", "server at rest, % of a core"]
    names += ["worker at rest, % of a core"]
    for name, of_few, of_many in zip(names, *columns, strict=True):
        table.row(name, number(of_few), number(of_many), times(of_many / of_few))
    report.add(table)


def _ms_since(begun: float) -> float:
    return 1000 * (time.perf_counter() - begun)


def _compute(ms: float) -> float:
    """Compute for so long; return for how long, in milliseconds: longer, if something else had the core."""
    begun = time.perf_counter()
    while (taken := _ms_since(begun)) < ms:
        pass
    return taken


def _p50_and_p99(taken: list[float]) -> tuple[float, float]:
    return quantile(taken, 0.5), quantile(taken, 0.99)
