"""The in-process workloads on LangGraph, without a checkpointer."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from tests.bench.workloads import WORKERS, Run


class Passed(TypedDict):
    """What goes through the chain: nothing that matters."""

    seen: int


def chain(steps: int) -> Run:
    """*steps* nodes in a row that do nothing."""

    async def code(state: Passed) -> dict[str, Any]:
        return {}

    builder = StateGraph(Passed)
    names = [f"step{n}" for n in range(steps)]
    for name in names:
        builder.add_node(name, code)
    for source, target in zip([START, *names], [*names, END], strict=True):
        builder.add_edge(source, target)
    graph = builder.compile()

    async def run() -> int:
        await graph.ainvoke({"seen": 0})
        return steps

    return run


class Items(TypedDict):
    """The pieces of work and what came of them."""

    items: int
    done: Annotated[list[int], operator.add]


class Item(TypedDict):
    """One piece of work."""

    number: int


def fan(items: int) -> Run:
    """*items* pieces of work, 8 at a time, reduced into one list."""

    async def work(state: Item) -> dict[str, Any]:
        return {"done": [state["number"]]}

    async def collect(state: Items) -> dict[str, Any]:
        return {}

    def spread(state: Items) -> list[Send]:
        return [Send("work", {"number": number}) for number in range(state["items"])]

    builder = StateGraph(Items)
    builder.add_node("work", work)
    builder.add_node("collect", collect)
    builder.add_conditional_edges(START, spread, ["work"])
    builder.add_edge("work", "collect")
    builder.add_edge("collect", END)
    graph = builder.compile()

    async def run() -> int:
        found = await graph.ainvoke({"items": items, "done": []}, {"max_concurrency": WORKERS})
        return len(found["done"])

    return run


def stream(events: int) -> Run:
    """*events* values written by a node to whoever streams the run."""

    async def tell(state: Passed) -> dict[str, Any]:
        write = get_stream_writer()
        for number in range(events):
            write(number)
        return {}

    builder = StateGraph(Passed)
    builder.add_node("tell", tell)
    builder.add_edge(START, "tell")
    builder.add_edge("tell", END)
    graph = builder.compile()

    async def run() -> int:
        read = 0
        async for _ in graph.astream({"seen": 0}, stream_mode="custom"):
            read += 1
        return read

    return run
