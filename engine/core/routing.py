"""Where an event goes: to the calls that wait for it and to the steps that accept it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from engine.core.model import OUTSIDE, Command, Definition, Origin, Publish, RunState, Wait
from engine.core.streams import arrive
from engine.core.versions import stored_name
from engine.core.workers import end_wait, go_along, is_idle, owe_call
from engine.events import Event, InputRequiredEvent, UnhandledEvent

NOBODY: AbstractSet[str] = frozenset()


def deliver(
    definition: Definition,
    state: RunState,
    event: Event,
    at: float,
    out: list[Command],
    step: str | None,
    origin: Origin = OUTSIDE,
) -> bool:
    """Wake what waits for *event* and call the other steps that accept it; tell whether any was woken.

    An event for one *step* wakes what waits there, too.
    """
    woken = _wake(definition, state, event, out, step) if state.waiting else NOBODY
    routed = route(definition, state, event, at, out, step, woken, origin)
    if not woken and not routed and not isinstance(event, InputRequiredEvent):  # a question needs nobody to take it
        out.append(unhandled(state, event, step))
    return bool(woken)


def _wake(definition: Definition, state: RunState, event: Event, out: list[Command], step: str | None) -> set[str]:
    """Give *event* to every call that waits for it, or to those of one *step*; return the steps of those calls."""
    woken: set[str] = set()
    names = lineage_of(event)
    for call_id in tuple(state.waiting):
        call = state.calls[call_id]
        if step is not None and step != call.step:
            continue
        matching = [wait for wait in call.waits.values() if wait.open and matches(wait, event, names)]
        if not matching:
            continue
        for wait in matching:
            wait.answer = event
            if wait.ask_id is not None:
                state.asks.pop(wait.ask_id, None)
        woken.add(call.step)
        end_wait(definition, state, call, out)
    return woken


def route(
    definition: Definition,
    state: RunState,
    event: Event,
    at: float,
    out: list[Command],
    step: str | None = None,
    woken: AbstractSet[str] = NOBODY,
    origin: Origin = OUTSIDE,
) -> bool:
    """Call each step that accepts *event*, but those it has just woken; tell whether any does."""
    targets = definition.accepting(type(event)) if step is None else (definition.steps[step],)
    taken = False
    for target in targets:
        if target.name in woken:
            taken = True
        elif target.collects is None and not target.slots:
            go_along(definition, state, type(event).__name__, target.name)
            owe_call(state, target, event, at, out, origin)
            taken = True
        elif arrive(definition, state, target, event, at, out, origin):
            go_along(definition, state, type(event).__name__, target.name)
            taken = True
    return taken


def matches(wait: Wait, event: Event, lineage: list[str]) -> bool:
    if wait.accepts != lineage[0] and not (wait.takes_subclasses and wait.accepts in lineage):
        return False
    return all(getattr(event, key, None) == value for key, value in wait.requirements.items())


def lineage_of(event: Event) -> list[str]:
    """Return the names of the event's class and of those it descends from, its own first."""
    return [stored_name(cls) for cls in type(event).__mro__]


def unhandled(state: RunState, event: Event, step: str | None) -> Publish:
    cls = type(event)
    return Publish(
        UnhandledEvent(
            event_type=cls.__name__,
            qualified_name=f"{cls.__module__}.{cls.__qualname__}",
            step_name=step,
            idle=is_idle(state),
        )
    )
