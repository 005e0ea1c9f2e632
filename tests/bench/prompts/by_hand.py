"""From nothing to a question, with asyncio and pydantic alone: the least that a framework on the two can take."""

import asyncio

from pydantic import BaseModel


class Question(BaseModel):
    prefix: str


async def ask(topic: str, questions: asyncio.Queue[Question]) -> None:
    await questions.put(Question(prefix=f"Ship {topic}?"))


async def main() -> None:
    questions: asyncio.Queue[Question] = asyncio.Queue()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ask("v2", questions))
        print((await questions.get()).prefix, flush=True)


asyncio.run(main())
