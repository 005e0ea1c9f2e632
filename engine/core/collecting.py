"""Fan-in: events that wait in a buffer until all that were expected are there."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import field

from engine.events import Event
from engine.facts import record


@record
class Buffer:
    """What has come so far, in order. Counted by type, so that one more event costs the same however many wait."""

    events: list[Event] = field(default_factory=list)
    counts: dict[type[Event], int] = field(default_factory=dict)

    def put(self, event: Event) -> None:
        self.events.append(event)
        self.counts[type(event)] = self.counts.get(type(event), 0) + 1


def collect(buffer: Buffer, event: Event, expected: Sequence[type[Event]]) -> list[Event] | None:
    """Add *event* and return all events in the order *expected* names their types, once they are complete.

    An event that is not, or no longer, wanted is dropped.

    Raises:
        TypeError: what is expected is no class, as ``A | B`` is none.
    """
    if not expected:
        return []
    kind = type(event)
    if buffer.counts.get(kind, 0) >= expected.count(kind):
        _check(expected)
        return None
    buffer.put(event)
    if len(buffer.events) < len(expected):
        return None
    waiting: dict[type[Event], deque[Event]] = {}
    for one in buffer.events:
        waiting.setdefault(type(one), deque()).append(one)
    if any(len(waiting.get(wanted, ())) < expected.count(wanted) for wanted in set(expected)):
        return None  # what was expected has changed meanwhile
    return [waiting[wanted].popleft() for wanted in expected]


def _check(expected: Sequence[object]) -> None:
    for one in expected:
        if not isinstance(one, type):
            raise TypeError(f"collect_events() expects a list of event classes, found {one!r} in it")


@record
class Slots:
    """Events that wait until a step that takes several can be called, by type; each with its number of arrival."""

    waiting: dict[type[Event], deque[tuple[int, Event]]] = field(default_factory=dict)
    arrived: int = 0

    def put(self, event: Event) -> None:
        self.waiting.setdefault(type(event), deque()).append((self.arrived, event))
        self.arrived += 1

    @property
    def events(self) -> list[Event]:
        """All that wait, in order of arrival."""
        return [event for _, event in sorted((one for kind in self.waiting.values() for one in kind), key=_number)]


def fill(slots: Slots, wanted: Sequence[type[Event]], *, subclasses: bool) -> list[Event] | None:
    """Take an event for each of the *wanted* types, in that order and the earliest first; None if one is missing."""
    chosen = _choose(slots, wanted, subclasses, ())
    if chosen is None:
        return None
    events = [slots.waiting[kind].popleft()[1] for kind in chosen]
    slots.waiting = {kind: left for kind, left in slots.waiting.items() if left}
    return events


def _choose(
    slots: Slots, wanted: Sequence[type[Event]], subclasses: bool, chosen: tuple[type[Event], ...]
) -> tuple[type[Event], ...] | None:
    """Return the type of the event to take for each wanted one. Looks at types only, however many events wait."""
    if len(chosen) == len(wanted):
        return chosen
    slot = wanted[len(chosen)]
    left = {
        kind: waiting[chosen.count(kind)]
        for kind, waiting in slots.waiting.items()
        if (kind is slot or (subclasses and issubclass(kind, slot))) and len(waiting) > chosen.count(kind)
    }
    for kind in sorted(left, key=lambda one: _number(left[one])):
        found = _choose(slots, wanted, subclasses, (*chosen, kind))
        if found is not None:
            return found
    return None


def _number(one: tuple[int, Event]) -> int:
    return one[0]
