"""LangGraph beside the `contenders`: in a file of its own, since only `make bench` has it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from tests.bench.prose import DRAFT_BYTES, draft


class Drafting(TypedDict):
    """The state of a thread."""

    topic: str
    result: str


class LangGraph:
    """`interrupt` and `Command(resume=...)`, saved by SQLite when the graph exits: no journal, outbox, lock or verdict.

    SQLite writes ahead and syncs each commit to disk, as Redis does with ``appendfsync always``.
    """

    def __init__(self, saver: AsyncSqliteSaver, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._numbers = itertools.count()
        builder = StateGraph(Drafting)
        builder.add_node("ask", self._ask)
        builder.add_edge(START, "ask")
        builder.add_edge("ask", END)
        self._graph: Any = builder.compile(checkpointer=saver)

    async def _ask(self, state: Drafting) -> dict[str, Any]:
        response = interrupt(draft(state["topic"], self._size_bytes))
        return {"result": f"{response}: {state['topic']}"}

    async def pause(self) -> str:
        number = next(self._numbers)
        await self._invoke({"topic": f"Topic {number}", "result": ""}, str(number))
        return str(number)

    async def finish(self, run_id: str) -> None:
        await self._invoke(Command(resume="approve"), run_id)

    async def result(self, run_id: str) -> str:
        state = await self._graph.aget_state(_thread(run_id))
        return str(state.values["result"])

    async def _invoke(self, given: Any, run_id: str) -> None:
        await self._graph.ainvoke(given, _thread(run_id), durability="exit")


def _thread(run_id: str) -> Any:
    return {"configurable": {"thread_id": run_id}}


@asynccontextmanager
async def langgraph(folder: Path, size_bytes: int = DRAFT_BYTES) -> AsyncIterator[LangGraph]:
    """LangGraph with a database in *folder*."""
    async with AsyncSqliteSaver.from_conn_string(str(folder / "langgraph.db")) as saver:
        await saver.setup()
        yield LangGraph(saver, size_bytes)
