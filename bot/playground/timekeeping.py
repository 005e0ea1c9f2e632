"""The playground's clock, which a person may push forward, and its pulse, which says that something changed.

Nothing here knows about Slack. The pulse is what tests and the page wait on instead of sleeping.
"""

import asyncio
import time
from collections.abc import Callable


class Clock:
    """Real time plus an offset; `advance` wakes whoever sleeps in `until`."""

    def __init__(self, offset_s: float = 0.0) -> None:
        self.offset_s = offset_s
        self._moved = asyncio.Event()

    def now(self) -> float:
        """POSIX seconds in the playground."""
        return time.time() + self.offset_s

    def advance(self, seconds: float) -> None:
        self.offset_s += seconds
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def until(self, due: float) -> None:
        """Return once the playground's time is *due* or later."""
        while (left := due - self.now()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._moved.wait()
            except TimeoutError:
                continue


class Pulse:
    """A counter of changes that can be awaited."""

    def __init__(self) -> None:
        self.rev = 0
        self.closed = False
        self._next = asyncio.Event()

    def touch(self) -> None:
        self.rev += 1
        waiting, self._next = self._next, asyncio.Event()
        waiting.set()

    def close(self) -> None:
        """Let everybody go who waits for a change, because none will come."""
        self.closed = True
        self.touch()

    async def beyond(self, rev: int) -> int:
        """The current revision, as soon as it is greater than *rev*."""
        while self.rev <= rev and not self.closed:
            await self._next.wait()
        return self.rev

    async def holds(self, claim: Callable[[], object], timeout_s: float) -> None:
        """Return when *claim* is true, looking again after each change.

        Raises:
            TimeoutError: it was still false after *timeout_s* seconds.
        """
        async with asyncio.timeout(timeout_s):
            while True:
                seen = self.rev
                if claim():
                    return
                await self.beyond(seen)
