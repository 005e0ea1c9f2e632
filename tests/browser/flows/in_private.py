"""/in-private: each of two people is asked in a conversation of their own."""

from bot import Choice, CommandReceived, Prompt, literal, slash_command
from engine import HumanResponseEvent, StopEvent, Workflow, step

BEN, CHLOE = "U2", "U3"


@slash_command("/in-private", summary="Ask two people in private", usage="topic")
class InPrivate(Workflow):
    @step
    async def ask(self, ev: CommandReceived) -> Prompt:
        return Prompt(
            prefix=f"**Between us: {literal(ev.text)}**",
            choices=[Choice("approve"), Choice("reject")],
            approvers=[BEN, CHLOE],
            where="approvers",
        )

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)
