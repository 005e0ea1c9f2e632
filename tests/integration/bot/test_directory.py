"""What is known of people: asked of a Slack that is fake but speaks HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.languages import ENGLISH, GERMAN
from bot.playground import AppConfig, FakeSlack
from bot.playground.workspace import Channel, User
from bot.slack.directory import FRESH_S, KEPT_S, LIMIT_S, Directory, Unchecked
from bot.slack.workspaces import OneWorkspace

ANA, BEN, CHLOE, DAN, MIA = "U1", "U2", "U3", "U4", "U5"
APPROVERS, LEADS = "S1", "C3"
SCOPES = frozenset({"users:read", "usergroups:read", "channels:read", "groups:read"})


@dataclass
class Office:
    """A workspace, what the bot knows of its people, and a clock that stands still until it is moved."""

    slack: FakeSlack
    directory: Directory
    now: list[float]

    @property
    def team(self) -> str:
        return self.slack.workspace.team_id

    def asked(self, method: str) -> int:
        """How often Slack was asked something."""
        return len(self.slack.log.calls(method))


@asynccontextmanager
async def opened(scopes: frozenset[str] = SCOPES) -> AsyncIterator[Office]:
    async with FakeSlack(AppConfig(signing_secret="s", scopes=scopes)) as slack:
        slack.workspace.channels[LEADS].members.append(slack.app.bot_user_id)
        client = AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_base_url, retry_handlers=[])
        now = [0.0]
        yield Office(slack, Directory(OneWorkspace(client), clock=lambda: now[0]), now)


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    async with opened() as office:
        yield office


# --- language ---------------------------------------------------------------------------------------


async def test_the_language_of_somebody_unknown_is_english_until_it_was_looked_up(office: Office) -> None:
    before = office.directory.words(office.team, MIA)
    learned = await office.directory.learn(office.team, MIA)

    assert (before, learned) == (ENGLISH, GERMAN)
    assert office.directory.words(office.team, MIA) is GERMAN


async def test_of_somebody_in_another_workspace_with_the_same_id_nothing_is_known(office: Office) -> None:
    await office.directory.learn(office.team, MIA)

    assert office.directory.words("T0OTHER", MIA) is ENGLISH


async def test_a_language_that_cannot_be_looked_up_does_no_harm(office: Office) -> None:
    office.slack.faults.fail("users.info", "error")

    assert await office.directory.learn(office.team, MIA) is ENGLISH


# --- what is kept, and for how long -----------------------------------------------------------------


async def test_a_decision_reads_anew_what_for_showing_is_kept(office: Office) -> None:
    await office.directory.check(office.team, BEN, [APPROVERS])
    office.slack.workspace.groups[APPROVERS].users.remove(BEN)
    office.slack.workspace.users[BEN].deleted = True
    office.now[0] += FRESH_S + 1

    shown = await office.directory.person(office.team, BEN)
    found = await office.directory.check(office.team, BEN, [APPROVERS])

    assert not shown.deactivated
    assert found.person.deactivated
    assert found.groups == frozenset()


async def test_what_has_changed_is_read_anew_at_once(office: Office) -> None:
    await office.directory.check(office.team, BEN, [APPROVERS])
    office.slack.workspace.groups[APPROVERS].users.remove(BEN)
    office.directory.forget(office.team, APPROVERS)

    assert (await office.directory.check(office.team, BEN, [APPROVERS])).groups == frozenset()


async def test_a_crowd_of_clicks_asks_slack_once(office: Office) -> None:
    async with asyncio.TaskGroup() as clicks:
        for _ in range(20):
            clicks.create_task(office.directory.check(office.team, BEN, [APPROVERS, LEADS]))

    assert office.asked("users.info") == 1
    assert office.asked("usergroups.users.list") == 1
    assert office.asked("conversations.members") == 1


async def test_what_is_shown_is_looked_up_again_after_a_while(office: Office) -> None:
    await office.directory.learn(office.team, MIA)
    office.slack.workspace.users[MIA].locale = "en-GB"
    office.now[0] += KEPT_S + 1

    assert await office.directory.learn(office.team, MIA) is ENGLISH


# --- groups -----------------------------------------------------------------------------------------


async def test_people_stand_for_the_groups_and_channels_they_are_in(office: Office) -> None:
    names = [ANA, APPROVERS, LEADS]

    assert (await office.directory.check(office.team, ANA, names)).groups == {LEADS}
    assert (await office.directory.check(office.team, BEN, names)).groups == {APPROVERS, LEADS}
    assert (await office.directory.check(office.team, DAN, names)).groups == frozenset()


async def test_the_members_of_a_large_channel_are_read_to_the_last_page(office: Office) -> None:
    people = [User(f"U{number}", f"p{number}", f"P {number}") for number in range(1000, 3100)]
    office.slack.workspace.users.update({user.id: user for user in people})
    members = [user.id for user in people]
    office.slack.workspace.channels["C900"] = Channel("C900", "everybody", "public", members)

    found = await office.directory.check(office.team, members[-1], ["C900"])

    assert found.groups == {"C900"}
    assert office.asked("conversations.members") == 3


async def test_nobody_stands_for_a_group_that_does_not_exist(office: Office) -> None:
    assert (await office.directory.check(office.team, BEN, ["S404"])).groups == frozenset()


async def test_questions_are_somebody_s_by_their_own_name_their_groups_and_their_channels(office: Office) -> None:
    names = await office.directory.names(office.team, CHLOE)

    assert names[:2] == (CHLOE, APPROVERS)
    assert LEADS in names
    assert not any(name.startswith("D") for name in names)


# --- who somebody is --------------------------------------------------------------------------------


async def test_guests_strangers_bots_and_the_deactivated_are_told_apart(office: Office) -> None:
    office.slack.workspace.users |= {
        "U61": User("U61", "sam", "Sam", team_id="T0OTHER"),
        "U62": User("U62", "lee", "Lee", deleted=True),
    }
    people = {user: await office.directory.person(office.team, user) for user in (BEN, MIA, "U61", "U62", "U404")}

    assert [user for user, person in people.items() if person.is_guest] == [MIA]
    assert [user for user, person in people.items() if person.is_stranger] == ["U61", "U404"]
    assert [user for user, person in people.items() if person.deactivated] == ["U62"]
    assert (await office.directory.person(office.team, office.slack.app.bot_user_id)).is_bot


# --- when Slack does not say ------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["users.info", "usergroups.users.list"])
async def test_a_decision_is_not_made_on_what_slack_does_not_say(office: Office, method: str) -> None:
    office.slack.faults.fail(method, "error")

    with pytest.raises(Unchecked, match="internal_error"):
        await office.directory.check(office.team, BEN, [APPROVERS])


async def test_a_scope_that_is_missing_is_no_answer_either() -> None:
    async with opened(SCOPES - {"usergroups:read"}) as office:
        with pytest.raises(Unchecked, match="missing_scope"):
            await office.directory.check(office.team, BEN, [APPROVERS])


async def test_a_channel_that_the_bot_cannot_see_into_is_no_answer_either(office: Office) -> None:
    office.slack.workspace.channels[LEADS].members.remove(office.slack.app.bot_user_id)

    with pytest.raises(Unchecked, match="channel_not_found"):
        await office.directory.check(office.team, BEN, [LEADS])


async def test_a_decision_waits_for_a_slow_slack_no_longer_than_it_may(office: Office) -> None:
    office.slack.faults.fail("users.info", "slow", seconds=LIMIT_S * 4)

    with pytest.raises(Unchecked, match="says nothing"):
        await office.directory.check(office.team, BEN)


async def test_a_slack_that_takes_two_seconds_for_every_call_lets_people_decide(office: Office) -> None:
    office.slack.faults.fail("users.info", "slow", seconds=2.0)

    assert (await office.directory.check(office.team, BEN)).person.user == BEN
