"""Values come back from storage as they went in, and what is not ours does not come in at all."""

import contextlib
import dataclasses
import math
import string
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, Flag, StrEnum, auto
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from engine.core.codec import Codec
from engine.errors import CodecError, ContextSerdeError, UnreconstructedException
from engine.events import Event, HumanResponseEvent, InputRequiredEvent, StopEvent


class Colour(Enum):
    RED = 1
    BLUE = "b"


class Mood(StrEnum):
    GOOD = "good"


class Right(Flag):
    READ = auto()
    WRITE = auto()


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = None
    norm: float = dataclasses.field(init=False, default=0.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Pin:
    at: Any
    seen: int = dataclasses.field(init=False, default=0)


class Address(BaseModel):
    street: Any
    lines: tuple[Any, ...] = ()


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str


class Aliased(Event):
    kind: str = Field(alias="type")


class Moon(tzinfo):
    """A zone that cannot say how far it is from UTC without a date."""

    def utcoffset(self, at: datetime | None) -> timedelta | None:
        return None if at is None else timedelta(hours=1)

    def dst(self, at: datetime | None) -> timedelta | None:
        return None

    def tzname(self, at: datetime | None) -> str | None:
        return "moon"


class Touchy(BaseModel):
    value: int

    @field_validator("value")
    @classmethod
    def _refuse(cls, value: int) -> int:
        if value < 0:
            raise RuntimeError("an error of its own kind")
        return value


class Draft(Event):
    text: str
    body: Any = None


class Approved(StopEvent):
    by: str


TYPES: tuple[type, ...] = (
    *(Colour, Mood, Right, Point, Pin, Address, Open, Aliased, Touchy, Draft, Approved),
    *(Event, HumanResponseEvent, InputRequiredEvent, StopEvent),
)
CODEC = Codec({cls.__name__: cls for cls in TYPES})

ZONES = [UTC, timezone(timedelta(hours=-3, minutes=-30)), ZoneInfo("Europe/Berlin"), ZoneInfo("America/St_Johns")]
zones = st.none() | st.sampled_from(ZONES)
any_text = st.text(st.characters(exclude_categories=()) | st.sampled_from("\ud800\udfff$\0é"), max_size=8)
atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**20, 10**30).map(lambda n: -(n**50))
    | st.floats(allow_nan=False)
    | any_text
    | st.binary(max_size=8)
    | st.datetimes(timezones=zones)
    | st.dates()
    | st.times(timezones=zones)
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.complex_numbers(allow_nan=False)
    | st.sampled_from([*Colour, *Mood, *Right, Right.READ | Right.WRITE, Right(0), Colour, Draft])
)
keys = any_text | st.just("$") | st.integers() | st.booleans() | st.none() | st.tuples(st.integers(), any_text)
names = st.sampled_from(["note", "self", "$", "_x", "keys", "v"]) | st.text(string.ascii_lowercase, min_size=1)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        st.lists(inner, max_size=3)
        | st.dictionaries(keys, inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.sets(st.integers() | any_text, max_size=3)
        | st.frozensets(st.dates(), max_size=3)
        | st.builds(Point, inner, inner)
        | st.builds(Pin, inner)
        | st.builds(Address, street=inner, lines=st.tuples(inner))
        | st.builds(
            lambda text, body, more: Draft(**{**more, "text": text, "body": body}), any_text, inner, extras(inner)
        )
        | st.builds(lambda more: HumanResponseEvent(**more), extras(inner))
        | st.builds(lambda result, more: StopEvent(**{**more, "result": result}), inner, extras(inner))
        | st.builds(Approved, by=any_text)
    )


def extras(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(names.filter(lambda name: not name.startswith("_")), inner, max_size=2)


values = st.recursive(atoms, nested, max_leaves=12)
plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


def same(a: Any, b: Any) -> bool:
    """Equal, and alike where equality looks away: 1, 1.0 and True; zones; folds; signs of zero."""
    if isinstance(a, datetime | time):
        return type(a) is type(b) and _clock(a) == _clock(b)
    return type(a) is type(b) and a == b and (not isinstance(a, float | complex) or repr(a) == repr(b))


def _clock(value: datetime | time) -> tuple[Any, ...]:
    zone = value.tzinfo
    return (
        value.replace(tzinfo=None, fold=0),
        value.fold,
        value.utcoffset(),
        zone.key if isinstance(zone, ZoneInfo) else "",
    )


@given(values)
def test_decode_undoes_encode(value: Any) -> None:
    """Behaviour 53."""
    assert CODEC.loads(CODEC.dumps(value)) == value


@given(atoms)
def test_decode_gives_back_the_very_type(value: Any) -> None:
    """Behaviour 53."""
    assert same(CODEC.loads(CODEC.dumps(value)), value)


@given(values)
def test_equal_values_have_equal_bytes(value: Any) -> None:
    again = CODEC.loads(CODEC.dumps(value))

    assert CODEC.dumps(again) == CODEC.dumps(value)


def test_what_is_no_number_stays_none() -> None:
    """Behaviour 53."""
    assert math.isnan(CODEC.loads(CODEC.dumps(math.nan)))
    assert CODEC.loads(CODEC.dumps(Decimal("NaN"))).is_nan()
    assert CODEC.loads(CODEC.dumps([math.inf, -math.inf])) == [math.inf, -math.inf]


def test_plain_json_is_written_as_itself() -> None:
    value = {"a": [1, 2.5, None, True, "é"], "b": {"c": {}}}

    assert CODEC.encode(value) == value


@pytest.mark.parametrize("depth", [150, 220, 300])
def test_deep_nesting_is_read_back(depth: int) -> None:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]

    assert CODEC.loads(CODEC.dumps(value)) == value


def test_an_integer_of_any_length_is_read_back() -> None:
    assert CODEC.loads(CODEC.dumps(-(10**6_000))) == -(10**6_000)


def test_a_question_keeps_its_id() -> None:
    """Behaviour 42."""
    question = InputRequiredEvent(prefix="Good?")
    question._ask_id = "a7"

    assert CODEC.loads(CODEC.dumps(question)).ask_id == "a7"


def test_a_model_keeps_values_beyond_its_fields() -> None:
    model = Open(name="n", more=(1, 2))

    assert CODEC.loads(CODEC.dumps(model)) == model


def test_a_field_is_stored_by_its_name_whatever_its_alias() -> None:
    event = Aliased(type="memo", note="n")

    assert CODEC.encode(event)["v"] == {"kind": "memo"}
    assert CODEC.loads(CODEC.dumps(event)) == event


def test_a_dataclass_keeps_what_its_constructor_does_not_take() -> None:
    point, pin = Point(1), Pin(2)
    point.norm = 5.0
    object.__setattr__(pin, "seen", 3)

    assert CODEC.loads(CODEC.dumps(point)) == point
    assert CODEC.loads(CODEC.dumps(pin)) == pin


def test_an_error_is_told_by_class_and_message_however_often_it_is_stored() -> None:
    once = CODEC.loads(CODEC.dumps(ValueError("no \ud800 ink")))
    twice = CODEC.loads(CODEC.dumps(once))

    assert isinstance(twice, UnreconstructedException)
    assert (twice.exception_type, twice.exception_message) == ("ValueError", "no \ud800 ink")


# --- What cannot be stored -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1, object()]}, r"value\.a\[1\]: a builtins\.object cannot be stored; use JSON values"),
        ({1: {2, 3}, "k": print}, r"value\['k'\]: a builtins\.builtin_function_or_method"),
        (Draft(text="x", body=Fraction(1, 2)), r"value\.body: a fractions\.Fraction"),
        (HumanResponseEvent(response=PurePosixPath("/x")), r"value\.response: a pathlib\.PurePosixPath"),
        (StopEvent(result=[object()]), r"value\.result\[0\]"),
        (Point(object()), r"value\.x: a builtins\.object"),
        ((1, {object()}), r"value\[1\]\[0\]"),
        ({(object(),): 1}, r"value key\[0\]"),
        (int, r"value: class builtins\.int is not registered; name it in a step's annotations"),
        (type("Draft", (Event,), {})(), r"Draft is not registered"),
        (type("Text", (str,), {})("x"), r"Text cannot be stored"),
        ({"at": time(1, tzinfo=Moon())}, r"value\.at: the zone of .* cannot be stored; use zoneinfo\.ZoneInfo"),
    ],
)
def test_a_refusal_names_the_place(value: Any, place: str) -> None:
    """Behaviour 54."""
    with pytest.raises(CodecError, match=place):
        CODEC.dumps(value)


def test_what_holds_itself_is_refused() -> None:
    """Behaviour 54."""
    ring: list[Any] = []
    ring.append(ring)

    with pytest.raises(CodecError, match="state: nested too deep to be stored, or holds itself"):
        CODEC.encode(ring, "state")


def test_a_refusal_is_a_value_error_and_a_serde_error() -> None:
    """Behaviour 54."""
    assert issubclass(CodecError, ValueError)
    assert issubclass(CodecError, ContextSerdeError)


# --- What is not let in ------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["model", "enum", "type", "data", "flag"])
@pytest.mark.parametrize("name", ["builtins.eval", "eval", "os.system", "int", "Nobody", "", None, 5, ["Draft"]])
def test_an_unknown_class_is_never_looked_for(tag: str, name: Any) -> None:
    """Behaviour 55."""
    with pytest.raises(CodecError):
        CODEC.decode({"$": tag, "t": name, "v": {}})


@pytest.mark.parametrize(
    ("tag", "name"), [("model", "Colour"), ("enum", "Draft"), ("data", "Draft"), ("flag", "Colour")]
)
def test_a_known_class_is_not_made_in_another_way_than_its_own(tag: str, name: str) -> None:
    """Behaviour 55."""
    with pytest.raises(CodecError):
        CODEC.decode({"$": tag, "t": name, "v": {"text": "x"}})


@pytest.mark.parametrize(
    "plain",
    [
        {"$": "datetime", "v": []},
        {"$": "datetime", "v": ["2020-01-01T00:00:00", 0, "../../etc/passwd"]},
        {"$": "datetime", "v": ["2020-01-01T00:00:00", 0, "America"]},
        {"$": "time", "v": None},
        {"$": "timedelta", "v": [10**20, 0, 0]},
        {"$": "complex", "v": ["1"]},
        {"$": "Decimal", "v": "1e"},
        {"$": "UUID", "v": 5},
        {"$": "bytes", "v": "***"},
        {"$": "str", "v": "gICA/w=="},
        {"$": "float", "v": "many"},
        {"$": "int", "v": 7},
        {"$": "dict", "v": [[[], 1]]},
        {"$": "dict", "v": [1]},
        {"$": "set", "v": [[]]},
        {"$": "enum", "t": "Colour", "v": "GREEN"},
        {"$": "flag", "t": "Right", "v": 64},
        {"$": "data", "t": "Point", "v": {"z": 1}},
        {"$": "model", "t": "Draft", "v": {"text": 5}},
        {"$": "model", "t": "Draft", "v": {"text": "x"}, "d": [5]},
        {"$": "model", "t": "Touchy", "v": {"value": -1}},
        {"$": "model", "t": "Draft"},
        {"$": "lambda", "v": "x"},
        {"$": None},
        {"$": {}},
    ],
)
def test_what_does_not_fit_is_one_kind_of_error(plain: Any) -> None:
    """Behaviour 49."""
    with pytest.raises(CodecError, match="answer"):
        CODEC.decode(plain, "answer")


def test_a_class_that_has_changed_is_told_by_its_field() -> None:
    """Behaviour 49."""
    with pytest.raises(CodecError, match="answer: stored Draft does not fit its class: text: Field required"):
        CODEC.decode({"$": "model", "t": "Draft", "v": {}}, "answer")


def test_what_is_private_to_a_model_is_no_data() -> None:
    """As in pydantic's own dump: it may be a connection, or the way back to a parent."""

    class Node(Event):
        children: tuple["Node", ...] = ()
        _parent: "Node | None" = PrivateAttr(default=None)
        _opened: list[int] = PrivateAttr(default_factory=list)

    leaf = Node()
    root = Node(children=(leaf,))
    leaf._parent = root
    codec = Codec({"Node": Node})

    read = codec.loads(codec.dumps(root))

    assert (read.children[0]._parent, read._opened) == (None, [])


def test_a_validator_sees_what_is_read() -> None:
    class Tidy(BaseModel):
        seen: int = 0

        @field_validator("seen")
        @classmethod
        def _count(cls, seen: int) -> int:
            return seen + 1

    codec = Codec({"Tidy": Tidy})

    assert codec.loads(codec.dumps(Tidy(seen=0))).seen == 2


def test_a_field_that_is_gone_is_kept_beside_the_others() -> None:
    event = CODEC.decode({"$": "model", "t": "Draft", "v": {"text": "x", "mood": "good"}})

    assert event.mood == "good"


@given(st.binary(max_size=30) | st.text(max_size=30).map(str.encode))
def test_bytes_that_are_not_ours_are_refused_or_plain(data: bytes) -> None:
    """Behaviour 49."""
    with contextlib.suppress(CodecError):
        CODEC.loads(data)


@given(values, st.data())
def test_damaged_data_is_refused_or_read(value: Any, data: st.DataObject) -> None:
    """Behaviour 49."""
    plain = CODEC.encode({"root": value})
    holder, key = data.draw(st.sampled_from(list(_places(plain))))
    holder[key] = data.draw(plain_json)

    with contextlib.suppress(CodecError):
        CODEC.decode(plain)


def test_data_nested_without_end_is_refused() -> None:
    """Behaviour 49."""
    plain: Any = []
    for _ in range(100_000):
        plain = [plain]

    with pytest.raises(CodecError, match="nested too deep"):
        CODEC.decode(plain)
    with pytest.raises(CodecError, match="not JSON"):
        CODEC.loads(b"[" * 100_000)


def _places(plain: Any) -> Any:
    """Yield each (holder, key) in a JSON value."""
    items = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    for key, item in list(items):
        yield plain, key
        yield from _places(item)


def test_the_table_is_what_counts_not_the_module() -> None:
    """Behaviour 55."""
    other = Codec({"Draft": Approved})

    with pytest.raises(CodecError):
        other.loads(CODEC.dumps(Draft(text="x")))


def test_dates_and_ids_are_stored_as_people_read_them() -> None:
    assert CODEC.encode(date(2026, 1, 2)) == {"$": "date", "v": "2026-01-02"}
    assert CODEC.encode(UUID(int=1))["v"] == "00000000-0000-0000-0000-000000000001"


def test_alias_choices_are_no_trouble() -> None:
    class Many(BaseModel):
        kind: str = Field(validation_alias=AliasChoices("a", "b"))

    codec = Codec({"Many": Many})

    assert codec.loads(codec.dumps(Many(a="x"))) == Many(a="x")
