"""What ``verbose=True`` says: a line when a step begins, waits for a worker or ends, and one for the result."""

from __future__ import annotations

import logging

from engine.events import Event, StepState, StepStateChanged, StopEvent

logger = logging.getLogger(__name__)


def say(event: Event) -> None:
    """Log the line for *event* if the logger is on for INFO, or else print it."""
    line = _line_for(event)
    if line is None:
        return
    if logger.isEnabledFor(logging.INFO):
        logger.info("%s", line)
    else:
        print(line)  # noqa: T201 - what the author asked for


def _line_for(event: Event) -> str | None:
    """Return what there is to say of *event*."""
    match event:
        case StopEvent():
            return f"[result] {event!r}"
        case StepStateChanged(step_state=StepState.PREPARING):
            return f"[{event.name}] enqueued (waiting for capacity)"
        case StepStateChanged(step_state=StepState.RUNNING):
            return f"[{event.name}:{event.worker_id}] started from {event.input_event_name}"
        case StepStateChanged():
            return f"[{event.name}:{event.worker_id}] complete with {_made(event.output_event_name)}"
    return None


def _made(output: str | None) -> str:
    """Return the bare name in ``<class 'module.Name'>``, which is how a step's output is told."""
    name = (output or "").removesuffix("'>").rpartition(".")[2]
    return "no result" if not name or name == str(type(None)).removesuffix("'>") else name
