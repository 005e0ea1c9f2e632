"""The shape of a stored run: what does not have it is refused before anything is made of it.

Values of the author's own stand here as ``Any``; the codec judges those.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.core.model import CallStatus, RunStatus
from engine.core.versions import FORMAT
from engine.errors import ContextSerdeError


class Shape(BaseModel):
    """Takes nothing for something else: no text for a number, no NaN for a time.

    Lists and dicts that may be missing are made by factories: pydantic makes a deep copy of each other default.
    """

    model_config = ConfigDict(strict=True, allow_inf_nan=False, defer_build=True)  # built when first read


class StoredWait(Shape):
    id: str
    accepts: str
    takes_subclasses: bool
    requirements: Any
    deadline: float | None
    ask_id: str | None
    answer: Any
    expired: bool
    child: str | None = None


class StoredGathering(Shape):
    position: int
    events: list[Any]


class StoredIntent(Shape):
    number: int = Field(ge=1)
    open: bool


class StoredCall(Shape):
    id: int
    step: str
    event: Any
    status: CallStatus
    attempt: int = Field(ge=1)
    first_at: float
    not_before: float | None = None
    failure: Any = None
    failed_at: float | None = None
    waits: list[StoredWait] = Field(default_factory=list)
    children: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Each of them is a run, and is checked as one."""
    applied: list[str] = Field(default_factory=list)
    memo: dict[str, Any] = Field(default_factory=dict)
    intents: dict[str, StoredIntent] = Field(default_factory=dict)
    gathered: list[StoredGathering] = Field(default_factory=list)
    recoveries: dict[str, int] = Field(default_factory=dict)
    stream: int | None = None


class StoredAsk(Shape):
    id: str
    event: Any = None
    opened_at: float
    deadline: float | None
    on_timeout: str
    call_id: int | None
    wait_id: str | None
    stream: int | None = None
    shown: bool


class StoredBuffer(Shape):
    step: str
    id: str
    events: list[Any]


class StoredStream(Shape):
    id: int
    source: str
    parent: int | None = None
    batches: dict[str, list[Any] | None] = Field(default_factory=dict)


class StoredSlots(Shape):
    step: str
    stream: int | None = None
    events: list[Any]


class StoredRun(Shape):
    format: Literal[1]
    run_id: str
    workflow: str
    status: RunStatus
    next_id: int
    spent: float = Field(ge=0)
    """Seconds of the run's timeout that are used up."""
    announced: bool
    reopened: int = 0
    final: Any = None
    error: Any = None
    calls: list[StoredCall]
    asks: list[StoredAsk]
    buffers: list[StoredBuffer] = Field(default_factory=list)
    path: dict[Annotated[str, Field(pattern=r"^\S+ \S+$")], int] = Field(default_factory=dict)
    streams: list[StoredStream] = Field(default_factory=list)
    slots: list[StoredSlots] = Field(default_factory=list)
    store: dict[str, Any] = Field(default_factory=dict)
    store_version: int = 1


def check_shape(data: Any) -> StoredRun:
    """Return *data* as a stored run.

    Raises:
        ContextSerdeError: it is none; the message names the first thing that is wrong.
    """
    if not isinstance(data, dict):
        raise _invalid(f"found {type(data).__name__}, not a dict")
    found = data.get("format")
    if type(found) is not int:
        raise ContextSerdeError("the provided payload has a wrong or old format: it has no format number")
    if found > FORMAT:
        raise _invalid(f"it is of format {found}, written by a newer version; this one reads up to {FORMAT}")
    try:
        run = StoredRun.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _invalid(f"{where}: {first['msg']}") from error
    _check_ids(run)
    for call in run.calls:
        for child in call.children.values():
            check_shape(child)
    return run


def _check_ids(run: StoredRun) -> None:
    """Each call and question is there once, and a question that a wait asked has that wait."""
    waits = {call.id: {wait.id for wait in call.waits} for call in run.calls}
    if len(waits) < len(run.calls) or len({ask.id for ask in run.asks}) < len(run.asks):
        raise _invalid("two calls or questions have one id")
    streams = {stream.id for stream in run.streams}
    if len(streams) < len(run.streams):
        raise _invalid("two streams have one id")
    if run.next_id <= max([*waits, *streams], default=-1):
        raise _invalid(f"next_id {run.next_id} is taken")
    members = [call.stream for call in run.calls] + [ask.stream for ask in run.asks] + [one.stream for one in run.slots]
    for member in members:
        if member is not None and member not in streams:
            raise _invalid(f"there is no stream {member}")
    for stream in run.streams:
        if stream.parent is not None and (stream.parent not in streams or stream.parent >= stream.id):
            raise _invalid(f"stream {stream.id} is within {stream.parent}")
    for ask in run.asks:
        if ask.call_id is not None and ask.wait_id not in waits.get(ask.call_id, ()):
            raise _invalid(f"nobody waits for the answer to {ask.id}")


def _invalid(reason: str) -> ContextSerdeError:
    return ContextSerdeError(f"Context dict specified in an invalid format: {reason}")
