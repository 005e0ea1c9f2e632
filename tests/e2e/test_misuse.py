"""Workflows, times and states that should not be: the person is told, the run has an end, and nothing else stops."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest

from bot.languages import ENGLISH
from tests.e2e.conftest import SetStage
from tests.e2e.stage import ANA, BEN, PLUGINS, Room, Stage
from tests.messages import buttons, run_of, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def room(plugins_stage: Stage) -> Iterator[Room]:
    yield plugins_stage.room()
    plugins_stage.check()


# --- steps -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["/raise", "/return-nothing-known", "/return-a-lock", "/keep-a-lock"])
async def test_a_step_that_does_what_it_may_not_ends_its_run_and_people_are_told(room: Room, command: str) -> None:
    """Adversarial 40, 43."""
    result = await room.command(ANA, f"{command} lunch")

    said = await room.result()
    await room.stage.idle()
    assert result.ok
    assert ENGLISH.failed in shown(said)
    assert room.posted("prompt:") == []
    (run,) = [run for run in await room.stage.store.runs(requester=ANA) if run.address == room.channel]
    assert run.status == "failed"


async def test_a_step_that_pauses_twice_asks_twice_and_goes_on_once(room: Room) -> None:
    """Adversarial 42."""
    first = await room.started(ANA, "/ask-twice lunch")
    on_screen = copy.deepcopy(first)
    await room.press(BEN, first, "Red")
    second = await room.prompt(2)
    await room.stage.idle()
    await room.press(BEN, first, "Blue", as_seen=on_screen)

    await room.press(BEN, second, "Blue")

    assert (await room.result()).text == "red then blue"
    await room.stage.idle()
    assert len(room.posted("prompt:")) == 2
    assert await room.times("answered", first) == 2


# --- drafts of any length ----------------------------------------------------------------------------


@pytest.mark.parametrize("long", [2_900, 12_500, 40_000, 200_000])
async def test_a_draft_is_shown_whole_however_long_it_is(room: Room, long: int) -> None:
    """Acceptance 6."""
    prompt = await room.started(ANA, f"/draft-of {long}")

    files = [file.content.decode() for file in room.slack.workspace.files.values() if room.channel in file.shared]
    whole = " ".join(f"word{n}" for n in range(long))[:long].split()
    assert set(whole) <= set(" ".join([shown(prompt), *files]).split())
    assert buttons(prompt) == ["Approve", "Reject"]
    errors = [call.response["error"] for call in room.slack.log.calls("chat.postMessage") if not call.response["ok"]]
    assert errors == []


# --- buttons of what is over ---------------------------------------------------------------------------


async def test_a_click_on_a_cancelled_run_is_told_so(shared_stage: Stage) -> None:
    """Adversarial 12."""
    room = shared_stage.room()
    prompt = await room.started(ANA, "/deploy v2")
    on_screen = copy.deepcopy(prompt)
    await room.stage.store.cancel(run_of(prompt), by=ANA)

    await room.press(BEN, prompt, "Ship", as_seen=on_screen)

    await room.told(BEN, f"<@{ANA}> cancelled this request")
    await room.stage.idle()
    assert await room.times("answered", prompt) == 0


async def test_a_click_after_the_deadline_is_told_so(set_stage: SetStage) -> None:
    """Adversarial 13."""
    async with set_stage(settings={"SIGNOFF_WORKFLOWS": str(PLUGINS)}) as found:
        room = found.room()
        prompt = await room.started(ANA, "/draft-of 100")
        on_screen = copy.deepcopy(prompt)
        await found.move_clock(3601)

        await room.press(BEN, prompt, "Approve", as_seen=on_screen)

        await room.told(BEN, "This question expired")
        assert "*Expired* without an answer" in await room.locked(prompt)
        assert await room.times("answered", prompt) == 0


# --- what Redis holds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [b"\xff\xfe no state", b'{"v":99}'], ids=["corrupt", "of another version"])
async def test_a_run_whose_state_cannot_be_read_is_put_on_hold_and_people_are_told(
    set_stage: SetStage, damage: bytes
) -> None:
    """Adversarial 37."""
    async with set_stage(settings={"SIGNOFF_PATIENCE_S": "0"}) as found:
        room = found.room()
        prompt = await room.started(ANA, "/deploy v2")
        state = found.keys.at(run_of(prompt), "state")
        (fields,) = await found.ask_redis(("HKEYS", state))
        await found.ask_redis(*[("HSET", state, field, damage) for field in fields])

        clicked = await room.press(BEN, prompt, "Ship")

        assert clicked.ok
        await room.told(BEN, "Thank you")
        await room.see(lambda: any(ENGLISH.parked in shown(message) for message in room.slack.messages(room.channel)))
