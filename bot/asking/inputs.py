"""A form's fields as the inputs of a modal: Slack's Block Kit JSON, filled in with what the model has as defaults."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic.fields import FieldInfo

from bot.asking.forms import NO, TEXT_CHARS, YES, Form, FormField, form_of
from bot.asking.legible import in_words, width
from bot.block_kit import Block, plain
from engine.errors import DefinitionError

LONG_CHARS = 150
"""A text that may be longer than this gets more than one line."""
RADIOS = 5
CHECKBOXES = 10  # docs.slack.dev/reference/block-kit/block-elements/checkboxes-element
VIEW_BYTES = 230_000
"""Of 250 KB that a modal may have; the rest is for what stands around the form."""
_TIMES = range(1_000_000_000, 10_000_000_000)
"""Slack takes ten digits."""


def input_blocks(form: Form, yes: str = "Yes", no: str = "No") -> list[Block]:
    """Return an input block for each field; *yes* and *no* are the words for these."""
    return [_input(form, asked, {YES: yes, NO: no}) for asked in form.fields]


def check_form(form: type) -> None:
    """See that a model can be asked for in a modal.

    Raises:
        DefinitionError: a field has no input in Slack, or all together are more than a modal takes.
    """
    size = len(repr(input_blocks(form_of(form))).encode(errors="replace"))
    if size > VIEW_BYTES:
        raise DefinitionError(
            f"form {form.__name__}: takes {size:,} bytes as a modal, more than {VIEW_BYTES:,}; ask for less at a time"
        )


def _input(form: Form, asked: FormField, words: dict[str, str]) -> Block:
    element = {"action_id": asked.id, **dict(_element(asked, words))}
    element |= _initial(asked, element, _default(form.model.model_fields[asked.name]))
    block: Block = {
        "type": "input",
        "block_id": asked.id,
        "optional": asked.optional,
        "label": plain(asked.label),
        "element": element,
    }
    if asked.hint:
        block["hint"] = plain(asked.hint)
    return block


def _element(asked: FormField, words: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Yield the parts of the element for a kind of field."""
    match asked.kind:
        case "checkbox":
            yield from (("type", "checkboxes"), ("options", [_option(YES, words[YES])]))
        case "yes_no":
            yield from (("type", _menu(asked, 2)), ("options", [_option(value, words[value]) for value in (YES, NO)]))
        case "choice":
            yield "type", _menu(asked, len(asked.options))
            yield "options", [_option(value, in_words(value)) for value, _ in asked.options]
        case "choices":
            few = len(asked.options) <= CHECKBOXES
            yield "type", "checkboxes" if few else "multi_static_select"
            yield "options", [_option(value, in_words(value)) for value, _ in asked.options]
            if not few and asked.most:
                yield "max_selected_items", int(asked.most)
        case "whole" | "number":
            yield from (("type", "number_input"), ("is_decimal_allowed", asked.kind == "number"))
            yield from ((name, _digits(n)) for name, n in _between(asked, "min_value", "max_value"))
        case "date":
            yield "type", "datepicker"
        case "time":
            yield "type", "timepicker"
        case "datetime":
            yield "type", "datetimepicker"
        case "text":
            most = min(int(TEXT_CHARS if asked.most is None else asked.most), TEXT_CHARS)
            yield from (("type", "plain_text_input"), ("max_length", max(most, 1)))
            yield "multiline", asked.most is not None and asked.most > LONG_CHARS
            if asked.least:
                yield "min_length", int(asked.least)
        case "person":
            yield "type", "users_select"
        case "people":
            yield "type", "multi_users_select"
            if asked.most:
                yield "max_selected_items", int(asked.most)


def _menu(asked: FormField, options: int) -> str:
    """A radio button cannot be let go again, so what is optional gets a menu."""
    return "radio_buttons" if options <= RADIOS and not asked.optional else "static_select"


def _between(asked: FormField, least: str, most: str) -> Iterator[tuple[str, float | int]]:
    limits = ((least, asked.least), (most, asked.most))
    yield from ((name, limit) for name, limit in limits if limit is not None)


def _default(info: FieldInfo) -> Any:
    """Return what stands in a field at first; one that takes the other fields to know has nothing yet."""
    if info.default_factory is not None and info.default_factory_takes_validated_data:
        return None
    return info.get_default(call_default_factory=True)


def _initial(asked: FormField, element: Block, default: Any) -> Block:
    """Return a default as Slack wants it; one that its element could not show is left out."""
    options = element.get("options", [])
    match asked.kind, default:
        case "checkbox", True:
            return {"initial_options": options}
        case "yes_no", bool():
            return {"initial_option": options[0 if default else 1]}
        case "choice", _ if chosen := _chosen(asked, options, [default]):
            return {"initial_option": chosen[0]}
        case "choices", list() | tuple() | set() | frozenset() if chosen := _chosen(asked, options, default):
            return {"initial_options": chosen}
        case "whole" | "number", int() | float() | Decimal() if math.isfinite(default):
            return {"initial_value": _digits(default)}
        case "date", date():
            return {"initial_date": f"{default:%Y-%m-%d}"}
        case "time", time():
            return {"initial_time": f"{default:%H:%M}"}
        case "datetime", datetime() if (at := _seconds(default)) in _TIMES:
            return {"initial_date_time": at}
        case "text", str() if 0 < width(default) <= element["max_length"]:
            return {"initial_value": default.encode(errors="replace").decode()}
        case "person", str() if default:
            return {"initial_user": default}
        case "people", list() | tuple() | set() | frozenset() if default:
            return {"initial_users": [str(one) for one in default]}
    return {}


def _chosen(asked: FormField, options: list[Block], values: Any) -> list[Block]:
    given = [value.value if isinstance(value, Enum) else value for value in values]
    offered = zip(options, asked.options, strict=True)
    return [option for option, (_, value) in offered if any(type(one) is type(value) and one == value for one in given)]


def _seconds(at: datetime) -> int:
    """A time without a zone is one of UTC."""
    return int((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp())


def _digits(number: float | Decimal) -> str:
    """Return a number without an exponent, and a whole one without a fraction."""
    return f"{Decimal(str(number)):f}".removesuffix(".0")


def _option(value: str, text: str) -> Block:
    return {"text": plain(text), "value": value}
