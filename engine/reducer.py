"""The verbs of the core: ``begin``, ``reduce``, ``todo``.

Pure: no I/O, no clock, no randomness. The same ticks give the same state. `reduce` updates
the state in place, because a tick must cost what it touches and not what the run has lived
through, and returns what the tick newly calls for. `todo` lists all a state still owes the
world: after a crash it is the whole recovery code. Tests hold the two to each other.
"""

from __future__ import annotations

import math
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from pydantic import BaseModel

from engine.collecting import Buffer, collect
from engine.errors import WorkflowTimeoutError
from engine.events import (
    AskExpired,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
    UnhandledEvent,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowTimedOutEvent,
)
from engine.model import (
    Announce,
    Announced,
    Answered,
    Ask,
    Call,
    CancelRequested,
    Collected,
    Command,
    Definition,
    Emitted,
    Expired,
    Paused,
    Publish,
    Raised,
    Remembered,
    Resumed,
    Returned,
    RunState,
    RunStatus,
    RunStep,
    Sent,
    Show,
    Shown,
    StepSpec,
    Streamed,
    Tick,
    Timer,
    Unstorable,
    Wait,
    WakeAt,
    Woke,
    Wrote,
)
from engine.paths import write_path


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
    _route(definition, state, start, at, [])
    return state


def todo(state: RunState) -> list[Command]:
    """Return everything *state* still owes the world, in no order of weight."""
    if state.finished:
        return [] if state.announced else [Announce()]
    owed: list[Command] = [Show(ask.id) for ask in state.asks.values() if not ask.shown]
    owed += [RunStep(call.id) for call in state.calls.values() if call.status == "ready"]
    return owed + [WakeAt(timer) for timer in timers(state)]


def timers(state: RunState) -> list[Timer]:
    """Return every time that matters to an unfinished run."""
    found = [] if state.deadline is None else [Timer(state.deadline, "run")]
    found += [Timer(ask.deadline, "ask", ask.id) for ask in state.asks.values() if ask.deadline is not None]
    for call in state.calls.values():
        if call.status == "delayed" and call.not_before is not None:
            found.append(Timer(call.not_before, "call", str(call.id)))
        elif call.status == "waiting":
            found += [
                _wait_timer(call, wait) for wait in call.waits.values() if wait.open and wait.deadline is not None
            ]
    return found


def reduce(definition: Definition, state: RunState, tick: Tick) -> list[Command]:
    """Apply one tick to *state* and return what it newly calls for."""
    out: list[Command] = []
    if isinstance(tick, Unstorable):
        failure = WorkflowFailedEvent(step_name="", exception=tick.error)
        _end(state, "failed", failure, out, tick.error)
        return out
    if state.finished:
        if isinstance(tick, Announced):
            state.announced = True
        return out
    match tick:
        case Returned():
            _returned(definition, state, tick, out)
        case Streamed():
            if _first_time(state, tick.call_id, tick.position, f"stream {type(tick.event).__name__}"):
                out.append(Publish(tick.event))
        case Emitted():
            if _first_time(state, tick.call_id, tick.position, f"send {type(tick.event).__name__}"):
                if isinstance(tick.event, StopEvent):
                    out.append(_unhandled(state, tick.event, tick.step))  # only what a step returns ends a run
                else:
                    _emit(definition, state, tick.event, tick.at, out, tick.step, state.calls.get(tick.call_id))
        case Wrote():
            if tick.call_id is None or _first_time(state, tick.call_id, tick.position, f"set {tick.path}"):
                _write(state, tick)
        case Collected():
            _collected(state, tick)
        case Sent():
            _sent(definition, state, tick, out)
        case Answered():
            _answered(definition, state, tick, out)
        case Paused():
            _paused(definition, state, tick, out)
        case Raised():
            _raised(definition, state, tick, out)
        case Remembered():
            if (call := state.calls.get(tick.call_id)) is not None:
                call.memo[tick.key] = tick.value
        case Shown():
            if (ask := state.asks.get(tick.ask_id)) is not None:
                ask.shown = True
        case Woke():
            _woke(definition, state, tick, out)
        case Expired():
            _expired(definition, state, tick.ask_id, tick.at, out)
        case Resumed():
            if state.budget is not None:
                state.deadline = tick.at + state.budget
                out.append(WakeAt(Timer(state.deadline, "run")))
        case CancelRequested():
            if state.deadline is not None:
                state.budget = max(0.0, state.deadline - tick.at)  # it may go on one day
            _end(state, "cancelled", WorkflowCancelledEvent(), out)
        case Announced():
            pass
        case _:
            assert_never(tick)
    return out


# --- Step calls -------------------------------------------------------------------------


def _returned(definition: Definition, state: RunState, tick: Returned, out: list[Command]) -> None:
    call = state.calls.pop(tick.call_id, None)
    if call is None:
        return  # the late twin of a call that ran twice
    _free(definition.steps[call.step], state, out)
    if tick.event is not None:
        _emit(definition, state, tick.event, tick.at, out, parent=call)


def _paused(definition: Definition, state: RunState, tick: Paused, out: list[Command]) -> None:
    call = state.calls.get(tick.call_id)
    if call is None:
        return
    call.status = "waiting"
    state.waiting[call.id] = None
    wait = call.waits.setdefault(tick.wait.id, tick.wait)
    if wait is tick.wait:
        if isinstance(tick.question, InputRequiredEvent):
            _open(state, tick.question, tick.at, out, call, wait)
        elif tick.question is not None:
            out.append(Publish(tick.question))
    if wait.deadline is not None:
        out.append(WakeAt(_wait_timer(call, wait)))
    _free(definition.steps[call.step], state, out)


def _raised(definition: Definition, state: RunState, tick: Raised, out: list[Command]) -> None:
    call = state.calls.get(tick.call_id)
    if call is None:
        return
    step = definition.steps[call.step]
    call.failure, call.failed_at = tick.error, tick.at
    if tick.retry_in is None:
        handler = definition.handler_of(step)
        if handler is not None and call.recoveries.get(handler.name, 0) < handler.max_recoveries:
            _recover(step, handler, state, call, tick, out)
            return
        _end(
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
    call.attempt += 1
    if tick.retry_in <= 0:
        out.append(RunStep(call.id))  # it keeps its worker
        return
    call.status = "delayed"
    call.not_before = tick.at + tick.retry_in
    out.append(WakeAt(Timer(call.not_before, "call", str(call.id))))
    _free(step, state, out)


def _recover(step: StepSpec, handler: StepSpec, state: RunState, call: Call, tick: Raised, out: list[Command]) -> None:
    """Give up a call and let *handler* decide what becomes of its event."""
    del state.calls[call.id]
    _free(step, state, out)
    event = StepFailedEvent(
        step_name=step.name,
        input_event=call.event,
        exception=tick.error,
        attempts=call.attempt,
        elapsed_seconds=tick.at - call.first_at,
        failed_at=datetime.fromtimestamp(tick.at, UTC),
    )
    _call(state, handler, event, tick.at, out)
    recoveries = {**call.recoveries, handler.name: call.recoveries.get(handler.name, 0) + 1}
    state.calls[state.next_id - 1].recoveries = recoveries


def _call(
    state: RunState,
    step: StepSpec,
    event: Event,
    at: float,
    out: list[Command],
    parent: Call | None = None,
) -> None:
    """Owe a new call of *step*; *parent* is the call whose event it is for."""
    call = Call(state.next_id, step.name, event, first_at=at)
    if parent is not None and parent.recoveries:
        call.recoveries = parent.recoveries
    state.next_id += 1
    state.calls[call.id] = call
    _take(step, state, call, out)


def _take(step: StepSpec, state: RunState, call: Call, out: list[Command]) -> None:
    """Give *call* a worker of its step, or a place in the queue for one."""
    taken = state.running.get(step.name, 0)
    if taken < step.num_workers:
        state.running[step.name] = taken + 1
        call.status = "ready"
        out.append(RunStep(call.id))
    else:
        call.status = "queued"
        state.queued.setdefault(step.name, deque()).append(call.id)


def _free(step: StepSpec, state: RunState, out: list[Command]) -> None:
    """Take a worker back and give it to the next call in the queue."""
    queue = state.queued.get(step.name)
    if not queue:
        state.running[step.name] -= 1
        return
    call = state.calls[queue.popleft()]
    call.status = "ready"
    out.append(RunStep(call.id))


def _wake_call(definition: Definition, state: RunState, call: Call, out: list[Command]) -> None:
    """Run a waiting or delayed call again from its top."""
    state.waiting.pop(call.id, None)
    call.not_before = None
    _take(definition.steps[call.step], state, call, out)


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
    step: str | None = None,
    parent: Call | None = None,
) -> None:
    """Let an event that a step made take its way."""
    if isinstance(event, StopEvent):
        _end(state, "done", event, out)
        return
    if isinstance(event, InputRequiredEvent):
        _open(state, event, at, out)
        _route(definition, state, event, at, out, step, parent=parent)
        return
    _deliver(definition, state, event, at, out, step, parent)


def _sent(definition: Definition, state: RunState, tick: Sent, out: list[Command]) -> None:
    event = tick.event
    if isinstance(event, StopEvent):
        out.append(_unhandled(state, event, tick.step))  # only a step ends a run
        return
    ask_id = getattr(event, "ask_id", None) if isinstance(event, HumanResponseEvent) else None
    if isinstance(ask_id, str) and isinstance(event, HumanResponseEvent):
        if _fits(definition, state, ask_id, event):
            _answered(definition, state, Answered(tick.at, ask_id, event), out)
        else:
            out.append(_unhandled(state, event, tick.step))
        return
    woken = _deliver(definition, state, event, tick.at, out, tick.step)
    if isinstance(event, HumanResponseEvent) and not woken:
        oldest = next((ask.id for ask in state.asks.values() if ask.wait_id is None), None)
        if oldest is not None:
            del state.asks[oldest]


def _answered(definition: Definition, state: RunState, tick: Answered, out: list[Command]) -> None:
    ask = state.asks.pop(tick.ask_id, None)
    if ask is None:
        out.append(_unhandled(state, tick.event, None))
    elif ask.call_id is not None and ask.wait_id is not None:
        call = state.calls[ask.call_id]
        call.waits[ask.wait_id].answer = tick.event
        _wake_call(definition, state, call, out)
    elif not _route(definition, state, tick.event, tick.at, out):
        out.append(_unhandled(state, tick.event, None))


def awaited_class(definition: Definition, state: RunState, ask_id: str) -> type[HumanResponseEvent]:
    """Return the class of answer that the asker of a question waits for."""
    ask = state.asks.get(ask_id)
    if ask is not None and ask.call_id is not None and ask.wait_id is not None:
        named = definition.types.get(state.calls[ask.call_id].waits[ask.wait_id].accepts, HumanResponseEvent)
        return named if issubclass(named, HumanResponseEvent) else HumanResponseEvent
    taken = {
        kind for step in definition.steps.values() for kind in step.accepts if issubclass(kind, HumanResponseEvent)
    }
    return taken.pop() if len(taken) == 1 else HumanResponseEvent


def _fits(definition: Definition, state: RunState, ask_id: str, event: HumanResponseEvent) -> bool:
    """Tell whether the question is open and *event* is of the kind that its asker waits for."""
    ask = state.asks.get(ask_id)
    if ask is None:
        return False
    if ask.call_id is not None and ask.wait_id is not None:
        return _matches(state.calls[ask.call_id].waits[ask.wait_id], event, _lineage(event))
    return bool(definition.accepting(type(event)))


def _deliver(
    definition: Definition,
    state: RunState,
    event: Event,
    at: float,
    out: list[Command],
    step: str | None,
    parent: Call | None = None,
) -> bool:
    """Wake what waits for *event* and call the other steps that accept it; tell whether any was woken."""
    woken: set[str] = set()
    if step is None and state.waiting:
        names = _lineage(event)
        for call_id in tuple(state.waiting):
            call = state.calls[call_id]
            matching = [wait for wait in call.waits.values() if wait.open and _matches(wait, event, names)]
            if not matching:
                continue
            for wait in matching:
                wait.answer = event
                if wait.ask_id is not None:
                    state.asks.pop(wait.ask_id, None)
            woken.add(call.step)
            _wake_call(definition, state, call, out)
    routed = _route(definition, state, event, at, out, step, woken, parent)
    if not woken and not routed:
        out.append(_unhandled(state, event, step))
    return bool(woken)


def _route(
    definition: Definition,
    state: RunState,
    event: Event,
    at: float,
    out: list[Command],
    step: str | None = None,
    woken: set[str] | frozenset[str] = frozenset(),
    parent: Call | None = None,
) -> bool:
    """Call each step that accepts *event*, but those it has just woken; tell whether any does."""
    targets = definition.accepting(type(event)) if step is None else (definition.steps[step],)
    for target in targets:
        if target.name not in woken:
            _call(state, target, event, at, out, parent)
    return bool(targets)


def _lineage(event: Event) -> list[str]:
    """Return the names of the event's class and of those it descends from, its own first."""
    return [cls.__name__ for cls in type(event).__mro__]


def _matches(wait: Wait, event: Event, lineage: list[str]) -> bool:
    if wait.accepts != lineage[0] and not (wait.takes_subclasses and wait.accepts in lineage):
        return False
    return all(getattr(event, key, None) == value for key, value in wait.requirements.items())


def _unhandled(state: RunState, event: Event, step: str | None) -> Publish:
    cls = type(event)
    idle = not state.calls
    return Publish(
        UnhandledEvent(
            event_type=cls.__name__,
            qualified_name=f"{cls.__module__}.{cls.__qualname__}",
            step_name=step,
            idle=idle,
        )
    )


# --- Questions and time -----------------------------------------------------------------------


def _open(
    state: RunState,
    event: InputRequiredEvent,
    at: float,
    out: list[Command],
    call: Call | None = None,
    wait: Wait | None = None,
) -> None:
    """Open a question and owe its showing."""
    if event._ask_id is not None:
        event = event.model_copy()  # an author may ask with the same object again
    timeout = _seconds(getattr(event, "timeout", None))
    on_timeout = getattr(event, "on_timeout", None)
    ask = Ask(
        id=f"a{state.next_id}",
        event=event,
        opened_at=at,
        deadline=None if timeout is None else at + timeout,
        on_timeout=on_timeout if on_timeout and isinstance(on_timeout, str) else "expire",
        call_id=None if call is None else call.id,
        wait_id=None if wait is None else wait.id,
    )
    state.next_id += 1
    event._ask_id = ask.id
    if wait is not None:
        wait.ask_id = ask.id
    state.asks[ask.id] = ask
    out.append(Show(ask.id))
    if ask.deadline is not None:
        out.append(WakeAt(Timer(ask.deadline, "ask", ask.id)))


def _seconds(value: Any) -> float | None:
    """Read a question's `timeout`; what an author of LlamaIndex may keep there besides is none."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    return float(value) if type(value) in (int, float) and math.isfinite(value) else None


def _woke(definition: Definition, state: RunState, tick: Woke, out: list[Command]) -> None:
    timer = tick.timer
    match timer.kind:
        case "run":
            if state.deadline == timer.at:
                _time_out(definition, state, out)
        case "call":
            call = state.calls.get(int(timer.id))
            if call is not None and call.status == "delayed" and call.not_before == timer.at:
                _wake_call(definition, state, call, out)
        case "ask":
            _expired(definition, state, timer.id, tick.at, out)
        case "wait":
            call = state.calls.get(int(timer.id))
            wait = None if call is None else call.waits.get(timer.wait_id)
            if call is not None and wait is not None and wait.open and call.status == "waiting":
                _expire_wait(definition, state, call, wait, tick.at, out)
        case _:
            assert_never(timer.kind)


def _expired(definition: Definition, state: RunState, ask_id: str, at: float, out: list[Command]) -> None:
    """Nobody answered in time: give the answer the author named, else tell the step, else fail."""
    ask = state.asks.get(ask_id)
    if ask is None:
        return
    if ask.call_id is not None and ask.wait_id is not None:
        call = state.calls[ask.call_id]
        _expire_wait(definition, state, call, call.waits[ask.wait_id], at, out)
        return
    del state.asks[ask_id]
    if ask.on_timeout not in ("expire", "fail"):
        _route(definition, state, _standing_answer(ask), at, out)
    elif ask.on_timeout == "fail" or not _route(definition, state, AskExpired(ask_id=ask_id), at, out):
        seconds = at - ask.opened_at
        error = WorkflowTimeoutError(f"Nobody answered question {ask_id} within {seconds:g} seconds")
        _end(state, "timed_out", WorkflowTimedOutEvent(timeout=seconds, active_steps=[]), out, error)


def _expire_wait(
    definition: Definition, state: RunState, call: Call, wait: Wait, at: float, out: list[Command]
) -> None:
    ask = None if wait.ask_id is None else state.asks.pop(wait.ask_id, None)
    if ask is not None and ask.on_timeout not in ("expire", "fail"):
        wait.answer = _standing_answer(ask)
    else:
        wait.expired = True
    _wake_call(definition, state, call, out)


def _standing_answer(ask: Ask) -> HumanResponseEvent:
    """Return the answer that the author named for when nobody gives one."""
    return HumanResponseEvent(response=ask.on_timeout, ask_id=ask.id, user_id=None)


def _wait_timer(call: Call, wait: Wait) -> Timer:
    assert wait.deadline is not None
    return Timer(wait.deadline, "wait", str(call.id), wait.id)


def _time_out(definition: Definition, state: RunState, out: list[Command]) -> None:
    active = sorted({call.step for call in state.calls.values() if call.status == "ready"})
    timeout = definition.timeout or 0.0
    steps = f"Currently active steps: {', '.join(active)}" if active else "No steps active"
    error = WorkflowTimeoutError(f"Operation timed out after {timeout} seconds. {steps}")
    _end(state, "timed_out", WorkflowTimedOutEvent(timeout=timeout, active_steps=active), out, error)


def _end(state: RunState, status: RunStatus, event: Event, out: list[Command], error: Exception | None = None) -> None:
    """Close the run. A cancelled one keeps its calls and questions: its snapshot can go on."""
    state.status, state.final, state.error = status, event, error
    state.deadline = None
    if status != "cancelled":
        state.calls.clear()
        state.asks.clear()
        state.buffers.clear()
        state.running.clear()
        state.queued.clear()
        state.waiting.clear()
    out.append(Announce())
