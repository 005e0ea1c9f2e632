"""What leaves a question open: handing it on to somebody else, and asking the requester for details."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from bot.playground.workspace import Message, User, UserGroup, View
from bot.views.buttons import MENU
from tests.e2e.conftest import SetStage
from tests.e2e.stage import ANA, BEN, CHLOE, DAN, PEOPLE, Room
from tests.messages import buttons, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")


def menu(message: Message) -> dict[str, str]:
    """What the menu of a question offers, with the values of its options."""
    elements = [element for block in message.blocks or [] for element in block.get("elements", [])]
    (found,) = [element for element in elements if element["type"] == "overflow"]
    return {option["text"]["text"]: option["value"] for option in found["options"]}


async def choose(room: Room, user: str, message: Message, number: int) -> None:
    """Choose from the menu of a question."""
    value = list(menu(message).values())[number]
    assert (await room.slack.click(user, room.channel, message.ts, MENU, value)).ok


async def opened(room: Room, user: str, message: Message, number: int) -> View:
    await choose(room, user, message, number)
    return await room.see(lambda: room.slack.view_of(user))


async def hand_on(room: Room, user: str, message: Message, to: str) -> None:
    view = await opened(room, user, message, 0)
    assert (await room.slack.submit(user, view.id, {"hand_on": {"user": to}})).ok


def says(room: Room, user: str, words: str) -> bool:
    """Whether the modal that somebody has open says so."""
    view = room.slack.view_of(user)
    return view is not None and words in str(view.blocks)


async def test_a_question_handed_on_is_asked_in_private_and_only_theirs(room: Room) -> None:
    prompt = await room.started(ANA, "/deploy v2")

    await hand_on(room, BEN, prompt, CHLOE)

    dm = room.slack.workspace.dm_of(CHLOE).id
    copy = (await room.see(lambda: [m for m in room.slack.messages(dm) if buttons(m)]))[-1]
    await room.stage.idle()
    assert says(room, BEN, f"<@{CHLOE}> may answer now")
    assert f"For <@{CHLOE}>" in shown(prompt)
    await room.press(DAN, prompt, "Ship")
    await room.told(DAN, f"Please ask <@{CHLOE}>")
    await Room(room.stage, dm).press(CHLOE, copy, "Ship")
    assert (await room.result()).text == "Shipped v2"
    assert f"by <@{CHLOE}>" in await room.locked(prompt)
    assert await room.times("handed on", prompt) == 1


async def test_only_who_may_answer_or_has_asked_can_hand_on(room: Room) -> None:
    prompt = await room.started(ANA, "/deploy v2")
    await hand_on(room, BEN, prompt, CHLOE)
    view = await opened(room, DAN, prompt, 0)

    result = await room.slack.submit(DAN, view.id, {"hand_on": {"user": DAN}})
    await hand_on(room, ANA, prompt, BEN)

    assert "Only those who may answer" in result.errors["hand_on"]
    await room.see(lambda: f"For <@{BEN}>" in shown(prompt))


async def test_a_question_decided_meanwhile_is_not_handed_on(room: Room) -> None:
    prompt = await room.started(ANA, "/deploy v2")
    view = await opened(room, BEN, prompt, 0)
    await room.press(CHLOE, prompt, "Ship")
    await room.result()

    await room.slack.submit(BEN, view.id, {"hand_on": {"user": DAN}})

    await room.see(lambda: says(room, BEN, f"by <@{CHLOE}>"))
    assert await room.times("handed on", prompt) == 0


async def test_the_requester_is_asked_for_details_and_the_question_stays_open(room: Room) -> None:
    prompt = await room.started(ANA, "/approve-draft AI safety")
    view = await opened(room, BEN, prompt, 1)

    await room.slack.submit(BEN, view.id, {"details": {"text": "For whom is <!channel> it?"}})

    (asked,) = await room.see(lambda: room.posted("details:"))
    assert asked.thread_ts == prompt.ts
    assert f"<@{ANA}>" in asked.text
    assert "For whom is <!channel> it?" in shown(asked)
    await room.reply(ANA, asked, "For the board")
    await room.stage.idle()
    assert "Give feedback" in buttons(prompt)
    await room.reply(CHLOE, prompt, "Shorter, please")
    second = await room.prompt(2)
    assert "Shorter, please" in shown(second)
    assert await room.times("asked back", prompt) == 1


async def test_a_question_for_named_people_is_handed_on_only_where_its_author_says_so(set_stage: SetStage) -> None:
    """Security 4."""
    async with set_stage(settings={"SIGNOFF_WORKFLOWS": str(PEOPLE)}) as found:
        room, free = found.room(), found.room()
        named = await room.started(ANA, f"/sign {BEN}")
        view = await opened(free, BEN, await free.started(ANA, f"/sign {BEN} hand-on"), 0)

        view.body["private_metadata"] = menu(named)["Ask for details…"]
        forged = await free.slack.submit(BEN, view.id, {"hand_on": {"user": DAN}})

        assert "nobody can hand it on" in forged.errors["hand_on"]
        assert list(menu(named)) == ["Ask for details…"]
        assert await room.times("handed on", named) == 0


async def test_a_member_of_a_group_hands_on_their_own_place_and_not_the_groups(set_stage: SetStage) -> None:
    async with set_stage(settings={"SIGNOFF_WORKFLOWS": str(PEOPLE)}) as found:
        room, two = found.room(), found.room()
        room.slack.workspace.groups["S9"] = UserGroup("S9", "legal", "Legal", [BEN, CHLOE])
        prompt = await room.started(ANA, "/sign S9 hand-on")
        both = await two.started(ANA, "/sign S9 2 hand-on")
        view = await opened(two, BEN, both, 0)

        refused = await two.slack.submit(BEN, view.id, {"hand_on": {"user": DAN}})
        await hand_on(room, BEN, prompt, DAN)

        assert "2 people must agree, and you may answer as one of <!subteam^S9>" in refused.errors["hand_on"]
        await room.see(lambda: says(room, BEN, f"<@{DAN}> may answer now, too"))
        await room.see(lambda: f"For <!subteam^S9> or <@{DAN}>" in shown(prompt))
        await room.press(CHLOE, prompt, "Approve")
        assert (await room.result()).text == f"approve by {CHLOE}"


WORKFLOW = f'''
"""Ask two people, and never the one who asks."""

from bot import Choice, CommandReceived, Prompt, slash_command
from engine import HumanResponseEvent, StopEvent, Workflow, step


@slash_command("/deploy", summary="Ship a version", usage="version")
class Deploy(Workflow):
    @step
    async def ask(self, ev: CommandReceived) -> Prompt:
        choices = [Choice("ship"), Choice("keep back")]
        approvers = [] if ev.text == "anybody" else ["{BEN}", "{CHLOE}"]
        eyes = ev.text != "alone"
        return Prompt(prefix="Ship?", choices=choices, approvers=approvers, hand_on=True, quorum=2, four_eyes=eyes)

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)
'''


async def test_handing_on_goes_neither_around_four_eyes_nor_below_the_quorum(
    set_stage: SetStage, tmp_path: Path
) -> None:
    (tmp_path / "deploy.py").write_text(textwrap.dedent(WORKFLOW))
    async with set_stage(settings={"SIGNOFF_WORKFLOWS": str(tmp_path)}) as found:
        room = found.room()
        room.slack.workspace.users["U900"] = User("U900", "zoe", "Zoe", is_restricted=True)
        prompt = await room.started(ANA, "/deploy v2")
        alone, anybody = found.room(), found.room()
        alone_prompt = await alone.started(ANA, "/deploy alone")
        anybody_prompt = await anybody.started(ANA, "/deploy anybody")
        told = []
        for place, asked, user, to in (
            (room, prompt, BEN, ANA),
            (room, prompt, BEN, CHLOE),
            (room, prompt, BEN, "U900"),
            (room, prompt, ANA, DAN),
            (room, prompt, DAN, DAN),
            (alone, alone_prompt, ANA, DAN),
            (anybody, anybody_prompt, ANA, DAN),
            (anybody, anybody_prompt, BEN, DAN),
        ):
            view = await opened(place, user, asked, 0)
            told.append((await room.slack.submit(user, view.id, {"hand_on": {"user": to}})).errors["hand_on"])

        await hand_on(room, BEN, prompt, DAN)
        await room.see(lambda: f"For <@{CHLOE}> or <@{DAN}>" in shown(prompt))
        await room.press(DAN, prompt, "Ship")
        await room.press(CHLOE, prompt, "Ship")

        assert "Whoever made the request cannot decide it" in told[0]
        assert f"<@{CHLOE}> may answer already" in told[1]
        assert "<@U900> cannot answer here" in told[2]
        assert all("Only those who may answer" in refusal for refusal in told[3:7])
        assert "2 people must agree" in told[7]
        assert (await room.result()).text == "ship"
