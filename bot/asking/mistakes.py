"""What an author got wrong in a value, in one line: which field, what was found there, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Set
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

FOUND_CHARS = 60
MISSPELT = 0.75
"""How like a field's name (0 to 1) another must be to be taken for that name misspelt."""


def check_names(kind: type[BaseModel], given: Set[str]) -> None:
    """Refuse what a *kind* does not have, as ``aprovers`` or ``reviewers``: it would be lost, and the rule with it.

    Raises:
        TypeError: a name is none of its fields'.
    """
    if given <= kind.__pydantic_fields__.keys():
        return
    for name in sorted(given - kind.__pydantic_fields__.keys()):
        near = difflib.get_close_matches(name, kind.__pydantic_fields__, 1, MISSPELT)
        meant = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(kind.__pydantic_fields__)}"
        raise TypeError(f"{kind.__name__} has no {name!r}; {meant}")


class said_plainly:  # noqa: N801  # a generator would read better, and take as long as what it is put around
    """Let what pydantic has against the values of a *kind* be said without its counts, types and links.

    Raises:
        ValueError: in place of a `ValidationError`, which is one, too.
    """

    __slots__ = ("_kind",)

    def __init__(self, kind: type[BaseModel]) -> None:
        self._kind = kind

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ValidationError):
            found = error.errors(include_url=False, include_context=False)
            raise ValueError("; ".join(_said(self._kind.__name__, problem) for problem in found)) from None


def _said(kind: str, problem: ErrorDetails) -> str:
    said, where = problem["msg"].removeprefix("Value error, "), ".".join([kind, *map(str, problem["loc"])])
    if not problem["loc"] or problem["type"] == "missing":
        return f"{where}: {said}"
    found = repr(problem["input"])
    return f"{where} is {found if len(found) <= FOUND_CHARS else f'{found[:FOUND_CHARS]}…'}: {said}"
