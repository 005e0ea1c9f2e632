"""How a run that is over, or a copy of one, goes on: from where it stood, with everything asked anew."""

from __future__ import annotations

from copy import copy

from engine.core.children import forget_failed
from engine.core.model import Ask, Call, Definition, Reopened, RunState
from engine.errors import UnreconstructedException


def reopen(definition: Definition, state: RunState, tick: Reopened) -> None:
    """Make *state* that of a running run whose calls are all still to be made."""
    state.status, state.final, state.error, state.announced = "running", None, None, False
    state.budget, state.deadline = definition.timeout, None
    state.reopened += 1
    for call in state.calls.values():
        if call.failure is not None:
            _try_afresh(state, call, tick.at)
    for ask in tuple(state.asks.values()):
        _ask_anew(state, ask, tick)


def _try_afresh(state: RunState, call: Call, at: float) -> None:
    """Count a call's attempts from one; what it waited for in vain and failed of, it waits for again."""
    forget_failed(state, call)
    if _timed_out(call.failure):
        call.waits = {wait.id: wait for wait in call.waits.values() if wait.child is not None or not wait.expired}
    call.attempt, call.first_at = 1, at
    call.failure = call.failed_at = None


def _timed_out(failure: Exception | None) -> bool:
    if isinstance(failure, UnreconstructedException):
        return failure.exception_type == TimeoutError.__name__
    return isinstance(failure, TimeoutError)


def _ask_anew(state: RunState, ask: Ask, tick: Reopened) -> None:
    """Put a question again under a new id, with all the time that it had: the old one is closed for good."""
    late = tick.at - ask.opened_at
    event = (ask.event or tick.questions[ask.id]).model_copy()
    event._ask_id = f"a{state.next_id}"
    state.next_id += 1
    anew = copy(ask)
    anew.id, anew.event, anew.opened_at, anew.shown = event._ask_id, event, tick.at, False
    anew.deadline = None if ask.deadline is None else ask.deadline + late
    del state.asks[ask.id]
    state.asks[anew.id] = anew
    if ask.call_id is not None and ask.wait_id is not None:
        wait = state.calls[ask.call_id].waits[ask.wait_id]
        wait.ask_id = anew.id
        wait.deadline = None if wait.deadline is None else wait.deadline + late
