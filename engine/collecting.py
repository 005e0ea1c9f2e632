"""Fan-in: events that wait in a buffer until all that were expected are there."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.events import Event


@dataclass(slots=True)
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
    """
    if not expected:
        return []
    kind = type(event)
    if buffer.counts.get(kind, 0) >= expected.count(kind):
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
