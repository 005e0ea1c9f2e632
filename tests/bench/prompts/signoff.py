"""From nothing to a question, with Signoff. `llama_index.py` holds the same text: only the imports differ."""

import asyncio

from engine import HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step


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
