"""One run at work in one process: feeds ticks to the reducer and performs what it calls for.

The same loop serves a run in process and a durable one. A durable run brings a checkpoint:
everything is saved before the next step starts, and the loop ends when nothing is left to do.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from contextvars import Context as Variables
from contextvars import copy_context
from heapq import heapify, heappop, heappush
from typing import Any, Protocol, TypeAlias

from engine.context import Context
from engine.core.model import (
    Announce,
    Announced,
    Ask,
    Call,
    Command,
    Definition,
    Intended,
    Intent,
    Paused,
    Publish,
    Raised,
    Remembered,
    Resumed,
    Returned,
    RunState,
    RunStep,
    Sent,
    Show,
    Shown,
    Suspended,
    Tick,
    Timer,
    WakeAt,
    Woke,
)
from engine.core.reducer import reduce, todo
from engine.core.streams import check_made
from engine.core.timing import timers
from engine.core.watching import Watcher
from engine.core.workers import is_idle
from engine.errors import WorkflowRuntimeError
from engine.events import Event
from engine.live_run import Pause, Program
from engine.retry import next_delay
from engine.state_store import EditLock
from engine.step_context import LOCAL_WAIT_S, StepContext

IN_A_ROW = 8
"""How many step calls may follow each other in the run's own task before others get their turn."""

Settled: TypeAlias = Returned | Paused | Raised
"""What becomes of a step call."""


class StepProgram(Program, Protocol):
    """A workflow whose steps can be called."""

    def call_step(self, step: str, ctx: StepContext[Any], event: Event) -> Awaitable[Any]:
        """Run the author's code of one step."""


class Outlet(Protocol):
    """Where a run's events and questions go."""

    def publish(self, event: Event) -> None: ...
    def show(self, ask: Ask) -> bool:
        """Show a question; False: it will be shown later by other means."""

    def announce(self, run: Execution) -> bool:
        """Tell the run's end; False: it will be told later by other means."""

    def read(self, run: Execution, expose_internal: bool = False) -> AsyncGenerator[Event, None]:
        """Iterate over what *run* has given to it."""


class Persistence(Protocol):
    """What makes a run durable."""

    def settled(self, tick: Settled) -> None:
        """A call has returned, paused or failed."""

    async def checkpoint(self) -> None:
        """Save everything that happened since the last time."""

    async def keep(self) -> None:
        """Save at least that there is the run, if that is not saved yet."""

    def kept(self) -> AbstractAsyncContextManager[None]:
        """Hold on to the run while a step call in it has to wait for something."""

    async def renew(self) -> None:
        """Hold on to the run, which has been at work for a while."""

    async def remember(self, call: Call, key: str, value: Any) -> Any:
        """Save a remembered result at once; return the one that counts."""

    async def intend(self, call: Call, key: str, intent: Intent) -> None:
        """Save at once what is known of an effect without a result."""


class Execution:
    """Works on one run until it is over, or, if it is durable, has nothing left to do here."""

    def __init__(
        self,
        program: StepProgram,
        state: RunState,
        outlet: Outlet,
        clock: Callable[[], float],
        persistence: Persistence | None = None,
        lock: EditLock | None = None,
    ) -> None:
        self.program = program
        self.definition: Definition = program.definition
        self.state = state
        self.outlet = outlet
        self.clock = clock
        self.persistence = persistence
        self.default_wait_s = LOCAL_WAIT_S if persistence is None else None
        self.lock = lock or EditLock()
        self._ready: deque[int] = deque()
        self._active: dict[int, asyncio.Task[None]] = {}
        self._timers: list[Timer] = []
        self._many_timers = 100
        self._alarm: asyncio.TimerHandle | None = None
        self._suspended = False
        """The call in the run's own task waits for something, so calls that are ready get tasks."""
        self._helped = False
        """A task beside the run's own saves and begins what follows."""
        self._interrupted = False
        self._unsaved = False
        """A call has ended, or sent something that another call is to start with."""
        self._news: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._main: asyncio.Task[Any] | None = None
        self._group: asyncio.TaskGroup | None = None
        self._variables: Variables = copy_context()
        self._watcher: Watcher | None = None
        self._savers: list[asyncio.Future[None]] = []
        """Who waits for the next time that everything is saved."""
        self.on_idle: Callable[[], None] | None = None
        """Told whenever the run begins to wait for the world. It then stays, durable or not."""
        self.on_late: Callable[[], None] | None = None
        """Told of what comes when the work has stopped."""
        self.on_read: Callable[[], None] | None = None
        """Told whenever somebody begins to read its events."""
        self.idle = False
        self.stopped = False
        """Its task is cancelled, and it goes no further whatever a step makes of that."""

    @property
    def begun(self) -> bool:
        """Tell whether work on the run has begun; one that has no slot yet has not."""
        return self._main is not None

    @property
    def working(self) -> bool:
        """Tell whether the run will go on by itself. It will not once its event loop has died under it."""
        return not self._loop.is_closed() and (self._main is None or not self._main.done())

    def watch(self, listener: Callable[[Event], None]) -> None:
        """Tell *listener* of the engine's own work from now on."""
        if self._watcher is None:
            self._watcher = Watcher()
        self._watcher.add(listener)

    # --- ticks in ------------------------------------------------------------------------

    def feed(self, tick: Tick) -> None:
        """Apply a tick and take on what it calls for."""
        self._take(reduce(self.definition, self.state, tick))
        if self._watcher is not None:
            for queue in self.state.queued.values():
                self._watcher.queued(queue, self.state.calls)
            if isinstance(tick, Sent):
                self._watcher.stirred()
                self._tell()
        if self.state.status != "running":
            self._stop()
        elif self._ready:
            self._unsaved = True
            if self._suspended and not self._helped:
                self._spawn_ready()
            else:
                self._tell()

    def submit(self, tick: Tick) -> None:
        """Apply a tick; from another thread, as soon as the run's loop gets to it."""
        if threading.get_ident() == self._thread:
            self.feed(tick)
            if self.on_late is not None and not self.working:
                self.on_late()
        else:
            self._loop.call_soon_threadsafe(self.submit, tick)

    def apply(self, tick: Tick) -> None:
        """Apply a tick and return when that is done; from another thread, too."""
        if threading.get_ident() == self._thread:
            self.feed(tick)
            return

        async def feed() -> None:
            self.feed(tick)

        asyncio.run_coroutine_threadsafe(feed(), self._loop).result()  # or raise what it raised

    async def keep(self) -> None:
        """Return when a durable run is there for others to find."""
        if self.persistence is not None:
            await self.persistence.keep()

    async def remember(self, call: Call, key: str, value: Any) -> Any:
        """Keep the result of a ``once`` or an ``effect``; in a durable run it is saved before it is returned."""
        if self.persistence is not None:
            value = await self.persistence.remember(call, key, value)
        self.feed(Remembered(call.id, key, value))
        return value

    async def intend(self, call: Call, key: str, intent: Intent) -> None:
        """Keep what is known of an ``effect`` without a result; in a durable run it is saved first."""
        if self.persistence is not None:
            await self.persistence.intend(call, key, intent)
        self.feed(Intended(call.id, key, intent))

    async def saved(self) -> None:
        """Return when everything that has happened is saved."""
        if self._suspended and not self._helped and self.persistence is not None:
            await self._save(self.persistence)  # a child that began before it was awaited: nobody else does
            return
        done = self._loop.create_future()
        self._savers.append(done)
        self._unsaved = True
        self._tell()
        await done

    def stream_events(self, expose_internal: bool = False) -> AsyncGenerator[Event, None]:
        """Iterate over what the outlet was given."""
        if expose_internal:
            self.watch(self.outlet.publish)  # from now on, not from when the loop begins: a step may run in between
        return self.outlet.read(self, expose_internal)

    def take_in(self, tick: Tick) -> None:
        """Apply a tick that is saved already: nothing needs saving before what it calls for."""
        self._take(reduce(self.definition, self.state, tick))
        if self.state.finished:
            self._stop()

    # --- commands out ----------------------------------------------------------------------

    def _take(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case RunStep():
                    self._ready.append(command.call_id)
                    if self._watcher is not None and not self.state.finished:
                        self._watcher.began(self.state.calls[command.call_id])
                case Publish():
                    self.outlet.publish(command.event)
                case WakeAt():
                    self._set_alarm(command.timer)
                case Show():
                    ask = self.state.asks.get(command.ask_id)
                    if ask is not None and self.outlet.show(ask):
                        reduce(self.definition, self.state, Shown(ask.id))
                case Announce():
                    if self.outlet.announce(self):
                        reduce(self.definition, self.state, Announced())

    async def run(self) -> None:
        """Work until the run is over; a durable one, until it waits for the world."""
        self._main = asyncio.current_task()
        self._ready.clear()  # what was sent before is in `todo` as well
        self._timers.clear()
        reduce(self.definition, self.state, Resumed(self.clock()))
        self._take(todo(self.state))
        try:
            waiting = await self._work_alone()
            if waiting is None and (self.state.finished or self._may_leave):
                return
            kept = nullcontext() if self.persistence is None else self.persistence.kept()
            async with kept, asyncio.TaskGroup() as self._group:
                self._wind()
                self._helped = waiting is not None and self.persistence is not None
                if self._helped:
                    self._group.create_task(self._work_on())
                if waiting is not None:
                    await self._see_through(waiting)
                if not self._helped:
                    await self._work_on()
        finally:
            if self.persistence is not None:
                reduce(self.definition, self.state, Suspended(self.clock()))
            if self._alarm is not None:
                self._alarm.cancel()

    @property
    def _at_work(self) -> bool:
        return bool(self._ready or self._active or self._suspended)

    @property
    def _may_leave(self) -> bool:
        """Tell whether a durable run has nothing left to do here."""
        return not self._at_work and self.persistence is not None and self.on_idle is None

    async def _work_alone(self) -> _Waiting | None:
        """Run what is ready in the run's own task; return the first call that has to wait.

        Calls of a durable run that are ready together run before what they come to is saved, as they would in tasks.
        """
        in_a_row = 0
        saved = 0 if self._unsaved else len(self._ready)
        while self._ready:
            if self.persistence is not None and saved <= 0:
                await self._save(self.persistence)
                self._look_at_time()
                saved = 0 if self._unsaved else len(self._ready)
            elif in_a_row == IN_A_ROW:
                in_a_row = 0
                await asyncio.sleep(0)
                self._look_at_time()
                if self.persistence is not None:
                    await self.persistence.renew()
            else:
                in_a_row += 1
                saved -= 1
                waiting = self._call(self._ready.popleft())
                if waiting is not None:
                    return waiting
        return None

    async def _work_on(self) -> None:
        await self._work()
        self._stop()

    async def _work(self) -> None:
        while not self.state.finished and not self._may_leave:
            if self._unsaved and self._at_work and self.persistence is not None:
                await self._save(self.persistence)
            elif not self._ready:
                await self._wait_for_news()
            elif self.persistence is not None or self._helped:
                self._spawn_ready()
            else:
                waiting = await self._work_alone()
                if waiting is not None:
                    await self._see_through(waiting)

    async def _save(self, persistence: Persistence) -> None:
        self._unsaved = False
        savers, self._savers = self._savers, []
        await persistence.checkpoint()
        for saver in savers:
            if not saver.done():
                saver.set_result(None)

    async def _wait_for_news(self) -> None:
        self._news = self._loop.create_future()
        self.idle = not (self._active or self._suspended)
        if self.idle and self._watcher is not None and is_idle(self.state):
            self._watcher.idle()
        if self.idle and self.on_idle is not None:
            self.on_idle()
        try:
            await self._news
        finally:
            self._news = None
            self.idle = False

    # --- step calls ------------------------------------------------------------------------

    def _spawn_ready(self) -> None:
        assert self._group is not None
        while self._ready:
            call_id = self._ready.popleft()
            self._active[call_id] = self._group.create_task(self._perform(call_id), context=self._variables.copy())

    async def _perform(self, call_id: int) -> None:
        try:
            tick = await self._outcome(call_id)
        finally:
            self._active.pop(call_id, None)
        self._settle(tick)

    def _call(self, call_id: int) -> _Waiting | None:
        """Run a call without a task of its own; return it once it has to wait for something."""
        variables, code = self._variables.copy(), self._outcome(call_id)
        try:
            awaited = variables.run(code.send, None)
        except StopIteration as end:
            self._settle(end.value)
            return None
        return _Waiting(variables, code, awaited)

    async def _see_through(self, waiting: _Waiting) -> None:
        """Run a call that waits to its end, in the run's own task; meanwhile the others get theirs."""
        self._suspended = True
        if not self._helped:
            self._spawn_ready()
        try:
            tick = await waiting
        except asyncio.CancelledError:
            if not self._interrupted:
                raise
            return
        finally:
            self._suspended = False
            if self._interrupted:
                self._interrupted = False
                assert self._main is not None
                self._main.uncancel()
        self._settle(tick)
        if self.stopped:
            raise asyncio.CancelledError  # the step has swallowed it, as a task group does that a pause ends meanwhile

    def _settle(self, tick: Tick | None) -> None:
        if tick is not None:
            self._unsaved = True
            if self.persistence is not None and isinstance(tick, Settled):
                self.persistence.settled(tick)
            if self._watcher is not None and isinstance(tick, Settled):
                self._watch_end(self._watcher, tick)
            self.feed(tick)
        self._tell()

    def _watch_end(self, watcher: Watcher, tick: Settled) -> None:
        call = self.state.calls.get(tick.call_id)
        if call is not None:
            made = tick.made if isinstance(tick, Returned) else None
            first = (made[0] if made else None) if isinstance(made, list) else made
            watcher.ended(call, first, returned=isinstance(tick, Returned))

    async def _outcome(self, call_id: int) -> Tick | None:
        """Run the author's code of one call; what became of it is a tick."""
        call = self.state.calls.get(call_id)
        if call is None:
            return None
        ctx: StepContext[Any] = StepContext(self.program, self, call, self.lock)
        Context._current.set(ctx)  # for this call alone: it runs with variables of its own
        try:
            made = await self.program.call_step(call.step, ctx, call.event)
            if ctx.paused:
                raise Pause
            check_made(self.definition.steps[call.step], made)
            return Returned(self.clock(), call_id, made)
        except Pause as pause:
            return Paused(self.clock(), call_id, pause.wait, pause.question)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            if ctx.paused:
                return Paused(self.clock(), call_id)
            return self.failed(call, WorkflowRuntimeError(f"Step {call.step} awaited something that was cancelled"))
        except Exception as error:  # noqa: BLE001 - whatever the author's code raises
            return Paused(self.clock(), call_id) if ctx.paused else self.failed(call, error)
        except BaseExceptionGroup as group:
            pauses, rest = group.split(Pause)
            if pauses is None or not (rest is None or isinstance(rest, Exception)):
                raise
            if rest is not None:
                return self.failed(call, rest)
            first = next((pause for pause in _leaves(pauses) if pause.wait is not None), Pause())
            return Paused(self.clock(), call_id, first.wait, first.question)
        finally:
            if ctx._nest is not None:
                await ctx._nest.close()

    def failed(self, call: Call, error: Exception) -> Tick:
        """Ask the step's policy whether the call is tried again. A policy that raises ends the run."""
        now = self.clock()
        policy = self.definition.steps[call.step].retry
        if policy is None:
            return Raised(now, call.id, error)
        try:
            delay = next_delay(
                policy, now - call.first_at, call.attempt, error, run_id=self.state.run_id, step=call.step
            )
            return Raised(now, call.id, error, delay)
        except Exception as broken:  # noqa: BLE001 - a policy is the author's code too
            return Raised(now, call.id, broken)

    def _stop(self) -> None:
        """Begin no more step calls, and cancel those still at work."""
        self._ready.clear()
        current = asyncio.current_task()
        for task in self._active.values():
            if task is not current:
                task.cancel()
        if self._suspended and not self._interrupted and self._main is not None and self._main is not current:
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
        if len(self._timers) > self._many_timers:
            self._forget_old_timers()
        if self._group is not None and self._timers[0] == timer:
            self._wind()

    def _forget_old_timers(self) -> None:
        """Keep the timers that still matter: an answered wait leaves its own behind."""
        self._timers = [timer for timer in timers(self.state) if self.persistence is None or timer.kind != "ask"]
        heapify(self._timers)
        self._many_timers = 100 + 2 * len(self._timers)

    def _wind(self) -> None:
        """Set the alarm to the next time. Only what has to wait needs one; else the loop looks at the time itself."""
        if self._alarm is not None:
            self._alarm.cancel()
        if self._timers and not self.state.finished:
            self._alarm = self._loop.call_later(max(0.0, self._timers[0].at - self.clock()), self._ring)

    def _ring(self) -> None:
        self._look_at_time()
        self._wind()

    def _look_at_time(self) -> None:
        now = self.clock()
        while self._timers and self._timers[0].at <= now:
            self.feed(Woke(now, heappop(self._timers)))


def _leaves(pauses: BaseExceptionGroup[Pause]) -> Iterator[Pause]:
    for one in pauses.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _leaves(one)
        else:
            yield one


class _Waiting:
    """A call that waits for something, with context variables of its own, as in a task of its own."""

    __slots__ = ("_awaited", "_code", "_variables")

    def __init__(self, variables: Variables, code: Coroutine[Any, Any, Tick | None], awaited: Any) -> None:
        self._variables = variables
        self._code = code
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, Tick | None]:
        resume: Callable[[Any], Any]
        value: Any
        while True:
            try:
                value = yield self._awaited
                resume = self._code.send
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's
                resume, value = self._code.throw, error
            try:
                self._awaited = self._variables.run(resume, value)
            except StopIteration as end:
                tick: Tick | None = end.value
                return tick
