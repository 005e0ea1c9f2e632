"""The Web API's front door, `/api/<method>`: who is calling, what goes wrong on purpose, and which method it is."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping

from aiohttp import web

from bot.playground import chat_methods, conversation_methods, file_methods, view_methods
from bot.playground.arguments import Arguments, Failure, check_required, read_arguments, token_of
from bot.playground.faults import CallFault
from bot.playground.pacing import Pace
from bot.playground.platform import Platform
from bot.playground.scopes import check_scopes
from bot.playground.workspace import Json

Method = Callable[[Platform, Arguments], Json]
APP_LEVEL = frozenset({"apps.connections.open"})
OPEN = frozenset({"api.test"})


def auth_test(slack: Platform, args: Arguments) -> Json:
    return {
        "ok": True,
        "url": slack.url + "/",
        "team": slack.workspace.team_name,
        "user": slack.workspace.users[slack.app.bot_user_id].name,
        "team_id": slack.workspace.team_id,
        "user_id": slack.app.bot_user_id,
        "bot_id": slack.app.bot_id,
        "is_enterprise_install": False,
    }


def api_test(slack: Platform, args: Arguments) -> Json:
    if "error" in args:
        raise Failure(args.text("error"), args=args.values)
    return {"ok": True, "args": args.values}


METHODS: Mapping[str, Method] = {
    "api.test": api_test,
    "auth.test": auth_test,
    **chat_methods.METHODS,
    **conversation_methods.METHODS,
    **file_methods.METHODS,
    **view_methods.METHODS,
}


class WebApi:
    """Answers calls. *extra* are methods that live elsewhere, such as the one that opens a socket."""

    def __init__(self, slack: Platform, extra: Mapping[str, Method]) -> None:
        self._slack = slack
        self._methods = {**METHODS, **extra}
        self._pace = Pace(slack.clock.now)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self._slack.underway += 1
        try:
            return await self._answer(request, request.match_info["method"], time.monotonic())
        finally:
            self._slack.underway -= 1
            self._slack.pulse.touch()

    async def _answer(self, request: web.Request, method: str, started: float) -> web.StreamResponse:
        values: Json = {}
        fault = self._slack.faults.take(method)
        try:
            values = await read_arguments(request)
            response = await self._go_wrong(fault, request, method, values) if fault else self._too_fast(method, values)
            if response is None:
                response = _reply(self._call(request, method, values), headers=self._granted())
        except Failure as failure:
            response = _reply(failure.to_json())
        seen = {name: value for name, value in values.items() if name != "token"}
        dropped = fault is not None and fault.kind == "reset"
        status = None if dropped else response.status
        self._slack.log.record("bot→slack", method, status, started, seen, None if dropped else _body(response))
        return response

    def _call(self, request: web.Request, method: str, values: Json) -> Json:
        handler = self._methods.get(method)
        if handler is None:
            raise Failure("unknown_method", req_method=method)
        self._check_token(method, token_of(request, values))
        check_scopes(self._slack, method, values)
        check_required(method, values)
        return handler(self._slack, Arguments({name: value for name, value in values.items() if name != "token"}))

    def _too_fast(self, method: str, values: Json) -> web.Response | None:
        """The answer to a call that comes sooner than Slack's pace allows, where that is watched."""
        if method != "chat.postMessage" or not self._slack.faults.pace:
            return None
        wait_s = self._pace.wait_s(str(values.get("channel")))
        return _too_many(str(wait_s)) if wait_s else None

    def _granted(self) -> dict[str, str]:
        """The header by which Slack tells every caller what its token may do."""
        scopes = self._slack.app.scopes
        return {} if scopes is None else {"x-oauth-scopes": ",".join(sorted(scopes))}

    def _check_token(self, method: str, token: str) -> None:
        if method in OPEN:
            return
        if not token:
            raise Failure("not_authed")
        if token not in (self._slack.app.bot_token, self._slack.app.app_token):
            raise Failure("invalid_auth")
        if not self._slack.installed and token == self._slack.app.bot_token:
            raise Failure("account_inactive")
        if (token == self._slack.app.app_token) != (method in APP_LEVEL):
            raise Failure("not_allowed_token_type")

    async def _go_wrong(self, fault: CallFault, request: web.Request, method: str, values: Json) -> web.Response | None:
        """The answer that *fault* gives instead of the method's own, or None if it only delays it."""
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            return None
        if fault.applied:
            self._call(request, method, values)
        match fault.kind:
            case "ratelimited":
                return _too_many(fault.retry_after)
            case "error":
                raise Failure(fault.code)
            case "html":
                page = "<!DOCTYPE html><html><body><h1>Slack is having trouble</h1></body></html>"
                return web.Response(status=fault.status, text=page, content_type="text/html")
            case "reset":
                if request.transport is not None:
                    request.transport.abort()
                return web.Response()
            case _:
                return _reply({"ok": False, "error": "internal_error"}, fault.status)


def _too_many(retry_after: str | None) -> web.Response:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return _reply({"ok": False, "error": "ratelimited"}, 429, headers)


def _reply(body: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(body, status=status, headers=headers)


def _body(response: web.Response) -> object:
    text = response.text or ""
    return json.loads(text) if response.content_type == "application/json" else text
