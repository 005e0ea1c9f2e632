"""``wait_for_event``: a step unwinds, asks once, and runs again from its top with the answer."""

import asyncio
import itertools
from collections.abc import AsyncIterator
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
    retry_policy,
    step,
)
from engine.events import UnhandledEvent
from engine.handler import WorkflowHandler
from engine.retry import wait_fixed


class A(Event): ...


class Reply(HumanResponseEvent):
    response: str


class Ask(InputRequiredEvent):
    question: str


def yes(**more: Any) -> HumanResponseEvent:
    return HumanResponseEvent(**{"response": "yes", **more})


async def questions(handler: WorkflowHandler, count: int) -> list[InputRequiredEvent]:
    """Wait until the run has asked so often."""
    found: list[InputRequiredEvent] = []
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            found.append(event)
        if len(found) == count:
            return found
    raise AssertionError(f"the run ended after {len(found)} questions")


async def answered(handler: WorkflowHandler, *answers: Event) -> AsyncIterator[Event]:
    """Stream the run, answering each question with the next of the answers."""
    left = list(answers)
    async for event in handler.stream_events():
        yield event
        if isinstance(event, InputRequiredEvent):
            handler.ctx.send_event(left.pop(0))


async def prompts(handler: WorkflowHandler, *answers: Event) -> list[str]:
    return [ev.prefix async for ev in answered(handler, *answers) if isinstance(ev, InputRequiredEvent)]


class Simple(Workflow):
    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, waiter_event=InputRequiredEvent(prefix="Good?"))
        return StopEvent(result=answer.response)


async def test_a_wait_asks_once_and_returns_the_answer() -> None:
    """Behaviour 6."""
    handler = Simple().run()

    assert await prompts(handler, yes()) == ["Good?"]
    assert await handler == "yes"


async def test_a_prompt_is_a_question() -> None:
    """Behaviour 7."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            answer = await ctx.wait_for_event(HumanResponseEvent, prompt="Approve?")
            return StopEvent(result=answer.response)

    handler = Flow().run()

    assert await prompts(handler, yes()) == ["Approve?"]
    assert await handler == "yes"


async def test_a_wait_for_no_number_of_seconds_fails_its_step() -> None:
    class Flow(Workflow):
        @step
        async def ask(self, ctx: Context, ev: StartEvent) -> StopEvent:
            await ctx.wait_for_event(HumanResponseEvent, timeout=float("nan"))
            return StopEvent()

    with pytest.raises(ValueError, match="timeout is nan; give a number of seconds"):
        await Flow().run()


async def test_a_wait_may_show_an_event_that_is_no_question() -> None:
    """Behaviour 6."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent | A:
            answer = await ctx.wait_for_event(HumanResponseEvent, waiter_event=A())
            return StopEvent(result=answer.response)

    handler = Flow(disable_validation=True).run()
    shown = []
    async for event in handler.stream_events():
        shown.append(type(event))
        if isinstance(event, A):
            handler.ctx.send_event(yes())

    assert shown == [A, StopEvent]
    assert handler.ctx.open_asks == []


@pytest.mark.parametrize("ids", [("first", "second"), (None, None)])
async def test_two_waits_in_one_step_get_each_its_own_answer(ids: tuple[str | None, str | None]) -> None:
    """Behaviour 8."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            one = await ctx.wait_for_event(HumanResponseEvent, prompt="One?", waiter_id=ids[0])
            two = await ctx.wait_for_event(HumanResponseEvent, prompt="Two?", waiter_id=ids[1])
            return StopEvent(result=[one.response, two.response])

    handler = Flow().run()

    assert await prompts(handler, yes(response="a"), yes(response="b")) == ["One?", "Two?"]
    assert await handler == ["a", "b"]


async def test_waits_in_a_loop_get_each_their_own_answer() -> None:
    """Behaviour 8."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            return StopEvent(
                result=[(await ctx.wait_for_event(HumanResponseEvent, prompt=str(n))).response for n in range(4)]
            )

    handler = Flow().run()

    assert await prompts(handler, *[yes(response=n) for n in range(4)]) == ["0", "1", "2", "3"]
    assert await handler == [0, 1, 2, 3]


class Parallel(Workflow):
    """One wait per page, side by side; ends when all pages have theirs."""

    @step
    async def split(self, ctx: Context, ev: StartEvent) -> A | None:
        for page in range(3):
            ctx.send_event(A(page=page, routed=ev.routed))
        return None

    @step(num_workers=1)
    async def review(self, ctx: Context, ev: A) -> StopEvent | None:
        requirements = {"page": ev.page} if ev.routed else None
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt=str(ev.page), requirements=requirements)
        await ctx.store.set(f"answers.{ev.page}", answer.response)
        answers = await ctx.store.get("answers")
        return StopEvent(result=answers) if len(answers) == 3 else None


async def test_parallel_waits_ask_each_their_own_question() -> None:
    """Behaviour 9."""
    handler = Parallel().run(routed=False)
    asked = await questions(handler, 3)

    for n, question in enumerate(asked):
        handler.ctx.send_event(yes(response=n, ask_id=question.ask_id))

    assert [question.prefix for question in asked] == ["0", "1", "2"]
    assert await handler == {"0": 0, "1": 1, "2": 2}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_questions_answered_in_any_order_go_to_their_askers(order: tuple[int, ...]) -> None:
    """Behaviour 20."""
    handler = Parallel().run(routed=False)
    asked = await questions(handler, 3)

    for n in order:
        handler.ctx.send_event(yes(response=f"to {n}", ask_id=asked[n].ask_id))

    assert await handler == {"0": "to 0", "1": "to 1", "2": "to 2"}


async def test_requirements_bring_each_answer_to_its_wait() -> None:
    """Behaviour 10."""
    handler = Parallel().run(routed=True)
    await questions(handler, 3)

    for page in (2, 0, 1):
        handler.ctx.send_event(yes(response=f"to {page}", page=page))

    assert await handler == {"0": "to 0", "1": "to 1", "2": "to 2"}


async def test_an_answer_that_fits_no_requirement_is_ignored() -> None:
    """Behaviour 10."""
    handler = Parallel().run(routed=True)
    await questions(handler, 3)

    handler.ctx.send_event(yes(page=7))

    assert len(handler.ctx.open_asks) == 3
    await handler.cancel_run()


async def test_an_unaddressed_answer_reaches_every_wait() -> None:
    """Behaviour 9."""
    handler = Parallel().run(routed=False)
    await questions(handler, 3)

    handler.ctx.send_event(yes(response="all"))

    assert await handler == {"0": "all", "1": "all", "2": "all"}


async def test_requirements_look_at_declared_fields_too() -> None:
    """Behaviour 10."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            answer = await ctx.wait_for_event(Reply, prompt="?", requirements={"response": "yes"})
            return StopEvent(result=answer.by)

    handler = Flow().run()
    await questions(handler, 1)

    handler.ctx.send_event(Reply(response="no", by="U1"))
    handler.ctx.send_event(Reply(response="yes", by="U2"))

    assert await handler == "U2"


async def test_a_wait_holds_no_worker() -> None:
    """Behaviour 9, 56."""
    handler = Parallel().run(routed=False)

    asked = await questions(handler, 3)

    assert len(asked) == 3
    assert await handler.ctx.running_steps() == []
    await handler.cancel_run()


@pytest.mark.parametrize("takes_subclasses", [False, True])
async def test_a_wait_takes_a_subclass_when_it_says_so(takes_subclasses: bool) -> None:
    """Behaviour 16."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            answer = await ctx.wait_for_event(HumanResponseEvent, prompt="?", accept_event_subclasses=takes_subclasses)
            return StopEvent(result=type(answer).__name__)

    handler = Flow().run()
    await questions(handler, 1)

    handler.ctx.send_event(Reply(response="sub"))
    if not takes_subclasses:
        handler.ctx.send_event(yes())

    assert await handler == ("Reply" if takes_subclasses else "HumanResponseEvent")


async def test_a_step_that_was_woken_is_not_called_by_the_same_event() -> None:
    """Behaviour 6."""
    calls = []

    class Flow(Workflow):
        @step
        async def both(self, ctx: Context, ev: StartEvent | HumanResponseEvent) -> StopEvent:
            calls.append(type(ev).__name__)
            answer = await ctx.wait_for_event(HumanResponseEvent, prompt="?")
            return StopEvent(result=answer.response)

    handler = Flow().run()
    await prompts(handler, yes())

    assert await handler == "yes"
    assert calls == ["StartEvent", "StartEvent"]


async def test_other_steps_get_the_event_that_woke_one() -> None:
    """Behaviour 6."""
    seen = []

    class Flow(Workflow):
        @step
        async def waits(self, ctx: Context, ev: StartEvent) -> StopEvent:
            answer = await ctx.wait_for_event(HumanResponseEvent, prompt="?")
            await asyncio.sleep(0)
            return StopEvent(result=answer.response)

        @step
        async def takes(self, ev: HumanResponseEvent) -> None:
            seen.append(ev.response)

    handler = Flow().run()
    await prompts(handler, yes())

    assert (await handler, seen) == ("yes", ["yes"])


async def test_an_answer_given_before_the_question_is_unhandled() -> None:
    """Behaviour 6, 31: a wait takes what comes while it lasts, and whoever answers too early is told."""
    begun, go = asyncio.Event(), asyncio.Event()

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            begun.set()
            await go.wait()
            answer = await ctx.wait_for_event(HumanResponseEvent, prompt="?")
            return StopEvent(result=answer.response)

    handler = Flow().run()
    await begun.wait()
    handler.ctx.send_event(yes(response="early"))
    go.set()

    seen = []
    async for event in handler.stream_events(expose_internal=True):
        seen.append(type(event))
        if isinstance(event, InputRequiredEvent):
            handler.ctx.send_event(yes(response="asked for"))

    assert seen.index(UnhandledEvent) < seen.index(InputRequiredEvent)
    assert await handler == "asked for"


async def test_an_answer_for_one_step_wakes_what_waits_there_alone() -> None:
    class Flow(Workflow):
        @step
        async def one(self, ctx: Context, ev: StartEvent | HumanResponseEvent) -> StopEvent:
            answer = await ctx.wait_for_event(HumanResponseEvent, prompt="one?")
            return StopEvent(result=f"one {answer.response}")

        @step
        async def other(self, ctx: Context, ev: StartEvent | HumanResponseEvent) -> StopEvent:
            answer = await ctx.wait_for_event(HumanResponseEvent, prompt="other?")
            return StopEvent(result=f"other {answer.response}")

    handler = Flow().run()
    await questions(handler, 2)

    handler.ctx.send_event(yes(), step="other")

    assert await handler == "other yes"


# --- The pause -----------------------------------------------------------------------------------


async def test_except_exception_does_not_swallow_the_pause() -> None:
    """Behaviour 15."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            try:
                answer = await ctx.wait_for_event(HumanResponseEvent, prompt="?")
            except Exception:  # noqa: BLE001 - that is the point
                return StopEvent(result="swallowed")
            return StopEvent(result=answer.response)

    handler = Flow().run()

    assert await prompts(handler, yes()) == ["?"]
    assert await handler == "yes"


async def test_finally_and_async_with_unwind_at_a_pause() -> None:
    """Behaviour 15."""
    unwound = []

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            try:
                async with asyncio.timeout(60):
                    answer = await ctx.wait_for_event(HumanResponseEvent, prompt="?")
            finally:
                unwound.append("finally")
            return StopEvent(result=answer.response)

    handler = Flow().run()
    await prompts(handler, yes())

    assert (await handler, unwound) == ("yes", ["finally", "finally"])


async def test_waits_in_a_task_group_are_asked_one_after_the_other() -> None:
    """Behaviour 8, 15."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            async with asyncio.TaskGroup() as tasks:
                waits = [tasks.create_task(ctx.wait_for_event(HumanResponseEvent, prompt=p)) for p in "ab"]
            return StopEvent(result=[wait.result().response for wait in waits])

    handler = Flow().run()

    assert await prompts(handler, yes(response=1), yes(response=2)) == ["a", "b"]
    assert await handler == [1, 2]


async def test_an_error_beside_a_wait_fails_the_step() -> None:
    """Behaviour 15, 25."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            async def fail() -> None:
                raise ValueError("beside")

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(ctx.wait_for_event(HumanResponseEvent, prompt="?"))
                tasks.create_task(fail())
            return StopEvent()

    with pytest.raises(ExceptionGroup) as failed:
        await Flow().run()
    assert failed.group_contains(ValueError, match="beside")


# --- What a re-run does not do again ------------------------------------------------------------------


class Effects(Workflow):
    """Does one of each before its wait."""

    made: list[str]

    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent | A:
        self.made.append("body")
        await ctx.store.set("n", await ctx.store.get("n", default=0) + 1)
        async with ctx.store.edit_state() as state:
            state["edited"] = state.get("edited", 0) + 1
        ctx.write_event_to_stream(A(text="progress"))
        ctx.send_event(A(text="sent"))
        await ctx.once("paid", self.made.append, "paid")
        for n in range(2):
            await ctx.wait_for_event(HumanResponseEvent, prompt=str(n))
        await ctx.store.set("after", True)
        return StopEvent(result=(await ctx.store.get_state()).to_dict())

    @step
    async def count(self, ctx: Context, ev: A) -> None:
        await ctx.store.set("sent", await ctx.store.get("sent", default=0) + 1)


async def test_effects_before_a_wait_count_once() -> None:
    """Behaviour 17."""
    flow = Effects()
    flow.made = []
    handler = flow.run()
    seen = [event async for event in answered(handler, yes(), yes())]

    assert await handler == {"n": 1, "edited": 1, "sent": 1, "after": True}
    assert len([event for event in seen if isinstance(event, A)]) == 1
    assert flow.made == ["body", "paid", "body", "body"]


async def test_an_effect_that_differs_from_the_first_time_is_applied() -> None:
    """Behaviour 17."""
    runs: list[int] = []

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            runs.append(len(runs))
            await ctx.store.set(f"run{runs[-1]}", True)
            await ctx.wait_for_event(HumanResponseEvent, prompt="?")
            return StopEvent(result=(await ctx.store.get_state()).to_dict())

    handler = Flow().run()
    await prompts(handler, yes())

    assert await handler == {"run0": True, "run1": True}


async def test_a_step_that_fails_after_its_answer_does_not_ask_again() -> None:
    """Behaviour 12."""

    class Flow(Workflow):
        @step(retry_policy=retry_policy(wait=wait_fixed(0)))
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            answer = await ctx.wait_for_event(HumanResponseEvent, prompt="?")
            if ctx.retry_info().retry_number < 2:
                raise ValueError
            return StopEvent(result=answer.response)

    handler = Flow().run()

    assert await prompts(handler, yes()) == ["?"]
    assert await handler == "yes"


# --- Addressed answers ----------------------------------------------------------------------------------


async def test_a_question_has_an_id_that_its_event_carries() -> None:
    """Behaviour 18."""
    handler = Simple().run()
    (question,) = await questions(handler, 1)

    assert [ask.id for ask in handler.ctx.open_asks] == [question.ask_id]
    assert handler.ctx.open_asks[0].event is question
    await handler.cancel_run()


@pytest.mark.parametrize("ask_id", ["a999", "", "nobody's"])
async def test_an_answer_to_no_question_changes_nothing_and_says_so(ask_id: str) -> None:
    """Behaviour 18."""
    handler = Simple().run()
    await questions(handler, 1)

    handler.ctx.send_event(yes(ask_id=ask_id))
    handler.ctx.send_event(yes(response="right"))

    seen = [event async for event in handler.stream_events(expose_internal=True)]
    assert isinstance(seen[0], UnhandledEvent)
    assert await handler == "right"


class Stages(Workflow):
    """Two questions in a row, asked by steps."""

    @step
    async def first(self, ctx: Context, ev: StartEvent) -> Ask:
        return Ask(question="one")

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> Ask | StopEvent:
        given = [*await ctx.store.get("given", default=[]), ev.response]
        await ctx.store.set("given", given)
        return Ask(question="two") if len(given) == 1 else StopEvent(result=given)


async def test_a_second_answer_changes_nothing() -> None:
    """Behaviour 19."""
    handler = Stages().run()
    (first,) = await questions(handler, 1)

    handler.ctx.send_event(yes(response="once", ask_id=first.ask_id))
    handler.ctx.send_event(yes(response="twice", ask_id=first.ask_id))

    (second,) = await questions(handler, 1)
    assert second.ask_id != first.ask_id
    handler.ctx.send_event(yes(response="then", ask_id=second.ask_id))
    assert await handler == ["once", "then"]


async def test_two_answers_to_one_wait_leave_the_first() -> None:
    """Behaviour 19."""
    handler = Simple().run()
    (question,) = await questions(handler, 1)

    handler.ctx.send_event(yes(response="first", ask_id=question.ask_id))
    handler.ctx.send_event(yes(response="second", ask_id=question.ask_id))
    handler.ctx.send_event(yes(response="third"))

    assert await handler == "first"


async def test_an_addressed_answer_of_another_kind_leaves_the_question_open() -> None:
    """Behaviour 18, 20."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            answer = await ctx.wait_for_event(Reply, prompt="?", requirements={"by": "U1"})
            return StopEvent(result=answer.response)

    handler = Flow().run()
    (question,) = await questions(handler, 1)

    handler.ctx.send_event(yes(ask_id=question.ask_id, by="U1"))
    handler.ctx.send_event(Reply(response="not mine", ask_id=question.ask_id, by="U2"))
    assert len(handler.ctx.open_asks) == 1
    handler.ctx.send_event(Reply(response="mine", ask_id=question.ask_id, by="U1"))

    assert await handler == "mine"


class SameQuestion(Workflow):
    """Asks twice with one and the same event object."""

    question = InputRequiredEvent(prefix="Again?")

    @step
    async def ask(self, ctx: Context, ev: StartEvent | A) -> InputRequiredEvent | A:
        if isinstance(ev, StartEvent):
            ctx.send_event(A())
        return self.question

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent | None:
        given = [*await ctx.store.get("given", default=[]), ev.response]
        await ctx.store.set("given", given)
        return StopEvent(result=given) if len(given) == 2 else None


async def test_the_same_event_asked_twice_is_two_questions() -> None:
    """Behaviour 18, 20."""
    handler = SameQuestion().run()
    one, two = await questions(handler, 2)

    for question in (two, one):
        handler.ctx.send_event(yes(response=question.ask_id, ask_id=question.ask_id))

    assert one.ask_id != two.ask_id
    assert await handler == [two.ask_id, one.ask_id]


async def test_an_unaddressed_answer_closes_the_oldest_question() -> None:
    """Behaviour 5."""
    handler = SameQuestion().run()
    one, two = await questions(handler, 2)

    handler.ctx.send_event(yes())

    assert [ask.id for ask in handler.ctx.open_asks] == [two.ask_id]
    assert one.ask_id != two.ask_id
    await handler.cancel_run()


async def test_what_an_author_keeps_in_timeout_besides_seconds_is_left_alone() -> None:
    class Flow(Workflow):
        @step
        async def ask(self, ev: StartEvent) -> InputRequiredEvent:
            return InputRequiredEvent(timeout="tomorrow", on_timeout=["escalate"], options=("a", "b"))

        @step
        async def decide(self, ev: HumanResponseEvent) -> StopEvent:
            return StopEvent(result=ev.response)

    handler = Flow().run()
    (question,) = await questions(handler, 1)

    assert (question.timeout, question.options) == ("tomorrow", ("a", "b"))
    assert handler.ctx.open_asks[0].deadline is None
    await handler.cancel_run()
