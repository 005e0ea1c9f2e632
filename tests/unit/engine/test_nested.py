"""Workflows that a step runs: their questions are its run's, and they go on where they stood."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest

from engine import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    WorkflowCancelledByUser,
    WorkflowTimeoutError,
    retry_policy,
    step,
)
from engine.handler import WorkflowHandler
from engine.retry import wait_fixed
from tests.unit.engine.turns import until

seen: list[str] = []
"""What the steps below have done, in order."""


@pytest.fixture(autouse=True)
def _fresh() -> None:
    seen.clear()


class Topic(StartEvent):
    topic: str = "it"


class Question(InputRequiredEvent):
    prefix: str


class Reply(HumanResponseEvent):
    response: str


class Researched(Event):
    notes: str


class Doubted(Event): ...


class Review(Workflow):
    """Works a little, asks, works a little."""

    @step
    async def research(self, ev: Topic) -> Researched:
        seen.append(f"research {ev.topic}")
        return Researched(notes=f"notes on {ev.topic}")

    @step
    async def ask(self, ctx: Context, ev: Researched) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, waiter_event=Question(prefix=f"Use {ev.notes}?"))
        seen.append(f"heard {answer.response}")
        return StopEvent(result=f"{ev.notes}: {answer.response}")


class Returning(Workflow):
    """Asks by returning its question."""

    @step
    async def ask(self, ev: Topic) -> Question:
        return Question(prefix=f"{ev.topic}?")

    @step
    async def decide(self, ev: Reply) -> StopEvent:
        return StopEvent(result=ev.response)


class Parent(Workflow):
    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        await ctx.store.set("passes", await ctx.store.get("passes", 0) + 1)
        result = await Review().run(topic="owls")
        return StopEvent(result=f"<{result}>")


class Pair(Workflow):
    @step
    async def only(self, ev: StartEvent) -> StopEvent:
        async with asyncio.TaskGroup() as tasks:
            runs = [tasks.create_task(self.of(topic)) for topic in ("owls", "bees")]
        return StopEvent(result=[run.result() for run in runs])

    async def of(self, topic: str) -> Any:
        return await Review().run(topic=topic)


async def asked(handler: WorkflowHandler, count: int = 1) -> list[Question]:
    """Wait until the run has asked so often."""
    found = []
    async for event in handler.stream_events():
        if isinstance(event, Question):
            found.append(event)
        if len(found) == count:
            return found
    raise AssertionError(f"the run ended after {len(found)} questions")


def yes(question: InputRequiredEvent | None = None, word: str = "yes") -> HumanResponseEvent:
    address = {} if question is None else {"ask_id": question.ask_id}
    return HumanResponseEvent(response=word, **address)


def restored(workflow: Workflow, handler: WorkflowHandler) -> Context:
    return Context.from_dict(workflow, json.loads(json.dumps(handler.ctx.to_dict())))


@pytest.mark.parametrize("addressed", [True, False])
async def test_a_childs_question_reaches_the_parents_stream_and_its_answer_the_child(addressed: bool) -> None:
    """Behaviour 65."""
    handler = Parent().run()
    (question,) = await asked(handler)

    handler.ctx.send_event(yes(question if addressed else None))

    assert await handler == "<notes on owls: yes>"
    assert question.prefix == "Use notes on owls?"
    assert seen == ["research owls", "heard yes"], "no finished step of the child runs again"


async def test_the_question_is_one_of_the_parents() -> None:
    handler = Parent().run()
    (question,) = await asked(handler)

    (ask,) = handler.ctx.open_asks

    assert (ask.id, ask.event) == (question.ask_id, question)
    assert handler.ctx.to_dict()["asks"][0]["id"] == ask.id
    await handler.cancel_run()


async def test_nothing_of_a_child_that_waits_is_at_work() -> None:
    handler = Parent().run()
    await asked(handler)

    assert len(asyncio.all_tasks()) == 2, "the test and the parent's run"
    await handler.cancel_run()


async def test_a_child_that_returns_its_question_gets_an_answer_of_the_class_it_takes() -> None:
    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Returning().run(topic="Go"))

    handler = Outer().run()
    (question,) = await asked(handler)
    handler.ctx.send_event(HumanResponseEvent(response="no", ask_id=question.ask_id))
    handler.ctx.send_event(Reply(response="yes", ask_id=question.ask_id))

    assert await handler == "yes"


async def test_a_child_stands_where_it_stood_in_another_process() -> None:
    """Behaviour 35, 65."""
    handler = Parent().run()
    await asked(handler)
    ctx = restored(Parent(), handler)
    await handler.cancel_run()

    (ask,) = ctx.open_asks
    again = Parent().run(ctx=ctx)
    again.ctx.send_event(HumanResponseEvent(response="fine", ask_id=ask.id))

    assert await again == "<notes on owls: fine>"
    assert seen == ["research owls", "heard fine"]
    assert await again.ctx.store.get("passes") == 1, "the step has run twice, and its effects count once"


async def test_an_answer_may_come_before_the_run_goes_on() -> None:
    handler = Parent().run()
    await asked(handler)
    ctx = restored(Parent(), handler)
    await handler.cancel_run()

    ctx.send_event(yes())

    assert await Parent().run(ctx=ctx) == "<notes on owls: yes>"


async def test_a_snapshot_in_the_middle_of_a_childs_step_has_what_the_child_has_done() -> None:
    """Behaviour 34, 38."""
    reached, go = asyncio.Event(), asyncio.Event()

    class Slow(Workflow):
        @step
        async def first(self, ev: StartEvent) -> Researched:
            seen.append("first")
            return Researched(notes="n")

        @step
        async def second(self, ev: Researched) -> StopEvent:
            reached.set()
            await go.wait()
            return StopEvent(result="done")

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Slow().run())

    handler = Outer().run()
    await reached.wait()
    ctx = restored(Outer(), handler)
    await handler.cancel_run()
    go.set()

    assert await Outer().run(ctx=ctx) == "done"
    assert seen == ["first"]


async def test_children_awaited_at_once_ask_at_once_and_are_answered_in_any_order() -> None:
    handler = Pair().run()
    owls, bees = await asked(handler, 2)

    handler.ctx.send_event(yes(bees, "bees!"))
    handler.ctx.send_event(yes(owls, "owls!"))

    assert await handler == ["notes on owls: owls!", "notes on bees: bees!"]
    assert sorted(seen) == ["heard bees!", "heard owls!", "research bees", "research owls"]


async def test_children_awaited_at_once_are_kept_one_by_one_across_restarts() -> None:
    handler = Pair().run()
    await asked(handler, 2)
    for word in ("owls!", "bees!"):
        ctx = restored(Pair(), handler)
        await handler.cancel_run()
        ask = ctx.open_asks[0]
        handler = Pair().run(ctx=ctx)
        handler.ctx.send_event(HumanResponseEvent(response=word, ask_id=ask.id))
        await until_quiet()

    assert await handler == ["notes on owls: owls!", "notes on bees: bees!"]
    assert len(seen) == 4


async def until_quiet() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def test_a_question_that_still_stands_is_not_asked_again() -> None:
    handler = Pair().run()
    owls, bees = await asked(handler, 2)
    handler.ctx.send_event(yes(bees))
    await until_quiet()

    assert [ask.id for ask in handler.ctx.open_asks] == [owls.ask_id]
    handler.ctx.send_event(yes(owls))
    assert [event async for event in handler.stream_events() if isinstance(event, Question)] == []


@pytest.mark.parametrize("return_exceptions", [True, False])
async def test_children_in_a_gather_pause_with_the_step(return_exceptions: bool) -> None:
    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            runs = [Review().run(topic="owls"), Review().run(topic="bees")]
            found = await asyncio.gather(*runs, return_exceptions=return_exceptions)  # noqa: TID251 - as authors may
            return StopEvent(result=found)

    handler = Outer().run()
    for question in await asked(handler, 2):
        handler.ctx.send_event(yes(question))

    assert await handler == ["notes on owls: yes", "notes on bees: yes"]


async def test_a_child_that_is_over_is_not_run_again() -> None:
    class Outer(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            first = await Review().run(topic="owls")
            second = await Review().run(topic="bees")
            third = await ctx.wait_for_event(HumanResponseEvent, waiter_event=Question(prefix="Well?"))
            return StopEvent(result=[first, second, third.response])

    handler = Outer().run()
    for word in ("1", "2", "3"):
        ctx = restored(Outer(), handler) if word == "3" else None
        (question,) = await asked(handler)
        if ctx is not None:
            await until_quiet()
            ctx = restored(Outer(), handler)
            await handler.cancel_run()
            handler = Outer().run(ctx=ctx)
        handler.ctx.send_event(yes(question, word))

    assert await handler == ["notes on owls: 1", "notes on bees: 2", "3"]
    assert seen == ["research owls", "heard 1", "research bees", "heard 2"]


async def test_what_a_child_has_come_to_is_written_once_for_all_snapshots() -> None:
    """A step that runs a thousand children pays for each snapshot by those that are not over."""

    class Quick(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result="done")

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=[await Quick().run(), await Review().run()])

    handler = Outer().run()
    await until(lambda: handler.ctx.open_asks)

    first, second = (handler.ctx.to_dict()["calls"][0]["children"] for _ in range(2))

    assert first["Quick#1"]["status"] == "done"
    assert first["Quick#1"] is second["Quick#1"]
    assert first["Review#1"] is not second["Review#1"]


async def test_a_grandchilds_question_comes_up_all_the_way() -> None:
    class Outer(Workflow):
        types = (Parent,)

        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=f"[{await Parent().run()}]")

    handler = Outer().run()
    (question,) = await asked(handler)
    ctx = restored(Outer(), handler)
    await handler.cancel_run()
    again = Outer().run(ctx=ctx)
    again.ctx.send_event(yes(question))

    assert await again == "[<notes on owls: yes>]"
    assert seen == ["research owls", "heard yes"]


async def test_a_step_that_streams_its_child_sees_to_the_questions_itself() -> None:
    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            child = Review().run(topic="owls")
            async for event in child.stream_events():
                if isinstance(event, Question):
                    child.ctx.send_event(yes())
            return StopEvent(result=await child)

    handler = Outer().run()
    events = [type(event) async for event in handler.stream_events()]

    assert await handler == "notes on owls: yes"
    assert events == [StopEvent]


async def test_a_step_may_stream_its_child_in_one_task_and_await_it_in_another() -> None:
    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            child = Review().run(topic="owls")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.answer(child))
                return StopEvent(result=await child)

        async def answer(self, child: WorkflowHandler) -> None:
            async for event in child.stream_events():
                if isinstance(event, Question):
                    child.ctx.send_event(yes())

    assert await Outer().run() == "notes on owls: yes"


@pytest.mark.parametrize("addressed", [True, False])
async def test_a_paused_child_may_still_be_answered_through_its_own_handler(addressed: bool) -> None:
    children: list[WorkflowHandler] = []

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            children.append(Review().run(topic="owls"))
            return StopEvent(result=await children[-1])

    handler = Outer().run()
    await asked(handler)
    (own,) = children[0].ctx.open_asks
    await children[0].send_event(HumanResponseEvent(response="yes", **({"ask_id": own.id} if addressed else {})))

    assert await handler == "notes on owls: yes"
    assert seen == ["research owls", "heard yes"]
    assert handler.ctx.open_asks == []


async def test_what_a_paused_child_has_shown_can_still_be_read() -> None:
    children: list[WorkflowHandler] = []

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            children.append(Review().run(topic="owls"))
            return StopEvent(result=await children[-1])

    handler = Outer().run()
    (question,) = await asked(handler)
    shown = [event async for event in children[0].stream_events()]
    handler.ctx.send_event(yes(question))

    assert [type(event) for event in shown] == [Question]
    assert await handler == "notes on owls: yes"


async def test_a_child_that_is_awaited_outside_of_the_step_goes_its_own_way() -> None:
    started: list[WorkflowHandler] = []

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            started.append(Review().run(topic="owls"))
            return StopEvent(result="started")

    assert await Outer().run() == "started"
    (child,) = started
    await asked(child)
    child.ctx.send_event(yes())
    assert await child == "notes on owls: yes"


async def test_a_child_in_a_context_of_its_own_goes_its_own_way() -> None:
    contexts: list[Context] = []

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            review = Review()
            contexts.append(Context(review))
            return StopEvent(result=await review.run(ctx=contexts[0], topic="owls"))

    handler = Outer().run()
    await until(lambda: contexts and contexts[0].open_asks)
    contexts[0].send_event(yes())

    assert await handler == "notes on owls: yes"


# --- Failing, stopping, time ---------------------------------------------------------------


class Flaky(Workflow):
    """Asks, then fails the first time."""

    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, waiter_event=Question(prefix="Try?"))
        seen.append(answer.response)
        if len(seen) == 1:
            raise ValueError("not this time")
        return StopEvent(result=answer.response)


async def test_a_childs_error_is_raised_in_the_step() -> None:
    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            try:
                await Flaky().run()
            except ValueError as error:
                return StopEvent(result=str(error))
            raise AssertionError

    handler = Outer().run()
    await asked(handler)
    handler.ctx.send_event(yes())

    assert await handler == "not this time"


async def test_a_retry_starts_a_failed_child_anew_and_keeps_those_that_are_done() -> None:
    class Outer(Workflow):
        @step(retry_policy=retry_policy(wait=wait_fixed(0)))
        async def only(self, ev: StartEvent) -> StopEvent:
            first = await Returning().run(topic="Go")
            return StopEvent(result=[first, await Flaky().run()])

    handler = Outer().run()
    answers = iter([Reply(response="go"), yes(word="one"), yes(word="two")])
    prompts = []
    async for event in handler.stream_events():
        if isinstance(event, Question):
            prompts.append(event.prefix)
            handler.ctx.send_event(next(answers))

    assert await handler == ["go", "two"]
    assert prompts == ["Go?", "Try?", "Try?"]


async def test_a_child_that_fails_takes_its_questions_with_it() -> None:
    class Mixed(Workflow):
        @step
        async def split(self, ctx: Context, ev: StartEvent) -> Researched | Doubted | None:
            ctx.send_event(Researched(notes="n"))
            ctx.send_event(Doubted())
            return None

        @step
        async def good(self, ctx: Context, ev: Researched) -> StopEvent:
            await ctx.wait_for_event(HumanResponseEvent, waiter_event=Question(prefix="good"), waiter_id="good")
            return StopEvent()

        @step
        async def bad(self, ctx: Context, ev: Doubted) -> StopEvent:
            await ctx.wait_for_event(HumanResponseEvent, waiter_event=Question(prefix="bad"), waiter_id="bad")
            raise ValueError("bad")

    class Outer(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            try:
                await Mixed(disable_validation=True).run()
            except ValueError:
                await ctx.wait_for_event(HumanResponseEvent, waiter_event=Question(prefix="And now?"))
            return StopEvent(result="went on")

    handler = Outer().run()
    questions = {question.prefix: question for question in await asked(handler, 2)}
    handler.ctx.send_event(yes(questions["bad"]))
    (last,) = await asked(handler)

    assert [ask.id for ask in handler.ctx.open_asks] == [last.ask_id]
    handler.ctx.send_event(yes(last))
    assert await handler == "went on"


async def test_cancelling_the_parent_stops_its_child() -> None:
    began, unwound = asyncio.Event(), asyncio.Event()

    class Endless(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                unwound.set()
            return StopEvent()

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Endless().run())

    handler = Outer().run()
    await began.wait()
    await handler.cancel_run()

    assert unwound.is_set()
    with pytest.raises(WorkflowCancelledByUser):
        await handler
    assert len(asyncio.all_tasks()) == 1


async def test_a_child_stops_with_its_parent_even_if_its_step_swallows_that() -> None:
    class Stubborn(Workflow):
        @step
        async def only(self, ev: StartEvent) -> Question:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            return Question(prefix="Go on?")

        @step
        async def hear(self, ev: Reply) -> StopEvent:
            return StopEvent()

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Stubborn().run())

    handler = Outer().run()
    await until_quiet()

    await handler.cancel_run(timeout=1)

    assert handler.is_done()


async def test_in_process_the_time_a_child_waits_counts_as_its_own_as_in_llamaindex() -> None:
    """Behaviour 51."""

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Review(timeout=0.3).run(topic="owls"))

    handler = Outer(timeout=5).run()
    await asked(handler)

    with pytest.raises(WorkflowTimeoutError, match=r"0\.3 seconds"):
        await handler


async def test_a_childs_wait_times_out_in_the_child() -> None:
    """Behaviour 13."""

    class Hasty(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            try:
                await ctx.wait_for_event(HumanResponseEvent, waiter_event=Question(prefix="Quick?"), timeout=0.02)
            except TimeoutError as error:
                return StopEvent(result=str(error))
            raise AssertionError

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Hasty().run())

    assert await Outer(timeout=5).run() == "Timed out waiting for HumanResponseEvent"


@pytest.mark.parametrize(("on_timeout", "result"), [("no", "no"), ("expire", "expired")])
async def test_a_childs_question_expires_as_the_child_says(on_timeout: str, result: str) -> None:
    class Timed(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            question = Question(prefix="Quick?", timeout=0.02, on_timeout=on_timeout)
            try:
                answer = await ctx.wait_for_event(HumanResponseEvent, waiter_event=question)
            except TimeoutError:
                return StopEvent(result="expired")
            return StopEvent(result=answer.response)

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Timed().run())

    assert await Outer(timeout=5).run() == result


async def test_other_work_of_a_child_goes_on_until_only_people_are_waited_for() -> None:
    class Busy(Workflow):
        @step
        async def split(self, ctx: Context, ev: StartEvent) -> Researched | Question:
            ctx.send_event(Researched(notes="n"))
            return Question(prefix="Well?")

        @step(retry_policy=retry_policy(wait=wait_fixed(0.01)))
        async def other(self, ev: Researched) -> None:
            seen.append("tried")
            if len(seen) < 3:
                raise ValueError("not yet")

        @step
        async def decide(self, ev: Reply) -> StopEvent:
            return StopEvent(result=list(seen))

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            seen_before = len(seen)
            return StopEvent(result=(seen_before, await Busy(disable_validation=True).run()))

    handler = Outer().run()
    await asked(handler)
    await until(lambda: len(seen) == 3)
    handler.ctx.send_event(Reply(response="yes"))

    assert await handler == (3, ["tried"] * 3)


async def test_a_child_with_few_slots_gives_its_own_back_while_it_waits() -> None:
    """Behaviour 62."""
    review = Review(num_concurrent_runs=1)

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            async with asyncio.TaskGroup() as tasks:
                runs = [tasks.create_task(self.of(topic)) for topic in ("owls", "bees")]
            return StopEvent(result=[run.result() for run in runs])

        async def of(self, topic: str) -> Any:
            return await review.run(topic=topic)

    handler = Outer().run()
    async for event in handler.stream_events():
        if isinstance(event, Question):
            handler.ctx.send_event(yes(event))

    assert await handler == ["notes on owls: yes", "notes on bees: yes"]


async def test_an_answer_to_nobody_in_particular_is_one_event_to_a_child_too() -> None:
    """As in a run of its own, it answers the oldest of the questions that steps have returned."""

    class Twice(Workflow):
        @step
        async def split(self, ctx: Context, ev: Topic) -> None:
            ctx.send_event(Researched(notes="first"))
            ctx.send_event(Researched(notes="second"))

        @step(num_workers=1)
        async def ask(self, ev: Researched) -> Question:
            return Question(prefix=ev.notes)

        @step
        async def decide(self, ctx: Context, ev: Reply) -> StopEvent | None:
            seen.append(ev.response)
            return StopEvent(result=list(seen)) if len(seen) == 2 else None

    class Outer(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Twice(disable_validation=True).run())

    handler = Outer().run()
    await asked(handler, 2)
    handler.ctx.send_event(Reply(response="one"))
    (again,) = await asked(handler)
    handler.ctx.send_event(Reply(response="two", ask_id=again.ask_id))

    assert again.prefix == "second"
    assert await handler == ["one", "two"]
