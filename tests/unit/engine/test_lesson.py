"""The workflows of the human-in-the-loop lesson, in the same shapes, each with a scripted person."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from engine import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from engine.handler import WorkflowHandler


class Written(Event):
    draft: str


class ApprovalWorkflow(Workflow):
    """A draft, one question, one answer."""

    @step
    async def write(self, ctx: Context, ev: StartEvent) -> Written:
        return Written(draft=f"About {ev.topic}")

    @step
    async def ask(self, ctx: Context, ev: Written) -> InputRequiredEvent:
        await ctx.store.set("draft", ev.draft)
        return InputRequiredEvent(prefix=f"{ev.draft}\nGood? (yes/no): ")

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent:
        draft = await ctx.store.get("draft")
        if ev.response.lower() == "yes":
            return StopEvent(result={"status": "approved", "content": draft})
        else:
            return StopEvent(result={"status": "rejected", "content": None})


class Version(Event):
    content: str
    version: int


class ChangesWanted(Event):
    content: str
    version: int


class IterativeReviewWorkflow(Workflow):
    """A draft that is revised on feedback, within limits."""

    max_revisions = 3

    @step
    async def write(self, ctx: Context, ev: StartEvent | ChangesWanted) -> Version:
        if isinstance(ev, StartEvent):
            return Version(content=f"On {ev.topic}", version=1)
        return Version(content=f"{ev.content}, again", version=ev.version + 1)

    @step
    async def ask(self, ctx: Context, ev: Version) -> InputRequiredEvent:
        await ctx.store.set("content", ev.content)
        await ctx.store.set("version", ev.version)
        return InputRequiredEvent(prefix=f"v{ev.version}: {ev.content}? ")

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent | ChangesWanted:
        content, version = await ctx.store.get("content"), await ctx.store.get("version")
        answer = ev.response.lower().strip()
        if answer == "approve":
            return StopEvent(result=("approved", content, version))
        if version >= self.max_revisions:
            return StopEvent(result=("max_revisions_reached", content, version))
        return ChangesWanted(content=content, version=version)


class SimpleApprovalWorkflow(Workflow):
    """The same as the first, in one step that waits."""

    @step
    async def process(self, ctx: Context, ev: StartEvent) -> StopEvent:
        content = f"Made for {ev.topic}"
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt=f"{content}? ")
        if answer.response.lower() == "yes":
            return StopEvent(result={"approved": True, "content": content})
        else:
            return StopEvent(result={"approved": False})


class Scribe:
    """Stands where a language model would: an object with an async method that answers in text."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def acomplete(self, prompt: str) -> str:
        self.asked.append(prompt)
        return f"[{prompt}]"


class Document(Event):
    content: str


class DocumentApprovalWorkflow(Workflow):
    """Two stages of review; the first may send the document back."""

    llm = Scribe()

    @step
    async def write(self, ctx: Context, ev: StartEvent) -> Document:
        return Document(content=str(await self.llm.acomplete(f"write: {ev.topic}")))

    @step
    async def review(self, ctx: Context, ev: Document) -> InputRequiredEvent:
        await ctx.store.set("document", ev.content)
        await ctx.store.set("stage", "content")
        return InputRequiredEvent(prefix=f"CONTENT {ev.content} ")

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> InputRequiredEvent | Document | StopEvent:
        document, stage = await ctx.store.get("document"), await ctx.store.get("stage")
        answer = ev.response.lower().strip()
        if answer == "reject":
            return StopEvent(result={"status": "rejected", "stage": stage})
        if stage == "content":
            if answer != "approve":
                return Document(content=f"revised {document}")
            await ctx.store.set("stage", "final")
            return InputRequiredEvent(prefix=f"FINAL {document} ")
        if answer == "approve":
            return StopEvent(result={"status": "approved", "document": document})
        return StopEvent(result={"status": "rejected", "stage": "final"})


class Code(Event):
    code: str
    version: int


class Revise(Event):
    feedback: str
    code: str
    version: int


class CodeReviewWorkflow(Workflow):
    """The exercise: code is written, approved, rejected or revised up to three times."""

    max_revisions = 3

    @step
    async def write(self, ctx: Context, ev: StartEvent | Revise) -> Code:
        if isinstance(ev, StartEvent):
            code, version = f"def {ev.task}(): ...", 1
        else:
            code, version = f"# {ev.feedback}\n{ev.code}", ev.version + 1
        await ctx.store.set("code", code)
        await ctx.store.set("version", version)
        return Code(code=code, version=version)

    @step
    async def ask(self, ctx: Context, ev: Code) -> InputRequiredEvent:
        return InputRequiredEvent(prefix=f"=== {ev.version} ===\n{ev.code}\n")

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> StopEvent | Revise:
        code, version = await ctx.store.get("code"), await ctx.store.get("version")
        answer = ev.response.strip()
        if answer.lower() == "approve":
            return StopEvent(result={"status": "approved", "code": code, "version": version})
        if answer.lower() == "reject":
            return StopEvent(result={"status": "rejected", "version": version})
        if version >= self.max_revisions:
            return StopEvent(result={"status": "max_revisions", "version": version})
        return Revise(feedback=answer, code=code, version=version)


async def talk(handler: WorkflowHandler, answers: Iterable[str]) -> list[str]:
    """Answer each question with the next of *answers*; return what was asked."""
    asked, left = [], iter(answers)
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            asked.append(event.prefix)
            handler.ctx.send_event(HumanResponseEvent(response=next(left)))
    return asked


# --- The pattern ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ("Yes", {"status": "approved", "content": "About birds"}),
        ("no", {"status": "rejected", "content": None}),
    ],
)
async def test_a_draft_is_approved_or_rejected(answer: str, result: dict[str, Any]) -> None:
    """Behaviour 1, 2."""
    handler = ApprovalWorkflow(timeout=300).run(topic="birds")

    assert await talk(handler, [answer]) == ["About birds\nGood? (yes/no): "]
    assert await handler == result


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        (["approve"], ("approved", "On birds", 1)),
        (["revise", " Approve "], ("approved", "On birds, again", 2)),
        (["revise", "more birds", "still more"], ("max_revisions_reached", "On birds, again, again", 3)),
    ],
)
async def test_a_draft_is_revised_until_it_is_good_enough(answers: list[str], result: tuple[str, str, int]) -> None:
    """Behaviour 5."""
    handler = IterativeReviewWorkflow().run(topic="birds")

    asked = await talk(handler, answers)

    assert [prefix[:3] for prefix in asked] == [f"v{n}:" for n in range(1, len(answers) + 1)]
    assert await handler == result


@pytest.mark.parametrize(
    ("answer", "result"),
    [("yes", {"approved": True, "content": "Made for birds"}), ("never", {"approved": False})],
)
async def test_a_step_can_ask_inline(answer: str, result: dict[str, Any]) -> None:
    """Behaviour 6, 7."""
    handler = SimpleApprovalWorkflow().run(topic="birds")

    assert await talk(handler, [answer]) == ["Made for birds? "]
    assert await handler == result


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        (["approve", "approve"], {"status": "approved", "document": "[write: birds]"}),
        (["shorter", "approve", "approve"], {"status": "approved", "document": "revised [write: birds]"}),
        (["reject"], {"status": "rejected", "stage": "content"}),
        (["approve", "reject"], {"status": "rejected", "stage": "final"}),
        (["approve", "hm"], {"status": "rejected", "stage": "final"}),
    ],
)
async def test_a_document_passes_two_stages(answers: list[str], result: dict[str, str]) -> None:
    """Behaviour 5."""
    flow = DocumentApprovalWorkflow(timeout=300)
    flow.llm = Scribe()
    handler = flow.run(topic="birds")

    asked = await talk(handler, answers)

    assert len(asked) == len(answers)
    assert await handler == result
    assert flow.llm.asked == ["write: birds"]


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        (["approve"], {"status": "approved", "code": "def greet(): ...", "version": 1}),
        (["types", "approve"], {"status": "approved", "code": "# types\ndef greet(): ...", "version": 2}),
        (["REJECT"], {"status": "rejected", "version": 1}),
        (["a", "b", "c"], {"status": "max_revisions", "version": 3}),
    ],
)
async def test_code_is_reviewed_up_to_three_times(answers: list[str], result: dict[str, Any]) -> None:
    """Behaviour 5."""
    handler = CodeReviewWorkflow(timeout=300).run(task="greet")

    asked = await talk(handler, answers)

    assert [prefix.split()[1] for prefix in asked] == [str(n) for n in range(1, len(answers) + 1)]
    assert await handler == result


# --- Days in between ------------------------------------------------------------------------------


async def begin_and_leave(path: Path) -> None:
    """Start a run, save it when it asks, and leave: nothing of it stays but the file."""
    workflow = ApprovalWorkflow(timeout=86_400)
    ctx = Context[Any](workflow)
    handler = workflow.run(ctx=ctx, topic="birds")
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            path.write_text(json.dumps({"context": ctx.to_dict(), "prompt": event.prefix}))
            return


async def come_back(path: Path, answer: str) -> Any:
    """Restore the run, answer before it is taken up, and see it to its end."""
    workflow = ApprovalWorkflow(timeout=86_400)
    saved = json.loads(path.read_text())
    assert saved["prompt"] == "About birds\nGood? (yes/no): "
    ctx = Context[Any].from_dict(workflow, saved["context"])
    ctx.send_event(HumanResponseEvent(response=answer))
    return await workflow.run(ctx=ctx)


async def test_a_run_is_saved_and_answered_another_day(tmp_path: Path) -> None:
    """Behaviour 35, 36."""
    await begin_and_leave(tmp_path / "state.json")

    result = await come_back(tmp_path / "state.json", "yes")

    assert result == {"status": "approved", "content": "About birds"}


@pytest.mark.parametrize("workflow", [ApprovalWorkflow, SimpleApprovalWorkflow])
async def test_a_restored_run_is_answered_while_it_runs_just_as_well(workflow: type[Workflow]) -> None:
    """Behaviour 35, 36."""
    first, second = workflow(), workflow()
    handler = first.run(topic="birds")
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            break
    saved = json.dumps(handler.ctx.to_dict())
    handler.ctx.send_event(HumanResponseEvent(response="yes"))

    ctx = Context[Any].from_dict(second, json.loads(saved))
    again = second.run(ctx=ctx)
    ctx.send_event(HumanResponseEvent(response="yes"))

    assert await again == await handler


# --- On the web --------------------------------------------------------------------------------------


class Site:
    """Two routes of a web application: each call streams until the next question, or the end."""

    def __init__(self) -> None:
        self.active: dict[str, dict[str, Any]] = {}

    async def start(self, workflow: Workflow, topic: str) -> dict[str, Any]:
        ctx = Context[Any](workflow)
        handler = workflow.run(ctx=ctx, topic=topic)
        self.active[handler.run_id] = {"handler": handler, "ctx": ctx}
        async for event in handler.stream_events():
            if isinstance(event, InputRequiredEvent):
                return {"workflow_id": handler.run_id, "prompt": event.prefix}
        return {"workflow_id": handler.run_id, "complete": True}

    async def respond(self, workflow_id: str, response: str) -> dict[str, Any]:
        data = self.active[workflow_id]
        data["ctx"].send_event(HumanResponseEvent(response=response))
        async for event in data["handler"].stream_events():
            if isinstance(event, InputRequiredEvent):
                return {"prompt": event.prefix}
        result = await data["handler"]
        del self.active[workflow_id]
        return {"complete": True, "result": result}


async def test_a_web_application_streams_again_after_each_answer() -> None:
    """Behaviour 23."""
    site = Site()
    started = await site.start(IterativeReviewWorkflow(), "birds")

    second = await site.respond(started["workflow_id"], "more")
    third = await site.respond(started["workflow_id"], "approve")

    assert started["prompt"] == "v1: On birds? "
    assert second == {"prompt": "v2: On birds, again? "}
    assert third == {"complete": True, "result": ("approved", "On birds, again", 2)}
    assert site.active == {}


async def test_a_web_application_keeps_its_visitors_apart() -> None:
    """Behaviour 24."""
    site, flow = Site(), ApprovalWorkflow(timeout=3_600)
    one, two = await site.start(flow, "birds"), await site.start(flow, "bees")

    second = await site.respond(two["workflow_id"], "yes")
    first = await site.respond(one["workflow_id"], "no")

    assert second["result"] == {"status": "approved", "content": "About bees"}
    assert first["result"] == {"status": "rejected", "content": None}
