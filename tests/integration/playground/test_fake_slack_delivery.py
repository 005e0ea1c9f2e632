"""The fake Slack's commands and signatures, received by a real Bolt app over HTTP and over Socket Mode."""

import asyncio
import time
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import AppConfig, FakeSlack
from tests.integration.playground.hearing import (
    SECRET,
    Heard,
    bot,
    heard,
    http_bot,
    listening,
    slack,
    socket_bot,
)

__all__ = ["bot", "heard", "http_bot", "slack", "socket_bot"]  # fixtures


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
