"""What a step receives: the run seen from inside one call of it."""

from __future__ import annotations

import asyncio
import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn, cast

from engine.context import UNSET, Context, E, S, check_target
from engine.core import questions
from engine.core.model import Call, CancelRequested, Collected, Emitted, Intent, RunState, Streamed, Wait, Wrote
from engine.core.versions import stored_name
from engine.errors import ContextStateError, DidNotHappen
from engine.events import Event, HumanResponseEvent, InputRequiredEvent
from engine.live_run import Children, LiveRun, Pause, Program
from engine.retry import RetryInfo
from engine.serializers import BaseSerializer
from engine.state_store import EditLock

LOCAL_WAIT_S = 2000.0
"""How long an in-process ``wait_for_event`` waits unless told otherwise, as in LlamaIndex."""


class StepContext(Context[S]):
    """A run seen from inside one call of a step."""

    _nest: Children | None = None
    _position = 0
    _waits = 0

    def __init__(self, program: Program, live: LiveRun, call: Call, lock: EditLock) -> None:
        self._program = program
        self._live: LiveRun = live
        self._call = call
        self._lock = lock

    @property
    def paused(self) -> bool:
        """Tell whether the call pauses for its children, even if the step has caught that, as `gather` may."""
        return self._nest is not None and self._nest.paused

    def send_event(self, message: Event, step: str | None = None) -> None:
        """Send an event to the steps that accept it, or to one *step*; they start at once.

        Raises:
            WorkflowRuntimeError: *step* does not exist or does not accept it.
        """
        check_target(self._live.definition, message, step)
        self._live.submit(Emitted(self._live.clock(), self._call.id, self._next(), message, step))

    def write_event_to_stream(self, ev: Event | None) -> None:
        """Show *ev* to whoever streams the run. Best effort: a durable run does not keep it."""
        if ev is not None:
            self._live.submit(Streamed(self._call.id, self._next(), ev))

    async def wait_for_event(
        self,
        event_type: type[E],
        waiter_event: Event | None = None,
        waiter_id: str | None = None,
        requirements: Mapping[str, Any] | None = None,
        timeout: float | None = UNSET,
        *,
        prompt: str | None = None,
        accept_event_subclasses: bool = False,
    ) -> E:
        """Wait for an event of *event_type*; the step unwinds here and runs again from its top when it comes.

        *waiter_event* is shown once (*prompt* is short for an InputRequiredEvent with that
        prefix). An event matches if each of *requirements* equals its attribute of that name.
        *timeout* is in seconds, None for ever; by default 2,000 in process and for ever in a
        durable run, whose questions have deadlines of their own. What was sent before the step came to
        wait is not waited for: it is unhandled, unless another step takes it.

        Raises:
            asyncio.TimeoutError: nothing came in time.
            TypeError: what is waited for, or shown, is no event.
        """
        _check_awaited(event_type)
        self._waits += 1
        name = waiter_id or f"{stored_name(event_type)}#{self._waits}"
        if waiter_event is None and prompt is not None:
            waiter_event = InputRequiredEvent(prefix=prompt)
        return self._wait(name, event_type, waiter_event, requirements, timeout, accept_event_subclasses)

    def _wait(
        self,
        name: str,
        event_type: type[E],
        question: Event | None,
        requirements: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        takes_subclasses: bool = False,
    ) -> E:
        """Return what the wait called *name* was waiting for; unwind the step if it has not come."""
        wait = self._call.waits.get(name)
        if wait is None:
            if question is not None and not isinstance(question, Event):
                raise TypeError(f"waiter_event must be an event, found {question!r}; prompt= asks with a text")
            seconds = self._live.default_wait_s if timeout is UNSET else timeout
            seconds = None if seconds == math.inf else seconds
            if seconds is not None and not math.isfinite(seconds):
                raise ValueError(f"timeout is {seconds!r}; give a number of seconds, or None to wait for ever")
            wait = Wait(
                id=name,
                accepts=stored_name(event_type),
                takes_subclasses=takes_subclasses,
                requirements=dict(requirements or {}),
                deadline=None if seconds is None else self._live.clock() + seconds,
            )
            raise Pause(wait, question)
        if wait.answer is not None:
            return cast(E, wait.answer)
        if wait.expired:
            raise TimeoutError(f"Timed out waiting for {event_type.__name__}")
        raise Pause(wait, None)

    def retry_info(self) -> RetryInfo:
        """Tell how often this call has failed before; 0 at the first attempt."""
        call = self._call
        return RetryInfo(
            retry_number=call.attempt - 1,
            elapsed_seconds=self._live.clock() - call.first_at,
            last_exception=call.failure,
            last_failed_at=None if call.failed_at is None else datetime.fromtimestamp(call.failed_at, UTC),
        )

    def collect_events(
        self, ev: Event, expected: list[type[Event]], buffer_id: str | None = None
    ) -> list[Event] | None:
        """Keep *ev* until an event of each type in *expected* is there, then return them in that order.

        Until then None. An event that is not, or no longer, expected is dropped. Each step has
        buffers of its own; *buffer_id* names one of several.

        Raises:
            TypeError: *expected* is no list of event classes.
        """
        if not isinstance(expected, (list, tuple)):
            raise TypeError(f"collect_events() expects a list of event classes, found {expected!r}")
        position = self._next()
        self._live.apply(Collected(self._call.id, position, buffer_id or "default", ev, expected))
        return self._call.gathered.get(position)

    async def once(self, key: str, fn: Callable[..., Any], *args: Any) -> Any:
        """Run ``fn(*args)`` and remember its result for this call.

        A repeat of the call, after a wait, a retry or a crash, gets the remembered result. A
        crash while *fn* runs repeats it: pass `idempotency_key` on where that matters.

        Raises:
            CodecError: in a durable run, the result has no stored form.
        """
        if key in self._call.memo:
            return self._call.memo[key]
        await self._live.keep()  # else nobody would repeat what a crash cuts off
        return await self._live.remember(self._call, key, await _called(fn, *args))

    async def effect(
        self, key: str, fn: Callable[..., Any], *args: Any, reconcile: Callable[..., Any] | None = None
    ) -> Any:
        """Run ``fn(*args)``, which must not happen twice, and remember its result for this call.

        That it is about to happen is kept first. A repeat of the call that finds this and no result,
        since *fn* raised or the process died meanwhile, does not run *fn* again before it is told to:

        * ``reconcile(*args)`` looks outside. What it returns is the result; it raises `DidNotHappen`
          to have *fn* run again. Any other error of it fails the step, and a retry asks it again.
        * Without *reconcile* the run asks a person, and this returns what the answer carries as
          ``result``, else None, if it happened; runs *fn* again; or cancels the run.

        An exception out of *fn* fails the step and does not tell whether *fn* had its effect. Where it
        is certain that it had none, raise `DidNotHappen` from it: a retry then runs *fn* unasked.

        Raises:
            CodecError: in a durable run, the result has no stored form; the effect stays in doubt.
        """
        call = self._call
        if key in call.memo:
            return call.memo[key]
        last = call.intents.get(key, Intent(0, open=False))
        if last.open:
            try:
                known = await (_called(reconcile, *args) if reconcile else self._ask_about(key, last))
            except DidNotHappen:
                pass
            else:
                return await self._live.remember(call, key, known)
        await self._live.intend(call, key, Intent(last.number + 1))
        try:
            result = await _called(fn, *args)
        except DidNotHappen:
            await self._live.intend(call, key, Intent(last.number + 2, open=False))
            raise
        return await self._live.remember(call, key, result)

    async def _ask_about(self, key: str, intent: Intent) -> Any:
        """Do as a person says about an effect of which nobody here knows whether it happened.

        Raises:
            DidNotHappen: it is to run again.
        """
        n = 0
        while True:  # what is none of the answers, as a response that was meant for another, asks anew
            n += 1
            name = f"effect {key} {intent.number}.{n}"
            answer = self._wait(name, HumanResponseEvent, questions.in_doubt(self._call.step, key))
            match answer.get("response"):
                case questions.HAPPENED:
                    return answer.get("result")
                case questions.AGAIN:
                    raise DidNotHappen
                case questions.CANCEL:
                    await self._live.intend(self._call, key, Intent(intent.number + 1))  # one that goes on asks anew
                    self._live.submit(CancelRequested(self._live.clock()))
                    raise asyncio.CancelledError

    @property
    def idempotency_key(self) -> str:
        """A string that is the same for every repeat of this call and no other's."""
        return f"{self._live.state.run_id}:{self._call.id}"

    def to_dict(self, serializer: BaseSerializer | None = None, *, include_state: bool = True) -> dict[str, Any]:
        self._outside("to_dict")

    @property
    def is_running(self) -> bool:
        """True: a step that runs is part of a run. Deprecated in a step."""
        warnings.warn(
            "is_running called from within a step; the workflow is always running inside a step. "
            "This usage is deprecated.",
            DeprecationWarning,
            stacklevel=2,
        )
        return True

    def _outside(self, name: str) -> NoReturn:
        raise ContextStateError(f"{name} is only available from handler code, not from within steps.")

    def _next(self) -> int:
        self._position += 1
        return self._position - 1

    def _run_state(self) -> RunState:
        return self._live.state

    def _write(self, path: str, value: Any) -> None:
        self._live.feed(Wrote(self._live.clock(), path, value, self._call.id, self._next()))


def _check_awaited(kind: object) -> None:
    if not (isinstance(kind, type) and issubclass(kind, Event)):
        raise TypeError(f"wait_for_event() waits for one class of event, found {kind!r}")


async def _called(fn: Callable[..., Any], *args: Any) -> Any:
    """Call what may or may not be a coroutine function."""
    made = fn(*args)
    return await made if inspect.isawaitable(made) else made
