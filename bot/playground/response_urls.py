"""Answers that reach a person outside the Web API: `response_url`, and the body of an acknowledgement.

Both show a message in the name of the app, privately unless told otherwise, even where the bot is no member.
"""

import json
import time
from typing import Any

from aiohttp import web

from bot.playground.arguments import Failure
from bot.playground.chat_methods import change, checked_blocks, post, remove
from bot.playground.platform import Platform, ResponseUrl
from bot.playground.rendering import message_json
from bot.playground.workspace import Json, Message


async def receive_answer(slack: Platform, request: web.Request) -> web.Response:
    """`POST /response/<id>`."""
    started = time.monotonic()
    slack.underway += 1
    body: Any = None
    try:
        body = _parsed(await request.text())
        answer(slack, _use(slack, request.match_info["id"]), body)
        response = web.Response(text="ok")
    except Failure as failure:
        status = 404 if failure.code in ("used_url", "expired_url", "invalid_url") else 400
        response = web.json_response(failure.to_json(), status=status)
    finally:
        slack.underway -= 1
        slack.pulse.touch()
    slack.log.record("bot→slack", "response_url", response.status, started, body, response.text)
    return response


def answer(slack: Platform, url: ResponseUrl, body: Json) -> Message | None:
    """Do what *body* says about the interaction that *url* was made for; the message shown, if any.

    Raises:
        Failure: there is nothing to show, or its blocks break a limit.
    """
    original = _original(slack, url)
    if body.get("delete_original"):
        if original is not None:
            _delete(slack, original)
        return None
    blocks = checked_blocks(_value(body.get("blocks")))
    text = str(body.get("text") or "")
    if not text.strip() and not blocks and not body.get("attachments"):
        raise Failure("no_text")
    if body.get("replace_original") and original is not None:
        return _replace(slack, original, text, blocks)
    message = Message(
        url.channel,
        "",
        slack.app.bot_user_id,
        text,
        blocks,
        thread_ts=body.get("thread_ts"),  # Slack does not infer it: github.com/slackapi/bolt-js/issues/2170
        bot_id=slack.app.bot_id,
    )
    if body.get("response_type") == "in_channel":
        post(slack, message)
        return message
    message.ts, message.ephemeral_for = slack.mint_ts(), url.user
    slack.workspace.in_channel(url.channel).append(message)
    slack.pulse.touch()
    return message


def _use(slack: Platform, key: str) -> ResponseUrl:
    url = slack.response_urls.get(key)
    if url is None:
        raise Failure("invalid_url")
    if slack.clock.now() >= url.expires_at:
        raise Failure("expired_url")
    if url.uses_left <= 0:
        raise Failure("used_url")
    url.uses_left -= 1
    return url


def _parsed(text: str) -> Json:
    try:
        body = json.loads(text)
    except ValueError as error:
        raise Failure("invalid_payload") from error
    if not isinstance(body, dict):
        raise Failure("invalid_payload")
    return body


def _value(blocks: Any) -> Any:
    """Blocks may come as JSON inside the JSON."""
    if not isinstance(blocks, str):
        return blocks
    try:
        return json.loads(blocks)
    except ValueError as error:
        raise Failure("invalid_blocks_format") from error


def _original(slack: Platform, url: ResponseUrl) -> Message | None:
    if url.message_ts is None:
        return None
    if url.ephemeral:
        return slack.workspace.find_ephemeral(url.channel, url.message_ts, url.user)
    return slack.workspace.find(url.channel, url.message_ts)


def _delete(slack: Platform, message: Message) -> None:
    if message.ephemeral_for is None:
        remove(slack, message)
        return
    slack.workspace.in_channel(message.channel).remove(message)
    slack.pulse.touch()


def _replace(slack: Platform, message: Message, text: str, blocks: list[Json] | None) -> Message:
    before = message_json(slack, message)
    message.text, message.blocks = text, blocks
    if message.ephemeral_for is None:
        change(slack, message, before)
    else:
        message.warning = None
        slack.pulse.touch()
    return message
