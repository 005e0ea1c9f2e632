"""The inspector's log: every request between the fake Slack and the bot, in both directions, newest last."""

import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bot.playground.timekeeping import Pulse

Direction = Literal["slack→bot", "bot→slack"]
KEPT = 2_000  # entries; older ones are forgotten, so that a demo left running stays small


@dataclass(frozen=True)
class Exchange:
    """One request and what came back. `status` is None when no answer came at all."""

    n: int
    at: float
    direction: Direction
    method: str
    status: int | None
    ms: float
    request: Any
    response: Any

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class ExchangeLog(deque[Exchange]):
    """A bounded list of exchanges; `n` grows by one and is never reused."""

    def __init__(self, pulse: Pulse, kept: int = KEPT) -> None:
        super().__init__(maxlen=kept)
        self._pulse = pulse
        self._n = 0

    def record(
        self, direction: Direction, method: str, status: int | None, started: float, request: Any, response: Any
    ) -> Exchange:
        """Add an exchange that began at *started* (`time.monotonic()` seconds)."""
        self._n += 1
        ms = round((time.monotonic() - started) * 1000, 1)
        entry = Exchange(self._n, time.time(), direction, method, status, ms, request, response)
        self.append(entry)
        self._pulse.touch()
        return entry

    def after(self, n: int) -> list[Exchange]:
        return [entry for entry in self if entry.n > n]

    def calls(self, method: str) -> list[Exchange]:
        """What passed under one name, as in `calls("chat.postMessage")`."""
        return [entry for entry in self if entry.method == method]
