"""A snapshot is taken in one process of Python and gone on with in another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

PROGRAM = """
import asyncio, json, sys
from pathlib import Path

from engine import Context, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step


class Review(Workflow):
    @step
    async def write(self, ctx: Context, ev: StartEvent) -> InputRequiredEvent:
        print("write")
        await ctx.store.set("draft", {"topic": ev.topic, "tags": {"a"}})
        return InputRequiredEvent(prefix=f"{ev.topic}?")

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=[await ctx.store.get("draft"), ev.response])


async def pause(path):
    handler = Review().run(topic="birds")
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            path.write_text(json.dumps(handler.ctx.to_dict()))
            return


async def resume(path):
    flow = Review()
    handler = flow.run(ctx=Context.from_dict(flow, json.loads(path.read_text())))
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            print(event.prefix)
            handler.ctx.send_event(HumanResponseEvent(response="yes"))
    print(await handler)


asyncio.run(globals()[sys.argv[1]](Path(sys.argv[2])))
"""


def test_a_run_goes_on_in_a_new_process(tmp_path: Path) -> None:
    """Behaviour 35, 38, 43."""
    ours = {**os.environ, "PYTHONPATH": str(ROOT)}
    (program := tmp_path / "program.py").write_text(PROGRAM, "utf-8")

    def run(what: str) -> str:
        command = [sys.executable, str(program), what, str(tmp_path / "saved.json")]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, env=ours).stdout

    assert run("pause") == "write\n"
    assert run("resume") == "birds?\n[{'topic': 'birds', 'tags': {'a'}}, 'yes']\n"
