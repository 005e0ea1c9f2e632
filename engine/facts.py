"""How the core declares its data: facts, which nobody changes, and records, which the reducer alone does."""

from __future__ import annotations

from dataclasses import dataclass, field
from inspect import get_annotations
from typing import Any, TypeVar, cast, dataclass_transform

C = TypeVar("C", bound=type)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def fact(cls: C) -> C:
    """Declare a dataclass whose instances nobody changes; the type checker sees to that.

    A frozen dataclass checks it at run time, too. That makes an instance four times as costly, and each step of a
    run needs several.
    """
    return _slotted(cls, _hash)


@dataclass_transform(field_specifiers=(field,))
def record(cls: C) -> C:
    """Declare a dataclass whose instances change, so that they have no place in a set."""
    return _slotted(cls, None)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def replaceable(cls: C) -> C:
    """Declare a `fact` of which `dataclasses.replace` can make others: its methods are written at once."""
    made: Any = dataclass(slots=True, unsafe_hash=True)
    return cast(C, made(cls))


def _slotted(cls: C, hashed: object) -> C:
    """Return *cls* with slots for its fields. What makes an instance is written when the first one is made.

    To write and compile the methods of each class took a sixth of the import, and most processes need few classes.
    """
    names = tuple(get_annotations(cls))
    body = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    shared = {"__eq__": _equals, "__hash__": hashed, "__repr__": _told, "__slots__": names, "__match_args__": names}
    plain = {name: value for name, value in body.items() if name not in names}
    made: Any = type(cls)(cls.__name__, cls.__bases__, {**plain, **shared, "__qualname__": cls.__qualname__})

    def first(self: object, /, *args: object, **kwargs: object) -> None:
        copy = type(cls)(cls.__name__, cls.__bases__, {**body})  # `dataclass` takes what it reads out of a class
        made.__init__ = vars(dataclass(eq=False, repr=False)(copy))["__init__"]
        made.__init__(self, *args, **kwargs)

    made.__init__ = first
    return cast(C, made)


def _values(one: object) -> tuple[object, ...]:
    return tuple(getattr(one, name) for name in type(one).__match_args__)  # type: ignore[attr-defined]


def _equals(self: object, other: object) -> bool:
    return _values(self) == _values(other) if type(self) is type(other) else NotImplemented


def _hash(self: object) -> int:
    return hash((type(self), _values(self)))


def _told(self: object) -> str:
    names: tuple[str, ...] = type(self).__match_args__  # type: ignore[attr-defined]
    return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"
