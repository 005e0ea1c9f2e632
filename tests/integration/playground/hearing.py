"""Bots built on Bolt that write down what the fake Slack delivers, over HTTP and over Socket Mode."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import AppConfig, CommandInfo, FakeSlack

SECRET = "shhh"
COMMANDS = (CommandInfo("/ask", "Ask something", "what"), CommandInfo("/form", "Open a form"))
BUTTON: dict[str, Any] = {
    "type": "actions",
    "block_id": "decide",
    "elements": [
        {"type": "button", "action_id": "approve", "value": "v1", "text": {"type": "plain_text", "text": "Approve"}}
    ],
}
FORM: dict[str, Any] = {
    "type": "modal",
    "callback_id": "form",
    "private_metadata": "kept",
    "notify_on_close": True,
    "title": {"type": "plain_text", "text": "A form"},
    "submit": {"type": "plain_text", "text": "Send"},
    "blocks": [
        {
            "type": "input",
            "block_id": "why",
            "label": {"type": "plain_text", "text": "Why"},
            "element": {"type": "plain_text_input", "action_id": "text"},
        }
    ],
}
Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass
class Heard:
    """What reached the bot, oldest first."""

    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def events(self, subtype: str | None = None) -> list[dict[str, Any]]:
        found = [body["event"] for body in self.bodies if "event" in body]
        return [event for event in found if event["type"] == "message" and event.get("subtype") == subtype]


def bolt_app(slack: FakeSlack, heard: Heard) -> AsyncApp:
    """A small but real bot: a command, a button, a form, and everything else recorded."""
    app = AsyncApp(
        signing_secret=SECRET,
        client=AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_base_url),
        process_before_response=True,
    )

    @app.middleware
    async def listen(body: dict[str, Any], next: Callable[[], Awaitable[None]]) -> None:  # noqa: A002  # Bolt's name
        heard.bodies.append(body)
        await next()

    @app.command("/ask")
    async def ask(ack: Any, client: AsyncWebClient, command: dict[str, str]) -> None:
        topic = {"type": "section", "text": {"type": "mrkdwn", "text": command["text"]}}
        await client.chat_postMessage(channel=command["channel_id"], text="a question", blocks=[topic, BUTTON])
        await ack("asked")

    @app.command("/form")
    async def form(ack: Any, client: AsyncWebClient, command: dict[str, str]) -> None:
        await client.views_open(trigger_id=command["trigger_id"], view=FORM)
        await ack()

    @app.action("approve")
    async def approve(ack: Any, respond: Any, body: dict[str, Any]) -> None:
        await respond(text=f"approved by {body['user']['id']}", replace_original=True)
        await ack()

    @app.view("form")
    async def submitted(ack: Any, view: dict[str, Any]) -> None:
        text = view["state"]["values"]["why"]["text"]["value"]
        answers: dict[str, dict[str, Any]] = {
            "bad": {"response_action": "errors", "errors": {"why": "No."}},
            "more": {"response_action": "push", "view": FORM},
            "other": {"response_action": "update", "view": {**FORM, "callback_id": "other"}},
            "clear": {"response_action": "clear"},
        }
        await ack(**answers.get(text, {}))

    @app.view_closed("form")
    async def closed(ack: Any) -> None:
        await ack()

    @app.shortcut("send_for_approval")
    async def shortcut(ack: Any) -> None:
        await ack()

    @app.event("message")
    @app.event("app_home_opened")
    @app.event("member_joined_channel")
    async def event() -> None:
        return None

    return app


@asynccontextmanager
async def bot_over_http(slack: FakeSlack, heard: Heard) -> AsyncIterator[None]:
    app = bolt_app(slack, heard)

    async def receive(request: web.Request) -> web.Response:
        headers: Any = dict(request.headers)
        heard.headers.append({name.lower(): value for name, value in headers.items()})
        answer = await app.async_dispatch(AsyncBoltRequest(body=await request.text(), headers=headers))
        kind = answer.headers.get("content-type", ["text/plain"])[0].partition(";")[0]
        return web.Response(status=answer.status, text=answer.body, content_type=kind)

    async with listening(receive) as slack.request_url:
        yield


@asynccontextmanager
async def bot_over_socket(slack: FakeSlack, heard: Heard, ping_s: float = 5.0) -> AsyncIterator[None]:
    """Connect a bot that gives a socket up when a ping stays unanswered for half of *ping_s*."""
    handler = AsyncSocketModeHandler(bolt_app(slack, heard), slack.app.app_token)
    handler.client.web_client = AsyncWebClient(token=slack.app.app_token, base_url=slack.api_base_url)
    handler.client.ping_interval = ping_s
    await handler.connect_async()  # type: ignore[no-untyped-call]  # Bolt's annotations end here
    await slack.wait_for(lambda: slack.sockets.count)
    yield
    await handler.close_async()  # type: ignore[no-untyped-call]  # Bolt's annotations end here


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[str]:
    """Serve *handler* as the app's request URL."""
    application = web.Application()
    application.router.add_post("/slack/events", handler)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    await runner.cleanup()


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(AppConfig(signing_secret=SECRET, commands=COMMANDS)) as slack:
        slack.delivery.retry_delays_s = (0.0, 0.0, 0.0)
        yield slack


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture(params=[bot_over_http, bot_over_socket], ids=["http", "socket"])
async def bot(request: pytest.FixtureRequest, slack: FakeSlack, heard: Heard) -> AsyncIterator[Heard]:
    """The same bot over both transports."""
    async with request.param(slack, heard):
        yield heard


@pytest.fixture
async def http_bot(slack: FakeSlack, heard: Heard) -> AsyncIterator[Heard]:
    async with bot_over_http(slack, heard):
        yield heard


@pytest.fixture
async def socket_bot(slack: FakeSlack, heard: Heard) -> AsyncIterator[Heard]:
    async with bot_over_socket(slack, heard, ping_s=0.05):
        yield heard
