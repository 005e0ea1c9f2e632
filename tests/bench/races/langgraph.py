"""The run of the races on LangGraph, with its SQLite saver.

As its documentation has it: `interrupt` asks, `Command(resume=...)` with the thread's id answers. An interrupt
has an id, too, for threads with several at once; `by_id` lets the buttons carry it and answers that one.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from tests.bench.clicks import Button, Decided


class Shipping(TypedDict):
    """The state of a thread."""

    version: str
    result: str


def ship(decided: Decided) -> Any:
    """Ships to staging if somebody approves, then to production if somebody approves that."""

    async def staging(state: Shipping) -> dict[str, Any]:
        return await decide(state, "staging")

    async def production(state: Shipping) -> dict[str, Any]:
        return await decide(state, "production")

    async def decide(state: Shipping, stage: str) -> dict[str, Any]:
        response = interrupt(f"{stage}? (approve/reject)")
        decided(state["version"], stage, response)
        return {"result": f"{stage}: {response}"}

    def next_stage(state: Shipping) -> str:
        return "production" if state["result"] == "staging: approve" else END

    builder = StateGraph(Shipping)
    builder.add_node("staging", staging)
    builder.add_node("production", production)
    builder.add_edge(START, "staging")
    builder.add_conditional_edges("staging", next_stage, ["production", END])
    builder.add_edge("production", END)
    return builder


class Process:
    """A graph and a connection of its own to a database that it shares."""

    def __init__(self, path: Path, decided: Decided, *, by_id: bool = False) -> None:
        self._path = path
        self._builder = ship(decided)
        self._by_id = by_id
        self._open = AsyncExitStack()
        self._graph: Any = None

    async def _compiled(self) -> Any:
        if self._graph is None:
            saver = await self._open.enter_async_context(AsyncSqliteSaver.from_conn_string(str(self._path)))
            await saver.setup()
            self._graph = self._builder.compile(checkpointer=saver)
        return self._graph

    async def begin(self, version: str) -> Button:
        graph = await self._compiled()
        found = await graph.ainvoke({"version": version, "result": ""}, _thread(version))
        return version, found["__interrupt__"][0].id

    async def click(self, button: Button, response: str, click_id: str) -> bool:
        graph = await self._compiled()
        thread_id, interrupt_id = button
        state = await graph.aget_state(_thread(thread_id))
        if not state.next:
            return False  # it is over
        await graph.ainvoke(Command(resume={interrupt_id: response} if self._by_id else response), _thread(thread_id))
        return True

    async def stands(self, button: Button) -> str:
        state = await (await self._compiled()).aget_state(_thread(button[0]))
        return str(state.interrupts[0].value if state.interrupts else state.values["result"])

    async def close(self) -> None:
        await self._open.aclose()


def _thread(thread_id: str) -> Any:
    return {"configurable": {"thread_id": thread_id}}
