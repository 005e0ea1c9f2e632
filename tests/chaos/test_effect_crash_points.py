"""A run with an effect on the world, crashed before and after every call of the run store and of the world.

The law at every point: the effect happens no more than once, unless somebody who looked says that it
did not, and then once.
"""

from __future__ import annotations

from typing import cast

import pytest

from engine import Context, DidNotHappen, HumanResponseEvent, StartEvent, StopEvent, Workflow, step
from engine.core.questions import AGAIN, HAPPENED
from engine.run_store import RunStore
from engine.runner import Runner, RunView
from tests.chaos.crashing import LEASE_OVER_S, Crash, CrashingStore, Fuse, pairs, singles
from tests.integration.engine.stores import StoreWithClock

pytestmark = pytest.mark.chaos

ROUNDS = 20


class Paying(Workflow):
    """Pays, asks, and is over."""

    def __init__(self, fuse: Fuse, *, reconciles: bool) -> None:
        super().__init__(timeout=None)
        self.fuse = fuse
        self.reconciles = reconciles
        self.paid = 0

    @step
    async def pay(self, ctx: Context, ev: StartEvent) -> StopEvent:
        if self.reconciles:
            receipt: str | None = await ctx.effect("pay", self.transfer, reconcile=self.look)
        else:
            receipt = await ctx.effect("pay", self.transfer)
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt="Fine?")
        return StopEvent(result=f"{receipt}, {answer.response}")

    async def transfer(self) -> str:
        async def pay() -> str:
            self.paid += 1
            return f"receipt {self.paid}"

        return cast(str, await self.fuse.burn("transfer", pay))

    def look(self) -> str:
        if not self.paid:
            raise DidNotHappen
        return f"receipt {self.paid}"


@pytest.mark.parametrize("reconciles", [False, True], ids=["a person looks", "the step looks"])
async def test_whatever_call_is_the_last_an_effect_happens_once(world: StoreWithClock, reconciles: bool) -> None:
    whole = Fuse()
    await live(world, whole, reconciles=reconciles)

    doubted = sum([await live(world, fuse, reconciles=reconciles) for fuse in singles(len(whole.calls))])
    for fuse in pairs(len(whole.calls)):
        await live(world, fuse, reconciles=reconciles)

    assert doubted == (0 if reconciles else 4), (
        "in doubt: after the intent, before and after the effect, before its result"
    )


async def live(world: StoreWithClock, fuse: Fuse, *, reconciles: bool) -> int:
    """Let one run live and tell how often a person was asked whether it had paid."""
    flow = Paying(fuse, reconciles=reconciles)
    doubted = 0
    run_id = world.store.new_run_id(str(fuse))
    for _ in range(ROUNDS):
        runner = Runner(cast(RunStore, CrashingStore(world.store, fuse)), [flow])
        try:
            run_id = await runner.start(flow, key=str(fuse))
            view = await runner.drain(run_id)
            doubted += await answered(runner, view, flow)
            if view.status == "done":
                break
        except* Crash:
            await world.pass_time(LEASE_OVER_S)
    view = await Runner(world.store, [flow]).drain(run_id)
    assert (view.status, flow.paid) == ("done", 1), fuse
    assert view.result in ("receipt 1, yes", "None, yes")
    return doubted


async def answered(runner: Runner, view: RunView, flow: Paying) -> int:
    """Answer what the run asks, truthfully, and tell whether it was in doubt."""
    doubted = 0
    for ask in view.asks:
        doubts = ask.event.prefix != "Fine?"
        response = ("yes" if not doubts else HAPPENED) if flow.paid else AGAIN
        doubted += doubts
        await runner.answer(view.run_id, ask.id, response, user_id="U1", delivery_id=ask.id)
    return doubted
