"""What the engine tells of its own work to whoever streams a run with ``expose_internal=True``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile

from engine.core.model import Call
from engine.events import Event, StepState, StepStateChanged, WorkflowIdleEvent

ENQUEUED = "<enqueued>"
"""Worker id of a call that waits for a worker."""


class Watcher:
    """Turns what happens to step calls into events. Runs that nobody watches have none."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], None]] = []
        self._workers: dict[str, dict[int, int]] = {}
        """By step: which call has which worker."""
        self._queued: set[int] = set()
        self._idle = False

    def add(self, listener: Callable[[Event], None]) -> None:
        """Tell *listener*, too, from now on."""
        if listener not in self._listeners:
            self._listeners.append(listener)

    def queued(self, queue: Sequence[int], calls: Mapping[int, Call]) -> None:
        """The calls in a *queue* wait for a worker; told once of each. New ones stand at its end."""
        new = list(takewhile(lambda call_id: call_id not in self._queued, reversed(queue)))
        for call in (calls[call_id] for call_id in reversed(new)):
            self._queued.add(call.id)
            self._tell(call, StepState.PREPARING, ENQUEUED, type(call.event).__name__)

    def began(self, call: Call) -> None:
        """A call has a worker and runs."""
        self._queued.discard(call.id)
        taken = self._workers.setdefault(call.step, {})
        free = next(n for n in range(len(taken) + 1) if n not in taken.values())
        taken[call.id] = free
        self._tell(call, StepState.RUNNING, str(free), type(call.event).__name__)

    def ended(self, call: Call, output: object, *, returned: bool) -> None:
        """A call has returned *output*, or else paused or failed."""
        worker = self._workers.get(call.step, {}).pop(call.id, 0)
        made = str(type(output)) if returned else None
        self._tell(call, StepState.NOT_RUNNING, str(worker), str(type(call.event)), made)

    def idle(self) -> None:
        """Nothing runs and nothing is queued; told once until something does, or comes from outside."""
        if not self._idle:
            self._idle = True
            self._publish(WorkflowIdleEvent())

    def stirred(self) -> None:
        """Something came from outside; if the run is idle all the same, that is told again."""
        self._idle = False

    def _publish(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def _tell(self, call: Call, state: StepState, worker: str, given: str, made: str | None = None) -> None:
        self._idle = False
        self._publish(
            StepStateChanged(
                name=call.step, step_state=state, worker_id=worker, input_event_name=given, output_event_name=made
            )
        )
