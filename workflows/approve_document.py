"""/approve-document: two stages, first whether the content is right, then whether it may go out."""

from typing import Annotated

from bot import Brief, Choice, CommandReceived, Prompt, Writer, configured_writer, literal, slash_command, written
from engine import Context, Event, HumanResponseEvent, Resource, StopEvent, Workflow, step

CONTENT, FINAL = "content", "final"
TASK = "Write a document of about one page on the topic. If there is an earlier version, work the comment into it."


class ContentWanted(Event):
    """The document is to be written anew, since somebody wants it otherwise."""

    topic: str
    text: str
    comment: str


class DocumentReady(Event):
    """A document is there to be judged."""

    topic: str
    text: str
    by: str


@slash_command("/approve-document", summary="Write a document, review its content, then release it", usage="topic")
class ApproveDocument(Workflow):
    """Write, review the content until it is right, then ask for the final word."""

    @step
    async def write(
        self,
        ctx: Context,
        ev: CommandReceived | ContentWanted,
        writer: Annotated[Writer, Resource(configured_writer)],
    ) -> DocumentReady | StopEvent:
        if isinstance(ev, CommandReceived):
            await ctx.store.set("requester", ev.user_id)
            topic, brief = ev.text, Brief(TASK, {"topic": ev.text}, first_text(ev.text))
        else:
            material = {"topic": ev.topic, "version": ev.text, "comment": ev.comment}
            topic, brief = ev.topic, Brief(TASK, material, revised_text(ev.text, ev.comment))
        document = await written(ctx, writer, brief, requester=await ctx.store.get("requester"))
        if document is None:
            return StopEvent(result={"status": "stopped"})
        return DocumentReady(topic=topic, text=document.text, by=document.by)

    @step
    async def review(self, ctx: Context, ev: DocumentReady) -> Prompt:
        await ctx.store.set("document", ev)
        await ctx.store.set("stage", CONTENT)
        return Prompt(
            prefix=f"**Content review: {literal(ev.topic)}**\n\n{literal(ev.text)}\n\n"
            f"_Written by {literal(ev.by)}._\n\nIs the content right?",
            choices=[
                Choice("approve"),
                Choice("revise", asks_comment=True),
                Choice("reject", asks_comment=True),
            ],
            takes_text="revise",
        )

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> Prompt | ContentWanted | StopEvent:
        document: DocumentReady = await ctx.store.get("document")
        stage: str = await ctx.store.get("stage")
        if ev.response == "reject":
            return StopEvent(result={"status": "rejected", "stage": stage})
        if stage == FINAL:
            return StopEvent(result={"status": "approved", "document": document.text})
        if ev.response == "revise":
            return ContentWanted(topic=document.topic, text=document.text, comment=ev.comment)
        await ctx.store.set("stage", FINAL)
        return Prompt(
            prefix=f"**Final approval: {literal(document.topic)}**\n\n{literal(document.text)}\n\nMay it go out?",
            choices=[Choice("approve"), Choice("reject", asks_comment=True)],
        )


def first_text(topic: str) -> str:
    """The document of the template writer."""
    topic = topic.strip()
    return (
        f"{topic}\n\nPurpose. This document says what we mean by {topic}, and what follows from it.\n\n"
        "Principles. We say what we do, we do what we say, and we correct it where others can see.\n\n"
        "Scope. It holds for everybody here from the day it is released until the next version."
    )


def revised_text(text: str, comment: str) -> str:
    """The template writer's way to work in a comment."""
    return f"{text}\n\nRevised: “{comment.strip()}”"
