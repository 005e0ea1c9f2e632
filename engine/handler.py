"""One run in this process: await it, stream it, answer it, stop it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import warnings
from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractAsyncContextManager
from typing import Any

from engine.channel import Channel
from engine.context import Context
from engine.core.ending import failure, result
from engine.core.model import CancelRequested, RunState
from engine.events import Event, StopEvent
from engine.execution import Execution, StepProgram
from engine.nest import Nestling, Place
from engine.verbose import say

logger = logging.getLogger(__name__)

_alive: dict[asyncio.Task[None], WorkflowHandler] = {}
"""Holds runs that nobody awaits: the event loop alone would let them be collected."""
_let_go = _alive.pop


def is_alive(run_id: str) -> bool:
    """Tell whether a run of this id is going on in this process."""
    return any(one.run_id == run_id and not one.is_done() for one in _alive.values())


class WorkflowHandler:
    """What ``workflow.run()`` returns. Await it for the result, as often as you like.

    Awaiting raises what the run failed with: the error of a step, `WorkflowTimeoutError` or
    `WorkflowCancelledByUser`. Nobody has to await it: the run goes on by itself.
    """

    def __init__(
        self,
        program: StepProgram,
        ctx: Context[Any],
        state: RunState,
        slot: AbstractAsyncContextManager[Any],
        place: Place | None = None,
        *,
        verbose: bool = False,
    ) -> None:
        """A run that a step has started has a *place* in the step's call."""
        self._ctx = ctx
        self._channel = Channel(state, verbose=verbose)
        self._error: BaseException | None = None
        self._execution = Execution(program, state, self._channel, place.clock if place else time.time, lock=ctx._lock)
        if verbose:
            self._execution.watch(say)
        ctx._live = self._execution
        # The one task without a parent: run() is not a coroutine, so there is none to give it.
        self._task = asyncio.get_running_loop().create_task(self._drive(slot))
        _alive[self._task] = self
        self._task.add_done_callback(_let_go)
        self._nestling = None if place is None else Nestling(place, self._execution, self._task, slot)

    async def _drive(self, slot: AbstractAsyncContextManager[Any]) -> None:
        try:
            async with slot:
                await self._execution.run()
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._channel.close()

    # --- the run as seen by its caller ---------------------------------------------------

    @property
    def ctx(self) -> Context[Any]:
        """The context of the run; the one that was given to ``run(ctx=...)``, if any."""
        return self._ctx

    @property
    def run_id(self) -> str:
        """Ten hexadecimal digits, unless ``run(run_id=...)`` named it."""
        return self._execution.state.run_id

    def is_done(self) -> bool:
        """Tell whether the run is over, well or not."""
        return self._channel.ended.is_set()

    def get_stop_event(self) -> StopEvent | None:
        """Return the event that ended the run, or None while it goes on."""
        final = self._execution.state.final
        return final if isinstance(final, StopEvent) else None

    async def stop_event_result(self) -> StopEvent | None:
        """Wait for the end and return the event that ended the run, without raising its error."""
        await self._end()
        return self.get_stop_event()

    def __await__(self) -> Generator[Any, None, Any]:
        return self._result().__await__()

    async def _end(self) -> None:
        if self._nestling is not None:
            await self._nestling.result()
        await self._channel.ended.wait()

    async def _result(self) -> Any:
        await self._end()
        error = self._failure()
        if error is not None:
            raise error
        return result(self._execution.state)

    def _failure(self) -> BaseException | None:
        return failure(self._execution.state) if self._error is None else self._error

    async def send_event(self, event: Event, step: str | None = None) -> None:
        """Give the run an event; see `Context.send_event`."""
        self._ctx.send_event(event, step)

    async def cancel_run(self, *, timeout: float | None = 5.0) -> None:
        """Cancel the run and wait up to *timeout* seconds for its steps to unwind; a step of it unwinds here.

        Steps that take longer go on unwinding; `is_done` tells. The run's snapshot can still go on. A run
        that is over stays as it is.
        """
        self._execution.submit(CancelRequested(self._execution.clock()))
        caller = Context._current.get(None)
        if caller is not None and caller._live is self._execution:
            raise asyncio.CancelledError  # it cannot wait for itself
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._channel.ended.wait()

    def stream_events(self, expose_internal: bool = False) -> AsyncGenerator[Event, None]:
        """Iterate over the run's events from the first unread one; a StopEvent is the last.

        Leave the loop and call this again to go on where you left off. A run that is gone on with
        begins with the questions that are still open, each the same as when it was asked first.

        Raises:
            WorkflowRuntimeError: the stream was read to its end before, or somebody else reads it now.
        """
        return self._execution.stream_events(expose_internal)

    def __str__(self) -> str:
        name, stop = self._execution.definition.name, self.get_stop_event()
        return f"WorkflowHandler(workflow={name}, run_id={self.run_id}, result={stop})"

    # --- what it was when it was a future: deprecated --------------------------------------------

    def done(self) -> bool:
        """Use `is_done`."""
        _deprecated("done")
        return self.is_done()

    def exception(self) -> BaseException | None:
        """Return what awaiting the run raises, if anything.

        Raises:
            asyncio.InvalidStateError: it is not over.
        """
        _deprecated("exception")
        if not self.is_done():
            raise asyncio.InvalidStateError("Exception is not set.")
        return self._failure()

    def cancel(self) -> None:
        """Use `cancel_run`; this one waits for nothing."""
        _deprecated("cancel", ". Prefer to cancel the underlying workflow with await handler.cancel_run()")
        self._execution.submit(CancelRequested(self._execution.clock()))

    def cancelled(self) -> bool:
        """Tell whether the run was cancelled."""
        _deprecated("cancelled")
        return self._execution.state.status == "cancelled"


def _deprecated(name: str, instead: str = "") -> None:
    warnings.warn(
        f"WorkflowHandler.{name}() is deprecated and will be removed in a future release{instead}",
        DeprecationWarning,
        stacklevel=3,
    )
