"""The JSON API behind the page: what one person sees, what they do, the faults, the clock and the inspector's log.

It is for people at this machine only: requests for another host, or from another site's page, are refused.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from bot.playground.delivery import DeliveryResult
from bot.playground.faults import UnknownFault
from bot.playground.people import NotPossible, People
from bot.playground.platform import Platform
from bot.playground.rendering import view_json
from bot.playground.widgets import NoSuchElement
from bot.playground.workspace import Channel, Json, Message, User, View

PAGE = Path(__file__).with_name("page")
PING_S = 15.0
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
OTHERS = frozenset({"cross-site", "same-site"})
"""As what a browser marks a request that another site's page made it send, or one of another port."""
Act = Callable[[Json], Awaitable[Json]]


class Owner(Protocol):
    """What only the running server can do."""

    async def advance(self, seconds: float) -> None: ...
    async def restart(self) -> None: ...


class Control:
    """What the page asks for, and what is done for it."""

    def __init__(self, slack: Platform, people: People, owner: Owner) -> None:
        self._slack = slack
        self._people = people
        self._owner = owner
        self._acts: dict[str, Act] = {
            "command": self._command,
            "message": self._message,
            "edit": self._edit,
            "delete": self._delete,
            "action": self._action,
            "submit": self._submit,
            "close": self._close,
            "home": self._home,
            "shortcut": self._shortcut,
            "faults": self._faults,
            "clock": self._clock,
            "restart": self._restart,
        }

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", _index),
            web.get("/page/{file}", _static),
            web.get("/control/state", self._state),
            web.get("/control/events", self._events),
            web.get("/control/log", self._log),
            web.post("/control/{act}", self._do),
        ]

    async def _do(self, request: web.Request) -> web.Response:
        act = self._acts.get(request.match_info["act"])
        if act is None:
            return _refused("unknown_act", 404)
        try:
            body = await request.json() if request.can_read_body else {}
            if not isinstance(body, dict):
                return _refused("not an object", 400)
            return web.json_response(await act(body))
        except (NotPossible, NoSuchElement, UnknownFault) as error:
            return web.json_response({"ok": False, "error": str(error)})
        except KeyError as error:
            return _refused(f"missing {error.args[0]}", 400)
        except (TypeError, ValueError) as error:
            return _refused(f"cannot read that: {error}", 400)

    async def _command(self, body: Json) -> Json:
        return _outcome(await self._people.command(body["user"], body["channel"], body["text"]))

    async def _message(self, body: Json) -> Json:
        async with self._told():
            said = await self._people.say(body["user"], body["channel"], body["text"], body.get("thread_ts"))
        return {"ok": True, "ts": said.ts}

    async def _edit(self, body: Json) -> Json:
        async with self._told():
            await self._people.edit(body["user"], body["channel"], body["ts"], body["text"])
        return {"ok": True}

    async def _delete(self, body: Json) -> Json:
        async with self._told():
            await self._people.delete(body["user"], body["channel"], body["ts"])
        return {"ok": True}

    async def _action(self, body: Json) -> Json:
        user, choice, values = body["user"], _choice(body), body.get("values")
        block_id, action_id = body.get("block_id"), body["action_id"]
        view_id = body.get("view_id")
        if body.get("home") and not view_id:
            home = self._slack.workspace.homes.get(user)
            view_id = home.id if home else ""
        if view_id is not None:
            acted = self._people.click_view(user, view_id, action_id, choice, block_id=block_id, values=values)
        else:
            where = body["channel"], body["ts"]
            seen = self._people.as_seen(user, *where, body["seen"]) if body.get("seen") else None
            acted = self._people.click(user, *where, action_id, choice, block_id=block_id, as_seen=seen, values=values)
        return _outcome(await acted)

    async def _submit(self, body: Json) -> Json:
        result = await self._people.submit(body["user"], body["view_id"], body.get("values") or {})
        found = _outcome(result)
        return {**found, "errors": result.errors} if result.errors else found

    async def _close(self, body: Json) -> Json:
        return _outcome(await self._people.close_view(body["user"], body["view_id"]))

    async def _home(self, body: Json) -> Json:
        async with self._told():
            await self._people.open_home(body["user"])
        return {"ok": True}

    async def _shortcut(self, body: Json) -> Json:
        return _outcome(await self._people.shortcut(body["user"], body["channel"], body["ts"], body["callback_id"]))

    async def _faults(self, body: Json) -> Json:
        for name, setting in body.items():
            if name in ("archived", "bot_removed"):
                self._set_channel(name, setting)
            else:
                self._slack.faults.set(name, setting)
        self._slack.pulse.touch()
        return {"ok": True, "faults": self._fault_json()}

    def _set_channel(self, name: str, setting: Any) -> None:
        """`{"archived": {"C2": true}}` and `{"bot_removed": {"C2": true}}`."""
        bot = self._slack.app.bot_user_id
        for channel_id, on in dict(setting).items():
            channel = self._slack.workspace.channels.get(channel_id)
            if channel is None:
                raise NotPossible("channel_not_found")
            if name == "archived":
                channel.archived = bool(on)
            elif on and bot in channel.members:
                channel.members.remove(bot)
            elif not on and bot not in channel.members:
                channel.members.append(bot)

    async def _clock(self, body: Json) -> Json:
        await self._owner.advance(float(body["advance_s"]))
        return {"ok": True, "clock_offset_s": self._slack.clock.offset_s}

    async def _restart(self, body: Json) -> Json:
        await self._owner.restart()
        return {"ok": True}

    @asynccontextmanager
    async def _told(self) -> AsyncIterator[None]:
        """Wait a moment until the bot has heard of what was done; if it is slow, people need not wait for it."""
        yield
        with suppress(TimeoutError):
            await self._slack.quiet(self._people.delivery.limit_s)

    async def _log(self, request: web.Request) -> web.Response:
        try:
            after = int(request.query.get("after", "0"))
        except ValueError:
            return _refused("after must be a number", 400)
        return web.json_response({"ok": True, "entries": [entry.to_json() for entry in self._slack.log.after(after)]})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await stream.prepare(request)
        pulse, rev = self._slack.pulse, -1
        with suppress(ConnectionError):
            while not pulse.closed:
                try:
                    async with asyncio.timeout(PING_S):
                        rev = await pulse.beyond(rev)
                    await stream.write(f'data: {{"rev": {rev}}}\n\n'.encode())
                except TimeoutError:
                    await stream.write(b": ping\n\n")
        return stream

    async def _state(self, request: web.Request) -> web.Response:
        user = self._slack.workspace.users.get(request.query.get("user", "U1"))
        if user is None or user.is_bot:
            return _refused("user_not_found", 404)
        return web.json_response(self._seen_by(user))

    def _seen_by(self, user: User) -> Json:
        """Everything the page shows to *user*."""
        slack, workspace = self._slack, self._slack.workspace
        channels = workspace.visible_channels(user.id)
        home = workspace.homes.get(user.id)
        return {
            "ok": True,
            "rev": slack.pulse.rev,
            "team": {"id": workspace.team_id, "name": workspace.team_name},
            "me": user.id,
            "users": [_user(one) for one in workspace.users.values()],
            "channels": [self._channel(channel) for channel in channels],
            "messages": {channel.id: self._messages(channel, user) for channel in channels},
            "direct": self._direct(),
            "view": self._view(workspace.modal_of(user.id)),
            "home": {"id": home.id, "blocks": home.blocks, "warning": home.warning} if home else None,
            "commands": [dataclasses.asdict(info) for info in slack.app.commands],
            "shortcuts": [dataclasses.asdict(info) for info in slack.app.shortcuts],
            "faults": self._fault_json(),
            "clock_offset_s": slack.clock.offset_s,
            "bot": {
                "connected": self._people.delivery.connected,
                "mode": "http" if slack.app.request_url else "socket",
            },
        }

    def _fault_json(self) -> Json:
        return self._slack.faults.to_json()

    def _channel(self, channel: Channel) -> Json:
        return {
            "id": channel.id,
            "name": channel.name,
            "kind": channel.kind,
            "members": channel.members,
            "archived": channel.archived,
            "bot_member": self._slack.hears(channel),
        }

    def _direct(self) -> Json:
        """Each person's conversation with the bot, and when the bot last wrote there."""
        bot, found = self._slack.app.bot_user_id, {}
        for channel in self._slack.workspace.channels.values():
            told = [message.ts for message in self._slack.workspace.in_channel(channel.id) if message.user == bot]
            if channel.kind == "dm" and not channel.is_group and told:
                found[next(user for user in channel.members if user != bot)] = {"channel": channel.id, "ts": told[-1]}
        return found

    def _messages(self, channel: Channel, user: User) -> list[Json]:
        shown = self._slack.workspace.in_channel(channel.id)
        return [self._message_row(message) for message in shown if message.ephemeral_for in (None, user.id)]

    def _message_row(self, message: Message) -> Json:
        workspace = self._slack.workspace
        author = workspace.users.get(message.user)
        files = [workspace.files[key] for key in message.files]
        return {
            "ts": message.ts,
            "thread_ts": message.thread_ts,
            "user": message.user,
            "username": message.username or (author.real_name if author else "Slackbot"),
            "is_bot": message.bot_id is not None or author is None,
            "text": message.text,
            "blocks": message.blocks,
            "edited": message.edited_ts is not None,
            "ephemeral": message.ephemeral_for is not None,
            "broadcast": message.reply_broadcast,
            "files": [{"id": file.id, "name": file.title, "url": f"/files/{file.id}/{file.name}"} for file in files],
            "reactions": [{"name": name, "users": who} for name, who in message.reactions.items()],
            "reply_count": 0 if message.is_reply else len(workspace.replies(message.channel, message.ts)),
            "warning": message.warning,
        }

    def _view(self, view: View | None) -> Json | None:
        if view is None:
            return None
        shown = view_json(self._slack, view)
        kept = ("id", "type", "title", "submit", "close", "blocks", "callback_id", "state", "previous_view_id")
        return {**{name: shown[name] for name in kept}, "errors": view.errors, "warning": view.warning}


@web.middleware
async def only_from_here(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what another site's page could make a browser send to the playground."""
    host = urlsplit(f"//{request.host}").hostname
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    elsewhere = origin is not None and urlsplit(origin).netloc != request.host
    # A picture or a link to us has no origin, and Slack's methods are called by GET, too; only the page may be linked.
    if host not in LOOPBACK or elsewhere or (site in OTHERS and request.path != "/"):
        return _refused("the playground answers only pages of its own", 403)
    return await handler(request)


def _choice(body: Json) -> Any:
    """What was chosen, as the page sends it: Slack's own field for a menu, the bare value for a button."""
    chosen = {name: value for name, value in body.items() if name.startswith("selected_") or name == "files"}
    return chosen or body.get("value")


def _outcome(result: DeliveryResult) -> Json:
    if result.error is None and not result.errors:
        return {"ok": True, "shown": result.shown}
    return {"ok": False, "error": result.error or "invalid_form", "shown": result.shown}


def _refused(error: str, status: int) -> web.Response:
    return web.json_response({"ok": False, "error": error}, status=status)


def _user(user: User) -> Json:
    shown = ("id", "name", "real_name", "color", "is_bot", "role")
    return {name: getattr(user, name) for name in shown}


async def _index(request: web.Request) -> web.StreamResponse:
    return _page_file("index.html")


async def _static(request: web.Request) -> web.StreamResponse:
    return _page_file(request.match_info["file"])


def _page_file(name: str) -> web.StreamResponse:
    path = PAGE / Path(name).name
    if not path.is_file():
        return web.Response(status=404, text=f"{name} is not part of the page")
    return web.FileResponse(path, headers={"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"})
