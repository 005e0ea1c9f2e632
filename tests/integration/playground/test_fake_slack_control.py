"""The playground's control API: what the page shows and does, over HTTP as the page does it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import AppConfig, CommandInfo, FakeSlack, ShortcutInfo

CONFIG = AppConfig(
    signing_secret="shhh",
    commands=(CommandInfo("/ask", "Ask something", "what"),),
    shortcuts=(ShortcutInfo("send_for_approval", "Send for approval"),),
)
BLOCKS = [
    {
        "type": "actions",
        "block_id": "decide",
        "elements": [
            {"type": "button", "action_id": "yes", "value": "y", "text": {"type": "plain_text", "text": "Yes"}},
            {"type": "datepicker", "action_id": "when"},
        ],
    }
]
MODAL: dict[str, Any] = {
    "type": "modal",
    "callback_id": "form",
    "notify_on_close": True,
    "title": {"type": "plain_text", "text": "A form"},
    "submit": {"type": "plain_text", "text": "Send"},
    "blocks": [
        {
            "type": "input",
            "block_id": "why",
            "label": {"type": "plain_text", "text": "Why"},
            "element": {"type": "plain_text_input", "action_id": "text", "max_length": 5},
        },
        *BLOCKS,
    ],
}


class Bot:
    """A bot that remembers what it was sent and answers what it was told to."""

    def __init__(self) -> None:
        self.answer: Any = {}
        self.heard: list[dict[str, Any]] = []

    async def receive(self, request: web.Request) -> web.Response:
        if request.content_type == "application/json":
            self.heard.append(await request.json())
            return web.Response()
        form: Any = await request.post()
        self.heard.append(json.loads(form["payload"]) if "payload" in form else dict(form))
        return web.json_response(self.answer)


class Page:
    """What the page does: GET and POST of JSON."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = url

    async def state(self, user: str = "U1") -> dict[str, Any]:
        async with self.http.get(f"{self.url}/control/state", params={"user": user}) as response:
            found: dict[str, Any] = await response.json()
        return found

    async def post(self, act: str, **body: Any) -> dict[str, Any]:
        async with self.http.post(f"{self.url}/control/{act}", json=body) as response:
            found: dict[str, Any] = await response.json()
        return found


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(CONFIG) as slack:
        slack.delivery.retry_delays_s = ()
        yield slack


@pytest.fixture
async def bot(slack: FakeSlack) -> AsyncIterator[Bot]:
    bot = Bot()
    application = web.Application()
    application.router.add_post("/", bot.receive)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.request_url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield bot
    await runner.cleanup()


@pytest.fixture
async def page(slack: FakeSlack) -> AsyncIterator[Page]:
    async with aiohttp.ClientSession() as http:
        yield Page(http, slack.url)


async def test_the_state_shows_what_one_person_can_see(slack: FakeSlack, page: Page, client: AsyncWebClient) -> None:
    await client.chat_postMessage(channel="C2", text="for all", blocks=BLOCKS)
    await client.chat_postEphemeral(channel="C2", user="U1", text="for Ana")

    ana, dan = await page.state("U1"), await page.state("U4")

    assert [c["id"] for c in ana["channels"]] == ["C1", "C2", "C3", "D1"]
    assert [c["id"] for c in dan["channels"]] == ["C1", "C2", "D4"]
    assert [(m["text"], m["ephemeral"]) for m in ana["messages"]["C2"]] == [("for all", False), ("for Ana", True)]
    assert [m["text"] for m in dan["messages"]["C2"]] == ["for all"]
    assert ana["me"] == "U1"
    assert ana["direct"] == {}
    assert ana["users"][1]["role"] == "approver"
    assert ana["channels"][2]["bot_member"] is False
    assert ana["commands"] == [{"command": "/ask", "description": "Ask something", "usage_hint": "what"}]
    assert ana["shortcuts"] == [{"callback_id": "send_for_approval", "name": "Send for approval"}]
    assert ana["bot"] == {"connected": False, "mode": "socket"}
    assert (ana["view"], ana["home"], ana["clock_offset_s"]) == (None, None, 0)
    assert (await page.state("U9"))["error"] == "user_not_found"


async def test_the_state_says_to_whom_the_bot_wrote_last_and_when(page: Page, client: AsyncWebClient) -> None:
    await client.chat_postMessage(channel="D3", text="one")
    last = await client.chat_postMessage(channel="D3", text="two")

    assert (await page.state("U1"))["direct"] == {"U3": {"channel": "D3", "ts": last["ts"]}}


async def test_a_guest_sees_only_where_they_were_let_in(slack: FakeSlack, page: Page, client: AsyncWebClient) -> None:
    await client.chat_postMessage(channel="C1", text="for members")

    mia = await page.state("U5")
    refusal = await page.post("message", user="U5", channel="C1", text="hello")

    assert [c["id"] for c in mia["channels"]] == ["C2", "D5"]
    assert "C1" not in mia["messages"]
    assert refusal["error"] == "channel_not_found"
    assert (await client.users_info(user="U5"))["user"]["is_restricted"] is True


async def test_a_command_is_answered_once_the_bot_has(page: Page, bot: Bot) -> None:
    bot.answer = {"text": "done"}

    answer = await page.post("command", user="U1", channel="C2", text="/ask AI")

    assert answer == {"ok": True, "shown": "done"}
    assert (await page.state())["messages"]["C2"][-1]["text"] == "done"


async def test_a_command_that_fails_says_why(slack: FakeSlack, page: Page) -> None:
    answer = await page.post("command", user="U1", channel="C2", text="/ask AI")

    assert (answer["ok"], answer["error"]) == (False, "dispatch_failed")


async def test_messages_are_written_edited_and_deleted(slack: FakeSlack, page: Page, bot: Bot) -> None:
    ts = (await page.post("message", user="U1", channel="C2", text="one"))["ts"]
    reply = (await page.post("message", user="U2", channel="C2", text="two", thread_ts=ts))["ts"]
    await page.post("edit", user="U2", channel="C2", ts=reply, text="three")
    parent, answer = (await page.state())["messages"]["C2"]
    refusal = await page.post("delete", user="U1", channel="C2", ts=reply)
    await page.post("delete", user="U2", channel="C2", ts=reply)

    assert (parent["reply_count"], answer["thread_ts"], answer["text"], answer["edited"]) == (1, ts, "three", True)
    assert refusal == {"ok": False, "error": "cant_delete_message"}
    assert [m.text for m in slack.messages("C2")] == ["one"]
    kinds = [body["event"].get("subtype") for body in bot.heard]
    assert kinds == [None, None, "message_changed", "message_deleted"]


async def test_a_button_and_a_picker_of_a_message_reach_the_bot(page: Page, bot: Bot, client: AsyncWebClient) -> None:
    ts = str((await client.chat_postMessage(channel="C2", text="x", blocks=BLOCKS))["ts"])
    place = {"user": "U2", "channel": "C2", "ts": ts, "block_id": "decide"}

    clicked = await page.post("action", **place, action_id="yes", type="button", value="y")
    picked = await page.post("action", **place, action_id="when", type="datepicker", selected_date="2026-12-01")

    actions = [body["actions"][0] for body in bot.heard if body.get("type") == "block_actions"]
    assert clicked["ok"] is picked["ok"] is True
    assert actions[0]["value"] == "y"
    assert actions[1]["selected_date"] == "2026-12-01"
    values = bot.heard[-1]["state"]["values"]
    assert values == {"decide": {"when": {"type": "datepicker", "selected_date": "2026-12-01"}}}


async def test_what_is_not_there_cannot_be_clicked(page: Page, bot: Bot, client: AsyncWebClient) -> None:
    ts = str((await client.chat_postMessage(channel="C2", text="x"))["ts"])

    answer = await page.post("action", user="U2", channel="C2", ts=ts, action_id="yes")

    assert answer["ok"] is False


async def test_a_form_is_filled_in_refused_and_sent(
    slack: FakeSlack, page: Page, bot: Bot, client: AsyncWebClient
) -> None:
    await client.views_open(trigger_id=slack.trigger("U1"), view=MODAL)
    view = (await page.state())["view"]
    form = {"user": "U1", "view_id": view["id"]}

    def filled(text: str) -> dict[str, Any]:
        return {"why": {"text": {"type": "plain_text_input", "value": text}}}

    by_slack = await page.post("submit", **form, values=filled("too long"))
    bot.answer = {"response_action": "errors", "errors": {"why": "No."}}
    by_bot = await page.post("submit", **form, values=filled("bad"))
    shown = (await page.state())["view"]
    bot.answer = {}
    accepted = await page.post("submit", **form, values=filled("good"))

    assert (view["title"]["text"], view["errors"]) == ("A form", {})
    assert by_slack["errors"] == {"why": "Must be 5 characters or fewer."}
    assert by_bot["errors"] == shown["errors"] == {"why": "No."}
    assert shown["state"]["values"]["why"] == filled("bad")["why"]
    assert accepted["ok"]
    assert (await page.state())["view"] is None


async def test_a_modals_button_carries_what_was_typed(
    slack: FakeSlack, page: Page, bot: Bot, client: AsyncWebClient
) -> None:
    await client.views_open(trigger_id=slack.trigger("U1"), view=MODAL)
    view_id = (await page.state())["view"]["id"]
    typed = {"why": {"text": {"type": "plain_text_input", "value": "half"}}}

    await page.post("action", user="U1", view_id=view_id, block_id="decide", action_id="yes", values=typed)

    body = bot.heard[-1]
    assert body["container"] == {"type": "view", "view_id": view_id}
    assert body["view"]["state"]["values"]["why"] == typed["why"]
    assert "channel" not in body
    assert "message" not in body


async def test_a_form_is_closed(slack: FakeSlack, page: Page, bot: Bot, client: AsyncWebClient) -> None:
    await client.views_open(trigger_id=slack.trigger("U1"), view=MODAL)
    view_id = (await page.state())["view"]["id"]

    await page.post("close", user="U1", view_id=view_id)

    assert bot.heard[-1]["type"] == "view_closed"
    assert (await page.post("close", user="U1", view_id=view_id))["error"] == "view_not_found"


async def test_app_home_opens_and_its_buttons_work(page: Page, bot: Bot, client: AsyncWebClient) -> None:
    await client.views_publish(user_id="U1", view={"type": "home", "blocks": BLOCKS})

    await page.post("home", user="U1")
    await page.post("action", user="U1", home=True, block_id="decide", action_id="yes")

    assert bot.heard[0]["event"]["type"] == "app_home_opened"
    assert bot.heard[1]["view"]["type"] == "home"
    assert (await page.state())["home"]["blocks"][0]["block_id"] == "decide"


async def test_a_message_shortcut_is_chosen(page: Page, bot: Bot) -> None:
    ts = (await page.post("message", user="U1", channel="C2", text="a draft"))["ts"]

    answer = await page.post("shortcut", user="U1", channel="C2", ts=ts, callback_id="send_for_approval")

    assert answer["ok"]
    assert bot.heard[-1]["message"]["ts"] == ts


async def test_the_drawer_sets_and_shows_faults(slack: FakeSlack, page: Page) -> None:
    await page.post("faults", deliver_twice=True, rate_limit=2, slow=True, bot_removed={"C2": True})
    shown = (await page.state())["faults"]
    await page.post("faults", deliver_twice=False, rate_limit=0, slow=False, bot_removed={"C2": False})

    assert {name for name, value in shown.items() if value} == {"deliver_twice", "rate_limit", "slow"}
    assert shown["rate_limit"] == 2
    assert not any((await page.state())["faults"].values())
    assert "unknown fault" in (await page.post("faults", gremlins=True))["error"]


async def test_the_clock_and_the_bot_obey_the_drawer() -> None:
    told: list[float] = []
    restarts: list[str] = []

    async def on_clock(offset_s: float) -> None:
        told.append(offset_s)

    async def on_restart() -> None:
        restarts.append("again")

    async with (
        FakeSlack(CONFIG, on_clock=on_clock, on_restart=on_restart) as slack,
        aiohttp.ClientSession() as http,
    ):
        page = Page(http, slack.url)
        await page.post("clock", advance_s=86_400)
        await page.post("clock", advance_s=60)
        await page.post("restart")
        state = await page.state()

    assert told == [86_400, 86_460]
    assert restarts == ["again"]
    assert state["clock_offset_s"] == 86_460


async def test_the_inspector_shows_both_directions(page: Page, bot: Bot, client: AsyncWebClient) -> None:
    await page.post("command", user="U1", channel="C2", text="/ask AI")
    await client.auth_test()

    async with page.http.get(f"{page.url}/control/log?after=1") as response:
        later = (await response.json())["entries"]
    async with page.http.get(f"{page.url}/control/log") as response:
        entries = (await response.json())["entries"]

    assert [(e["direction"], e["method"], e["status"]) for e in entries] == [
        ("slack→bot", "/ask", 200),
        ("bot→slack", "auth.test", 200),
    ]
    assert [e["n"] for e in later] == [2]
    assert CONFIG.bot_token not in json.dumps(entries)


async def test_the_page_hears_of_every_change(slack: FakeSlack, page: Page) -> None:
    async with page.http.get(f"{page.url}/control/events") as stream, asyncio.timeout(5):
        first = json.loads((await stream.content.readline()).removeprefix(b"data: "))
        await stream.content.readline()
        await slack.say("U1", "C2", "news")
        second = json.loads((await stream.content.readline()).removeprefix(b"data: "))

    assert second["rev"] > first["rev"]


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}], ids=str
)
async def test_another_sites_page_cannot_use_the_playground(page: Page, headers: dict[str, str]) -> None:
    async with page.http.get(f"{page.url}/control/state", headers=headers) as response:
        assert response.status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_no_picture_or_link_on_another_sites_page_acts_as_the_bot(page: Page, site: str) -> None:
    call = f"{page.url}/api/chat.postMessage?token={CONFIG.bot_token}&channel=C2&text=hi"

    async with page.http.get(call, headers={"Sec-Fetch-Site": site}) as response:
        assert response.status == 403

    async with page.http.get(f"{page.url}/", headers={"Sec-Fetch-Site": site}) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("act", "body", "status"), [("nonsense", {}, 404), ("command", {}, 400), ("clock", {"advance_s": "soon"}, 400)]
)
async def test_a_request_that_makes_no_sense_is_refused(page: Page, act: str, body: Any, status: int) -> None:
    async with page.http.post(f"{page.url}/control/{act}", json=body) as response:
        assert response.status == status
        assert (await response.json())["ok"] is False


async def test_files_outside_the_page_are_not_served(page: Page) -> None:
    for path in ("..%2fserver.py", "%2e%2e/server.py", "nothing.js"):
        async with page.http.get(f"{page.url}/page/{path}") as response:
            assert response.status == 404
