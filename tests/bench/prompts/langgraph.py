"""From nothing to a question, with LangGraph, whose questions need a checkpointer."""

import asyncio
from typing import Any, TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt


class Shipping(TypedDict):
    topic: str
    response: str


async def ask(state: Shipping) -> dict[str, Any]:
    return {"response": interrupt(f"Ship {state['topic']}?")}


async def main() -> None:
    builder = StateGraph(Shipping)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    builder.add_edge("ask", END)
    graph = builder.compile(checkpointer=InMemorySaver())
    found = await graph.ainvoke({"topic": "v2", "response": ""}, {"configurable": {"thread_id": "1"}})
    print(found["__interrupt__"][0].value, flush=True)


asyncio.run(main())
