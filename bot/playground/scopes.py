"""Which OAuth scopes a call needs, per docs.slack.dev/reference/methods, where the app lists what it was granted."""

from collections.abc import Mapping

from bot.playground.arguments import Failure
from bot.playground.platform import Platform
from bot.playground.workspace import Channel, Json

FIXED: Mapping[str, str] = {
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "chat.delete": "chat:write",
    "chat.postEphemeral": "chat:write",
    "conversations.join": "channels:join",
    "users.info": "users:read",
    "users.list": "users:read",
    "bots.info": "users:read",
    "usergroups.list": "usergroups:read",
    "usergroups.users.list": "usergroups:read",
    "team.info": "team:read",
    "files.getUploadURLExternal": "files:write",
    "files.completeUploadExternal": "files:write",
    "files.info": "files:read",
    "reactions.add": "reactions:write",
}
# What the scope is called depends on the kind of channel: `channels:history`, `im:history`, ...
BY_CHANNEL: Mapping[str, str] = {
    "conversations.info": "read",
    "conversations.members": "read",
    "conversations.history": "history",
    "conversations.replies": "history",
}
TYPES: Mapping[str, str] = {"public_channel": "channels", "private_channel": "groups", "im": "im", "mpim": "mpim"}


def needed(slack: Platform, method: str, values: Json) -> set[str]:
    """The scopes that this call needs; more than one if it asks for several kinds of channel."""
    if method in FIXED:
        return {FIXED[method]}
    if method in BY_CHANNEL:
        channel = slack.workspace.channels.get(str(values.get("channel")))
        return {f"{family(channel)}:{BY_CHANNEL[method]}"} if channel else set()
    if method == "conversations.open":
        return {"mpim:write" if "," in str(values.get("users")) else "im:write"}
    if method in ("conversations.list", "users.conversations"):
        wanted = str(values.get("types") or "public_channel").split(",")
        return {f"{TYPES[kind.strip()]}:read" for kind in wanted if kind.strip() in TYPES}
    return set()


def check_scopes(slack: Platform, method: str, values: Json) -> None:
    """Complain, as Slack does, about a scope the app was not granted; nothing is checked if it lists none."""
    granted = slack.app.scopes
    if granted is None:
        return
    if missing := needed(slack, method, values) - granted:
        raise Failure("missing_scope", needed=",".join(sorted(missing)), provided=",".join(sorted(granted)))


def family(channel: Channel) -> str:
    """`channels`, `groups`, `im` or `mpim`: the word in scopes and in the names of message events."""
    if channel.is_group:
        return "mpim"
    return {"public": "channels", "private": "groups", "dm": "im"}[channel.kind]
