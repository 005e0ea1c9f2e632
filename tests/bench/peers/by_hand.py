"""The in-process workloads in hand-written asyncio: the least that a correct program can do."""

from __future__ import annotations

import asyncio

from tests.bench.workloads import WORKERS, Run


def chain(steps: int) -> Run:
    """A task for each of *steps* steps."""

    async def code(event: object) -> object:
        return object()

    async def run() -> int:
        event = object()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(steps):
                event = await tasks.create_task(code(event))
        return steps

    return run


def fan(items: int) -> Run:
    """8 tasks that take *items* numbers out of one queue."""

    async def work(queue: asyncio.Queue[int], done: list[int]) -> None:
        while not queue.empty():
            done.append(queue.get_nowait())

    async def run() -> int:
        queue: asyncio.Queue[int] = asyncio.Queue()
        done: list[int] = []
        for number in range(items):
            queue.put_nowait(number)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WORKERS):
                tasks.create_task(work(queue, done))
        return len(done)

    return run


def stream(events: int) -> Run:
    """*events* numbers through a queue, to a reader that the first one wakes."""

    async def tell(queue: asyncio.Queue[int]) -> None:
        for number in range(events):
            queue.put_nowait(number)

    async def run() -> int:
        queue: asyncio.Queue[int] = asyncio.Queue()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(tell(queue))
            for _ in range(events):
                await queue.get()
        return events

    return run
