"""Workflows made by chance: whatever a plan says is to be done, in one run or in runs within runs, comes to what the
plan says, however often it is interrupted and in whatever order people answer.

A plan is a tree. Its leaves ask, fail, remember, write; its branches send events, return lists and run further
workflows, in turn or at once. ``SIGNOFF_EXAMPLES`` says how many plans are tried in each way; ``make chaos`` tries
1,000. A run that stands still is one that hangs here, so each has `LIMIT_S`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
    Workflow,
    catch_error,
    retry_policy,
    step,
)
from engine.retry import stop_after_attempt, wait_none
from engine.run_store import RunStore
from engine.runner import Runner
from engine.verdicts import Accepted
from tests.chaos.crashing import LEASE_OVER_S, Crash, CrashingStore, Fuse, Point
from tests.integration.engine.stores import in_memory

pytestmark = pytest.mark.chaos

EXAMPLES = int(os.environ.get("SIGNOFF_EXAMPLES", "80"))
LIMIT_S = 5.0
CRASHES = 6
CALLS = 60
"""Among how many of the first calls of the store the crashes are."""
ROUNDS = 500

Plan: TypeAlias = Sequence[Any]
"""The name of what is to be done, and the plans it is done to, if any."""

LEAVES = ("work", "ask", "ask twice", "ask by returning", "remember", "fail at first", "fail")
BRANCHES = ("send", "list", "in turn", "at once", "in tasks")

plans: st.SearchStrategy[Plan] = st.recursive(
    st.sampled_from(LEAVES).map(lambda name: [name]),
    lambda inner: st.tuples(st.sampled_from(BRANCHES), st.lists(inner, min_size=1, max_size=3)).map(list),
    max_leaves=8,
)
seeds = st.integers(0, 2**32 - 1)
TRIED = settings(
    max_examples=EXAMPLES, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
)


def outcome(plan: Plan, place: str = "r") -> Any:
    """Return what *plan* comes to."""
    match plan:
        case ["send", inner]:
            return ["send", [outcome(one, f"{place}-{n}") for n, one in enumerate(inner)]]
        case [name, inner]:
            return [name, [outcome(one) for one in inner]]  # each in a run of its own
        case ["ask" | "ask by returning" as name]:
            return [name, reply(place)]
        case ["ask twice" as name]:
            return [name, reply(f"{place} 1") + reply(f"{place} 2")]
        case [name]:
            return [name, 1]


def reply(prompt: str) -> str:
    """Return what people answer."""
    return f"{prompt}!"


class Task(Event):
    place: str
    plan: Any


class Listed(Task):
    """A plan whose parts are done as a list."""


class Part(Task):
    n: int


class Made(Event):
    place: str
    n: int
    value: Any


class Done(Event):
    place: str
    value: Any


class Doing(Workflow):
    """Does a plan."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @step
    async def begin(self, ev: StartEvent) -> Task:
        return Task(place="r", plan=ev.plan)

    @step(num_workers=2, retry_policy=retry_policy(wait=wait_none(), stop=stop_after_attempt(3)))
    async def work(self, ctx: Context, ev: Task) -> Done | Task | Listed | InputRequiredEvent | None:
        times = f"times {ev.place}"
        await ctx.store.set(times, await ctx.store.get(times, 0) + 1)
        match ev.plan:
            case ["ask by returning"]:
                return InputRequiredEvent(prefix=ev.place)
            case ["list", _]:
                return Listed(place=ev.place, plan=ev.plan)
            case ["send", inner]:
                await ctx.store.set(f"parts {ev.place}", len(inner))
                for n, plan in enumerate(inner):
                    ctx.send_event(Task(place=f"{ev.place}-{n}", plan=plan))
                return None
            case ["in turn", inner]:
                value: Any = [await self.apart(plan) for plan in inner]
            case ["at once", inner]:
                runs = [Doing().run(plan=plan) for plan in inner]
                value = [*await asyncio.gather(*runs)]  # noqa: TID251 - as authors may
            case ["in tasks", inner]:
                async with asyncio.TaskGroup() as tasks:
                    begun = [tasks.create_task(self.apart(plan)) for plan in inner]
                value = [one.result() for one in begun]
            case ["ask"]:
                value = await self.ask(ctx, ev.place)
            case ["ask twice"]:
                value = await self.ask(ctx, f"{ev.place} 1") + await self.ask(ctx, f"{ev.place} 2")
            case ["remember"]:
                value = await ctx.once("one", int, 1)
            case ["fail"]:
                raise ValueError("for good")
            case ["fail at first"] if ctx.retry_info().retry_number < 2:
                raise ValueError("for now")
            case _:
                value = await ctx.store.get(times)
        return Done(place=ev.place, value=[ev.plan[0], value])

    async def ask(self, ctx: Context, prompt: str) -> str:
        return str((await ctx.wait_for_event(HumanResponseEvent, prompt=prompt)).response)

    async def apart(self, plan: Plan) -> Any:
        return await Doing().run(plan=plan)

    @catch_error(max_recoveries=100)
    async def recover(self, ev: StepFailedEvent) -> Done:
        assert isinstance(ev.input_event, Task)
        return Done(place=ev.input_event.place, value=[*ev.input_event.plan, 1])

    @step
    async def hear(self, ev: HumanResponseEvent) -> Done:
        return Done(place=ev.response.removesuffix("!"), value=["ask by returning", ev.response])

    @step
    async def split(self, ev: Listed) -> list[Part]:
        return [Part(place=ev.place, n=n, plan=plan) for n, plan in enumerate(ev.plan[1])]

    @step(num_workers=2)
    async def make(self, ev: Part) -> Made:
        return Made(place=ev.place, n=ev.n, value=await self.apart(ev.plan))

    @step
    async def join(self, parts: list[Made]) -> Done:
        return Done(place=parts[0].place, value=["list", [one.value for one in sorted(parts, key=lambda one: one.n)]])

    @step
    async def gather(self, ctx: Context, ev: Done) -> Done | StopEvent | None:
        above, _, _ = ev.place.rpartition("-")
        if not above:
            return StopEvent(result=ev.value)
        found = ctx.collect_events(ev, [Done] * await ctx.store.get(f"parts {above}"), buffer_id=above)
        if found is None:
            return None
        return Done(place=above, value=["send", [one.value for one in sorted(found, key=lambda one: one.place)]])


# --- Doing it, and interrupting it -----------------------------------------------------------


async def whole(plan: Plan, chance: random.Random) -> Any:
    """Do *plan* in one go."""
    handler = Doing().run(plan=plan)
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            handler.ctx.send_event(HumanResponseEvent(response=reply(event.prefix), ask_id=event.ask_id))
    return await handler


async def restored(plan: Plan, chance: random.Random) -> Any:
    """Do *plan* in pieces, each from a snapshot of the one before that was taken at any time."""
    handler = Doing().run(plan=plan)
    while not handler.is_done():
        for _ in range(chance.randrange(30)):
            await asyncio.sleep(0)
        answer_one(handler.ctx, chance)
        if handler.ctx.is_running and chance.random() < 0.5:
            snapshot = json.loads(json.dumps(handler.ctx.to_dict()))
            await handler.cancel_run()
            ctx: Context = Context.from_dict(Doing(), snapshot)
            answer_one(ctx, chance)
            handler = Doing().run(ctx=ctx)
    return await handler


def answer_one(ctx: Context, chance: random.Random) -> None:
    """Answer any open question, perhaps; the second answer counts for nothing."""
    if ctx.is_running and ctx.open_asks and chance.random() < 0.5:
        ask = chance.choice(ctx.open_asks)
        assert ask.event is not None
        for response in (reply(ask.event.prefix), "late!"):
            ctx.send_event(HumanResponseEvent(response=response, ask_id=ask.id))


async def crashing(plan: Plan, chance: random.Random) -> Any:
    """Do *plan* as a durable run of processes that die."""
    world = in_memory()
    points = [Point(chance.randint(1, CALLS), chance.choice(("before", "after"))) for _ in range(CRASHES)]
    store = cast(RunStore, CrashingStore(world.store, Fuse(*points)))
    run_id = await Runner(world.store, [Doing()]).start(Doing(), plan=plan)
    while True:
        runner = Runner(store, [Doing()], eager=chance.random() < 0.5, max_attempts=ROUNDS)
        try:
            view = await runner.drain(run_id)
            if view.status != "waiting":
                return view.error or view.result
            ask = chance.choice(view.asks)
            verdict = await runner.answer(run_id, ask.id, reply(ask.event.prefix), user_id="U1", delivery_id=ask.id)
            assert isinstance(verdict, Accepted)
        except* Crash:
            await world.pass_time(LEASE_OVER_S * CRASHES)


@pytest.mark.parametrize("do", [whole, restored, crashing])
@TRIED
@given(plan=plans, seed=seeds)
def test_every_plan_comes_to_what_it_says(do: Callable[..., Coroutine[Any, Any, Any]], plan: Plan, seed: int) -> None:
    """Behaviour 17, 35, 44, 65."""

    async def within_the_limit() -> Any:
        async with asyncio.timeout(LIMIT_S):
            return await do(plan, random.Random(seed))

    assert asyncio.run(within_the_limit()) == outcome(plan)
