"""What a form asks for in a modal reaches the workflow typed and whole, or nothing does and the person sees why."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bot.playground import DeliveryResult
from bot.playground.workspace import Message, View
from tests.e2e import requests
from tests.e2e.conftest import SetStage
from tests.e2e.stage import ANA, BEN, CHLOE, PLUGINS, Logs, Room, Stage
from tests.messages import buttons, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")

TRIP: dict[str, Any] = {
    "form.where": "Rome",
    "form.start": "2027-03-01",
    "form.nights": "3",
    "form.extras": ["bike", "breakfast"],
    "form.refundable": [],
    "form.companion": CHLOE,
}


@pytest.fixture
def room(plugins_stage: Stage) -> Iterator[Room]:
    yield plugins_stage.room()
    plugins_stage.check()


async def opened(room: Room, user: str = BEN) -> tuple[Message, View]:
    prompt = await room.started(ANA, "/book-trip fair")
    return prompt, await room.open_form(user, prompt, "Fill in")


async def sent(room: Room, view: View, user: str = BEN, **fields: Any) -> DeliveryResult:
    given = {f"form.{name}": value for name, value in fields.items()}
    return await room.slack.submit(user, view.id, {**TRIP, **given})


def elements(view: View) -> dict[str, dict[str, Any]]:
    return {block["block_id"]: block["element"] for block in view.blocks if block["type"] == "input"}


async def test_a_form_brings_its_values_typed(room: Room) -> None:
    prompt, form = await opened(room)

    result = await sent(room, form)

    assert result.ok
    assert "Rome 01.03.2027 4 days, SECOND, bike+breakfast, False, U3" in shown(await room.result())
    assert room.slack.view_of(BEN) is None
    assert f"*Filled in* by <@{BEN}>" in await room.locked(prompt)
    await room.told(BEN, "now filled in")


async def test_a_form_opens_with_its_defaults_and_its_own_words(room: Room) -> None:
    prompt, form = await opened(room)

    asked = elements(form)
    assert buttons(prompt) == ["Fill in", "Skip"]
    assert [block["label"]["text"] for block in form.blocks if block["type"] == "input"][:2] == ["Where to?", "Start"]
    assert asked["form.nights"]["initial_value"] == "2"
    assert asked["form.travel"]["initial_option"]["value"] == "second"
    assert asked["form.companion"]["type"] == "users_select"
    await room.slack.close_view(BEN, form.id)


async def test_what_a_validator_refuses_is_shown_at_its_field_and_changes_nothing(room: Room) -> None:
    prompt, form = await opened(room)

    result = await sent(room, form, travel="first", extras=["dog"])

    assert result.errors == {"form.where": "Dogs travel second class"}
    assert await room.times("answered", prompt) == 0
    assert (await sent(room, form, travel="first")).errors == {}
    assert "FIRST" in shown(await room.result())


async def test_a_validator_that_breaks_is_told_of_without_a_word_of_its_trouble(room: Room, logs: Logs) -> None:
    prompt, form = await opened(room)

    await sent(room, form, where="Atlantis")

    notice = await room.see(lambda: room.slack.view_of(BEN))
    assert "a problem of ours" in str(notice.blocks)
    assert "the map is wet" in logs.news()
    assert await room.times("answered", prompt) == 0
    await room.slack.close_view(BEN, notice.id)


async def test_a_form_sent_after_the_decision_says_who_was_first_even_if_it_is_not_filled_in(room: Room) -> None:
    prompt, form = await opened(room)
    await room.press(CHLOE, prompt, "Skip")
    await room.result()

    await sent(room, form, travel="first", extras=["dog"])

    notice = await room.see(lambda: room.slack.view_of(BEN))
    assert "already answered “Skip” by <@U3>" in str(notice.blocks)
    assert await room.times("answered", prompt) == 1
    await room.slack.close_view(BEN, notice.id)


async def test_a_reply_cannot_fill_in_a_form(room: Room) -> None:
    prompt = await room.started(ANA, "/book-trip fair")

    await room.reply(BEN, prompt, "fill in")

    await room.told(BEN, "a form to fill in")
    assert await room.times("answered", prompt) == 0


async def test_a_forged_click_cannot_answer_without_the_form(room: Room) -> None:
    prompt = await room.started(ANA, "/book-trip fair")
    click = requests.click(room, prompt, "Fill in", BEN)
    click["trigger_id"] = "1.2.3"
    click["actions"][0]["action_id"] = "decide.0"

    clicked = await room.slack.interact(click)

    await room.told(BEN, "Slack was slow to open the form")
    assert clicked.ok
    assert await room.times("answered", prompt) == 0


async def test_a_form_opens_from_app_home_where_there_is_no_channel_and_no_message(room: Room) -> None:
    """Adversarial 20: in App Home."""
    prompt = await room.started(ANA, "/book-trip fair")
    click = requests.click(room, prompt, "Fill in", BEN)
    del click["channel"], click["message"], click["response_url"]
    click |= {"container": {"type": "view", "view_id": "V1"}, "view": {"id": "V1", "type": "home"}}

    clicked = await room.slack.interact(click)

    form = await room.see(lambda: room.slack.view_of(BEN))
    assert clicked.ok
    assert (await sent(room, form)).ok
    assert "Rome 01.03.2027" in shown(await room.result())
    await room.told(BEN, "now filled in")


@pytest.mark.parametrize("damage", ["no state", "no values", "a field less", "garbage"])
async def test_a_form_with_missing_keys_changes_nothing(room: Room, damage: str) -> None:
    """Adversarial 22."""
    prompt, form = await opened(room)
    payload = requests.submission(room, form, BEN, TRIP)
    match damage:
        case "no state":
            del payload["view"]["state"]
        case "no values":
            payload["view"]["state"] = {}
        case "a field less":
            del payload["view"]["state"]["values"]["form.companion"]
        case "garbage":
            payload["view"]["state"]["values"]["form.nights"] = {"form.nights": {"type": "number_input", "value": "π"}}

    told = await room.slack.interact(payload)

    assert told.body["response_action"] == "errors"
    assert await room.times("answered", prompt) == 0
    await room.slack.close_view(BEN, form.id)


# --- over a restart and a deploy -----------------------------------------------------------------


@pytest_asyncio.fixture(loop_scope="session")
async def deployed(set_stage: SetStage, tmp_path: Path) -> AsyncIterator[Stage]:
    """Bots of its own, whose workflow file may be changed."""
    shutil.copy(PLUGINS / "book_trip.py", tmp_path)
    async with set_stage(settings={"SIGNOFF_WORKFLOWS": str(tmp_path)}) as found:
        yield found


async def test_a_form_left_open_over_a_restart_is_taken(deployed: Stage) -> None:
    room = deployed.room()
    _, form = await opened(room)
    await deployed.kill()
    await deployed.start()

    result = await sent(room, form)

    assert result.ok
    assert "Rome 01.03.2027" in shown(await room.result())


async def test_a_form_left_open_for_a_day_says_that_its_question_expired(deployed: Stage) -> None:
    """Adversarial 24."""
    room = deployed.room()
    prompt, form = await opened(room)
    await deployed.move_clock(86_401)

    await sent(room, form)

    notice = await room.see(lambda: found if "expired" in str(found := room.slack.view_of(BEN)) else None)
    assert notice.id == form.id
    assert await room.times("answered", prompt) == 0


async def test_a_form_changed_by_a_deploy_is_shown_again_as_it_is_now(deployed: Stage, tmp_path: Path) -> None:
    room = deployed.room()
    prompt, form = await opened(room)
    code = tmp_path / "book_trip.py"
    await deployed.kill()
    code.write_text(code.read_text().replace("le=14)", "le=14)\n    budget: int = 100"))
    await deployed.start()

    await sent(room, form)

    now = await room.see(lambda: found if (found := room.slack.view_of(BEN)) and len(found.blocks) > 8 else None)
    assert "has changed since you opened it" in str(now.blocks[0])
    assert "form.budget" in elements(now)
    assert await room.times("answered", prompt) == 0
    assert (await sent(room, now, budget="7")).ok
    assert "Rome 01.03.2027" in shown(await room.result())
