"""Serializers: exact round trips, known classes alone, and pickles only for whoever asks for them."""

import base64
import dataclasses
import json
import pickle
import threading
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from engine import (
    Context,
    ContextSerdeError,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
    stored_as,
)
from engine.core.reducer import begin
from engine.core.snapshot import CORE, KEY, dump_fields, load_fields
from engine.serializers import BaseSerializer, JsonPickleSerializer, JsonSerializer, PickleSerializer
from engine.state_store import DictState, InMemoryStateStore


class Colour(Enum):
    RED = "r"


class Page(BaseModel):
    title: str
    colour: Colour = Colour.RED


@dataclasses.dataclass
class Point:
    x: int


class Opened:
    """Leaves a file behind when its pickle is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


class Upside(BaseSerializer):
    """An author's own: text, backwards."""

    def serialize(self, value: Any) -> str:
        return json.dumps(value)[::-1]

    def deserialize(self, value: str) -> Any:
        return json.loads(value[::-1])


class Fractions(JsonSerializer):
    """An author's own that widens ours."""

    def serialize(self, value: Any) -> str:
        return super().serialize({"fraction": str(value)} if isinstance(value, Fraction) else value)

    def deserialize(self, value: str) -> Any:
        found = super().deserialize(value)
        return Fraction(found["fraction"]) if isinstance(found, dict) and "fraction" in found else found


class Draft(Event):
    text: str


class Asks(Workflow):
    @step
    async def ask(self, ctx: Context, ev: StartEvent) -> InputRequiredEvent:
        await ctx.store.set("draft", Draft(text=ev.topic))
        return InputRequiredEvent(prefix="Ship?", about=ev.get("about"))

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=await ctx.store.get("kept", default=None))


class Titled(BaseModel):
    title: str = ""


class Typed(Workflow):
    @step
    async def only(self, ctx: Context[Titled], ev: StartEvent) -> StopEvent:
        return StopEvent(result=await ctx.store.get("title"))


VALUES = [
    {"a": [1, 2.5, None, True, "x"]},
    datetime(2026, 1, 2, tzinfo=UTC),
    UUID(int=7),
    Decimal("1.10"),
    Colour.RED,
    {1, 2},
    (1, (2, "x")),
    b"\x00\xff",
    {1: "one", 2: "two"},
    Page(title="x"),
    Point(x=1),
    StopEvent(result=(1, 2)),
    [Page(title="y"), {"deep": {3}}],
]


# --- JSON ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("kind", [JsonSerializer, PickleSerializer])
def test_a_value_comes_back_as_it_was(kind: type[JsonSerializer], value: Any) -> None:
    """Behaviour 53."""
    serializer = kind(allowed_types=[Page, Point])

    text = serializer.serialize(value)
    again = serializer.deserialize(text)
    plain = json.loads(json.dumps(serializer.serialize_value(value)))

    assert (type(again), again) == (type(value), value)
    assert serializer.deserialize_value(plain) == value


def test_a_class_that_is_not_allowed_is_not_written() -> None:
    with pytest.raises(ValueError, match=r"(?s)Failed to serialize value: <class .*Page'>.*JsonSerializer\(allowed"):
        JsonSerializer().serialize(Page(title="x"))


@pytest.mark.parametrize("name", ["Page", "builtins.eval", "os.system", "Workflow"])
def test_a_class_that_is_not_allowed_is_not_made(name: str) -> None:
    """Behaviour 55."""
    with pytest.raises(ValueError, match=f"Class {name} is not in the serializer's allowed types"):
        JsonSerializer().deserialize(json.dumps({"$": "model", "t": name, "v": {}}))


def test_the_classes_of_fields_are_allowed_with_their_owner() -> None:
    assert JsonSerializer(allowed_types=[Page]).resolve_class("Colour") is Colour


def test_a_class_is_found_by_its_name_with_the_module_or_without() -> None:
    serializer = JsonSerializer().with_types(Page)

    assert serializer.resolve_class("Page") is serializer.resolve_class(f"{__name__}.Page") is Page
    with pytest.raises(ValueError, match=r"other\.Page is not in"):
        serializer.resolve_class("other.Page")


def test_a_renamed_class_is_found_by_any_of_its_names() -> None:
    @stored_as("Sheet", "Leaf")
    class Renamed(BaseModel): ...

    serializer = JsonSerializer(allowed_types=[Renamed])

    names = ("Sheet", "Leaf", f"{__name__}.{Renamed.__qualname__}")
    assert [serializer.resolve_class(name) for name in names] == [Renamed] * 3


def test_a_wider_serializer_leaves_the_first_as_it_was() -> None:
    first = PickleSerializer()

    wider = first.with_types(Page)

    assert type(wider) is PickleSerializer
    with pytest.raises(ValueError, match="not in the serializer's allowed types"):
        first.resolve_class("Page")


def test_names_are_no_allowed_types() -> None:
    with pytest.raises(TypeError, match="never imported"):
        JsonSerializer(allowed_types=["builtins.eval"])  # type: ignore[list-item]  # as in LlamaIndex


def test_two_classes_of_one_name_are_not_both_allowed() -> None:
    other = type("Page", (BaseModel,), {})

    with pytest.raises(ValueError, match="two classes are called Page"):
        JsonSerializer(allowed_types=[Page, other])
    with pytest.raises(ValueError, match="rename one"):
        JsonSerializer(allowed_types=[Page]).with_types(other)


@pytest.mark.parametrize("text", ["", "{", '{"$": "new"}', '{"$": "pickle", "v": "gASVAA=="}', '{"$": "serialized"}'])
def test_what_is_no_json_of_ours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="value: "):
        JsonSerializer().deserialize(text)


# --- Pickles -------------------------------------------------------------------------------------


def test_what_json_cannot_carry_is_pickled_and_nothing_else() -> None:
    """Behaviour 54."""
    plain = PickleSerializer().serialize_value({"half": Fraction(1, 2), "title": "x"})

    assert plain["title"] == "x"
    assert plain["half"]["$"] == "pickle"
    assert PickleSerializer().deserialize_value(plain) == {"half": Fraction(1, 2), "title": "x"}


def test_a_value_that_holds_itself_is_pickled_whole() -> None:
    ring: list[Any] = []
    ring.append(ring)

    again = PickleSerializer().deserialize(PickleSerializer().serialize(ring))

    assert again[0] is again


def test_what_cannot_even_be_pickled_is_named() -> None:
    with pytest.raises(ValueError, match=r"value\.locks\[0\]: a _thread\.lock cannot be stored"):
        PickleSerializer().serialize({"locks": [threading.Lock()]})


def test_the_old_name_still_stands() -> None:
    assert JsonPickleSerializer is PickleSerializer


# --- A workflow's snapshots ----------------------------------------------------------------------


@pytest.fixture(params=[PickleSerializer, Fractions])
def serializer(request: pytest.FixtureRequest) -> BaseSerializer:
    kind: type[BaseSerializer] = request.param
    return kind()


async def asked(flow: Workflow, **fields: Any) -> Context[Any]:
    """Return the context of a run that waits for its answer."""
    handler = flow.run(topic="birds", **fields)
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            break
    return handler.ctx


async def test_a_serializer_of_the_workflow_serves_its_snapshots(serializer: BaseSerializer) -> None:
    """Behaviour 54."""
    flow = Asks(serializer=serializer)
    ctx = await asked(flow)
    await ctx.store.set("kept", Fraction(1, 3))

    snapshot = json.loads(json.dumps(ctx.to_dict()))
    again: Context[Any] = Context.from_dict(flow, snapshot)
    handler = flow.run(ctx=again)
    again.send_event(HumanResponseEvent(response="yes"))

    assert flow.serializer is serializer
    assert await handler == Fraction(1, 3)


async def test_a_serializer_can_be_given_for_one_snapshot(serializer: BaseSerializer) -> None:
    ctx = Context[DictState](Asks())
    await ctx.store.set("kept", Fraction(1, 3))

    snapshot = ctx.to_dict(serializer)

    assert await Context[DictState](Asks(), snapshot, serializer).store.get("kept") == Fraction(1, 3)
    assert await Context[DictState].from_dict(Asks(), snapshot, serializer).store.get("kept") == Fraction(1, 3)


async def test_a_snapshot_with_pickles_is_read_with_pickles_alone(tmp_path: Path) -> None:
    """Behaviour 54, 55."""
    trap = tmp_path / "sprung"
    ctx = Context[DictState](Asks())
    await ctx.store.set("kept", Opened(trap))
    snapshot = ctx.to_dict(PickleSerializer())

    for other in (None, JsonSerializer(), Upside()):
        with pytest.raises(ContextSerdeError, match=r"state\.kept: written by a serializer; pass the same one"):
            Context[DictState].from_dict(Asks(), snapshot, other)

    assert not trap.exists()


async def test_without_a_serializer_the_key_is_named() -> None:
    """Behaviour 54."""
    ctx = Context[DictState](Asks())
    await ctx.store.set("kept", {"in": [threading.Lock()]})

    with pytest.raises(ValueError, match=r"state\.kept\.in\[0\]: a _thread\.lock cannot be stored"):
        ctx.to_dict()
    with pytest.raises(ValueError, match=r"state\.kept: cannot be serialized"):
        ctx.to_dict(Upside())


async def test_an_authors_serializer_has_each_value_of_the_state_to_itself() -> None:
    ctx = Context[DictState](Asks())
    await ctx.store.set("kept", [1, {"a": "b"}])

    snapshot = ctx.to_dict(Upside())

    assert snapshot["store"] == {"kept": {"$": "serialized", "v": '[1, {"a": "b"}]'[::-1]}}
    assert await Context[DictState](Asks(), snapshot, Upside()).store.get("kept") == [1, {"a": "b"}]


async def test_of_an_event_an_authors_serializer_has_what_the_engine_cannot_write() -> None:
    flow = Asks(serializer=Fractions())
    ctx = await asked(flow, about=[Fraction(1, 3)])

    again: Context[Any] = Context.from_dict(flow, ctx.to_dict())

    assert [ask.event.about for ask in again.open_asks if ask.event] == [[Fraction(1, 3)]]


async def test_a_serializer_that_returns_no_text_is_told() -> None:
    class Mute(Upside):
        def serialize(self, value: Any) -> str:
            return None  # type: ignore[return-value]  # an author's mistake

    ctx = Context[DictState](Asks())
    await ctx.store.set("kept", 1)

    with pytest.raises(ValueError, match=r"state\.kept: the serializer returned NoneType instead of str"):
        ctx.to_dict(Mute())


async def test_allowed_types_join_those_the_workflow_knows() -> None:
    foreign = type("Foreign", (BaseModel,), {"__annotations__": {"x": int}, "__module__": "elsewhere"})
    flow = Asks(serializer=JsonSerializer(allowed_types=[foreign]))
    ctx = Context[DictState](flow)
    await ctx.store.set("kept", [foreign(x=1), Draft(text="x")])

    again = Context[DictState].from_dict(flow, ctx.to_dict())

    assert await again.store.get("kept") == [foreign(x=1), Draft(text="x")]


async def test_a_snapshot_without_the_state_begins_with_a_fresh_one() -> None:
    ctx = await asked(Asks())
    await ctx.store.set("kept", threading.Lock())

    snapshot = ctx.to_dict(include_state=False)
    again: Context[Any] = Context.from_dict(Asks(), snapshot)

    assert (await again.store.get_state()).to_dict() == {}
    assert len(again.open_asks) == 1


# --- What comes from a run store ------------------------------------------------------------------


@pytest.mark.parametrize("mark", ["pickle", "serialized"])
def test_a_stored_run_never_unpickles(mark: str, tmp_path: Path) -> None:
    """Behaviour 54, 55: not even where the workflow has a serializer that would."""
    trap = tmp_path / "sprung"
    definition = Asks(serializer=PickleSerializer()).definition
    fields = dump_fields(definition, begin(definition, "r", StartEvent(topic="x"), 0.0), 0.0)
    forged = {"$": mark, "v": base64.b64encode(pickle.dumps(Opened(trap))).decode()}
    core = json.loads(fields[CORE])
    core["calls"][0]["event"] = forged

    for stored in ({**fields, f"{KEY}kept": json.dumps(forged).encode()}, {CORE: json.dumps(core).encode()}):
        with pytest.raises(ContextSerdeError, match="written by a serializer"):
            load_fields(definition, stored)

    assert not trap.exists()


# --- A store and its text ---------------------------------------------------------------------------


async def test_the_store_of_a_run_can_be_written_alone() -> None:
    ctx = await asked(Asks())

    written = json.loads(json.dumps(ctx.store.to_dict(JsonSerializer())))

    read = InMemoryStateStore[DictState].from_dict(written, JsonSerializer(allowed_types=[Draft]))
    assert await read.get("draft") == Draft(text="birds")


async def test_a_store_beside_any_run_works_as_one_in_it() -> None:
    store = InMemoryStateStore(DictState())

    await store.set("draft.title", "x")
    async with store.edit_state() as state:
        state["draft"]["title"] += "y"
        assert await store.get("draft.title") == "x"

    assert await store.get("draft.title") == "xy"
    await store.clear()
    assert (await store.get_state()).to_dict() == {}


async def test_a_typed_store_is_read_by_whoever_allows_its_type() -> None:
    written = InMemoryStateStore(Page(title="x")).to_dict(JsonSerializer())

    read = InMemoryStateStore[Page].from_dict(written, JsonSerializer(allowed_types=[Page]))

    assert await read.get_state() == Page(title="x")
    with pytest.raises(ValueError, match="Class Page is not in the serializer's allowed types"):
        InMemoryStateStore.from_dict(written, JsonSerializer())


async def test_a_typed_state_goes_through_a_serializer_too() -> None:
    ctx = Context[Titled](Typed(serializer=Upside()))

    await ctx.store.set("title", "x")

    assert await Context[Titled].from_dict(Typed(), ctx.to_dict(), Upside()).store.get("title") == "x"


@pytest.mark.parametrize(
    "data", [{"state_type": 3}, {"state_type": "DictState"}, {"state_type": "Colour", "values": {}}]
)
def test_garbage_is_no_store(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a stored state"):
        InMemoryStateStore.from_dict(data, JsonSerializer(allowed_types=[Colour]))


async def test_nothing_written_is_an_empty_store() -> None:
    assert (await InMemoryStateStore.from_dict({}).get_state()).to_dict() == {}
