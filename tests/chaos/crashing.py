"""A process that dies at one of its calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from engine.run_store import RunStore


class Crash(BaseException):
    """The process is gone."""


@dataclass
class Fuse:
    """Crashes at one call: before it is made, or before its answer arrives."""

    at: int = 0
    after: bool = False
    made: int = 0

    async def burn(self, call: Callable[[], Awaitable[Any]]) -> Any:
        self.made += 1
        hit = self.made == self.at
        if hit and not self.after:
            raise Crash
        answer = await call()
        if hit:
            raise Crash
        return answer


@dataclass
class CrashingStore:
    """A run store whose every call may be the last."""

    store: RunStore
    fuse: Fuse

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        if name == "new_run_id":
            return method

        async def call(*given: Any, **named: Any) -> Any:
            return await self.fuse.burn(lambda: method(*given, **named))

        return call
