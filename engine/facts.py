"""How the core declares data that never changes: what happened, what is wanted, what an author said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

C = TypeVar("C")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def fact(cls: type[C]) -> type[C]:
    """Declare a dataclass whose instances nobody changes; the type checker sees to that.

    A frozen dataclass checks it at run time, too. That makes an instance four times as costly, and each step of a
    run needs several; and it writes and compiles seven methods of each class, which took a sixth of the import.
    """
    cls.__eq__, cls.__hash__, cls.__repr__ = _equals, _hash, _told  # type: ignore[method-assign]
    return dataclass(slots=True, eq=False, repr=False)(cls)


def _values(one: object) -> tuple[object, ...]:
    return tuple(getattr(one, name) for name in type(one).__match_args__)  # type: ignore[attr-defined]


def _equals(self: object, other: object) -> bool:
    return _values(self) == _values(other) if type(self) is type(other) else NotImplemented


def _hash(self: object) -> int:
    return hash((type(self), _values(self)))


def _told(self: object) -> str:
    names: tuple[str, ...] = type(self).__match_args__  # type: ignore[attr-defined]
    return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"
