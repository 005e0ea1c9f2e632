"""What workflows, contexts and handlers offer beside running: old names, wrong places, options, serializers."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from typing import Any

from engine import Context, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.serializers import BaseSerializer, JsonPickleSerializer, JsonSerializer, PickleSerializer
from engine.state_store import DictState, InMemoryStateStore
from tests.parity.seeing import Seen, end_of, first_questions, refusal


class Asking(Workflow):
    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(prefix="?")

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        if ev.response == "fail":
            raise ValueError("no ink")
        return StopEvent(result=ev.response)


class Using(Workflow):
    """Uses its context in its only step."""

    def __init__(self, use: Callable[[Any], Any]) -> None:
        super().__init__()
        self.use = use

    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        return StopEvent(result=repr(await _used(self.use, ctx)))


class Backwards(BaseSerializer):
    def serialize(self, value: Any) -> str:
        return json.dumps(value)[::-1]

    def deserialize(self, value: str) -> Any:
        return json.loads(value[::-1])


USES: dict[str, Callable[[Any], Any]] = {
    "wait": lambda ctx: ctx.wait_for_event(HumanResponseEvent),
    "collect": lambda ctx: ctx.collect_events(Event(), [Event]),
    "write": lambda ctx: ctx.write_event_to_stream(Event()),
    "retry_info": lambda ctx: ctx.retry_info(),
    "running_steps": lambda ctx: ctx.running_steps(),
    "stream": lambda ctx: ctx.stream_events(),
    "get_result": lambda ctx: ctx.get_result(),
    "queue": lambda ctx: ctx.streaming_queue,
}


async def _used(use: Callable[[Any], Any], ctx: Any) -> Any:
    with _old():
        made = use(ctx)
    return await made if asyncio.iscoroutine(made) else made


@contextlib.contextmanager
def _old() -> Iterator[None]:
    """Theirs warns once for a process, ours each time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


async def _answered(response: str) -> Any:
    handler = Asking(workflow_name="asking").run()
    await first_questions(handler)
    await handler.send_event(HumanResponseEvent(response=response))
    await end_of(handler)
    return handler


# --- Places ------------------------------------------------------------------------------------


async def a_context_before_its_run() -> Seen:
    return {name: await end_of(_used(use, Context(Asking()))) for name, use in USES.items()}


async def a_context_beside_its_run() -> Seen:
    handler = Asking().run()
    await first_questions(handler)
    inside = ("wait", "collect", "write", "retry_info", "running_steps")
    return {name: await end_of(_used(USES[name], handler.ctx)) for name in inside}


async def a_step_that_looks_at_its_run_from_outside() -> Seen:
    outside = ("running_steps", "stream", "get_result", "queue")
    seen = {name: await end_of(Using(USES[name]).run()) for name in outside}
    return seen, await end_of(Using(lambda ctx: ctx.to_dict()).run())


async def a_step_that_runs_a_workflow_in_its_own_context() -> Seen:
    return await end_of(Using(lambda ctx: Asking().run(ctx=ctx)).run())


# --- Old names ---------------------------------------------------------------------------------


async def a_handler_as_a_future() -> Seen:
    open_, good, bad = Asking().run(), await _answered("yes"), await _answered("fail")
    with _old():
        before = open_.done(), refusal(open_.exception)
        return before, [(one.done(), one.cancelled(), refusal(one.exception)) for one in (good, bad)]


async def a_cancelled_future() -> Seen:
    handler = Asking().run()
    await first_questions(handler)
    with _old():
        handler.cancel()
        await asyncio.sleep(0.01)
        handler.cancel()
        return handler.done(), handler.cancelled()


async def a_result_from_the_context() -> Seen:
    good, bad = await _answered("yes"), await _answered("fail")
    with _old():
        return refusal(good.ctx.get_result), refusal(bad.ctx.get_result)


async def a_handler_and_its_end_as_text() -> Seen:
    handler = await _answered("yes")
    return str(handler).replace(handler.run_id, "R"), str(handler.get_stop_event()), str(StopEvent())


# --- Options -----------------------------------------------------------------------------------


async def options_that_make_no_sense() -> Seen:
    numbers: list[Any] = [0, -1, True, 1.5, "2"]
    refused = [refusal(partial(Asking, num_concurrent_runs=number)) for number in numbers]
    return refused, refusal(lambda: Asking(skip_graph_checks={"sense"}))


async def a_run_id_for_a_run_that_goes_on() -> Seen:
    handler = Asking().run()
    await first_questions(handler)
    snapshot = handler.ctx.to_dict()
    await handler.cancel_run()
    again = Asking().run(ctx=Context.from_dict(Asking(), snapshot), run_id="gone-on-with", unknown=1)
    return again.run_id, refusal(lambda: Asking().run(run_id="gone-on-with"))


async def cancelling_a_step_that_takes_its_time() -> Seen:
    begun, go = asyncio.Event(), asyncio.Event()

    class Stubborn(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            begun.set()
            while not go.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await go.wait()
            return StopEvent()

    handler = Stubborn().run()
    await begun.wait()
    asyncio.get_running_loop().call_later(0.1, go.set)
    cancelled = await end_of(handler.cancel_run(timeout=0.01))
    return cancelled, go.is_set()


async def what_a_verbose_workflow_says() -> Seen:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        handler = Asking(verbose=True).run()
        await first_questions(handler)
        await handler.send_event(HumanResponseEvent(response="yes"))
        await end_of(handler)
    return sorted(line for line in said.getvalue().splitlines() if not line.startswith("[tick]"))


# --- Serializers -------------------------------------------------------------------------------


async def values_that_json_has() -> Seen:
    serializer = JsonSerializer()
    values: list[Any] = [None, True, 1, 2.5, "x", [1, [2]], {"a": {"b": [1]}}]
    return [(json.loads(text), serializer.deserialize(text)) for text in map(serializer.serialize, values)]


async def events_through_a_serializer() -> Seen:
    serializer = JsonSerializer(allowed_types=[])
    given = [StartEvent(topic="x"), {"deep": [HumanResponseEvent(response="yes")]}]
    again = serializer.deserialize(serializer.serialize(given))
    return [type(again[0]).__name__, again[0].topic, again[1]["deep"][0].response]


async def values_that_pickles_have() -> Seen:
    serializer = PickleSerializer()
    again = serializer.deserialize(serializer.serialize(Fraction(1, 3)))
    return str(again), JsonPickleSerializer is PickleSerializer


async def a_value_that_json_has_not() -> Seen:
    refused = refusal(lambda: JsonSerializer().serialize(Fraction(1, 3)))
    return refused.partition("Failed to serialize value: <class 'fractions.Fraction'>")[1]


async def a_class_that_is_not_allowed() -> Seen:
    serializer = JsonSerializer(allowed_types=[]).with_types(Fraction)
    refused = refusal(lambda: serializer.resolve_class("decimal.Decimal"))
    return serializer.resolve_class("fractions.Fraction").__name__, refused.partition(" Pass")[0]


async def states_through_serializers() -> Seen:
    found = []
    for serializer, value in ((PickleSerializer(), Fraction(1, 3)), (Backwards(), {"a": [1, None]})):
        ctx: Any = Context(Asking(serializer=serializer))
        await ctx.store.set("kept", value)
        again: Any = Context.from_dict(Asking(), json.loads(json.dumps(ctx.to_dict())), serializer)
        found.append(str(await again.store.get("kept")))
    return found


async def a_snapshot_without_its_state() -> Seen:
    ctx: Any = Context(Asking())
    await ctx.store.set("kept", 1)
    again: Any = Context.from_dict(Asking(), ctx.to_dict(include_state=False))
    return await again.store.get("kept", default=None)


async def a_store_without_a_run() -> Seen:
    store = InMemoryStateStore(DictState())
    await store.set("draft.title", "x")
    async with store.edit_state() as state:
        state["draft"]["title"] += "y"
        during = await store.get("draft.title")
    again = InMemoryStateStore[DictState].from_dict(store.to_dict(JsonSerializer()), JsonSerializer())
    await store.clear()
    return during, await again.get("draft"), (await store.get_state()).to_dict()
