"""Workflows that a step runs and awaits, at work: they pause with the step and are saved with its run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Any

from engine.context import Context
from engine.core.children import NOTHING, openings, told
from engine.core.model import (
    Call,
    Child,
    Definition,
    Heard,
    Intended,
    Intent,
    Nested,
    Remembered,
    RunState,
    Stirred,
    Suspended,
    Unread,
)
from engine.core.reducer import reduce
from engine.core.snapshot import load
from engine.core.timing import timers
from engine.errors import ContextSerdeError
from engine.execution import Execution, Settled
from engine.facts import fact
from engine.live_run import Pause, Unreadable
from engine.step_context import StepContext

TURNS = 5
"""How often others get their turn before a step pauses: the end of one child may be the beginning of the next."""


class Nest:
    """The child workflows of one call of a step."""

    def __init__(self, parent: Execution, call: Call) -> None:
        self.parent = parent
        self.call = call
        self.paused = False
        self._closed = False
        self._counts: Counter[str] = Counter()
        self._awaited: dict[str, Nestling] = {}
        self._news = asyncio.Event()

    @classmethod
    def current(cls) -> Nest | None:
        """Return that of the call this is called from; None outside of steps."""
        ctx = Context._current.get(None)
        if not isinstance(ctx, StepContext) or not isinstance(ctx._live, Execution):
            return None
        call = ctx._call
        if ctx._live.state.calls.get(call.id) is not call or call.status != "ready":
            return None  # the step is over; something it left behind goes on
        if not isinstance(ctx._nest, Nest):
            ctx._nest = cls(ctx._live, call)
        return None if ctx._nest._closed else ctx._nest

    def place(self, workflow: str) -> Place:
        """Return where the next run of *workflow* stands in this call."""
        self._counts[workflow] += 1
        return Place(self, f"{workflow}#{self._counts[workflow]}")

    async def wait_for(self, nestling: Nestling) -> None:
        """Return when a child is over, or when somebody streams it.

        Raises:
            Pause: all children that the step awaits wait, for more than their turn.
        """
        self._awaited[nestling.name] = nestling
        try:
            while not (nestling.over or nestling.streamed):
                news = self._news
                if self.paused or await self._all_wait():
                    self.paused = True
                    raise Pause
                await news.wait()
        except BaseException:
            await nestling.stop()
            raise
        finally:
            self._awaited.pop(nestling.name, None)

    def release(self, nestling: Nestling) -> None:
        """Let a child that somebody streams go its own way."""
        if self._awaited.get(nestling.name) is nestling:
            del self._awaited[nestling.name]
            self.parent.feed(Nested(self.call.id, nestling.name, None))
            self.tell()

    def tell(self) -> None:
        """Let those who wait look at their children again."""
        self._news.set()
        self._news = asyncio.Event()

    async def close(self) -> None:
        """Stop the children that are awaited: the call is over, or pauses."""
        self._closed = True
        for nestling in [*self._awaited.values()]:
            await nestling.stop()

    async def _all_wait(self) -> bool:
        for _ in range(TURNS):
            at_work = [one for one in self._awaited.values() if not one.over]
            if not all(one.waits for one in at_work) or not any(one.may_pause for one in at_work):
                return False
            await asyncio.sleep(0)
        return True


@fact
class Place:
    """Where a child workflow stands in a call: the same whenever the call is run again."""

    nest: Nest
    name: str

    @property
    def run_id(self) -> str:
        return f"{self.nest.parent.state.run_id}:{self.nest.call.id}:{self.name}"

    @property
    def clock(self) -> Callable[[], float]:
        return self.nest.parent.clock

    def take_up(self, definition: Definition) -> RunState | None:
        """Return the child as the step has left it, told what has come for it since; None: it is new.

        Raises:
            ContextSerdeError: it cannot be read, or an answer does not fit the class that is awaited.
            Unreadable: the same in a durable run, which is to be parked.
        """
        try:
            return self._take_up(definition)
        except ContextSerdeError as error:
            if self.nest.parent.persistence is None:
                raise
            found = ContextSerdeError(f"workflow {self.name} in step {self.nest.call.step}: {error}")
            raise Unreadable(found) from error

    def _take_up(self, definition: Definition) -> RunState | None:
        call, parent = self.nest.call, self.nest.parent
        found = call.children.get(self.name)
        if found is None:
            return None
        if isinstance(found, Unread):
            child = Child(definition, load(definition, found.plain, found.codec.beside(definition.types)))
        else:
            child = Child(definition, found.state)
        now = self.clock()
        for tick in (Suspended(now), *told(self.name, child, call, now)):
            reduce(definition, child.state, tick)
        parent.feed(Nested(call.id, self.name, child))
        parent.feed(Heard(call.id, self.name))
        return child.state


def place_for(workflow: str) -> Place | None:
    """Return where a run of *workflow* stands that is started now; None outside of steps."""
    nest = Nest.current()
    return None if nest is None else nest.place(workflow)


class Nestling:
    """A child workflow at work."""

    def __init__(
        self, place: Place, execution: Execution, task: asyncio.Task[None], slot: AbstractAsyncContextManager[Any]
    ) -> None:
        self.name = place.name
        self.streamed = False
        """Somebody reads its stream, and so sees to its questions."""
        self._nest = place.nest
        self._execution = execution
        self._end_saved = execution.state.finished
        self._task = task
        self._slot = slot
        execution.default_wait_s = place.nest.parent.default_wait_s
        execution.on_read = self.leave
        task.add_done_callback(lambda _: place.nest.tell())

    @property
    def over(self) -> bool:
        """It is at its end, or was stopped."""
        return self._task.done()

    @property
    def waits(self) -> bool:
        """It goes on when something comes, a time or a free slot included."""
        if self._execution.begun:
            return self._execution.idle
        return isinstance(self._slot, asyncio.Semaphore) and self._slot.locked()

    @property
    def may_pause(self) -> bool:
        """Something has to come from outside; in a durable run, which keeps nothing that waits, at least its time."""
        child = Child(self._execution.definition, self._execution.state)
        if self._execution.persistence is not None and any(
            timer.kind in ("call", "wait") for timer in timers(child.state)
        ):
            return True
        return any(wait.accepts != NOTHING for wait, _ in openings(self.name, child))

    async def result(self) -> None:
        """Return when it is over; if its own step awaits it and nobody streams it, it pauses with the step.

        Raises:
            Pause: it does.
        """
        if self.streamed or Nest.current() is not self._nest:
            return
        child, parent = self._execution, self._nest.parent
        parent.feed(Nested(self._nest.call.id, self.name, Child(child.definition, child.state)))
        child.on_idle = self._nest.tell
        child.on_late = partial(parent.submit, Stirred(self._nest.call.id))
        child.persistence = None if parent.persistence is None else _Part(parent, child)
        await self._nest.wait_for(self)
        if child.persistence is not None and child.state.finished and not self._end_saved:
            await parent.saved()
            self._end_saved = True

    def leave(self) -> None:
        """From now on somebody streams it."""
        if not self.over:
            self.streamed = True
            self._execution.on_idle = self._execution.on_late = self._execution.persistence = None
            self._nest.release(self)

    async def stop(self) -> None:
        """Stop its work where it stands."""
        self._execution.stopped = True
        self._task.cancel()
        await asyncio.wait([self._task])


class _Part:
    """The persistence of a child: what is saved of it is part of what is saved of its parent."""

    def __init__(self, parent: Execution, child: Execution) -> None:
        self._parent = parent
        self._child = child

    def settled(self, tick: Settled) -> None:
        pass  # what cannot be stored is the parent's step's failure

    async def checkpoint(self) -> None:
        await self._parent.saved()

    async def keep(self) -> None:
        await self._parent.keep()

    def kept(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()  # its parent waits for it, and is kept

    async def renew(self) -> None:
        pass

    async def remember(self, call: Call, key: str, value: Any) -> Any:
        codec = self._parent.definition.codec.beside(self._child.definition.types)
        where = f"once {key!r} of step {call.step}"
        value = codec.loads(codec.dumps(value, where), where)
        self._child.feed(Remembered(call.id, key, value))
        await self._parent.saved()
        return value

    async def intend(self, call: Call, key: str, intent: Intent) -> None:
        self._child.feed(Intended(call.id, key, intent))
        await self._parent.saved()
