"""What a step, and whoever runs a workflow, can do with a run besides events in and out.

`Context` is the outside: made before a run, kept beside it, saved and restored.
`StepContext` is what a step receives. A method called on the wrong one says so.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import time
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Protocol, TypeVar, cast, overload

from pydantic import BaseModel

from engine import questions
from engine.codec import Codec
from engine.ending import failure, result
from engine.errors import ContextSerdeError, ContextStateError, DidNotHappen, WorkflowRuntimeError
from engine.events import Event, HumanResponseEvent, InputRequiredEvent
from engine.model import (
    Ask,
    Call,
    CancelRequested,
    Collected,
    Definition,
    DictState,
    Emitted,
    Intent,
    RunState,
    Sent,
    Streamed,
    Tick,
    Wait,
    Wrote,
    accepts,
)
from engine.reducer import reduce
from engine.retry import RetryInfo as RetryInfo
from engine.serializers import BaseSerializer as BaseSerializer
from engine.serializers import JsonSerializer as JsonSerializer
from engine.serializers import PickleSerializer as PickleSerializer
from engine.serializers import codec_for
from engine.snapshot import dump, load
from engine.state_store import EditLock, StateStore
from engine.versions import stored_name

if TYPE_CHECKING:
    from typing_extensions import TypeVar as DefaultTypeVar

    S = DefaultTypeVar("S", bound=BaseModel, default=DictState)
else:
    S = TypeVar("S", bound=BaseModel)

logger = logging.getLogger(__name__)

E = TypeVar("E", bound=Event)
R = TypeVar("R")

UNSET: Any = object()

LOCAL_WAIT_S = 2000.0
"""How long an in-process ``wait_for_event`` waits unless told otherwise, as in LlamaIndex."""


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


class Context(Generic[S]):
    """A run seen from outside: its store, its snapshot, its inbox and its stream."""

    _current: ClassVar[ContextVar[StepContext[Any]]] = ContextVar("step_context")

    def __init__(
        self,
        workflow: Program,
        previous_context: Mapping[str, Any] | None = None,
        serializer: BaseSerializer | None = None,
    ) -> None:
        """Make the context of a run to come, or of the one that is saved in *previous_context*.

        Raises:
            ContextSerdeError: *previous_context* cannot be read; the message says what is wrong with it.
        """
        self._program = workflow
        self._serializer = serializer or workflow.serializer
        self._live: LiveRun | None = None
        self._filling: tuple[LiveRun, asyncio.Queue[Event], asyncio.Task[None]] | None = None
        self._state: RunState | None = None
        self._seed: BaseModel = workflow.definition.state_type()
        self._lock = EditLock()
        if previous_context is not None:
            self._adopt(previous_context)

    @classmethod
    def from_dict(
        cls, workflow: Program, data: Mapping[str, Any], serializer: BaseSerializer | None = None
    ) -> Context[S]:
        """Return the context that `to_dict` wrote, with the same *serializer*; `Workflow.run` goes on with it.

        What is asked is in `open_asks` without running, and is shown again first on the run's new
        stream. An answer may be sent before the run goes on.

        Raises:
            ContextSerdeError: *data* cannot be read; the message says what is wrong with it.
        """
        context = cls(workflow, serializer=serializer)
        context._adopt(data)
        return context

    def to_dict(self, serializer: BaseSerializer | None = None, *, include_state: bool = True) -> dict[str, Any]:
        """Return a snapshot that ``json.dumps`` takes. Nothing sent before is missing from it.

        *serializer* is the context's own unless given, and that is the workflow's. Without the state,
        whoever reads the snapshot begins with a fresh one.

        Raises:
            CodecError: something in the state cannot be stored; the message names the key. It is a ValueError.
        """
        definition = self._program.definition
        state, at = self._run_state(), self._now()
        if state is None:
            state, at = RunState("", definition.name, self._seed, budget=definition.timeout), 0.0
        return dump(definition, state, at, self._codec(serializer), include_state=include_state)

    @property
    def store(self) -> StateStore[S]:
        """The run's memory: usable before the run (seeding), during it and after."""
        return StateStore(self._root, self._write, self._lock, self._program.definition.types)

    @property
    def is_running(self) -> bool:
        """True from the start of a run to its end, paused or not."""
        state = self._run_state()
        return state is not None and not state.finished

    @property
    def open_asks(self) -> list[Ask]:
        """The questions nobody has answered yet, oldest first."""
        state = self._run_state()
        return [] if state is None else list(state.asks.values())

    def send_event(self, message: Event, step: str | None = None) -> None:
        """Give the run an event; on a restored context it is kept and delivered first.

        Raises:
            ContextStateError: no run has begun in this context.
            WorkflowRuntimeError: *step* does not exist or does not accept it, or the run is over.
        """
        state = self._run_state()
        if state is None:
            raise ContextStateError("send_event() called before workflow started. Call workflow.run() first.")
        check_target(self._program.definition, message, step)
        if state.finished:
            raise WorkflowRuntimeError(f"{type(message).__name__} not delivered: the run is over ({state.status})")
        tick = Sent(self._now(), message, step)
        if self._live is None:
            reduce(self._program.definition, state, tick)  # what it calls for is in `todo` when the run goes on
        else:
            self._live.submit(tick)

    async def running_steps(self) -> list[str]:
        """Return the names of the steps that are working now."""
        calls = self._outside("running_steps").state.calls
        return sorted({call.step for call in calls.values() if call.status == "ready"})

    def stream_events(self, expose_internal: bool = False) -> AsyncGenerator[Event, None]:
        """Iterate over the run's events, as `WorkflowHandler.stream_events`."""
        return self._outside("stream_events").stream_events(expose_internal)

    def get_result(self) -> Any:
        """Return what the run came to. Deprecated: await the handler.

        Raises:
            WorkflowRuntimeError: it is not over. Whatever ended it with an error is raised as well.
        """
        _deprecated("get_result()", "Prefer awaiting the WorkflowHandler returned by Workflow.run")
        state = self._outside("get_result").state
        if not state.finished:
            raise WorkflowRuntimeError(f"Workflow run with run_id {state.run_id} is not complete")
        if (error := failure(state)) is not None:
            raise error
        return result(state)

    @property
    def streaming_queue(self) -> asyncio.Queue[Event]:
        """A queue that the run's events go to, a StopEvent last. Deprecated: iterate over `stream_events`."""
        _deprecated("streaming_queue", "Prefer iterating Context.stream_events()")
        live = self._outside("streaming_queue")
        if self._filling is None or self._filling[0] is not live:
            queue: asyncio.Queue[Event] = asyncio.Queue()
            stream = live.stream_events()
            # A property is no coroutine, so there is no task group to give this task to.
            self._filling = live, queue, asyncio.get_running_loop().create_task(_fill(queue, stream))
        return self._filling[1]

    @staticmethod
    def get_step_context() -> StepContext[Any]:
        """Return the context of the step this is called from.

        Raises:
            WorkflowRuntimeError: it is not called from a step.
        """
        try:
            return Context._current.get()
        except LookupError:
            raise WorkflowRuntimeError(
                "Context.get_step_context() may only be called from within a step function"
            ) from None

    # --- only inside a step ------------------------------------------------------------

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
        """Wait for an event, asking *waiter_event* once; see `StepContext.wait_for_event`."""
        raise self._only_in_steps("wait_for_event")

    def collect_events(
        self, ev: Event, expected: list[type[Event]], buffer_id: str | None = None
    ) -> list[Event] | None:
        """Keep *ev* until all *expected* are there; see `StepContext.collect_events`."""
        raise self._only_in_steps("collect_events")

    def write_event_to_stream(self, ev: Event | None) -> None:
        """Show *ev* to whoever streams the run."""
        raise self._only_in_steps("write_event_to_stream")

    def retry_info(self) -> RetryInfo:
        """Tell how often this call has failed before."""
        raise self._only_in_steps("retry_info")

    @overload
    async def once(self, key: str, fn: Callable[..., Awaitable[R]], *args: Any) -> R: ...
    @overload
    async def once(self, key: str, fn: Callable[..., R], *args: Any) -> R: ...
    async def once(self, key: str, fn: Callable[..., Any], *args: Any) -> Any:
        """Run ``fn(*args)`` and remember its result for this call; a repeat returns what is remembered."""
        raise self._only_in_steps("once")

    @overload
    async def effect(
        self, key: str, fn: Callable[..., Awaitable[R]], *args: Any, reconcile: None = None
    ) -> R | None: ...
    @overload
    async def effect(
        self, key: str, fn: Callable[..., Awaitable[R]], *args: Any, reconcile: Callable[..., R | Awaitable[R]]
    ) -> R: ...
    @overload
    async def effect(self, key: str, fn: Callable[..., R], *args: Any, reconcile: None = None) -> R | None: ...
    @overload
    async def effect(
        self, key: str, fn: Callable[..., R], *args: Any, reconcile: Callable[..., R | Awaitable[R]]
    ) -> R: ...
    async def effect(
        self, key: str, fn: Callable[..., Any], *args: Any, reconcile: Callable[..., Any] | None = None
    ) -> Any:
        """Run ``fn(*args)``, which must not happen twice; see `StepContext.effect`."""
        raise self._only_in_steps("effect")

    @property
    def idempotency_key(self) -> str:
        """A string that is the same for every repeat of this call, for services that take one.

        It is one for the whole call: where a call makes several requests, add a word of its own to each.
        """
        raise self._only_in_steps("idempotency_key")

    # --- how a run and its context find each other ------------------------------------------

    def _adopt(self, data: Mapping[str, Any]) -> None:
        definition = self._program.definition
        self._state = load(definition, data, self._codec())
        if not self._state.run_id:  # saved before its run began: only what was seeded counts
            self._seed, self._state = self._state.store, None

    def _codec(self, serializer: BaseSerializer | None = None) -> Codec:
        definition, chosen = self._program.definition, serializer or self._serializer
        return definition.codec if chosen is None else codec_for(chosen, definition.types)

    def _outside(self, name: str) -> LiveRun:
        """Return the run for a method that is there for whoever holds its handler."""
        if self._live is None:
            raise ContextStateError(f"{name} requires a running workflow. Call workflow.run() first.")
        return self._live

    def _only_in_steps(self, name: str) -> ContextStateError:
        """Return why a method cannot be called that is there for steps."""
        if self._live is None:
            return ContextStateError(f"{name} requires a running workflow. Call workflow.run() first.")
        return ContextStateError(f"{name} is only available from within step functions.")

    def _run_state(self) -> RunState | None:
        return self._state if self._live is None else self._live.state

    def _now(self) -> float:
        return time.time() if self._live is None else self._live.clock()

    def _root(self) -> S:
        state = self._run_state()
        return cast(S, self._seed if state is None else state.store)

    def _write(self, path: str, value: Any) -> None:
        state = self._run_state()
        tick = Wrote(self._now(), path, value)
        if state is None:
            state = RunState(run_id="", workflow="", store=self._seed)
        if self._live is None or state.finished:
            state.status, status = "running", state.status
            reduce(self._program.definition, state, tick)
            state.status = status
            self._seed = state.store
        else:
            self._live.feed(tick)


class StepContext(Context[S]):
    """A run seen from inside one call of a step."""

    def __init__(self, program: Program, live: LiveRun, call: Call, lock: EditLock) -> None:
        self._program = program
        self._live: LiveRun = live
        self._call = call
        self._lock = lock
        self._nest: Children | None = None
        self._position = 0
        self._waits = 0

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
            self._live.submit(Streamed(self._live.clock(), self._call.id, self._next(), ev))

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
        """
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
            seconds = self._live.default_wait_s if timeout is UNSET else timeout
            seconds = None if seconds == math.inf else seconds
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
        """
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


def check_target(definition: Definition, event: Event, step: str | None) -> None:
    """Refuse an event for a step that is not there or does not take it.

    Raises:
        WorkflowRuntimeError: as said.
    """
    if step is None:
        if type(event) in definition.only_collected:
            logger.warning(
                "sent event ignored: only what a step returns in a list is collected",
                extra={"event_type": type(event).__name__},
            )
        return
    spec = definition.steps.get(step)
    if spec is None:
        raise WorkflowRuntimeError(f"Step {step} does not exist")
    if not accepts(spec, type(event)):
        raise WorkflowRuntimeError(f"Step {step} does not accept event of type {type(event)}")
    if spec.collects is not None:
        raise WorkflowRuntimeError(
            f"{type(event).__name__} was sent to collect step '{step}' via send_event(step=...), but a collect step "
            "cannot receive targeted events: it only collects events emitted inside a fan-out stream."
        )


async def _called(fn: Callable[..., Any], *args: Any) -> Any:
    """Call what may or may not be a coroutine function."""
    made = fn(*args)
    return await made if inspect.isawaitable(made) else made


async def _fill(queue: asyncio.Queue[Event], stream: AsyncGenerator[Event, None]) -> None:
    async for event in stream:
        queue.put_nowait(event)


def _deprecated(name: str, instead: str) -> None:
    warnings.warn(
        f"Context.{name} is deprecated and will be removed in a future release. {instead}",
        DeprecationWarning,
        stacklevel=3,
    )
