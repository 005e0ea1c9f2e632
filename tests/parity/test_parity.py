"""Each scenario, run on both engines, looks the same on both: streams, results and errors, word for word.

A scenario is a coroutine function without parameters in a file of ``scenarios/``; it returns what it has seen. The
file is written for our engine and runs on LlamaIndex's with nothing but its imports changed.
"""

import asyncio
import importlib
from pathlib import Path

import pytest

from tests.parity.differences import DIFFERENCES
from tests.parity.twins import Scenario, scenarios_in, twin_of

LIMIT_S = 2

MODULES = [
    importlib.import_module(f"tests.parity.scenarios.{path.stem}")
    for path in sorted((Path(__file__).parent / "scenarios").glob("*.py"))
]
PAIRS: dict[str, tuple[Scenario, Scenario]] = {
    name: (ours, scenarios_in(twin)[name])
    for module, twin in ((module, twin_of(module)) for module in MODULES)
    for name, ours in scenarios_in(module).items()
}


@pytest.mark.parametrize("name", [name for name in PAIRS if name not in DIFFERENCES])
async def test_both_engines_look_the_same(name: str) -> None:
    ours, theirs = await on_both(name)

    assert ours == theirs


@pytest.mark.parametrize("name", DIFFERENCES)
async def test_where_they_are_said_to_differ_they_do(name: str) -> None:
    ours, theirs = await on_both(name)

    assert ours != theirs


async def on_both(name: str) -> tuple[object, object]:
    here, there = PAIRS[name]
    async with asyncio.timeout(LIMIT_S) as limit:
        both = await here(), await there()
    assert not limit.expired(), "it went on only because its time was up"
    return both
