"""``python -m tests.golden.write``: keep runs as this code stores them, for all later code to read.

One file for each run and format: as a snapshot of a run in process, and as what a run store keeps. A file that is
there is never written again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine import HumanResponseEvent
from engine.core.versions import FORMAT
from engine.memory_store import MemoryRunStore
from engine.runner import Runner
from engine.testing import ManualClock
from tests.golden.flows import KEPT, Asks, Waits

FOLDER = Path(__file__).parent
TURNS = 1_000
"""More turns of the event loop than any of these runs takes to come to rest."""


def main() -> None:
    """Write what is missing of today's format."""
    folder = FOLDER / f"format-{FORMAT}"
    folder.mkdir(exist_ok=True)
    for name, kept in KEPT.items():
        path = folder / f"{name}.json"
        if not path.exists():
            run = asyncio.run(_run(kept.workflow))
            path.write_text(json.dumps(run, indent=1) + "\n")
            sys.stdout.write(f"{path}\n")


async def _run(workflow: type[Asks]) -> dict[str, Any]:
    return {"snapshot": await _snapshot(workflow()), "stored": await _stored(workflow())}


async def _snapshot(flow: Asks) -> dict[str, Any]:
    with _standing_clock():
        handler = flow.run(run_id="golden")
        await _rest()
        if isinstance(flow, Waits):
            await handler.send_event(HumanResponseEvent(response="yes", n=0))
            await _rest()
        snapshot = handler.ctx.to_dict()
    if handler.is_done():
        with contextlib.suppress(ValueError):
            await handler
    else:
        await handler.cancel_run()
    return snapshot


async def _stored(flow: Asks) -> dict[str, Any]:
    """Return what a run store holds of a run, values as JSON."""
    clock = ManualClock()
    store = MemoryRunStore(clock)
    with _standing_clock():
        runner = Runner(store, [flow])
        run_id = await runner.start(flow, key="golden")
        await _worked(runner, run_id)
        if isinstance(flow, Waits):
            await runner.send(run_id, HumanResponseEvent(response="yes", n=0))
            await _worked(runner, run_id)
    run = await store.run(run_id)
    assert run is not None
    held = store._runs[run_id]
    return {
        "run_id": run_id,
        "workflow": run.workflow,
        "status": run.status,
        "wake_at": held.wake_at,
        "state": _plain(await store.state(run_id)),
        "asks": {ask.ask_id: json.loads(ask.event) for ask in await store.open_asks(run_id)},
        "memo": _plain(held.memo),
    }


def _plain(values: Mapping[str, bytes]) -> dict[str, Any]:
    return {name: json.loads(value) for name, value in sorted(values.items())}


async def _worked(runner: Runner, run_id: str) -> None:
    """Work until nothing moves any more; a step may still be at work then, and its run is given back."""
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(runner.work(run_id))
        await _rest()
        work.cancel()


async def _rest() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


@contextlib.contextmanager
def _standing_clock() -> Iterator[None]:
    """Let all happen in one moment, long ago, so that a file is the same whenever it is written."""
    real, time.time = time.time, ManualClock()
    try:
        yield
    finally:
        time.time = real


if __name__ == "__main__":
    main()
