"""Which classes stored data may name, and how it calls them.

A class is known by its bare name, unless `stored_as` says otherwise. With it come the classes that
its fields are declared to hold.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable
from enum import Enum
from typing import Any

from pydantic import BaseModel

from engine.core.versions import stored_name, stored_names
from engine.events import BUILTIN_EVENTS


def registered(roots: Iterable[type]) -> dict[str, type]:
    """Return the engine's own events, *roots* and whatever those hold, by name.

    Raises:
        ValueError: two classes share a name.
    """
    found: dict[str, type] = {}
    pending = [*BUILTIN_EVENTS, *roots]
    while pending:
        kind = pending.pop(0)
        if found.get(stored_name(kind)) is kind:
            continue
        for name in stored_names(kind):
            known = found.setdefault(name, kind)
            if known is not kind:
                raise ValueError(
                    f"two classes are called {name}, in {known.__module__} and {kind.__module__}; stored runs know "
                    "a class by its name, so rename one, or give it a name of its own with @stored_as"
                )
        pending += held_by(kind)
    return found


def held_by(kind: type) -> list[type]:
    """Return the storable classes that the fields of *kind* are declared to hold."""
    return [part for hint in _field_hints(kind) for part in storable_parts(hint)]


def storable_parts(hint: Any) -> list[type]:
    """Return the classes in a type hint that stored data can name: models, enums and dataclasses."""
    if typing.get_origin(hint) is None and isinstance(hint, type):
        named = issubclass(hint, BaseModel | Enum) or dataclasses.is_dataclass(hint)
        return [hint] if named else []
    return [part for arg in typing.get_args(hint) for part in storable_parts(arg)]


def _field_hints(kind: type) -> list[Any]:
    if issubclass(kind, BaseModel):
        return [field.annotation for field in kind.model_fields.values()]
    if dataclasses.is_dataclass(kind):
        try:
            return list(typing.get_type_hints(kind).values())
        except Exception:  # noqa: BLE001 - the author's, perhaps for type checkers only; what it names is declared elsewhere
            return []
    return []
