"""The in-process workloads on Microsoft Agent Framework. One workflow has one run at a time, so a pool lends them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Never

import agent_framework as af

from tests.bench.workloads import WORKERS, Run


@contextmanager
def lent(free: list[af.Workflow], make: Callable[[], af.Workflow]) -> Iterator[af.Workflow]:
    """Lend a workflow that nobody runs; a new one when all are busy."""
    workflow = free.pop() if free else make()
    yield workflow
    free.append(workflow)


def chain(steps: int) -> Run:
    """*steps* executors in a row that do nothing."""

    async def pass_on(message: int, ctx: af.WorkflowContext[int]) -> None:
        await ctx.send_message(message)

    async def end(message: int, ctx: af.WorkflowContext[Never, int]) -> None:
        await ctx.yield_output(message)

    def make() -> af.Workflow:
        executors = [af.FunctionExecutor(pass_on, id=f"step{n}") for n in range(steps - 1)]
        executors.append(af.FunctionExecutor(end, id="end"))
        return af.WorkflowBuilder(start_executor=executors[0], output_from=[executors[-1]]).add_chain(executors).build()

    free: list[af.Workflow] = []

    async def run() -> int:
        with lent(free, make) as workflow:
            await workflow.run(0)
        return steps

    return run


class Collect(af.Executor):
    """Counts what has come until all is there."""

    def __init__(self, items: int) -> None:
        super().__init__(id="collect")
        self._items = items
        self._done: list[int] = []

    @af.handler
    async def take(self, message: int, ctx: af.WorkflowContext[Never, int]) -> None:
        self._done.append(message)
        if len(self._done) == self._items:
            await ctx.yield_output(len(self._done))
            self._done.clear()


def fan(items: int) -> Run:
    """*items* messages to 8 executors in turn, and collected."""
    names = [f"work{n}" for n in range(WORKERS)]

    async def spread(message: int, ctx: af.WorkflowContext[int]) -> None:
        for number in range(message):
            await ctx.send_message(number, target_id=names[number % WORKERS])

    async def work(message: int, ctx: af.WorkflowContext[int]) -> None:
        await ctx.send_message(message)

    def make() -> af.Workflow:
        start, collect = af.FunctionExecutor(spread, id="spread"), Collect(items)
        workers = [af.FunctionExecutor(work, id=name) for name in names]
        builder = af.WorkflowBuilder(start_executor=start, output_from=[collect]).add_fan_out_edges(start, workers)
        for worker in workers:
            builder.add_edge(worker, collect)
        return builder.build()

    free: list[af.Workflow] = []

    async def run() -> int:
        with lent(free, make) as workflow:
            return int((await workflow.run(items)).get_outputs()[0])

    return run


def stream(events: int) -> Run:
    """*events* outputs yielded by an executor to whoever streams the run."""

    async def tell(message: int, ctx: af.WorkflowContext[Never, int]) -> None:
        for number in range(message):
            await ctx.yield_output(number)

    def make() -> af.Workflow:
        start = af.FunctionExecutor(tell, id="tell")
        return af.WorkflowBuilder(start_executor=start, output_from=[start]).build()

    free: list[af.Workflow] = []

    async def run() -> int:
        with lent(free, make) as workflow:
            return sum([event.type == "output" async for event in workflow.run(events, stream=True)])

    return run
