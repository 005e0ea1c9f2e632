"""How a step says which events of a stream it wants: ``Annotated[list[Done], Collect(Take(2))]``.

A step that returns ``list[E]`` opens a stream: all that its events set going, directly or through
further steps. A step that takes ``list[E]`` collects what of the stream arrives at it, and is called
once. The stream closes when nothing of it is left on its way.
"""

from __future__ import annotations

from dataclasses import field

from engine.facts import fact


@fact
class Cardinality:
    """How many events of a stream a collecting step gets; it is `All` or `Take`."""


@fact
class All(Cardinality):
    """Every one, when the stream closes."""


@fact
class Take(Cardinality):
    """The first *n*, as soon as they are there; fewer if the stream closes before.

    The others go on and are not waited for.

    Raises:
        ValueError: *n* is no integer of 1 or more.
    """

    n: int

    def __post_init__(self) -> None:
        if type(self.n) is not int or self.n < 1:
            raise ValueError("Take(n) requires an integer n >= 1")


@fact
class Collect:
    """Marks a ``list[E]`` parameter. Without the mark it is ``Collect(All())``."""

    cardinality: Cardinality = field(default_factory=All)
