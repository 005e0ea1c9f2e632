"""What the races ask of a contender."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

Button: TypeAlias = tuple[str, ...]
"""What the button of a question carries: first the run's id, then what else the contender knows the question by."""
Decided: TypeAlias = Callable[[str, str, str], None]
"""Told by the workflow of each decision it acts on: version, stage, response. The world outside, which cannot undo."""


class Process(Protocol):
    """What a process does for people: begin a run, take a click. It shares nothing but storage with the other."""

    async def begin(self, version: str) -> Button:
        """Begin a run; return the button of its first question, which is saved."""

    async def click(self, button: Button, response: str, click_id: str) -> bool:
        """Answer from what is saved, and work until the run asks again or is over; tell the person if it counts.

        *click_id* is the same when the same click is delivered twice.
        """

    async def stands(self, button: Button) -> str:
        """Return what is saved of the button's run: the question it asks now, or its result."""

    async def close(self) -> None:
        """Close its connections."""
