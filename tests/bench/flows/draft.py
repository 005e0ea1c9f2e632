"""/bench-draft: 1 KiB of prose is put before a person. What the benchmarks run, in process and in the bot."""

from bot import Choice, CommandReceived, Prompt, slash_command
from engine import Context, HumanResponseEvent, StopEvent, Workflow, step
from tests.bench.prose import DRAFT_BYTES, draft


@slash_command("/bench-draft", summary="Ask about some prose", usage="topic")
class BenchDraft(Workflow):
    """Draft, ask, report."""

    size_bytes = DRAFT_BYTES

    @step
    async def ask(self, ctx: Context, ev: CommandReceived) -> Prompt:
        await ctx.store.set("topic", ev.text)
        return Prompt(
            prefix=draft(ev.text, self.size_bytes), choices=[Choice("approve"), Choice("reject", style="danger")]
        )

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=f"{ev.response}: {await ctx.store.get('topic')}")
