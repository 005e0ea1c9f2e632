"""What authors write, as mypy sees it: `make lint` proves each ``assert_type``, and the tests that the code runs.

The other side, what mypy must refuse, is in ``wrong_uses.py``.
"""

from collections.abc import AsyncGenerator, Coroutine
from importlib import resources
from typing import Annotated, Any, assert_type

import pytest
from pydantic import BaseModel

from engine import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    Resource,
    StartEvent,
    StepFailedEvent,
    StopEvent,
    Workflow,
    WorkflowHandler,
    catch_error,
    retry_policy,
    step,
)
from engine.collect import Collect, Take
from engine.core.model import DictState
from engine.memory_store import MemoryRunStore
from engine.retry import RetryInfo, retry_if_exception_type, stop_after_attempt, wait_fixed, wait_random
from engine.run_store import RunStatus
from engine.runner import Runner, RunView
from engine.state_store import StateStore
from engine.testing import ManualClock, Played, WorkflowTestResult, WorkflowTestRunner, later, play, reply
from engine.verdicts import Verdict


class Review(BaseModel):
    topic: str = ""
    votes: dict[str, int] = {}


class Topic(StartEvent):
    text: str


class Draft(Event):
    text: str
    version: int = 1


class Approval(HumanResponseEvent):
    points: int


class Reviewed(StopEvent):
    draft: str
    points: int


class Client:
    async def write(self, topic: str) -> str:
        return f"about {topic}"


def connect() -> Client:
    return Client()


PATIENT = retry_policy(
    retry_if_exception_type(ConnectionError) | retry_if_exception_type((TimeoutError, OSError)),
    wait_fixed(1) + wait_random(0, 1),
    stop_after_attempt(3),
)


class TypedReview(Workflow):
    """State, events, a resource, a retry policy, a wait and a handler of errors, all of them typed."""

    @step(retry_policy=PATIENT)
    async def write(self, ctx: Context[Review], ev: Topic, client: Annotated[Client, Resource(connect)]) -> Draft:
        assert_type(ctx.store, StateStore[Review])
        await ctx.store.set("topic", ev.text)
        async with ctx.store.edit_state() as state:
            assert_type(state, Review)
            state.votes["ada"] = 1
        assert_type(ctx.retry_info(), RetryInfo)
        return Draft(text=await client.write(ev.text))

    @step(num_workers=1)
    async def review(self, ctx: Context[Review], ev: Draft) -> Reviewed:
        words = assert_type(await ctx.once("count", len, ev.text.split()), int)
        approval = await ctx.wait_for_event(
            Approval, waiter_event=InputRequiredEvent(prefix=f"{words} words?"), requirements={}, timeout=60
        )
        assert_type(approval, Approval)
        state = assert_type(await ctx.store.get_state(), Review)
        return Reviewed(draft=ev.text, points=approval.points + sum(state.votes.values()))

    @catch_error(for_steps=["write"], max_recoveries=2)
    async def rescue(self, ev: StepFailedEvent) -> Draft:
        assert_type(ev.exception, Exception)
        return Draft(text=f"{ev.step_name} failed {ev.attempts} times")


async def test_a_run_in_process() -> None:
    flow = TypedReview(timeout=None)
    ctx = Context[Review](flow)
    await ctx.store.set("votes.bob", 2)

    handler = assert_type(flow.run(ctx=ctx, start_event=Topic(text="birds")), WorkflowHandler)
    stream = assert_type(handler.stream_events(), AsyncGenerator[Event, None])
    async for event in stream:
        if isinstance(event, InputRequiredEvent):
            assert_type(event, InputRequiredEvent)
            await handler.send_event(Approval(points=3))
    result = assert_type(await handler, Any)
    stop = assert_type(handler.get_stop_event(), StopEvent | None)

    assert isinstance(result, Reviewed)
    assert result is stop
    assert (result.draft, result.points) == ("about birds", 6)
    assert assert_type(await ctx.store.get_state(), Review).topic == "birds"


def test_a_step_is_what_it_was_before_it_became_one() -> None:
    flow = TypedReview()

    call: Coroutine[Any, Any, Reviewed] = flow.review(Context[Review](flow), Draft(text="t"))

    call.close()


class Plain(Workflow):
    """Untyped state and undeclared fields: whatever is in them is Any."""

    @step
    async def ask(self, ctx: Context, ev: StartEvent) -> InputRequiredEvent:
        assert_type(ctx, Context[DictState])
        assert_type(ev.topic, Any)
        await ctx.store.set("topic", ev.topic)
        return InputRequiredEvent(prefix=f"{ev.topic}?", options=["yes", "no"])

    @step
    def decide(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=(ev.response, ev.get("more", "none")))


async def test_a_restored_run() -> None:
    flow = Plain()
    handler = flow.run(topic="birds")
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            break

    ctx = assert_type(Context.from_dict(flow, handler.ctx.to_dict()), Context[DictState])
    ctx.send_event(HumanResponseEvent(response="yes"))

    assert await flow.run(ctx=ctx) == ("yes", "none")
    await handler.cancel_run()


async def test_a_durable_run() -> None:
    runner = Runner(MemoryRunStore(ManualClock()), [])

    run_id = assert_type(await runner.start(Plain(), StartEvent(topic="birds"), requester="U1"), str)
    view = assert_type(await runner.drain(run_id), RunView)
    verdict = assert_type(await runner.answer(run_id, view.asks[0].id, "yes", user_id="U2"), Verdict)
    ended = await runner.drain(run_id)

    assert verdict is not None
    assert (assert_type(ended.status, RunStatus), ended.result) == ("done", ("yes", "none"))


async def test_a_played_run() -> None:
    played = assert_type(await play(Plain(), StartEvent(topic="b"), later(hours=1), reply("no", by="U7")), Played)

    assert played.result == ("no", "none")
    assert assert_type(played.questions, list[str]) == ["b?"]


async def test_a_run_for_tests() -> None:
    ran = assert_type(await WorkflowTestRunner(FannedOut()).run(StartEvent(count=3)), WorkflowTestResult)

    assert ran.result == [0, 1]


class Part(Event):
    n: int


class FannedOut(Workflow):
    @step
    async def spread(self, ev: StartEvent) -> list[Part]:
        return [Part(n=n) for n in range(ev.count)]

    @step
    async def gather(self, parts: Annotated[list[Part], Collect(Take(2))]) -> StopEvent:
        return StopEvent(result=[part.n for part in parts])


class Collected(Workflow):
    @step
    async def spread(self, ctx: Context, ev: StartEvent) -> Part | None:
        for n in range(2):
            ctx.send_event(Part(n=n), step="gather")
        return None

    @step
    async def gather(self, ctx: Context, ev: Part) -> StopEvent | None:
        found = assert_type(ctx.collect_events(ev, [Part, Part]), list[Event] | None)
        return None if found is None else StopEvent(result=len(found))


async def test_events_are_collected() -> None:
    assert await Collected().run() == 2


@pytest.mark.parametrize("package", ["engine", "bot"])
def test_a_package_says_that_it_is_typed(package: str) -> None:
    assert resources.files(package).joinpath("py.typed").is_file()
