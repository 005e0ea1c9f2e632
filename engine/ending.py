"""How a run ends."""

from __future__ import annotations

from engine.errors import WorkflowTimeoutError
from engine.events import Event, WorkflowTimedOutEvent
from engine.model import Announce, Command, Definition, RunState, RunStatus


def end_run(
    state: RunState, status: RunStatus, event: Event, out: list[Command], error: Exception | None = None
) -> None:
    """Close the run. A cancelled one keeps its calls and questions: its snapshot can go on."""
    state.status, state.final, state.error = status, event, error
    state.deadline = None
    if status != "cancelled":
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
