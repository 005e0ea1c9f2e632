"""Which events can be in one stream together, read off the annotations of the steps.

The events of a returned list and all that comes of them make up a level, but for what a further list
sets going within: that is a level of its own, of which only what its collecting steps make comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.core.model import StepSpec, accepts, handler_of
from engine.events import AskExpired, Event, HumanResponseEvent, InputRequiredEvent, StartEvent

Steps = Mapping[str, StepSpec]


def stream_levels(steps: Steps) -> dict[str, set[type[Event]]]:
    """Return what can be in the streams that each step opens, by its name."""
    return {name: _level(steps, step.lists, frozenset({name})) for name, step in steps.items() if step.lists}


def outermost_level(steps: Steps) -> set[type[Event]]:
    """Return what can be outside of every stream."""
    outside = (StartEvent, HumanResponseEvent, AskExpired)
    return _level(steps, [kind for step in steps.values() for kind in step.accepts if issubclass(kind, outside)])


def collectors(steps: Steps) -> dict[str, tuple[str, ...]]:
    """Return, by the name of a step that opens streams, the steps that collect from them."""
    return {name: tuple(_collecting(steps, level)) for name, level in stream_levels(steps).items()}


def _collecting(steps: Steps, level: Iterable[type[Event]]) -> list[str]:
    return [
        step.name for step in steps.values() if step.collects is not None and any(accepts(step, kind) for kind in level)
    ]


def _level(steps: Steps, seeds: Iterable[type[Event]], inside: frozenset[str] = frozenset()) -> set[type[Event]]:
    """Return all that comes of *seeds* on their own level; a list of a step they are *inside* of is no news."""
    found: set[type[Event]] = set()
    ahead = list(seeds)
    while ahead:
        kind = ahead.pop()
        if kind in found:
            continue
        found.add(kind)
        if issubclass(kind, InputRequiredEvent):
            ahead += _answers(steps)
        for step in steps.values():
            if step.collects is None and accepts(step, kind):
                ahead += _made_on_level(steps, step, inside)
    return found


def _made_on_level(steps: Steps, step: StepSpec, inside: frozenset[str]) -> list[type[Event]]:
    made = [*step.singles]
    handler = handler_of(steps, step)
    if handler is not None and handler.name not in inside:
        made += _made_on_level(steps, handler, inside | {handler.name})
    if step.lists and step.name not in inside:
        within = inside | {step.name}
        for name in _collecting(steps, _level(steps, step.lists, within)):
            made += _made_on_level(steps, steps[name], within)
    return made


def _answers(steps: Steps) -> list[type[Event]]:
    """Return what the steps take that comes of a question."""
    return [
        kind for step in steps.values() for kind in step.accepts if issubclass(kind, HumanResponseEvent | AskExpired)
    ]
