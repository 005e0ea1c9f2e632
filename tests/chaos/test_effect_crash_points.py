"""A run with an effect on the world, crashed before and after every call of the run store and of the world.

The law at every point: the effect happens no more than once, unless somebody who looked says that it
did not, and then once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest

from engine import Context, DidNotHappen, HumanResponseEvent, StartEvent, StopEvent, Workflow, step
from engine.questions import AGAIN, HAPPENED
from engine.run_store import RunStore
from engine.runner import LEASE_S, Runner, RunView
from tests.integration.stores import StoreWithClock, in_memory, in_redis

pytestmark = pytest.mark.chaos

ROUNDS = 20


class Crash(BaseException):
    """The process is gone."""


@dataclass
class Fuse:
    """Crashes at one call: before it is made, or before its answer arrives."""

    at: int = 0
    after: bool = False
    made: int = 0

    async def burn(self, call: Callable[[], Awaitable[Any]]) -> Any:
        self.made += 1
        hit = self.made == self.at
        if hit and not self.after:
            raise Crash
        answer = await call()
        if hit:
            raise Crash
        return answer


@dataclass
class CrashingStore:
    """A run store whose every call may be the last."""

    store: RunStore
    fuse: Fuse

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        if name == "new_run_id":
            return method

        async def call(*given: Any, **named: Any) -> Any:
            return await self.fuse.burn(lambda: method(*given, **named))

        return call


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

        return cast(str, await self.fuse.burn(pay))

    def look(self) -> str:
        if not self.paid:
            raise DidNotHappen
        return f"receipt {self.paid}"


@pytest.fixture(params=["memory", "redis"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[StoreWithClock]:
    if request.param == "memory":
        yield in_memory()
        return
    async with in_redis(request.getfixturevalue("redis_url"), request.getfixturevalue("prefix")) as world:
        yield world


@pytest.mark.parametrize("reconciles", [False, True], ids=["a person looks", "the step looks"])
async def test_whatever_call_is_the_last_an_effect_happens_once(world: StoreWithClock, reconciles: bool) -> None:
    whole = Fuse()
    await live(world, whole, "whole", reconciles=reconciles)

    doubted = 0
    for at in range(1, whole.made + 1):
        for after in (False, True):
            doubted += await live(world, Fuse(at, after), f"{after} {at}", reconciles=reconciles)

    assert doubted == (0 if reconciles else 4), (
        "in doubt: after the intent, before and after the effect, before its result"
    )


async def live(world: StoreWithClock, fuse: Fuse, name: str, *, reconciles: bool) -> int:
    """Let one run live and tell how often a person was asked whether it had paid."""
    flow = Paying(fuse, reconciles=reconciles)
    doubted = 0
    run_id = world.store.new_run_id(name)
    for _ in range(ROUNDS):
        runner = Runner(cast(RunStore, CrashingStore(world.store, fuse)), [flow])
        try:
            run_id = await runner.start(flow, key=name)
            view = await runner.drain(run_id)
            doubted += await answered(runner, view, flow)
            if view.status == "done":
                break
        except* Crash:
            await world.pass_time(LEASE_S + 1)
    view = await Runner(world.store, [flow]).drain(run_id)
    assert (view.status, flow.paid) == ("done", 1), f"crashed {'after' if fuse.after else 'before'} call {fuse.at}"
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
