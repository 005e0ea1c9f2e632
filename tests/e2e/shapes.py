"""The shapes in which the bot is deployed, and those in which each test is played.

``SIGNOFF_SHAPES`` names them; ``make e2e`` plays every test in all. Where it is not set, the tests of a file take turns
at the shapes, so that each is played once, and those marked `everywhere` in all of them.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Shape:
    """How Slack reaches the bot, and which processes it is made of."""

    name: str
    socket_mode: bool = False
    fleet: bool = False
    """Whether those who work are others than the one that takes Slack's requests."""
    workers: int = 1

    @property
    def commands(self) -> Sequence[tuple[str, ...]]:
        """What is started; the first of them takes Slack's requests."""
        if self.fleet:
            return [("serve", "--no-worker"), *[("worker",)] * self.workers]
        return [("serve",)] * self.workers


HTTP = Shape("http")
SOCKET = Shape("socket", socket_mode=True)
HTTP_FLEET = Shape("http-fleet", fleet=True, workers=2)
SOCKET_FLEET = Shape("socket-fleet", socket_mode=True, fleet=True, workers=2)
SHAPES = (HTTP, SOCKET, HTTP_FLEET, SOCKET_FLEET)

everywhere = pytest.mark.everywhere
"""For what has to hold in every shape whenever tests are run."""


def only(*shapes: Shape, because: str) -> pytest.MarkDecorator:
    """For what is about these shapes, and would say nothing in the others."""
    return pytest.mark.only.with_args(*shapes, because=because)


_turns: Counter[str] = Counter()


def shapes_of(test: pytest.Function) -> Sequence[Shape]:
    """Return the shapes in which a test is played now. To ask is to take a turn."""
    marker = test.get_closest_marker("only")
    possible = SHAPES if marker is None else marker.args
    if chosen := os.environ.get("SIGNOFF_SHAPES", "").split():
        named = {shape.name: shape for shape in SHAPES}
        return [shape for shape in possible if shape in [named[name] for name in chosen]]
    if test.get_closest_marker("everywhere"):
        return possible
    file = test.path.name
    _turns[file] += 1
    return [possible[(zlib.crc32(file.encode()) + _turns[file]) % len(possible)]]
