"""What a run waits for the clock for."""

from __future__ import annotations

from engine.core.model import Call, RunState, Timer, Wait


def timers(state: RunState) -> list[Timer]:
    """Return every time that matters to an unfinished run."""
    found = [] if state.deadline is None else [Timer(state.deadline, "run")]
    found += [Timer(ask.deadline, "ask", ask.id) for ask in state.asks.values() if ask.deadline is not None]
    for call in state.calls.values():
        if call.status == "delayed" and call.not_before is not None:
            found.append(Timer(call.not_before, "call", str(call.id)))
        if call.id in state.waiting:
            found += [wait_timer(call, wait) for wait in call.waits.values() if wait.open and wait.deadline is not None]
    return found


def wait_timer(call: Call, wait: Wait) -> Timer:
    """Return when *wait* is over even if nothing has come."""
    assert wait.deadline is not None
    return Timer(wait.deadline, "wait", str(call.id), wait.id)
