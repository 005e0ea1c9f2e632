"""What the Slack client makes of what people choose and type, before a bot hears of it."""

from typing import Any

import pytest

from bot.playground.people import escaped
from bot.playground.widgets import NoSuchElement, complaints, filled_in, find_element, initial_state, reported

Json = dict[str, Any]
RED: Json = {"text": {"type": "plain_text", "text": "Red"}, "value": "red"}
BLUE: Json = {"text": {"type": "plain_text", "text": "Blue"}, "value": "blue"}


def element(kind: str, **fields: Any) -> Json:
    return {"type": kind, "action_id": "it", **fields}


def asking(kind: str, **fields: Any) -> Json:
    return {"type": "input", "block_id": "block", "element": element(kind, **fields)}


@pytest.mark.parametrize(
    ("shown", "choice", "field", "value"),
    [
        (element("static_select", options=[RED, BLUE]), "blue", "selected_option", BLUE),
        (element("static_select", option_groups=[{"options": [RED]}]), "red", "selected_option", RED),
        (element("radio_buttons", options=[RED]), {"selected_option": RED}, "selected_option", RED),
        (element("checkboxes", options=[RED, BLUE]), ["red", "blue"], "selected_options", [RED, BLUE]),
        (element("checkboxes", options=[RED]), {"type": "checkboxes"}, "selected_options", []),
        (element("datepicker"), "2026-12-01", "selected_date", "2026-12-01"),
        (element("timepicker"), None, "selected_time", None),
        (element("datetimepicker"), 1_800_000_000, "selected_date_time", 1_800_000_000),
        (element("users_select"), "U2", "selected_user", "U2"),
        (element("multi_users_select"), ["U2", "U3"], "selected_users", ["U2", "U3"]),
        (element("number_input"), 3, "value", "3"),
    ],
)
def test_a_choice_is_reported_in_the_elements_own_field(shown: Json, choice: Any, field: str, value: Any) -> None:
    assert reported(shown, choice) == {"type": shown["type"], field: value}


def test_an_option_that_is_not_offered_cannot_be_chosen() -> None:
    with pytest.raises(NoSuchElement, match="green"):
        reported(element("static_select", options=[RED]), "green")


def test_an_element_is_found_in_its_block_only() -> None:
    blocks = [{"type": "actions", "block_id": name, "elements": [element("button")]} for name in ("one", "two")]

    assert find_element(blocks, "it", "two")[0]["block_id"] == "two"
    with pytest.raises(NoSuchElement, match="there is it, it"):
        find_element(blocks, "other")


def test_state_starts_with_the_initial_values() -> None:
    blocks = [
        asking("plain_text_input", initial_value="draft"),
        {"type": "section", "block_id": "more", "accessory": element("checkboxes", options=[RED])},
        {"type": "actions", "block_id": "no state", "elements": [element("button")]},
    ]

    assert initial_state(blocks) == {
        "block": {"it": {"type": "plain_text_input", "value": "draft"}},
        "more": {"it": {"type": "checkboxes", "selected_options": []}},
    }


def test_a_field_can_be_emptied() -> None:
    blocks = [asking("plain_text_input", initial_value="draft")]

    assert filled_in(blocks, {"block": {"it": {"type": "plain_text_input", "value": None}}})["block"]["it"] == {
        "type": "plain_text_input",
        "value": None,
    }


@pytest.mark.parametrize(
    ("block", "value", "complaint"),
    [
        (asking("plain_text_input"), "", "Please complete this required field."),
        (asking("plain_text_input") | {"optional": True}, "", None),
        (asking("plain_text_input", max_length=3), "four", "Must be 3 characters or fewer."),
        (asking("plain_text_input", min_length=3), "no", "Must be at least 3 characters."),
        (asking("number_input", is_decimal_allowed=False), "x", "Please enter a number."),
        (asking("number_input", is_decimal_allowed=False), "1.5", "Please enter a whole number."),
        (asking("number_input", is_decimal_allowed=True), "1.5", None),
        (asking("number_input", is_decimal_allowed=False, min_value="2"), "1", "Must be 2 or more."),
        (asking("number_input", is_decimal_allowed=False, max_value="2"), "3", "Must be 2 or less."),
        (asking("number_input", is_decimal_allowed=True), "nan", "Please enter a number."),
        (asking("checkboxes", options=[RED]), [], "Please complete this required field."),
    ],
)
def test_the_client_checks_a_form_itself(block: Json, value: Any, complaint: str | None) -> None:
    found = complaints([block], filled_in([block], {"block": {"it": value}}))

    assert found == ({} if complaint is None else {"block": complaint})


@pytest.mark.parametrize(
    ("typed", "wire"),
    [
        ("a & <b>", "a &amp; &lt;b&gt;"),
        ("<@U2> <#C1|x> <!here>", "<@U2> <#C1|x> <!here>"),
        ("<https://x.y|a&b>", "<https://x.y|a&b>"),
        ("<script> <@ >", "&lt;script&gt; &lt;@ &gt;"),
    ],
)
def test_typed_text_is_escaped_as_slack_does(typed: str, wire: str) -> None:
    assert escaped(typed) == wire
