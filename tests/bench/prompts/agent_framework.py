"""From nothing to a question, with Microsoft Agent Framework."""

import asyncio
from typing import Never

import agent_framework as af


class Ship(af.Executor):
    @af.handler
    async def ask(self, topic: str, ctx: af.WorkflowContext[Never, str]) -> None:
        await ctx.request_info(f"Ship {topic}?", str)

    @af.response_handler
    async def decide(self, question: str, response: str, ctx: af.WorkflowContext[Never, str]) -> None:
        await ctx.yield_output(response)


async def main() -> None:
    ship = Ship(id="ship")
    workflow = af.WorkflowBuilder(start_executor=ship, output_from=[ship]).build()
    async for event in workflow.run("v2", stream=True):
        if event.type == "request_info":
            print(event.data, flush=True)


asyncio.run(main())
