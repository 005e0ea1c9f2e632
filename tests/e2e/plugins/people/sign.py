"""/sign: a question whose text says who may answer it, as ``U2 S1 2 four-eyes guests hand-on``."""

from bot import Choice, CommandReceived, Prompt, slash_command
from engine import HumanResponseEvent, StopEvent, Workflow, step

CHOICES = [Choice("approve"), Choice("reject"), Choice("note", "Approve with a note", asks_comment=True)]


@slash_command("/sign", summary="Ask those who are named", usage="who and how")
class Sign(Workflow):
    @step
    async def ask(self, ev: CommandReceived) -> Prompt:
        words = ev.text.split()
        return Prompt(
            prefix="Sign it?",
            choices=CHOICES,
            approvers=[word for word in words if word[0] in "UCS<"],
            quorum=next((int(word) for word in words if word.isdigit()), 1),
            four_eyes="four-eyes" in words,
            guests="guests" in words,
            hand_on="hand-on" in words or None,
        )

    @step
    async def end(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=f"{ev.response} by {ev.user_id}")
