"""From what a person does to what they see, through the bot as it runs; and what runs that wait cost it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.playground.workspace import Message
from tests.bench.harness import Report, Table, number, quantile
from tests.bench.processes import Watched
from tests.bench.stage import Stage, stage

RUNS = 150
WARM = 20
PAUSED = 3000
WARM_PAUSED = 1000
"""Buffers, caches and pools have the size that they keep then."""
MIB = 1024 * 1024


@pytest.mark.bench
async def test_from_command_to_question_and_from_click_to_result(report: Report, tmp_path: Path) -> None:
    table = Table(
        "The bot: from a command to its question, from a click to its result",
        ["", "p50, ms", "p95, ms"],
        "One run at a time through `python -m bot serve`: from the moment a signed request is sent until the fake "
        "Slack receives the message, by way of Bolt, Redis, pydocket, a worker and Slack's Web API. "
        "CPU is that of the bot.",
    )
    asked: list[float] = []
    ended: list[float] = []

    async with stage(tmp_path) as found, found.bot("latency") as bot:
        for _ in range(WARM):
            await _one_run(found, bot)
        used = bot.cpu_s()
        for _ in range(RUNS):
            to_question, to_result = await _one_run(found, bot)
            asked.append(1000 * to_question)
            ended.append(1000 * to_result)
        await found.idle("latency")
        cpu_ms = 1000 * (bot.cpu_s() - used) / RUNS

    for name, taken in (("command to question", asked), ("click to result", ended)):
        table.row(name, number(quantile(taken, 0.5)), number(quantile(taken, 0.95)))
    table.row("CPU ms per run, all included", number(cpu_ms))
    report.add(table)


async def _one_run(found: Stage, bot: Watched) -> tuple[float, float]:
    """Ask for a draft and approve it; return the seconds until the question and until the result."""
    begun, question = await found.after(bot, found.command(), "prompt:")
    clicked, result = await found.after(bot, found.click_on(question), "result")
    assert "approve: Topic" in result.text
    return float(question.ts) - begun, float(result.ts) - clicked


@pytest.mark.bench
async def test_memory_of_paused_runs(report: Report, tmp_path: Path) -> None:
    table = Table(
        "The bot: memory of runs that wait",
        ["", "per run", "per 1,000 runs"],
        f"`python -m bot serve` brings {PAUSED:,} runs to a question of 1 KiB of prose, posted in Slack: `used_memory` "
        f"of the server and resident memory of the bot before and after, both after {WARM_PAUSED:,} runs to warm up.",
    )

    async with stage(tmp_path) as found, found.bot("paused") as bot:
        await found.prompted(bot, WARM_PAUSED)
        await found.idle("paused")
        redis_before, rss_before = await found.used_bytes(), await bot.rss_bytes()
        questions: list[Message] = await found.prompted(bot, PAUSED)
        await found.idle("paused")
        redis_bytes, rss_bytes = await found.used_bytes() - redis_before, await bot.rss_bytes() - rss_before

    assert len(questions) == PAUSED
    for what, found_bytes in (("in Redis", redis_bytes / PAUSED), ("resident memory of the bot", rss_bytes / PAUSED)):
        table.row(what, f"{number(found_bytes)} bytes", f"{number(1000 * found_bytes / MIB)} MiB")
    report.add(table)
