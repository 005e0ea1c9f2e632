"""Many workspaces and one app: installing it, tokens that end, and leaving; nobody meets anybody else's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio

from bot.installs.oauth import VISITS_AT_ONCE
from bot.manifest import LEAVING_EVENTS, MESSAGE_EVENTS
from bot.playground.grid import Grid
from bot.playground.workspace import Message
from engine.keyring import new_key
from engine.redis import RedisRunStore
from engine.redis.keys import Keys
from tests.e2e.process import BotProcess, signoff, until
from tests.e2e.shapes import Shape
from tests.e2e.stage import ANA, APP_TOKEN, BEN, LANES, SIGNING_SECRET, Logs, Room, Stage, app_config
from tests.messages import buttons, run_of, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY = new_key()
T1, T2, T3, T4, ORG = "T1", "T2", "T3", "T4", "E1"


@dataclass
class Branches:
    """Workspaces, one of several bots behind all of them, and Redis."""

    grid: Grid
    bots: list[BotProcess]
    store: RedisRunStore
    keys: Keys

    @property
    def bot(self) -> BotProcess:
        return self.bots[0]

    def of(self, team: str) -> Stage:
        """One workspace as other tests know it."""
        return Stage(self.grid[team], self.bots, self.store, self.keys)

    async def install(self, owner: str) -> str:
        """Install the app as somebody with a browser does, and return the page at the end."""
        async with Browser(self) as browser:
            return (await browser.install(owner))[1]

    async def operator(self, *command: str) -> str:
        """Run ``signoff`` as the operator of the first bot does, and return what it prints."""
        return (await signoff(self.bot.environment, self.bot.log.parent, *command)).stdout

    async def names(self) -> list[str]:
        """Every key of the installations."""
        return await self.store.server.names(f"{{{self.keys.prefix}-installs}}")

    async def kept(self) -> bytes:
        """All that Redis holds of the installations, in one piece."""
        names = await self.names()
        read = {b"hash": "HGETALL", b"string": "GET", b"set": "SMEMBERS"}
        kinds = await self.store.server.read_each([("TYPE", name) for name in names])
        values = [
            await self.store.server.read(read[kind], name)
            for name, kind in zip(names, kinds, strict=True)
            if kind in read
        ]
        return repr([names, values]).encode()


class Browser:
    """Somebody's browser: it keeps cookies and follows no redirect by itself."""

    def __init__(self, branches: Branches) -> None:
        self._branches = branches
        self.http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def __aenter__(self) -> Browser:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.http.close()

    async def begin(self) -> str:
        """Open the page that installs, and return where it sends us: Slack's page."""
        async with self.http.get(f"{self._branches.bot.url}/slack/install", allow_redirects=False) as answer:
            assert answer.status == 302
            self.cookie = answer.headers["Set-Cookie"]
            return answer.headers["Location"]

    async def decide(self, slacks_page: str, owner: str) -> str:
        """Say yes on Slack's page for a workspace, or no for "", and return where that sends us."""
        async with self.http.get(slacks_page) as page:
            assert page.status == 200
        asked = {name: values[0] for name, values in parse_qs(urlsplit(slacks_page).query).items()}
        form = {**asked, "owner": owner}
        async with self.http.post(slacks_page.partition("?")[0], data=form, allow_redirects=False) as answer:
            assert answer.status == 302
            return answer.headers["Location"]

    async def come_back(self, to: str) -> tuple[int, str]:
        """Follow Slack's redirect; the status and what the page says."""
        async with self.http.get(to, allow_redirects=False) as answer:
            return answer.status, await answer.text()

    async def install(self, owner: str) -> tuple[int, str]:
        return await self.come_back(await self.decide(await self.begin(), owner))


@asynccontextmanager
async def branches(
    logs: Logs, redis_url: str, prefix: str, shape: Shape, *, rotates: bool = False
) -> AsyncIterator[Branches]:
    config = replace(app_config(), events=frozenset({*MESSAGE_EVENTS, *LEAVING_EVENTS}))
    async with Grid(config, [T1, T2, T3, T4], orgs={ORG: [T3, T4]}, rotates=rotates) as grid:
        given = {
            "SLACK_CLIENT_ID": grid.client_id,
            "SLACK_CLIENT_SECRET": grid.client_secret,
            "SLACK_SIGNING_SECRET": "" if shape.socket_mode else SIGNING_SECRET,
            "SLACK_APP_TOKEN": APP_TOKEN if shape.socket_mode else "",
            "SLACK_API_BASE_URL": grid.api_base_url,
            "SLACK_AUTHORIZE_URL": grid.authorize_url,
            "SIGNOFF_ENCRYPTION_KEYS": KEY,
            "REDIS_URL": redis_url,
            "SIGNOFF_KEY_PREFIX": prefix,
            "SIGNOFF_LANES": str(LANES),
            "SIGNOFF_SWEEP_S": "0.2",
        }
        processes = [BotProcess(given, logs.path(prefix), command) for command in shape.commands]
        store = RedisRunStore.from_url(redis_url, prefix=prefix, lanes=LANES)
        found = Branches(grid, processes, store, Keys(prefix, LANES))
        for process in processes:
            process.set(SIGNOFF_PUBLIC_URL=process.url)
        grid.reach(None if shape.socket_mode else processes[0].request_url)
        try:
            async with asyncio.TaskGroup() as tasks:
                for process in processes:
                    tasks.create_task(process.start())
            yield found
            _no_token_leaked(found)
            for team in (T1, T2, T3, T4):
                found.of(team).check()
        finally:
            for process in processes:
                await process.kill()
            await store.close()


def _no_token_leaked(found: Branches) -> None:
    """Security 9: no bot has written a token down."""
    logged = "".join(process.log.read_text() for process in found.bots)
    assert found.grid.tokens
    for secret in (*found.grid.tokens, KEY):
        assert secret not in logged


@pytest_asyncio.fixture(loop_scope="session")
async def company(logs: Logs, redis_url: str, prefix: str, shape: Shape) -> AsyncIterator[Branches]:
    async with branches(logs, redis_url, prefix, shape) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def front_door(logs: Logs, redis_url: str, shape: Shape) -> AsyncIterator[Branches]:
    """For tests that only go to Slack's page and back; each takes another workspace, if it installs anything."""
    async with branches(logs, redis_url, f"e2e-front-door-{shape.name}", shape) as found:
        yield found


async def test_two_workspaces_with_equal_ids_never_meet(company: Branches) -> None:
    """Acceptance 29."""
    here, there = company.of(T1).room(), company.of(T2)
    there.slack.workspace.channels[here.channel] = replace(here.slack.workspace.channels[here.channel])
    twin = Room(there, here.channel)
    for team in (T1, T2):
        assert "Signoff is installed" in await company.install(team)

    mine, theirs = await here.started(ANA, "/deploy v1"), await twin.started(ANA, "/deploy v2")
    forged = twin.slack.as_seen(BEN, twin.channel, theirs.ts, mine.blocks or [])
    assert (await twin.press(BEN, theirs, "Ship", as_seen=forged)).ok
    await twin.told(BEN, "unknown here")
    assert (await here.press(BEN, mine, "Ship")).ok

    assert (await here.result()).text == "Shipped v1"
    assert await here.locked(mine)
    assert buttons(theirs)
    assert [run.tenant for run in await company.store.runs()] == [T2, T1]
    assert twin.posted("result") == []


async def test_an_installed_app_has_its_token_sealed(company: Branches) -> None:
    """Security 9."""
    await company.install(T1)

    kept = await company.kept()

    assert b"T1" in kept
    for token in company.grid.tokens:
        assert token.encode() not in kept


async def test_an_organisation_installs_it_for_all_its_workspaces(company: Branches) -> None:
    """Acceptance 29."""
    assert "E1 Inc." in await company.install(ORG)
    room, other = company.of(T3).room(), company.of(T4).room()

    prompt, second = await room.started(ANA, "/deploy v1"), await other.started(ANA, "/deploy v2")
    assert (await room.press(BEN, prompt, "Ship")).ok
    assert (await other.press(BEN, second, "Ship")).ok

    assert (await room.result()).text == "Shipped v1"
    assert (await other.result()).text == "Shipped v2"
    assert {run.tenant for run in await company.store.runs()} == {T3, T4}


async def test_a_click_while_redis_hangs_is_answered_in_time_though_it_is_asked_for_the_installation_first(
    company: Branches,
) -> None:
    """Adversarial 34."""
    await company.install(T1)
    room = company.of(T1).room()
    prompt = await room.started(ANA, "/deploy v1")
    await room.stage.idle()
    await room.stage.ask_redis(("CLIENT", "PAUSE", 4000, "ALL"))

    failed = await room.press(BEN, prompt, "Ship")
    note = await room.told(BEN)
    await until(company.bot.is_ready)
    await room.press(BEN, prompt, "Ship")

    assert failed.ok
    assert "could not be recorded for certain just now" in note
    assert (await room.result()).text == "Shipped v1"
    assert await room.times("answered", prompt) == 1


async def test_where_it_is_not_installed_people_are_told_so(company: Branches) -> None:
    """Security 2: a workspace nobody has installed the app in."""
    room = company.of(T2).room()

    refused = await room.command(ANA, "/deploy v1")

    assert refused.ok
    assert "not installed in this workspace" in (refused.shown or "")
    assert f"{company.bot.url}/slack/install" in (refused.shown or "")
    assert await company.store.runs() == []


async def test_uninstalling_deletes_the_tokens_and_closes_the_runs(company: Branches) -> None:
    """Acceptance 29."""
    room, elsewhere = company.of(T1).room(), company.of(T2).room()
    for team in (T1, T2):
        await company.install(team)
    prompt, theirs = await room.started(ANA, "/deploy v1"), await elsewhere.started(ANA, "/deploy v2")

    company.grid.uninstall(T1)
    await until(lambda: _is(company, prompt, "cancelled"))
    refused = await room.command(ANA, "/deploy v3")

    assert "not installed" in (refused.shown or "")
    assert b"of:T1" not in await company.kept()
    assert ("cancelled", "app_uninstalled") in [(line.what, line.by) for line in await room.journal(prompt)]
    assert (await elsewhere.press(BEN, theirs, "Ship")).ok
    assert (await elsewhere.result()).text == "Shipped v2"


async def test_a_workspace_that_its_organisation_takes_the_app_from_has_its_runs_closed(company: Branches) -> None:
    """Acceptance 29."""
    await company.install(ORG)
    room, other = company.of(T3).room(), company.of(T4).room()
    prompt, theirs = await room.started(ANA, "/deploy v1"), await other.started(ANA, "/deploy v2")

    company.grid.take_out(T3)

    await until(lambda: _is(company, prompt, "cancelled"))
    assert ("cancelled", "app_uninstalled") in [(line.what, line.by) for line in await room.journal(prompt)]
    assert (await other.press(BEN, theirs, "Ship")).ok
    assert (await other.result()).text == "Shipped v2"
    assert "E1 Inc." in await company.install(ORG)
    await company.of(T3).move_clock(400)
    assert (await room.command(ANA, "/deploy v3")).ok
    assert await room.locked(prompt)


async def test_installing_again_works_and_shows_what_was_closed(company: Branches) -> None:
    """Acceptance 29."""
    room = company.of(T1).room()
    await company.install(T1)
    old = await room.started(ANA, "/deploy v1")
    company.grid.uninstall(T1)
    await until(lambda: _is(company, old, "cancelled"))

    await company.install(T1)
    await company.of(T1).move_clock(400)
    new = await room.command(ANA, "/deploy v2")

    assert new.ok
    assert await room.locked(old)
    prompt = await room.prompt(2)
    assert (await room.press(BEN, prompt, "Ship")).ok
    await room.see(lambda: any(message.text == "Shipped v2" for message in room.posted("result")))


async def test_a_late_word_of_an_old_uninstall_changes_nothing(company: Branches) -> None:
    """Adversarial 48: installed again before Slack's event arrived."""
    room = company.of(T1).room()
    await company.install(T1)

    company.grid[T1].send_event({"type": "app_uninstalled", "event_ts": "1700000000.000001"})
    await company.grid[T1].settled()

    prompt = await room.started(ANA, "/deploy v1")
    assert buttons(prompt)


@pytest.mark.parametrize("how", ["revoked", "not accepted"])
async def test_a_run_whose_token_was_revoked_goes_on_after_a_new_installation(company: Branches, how: str) -> None:
    """Adversarial 48."""
    room = company.of(T1).room()
    await company.install(T1)
    prompt = await room.started(ANA, "/deploy v1")
    company.grid.end_tokens(T1, "token_revoked")
    if how == "revoked":
        company.grid[T1].send_event({"type": "tokens_revoked", "tokens": {"oauth": [], "bot": ["U0BOT"]}})
        await company.grid[T1].settled()
    else:
        assert (await room.press(BEN, prompt, "Ship")).ok
        await room.told(BEN, "could not be checked")
        assert (await room.command(ANA, "/deploy v2")).ok
        await until(lambda: _held_back(company))
    assert not await _is(company, prompt, "done")

    await company.install(T1)
    await company.of(T1).move_clock(400)
    assert (await room.press(BEN, prompt, "Ship")).ok
    if how == "not accepted":
        assert "v2" in shown(await room.prompt(2))

    assert (await room.result()).text == "Shipped v1"
    assert await room.locked(prompt)


async def test_two_workers_refresh_an_ended_token_once(logs: Logs, redis_url: str, prefix: str, shape: Shape) -> None:
    """Acceptance 30."""
    async with branches(logs, redis_url, prefix, replace(shape, workers=2), rotates=True) as found:
        await found.install(T1)
        rooms = [found.of(T1).room() for _ in range(6)]
        found.grid.end_tokens(T1, "token_expired")

        async with asyncio.TaskGroup() as tasks:
            for room in rooms:
                tasks.create_task(room.started(ANA, "/deploy v1"))

        assert found.grid.refreshed == {T1: 1}


async def test_tokens_are_refreshed_before_they_end(logs: Logs, redis_url: str, prefix: str, shape: Shape) -> None:
    """Acceptance 30."""
    async with branches(logs, redis_url, prefix, replace(shape, workers=2), rotates=True) as found:
        found.grid.life_s = 2
        await found.install(T1)
        found.grid.life_s = 12 * 3600

        await until(lambda: _now(found.grid.refreshed[T1] > 0))
        found.grid.end_tokens_before_last(T1, "token_expired")

        assert (await found.of(T1).room().started(ANA, "/deploy v1")).blocks
        assert found.grid.refreshed == {T1: 1}


# --- looking after them ------------------------------------------------------------------------------


async def test_an_operator_sees_where_it_is_installed_and_takes_it_away(company: Branches) -> None:
    room = company.of(T1).room()
    for owner in (T1, ORG):
        await company.install(owner)
    prompt = await room.started(ANA, "/deploy v1")

    listed = [json.loads(line) for line in (await company.operator("installs", "list", "--json")).splitlines()]
    removed = await company.operator("installs", "remove", T1)

    assert [(made["install"], made["name"], made["state"]) for made in listed] == [
        (ORG, "E1 Inc.", "ok"),
        (T1, "Acme", "ok"),
    ]
    assert removed == "T1 is removed; a worker closes its runs\n"
    await until(lambda: _is(company, prompt, "cancelled"))
    assert "E1" in await company.operator("installs", "list")
    assert b"of:T1" not in await company.kept()


async def test_the_doctor_tells_which_token_is_not_accepted(company: Branches) -> None:
    empty = await company.operator("doctor")
    await company.install(T1)
    well = await company.operator("doctor")
    company.grid.end_tokens(T1, "token_revoked")
    await company.of(T1).room().command(ANA, "/deploy v1")
    await until(lambda: _refused(company, "token_revoked"))

    assert f"installations: none yet; open {company.bot.url}/slack/install" in empty
    assert "ok    installations: 1" in well
    assert "does not accept the token of 1, as of T1" in await company.operator("doctor")


# --- on the way to Slack and back -----------------------------------------------------------------


async def test_the_way_to_slack_names_scopes_and_binds_the_browser(front_door: Branches) -> None:
    """Security 10."""
    async with Browser(front_door) as browser:
        to = urlsplit(await browser.begin())

    asked = {name: values[0] for name, values in parse_qs(to.query).items()}
    assert set(asked) == {"client_id", "scope", "state", "redirect_uri"}
    assert asked["redirect_uri"] == f"{front_door.bot.url}/slack/oauth_redirect"
    assert "chat:write" in asked["scope"].split(",")
    assert "HttpOnly" in browser.cookie
    assert "SameSite=Lax" in browser.cookie
    assert asked["state"] not in browser.cookie


async def test_who_says_no_reads_that_nothing_has_changed(front_door: Branches) -> None:
    before = await front_door.names()

    async with Browser(front_door) as browser:
        status, page = await browser.install("")

    assert status == 200
    assert "You did not allow it" in page
    assert await front_door.names() == before


async def test_a_way_back_is_good_once(front_door: Branches) -> None:
    """Security 10."""
    async with Browser(front_door) as browser:
        back = await browser.decide(await browser.begin(), T2)
        first, second = await browser.come_back(back), await browser.come_back(back)

    assert (first[0], second[0]) == (200, 400)
    assert "was opened before" in second[1]


async def test_a_way_back_is_good_for_ten_minutes(front_door: Branches) -> None:
    """Security 10."""
    before = await front_door.names()

    async with Browser(front_door) as browser:
        back = await browser.decide(await browser.begin(), T1)
        (key,) = set(await front_door.names()) - {*before}
        assert 590 < await front_door.store.server.read("TTL", key) <= 600
        await front_door.store.server.read("DEL", key)  # as time does
        status, page = await browser.come_back(back)

    assert status == 400
    assert "more than ten minutes" in page


async def test_a_way_back_is_good_in_the_browser_that_began(front_door: Branches) -> None:
    """Security 10."""
    async with Browser(front_door) as mine, Browser(front_door) as theirs:
        back = await mine.decide(await mine.begin(), T1)
        await theirs.begin()
        status, page = await theirs.come_back(back)
        again = await mine.come_back(back)

    assert status == 400
    assert "begun in another browser" in page
    assert again[0] == 400  # who tried with another browser has spent it
    assert b"of:T1" not in await front_door.kept()


@pytest.mark.parametrize("query", ["", "?state=a", "?state=%00&code=b", "?code=1.2", f"?state={'A' * 43}&code=c"])
async def test_a_made_up_way_back_leads_nowhere(front_door: Branches, query: str) -> None:
    """Security 10."""
    async with Browser(front_door) as browser:
        status, page = await browser.come_back(f"{front_door.bot.url}/slack/oauth_redirect{query}")

    assert status == 400
    assert "Please begin again" in page


async def test_what_slack_refuses_is_said_without_its_secrets(front_door: Branches) -> None:
    async with Browser(front_door) as browser:
        back = await browser.decide(await browser.begin(), T1)
        status, page = await browser.come_back(back.replace("code=", "code=9"))

    assert status == 502
    assert "invalid_code" in page
    for secret in front_door.grid.tokens:
        assert secret not in page


async def test_one_address_cannot_flood_the_way_to_slack(company: Branches) -> None:
    """Security 11."""
    answers = []
    async with Browser(company) as browser:
        for _ in range(VISITS_AT_ONCE + 10):
            async with browser.http.get(f"{company.bot.url}/slack/install", allow_redirects=False) as answer:
                answers.append((answer.status, "Retry-After" in answer.headers))

    states = [name for name in await company.names() if "state:" in name]
    assert answers[:VISITS_AT_ONCE] == [(302, False)] * VISITS_AT_ONCE
    assert answers[-1] == (429, True)
    assert VISITS_AT_ONCE <= len(states) < VISITS_AT_ONCE + 10


async def _is(found: Branches, message: Message, status: str) -> bool:
    run = await found.store.run(run_of(message))
    return run is not None and run.status == status


async def _held_back(found: Branches) -> bool:
    """Whether the journal of the newest run says that a message of it is."""
    run = (await found.store.runs(limit=1))[0]
    return any(line.what == "held back" for line in await found.store.journal(run.run_id))


async def _refused(found: Branches, reason: str) -> bool:
    return reason in await found.operator("installs", "list")


async def _now(claim: bool) -> bool:
    return claim
