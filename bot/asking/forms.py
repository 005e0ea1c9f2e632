"""A pydantic model as a form: which fields it asks for, and the model again of what was filled in.

Nothing here knows how a field looks; `bot.asking.inputs` does. A form keeps its digest, so that one filled in
before a deploy is not read by the fields of after it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, StringConstraints, ValidationError, WithJsonSchema
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema, to_json

from bot.asking.legible import has_ink, in_words, width
from bot.slack_ids import PERSON
from engine.errors import DefinitionError

Kind: TypeAlias = Literal[
    "checkbox", "yes_no", "choice", "choices", "whole", "number", "date", "time", "datetime", "text", "person", "people"
]
Given: TypeAlias = Mapping[str, str | tuple[str, ...] | None]
"""What was filled in, by the id of the field: a list where several may be chosen, None where there is nothing."""

SlackUser: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=f"^{PERSON}$"),
    WithJsonSchema({"type": "string", "format": "slack-user"}),
]
"""The id of a person in Slack; a form lets people choose one."""

# docs.slack.dev/reference/block-kit: a modal has 100 blocks, of which a headline and a comment may take two.
FIELDS = 98
LABEL_CHARS = 2000
NAME_CHARS = 200
OPTIONS = 100
OPTION_CHARS = 75
TEXT_CHARS = 3000
YES, NO = "yes", "no"
_ID = "form."
_LIMITS: tuple[Literal["ge", "gt", "le", "lt"], ...] = ("ge", "gt", "le", "lt")
_TYPES = (
    "use str, bool, int, float, Decimal, date, time, datetime, SlackUser, an Enum or a Literal; "
    "a list of an Enum, a Literal or SlackUser; or one of all these | None"
)


@dataclass(frozen=True, slots=True)
class FormField:
    """One thing a form asks for."""

    name: str
    kind: Kind
    label: str
    hint: str = ""
    optional: bool = False
    """It may be left out."""
    nullable: bool = False
    """Left out it is None."""
    exact: bool = False
    """Its number is a Decimal."""
    options: tuple[tuple[str, Any], ...] = ()
    """What there is to choose: as it travels, and its value in JSON."""
    least: float | int | None = None
    """Of the number, the characters of the text, or the things chosen."""
    most: float | int | None = None

    @property
    def id(self) -> str:
        """Its name in the modal and in what comes back."""
        return f"{_ID}{self.name}"


@dataclass(frozen=True, slots=True)
class Form:
    """A model's fields, in its order."""

    model: type[BaseModel]
    fields: tuple[FormField, ...]
    digest: str
    """Of everything people are shown of it and may fill in."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why what stands in a field will not do, as pydantic says it."""

    kind: str
    """Its error type: docs.pydantic.dev/latest/errors/validation_errors; "missing" where nothing was given."""
    said: str = ""
    limits: Mapping[str, Any] = field(default_factory=dict)


@cache
def form_of(model: type[BaseModel]) -> Form:
    """Return what a model asks for.

    Raises:
        DefinitionError: a field of a type that has no input in Slack, or more than fits into a modal.
    """
    try:
        schema = model.model_json_schema(by_alias=False, schema_generator=_Schema)
    except PydanticUserError as error:
        raise DefinitionError(f"form {model.__name__}: {error.message}") from error
    properties, defs = schema.get("properties", {}), schema.get("$defs", {})
    if not 1 <= len(model.model_fields) <= FIELDS:
        raise DefinitionError(
            f"form {model.__name__}: has {len(model.model_fields)} fields; a modal takes 1 to {FIELDS}"
        )
    fields = tuple(
        _Reader(f"form {model.__name__}.{name}", name, info, defs).read(properties.get(name, {}))
        for name, info in model.model_fields.items()
    )
    return Form(model, fields, hashlib.sha256(repr(fields).encode(errors="replace")).hexdigest()[:16])


def read_form(form: Form, given: Given) -> BaseModel | dict[str, Problem]:
    """Return the model of what was filled in, or what is wrong with it, by the id of the field.

    What is wrong with the whole stands at the first field. A validator's exception other than pydantic's own
    comes through as it is.
    """
    values: dict[str, Any] = {}
    problems: dict[str, Problem] = {}
    for asked in form.fields:
        value = given.get(asked.id)
        if asked.id not in given or (not _is_there(value) and not asked.optional):
            problems[asked.id] = Problem("missing")
        else:
            values[asked.name] = _plain(asked, value) if _is_there(value) else _nothing(asked)
    if problems:
        return problems
    try:
        return form.model.model_validate_json(to_json(values), by_alias=False, by_name=True)
    except ValidationError as error:
        return _problems(form, error)


# --- From a model to its fields --------------------------------------------------------------


class _Schema(GenerateJsonSchema):
    """A model's JSON schema, where a Decimal is a number and what has no schema is left open."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        found: JsonSchemaValue = {"type": "number", "format": "decimal"}
        names = self.ValidationsMapping.numeric
        return found | {names[name]: float(schema[name]) for name in _LIMITS if name in schema}

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        return {}


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one field off its JSON schema; *where* is how errors call it."""

    where: str
    name: str
    info: FieldInfo
    defs: Mapping[str, JsonSchemaValue]

    def read(self, schema: JsonSchemaValue) -> FormField:
        found, nullable = self._without_null(self._resolved(schema))
        label = self._short("title", self.info.title or in_words(self.name), LABEL_CHARS)
        hint = self._short("description", self.info.description or "", LABEL_CHARS, blank=True)
        self._short("name", self.name, NAME_CHARS)
        kind, more = self._kind(found, nullable)
        may_be_empty = kind in ("choices", "people") or (kind == "text" and not self.info.is_required())
        optional = nullable or kind == "checkbox" or (may_be_empty and not more["least"])
        return FormField(self.name, kind, label, hint, optional, nullable, **more)

    def _kind(self, schema: JsonSchemaValue, nullable: bool) -> tuple[Kind, dict[str, Any]]:
        match schema:
            case {"enum": _} | {"const": _}:
                return "choice", {"options": self._options(schema)}
            case {"type": "boolean"}:
                return "yes_no" if nullable or self.info.is_required() else "checkbox", {}
            case {"type": "integer"}:
                least, most = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
                return "whole", {
                    "least": schema.get("minimum") if least is None else math.floor(least) + 1,
                    "most": schema.get("maximum") if most is None else math.ceil(most) - 1,
                }
            case {"type": "number"}:
                return "number", {
                    "exact": schema.get("format") == "decimal",
                    "least": schema.get("minimum", schema.get("exclusiveMinimum")),
                    "most": schema.get("maximum", schema.get("exclusiveMaximum")),
                }
            case {"type": "string", "format": "date" | "time" as kind}:
                return kind, {}
            case {"type": "string", "format": "date-time"}:
                return "datetime", {}
            case {"type": "string", "format": "slack-user"}:
                return "person", {}
            case {"type": "string"} if schema.get("format", "email") == "email":
                return "text", {"least": self._least_text(schema), "most": schema.get("maxLength")}
            case {"type": "array", "items": dict(items)}:
                return self._several(self._resolved(items), schema)
        raise DefinitionError(f"{self.where}: {self._type()} has no input in Slack; {_TYPES}")

    def _several(self, items: JsonSchemaValue, schema: JsonSchemaValue) -> tuple[Kind, dict[str, Any]]:
        limits = {"least": schema.get("minItems"), "most": schema.get("maxItems")}
        if items.get("format") == "slack-user":
            return "people", limits
        if "enum" not in items and "const" not in items:
            raise DefinitionError(f"{self.where}: {self._type()} has no input in Slack; {_TYPES}")
        return "choices", {"options": self._options(items), **limits}

    def _options(self, schema: JsonSchemaValue) -> tuple[tuple[str, Any], ...]:
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        if not all(isinstance(value, str | int | float) for value in values):
            raise DefinitionError(f"{self.where}: its options are to be text or numbers, found {values!r}")
        options = tuple((self._short("option", str(value), OPTION_CHARS), value) for value in values)
        if len(dict(options)) < len(options):
            raise DefinitionError(f"{self.where}: two options are written the same; give each a text of its own")
        if len(options) > OPTIONS:
            raise DefinitionError(f"{self.where}: has {len(options)} options; a menu in Slack takes {OPTIONS}")
        return options

    def _least_text(self, schema: JsonSchemaValue) -> int | None:
        least = schema.get("minLength")
        if least is not None and least > TEXT_CHARS:
            raise DefinitionError(f"{self.where}: wants {least} characters; a text field in Slack takes {TEXT_CHARS}")
        return least

    def _short(self, what: str, text: str, most: int, blank: bool = False) -> str:
        if (chars := width(text)) > most:
            raise DefinitionError(f"{self.where}: {what} has {chars} characters; Slack takes {most}")
        if not blank and not has_ink(text):
            raise DefinitionError(f"{self.where}: {what} is blank")
        return text

    def _type(self) -> str:
        kind = self.info.annotation
        return kind.__name__ if isinstance(kind, type) else str(kind)

    def _resolved(self, schema: JsonSchemaValue) -> JsonSchemaValue:
        while (ref := schema.get("$ref")) is not None:
            schema = self.defs[ref.rpartition("/")[2]]
        return schema

    def _without_null(self, schema: JsonSchemaValue) -> tuple[JsonSchemaValue, bool]:
        """Return the schema of what a field may hold besides None, and whether it may hold that."""
        if None in (values := schema.get("enum", ())):
            return {**schema, "enum": [value for value in values if value is not None]}, True
        kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
        if len(kinds) == 1 and len(schema["anyOf"]) == 2:
            return self._resolved(kinds[0]), True
        return schema, False


# --- From what was filled in to the model ------------------------------------------------------


def _is_there(value: str | tuple[str, ...] | None) -> bool:
    return has_ink(value) if isinstance(value, str) else bool(value)


def _nothing(asked: FormField) -> Any:
    """Return what it means that an optional field was left out."""
    if asked.kind == "checkbox":
        return False
    if asked.nullable:
        return None
    return [] if asked.kind in ("choices", "people") else ""


def _plain(asked: FormField, value: str | tuple[str, ...] | None) -> Any:
    """Return a value as JSON has it; what cannot be one stays as it is, for pydantic to refuse."""
    if not isinstance(value, str):
        options = dict(asked.options)
        several = [options.get(one, one) for one in value or ()]
        return (several == [YES]) if asked.kind == "checkbox" else several
    match asked.kind:
        case "choice":
            return dict(asked.options).get(value, value)
        case "yes_no":
            return {YES: True, NO: False}.get(value, value)
        case "whole" | "number" | "datetime":
            return _number(asked, value)
        case _:
            return value


def _number(asked: FormField, value: str) -> Any:
    try:
        if asked.kind == "datetime":
            return datetime.fromtimestamp(int(value), UTC).isoformat()
        if asked.kind == "whole":
            return int(value)
        number = float(value)
    except (ValueError, OverflowError, OSError):
        return value
    return value if asked.exact else number if math.isfinite(number) else f"“{value}”"


def _problems(form: Form, error: ValidationError) -> dict[str, Problem]:
    """Return the first problem of each field; what concerns no field stands at the first."""
    ids = {info.alias or name: f"{_ID}{name}" for name, info in form.model.model_fields.items()}
    ids |= {asked.name: asked.id for asked in form.fields}
    found: dict[str, Problem] = {}
    for problem in error.errors(include_url=False, include_input=False):
        name = ids.get(str(problem["loc"][0])) if problem["loc"] else None
        told = Problem(problem["type"], problem["msg"], problem.get("ctx", {}))
        found.setdefault(name or form.fields[0].id, told)
    return found
