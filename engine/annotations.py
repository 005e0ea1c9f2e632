"""Which events an annotation of a step speaks of: ``A | B``, ``list[A]``, ``Annotated[list[A], Collect(Take(2))]``."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Union

from engine.collect import All, Cardinality, Collect, Take
from engine.errors import WorkflowValidationError
from engine.events import Event
from engine.facts import fact

NoneType = type(None)


@fact
class Taken:
    """The events that a step takes; the fields are those of `StepSpec`."""

    parameters: tuple[str, ...]
    accepts: tuple[type[Event], ...]
    collects: Cardinality | None = None
    slots: tuple[type[Event], ...] = ()


def event_types(hint: Any) -> tuple[type[Event], ...]:
    """Flatten ``A | B | None`` to its event classes. Those in a list are none of them."""
    return tuple(part for part in _members(hint) if isinstance(part, type) and issubclass(part, Event))


def listed_types(hint: Any) -> tuple[type[Event], ...]:
    """Return the event classes within the lists of ``list[A | B] | C``."""
    lists = (part for part in _members(hint) if typing.get_origin(part) is list)
    return tuple(dict.fromkeys(kind for part in lists for arg in typing.get_args(part) for kind in event_types(arg)))


def read_taken(hints: Mapping[str, Any], where: str) -> Taken:
    """Return the events that the parameters with these annotations take. The step is *where*, for messages.

    Raises:
        WorkflowValidationError: they take none, or what does not go together.
    """
    single = {name: kinds for name, hint in hints.items() if name != "return" and (kinds := event_types(hint))}
    lists = {
        name: found for name, hint in hints.items() if name != "return" and (found := _collected(name, hint, where))
    }
    if not single and not lists:
        raise WorkflowValidationError(
            f"Step signature must have at least one parameter annotated as type Event ({where})"
        )
    if len(lists) > 1:
        raise WorkflowValidationError(
            "A step may declare at most one list[E] collection parameter, but found both "
            f"{' and '.join(map(repr, lists))}. Multi-slot collects are not supported. ({where})"
        )
    if lists and single:
        raise WorkflowValidationError(
            "A list[E] collection parameter cannot be combined with other event parameters. Use a single list[E] "
            f"parameter, or multiple single-event parameters for a multi-slot join. ({where})"
        )
    for name, (kinds, cardinality) in lists.items():
        return Taken((name,), kinds, collects=cardinality)
    if len(single) == 1:
        ((name, kinds),) = single.items()
        return Taken((name,), kinds)
    return _joined(single, where)


def _joined(single: Mapping[str, tuple[type[Event], ...]], where: str) -> Taken:
    for name, kinds in single.items():
        if len(kinds) > 1:
            raise WorkflowValidationError(
                "Collect-mode steps (more than one event parameter) require each event parameter to declare a single "
                f"event type, but parameter {name!r} declares {len(kinds)}. Union-typed collect parameters are not "
                f"supported. ({where})"
            )
    slots = tuple(kinds[0] for kinds in single.values())
    return Taken(tuple(single), tuple(dict.fromkeys(slots)), slots=slots)


def _collected(name: str, hint: Any, where: str) -> tuple[tuple[type[Event], ...], Cardinality] | None:
    """Return what a ``list[E]`` parameter collects, and how much of it; None for any other parameter."""
    marks: list[Any] = []
    if typing.get_origin(hint) is Annotated:
        hint, *rest = typing.get_args(hint)
        marks = [one for one in rest if isinstance(one, Collect)]
    kinds = listed_types(hint) if len(_members(hint)) == 1 else ()
    if not kinds:
        if marks:
            raise WorkflowValidationError(
                f"Parameter {name!r} carries a Collect marker but is not annotated as list[E] of an Event subclass. "
                f"Collect markers apply only to collection fan-in (list[Event]) parameters. ({where})"
            )
        return None
    cardinality = marks[0].cardinality if marks else All()
    if not isinstance(cardinality, All | Take):
        raise WorkflowValidationError(
            f"Collect cardinality on {name!r} must be All() or Take(n). Other cardinalities are not supported. "
            f"({where})"
        )
    return kinds, cardinality


def _members(hint: Any) -> list[Any]:
    """Return the members of a union, but for None; of anything else itself."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        return [part for arg in typing.get_args(hint) for part in _members(arg)]
    return [] if hint is NoneType else [hint]
