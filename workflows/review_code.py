"""/review-code: code is written from a description, and somebody approves, rejects or has it revised."""

from typing import Annotated

from bot import Brief, Choice, CommandReceived, Prompt, Writer, configured_writer, literal, slash_command, written
from engine import Context, Event, HumanResponseEvent, Resource, StopEvent, Workflow, step

MAX_REVISIONS = 3
LAST = "\n\nThis is the last version: feedback on it ends the request, and nothing is approved."
END = Choice("end", label="Give feedback and end", asks_comment=True)
TASK = "Write a short Python function for the description. If there is code, revise it by the feedback."


class RevisionWanted(Event):
    """Somebody said what the next version should do differently."""

    description: str
    code: str
    version: int
    feedback: str


class CodeReady(Event):
    """A version of the code is there to be judged."""

    description: str
    code: str
    version: int
    by: str


@slash_command("/review-code", summary="Write code from a description and have it reviewed", usage="description")
class ReviewCode(Workflow):
    """Write, ask, revise on feedback, at most `MAX_REVISIONS` versions."""

    @step
    async def write(
        self,
        ctx: Context,
        ev: CommandReceived | RevisionWanted,
        writer: Annotated[Writer, Resource(configured_writer)],
    ) -> CodeReady | StopEvent:
        if isinstance(ev, CommandReceived):
            await ctx.store.set("requester", ev.user_id)
            description, version = ev.text, 1
            brief = Brief(TASK, {"description": description}, first_code(description))
        else:
            description, version = ev.description, ev.version + 1
            material = {"description": description, "code": ev.code, "feedback": ev.feedback}
            brief = Brief(TASK, material, revised_code(ev.code, ev.feedback))
        code = await written(ctx, writer, brief, requester=await ctx.store.get("requester"))
        if code is None:
            return StopEvent(result={"status": "stopped", "version": version})
        return CodeReady(description=description, code=unfenced(code.text), version=version, by=code.by)

    @step
    async def ask(self, ctx: Context, ev: CodeReady) -> Prompt:
        await ctx.store.set("code", ev)
        is_last = ev.version == MAX_REVISIONS
        words = END if is_last else Choice("revise", asks_comment=True)
        return Prompt(
            prefix=f"**Code review, version {ev.version} of {MAX_REVISIONS}**\n\n{fenced(ev.code)}\n\n"
            f"_Written by {literal(ev.by)}._{LAST if is_last else ''}",
            choices=[Choice("approve"), Choice("reject", asks_comment=True), words],
            takes_text=words.value,
        )

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> RevisionWanted | StopEvent:
        shown: CodeReady = await ctx.store.get("code")
        if ev.response == "revise" and shown.version < MAX_REVISIONS:
            return RevisionWanted(
                description=shown.description, code=shown.code, version=shown.version, feedback=ev.comment
            )
        status = {"approve": "approved", "reject": "rejected"}.get(ev.response, "max_revisions")
        return StopEvent(result={"status": status, "version": shown.version, "code": shown.code})


def first_code(description: str) -> str:
    """The code of the template writer."""
    told = " ".join(description.split()).replace("\\", "\\\\").replace('"""', "'''")
    return f'def process(data):\n    """{told.rstrip(chr(34))}"""\n    return data'


def revised_code(code: str, feedback: str) -> str:
    """The template writer's way to work in feedback."""
    return f"# Revised: {' '.join(feedback.split())}\n{code}"


def fenced(code: str) -> str:
    """Return *code* as a Markdown block that nothing in it can close."""
    ticks = "```"
    while ticks in code:
        ticks += "`"
    return f"{ticks}python\n{code}\n{ticks}"


def unfenced(text: str) -> str:
    """Return what a model wrote without the fence that models like to put around code."""
    lines = text.strip().splitlines()
    if len(lines) > 2 and lines[0].startswith("```") and lines[-1].strip() == "```":
        return "\n".join(lines[1:-1])
    return text
