"""How classes may change while stored runs hold their values: names that stay, versions, and what leads on from each.

A class is stored under its own name, wherever it stands. `stored_as` lets it keep that name when
it is renamed; `upcast` leads values of an earlier shape on to the next.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel

from engine.errors import CodecError
from engine.facts import record

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[[dict[str, Any]], dict[str, Any]])

FORMAT = 1
"""The version of the form of a stored run itself."""


@record
class _Form:
    """What was declared of one class itself; its subclasses have forms of their own."""

    names: tuple[str, ...] = ()
    version: int = 1
    upcasts: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = dataclasses.field(default_factory=dict)


_FORMS: dict[type, _Form] = {}
"""Of the few classes that have declared one. Every value that is stored is looked up here, and to ask a pydantic class
for an attribute that it lacks takes ten times as long."""


def stored_as(*names: str, version: int | None = None) -> Callable[[C], C]:
    """Store values of a class under the first of *names*, and read those that were stored under any.

    ``@stored_as("DraftReady")`` is for a class that was called so. If runs have been stored since under its new
    name, give both. A workflow that was renamed is found again in the same way.

    The *version* of a class is 1 until an `upcast` leads to a later one. It must be given only once the
    upcasts are gone, because nothing stored needs them any more.

    Raises:
        TypeError: a name is no name; it is letters, digits and ``_``.
        ValueError: *version* is less than 1.
    """
    for name in names:
        if not str(name).isidentifier():
            raise TypeError(f"stored_as takes names such as 'DraftReady', not {name!r}")
    if version is not None and version < 1:
        raise ValueError(f"versions count from 1; found {version}")

    def declare(cls: C) -> C:
        form = _form(cls)
        form.names = names
        form.version = version or 1
        return cls

    return declare


def upcast(cls: type, from_version: int) -> Callable[[F], F]:
    """Lead stored values of *cls* on from a version to the next, which *cls* is of now, or was before a later upcast.

    The function gets a dict of the values by name, undeclared ones too, and returns the dict that the
    next version would have held; it may change what it got. What is nested in it is up to date already.
    What was stored before there was any upcast is of version 1.

    Raises:
        TypeError: *cls* has no fields: it is neither a pydantic model nor a dataclass.
        ValueError: *from_version* is less than 1, or another upcast leads on from it.
    """
    if not (issubclass(cls, BaseModel) or dataclasses.is_dataclass(cls)):
        raise TypeError(f"upcast takes a pydantic model or a dataclass, not {cls!r}")
    if from_version < 1:
        raise ValueError(f"versions count from 1; found {from_version}")

    def declare(function: F) -> F:
        known = _form(cls).upcasts.setdefault(from_version, function)
        if known is not function:
            raise ValueError(f"{known.__name__} leads {cls.__name__} on from version {from_version} already")
        return function

    return declare


def stored_names(cls: type) -> tuple[str, ...]:
    """Return the names under which values of *cls* may be stored; the first is the one to write."""
    form = _FORMS.get(cls)
    return form.names if form is not None and form.names else (cls.__name__,)


def stored_name(cls: type) -> str:
    """Return the name under which values of *cls* are stored."""
    form = _FORMS.get(cls)
    return form.names[0] if form is not None and form.names else cls.__name__


def version_of(cls: type) -> int:
    """Return the version of values of *cls* that are stored now."""
    form = _FORMS.get(cls)
    return 1 if form is None else max([form.version, *(n + 1 for n in form.upcasts)])


def upcasted(cls: type, values: dict[str, Any], version: int, where: str) -> dict[str, Any]:
    """Return *values* of a stored *version* of *cls* as its version of now would hold them.

    Raises:
        CodecError: nothing leads from there to here; the message says where the way ends.
    """
    name, now = stored_name(cls), version_of(cls)
    if type(version) is not int or version < 1:
        raise CodecError(f"{where}: stored {name} has {version!r} for its version")
    if version > now:
        raise CodecError(
            f"{where}: stored {name} is of version {version}, written by newer code; "
            f"this code reads up to version {now}"
        )
    for at in range(version, now):
        values = _led_on(cls, values, at, where)
    return values


def _led_on(cls: type, values: dict[str, Any], version: int, where: str) -> dict[str, Any]:
    step = _form(cls).upcasts.get(version)
    if step is None:
        raise CodecError(
            f"{where}: stored {stored_name(cls)} is of version {version}, from which nothing leads on; "
            f"bring back its @upcast({cls.__name__}, from_version={version})"
        )
    called = f"{where}: {step.__name__}, from version {version} of stored {stored_name(cls)},"
    try:
        led = step(values)
    except Exception as error:  # whatever an author's upcast raises
        raise CodecError(f"{called} raised {type(error).__name__}: {error}") from error
    if type(led) is not dict:
        raise CodecError(f"{called} returned {type(led).__name__} instead of dict")
    return led


def _form(cls: type) -> _Form:
    return _FORMS.setdefault(cls, _Form())
