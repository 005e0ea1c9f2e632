"""One run at work in one process: feeds ticks to the reducer and performs what it calls for.

The same loop serves a run in process and a durable one. A durable run brings a checkpoint:
everything is saved before the next step starts, and the loop ends when nothing is left to do.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from heapq import heappop, heappush
from typing import Any, Protocol

from engine.context import LOCAL_WAIT_S, Context, Pause, Program, StepContext
from engine.errors import WorkflowRuntimeError
from engine.events import Event
from engine.model import (
    Announce,
    Announced,
    Ask,
    Call,
    Command,
    Definition,
    Paused,
    Publish,
    Raised,
    Remembered,
    Resumed,
    Returned,
    RunState,
    RunStep,
    Show,
    Shown,
    Tick,
    Timer,
    WakeAt,
    Woke,
)
from engine.reducer import reduce, todo
from engine.state_store import EditLock


class StepProgram(Program, Protocol):
    """A workflow whose steps can be called."""

    def call(self, step: str, ctx: StepContext[Any], event: Event) -> Awaitable[Any]:
        """Run the author's code of one step."""


class Outlet(Protocol):
    """Where a run's events and questions go."""

    def publish(self, event: Event) -> None: ...
    def show(self, ask: Ask) -> bool:
        """Show a question; False: it will be shown later by other means."""

    def announce(self, state: RunState) -> bool:
        """Tell the run's end; False: it will be told later by other means."""

    def stream_events(self, expose_internal: bool = False) -> AsyncGenerator[Event, None]: ...


class Persistence(Protocol):
    """What makes a run durable."""

    async def checkpoint(self) -> None:
        """Save everything that happened since the last time."""

    async def remember(self, call: Call, key: str, value: Any) -> Any:
        """Save a remembered result at once; return the one that counts."""


class Execution:
    """Works on one run until it is over, or, if it is durable, has nothing left to do here."""

    def __init__(
        self,
        program: StepProgram,
        state: RunState,
        outlet: Outlet,
        clock: Callable[[], float],
        persistence: Persistence | None = None,
    ) -> None:
        self.program = program
        self.definition: Definition = program.definition
        self.state = state
        self.outlet = outlet
        self.clock = clock
        self.persistence = persistence
        self.default_wait_s = LOCAL_WAIT_S if persistence is None else None
        self.lock = EditLock()
        self._ready: deque[int] = deque()
        self._active: dict[int, asyncio.Task[None]] = {}
        self._timers: list[Timer] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._inline = False
        self._interrupted = False
        self._unsaved = False
        """A call has ended, or sent something that another call is to start with."""
        self._news: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._main: asyncio.Task[Any] | None = None
        self._group: asyncio.TaskGroup | None = None

    # --- ticks in ------------------------------------------------------------------------

    def feed(self, tick: Tick) -> None:
        """Apply a tick and take on what it calls for."""
        for command in reduce(self.definition, self.state, tick):
            self._take(command)
        if self.state.finished:
            self._stop()
        elif self._ready:
            self._unsaved = True
            if self._inline:
                self._spawn_ready()
            else:
                self._tell()

    def submit(self, tick: Tick) -> None:
        """Apply a tick; from another thread, as soon as the run's loop gets to it."""
        if threading.get_ident() == self._thread:
            self.feed(tick)
        else:
            self._loop.call_soon_threadsafe(self.feed, tick)

    async def remember(self, call: Call, key: str, value: Any) -> Any:
        """Keep the result of a ``once``; in a durable run it is saved before it is returned."""
        if self.persistence is not None:
            value = await self.persistence.remember(call, key, value)
        self.feed(Remembered(call.id, key, value))
        return value

    def stream_events(self, expose_internal: bool = False) -> AsyncGenerator[Event, None]:
        """Iterate over what the outlet was given."""
        return self.outlet.stream_events(expose_internal)

    def take_in(self, tick: Tick) -> None:
        """Apply a tick that is saved already: nothing needs saving before what it calls for."""
        for command in reduce(self.definition, self.state, tick):
            self._take(command)
        if self.state.finished:
            self._stop()

    # --- commands out ----------------------------------------------------------------------

    def _take(self, command: Command) -> None:
        match command:
            case RunStep():
                self._ready.append(command.call_id)
            case Publish():
                self.outlet.publish(command.event)
            case WakeAt():
                self._set_alarm(command.timer)
            case Show():
                ask = self.state.asks.get(command.ask_id)
                if ask is not None and self.outlet.show(ask):
                    reduce(self.definition, self.state, Shown(ask.id))
            case Announce():
                if self.outlet.announce(self.state):
                    reduce(self.definition, self.state, Announced())

    async def run(self) -> None:
        """Work until the run is over; a durable one, until it waits for the world."""
        self._main = asyncio.current_task()
        reduce(self.definition, self.state, Resumed(self.clock()))
        for command in todo(self.state):
            self._take(command)
        try:
            async with asyncio.TaskGroup() as self._group:
                await self._work()
                self._stop()
        finally:
            if self._alarm is not None:
                self._alarm.cancel()

    async def _work(self) -> None:
        durable = self.persistence
        while not self.state.finished:
            if durable is not None:
                if not self._ready and not self._active:
                    return
                if self._unsaved:
                    self._unsaved = False
                    await durable.checkpoint()
                    continue
            if not self._ready:
                await self._wait_for_news()
            elif durable is None and len(self._ready) == 1 and not self._active:
                await self._perform_inline(self._ready.popleft())
            else:
                self._spawn_ready()

    async def _wait_for_news(self) -> None:
        self._news = self._loop.create_future()
        try:
            await self._news
        finally:
            self._news = None

    # --- step calls ------------------------------------------------------------------------

    def _spawn_ready(self) -> None:
        assert self._group is not None
        while self._ready:
            call_id = self._ready.popleft()
            self._active[call_id] = self._group.create_task(self._perform(call_id))

    async def _perform_inline(self, call_id: int) -> None:
        """Run a lone step without a task of its own: most of a workflow is lone steps."""
        self._inline = True
        try:
            await self._perform(call_id)
        except asyncio.CancelledError:
            if not self._interrupted:
                raise
            self._interrupted = False
            assert self._main is not None
            self._main.uncancel()
        finally:
            self._inline = False

    async def _perform(self, call_id: int) -> None:
        call = self.state.calls.get(call_id)
        if call is None:
            self._active.pop(call_id, None)
            return
        ctx: StepContext[Any] = StepContext(self.program, self, call, self.lock)
        token = Context._current.set(ctx)
        tick: Tick
        try:
            event = await self.program.call(call.step, ctx, call.event)
            if event is not None and not isinstance(event, Event):
                raise WorkflowRuntimeError(
                    f"Step function {call.step} returned {type(event).__name__} instead of an Event instance."
                )
            tick = Returned(self.clock(), call_id, event)
        except Pause as pause:
            tick = Paused(self.clock(), call_id, pause.wait, pause.question)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            tick = self._failed(call, WorkflowRuntimeError(f"Step {call.step} awaited something that was cancelled"))
        except Exception as error:
            tick = self._failed(call, error)
        except BaseExceptionGroup as group:
            pause_found = _first_pause(group)
            if pause_found is None:
                raise
            tick = Paused(self.clock(), call_id, pause_found.wait, pause_found.question)
        finally:
            Context._current.reset(token)
            self._active.pop(call_id, None)
        self._unsaved = True
        self.feed(tick)
        self._tell()

    def _failed(self, call: Call, error: Exception) -> Tick:
        """Ask the step's policy whether the call is tried again. A policy that raises ends the run."""
        now = self.clock()
        policy = self.definition.steps[call.step].retry
        if policy is None:
            return Raised(now, call.id, error)
        try:
            delay = policy.next(now - call.first_at, call.attempt, error)
        except Exception as broken:
            return Raised(now, call.id, broken)
        return Raised(now, call.id, error, delay)

    def _stop(self) -> None:
        """Cancel every step call still at work."""
        current = asyncio.current_task()
        for task in self._active.values():
            if task is not current:
                task.cancel()
        if self._inline and not self._interrupted and self._main is not None and self._main is not current:
            self._interrupted = True
            self._main.cancel()
        self._tell()

    def _tell(self) -> None:
        """Let the loop look at the run again."""
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    # --- time --------------------------------------------------------------------------------

    def _set_alarm(self, timer: Timer) -> None:
        if self.persistence is not None and timer.kind == "ask":
            return  # the run store closes a question that is late, in the same breath as it refuses answers
        heappush(self._timers, timer)
        if self._timers[0] is timer:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = self._loop.call_later(max(0.0, timer.at - self.clock()), self._ring)

    def _ring(self) -> None:
        now = self.clock()
        while self._timers and self._timers[0].at <= now:
            self.feed(Woke(now, heappop(self._timers)))
        if self._timers and not self.state.finished:
            self._alarm = self._loop.call_later(max(0.0, self._timers[0].at - now), self._ring)


def _first_pause(group: BaseExceptionGroup[BaseException]) -> Pause | None:
    """Return the pause in a group that holds nothing else of weight, or None."""
    pauses, rest = group.split(Pause)
    if pauses is None or rest is not None:
        return None
    found: BaseException = pauses
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, Pause)
    return found
