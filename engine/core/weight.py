"""What a run's stored state weighs. What is too heavy is refused before it is written."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from engine.core.snapshot import CORE, KEY, START
from engine.errors import StateTooLarge

LIMIT_BYTES = 1024 * 1024
WARN_BYTES = 256 * 1024

LEVEL = 1
"""Of zlib: it leaves a sixth more of prose than level 6, in less than a third of the time."""

LARGEST = 3
"""How many of the largest keys a message names."""


class Scale:
    """Weighs one run's state again and again; a field that has not changed is not compressed again."""

    def __init__(self, limit_bytes: int, warn_bytes: int) -> None:
        """Both count compressed bytes."""
        self._limit = limit_bytes
        self._light = min(limit_bytes, warn_bytes)
        self._weighed: dict[str, tuple[bytes, int]] = {}

    def weigh(self, fields: Mapping[str, bytes]) -> str | None:
        """Return what is to be warned of, if anything.

        Raises:
            StateTooLarge: it is over the limit; the message names the largest keys.
        """
        if sum(map(len, fields.values())) <= self._light:
            return None
        self._weighed = {name: (value, self._size(name, value)) for name, value in fields.items()}
        sizes = {name: size for name, (_, size) in self._weighed.items()}
        total = sum(sizes.values())
        if total <= self._light:
            return None
        told = f"the run's state is {_shown(total)} compressed, of {_shown(self._limit)} at most: {_largest(sizes)}"
        if total > self._limit:
            raise StateTooLarge(f"{told}; keep what is large elsewhere and its address here")
        return told

    def _size(self, name: str, value: bytes) -> int:
        known = self._weighed.get(name)
        if known is not None and known[0] == value:
            return known[1]
        return min(len(value), len(zlib.compress(value, LEVEL)))


def _largest(sizes: Mapping[str, int]) -> str:
    names = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:LARGEST]
    return ", ".join(f"{_called(name)} {_shown(sizes[name])}" for name in names)


def _called(field: str) -> str:
    if field == START:
        return "the start event"
    return "events and calls" if field == CORE else f"state.{field.removeprefix(KEY)}"


def _shown(size: int) -> str:
    return f"{size / 1024:.1f} KiB" if size < 1024 * 1024 else f"{size / (1024 * 1024):.1f} MiB"
