"""Runs that were stored by every format there has been go on with today's code, and end as they should."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import Context, HumanResponseEvent, InputRequiredEvent
from engine.core.snapshot import load
from engine.core.versions import FORMAT
from engine.memory_store import MemoryRunStore
from engine.run_store import Commit, NewAsk, NewRun
from engine.runner import Runner, RunView
from engine.testing import ManualClock
from tests.golden.flows import HOUR_S, KEPT, World

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("format-*/*.json"))
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")


@pytest.fixture(autouse=True)
def world_is_up() -> Iterator[None]:
    World.up = True
    yield
    World.up = False


def test_every_run_is_kept_in_todays_format() -> None:
    kept = {path.stem for path in FILES if path.parent.name == f"format-{FORMAT}"}

    assert kept == set(KEPT), "a format needs its own files: run python -m tests.golden.write, and keep the older ones"


@each_file
async def test_a_snapshot_goes_on(path: Path) -> None:
    kept = KEPT[path.stem]
    flow, snapshot = kept.workflow(), json.loads(path.read_text())["snapshot"]
    if snapshot["status"] != "running":
        over = load(flow.definition, snapshot)
        assert (over.final and over.final.result, over.error and str(over.error)) == (kept.result, kept.error or None)
        return

    handler = flow.run(ctx=Context.from_dict(flow, snapshot))
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            assert event.ask_id is not None
            await handler.send_event(HumanResponseEvent(response="yes", ask_id=event.ask_id, n=1))

    assert await handler == kept.result


@each_file
async def test_a_stored_run_goes_on(path: Path) -> None:
    kept = KEPT[path.stem]
    stored = json.loads(path.read_text())["stored"]
    clock = ManualClock()
    store = MemoryRunStore(clock)
    await put(store, stored)
    runner = Runner(store, [kept.workflow()])

    clock.advance(HOUR_S)
    view = await runner.drain(stored["run_id"])
    while view.asks:
        await runner.answer(view.run_id, view.asks[0].id, "yes", user_id="U1", n=1)
        view = await runner.drain(view.run_id)

    assert ended(view) == (kept.result, kept.error)


async def put(store: MemoryRunStore, stored: dict[str, Any]) -> None:
    """Put a run into a store as another process would have left it there."""
    run = NewRun(stored["run_id"], stored["workflow"], "", event=b"{}")
    _, claim = await store.start(run, worker="before", lease_s=30)
    assert claim is not None
    for name, value in stored["memo"].items():
        await store.remember(claim, name, encoded(value))
    change = Commit(
        stored["status"],
        consumed=1,
        written={name: encoded(value) for name, value in stored["state"].items()},
        asks=[NewAsk(ask_id, encoded(event), "digest") for ask_id, event in stored["asks"].items()],
        wake_at=stored["wake_at"],
    )
    await store.commit(claim, change)


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def ended(view: RunView) -> tuple[Any, str]:
    return view.result, "" if view.error is None else str(view.error)
