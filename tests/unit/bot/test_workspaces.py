"""Which client speaks to which workspace."""

from __future__ import annotations

from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.workspaces import NotInstalled, OneWorkspace


async def test_one_workspace_has_one_client_for_whoever_asks() -> None:
    client = AsyncWebClient(token="xoxb-only")
    workspaces = OneWorkspace(client)

    assert await workspaces.client("T1") is await workspaces.client("") is workspaces.app is client


def test_a_workspace_that_is_not_installed_is_named() -> None:
    error = NotInstalled("T9")

    assert error.tenant == "T9"
    assert "T9" in str(error)
    assert isinstance(error, SlackClientError)  # who calls Slack takes it as a call that did not succeed
