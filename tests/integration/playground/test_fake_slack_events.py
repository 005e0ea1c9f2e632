"""The fake Slack's events and their retries, as a real Bolt app gets them over HTTP and over Socket Mode."""

import asyncio

from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import AppConfig, FakeSlack
from tests.integration.playground.hearing import (
    SECRET,
    Heard,
    bot,
    bot_over_http,
    heard,
    listening,
    slack,
)

__all__ = ["bot", "heard", "slack"]  # fixtures


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
