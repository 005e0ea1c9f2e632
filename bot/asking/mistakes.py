"""What an author got wrong in a value, in one line: which field, what was found there, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

FOUND_CHARS = 60


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
