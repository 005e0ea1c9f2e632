"""The nouns of the core: what an author declared, what a run is, what happens to it, what it wants.

Data only. Times are POSIX seconds (float) that come in on a tick; nothing here reads a clock.
`RunState` and what it holds are changed by the reducer alone; all else never changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel

from engine.collect import Cardinality
from engine.core.codec import Codec
from engine.core.collecting import Buffer, Slots
from engine.events import DictLikeModel, Event, HumanResponseEvent, InputRequiredEvent
from engine.facts import fact, record
from engine.retry import RetryPolicy

# --- What the author declared -------------------------------------------------------


@fact
class StepSpec:
    """One step, without its code."""

    name: str
    accepts: tuple[type[Event], ...]
    returns: tuple[type[Event], ...]
    num_workers: int = 4
    retry: RetryPolicy | None = None
    takes_subclasses: bool = False
    skip_checks: frozenset[str] = frozenset()
    catches: frozenset[str] | None = None
    """For a ``@catch_error`` step, the steps whose failures it takes; empty: all that no other does."""
    max_recoveries: int = 1
    """How often it may do so on the way from one event to what came of it."""
    lists: tuple[type[Event], ...] = ()
    """What it may return in a list, which opens a stream."""
    singles: tuple[type[Event], ...] = ()
    """What it may return by itself."""
    parameters: tuple[str, ...] = ()
    """The names of what it takes events by."""
    collects: Cardinality | None = None
    """It is called once for a stream, with a list of what arrives at it there."""
    slots: tuple[type[Event], ...] = ()
    """It is called once an event of each of these types, by *parameters*, is there; empty: with one event."""


class DictState(DictLikeModel):
    """The default state of a run: any keys, any storable values."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A workflow as the reducer sees it: names, types and limits, no code."""

    name: str
    steps: Mapping[str, StepSpec]
    types: Mapping[str, type]
    """Every class its stored data may name, by registered name."""
    state_type: type[BaseModel] = DictState
    timeout: float | None = 45.0
    revision: str = ""
    """Hash of the graph: equal graphs have equal revisions."""
    stored_name: str = ""
    """What its runs call it, wherever its class stands."""
    collectors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By the name of a step that opens streams: which steps collect from them."""
    only_collected: frozenset[type[Event]] = frozenset()
    """Event classes that no step takes but in a list."""
    codec: Codec = field(init=False, compare=False, repr=False)
    """Reads and writes values of its `types`."""
    arrows: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict, compare=False, repr=False)
    """Those of its graph that a run has gone along; their copies in the paths of all runs are one object."""
    _routes: dict[type[Event], tuple[StepSpec, ...]] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "codec", Codec(self.types))

    def accepting(self, event_type: type[Event]) -> tuple[StepSpec, ...]:
        """Return the steps that take an event of this very type, in order of declaration."""
        try:
            return self._routes[event_type]
        except KeyError:
            found = tuple(step for step in self.steps.values() if accepts(step, event_type))
            self._routes[event_type] = found
            return found


def handler_of(steps: Mapping[str, StepSpec], step: StepSpec) -> StepSpec | None:
    """Return the one of *steps* that takes the failures of *step*; a handler's own are nobody's."""
    if step.catches is not None:
        return None
    handlers = [one for one in steps.values() if one.catches is not None]
    named = (one for one in handlers if one.catches and step.name in one.catches)
    return next(named, next((one for one in handlers if not one.catches), None))


def accepts(step: StepSpec, event_type: type[Event]) -> bool:
    """Tell whether *step* takes events of *event_type*: the type itself, or a subclass where it opted in."""
    if event_type in step.accepts:
        return True
    return step.takes_subclasses and issubclass(event_type, step.accepts)


# --- What a run is --------------------------------------------------------------------

RunStatus: TypeAlias = Literal["running", "done", "failed", "timed_out", "cancelled"]
CallStatus: TypeAlias = Literal["ready", "queued", "waiting", "delayed"]


@record
class Wait:
    """One ``wait_for_event`` of one call. Once it has an answer, the answer stays."""

    id: str
    accepts: str
    """Registered name of the awaited event type."""
    takes_subclasses: bool = False
    requirements: Mapping[str, Any] = field(default_factory=dict)
    deadline: float | None = None
    ask_id: str | None = None
    answer: Event | None = None
    expired: bool = False
    child: str | None = None
    """Name of the child workflow that waits; None: the step itself does."""

    @property
    def open(self) -> bool:
        return self.answer is None and not self.expired


@fact
class Intent:
    """One attempt of a ``ctx.effect``. While it is open, what it was to do may have happened."""

    number: int
    """Counts the attempts of this effect in its call, from 1; none is used twice."""
    open: bool = True


class Origin(NamedTuple):
    """What a call has from the call that its event came from."""

    stream: int | None = None
    """The innermost stream that it belongs to."""
    recoveries: Mapping[str, int] = MappingProxyType({})
    """How often each ``@catch_error`` step has already stepped in on the way to it."""


OUTSIDE = Origin()


@record
class Child:
    """A workflow that one call of a step runs and awaits. Its state is changed by its own steps' ticks."""

    definition: Definition
    state: RunState
    written: tuple[Codec, Mapping[str, Any]] | None = field(default=None, compare=False, repr=False)
    """What the snapshots with this codec hold of it once it is over, made once: a step may run a thousand children."""


@fact
class Unread:
    """A child of a run that was loaded, before its step has come to it: only the step knows its workflow."""

    plain: Mapping[str, Any]
    codec: Codec
    """Of the parent; it reads what it knows of the child's values."""


class Opening(NamedTuple):
    """Something that a child workflow waits for, as a wait of the call it is part of."""

    wait: Wait
    ask: Ask | None = None
    """The child's own question, if it asks one."""


@record
class Call:
    """One call of a step, until it has returned for good. A waiting call holds no worker."""

    id: int
    step: str
    event: Event
    status: CallStatus = "ready"
    attempt: int = 1
    first_at: float = 0.0
    not_before: float | None = None
    failure: Exception | None = None
    failed_at: float | None = None
    waits: dict[str, Wait] = field(default_factory=dict)
    children: dict[str, Child | Unread] = field(default_factory=dict)
    """Workflows it runs and awaits, by name."""
    missed: bool = False
    """A wait was over while it was running: it may not have seen what came."""
    applied: list[str] = field(default_factory=list)
    """What its effects were, by position, so that a repeat applies none twice."""
    memo: dict[str, Any] = field(default_factory=dict)
    """Results of ``ctx.once`` and ``ctx.effect``."""
    intents: dict[str, Intent] = field(default_factory=dict)
    """The last attempt of each ``ctx.effect`` that has no result."""
    origin: Origin = OUTSIDE
    gathered: dict[int, list[Event]] = field(default_factory=dict)
    """What ``ctx.collect_events`` has returned, by position."""


@record
class Ask:
    """A question to a person that is still open."""

    id: str
    event: InputRequiredEvent | None
    """None in a run loaded from a run store, which keeps the question in a record of its own."""
    opened_at: float
    deadline: float | None = None
    on_timeout: str = "expire"
    call_id: int | None = None
    wait_id: str | None = None
    """Both set when a ``wait_for_event`` asked; the answer goes to that wait."""
    stream: int | None = None
    """The stream that a step has asked in by returning the question; what comes of the answer belongs to it."""
    shown: bool = False


@record
class Stream:
    """All that comes of one list of events that a step has returned."""

    source: str
    """Name of the step."""
    parent: int | None = None
    """The stream it is part of."""
    open: int = 0
    """How much of it is on its way: calls, questions, streams within. Follows from the rest of the state."""
    batches: dict[str, list[Event] | None] = field(default_factory=dict)
    """By collecting step: what has arrived at it so far; None once it has been called."""


@record
class RunState:
    """All there is to know about one run; nothing else is needed to go on elsewhere."""

    run_id: str
    workflow: str
    store: BaseModel
    status: RunStatus = "running"
    next_id: int = 1
    calls: dict[int, Call] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    """How many workers of each step are taken."""
    queued: dict[str, deque[int]] = field(default_factory=dict)
    """Calls that wait for a worker, first come first served."""
    waiting: dict[int, None] = field(default_factory=dict)
    """Ids of calls with an open wait, in order; one that another wait has woken may run meanwhile."""
    asks: dict[str, Ask] = field(default_factory=dict)
    buffers: dict[tuple[str, str], Buffer] = field(default_factory=dict)
    """What waits to be collected, by step and buffer; none is empty."""
    path: dict[tuple[str, str], int] = field(default_factory=dict)
    """How often each arrow of the graph was gone along: from an event to a step it called, from a step
    to an event it made. No longer than the graph, however long the run."""
    streams: dict[int, Stream] = field(default_factory=dict)
    slots: dict[tuple[str, int | None], Slots] = field(default_factory=dict)
    """What waits for its fellows, by step and stream."""
    budget: float | None = None
    """Seconds of active time left when last resumed; None: no limit."""
    deadline: float | None = None
    """When the budget is spent; None while suspended or without a limit."""
    final: Event | None = None
    """What ended the run."""
    error: Exception | None = None
    announced: bool = False
    """Its end has been shown."""
    reopened: int = 0
    """How often it went on after it was over."""

    @property
    def finished(self) -> bool:
        return self.status != "running"


# --- What can happen to it ------------------------------------------------------------


class Timer(NamedTuple):
    """Something of a run that has a time: its deadline, a delayed call, an ask, a wait."""

    at: float
    kind: Literal["run", "call", "ask", "wait"]
    id: str = ""
    wait_id: str = ""


@fact
class Sent:
    """An event came from outside, unaddressed or to one step."""

    at: float
    event: Event
    step: str | None = None


@fact
class Answered:
    """A person answered one ask."""

    at: float
    ask_id: str
    event: HumanResponseEvent


@fact
class Expired:
    """The run store closed an ask whose deadline had passed."""

    at: float
    ask_id: str


@fact
class Returned:
    """A step call came to its end. A list of events opens a stream."""

    at: float
    call_id: int
    made: Event | list[Event] | None


@fact
class Paused:
    """A step call cannot go on before something arrives."""

    at: float
    call_id: int
    wait: Wait | None = None
    """None: only its children wait."""
    question: Event | None = None


@fact
class Raised:
    """A step call failed; *retry_in* seconds it is tried again, None: never."""

    at: float
    call_id: int
    error: Exception
    retry_in: float | None = None


@fact
class Emitted:
    """A running call sent an event: its effect number *position*."""

    at: float
    call_id: int
    position: int
    event: Event
    step: str | None = None


@fact
class Streamed:
    """A running call wrote to the stream: its effect number *position*."""

    call_id: int
    position: int
    event: Event


@fact
class Wrote:
    """The store changes at *path*, "" for the whole of it; from outside if there is no call."""

    at: float
    path: str
    value: Any
    call_id: int | None = None
    position: int = 0


@fact
class Collected:
    """A running call put an event into a buffer of its step: its effect number *position*."""

    call_id: int
    position: int
    buffer: str
    event: Event
    expected: Sequence[type[Event]]


@fact
class Intended:
    """A running call's ``ctx.effect`` is about to happen; or, with an intent that is not open, did not."""

    call_id: int
    key: str
    intent: Intent


@fact
class Remembered:
    """A running call's ``ctx.once`` or ``ctx.effect`` has its result."""

    call_id: int
    key: str
    value: Any


@fact
class Nested:
    """A running call has come to a workflow that it runs and awaits; None: it lets go of it."""

    call_id: int
    name: str
    child: Child | None


@fact
class Heard:
    """A child workflow of a running call has been told all that has come for it."""

    call_id: int
    name: str


@fact
class Stirred:
    """A child workflow was sent something itself, after the call that runs it had stopped."""

    call_id: int


@fact
class Shown:
    """An ask is where a person can see it."""

    ask_id: str


@fact
class Announced:
    """The run's end has been shown."""


@fact
class Woke:
    """The time of *timer* has come."""

    at: float
    timer: Timer


@fact
class Resumed:
    """A process has taken the run up; its budget of active time runs from now on."""

    at: float


@fact
class Suspended:
    """Nobody works on the run now, and that time does not count."""

    at: float


@fact
class CancelRequested:
    """Somebody wants the run to end."""

    at: float


@fact
class Reopened:
    """A run that is over, or a copy of one, is to go on. Nobody works on it, so all that it owes is owed anew."""

    at: float
    questions: Mapping[str, InputRequiredEvent] = field(default_factory=dict)
    """By ask, those that the state does not hold itself."""


@fact
class Unstorable:
    """The run has come to hold something that cannot be stored, so it cannot go on."""

    at: float
    error: Exception


Tick: TypeAlias = (
    Sent
    | Answered
    | Expired
    | Returned
    | Paused
    | Raised
    | Emitted
    | Streamed
    | Wrote
    | Collected
    | Intended
    | Remembered
    | Nested
    | Heard
    | Stirred
    | Shown
    | Announced
    | Woke
    | Resumed
    | Suspended
    | CancelRequested
    | Reopened
    | Unstorable
)


# --- What it wants done -----------------------------------------------------------------


@fact
class RunStep:
    """Call the step. Owed until the call returns, pauses or fails."""

    call_id: int


@fact
class Show:
    """Put the question before a person. Owed until `Shown`, or until it is closed."""

    ask_id: str


@fact
class Announce:
    """Tell the run's end. Owed until `Announced`."""


@fact
class WakeAt:
    """Send `Woke` at the timer's time. Owed while that time matters."""

    timer: Timer


@fact
class Publish:
    """Give the event to whoever watches now. A courtesy, never owed: a crash may lose it."""

    event: Event


Command: TypeAlias = RunStep | Show | Announce | WakeAt | Publish
