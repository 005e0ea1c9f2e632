"""Durable runs whose steps run other workflows: on both stores, taken up by another runner each time."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import Any

import pytest

from engine import (
    AskExpired,
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    WorkflowTimeoutError,
    retry_policy,
    step,
)
from engine.errors import UnreconstructedException
from engine.retry import stop_after_attempt, wait_fixed
from engine.runner import Runner, RunView
from engine.testing import ManualClock, later, play, reply
from engine.verdicts import Accepted, Already
from tests.integration.engine.stores import StoreWithClock

DAY_S = 86_400.0

seen: list[str] = []
"""What the steps below have done to the world outside, in order."""


class Topic(StartEvent):
    topic: str = "it"


class Notes(Event):
    text: str


class Question(InputRequiredEvent):
    prefix: str


class Signed(HumanResponseEvent):
    response: str
    user_id: str


class Research(Workflow):
    """Pays for notes, keeps a count, and asks twice."""

    def __init__(self, timeout: float | None = 45.0) -> None:
        super().__init__(timeout=timeout)

    @step
    async def find(self, ctx: Context, ev: Topic) -> Notes:
        seen.append(f"find {ev.topic}")
        return Notes(text=await ctx.once("pay", self.pay, ev.topic))

    @step
    async def check(self, ctx: Context, ev: Notes) -> Question:
        await ctx.store.set("count", await ctx.store.get("count", 0) + 1)
        answer = await ctx.wait_for_event(Signed, waiter_event=Question(prefix=f"{ev.text}?"))
        return Question(prefix=f"{answer.response} by {answer.user_id}, sure?")

    @step
    async def decide(self, ctx: Context, ev: Signed) -> StopEvent:
        return StopEvent(result=(ev.response, ev.user_id, await ctx.store.get("count")))

    async def pay(self, topic: str) -> str:
        seen.append(f"pay {topic}")
        return f"notes on {topic}"


class Report(Workflow):
    """Has one thing researched after the other."""

    @step
    async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
        await ctx.store.set("begun", await ctx.store.get("begun", 0) + 1)
        found = [await Research().run(topic=topic) for topic in ("owls", "bees")]
        return StopEvent(result=[*found, await ctx.store.get("begun")])


class Survey(Workflow):
    """Has several things researched at once."""

    @step
    async def write(self, ev: StartEvent) -> StopEvent:
        async with asyncio.TaskGroup() as tasks:
            runs = [tasks.create_task(self.of(topic)) for topic in ("owls", "bees")]
        return StopEvent(result=[run.result() for run in runs])

    async def of(self, topic: str) -> Any:
        return await Research().run(topic=topic)


class Office(Workflow):
    """Has a report written: a child with children."""

    @step
    async def order(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result=await Report().run())


@pytest.fixture(autouse=True)
def _fresh() -> None:
    seen.clear()


async def begun(world: StoreWithClock, flow: Workflow) -> RunView:
    runner = Runner(world.store, [flow])
    return await runner.drain(await runner.start(flow))


async def answered(world: StoreWithClock, flow: Workflow, view: RunView, response: str, n: int = 0) -> RunView:
    """Answer the run's open question number *n* in one process and let another go on with the run."""
    verdict = await Runner(world.store, [flow]).answer(view.run_id, view.asks[n].id, response, user_id="U1")
    assert isinstance(verdict, Accepted)
    return await Runner(world.store, [flow]).drain(view.run_id)


def prompts(view: RunView) -> list[str]:
    return [ask.event.prefix for ask in view.asks]


@pytest.mark.parametrize("flow", [Report(), Office()], ids=["child", "grandchild"])
async def test_a_childs_questions_are_the_runs_and_their_answers_find_it(world: StoreWithClock, flow: Workflow) -> None:
    """Behaviour 65."""
    view = await begun(world, flow)
    asked = []
    for response in ("good", "yes", "fine", "no"):
        asked += prompts(view)
        view = await answered(world, flow, view, response)

    assert asked == ["notes on owls?", "good by U1, sure?", "notes on bees?", "fine by U1, sure?"]
    assert (view.status, view.result) == ("done", [("yes", "U1", 1), ("no", "U1", 1), 1])
    assert seen == ["find owls", "pay owls", "find bees", "pay bees"], "what is done is not done again"


async def test_children_awaited_at_once_ask_at_once(world: StoreWithClock) -> None:
    view = await begun(world, Survey())
    assert prompts(view) == ["notes on owls?", "notes on bees?"]

    for n, response in ((1, "b"), (0, "o"), (1, "o!"), (0, "b!")):
        view = await answered(world, Survey(), view, response, n)

    assert view.result == [("o!", "U1", 1), ("b!", "U1", 1)]
    assert len(seen) == 4


async def test_a_child_that_has_begun_before_it_is_awaited_runs_children_of_its_own(world: StoreWithClock) -> None:
    class Agency(Workflow):
        @step
        async def order(self, ev: StartEvent) -> StopEvent:
            survey = Survey().run()
            await asyncio.sleep(0)  # as in a task of its own
            return StopEvent(result=await survey)

    flow = Agency()
    async with asyncio.timeout(5):
        view = await begun(world, flow)

    assert sorted(prompts(view)) == ["notes on bees?", "notes on owls?"]
    for _ in range(4):
        view = await answered(world, flow, view, "good")
    assert view.result == [("good", "U1", 1), ("good", "U1", 1)]


async def test_a_question_of_a_child_is_answered_once(world: StoreWithClock) -> None:
    """Behaviour 19."""
    runner = Runner(world.store, [Report()])
    view = await begun(world, Report())
    (ask,) = view.asks

    first = await runner.answer(view.run_id, ask.id, "good", user_id="U1")
    second = await runner.answer(view.run_id, ask.id, "bad", user_id="U2")

    assert isinstance(first, Accepted)
    assert isinstance(second, Already)
    assert prompts(await runner.drain(view.run_id)) == ["good by U1, sure?"]


async def test_an_event_for_a_child_that_asks_nothing_reaches_it(world: StoreWithClock) -> None:
    class Waiting(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            return StopEvent(result=(await ctx.wait_for_event(Notes, requirements={"text": "go"})).text)

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Waiting().run())

    runner = Runner(world.store, [Outer()])
    view = await runner.drain(await runner.start(Outer()))
    await runner.send(view.run_id, Notes(text="stay"))
    waiting = await runner.drain(view.run_id)
    await runner.send(view.run_id, Notes(text="go"))

    assert waiting.status == "waiting"
    assert (await runner.drain(view.run_id)).result == "go"


# --- Time ----------------------------------------------------------------------------------


async def test_the_time_people_take_is_not_charged_to_a_child(world: StoreWithClock) -> None:
    """Behaviour 51."""

    class Patient(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Research(timeout=20.0).run(topic="owls"))

    view = await begun(world, Patient())
    await world.pass_time(DAY_S)
    view = await answered(world, Patient(), view, "good")
    await world.pass_time(DAY_S)
    view = await answered(world, Patient(), view, "yes")

    assert view.result == ("yes", "U1", 1)


class Timed(Workflow):
    """Asks with a deadline."""

    @step
    async def ask(self, ev: StartEvent) -> Question:
        return Question(prefix="Quick?", timeout=60.0, on_timeout=ev.get("on_timeout", "expire"))

    @step
    async def decide(self, ev: HumanResponseEvent | AskExpired) -> StopEvent:
        return StopEvent(result="expired" if isinstance(ev, AskExpired) else ev.response)


class Caller(Workflow):
    @step
    async def only(self, ev: StartEvent) -> StopEvent:
        try:
            return StopEvent(result=await Timed().run(**ev.to_dict()))
        except WorkflowTimeoutError as error:
            return StopEvent(result=str(error))


@pytest.mark.parametrize(
    ("on_timeout", "result"),
    [("expire", "expired"), ("no", "no"), ("fail", "Nobody answered question")],
)
async def test_a_childs_question_expires_as_the_child_says(world: StoreWithClock, on_timeout: str, result: str) -> None:
    runner = Runner(world.store, [Caller()])
    run_id = await runner.start(Caller(), on_timeout=on_timeout)
    view = await runner.drain(run_id)
    await world.pass_time(61.0)

    late = await runner.answer(run_id, view.asks[0].id, "late", user_id="U1")

    assert not isinstance(late, Accepted)
    assert (await Runner(world.store, [Caller()]).drain(run_id)).result.startswith(result)


async def test_a_child_is_woken_when_its_time_comes() -> None:
    """A retry of a child comes by itself, though a question of it is open."""

    class Busy(Workflow):
        @step
        async def split(self, ctx: Context, ev: StartEvent) -> Notes | Question:
            ctx.send_event(Notes(text="n"))
            return Question(prefix="Well?")

        @step(retry_policy=retry_policy(wait=wait_fixed(3600), stop=stop_after_attempt(3)))
        async def other(self, ev: Notes) -> None:
            seen.append("tried")
            if len(seen) < 3:
                raise ValueError("not yet")

        @step
        async def decide(self, ev: HumanResponseEvent) -> StopEvent:
            return StopEvent(result=len(seen))

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Busy(disable_validation=True, timeout=None).run())

    played = await play(Outer(timeout=None), StartEvent(), later(hours=3), "yes")

    assert played.result == 3
    assert played.questions == ["Well?"]


async def test_a_child_that_waits_for_its_time_alone_is_not_kept_at_work() -> None:
    class Stubborn(Workflow):
        @step(retry_policy=retry_policy(wait=wait_fixed(DAY_S), stop=stop_after_attempt(3)))
        async def only(self, ev: StartEvent) -> StopEvent:
            seen.append("tried")
            if len(seen) < 3:
                raise ValueError("not yet")
            return StopEvent(result=len(seen))

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Stubborn().run())

    clock = ManualClock(0.0)

    played = await play(Outer(), StartEvent(), clock=clock)

    assert (played.result, clock() // DAY_S) == (3, 2)


# --- When it does not go well -----------------------------------------------------------------


async def test_a_childs_error_fails_the_step_that_awaits_it(world: StoreWithClock) -> None:
    class Failing(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            await ctx.wait_for_event(HumanResponseEvent, waiter_event=Question(prefix="Fail?"))
            raise ValueError("as told")

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Failing().run())

    view = await answered(world, Outer(), await begun(world, Outer()), "yes")

    assert view.status == "failed"
    assert isinstance(view.error, UnreconstructedException)
    assert "as told" in str(view.error)


async def test_cancelling_a_run_closes_the_questions_of_its_children(world: StoreWithClock) -> None:
    runner = Runner(world.store, [Survey()])
    view = await begun(world, Survey())

    await runner.cancel(view.run_id, "U1")

    view = await runner.drain(view.run_id)
    assert (view.status, view.asks) == ("cancelled", ())


async def test_what_a_child_keeps_that_cannot_be_stored_is_named() -> None:
    class Odd(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            await ctx.store.set("odd", Fraction(1, 3))
            await ctx.wait_for_event(HumanResponseEvent, waiter_event=Question(prefix="Well?"))
            return StopEvent()

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Odd().run())

    played = await play(Outer(), StartEvent())

    assert "workflow Odd#1 in step only: state.odd: a fractions.Fraction cannot be stored" in str(played.error)


async def test_a_run_whose_child_this_code_cannot_read_is_parked_with_the_reason(
    world: StoreWithClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behaviour 49."""
    view = await begun(world, Office())
    await Runner(world.store, [Office()]).answer(view.run_id, view.asks[0].id, "good", user_id="U1")
    with monkeypatch.context() as other_code:
        other_code.setitem(globals(), "Research", type("Research", (Timed,), {}))
        parked = await Runner(world.store, [Office()]).drain(view.run_id)

    assert parked.status == "parked"
    journal = await world.store.journal(view.run_id)
    assert "the run waits in step 'check', which" in str(journal[-1].details)


async def test_a_question_of_a_class_that_the_run_does_not_know_is_named() -> None:
    class Hidden(InputRequiredEvent):
        prefix: str = "Psst?"

    class Secretive(Workflow):
        types = (Hidden,)

        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            await ctx.wait_for_event(HumanResponseEvent, waiter_event=Hidden())
            return StopEvent(result="told")

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Secretive().run())

    class Knowing(Outer):
        types = (Secretive,)

    refused = await play(Outer(), StartEvent())
    played = await play(Knowing(), StartEvent(), "yes")

    assert "Hidden is not registered" in str(refused.error)
    assert played.result == "told"


async def test_a_run_with_children_is_played_like_any_other() -> None:
    clock = ManualClock()

    played = await play(
        Survey(), StartEvent(), reply("b", to="bees"), later(days=3), reply("o", to="owls"), "1", "2", clock=clock
    )

    assert played.questions == ["notes on owls?", "notes on bees?", "b by somebody-1, sure?", "o by somebody-1, sure?"]
    assert [found[0] for found in played.result] == ["2", "1"]
