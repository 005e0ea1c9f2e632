"""Several workspaces that share one app, behind one address: Slack as an app meets it that anybody may install.

    async with Grid(AppConfig(signing_secret="..."), ["T1", "T2", "T3"], orgs={"E1": ["T3"]}) as grid:
        grid["T1"].request_url = "http://127.0.0.1:3000/slack/events"

Each workspace is a `FakeSlack` of its own; all begin with the same people and channels. The app is in none of them
until somebody says yes on the page at `authorize_url`. Then its token opens that workspace, or those of the
organisation, and no other.
"""

import base64
import html
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from bot.playground.arguments import Failure, read_arguments, token_of
from bot.playground.control import only_from_here
from bot.playground.platform import AppConfig
from bot.playground.server import BODY_LIMIT_BYTES, FakeSlack
from bot.playground.workspace import Json

NAMES = {"T1": "Acme", "T2": "Globex", "T3": "Initech", "T4": "Hooli"}
_HOP = frozenset({"host", "content-length", "authorization", "transfer-encoding", "connection", "accept-encoding"})


@dataclass
class Grant:
    """One bot token and what it opens: a team, or all of an organisation's. *ended* is what Slack says of it then."""

    owner: str
    ended: str = ""


class Grid:
    """The workspaces by id. Enter it to start listening.

    With *rotates*, tokens end after twelve hours and come with one to refresh them, which works once.
    """

    client_id = "1111.2222"
    client_secret = "grid-client-secret"  # noqa: S105  # opens nothing but this playground

    def __init__(
        self,
        app: AppConfig,
        teams: Sequence[str],
        *,
        orgs: Mapping[str, Sequence[str]] | None = None,
        rotates: bool = False,
    ) -> None:
        self._orgs = dict(orgs or {})
        self._rotates = rotates
        self._app = app
        self._teams: dict[str, FakeSlack] = {}
        for team in teams:
            self._teams[team] = slack = FakeSlack(replace(app, bot_token=f"xoxb-inside-{team}"))
            slack.sockets = self._teams[teams[0]].sockets  # one app has one set of connections, for all workspaces
            slack.workspace.team_id, slack.workspace.team_name = team, NAMES.get(team, team)
            if (org := self._org_of(team)) is not None:
                slack.workspace.enterprise_id, slack.workspace.enterprise_teams = org, list(self._orgs[org])
        self._grants: dict[str, Grant] = {}
        self._refreshes: dict[str, str] = {}
        self._codes: dict[str, tuple[str, str | None]] = {}
        self._stack = AsyncExitStack()
        self._without: set[str] = set()
        self.refreshed: Counter[str] = Counter()
        """How often each owner's token was refreshed."""
        self.life_s = 12 * 3600
        self.url = ""

    def __getitem__(self, team: str) -> FakeSlack:
        return self._teams[team]

    @property
    def api_base_url(self) -> str:
        return f"{self.url}/api/"

    @property
    def authorize_url(self) -> str:
        return f"{self.url}/oauth/v2/authorize"

    @property
    def tokens(self) -> list[str]:
        """Every secret it has ever given to the app."""
        return [*self._grants, *self._refreshes, self.client_secret]

    def reach(self, request_url: str | None) -> None:
        """Where the app takes requests; None: through Socket Mode."""
        for slack in self._teams.values():
            slack.request_url = request_url

    def allow(self, owner: str, redirect_uri: str | None = None) -> str:
        """Say yes for a team or an organisation; the code that may be traded for a token, once."""
        code = f"{secrets.randbits(40)}.{secrets.token_hex(16)}"
        self._codes[code] = owner, redirect_uri
        return code

    def forget_refreshes(self) -> None:
        """Take no token any more that would refresh another."""
        self._refreshes.clear()

    def end_tokens(self, owner: str, error: str) -> None:
        """Let no token of *owner* open anything any more: calls with one are told *error*."""
        for grant in self._grants.values():
            if grant.owner == owner:
                grant.ended = grant.ended or error

    def end_tokens_before_last(self, owner: str, error: str) -> None:
        """Let only the newest token of *owner* open something."""
        *older, _ = [grant for grant in self._grants.values() if grant.owner == owner]
        for grant in older:
            grant.ended = grant.ended or error

    def uninstall(self, owner: str) -> None:
        """Remove the app from a team or an organisation: tokens end at once, and it hears of it if it asked to."""
        self.end_tokens(owner, "account_inactive")
        self._refreshes = {token: whose for token, whose in self._refreshes.items() if whose != owner}
        next(self._owned(owner)).uninstall()

    def take_out(self, team: str) -> None:
        """Take an organisation's app out of one of its workspaces: no token opens that, and the app hears of it if it
        asked to."""
        self._without.add(team)
        other = next(slack for slack in self._owned(str(self._org_of(team))) if slack is not self[team])
        if "team_access_revoked" in self._app.events:
            other.send_event({"type": "team_access_revoked", "team_ids": [team]})

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            connector = aiohttp.TCPConnector(limit=0)
            self._http = await stack.enter_async_context(
                aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)
            )
            runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}"
            self._inside: dict[str, str] = {}
            for team, slack in self._teams.items():
                await stack.enter_async_context(slack)
                self._inside[team] = slack.url
                slack.stand_behind(self.url, self._org_of(team))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    def _application(self) -> web.Application:
        sockets = next(iter(self._teams.values())).sockets
        application = web.Application(client_max_size=BODY_LIMIT_BYTES, middlewares=[only_from_here])
        application.add_routes(
            [
                web.get("/oauth/v2/authorize", self._ask),
                web.post("/oauth/v2/authorize", self._decided),
                web.post("/api/oauth.v2.access", self._access),
                web.route("*", "/api/auth.revoke", self._revoke),
                web.route("*", "/api/{method}", self._call),
                web.get("/socket", sockets.serve),
                web.route("*", "/{kind:response|upload|files}/{id}{rest:.*}", self._addressed),
            ]
        )
        return application

    # --- the page on which somebody says yes or no ---------------------------------------------

    async def _ask(self, request: web.Request) -> web.Response:
        if request.query.get("client_id") != self.client_id:
            return web.Response(status=400, text="Invalid client_id parameter")
        asked = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(request.query.get(name, ""))}">'
            for name in ("state", "redirect_uri", "scope")
        )
        choices = "".join(f'<button name="owner" value="{id_}">{id_}</button>' for id_ in (*self._teams, *self._orgs))
        page = f'<form method="post">{asked}{choices}<button name="owner" value="">Cancel</button></form>'
        return web.Response(text=f"<!DOCTYPE html><title>Allow</title>{page}", content_type="text/html")

    async def _decided(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        owner, redirect_uri = form.get("owner", ""), form["redirect_uri"]
        if not owner:
            raise web.HTTPFound(f"{redirect_uri}?{urlencode({'error': 'access_denied', 'state': form['state']})}")
        code = self.allow(owner, redirect_uri)
        raise web.HTTPFound(f"{redirect_uri}?{urlencode({'code': code, 'state': form['state']})}")

    # --- tokens --------------------------------------------------------------------------------

    async def _access(self, request: web.Request) -> web.Response:
        values: Json = {}
        try:
            values = await read_arguments(request)
            self._check_app(request, values)
            owner = self._refreshing(values) if values.get("grant_type") == "refresh_token" else self._coming(values)
            answer = self._granted(owner)
        except Failure as failure:
            answer = failure.to_json()
        return web.json_response(answer)

    def _check_app(self, request: web.Request, values: Json) -> None:
        header = request.headers.get("Authorization", "")
        if header.startswith("Basic "):
            login, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        else:
            login, password = str(values.get("client_id")), str(values.get("client_secret"))
        if login != self.client_id:
            raise Failure("invalid_client_id")
        if password != self.client_secret:
            raise Failure("bad_client_secret")

    def _coming(self, values: Json) -> str:
        owner, redirect_uri = self._codes.pop(str(values.get("code")), ("", None))
        if not owner:
            raise Failure("invalid_code")
        if values.get("redirect_uri") != redirect_uri:
            raise Failure("bad_redirect_uri")
        self.end_tokens(owner, "token_revoked")
        for team, slack in self._teams.items():
            if owner in (team, self._org_of(team)):
                slack.install()
                self._without.discard(team)
                slack.stand_behind(self.url, self._org_of(team), org_wide=owner in self._orgs)
        return owner

    def _refreshing(self, values: Json) -> str:
        owner = self._refreshes.pop(str(values.get("refresh_token")), "")
        if not owner:
            raise Failure("invalid_refresh_token")
        self.refreshed[owner] += 1
        return owner

    def _granted(self, owner: str) -> Json:
        token = f"xoxb-{owner}-{secrets.token_hex(12)}"
        self._grants[token] = Grant(owner)
        org = owner if owner in self._orgs else self._org_of(owner)
        answer: Json = {
            "ok": True,
            "app_id": self._app.app_id,
            "authed_user": {"id": "U1"},
            "scope": ",".join(sorted(self._app.scopes or ())),
            "token_type": "bot",
            "access_token": token,
            "bot_user_id": self._app.bot_user_id,
            "team": None if owner in self._orgs else {"id": owner, "name": NAMES.get(owner, owner)},
            "enterprise": {"id": org, "name": f"{org} Inc."} if org else None,
            "is_enterprise_install": owner in self._orgs,
        }
        if self._rotates:
            refresh_token = f"xoxe-1-{owner}-{secrets.token_hex(12)}"
            self._refreshes[refresh_token] = owner
            answer |= {"refresh_token": refresh_token, "expires_in": self.life_s}
        return answer

    async def _revoke(self, request: web.Request) -> web.Response:
        token = token_of(request, await read_arguments(request))
        grant = self._grants.get(token)
        if grant is None or grant.ended:
            return web.json_response(Failure(grant.ended if grant else "invalid_auth").to_json())
        grant.ended = "token_revoked"
        return web.json_response({"ok": True, "revoked": True})

    # --- everything else goes to the workspace it is for ----------------------------------------

    async def _call(self, request: web.Request) -> web.StreamResponse:
        try:
            values = await read_arguments(request)
            token = token_of(request, values)
            if token == self._app.app_token:
                return await self._hand_over(request, next(iter(self._teams.values())), token)
            grant = self._grants.get(token)
            if grant is None:
                raise Failure("invalid_auth" if token else "not_authed")
            if grant.ended:
                raise Failure(grant.ended)
        except Failure as failure:
            return web.json_response(failure.to_json())
        about = [str(values.get(name)) for name in ("channel", "channel_id", "trigger_id")]
        owned = sorted(self._owned(grant.owner), key=self._is_without)  # what is nobody's is answered where it may
        named = next((slack for slack in owned if slack.workspace.team_id == values.get("team_id")), owned[0])
        slack = next((slack for slack in owned if any(map(slack.knows, about))), named)
        if self._is_without(slack):
            return web.json_response(Failure("team_access_not_granted").to_json())
        return await self._hand_over(request, slack, slack.app.bot_token)

    async def _addressed(self, request: web.Request) -> web.StreamResponse:
        slack = next((slack for slack in self._teams.values() if slack.knows(request.match_info["id"])), None)
        return web.Response(status=404) if slack is None else await self._hand_over(request, slack, "")

    async def _hand_over(self, request: web.Request, slack: FakeSlack, token: str) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        url = self._inside[slack.workspace.team_id] + request.path_qs
        body = await request.read()
        async with self._http.request(request.method, url, data=body, headers=headers) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    def _owned(self, owner: str) -> Iterator[FakeSlack]:
        return (slack for team, slack in self._teams.items() if owner in (team, self._org_of(team)))

    def _is_without(self, slack: FakeSlack) -> bool:
        return slack.workspace.team_id in self._without

    def _org_of(self, team: str) -> str | None:
        return next((org for org, teams in self._orgs.items() if team in teams), None)
