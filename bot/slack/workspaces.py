"""Which client speaks to which Slack workspace. Who calls Slack asks here each time and keeps none."""

from __future__ import annotations

from typing import Protocol

from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient


class NoClient(SlackClientError):
    """There is no client for a workspace now; the message says why."""


class NotInstalled(NoClient):
    """The app is not installed in a workspace, or not any more, or its token is not accepted there."""

    def __init__(self, tenant: str, why: str = "the app is not installed there") -> None:
        super().__init__(f"workspace {tenant or 'without an id'} cannot be reached: {why}; install it again")
        self.tenant = tenant


class Workspaces(Protocol):
    """The workspaces that the app is installed in."""

    @property
    def app(self) -> AsyncWebClient:
        """The client for what concerns no workspace; it may have no token. Its session serves all the others."""

    async def client(self, tenant: str) -> AsyncWebClient:
        """Return the client for one workspace, by the id of its team or, where there is none, of its organisation.

        Raises:
            NotInstalled: the app is not installed there.
            NoClient: it cannot be told for now.
        """


class OneWorkspace:
    """The only workspace there is: whichever is asked for, it is this one."""

    def __init__(self, client: AsyncWebClient) -> None:
        self.app = client

    async def client(self, tenant: str) -> AsyncWebClient:
        return self.app
