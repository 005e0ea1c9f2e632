"""Questions to people: how they open, what answers them, what happens when nobody does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from engine.core.ending import end_run
from engine.core.model import Answered, Ask, Call, Command, Definition, Origin, RunState, Show, Timer, Wait, WakeAt
from engine.core.routing import lineage_of, matches, route, unhandled
from engine.core.streams import leave
from engine.core.workers import end_wait
from engine.errors import CodecError, WorkflowTimeoutError
from engine.events import AskExpired, EffectInDoubt, HumanResponseEvent, InputRequiredEvent, WorkflowTimedOutEvent

HAPPENED, AGAIN, CANCEL = "it happened", "run it again", "cancel the run"
"""The answers to `in_doubt`."""


def in_doubt(step: str, key: str) -> EffectInDoubt:
    """Ask about a ``ctx.effect`` that was interrupted, so that only a person can find out whether it happened."""
    return EffectInDoubt(
        step=step,
        key=key,
        prefix=f"Step `{step}` was interrupted during `{key}`, which may or may not have happened. "
        "Please look, then say how to go on.",
        options=[HAPPENED, AGAIN, CANCEL],
    )


def open_question(
    state: RunState,
    event: InputRequiredEvent,
    at: float,
    out: list[Command],
    call: Call | None = None,
    wait: Wait | None = None,
    stream: int | None = None,
) -> None:
    """Open a question and owe its showing. A *stream* that a step has asked in stays open until it is closed."""
    if event._ask_id is not None:
        event = event.model_copy()  # an author may ask with the same object again
    timeout = seconds(getattr(event, "timeout", None))
    on_timeout = getattr(event, "on_timeout", None)
    ask = Ask(
        id=f"a{state.next_id}",
        event=event,
        opened_at=at,
        deadline=None if timeout is None else at + timeout,
        on_timeout=on_timeout if on_timeout and isinstance(on_timeout, str) else "expire",
        call_id=None if call is None else call.id,
        wait_id=None if wait is None else wait.id,
        stream=stream,
    )
    if stream is not None:
        state.streams[stream].open += 1
    state.next_id += 1
    event._ask_id = ask.id
    if wait is not None:
        wait.ask_id = ask.id
    state.asks[ask.id] = ask
    out.append(Show(ask.id))
    if ask.deadline is not None:
        out.append(WakeAt(Timer(ask.deadline, "ask", ask.id)))


def seconds(value: Any) -> float | None:
    """Read a number of seconds in a question; what an author of LlamaIndex may keep there besides is none."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    return float(value) if type(value) in (int, float) and math.isfinite(value) else None


def listed(value: Any) -> Sequence[Any]:
    """Read a list in a question, as `seconds` does a number."""
    return value if isinstance(value, (list, tuple)) else ()


def words(value: Any) -> tuple[str, ...]:
    """Read a list of words in a question, as `seconds` does a number."""
    found = listed(value)
    return tuple(found) if all(isinstance(item, str) for item in found) else ()


def close_question(definition: Definition, state: RunState, ask: Ask, at: float, out: list[Command]) -> None:
    """Close a question that a step has returned; what came of it is on its way already."""
    del state.asks[ask.id]
    leave(definition, state, ask.stream, at, out)


def answer(definition: Definition, state: RunState, tick: Answered, out: list[Command]) -> None:
    ask = state.asks.get(tick.ask_id)
    if ask is None:
        out.append(unhandled(state, tick.event, None))
    elif ask.call_id is not None and ask.wait_id is not None:
        del state.asks[ask.id]
        call = state.calls[ask.call_id]
        call.waits[ask.wait_id].answer = tick.event
        end_wait(definition, state, call, out)
    else:
        if not route(definition, state, tick.event, tick.at, out, origin=Origin(ask.stream)):
            out.append(unhandled(state, tick.event, None))
        close_question(definition, state, ask, tick.at, out)


def _awaited_class(definition: Definition, state: RunState, ask_id: str) -> type[HumanResponseEvent]:
    """Return the class of answer that the asker of a question waits for."""
    ask = state.asks.get(ask_id)
    if ask is not None and ask.call_id is not None and ask.wait_id is not None:
        named = definition.types.get(state.calls[ask.call_id].waits[ask.wait_id].accepts, HumanResponseEvent)
        return named if issubclass(named, HumanResponseEvent) else HumanResponseEvent
    taken = answer_classes(definition)
    return taken.pop() if len(taken) == 1 else HumanResponseEvent


def answer_classes(definition: Definition) -> set[type[HumanResponseEvent]]:
    """Return every class of answer that a step takes."""
    steps = definition.steps.values()
    return {kind for step in steps for kind in step.accepts if issubclass(kind, HumanResponseEvent)}


def as_awaited(definition: Definition, state: RunState, ask_id: str, event: HumanResponseEvent) -> HumanResponseEvent:
    """Return an answer as an event of the class that its question's asker waits for.

    Raises:
        CodecError: it does not fit that class.
    """
    cls = _awaited_class(definition, state, ask_id)
    if isinstance(event, cls):
        return event
    try:
        return cls(**event.to_dict())
    except ValidationError as error:
        first = error.errors()[0]
        raise CodecError(f"answer to {ask_id} does not fit {cls.__name__}: {first['loc']}: {first['msg']}") from error


def fits(definition: Definition, state: RunState, ask_id: str, event: HumanResponseEvent) -> bool:
    """Tell whether the question is open and *event* is of the kind that its asker waits for."""
    ask = state.asks.get(ask_id)
    if ask is None:
        return False
    if ask.call_id is not None and ask.wait_id is not None:
        return matches(state.calls[ask.call_id].waits[ask.wait_id], event, lineage_of(event))
    return bool(definition.accepting(type(event)))


def expire(definition: Definition, state: RunState, ask_id: str, at: float, out: list[Command]) -> None:
    """Nobody answered in time: give the answer the author named, else tell the step, else fail."""
    ask = state.asks.get(ask_id)
    if ask is None:
        return
    if ask.call_id is not None and ask.wait_id is not None:
        call = state.calls[ask.call_id]
        expire_wait(definition, state, call, call.waits[ask.wait_id], at, out)
        return
    origin = Origin(ask.stream)
    if ask.on_timeout not in ("expire", "fail"):
        route(definition, state, _standing_answer(definition, state, ask, at), at, out, origin=origin)
        close_question(definition, state, ask, at, out)
    elif ask.on_timeout == "expire" and route(definition, state, AskExpired(ask_id=ask_id), at, out, origin=origin):
        close_question(definition, state, ask, at, out)
    else:
        seconds = (at if ask.deadline is None else ask.deadline) - ask.opened_at
        untaken = ", and no step takes AskExpired" if ask.on_timeout == "expire" else ""
        error = WorkflowTimeoutError(f"Nobody answered question {ask_id} within {seconds:g} seconds{untaken}")
        end_run(state, "timed_out", WorkflowTimedOutEvent(timeout=seconds, active_steps=[]), out, error)


def expire_wait(definition: Definition, state: RunState, call: Call, wait: Wait, at: float, out: list[Command]) -> None:
    ask = None if wait.ask_id is None else state.asks.get(wait.ask_id)
    if ask is not None and ask.on_timeout not in ("expire", "fail"):
        wait.answer = _standing_answer(definition, state, ask, at)
    else:
        wait.expired = True
    if ask is not None:
        del state.asks[ask.id]
    end_wait(definition, state, call, out)


def _standing_answer(definition: Definition, state: RunState, ask: Ask, at: float) -> HumanResponseEvent:
    """Return the answer that the author named for when nobody gives one: by nobody, and without a comment."""
    given = HumanResponseEvent(response=ask.on_timeout, ask_id=ask.id, user_id=None, comment="", answered_at=at)
    try:
        return as_awaited(definition, state, ask.id, given)
    except CodecError:  # the asker's own class wants more than a response, and silence has no more
        return given
