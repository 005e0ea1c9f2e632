"""The verbs of the core: ``begin``, ``reduce``, ``todo``.

Pure: no I/O, no clock, no randomness. The same ticks give the same state. `reduce` updates
the state in place, because a tick must cost what it touches and not what the run has lived
through, and returns what the tick newly calls for. `todo` lists all a state still owes the
world: after a crash it is the whole recovery code. Tests hold the two to each other.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import assert_never

from pydantic import BaseModel

from engine.core.children import forget_failed, give_up, openings_of
from engine.core.collecting import Buffer, collect
from engine.core.ending import end_run, time_out
from engine.core.model import (
    OUTSIDE,
    Announce,
    Announced,
    Answered,
    Call,
    CancelRequested,
    Collected,
    Command,
    Definition,
    Emitted,
    Expired,
    Heard,
    Intended,
    Nested,
    Origin,
    Paused,
    Publish,
    Raised,
    Remembered,
    Reopened,
    Resumed,
    Returned,
    RunState,
    RunStep,
    Sent,
    Show,
    Shown,
    StepSpec,
    Stirred,
    Streamed,
    Suspended,
    Tick,
    Timer,
    Unstorable,
    Wait,
    WakeAt,
    Woke,
    Wrote,
    handler_of,
)
from engine.core.paths import write_path
from engine.core.questions import answer, close_question, expire, expire_wait, fits, open_question
from engine.core.reopening import reopen
from engine.core.routing import deliver, route, unhandled
from engine.core.streams import leave, open_stream
from engine.core.timing import timers, wait_timer
from engine.core.versions import stored_name
from engine.core.workers import end_call, free_worker, go_along, owe_call, stir, wake_call
from engine.events import (
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
)


def begin(
    definition: Definition, run_id: str, start: StartEvent, at: float, store: BaseModel | None = None
) -> RunState:
    """Return the first state of a run; what it owes is in `todo`."""
    state = RunState(
        run_id=run_id,
        workflow=definition.name,
        store=definition.state_type() if store is None else store,
        budget=definition.timeout,
    )
    route(definition, state, start, at, [])
    return state


def todo(state: RunState) -> list[Command]:
    """Return everything *state* still owes the world, in no order of weight."""
    if state.finished:
        return [] if state.announced else [Announce()]
    owed: list[Command] = [Show(ask.id) for ask in state.asks.values() if not ask.shown]
    owed += [RunStep(call.id) for call in state.calls.values() if call.status == "ready"]
    return owed + [WakeAt(timer) for timer in timers(state)]


def reduce(definition: Definition, state: RunState, tick: Tick) -> list[Command]:
    """Apply one tick to *state* and return what it newly calls for."""
    out: list[Command] = []
    if state.status != "running" and not isinstance(tick, Reopened | Unstorable):
        if isinstance(tick, Announced):
            state.announced = True
        return out
    match tick:  # tried in this order: the frequent ones first
        case Returned():
            _returned(definition, state, tick, out)
        case Streamed():
            if _first_time(state, tick.call_id, tick.position, _effect("stream", type(tick.event))):
                out.append(Publish(tick.event))
        case Emitted():
            if _first_time(state, tick.call_id, tick.position, _effect("send", type(tick.event))):
                if isinstance(tick.event, StopEvent):
                    out.append(unhandled(state, tick.event, tick.step))  # only what a step returns ends a run
                else:
                    call = state.calls.get(tick.call_id)
                    recoveries = None if call is None else call.origin.recoveries
                    origin = Origin(recoveries=recoveries) if recoveries else OUTSIDE
                    _emit(definition, state, tick.event, tick.at, out, call, origin, tick.step)
        case Wrote():
            if tick.call_id is None or _first_time(state, tick.call_id, tick.position, f"set {tick.path}"):
                _write(state, tick)
        case Collected():
            _collected(state, tick)
        case Resumed():
            if state.budget is not None:
                state.deadline = tick.at + state.budget
                out.append(WakeAt(Timer(state.deadline, "run")))
        case Suspended():
            _suspend(state, tick.at)
        case Shown():
            if (ask := state.asks.get(tick.ask_id)) is not None:
                ask.shown = True
        case Paused():
            _paused(definition, state, tick, out)
        case Answered():
            answer(definition, state, tick, out)
        case Sent():
            _sent(definition, state, tick, out)
        case Raised():
            _raised(definition, state, tick, out)
        case Intended():
            if (call := state.calls.get(tick.call_id)) is not None:
                call.intents[tick.key] = tick.intent
        case Remembered():
            if (call := state.calls.get(tick.call_id)) is not None:
                call.memo[tick.key] = tick.value
                call.intents.pop(tick.key, None)
        case Nested():
            if (call := state.calls.get(tick.call_id)) is not None:
                _nested(state, call, tick)
        case Heard():
            if (call := state.calls.get(tick.call_id)) is not None:
                call.waits = {w.id: w for w in call.waits.values() if w.open or w.child != tick.name}
        case Stirred():
            if (call := state.calls.get(tick.call_id)) is not None:
                stir(definition, state, call, out)
        case Woke():
            _woke(definition, state, tick, out)
        case Expired():
            expire(definition, state, tick.ask_id, tick.at, out)
        case CancelRequested():
            _suspend(state, tick.at)  # it may go on one day
            end_run(state, "cancelled", WorkflowCancelledEvent(), out)
        case Reopened():
            reopen(definition, state, tick)
            return todo(state)
        case Unstorable():
            end_run(state, "failed", WorkflowFailedEvent(step_name="", exception=tick.error), out, tick.error)
        case Announced():
            pass
        case _:
            assert_never(tick)
    return out


# --- Step calls -------------------------------------------------------------------------


def _returned(definition: Definition, state: RunState, tick: Returned, out: list[Command]) -> None:
    call = end_call(state, tick.call_id)
    if call is None:
        return  # the late twin of a call that ran twice
    free_worker(definition.steps[call.step], state, out)
    if isinstance(tick.made, list):
        stream = open_stream(state, call.step, call.origin.stream)
        for event in tick.made:
            if not state.finished:
                _emit(definition, state, event, tick.at, out, call, call.origin._replace(stream=stream))
        leave(definition, state, stream, tick.at, out)
    elif tick.made is not None:
        _emit(definition, state, tick.made, tick.at, out, call, call.origin)
    leave(definition, state, call.origin.stream, tick.at, out)


def _paused(definition: Definition, state: RunState, tick: Paused, out: list[Command]) -> None:
    call = state.calls.get(tick.call_id)
    if call is None:
        return
    if tick.wait is not None:
        _open_wait(state, call, tick.wait, tick.question, tick.at, out)
    give_up(state, call)
    for wait, ask in openings_of(call):
        _open_wait(state, call, wait, ask.event if ask else None, ask.opened_at if ask else tick.at, out)
    if call.missed or call.id not in state.waiting:
        call.missed = False
        out.append(RunStep(call.id))  # it keeps its worker
    else:
        call.status = "waiting"
        free_worker(definition.steps[call.step], state, out)


def _open_wait(
    state: RunState, call: Call, wait: Wait, question: Event | None, asked_at: float, out: list[Command]
) -> None:
    """Let *call* wait for something, unless it does already."""
    if wait.id in call.waits:
        return
    call.waits[wait.id] = wait
    state.waiting[call.id] = None
    if isinstance(question, InputRequiredEvent):
        open_question(state, question, asked_at, out, call, wait)
    elif question is not None:
        out.append(Publish(question))
    if wait.deadline is not None:
        out.append(WakeAt(wait_timer(call, wait)))


def _raised(definition: Definition, state: RunState, tick: Raised, out: list[Command]) -> None:
    call = state.calls.get(tick.call_id)
    if call is None:
        return
    step = definition.steps[call.step]
    call.failure, call.failed_at = tick.error, tick.at
    if tick.retry_in is None:
        handler = handler_of(definition.steps, step)
        if handler is not None and call.origin.recoveries.get(handler.name, 0) < handler.max_recoveries:
            _recover(definition, step, handler, state, call, tick, out)
            return
        end_run(
            state,
            "failed",
            WorkflowFailedEvent(
                step_name=step.name,
                exception=tick.error,
                attempts=call.attempt,
                elapsed_seconds=tick.at - call.first_at,
            ),
            out,
            tick.error,
        )
        return
    forget_failed(state, call)
    call.attempt += 1
    if tick.retry_in <= 0:
        out.append(RunStep(call.id))  # it keeps its worker
        return
    call.status = "delayed"
    call.not_before = tick.at + tick.retry_in
    out.append(WakeAt(Timer(call.not_before, "call", str(call.id))))
    free_worker(step, state, out)


def _suspend(state: RunState, at: float) -> None:
    if state.deadline is not None:
        state.budget = max(0.0, state.deadline - at)
        state.deadline = None


def _nested(state: RunState, call: Call, tick: Nested) -> None:
    if tick.child is None:
        call.children.pop(tick.name, None)
        give_up(state, call)
    else:
        call.children[tick.name] = tick.child


def _recover(
    definition: Definition,
    step: StepSpec,
    handler: StepSpec,
    state: RunState,
    call: Call,
    tick: Raised,
    out: list[Command],
) -> None:
    """Give up a call and let *handler* decide what becomes of its event."""
    end_call(state, call.id)
    free_worker(step, state, out)
    event = StepFailedEvent(
        step_name=step.name,
        input_event=call.event,
        exception=tick.error,
        attempts=call.attempt,
        elapsed_seconds=tick.at - call.first_at,
        failed_at=datetime.fromtimestamp(tick.at, UTC),
    )
    recoveries = call.origin.recoveries
    again = {**recoveries, handler.name: recoveries.get(handler.name, 0) + 1}
    go_along(definition, state, StepFailedEvent.__name__, handler.name)
    owe_call(state, handler, event, tick.at, out, call.origin._replace(recoveries=again))
    leave(definition, state, call.origin.stream, tick.at, out)


def _first_time(state: RunState, call_id: int, position: int, what: str) -> bool:
    """Record effect number *position* of a call; False if a run before had applied the same one."""
    call = state.calls.get(call_id)
    if call is None:
        return True
    applied = call.applied
    if position >= len(applied):
        applied.append(what)
        return True
    if applied[position] == what:
        return False
    applied[position] = what
    return True


@lru_cache(maxsize=1024)
def _effect(verb: str, kind: type[Event]) -> str:
    """Return what an effect is known by; one string for the ten thousand events that a step may stream."""
    return f"{verb} {stored_name(kind)}"


def _collected(state: RunState, tick: Collected) -> None:
    call = state.calls.get(tick.call_id)
    if call is None or not _first_time(state, call.id, tick.position, "collect"):
        return
    place = call.step, tick.buffer
    buffer = state.buffers.pop(place, None) or Buffer()
    found = collect(buffer, tick.event, tick.expected)
    if found is not None:
        call.gathered[tick.position] = found
    elif buffer.events:
        state.buffers[place] = buffer


def _write(state: RunState, tick: Wrote) -> None:
    if not tick.path:
        state.store = tick.value
        return
    try:
        write_path(state.store, tick.path, tick.value)
    except (AttributeError, LookupError, TypeError, ValueError):
        call = None if tick.call_id is None else state.calls.get(tick.call_id)
        if call is not None:
            call.applied[tick.position] = f"refused {tick.path}"  # a repeat is refused again, not skipped
        raise


# --- Events and answers -------------------------------------------------------------------


def _emit(
    definition: Definition,
    state: RunState,
    event: Event,
    at: float,
    out: list[Command],
    call: Call | None,
    origin: Origin,
    step: str | None = None,
) -> None:
    """Let an event that a step made take its way. *call* is None if it has ended since."""
    if call is not None:
        go_along(definition, state, call.step, type(event).__name__)
    if isinstance(event, StopEvent):
        end_run(state, "done", event, out)
        return
    if isinstance(event, InputRequiredEvent):
        open_question(state, event, at, out, stream=origin.stream)
        route(definition, state, event, at, out, step, origin=origin)
        return
    deliver(definition, state, event, at, out, step, origin)


def _sent(definition: Definition, state: RunState, tick: Sent, out: list[Command]) -> None:
    event = tick.event
    if isinstance(event, StopEvent):
        out.append(unhandled(state, event, tick.step))  # only a step ends a run
        return
    ask_id = getattr(event, "ask_id", None) if isinstance(event, HumanResponseEvent) else None
    if isinstance(ask_id, str) and isinstance(event, HumanResponseEvent):
        if fits(definition, state, ask_id, event):
            answer(definition, state, Answered(tick.at, ask_id, event), out)
        else:
            out.append(unhandled(state, event, tick.step))
        return
    answered = None
    if isinstance(event, HumanResponseEvent):
        answered = next((ask for ask in state.asks.values() if ask.wait_id is None), None)
    origin = OUTSIDE if answered is None else Origin(answered.stream)
    woken = deliver(definition, state, event, tick.at, out, tick.step, origin)
    if answered is not None and not woken:
        close_question(definition, state, answered, tick.at, out)


# --- Questions and time -----------------------------------------------------------------------


def _woke(definition: Definition, state: RunState, tick: Woke, out: list[Command]) -> None:
    timer = tick.timer
    match timer.kind:
        case "run":
            if state.deadline == timer.at:
                time_out(definition, state, out)
        case "call":
            call = state.calls.get(int(timer.id))
            if call is not None and call.status == "delayed" and call.not_before == timer.at:
                wake_call(definition, state, call, out)
        case "ask":
            expire(definition, state, timer.id, tick.at, out)
        case "wait":
            call = state.calls.get(int(timer.id))
            wait = None if call is None else call.waits.get(timer.wait_id)
            if call is not None and wait is not None and wait.open:
                expire_wait(definition, state, call, wait, tick.at, out)
        case _:
            assert_never(timer.kind)
