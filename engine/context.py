"""What whoever runs a workflow can do with a run besides awaiting it.

`Context` is made before a run, kept beside it, saved and restored. What a step receives is
`engine.step_context.StepContext`. A method called on the wrong one says so.
"""

from __future__ import annotations

import asyncio
import logging
import time
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast, overload

from pydantic import BaseModel

from engine.core.codec import Codec
from engine.core.ending import failure, result
from engine.core.model import Ask, Definition, DictState, RunState, Sent, Wrote, accepts
from engine.core.reducer import reduce
from engine.core.snapshot import dump, load
from engine.errors import ContextStateError, WorkflowRuntimeError
from engine.events import Event
from engine.live_run import LiveRun, Program
from engine.retry import RetryInfo as RetryInfo
from engine.serializers import BaseSerializer as BaseSerializer
from engine.serializers import JsonSerializer as JsonSerializer
from engine.serializers import PickleSerializer as PickleSerializer
from engine.serializers import codec_for
from engine.state_store import EditLock, StateStore

if TYPE_CHECKING:
    from typing_extensions import TypeVar as DefaultTypeVar

    S = DefaultTypeVar("S", bound=BaseModel, default=DictState)
else:
    S = TypeVar("S", bound=BaseModel)

logger = logging.getLogger(__name__)

E = TypeVar("E", bound=Event)
R = TypeVar("R")

UNSET: Any = object()


class Context(Generic[S]):
    """A run seen from outside: its store, its snapshot, its inbox and its stream."""

    _current: ClassVar[ContextVar[Context[Any]]] = ContextVar("step_context")

    def __init__(
        self,
        workflow: Program,
        previous_context: Mapping[str, Any] | None = None,
        serializer: BaseSerializer | None = None,
    ) -> None:
        """Make the context of a run to come, or of the one that is saved in *previous_context*.

        Raises:
            ContextSerdeError: *previous_context* cannot be read; the message says what is wrong with it.
            TypeError: *workflow* is a class.
        """
        if isinstance(workflow, type):
            raise TypeError(f"Context takes a workflow, found the class {workflow.__name__}; make one of it")
        definition = workflow.definition
        self._program = workflow
        self._serializer = serializer or workflow.serializer
        self._live: LiveRun | None = None
        self._filling: tuple[LiveRun, asyncio.Queue[Event], asyncio.Task[None]] | None = None
        self._state: RunState | None = None
        self._seed: BaseModel = definition.state_type()
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
            TypeError: *message* is no event.
            WorkflowRuntimeError: *step* does not exist or does not accept it, or the run is over.
        """
        state = self._run_state()
        if state is None:
            raise ContextStateError("send_event() called before workflow started. Call workflow.run() first.")
        if not isinstance(message, Event):
            raise TypeError(
                f"send_event() takes an event, found {message!r}; to answer, HumanResponseEvent(response=...)"
            )
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
    def get_step_context() -> Context[Any]:
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


async def _fill(queue: asyncio.Queue[Event], stream: AsyncGenerator[Event, None]) -> None:
    async for event in stream:
        queue.put_nowait(event)


def _deprecated(name: str, instead: str) -> None:
    warnings.warn(
        f"Context.{name} is deprecated and will be removed in a future release. {instead}",
        DeprecationWarning,
        stacklevel=3,
    )
