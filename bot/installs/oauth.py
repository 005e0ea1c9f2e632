"""Installing the app in a workspace: to Slack's page and back, and what the person there reads.

``/slack/install`` sends a browser to Slack with a state that only that browser can bring back, once and
within ten minutes; ``/slack/oauth_redirect`` trades what it brings for a token and stores that, sealed.
"""

from __future__ import annotations

import html
import logging
import math
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.typedefs import Handler
from slack_sdk.errors import SlackApiError

from bot.installs.grants import AppAtSlack, UnreadableGrant
from bot.installs.store import STATE_S, Installation, InstallStore, same_browser
from bot.languages import Catalogue
from bot.slack.calls import UNCLEAR, code
from bot.transport.limits import Allowance
from engine.errors import StoreUnavailable

logger = logging.getLogger(__name__)

INSTALL, REDIRECT = "/slack/install", "/slack/oauth_redirect"
VISITS_PER_MINUTE, VISITS_AT_ONCE = 60, 100
"""Of one address: a proxy has one for all, and each visit leaves a state in Redis for `STATE_S`."""
_RANDOM = re.compile(r"[A-Za-z0-9_-]{43}")
_CODE = re.compile(r"[\w.-]{1,512}")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGE = """<!DOCTYPE html>
<html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;
padding:0 1rem;color:#1d1c1d;background:#fff}}h1{{font-size:1.5rem}}a{{color:#1264a3}}</style></head>
<body><main><h1>{title}</h1><p>{text}</p>{more}</main></body></html>
"""


class _NotDone(Exception):
    """The app was not installed: *text* says to a person what has happened, *reason* to the log."""

    def __init__(self, status: int, text: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.text = text
        self.reason = reason


class OAuth:
    """The two addresses."""

    def __init__(
        self,
        installs: InstallStore,
        at_slack: AppAtSlack,
        *,
        authorize_url: str,
        public_url: str,
        scopes: Sequence[str],
        words: Catalogue,
    ) -> None:
        """*public_url* is where browsers reach us."""
        self._installs = installs
        self._at_slack = at_slack
        self._authorize_url = authorize_url
        self._redirect_uri = public_url + REDIRECT
        self._scopes = ",".join(scopes)
        self._words = words
        self._visits = Allowance[str](VISITS_PER_MINUTE, VISITS_AT_ONCE)
        self._secure = public_url.startswith("https://")
        # Browsers take a cookie of that prefix only over TLS, for the whole host, and from nobody else.
        self._cookie = "__Host-signoff-install" if self._secure else "signoff-install"

    def routes(self) -> list[web.RouteDef]:
        pages = ((INSTALL, self._begin), (REDIRECT, self._end))
        return [web.get(path, self._paced(page), allow_head=False) for path, page in pages]

    def _paced(self, page: Handler) -> Handler:
        """Return a page that answers so many visits of one address, and of more only that they are too many."""

        async def paced(request: web.Request) -> web.StreamResponse:
            wait_s = self._visits.take(request.remote or "", time.monotonic())
            if not wait_s:
                return await page(request)
            answer = self._page(429, self._words.not_installed_title, self._words.install_too_often)
            answer.headers["Retry-After"] = str(math.ceil(wait_s))
            return answer

        return paced

    async def _begin(self, request: web.Request) -> web.Response:
        state, browser = secrets.token_urlsafe(32), request.cookies.get(self._cookie, "")
        if _RANDOM.fullmatch(browser) is None:  # one that is there stays: it may be on its way in another tab, too
            browser = secrets.token_urlsafe(32)
        try:
            await self._installs.expect(state, browser)
        except StoreUnavailable as error:
            return self._not_done(_NotDone(503, self._words.install_later, str(error)))
        asked = {"client_id": self._at_slack.client_id, "scope": self._scopes, "state": state}
        to = f"{self._authorize_url}?{urlencode({**asked, 'redirect_uri': self._redirect_uri})}"
        answer = web.Response(status=302, headers={**_HEADERS, "Location": to})
        answer.set_cookie(
            self._cookie, browser, max_age=STATE_S, path="/", httponly=True, secure=self._secure, samesite="Lax"
        )
        return answer

    async def _end(self, request: web.Request) -> web.Response:
        try:
            await self._check_way(request.query.get("state", ""), request.cookies.get(self._cookie, ""))
            made = await self._trade(request.query)
            await self._installs.save(made)
        except _NotDone as problem:
            return self._not_done(problem)
        except StoreUnavailable as error:
            return self._not_done(_NotDone(503, self._words.install_later, str(error)))
        logger.info("app installed", extra={"install": made.id, "by": made.installed_by, "org_wide": made.org_wide})
        return self._page(200, self._words.installed, self._words.installed_where.format(where=made.name or made.id))

    async def _check_way(self, state: str, browser: str) -> None:
        """See to it that who comes back is who was sent, and comes for the first time."""
        digest = await self._installs.came_back(state) if _RANDOM.fullmatch(state) else None
        if digest is None:
            raise _NotDone(400, self._words.install_expired, "state is unknown, was used, or is too old")
        if not same_browser(browser, digest):
            raise _NotDone(400, self._words.install_elsewhere, "another browser came back")

    async def _trade(self, query: Mapping[str, str]) -> Installation:
        if query.get("error") == "access_denied":
            raise _NotDone(200, self._words.install_declined, "access_denied")
        if "error" in query or _CODE.fullmatch(query.get("code", "")) is None:
            raise _NotDone(400, self._words.install_refused.format(reason="no code"), "Slack sent no code")
        try:
            return await self._at_slack.installed(query["code"], self._redirect_uri)
        except SlackApiError as error:
            raise _NotDone(502, self._words.install_refused.format(reason=code(error)), code(error)) from error
        except UnreadableGrant as error:
            text = self._words.install_refused.format(reason="unreadable answer")
            raise _NotDone(502, text, f"Slack's answer cannot be read: {error}") from error
        except UNCLEAR as error:
            raise _NotDone(502, self._words.install_later, str(error)) from error

    def _not_done(self, problem: _NotDone) -> web.Response:
        logger.warning("app not installed", extra={"reason": problem.reason})
        again = f'<p><a href="{INSTALL.rpartition("/")[2]}">{html.escape(self._words.install_again)}</a></p>'
        return self._page(problem.status, self._words.not_installed_title, problem.text, again)

    def _page(self, status: int, title: str, text: str, more: str = "") -> web.Response:
        page = _PAGE.format(language=self._words.language, title=html.escape(title), text=html.escape(text), more=more)
        return web.Response(status=status, text=page, content_type="text/html", headers=_HEADERS)
