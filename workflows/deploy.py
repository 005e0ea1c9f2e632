"""/deploy: ask a teammate before shipping. Copy this file to make a command of your own."""

from bot import Choice, CommandReceived, Prompt, literal, slash_command
from engine import Context, HumanResponseEvent, StopEvent, Workflow, step


@slash_command("/deploy", summary="Ship a version once somebody approves", usage="version")
class Deploy(Workflow):
    """Ask, wait, report."""

    @step
    async def ask(self, ctx: Context, ev: CommandReceived) -> Prompt:
        await ctx.store.set("version", ev.text)
        return Prompt(prefix=f"Ship {literal(ev.text)}?", choices=[Choice("ship"), Choice("keep back", style="danger")])

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        version = await ctx.store.get("version")
        return StopEvent(result=f"{'Shipped' if ev.response == 'ship' else 'Kept back'} {version}")
