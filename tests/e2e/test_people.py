"""Who may answer: people, groups and channels as they are when somebody answers, whichever way they do."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from bot.playground.workspace import Message, User, UserGroup
from tests.e2e import requests
from tests.e2e.conftest import SetStage
from tests.e2e.shapes import Shape
from tests.e2e.stage import ANA, BEN, CHLOE, DAN, PEOPLE, Logs, Room, Stage, stage
from tests.messages import shown

pytestmark = pytest.mark.asyncio(loop_scope="session")

_numbers = itertools.count(500)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def company_stage(logs: Logs, redis_url: str, shape: Shape) -> AsyncIterator[Stage]:
    settings = {"SIGNOFF_WORKFLOWS": str(PEOPLE)}
    async with stage(logs, redis_url, f"e2e-people-{shape.name}", shape, settings=settings) as found:
        yield found


@pytest.fixture
def room(company_stage: Stage) -> Iterator[Room]:
    yield company_stage.room()
    company_stage.check()


def hire(room: Room, **about: Any) -> str:
    """Somebody new, of whom the bot has never heard, in this channel."""
    user = f"U{next(_numbers)}"
    room.slack.workspace.users[user] = User(user, user.lower(), f"Person {user}", **about)
    room.slack.workspace.channels[room.channel].members.append(user)
    return user


def group(room: Room, *members: str) -> str:
    """A user group that nobody has looked into."""
    name = f"S{next(_numbers)}"
    room.slack.workspace.groups[name] = UserGroup(name, name.lower(), name, list(members))
    return name


async def refusals(room: Room, message: Message) -> list[tuple[str, str, str]]:
    """Who was refused, which way they came, and why, as the audit trail has it."""
    lines = [entry for entry in await room.journal(message) if entry.what == "refused"]
    return [(line.by, line.details["via"], line.details["why"]) for line in lines]


async def answered(room: Room, message: Message) -> list[tuple[str, str]]:
    """What counted: by whom and which way."""
    lines = [entry for entry in await room.journal(message) if entry.what in ("answered", "voted")]
    return [(line.by, line.details["via"]) for line in lines]


# --- whom a question names ---------------------------------------------------------------------------


async def test_an_outsider_is_refused_in_private_whichever_way_they_come(room: Room) -> None:
    """Acceptance 16; Security 4."""
    prompt = await room.started(ANA, f"/sign {BEN}")

    await room.press(DAN, prompt, "Approve")
    await room.told(DAN, "not yours to answer", f"<@{BEN}>")
    await room.reply(DAN, prompt, "approve")
    await room.told(DAN, "not yours to answer", f"<@{BEN}>", nth=2)
    form = await room.open_form(DAN, prompt, "Approve with a note")
    await room.submit(DAN, form, "It is fine")

    notice = await room.see(lambda: room.slack.view_of(DAN))
    assert "not yours to answer" in str(notice.blocks)
    await room.slack.close_view(DAN, notice.id)
    assert await refusals(room, prompt) == [(DAN, way, "not_named") for way in ("button", "thread", "modal")]
    assert await answered(room, prompt) == []
    await room.press(BEN, prompt, "Approve")
    assert (await room.result()).text == f"approve by {BEN}"


async def test_the_audit_line_of_an_answer_says_who_what_exactly_and_which_way(room: Room) -> None:
    """Security 13."""
    prompt = await room.started(ANA, f"/sign {BEN}")

    await room.reply(BEN, prompt, "approve")
    await room.result()

    (line,) = [entry for entry in await room.journal(prompt) if entry.what == "answered"]
    assert (line.by, line.details["via"], line.details["revision"]) == (BEN, "thread", "1")
    assert len(line.details["digest"]) >= 16


async def test_a_group_is_read_anew_when_somebody_answers(room: Room) -> None:
    joins, leaves = hire(room), hire(room)
    team = group(room, leaves)
    prompt = await room.started(ANA, f"/sign {team}")
    await room.slack.leave_group(leaves, team)
    await room.slack.join_group(joins, team)
    await room.slack.settled()

    await room.press(leaves, prompt, "Approve")
    await room.told(leaves, "not yours to answer", f"<!subteam^{team}>")
    await room.reply(joins, prompt, "approve")

    assert (await room.result()).text == f"approve by {joins}"


async def test_members_of_a_channel_may_answer_and_see_whose_it_is(room: Room) -> None:
    leads = room.stage.room(CHLOE).channel
    prompt = await room.started(ANA, f"/sign <#{leads}|leads>")

    assert f"<#{leads}>" in shown(prompt)
    await room.press(BEN, prompt, "Approve")
    await room.told(BEN, "not yours to answer", f"<#{leads}>")
    await room.press(CHLOE, prompt, "Approve")

    assert (await room.result()).text == f"approve by {CHLOE}"


async def test_whoever_asked_may_not_decide_as_a_member_of_a_group_either(room: Room) -> None:
    team = group(room, ANA, BEN)
    prompt = await room.started(ANA, f"/sign {team} four-eyes")

    await room.press(ANA, prompt, "Approve")
    await room.told(ANA, "not yours to answer")
    await room.reply(ANA, prompt, "approve")
    await room.told(ANA, "not yours to answer", nth=2)
    await room.press(BEN, prompt, "Approve")

    assert (await room.result()).text == f"approve by {BEN}"
    assert await refusals(room, prompt) == [(ANA, "button", "asked"), (ANA, "thread", "asked")]


# --- who somebody is ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("about", "why", "told"),
    [
        ({"is_restricted": True}, "guest", "Guests cannot answer"),
        ({"team_id": "T0OTHER"}, "stranger", "Only members of this workspace"),
        ({"deleted": True}, "deactivated", "deactivated"),
    ],
)
@pytest.mark.parametrize("named", [True, False])
async def test_some_may_not_answer_though_they_are_named(
    room: Room, about: dict[str, Any], why: str, told: str, named: bool
) -> None:
    """Security 4."""
    somebody = hire(room, **about)
    prompt = await room.started(ANA, f"/sign {group(room, somebody, BEN) if named else 'anybody'}")

    await room.press(somebody, prompt, "Approve")

    await room.told(somebody, told)
    assert await refusals(room, prompt) == [(somebody, "button", why)]
    assert await answered(room, prompt) == []


@pytest.mark.parametrize("about", [{"is_restricted": True}, {"team_id": "T0OTHER"}])
async def test_guests_may_answer_where_the_question_says_so(room: Room, about: dict[str, Any]) -> None:
    guest = hire(room, **about)
    prompt = await room.started(ANA, "/sign guests")

    await room.press(guest, prompt, "Approve")

    assert (await room.result()).text == f"approve by {guest}"


async def test_an_operator_may_let_guests_answer_everything(set_stage: SetStage) -> None:
    settings = {"SIGNOFF_WORKFLOWS": str(PEOPLE), "SIGNOFF_ALLOW_GUESTS": "true"}
    async with set_stage(settings=settings) as found:
        room = found.room()
        guest = hire(room, is_restricted=True)
        prompt = await room.started(ANA, "/sign anybody")

        await room.press(guest, prompt, "Approve")

        assert (await room.result()).text == f"approve by {guest}"


async def test_those_who_are_left_decide_when_somebody_is_deactivated_meanwhile(room: Room) -> None:
    """Adversarial 7."""
    asks, gone, stays = hire(room), hire(room), hire(room)
    prompt = await room.started(asks, f"/sign {gone} {stays} four-eyes")
    for user in (asks, gone):
        room.slack.workspace.users[user].deleted = True

    await room.press(gone, prompt, "Approve")
    await room.told(gone, "deactivated")
    await room.press(stays, prompt, "Approve")

    assert (await room.result()).text == f"approve by {stays}"


async def private_note(room: Room, user: str) -> str:
    """What the bot wrote last into its conversation with one person."""
    place = room.slack.workspace.conversation_of([user]).id
    return (await room.see(lambda: room.slack.messages(place)))[-1].text


@pytest.mark.parametrize("named", ["by name", "in a group"])
async def test_whoever_asked_is_told_in_private_when_nobody_is_left_to_answer(room: Room, named: str) -> None:
    """Adversarial 7."""
    asks, first, last = hire(room), hire(room), hire(room)
    whom = f"{first} {last}" if named == "by name" else group(room, first, last, asks)
    prompt = await room.started(asks, f"/sign {whom} four-eyes")
    place = room.slack.workspace.conversation_of([asks]).id

    await room.slack.deactivate(first)
    await room.stage.idle()
    assert room.slack.messages(place) == []
    await room.slack.deactivate(last)

    note = await private_note(room, asks)
    assert "Too few people are left" in note
    assert "/runs" in note
    assert await answered(room, prompt) == []


async def test_a_group_that_shrinks_below_the_quorum_is_told_of_and_votes_still_count(room: Room) -> None:
    asks, first, second, third = hire(room), hire(room), hire(room), hire(room)
    team = group(room, first, second, third)
    prompt = await room.started(asks, f"/sign {team} 3")
    await room.press(first, prompt, "Approve")
    await room.told(first, "1 of 3")
    place = room.slack.workspace.conversation_of([asks]).id

    await room.slack.leave_group(first, team)
    await room.stage.idle()
    assert room.slack.messages(place) == []
    await room.slack.leave_group(second, team)

    assert f"<!subteam^{team}>" in await private_note(room, asks)


async def test_a_result_is_posted_though_whoever_asked_is_gone(room: Room) -> None:
    """Adversarial 7."""
    asks = hire(room)
    prompt = await room.started(asks, "/sign anybody")
    await room.slack.deactivate(asks)

    await room.press(BEN, prompt, "Approve")

    result = await room.result()
    assert result.text == f"approve by {BEN}"
    assert result.thread_ts == prompt.ts


# --- when Slack does not say ---------------------------------------------------------------------------


async def test_without_an_answer_of_slack_s_nothing_is_recorded_and_the_next_try_counts(room: Room) -> None:
    approver = hire(room)
    prompt = await room.started(ANA, f"/sign {approver}")
    room.slack.faults.fail("users.info", "error", times=None)

    await room.press(approver, prompt, "Approve")
    await room.told(approver, "could not be checked")
    room.slack.faults.clear()
    lines = [entry.what for entry in await room.journal(prompt)]
    await room.press(approver, prompt, "Approve")

    assert "answered" not in lines
    assert "refused" not in lines
    assert (await room.result()).text == f"approve by {approver}"


async def test_a_slow_slack_is_not_waited_for_beyond_an_acknowledgement(room: Room) -> None:
    approver = hire(room)
    prompt = await room.started(ANA, f"/sign {approver}")
    room.slack.faults.fail("users.info", "slow", times=None, seconds=4)

    result = await room.press(approver, prompt, "Approve")

    assert result.ok
    await room.told(approver, "could not be checked")
    assert await answered(room, prompt) == []


async def test_a_late_click_is_told_the_decision_though_slack_says_nothing(room: Room) -> None:
    late = hire(room)
    prompt = await room.started(ANA, "/sign anybody")
    button = prompt.blocks
    await room.press(BEN, prompt, "Approve")
    await room.result()
    room.slack.faults.fail("users.info", "error", times=None)

    await room.press(late, prompt, "Approve", as_seen=room.slack.as_seen(late, room.channel, prompt.ts, button or []))

    await room.told(late, "already approved", f"<@{BEN}>")


# --- more than one ---------------------------------------------------------------------------------------


async def test_two_of_three_must_agree_and_one_of_them_twice_is_one(room: Room) -> None:
    """Acceptance 17."""
    first, second, third = hire(room), hire(room), hire(room)
    team = group(room, first, second, third)
    prompt = await room.started(ANA, f"/sign {team} 2")

    await room.press(first, prompt, "Approve")
    await room.told(first, "1 of 2")
    await room.reply(first, prompt, "approve")
    await room.told(first, "1 of 2", nth=2)
    assert await answered(room, prompt) == [(first, "button")]
    await room.reply(third, prompt, "approve")

    assert (await room.result()).text == f"approve by {third}"
    assert await answered(room, prompt) == [(first, "button"), (third, "thread")]


async def test_one_rejection_ends_what_two_should_agree_to(room: Room) -> None:
    """Acceptance 17."""
    team = group(room, BEN, CHLOE, DAN)
    prompt = await room.started(ANA, f"/sign {team} 2")

    await room.press(BEN, prompt, "Approve")
    await room.told(BEN, "1 of 2")
    await room.press(CHLOE, prompt, "Reject")

    assert (await room.result()).text == f"reject by {CHLOE}"


# --- in which language -------------------------------------------------------------------------------------


async def test_people_are_told_in_their_own_language(room: Room) -> None:
    german = hire(room, locale="de-DE")
    prompt = await room.started(ANA, f"/sign {BEN}")

    await room.press(german, prompt, "Approve")

    await room.told(german, "nicht an dich gerichtet", f"<@{BEN}>")


async def test_what_cannot_be_read_is_told_in_the_senders_language(room: Room) -> None:
    german = hire(room, locale="de-DE")
    prompt = await room.started(ANA, f"/sign {german}")
    await room.reply(german, prompt, "Nanu?")
    await room.told(german, "ist hier keine Antwort")
    form = await room.open_form(german, prompt, "Approve with a note")
    sent = requests.submission(room, form, german, {})
    del sent["view"]

    answer = await room.slack.interact(sent)

    assert "in einer Form geschickt, die ich nicht lesen kann" in str(answer.body)
    await room.slack.close_view(german, form.id)
