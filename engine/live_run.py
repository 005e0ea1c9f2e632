"""A run that is going on in this process, as a context sees it, and how author code is unwound."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any, Protocol

from engine.core.model import Call, Definition, Intent, RunState, Tick, Wait
from engine.errors import ContextSerdeError
from engine.events import Event
from engine.serializers import BaseSerializer


class Program(Protocol):
    """What a context needs of a workflow."""

    @property
    def definition(self) -> Definition: ...
    @property
    def serializer(self) -> BaseSerializer | None: ...


class LiveRun(Protocol):
    """A run that is going on in this process, as a context sees it."""

    @property
    def definition(self) -> Definition: ...
    @property
    def state(self) -> RunState: ...
    @property
    def clock(self) -> Callable[[], float]: ...
    @property
    def working(self) -> bool: ...
    @property
    def default_wait_s(self) -> float | None: ...
    def feed(self, tick: Tick) -> None:
        """Apply a tick; must be called in the run's own loop."""

    def submit(self, tick: Tick) -> None:
        """Apply a tick from anywhere, other threads included."""

    def apply(self, tick: Tick) -> None:
        """Apply a tick from anywhere and return when that is done."""

    async def keep(self) -> None:
        """Return when a durable run is there for others to find; most are long before."""

    async def remember(self, call: Call, key: str, value: Any) -> Any:
        """Keep the result of a ``once`` or an ``effect`` and return the one that counts."""

    async def intend(self, call: Call, key: str, intent: Intent) -> None:
        """Keep what is known of an ``effect`` that has no result."""

    def stream_events(self, expose_internal: bool = False) -> AsyncGenerator[Event, None]: ...


class Children(Protocol):
    """The child workflows of one call of a step."""

    @property
    def paused(self) -> bool: ...
    async def close(self) -> None: ...


class Pause(BaseException):
    """Unwinds a step that cannot go on before something arrives.

    A BaseException, so that an author's ``except Exception`` cannot swallow it.
    """

    def __init__(self, wait: Wait | None = None, question: Event | None = None) -> None:
        """Without a *wait* it is children of the call that wait."""
        super().__init__("waiting" if wait is None else f"waiting for {wait.accepts}")
        self.wait = wait
        self.question = question


class Unreadable(BaseException):
    """Unwinds a step of a durable run that cannot read a child workflow of its own; the run waits for code that can."""

    def __init__(self, reason: ContextSerdeError) -> None:
        super().__init__(str(reason))
        self.reason = reason
