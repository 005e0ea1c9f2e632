"""Three races between people or processes that answer one stored run, on Signoff and its peers.

``python -m tests.bench.double_click`` runs them and writes what came of it into README.md and docs/benchmarks.md.
Each contender is used as its documentation suggests, in a file of its own in `tests.bench.races`; all run the same
workflow: ship to staging if somebody approves, then to production if somebody approves that.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bot.playground.valkey import PrivateValkey
from tests.bench.clicks import Button, Decided, Process
from tests.bench.harness import Table
from tests.bench.races import agent_framework, langgraph, llama_index, signoff

ROOT = Path(__file__).parents[2]
TRIALS = 50
"""Of each race and contender."""


@dataclass
class Contender:
    """Two processes on one storage, and what their workflows did."""

    one: Process
    other: Process
    done: Mapping[str, list[tuple[str, str]]]
    """By version: stage and response of each decision that was acted on."""
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def connect(self) -> None:
        """Let both processes begin a run of their own, so that neither connects during a race."""
        await self.one.begin("first")
        await self.other.begin("second")

    async def begin(self) -> tuple[str, Button]:
        name = f"v{next(self._numbers)}"
        return name, await self.one.begin(name)


@dataclass
class Score:
    """What came of one contender's trials."""

    acted_twice: int = 0
    """Both of two contrary clicks were acted on."""
    truthful: int = 0
    """Of two contrary clicks: who was told that theirs counts are those whose choice stands."""
    unseen: int = 0
    """A second click on staging's button approved production."""
    told_late: int = 0
    """Whose click was late was told that it does not count."""
    shipped_twice: int = 0
    """One click, delivered to two processes, shipped twice."""


# --- the races -----------------------------------------------------------------------------------


async def two_clicks_at_once(contender: Contender, score: Score) -> None:
    """One person approves and one rejects, at the same instant, in two processes."""
    name, button = await contender.begin()
    told = await at_once(
        contender.one.click(button, "approve", f"{name}-1"), contender.other.click(button, "reject", f"{name}-2")
    )
    stands = await contender.one.stands(button)
    score.acted_twice += len(contender.done[name]) > 1
    score.truthful += told == (stands.startswith("production?"), stands == "staging: reject")


async def a_late_click(contender: Contender, score: Score) -> None:
    """Two people approve staging. The second click comes when the run asks about production already."""
    name, button = await contender.begin()
    assert await contender.one.click(button, "approve", f"{name}-1")
    told = await contender.other.click(button, "approve", f"{name}-2")
    score.unseen += ("production", "approve") in contender.done[name]
    score.told_late += not told


async def one_click_twice(contender: Contender, score: Score) -> None:
    """One click is delivered twice, so two processes resume one stored run with the same answer."""
    name, button = await contender.begin()
    await at_once(*(process.click(button, "approve", f"{name}-1") for process in (contender.one, contender.other)))
    shipped = contender.done[name].count(("staging", "approve"))
    assert shipped
    score.shipped_twice += shipped > 1


async def at_once(*clicks: Coroutine[Any, Any, bool]) -> tuple[bool, ...]:
    """Return who was told that theirs counts; a click that fails is told that it does not."""

    async def told(click: Coroutine[Any, Any, bool]) -> bool:
        try:
            return await click
        except Exception as error:  # noqa: BLE001 - whatever a peer refuses a click with
            print(f"  refused with {type(error).__name__}: {error}")
            return False

    async with asyncio.TaskGroup() as tasks:
        each = [tasks.create_task(told(click)) for click in clicks]
    return tuple(task.result() for task in each)


# --- who takes part ------------------------------------------------------------------------------


def contenders(folder: Path, url: str) -> dict[str, Contender]:
    """Return everybody by name, each with a storage of its own that its two processes share."""
    files = folder / "agent_framework"
    return {
        "Signoff": contender(lambda decided: signoff.Process(url, decided)),
        "LlamaIndex": contender(lambda decided: llama_index.Process(url, decided)),
        "LangGraph": contender(lambda decided: langgraph.Process(folder / "resume.db", decided)),
        "LangGraph, by interrupt id": contender(
            lambda decided: langgraph.Process(folder / "by_id.db", decided, by_id=True)
        ),
        "Agent Framework": contender(lambda decided: agent_framework.Process(files, decided)),
    }


def contender(make: Callable[[Decided], Process]) -> Contender:
    done: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)

    def decided(name: str, stage: str, response: str) -> None:
        done[name].append((stage, response))

    return Contender(make(decided), make(decided), done)


async def scores() -> dict[str, Score]:
    """Run all races."""
    found: dict[str, Score] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with PrivateValkey(Path(folder) / "valkey", appendfsync="everysec", port=0) as valkey:
            for name, one in contenders(Path(folder), valkey.url).items():
                print(name)
                found[name] = Score()
                await one.connect()
                for race in (two_clicks_at_once, a_late_click, one_click_twice):
                    for _ in range(TRIALS):
                        await race(one, found[name])
                await one.one.close()
                await one.other.close()
    return found


# --- what is told of it --------------------------------------------------------------------------


def tables(found: Mapping[str, Score]) -> list[Table]:
    """Return a table for each race."""
    at_once_ = Table(
        "Two people click at the same instant, one approves, one rejects",
        ["", "both were acted on", "both people were told the truth"],
        f"Of {TRIALS} runs each. The truth: a click counts if, and only if, it is what stands afterwards.",
    )
    late = Table(
        "A second click on a button that was answered, when the next question is open",
        ["", "approved the next stage unseen", "was told that it is late"],
        f"Of {TRIALS} runs each. Both people approve staging; the second click must not approve production.",
    )
    twice = Table(
        "Two processes resume one run with the same answer",
        ["", "shipped twice"],
        f"Of {TRIALS} runs each. One click, delivered to both at the same instant; Slack delivers again what is not "
        "acknowledged in time.",
    )
    for name, score in found.items():
        at_once_.row(name, str(score.acted_twice), str(score.truthful))
        late.row(name, str(score.unseen), str(score.told_late))
        twice.row(name, str(score.shipped_twice))
    return [at_once_, late, twice]


def summary(found: Mapping[str, Score]) -> str:
    """Return the races in one small table, for the README."""
    lines = [
        f"| of {TRIALS} runs each, {_today()} | {' | '.join(found)} |",
        f"| --- |{' ---: |' * len(found)}",
    ]
    for what, count in (
        ("two contrary clicks at once: both acted on", "acted_twice"),
        ("a late click approves the next question, which nobody has seen", "unseen"),
        ("one click delivered to two processes: shipped twice", "shipped_twice"),
    ):
        lines.append(f"| {what} | {' | '.join(str(getattr(score, count)) for score in found.values())} |")
    return "\n".join(lines)


def about() -> str:
    """Return what was compared with what, and how fair that is."""
    names = ("llama-index-workflows", "langgraph", "langgraph-checkpoint-sqlite", "agent-framework-core")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"On {_today()}, with {packages}. Two processes take the clicks: two sets of objects in one event loop, with "
        "nothing in common but the storage. Each framework is used as its documentation suggests: LlamaIndex with "
        "`Context.to_dict()` kept in Redis by hand, LangGraph with `interrupt`, `Command(resume=...)` and its SQLite "
        "saver, Agent Framework with `request_info` and checkpoints in files. To be fair: all leave it to their "
        "caller to lock a run, and LlamaIndex also to tell which question a click is meant for (LangGraph does when "
        "its interrupts are answered by id); a careful caller can add both, these have not. pydantic-graph 2 stores no "
        "runs and takes no part. "
        "`tests/bench/races/` holds each of them in a file, `make bench-races` runs them."
    )


def write(path: Path, text: str) -> None:
    """Put *text* between the marks in *path* that stand for these races."""
    before = path.read_text(encoding="utf-8")
    after, count = re.subn(
        r"(<!-- make bench-races -->\n).*?(<!-- end -->)",
        lambda mark: f"{mark[1]}{text}\n{mark[2]}",
        before,
        flags=re.S,
    )
    assert count == 1, f"{path} has no place for the races"
    path.write_text(after, encoding="utf-8")


def _today() -> str:
    return time.strftime("%d %B %Y").lstrip("0")


async def main() -> None:
    found = await scores()
    made = tables(found)
    for table in made:
        print(table.text())
    write(ROOT / "README.md", summary(found))
    write(ROOT / "docs" / "benchmarks.md", "\n".join([about(), "", *(table.markdown() for table in made)]).rstrip())


if __name__ == "__main__":
    asyncio.run(main())
