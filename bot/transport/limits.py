"""How often is too often, and what was seen before. Pure: time is handed in, in seconds of any steady clock.

What is remembered is bounded: of too many, those that were heard of longest ago are forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

REMEMBERED = 100_000


class Allowance(Generic[K]):
    """So many at once for each key, and so many a minute again: a token bucket for each."""

    def __init__(self, per_minute: float, at_once: int) -> None:
        """*per_minute* 0 means without limit."""
        self._per_s = per_minute / 60
        self._at_once = float(at_once)
        self._left: OrderedDict[K, tuple[float, float]] = OrderedDict()

    def take(self, key: K, now: float) -> float:
        """Use one up and return 0, or return in how many seconds there is one again."""
        if not self._per_s:
            return 0.0
        left, at = self._left.get(key, (self._at_once, now))
        left = min(self._at_once, left + (now - at) * self._per_s)
        allowed = left >= 1
        _put(self._left, key, (left - 1 if allowed else left, now))
        return 0.0 if allowed else (1 - left) / self._per_s


class Seen:
    """What came lately, so that it is known when it comes again."""

    def __init__(self, for_s: float) -> None:
        self._for_s = for_s
        self._until: OrderedDict[str, float] = OrderedDict()

    def has(self, item: str, now: float) -> bool:
        """Tell whether it came within the time that is remembered."""
        return self._until.get(item, now) > now

    def add(self, item: str, now: float) -> None:
        """Remember that it came now."""
        _put(self._until, item, now + self._for_s)
        while next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)


def _put(recent: OrderedDict[K, V], key: K, value: V) -> None:
    recent[key] = value
    recent.move_to_end(key)
    if len(recent) > REMEMBERED:
        recent.popitem(last=False)
