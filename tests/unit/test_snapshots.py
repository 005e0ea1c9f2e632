"""A run saved as JSON and taken up again: nothing lost, nothing done twice, nothing foreign let in."""

import asyncio
import contextlib
import copy
import dataclasses
import gc
import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from engine import (
    Context,
    ContextSerdeError,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    retry_policy,
    step,
)
from engine.errors import CodecError, UnreconstructedException
from engine.events import WorkflowFailedEvent
from engine.handler import WorkflowHandler
from engine.model import DictState, RunState
from engine.reducer import begin
from engine.retry import wait_fixed
from engine.snapshot import dump, load
from tests.unit.turns import until


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


# --- When ------------------------------------------------------------------------------------------


async def test_a_paused_run_goes_on_elsewhere_with_the_same_result() -> None:
    """Behaviour 35, 38."""
    first, second, third = Stages(), Stages(), Stages()
    snapshot = await saved(first.run(topic="birds"))

    ctx = restored(second, snapshot)
    handler = second.run(ctx=ctx)
    ctx.send_event(yes())
    snapshot = await saved(handler)
    ctx = restored(third, snapshot)
    ctx.send_event(yes(response="at last"))

    assert await third.run(ctx=ctx) == ("birds", 2, "at last")
    assert [first.bodies, second.bodies, third.bodies] == [
        {"write": 1, "ask": 1},
        {"decide": 1, "ask": 1},
        {"decide": 1},
    ]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_restored_context_is_answered_before_and_after_its_run(when: str) -> None:
    """Behaviour 36."""
    flow = Stages()
    ctx = restored(flow, await saved(flow.run(topic="birds")))

    if when == "before":
        ctx.send_event(yes())
    handler = flow.run(ctx=ctx)
    if when == "after":
        ctx.send_event(yes())
    await paused(handler)

    assert flow.bodies == {"write": 1, "ask": 2, "decide": 1}
    assert [ask.event.prefix for ask in ctx.open_asks if ask.event] == ["birds v2?"]
    await handler.cancel_run()


async def test_an_answer_before_a_snapshot_is_in_it() -> None:
    """Behaviour 41."""
    first, second = Waits(), Waits()
    handler = first.run()
    await paused(handler)

    handler.ctx.send_event(yes(response="just in time", n=0))
    snapshot = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()

    ctx = restored(second, snapshot)
    ctx.send_event(yes(n=1))
    handler = second.run(ctx=ctx)
    await paused(handler)
    ctx.send_event(yes(n=1))
    assert await handler == ["just in time", "yes", 2]


async def test_an_answer_that_calls_a_step_is_in_the_snapshot_at_once() -> None:
    """Behaviour 41."""
    flow = Stages()
    handler = flow.run(topic="birds")
    await paused(handler)

    handler.ctx.send_event(yes())
    snapshot = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()

    handler = flow.run(ctx=restored(flow, snapshot))
    await paused(handler)
    assert [ask.event.prefix for ask in handler.ctx.open_asks if ask.event] == ["birds v2?"]
    await handler.cancel_run()


async def test_a_snapshot_can_be_taken_in_the_stream_and_after_leaving_it() -> None:
    """Behaviour 34."""
    handler = Stages().run(topic="birds")
    taken = []
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            taken.append(handler.ctx.to_dict())
            break
    taken.append(handler.ctx.to_dict())
    await handler.cancel_run()

    inside, outside = taken
    assert {**inside, "spent": 0} == {**outside, "spent": 0}
    assert json.loads(json.dumps(inside)) == inside


async def test_a_snapshot_during_a_step_runs_the_step_again() -> None:
    """Behaviour 34, 39, 40."""
    begun = asyncio.Event()
    bodies = 0

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            nonlocal bodies
            bodies += 1
            await ctx.store.set("n", await ctx.store.get("n", default=0) + 1)
            if bodies == 1:
                begun.set()
                await asyncio.Event().wait()
            await ctx.store.set("m", await ctx.store.get("m", default=0) + 1)
            return StopEvent(result=[await ctx.store.get("n"), await ctx.store.get("m")])

    flow = Flow()
    handler = flow.run()
    await begun.wait()
    snapshot = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()

    assert await flow.run(ctx=restored(flow, snapshot)) == [1, 1]
    assert bodies == 2


async def test_a_snapshot_after_the_end_keeps_the_store_for_the_next_run() -> None:
    """Behaviour 34, 47."""
    flow = Waits()
    handler = flow.run()
    for n in range(2):
        await paused(handler)
        handler.ctx.send_event(yes(n=n))
    await handler
    ctx = restored(flow, json.loads(json.dumps(handler.ctx.to_dict())))

    assert not ctx.is_running
    assert await ctx.store.get("writes") == 2
    await saved(flow.run(ctx=ctx))
    assert await ctx.store.get("writes") == 3


async def test_a_snapshot_before_the_run_keeps_what_was_seeded() -> None:
    """Behaviour 47."""
    flow = Waits()
    ctx = Context[DictState](flow)
    await ctx.store.set("writes", 10)

    again = restored(flow, json.loads(json.dumps(ctx.to_dict())))
    await saved(flow.run(ctx=again))

    assert await again.store.get("writes") == 11


async def test_a_cancelled_run_can_go_on() -> None:
    """Behaviour 27."""
    flow = Stages()
    handler = flow.run(topic="birds")
    await paused(handler)
    await handler.cancel_run()

    ctx = restored(flow, json.loads(json.dumps(handler.ctx.to_dict())))

    assert ctx.is_running
    ctx.send_event(yes())
    handler = flow.run(ctx=ctx)
    await paused(handler)
    ctx.send_event(yes())
    assert await handler == ("birds", 2, "yes")


async def test_a_failed_run_is_saved_with_its_reason() -> None:
    """Behaviour 34."""

    class Flow(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            raise ValueError("no ink")

    flow = Flow()
    handler = flow.run()
    await handler.stop_event_result()

    state = load(flow.definition, json.loads(json.dumps(handler.ctx.to_dict())))

    assert state.status == "failed"
    assert isinstance(state.error, UnreconstructedException)
    assert str(state.error) == "ValueError: no ink"


# --- What is in it -----------------------------------------------------------------------------------


async def test_open_questions_are_in_a_snapshot_and_listed_without_running() -> None:
    """Behaviour 42."""
    flow = Stages()
    handler = flow.run(topic="birds")
    before = time.time()
    snapshot = await saved(handler)

    (ask,) = restored(flow, snapshot).open_asks

    assert ask.event is not None
    assert (ask.event.prefix, ask.event.ask_id) == ("birds v1?", ask.id)
    assert ask.deadline is not None
    assert before < ask.opened_at < ask.deadline - 999


async def test_an_answer_to_a_question_of_before_the_snapshot_finds_it() -> None:
    """Behaviour 18, 42."""
    flow = Waits()
    ctx = restored(flow, await saved(flow.run()))
    (ask,) = ctx.open_asks

    ctx.send_event(yes(n=0, response="wrong", ask_id="a999"))
    ctx.send_event(yes(n=0, response="right", ask_id=ask.id))
    ctx.send_event(yes(n=0, response="late", ask_id=ask.id))
    handler = flow.run(ctx=ctx)
    await paused(handler)
    ctx.send_event(yes(n=1))

    assert await handler == ["right", "yes", 2]


@pytest.mark.parametrize("workflow", [Stages, Waits])
async def test_a_restored_run_shows_its_open_questions_again(workflow: type[Workflow]) -> None:
    """Behaviour 43: each is the question it was, asked once."""
    flow = workflow()
    ctx = restored(flow, await saved(flow.run(topic="birds")))
    (before,) = ctx.open_asks

    handler = flow.run(ctx=ctx)
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            assert ctx.open_asks == [before]
            assert event is before.event
            break
    ctx.send_event(yes(n=0))
    seen = []
    async for event in handler.stream_events():
        seen.append(type(event))
        if isinstance(event, InputRequiredEvent):
            handler.ctx.send_event(yes(n=1))

    assert seen == [InputRequiredEvent, StopEvent]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_question_that_is_answered_already_is_not_shown_again(when: str) -> None:
    """Behaviour 36, 43."""
    flow = Stages()
    ctx = restored(flow, await saved(flow.run(topic="birds")))

    if when == "before":
        ctx.send_event(yes())
    handler = flow.run(ctx=ctx)
    if when == "after":
        ctx.send_event(yes())
    shown = []
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            shown.append(event.prefix)
            ctx.send_event(yes())

    assert shown == ["birds v2?"]


@pytest.mark.parametrize("whose", ["ask", "wait"])
async def test_a_question_that_is_overdue_is_not_shown_again(whose: str) -> None:
    """Behaviour 14, 43."""
    flow = Waits()
    snapshot = await saved(flow.run())
    (snapshot["asks"] if whose == "ask" else snapshot["calls"][0]["waits"])[0]["deadline"] = 1.0

    handler = flow.run(ctx=restored(flow, snapshot))

    assert [type(event) async for event in handler.stream_events()] == [WorkflowFailedEvent]


async def test_a_run_that_was_never_interrupted_shows_each_question_once() -> None:
    """Behaviour 1, 43."""
    handler = Stages().run(topic="birds")
    shown = []
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            shown.append(event.prefix)
            handler.ctx.to_dict()
            handler.ctx.send_event(yes())

    assert shown == ["birds v1?", "birds v2?"]


async def test_two_waits_in_one_step_survive_a_snapshot_between_them() -> None:
    """Behaviour 8, 11, 17."""
    flow = Waits()
    ctx = restored(flow, await saved(flow.run()))
    handler = flow.run(ctx=ctx)
    ctx.send_event(yes(n=1, response="for the second"))
    ctx.send_event(yes(n=0, response="first"))
    ctx = restored(flow, await saved(handler))
    ctx.send_event(yes(n=0, response="for the first"))
    ctx.send_event(yes(n=1, response="second"))

    assert await flow.run(ctx=ctx) == ["first", "second", 2]


class Pair(Workflow):
    """Two questions in one step, told apart by ids of the author's or by their order."""

    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        one = await ctx.wait_for_event(HumanResponseEvent, prompt="One?", waiter_id="one" if ev.named else None)
        two = await ctx.wait_for_event(HumanResponseEvent, prompt="Two?", waiter_id="two" if ev.named else None)
        return StopEvent(result=[one.response, two.response])


@pytest.mark.parametrize("named", [True, False])
async def test_waits_with_and_without_ids_survive_a_snapshot_between_them(named: bool) -> None:
    """Behaviour 8."""
    flow = Pair()
    handler = flow.run(named=named)
    for response in "ab":
        snapshot = await saved(handler)
        ctx = restored(flow, snapshot)
        handler = flow.run(ctx=ctx)
        ctx.send_event(yes(response=response))

    assert await handler == ["a", "b"]


async def test_a_question_is_not_asked_again_by_a_retry_after_a_snapshot() -> None:
    """Behaviour 12, 45."""

    class Flow(Workflow):
        @step(retry_policy=retry_policy(wait=wait_fixed(1_000)))
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            answer = await ctx.wait_for_event(HumanResponseEvent, prompt="?")
            if ctx.retry_info().retry_number == 0:
                raise ValueError("no ink")
            return StopEvent(result=answer.response)

    flow = Flow()
    handler = flow.run()
    await paused(handler)
    handler.ctx.send_event(yes())
    await until(lambda: statuses(handler) == ["delayed"])
    snapshot = await saved(handler, 0)
    snapshot["calls"][0]["not_before"] = 1.0

    handler = flow.run(ctx=restored(flow, snapshot))

    assert [type(event) async for event in handler.stream_events()] == [StopEvent]
    assert await handler == "yes"


@pytest.mark.parametrize("left_s", [-1_000.0, 0.02])
async def test_a_wait_keeps_its_deadline(left_s: float) -> None:
    """Behaviour 14."""
    flow = Waits()
    snapshot = await saved(flow.run(timeout=500))
    (call,) = snapshot["calls"]
    call["waits"][0]["deadline"] = time.time() + left_s

    with pytest.raises(asyncio.TimeoutError, match="Timed out waiting for HumanResponseEvent"):
        await flow.run(ctx=restored(flow, snapshot))


class Branches(Workflow):
    """Three calls of one step, each waiting for its own answer, with one worker between them."""

    @step
    async def split(self, ctx: Context, ev: StartEvent) -> Draft | None:
        for n in range(3):
            ctx.send_event(Draft(text=str(n)))
        return None

    @step(num_workers=1)
    async def review(self, ctx: Context, ev: Draft) -> StopEvent | None:
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt=ev.text, requirements={"text": ev.text})
        await asyncio.sleep(0)
        done = {**await ctx.store.get("done", default={}), ev.text: answer.response}
        await ctx.store.set("done", done)
        return StopEvent(result=done) if len(done) == 3 else None


async def test_branches_that_wait_all_finish_after_a_snapshot() -> None:
    """Behaviour 46."""
    flow = Branches()
    ctx = restored(flow, await saved(flow.run(), 3))

    for text in "201":
        ctx.send_event(yes(text=text, response=f"to {text}"))

    assert await flow.run(ctx=ctx) == {"0": "to 0", "1": "to 1", "2": "to 2"}


class Queue(Workflow):
    """Five drafts for a step of two workers that never end the first time round."""

    hold: asyncio.Event
    most = 0
    at_work = 0

    @step
    async def split(self, ctx: Context, ev: StartEvent) -> Draft | None:
        for n in range(5):
            ctx.send_event(Draft(text=str(n)))
        return None

    @step(num_workers=2)
    async def work(self, ctx: Context, ev: Draft) -> StopEvent | None:
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        try:
            await self.hold.wait()
        finally:
            self.at_work -= 1
        done = [*await ctx.store.get("done", default=[]), ev.text]
        await ctx.store.set("done", done)
        return StopEvent(result=done) if len(done) == 5 else None


class Narrow(Queue):
    @step(num_workers=1)
    async def work(self, ctx: Context, ev: Draft) -> StopEvent | None:
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        await asyncio.sleep(0)
        self.at_work -= 1
        done = [*await ctx.store.get("done", default=[]), ev.text]
        await ctx.store.set("done", done)
        return StopEvent(result=done) if len(done) == 5 else None


@pytest.mark.parametrize("resumed_by", [Queue, Narrow])
async def test_queued_events_survive_and_workers_stay_limited(resumed_by: type[Queue]) -> None:
    """Behaviour 44, 46, 56."""
    first, second = Queue(), resumed_by()
    first.hold, second.hold = asyncio.Event(), asyncio.Event()
    handler = first.run()
    await until(lambda: first.at_work == 2)
    snapshot = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()
    second.hold.set()

    assert sorted(await second.run(ctx=restored(second, snapshot))) == ["0", "1", "2", "3", "4"]
    assert second.most <= (2 if resumed_by is Queue else 1)


async def test_attempts_and_the_remaining_delay_survive() -> None:
    """Behaviour 45."""

    class Flow(Workflow):
        @step(retry_policy=retry_policy(wait=wait_fixed(1_000)))
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            info = ctx.retry_info()
            if info.retry_number == 0:
                raise ValueError("no ink")
            failed_at = info.last_failed_at and info.last_failed_at.timestamp()
            return StopEvent(result=(info.retry_number, str(info.last_exception), failed_at))

    flow = Flow()
    handler = flow.run()
    await until(lambda: statuses(handler) == ["delayed"])
    snapshot = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()
    (call,) = snapshot["calls"]
    assert time.time() + 900 < call["not_before"] < time.time() + 1_000
    call["not_before"] = 1.0

    assert await flow.run(ctx=restored(flow, snapshot)) == (
        1,
        "ValueError: no ink",
        pytest.approx(call["failed_at"], abs=1e-5),
    )


async def test_a_remembered_result_survives() -> None:
    """Behaviour 17."""
    made = []

    def make() -> Page:
        made.append(1)
        return Page(title="x")

    class Flow(Workflow):
        types = (Page,)

        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            page = await ctx.once("page", make)
            await ctx.wait_for_event(HumanResponseEvent, prompt="?")
            return StopEvent(result=page)

    flow = Flow()
    ctx = restored(flow, await saved(flow.run()))
    ctx.send_event(yes())

    assert await flow.run(ctx=ctx) == Page(title="x")
    assert made == [1]


async def test_values_of_every_kind_survive_exactly() -> None:
    """Behaviour 53."""
    values = {
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "id": UUID(int=5),
        "price": Decimal("1.10"),
        "colour": Colour.RED,
        "set": {1, 2},
        "pair": (1, (2, b"\xff")),
        "keys": {1: "one", "$": "dollar", None: 0},
        "point": Point(x=3),
        "page": Page(title="t", at=datetime(2026, 1, 2, tzinfo=UTC)),
        "event": Draft(text="x", author="U1"),
        "self": "self",
        "_data": [],
        "keys.x": 1,
    }
    flow = Stages()
    ctx = Context[DictState](flow)
    async with ctx.store.edit_state() as state:
        for key, value in values.items():
            state[key] = value

    again = restored(flow, json.loads(json.dumps(ctx.to_dict())))

    assert (await again.store.get_state()).to_dict() == values


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")

    known: int = 0


async def test_a_state_keeps_values_beyond_its_fields() -> None:
    """Behaviour 53."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context[Loose], ev: StartEvent) -> StopEvent:
            return StopEvent()

    flow = Flow()
    ctx = Context[Loose](flow)
    await ctx.store.set_state(Loose(known=1, more=(1, 2)))

    again = restored(flow, json.loads(json.dumps(ctx.to_dict())))

    assert await again.store.get_state() == Loose(known=1, more=(1, 2))


class Typed(BaseModel):
    pages: list[Page] = []
    kind: str = Field(default="memo", alias="type")


class TypedFlow(Workflow):
    @step
    async def only(self, ctx: Context[Typed], ev: StartEvent) -> StopEvent:
        return StopEvent()


async def test_a_typed_state_survives() -> None:
    """Behaviour 53, 59."""
    flow = TypedFlow()
    ctx = Context[Typed](flow)
    await ctx.store.set("pages", [Page(title="x")])
    await ctx.store.set("kind", "letter")

    again = restored(flow, json.loads(json.dumps(ctx.to_dict())))

    assert await again.store.get_state() == Typed(pages=[Page(title="x")], type="letter")


# --- What cannot be saved, and what is not read ----------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("client", object(), r"state\.client: a builtins\.object cannot be stored"),
        ("deep", {"a": [1, print]}, r"state\.deep\.a\[1\]"),
        (5, "x", r"state key 5: a int cannot be stored as a key; use a str"),
    ],
)
async def test_what_cannot_be_saved_is_named(key: Any, value: Any, said: str) -> None:
    """Behaviour 54."""
    ctx = Context[DictState](Stages())
    async with ctx.store.edit_state() as state:
        state[key] = value

    with pytest.raises(ValueError, match=said):
        ctx.to_dict()


async def test_a_run_goes_on_after_a_snapshot_that_failed() -> None:
    """Behaviour 54."""
    handler = Waits().run()
    await paused(handler)
    await handler.ctx.store.set("client", object())

    with pytest.raises(CodecError, match="client"):
        handler.ctx.to_dict()

    for n in range(2):
        await paused(handler)
        handler.ctx.send_event(yes(n=n))
    assert await handler == ["yes", "yes", 2]


@pytest.fixture(scope="module")
def sample() -> dict[str, Any]:
    """A snapshot with something of everything: store, questions, a wait, a queue, an answer."""

    async def make() -> dict[str, Any]:
        handler = Waits().run()
        await paused(handler)
        await handler.ctx.store.set("page", {"title": "t", "tags": (1, 2)})
        handler.ctx.send_event(yes(n=0))
        return await saved(handler)

    return asyncio.run(make())


@pytest.mark.parametrize("data", [None, "", "text", 5, [], (), b"{}"])
def test_what_is_no_dictionary_is_refused(data: Any) -> None:
    """Behaviour 49."""
    with pytest.raises(ContextSerdeError, match=r"invalid format: found .*, not a dict"):
        restored(Waits(), data)


@pytest.mark.parametrize("data", [{}, {"foo": 1}, {"version": 2, "state": {}}, {"format": "1"}, {"format": True}])
def test_a_snapshot_of_something_else_is_refused(data: Any) -> None:
    """Behaviour 49."""
    with pytest.raises(ContextSerdeError, match="wrong or old format: it has no format number"):
        restored(Waits(), data)


def test_a_snapshot_from_the_future_is_refused(sample: dict[str, Any]) -> None:
    """Behaviour 49."""
    with pytest.raises(
        ContextSerdeError, match="it is of format 99, written by a newer version; this one reads up to 1"
    ):
        restored(Waits(), {**sample, "format": 99})


@pytest.mark.parametrize("key", ["run_id", "workflow", "status", "next_id", "spent", "announced", "calls", "asks"])
def test_a_snapshot_with_something_missing_names_it(sample: dict[str, Any], key: str) -> None:
    """Behaviour 49."""
    with pytest.raises(ContextSerdeError, match=f"{key}: Field required"):
        restored(Waits(), {name: value for name, value in sample.items() if name != key})


def test_a_renamed_step_is_named(sample: dict[str, Any]) -> None:
    """Behaviour 49."""
    with pytest.raises(
        ContextSerdeError, match=r"the run waits in step 'only', which .*Stages no longer has; it has write"
    ):
        restored(Stages(), sample)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("status", "sleeping", "status"),
        ("next_id", 1, "next_id 1 is taken"),
        ("spent", float("nan"), "spent"),
        ("calls.0.status", "sleeping", r"calls\.0\.status"),
        ("calls.0.attempt", 0, r"calls\.0\.attempt"),
        ("calls.0.first_at", "now", r"calls\.0\.first_at"),
        ("calls.0.event", 5, "event of step only: found int, not Event"),
        (
            "calls.0.event",
            {"$": "model", "t": "Gone", "v": {}},
            "event of step only.* names 'Gone', which this workflow",
        ),
        ("calls.0.event", {"$": "model", "t": "builtins.eval", "v": {}}, "names 'builtins.eval'"),
        ("calls.0.waits.0.requirements", [], "requirements"),
        ("calls.0.waits.0.answer", {"$": "type", "t": "Event"}, "answer"),
        ("calls.0.waits.1.id", "elsewhere", "nobody waits for the answer"),
        ("asks.0.event", None, "ask a"),
        ("asks.0.call_id", 77, "nobody waits for the answer"),
        ("asks.0.opened_at", None, r"asks\.0\.opened_at"),
        ("final", 5, "the event that ended the run"),
        ("error", "text", "error: found str"),
        ("store", [], "store"),
        ("store.page", {"$": "lambda"}, r"state\.page: unknown mark 'lambda'"),
    ],
)
def test_a_defect_is_told_by_its_place(sample: dict[str, Any], path: str, value: Any, said: str) -> None:
    """Behaviour 49, 55."""
    damaged = copy.deepcopy(sample)
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = damaged
    for part in way:
        place = place[part]
    place[last] = value

    with pytest.raises(ContextSerdeError, match=said):
        restored(Waits(), damaged)


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10) | st.floats() | st.sampled_from(["", "x", "ready", "Draft", "$"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["$", "t", "v", "id"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def _places(plain: Any) -> list[tuple[Any, Any]]:
    """Return each (holder, key) in a JSON value."""
    items = (
        list(plain.items()) if isinstance(plain, dict) else list(enumerate(plain)) if isinstance(plain, list) else []
    )
    return [place for key, item in items for place in [(plain, key), *_places(item)]]


@given(data=st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_refused_or_harmless(sample: dict[str, Any], data: st.DataObject) -> None:
    """Behaviour 49, 55."""
    damaged = copy.deepcopy(sample)
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(_places(damaged)))
        if isinstance(holder, dict) and data.draw(st.booleans()):
            del holder[key]
        else:
            holder[key] = data.draw(junk)
    ctx: Context[Any] | None = None

    with contextlib.suppress(ContextSerdeError):
        ctx = restored(Waits(), damaged)

    if ctx is not None and ctx.is_running:
        ctx.send_event(yes(n=1))
        json.dumps(ctx.to_dict())


# --- Cost -----------------------------------------------------------------------------------------------


class Rounds(Workflow):
    @step
    async def ask(self, ctx: Context, ev: StartEvent | HumanResponseEvent) -> InputRequiredEvent | StopEvent:
        n = await ctx.store.get("n", default=0) + 1
        await ctx.store.set("n", n)
        await ctx.once("x", dict)
        return InputRequiredEvent(prefix="?", timeout=10_000)


async def test_nothing_grows_with_the_rounds_gone_by() -> None:
    """Behaviour 52: neither the snapshot nor what is held in memory."""
    handler = Rounds(disable_validation=True).run()
    sizes, objects = {}, {}
    async for event in handler.stream_events():
        n = await handler.ctx.store.get("n")
        if n in (10, 4_000):
            gc.collect()
            sizes[n], objects[n] = len(json.dumps(handler.ctx.to_dict())), len(gc.get_objects())
        if n == 4_000:
            break
        assert isinstance(event, InputRequiredEvent)
        handler.ctx.send_event(yes())

    assert len(handler._execution._timers) < 300
    assert sizes[4_000] < sizes[10] + 40
    assert objects[4_000] < objects[10] + 1_000
    await handler.cancel_run()


def test_time_spent_is_charged_to_the_timeout_of_whoever_goes_on() -> None:
    """Behaviour 51."""
    definition, longer = Stages(timeout=100).definition, Stages(timeout=500).definition
    state: RunState = begin(definition, "r", StartEvent(topic="x"), at=0.0)
    state.deadline = 100.0

    snapshot = dump(definition, state, at=30.0)

    assert snapshot["spent"] == 30.0
    assert load(definition, snapshot).budget == 70.0
    assert load(longer, snapshot).budget == 470.0
    assert load(Stages(timeout=None).definition, snapshot).budget is None
