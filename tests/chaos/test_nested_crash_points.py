"""A run whose steps run other workflows, crashed before and after every call of the run store.

The law at every point: what a child has done is not done again, but for the steps that were at work: no
more than `find` with what it pays for, of each child that was.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from engine import Context, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.run_store import RunStore
from engine.runner import Runner
from tests.chaos.crashing import LEASE_OVER_S, Crash, CrashingStore, Fuse, pairs, singles
from tests.integration.engine.stores import StoreWithClock

pytestmark = pytest.mark.chaos

ROUNDS = 30


class Topic(StartEvent):
    topic: str


class Notes(Event):
    text: str


class Research(Workflow):
    """Three steps, two questions and one thing that is paid for."""

    def __init__(self, done: list[str]) -> None:
        super().__init__()
        self.done = done

    @step
    async def find(self, ctx: Context, ev: Topic) -> Notes:
        self.done.append(f"find {ev.topic}")
        return Notes(text=await ctx.once("pay", self.pay, ev.topic))

    @step
    async def check(self, ctx: Context, ev: Notes) -> InputRequiredEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt=f"{ev.text}: good?")
        self.done.append(f"check {ev.text}")
        return InputRequiredEvent(prefix=f"{ev.text}: {answer.response}, sure?")

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        self.done.append("decide")
        return StopEvent(result=ev.response)

    async def pay(self, topic: str) -> str:
        self.done.append(f"pay {topic}")
        return topic


class Report(Workflow):
    """Has two things researched, at once or one after the other."""

    def __init__(self, *, at_once: bool) -> None:
        super().__init__()
        self.at_once = at_once
        self.done: list[str] = []

    @step
    async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
        if not self.at_once:
            return StopEvent(result=[await self.of(topic) for topic in ("owls", "bees")])
        async with asyncio.TaskGroup() as tasks:
            runs = [tasks.create_task(self.of(topic)) for topic in ("owls", "bees")]
        return StopEvent(result=[run.result() for run in runs])

    async def of(self, topic: str) -> Any:
        return await Research(self.done).run(topic=topic)


@pytest.mark.parametrize("at_once", [False, True], ids=["in turn", "at once"])
async def test_whatever_call_is_the_last_children_go_on_where_they_stood(world: StoreWithClock, at_once: bool) -> None:
    whole = Fuse()
    done = await live(world, whole, Report(at_once=at_once))
    assert len(done) == len({*done}) + 1 == 8, "two times find, pay, check and decide"

    for fuse in [*singles(len(whole.calls)), *pairs(len(whole.calls))]:
        again = await live(world, fuse, Report(at_once=at_once))
        repeated = len(again) - len(done)
        assert 0 <= repeated <= len(fuse.points) * (4 if at_once else 2), f"{fuse}: {again}"


async def live(world: StoreWithClock, fuse: Fuse, flow: Report) -> list[str]:
    """Let one run live, with processes that crash, and return what its children did."""
    run_id = world.store.new_run_id(str(fuse))
    for _ in range(ROUNDS):
        runner = Runner(cast(RunStore, CrashingStore(world.store, fuse)), [flow])
        try:
            run_id = await runner.start(flow, key=str(fuse))
            view = await runner.drain(run_id)
            for ask in view.asks[:1]:
                response = "yes" if "sure?" in ask.event.prefix else "good"
                await runner.answer(run_id, ask.id, response, user_id="U1", delivery_id=ask.id)
            if view.status == "done":
                break
        except* Crash:
            await world.pass_time(LEASE_OVER_S)
    view = await Runner(world.store, [flow]).drain(run_id)
    assert (view.status, view.result) == ("done", ["yes", "yes"]), fuse
    return flow.done
