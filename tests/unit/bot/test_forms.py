"""A model becomes a form that Slack takes, and what was filled in becomes the model again, or words about why not."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr, create_model, field_validator, model_validator

from bot.asking.forms import Form, Problem, SlackUser, form_of, read_form
from bot.asking.inputs import check_form, input_blocks
from bot.playground.limits import problems_with_blocks
from bot.playground.widgets import complaints, filled_in
from engine.errors import DefinitionError
from tests.unit.bot.drawn import TEXT, models


class Size(Enum):
    SMALL = "small"
    EXTRA_LARGE = "extra_large"


class Order(BaseModel):
    item: str = Field(max_length=40, title="What shall we order?", description="As the shop calls it")
    reason: str = Field(default="", max_length=1_000)
    count: int = Field(default=1, gt=0, le=99)
    price: Decimal = Field(ge=0, max_digits=8, decimal_places=2)
    weight: float | None = Field(default=None, lt=30.5)
    size: Size = Size.SMALL
    floor: Literal[1, 2, 3]
    colour: Literal["red", "blue"] | None = None
    extras: list[Literal["lamp", "plug"]] = Field(default=["plug"], max_length=1)
    needed: date = date(2026, 12, 24)
    at: time | None = None
    collected: datetime = datetime(2026, 12, 24, 9, 30, tzinfo=UTC)
    gift: bool = True
    insured: bool
    owner: SlackUser
    copies: list[SlackUser] = []


FILLED: dict[str, Any] = {
    "item": "Desk",
    "reason": None,
    "count": "2",
    "price": "12.50",
    "weight": None,
    "size": "extra_large",
    "floor": "3",
    "colour": None,
    "extras": (),
    "needed": "2027-01-02",
    "at": "14:05",
    "collected": "1800000000",
    "gift": (),
    "insured": "no",
    "owner": "U2",
    "copies": ("U3",),
}


def fill(**values: Any) -> dict[str, Any]:
    return {f"form.{name}": value for name, value in {**FILLED, **values}.items()}


def element(form: Form, name: str, **more: Any) -> dict[str, Any]:
    [block] = [block for block in input_blocks(form) if block["block_id"] == f"form.{name}"]
    return dict(block["element"])


# --- what people see ---------------------------------------------------------------------------


def test_each_type_has_its_input() -> None:
    blocks = input_blocks(form_of(Order))

    assert {block["block_id"][5:]: block["element"]["type"] for block in blocks} == {
        "item": "plain_text_input",
        "reason": "plain_text_input",
        "count": "number_input",
        "price": "number_input",
        "weight": "number_input",
        "size": "radio_buttons",
        "floor": "radio_buttons",
        "colour": "static_select",
        "extras": "checkboxes",
        "needed": "datepicker",
        "at": "timepicker",
        "collected": "datetimepicker",
        "gift": "checkboxes",
        "insured": "radio_buttons",
        "owner": "users_select",
        "copies": "multi_users_select",
    }
    assert problems_with_blocks(blocks, "modal") == []


def test_a_field_is_called_as_its_author_calls_it() -> None:
    item, reason, *_ = input_blocks(form_of(Order))

    assert item["label"]["text"] == "What shall we order?"
    assert item["hint"]["text"] == "As the shop calls it"
    assert reason["label"]["text"] == "Reason"
    assert "hint" not in reason


def test_what_may_be_left_out_says_so() -> None:
    optional = [block["block_id"][5:] for block in input_blocks(form_of(Order)) if block["optional"]]

    assert optional == ["reason", "weight", "colour", "extras", "at", "gift", "copies"]


def test_a_whole_number_is_shown_as_one() -> None:
    class Expense(BaseModel):
        amount: Decimal = Field(Decimal(50), ge=1, le=10_000)

    amount = element(form_of(Expense), "amount")

    assert (amount["min_value"], amount["initial_value"], amount["max_value"]) == ("1", "50", "10000")


def test_limits_are_slacks_to_keep_too() -> None:
    form = form_of(Order)

    assert (element(form, "count")["min_value"], element(form, "count")["max_value"]) == ("1", "99")
    assert element(form, "weight")["max_value"] == "30.5"
    assert element(form, "weight")["is_decimal_allowed"] is True
    assert element(form, "item")["max_length"] == 40
    assert [element(form, name)["multiline"] for name in ("item", "reason")] == [False, True]


def test_defaults_are_filled_in() -> None:
    form = form_of(Order)

    assert element(form, "count")["initial_value"] == "1"
    assert element(form, "size")["initial_option"]["text"]["text"] == "Small"
    assert [option["value"] for option in element(form, "extras")["initial_options"]] == ["plug"]
    assert element(form, "needed")["initial_date"] == "2026-12-24"
    assert element(form, "collected")["initial_date_time"] == 1_798_104_600
    assert element(form, "gift")["initial_options"][0]["value"] == "yes"
    assert "initial_option" not in element(form, "insured")


def test_many_options_make_a_menu() -> None:
    few, many = tuple(f"v{n}" for n in range(10)), tuple(f"v{n}" for n in range(100))
    fields: dict[str, Any] = {
        "one": (Literal[many], ...),
        "several": (list[Literal[few]], ...),  # type: ignore[valid-type]  # made from a tuple
        "most": (set[Literal[many]], ...),  # type: ignore[valid-type]  # made from a tuple
    }
    form = form_of(create_model("Menu", **fields))

    kinds = [block["element"]["type"] for block in input_blocks(form)]

    assert kinds == ["static_select", "checkboxes", "multi_static_select"]
    assert problems_with_blocks(input_blocks(form), "modal") == []


# --- what comes back ----------------------------------------------------------------------------


def test_what_was_filled_in_is_the_model() -> None:
    order = read_form(form_of(Order), fill())

    assert order == Order(
        item="Desk",
        count=2,
        price=Decimal("12.50"),
        size=Size.EXTRA_LARGE,
        floor=3,
        extras=[],
        needed=date(2027, 1, 2),
        at=time(14, 5),
        collected=datetime.fromtimestamp(1_800_000_000, UTC),
        gift=False,
        insured=False,
        owner="U2",
        copies=["U3"],
    )


@pytest.mark.parametrize("name", ["item", "count", "price", "size", "floor", "needed", "collected", "insured", "owner"])
@pytest.mark.parametrize("nothing", [None, "", " \u200b ", ()])
def test_what_is_needed_and_was_left_out_is_missing(name: str, nothing: Any) -> None:
    """A default that somebody has cleared is not filled in behind their back."""
    assert read_form(form_of(Order), fill(**{name: nothing})) == {f"form.{name}": Problem("missing")}


@pytest.mark.parametrize("name", FILLED)
def test_a_field_that_did_not_come_back_is_missing_even_if_it_is_optional(name: str) -> None:
    came = fill()
    del came[f"form.{name}"]

    assert read_form(form_of(Order), came) == {f"form.{name}": Problem("missing")}


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("item", "x" * 41, "string_too_long"),
        ("count", "0", "greater_than"),
        ("count", "many", "int_parsing"),
        ("count", "9" * 5_000, "int_parsing_size"),
        ("price", "1.234", "decimal_max_places"),
        ("price", "free", "decimal_parsing"),
        ("weight", "nan", "float_parsing"),
        ("weight", "1e999", "float_parsing"),
        ("size", "huge", "enum"),
        ("floor", "4", "literal_error"),
        ("extras", ("lamp", "plug"), "too_long"),
        ("needed", "tomorrow", "date_from_datetime_parsing"),
        ("at", "25:00", "time_parsing"),
        ("collected", "9" * 30, "datetime_from_date_parsing"),
        ("insured", "perhaps", "bool_parsing"),
        ("owner", "<!channel>", "string_pattern_mismatch"),
        ("item", ("a", "list"), "string_type"),
    ],
)
def test_what_does_not_fit_stands_beside_its_field(name: str, value: Any, kind: str) -> None:
    found = read_form(form_of(Order), fill(**{name: value}))

    assert isinstance(found, dict)
    assert {field: problem.kind for field, problem in found.items()} == {f"form.{name}": kind}


class Trip(BaseModel):
    model_config = ConfigDict(strict=True)

    start: date = Field(alias="from")
    end: date

    @field_validator("start")
    @classmethod
    def _is_no_holiday(cls, start: date) -> date:
        if start == date(2026, 12, 25):
            raise ValueError("nobody travels on that day")
        return start

    @model_validator(mode="after")
    def _goes_forward(self) -> "Trip":
        if self.end < self.start:
            raise ValueError("the end is before the start")
        return self


def test_a_strict_model_with_an_alias_is_read() -> None:
    trip = read_form(form_of(Trip), {"form.start": "2026-12-01", "form.end": "2026-12-02"})

    assert isinstance(trip, Trip)
    assert trip.end - trip.start == timedelta(days=1)


def test_what_a_validator_says_stands_at_its_field_and_of_the_whole_at_the_first() -> None:
    by_field = read_form(form_of(Trip), {"form.start": "2026-12-25", "form.end": "2026-12-26"})
    by_model = read_form(form_of(Trip), {"form.start": "2026-12-02", "form.end": "2026-12-01"})

    assert isinstance(by_field, dict)
    assert isinstance(by_model, dict)
    assert by_field["form.start"].said == "Value error, nobody travels on that day"
    assert by_model["form.start"].said == "Value error, the end is before the start"


# --- what is no form --------------------------------------------------------------------------------


class Vector:
    pass


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (dict[str, int], r"dict\[str, int\] has no input in Slack; use str, bool"),
        (list[str], r"list\[str\] has no input"),
        (bytes, "bytes has no input"),
        (str | int, r"str \| int has no input"),
        (SecretStr, "SecretStr has no input"),
        (Order, "Order has no input"),
        (Vector, "Vector has no input"),
        (Any, "Any has no input"),
        (Literal["x" * 76], "option has 76 characters; Slack takes 75"),
        (Literal[" "], "option is blank"),
        (Literal[1, "1"], "written the same"),
        (Literal[tuple(range(101))], "has 101 options; a menu in Slack takes 100"),
        (Annotated[str, Field(min_length=3_001)], "wants 3001 characters"),
        (Annotated[str, Field(title="x" * 2_001)], "title has 2001 characters"),
        (Annotated[str, Field(title=" ")], "title is blank"),
        (Annotated[str, Field(description="x" * 2_001)], "description has 2001 characters"),
    ],
)
def test_a_field_without_an_input_is_refused_by_name_and_type(kind: Any, told: str) -> None:
    model = create_model("Odd", __config__=ConfigDict(arbitrary_types_allowed=True), thing=(kind, ...))

    with pytest.raises(DefinitionError, match=rf"^form Odd\.thing: {told}|^form Odd\.thing: .*{told}"):
        form_of(model)


@pytest.mark.parametrize("count", [0, 99])
def test_a_modal_takes_1_to_98_fields(count: int) -> None:
    fields: dict[str, Any] = {f"f{n}": (int, ...) for n in range(count)}

    with pytest.raises(DefinitionError, match=f"has {count} fields; a modal takes 1 to 98"):
        form_of(create_model("Odd", **fields))


def test_a_form_that_is_too_large_for_a_modal_is_refused() -> None:
    fields: dict[str, Any] = {f"f{n}": (Literal[tuple(f"{m:070}" for m in range(100))], ...) for n in range(20)}

    with pytest.raises(DefinitionError, match=r"takes 4\d\d,\d\d\d bytes as a modal"):
        check_form(create_model("Odd", **fields))


def test_the_digest_tells_a_form_that_has_changed() -> None:
    same = form_of(create_model("F", a=(int, 1))).digest
    assert same == form_of(create_model("F", a=(int, 2))).digest
    assert same != form_of(create_model("F", a=(int | None, 1))).digest
    assert same != form_of(create_model("F", a=(int, Field(1, title="Count")))).digest


# --- any form ------------------------------------------------------------------------------------------


@st.composite
def values(draw: st.DrawFn, element: dict[str, Any]) -> Any:
    """Something that Slack lets people put into an element."""
    options = [option["value"] for option in element.get("options", [])]
    match element["type"]:
        case "static_select" | "radio_buttons":
            return draw(st.sampled_from(options))
        case "checkboxes" | "multi_static_select":
            return tuple(draw(st.lists(st.sampled_from(options), min_size=1, unique=True)))
        case "number_input":
            return str(draw(st.integers(-1_000, 1_000)))
        case "datepicker":
            return str(draw(st.dates()))
        case "timepicker":
            return f"{draw(st.times()):%H:%M}"
        case "datetimepicker":
            return str(draw(st.integers(0, 9_999_999_999)))
        case "users_select":
            return "U1"
        case "multi_users_select":
            return ("U1", "W2")
        case _:
            return draw(TEXT)


@given(st.data())
@settings(max_examples=60)
def test_any_form_fits_and_what_slack_lets_through_is_taken(data: st.DataObject) -> None:
    form = form_of(data.draw(models()))
    blocks = input_blocks(form)

    came = {
        block["block_id"]: None
        if block["optional"] and data.draw(st.booleans())
        else data.draw(values(block["element"]))
        for block in blocks
    }

    assert problems_with_blocks(blocks, "modal") == []
    assert isinstance(read_form(form, came), form.model)


def test_what_slacks_client_would_not_send_is_what_is_missing() -> None:
    """Our rule of what must be filled in is the one that people see."""
    form = form_of(Order)
    blocks = [{**block, "element": dict(no_initial(block["element"]))} for block in input_blocks(form)]

    stopped = complaints(blocks, filled_in(blocks, {}))
    found = read_form(form, {block["block_id"]: None for block in blocks})

    assert isinstance(found, dict)
    assert stopped.keys() == found.keys()


def no_initial(element: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((name, value) for name, value in element.items() if not name.startswith("initial"))
