"""The in-process workloads on pydantic-graph. It has no limit on workers, and no stream to its caller."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypeAlias

from pydantic_graph import GraphBuilder, StepContext, reduce_list_append

from tests.bench.workloads import Run

Number: TypeAlias = StepContext[None, None, int]  # type: ignore[type-arg]  # mypy cannot read its type variables


def chain(steps: int) -> Run:
    """*steps* steps in a row that do nothing."""

    async def code(ctx: Number) -> int:
        return ctx.inputs

    builder = GraphBuilder(input_type=int, output_type=int)
    nodes: list[Any] = [builder.step(code, node_id=f"step{n}") for n in range(steps)]
    path = [builder.start_node, *nodes, builder.end_node]
    builder.add(*(builder.edge_from(source).to(target) for source, target in pairwise(path)))
    graph = builder.build()

    async def run() -> int:
        await graph.run(inputs=0)
        return steps

    return run


def fan(items: int) -> Run:
    """*items* pieces of work, mapped and joined."""
    builder = GraphBuilder(input_type=int, output_type=list[int])

    @builder.step
    async def spread(ctx: Number) -> list[int]:
        return list(range(ctx.inputs))

    @builder.step
    async def work(ctx: Number) -> int:
        return ctx.inputs

    collect = builder.join(reduce_list_append, initial_factory=list[int])
    builder.add(
        builder.edge_from(builder.start_node).to(spread),
        builder.edge_from(spread).map().to(work),
        builder.edge_from(work).to(collect),
        builder.edge_from(collect).to(builder.end_node),
    )
    graph = builder.build()

    async def run() -> int:
        return len(await graph.run(inputs=items))

    return run
