"""The fake Slack's deliveries, received by a real Bolt app over HTTP and over Socket Mode."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import AppConfig, CommandInfo, FakeSlack
from bot.playground.widgets import NoSuchElement
from bot.playground.workspace import View

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


async def opened(slack: FakeSlack) -> View:
    """A form on Ana's screen."""
    await slack.command("U1", "C2", "/form")
    view = slack.view_of("U1")
    assert view is not None
    return view


# ------------------------------------------------------------------ commands


async def test_a_command_reaches_the_bot_with_every_field_of_slacks(slack: FakeSlack, bot: Heard) -> None:
    result = await slack.command("U1", "C3", "/form  AI & <b> ")

    assert result.ok
    assert bot.bodies[0] == {
        "token": slack.app.verification_token,
        "team_id": "T1",
        "team_domain": "signoff-demo",
        "channel_id": "C3",
        "channel_name": "privategroup",
        "user_id": "U1",
        "user_name": "ana",
        "command": "/form",
        "text": "AI &amp; &lt;b&gt;",
        "api_app_id": slack.app.app_id,
        "is_enterprise_install": "false",
        "response_url": bot.bodies[0]["response_url"],
        "trigger_id": bot.bodies[0]["trigger_id"],
    }


async def test_the_text_of_an_ack_is_shown_only_to_who_asked(slack: FakeSlack, bot: Heard) -> None:
    result = await slack.command("U1", "C2", "/ask AI")

    assert result.shown == "asked"
    assert [m.text for m in slack.ephemerals("U1", "C2")] == ["asked"]
    assert slack.ephemerals("U2") == []
    assert [m.text for m in slack.messages("C2")] == ["a question"]


async def test_an_unknown_command_never_leaves_slack(slack: FakeSlack, bot: Heard) -> None:
    result = await slack.command("U1", "C2", "/nope")

    assert result.error == "unknown_command"
    assert "not a valid command" in slack.ephemerals("U1", "C2")[0].text
    assert bot.bodies == []


async def test_a_command_nobody_receives_shows_dispatch_failed(slack: FakeSlack) -> None:
    slack.request_url = "http://127.0.0.1:1/slack/events"

    result = await slack.command("U1", "C2", "/ask AI")

    assert result.error == "dispatch_failed"
    assert slack.ephemerals("U1", "C2")[0].text == "/ask failed with the error dispatch_failed"


async def test_a_command_without_a_connected_socket_shows_dispatch_failed(slack: FakeSlack) -> None:
    result = await slack.command("U1", "C2", "/ask AI")

    assert (result.status, result.shown) == (None, "/ask failed with the error dispatch_failed")


async def test_an_answer_after_three_seconds_is_a_timeout(slack: FakeSlack) -> None:
    release = asyncio.Event()

    async def stall(request: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with listening(stall) as slack.request_url:
        slack.delivery.limit_s = 0.05
        result = await slack.command("U1", "C2", "/ask AI")
        release.set()

    assert result.shown == "/ask failed with the error operation_timeout"


async def test_the_time_limit_is_three_seconds(slack: FakeSlack) -> None:
    assert slack.delivery.limit_s == 3.0


@pytest.mark.parametrize("status", [301, 404, 500])
async def test_any_answer_but_2xx_fails_a_command(slack: FakeSlack, status: int) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": "http://127.0.0.1:1/"})

    async with listening(refuse) as slack.request_url:
        result = await slack.command("U1", "C2", "/ask AI")

    assert (result.status, result.error) == (status, "dispatch_failed")


async def test_an_ack_in_channel_is_seen_by_all(slack: FakeSlack) -> None:
    async def loud(request: web.Request) -> web.Response:
        return web.json_response({"response_type": "in_channel", "text": "hear, hear"})

    async with listening(loud) as slack.request_url:
        await slack.command("U1", "C2", "/ask AI")
        await slack.settled()

    assert [m.text for m in slack.messages("C2", seen_by="U4")] == ["hear, hear"]


async def test_an_ack_that_slack_cannot_show_says_so(slack: FakeSlack) -> None:
    async def broken(request: web.Request) -> web.Response:
        return web.json_response({"text": "x", "blocks": [{"type": "nonsense"}]})

    async with listening(broken) as slack.request_url:
        result = await slack.command("U1", "C2", "/ask AI")

    assert result.shown == "/ask failed with the error invalid_command_response"


# ------------------------------------------------------------------ signature


async def test_the_signature_satisfies_slack_sdk(slack: FakeSlack) -> None:
    verdicts = []

    async def verify(request: web.Request) -> web.Response:
        headers: dict[str, Any] = {name.lower(): value for name, value in request.headers.items()}
        verdicts.append(SignatureVerifier(SECRET).is_valid_request(await request.read(), headers))
        verdicts.append(SignatureVerifier("another").is_valid_request(await request.read(), headers))
        return web.Response()

    async with listening(verify) as slack.request_url:
        await slack.command("U1", "C2", "/ask Ünïcode & 😀")

    assert verdicts == [True, False]


async def test_a_moved_clock_does_not_spoil_the_signature(slack: FakeSlack, http_bot: Heard) -> None:
    await slack.advance(86_400)

    assert (await slack.command("U1", "C2", "/ask AI")).ok
    assert abs(float(http_bot.headers[0]["x-slack-request-timestamp"]) - time.time()) < 5


async def test_a_request_url_is_verified_by_its_challenge(slack: FakeSlack, http_bot: Heard) -> None:
    verified = await slack.delivery.verify_url()
    slack.request_url = "http://127.0.0.1:1/"

    assert verified
    assert not await slack.delivery.verify_url()


async def test_the_ssl_check_is_answered(slack: FakeSlack, http_bot: Heard) -> None:
    assert (await slack.delivery.check_ssl()).ok


async def test_an_uninstalled_app_hears_of_it_and_may_no_longer_call() -> None:
    seen = []

    async def receive(request: web.Request) -> web.Response:
        seen.append((await request.json())["event"]["type"])
        return web.Response()

    config = AppConfig(signing_secret=SECRET, events=frozenset({"app_uninstalled", "tokens_revoked"}))
    async with FakeSlack(config) as slack, listening(receive) as slack.request_url:
        client = AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_base_url)
        slack.uninstall()
        await slack.settled()
        with pytest.raises(SlackApiError, match="account_inactive"):
            await client.auth_test()
        slack.install()
        await client.auth_test()

    assert sorted(seen) == ["app_uninstalled", "tokens_revoked"]


# ------------------------------------------------------------------ clicks


async def test_a_click_carries_the_message_and_who_where_and_what(slack: FakeSlack, bot: Heard) -> None:
    await slack.command("U1", "C2", "/ask AI")
    question = slack.messages("C2")[0]

    result = await slack.click("U2", "C2", question.ts, "approve")

    body = next(body for body in bot.bodies if body.get("type") == "block_actions")
    assert result.ok
    assert body["user"] == {"id": "U2", "username": "ben", "name": "ben", "team_id": "T1"}
    assert body["container"] == {
        "type": "message",
        "message_ts": question.ts,
        "channel_id": "C2",
        "is_ephemeral": False,
    }
    assert body["channel"] == {"id": "C2", "name": "drafts"}
    assert (body["team"]["id"], body["enterprise"], body["is_enterprise_install"]) == ("T1", None, False)
    assert body["message"]["blocks"][1]["block_id"] == "decide"
    assert body["actions"][0].items() >= {"action_id": "approve", "block_id": "decide", "value": "v1"}.items()
    assert body["actions"][0]["action_ts"] > question.ts
    assert body["response_url"].startswith(slack.url)


async def test_a_response_url_replaces_the_message_clicked_on(slack: FakeSlack, bot: Heard) -> None:
    await slack.command("U1", "C2", "/ask AI")
    question = slack.messages("C2")[0]

    await slack.click("U2", "C2", question.ts, "approve")

    assert (question.text, question.blocks) == ("approved by U2", None)


async def test_a_click_on_an_ephemeral_message_comes_without_the_message(slack: FakeSlack, bot: Heard) -> None:
    client = AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_base_url)
    sent = await client.chat_postEphemeral(channel="C2", user="U2", text="psst", blocks=[BUTTON])

    await slack.click("U2", "C2", str(sent["message_ts"]), "approve")

    body = bot.bodies[-1]
    assert "message" not in body
    assert body["container"]["is_ephemeral"] is True
    assert slack.ephemerals("U2")[0].text == "approved by U2"


async def test_a_click_that_fails_leaves_a_mark_until_one_succeeds(slack: FakeSlack, http_bot: Heard) -> None:
    await slack.command("U1", "C2", "/ask AI")
    question, working = slack.messages("C2")[0], slack.request_url
    slack.request_url = "http://127.0.0.1:1/"

    failed = await slack.click("U2", "C2", question.ts, "approve")
    marked = question.warning
    slack.request_url = working
    await slack.click("U2", "C2", question.ts, "approve")

    assert failed.shown == marked is not None
    assert question.warning is None


async def test_a_person_whose_screen_is_behind_clicks_what_is_gone(slack: FakeSlack, bot: Heard) -> None:
    await slack.command("U1", "C2", "/ask AI")
    question = slack.messages("C2")[0]
    old = replace(question)
    await slack.click("U2", "C2", question.ts, "approve")

    await slack.click("U3", "C2", question.ts, "approve", as_seen=old)

    assert [body["user"]["id"] for body in bot.bodies if body.get("type") == "block_actions"] == ["U2", "U3"]


async def test_a_hundred_clicks_at_once_all_arrive(slack: FakeSlack, bot: Heard) -> None:
    await slack.command("U1", "C2", "/ask AI")
    question = replace(slack.messages("C2")[0])

    async with asyncio.TaskGroup() as people:
        clicks = [
            people.create_task(slack.click("U2", "C2", question.ts, "approve", as_seen=question)) for _ in range(100)
        ]

    assert all(click.result().ok for click in clicks)
    assert len([body for body in bot.bodies if body.get("type") == "block_actions"]) == 100


async def test_text_that_is_no_text_still_reaches_the_bot(slack: FakeSlack) -> None:
    raw: list[bytes] = []

    async def receive(request: web.Request) -> web.Response:
        raw.append(await request.read())
        return web.Response()

    async with listening(receive) as slack.request_url:
        result = await slack.command("U1", "C2", "/ask \ud800 \x00")

    assert result.ok
    assert b"text=%ED%A0%80+%00" in raw[0]


async def test_nobody_clicks_what_is_not_there(slack: FakeSlack, bot: Heard) -> None:
    said = await slack.say("U1", "C2", "plain")

    with pytest.raises(NoSuchElement):
        await slack.click("U2", "C2", said.ts, "approve")


async def test_with_deliver_twice_every_click_arrives_twice(slack: FakeSlack, bot: Heard) -> None:
    await slack.command("U1", "C2", "/ask AI")
    slack.faults.deliver_twice = True

    await slack.click("U2", "C2", slack.messages("C2")[0].ts, "approve")

    clicks = [body for body in bot.bodies if body.get("type") == "block_actions"]
    assert len(clicks) == 2
    assert clicks[0] == clicks[1]


# ------------------------------------------------------------------ modals


async def test_a_form_arrives_filled_in_and_closes_on_an_empty_ack(slack: FakeSlack, bot: Heard) -> None:
    view = await opened(slack)

    result = await slack.submit("U1", view.id, {"why": {"text": "because"}})

    body = bot.bodies[-1]
    assert result.ok
    assert slack.view_of("U1") is None
    assert body["type"] == "view_submission"
    assert body["view"]["state"]["values"] == {"why": {"text": {"type": "plain_text_input", "value": "because"}}}
    assert body["view"]["private_metadata"] == "kept"
    assert "channel" not in body


async def test_an_empty_required_field_is_refused_before_the_bot_hears_of_it(slack: FakeSlack, bot: Heard) -> None:
    view = await opened(slack)

    result = await slack.submit("U1", view.id, {})

    assert result.errors == {"why": "Please complete this required field."}
    assert not [body for body in bot.bodies if body.get("type") == "view_submission"]


async def test_errors_from_the_bot_stand_under_their_field(slack: FakeSlack, bot: Heard) -> None:
    view = await opened(slack)

    result = await slack.submit("U1", view.id, {"why": "bad"})

    assert result.errors == view.errors == {"why": "No."}
    assert slack.view_of("U1") is view


async def test_a_pushed_view_goes_back_to_the_one_below(slack: FakeSlack, bot: Heard) -> None:
    first = await opened(slack)
    await slack.submit("U1", first.id, {"why": "more"})
    second = slack.view_of("U1")
    assert second is not None

    await slack.close_view("U1", second.id)

    assert (second.previous_view_id, second.root_view_id) == (first.id, first.id)
    assert slack.view_of("U1") is first


async def test_an_update_shows_the_new_view_in_place(slack: FakeSlack, bot: Heard) -> None:
    view = await opened(slack)
    before = view.hash

    await slack.submit("U1", view.id, {"why": "other"})

    assert view.body["callback_id"] == "other"
    assert view.hash != before


async def test_clear_closes_the_whole_stack(slack: FakeSlack, bot: Heard) -> None:
    first = await opened(slack)
    await slack.submit("U1", first.id, {"why": "more"})
    second = slack.view_of("U1")
    assert second is not None

    await slack.submit("U1", second.id, {"why": "clear"})

    assert slack.view_of("U1") is None


async def test_a_closed_form_is_told_when_the_bot_asked_for_it(slack: FakeSlack, bot: Heard) -> None:
    view = await opened(slack)

    await slack.close_view("U1", view.id)

    assert bot.bodies[-1]["type"] == "view_closed"
    assert bot.bodies[-1]["is_cleared"] is False
    assert slack.view_of("U1") is None


async def test_a_submission_that_fails_keeps_the_form_and_says_so(slack: FakeSlack, http_bot: Heard) -> None:
    view = await opened(slack)
    slack.request_url = "http://127.0.0.1:1/"

    result = await slack.submit("U1", view.id, {"why": "because"})

    assert (result.error, slack.view_of("U1")) == ("dispatch_failed", view)
    assert view.warning is not None


async def test_a_message_shortcut_carries_the_message(slack: FakeSlack, bot: Heard) -> None:
    said = await slack.say("U1", "C2", "a draft")
    await slack.settled()

    result = await slack.shortcut("U1", "C2", said.ts, "send_for_approval")

    body = bot.bodies[-1]
    assert result.ok
    assert (body["type"], body["callback_id"], body["message_ts"]) == ("message_action", "send_for_approval", said.ts)
    assert body["message"]["text"] == "a draft"


# ------------------------------------------------------------------ events


async def test_what_people_write_arrives_as_events(slack: FakeSlack, bot: Heard) -> None:
    parent = await slack.say("U1", "C2", "draft of @ben <b>")
    reply = await slack.say("U2", "C2", "fine", parent.ts)
    await slack.say("U2", "C2", "all hear", parent.ts, broadcast=True)
    await slack.edit("U2", "C2", reply.ts, "not fine")
    await slack.delete("U2", "C2", reply.ts)
    await slack.settled()

    plain = {event["text"]: event for event in bot.events()}
    assert plain.keys() == {"draft of <@U2> &lt;b&gt;", "fine"}
    assert plain["fine"].items() >= {"thread_ts": parent.ts, "parent_user_id": "U1", "channel_type": "channel"}.items()
    assert bot.events("thread_broadcast")[0]["root"]["ts"] == parent.ts
    assert bot.events("message_changed")[0]["message"]["text"] == "not fine"
    assert bot.events("message_changed")[0]["previous_message"]["text"] == "fine"
    assert bot.events("message_deleted")[0]["deleted_ts"] == reply.ts


async def test_an_event_comes_in_slacks_envelope(slack: FakeSlack, bot: Heard) -> None:
    await slack.say("U1", "D1", "hello")
    await slack.settled()

    body = bot.bodies[0]
    assert body.items() >= {"type": "event_callback", "team_id": "T1", "api_app_id": slack.app.app_id}.items()
    assert body["authorizations"][0]["user_id"] == slack.app.bot_user_id
    assert body["event"]["channel_type"] == "im"
    assert body["event_id"].startswith("Ev")


async def test_the_bot_hears_nothing_where_it_is_no_member(slack: FakeSlack, bot: Heard) -> None:
    await slack.say("U1", "C3", "in private")
    await slack.settled()

    assert bot.bodies == []


async def test_inviting_the_bot_makes_it_hear(slack: FakeSlack, bot: Heard) -> None:
    await slack.command("U1", "C3", "/invite @signoff")
    await slack.say("U1", "C3", "welcome")
    await slack.settled()

    kinds = sorted(body["event"]["type"] for body in bot.bodies)
    assert kinds == ["member_joined_channel", "message"]


async def test_only_subscribed_events_are_sent(heard: Heard) -> None:
    config = AppConfig(signing_secret=SECRET, events=frozenset({"message.im"}))
    async with FakeSlack(config) as slack, bot_over_http(slack, heard):
        await slack.say("U1", "C2", "in public")
        await slack.say("U1", "D1", "in private")
        await slack.open_home("U1")
        await slack.settled()

    assert [body["event"]["text"] for body in heard.bodies] == ["in private"]


async def test_a_person_who_joins_is_announced(slack: FakeSlack, bot: Heard) -> None:
    slack.workspace.channels["C2"].members.remove("U4")

    await slack.join("U4", "C2")
    await slack.settled()

    assert bot.bodies[0]["event"].items() >= {"type": "member_joined_channel", "user": "U4", "channel": "C2"}.items()


async def test_the_bot_is_told_of_its_own_messages(slack: FakeSlack) -> None:
    seen = []

    async def receive(request: web.Request) -> web.Response:
        seen.append((await request.json())["event"])
        return web.Response()

    async with listening(receive) as slack.request_url:
        client = AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_base_url)
        await client.chat_postMessage(channel="C2", text="mine")
        await slack.settled()

    assert seen[0]["bot_id"] == slack.app.bot_id
    assert "subtype" not in seen[0]


async def test_opening_the_home_tab_is_an_event(slack: FakeSlack, bot: Heard) -> None:
    await slack.open_home("U3")
    await slack.settled()

    assert bot.bodies[0]["event"].items() >= {"type": "app_home_opened", "user": "U3", "tab": "home"}.items()


async def test_an_event_is_retried_three_times_and_says_why(slack: FakeSlack) -> None:
    tries: list[tuple[str | None, str | None, str]] = []

    async def fail(request: web.Request) -> web.Response:
        headers = request.headers
        event_id = (await request.json())["event_id"]
        tries.append((headers.get("x-slack-retry-num"), headers.get("x-slack-retry-reason"), event_id))
        return web.Response(status=500)

    async with listening(fail) as slack.request_url:
        await slack.say("U1", "C2", "hello")
        await slack.settled()

    assert [attempt[:2] for attempt in tries] == [(None, None), *((str(n), "http_error") for n in (1, 2, 3))]
    assert len({attempt[2] for attempt in tries}) == 1


async def test_no_retry_is_made_when_the_bot_forbids_it(slack: FakeSlack) -> None:
    tries = []

    async def fail(request: web.Request) -> web.Response:
        tries.append(1)
        return web.Response(status=500, headers={"X-Slack-No-Retry": "1"})

    async with listening(fail) as slack.request_url:
        await slack.say("U1", "C2", "hello")
        await slack.settled()

    assert len(tries) == 1


async def test_later_retries_wait_for_the_playgrounds_clock(slack: FakeSlack) -> None:
    slack.delivery.retry_delays_s = (0.0, 60.0, 300.0)
    tries = []

    async def fail(request: web.Request) -> web.Response:
        tries.append(request.headers.get("x-slack-retry-num"))
        return web.Response(status=503)

    async with listening(fail) as slack.request_url:
        await slack.say("U1", "C2", "hello")
        await slack.settled()
        at_once = list(tries)
        await slack.advance(61)
        await slack.wait_for(lambda: len(tries) == 3)
        await slack.settled()
        await slack.advance(301)
        await slack.wait_for(lambda: len(tries) == 4)
        await slack.settled()

    assert at_once == [None, "1"]
    assert tries == [None, "1", "2", "3"]


async def test_an_event_that_times_out_is_retried_as_such(slack: FakeSlack) -> None:
    slack.delivery.limit_s = 0.05
    reasons: list[str | None] = []
    release = asyncio.Event()

    async def stall_once(request: web.Request) -> web.Response:
        reasons.append(request.headers.get("x-slack-retry-reason"))
        if len(reasons) == 1:
            await release.wait()
        return web.Response()

    async with listening(stall_once) as slack.request_url:
        await slack.say("U1", "C2", "hello")
        await slack.settled()
        release.set()

    assert reasons == [None, "http_timeout"]


# ------------------------------------------------------------------ Socket Mode


async def test_a_socket_bot_that_is_asked_to_reconnect_misses_nothing(slack: FakeSlack, socket_bot: Heard) -> None:
    await slack.sockets.ask_to_reconnect()
    await slack.wait_for(lambda: len(slack.log.calls("apps.connections.open")) == 2)
    await slack.wait_for(lambda: slack.sockets.ready)

    assert (await slack.command("U1", "C2", "/ask AI")).shown == "asked"


async def test_a_dropped_socket_comes_back(slack: FakeSlack, socket_bot: Heard) -> None:
    await slack.sockets.drop()
    await slack.wait_for(lambda: len(slack.log.calls("apps.connections.open")) == 2)
    await slack.wait_for(lambda: slack.sockets.ready)

    assert (await slack.command("U1", "C2", "/ask AI")).shown == "asked"


async def test_a_silent_socket_times_out(slack: FakeSlack, socket_bot: Heard) -> None:
    slack.sockets.silent = True
    slack.delivery.limit_s = 0.05

    assert (await slack.command("U1", "C2", "/ask AI")).error == "operation_timeout"


async def test_a_socket_address_works_once(slack: FakeSlack) -> None:
    client = AsyncWebClient(token=slack.app.app_token, base_url=slack.api_base_url)
    address = str((await client.apps_connections_open(app_token=slack.app.app_token))["url"])

    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(address) as socket:
            hello = await socket.receive_json()
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(address)

    assert hello["type"] == "hello"
    assert hello["connection_info"] == {"app_id": slack.app.app_id}


async def test_the_eleventh_socket_is_one_too_many(slack: FakeSlack) -> None:
    client = AsyncWebClient(token=slack.app.app_token, base_url=slack.api_base_url)

    async with aiohttp.ClientSession() as http:
        sockets = []
        for _ in range(11):
            address = await client.apps_connections_open(app_token=slack.app.app_token)
            sockets.append(await http.ws_connect(str(address["url"])))
        frames = [await socket.receive_json() for socket in sockets]
        for socket in sockets:
            await socket.close()

    assert [frame["type"] for frame in frames] == ["hello"] * 10 + ["disconnect"]
    assert frames[-1]["reason"] == "too_many_websockets"
