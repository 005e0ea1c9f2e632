"""Serializers: what they write they read, and what they refuse."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from engine import Context, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.context import BaseSerializer, JsonSerializer, PickleSerializer
from tests.parity.seeing import Seen, end_of, first_questions, plain, refusal, through_json


class Page(BaseModel):
    title: str
    lines: list[str] = []


class Book(BaseModel):
    pages: list[Page]
    index: dict[str, Page] = {}


class Noted(Event):
    text: str


class Thing:
    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thing) and other.name == self.name

    __hash__ = None  # type: ignore[assignment]  # equal by name, and no key of anything


def there_and_back(serializer: BaseSerializer, value: object) -> Seen:
    """Return what comes of *value*, and whether it is equal to what went in."""
    found = serializer.deserialize(serializer.serialize(value))
    return plain(found), found == value


async def plain_values_there_and_back() -> Seen:
    values = [None, True, 1, 1.5, "text", "ünï ✓", [], [1, [2, None]], {}, {"a": {"b": [1, {"c": None}]}}, 10**30]
    return [there_and_back(JsonSerializer(), value) for value in values]


async def models_there_and_back() -> Seen:
    serializer = JsonSerializer(allowed_types=[Page, Book, Noted])
    page = Page(title="t", lines=["a"])
    values = [page, [page, {"in": page}], Book(pages=[page], index={"t": page}), Noted(text="x", more=[1])]
    return [there_and_back(serializer, value) for value in values]


async def text_that_a_serializer_writes_is_json() -> Seen:
    return json.loads(JsonSerializer().serialize({"a": [1, 2.5, "x", None, True]}))


async def values_that_json_has_no_word_for() -> Seen:
    values = [datetime(2026, 1, 2, tzinfo=UTC), date(2026, 1, 2), UUID(int=5), Decimal("1.10"), {1, 2}, b"b", (1, 2)]
    return [refusal(lambda value=value: there_and_back(JsonSerializer(), value)) for value in [*values, {1: "int key"}]]  # type: ignore[misc]  # mypy cannot infer a lambda with a default


async def a_value_that_cannot_be_written() -> Seen:
    try:
        return JsonSerializer().serialize({"thing": Thing("t")})
    except ValueError as error:
        return str(error).partition(":")[0]


async def a_class_that_is_not_allowed() -> Seen:
    text = JsonSerializer(allowed_types=[Page]).serialize(Page(title="t"))
    try:
        return JsonSerializer(allowed_types=[]).deserialize(text)
    except ValueError as error:
        return "Page" in str(error), "allowed" in str(error)


async def a_pickle_there_and_back() -> Seen:
    values = [Thing("t"), {"a": [Thing("u")]}, {1, 2}, [1, "a"], b"bytes", Page(title="t")]
    return [there_and_back(PickleSerializer(), value)[1] for value in values]


class Keeps(Workflow):
    """Keeps what JSON has no word for while it asks."""

    @step
    async def a_ask(self, ctx: Context, ev: StartEvent) -> InputRequiredEvent:
        await ctx.store.set("thing", Thing("kept"))
        return InputRequiredEvent(prefix="?")

    @step
    async def b_end(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=(ev.response, (await ctx.store.get("thing")).name))


async def a_snapshot_with_a_serializer() -> Seen:
    first, second = Keeps(), Keeps()
    handler = first.run()
    await first_questions(handler)
    refused = "Thing" in str(refusal(lambda: handler.ctx.to_dict()))
    snapshot = through_json(handler.ctx.to_dict(serializer=PickleSerializer()))
    await handler.cancel_run()
    ctx = Context[Any].from_dict(second, snapshot, serializer=PickleSerializer())
    again = second.run(ctx=ctx)
    ctx.send_event(HumanResponseEvent(response="yes"))
    return refused, await end_of(again)


async def a_serializer_of_the_workflow() -> Seen:
    first, second = Keeps(serializer=PickleSerializer()), Keeps(serializer=PickleSerializer())
    handler = first.run()
    await first_questions(handler)
    snapshot = through_json(handler.ctx.to_dict())
    await handler.cancel_run()
    ctx = Context[Any].from_dict(second, snapshot)
    again = second.run(ctx=ctx)
    ctx.send_event(HumanResponseEvent(response="yes"))
    return await end_of(again)


class Dated(Workflow):
    """Keeps what has an exact form, though JSON has no word for it."""

    @step
    async def a_ask(self, ctx: Context, ev: StartEvent) -> InputRequiredEvent:
        await ctx.store.set("kept", {"at": datetime(2026, 1, 2, tzinfo=UTC), "price": Decimal("1.10"), "set": {1}})
        return InputRequiredEvent(prefix="?")

    @step
    async def b_end(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent()


async def a_snapshot_of_dates_and_decimals() -> Seen:
    flow = Dated()
    handler = flow.run()
    await first_questions(handler)
    kept = await handler.ctx.store.get("kept")
    try:
        ctx = Context[Any].from_dict(flow, through_json(handler.ctx.to_dict()))
        return await ctx.store.get("kept") == kept
    except ValueError as error:
        return type(error).__name__
    finally:
        await handler.cancel_run()
