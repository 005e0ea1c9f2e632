"""The report that all benchmarks of one run write into."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.bench.harness import Report

PACKAGES = (
    *("llama-index-workflows", "pydantic-graph", "langgraph", "langgraph-checkpoint-sqlite", "agent-framework-core"),
    *("pydantic", "slack-bolt", "redis"),
)

# Its peers are there where `make bench` runs, and nowhere else.
collect_ignore = [] if find_spec("langgraph") else ["test_bench_durable.py", "test_bench_in_process.py"]


@pytest.fixture(scope="session")
def report() -> Iterator[Report]:
    """Collects tables; they are printed at the end and, as Markdown, written to the file ``BENCH_OUTPUT`` names."""
    found = Report(_machine())
    yield found
    print(found.text())
    if path := os.environ.get("BENCH_OUTPUT"):
        Path(path).write_text(found.markdown(), encoding="utf-8")


def _machine() -> str:
    cores = os.cpu_count()
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{cores} cores, {platform.system()}, Python {platform.python_version()}, {packages}; "
        "a private Valkey over loopback, appendonly yes, appendfsync everysec where nothing else is said. "
        "Ratios are the medians of neighbouring rounds of one run; absolute figures drift with the machine."
    )
