"""Step calls and the workers they need: whoever has none waits in a queue."""

from __future__ import annotations

from collections import deque

from engine.core.model import OUTSIDE, Call, Command, Definition, Origin, RunState, RunStep, StepSpec
from engine.events import Event


def owe_call(
    state: RunState, step: StepSpec, event: Event, at: float, out: list[Command], origin: Origin = OUTSIDE
) -> None:
    """Owe a new call of *step*."""
    call = Call(state.next_id, step.name, event, first_at=at, origin=origin)
    if origin.stream is not None:
        state.streams[origin.stream].open += 1
    state.next_id += 1
    state.calls[call.id] = call
    _take_worker(step, state, call, out)


def go_along(definition: Definition, state: RunState, source: str, target: str) -> None:
    """Count one more way along an arrow of the graph."""
    arrow = source, target
    if arrow in state.path:
        state.path[arrow] += 1
    else:
        state.path[definition.arrows.setdefault(arrow, arrow)] = 1


def is_idle(state: RunState) -> bool:
    """Tell whether every call waits for the world; one that is to be tried again will go on by itself."""
    return all(call.status == "waiting" for call in state.calls.values())


def _take_worker(step: StepSpec, state: RunState, call: Call, out: list[Command]) -> None:
    """Give *call* a worker of its step, or a place in the queue for one."""
    taken = state.running.get(step.name, 0)
    if taken < step.num_workers:
        state.running[step.name] = taken + 1
        call.status = "ready"
        out.append(RunStep(call.id))
    else:
        call.status = "queued"
        if step.name not in state.queued:
            state.queued[step.name] = deque()
        state.queued[step.name].append(call.id)


def free_worker(step: StepSpec, state: RunState, out: list[Command]) -> None:
    """Take a worker back and give it to the next call in the queue."""
    queue = state.queued.get(step.name)
    if not queue:
        state.running[step.name] -= 1
        return
    call = state.calls[queue.popleft()]
    call.status = "ready"
    out.append(RunStep(call.id))


def end_call(state: RunState, call_id: int) -> Call | None:
    """Take a call out of the run, and what it asks with it; None if it is not there."""
    call = state.calls.pop(call_id, None)
    if call is not None and call.id in state.waiting:
        del state.waiting[call.id]
        for wait in call.waits.values():
            if wait.open and wait.ask_id is not None:
                state.asks.pop(wait.ask_id, None)
    return call


def end_wait(definition: Definition, state: RunState, call: Call, out: list[Command]) -> None:
    """A wait of *call* is over: run it again, at once if it waits."""
    if not any(wait.open for wait in call.waits.values()):
        state.waiting.pop(call.id, None)
    stir(definition, state, call, out)


def stir(definition: Definition, state: RunState, call: Call, out: list[Command]) -> None:
    """Run a waiting call again, or have one that runs do so before it waits."""
    if call.status == "waiting":
        wake_call(definition, state, call, out)
    else:
        call.missed = call.status == "ready"


def wake_call(definition: Definition, state: RunState, call: Call, out: list[Command]) -> None:
    """Run a waiting or delayed call again from its top."""
    call.not_before = None
    _take_worker(definition.steps[call.step], state, call, out)
