"""Fan-out and fan-in by lists: a step that returns one opens a stream, and each step that takes one is called once.

A stream counts what of it is on its way: calls, questions, streams within. Whatever ends is replaced by
what comes of it before it is counted out, so a count of 0 means that nothing more can arrive.
"""

from __future__ import annotations

from engine.collect import Take
from engine.core.collecting import Slots, fill
from engine.core.model import OUTSIDE, Command, Definition, Origin, RunState, StepSpec, Stream
from engine.core.workers import owe_call
from engine.errors import WorkflowRuntimeError
from engine.events import CollectionReleaseEvent, Event


def check_made(step: StepSpec, made: object) -> None:
    """Refuse what a step must not return.

    Raises:
        WorkflowRuntimeError: it is no event, or stands alone where the step has declared it in a list only.
    """
    if made is None:
        return
    if isinstance(made, list) and step.lists:
        for one in made:
            if not isinstance(one, Event):
                raise WorkflowRuntimeError(
                    f"Step function {step.name} returned a list containing {type(one).__name__} "
                    "instead of an Event instance."
                )
    elif not isinstance(made, Event):
        raise WorkflowRuntimeError(
            f"Step function {step.name} returned {type(made).__name__} instead of an Event instance."
        )
    elif step.lists and not isinstance(made, step.singles):
        raise WorkflowRuntimeError(
            f"Step function {step.name} returned a bare {type(made).__name__} but its return annotation only declares "
            "it inside a list. Return a one-element list to fan out, or declare the bare type as a union member "
            "(e.g. -> list[A] | B) for ordinary dispatch."
        )


def open_stream(state: RunState, source: str, parent: int | None) -> int:
    """Open a stream for what step *source* has returned, and return its id. It holds itself open: `leave` it."""
    stream_id = state.next_id
    state.next_id += 1
    state.streams[stream_id] = Stream(source, parent, open=1)
    if parent is not None:
        state.streams[parent].open += 1
    return stream_id


def leave(definition: Definition, state: RunState, stream_id: int | None, at: float, out: list[Command]) -> None:
    """Count out something of a stream that has ended; the last one closes it."""
    while stream_id is not None and stream_id in state.streams:
        stream = state.streams[stream_id]
        stream.open -= 1
        if stream.open:
            return
        for name in definition.collectors.get(stream.source, ()):
            batch = stream.batches.get(name, [])
            if batch is not None:
                _call_with(state, definition.steps[name], batch, at, out, Origin(stream.parent))
        del state.streams[stream_id]
        for step in definition.steps.values():
            if step.slots:
                state.slots.pop((step.name, stream_id), None)
        stream_id = stream.parent


def arrive(
    definition: Definition, state: RunState, step: StepSpec, event: Event, at: float, out: list[Command], origin: Origin
) -> bool:
    """Take an event in for a step that is called with several; False if it is of no stream that the step collects."""
    if step.collects is None:
        _take_slot(state, step, event, at, out, origin)
        return True
    stream = None if origin.stream is None else state.streams[origin.stream]
    if stream is None or step.name not in definition.collectors.get(stream.source, ()):
        return False
    batch = stream.batches.setdefault(step.name, [])
    if batch is not None:
        batch.append(event)
        if isinstance(step.collects, Take) and len(batch) == step.collects.n:
            stream.batches[step.name] = None
            _call_with(state, step, batch, at, out, Origin(stream.parent))
    return True


def _take_slot(
    state: RunState, step: StepSpec, event: Event, at: float, out: list[Command], origin: Origin = OUTSIDE
) -> None:
    place = step.name, origin.stream
    waiting = state.slots.pop(place, None) or Slots()
    waiting.put(event)
    filled = fill(waiting, step.slots, subclasses=step.takes_subclasses)
    if waiting.waiting:
        state.slots[place] = waiting
    if filled is not None:
        _call_with(state, step, filled, at, out, origin)


def _call_with(
    state: RunState, step: StepSpec, events: list[Event], at: float, out: list[Command], origin: Origin
) -> None:
    owe_call(state, step, CollectionReleaseEvent(events=events), at, out, origin)
