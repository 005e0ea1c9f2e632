"""What the engine costs in process, where nothing is stored: beside its peers, and beside asyncio by hand."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from types import ModuleType
from typing import Any, TypeAlias

import pytest

from tests.bench.harness import Report, Round, Sample, Samples, Table, here, number, taking_turns, times
from tests.bench.peers import agent_framework, by_hand, langgraph, llama_index, pydantic_graph, signoff
from tests.bench.workloads import NAMES, Run
from tests.e2e.process import ROOT

MODULES: Mapping[str, ModuleType] = {
    "signoff": signoff,
    "llama_index": llama_index,
    "pydantic_graph": pydantic_graph,
    "langgraph": langgraph,
    "agent_framework": agent_framework,
    "by_hand": by_hand,
}
PROMPTS = ROOT / "tests" / "bench" / "prompts"
STEPS, ITEMS, STREAMED = 10, 100, 10_000
AT_ONCE = 100
ROUND_S = 0.2
"""How long a round takes, about."""
FLAT = (100, 1_000, 10_000)
ROUNDS = (10, 4_000)
STARTS = 15
"""Rounds of a process that only begins: it is over so soon that whatever else the machine does weighs more."""
IMPORTS = {
    "bare": "pass",
    "signoff": "import engine",
    "llama_index": "import workflows",
    "pydantic_graph": "import pydantic_graph",
    "langgraph": "import langgraph.graph",
    "agent_framework": "import agent_framework",
    "by_hand": "import asyncio, pydantic; pydantic.BaseModel",
}

Work: TypeAlias = Callable[[], Awaitable[int]]


def runs_of(workload: str, size: int) -> dict[str, Run]:
    """Return a run of the workload of that name by everyone who has it."""
    return {who: getattr(module, workload)(size) for who, module in MODULES.items() if hasattr(module, workload)}


async def sized(run: Run, many: int | None = None) -> Work:
    """Return a round's work: the run again and again, one at a time or *many* at once."""

    async def work(rounds: int) -> int:
        if many is None:
            return sum([await run() for _ in range(rounds)])
        return sum([await together(run, many) for _ in range(rounds)])

    await work(1)  # to warm up
    began = time.perf_counter()
    await work(1)
    rounds = max(1, round(ROUND_S / (time.perf_counter() - began)))
    return lambda: work(rounds)


async def together(run: Run, many: int) -> int:
    async def one() -> int:
        return await run()

    async with asyncio.TaskGroup() as tasks:
        found = [tasks.create_task(one()) for _ in range(many)]
    return sum(task.result() for task in found)


async def turns(runs: Mapping[str, Run], many: int | None = None) -> Samples:
    return await taking_turns({who: here(await sized(run, many)) for who, run in runs.items()})


def table_of(title: str, about: str, runs: Mapping[str, Any]) -> Table:
    others = [NAMES[who] for who in runs if who != "signoff"]
    columns = ["", *(NAMES[who] for who in runs), *(f"Signoff / {name}" for name in others)]
    return Table(title, columns, about)


def add_rows(table: Table, what: str, per: int, found: Samples, how: str = "") -> None:
    """Add a row of rates, in *what*, and one of CPU time for *per* of them, which is one run."""
    others = [who for who in found.by_name if who != "signoff"]
    rates = [number(found.rate(who)) for who in found.by_name]
    table.row(f"{what}/s{how}", *rates, *(times(found.faster("signoff", other)) for other in others))
    costs = [number(per * found.cpu_ms(who)) for who in found.by_name]
    table.row(f"CPU ms per run{how}", *costs, *(times(found.cpu_share("signoff", other)) for other in others))


@pytest.mark.bench
async def test_steps_per_second(report: Report) -> None:
    runs = runs_of("chain", STEPS)
    table = table_of(
        f"In process: a chain of {STEPS} steps that do nothing",
        "Steps finished per second of wall time, from the start of a run to its awaited result, nothing stored. By "
        "hand: one asyncio task for each step and no framework. An Agent Framework workflow has one run at a time, so "
        "there are as many as runs. CPU is that of this process.",
        runs,
    )

    add_rows(table, "steps", STEPS, await turns(runs), ", one run at a time")
    add_rows(table, "steps", STEPS, await turns(runs, AT_ONCE), f", {AT_ONCE} runs at a time")

    assert [await run() for run in runs.values()] == [STEPS] * len(runs)
    report.add(table)


@pytest.mark.bench
async def test_fan_out_and_fan_in(report: Report) -> None:
    runs = runs_of("fan", ITEMS)
    table = table_of(
        f"In process: {ITEMS} events to 8 workers, and collected",
        "Events sent by one step, each worked on by a step with 8 workers that does nothing, and collected by a third, "
        "per second of wall time. LangGraph: `Send` with `max_concurrency` 8 and a reducer. pydantic-graph: a map and "
        "a join, without a limit. Agent Framework: 8 executors in turn and one that counts. By hand: 8 asyncio tasks "
        "and a queue. CPU is that of this process.",
        runs,
    )

    add_rows(table, "events", ITEMS, await turns(runs))

    assert [await run() for run in runs.values()] == [ITEMS] * len(runs)
    report.add(table)


@pytest.mark.bench
async def test_fan_out_of_any_size(report: Report) -> None:
    table = Table(
        "In process: the same with more events",
        ["", *(f"{size:,} events" for size in FLAT), f"{FLAT[-1]:,} / {FLAT[0]:,}"],
        "Wall time and CPU time per event, Signoff alone: a fan-out costs what it has, however large it is.",
    )

    found = await turns({str(size): signoff.fan(size) for size in FLAT})

    ratio = 1 / found.faster(str(FLAT[-1]), str(FLAT[0]))
    table.row("us per event", *(number(1e6 / found.rate(str(size))) for size in FLAT), times(ratio))
    share = found.cpu_share(str(FLAT[-1]), str(FLAT[0]))
    table.row("CPU us per event", *(number(1000 * found.cpu_ms(str(size))) for size in FLAT), times(share))
    report.add(table)


@pytest.mark.bench
async def test_streamed_events(report: Report) -> None:
    runs = runs_of("stream", STREAMED)
    table = table_of(
        f"In process: {STREAMED:,} events streamed",
        "Events written by one step and read by whoever streams the run, per second of wall time, the run's start and "
        "end included. Signoff and LlamaIndex: `ctx.write_event_to_stream`, typed and validated. LangGraph: its stream "
        "writer, plain numbers. Agent Framework: `ctx.yield_output`. By hand: an asyncio queue. CPU is that of this "
        "process.",
        runs,
    )

    add_rows(table, "events", STREAMED, await turns(runs))

    assert [await run() for run in runs.values()] == [STREAMED] * len(runs)
    report.add(table)


@pytest.mark.bench
async def test_a_long_past_costs_nothing(report: Report) -> None:
    peers = {"signoff": signoff, "llama_index": llama_index}
    few, many = (f"{rounds:,} rounds" for rounds in ROUNDS)
    table = Table(
        "In process: a run with a long past",
        ["", few, many, "ratio"],
        "A step that sends itself an event so many times before it waits for one: the time each round took on the way "
        "there, and the time `ctx.to_dict()` takes then.",
    )

    for who, module in peers.items():
        rested = {rounds: await module.after(rounds) for rounds in ROUNDS}
        rounds = await taking_turns({str(n): here(_rounds(module, n)) for n in ROUNDS})
        saved = await taking_turns({str(n): here(_snapshots(run)) for n, run in rested.items()})
        for what, found in (("us per round", rounds), ("us per to_dict", saved)):
            short, long = (1e6 / found.rate(str(n)) for n in ROUNDS)
            ratio = 1 / found.faster(str(ROUNDS[1]), str(ROUNDS[0]))
            table.row(f"{NAMES[who]}, {what}", number(short), number(long), times(ratio))
        for run in rested.values():
            await run.end()

    report.add(table)


def _rounds(module: Any, rounds: int) -> Work:
    """Go around *rounds* times, with as many runs as make the same number of rounds for all."""
    runs = ROUNDS[1] // rounds

    async def work() -> int:
        for _ in range(runs):
            await (await module.after(rounds)).end()
        return runs * rounds

    return work


def _snapshots(rested: Any) -> Work:
    async def work() -> int:
        rested.snapshot()
        return 1

    return work


# --- processes of their own ------------------------------------------------------------------------


@pytest.mark.bench
async def test_importing(report: Report) -> None:
    table = Table(
        "Importing",
        ["", "ms", "CPU ms", "Signoff / it", "CPU"],
        "A process that imports one thing, from its start to its end, less a process that imports nothing. By hand: "
        "asyncio and pydantic's BaseModel.",
    )

    found = await taking_turns({who: _process("-c", code) for who, code in IMPORTS.items()}, STARTS)

    _add_programs(table, found, bare="bare")
    report.add(table)


@pytest.mark.bench
async def test_first_prompt(report: Report) -> None:
    table = Table(
        "From process start to the first question",
        ["", "ms", "CPU ms", "Signoff / it", "CPU"],
        "Until a new process has imported the framework, defined a workflow, begun a run and printed its question. "
        "LangGraph asks with `interrupt` and its in-memory checkpointer, Agent Framework with `request_info`; "
        "pydantic-graph has no questions and prints its result. By hand: asyncio and pydantic. CPU is that of the "
        "whole process, its end included.",
    )

    found = await taking_turns({who: _process("-P", str(PROMPTS / f"{who}.py")) for who in MODULES}, STARTS)

    _add_programs(table, found)
    report.add(table)


def _process(*arguments: str) -> Round:
    """Run Python with *arguments* until it has printed a line, or has ended without one."""

    async def measured() -> Sample:
        cpu, wall = _children_cpu_s(), time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *arguments),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""},  # as installed packages are
        )
        assert process.stdout is not None
        await process.stdout.readline()
        wall = time.perf_counter() - wall
        assert await process.wait() == 0
        return Sample(1, wall, _children_cpu_s() - cpu)

    return measured


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _add_programs(table: Table, found: Samples, bare: str | None = None) -> None:
    """Add a row for each program: its time, less that of *bare*, and how many times it ours is."""
    less = found.by_name[bare] if bare else [Sample(1, 0.0, 0.0)] * STARTS
    own = {
        who: [(one.wall_s - none.wall_s, one.cpu_s - none.cpu_s) for one, none in zip(samples, less, strict=True)]
        for who, samples in found.by_name.items()
        if who != bare
    }
    for who, spent in own.items():
        ratios = (
            []
            if who == "signoff"
            else [
                times(median(ours[n] / theirs[n] for ours, theirs in zip(own["signoff"], spent, strict=True)))
                for n in (0, 1)
            ]
        )
        table.row(NAMES[who], *(number(1000 * median(one[n] for one in spent)) for n in (0, 1)), *ratios)
