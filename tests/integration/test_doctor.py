"""``signoff doctor``: what it finds, and what it tells people to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.doctor import Finding, examine
from bot.manifest import build
from bot.playground import AppConfig, FakeSlack
from bot.settings import load

WORKFLOWS = Path(__file__).parents[2] / "workflows"
SCOPES = frozenset(build([])["oauth_config"]["scopes"]["bot"])


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(AppConfig(signing_secret="s", scopes=SCOPES)) as slack:
        yield slack


async def examined(slack: FakeSlack, redis_url: str, **changes: Any) -> dict[str, Finding]:
    given: dict[str, Any] = {
        "bot_token": slack.app.bot_token,
        "signing_secret": "s",
        "api_base_url": slack.api_base_url,
        "redis_url": redis_url,
        "workflows": WORKFLOWS,
    }
    return {finding.what: finding for finding in await examine(load(None, **given | changes))}


async def test_all_is_well_where_everything_is_in_place(slack: FakeSlack, redis_url: str) -> None:
    found = await examined(slack, redis_url)

    assert [str(finding) for finding in found.values() if not finding.well] == []
    assert {"workflows", "Redis", "Redis appendonly", "Slack", "Slack scopes"} <= set(found)


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
