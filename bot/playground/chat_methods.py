"""The Web API's `chat.*` and `reactions.*`: posting, changing and deleting messages."""

import json
from typing import Any

from bot.playground.arguments import Arguments, Failure
from bot.playground.limits import problems_with_blocks, too_long_together
from bot.playground.payloads import changed_event, deleted_event, message_event
from bot.playground.platform import Platform
from bot.playground.rendering import message_json, with_ids
from bot.playground.workspace import Channel, Json, Message

POST_TEXT = 40_000  # longer text is cut: docs.slack.dev/reference/methods/chat.postMessage
UPDATE_TEXT = 4_000  # docs.slack.dev/reference/methods/chat.update
MARKDOWN_TEXT = 12_000
METADATA_BYTES = 16_384
ATTACHMENTS = 100


def post_message(slack: Platform, args: Arguments) -> Json:
    channel = writable_channel(slack, args.text("channel"))
    text, blocks, attachments = _content_of(args)
    if blocks and too_long_together(blocks):
        raise Failure("msg_blocks_too_long")
    message = Message(
        channel.id,
        "",
        slack.app.bot_user_id,
        text[:POST_TEXT],
        blocks,
        attachments,
        thread_ts=thread_of(slack, channel, args.text("thread_ts")),
        bot_id=slack.app.bot_id,
        username=args.text("username") or None,
        metadata=_metadata_of(args),
        reply_broadcast=args.flag("reply_broadcast") and "thread_ts" in args,
    )
    post(slack, message)
    found: Json = {"ok": True, "channel": channel.id, "ts": message.ts, "message": message_json(slack, message)}
    if len(text) > POST_TEXT:
        found["response_metadata"] = {"warnings": ["message_truncated"]}
    return found


def post(slack: Platform, message: Message) -> None:
    """Add *message* to its channel under a new ts and tell the bot, as Slack tells a bot of its own messages too."""
    message.ts = slack.mint_ts()
    slack.workspace.in_channel(message.channel).append(message)
    if slack.hears(slack.workspace.channels[message.channel]):
        slack.emit(message_event(slack, message))
    slack.pulse.touch()


def update(slack: Platform, args: Arguments) -> Json:
    channel, message = _own_message(slack, args, "cant_update_message")
    if channel.archived:
        raise Failure("is_inactive")
    text, blocks, attachments = _content_of(args)
    if len(text) > UPDATE_TEXT:
        raise Failure("msg_too_long")
    if blocks and too_long_together(blocks):
        raise Failure("msg_blocks_too_long")
    before = message_json(slack, message)
    message.text, message.blocks = text, blocks
    message.attachments = attachments if "attachments" in args else message.attachments
    if "metadata" in args:
        message.metadata = _metadata_of(args)
    change(slack, message, before)
    found = {"ok": True, "channel": channel.id, "ts": message.ts, "text": text}
    return found | {"message": message_json(slack, message)}


def change(slack: Platform, message: Message, before: Json) -> None:
    """Mark *message* as edited and tell the bot; *before* is its JSON until now."""
    message.edited_ts = slack.mint_ts()
    message.warning = None
    if slack.hears(slack.workspace.channels[message.channel]):
        slack.emit(changed_event(slack, message, before))
    slack.pulse.touch()


def delete(slack: Platform, args: Arguments) -> Json:
    channel, message = _own_message(slack, args, "cant_delete_message")
    remove(slack, message)
    return {"ok": True, "channel": channel.id, "ts": message.ts}


def remove(slack: Platform, message: Message) -> None:
    """Delete *message*; one with replies stays as a tombstone, so that the thread keeps its head."""
    before = message_json(slack, message)
    if slack.workspace.replies(message.channel, message.ts):
        message.subtype, message.user, message.bot_id = "tombstone", "USLACKBOT", None
        message.text, message.blocks, message.metadata = "This message was deleted.", None, None
        change(slack, message, before)
        return
    slack.workspace.in_channel(message.channel).remove(message)
    if slack.hears(slack.workspace.channels[message.channel]):
        slack.emit(deleted_event(slack, message, before))
    slack.pulse.touch()


def post_ephemeral(slack: Platform, args: Arguments) -> Json:
    channel = writable_channel(slack, args.text("channel"))
    user = args.text("user")
    if user not in channel.members:
        raise Failure("user_not_in_channel")
    text, blocks, attachments = _content_of(args)
    if len(text) > POST_TEXT:
        raise Failure("msg_too_long")
    message = Message(
        channel.id,
        slack.mint_ts(),
        slack.app.bot_user_id,
        text,
        blocks,
        attachments,
        thread_ts=args.text("thread_ts") or None,
        bot_id=slack.app.bot_id,
        ephemeral_for=user,
    )
    slack.workspace.in_channel(channel.id).append(message)
    slack.pulse.touch()
    return {"ok": True, "message_ts": message.ts}


def permalink(slack: Platform, args: Arguments) -> Json:
    channel = known_channel(slack, args.text("channel"))
    message = slack.workspace.find(channel.id, args.text("message_ts"))
    if message is None:
        raise Failure("message_not_found")
    link = f"{slack.url}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.is_reply:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"ok": True, "channel": channel.id, "permalink": link}


def add_reaction(slack: Platform, args: Arguments) -> Json:
    channel = known_channel(slack, args.text("channel"))
    message = slack.workspace.find(channel.id, args.text("timestamp"))
    if channel.archived:
        raise Failure("is_archived")
    if message is None:
        raise Failure("message_not_found")
    name = args.text("name").strip(":")
    if not name or not all(c.isalnum() or c in "_+-':" for c in name):
        raise Failure("invalid_name")
    who = message.reactions.setdefault(name, [])
    if slack.app.bot_user_id in who:
        raise Failure("already_reacted")
    who.append(slack.app.bot_user_id)
    slack.pulse.touch()
    return {"ok": True}


def known_channel(slack: Platform, name: str) -> Channel:
    """The channel of that id as far as the bot can know of it."""
    channel = slack.workspace.channels.get(name)
    if channel is None or (channel.kind != "public" and not slack.hears(channel)):
        raise Failure("channel_not_found")
    return channel


def writable_channel(slack: Platform, name: str) -> Channel:
    """The channel to post to, by id, by name, or as a person whose conversation with the bot is meant."""
    user = slack.workspace.users.get(name)
    if user and not user.is_bot and not user.deleted:
        return slack.workspace.dm_of(name)
    named = [c.id for c in slack.workspace.channels.values() if c.kind != "dm" and c.name == name.lstrip("#")]
    channel = known_channel(slack, named[0] if named else name)
    if not slack.hears(channel):
        raise Failure("not_in_channel")
    if channel.archived:
        raise Failure("is_archived")
    return channel


def _own_message(slack: Platform, args: Arguments, otherwise: str) -> tuple[Channel, Message]:
    """The message that is meant, and its channel; one that is not the bot's own ends the call with *otherwise*."""
    channel = known_channel(slack, args.text("channel"))
    message = slack.workspace.find(channel.id, args.text("ts"))
    if message is None or message.subtype == "tombstone":
        raise Failure("message_not_found")
    if message.user != slack.app.bot_user_id:
        raise Failure(otherwise)
    return channel, message


def thread_of(slack: Platform, channel: Channel, thread_ts: str) -> str | None:
    """The parent that *thread_ts* means; a reply's own ts leads to its parent.

    Where there is none, Slack does not complain: what was meant for the thread stands in the channel itself, as in
    github.com/slack-go/slack/issues/1571.
    """
    parent = slack.workspace.find(channel.id, thread_ts) if thread_ts else None
    return None if parent is None else parent.thread_ts or parent.ts


def _content_of(args: Arguments) -> tuple[str, list[Json] | None, list[Json] | None]:
    """Text, blocks and attachments of a message, checked."""
    blocks = checked_blocks(args.data("blocks", "invalid_blocks_format"))
    attachments = args.data("attachments", "invalid_attachments")
    if isinstance(attachments, list) and len(attachments) > ATTACHMENTS:
        raise Failure("too_many_attachments")
    text = args.text("text")
    if markdown := args.text("markdown_text"):
        if text or blocks:
            raise Failure("markdown_text_conflict")
        if len(markdown) > MARKDOWN_TEXT:
            raise Failure("msg_too_long")
        text, blocks = markdown, with_ids([{"type": "markdown", "text": markdown}])
    if not text.strip() and not blocks and not attachments:
        raise Failure("no_text")
    return text, blocks, attachments


def checked_blocks(blocks: Any) -> list[Json] | None:
    """The blocks with ids filled in, or None if there are none."""
    if blocks in (None, "", []):
        return None
    if not isinstance(blocks, list):
        raise Failure("invalid_blocks_format")
    if problems := problems_with_blocks(blocks):
        raise Failure("invalid_blocks", *problems)
    return with_ids(blocks)


def _metadata_of(args: Arguments) -> Json | None:
    metadata = args.data("metadata", "invalid_metadata_format")
    if not metadata:
        return None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str):
        raise Failure("invalid_metadata_format")
    if not isinstance(metadata.get("event_payload"), dict):
        raise Failure("invalid_metadata_format")
    if len(json.dumps(metadata).encode()) > METADATA_BYTES:
        raise Failure("metadata_too_large")
    return {"event_type": metadata["event_type"], "event_payload": metadata["event_payload"]}


METHODS = {
    "chat.postMessage": post_message,
    "chat.update": update,
    "chat.delete": delete,
    "chat.postEphemeral": post_ephemeral,
    "chat.getPermalink": permalink,
    "reactions.add": add_reaction,
}
