"""A run that waits for a person, engine and store driven directly: how fast, and what it takes while it waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bot.playground.valkey import PrivateValkey
from bot.plugins import discover
from tests.bench.contenders import ByHand, Contender, Llama, Ours
from tests.bench.harness import Report, Samples, Table, here, number, quantile, taking_turns, times
from tests.bench.stage import FLOWS

RUNS = 50
"""In one round one at a time."""
AT_ONCE = 50
PAUSED = 1000


@asynccontextmanager
async def contenders(folder: Path) -> AsyncIterator[tuple[dict[str, Contender], Redis]]:
    async with (
        PrivateValkey(folder, appendfsync="everysec", port=0) as valkey,
        Redis.from_url(valkey.url, decode_responses=True) as client,
    ):
        ours = Ours(valkey.url, discover(FLOWS)["/bench-draft"].workflow)
        try:
            yield {"Signoff": ours, "LlamaIndex": Llama(client), "by hand": ByHand(client)}, client
        finally:
            await ours.store.close()


class Timed:
    """Runs of one contender, and how long each of their halves took, in milliseconds."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        self.to_prompt: list[float] = []
        self.to_result: list[float] = []
        self.run_ids: list[str] = []

    async def one(self) -> None:
        begun = time.perf_counter()
        run_id = await self._contender.pause()
        asked = time.perf_counter()
        await self._contender.finish(run_id)
        ended = time.perf_counter()
        self.to_prompt.append(1000 * (asked - begun))
        self.to_result.append(1000 * (ended - asked))
        self.run_ids.append(run_id)

    async def one_by_one(self) -> int:
        for _ in range(RUNS):
            await self.one()
        return RUNS

    async def together(self) -> int:
        for _ in range(4):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(AT_ONCE):
                    tasks.create_task(self.one())
        return 4 * AT_ONCE

    async def all_approved(self) -> bool:
        results = [await self._contender.result(run_id) for run_id in self.run_ids]
        return len(results) >= RUNS and all(result.startswith("approve: Topic") for result in results)


@pytest.mark.bench
async def test_asking_and_answering(report: Report, tmp_path: Path) -> None:
    table = Table(
        "Durable: begun, question saved, answered from what is saved, done (1 KiB draft)",
        ["", "Signoff", "LlamaIndex, to_dict", "redis-py by hand", "Signoff / LlamaIndex"],
        "Engine and store driven directly, in one process, on Redis. LlamaIndex's context goes into Redis by hand, "
        "without journal, timers, outbox, lock or verdict; by hand means the same facts in one hash and no engine. "
        "CPU is that of the client process.",
    )

    async with contenders(tmp_path) as (them, _):
        timed = {name: Timed(contender) for name, contender in them.items()}
        singly = await taking_turns({name: here(one.one_by_one) for name, one in timed.items()})
        for what, share in (("p50", 0.5), ("p95", 0.95)):
            asked = {name: quantile(one.to_prompt, share) for name, one in timed.items()}
            ended = {name: quantile(one.to_result, share) for name, one in timed.items()}
            _latency_rows(table, what, asked, ended)
        together = await taking_turns({name: here(one.together) for name, one in timed.items()})
        for one in timed.values():
            assert await one.all_approved()

    _rate_rows(table, "one at a time", singly)
    _rate_rows(table, f"{AT_ONCE} at a time", together)
    report.add(table)


def _latency_rows(table: Table, what: str, asked: dict[str, float], ended: dict[str, float]) -> None:
    for title, found in ((f"start to question saved, {what}, ms", asked), (f"answer to done, {what}, ms", ended)):
        table.row(title, *map(number, found.values()), times(found["Signoff"] / found["LlamaIndex"]))


def _rate_rows(table: Table, how: str, found: Samples) -> None:
    rates = [number(found.rate(name)) for name in found.by_name]
    table.row(f"runs/s, {how}", *rates, times(found.faster("Signoff", "LlamaIndex")))
    cpu = [number(found.cpu_ms(name)) for name in found.by_name]
    table.row(f"CPU ms per run, {how}", *cpu, times(found.cpu_share("Signoff", "LlamaIndex")))


@pytest.mark.bench
async def test_bytes_of_a_paused_run(report: Report, tmp_path: Path) -> None:
    table = Table(
        "Memory of a run that waits",
        ["", "Signoff", "LlamaIndex, to_dict", "redis-py by hand", "Signoff / LlamaIndex"],
        f"`used_memory` of the server before and after {PAUSED:,} runs that come to a question of 1 KiB of prose, "
        "engine and store driven directly.",
    )
    taken: dict[str, float] = {}

    async with contenders(tmp_path) as (them, client):
        for name, contender in them.items():
            await contender.pause()  # scripts and indexes are there then
            before = await _used_bytes(client)
            for _ in range(PAUSED):
                await contender.pause()
            taken[name] = (await _used_bytes(client) - before) / PAUSED

    table.row("bytes in Redis per run", *map(number, taken.values()), times(taken["Signoff"] / taken["LlamaIndex"]))
    report.add(table)


async def _used_bytes(client: Redis) -> int:
    return int((await client.info("memory"))["used_memory"])
