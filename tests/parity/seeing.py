"""What can be seen of a run, as plain values that are equal when two runs looked the same."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from enum import Enum
from typing import Any, TypeAlias

from pydantic import BaseModel

Seen: TypeAlias = Any
"""Strings, numbers, None, and lists, tuples and dictionaries of these."""

DIFFERS_EACH_TIME = {"elapsed_seconds", "failed_at", "last_failed_at"}


def plain(value: object) -> Seen:
    """Return *value* without what differs from run to run and without whose class it is."""
    match value:
        case BaseModel():
            return type(value).__name__, _contents(value)
        case BaseException():
            return f"{type(value).__name__}: {told(str(value))}"
        case Enum():
            return value.name
        case type():
            return value.__name__
        case str():
            return told(value)
        case Mapping():
            return {plain(key): plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case tuple():
            return tuple(plain(item) for item in value)
    return value


def told(text: str) -> str:
    """Return *text* without the names of the two engines' own modules."""
    return re.sub(r"\b(?:engine|workflows|tests\.parity)\.(?:[a-z_]+\.)*", "", text)


def _contents(model: BaseModel) -> dict[str, Seen]:
    fields = {name: getattr(model, name) for name in type(model).model_fields}
    fields |= getattr(model, "_data", {})
    if getattr(model, "_result", None) is not None:
        fields["result"] = getattr(model, "_result")  # noqa: B009 - a StopEvent's, which pydantic does not declare
    return {name: plain(value) for name, value in fields.items() if name not in DIFFERS_EACH_TIME}


async def end_of(work: Awaitable[object]) -> Seen:
    """Return the result of *work*, or its error."""
    try:
        return plain(await work)
    except Exception as error:  # noqa: BLE001 - an error is what is to be seen
        return plain(error)


def refusal(act: Callable[[], object]) -> Seen:
    """Return the error of *act*, or what it returned."""
    try:
        return plain(act())
    except Exception as error:  # noqa: BLE001 - an error is what is to be seen
        return plain(error)


async def seen(
    handler: Any,
    answers: Iterable[object] = (),
    *,
    when: Callable[[object], bool] | None = None,
    internal: bool = False,
) -> Seen:
    """Return the stream of a run and its end; the next of *answers* is sent *when* an event is a question."""
    left, when = iter(answers), when or asks
    stream = []
    async for event in handler.stream_events(expose_internal=internal):
        stream.append(plain(event))
        answer = next(left, None) if when(event) else None
        if answer is not None:
            handler.ctx.send_event(answer)
    return {"stream": stream, "end": await end_of(handler)}


def asks(event: object) -> bool:
    """Tell whether *event* is a question to a person, on either engine."""
    return any(kind.__name__ == "InputRequiredEvent" for kind in type(event).__mro__)


def idles(event: object) -> bool:
    """Tell whether *event* says that a run waits for the world, on either engine."""
    return type(event).__name__ == "WorkflowIdleEvent"


async def first_questions(handler: Any, count: int = 1) -> list[Seen]:
    """Stream a run up to its question number *count*; return the questions, sorted: steps ask in any order."""
    found: list[Seen] = []
    async for event in handler.stream_events():
        if asks(event):
            found.append(plain(event))
            if len(found) == count:
                break
    return sorted(found, key=repr)


def through_json(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """Return *snapshot* as another process would read it."""
    read: dict[str, Any] = json.loads(json.dumps(snapshot))
    return read


async def every(stream: AsyncIterator[object]) -> list[Seen]:
    """Return what is left of *stream*."""
    return [plain(event) async for event in stream]


async def turns(count: int = 20) -> None:
    """Give everybody else on the event loop *count* turns."""
    for _ in range(count):
        await asyncio.sleep(0)
