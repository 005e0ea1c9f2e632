"""Bots that are killed or stopped at the worst moment, and started again: nothing is lost and nothing happens twice."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from tests.e2e import requests
from tests.e2e.conftest import SetStage
from tests.e2e.process import until
from tests.e2e.shapes import everywhere
from tests.e2e.stage import ANA, BEN, Room, Stage
from tests.messages import buttons, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")
EFFECT_LEASE_S = 31
"""A little more than a sender that died keeps others from sending."""
HANGING = """
import asyncio
import time
from pathlib import Path

from bot import CommandReceived, slash_command
from engine import StopEvent, Workflow, step


@slash_command("/hang", summary="Never end", required=False)
class Hang(Workflow):
    @step
    async def only(self, ev: CommandReceived) -> StopEvent:
        Path(__file__).with_name("begun").touch()
        await asyncio.Event().wait()
        return StopEvent(result=None)
"""
HANGING_THREAD = HANGING.replace("async def only", "def only").replace(
    "await asyncio.Event().wait()", "time.sleep(600)"
)


async def in_flight(room: Room) -> None:
    """Wait until Slack has received the call that a fault was planted for."""
    await room.see(lambda: not room.slack.faults.calls)


async def test_a_bot_killed_between_question_and_click_goes_on_after_its_restart(own_stage: Stage) -> None:
    """Acceptance 23."""
    room = own_stage.room()
    prompt = await room.started(ANA, "/approve-draft AI safety")

    await own_stage.kill()
    failed = await room.press(BEN, prompt, "Approve")
    await own_stage.start()
    await room.press(BEN, prompt, "Approve")

    assert failed.shown is not None  # Slack tells the person itself that nobody was there
    assert "Status: approved" in (await room.result()).text
    assert f"*Approved* by <@{BEN}>" in await room.locked(prompt)


async def test_replies_after_a_restart_find_their_run(own_stage: Stage) -> None:
    """Acceptance 23."""
    room = own_stage.room()
    first = await room.started(ANA, "/approve-draft AI safety")
    await own_stage.kill()
    await own_stage.start()

    await room.reply(BEN, first, "Shorter, please")

    assert "Shorter, please" in shown(await room.prompt(2))


@everywhere
async def test_a_reply_while_the_bot_is_down_is_taken_when_slack_sends_it_again(own_stage: Stage) -> None:
    room = own_stage.room()
    first = await room.started(ANA, "/approve-draft AI safety")
    await own_stage.kill()
    await room.reply(BEN, first, "Shorter, please")
    await room.slack.settled()

    await own_stage.start()
    await room.slack.advance(61)

    assert "Shorter, please" in shown(await room.prompt(2))


async def test_a_bot_killed_right_after_it_took_a_command_asks_once(own_stage: Stage) -> None:
    room = own_stage.room()

    result = await room.command(ANA, "/deploy v2")
    await own_stage.kill()
    await own_stage.move_clock(EFFECT_LEASE_S)
    await own_stage.start()

    prompt = await room.prompt()
    await own_stage.idle()
    assert result.ok
    assert len(room.posted("prompt:")) == 1
    await room.press(BEN, prompt, "Ship")
    assert (await room.result()).text == "Shipped v2"


async def test_a_bot_killed_before_slack_has_posted_its_question_asks_once(own_stage: Stage) -> None:
    room = own_stage.room()
    room.slack.faults.fail("chat.postMessage", "slow", seconds=0.3)  # Slack posts it all the same, a little later

    await room.command(ANA, "/deploy v2")
    await in_flight(room)
    await own_stage.kill()
    await own_stage.move_clock(EFFECT_LEASE_S)
    await room.prompt()
    await own_stage.start()

    await own_stage.idle()
    (prompt,) = room.posted("prompt:")
    await room.press(BEN, prompt, "Ship")
    assert (await room.result()).text == "Shipped v2"


async def test_a_bot_killed_while_slack_refuses_its_question_asks_once(own_stage: Stage) -> None:
    room = own_stage.room()
    room.slack.faults.fail("chat.postMessage", "server_error")

    await room.command(ANA, "/deploy v2")
    await in_flight(room)
    await own_stage.kill()
    await own_stage.move_clock(EFFECT_LEASE_S)
    await own_stage.start()

    await room.prompt()
    await own_stage.idle()
    assert len(room.slack.messages(room.channel)) == 1


async def test_a_bot_killed_right_after_a_click_tells_its_result_once(own_stage: Stage) -> None:
    room = own_stage.room()
    prompt = await room.started(ANA, "/deploy v2")
    room.slack.faults.fail("chat.postMessage", "slow", seconds=0.3)

    await room.press(BEN, prompt, "Ship")
    await in_flight(room)
    await own_stage.kill()
    await own_stage.move_clock(EFFECT_LEASE_S)
    await room.result()
    await own_stage.start()

    await own_stage.idle()
    assert [message.text for message in room.posted("result")] == ["Shipped v2"]
    assert buttons(prompt) == []
    assert await room.times("answered", prompt) == 1


async def test_sigterm_ends_the_bot_with_code_0_and_a_restart_goes_on(own_stage: Stage) -> None:
    """Acceptance 24."""
    room = own_stage.room()
    prompt = await room.started(ANA, "/deploy v2")

    codes = await own_stage.terminate()
    await own_stage.start()
    await room.press(BEN, prompt, "Ship")

    assert codes == {0}
    assert (await room.result()).text == "Shipped v2"


async def test_sigterm_in_the_middle_of_a_call_to_slack_leaves_one_question(own_stage: Stage) -> None:
    """Acceptance 24."""
    room = own_stage.room()
    room.slack.faults.fail("chat.postMessage", "slow", seconds=0.3)
    await room.command(ANA, "/deploy v2")
    await in_flight(room)

    codes = await own_stage.terminate()
    await own_stage.move_clock(EFFECT_LEASE_S)
    await own_stage.start()

    await own_stage.idle()
    assert codes == {0}
    assert len(room.posted("prompt:")) == 1


@pytest.mark.parametrize("code", [HANGING, HANGING_THREAD], ids=["task", "thread"])
async def test_sigterm_does_not_wait_for_a_step_that_hangs(set_stage: SetStage, tmp_path: Path, code: str) -> None:
    """Acceptance 24; Adversarial 41."""
    (tmp_path / "hang.py").write_text(code)
    async with set_stage(settings={"SIGNOFF_WORKFLOWS": str(tmp_path), "SIGNOFF_DRAIN_S": "0.1"}) as found:
        room = found.room()
        await room.slack.run_command(requests.command(room, "/hang"))
        await until(lambda: _exists(tmp_path / "begun"))

        codes = await found.terminate()

    assert codes == {0}


async def _exists(path: Path) -> bool:
    return path.exists()


async def test_a_second_bot_takes_over_what_a_killed_one_has_begun(own_stage: Stage) -> None:
    """Same as a restart, but the other process is there already and shares nothing but Redis."""
    room = own_stage.room()
    prompt = await room.started(ANA, "/approve-draft AI safety")
    on_screen = copy.deepcopy(prompt)
    await room.press(BEN, prompt, "Approve")
    await own_stage.kill()
    await own_stage.move_clock(EFFECT_LEASE_S)

    await own_stage.start()
    await room.result()
    await own_stage.idle()
    late = await room.press(ANA, prompt, "Reject", as_seen=on_screen)

    assert late.ok
    await room.told(ANA, f"already approved by <@{BEN}>")
    assert len(room.posted("result")) == 1
