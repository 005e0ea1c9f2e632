"""How fast steps follow each other in process: a chain of 10 that do nothing, beside LlamaIndex and bare asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
import workflows as llama  # noqa: TID251  # the peer, not our folder
from workflows import events as llama_events  # noqa: TID251

import engine
from tests.bench.harness import Report, Table, here, number, taking_turns, times

STEPS = 10
RUNS = {"Signoff": 1000, "LlamaIndex": 50, "asyncio": 2000}
"""In one round, so that each takes some 0.2 s."""
AT_ONCE = 100

Run: TypeAlias = Callable[[], Awaitable[object]]
Work: TypeAlias = Callable[[], Awaitable[int]]


def chain(module: Any, events: Any) -> Any:
    """Return a workflow of `STEPS` steps in a row, built the same way of either framework's parts."""
    names = [f"Event{n}" for n in range(1, STEPS)]
    passed = [events.StartEvent, *(type(name, (events.Event,), {}) for name in names), events.StopEvent]

    def made(n: int) -> Any:
        made_event = passed[n + 1]

        async def code(self: Any, ev: Any) -> Any:
            return made_event()

        code.__name__, code.__qualname__ = f"step{n}", f"Chain.step{n}"
        code.__annotations__ = {"ev": passed[n], "return": made_event}
        return module.step(code)

    return type("Chain", (module.Workflow,), {f"step{n}": made(n) for n in range(STEPS)})(timeout=None)


async def by_hand() -> None:
    """The least: a task for each step."""

    async def code(event: object) -> object:
        return object()

    event = object()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(STEPS):
            event = await tasks.create_task(code(event))


def one_by_one(run: Run, many: int) -> Work:
    async def work() -> int:
        for _ in range(many):
            await run()
        return STEPS * many

    return work


def at_once(run: Run, many: int) -> Work:
    async def until_done() -> None:
        await run()

    async def work() -> int:
        for _ in range(max(1, many // AT_ONCE)):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(AT_ONCE):
                    tasks.create_task(until_done())
        return STEPS * AT_ONCE * max(1, many // AT_ONCE)

    return work


@pytest.mark.bench
async def test_steps_per_second(report: Report) -> None:
    ours, theirs = chain(engine, engine), chain(llama, llama_events)
    runs: dict[str, Run] = {"Signoff": lambda: ours.run(), "LlamaIndex": lambda: theirs.run(), "asyncio": by_hand}
    table = Table(
        f"In process: a chain of {STEPS} steps that do nothing",
        ["", "Signoff", "LlamaIndex", "asyncio by hand", "Signoff / LlamaIndex", "Signoff / by hand"],
        "Steps finished per second of wall time, from `run()` to the awaited result, nothing stored. By hand: one "
        "asyncio task for each step and no framework. CPU is that of this process.",
    )

    for how, way in (("one run at a time", one_by_one), (f"{AT_ONCE} runs at a time", at_once)):
        found = await taking_turns({who: here(way(run, RUNS[who])) for who, run in runs.items()})
        ratios = [times(found.faster("Signoff", other)) for other in ("LlamaIndex", "asyncio")]
        table.row(f"steps/s, {how}", *(number(found.rate(who)) for who in runs), *ratios)
        shares = [times(found.cpu_share("Signoff", other)) for other in ("LlamaIndex", "asyncio")]
        table.row(f"CPU ms per run, {how}", *(number(STEPS * found.cpu_ms(who)) for who in runs), *shares)

    assert await ours.run() is None
    report.add(table)
