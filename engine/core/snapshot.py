"""A run's state as plain JSON, and as the fields of a run store.

One form serves both: a snapshot is an object that ``json.dumps`` takes; a run store keeps
the same object without the author's keys, which stand in fields of their own, so that a
commit writes what changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

from pydantic import BaseModel, ValidationError

from engine.core.codec import Codec, divided, fields_of, read_json, rebuild, write_json
from engine.core.collecting import Buffer, Slots
from engine.core.model import Ask, Call, Child, Definition, Intent, Origin, RunState, Stream, Unread, Wait
from engine.core.versions import FORMAT, upcasted, version_of
from engine.errors import CodecError, ContextSerdeError
from engine.events import DictLikeModel, Event, InputRequiredEvent

if TYPE_CHECKING:
    from engine.core.stored import StoredCall, StoredRun, StoredStream, StoredWait

M = TypeVar("M", bound=BaseModel)

CORE = "core"
KEY = "s:"
"""Prefix of the field that holds one of the author's keys."""
START = "start"
"""The field of the event that the run was started with; written once."""


def dump(
    definition: Definition, state: RunState, at: float, codec: Codec | None = None, *, include_state: bool = True
) -> dict[str, Any]:
    """Return the whole of *state* as plain JSON, to go on from at any later time; its store only on request.

    Raises:
        CodecError: something in it cannot be stored; the message names the key.
    """
    codec = codec or definition.codec
    core = _dump_core(definition, codec, state, at)
    core["calls"] = [_dump_call(codec, call, at, memo=True) for call in state.calls.values()]
    core["asks"] = [_dump_ask(ask) | {"event": codec.encode(ask.event, f"ask {ask.id}")} for ask in state.asks.values()]
    core["store"] = dump_store(codec, state.store) if include_state else {}
    return core


def load(definition: Definition, data: Any, codec: Codec | None = None) -> RunState:
    """Return the state that `dump` wrote. A cancelled one comes back ready to go on.

    Raises:
        ContextSerdeError: whatever is wrong with *data*; the message names it.
    """
    run = _checked(data)
    codec = codec or definition.codec
    state = _load_run(definition, codec, run, run.store)
    for ask in run.asks:
        where = f"ask {ask.id}"
        state.asks[ask.id].event = _of(InputRequiredEvent, codec.decode(ask.event, where), where)
    if state.status == "cancelled":
        state.status, state.final, state.announced = "running", None, False
    return state


def dump_fields(definition: Definition, state: RunState, at: float) -> dict[str, bytes]:
    """Return *state* as a run store keeps it. Questions and remembered results are kept elsewhere.

    Raises:
        CodecError: something in it cannot be stored; the message names the key.
    """
    codec = definition.codec
    core = _dump_core(definition, codec, state, at)
    core["calls"] = [_dump_call(codec, call, at, memo=False) for call in state.calls.values()]
    core["asks"] = [_dump_ask(ask) for ask in state.asks.values()]
    fields = {CORE: write_json(core)}
    for key, value in _store_items(state.store).items():
        fields[KEY + key] = codec.dumps(value, f"state.{key}")
    return fields


def load_fields(definition: Definition, fields: Mapping[str, bytes]) -> RunState:
    """Return the state that `dump_fields` wrote.

    Raises:
        ContextSerdeError: it cannot be read; the message says where.
    """
    codec = definition.codec
    if CORE not in fields:
        raise CodecError(f"stored run cannot be read: it has no field {CORE!r}")
    run = _checked(read_json(fields[CORE], "stored run"))
    values = {
        name.removeprefix(KEY): read_json(value, f"state.{name.removeprefix(KEY)}")
        for name, value in fields.items()
        if name.startswith(KEY)
    }
    return _load_run(definition, codec, run, values)


def dump_store(codec: Codec, store: BaseModel) -> dict[str, Any]:
    """Return a run's state in terms of JSON's own types.

    Raises:
        CodecError: something in it cannot be stored; the message names the key.
    """
    return {key: codec.encode_state(key, value) for key, value in _store_items(store).items()}


def load_store(codec: Codec, cls: type[M], plain: Mapping[str, Any], version: int = 1) -> M:
    """Return the state, of type *cls*, that `dump_store` wrote when that was of *version*.

    Raises:
        ContextSerdeError: it cannot be read; the message says where.
    """
    values = {key: codec.decode(value, f"state.{key}") for key, value in plain.items()}
    if values and version != version_of(cls):  # a snapshot may leave the state out
        values = upcasted(cls, values, version, "state")
    try:
        return rebuild(cls, *divided(cls, values))
    except ValidationError as error:
        first = error.errors()[0]
        raise ContextSerdeError(f"stored state does not fit {cls.__name__}: {first['loc']}: {first['msg']}") from error
    except Exception as error:  # an author's class refuses it in its own way
        raise ContextSerdeError(f"stored state does not fit {cls.__name__}: {error}") from error


def _store_items(store: BaseModel) -> dict[str, Any]:
    """Return the top-level keys and values of a run's state.

    Raises:
        CodecError: a key is no text.
    """
    items = fields_of(store) | (store.model_extra or {})
    if isinstance(store, DictLikeModel):
        items |= (data := DictLikeModel.to_dict(store))  # an author may have a `to_dict` of their own
        for key in data:
            if type(key) is not str:
                raise CodecError(f"state key {key!r}: a {type(key).__name__} cannot be stored as a key; use a str")
    return items


# --- The parts ----------------------------------------------------------------------------


def _dump_core(definition: Definition, codec: Codec, state: RunState, at: float) -> dict[str, Any]:
    left = state.budget if state.deadline is None else state.deadline - at
    spent = 0.0 if left is None or definition.timeout is None else definition.timeout - left
    core: dict[str, Any] = {
        "format": FORMAT,
        "run_id": state.run_id,
        "workflow": definition.stored_name,
        "status": state.status,
        "next_id": state.next_id,
        "spent": max(0.0, spent),
        "announced": state.announced,
    }
    if state.reopened:
        core["reopened"] = state.reopened
    if state.buffers:
        core["buffers"] = [
            {"step": step, "id": buffer_id, "events": codec.encode(buffer.events, f"buffer of step {step}")}
            for (step, buffer_id), buffer in state.buffers.items()
        ]
    if state.path:
        core["path"] = {f"{source} {target}": n for (source, target), n in state.path.items()}
    if state.streams:
        core["streams"] = [_dump_stream(codec, stream_id, stream) for stream_id, stream in state.streams.items()]
    if state.slots:
        core["slots"] = [
            {"step": step, "stream": stream, "events": codec.encode(slots.events, f"events for step {step}")}
            for (step, stream), slots in state.slots.items()
        ]
    if (version := version_of(type(state.store))) != 1:
        core["store_version"] = version
    if state.final is not None:
        core["final"] = codec.encode(state.final, "the event that ended the run")
    if state.error is not None:
        core["error"] = codec.encode(state.error, "error")
    return core


def _checked(data: Any) -> StoredRun:
    from engine.core.stored import check_shape  # noqa: PLC0415 - a run that begins has no need of its many models

    return check_shape(data)


def _load_run(definition: Definition, codec: Codec, run: StoredRun, values: Mapping[str, Any]) -> RunState:
    state = RunState(
        run_id=run.run_id,
        workflow=definition.name,
        store=load_store(codec, definition.state_type, values, run.store_version),
        status=run.status,
        next_id=run.next_id,
        budget=None if definition.timeout is None else max(0.0, definition.timeout - run.spent),
        final=_read(Event, codec, run.final, "the event that ended the run"),
        error=_read(Exception, codec, run.error, "error"),
        announced=run.announced,
        reopened=run.reopened,
        path={(source, target): n for arrow, n in run.path.items() for source, _, target in [arrow.partition(" ")]},
    )
    _check_steps(definition, run)
    for call in run.calls:
        state.calls[call.id] = _load_call(codec, call)
    # Those that had a worker come first: the step may have fewer workers by now.
    for loaded in sorted(state.calls.values(), key=lambda call: call.status != "ready"):
        _place(definition, state, loaded)
    for stored in run.buffers:
        buffer = state.buffers.setdefault((stored.step, stored.id), Buffer())
        for event in _load_events(codec, stored.events, f"buffer of step {stored.step}"):
            buffer.put(event)
    for ask in run.asks:
        state.asks[ask.id] = Ask(**{**vars(ask), "event": None})
    _load_streams(codec, run, state)
    return state


def _dump_stream(codec: Codec, stream_id: int, stream: Stream) -> dict[str, Any]:
    plain: dict[str, Any] = {"id": stream_id, "source": stream.source, "parent": stream.parent}
    if stream.batches:
        plain["batches"] = {
            step: codec.encode(events, f"events for step {step}") for step, events in stream.batches.items()
        }
    return plain


def _load_streams(codec: Codec, run: StoredRun, state: RunState) -> None:
    for stored in run.streams:
        state.streams[stored.id] = Stream(stored.source, stored.parent, batches=_load_batches(codec, stored))
    for waiting in run.slots:
        slots = state.slots.setdefault((waiting.step, waiting.stream), Slots())
        for event in _load_events(codec, waiting.events, f"events for step {waiting.step}"):
            slots.put(event)
    if not state.streams:
        return
    members = [call.origin.stream for call in state.calls.values()]
    members += [ask.stream for ask in state.asks.values()]
    members += [stream.parent for stream in state.streams.values()]
    for stream_id in members:
        if stream_id is not None:
            state.streams[stream_id].open += 1
    for stream_id, stream in state.streams.items():
        if not stream.open:
            raise ContextSerdeError(f"nothing is left in stream {stream_id}, so it can never close")


def _load_batches(codec: Codec, stored: StoredStream) -> dict[str, list[Event] | None]:
    return {
        step: None if events is None else _load_events(codec, events, f"events for step {step}")
        for step, events in stored.batches.items()
    }


def _check_steps(definition: Definition, run: StoredRun) -> None:
    """Refuse a run that cannot go on because a step it needs has been taken out or renamed."""
    needed = [call.step for call in run.calls] + [waiting.step for waiting in run.slots]
    needed += [step for stream in run.streams for step in (stream.source, *stream.batches)]
    for step in needed:
        if step not in definition.steps:
            raise ContextSerdeError(
                f"the run waits in step {step!r}, which {definition.name} no longer has; "
                f"it has {', '.join(definition.steps)}"
            )


def _place(definition: Definition, state: RunState, call: Call) -> None:
    """Put a loaded call where its status and its waits belong."""
    if any(wait.open for wait in call.waits.values()):
        state.waiting[call.id] = None
    match call.status:
        case "ready" | "queued":
            taken = state.running.get(call.step, 0)
            if taken < definition.steps[call.step].num_workers:
                state.running[call.step] = taken + 1
                call.status = "ready"
            else:
                state.queued.setdefault(call.step, deque()).append(call.id)
                call.status = "queued"
        case "waiting" | "delayed":
            pass
        case _:
            assert_never(call.status)


def _load_events(codec: Codec, plain: list[Any], where: str) -> list[Event]:
    return [_of(Event, codec.decode(one, where), where) for one in plain]


def _of(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, kind):
        raise ContextSerdeError(f"{where}: found {type(value).__name__}, not {kind.__name__}")
    return value


def _read(kind: type, codec: Codec, plain: Any, where: str) -> Any:
    return None if plain is None else _of(kind, codec.decode(plain, where), where)


def _dump_call(codec: Codec, call: Call, at: float, *, memo: bool) -> dict[str, Any]:
    where = f"event of step {call.step}"
    plain: dict[str, Any] = {
        "id": call.id,
        "step": call.step,
        "event": codec.encode(call.event, where),
        "status": call.status,
        "attempt": call.attempt,
        "first_at": call.first_at,
    }
    if call.not_before is not None:
        plain["not_before"] = call.not_before
    if call.failure is not None:
        plain["failure"] = codec.encode(call.failure, where)
        plain["failed_at"] = call.failed_at
    if call.waits:
        plain["waits"] = [_dump_wait(codec, wait) for wait in call.waits.values()]
    if call.applied:
        plain["applied"] = call.applied
    if call.origin.recoveries:
        plain["recoveries"] = dict(call.origin.recoveries)
    if call.origin.stream is not None:
        plain["stream"] = call.origin.stream
    if call.gathered:
        plain["gathered"] = [
            {"position": at, "events": codec.encode(events, where)} for at, events in call.gathered.items()
        ]
    if call.children:
        plain["children"] = {name: _dump_child(codec, call, name, child, at) for name, child in call.children.items()}
    if memo and call.memo:
        plain["memo"] = {
            key: codec.encode(value, f"once {key!r} of step {call.step}") for key, value in call.memo.items()
        }
    if memo and call.intents:
        plain["intents"] = {key: {"number": one.number, "open": one.open} for key, one in call.intents.items()}
    return plain


def _load_call(codec: Codec, plain: StoredCall) -> Call:
    where = f"event of step {plain.step}"
    return Call(
        id=plain.id,
        step=plain.step,
        event=_of(Event, codec.decode(plain.event, where), where),
        status=plain.status,
        attempt=plain.attempt,
        first_at=plain.first_at,
        not_before=plain.not_before,
        failure=_read(Exception, codec, plain.failure, where),
        failed_at=plain.failed_at,
        waits={wait.id: _load_wait(codec, wait) for wait in plain.waits},
        children={name: Unread(child, codec) for name, child in plain.children.items()},
        applied=plain.applied,
        origin=Origin(plain.stream, plain.recoveries),
        gathered={one.position: _load_events(codec, one.events, where) for one in plain.gathered},
        memo={key: codec.decode(value, f"once {key!r} of step {plain.step}") for key, value in plain.memo.items()},
        intents={key: Intent(one.number, one.open) for key, one in plain.intents.items()},
    )


def _dump_child(codec: Codec, call: Call, name: str, child: Child | Unread, at: float) -> Mapping[str, Any]:
    """Return a child in the words of its own workflow."""
    if isinstance(child, Unread):
        return child.plain
    if child.written is not None and child.written[0] is codec:
        return child.written[1]
    try:
        plain = dump(child.definition, child.state, at, codec.beside(child.definition.types))
    except CodecError as error:
        raise CodecError(f"workflow {name} in step {call.step}: {error}") from error
    if child.state.announced:
        child.written = codec, plain
    return plain


def _dump_wait(codec: Codec, wait: Wait) -> dict[str, Any]:
    plain = {
        "id": wait.id,
        "accepts": wait.accepts,
        "takes_subclasses": wait.takes_subclasses,
        "requirements": codec.encode(dict(wait.requirements), f"requirements of {wait.id}"),
        "deadline": wait.deadline,
        "ask_id": wait.ask_id,
        "answer": codec.encode(wait.answer, f"answer to {wait.id}"),
        "expired": wait.expired,
    }
    if wait.child is not None:
        plain["child"] = wait.child
    return plain


def _load_wait(codec: Codec, plain: StoredWait) -> Wait:
    required, answer = f"requirements of {plain.id}", f"answer to {plain.id}"
    read = {
        "accepts": codec.name_now(plain.accepts),
        "requirements": _of(dict, codec.decode(plain.requirements, required), required),
        "answer": _read(Event, codec, plain.answer, answer),
    }
    return Wait(**{**vars(plain), **read})


def _dump_ask(ask: Ask) -> dict[str, Any]:
    plain = {
        "id": ask.id,
        "opened_at": ask.opened_at,
        "deadline": ask.deadline,
        "on_timeout": ask.on_timeout,
        "call_id": ask.call_id,
        "wait_id": ask.wait_id,
        "shown": ask.shown,
    }
    return plain if ask.stream is None else {**plain, "stream": ask.stream}
