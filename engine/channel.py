"""What a run in this process tells: its events, kept until somebody reads them, and its end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator

from engine.core.model import Ask, RunState
from engine.core.timing import timers
from engine.errors import WorkflowRuntimeError
from engine.events import Event, InputRequiredEvent, InternalDispatchEvent, StopEvent
from engine.execution import Execution
from engine.verbose import say


class Channel:
    """The outlet of a run that somebody may read.

    It does not know the run, which is given to it: what knows each other waits for the garbage collector.
    """

    def __init__(self, state: RunState, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._unread: deque[Event] = deque()
        self._asked_before = [ask.id for ask in state.asks.values() if ask.shown]
        """Ids of the questions that another channel has shown, perhaps in another process."""
        self._news: asyncio.Future[None] | None = None
        self._consumed = False
        self.ended = asyncio.Event()
        """Nothing more will come: the run is over, and its steps have unwound."""

    # --- the run's side ------------------------------------------------------------------

    def publish(self, event: Event) -> None:
        if not self._unread:  # else nobody waits, or who does was told of the first of them
            self._tell()
        self._unread.append(event)

    def show(self, ask: Ask) -> bool:
        if ask.event is not None:
            self.publish(ask.event)
        return True

    def announce(self, run: Execution) -> bool:
        if run.state.final is not None:
            self.publish(run.state.final)
            if self._verbose and run.state.status == "done":
                say(run.state.final)
        if not run.begun:  # it waits for a slot, and need not any more
            self.close()
        return True

    def close(self) -> None:
        self.ended.set()
        self._tell()

    # --- the reader's side ---------------------------------------------------------------

    @property
    def awaited(self) -> bool:
        """Tell whether somebody has read all there is and waits for more."""
        return self._news is not None

    async def read(self, run: Execution, expose_internal: bool = False) -> AsyncGenerator[Event, None]:
        """Iterate over what *run* has told and nobody has read; see `WorkflowHandler.stream_events`."""
        if self._consumed:
            raise WorkflowRuntimeError("All the streamed events have already been consumed.")
        if run.on_read is not None:
            run.on_read()
        for question in self._still_open(run):
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
            if self.ended.is_set():
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

    def _still_open(self, run: Execution) -> Iterator[InputRequiredEvent]:
        """Each question of before this channel once, unless it has been answered or is overdue by now."""
        state, now = run.state, run.clock()
        overdue = {(timer.id, timer.wait_id) for timer in timers(state) if timer.at <= now}
        while self._asked_before:
            ask = state.asks.get(self._asked_before.pop(0))
            if ask is None or ask.event is None or state.finished:
                continue
            if overdue.isdisjoint([(ask.id, ""), (str(ask.call_id), ask.wait_id)]):
                yield ask.event

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
