"""Classes are renamed and change their shape while stored runs hold their values."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from engine import Context, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.core.codec import Codec
from engine.core.registered import registered
from engine.core.snapshot import dump, load
from engine.core.versions import stored_as, stored_names, upcast, version_of
from engine.errors import CodecError
from engine.memory_store import MemoryRunStore
from engine.runner import Runner


def codec_of(*classes: type) -> Codec:
    return Codec(registered(classes))


def grown(name: str, steps: dict[int, Callable[[dict[str, Any]], dict[str, Any]]], **fields: Any) -> type[Event]:
    """Make an event class of *name* with upcasts from the versions of *steps*."""
    namespace = {"__module__": __name__, "__annotations__": dict.fromkeys(fields, Any), **fields}
    cls: type[Event] = type(name, (Event,), namespace)
    for version, function in steps.items():
        upcast(cls, version)(function)
    return cls


# --- Names ---------------------------------------------------------------------------------------


def test_a_renamed_class_keeps_the_name_it_is_stored_under() -> None:
    before = grown("DraftReady", {}, text="")
    after = stored_as("DraftReady")(grown("Draft", {}, text=""))

    read = codec_of(after).loads(codec_of(before).dumps(before(text="x")))

    assert type(read) is after
    assert read.text == "x"
    assert codec_of(after).encode(read)["t"] == "DraftReady"


def test_a_class_of_several_names_is_read_under_each_and_written_under_the_first() -> None:
    cls = stored_as("Draft", "DraftReady")(grown("Text", {}))
    codec = codec_of(cls)

    for name in ("Draft", "DraftReady"):
        read = codec.decode({"$": "model", "t": name, "v": {}})
        assert type(read) is cls
        assert codec.encode(read)["t"] == "Draft"
    with pytest.raises(CodecError, match="Text"):
        codec.decode({"$": "model", "t": "Text", "v": {}})


def test_a_name_is_not_inherited() -> None:
    parent = stored_as("Old", version=3)(grown("Parent", {}))

    class Child(parent):  # type: ignore[misc, valid-type]  # made by a function
        pass

    assert (stored_names(Child), version_of(Child)) == (("Child",), 1)


def test_enums_and_dataclasses_have_names_too() -> None:
    @stored_as("Color")
    class Colour(Enum):
        RED = 1

    @stored_as("Dot")
    @dataclasses.dataclass(frozen=True, slots=True)
    class Point:
        x: int

    codec = codec_of(Colour, Point)

    assert [codec.encode(value)["t"] for value in (Colour.RED, Point(1), Colour)] == ["Color", "Dot", "Color"]
    assert codec.loads(codec.dumps([Colour.RED, Point(1), Colour])) == [Colour.RED, Point(1), Colour]


def test_two_classes_of_one_name_are_refused_with_the_repair() -> None:
    with pytest.raises(ValueError, match=r"two classes are called Same, .* with @stored_as"):
        registered([grown("Same", {}), stored_as("Same")(grown("Other", {}))])


@pytest.mark.parametrize("name", ["", "a b", "x.y", Event])
def test_what_is_no_name_is_refused(name: Any) -> None:
    with pytest.raises(TypeError, match="stored_as takes names such as 'DraftReady'"):
        stored_as(name)


# --- Versions --------------------------------------------------------------------------------------


def test_a_class_that_never_changed_says_no_version() -> None:
    cls = grown("Draft", {}, text="")

    assert codec_of(cls).encode(cls(text="x")) == {"$": "model", "t": "Draft", "v": {"text": "x"}}


def test_an_upcast_leads_values_of_the_first_version_on() -> None:
    before = grown("Draft", {}, text="")
    after = grown("Draft", {1: lambda values: {"body": values["text"], "words": 2}}, body="", words=0)
    codec = codec_of(after)

    read = codec.loads(codec_of(before).dumps(before(text="two words")))

    assert (read.body, read.words, read.get("text")) == ("two words", 2, None)
    assert codec.encode(read) == {"$": "model", "t": "Draft", "v": {"body": "two words", "words": 2}, "n": 2}
    assert codec.loads(codec.dumps(read)) == read


def test_an_upcast_gets_undeclared_values_and_may_declare_them() -> None:
    before = grown("Draft", {})
    after = grown("Draft", {1: lambda values: {**values, "seen": True}}, topic="")

    read = codec_of(after).loads(codec_of(before).dumps(before(topic="tea", mood="good")))

    assert (read.topic, read.to_dict()) == ("tea", {"mood": "good", "seen": True})


def test_what_is_nested_is_up_to_date_when_its_holder_is_led_on() -> None:
    class Address(BaseModel):
        city: str

    class Person(BaseModel):
        home: Address
        greeting: str

    @upcast(Address, from_version=1)
    def with_city(values: dict[str, Any]) -> dict[str, Any]:
        return {"city": values["town"]}

    @upcast(Person, from_version=1)
    def with_greeting(values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "greeting": f"Hello {values['home'].city}"}

    stored = {"$": "model", "t": "Person", "v": {"home": {"$": "model", "t": "Address", "v": {"town": "Lisbon"}}}}

    assert codec_of(Person).decode(stored) == Person(home=Address(city="Lisbon"), greeting="Hello Lisbon")


def test_a_dataclass_is_led_on() -> None:
    @dataclasses.dataclass
    class Point:
        x: int
        z: int

    @upcast(Point, from_version=1)
    def with_depth(values: dict[str, Any]) -> dict[str, Any]:
        values["z"] = values.pop("y")
        return values

    codec = codec_of(Point)

    assert codec.decode({"$": "data", "t": "Point", "v": {"x": 1, "y": 2}}) == Point(1, 2)
    assert codec.encode(Point(1, 2))["n"] == 2


@given(st.integers(1, 6), st.data())
def test_a_chain_is_its_steps_one_after_the_other_from_wherever_it_is_entered(length: int, data: st.DataObject) -> None:
    """Each version multiplies and adds, so that no two orders of the steps come to the same."""
    factors = data.draw(st.lists(st.integers(2, 9), min_size=length, max_size=length))
    begun = data.draw(st.integers(1, length + 1))
    number = data.draw(st.integers(-100, 100))

    def led(factor: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
        return lambda values: {**values, "number": values["number"] * factor + 1}

    cls = grown("Counted", {n + 1: led(factor) for n, factor in enumerate(factors)}, number=0)
    stored = {"$": "model", "t": "Counted", "v": {"number": number}, "n": begun}

    expected = number
    for factor in factors[begun - 1 :]:
        expected = expected * factor + 1
    codec = codec_of(cls)
    read = codec.decode(stored)
    assert read.number == expected
    assert codec.encode(read)["n"] == length + 1
    assert codec.loads(codec.dumps(read)) == read


def test_a_version_of_newer_code_is_refused() -> None:
    """Behaviour 49."""
    cls = grown("Draft", {1: dict})

    with pytest.raises(CodecError, match=r"answer: stored Draft is of version 3, written by newer code; .* version 2"):
        codec_of(cls).decode({"$": "model", "t": "Draft", "v": {}, "n": 3}, "answer")


def test_a_version_whose_upcast_is_gone_is_refused() -> None:
    cls = grown("Draft", {2: dict})

    with pytest.raises(CodecError, match=r"Draft is of version 1, from which nothing leads on; .*from_version=1\)"):
        codec_of(cls).decode({"$": "model", "t": "Draft", "v": {}})


def test_a_class_whose_upcasts_are_all_gone_says_its_version() -> None:
    cls = stored_as(version=3)(grown("Draft", {}))
    codec = codec_of(cls)

    assert codec.encode(cls())["n"] == 3
    assert codec.loads(codec.dumps(cls())) == cls()
    with pytest.raises(CodecError, match="of version 2, from which nothing leads on"):
        codec.decode({"$": "model", "t": "Draft", "v": {}, "n": 2})


@pytest.mark.parametrize("version", [0, -1, "2", None, True, 1.0, [], {}])
def test_what_is_no_version_is_refused(version: Any) -> None:
    """Behaviour 49."""
    cls = grown("Draft", {1: dict})

    with pytest.raises(CodecError, match=r"has .* for its version"):
        codec_of(cls).decode({"$": "model", "t": "Draft", "v": {}, "n": version})


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda values: values["nothing"], "from version 1 of stored Draft, raised KeyError: 'nothing'"),
        (lambda values: None, "from version 1 of stored Draft, returned NoneType instead of dict"),
    ],
)
def test_an_upcast_that_fails_is_named(function: Callable[[Any], Any], told: str) -> None:
    cls = grown("Draft", {1: function})

    with pytest.raises(CodecError, match=f"answer: .*{told}"):
        codec_of(cls).decode({"$": "model", "t": "Draft", "v": {}}, "answer")


def test_two_ways_on_from_one_version_are_refused() -> None:
    cls = grown("Draft", {1: dict})

    with pytest.raises(ValueError, match="dict leads Draft on from version 1 already"):
        upcast(cls, from_version=1)(lambda values: values)


def test_what_has_no_fields_has_no_versions() -> None:
    with pytest.raises(TypeError, match="upcast takes a pydantic model or a dataclass"):
        upcast(Enum, from_version=1)


@pytest.mark.parametrize("make", [lambda: upcast(Event, 0), lambda: stored_as(version=0)])
def test_versions_count_from_one(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="versions count from 1; found 0"):
        make()


# --- Runs -----------------------------------------------------------------------------------------


class Old(Event):
    text: str


class OldAnswer(HumanResponseEvent):
    response: str


class OldTopic(BaseModel):
    name: str = ""


class Review(Workflow):
    @step
    async def write(self, ctx: Context[OldTopic], ev: StartEvent) -> Old:
        await ctx.store.set("name", "tea")
        return Old(text="on tea")

    @step
    async def ask(self, ctx: Context[OldTopic], ev: Old) -> StopEvent:
        ctx.send_event(Old(text="aside"), "note")
        answer = await ctx.wait_for_event(OldAnswer, prompt="Good?")
        return StopEvent(result=[ev.text, answer.response])

    @step
    async def note(self, ctx: Context[OldTopic], ev: Old) -> InputRequiredEvent | None:
        return None


@stored_as("Old")
class New(Event):
    body: str


@upcast(New, from_version=1)
def text_is_body(values: dict[str, Any]) -> dict[str, Any]:
    return {"body": values["text"]}


@stored_as("OldAnswer")
class NewAnswer(HumanResponseEvent):
    response: str


class Topic(BaseModel):
    title: str = ""


@upcast(Topic, from_version=1)
def name_is_title(values: dict[str, Any]) -> dict[str, Any]:
    return {"title": values["name"].upper()}


@stored_as("Review")
class Reviewing(Workflow):
    noted: list[str]

    @step
    async def write(self, ctx: Context[Topic], ev: StartEvent) -> New:
        return New(body="")

    @step
    async def ask(self, ctx: Context[Topic], ev: New) -> StopEvent:
        ctx.send_event(New(body="aside"), "note")
        answer = await ctx.wait_for_event(NewAnswer, prompt="Good?")
        return StopEvent(result=[ev.body, answer.response, await ctx.store.get("title")])

    @step
    async def note(self, ctx: Context[Topic], ev: New) -> InputRequiredEvent | None:
        self.noted.append(ev.body)
        return None


async def test_a_durable_run_goes_on_with_classes_that_were_renamed_and_have_changed() -> None:
    store = MemoryRunStore()
    old = Runner(store, [Review()])
    run_id = await old.start(Review())
    (ask,) = (await old.drain(run_id)).asks

    flow = Reviewing()
    flow.noted = []
    new = Runner(store, [flow])
    await new.answer(run_id, ask.id, "yes", user_id="U1")
    view = await new.drain(run_id)

    assert view.result == ["on tea", "yes", "TEA"]
    assert flow.noted == [], "what the run had sent before is not sent again"


async def test_a_renamed_workflow_has_the_same_revision() -> None:
    assert Reviewing().definition.revision == Review().definition.revision


async def test_a_state_that_is_led_on_says_its_version_from_then_on() -> None:
    old, new = Review().definition, Reviewing().definition
    handler = Review().run()
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            break
    snapshot = handler.ctx.to_dict()
    await handler.cancel_run()

    state = load(new, json.loads(json.dumps(snapshot)))
    again = dump(new, state, 0.0)

    assert "store_version" not in snapshot
    assert again["store"] == {"title": "TEA"}
    assert again["store_version"] == 2
    assert load(new, again).store == Topic(title="TEA")
    assert load(new, {**snapshot, "store": {}}).store == Topic(), "a snapshot may leave the state out"
    with pytest.raises(CodecError, match="stored OldTopic is of version 2, written by newer code"):
        load(old, again)
