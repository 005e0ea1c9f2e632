"""From nothing to a question, with LlamaIndex Workflows. `signoff.py` holds the same text: only the imports differ."""

import asyncio

from workflows import Workflow, step  # noqa: TID251  # the peer, not our folder
from workflows.events import HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent  # noqa: TID251


class Ship(Workflow):
    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(prefix=f"Ship {ev.topic}?")

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)


async def main() -> None:
    handler = Ship().run(topic="v2")
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            print(event.prefix, flush=True)
            break
    await handler.cancel_run()


asyncio.run(main())
