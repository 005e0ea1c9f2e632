"""What the fake Slack remembers: people, channels, messages, views and files, and how they survive a restart.

Plain data and look-ups. What the Web API makes of it is in `rendering`; who may do what is in the methods.
"""

import base64
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
ChannelKind = Literal["public", "private", "dm"]


@dataclass
class User:
    id: str
    name: str
    real_name: str
    role: str = "outsider"
    color: str = "#616061"
    tz: str = "Europe/London"
    locale: str = "en-GB"
    is_bot: bool = False
    deleted: bool = False
    is_restricted: bool = False
    team_id: str | None = None  # set for a person of another workspace


@dataclass
class Channel:
    id: str
    name: str
    kind: ChannelKind = "public"
    members: list[str] = field(default_factory=list)
    archived: bool = False

    @property
    def is_group(self) -> bool:
        """Whether this is a conversation of the bot with several people."""
        return self.kind == "dm" and len(self.members) > 2


@dataclass
class UserGroup:
    id: str
    handle: str
    name: str
    users: list[str]


@dataclass
class File:
    """An upload. It is shared, and so visible, once `shared` names a channel."""

    id: str
    name: str
    title: str
    user: str
    size: int
    content: bytes = b""
    created: int = 0
    uploaded: bool = False
    shared: list[str] = field(default_factory=list)


@dataclass
class Message:
    """A message or, with `ephemeral_for`, a note that only one person sees."""

    channel: str
    ts: str
    user: str
    text: str = ""
    blocks: list[Json] | None = None
    attachments: list[Json] | None = None
    thread_ts: str | None = None
    bot_id: str | None = None
    username: str | None = None
    subtype: str | None = None
    metadata: Json | None = None
    edited_ts: str | None = None
    ephemeral_for: str | None = None
    reply_broadcast: bool = False
    files: list[str] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    warning: str | None = None

    @property
    def is_reply(self) -> bool:
        return self.thread_ts is not None and self.thread_ts != self.ts


@dataclass
class View:
    """A modal or an App Home. `body` is what the app sent, with ids filled in."""

    id: str
    user: str
    body: Json
    hash: str
    root_view_id: str
    previous_view_id: str | None = None
    values: Json = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    warning: str | None = None

    @property
    def blocks(self) -> list[Json]:
        return list(self.body.get("blocks") or [])


@dataclass
class Workspace:
    """One Slack workspace. Change it through the methods where there is one; they keep `ts` unique."""

    team_id: str
    team_name: str
    bot_user_id: str
    users: dict[str, User] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    groups: dict[str, UserGroup] = field(default_factory=dict)
    messages: dict[str, list[Message]] = field(default_factory=dict)
    modals: dict[str, list[View]] = field(default_factory=dict)
    homes: dict[str, View] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    last_us: int = 0
    last_id: int = 0
    enterprise_id: str = ""  # the organisation it is part of, and all workspaces of that
    enterprise_teams: list[str] = field(default_factory=list)

    def mint_ts(self, now: float) -> str:
        """A message timestamp, greater than each one before."""
        self.last_us = max(int(now * 1_000_000), self.last_us + 1)
        return f"{self.last_us // 1_000_000}.{self.last_us % 1_000_000:06d}"

    def mint_id(self, prefix: str) -> str:
        """An id like Slack's: upper case, unique, also after a restart."""
        self.last_id += 1
        return f"{prefix}{self.last_id:05X}{secrets.token_hex(3).upper()}"

    def in_channel(self, channel: str) -> list[Message]:
        return self.messages.setdefault(channel, [])

    def find(self, channel: str, ts: str) -> Message | None:
        """The message that everybody sees under *ts*."""
        return next((m for m in self.in_channel(channel) if m.ts == ts and m.ephemeral_for is None), None)

    def find_ephemeral(self, channel: str, ts: str, user: str) -> Message | None:
        return next((m for m in self.in_channel(channel) if m.ts == ts and m.ephemeral_for == user), None)

    def replies(self, channel: str, thread_ts: str) -> list[Message]:
        """The public replies of a thread, oldest first, without its parent."""
        return [
            m for m in self.in_channel(channel) if m.thread_ts == thread_ts and m.is_reply and m.ephemeral_for is None
        ]

    def visible_channels(self, user: str) -> list[Channel]:
        """The channels that *user* can open; a guest only those they were let into."""
        guest = self.users[user].is_restricted
        return [c for c in self.channels.values() if user in c.members or (c.kind == "public" and not guest)]

    def dm_of(self, user: str) -> Channel:
        """The conversation between *user* and the bot, opened on first use."""
        return self.conversation_of([user])

    def conversation_of(self, users: list[str]) -> Channel:
        """The conversation between *users* and the bot, opened on first use."""
        everybody = {*users, self.bot_user_id}
        for channel in self.channels.values():
            if channel.kind == "dm" and set(channel.members) == everybody:
                return channel
        names = [self.users[user].name for user in (*users, self.bot_user_id)]
        group = len(everybody) > 2
        name = f"mpdm-{'--'.join(names)}-1" if group else f"dm-{names[0]}"
        channel = Channel(self.mint_id("G" if group else "D"), name, "dm", [*users, self.bot_user_id])
        self.channels[channel.id] = channel
        return channel

    def modal_of(self, user: str) -> View | None:
        stack = self.modals.get(user)
        return stack[-1] if stack else None

    def views(self) -> Iterator[View]:
        for stack in self.modals.values():
            yield from stack
        yield from self.homes.values()

    def find_view(self, claim: Callable[[View], bool]) -> View | None:
        return next((view for view in self.views() if claim(view)), None)

    def to_json(self) -> Json:
        data = asdict(self)
        for stored in data["files"].values():
            stored["content"] = base64.b64encode(stored["content"]).decode("ascii")
        return data

    @classmethod
    def from_json(cls, data: Json) -> "Workspace":
        """Undo `to_json`."""
        files = {
            key: File(**{**raw, "content": base64.b64decode(raw["content"])}) for key, raw in data["files"].items()
        }
        return cls(
            team_id=data["team_id"],
            team_name=data["team_name"],
            bot_user_id=data["bot_user_id"],
            users={key: User(**raw) for key, raw in data["users"].items()},
            channels={key: Channel(**raw) for key, raw in data["channels"].items()},
            groups={key: UserGroup(**raw) for key, raw in data["groups"].items()},
            messages={key: [Message(**raw) for raw in rows] for key, rows in data["messages"].items()},
            modals={key: [View(**raw) for raw in rows] for key, rows in data["modals"].items()},
            homes={key: View(**raw) for key, raw in data["homes"].items()},
            files=files,
            last_us=data["last_us"],
            last_id=data["last_id"],
            enterprise_id=data.get("enterprise_id", ""),
            enterprise_teams=data.get("enterprise_teams", []),
        )


def demo_workspace(bot_user_id: str) -> Workspace:
    """The cast of `make demo`: an author, two approvers, an outsider, a guest, and three kinds of channel."""
    people = [
        User("U1", "ana", "Ana Ito", "author", "#1264a3", "Europe/Berlin", "en-GB"),
        User("U2", "ben", "Ben Okoye", "approver", "#2bac76", "America/New_York", "en-US"),
        User("U3", "chloe", "Chloe Roy", "second approver", "#cd2553", "Europe/Paris", "fr-FR"),
        User("U4", "dan", "Dan Ruiz", "outsider", "#e8912d", "America/Bogota", "es-ES"),
    ]
    guest = User("U5", "mia", "Mia Vogel", "guest", "#7a5ea8", "Europe/Berlin", "de-DE", is_restricted=True)
    bot = User(bot_user_id, "signoff", "Signoff", "bot", "#4a154b", "UTC", "en-US", is_bot=True)
    everybody = [user.id for user in people]
    channels = [
        Channel("C1", "general", "public", [*everybody, bot.id]),
        Channel("C2", "drafts", "public", [*everybody, guest.id, bot.id]),
        Channel("C3", "leads", "private", ["U1", "U2", "U3"]),
        *(Channel(f"D{user.id[1:]}", f"dm-{user.name}", "dm", [user.id, bot.id]) for user in [*people, guest]),
    ]
    return Workspace(
        team_id="T1",
        team_name="Signoff demo",
        bot_user_id=bot.id,
        users={user.id: user for user in [*people, guest, bot]},
        channels={channel.id: channel for channel in channels},
        groups={"S1": UserGroup("S1", "approvers", "Approvers", ["U2", "U3"])},
    )
