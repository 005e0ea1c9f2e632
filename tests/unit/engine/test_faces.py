"""A context before its run, beside it and inside a step: what each may do, and how it says what it may not."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from engine import (
    Context,
    ContextStateError,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    WorkflowCancelledByUser,
    WorkflowRuntimeError,
    step,
)
from engine.core.model import DictState
from engine.events import StepStateChanged, WorkflowCancelledEvent
from engine.handler import WorkflowHandler
from tests.unit.engine.turns import until

old = pytest.mark.filterwarnings("ignore::DeprecationWarning")

Use = Callable[[Context[Any]], Any]

INSIDE: dict[str, Use] = {
    "wait_for_event": lambda ctx: ctx.wait_for_event(HumanResponseEvent),
    "collect_events": lambda ctx: ctx.collect_events(Event(), [Event]),
    "write_event_to_stream": lambda ctx: ctx.write_event_to_stream(Event()),
    "retry_info": lambda ctx: ctx.retry_info(),
    "once": lambda ctx: ctx.once("key", str),
    "effect": lambda ctx: ctx.effect("key", str),
    "idempotency_key": lambda ctx: ctx.idempotency_key,
}
"""What only a step may use."""

OUTSIDE: dict[str, Use] = {
    "running_steps": lambda ctx: ctx.running_steps(),
    "stream_events": lambda ctx: ctx.stream_events(),
    "get_result": lambda ctx: ctx.get_result(),
    "streaming_queue": lambda ctx: ctx.streaming_queue,
}
"""What only whoever holds the handler may use."""


class Asks(Workflow):
    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(prefix="Ship?")

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        if ev.response == "fail":
            raise ValueError("no ink")
        return StopEvent(result=ev.response)


class Uses(Workflow):
    """Uses its context in its only step."""

    def __init__(self, use: Use) -> None:
        super().__init__()
        self.use = use

    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        made = self.use(ctx)
        return StopEvent(result=await made if asyncio.iscoroutine(made) else made)


async def used(use: Use, ctx: Context[Any]) -> Any:
    made = use(ctx)
    return await made if asyncio.iscoroutine(made) else made


async def asking() -> WorkflowHandler:
    handler = Asks().run()
    await until(lambda: handler.ctx.open_asks)
    return handler


async def answered(response: str = "yes") -> WorkflowHandler:
    handler = await asking()
    handler.ctx.send_event(HumanResponseEvent(response=response))
    await handler.stop_event_result()
    return handler


# --- The wrong face ---------------------------------------------------------------------------


@old
@pytest.mark.parametrize("name", [*INSIDE, *OUTSIDE])
async def test_before_the_run_there_is_nothing_to_use(name: str) -> None:
    with pytest.raises(ContextStateError) as refused:
        await used({**INSIDE, **OUTSIDE}[name], Context[DictState](Asks()))

    assert str(refused.value) == f"{name} requires a running workflow. Call workflow.run() first."


@pytest.mark.parametrize("name", INSIDE)
async def test_beside_the_run_nobody_is_in_a_step(name: str) -> None:
    handler = await asking()

    with pytest.raises(ContextStateError) as refused:
        await used(INSIDE[name], handler.ctx)

    assert str(refused.value) == f"{name} is only available from within step functions."


@old
@pytest.mark.parametrize("name", [*OUTSIDE, "to_dict"])
async def test_a_step_does_not_look_at_its_run_from_outside(name: str) -> None:
    use = OUTSIDE.get(name, lambda ctx: ctx.to_dict())

    with pytest.raises(ContextStateError) as refused:
        await Uses(use).run()

    assert str(refused.value) == f"{name} is only available from handler code, not from within steps."


async def test_a_step_does_not_run_a_workflow_in_its_own_context() -> None:
    with pytest.raises(ContextStateError, match="Cannot start workflow from a step function context"):
        await Uses(lambda ctx: Asks().run(ctx=ctx)).run()


async def test_a_step_that_asks_whether_it_runs_is_told_that_it_does() -> None:
    with pytest.warns(DeprecationWarning, match="is_running called from within a step"):
        assert await Uses(lambda ctx: ctx.is_running).run() is True


# --- Deprecated ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda handler: handler.ctx.get_result(), r"Context\.get_result\(\) is deprecated.*Prefer awaiting"),
        (lambda handler: handler.ctx.streaming_queue, r"Context\.streaming_queue is deprecated.*Prefer iterating"),
        (lambda handler: handler.done(), r"WorkflowHandler\.done\(\) is deprecated"),
        (lambda handler: handler.exception(), r"WorkflowHandler\.exception\(\) is deprecated"),
        (lambda handler: handler.cancelled(), r"WorkflowHandler\.cancelled\(\) is deprecated"),
        (lambda handler: handler.cancel(), r"WorkflowHandler\.cancel\(\) is deprecated.*await handler\.cancel_run\(\)"),
    ],
)
async def test_what_is_deprecated_says_so(use: Callable[[WorkflowHandler], Any], words: str) -> None:
    handler = await answered()

    with pytest.warns(DeprecationWarning, match=words):
        use(handler)


@old
async def test_the_result_can_be_had_from_the_context_once_it_is_there() -> None:
    handler = await asking()

    with pytest.raises(WorkflowRuntimeError, match=f"Workflow run with run_id {handler.run_id} is not complete"):
        handler.ctx.get_result()
    assert (await answered()).ctx.get_result() == "yes"
    with pytest.raises(ValueError, match="no ink"):
        (await answered("fail")).ctx.get_result()


@old
async def test_the_streaming_queue_fills_with_what_is_streamed() -> None:
    handler = Asks().run()
    queue = handler.ctx.streaming_queue

    first = await queue.get()
    handler.ctx.send_event(HumanResponseEvent(response="yes"))
    last = await queue.get()

    assert (type(first), type(last)) == (InputRequiredEvent, StopEvent)
    assert handler.ctx.streaming_queue is queue
    Asks().run(ctx=handler.ctx)
    assert handler.ctx.streaming_queue is not queue


@old
async def test_a_handler_still_speaks_as_a_future() -> None:
    handler, good, bad = await asking(), await answered(), await answered("fail")

    with pytest.raises(asyncio.InvalidStateError, match="Exception is not set"):
        handler.exception()
    assert (handler.done(), handler.cancelled()) == (False, False)
    assert (good.done(), good.cancelled(), good.exception()) == (True, False, None)
    assert (bad.done(), bad.cancelled(), str(bad.exception())) == (True, False, "no ink")


@old
async def test_a_handler_can_be_cancelled_without_waiting() -> None:
    """Behaviour 27."""
    handler = await asking()

    handler.cancel()

    with pytest.raises(WorkflowCancelledByUser):
        await handler
    assert (handler.done(), handler.cancelled()) == (True, True)
    assert isinstance(handler.exception(), WorkflowCancelledByUser)
    assert isinstance(handler.get_stop_event(), WorkflowCancelledEvent)


# --- The stream and the id ---------------------------------------------------------------------------


async def test_internal_events_count_from_the_call_not_from_the_loop() -> None:
    """Behaviour 30."""
    handler = Uses(str).run()

    stream = handler.stream_events(expose_internal=True)
    await handler

    assert [type(event) for event in [event async for event in stream]] == [StepStateChanged] * 2 + [StopEvent]


async def test_a_run_that_is_gone_on_with_may_get_a_new_id() -> None:
    handler = await asking()
    snapshot = handler.ctx.to_dict()
    kept = Asks().run(ctx=Context[DictState].from_dict(Asks(), snapshot))
    renamed = Asks().run(ctx=Context[DictState].from_dict(Asks(), snapshot), run_id="mine")

    assert (kept.run_id, renamed.run_id) == (handler.run_id, "mine")
    with pytest.raises(RuntimeError, match="Workflow run with run_id 'mine' already exists"):
        Asks().run(ctx=Context[DictState].from_dict(Asks(), snapshot), run_id="mine")


def test_a_stop_event_prints_as_its_result() -> None:
    class Verdict(StopEvent):
        kind: str

    assert (str(StopEvent(result="done")), str(StopEvent())) == ("done", "None")
    assert (str(Verdict(kind="good")), str(Verdict(kind="good", result=3))) == ("kind='good'", "3")
