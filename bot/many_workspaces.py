"""What an app has that many workspaces may install, and one of a single workspace has not."""

from __future__ import annotations

from slack_sdk.web.async_client import AsyncWebClient

from bot.background import Spawn
from bot.installs.grants import AppAtSlack
from bot.installs.oauth import INSTALL, OAuth
from bot.installs.workspaces import InstalledWorkspaces
from bot.languages import CATALOGUES
from bot.listeners.tenancy import Tenancy
from bot.manifest import scopes
from bot.settings import Settings
from bot.slack.telling import Telling
from bot.stores import installs_of
from engine.runner import Runner


class ManyWorkspaces:
    """Where the app is installed, and the ways to install it and to leave."""

    def __init__(self, settings: Settings, app: AsyncWebClient) -> None:
        """*settings* are of `Settings.many_workspaces`; *app* is a client without a token. Nothing is connected yet."""
        secret = settings.client_secret
        assert secret is not None
        self._words = CATALOGUES[settings.language]
        self._install_url = settings.public_url + INSTALL
        self.installs = installs_of(settings)
        at_slack = AppAtSlack(app, settings.client_id, secret)
        self.workspaces = InstalledWorkspaces(self.installs, at_slack)
        self.oauth = OAuth(
            self.installs,
            at_slack,
            authorize_url=settings.authorize_url,
            public_url=settings.public_url,
            scopes=scopes(thread_replies=settings.thread_replies),
            words=self._words,
        )

    def tenancy(self, runner: Runner, telling: Telling, spawn: Spawn) -> Tenancy:
        """Return who keeps the workspaces apart; *spawn* takes what may go on after an acknowledgement."""
        return Tenancy(
            self.workspaces,
            self.installs,
            runner,
            telling,
            spawn,
            install_url=self._install_url,
            words=self._words,
        )
