"""How a figure is made: rounds that take turns, quantiles, CPU time beside wall time, and a table to read.

The machine drifts; ratios of neighbours in time drift less, and CPU time less than wall time. So
contenders take turns, a ratio is the median of the ratios of neighbours, and both times are told.
"""

from __future__ import annotations

import gc
import math
import textwrap
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TypeAlias

PAIRS = 5
"""Rounds that each contender gets; the first, unmeasured one is not among them."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured round."""

    work: int
    wall_s: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Work per second of wall time."""
        return self.work / self.wall_s

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of CPU per piece of work."""
        return 1000 * self.cpu_s / self.work


Round: TypeAlias = Callable[[], Awaitable[Sample]]


def here(work: Callable[[], Awaitable[int]]) -> Round:
    """Return a round of work that is done in this process; *work* returns how much it did."""

    async def measured() -> Sample:
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        done = await work()
        return Sample(done, time.perf_counter() - wall, time.process_time() - cpu)

    return measured


@dataclass(frozen=True)
class Samples:
    """What each contender measured, round by round."""

    by_name: Mapping[str, Sequence[Sample]]

    def rate(self, name: str) -> float:
        return median(sample.rate for sample in self.by_name[name])

    def cpu_ms(self, name: str) -> float:
        return median(sample.cpu_ms for sample in self.by_name[name])

    def faster(self, name: str, other: str) -> float:
        """Return how many times *other*'s rate *name* has, as the median over the pairs of rounds."""
        pairs = zip(self.by_name[name], self.by_name[other], strict=True)
        return median(ours.rate / theirs.rate for ours, theirs in pairs)

    def cpu_share(self, name: str, other: str) -> float:
        """Return how many times *other*'s CPU time a piece of *name*'s work takes."""
        pairs = zip(self.by_name[name], self.by_name[other], strict=True)
        return median(ours.cpu_ms / theirs.cpu_ms for ours, theirs in pairs)


async def taking_turns(rounds: Mapping[str, Round], pairs: int = PAIRS) -> Samples:
    """Let the contenders work in turns, forwards and backwards, after one round each to warm up."""
    for work in rounds.values():
        await work()
    found: dict[str, list[Sample]] = {name: [] for name in rounds}
    for n in range(pairs):
        for name in list(rounds) if n % 2 == 0 else reversed(list(rounds)):
            found[name].append(await rounds[name]())
    return Samples(found)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least *share* of all values do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


# --- words for figures ---------------------------------------------------------------------------


def number(value: float) -> str:
    """Three figures that mean something, and thousands kept apart."""
    if math.isnan(value):
        return "-"
    if value and abs(value) < 100:
        return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"
    return f"{value:,.0f}"


def times(value: float) -> str:
    """A ratio."""
    return "-" if math.isnan(value) else f"{number(value)} x"


@dataclass
class Table:
    """Figures with their names and units. The first column says whose they are."""

    title: str
    columns: Sequence[str]
    about: str
    """What was done and how it was measured, in a paragraph."""
    rows: list[list[str]] = field(default_factory=list)

    def row(self, *cells: str) -> None:
        self.rows.append(list(cells) + [""] * (len(self.columns) - len(cells)))

    def markdown(self) -> str:
        """The table for a README."""
        lines = [self.columns, ["---", *("---:" for _ in self.columns[1:])], *self.rows]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        return f"### {self.title}\n\n{table}\n\n{self.about}\n"

    def text(self) -> str:
        """The table for a terminal."""
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        lines = [_line(self.columns, widths), "-" * (sum(widths) + 2 * len(widths) - 2)]
        lines += [_line(cells, widths) for cells in self.rows]
        return "\n".join([self.title.upper(), "", *lines, "", *textwrap.wrap(self.about, 118), ""])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = [
        cell.rjust(width) if n else cell.ljust(width) for n, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join([first, *rest]).rstrip()


class Report:
    """All tables of one run."""

    def __init__(self, machine: str) -> None:
        self._machine = machine
        self._tables: list[Table] = []

    def add(self, table: Table) -> None:
        self._tables.append(table)

    def text(self) -> str:
        head = ["", "", *textwrap.wrap(self._machine, 118), ""]
        return "\n".join([*head, *(f"{table.text()}\n" for table in self._tables)])

    def markdown(self) -> str:
        return "\n".join([f"{self._machine}\n", *(table.markdown() for table in self._tables)])
