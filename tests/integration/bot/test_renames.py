"""Authors move files, rename classes and add fields while runs wait: the runs go on."""

from __future__ import annotations

from pathlib import Path

from bot import CommandReceived
from bot.plugins import discover
from engine.runner import Runner, RunView
from tests.integration.engine.stores import StoreWithClock

REVIEW = """
from pydantic import BaseModel

from bot import CommandReceived, slash_command
from engine import Context, Event, HumanResponseEvent, StopEvent, Workflow, step
from engine.core.versions import stored_as


class Draft(Event):
    text: str


class Notes(BaseModel):
    topic: str = ""


@slash_command("/review", summary="Ask")
class Review(Workflow):
    @step
    async def write(self, ctx: Context[Notes], ev: CommandReceived) -> Draft:
        async with ctx.store.edit_state() as notes:
            notes.topic = ev.text
        return Draft(text=ev.text)

    @step
    async def ask(self, ctx: Context[Notes], ev: Draft) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt="Good?")
        notes = await ctx.store.get_state()
        return StopEvent(result=[notes.topic, ev.text, answer.response])
"""


def deployed(world: StoreWithClock, folder: Path, name: str = "review", **changes: str) -> Runner:
    """A process whose one workflow file says what `REVIEW` does, with *changes* made to it."""
    text = REVIEW
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text)
    return Runner(world.store, [plugin.workflow for plugin in discover(folder).values()])


async def begun(world: StoreWithClock, folder: Path) -> RunView:
    """Start a run that waits for an answer."""
    deployed(world, folder)
    workflow = discover(folder)["/review"].workflow
    runner = Runner(world.store)
    event = CommandReceived(text="tea", user_id="U1", channel_id="C1", team_id="T1")
    return await runner.drain(await runner.start(workflow, event))


async def answered(runner: Runner, view: RunView) -> RunView:
    await runner.answer(view.run_id, view.asks[0].id, "yes", user_id="U2")
    return await runner.drain(view.run_id)


async def test_a_run_goes_on_when_its_file_has_another_name_and_place(world: StoreWithClock, tmp_path: Path) -> None:
    view = await begun(world, tmp_path / "before")

    view = await answered(deployed(world, tmp_path / "after", "reviews"), view)

    assert view.result == ["tea", "tea", "yes"]


async def test_nothing_stored_names_a_module_or_a_folder(world: StoreWithClock, tmp_path: Path) -> None:
    view = await begun(world, tmp_path / "before")

    store, run_id = world.store, view.run_id
    parts = [await store.run(run_id), await store.state(run_id), await store.open_asks(run_id)]

    stored = repr([*parts, await store.journal(run_id)])
    assert "_signoff_workflows" not in stored
    assert str(tmp_path) not in stored


async def test_a_run_goes_on_when_its_classes_have_other_names(world: StoreWithClock, tmp_path: Path) -> None:
    view = await begun(world, tmp_path / "before")
    renamed = {
        "class Draft(": '@stored_as("Draft")\nclass Sketch(',
        "class Review(": '@stored_as("Review")\nclass Reviewing(',
        "class Notes(": "class Remarks(",
        "Draft(text": "Sketch(text",
        "ev: Draft": "ev: Sketch",
        "-> Draft": "-> Sketch",
        "[Notes]": "[Remarks]",
    }

    view = await answered(deployed(world, tmp_path / "after", **renamed), view)

    assert view.result == ["tea", "tea", "yes"]


async def test_a_run_goes_on_when_events_and_state_have_a_field_more(world: StoreWithClock, tmp_path: Path) -> None:
    view = await begun(world, tmp_path / "before")
    grown = {
        "    text: str": "    text: str\n    words: int = 7",
        '    topic: str = ""': '    topic: str = ""\n    seen: list[str] = ["nobody"]',
        "[notes.topic, ev.text,": "[notes.seen, ev.words,",
    }

    view = await answered(deployed(world, tmp_path / "after", **grown), view)

    assert view.result == [["nobody"], 7, "yes"]


async def test_a_run_whose_step_was_removed_is_parked_and_goes_on_once_the_step_is_back(
    world: StoreWithClock, tmp_path: Path
) -> None:
    view = await begun(world, tmp_path / "before")
    removed = deployed(world, tmp_path / "removed", **{"async def ask(": "async def inquire("})
    view = await answered(removed, view)
    assert view.status == "parked"
    note = (await world.store.journal(view.run_id))[-1].details["note"]
    assert "the run waits in step 'ask', which" in note
    assert "it has write, inquire" in note

    back = deployed(world, tmp_path / "back")
    await back.reopen(view.run_id, "U9")
    view = await back.drain(view.run_id)

    assert view.result == ["tea", "tea", "yes"]
