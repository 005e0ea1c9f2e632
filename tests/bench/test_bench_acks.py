"""How soon a signed request is acknowledged, beside a Bolt app that does nothing but acknowledge."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.bench.harness import PAIRS, Report, Round, Sample, Table, number, quantile, taking_turns, times
from tests.bench.processes import Watched, load
from tests.bench.stage import all_saved, stage

RATE = 50.0
"""Requests a second, in the open loop."""
TURNS = 3
WAITING = 1000
"""Runs that wait for an answer meanwhile."""
HALF = 125
"""Commands, and as many clicks, in each round of the open loop: 5 s."""
AT_ONCE = 32
CLICKS = 300
"""In each round of the closed loop."""
ALONE = 60


@pytest.mark.bench
async def test_acknowledgements_at_a_steady_rate(report: Report, tmp_path: Path) -> None:
    """Acceptance 31."""
    table = Table(
        f"Acknowledging {RATE:.0f} requests a second",
        ["", "Signoff", "bare Bolt", "Signoff / Bolt"],
        f"Half slash commands, half clicks, signed, for {TURNS * 2 * HALF / RATE:.0f} s in turns of "
        f"{2 * HALF / RATE:.0f} s, sent whether answers come or not, while {WAITING:,} other runs wait; time counts "
        "from when a request was due. Signoff is `python -m bot serve`, web and worker in one process: it answers when "
        "the run or the verdict is in Redis, and meanwhile posts the questions and results. Bare Bolt "
        "(process_before_response=True, as in Signoff) checks the signature and answers. CPU is that of the serving "
        "process until all work is done.",
    )

    async with stage(tmp_path) as found, found.bot("rate") as bot, found.bare_bolt() as bolt:
        ms: dict[str, list[float]] = {"Signoff": [], "bare Bolt": []}
        cpu_s, wall_s = dict.fromkeys(ms, 0.0), dict.fromkeys(ms, 0.0)
        await found.prompted(bot, WAITING)
        for _ in range(TURNS):
            clicks = [found.click_on(prompt) for prompt in await found.prompted(bot, HALF)]
            await found.idle("rate")
            mixed = [request for click in clicks for request in (found.command(), click)]
            for name, process in (("Signoff", bot), ("bare Bolt", bolt)):
                used = process.cpu_s()
                answers = all_saved(await load(process.port, mixed, rate=RATE))
                ms[name] += answers.ms
                wall_s[name] += answers.wall_s
                await found.idle("rate")
                cpu_s[name] += process.cpu_s() - used
        results, prompts = len(found.posted("result")), len(found.posted("prompt:"))

    assert (results, prompts) == (TURNS * HALF, WAITING + 2 * TURNS * HALF)
    ours, theirs = (len(ms[name]) / wall_s[name] for name in ms)
    table.row("acknowledged with 200, requests/s", number(ours), number(theirs), times(ours / theirs))
    for what, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        ours, theirs = (quantile(taken, share) for taken in ms.values())
        table.row(f"request to 200, {what}, ms", number(ours), number(theirs), times(ours / theirs))
    ours, theirs = (1000 * cpu_s[name] / len(ms[name]) for name in ms)
    table.row("CPU ms per request, all its work included", number(ours), number(theirs), times(ours / theirs))
    report.add(table)


class Flood:
    """Clicks for one server, sent as fast as it answers; the same or, where they are to count, ever new ones."""

    def __init__(self, server: Watched, clicks: Iterator[str], done: Callable[[int], Awaitable[None]]) -> None:
        """*done* returns once everything is over that so many clicks brought about."""
        self._server = server
        self._clicks = clicks
        self._done = done
        self._sent = 0
        self.ms: list[float] = []

    def round(self, many: int, at_once: int) -> Round:
        async def measured() -> Sample:
            requests = list(itertools.islice(self._clicks, many))
            used = self._server.cpu_s()
            answers = all_saved(await load(self._server.port, requests, at_once=at_once))
            self.ms += answers.ms
            self._sent += many
            await self._done(self._sent)
            return Sample(many, answers.wall_s, self._server.cpu_s() - used)

        return measured


async def _nothing_follows(sent: int) -> None:
    pass


@pytest.mark.bench
async def test_acknowledgements_as_fast_as_they_go(report: Report, tmp_path: Path) -> None:
    table = Table(
        "Acknowledging clicks as fast as they come",
        ["", "Signoff", "bare Bolt", "Bolt, default mode", "Signoff / Bolt", "Signoff / default"],
        "Signed clicks of one person, each on a question of its own. Signoff is `python -m bot serve --no-worker`: "
        "hold the click against what was shown and record the verdict in Redis, wake a worker, answer 200, then look "
        "the question up and tell the person. (A click that opens or brings more than its choice, of somebody whom "
        "Slack described more than 5 s ago, or with encryption is looked up first.) Bolt's default mode answers before "
        "the listener has run. CPU is that of the serving process until the people have been told.",
    )

    async with (
        stage(tmp_path) as found,
        found.runner("flood") as runner,
        found.bot("flood", "--no-worker") as bot,
        found.bare_bolt() as bolt,
        found.bare_bolt("default") as default,
    ):
        clicks = await found.clicks_on_new_runs(runner, (PAIRS + 1) * (CLICKS + ALONE))

        async def told(sent: int) -> None:
            await found.told("U2", sent)

        floods = {
            "Signoff": Flood(bot, iter(clicks), told),
            "bare Bolt": Flood(bolt, itertools.cycle(clicks), _nothing_follows),
            "default": Flood(default, itertools.cycle(clicks), _nothing_follows),
        }
        together = await taking_turns({name: flood.round(CLICKS, AT_ONCE) for name, flood in floods.items()})
        for flood in floods.values():
            flood.ms.clear()
        await taking_turns({name: flood.round(ALONE, 1) for name, flood in floods.items()})
        open_asks = await runner.store.asks_for(found.slack.workspace.team_id, "")

    assert open_asks == []
    rates = [number(together.rate(name)) for name in floods]
    shares = [times(together.faster("Signoff", other)) for other in ("bare Bolt", "default")]
    table.row(f"clicks/s, {AT_ONCE} at a time", *rates, *shares)
    cpu = [number(together.cpu_ms(name)) for name in floods]
    shares = [times(together.cpu_share("Signoff", other)) for other in ("bare Bolt", "default")]
    table.row("CPU ms per click", *cpu, *shares)
    middle = {name: quantile(flood.ms, 0.5) for name, flood in floods.items()}
    shares = [times(middle["Signoff"] / middle[other]) for other in ("bare Bolt", "default")]
    table.row("request to 200, one at a time, p50, ms", *map(number, middle.values()), *shares)
    report.add(table)
