"""App Home: what waits for me, what I have started; its buttons answer like all others, and it is never behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from bot.playground.workspace import Message, View
from tests.e2e.process import ROOT
from tests.e2e.shapes import Shape
from tests.e2e.stage import ANA, BEN, CHLOE, DAN, Logs, Room, Stage, stage
from tests.messages import buttons, run_of, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")
FLOWS = ROOT / "tests" / "e2e" / "flows"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def offices(logs: Logs, redis_url: str, shape: Shape) -> AsyncIterator[Stage]:
    """With a workflow that asks whom it is told."""
    settings = {"SIGNOFF_WORKFLOWS": str(FLOWS)}
    async with stage(logs, redis_url, f"e2e-home-{shape.name}", shape, settings=settings) as found:
        yield found


@pytest.fixture
def office(offices: Stage) -> Iterator[Room]:
    yield offices.room()
    offices.check()


def text_of(view: View) -> str:
    return shown(Message("", "", "", "", blocks=view.blocks))


def actions(view: View) -> dict[str, str]:
    """What can be pressed, by label; of several of one label the first."""
    found: dict[str, str] = {}
    for block in view.blocks:
        elements: list[dict[str, Any]] = [*block.get("elements", []), *filter(None, [block.get("accessory")])]
        for element in elements:
            if element["type"] == "button":
                found.setdefault(element["text"]["text"], element["action_id"])
    return found


async def home(room: Room, user: str, *words: str) -> View:
    """Open App Home and return it once it is drawn, and has all these words."""
    before = room.slack.home_of(user)
    was = before.hash if before is not None else ""
    await room.slack.open_home(user)
    await room.see(lambda: view if (view := room.slack.home_of(user)) and view.hash != was else None)
    return await until(room, user, *words)


async def until(room: Room, user: str, *words: str, without: str = "\0") -> View:
    """Wait until somebody's open Home has all these words, without their doing."""

    def claim() -> View | None:
        view = room.slack.home_of(user)
        text = "" if view is None else text_of(view)
        return view if all(word in text for word in words) and without not in text else None

    return await room.see(claim)


def answers(view: View, question: str) -> dict[str, str]:
    """The buttons below one question, by label."""
    after = [below for block, below in zip(view.blocks, view.blocks[1:], strict=False) if question in str(block)]
    pressable = after[0]["elements"] if after[0]["type"] == "actions" else []
    return {button["text"]["text"]: button["action_id"] for button in pressable}


async def press(room: Room, user: str, view: View, label: str, question: str = "") -> None:
    """Press a button; of those that answer, the one below *question*."""
    action_id = (answers(view, question) if question else actions(view))[label]
    assert (await room.slack.click_view(user, view.id, action_id)).ok


async def told(room: Room, user: str, *words: str) -> None:
    """Wait for the modal that tells *user* something, and close it."""
    notice = await room.see(lambda: room.slack.view_of(user))
    assert all(word in text_of(notice) for word in words), text_of(notice)
    await room.slack.close_view(user, notice.id)


async def test_it_has_what_waits_for_me_and_what_i_have_started(office: Room) -> None:
    """Acceptance 21."""
    mine = await office.started(ANA, "/ask-people U2 1 Is *this* good?")
    await office.started(CHLOE, "/ask-people U4 1 And is that?")

    bens, anas = await home(office, BEN), await home(office, ANA)

    assert "Is *this* good?" in text_of(bens)
    assert f"Asked by <@{ANA}>" in text_of(bens)
    assert f"/archives/{office.channel}/p{mine.ts.replace('.', '')}" in text_of(bens)
    assert "And is that?" not in text_of(bens)
    assert list(answers(bens, "Is *this* good?")) == ["Yes", "No", "Say why"]
    assert "Nothing is waiting for you." in text_of(anas)
    assert "/ask-people U2 1 Is *this* good?" in text_of(anas)
    assert f"Waiting for <@{BEN}>" in text_of(anas)
    await office.stage.idle()


async def test_a_button_there_answers_and_every_open_home_is_drawn_again(office: Room) -> None:
    """Acceptance 21."""
    prompt = await office.started(ANA, "/ask-people U2,U3 1 Shall we ship?")
    bens, _, _ = await home(office, BEN), await home(office, CHLOE), await home(office, ANA)
    assert "Shall we ship?" in text_of(bens)

    await press(office, BEN, bens, "Yes", "Shall we ship?")

    await told(office, BEN, "Thank you, this is now answered “Yes”")
    assert f"by <@{BEN}>" in await office.locked(prompt)
    assert (await office.result()).text == "yes"
    for user in (BEN, CHLOE):
        await until(office, user, "Waiting for you", without="Shall we ship?")
    await until(office, ANA, "Done · Started", "Shall we ship?")
    await office.stage.idle()
    (answered,) = [line for line in await office.journal(prompt) if line.what == "answered"]
    assert (answered.by, answered.details["response"]) == (BEN, "yes")


async def test_a_home_that_is_behind_is_told_the_truth_and_drawn_anew(office: Room) -> None:
    prompt = await office.started(ANA, "/ask-people U2,U4 1 Who is first?")
    dans = await home(office, DAN)
    blocks = list(dans.blocks)
    await office.press(BEN, prompt, "Yes")
    await office.result()
    await until(office, DAN, without="Who is first?")
    dans.body["blocks"] = blocks

    await press(office, DAN, dans, "No", "Who is first?")

    await told(office, DAN, "already answered “Yes”", f"<@{BEN}>")
    await until(office, DAN, without="Who is first?")
    assert await office.times("answered", prompt) == 1


async def test_words_can_be_given_from_there(office: Room) -> None:
    """Acceptance 21."""
    prompt = await office.started(ANA, "/ask-people U4 1 Tell me more?")
    dans = await home(office, DAN)

    await press(office, DAN, dans, "Say why", "Tell me more?")
    form = await office.see(lambda: office.slack.view_of(DAN))
    await office.submit(DAN, form, "Because it rains")

    assert (await office.result()).text == "why Because it rains"
    await until(office, DAN, without="Tell me more?")
    assert "Because it rains" in await office.locked(prompt)


async def test_a_group_of_mine_is_asked(office: Room) -> None:
    """Acceptance 21."""
    await office.started(ANA, "/ask-people S1 2 Are both of you for it?")

    for user in (BEN, CHLOE):
        assert "0 of 2 answers" in text_of(await home(office, user, "Are both of you for it?"))
    assert "Are both of you for it?" not in text_of(await home(office, DAN))


async def test_it_waits_for_me_until_i_have_voted(office: Room) -> None:
    """Acceptance 21."""
    await office.started(ANA, "/ask-people U2,U3 2 Do we agree?")
    bens = await home(office, BEN, "Do we agree?")

    await press(office, BEN, bens, "Yes", "Do we agree?")

    await told(office, BEN, "1 of 2")
    await until(office, BEN, without="Do we agree?")
    await home(office, CHLOE, "Do we agree?", "1 of 2 answers")


async def test_who_may_not_answer_their_own_question_is_not_asked_there(office: Room) -> None:
    await office.started(BEN, "/ask-people U2,U3! 1 Not mine to answer?")

    bens, chloes = await home(office, BEN), await home(office, CHLOE)

    assert "Not mine to answer?" in text_of(chloes)
    assert "Not mine to answer?" not in text_of(bens).partition("What you have started")[0]


async def test_what_is_too_long_to_be_shown_whole_is_decided_where_it_was_asked(office: Room) -> None:
    await office.started(ANA, f"/ask-people U4 1 {'Long. ' * 400}?")

    dans = await home(office, DAN)

    assert "too long to be shown here whole" in text_of(dans)
    assert answers(dans, "Long. Long.") == {}


async def test_more_than_twenty_questions_come_in_pages(office: Room) -> None:
    """Acceptance 21."""
    dm = Room(office.stage, office.slack.workspace.dm_of(CHLOE).id)
    for number in range(23):
        assert (await dm.command(CHLOE, f"/ask-people U4 1 Question number {number:02}?")).ok
    await office.stage.idle()
    dans = await home(office, DAN, "Older")
    first = text_of(dans)

    await press(office, DAN, dans, "Older")
    second = text_of(await until(office, DAN, "Question number 22?"))
    await press(office, DAN, await until(office, DAN, "Question number 22?"), "Newer")
    again = text_of(await until(office, DAN, without="Question number 22?"))

    asked = [f"Question number {number:02}?" for number in range(23)]
    assert first.partition("What you have started")[0].count("Asked by") == 20
    assert all(question in first + second for question in asked)
    assert not any(question in first and question in second for question in asked)
    assert again == first
    chloes = await home(office, CHLOE)
    assert text_of(chloes).count("Waiting for") >= 10


async def test_my_own_run_can_be_cancelled_there(office: Room) -> None:
    prompt = await office.started(DAN, "/ask-people U3 1 Shall this end?")
    dans = await home(office, DAN)

    await press(office, DAN, dans, "Cancel it")

    await told(office, DAN, "Cancelled: /ask-people U3 1 Shall this end?")
    assert f"*Cancelled* by <@{DAN}>" in await office.locked(prompt)
    await until(office, DAN, "Cancelled · Started")
    assert buttons(prompt) == []
    assert run_of(prompt)


async def test_a_home_nobody_opened_is_not_drawn(office: Room) -> None:
    """Nothing is published to people who never look."""
    workspace = office.slack.workspace
    workspace.users["U7"] = replace(workspace.users[BEN], id="U7", name="eve")
    workspace.channels[office.channel].members.append("U7")

    await office.press("U7", await office.started(ANA, "/ask-people U7 1 Does anybody see?"), "Yes")
    await office.result()
    await office.stage.idle()
    await home(office, ANA, "Does anybody see?", "Done")

    assert office.slack.home_of("U7") is None
    assert "U7" not in [entry.request["user_id"] for entry in office.slack.log if entry.method == "views.publish"]
