"""What an answer is told. The same answer, delivered again, is told the same.

A verdict is not an error: a late click is a fact to be told to a person kindly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Accepted:
    """It decided the question; the run goes on with it. *at* is POSIX seconds."""

    by: str
    at: float
    response: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """It counts, and more people must answer: *count* of *quorum* so far."""

    count: int
    quorum: int


@dataclass(frozen=True, slots=True)
class Already:
    """Somebody decided the question before: who, when and what."""

    by: str
    at: float
    response: str


@dataclass(frozen=True, slots=True)
class Expired:
    """The question's deadline had passed, at *at*."""

    at: float


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The run was cancelled, or ended, before the question was answered."""

    by: str
    at: float


@dataclass(frozen=True, slots=True)
class Stale:
    """The question has changed since it was shown to whoever answered."""


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """It is not this person's question; *allowed* names whose it is."""

    allowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Invalid:
    """The answer does not fit the question; (field, problem) pairs, field "" for the whole."""

    problems: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """There is no such question: forged, or forgotten long after its run ended."""


Verdict: TypeAlias = Accepted | Recorded | Already | Expired | Cancelled | Stale | NotAllowed | Invalid | Unknown
