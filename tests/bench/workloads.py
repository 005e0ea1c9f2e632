"""What is asked of every framework in process, and what they are called in the tables.

Each does it the way its own documentation shows; none of them stores anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

WORKERS = 8
"""How many of the pieces of work may be in hand at once, where a framework has such a limit."""

Run: TypeAlias = Callable[[], Awaitable[int]]
"""One run from its start to its awaited result; returns how many steps, items or events went through it."""

NAMES = {
    "signoff": "Signoff",
    "llama_index": "LlamaIndex",
    "pydantic_graph": "pydantic-graph",
    "langgraph": "LangGraph",
    "agent_framework": "Agent Framework",
    "by_hand": "by hand",
}
