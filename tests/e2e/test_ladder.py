"""What time brings to a question that waits: each rung once, however many processes look."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from bot.playground.workspace import Message
from tests.e2e.conftest import SetStage
from tests.e2e.shapes import Shape
from tests.e2e.stage import ANA, BEN, CHLOE, Room
from tests.messages import buttons, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORKFLOW = f'''
"""Ask, and do not give up at once."""

from bot import Choice, CommandReceived, Escalation, Prompt, slash_command
from engine import HumanResponseEvent, StopEvent, Workflow, step


@slash_command("/deploy", summary="Ship a version", usage="version")
class Deploy(Workflow):
    def __init__(self) -> None:
        super().__init__(timeout=None)

    @step
    async def ask(self, ev: CommandReceived) -> Prompt:
        return Prompt(
            prefix="Ship?",
            choices=[Choice("ship"), Choice("keep back")],
            approvers=["{BEN}"],
            where=["channel", "approvers"],
            remind=[100.0, 200.0],
            escalate=[Escalation(after=300.0, to=["{CHLOE}", "C1"])],
            timeout=400.0,
            on_timeout="keep back",
        )

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=f"{{ev.response}} at last")
'''


@pytest.fixture
def ladder(tmp_path: Path) -> dict[str, str]:
    """Settings under which ``/deploy`` reminds, asks further people and ends by itself."""
    (tmp_path / "deploy.py").write_text(textwrap.dedent(WORKFLOW))
    return {"SIGNOFF_WORKFLOWS": str(tmp_path)}


def below(room: Room, prompt: Message, kind: str) -> list[Message]:
    return [message for message in room.posted(kind) if message.thread_ts == prompt.ts]


async def test_each_rung_fires_once_with_three_processes(
    set_stage: SetStage, shape: Shape, ladder: dict[str, str]
) -> None:
    """Acceptance 19."""
    async with set_stage(shape=replace(shape, workers=3), settings=ladder) as found:
        room = found.room()
        prompt = await room.started(ANA, "/deploy v2")
        dms = {who: Room(found, found.slack.workspace.dm_of(who).id) for who in (BEN, CHLOE)}

        for moved, kind, times in [(101, "remind:", 1), (201, "remind:", 2), (301, "escalate:", 1), (401, "result", 1)]:
            await found.move_clock(moved)
            await room.see(lambda kind=kind, times=times: len(below(room, prompt, kind)) >= times)  # type: ignore[misc]
            await found.idle()

        counted = {kind: len(below(room, prompt, kind)) for kind in ("remind:", "escalate:", "result")}
        copies = {who: [len(dm.posted(kind)) for kind in ("copy:", "remind:")] for who, dm in dms.items()}
        assert counted == {"remind:": 2, "escalate:": 1, "result": 1}
        assert copies == {BEN: [1, 2], CHLOE: [1, 0]}
        assert found.slack.messages(found.slack.workspace.dm_of(ANA).id) == [], "a channel is nobody to be asked alone"
        told = [await room.times(what, prompt) for what in ("reminded", "escalated", "asked too", "expired")]
        assert told == [2, 1, 1, 1]
        for copy in (prompt, *(dm.posted("copy:")[0] for dm in dms.values())):
            assert buttons(copy) == []
            assert "because nobody answered in time" in shown(copy)
        assert below(room, prompt, "result")[0].text == "keep back at last"


async def test_what_was_due_while_everything_was_down_comes_at_the_start_oldest_first(
    set_stage: SetStage, ladder: dict[str, str]
) -> None:
    """Acceptance 19."""
    async with set_stage(settings=ladder) as found:
        rooms = [found.room() for _ in range(3)]
        prompts = [await room.started(ANA, "/deploy v2") for room in rooms]
        await found.kill()
        await found.move_clock(150)

        await found.start()

        for room, prompt in zip(rooms, prompts, strict=True):
            await room.see(lambda room=room, prompt=prompt: below(room, prompt, "remind:"))  # type: ignore[misc]
        await found.idle()
        reminders = [below(room, prompt, "remind:") for room, prompt in zip(rooms, prompts, strict=True)]
        assert [len(one) for one in reminders] == [1, 1, 1]
        lines = [line for room, prompt in zip(rooms, prompts, strict=True) for line in await room.journal(prompt)]
        fired = [line.at for line in lines if line.what == "reminded"]
        assert len(fired) == 3
        assert fired == sorted(fired)


async def test_a_decision_ends_the_ladder(set_stage: SetStage, ladder: dict[str, str]) -> None:
    async with set_stage(settings=ladder) as found:
        room = found.room()
        prompt = await room.started(ANA, "/deploy v2")
        await room.press(BEN, prompt, "Ship")
        await room.result()

        await found.move_clock(500)
        await found.idle()

        assert [message.text for message in room.slack.messages(room.channel)[1:]] == ["ship at last"]
