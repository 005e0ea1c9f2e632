"""What a snapshot keeps: questions, waits, queues, attempts, and values exactly as they were."""

import asyncio
import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field

from engine import (
    Context,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    retry_policy,
    step,
)
from engine.core.model import DictState
from engine.events import WorkflowFailedEvent
from engine.retry import wait_fixed
from tests.unit.engine.pausing import Colour, Draft, Page, Point, Stages, Waits, paused, restored, saved, statuses, yes
from tests.unit.engine.turns import until


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
