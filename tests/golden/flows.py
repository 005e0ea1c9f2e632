"""The workflows whose runs are kept here. Their code stays as it is: what they have stored has to be read by it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel

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
from engine.core.versions import stored_as, upcast
from engine.retry import stop_after_attempt, wait_fixed

HOUR_S = 3_600.0
HOUR = retry_policy(wait=wait_fixed(HOUR_S), stop=stop_after_attempt(9))
FAR_S = 1e9
"""A limit that no test lives to see."""


class World:
    """What is outside of the runs: it is down while they are written, and up when they are gone on with."""

    up = False


class Asks(Workflow):
    """Whatever the workflow, it has no timeout: runs are kept for years."""

    def __init__(self, timeout: float | None = None) -> None:
        super().__init__(timeout=timeout)


# --- Values --------------------------------------------------------------------------------------


class Colour(Enum):
    RED = "r"


class Rights(Flag):
    READ = 1
    WRITE = 2


@dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.5


class Page(BaseModel):
    title: str
    at: datetime | None = None


class Draft(Event):
    text: str
    version: int = 1


@stored_as("Memo")
class Note(BaseModel):
    """It has had another name and another shape before; it is of version 2."""

    text: str


@upcast(Note, from_version=1)
def with_text(values: dict[str, Any]) -> dict[str, Any]:
    return {"text": values["body"]}


VALUES: dict[str, Any] = {
    "none": None,
    "booleans": [True, False],
    "text": "Tee für zwei \N{HOT BEVERAGE}",
    "surrogate": "\ud800",
    "small": -1,
    "huge": 10**4_000,
    "float": 0.1,
    "infinite": float("-inf"),
    "dict": {"a": [1, {"b": None}]},
    "dollar": {"$": "str", "v": "not ours"},
    "keys": {1: "one", (2, 3): "two", None: "none"},
    "tuple": (1, ("two", 3.0)),
    "set": {1, 2},
    "frozenset": frozenset({"a", "b"}),
    "bytes": b"\x00\xff",
    "naive": datetime(2026, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001 - values without a zone are kept too
    "aware": datetime(2026, 1, 2, tzinfo=UTC),
    "offset": datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    "zone": datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    "date": date(2026, 2, 28),
    "time": time(12, 30, tzinfo=UTC),
    "timedelta": timedelta(days=-1, microseconds=1),
    "decimal": Decimal("1.10"),
    "uuid": UUID(int=7),
    "complex": complex(1, -0.0),
    "enum": Colour.RED,
    "flag": Rights.READ | Rights.WRITE,
    "type": Draft,
    "dataclass": Point(1),
    "model": Page(title="Tea", at=datetime(2026, 1, 1, tzinfo=UTC)),
    "led_on": Note(text="of version 2"),
    "event": Draft(text="tea", mood="good"),
}


# --- Runs that wait --------------------------------------------------------------------------------


class Paused(Asks):
    """A question was returned. The state holds a value of every kind; its result names those that came back changed."""

    types = (Colour, Rights, Point, Page, Draft, Note)

    @step
    async def ask(self, ctx: Context, ev: StartEvent) -> InputRequiredEvent:
        for name, value in VALUES.items():
            await ctx.store.set(name, value)
        return InputRequiredEvent(prefix="Well?", timeout=FAR_S)

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(
            result=[name for name, value in VALUES.items() if repr(await ctx.store.get(name)) != repr(value)]
        )


class Basket(BaseModel):
    items: list[str] = []
    pages: dict[str, Page] = {}
    total: Decimal = Decimal(0)


class Typed(Asks):
    """Its state is a model."""

    @step
    async def ask(self, ctx: Context[Basket], ev: StartEvent) -> InputRequiredEvent:
        async with ctx.store.edit_state() as state:
            state.items.append("tea")
            state.pages["a"] = Page(title="A")
            state.total = Decimal("2.50")
        return InputRequiredEvent(prefix="Well?")

    @step
    async def decide(self, ctx: Context[Basket], ev: HumanResponseEvent) -> StopEvent:
        basket = await ctx.store.get_state()
        return StopEvent(result=[basket.items, basket.pages["a"].title, str(basket.total)])


class Waits(Asks):
    """Two questions within one step; the first has its answer."""

    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        answers = []
        for n in range(2):
            wait = ctx.wait_for_event(HumanResponseEvent, prompt=f"{n}?", requirements={"n": n}, timeout=FAR_S)
            answers.append((await wait).response)
        return StopEvent(result=answers)


class Delayed(Asks):
    """A step has failed and is to be tried again."""

    @step(retry_policy=HOUR)
    async def only(self, ev: StartEvent) -> StopEvent:
        if not World.up:
            raise ConnectionError("no line")
        return StopEvent(result="through")


class Item(Event):
    n: int


class Done(Event):
    n: int


class Queued(Asks):
    """One worker, three calls: one is at work, the others are queued."""

    @step
    async def spread(self, ctx: Context, ev: StartEvent) -> Item | None:
        for n in range(3):
            ctx.send_event(Item(n=n))
        return None

    @step(num_workers=1)
    async def work(self, ev: Item) -> Done:
        if not World.up:
            await asyncio.Event().wait()
        return Done(n=ev.n)

    @step
    async def end(self, ctx: Context, ev: Done) -> StopEvent | None:
        done = ctx.collect_events(ev, [Done] * 3)
        return None if done is None else StopEvent(result=sorted(one.n for one in done))


class Row(Event):
    """What came of one inner list."""

    numbers: list[int]


class Streams(Asks):
    """A list within a list; a batch of each is partly there."""

    @step
    async def outer(self, ev: StartEvent) -> list[Item]:
        return [Item(n=n) for n in range(2)]

    @step
    async def inner(self, ev: Item) -> list[Draft]:
        return [Draft(text=f"{ev.n}{letter}") for letter in "ab"]

    @step
    async def work(self, ctx: Context, ev: Draft) -> Done:
        if ev.text == "1b":
            await ctx.wait_for_event(HumanResponseEvent, prompt="1b?", timeout=FAR_S)
        return Done(n=int(ev.text[0]))

    @step
    async def gather(self, evs: list[Done]) -> Row:
        return Row(numbers=[ev.n for ev in evs])

    @step
    async def total(self, evs: list[Row]) -> StopEvent:
        return StopEvent(result=sorted(ev.numbers for ev in evs))


class Slots(Asks):
    """A step takes two events at once, and one of them is there."""

    @step
    async def left(self, ev: StartEvent) -> Item:
        return Item(n=1)

    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(prefix="Right?")

    @step
    async def right(self, ev: HumanResponseEvent) -> Done:
        return Done(n=2)

    @step
    async def join(self, left: Item, right: Done) -> StopEvent:
        return StopEvent(result=[left.n, right.n])


class Buffers(Asks):
    """`collect_events` has one of the two it waits for."""

    @step
    async def first(self, ev: StartEvent) -> Item:
        return Item(n=1)

    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(prefix="Second?")

    @step
    async def second(self, ev: HumanResponseEvent) -> Done:
        return Done(n=2)

    @step
    async def both(self, ctx: Context, ev: Item | Done) -> StopEvent | None:
        found = ctx.collect_events(ev, [Item, Done], buffer_id="pair")
        return None if found is None else StopEvent(result=[one.n for one in found])


class Remembers(Asks):
    """One thing was paid for and is remembered; of another nobody knows whether it happened."""

    @step(retry_policy=HOUR)
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        draft = await ctx.once("draft", self.draft)
        receipt = await ctx.effect("pay", self.pay, reconcile=self.look)
        return StopEvent(result=[draft.text, receipt])

    async def draft(self) -> Draft:
        assert not World.up, "it is remembered"
        return Draft(text="tea")

    async def pay(self) -> str:
        assert not World.up, "it may have happened"
        raise ConnectionError("no answer")

    async def look(self) -> str:
        return "receipt 1"


class Child(Asks):
    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        await ctx.store.set("topic", ev.topic)
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt=f"{ev.topic}?", timeout=FAR_S)
        return StopEvent(result=[await ctx.store.get("topic"), answer.response])


class Parent(Asks):
    """A child workflow asks."""

    @step
    async def only(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result=await Child().run(topic="tea"))


class Recovers(Asks):
    """A step has failed for good, its handler asks what to do, and its failure stands in the handler's call."""

    @step
    async def work(self, ev: StartEvent | Draft) -> StopEvent:
        if isinstance(ev, Draft):
            return StopEvent(result=ev.text)
        raise ValueError("broken")

    @catch_error(max_recoveries=2)
    async def rescue(self, ctx: Context, ev: StepFailedEvent) -> Draft:
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt=f"{ev.step_name}: {ev.exception}?", timeout=FAR_S)
        return Draft(text=f"{ev.exception}, {answer.response}")


# --- Runs that are over ------------------------------------------------------------------------------


class Finished(Asks):
    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        await ctx.store.set("kept", True)
        return StopEvent(result={"draft": Draft(text="tea")})


class Failed(Asks):
    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        raise ValueError("broken")


@dataclass(frozen=True)
class Kept:
    """A run that is kept: its workflow, and what comes of it once it goes on."""

    workflow: type[Asks]
    result: Any = None
    error: str = ""


KEPT: Mapping[str, Kept] = {
    "paused": Kept(Paused, []),
    "typed": Kept(Typed, [["tea"], "A", "2.50"]),
    "waits": Kept(Waits, ["yes", "yes"]),
    "delayed": Kept(Delayed, "through"),
    "queued": Kept(Queued, [0, 1, 2]),
    "streams": Kept(Streams, [[0, 0], [1, 1]]),
    "slots": Kept(Slots, [1, 2]),
    "buffers": Kept(Buffers, [1, 2]),
    "remembers": Kept(Remembers, ["tea", "receipt 1"]),
    "child": Kept(Parent, ["tea", "yes"]),
    "recovers": Kept(Recovers, "ValueError: broken, yes"),
    "finished": Kept(Finished, {"draft": Draft(text="tea")}),
    "failed": Kept(Failed, error="ValueError: broken"),
}
