"""The run of the races on LlamaIndex Workflows, its context kept in Redis by hand.

As its documentation has it: stream events until one asks, keep `Context.to_dict()`, cancel; for the answer
`Context.from_dict`, run again, send the event. Its events name no question, so a button carries the run's id.
"""

from __future__ import annotations

import json
from typing import Any

from redis.asyncio import Redis
from workflows import Context, Workflow, step  # noqa: TID251  # the peer, not our folder
from workflows.events import HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent  # noqa: TID251

from tests.bench.clicks import Button, Decided


class Ship(Workflow):
    """Ships to staging if somebody approves, then to production if somebody approves that."""

    def __init__(self, decided: Decided) -> None:
        super().__init__(timeout=None)
        self._decided = decided

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> InputRequiredEvent:
        await ctx.store.set("version", ev.version)
        return InputRequiredEvent(prefix="staging? (approve/reject)")

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> InputRequiredEvent | StopEvent:
        version, stage = await ctx.store.get("version"), await ctx.store.get("stage", "staging")
        self._decided(version, stage, ev.response)
        if ev.response == "approve" and stage == "staging":
            await ctx.store.set("stage", "production")
            return InputRequiredEvent(prefix="production? (approve/reject)")
        return StopEvent(result=f"{stage}: {ev.response}")


class Process:
    """A workflow and a connection of its own to a Redis that it shares."""

    def __init__(self, url: str, decided: Decided) -> None:
        self._redis = Redis.from_url(url, decode_responses=True)
        self._workflow = Ship(decided)

    async def begin(self, version: str) -> Button:
        await self._go_on(version, self._workflow.run(version=version))
        return (version,)

    async def click(self, button: Button, response: str, click_id: str) -> bool:
        saved = json.loads(await self._redis.get(button[0]) or "")
        if saved["context"] is None:
            return False  # it is over
        ctx: Context = Context.from_dict(self._workflow, saved["context"])
        handler = self._workflow.run(ctx=ctx)
        handler.ctx.send_event(HumanResponseEvent(response=response))
        await self._go_on(button[0], handler)
        return True

    async def _go_on(self, run_id: str, handler: Any) -> None:
        """Let the run work until it asks or ends, and keep where it stands."""
        async for event in handler.stream_events():
            if isinstance(event, InputRequiredEvent):
                saved = {"context": handler.ctx.to_dict(), "stands": event.prefix}
                await handler.cancel_run()
                break
        else:
            saved = {"context": None, "stands": await handler}
        await self._redis.set(run_id, json.dumps(saved))

    async def stands(self, button: Button) -> str:
        return str(json.loads(await self._redis.get(button[0]) or "")["stands"])

    async def close(self) -> None:
        await self._redis.aclose()
