"""What one person is told goes to Slack and nowhere else."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import AppConfig, FakeSlack
from bot.slack.telling import Telling
from bot.slack.workspaces import OneWorkspace


async def test_what_somebody_is_told_in_a_thread_stands_there() -> None:
    """Slack puts what comes by a response_url into the channel, unless it says which thread."""
    async with FakeSlack(AppConfig(signing_secret="unused")) as slack:
        root = await slack.say("U1", "C2", "A draft")
        reply = await slack.say("U1", "C2", "A second one", root.ts)
        telling = Telling(OneWorkspace(AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_base_url)))

        url = slack.response_url("C2", "U2", reply)
        await telling.tell("T1", "U2", "Thank you", response_url=url, channel="C2", thread_ts=root.ts)
        await telling.tell("T1", "U2", "Thank you", response_url=url, channel="C2")

        assert [note.thread_ts for note in slack.ephemerals("U2", "C2")] == [root.ts, None]


async def test_somebody_whose_response_url_is_over_is_told_all_the_same() -> None:
    async with FakeSlack(AppConfig(signing_secret="unused")) as slack:
        telling = Telling(OneWorkspace(AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_base_url)))
        url = slack.response_url("C2", "U2", await slack.say("U1", "C2", "A draft"))
        slack.clock.advance(1801)

        await telling.tell("T1", "U2", "Thank you", response_url=url, channel="C2")

        assert [note.text for note in slack.ephemerals("U2", "C2")] == ["Thank you"]


async def test_no_link_in_what_one_person_is_told_is_unfolded() -> None:
    """Security 5."""
    async with FakeSlack(AppConfig(signing_secret="unused")) as slack:
        client = AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_base_url)

        await Telling(OneWorkspace(client)).tell_directly("T1", "U2", "Look: https://example.com/picture.png")

        (posted,) = slack.log.calls("chat.postMessage")
        assert (posted.request["unfurl_links"], posted.request["unfurl_media"]) == (False, False)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_of_a_response_url_is_followed(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Security 7; Adversarial 39."""
    reached: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        reached.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    site = web.Application()
    site.add_routes([web.route("*", "/{path:.*}", answer)])
    async with TestServer(site) as slack:
        told = Telling(OneWorkspace(AsyncWebClient(base_url=str(slack.make_url("/api/")))))

        await told.tell("T1", "U1", "Thank you", response_url=str(slack.make_url("/response/1")))

    assert reached == ["/response/1"]
    assert "could not tell somebody privately" in caplog.text
