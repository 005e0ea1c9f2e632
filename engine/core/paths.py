"""Dotted paths into a run's state: ``"draft.sections.0.title"``."""

from __future__ import annotations

import copy
from typing import Any

from pydantic import BaseModel

from engine.events import DictLikeModel

MAX_DEPTH = 1000


def split_path(path: str) -> list[str]:
    """Return the parts of *path*.

    Raises:
        ValueError: it is empty or deeper than `MAX_DEPTH`.
    """
    if not path:
        raise ValueError("Path cannot be empty")
    parts = path.split(".")
    if len(parts) > MAX_DEPTH:
        raise ValueError(f"Path length exceeds {MAX_DEPTH} segments")
    return parts


def read_path(root: Any, path: str) -> Any:
    """Return what stands at *path*; all of *root* if it is empty.

    Raises:
        ValueError: nothing stands there.
    """
    found, parts = root, split_path(path) if path else []
    try:
        for part in parts:
            found = _child(found, part)
    except (KeyError, IndexError, AttributeError, TypeError):
        raise ValueError(f"Path '{path}' not found in state") from None
    return found


def write_path(root: Any, path: str, value: Any) -> None:
    """Put *value* at *path*, making dictionaries on the way where there is nothing.

    Raises:
        ValueError: the field of a typed state refuses it; nothing has changed then.
    """
    way = split_path(path)
    place, owner = root, None
    for depth, part in enumerate(way[:-1]):
        if isinstance(place, BaseModel):
            owner = (place, part) if part in type(place).__pydantic_fields__ else None
        try:
            place = _child(place, part)
        except (KeyError, AttributeError):
            for missing in reversed(way[depth + 1 :]):
                value = {missing: value}
            way = way[: depth + 1]
            break
    if owner is not None and isinstance(place, dict | list):
        _put_into_field(*owner, place, way[-1], value)
    else:
        _put(place, way[-1], value)


def _child(place: Any, part: str) -> Any:
    if isinstance(place, DictLikeModel):
        return getattr(place, part) if part in type(place).__pydantic_fields__ else place[part]
    if isinstance(place, dict):
        return place[part]
    if isinstance(place, list | tuple):
        return place[_index(part)]
    return getattr(place, part)


def _put(place: Any, part: str, value: Any) -> None:
    if isinstance(place, dict):
        place[part] = value
    elif isinstance(place, list):
        place[_index(part)] = value
    elif isinstance(place, DictLikeModel) and part not in type(place).__pydantic_fields__:
        place[part] = value
    elif isinstance(place, BaseModel):
        _validated_put(place, part, value)
    else:
        setattr(place, part, value)


def _index(part: str) -> int:
    try:
        return int(part)
    except ValueError:
        raise KeyError(part) from None


def _put_into_field(model: BaseModel, name: str, place: dict[str, Any] | list[Any], part: str, value: Any) -> None:
    """Put *value* into a container that stands in a field of *model*, if the field's type takes it there."""
    before = copy.copy(place)
    _put(place, part, value)
    try:
        _validated_put(model, name, getattr(model, name))
    except Exception:  # a validator is the author's code
        place.clear()
        place.update(before) if isinstance(place, dict) else place.extend(before)
        raise


def _validated_put(model: BaseModel, name: str, value: Any) -> None:
    """Set one field of a typed state to what its type makes of *value*; the error names the field."""
    if name in type(model).__pydantic_fields__:
        tried = type(model).__pydantic_validator__.validate_assignment(model.model_copy(), name, value)
        value = getattr(tried, name)
    setattr(model, name, value)
