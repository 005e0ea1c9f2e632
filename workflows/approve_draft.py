"""/approve-draft: a draft is written, people approve it, reject it, or say what to change."""

from bot import Choice, CommandReceived, Prompt, literal, slash_command
from engine import Context, Event, HumanResponseEvent, StopEvent, Workflow, step

MAX_REVISIONS = 3


class DraftReady(Event):
    """A version of the draft is there to be judged."""

    topic: str
    text: str
    version: int


class ChangesWanted(Event):
    """Somebody said what the next version should do differently."""

    draft: DraftReady
    feedback: str


@slash_command("/approve-draft", summary="Write a draft and ask people to approve it", usage="topic")
class ApproveDraft(Workflow):
    """Draft, ask, revise on feedback, at most `MAX_REVISIONS` versions."""

    @step
    async def write(self, ctx: Context, ev: CommandReceived | ChangesWanted) -> DraftReady:
        if isinstance(ev, CommandReceived):
            return DraftReady(topic=ev.text, text=await ctx.once("draft", first_draft, ev.text), version=1)
        text = await ctx.once("draft", revised_draft, ev.draft.text, ev.feedback)
        return DraftReady(topic=ev.draft.topic, text=text, version=ev.draft.version + 1)

    @step
    async def ask(self, ctx: Context, ev: DraftReady) -> Prompt:
        await ctx.store.set("draft", ev)
        return Prompt(
            prefix=f"**Version {ev.version} of {MAX_REVISIONS}: {literal(ev.topic)}**\n\n{literal(ev.text)}",
            choices=[Choice("approve"), Choice("reject"), Choice("feedback", label="Give feedback", asks_comment=True)],
            takes_text="feedback",
        )

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> ChangesWanted | StopEvent:
        draft: DraftReady = await ctx.store.get("draft")
        if ev.response == "feedback" and draft.version < MAX_REVISIONS:
            return ChangesWanted(draft=draft, feedback=ev.comment)
        status = {"approve": "approved", "reject": "rejected", "feedback": "max_revisions"}[ev.response]
        return StopEvent(result={"status": status, "version": draft.version, "draft": draft.text})


def first_draft(topic: str) -> str:
    """Write a draft from a template, for where no language model is set up."""
    return (
        f"{topic.strip()}: what it is, why it matters, and what we propose.\n\n"
        f"What it is. {topic.strip()} concerns all of us, and so far we have had no common view of it.\n\n"
        "Why it matters. Decisions are made every week that depend on it. Without a shared page they differ.\n\n"
        "What we propose. We write down three rules, try them for a month, and look again.\n\n"
        "(Written by the built-in template writer.)"
    )


def revised_draft(text: str, feedback: str) -> str:
    """Work feedback into a draft, as far as a template can."""
    return f"{text}\n\nChanged after feedback: “{feedback.strip()}”"
