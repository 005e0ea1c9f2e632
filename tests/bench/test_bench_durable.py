"""A run that waits for a person, engine and store driven directly: how fast, and what it takes while it waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from redis.asyncio import Redis

from bot.playground.valkey import PrivateValkey
from bot.plugins import discover
from engine import Context, Event, StartEvent, StopEvent, Workflow, step
from engine.redis import RedisRunStore
from engine.runner import Runner
from tests.bench.contenders import ByHand, Contender, Llama, Ours
from tests.bench.harness import Report, Samples, Table, here, number, quantile, taking_turns, times
from tests.bench.langgraph_contender import langgraph
from tests.bench.prose import DRAFT_BYTES, draft
from tests.bench.stage import FLOWS

RUNS = 50
"""In one round one at a time."""
AT_ONCE = 50
PAUSED = 1000
LARGE_BYTES = 64 * 1024
COMMITS = 100
"""Steps of a run that changes one small key again and again."""

Fsync = Literal["always", "everysec"]


@asynccontextmanager
async def contenders(
    folder: Path, fsync: Fsync = "everysec", size_bytes: int = DRAFT_BYTES
) -> AsyncIterator[tuple[dict[str, Contender], Redis]]:
    async with (
        PrivateValkey(folder / fsync, appendfsync=fsync, port=0) as valkey,
        Redis.from_url(valkey.url, decode_responses=True) as client,
        langgraph(folder, size_bytes) as graph,
    ):
        ours = Ours(valkey.url, _drafting(size_bytes))
        llama, by_hand = Llama(client, size_bytes), ByHand(client, size_bytes)
        try:
            yield {"Signoff": ours, "LlamaIndex": llama, "LangGraph": graph, "by hand": by_hand}, client
        finally:
            await ours.store.close()


def _drafting(size_bytes: int) -> Workflow:
    workflow = discover(FLOWS)["/bench-draft"].workflow
    workflow.size_bytes = size_bytes  # type: ignore[attr-defined]  # a plug-in, loaded by its path
    return workflow


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


ABOUT = (
    "Engine and store driven directly, in one process. LlamaIndex's context goes into Redis by hand; LangGraph saves "
    'into SQLite when the graph exits (`durability="exit"`), which syncs each commit to disk whatever Redis does; by '
    "hand means the same facts in one hash and no engine. None of the three keeps a journal, timers, an outbox, a lock "
    "or a verdict. CPU is that of the client process."
)


@pytest.mark.bench
@pytest.mark.parametrize(
    ("fsync", "size_bytes"), [("everysec", DRAFT_BYTES), ("always", DRAFT_BYTES), ("everysec", LARGE_BYTES)]
)
async def test_asking_and_answering(report: Report, tmp_path: Path, fsync: Fsync, size_bytes: int) -> None:
    async with contenders(tmp_path, fsync, size_bytes) as (them, _):
        columns = ["", *them, "Signoff / LlamaIndex", "Signoff / LangGraph"]
        title = f"Durable: begun, question saved, answered from what is saved, done ({size_bytes // 1024} KiB draft"
        table = Table(f"{title}, appendfsync {fsync})", columns, ABOUT)
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


def _latency_rows(table: Table, what: str, asked: Mapping[str, float], ended: Mapping[str, float]) -> None:
    for title, found in ((f"start to question saved, {what}, ms", asked), (f"answer to done, {what}, ms", ended)):
        ratios = [times(found["Signoff"] / found[peer]) for peer in ("LlamaIndex", "LangGraph")]
        table.row(title, *map(number, found.values()), *ratios)


def _rate_rows(table: Table, how: str, found: Samples) -> None:
    peers = ("LlamaIndex", "LangGraph")
    rates = [number(found.rate(name)) for name in found.by_name]
    table.row(f"runs/s, {how}", *rates, *(times(found.faster("Signoff", peer)) for peer in peers))
    cpu = [number(found.cpu_ms(name)) for name in found.by_name]
    table.row(f"CPU ms per run, {how}", *cpu, *(times(found.cpu_share("Signoff", peer)) for peer in peers))


@pytest.mark.bench
async def test_what_it_costs_to_be_on_disk(report: Report, tmp_path: Path) -> None:
    both: tuple[Fsync, Fsync] = ("everysec", "always")
    table = Table(
        "Durable: with each answer on disk before it is acknowledged",
        ["", *both, "always / everysec"],
        "Signoff on two servers that take turns, 1 KiB drafts. `appendfsync always` syncs once for all that came in "
        "one turn of the server, so that it costs little where many come at once.",
    )

    async with AsyncExitStack() as opened:
        timed: dict[str, Timed] = {}
        for fsync in both:
            them, _ = await opened.enter_async_context(contenders(tmp_path / f"for_{fsync}", fsync))
            timed[fsync] = Timed(them["Signoff"])
        singly = await taking_turns({name: here(one.one_by_one) for name, one in timed.items()})
        together = await taking_turns({name: here(one.together) for name, one in timed.items()})

    for how, found in (("one at a time", singly), (f"{AT_ONCE} at a time", together)):
        rates = [number(found.rate(name)) for name in both]
        table.row(f"runs/s, {how}", *rates, times(found.faster("always", "everysec")))
    report.add(table)


class Round(Event):
    """Comes again and again."""

    left: int


class Counting(Workflow):
    """Keeps a text, and counts: each step is a commit that changes one small key."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Round:
        await ctx.store.set("draft", draft("Counting", ev.size_bytes))
        return Round(left=COMMITS)

    @step
    async def go(self, ctx: Context, ev: Round) -> Round | StopEvent:
        await ctx.store.set("left", ev.left)
        return Round(left=ev.left - 1) if ev.left else StopEvent()


@pytest.mark.bench
async def test_one_small_key_of_a_large_state(report: Report, tmp_path: Path) -> None:
    table = Table(
        "Durable: one small key changes in a state of 64 KiB",
        ["", "1 KiB", "64 KiB", "64 KiB / 1 KiB"],
        f"Signoff alone. A run of {COMMITS} steps, each committed before the next one starts; all leave the text in "
        "the state as it is and change a number beside it. Both sizes take turns.",
    )

    async with PrivateValkey(tmp_path, appendfsync="everysec", port=0) as valkey:
        store = RedisRunStore.from_url(valkey.url)
        workflow = Counting(timeout=None)
        runner = Runner(store, [workflow], eager=True)

        async def counted(size_bytes: int) -> int:
            await runner.start(workflow, size_bytes=size_bytes)
            return COMMITS

        rounds = {"small": here(lambda: counted(DRAFT_BYTES)), "large": here(lambda: counted(LARGE_BYTES))}
        found = await taking_turns(rounds, pairs=9)
        await store.close()

    us = [1e6 / found.rate(name) for name in found.by_name]
    table.row("us per commit", *map(number, us), times(1 / found.faster("large", "small")))
    cpu = [1000 * found.cpu_ms(name) for name in found.by_name]
    table.row("CPU us per commit", *map(number, cpu), times(found.cpu_share("large", "small")))
    report.add(table)


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
        for name in ("Signoff", "LlamaIndex", "by hand"):
            contender = them[name]
            await contender.pause()  # scripts and indexes are there then
            before = await _used_bytes(client)
            for _ in range(PAUSED):
                await contender.pause()
            taken[name] = (await _used_bytes(client) - before) / PAUSED

    table.row("bytes in Redis per run", *map(number, taken.values()), times(taken["Signoff"] / taken["LlamaIndex"]))
    report.add(table)


async def _used_bytes(client: Redis) -> int:
    return int((await client.info("memory"))["used_memory"])
