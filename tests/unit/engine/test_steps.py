"""How steps are declared: signatures, what a step may return, and which events reach it."""

import dataclasses
import itertools
import re
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from engine import (
    Context,
    ContextStateError,
    Event,
    HumanResponseEvent,
    StartEvent,
    StopEvent,
    Workflow,
    WorkflowRuntimeError,
    WorkflowValidationError,
    step,
)
from engine.core.model import DictState
from tests.unit.engine.turns import until

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypeCheckers

asked_by: ContextVar[str] = ContextVar("asked_by", default="nobody")


@dataclasses.dataclass
class Beside:
    """Stands in this module with a name that is not there at run time; no workflow uses it."""

    amount: "OnlyForTypeCheckers"


@dataclasses.dataclass
class AlsoBeside:
    """Stands in this module with a type that only type checkers know how to subscript; no workflow uses it."""

    numbers: "itertools.count[int]"


class A(Event): ...


class SmallA(A): ...


class B(Event): ...


class Topic(StartEvent):
    topic: str


class Report(StopEvent):
    pages: int


# --- Signatures ------------------------------------------------------------------------------


class Signatures(Workflow):
    """Every order in which a step may name what it wants."""

    @step
    async def event_only(self, ev: StartEvent) -> A:
        return A(seen=["event_only"])

    @step
    async def event_first(self, ev: A, ctx: Context) -> B:
        return B(seen=[*ev.seen, "event_first"], store=ctx.store)

    @step
    async def with_default(self, context: Context, ev: B, pages: int = 3, *args: Any, **kwargs: Any) -> SmallA:
        return SmallA(seen=[*ev.seen, "with_default", pages])

    @step
    async def by_keyword(self, *, ctx: Context, ev: SmallA) -> StopEvent:
        return StopEvent(result=[*ev.seen, "by_keyword"])


async def test_a_step_names_its_parameters_in_any_order() -> None:
    assert await Signatures().run() == ["event_only", "event_first", "with_default", 3, "by_keyword"]


async def test_annotations_may_be_text_and_name_local_classes() -> None:
    class Local(Event): ...

    class Flow(Workflow):
        @step
        async def first(self, ev: "StartEvent") -> "Local":
            return Local()

        @step
        async def second(self, ctx: "Context", ev: "Local") -> "StopEvent":
            return StopEvent(result="there")

    assert await Flow().run() == "there"


async def test_a_plain_function_is_a_step_in_a_thread_of_its_own() -> None:
    class Flow(Workflow):
        @step
        def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=threading.get_ident())

    assert await Flow().run() != threading.get_ident()


async def test_a_step_in_a_thread_can_send_and_stream() -> None:
    """Behaviour 33."""

    class Flow(Workflow):
        @step
        def first(self, ctx: Context, ev: StartEvent) -> A | None:
            ctx.write_event_to_stream(B(n=1))
            ctx.send_event(A())
            assert Context.get_step_context() is ctx
            return None

        @step
        async def second(self, ev: A) -> StopEvent:
            return StopEvent(result="sent")

    handler = Flow().run()
    seen = [type(event).__name__ async for event in handler.stream_events()]

    assert await handler == "sent"
    assert seen == ["B", "StopEvent"]


async def test_a_free_function_joins_a_workflow() -> None:
    class Flow(Workflow):
        @step
        async def first(self, ev: StartEvent) -> A:
            return A(n=1)

    @step(workflow=Flow)
    async def second(ev: A, ctx: Context) -> StopEvent:
        return StopEvent(result=ev.n + 1)

    assert await Flow().run() == 2


async def test_a_step_added_after_the_workflow_was_made_counts() -> None:
    class Flow(Workflow):
        @step
        async def first(self, ev: StartEvent) -> StopEvent | A:
            return A()

    flow = Flow(disable_validation=True)

    @step(workflow=Flow)
    async def second(ev: A) -> StopEvent:
        return StopEvent(result="second")

    assert await flow.run() == "second"
    assert flow.validate() is False


async def test_a_subclass_inherits_and_overrides_steps() -> None:
    class Parent(Workflow):
        @step
        async def first(self, ev: StartEvent) -> A:
            return A(by="parent")

        @step
        async def second(self, ev: A) -> StopEvent:
            return StopEvent(result=ev.by)

    class Child(Parent):
        @step
        async def first(self, ev: StartEvent) -> A:
            return A(by="child")

    assert await Child().run() == "child"
    assert await Parent().run() == "parent"


# --- What a declaration is told ---------------------------------------------------------------


def test_a_step_takes_an_event() -> None:
    """Behaviour 61."""
    with pytest.raises(WorkflowValidationError, match="must have at least one parameter annotated as type Event"):

        class Flow(Workflow):
            @step
            async def lost(self, ctx: Context) -> StopEvent:
                return StopEvent()


def test_a_step_says_what_it_returns() -> None:
    """Behaviour 61."""
    said = "Return types of workflows step functions must be annotated with their type"
    with pytest.raises(WorkflowValidationError, match=said):

        class Flow(Workflow):
            @step
            async def lost(self, ev: StartEvent):  # type: ignore[no-untyped-def]  # that is the point
                ...


def test_a_parameter_that_nobody_fills_is_named() -> None:
    with pytest.raises(WorkflowValidationError, match="lost: cannot fill parameter page"):

        class Flow(Workflow):
            @step
            async def lost(self, ev: StartEvent, page: int) -> StopEvent:
                return StopEvent()


def test_a_free_function_names_its_workflow() -> None:
    """Behaviour 61."""

    async def alone(ev: StartEvent) -> StopEvent:
        return StopEvent()

    with pytest.raises(WorkflowValidationError, match="To decorate alone please pass a workflow class to the @step"):
        step(alone)


@pytest.mark.parametrize("workers", [0, -1, True, 1.5, "4", None])
def test_the_number_of_workers_is_a_positive_integer(workers: Any) -> None:
    """Behaviour 56, 61."""
    with pytest.raises(WorkflowValidationError, match="num_workers must be an integer greater than 0"):
        step(num_workers=workers)


def test_a_step_that_yields_is_refused() -> None:
    """Behaviour 61."""
    with pytest.raises(WorkflowValidationError, match=r"Async-iterator fan-out .* is not supported"):

        class Flow(Workflow):
            @step
            async def many(self, ev: StartEvent) -> StopEvent:  # type: ignore[misc]  # that is the point
                yield StopEvent()


def test_a_name_that_is_not_there_is_told() -> None:
    """Behaviour 61."""
    said = r"Failed to resolve type annotations for .*lost. Missing name: Nowhere. If you are using 'from __future__"
    with pytest.raises(WorkflowValidationError, match=said):

        class Flow(Workflow):
            @step
            async def lost(self, ev: "Nowhere") -> StopEvent:  # type: ignore[name-defined]  # noqa: F821 - that is the point
                return StopEvent()


def test_a_step_name_is_taken_once() -> None:
    """Behaviour 61."""

    class Flow(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent()

    async def only(ev: StartEvent) -> StopEvent:
        return StopEvent()

    with pytest.raises(WorkflowValidationError, match="A step only is already part of this workflow, please choose"):
        step(workflow=Flow)(only)


def test_only_a_step_can_be_added() -> None:
    """Behaviour 61."""

    async def another_step(ev: StartEvent) -> StopEvent:
        return StopEvent()

    with pytest.raises(WorkflowValidationError, match="Step function another_step is missing the `@step` decorator"):
        Workflow.add_step(another_step)


def test_two_classes_of_one_name_are_refused() -> None:
    """Behaviour 55."""
    other = type("A", (Event,), {"__module__": "elsewhere"})

    class Flow(Workflow):
        types = (other,)

        @step
        async def only(self, ev: StartEvent | A) -> StopEvent | A:
            return A()

    with pytest.raises(WorkflowValidationError, match=r"two classes are called A, in .* and elsewhere"):
        Flow()


# --- What a step returns, and where it goes ------------------------------------------------------


async def test_what_is_no_event_fails_the_run() -> None:
    class Flow(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return "text"  # type: ignore[return-value]  # that is the point

    with pytest.raises(WorkflowRuntimeError, match="Step function only returned str instead of an Event instance"):
        await Flow().run()


async def test_a_step_may_return_nothing() -> None:
    class Flow(Workflow):
        @step
        async def first(self, ctx: Context, ev: StartEvent) -> A | None:
            ctx.send_event(A())
            return None

        @step
        async def second(self, ev: A) -> StopEvent:
            return StopEvent(result="after nothing")

    assert await Flow().run() == "after nothing"


async def test_every_step_that_takes_the_type_gets_the_event() -> None:
    class Flow(Workflow):
        @step
        async def first(self, ev: StartEvent) -> A:
            return A()

        @step
        async def left(self, ctx: Context, ev: A) -> None:
            await ctx.store.set("left", True)

        @step
        async def right(self, ctx: Context, ev: A) -> StopEvent:
            return StopEvent(result=await ctx.store.get("left", default=False))

    assert await Flow().run() is True


class Exact(Workflow):
    @step
    async def first(self, ev: StartEvent) -> SmallA | A:
        return SmallA()

    @step
    async def small(self, ev: SmallA) -> StopEvent:
        return StopEvent(result="small")

    @step
    async def large(self, ev: A) -> StopEvent:
        return StopEvent(result="large")


async def test_an_event_goes_by_its_very_type() -> None:
    """Behaviour 16."""
    assert await Exact().run() == "small"


async def test_a_step_takes_subclasses_when_it_says_so() -> None:
    """Behaviour 16."""

    class Flow(Workflow):
        @step
        async def first(self, ev: StartEvent) -> SmallA:
            return SmallA()

        @step(accept_event_subclasses=True)
        async def second(self, ev: A) -> StopEvent:
            return StopEvent(result=type(ev).__name__)

    assert await Flow().run() == "SmallA"


async def test_an_event_can_be_sent_to_one_step() -> None:
    class Flow(Workflow):
        @step
        async def first(self, ctx: Context, ev: StartEvent) -> A | None:
            ctx.send_event(A(), step="right")
            return None

        @step
        async def left(self, ev: A) -> StopEvent:
            return StopEvent(result="left")

        @step
        async def right(self, ev: A) -> StopEvent:
            return StopEvent(result="right")

    assert await Flow().run() == "right"


async def test_a_stop_event_that_a_step_sends_does_not_end_the_run() -> None:
    """Behaviour 31."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            ctx.send_event(StopEvent(result="sent"))
            return StopEvent(result="returned")

    assert await Flow().run() == "returned"


# --- Start and stop events of one's own ------------------------------------------------------------


class Writing(Workflow):
    @step
    async def write(self, ev: Topic) -> Report:
        return Report(pages=len(ev.topic), topic=ev.topic)


async def test_a_stop_event_of_ones_own_is_the_result() -> None:
    """Behaviour 29."""
    result = await Writing().run(topic="birds")

    assert isinstance(result, Report)
    assert (result.pages, result.topic) == (5, "birds")


def test_a_workflow_knows_its_events() -> None:
    flow = Writing()

    assert flow.start_event_class is Topic
    assert flow.stop_event_class is Report
    assert [event.__name__ for event in flow.events] == ["Topic", "Report"]
    assert flow.workflow_name.endswith("test_steps.Writing")
    assert Writing(workflow_name="writing").workflow_name == "writing"


async def test_keywords_that_do_not_fit_the_start_event_are_told() -> None:
    said = "Failed creating a start event of type 'Topic' with the keyword arguments: {'wrong': 1}"
    with pytest.raises(WorkflowRuntimeError, match=said):
        Writing().run(wrong=1)


async def test_a_start_event_may_be_given_whole() -> None:
    assert (await Writing().run(start_event=Topic(topic="ox"))).pages == 2


async def test_a_start_event_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="The 'start_event' argument must be an instance of 'StartEvent'"):
        Writing().run(start_event=A())  # type: ignore[arg-type]  # that is the point


async def test_keywords_beside_a_start_event_are_ignored_aloud() -> None:
    with pytest.warns(UserWarning, match="Keyword arguments are not supported when 'run\\(\\)' is invoked with the"):
        handler = Writing().run(start_event=Topic(topic="ox"), topic="elephant")

    assert (await handler).pages == 2


# --- What a step can reach -------------------------------------------------------------------------


async def test_a_helper_finds_the_context_of_the_step_it_is_called_from() -> None:
    async def helper() -> None:
        await Context.get_step_context().store.set("helped", True)

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            await helper()
            return StopEvent(result=await ctx.store.get("helped"))

    assert await Flow().run() is True


def test_outside_a_step_there_is_no_step_context() -> None:
    with pytest.raises(WorkflowRuntimeError, match="may only be called from within a step function"):
        Context.get_step_context()


class Faces(Workflow):
    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        told = []
        for method in (ctx.to_dict, ctx.stream_events):
            try:
                method()
            except ContextStateError as error:
                told.append(str(error))
        return StopEvent(result=told)


async def test_what_belongs_to_the_handler_is_refused_inside_a_step() -> None:
    for told in await Faces().run():
        assert told.endswith("is only available from handler code, not from within steps.")


@pytest.mark.parametrize(
    ("ran", "why"),
    [(False, "requires a running workflow. Call workflow.run() first."), (True, "only available from within step")],
)
async def test_what_belongs_to_a_step_is_refused_outside(ran: bool, why: str) -> None:
    ctx = Context[DictState](Faces())
    if ran:
        await Faces().run(ctx=ctx)

    with pytest.raises(ContextStateError, match=f"wait_for_event .*{re.escape(why)}"):
        await ctx.wait_for_event(HumanResponseEvent)
    with pytest.raises(ContextStateError, match=f"write_event_to_stream .*{re.escape(why)}"):
        ctx.write_event_to_stream(A())
    with pytest.raises(ContextStateError, match=f"retry_info .*{re.escape(why)}"):
        ctx.retry_info()
    with pytest.raises(ContextStateError, match=f"once .*{re.escape(why)}"):
        await ctx.once("key", dict)
    with pytest.raises(ContextStateError, match=f"effect .*{re.escape(why)}"):
        await ctx.effect("key", dict)


class Leaky(Workflow):
    @step
    async def first(self, ctx: Context, ev: StartEvent) -> A | B:
        seen = asked_by.get()
        asked_by.set("first")
        ctx.send_event(B())
        return A(seen=seen)

    @step
    async def second(self, ctx: Context, ev: A) -> None:
        await ctx.store.set("second", [ev.seen, asked_by.get()])

    @step(num_workers=1)
    async def third(self, ctx: Context, ev: B | HumanResponseEvent) -> StopEvent | None:
        if isinstance(ev, B):
            return None
        return StopEvent(result=[*await ctx.store.get("second"), asked_by.get()])


async def test_a_step_sees_the_variables_of_who_started_the_run_and_of_nobody_else() -> None:
    asked_by.set("starter")
    handler = Leaky().run()
    await until(lambda: "second" in handler.ctx.to_dict()["store"])

    asked_by.set("sender")
    handler.ctx.send_event(HumanResponseEvent())

    assert await handler == ["starter", "starter", "starter"]


# --- State types --------------------------------------------------------------------------------


class Base(BaseModel):
    count: int = 0


class More(Base):
    names: list[str] = []


async def test_steps_may_name_a_parent_of_the_state_type() -> None:
    """Behaviour 59."""

    class Flow(Workflow):
        @step
        async def first(self, ctx: Context[Base], ev: StartEvent) -> A:
            (await ctx.store.get_state()).count += 1
            return A()

        @step
        async def second(self, ctx: Context[More], ev: A) -> StopEvent:
            return StopEvent(result=await ctx.store.get_state())

    assert await Flow().run() == More(count=1)


def test_state_types_that_do_not_fit_together_are_refused() -> None:
    """Behaviour 59."""

    class Other(BaseModel): ...

    class Flow(Workflow):
        @step
        async def first(self, ctx: Context[Base], ev: StartEvent) -> A:
            return A()

        @step
        async def second(self, ctx: Context[Other], ev: A) -> StopEvent:
            return StopEvent()

    with pytest.raises(ValueError, match=r"not in a compatible inheritance hierarchy.* Found: Base, Other"):
        Flow()
