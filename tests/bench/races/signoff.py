"""The run of the races on Signoff. A button carries the run's id and the question's."""

from __future__ import annotations

from engine import Context, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.redis import RedisRunStore
from engine.runner import Runner
from engine.verdicts import Accepted
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
    """A runner and a store of its own, on a Redis that it shares."""

    def __init__(self, url: str, decided: Decided) -> None:
        self._store = RedisRunStore.from_url(url, prefix="races")
        self._workflow = Ship(decided)
        self._runner = Runner(self._store, [self._workflow], eager=True)

    async def begin(self, version: str) -> Button:
        run_id = await self._runner.start(self._workflow, version=version)
        (ask,) = (await self._runner.view(run_id)).asks
        return run_id, ask.id

    async def click(self, button: Button, response: str, click_id: str) -> bool:
        run_id, ask_id = button
        verdict = await self._runner.answer(run_id, ask_id, response, user_id="U1", delivery_id=click_id)
        return isinstance(verdict, Accepted)

    async def stands(self, button: Button) -> str:
        view = await self._runner.view(button[0])
        return view.asks[0].event.prefix if view.asks else str(view.result)

    async def close(self) -> None:
        await self._store.close()
