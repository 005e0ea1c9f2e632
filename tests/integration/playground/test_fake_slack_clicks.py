"""The fake Slack's buttons and modals, as a real Bolt app gets them over HTTP and over Socket Mode."""

import asyncio
from dataclasses import replace

import pytest
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import FakeSlack
from bot.playground.widgets import NoSuchElement
from bot.playground.workspace import View
from tests.integration.playground.hearing import (
    BUTTON,
    Heard,
    bot,
    heard,
    http_bot,
    listening,
    slack,
)

__all__ = ["bot", "heard", "http_bot", "slack"]  # fixtures


async def opened(slack: FakeSlack) -> View:
    """A form on Ana's screen."""
    await slack.command("U1", "C2", "/form")
    view = slack.view_of("U1")
    assert view is not None
    return view


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
