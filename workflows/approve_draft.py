"""/approve-draft: a draft is written, people approve it, reject it, or say what to change."""

from typing import Annotated

from bot import (
    Brief,
    Choice,
    CommandReceived,
    Prompt,
    Writer,
    configured_writer,
    literal,
    shortcut,
    slash_command,
    written,
)
from engine import Context, Event, HumanResponseEvent, Resource, StopEvent, Workflow, step

MAX_REVISIONS = 3
LAST = "\n\nThis is the last version: feedback on it ends the request, and nothing is approved."
END = Choice("end", label="Give feedback and end", asks_comment=True)
TITLE_CHARS = 80
TASK = "Write a draft of three short paragraphs on the topic. If there is an earlier draft, work the feedback into it."


class DraftReady(Event):
    """A version of the draft is there to be judged."""

    topic: str
    text: str
    version: int
    by: str


class ChangesWanted(Event):
    """Somebody said what the next version should do differently."""

    draft: DraftReady
    feedback: str


@shortcut("Send for approval", summary="Ask people to approve what this message says")
@slash_command("/approve-draft", summary="Write a draft and ask people to approve it", usage="topic")
class ApproveDraft(Workflow):
    """Draft, ask, revise on feedback, at most `MAX_REVISIONS` versions."""

    @step
    async def write(
        self,
        ctx: Context,
        ev: CommandReceived | ChangesWanted,
        writer: Annotated[Writer, Resource(configured_writer)],
    ) -> DraftReady | StopEvent:
        if isinstance(ev, CommandReceived):
            await ctx.store.set("requester", ev.user_id)
            if ev.message_ts:
                return DraftReady(topic=title_of(ev.text), text=ev.text, version=1, by="whoever wrote the message")
            topic, version, brief = ev.text, 1, Brief(TASK, {"topic": ev.text}, first_draft(ev.text))
        else:
            topic, version = ev.draft.topic, ev.draft.version + 1
            material = {"topic": topic, "draft": ev.draft.text, "feedback": ev.feedback}
            brief = Brief(TASK, material, revised_draft(ev.draft.text, ev.feedback))
        draft = await written(ctx, writer, brief, requester=await ctx.store.get("requester"))
        if draft is None:
            return StopEvent(result={"status": "stopped", "version": version})
        return DraftReady(topic=topic, text=draft.text, version=version, by=draft.by)

    @step
    async def ask(self, ctx: Context, ev: DraftReady) -> Prompt:
        await ctx.store.set("draft", ev)
        is_last = ev.version == MAX_REVISIONS
        words = END if is_last else Choice("feedback", label="Give feedback", asks_comment=True)
        return Prompt(
            prefix=f"**Version {ev.version} of {MAX_REVISIONS}: {literal(ev.topic)}**\n\n{literal(ev.text)}\n\n"
            f"_Written by {literal(ev.by)}._{LAST if is_last else ''}",
            choices=[Choice("approve"), Choice("reject", asks_comment=True), words],
            takes_text=words.value,
            editable=ev.text,
        )

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> ChangesWanted | StopEvent:
        draft: DraftReady = await ctx.store.get("draft")
        if ev.response == "feedback" and draft.version < MAX_REVISIONS:
            return ChangesWanted(draft=draft, feedback=ev.comment)
        status = {"approve": "approved", "reject": "rejected"}.get(ev.response, "max_revisions")
        text = ev.get("text", draft.text)  # what was approved, perhaps edited first
        return StopEvent(result={"status": status, "version": draft.version, "draft": text})


def title_of(text: str) -> str:
    """The beginning of a message's first line."""
    line = text.strip().partition("\n")[0]
    return line if len(line) <= TITLE_CHARS else f"{line[: TITLE_CHARS - 1]}…"


def first_draft(topic: str) -> str:
    """The draft of the template writer."""
    return (
        f"{topic.strip()}: what this is, why it matters, and what we propose.\n\n"
        f"What this is. So far we have had no common view of {topic.strip()}, and each of us means something else.\n\n"
        "Why it matters. Decisions are made every week that depend on it. Without a shared page they differ.\n\n"
        "What we propose. We write down three rules, try them for a month, and look again."
    )


def revised_draft(text: str, feedback: str) -> str:
    """The template writer's way to work in feedback."""
    return f"{text}\n\nChanged after feedback: “{feedback.strip()}”"
