"""One run in this process: await it, stream it, answer it, stop it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

from engine.context import Context
from engine.errors import WorkflowCancelledByUser, WorkflowRuntimeError
from engine.events import Event, InputRequiredEvent, InternalDispatchEvent, StopEvent
from engine.execution import Execution, StepProgram
from engine.model import Ask, CancelRequested, RunState

logger = logging.getLogger(__name__)

_alive: dict[asyncio.Task[None], str] = {}
"""Holds runs that nobody awaits, with their ids: the event loop alone would let them be collected."""


def is_alive(run_id: str) -> bool:
    """Tell whether a run of this id is going on in this process."""
    return run_id in _alive.values()


class WorkflowHandler:
    """What ``workflow.run()`` returns. Await it for the result, as often as you like."""

    def __init__(
        self, program: StepProgram, ctx: Context[Any], state: RunState, slot: AbstractAsyncContextManager[Any]
    ) -> None:
        self._ctx = ctx
        self._unread: deque[Event] = deque()
        self._asked_before = deque(ask.id for ask in state.asks.values() if ask.shown)
        """Ids of the questions that another handler has shown, perhaps in another process."""
        self._news: asyncio.Future[None] | None = None
        self._consumed = False
        self._ended = asyncio.Event()
        self._error: BaseException | None = None
        self._execution = Execution(program, state, self, time.time, lock=ctx._lock)
        ctx._live = self._execution
        # The one task without a parent: run() is not a coroutine, so there is none to give it.
        self._task = asyncio.get_running_loop().create_task(self._drive(slot))
        _alive[self._task] = state.run_id
        self._task.add_done_callback(lambda task: _alive.pop(task, None))

    async def _drive(self, slot: AbstractAsyncContextManager[Any]) -> None:
        try:
            async with slot:
                await self._execution.run()
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._close()

    def _close(self) -> None:
        _alive.pop(self._task, None)
        self._ended.set()
        self._tell()

    # --- the run as seen by its caller ---------------------------------------------------

    @property
    def ctx(self) -> Context[Any]:
        """The context of the run; the one that was given to ``run(ctx=...)``, if any."""
        return self._ctx

    @property
    def run_id(self) -> str:
        return self._execution.state.run_id

    def is_done(self) -> bool:
        """Tell whether the run is over, well or not."""
        return self._ended.is_set()

    def get_stop_event(self) -> StopEvent | None:
        """Return the event that ended the run, or None while it goes on."""
        final = self._execution.state.final
        return final if isinstance(final, StopEvent) else None

    async def stop_event_result(self) -> StopEvent | None:
        """Wait for the end and return the event that ended the run, without raising its error."""
        await self._ended.wait()
        return self.get_stop_event()

    def __await__(self) -> Generator[Any, None, Any]:
        return self._result().__await__()

    async def _result(self) -> Any:
        await self._ended.wait()
        if self._error is not None:
            raise self._error
        state = self._execution.state
        if state.status == "cancelled":
            raise WorkflowCancelledByUser("Workflow run was cancelled")
        if state.error is not None:
            raise state.error
        final = state.final
        return final.result if type(final) is StopEvent else final

    async def send_event(self, ev: Event, step: str | None = None) -> None:
        """Give the run an event; see `Context.send_event`."""
        self._ctx.send_event(ev, step)

    async def cancel_run(self, *, timeout: float | None = 5.0) -> None:
        """Cancel the run and wait up to *timeout* seconds for its steps to unwind; a step of it unwinds here."""
        self._execution.submit(CancelRequested(time.time()))
        caller = Context._current.get(None)
        if caller is not None and caller._live is self._execution:
            raise asyncio.CancelledError  # it cannot wait for itself
        async with asyncio.timeout(timeout):
            await self._ended.wait()

    async def stream_events(self, expose_internal: bool = False) -> AsyncGenerator[Event, None]:
        """Iterate over the run's events from the first unread one; a StopEvent is the last.

        Leave the loop and call this again to go on where you left off. A run that is gone on with
        begins with the questions that are still open, each the same as when it was asked first.

        Raises:
            WorkflowRuntimeError: the stream was read to its end before, or somebody else reads it now.
        """
        if self._consumed:
            raise WorkflowRuntimeError("All the streamed events have already been consumed.")
        if expose_internal:
            self._execution.watch()
        for question in self._still_open():
            yield question
        while True:
            while self._unread:
                event = self._unread.popleft()
                if isinstance(event, StopEvent):
                    self._consumed = True
                    yield event
                    return
                if expose_internal or not isinstance(event, InternalDispatchEvent):
                    yield event
            if self._ended.is_set():
                return
            if self._news is not None:
                raise WorkflowRuntimeError(
                    "Event stream already consumed. Events can only be streamed once per workflow run."
                )
            self._news = asyncio.get_running_loop().create_future()
            try:
                await self._news
            finally:
                self._news = None

    def __str__(self) -> str:
        result = "..." if not self.is_done() else repr(self.get_stop_event())
        return f"WorkflowHandler(workflow={self._execution.definition.name}, run_id={self.run_id}, result={result})"

    # --- where the run's events go -----------------------------------------------------------

    def publish(self, event: Event) -> None:
        self._unread.append(event)
        self._tell()

    def show(self, ask: Ask) -> bool:
        if ask.event is not None:
            self.publish(ask.event)
        return True

    def announce(self, state: RunState) -> bool:
        if state.final is not None:
            self.publish(state.final)
        if not self._execution.begun:  # it waits for a slot, and need not any more
            self._close()
        return True

    def _still_open(self) -> Iterator[InputRequiredEvent]:
        """Each question of before this handler once, unless it has been answered or is overdue by now."""
        state = self._execution.state
        while self._asked_before:
            ask = state.asks.get(self._asked_before.popleft())
            if ask is None or ask.event is None or state.finished:
                continue
            if ask.deadline is None or ask.deadline > self._execution.clock():
                yield ask.event

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
