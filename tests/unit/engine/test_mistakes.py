"""What an author gets wrong is named when it is seen, and the message says what to write instead."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
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
    WorkflowConfigurationError,
    WorkflowValidationError,
    retry_policy,
    step,
)
from engine.resource import Resource


class A(Event): ...


class B(Event): ...


class Quick(Workflow):
    @step
    async def only(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result="done")


# --- Making a workflow -----------------------------------------------------------------------


def test_an_init_that_forgets_ours_is_told() -> None:
    class Forgetful(Quick):
        def __init__(self) -> None:
            self.llm = "model"

    with pytest.raises(WorkflowConfigurationError, match=r"Forgetful.__init__\(\) does not call super\(\).__init__"):
        Forgetful().run()
    with pytest.raises(WorkflowConfigurationError, match=r"Forgetful.__init__\(\) does not call super\(\).__init__"):
        Context(Forgetful())


@pytest.mark.parametrize("timeout", ["soon", timedelta(seconds=45), math.nan])
def test_a_timeout_is_a_number_of_seconds(timeout: Any) -> None:
    with pytest.raises(WorkflowValidationError, match="timeout must be a number of seconds or None, found"):
        Quick(timeout=timeout)


async def test_a_step_may_be_called_validate() -> None:
    """As in LlamaIndex's own example of a reflection loop."""

    class Reflection(Workflow):
        @step
        async def extract(self, ev: StartEvent) -> A:
            return A()

        @step
        async def validate(self, ev: A) -> StopEvent:  # type: ignore[override]  # that is the point
            return StopEvent(result="valid")

    assert await Reflection().run() == "valid"


def test_a_step_does_not_hide_what_the_engine_needs() -> None:
    class Hiding(Workflow):
        @step
        async def definition(self, ev: StartEvent) -> StopEvent:  # type: ignore[override]  # that is the point
            return StopEvent()

    with pytest.raises(WorkflowValidationError, match=r"Hiding: step definition hides Workflow.definition; call it"):
        Hiding()


@pytest.mark.parametrize("policy", [3, retry_policy, type(retry_policy())], ids=["a number", "not called", "a class"])
def test_a_retry_policy_is_one(policy: Any) -> None:
    with pytest.raises(WorkflowValidationError, match=r"retry_policy must be what retry_policy\(...\) makes, found"):
        step(retry_policy=policy)


def test_a_resource_is_given_by_what_makes_it() -> None:
    with pytest.raises(TypeError, match="Resource takes what makes the resource, found 3"):
        Resource(3)  # type: ignore[arg-type]  # that is the point


def test_a_resource_is_no_default() -> None:
    database = Resource(dict)

    async def only(self: Workflow, ev: StartEvent, db: Any = database) -> StopEvent:
        return StopEvent(result=db)

    with pytest.raises(WorkflowValidationError, match=r"write db: Annotated\[..., Resource\(...\)\]"):
        step(only)


# --- Running it ------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["a topic", StartEvent(), {"snapshot": 1}])
async def test_what_is_given_for_a_context_is_one(given: Any) -> None:
    with pytest.raises(TypeError, match=r"ctx must be a Context, found .*: give an event as start_event="):
        Quick().run(given)


def test_a_context_is_of_a_workflow_and_not_of_its_class() -> None:
    with pytest.raises(TypeError, match="takes a workflow, found the class Quick; make one of it"):
        Context(Quick)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("given", ["yes", HumanResponseEvent], ids=["a text", "a class"])
async def test_what_is_sent_to_a_run_is_an_event(given: Any) -> None:
    handler = Quick().run()

    with pytest.raises(TypeError, match=r"send_event\(\) takes an event, found .*; to answer, HumanResponseEvent"):
        handler.ctx.send_event(given)
    assert await handler == "done"


# --- Inside a step ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["HumanResponseEvent", HumanResponseEvent(), A | B], ids=["text", "event", "union"])
async def test_a_wait_is_for_one_class_of_event(kind: Any) -> None:
    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await ctx.wait_for_event(kind))

    with pytest.raises(TypeError, match=r"wait_for_event\(\) waits for one class of event, found"):
        await Flow().run()


@pytest.mark.parametrize("question", ["Ship it?", InputRequiredEvent], ids=["a text", "a class"])
async def test_what_a_wait_shows_is_an_event(question: Any) -> None:
    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await ctx.wait_for_event(HumanResponseEvent, waiter_event=question))

    with pytest.raises(TypeError, match=r"waiter_event must be an event, found .*; prompt= asks with a text"):
        await Flow().run()


async def wait_for(collect: Callable[[Context, Event], Any], *, threaded: bool) -> Any:
    """Return what a step comes to that collects, as a coroutine or as a plain function in a thread."""

    class Flow(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            return StopEvent(result=collect(ctx, ev))

    class Threaded(Workflow):
        @step
        def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            return StopEvent(result=collect(ctx, ev))

    return await (Threaded if threaded else Flow)(timeout=2).run()


@pytest.mark.parametrize("threaded", [False, True], ids=["coroutine", "thread"])
@pytest.mark.parametrize("expected", [A, {A}, [A | B]], ids=["a class", "a set", "a union"])
async def test_what_is_collected_is_a_list_of_classes(expected: Any, threaded: bool) -> None:
    with pytest.raises(TypeError, match=r"collect_events\(\) expects a list of event classes, found"):
        await wait_for(lambda ctx, ev: ctx.collect_events(ev, expected), threaded=threaded)
