"""``signoff doctor``: what it finds, and what it tells people to do."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from bot.manifest import build
from bot.operations.doctor import Finding, examine
from bot.playground import AppConfig, FakeSlack
from bot.settings import load
from engine import Context, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.keyring import PLAIN, Keyring, new_key
from engine.redis import RedisRunStore
from engine.run_store import Commit, NewRun
from engine.runner import Runner
from engine.sealed_store import SealedRunStore
from tests import servers
from tests.e2e.process import signoff

WORKFLOWS = Path(__file__).parents[3] / "workflows"
KEY, OTHER = new_key(), new_key()
SCOPES = frozenset(build([])["oauth_config"]["scopes"]["bot"])


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(AppConfig(signing_secret="s", scopes=SCOPES)) as slack:
        yield slack


async def examined(
    slack: FakeSlack, redis_url: str, looking: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Finding]:
    given: dict[str, Any] = {
        "bot_token": slack.app.bot_token,
        "signing_secret": "s",
        "api_base_url": slack.api_base_url,
        "redis_url": redis_url,
        "workflows": WORKFLOWS,
        "lanes": 2,
    }
    return {finding.what: finding for finding in await examine(load(None, **given | changes), **looking or {})}


@asynccontextmanager
async def kept(url: str, prefix: str, *keys: str) -> AsyncIterator[tuple[RedisRunStore, Runner]]:
    """A store as the bot has it, and what keeps runs there."""
    store = RedisRunStore.from_url(url, prefix=prefix, lanes=2)
    try:
        yield store, Runner(SealedRunStore(store, Keyring(keys)), [Asking()])
    finally:
        await store.close()


class Asking(Workflow):
    @step
    async def ask(self, ctx: Context, ev: StartEvent) -> InputRequiredEvent:
        await ctx.store.set("text", "hello")
        return InputRequiredEvent(prefix="Well?")

    @step
    async def end(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent()


async def test_all_is_well_where_everything_is_in_place(slack: FakeSlack, redis_url: str) -> None:
    found = await examined(slack, redis_url)

    assert [str(finding) for finding in found.values() if not finding.well] == []
    assert {finding.what for finding in found.values() if finding.level == "warn"} == {"Redis appendfsync"}
    assert [str(finding).split(":")[0] for finding in found.values()] == [
        "ok    workflows",
        "ok    Redis",
        "ok    Redis appendonly",
        "warn  Redis appendfsync",
        "ok    Redis maxmemory-policy",
        "ok    Redis memory",
        "ok    clocks",
        "ok    Redis writes",
        "ok    encryption",
        "ok    parked runs",
        "ok    work",
        "ok    Slack",
        "ok    Slack scopes",
    ]


@pytest.mark.parametrize("kind", ["cluster", "sentinel"])
async def test_every_kind_of_redis_is_looked_at(
    slack: FakeSlack, request: pytest.FixtureRequest, tmp_path: Path, prefix: str, kind: str
) -> None:
    with contextlib.ExitStack() as stack:
        if kind == "cluster":
            url = request.getfixturevalue("cluster_url")
        else:
            url, _, _ = stack.enter_context(servers.watched(tmp_path))

        found = await examined(slack, url, key_prefix=prefix, durability="local" if kind == "cluster" else "replica")

    assert [str(finding) for finding in found.values() if not finding.well] == []
    assert ("Redis replicas" in found) == (kind == "sentinel")


async def test_a_redis_that_may_lose_runs_is_told_to_change(slack: FakeSlack, tmp_path: Path) -> None:
    risky = ("--appendonly", "no", "--appendfsync", "no", "--maxmemory", "1mb", "--maxmemory-policy", "allkeys-lru")
    with servers.server(tmp_path, *risky) as server:
        found = await examined(slack, server.url, durability="replica")

    wrong = {finding.what.removeprefix("Redis "): finding.told for finding in found.values() if not finding.well}
    assert wrong == {
        "appendonly": "no; set it to yes, or a restart of Redis loses every waiting run",
        "appendfsync": "no; set it to always, or answers of the last half minute may be lost",
        "maxmemory-policy": "allkeys-lru; set it to noeviction, or a full Redis drops runs without a word",
        "memory": wrong["memory"],
        "writes": wrong["writes"],
        "replicas": "none connected, so that nothing counts as recorded; start one, or set SIGNOFF_DURABILITY=local",
    }
    assert "when it is full, no command and no answer is recorded" in wrong["memory"]
    assert "give it more memory, or remove runs that are over" in wrong["writes"]


async def test_a_redis_that_takes_no_writes_is_told_why_and_what_it_keeps_is_looked_at_all_the_same(
    slack: FakeSlack, tmp_path: Path
) -> None:
    with servers.server(tmp_path, port=0) as server, server.client() as client:
        client.replicaof("127.0.0.1", "1")
        found = await examined(slack, server.url)

    assert [finding.what for finding in found.values() if not finding.well] == ["Redis writes"]
    assert "READONLY" in found["Redis writes"].told
    assert "name its master, not this replica" in found["Redis writes"].told
    assert found["parked runs"].well


async def test_what_a_user_may_not_ask_is_told(slack: FakeSlack, tmp_path: Path) -> None:
    with servers.server(tmp_path, port=0) as server, server.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "-config")
        without_config = await examined(slack, server.url)
        client.execute_command("ACL", "SETUSER", "default", "-info")
        without_info = await examined(slack, server.url)

    assert without_config["Redis appendfsync"].level == "warn"
    assert "does not tell" in without_config["Redis appendfsync"].told
    assert "allow its user INFO" in without_info["Redis"].told


@pytest.mark.parametrize(("ahead_s", "level"), [(0.5, "ok"), (-0.5, "ok"), (2, "warn"), (-2, "warn")])
async def test_clocks_that_differ_are_told(slack: FakeSlack, redis_url: str, ahead_s: float, level: str) -> None:
    found = await examined(slack, redis_url, {"clock": lambda: time.time() - ahead_s})

    assert found["clocks"].level == level
    assert ("ahead of" if ahead_s > 0 else "behind") in found["clocks"].told


@pytest.mark.parametrize(
    ("kept_with", "given", "level", "told"),
    [
        (PLAIN, PLAIN, "ok", "off; `signoff key` makes a key"),
        (KEY, KEY, "ok", "on; runs read: 1"),
        (KEY, f"{KEY},{PLAIN}", "ok", "take ,plain away when no run is left from before; runs read: 1"),
        (KEY, PLAIN, "fail", "which is not here; add it to SIGNOFF_ENCRYPTION_KEYS"),
        (KEY, OTHER, "fail", "which is not here; add it to SIGNOFF_ENCRYPTION_KEYS"),
        (PLAIN, KEY, "fail", "is not encrypted, and SIGNOFF_ENCRYPTION_KEYS says that everything is; add ,plain"),
    ],
    ids=["off", "on", "both", "no key", "another key", "only a key"],
)
async def test_keys_are_tried_on_what_is_there(
    slack: FakeSlack, redis_url: str, prefix: str, kept_with: str, given: str, level: str, told: str
) -> None:
    async with kept(redis_url, prefix, kept_with) as (_, runner):
        await runner.drain(await runner.start(Asking()))

    found = await examined(slack, redis_url, key_prefix=prefix, encryption_keys=given)

    assert found["encryption"].level == level
    assert told in found["encryption"].told
    assert not any(key in found["encryption"].told for key in (KEY, OTHER))


async def test_parked_runs_are_counted_and_one_is_named(slack: FakeSlack, redis_url: str, prefix: str) -> None:
    async with kept(redis_url, prefix, PLAIN) as (store, _):
        run = NewRun(store.new_run_id(), "Asking", "r1", b"start")
        _, claim = await store.start(run, worker="w", lease_s=30)
        assert claim is not None
        await store.commit(claim, Commit("parked", note="too new"))

    found = await examined(slack, redis_url, key_prefix=prefix)

    assert found["parked runs"].level == "warn"
    assert found["parked runs"].told.startswith("1; see")
    assert run.run_id in found["parked runs"].told


async def test_work_that_nobody_does_is_told(slack: FakeSlack, redis_url: str, prefix: str) -> None:
    async with kept(redis_url, prefix, PLAIN) as (store, runner):
        for lane in range(2):
            await store.server.read("SET", f"{prefix}:{{{lane}}}:skew", -100)
        await runner.start(Asking())

    found = await examined(slack, redis_url, key_prefix=prefix)

    assert not found["work"].well
    assert found["work"].told.startswith("something has been due for 100 s; start `signoff worker`")


async def test_only_a_thorough_look_reads_every_key(
    slack: FakeSlack, redis_url: str, redis: Redis, prefix: str
) -> None:
    await redis.set(f"{prefix}:{{0}}:r:k0-gone:state", "lost")

    brief = await examined(slack, redis_url, key_prefix=prefix)
    found = await examined(slack, redis_url, {"thorough": True}, key_prefix=prefix)

    assert "leftovers" not in brief
    assert found["leftovers"].told.startswith("keys that would stay for ever: 1, such as")


async def test_an_app_token_that_slack_refuses_is_told(slack: FakeSlack, redis_url: str) -> None:
    found = await examined(slack, redis_url, app_token="xapp-wrong")

    assert "SLACK_APP_TOKEN" in found["Slack"].told


@pytest.mark.parametrize(("token", "code"), [("xoxb-wrong", 1), (None, 0)])
async def test_the_command_says_by_its_exit_code_whether_anything_must_be_repaired(
    slack: FakeSlack, redis_url: str, prefix: str, tmp_path: Path, token: str | None, code: int
) -> None:
    given = {
        "SLACK_BOT_TOKEN": token or slack.app.bot_token,
        "SLACK_SIGNING_SECRET": "s",
        "SLACK_API_BASE_URL": slack.api_base_url,
        "REDIS_URL": redis_url,
        "SIGNOFF_KEY_PREFIX": prefix,
        "SIGNOFF_WORKFLOWS": str(WORKFLOWS),
    }

    ended = await signoff(given, tmp_path, "doctor", "--json")

    told = json.loads(ended.stdout)
    assert ended.code == code
    assert told["well"] == (code == 0)
    assert {"level": "ok", "what": "parked runs", "told": "none"} in told["findings"]


async def test_a_redis_that_is_away_is_named_with_what_to_do(slack: FakeSlack) -> None:
    found = await examined(slack, "redis://127.0.0.1:1/0")

    assert not found["Redis"].well
    assert "REDIS_URL" in found["Redis"].told


async def test_a_token_that_slack_refuses_is_told(slack: FakeSlack, redis_url: str) -> None:
    found = await examined(slack, redis_url, bot_token="xoxb-wrong")

    assert not found["Slack"].well
    assert "SLACK_BOT_TOKEN" in found["Slack"].told


async def test_missing_scopes_are_listed(redis_url: str) -> None:
    async with FakeSlack(AppConfig(signing_secret="s", scopes=SCOPES - {"chat:write"})) as slack:
        found = await examined(slack, redis_url)

    assert not found["Slack scopes"].well
    assert "chat:write" in found["Slack scopes"].told


async def test_a_broken_workflow_file_is_told(slack: FakeSlack, redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def", "utf-8")

    found = await examined(slack, redis_url, workflows=tmp_path)

    assert not found["workflows"].well
    assert "broken.py:1" in found["workflows"].told
