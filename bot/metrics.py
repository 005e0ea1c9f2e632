"""What a process tells Prometheus: its log lines, counted; how fast it answers Slack; how much there is to do."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from engine.errors import StoreUnavailable

if TYPE_CHECKING:
    from engine.redis.condition import Backlog

OURS = ("bot", "engine", "signoff")
"""Loggers whose messages are written in our code, and so are few."""
BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 3.0)
"""Slack waits for 3 seconds."""


class Metrics:
    """The figures of one process; those of what is stored are the same in all that share a store."""

    def __init__(self, backlog: Callable[[], Awaitable[Backlog]]) -> None:
        """*backlog* looks at the store; it raises `StoreUnavailable`."""
        self._backlog = backlog
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.lines = Lines(registry)
        """What is logged, to be counted."""
        self.answering = Histogram(
            "signoff_answer_seconds",
            "From a request of Slack's to its answer, when a command or a click is saved.",
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._reached = Gauge("signoff_store_up", "Whether Redis was reached just now.", registry=registry)
        self._stored = {
            "runs": Gauge("signoff_runs", "Runs that are not over.", registry=registry),
            "questions": Gauge("signoff_questions", "Open questions.", registry=registry),
            "effects": Gauge(
                "signoff_owed", "Messages and changes that Slack has not been sent yet.", registry=registry
            ),
            "late_s": Gauge("signoff_late_seconds", "For how long the oldest due work has waited.", registry=registry),
        }

    async def page(self) -> bytes:
        """Return all of it, in Prometheus's text format."""
        try:
            found = await self._backlog()
        except StoreUnavailable:
            self._reached.set(0)
            for gauge in self._stored.values():
                gauge.set(float("nan"))
        else:
            self._reached.set(1)
            for name, gauge in self._stored.items():
                gauge.set(getattr(found, name))
        return generate_latest(self._registry)


class Lines(logging.Handler):
    """Counts log lines, by what they say if it is ours, and by verdict where they tell one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        about = ["level", "logger", "message", "verdict"]
        self._counter = Counter("signoff_log_lines", "Lines logged.", about, registry=registry)

    def emit(self, record: logging.LogRecord) -> None:
        logger = record.name.partition(".")[0]
        # The message as it was written, before anything is put into it: every label is kept for ever.
        message = str(record.msg) if logger in OURS else ""
        verdict = str(getattr(record, "verdict", ""))
        self._counter.labels(record.levelname.lower(), logger, message, verdict).inc()
