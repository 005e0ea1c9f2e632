"""What a person can do with the interactive parts of blocks, and what Slack then reports as `state` and `actions`."""

import math
from collections.abc import Iterable
from typing import Any

from bot.playground.limits import elements_of
from bot.playground.workspace import Json

# Element type -> (field the choice is reported in, field of its initial value)
CHOICES: dict[str, tuple[str, str]] = {
    "static_select": ("selected_option", "initial_option"),
    "external_select": ("selected_option", "initial_option"),
    "radio_buttons": ("selected_option", "initial_option"),
    "overflow": ("selected_option", "initial_option"),
    "users_select": ("selected_user", "initial_user"),
    "channels_select": ("selected_channel", "initial_channel"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "multi_static_select": ("selected_options", "initial_options"),
    "multi_external_select": ("selected_options", "initial_options"),
    "checkboxes": ("selected_options", "initial_options"),
    "multi_users_select": ("selected_users", "initial_users"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
    "plain_text_input": ("value", "initial_value"),
    "number_input": ("value", "initial_value"),
    "email_text_input": ("value", "initial_value"),
    "url_text_input": ("value", "initial_value"),
    "rich_text_input": ("rich_text_value", "initial_value"),
    "file_input": ("files", "initial_files"),
}
LISTS = frozenset(kind for kind, (name, _) in CHOICES.items() if name.endswith("s"))
STATELESS = frozenset({"overflow"})


class NoSuchElement(LookupError):
    """A person tried to use a button or field that is not there."""


def find_element(blocks: Iterable[Json], action_id: str, block_id: str | None = None) -> tuple[Json, Json]:
    """The block and the element with *action_id*.

    Raises:
        NoSuchElement: nothing in *blocks* has it.
    """
    known = []
    for block in blocks:
        for _, element in elements_of(block):
            known.append(str(element.get("action_id")))
            if element.get("action_id") == action_id and block_id in (None, block.get("block_id")):
                return block, element
    raise NoSuchElement(f"no element {action_id!r} here; there is {', '.join(known) or 'none'}")


def reported(element: Json, choice: Any) -> Json:
    """How Slack reports *choice* made in *element*.

    *choice* is either Slack's own field, as in `{"selected_date": "2026-01-31"}`, or the bare value, which is
    looked up among the options where there are any.
    """
    kind = element["type"]
    field = CHOICES[kind][0]
    if isinstance(choice, dict) and (field in choice or choice.get("type") == kind):
        return {"type": kind, field: choice.get(field, [] if kind in LISTS else None)}
    if field == "selected_option" and isinstance(choice, str):
        choice = _option(element, choice)
    elif field == "selected_options" and choice is not None:
        choice = [_option(element, item) if isinstance(item, str) else item for item in choice]
    elif field == "value" and choice is not None:
        choice = str(choice)
    return {"type": kind, field: choice}


def action_of(block: Json, element: Json, choice: Any, action_ts: str) -> Json:
    """One entry of a `block_actions` payload's `actions`."""
    common = {"action_id": element["action_id"], "block_id": block["block_id"], "action_ts": action_ts}
    kind = element["type"]
    if kind in ("button", "icon_button", "workflow_button"):
        kept = _kept(element, "text", "value", "style", "confirm")
        return {**common, **kept, **({} if choice is None else {"value": choice}), "type": kind}
    if kind == "feedback_buttons":
        return {**common, "type": kind, "value": choice}
    return {**common, **_kept(element, "placeholder", "initial_option"), **reported(element, choice)}


def initial_state(blocks: Iterable[Json]) -> Json:
    """`state.values` as it is before anybody touched a field."""
    values: Json = {}
    for block in blocks:
        for _, element in elements_of(block):
            kind = element["type"]
            if kind not in CHOICES or kind in STATELESS:
                continue
            field, initial = CHOICES[kind]
            empty: Any = [] if kind in LISTS else None
            values.setdefault(block["block_id"], {})[element["action_id"]] = {
                "type": kind,
                field: element.get(initial, empty),
            }
    return values


def filled_in(blocks: list[Json], values: Json) -> Json:
    """`state.values` with what a person filled in over the initial values.

    *values* maps block id to action id to a choice; where a block has one element, the action id may be left out.
    """
    state = initial_state(blocks)
    for block in blocks:
        given = values.get(block.get("block_id", ""))
        if given is None:
            continue
        elements = [e for _, e in elements_of(block) if e["type"] in CHOICES and e["type"] not in STATELESS]
        for element in elements:
            if isinstance(given, dict) and element["action_id"] in given:
                choice = given[element["action_id"]]
            elif len(elements) == 1 and not (isinstance(given, dict) and "type" not in given):
                choice = given
            else:
                continue
            state[block["block_id"]][element["action_id"]] = reported(element, choice)
    return state


def complaints(blocks: list[Json], state: Json) -> dict[str, str]:
    """What the Slack client itself says about a form before it sends it: block id -> message."""
    found: dict[str, str] = {}
    for block in blocks:
        if block.get("type") != "input":
            continue
        element = block["element"]
        field = CHOICES[element["type"]][0]
        value = state.get(block["block_id"], {}).get(element["action_id"], {}).get(field)
        if value in (None, "", []):
            if not block.get("optional"):
                found[block["block_id"]] = "Please complete this required field."
        elif problem := _value_problem(element, value):
            found[block["block_id"]] = problem
    return found


def _value_problem(element: Json, value: Any) -> str | None:
    if element["type"] == "plain_text_input":
        most, least = element.get("max_length", 3000), element.get("min_length", 0)
        if len(value) > most:
            return f"Must be {most} characters or fewer."
        if len(value) < least:
            return f"Must be at least {least} characters."
    if element["type"] == "number_input":
        return _number_problem(element, value)
    return None


def _number_problem(element: Json, value: str) -> str | None:
    try:
        number = float(value)
    except ValueError:
        return "Please enter a number."
    if not math.isfinite(number):
        return "Please enter a number."
    if not element.get("is_decimal_allowed") and not number.is_integer():
        return "Please enter a whole number."
    if "min_value" in element and number < float(element["min_value"]):
        return f"Must be {element['min_value']} or more."
    if "max_value" in element and number > float(element["max_value"]):
        return f"Must be {element['max_value']} or less."
    return None


def _option(element: Json, value: str) -> Json:
    groups = [group.get("options") or [] for group in element.get("option_groups") or []]
    for option in [*(element.get("options") or []), *(option for group in groups for option in group)]:
        if option.get("value") == value:
            return _kept(option, "text", "value", "description")
    if element["type"].endswith("external_select"):
        return {"text": {"type": "plain_text", "text": value}, "value": value}
    raise NoSuchElement(f"no option {value!r} in {element.get('action_id')!r}")


def _kept(source: Json, *names: str) -> Json:
    return {name: source[name] for name in names if name in source}
