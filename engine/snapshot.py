"""A run's state as plain JSON, and as the fields of a run store.

One form serves both: a snapshot is an object that ``json.dumps`` takes; a run store keeps
the same object without the author's keys, which stand in fields of their own, so that a
commit writes what changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from engine.codec import Codec
from engine.errors import CodecError, ContextSerdeError
from engine.events import DictLikeModel
from engine.model import Ask, Call, Definition, RunState, Wait

FORMAT = 1
CORE = "core"
KEY = "s:"
"""Prefix of the field that holds one of the author's keys."""


def dump(definition: Definition, state: RunState, at: float) -> dict[str, Any]:
    """Return the whole of *state* as plain JSON, to go on from at any later time.

    Raises:
        CodecError: something in it cannot be stored; the message names the key.
    """
    codec = Codec(definition.types)
    core = _dump_core(codec, state, at)
    core["calls"] = [_dump_call(codec, call, memo=True) for call in state.calls.values()]
    core["asks"] = [_dump_ask(ask) | {"event": codec.encode(ask.event, f"ask {ask.id}")} for ask in state.asks.values()]
    core["store"] = {key: codec.encode(value, f"state.{key}") for key, value in store_items(state.store).items()}
    return core


def load(definition: Definition, data: Any) -> RunState:
    """Return the state that `dump` wrote. A cancelled one comes back ready to go on.

    Raises:
        ContextSerdeError: whatever is wrong with *data*; the message names it.
    """
    if not isinstance(data, dict):
        raise ContextSerdeError(f"Context dict specified in an invalid format: found {type(data).__name__}, not a dict")
    _check_format(data)
    codec = Codec(definition.types)
    try:
        store = {key: codec.decode(value, f"state.{key}") for key, value in data["store"].items()}
        state = _load_core(definition, codec, data, store)
        for plain in data["asks"]:
            state.asks[plain["id"]].event = codec.decode(plain["event"], f"ask {plain['id']}")
    except ContextSerdeError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ContextSerdeError(f"Context dict specified in an invalid format: {_told(error)}") from error
    if state.status == "cancelled":
        state.status, state.final, state.announced = "running", None, False
    return state


def dump_fields(definition: Definition, state: RunState, at: float) -> dict[str, bytes]:
    """Return *state* as a run store keeps it. Questions and remembered results are kept elsewhere.

    Raises:
        CodecError: something in it cannot be stored; the message names the key.
    """
    codec = Codec(definition.types)
    core = _dump_core(codec, state, at)
    core["calls"] = [_dump_call(codec, call, memo=False) for call in state.calls.values()]
    core["asks"] = [_dump_ask(ask) for ask in state.asks.values()]
    fields = {CORE: to_json(core)}
    for key, value in store_items(state.store).items():
        fields[KEY + key] = codec.dumps(value, f"state.{key}")
    return fields


def load_fields(definition: Definition, fields: Mapping[str, bytes]) -> RunState:
    """Return the state that `dump_fields` wrote.

    Raises:
        ContextSerdeError: it cannot be read; the message says where.
    """
    codec = Codec(definition.types)
    try:
        core = from_json(fields[CORE])
        _check_format(core)
        store = {
            name.removeprefix(KEY): codec.loads(value, f"state.{name.removeprefix(KEY)}")
            for name, value in fields.items()
            if name.startswith(KEY)
        }
        return _load_core(definition, codec, core, store)
    except ContextSerdeError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CodecError(f"stored run cannot be read: {_told(error)}") from error


def store_items(store: BaseModel) -> dict[str, Any]:
    """Return the top-level keys and values of a run's state."""
    if isinstance(store, DictLikeModel):
        return {name: getattr(store, name) for name in type(store).model_fields} | store.to_dict()
    return {name: getattr(store, name) for name in type(store).model_fields}


# --- The parts ----------------------------------------------------------------------------


def _dump_core(codec: Codec, state: RunState, at: float) -> dict[str, Any]:
    budget = state.budget if state.deadline is None else max(0.0, state.deadline - at)
    core: dict[str, Any] = {
        "format": FORMAT,
        "run_id": state.run_id,
        "workflow": state.workflow,
        "status": state.status,
        "next_id": state.next_id,
        "budget": budget,
        "announced": state.announced,
    }
    if state.final is not None:
        core["final"] = codec.encode(state.final, "the event that ended the run")
    if state.error is not None:
        core["error"] = codec.encode(state.error, "error")
    return core


def _load_core(definition: Definition, codec: Codec, core: dict[str, Any], store: dict[str, Any]) -> RunState:
    state = RunState(
        run_id=core["run_id"],
        workflow=core["workflow"],
        store=_load_store(definition, store),
        status=core["status"],
        next_id=core["next_id"],
        budget=core["budget"],
        final=codec.decode(core.get("final"), "the event that ended the run"),
        error=codec.decode(core.get("error"), "error"),
        announced=core["announced"],
    )
    for plain in core["calls"]:
        _place(definition, state, _load_call(codec, plain))
    for plain in core["asks"]:
        state.asks[plain["id"]] = Ask(event=None, **{k: v for k, v in plain.items() if k != "event"})
    return state


def _place(definition: Definition, state: RunState, call: Call) -> None:
    """Put a loaded call where its status belongs."""
    if call.step not in definition.steps:
        raise ContextSerdeError(
            f"the run waits in step {call.step!r}, which {definition.name} no longer has; "
            f"it has {', '.join(definition.steps)}"
        )
    state.calls[call.id] = call
    match call.status:
        case "ready":
            state.running[call.step] = state.running.get(call.step, 0) + 1
        case "queued":
            state.queued.setdefault(call.step, deque()).append(call.id)
        case "waiting":
            state.waiting[call.id] = None
        case "delayed":
            pass


def _load_store(definition: Definition, values: dict[str, Any]) -> BaseModel:
    cls = definition.state_type
    try:
        return cls(**values) if issubclass(cls, DictLikeModel) else cls.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise ContextSerdeError(f"stored state does not fit {cls.__name__}: {first['loc']}: {first['msg']}") from error


def _dump_call(codec: Codec, call: Call, *, memo: bool) -> dict[str, Any]:
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
    if memo and call.memo:
        plain["memo"] = {
            key: codec.encode(value, f"once {key!r} of step {call.step}") for key, value in call.memo.items()
        }
    return plain


def _load_call(codec: Codec, plain: dict[str, Any]) -> Call:
    where = f"event of step {plain['step']}"
    waits = [_load_wait(codec, wait) for wait in plain.get("waits", ())]
    return Call(
        id=plain["id"],
        step=plain["step"],
        event=codec.decode(plain["event"], where),
        status=plain["status"],
        attempt=plain["attempt"],
        first_at=plain["first_at"],
        not_before=plain.get("not_before"),
        failure=codec.decode(plain.get("failure"), where),
        failed_at=plain.get("failed_at"),
        waits={wait.id: wait for wait in waits},
        applied=list(plain.get("applied", ())),
        memo={key: codec.decode(value, where) for key, value in plain.get("memo", {}).items()},
    )


def _dump_wait(codec: Codec, wait: Wait) -> dict[str, Any]:
    return {
        "id": wait.id,
        "accepts": wait.accepts,
        "takes_subclasses": wait.takes_subclasses,
        "requirements": codec.encode(dict(wait.requirements), f"requirements of {wait.id}"),
        "deadline": wait.deadline,
        "ask_id": wait.ask_id,
        "answer": codec.encode(wait.answer, f"answer to {wait.id}"),
        "expired": wait.expired,
    }


def _load_wait(codec: Codec, plain: dict[str, Any]) -> Wait:
    return Wait(
        **{
            **plain,
            "requirements": codec.decode(plain["requirements"], "requirements"),
            "answer": codec.decode(plain["answer"], f"answer to {plain['id']}"),
        }
    )


def _dump_ask(ask: Ask) -> dict[str, Any]:
    return {
        "id": ask.id,
        "opened_at": ask.opened_at,
        "deadline": ask.deadline,
        "on_timeout": ask.on_timeout,
        "call_id": ask.call_id,
        "wait_id": ask.wait_id,
        "shown": ask.shown,
    }


def _check_format(data: dict[str, Any]) -> None:
    found = data.get("format")
    if type(found) is not int:
        raise ContextSerdeError("the provided payload has a wrong or old format: it has no format number")
    if found > FORMAT:
        raise ContextSerdeError(
            "Context dict specified in an invalid format: "
            f"it is of format {found}, written by a newer version; this one reads up to {FORMAT}"
        )


def _told(error: Exception) -> str:
    return f"missing {error}" if isinstance(error, KeyError) else str(error)
