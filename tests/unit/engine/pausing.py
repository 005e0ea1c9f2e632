"""Workflows that pause, values that they may store since their module names them, and snapshots of both."""

import dataclasses
import json
from datetime import datetime
from enum import Enum
from typing import Any

from pydantic import BaseModel

from engine import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from engine.handler import WorkflowHandler
from tests.unit.engine.turns import until


class Colour(Enum):
    RED = "r"


@dataclasses.dataclass
class Point:
    x: int


class Draft(Event):
    text: str
    version: int = 1


class Page(BaseModel):
    title: str
    at: datetime | None = None


class Stages(Workflow):
    """Writes, asks twice, and counts how often each step's body ran."""

    bodies: dict[str, int]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.bodies = {}

    def count(self, name: str) -> None:
        self.bodies[name] = self.bodies.get(name, 0) + 1

    @step
    async def write(self, ctx: Context, ev: StartEvent) -> Draft:
        self.count("write")
        return Draft(text=ev.topic)

    @step
    async def ask(self, ctx: Context, ev: Draft) -> InputRequiredEvent:
        self.count("ask")
        await ctx.store.set("draft", ev)
        return InputRequiredEvent(prefix=f"{ev.text} v{ev.version}?", timeout=1_000)

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> Draft | StopEvent:
        self.count("decide")
        draft: Draft = await ctx.store.get("draft")
        if draft.version == 1:
            return Draft(text=draft.text, version=2)
        return StopEvent(result=(draft.text, draft.version, ev.response))


class Waits(Workflow):
    """Two waits in one step, with a write before each."""

    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        given = []
        for n in range(2):
            await ctx.store.set("writes", await ctx.store.get("writes", default=0) + 1)
            answer = await ctx.wait_for_event(
                HumanResponseEvent, prompt=f"{n}?", requirements={"n": n}, timeout=ev.get("timeout")
            )
            given.append(answer.response)
        return StopEvent(result=[*given, await ctx.store.get("writes")])


def yes(**more: Any) -> HumanResponseEvent:
    return HumanResponseEvent(**{"response": "yes", **more})


async def paused(handler: WorkflowHandler, count: int = 1) -> None:
    """Wait until so many questions are open and no step is at work."""
    await until(lambda: len(handler.ctx.open_asks) >= count and "ready" not in statuses(handler))


def statuses(handler: WorkflowHandler) -> list[str]:
    state = handler.ctx._run_state()
    assert state is not None
    return [call.status for call in state.calls.values()]


async def saved(handler: WorkflowHandler, count: int = 1) -> dict[str, Any]:
    """Wait for the questions, stop the run, and return its snapshot, by way of text."""
    await paused(handler, count)
    snapshot: dict[str, Any] = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()
    return snapshot


def restored(flow: Workflow, snapshot: dict[str, Any]) -> Context[Any]:
    return Context[Any].from_dict(flow, snapshot)
