"""Installations in a real Redis, and the tokens in them that end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.installs import workspaces
from bot.installs.grants import AppAtSlack
from bot.installs.store import Installation, InstallStore
from bot.installs.workspaces import InstalledWorkspaces
from bot.playground import AppConfig
from bot.playground.grid import Grid
from bot.slack.workspaces import NoClient, NotInstalled
from engine.errors import CodecError, StoreUnavailable
from engine.keyring import Keyring, new_key
from engine.redis.connections import connections_to
from engine.redis.scripts import Server

KEY = new_key()
MADE = Installation(
    "T1", "Acme", "", "", False, "U0BOT", ("chat:write",), "U1", "xoxe.xoxb-1", "xoxe-1", 2_000_000_000.0, 1e9
)


@dataclass
class Office:
    """What several processes share: Slack and Redis; and a clock that they go by."""

    url: str
    prefix: str
    grid: Grid
    now: float = 1_800_000_000.0
    opened: list[InstallStore] = field(default_factory=list)

    def store(self, key: str = KEY) -> InstallStore:
        """A connection of its own to the installations."""
        server = Server(connections_to(self.url, 5.0))
        self.opened.append(InstallStore(server, self.prefix, Keyring([key])))
        return self.opened[-1]

    def process(self, key: str = KEY) -> InstalledWorkspaces:
        """One more process."""
        return InstalledWorkspaces(self.store(key), self.at_slack())

    def at_slack(self) -> AppAtSlack:
        app = AsyncWebClient(base_url=self.grid.api_base_url, timeout=5, retry_handlers=[])
        return AppAtSlack(app, self.grid.client_id, SecretStr(self.grid.client_secret), lambda: self.now)

    async def install(self, owner: str) -> Installation:
        """Install the app and keep that, as the web page does."""
        await self.store().save(await self.at_slack().installed(self.grid.allow(owner)))
        found = await self.store().find(owner)
        assert found is not None
        return found


@asynccontextmanager
async def office(url: str, prefix: str) -> AsyncIterator[Office]:
    async with Grid(AppConfig(signing_secret="unused"), ["T1", "T2", "T3"], orgs={"E1": ["T3"]}, rotates=True) as grid:
        found = Office(url, prefix, grid)
        try:
            yield found
        finally:
            for store in found.opened:
                await store.close()


@pytest.fixture
async def here(redis_url: str, prefix: str) -> AsyncIterator[Office]:
    async with office(redis_url, prefix) as found:
        yield found


async def who(client: AsyncWebClient) -> str:
    return str((await client.auth_test())["team_id"])


async def test_an_installation_is_found_as_it_was_saved(here: Office) -> None:
    await here.store().save(MADE)

    found = await here.store().find("T1")

    assert found is not None
    assert replace(found, version=0, installed_at=0.0) == MADE
    assert await here.store().all() == [found]


async def test_no_token_shows_in_its_repr() -> None:
    """Security 9."""
    assert "xox" not in repr(MADE)


async def test_without_its_key_an_installation_is_not_read(here: Office) -> None:
    await here.store().save(MADE)

    with pytest.raises(CodecError, match="which is not here"):
        await here.store(new_key()).find("T1")
    with pytest.raises(NoClient, match="which is not here"):
        await here.process(new_key()).client("T1")


async def test_all_of_it_works_in_a_cluster(cluster_url: str, prefix: str) -> None:
    async with office(cluster_url, prefix) as here:
        await here.install("E1")
        process = here.process()
        speaker = await process.speaker("T3", "E1", org_wide=True)

        assert speaker is not None
        assert await who(await process.client("T3")) == "T3"
        assert await here.store().remove("E1", at=4e9)
        assert {await closing_of(here), await closing_of(here)} == {"E1", "T3"}


async def closing_of(here: Office) -> str:
    closing = await here.store().closing()
    assert closing is not None
    await here.store().closed(*closing)
    return closing[0]


async def test_a_client_is_the_workspaces_own(here: Office) -> None:
    for team in ("T1", "T2"):
        await here.install(team)
    process = here.process()

    assert [await who(await process.client(team)) for team in ("T1", "T2")] == ["T1", "T2"]
    with pytest.raises(NotInstalled, match="T3"):
        await process.client("T3")


async def test_many_processes_refresh_an_ended_token_once(here: Office) -> None:
    """Acceptance 30."""
    old = await here.install("T1")
    here.now += here.grid.life_s
    here.grid.end_tokens("T1", "token_expired")

    async with asyncio.TaskGroup() as tasks:
        clients = [tasks.create_task(here.process().client("T1")) for _ in range(12)]

    tokens = {task.result().token for task in clients}
    assert here.grid.refreshed == {"T1": 1}
    assert len(tokens) == 1
    assert old.bot_token not in tokens
    assert await who(clients[0].result()) == "T1"


class ForgetfulStore(InstallStore):
    """Installations in a Redis that does not take the first refreshed tokens."""

    failures = 2

    async def save(self, new: Installation, *, owner: str = "") -> bool:
        if owner and self.failures:
            self.failures -= 1
            raise StoreUnavailable("away")
        return await super().save(new, owner=owner)


async def test_refreshed_tokens_are_not_lost_while_redis_is_away(here: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Security 9."""
    monkeypatch.setattr(workspaces, "SAVE_AGAIN_S", 0.01)
    old = await here.install("T1")
    here.now += here.grid.life_s
    process = here.process()
    store = here.store()
    process._installs = ForgetfulStore(store._server, here.prefix, Keyring([KEY]))

    client = await process.client("T1")

    found = await store.find("T1")
    assert found is not None
    assert old.bot_token != found.bot_token == client.token
    assert here.grid.refreshed == {"T1": 1}


async def test_a_call_with_an_ended_token_is_made_again_with_a_new_one(here: Office) -> None:
    await here.install("T1")
    clients = [await here.process().client("T1") for _ in range(5)]
    here.grid.end_tokens("T1", "token_expired")

    async with asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(who(client)) for client in clients]

    assert {call.result() for call in calls} == {"T1"}
    assert here.grid.refreshed == {"T1": 1}


async def test_tokens_are_refreshed_two_hours_before_they_end(here: Office) -> None:
    """Acceptance 30."""
    await here.install("T1")
    one, other = here.process(), here.process()

    here.now += here.grid.life_s - 2 * 3600 - 1
    await one.refresh_due()
    too_early = here.grid.refreshed["T1"]
    here.now += 2
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(one.refresh_due())
        tasks.create_task(other.refresh_due())
    await one.refresh_due()

    assert (too_early, here.grid.refreshed["T1"]) == (0, 1)


async def test_a_refresh_that_is_overtaken_by_a_new_installation_is_not_kept(here: Office) -> None:
    old = await here.install("T1")
    store = here.store()
    assert await store.begin_refresh(old, "slow") == "ours"

    new = await here.install("T1")

    assert not await store.save(replace(old, bot_token="xoxe.xoxb-late"), owner="slow")
    assert await store.find("T1") == new
    assert await store.begin_refresh(old, "slow") == "moved"


async def test_a_refresh_that_slack_refuses_leaves_what_there_is(here: Office) -> None:
    old = await here.install("T1")
    here.grid.forget_refreshes()
    process = here.process()
    here.now += here.grid.life_s - 3600

    await process.refresh_due()

    assert (await process.client("T1")).token == old.bot_token
    here.now += 3600
    with pytest.raises(NotInstalled, match="invalid_refresh_token"):
        await process.client("T1")
    with pytest.raises(NotInstalled, match="invalid_refresh_token"):
        await process.client("T1")  # known now, without another call
    assert (await here.install("T1")).refused == ""
    assert await who(await process.client("T1")) == "T1"


async def test_a_refresh_that_cannot_be_read_is_put_off_and_stops_nothing(here: Office) -> None:
    old = await here.install("T1")
    process = here.process()
    here.now += here.grid.life_s - 3600

    async def odd(request: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    app = web.Application()
    app.router.add_post("/oauth.v2.access", odd)
    async with TestServer(app) as server:
        process.app.base_url = str(server.make_url("/"))
        await process.refresh_due()

    assert await here.store().due(here.now) == []
    assert await here.store().begin_refresh(old, "next") == "ours"


async def test_a_token_that_is_not_accepted_is_left_alone_for_a_while(here: Office) -> None:
    await here.install("T1")
    process = here.process()
    client = await process.client("T1")
    here.grid.end_tokens("T1", "invalid_auth")

    with pytest.raises(NotInstalled, match="invalid_auth"):
        await client.auth_test()
    found = await here.store().find("T1")

    assert found is not None
    assert (found.refused, bool(found.bot_token)) == ("invalid_auth", True)


async def test_other_errors_are_the_callers(here: Office) -> None:
    await here.install("T1")
    client = await here.process().client("T1")

    with pytest.raises(SlackApiError, match="channel_not_found"):
        await client.chat_postMessage(channel="C99", text="hello")


async def test_only_the_organisation_that_speaks_for_a_team_can_leave_it(here: Office) -> None:
    store = here.store()
    await here.install("T1")
    await store.speak_for("T3", "E1")
    await store.speak_for("T1", "E1")

    assert not await store.leave("T3", "E2", 4e9)
    assert not await store.leave("T9", "E1", 4e9)
    assert await store.closing() is None
    assert await store.leave("T1", "E1", 1_700_000_000.0)
    assert await store.closing() is None  # it has an installation of its own
    assert await store.leave("T3", "E1", 1_700_000_000.0)
    assert await store.closing() == ("T3", 1_700_000_001.0)


@pytest.mark.parametrize(("at", "gone"), [(0.0, False), (4e9, True)])
async def test_only_an_event_that_is_not_older_than_the_installation_ends_it(
    here: Office, at: float, gone: bool
) -> None:
    await here.install("T1")

    assert await here.store().revoke("T1", at) == gone
    assert await here.store().remove("T1", at) == gone
    assert (await here.store().find("T1") is None) == gone
