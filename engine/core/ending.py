"""How a run ends, and what it came to."""

from __future__ import annotations

from typing import Any

from engine.core.model import Announce, Command, Definition, RunState, RunStatus
from engine.errors import WorkflowCancelledByUser, WorkflowTimeoutError
from engine.events import Event, StopEvent, WorkflowTimedOutEvent


def end_run(
    state: RunState, status: RunStatus, event: Event, out: list[Command], error: Exception | None = None
) -> None:
    """Close the run. Unless it is done it keeps its calls and questions, and can go on one day."""
    state.status, state.final, state.error = status, event, error
    state.deadline = None
    if status == "done":
        state.calls.clear()
        state.asks.clear()
        state.buffers.clear()
        state.streams.clear()
        state.slots.clear()
        state.running.clear()
        state.queued.clear()
        state.waiting.clear()
    out.append(Announce())


def time_out(definition: Definition, state: RunState, out: list[Command]) -> None:
    """End a run whose budget of active time is spent."""
    active = sorted({call.step for call in state.calls.values() if call.status == "ready"})
    timeout = definition.timeout or 0.0
    steps = f"Currently active steps: {', '.join(active)}" if active else "No steps active"
    error = WorkflowTimeoutError(f"Operation timed out after {timeout} seconds. {steps}")
    end_run(state, "timed_out", WorkflowTimedOutEvent(timeout=timeout, active_steps=active), out, error)


def failure(state: RunState) -> Exception | None:
    """Return what awaiting a run that is over raises, if anything."""
    if state.status == "cancelled":
        return WorkflowCancelledByUser("Workflow run was cancelled")
    return state.error


def result(state: RunState) -> Any:
    """Return what awaiting a run that is over returns: the event itself unless it is a plain StopEvent."""
    return state.final.result if type(state.final) is StopEvent else state.final
