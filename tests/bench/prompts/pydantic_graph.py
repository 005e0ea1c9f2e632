"""From nothing to a question, with pydantic-graph, which has none of its own: it is what the graph comes to."""

import asyncio

from pydantic_graph import GraphBuilder, StepContext


async def ask(ctx: StepContext[None, None, str]) -> str:  # type: ignore[type-arg]  # mypy cannot read its type variables
    return f"Ship {ctx.inputs}?"


async def main() -> None:
    builder = GraphBuilder(input_type=str, output_type=str)
    asked = builder.step(ask)
    builder.add(
        builder.edge_from(builder.start_node).to(asked),
        builder.edge_from(asked).to(builder.end_node),
    )
    print(await builder.build().run(inputs="v2"), flush=True)


asyncio.run(main())
