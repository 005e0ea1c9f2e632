"""/quick-approve: one question in the middle of a step."""

from bot import CommandReceived, Prompt, literal, slash_command
from engine import Context, HumanResponseEvent, StopEvent, Workflow, step


@slash_command("/quick-approve", summary="Ask one yes-or-no question", usage="topic")
class QuickApprove(Workflow):
    """Ask inline and report; what stands before the wait runs again when the answer comes."""

    @step
    async def ask(self, ctx: Context, ev: CommandReceived) -> StopEvent:
        question = Prompt(prefix=f"Go ahead with {literal(ev.text)}?", choices=["yes", "no"])
        answer = await ctx.wait_for_event(HumanResponseEvent, waiter_event=question)
        return StopEvent(result={"approved": answer.response == "yes", "topic": ev.text})
