"""/ask-people: a question to whoever is named, as ``U2,S1 2 Is it good?``; with ``!`` behind not to who asks it."""

from bot import Choice, CommandReceived, Prompt, slash_command
from engine import HumanResponseEvent, StopEvent, Workflow, step


@slash_command("/ask-people", summary="Ask people", usage="U2,S1 1 question", max_chars=3000)
class AskPeople(Workflow):
    """Ask and report."""

    @step
    async def ask(self, ev: CommandReceived) -> Prompt:
        who, quorum, question = ev.text.split(" ", 2)
        return Prompt(
            prefix=question,
            choices=[Choice("yes"), Choice("no"), Choice("why", label="Say why", asks_comment=True)],
            approvers=who.rstrip("!").split(","),
            quorum=int(quorum),
            four_eyes=who.endswith("!"),
        )

    @step
    async def report(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=f"{ev.response} {ev.comment}".strip())
