"""What steps should not do, a command for each; and drafts of any length."""

import threading
from typing import cast

from bot import CommandReceived, Prompt, literal, slash_command
from engine import Context, HumanResponseEvent, StopEvent, Workflow, step


@slash_command("/raise", summary="Fail in the first step")
class Raise(Workflow):
    @step
    async def only(self, ev: CommandReceived) -> StopEvent:
        raise ValueError(f"{ev.text} is no reason to stop")


@slash_command("/return-nothing-known", summary="Return what is no event")
class ReturnNothingKnown(Workflow):
    @step
    async def only(self, ev: CommandReceived) -> StopEvent:
        return cast("StopEvent", ["no", "event"])


@slash_command("/return-a-lock", summary="Return what cannot be stored")
class ReturnALock(Workflow):
    @step
    async def only(self, ev: CommandReceived) -> StopEvent:
        return StopEvent(result=threading.Lock())


@slash_command("/keep-a-lock", summary="Keep what cannot be stored, and ask")
class KeepALock(Workflow):
    @step
    async def only(self, ctx: Context, ev: CommandReceived) -> Prompt:
        await ctx.store.set("lock", threading.Lock())
        return Prompt(prefix=literal(ev.text), choices=["go on"])

    @step
    async def end(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result="never")


@slash_command("/ask-twice", summary="Wait for two answers in one step")
class AskTwice(Workflow):
    @step
    async def only(self, ctx: Context, ev: CommandReceived) -> StopEvent:
        given = []
        for which in ("first", "second"):
            prompt = Prompt(prefix=f"{literal(ev.text)}, {which}?", choices=["red", "blue"])
            given.append((await ctx.wait_for_event(HumanResponseEvent, waiter_event=prompt)).response)
        return StopEvent(result=" then ".join(given))


@slash_command("/draft-of", summary="Ask about a draft of so many characters")
class DraftOf(Workflow):
    @step
    async def only(self, ev: CommandReceived) -> Prompt:
        words = " ".join(f"word{n}" for n in range(int(ev.text) // 5))
        return Prompt(prefix=words[: int(ev.text)], choices=["approve", "reject"], timeout=3600)

    @step
    async def end(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=f"Answer: {ev.response}")
