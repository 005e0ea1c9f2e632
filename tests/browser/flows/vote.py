"""/vote: two of three people must agree, are reminded after an hour, and have two days for it."""

from bot import Choice, CommandReceived, Prompt, literal, slash_command
from engine import HumanResponseEvent, StopEvent, Workflow, step

HOUR_S = 3600.0
ANA, BEN, CHLOE = "U1", "U2", "U3"


@slash_command("/vote", summary="Let two of three people decide", usage="topic")
class Vote(Workflow):
    @step
    async def ask(self, ev: CommandReceived) -> Prompt:
        return Prompt(
            prefix=f"**Vote: {literal(ev.text)}**",
            choices=[Choice("approve"), Choice("reject")],
            approvers=[ANA, BEN, CHLOE],
            quorum=2,
            remind=[HOUR_S],
            timeout=48 * HOUR_S,
        )

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)
