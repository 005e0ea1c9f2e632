"""The fake Slack's heart: the workspace plus what is going on around it just now, shared by every other module.

It holds triggers, response URLs, faults, the log and the queue of events that still have to be told to the bot.
It talks to nobody: `delivery` sends, `server` listens.
"""

import asyncio
import secrets
from dataclasses import asdict, dataclass, field, replace

from bot.playground.exchanges import ExchangeLog
from bot.playground.faults import Faults
from bot.playground.timekeeping import Clock, Pulse
from bot.playground.workspace import Channel, Json, Message, Workspace

TRIGGER_S = 3.0
RESPONSE_URL_S = 30 * 60.0
RESPONSE_URL_USES = 5


@dataclass(frozen=True)
class CommandInfo:
    """A slash command as the app's manifest lists it."""

    command: str
    description: str = ""
    usage_hint: str = ""


@dataclass(frozen=True)
class ShortcutInfo:
    """A message shortcut as the app's manifest lists it."""

    callback_id: str
    name: str


@dataclass(frozen=True)
class AppConfig:
    """The app under test, as its settings page would show it. No `request_url` means Socket Mode.

    `events` are the bot events it subscribed to; "message" stands for `message.channels`, `.groups`, `.im` and
    `.mpim`. With `scopes` given, calls that need another are refused with `missing_scope`.
    """

    signing_secret: str
    bot_token: str = "xoxb-playground-bot"  # noqa: S105  # opens nothing but this playground
    app_token: str = "xapp-playground-app"  # noqa: S105  # opens nothing but this playground
    app_id: str = "A0SIGNOFF"
    bot_user_id: str = "U0BOT"
    bot_id: str = "B0BOT"
    commands: tuple[CommandInfo, ...] = ()
    shortcuts: tuple[ShortcutInfo, ...] = ()
    request_url: str | None = None
    verification_token: str = "playground-verification-token"  # noqa: S105  # opens nothing but this playground
    scopes: frozenset[str] | None = None
    events: frozenset[str] = frozenset({"message", "app_home_opened", "member_joined_channel"})


@dataclass
class Trigger:
    """Leave to open one modal for *user*, until *expires_at*."""

    user: str
    expires_at: float
    used: bool = False


@dataclass
class ResponseUrl:
    """Where the bot may answer one interaction, `uses_left` times."""

    id: str
    channel: str
    user: str
    expires_at: float
    uses_left: int = RESPONSE_URL_USES
    message_ts: str | None = None
    ephemeral: bool = False


@dataclass(frozen=True)
class Event:
    """An Events API event on its way, with the ids that its retries keep."""

    body: Json
    id: str


@dataclass
class Platform:
    """Everything the parts share. `url` is set once the server listens."""

    app: AppConfig
    workspace: Workspace
    clock: Clock = field(default_factory=Clock)
    pulse: Pulse = field(default_factory=Pulse)
    faults: Faults = field(default_factory=Faults)
    url: str = "http://127.0.0.1:0"
    triggers: dict[str, Trigger] = field(default_factory=dict)
    response_urls: dict[str, ResponseUrl] = field(default_factory=dict)
    events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    installed: bool = True
    enterprise_id: str | None = None
    org_wide: bool = False
    """Whether the app was installed for the whole organisation."""
    underway: int = 0  # events queued or being delivered, and calls being answered
    log: ExchangeLog = field(init=False)

    def __post_init__(self) -> None:
        self.log = ExchangeLog(self.pulse)

    def set_request_url(self, url: str | None) -> None:
        self.app = replace(self.app, request_url=url)
        self.pulse.touch()

    def mint_ts(self) -> str:
        return self.workspace.mint_ts(self.clock.now())

    def trigger(self, user: str) -> str:
        """A new trigger_id for an interaction of *user*."""
        for old in [key for key, trigger in self.triggers.items() if trigger.expires_at < self.clock.now() - 600]:
            del self.triggers[old]
        number = int(self.clock.now() * 1000)
        key = f"{number}.{number % 1_000_000_000}.{secrets.token_hex(16)}"
        life_s = 0.0 if self.faults.expire_triggers else TRIGGER_S
        self.triggers[key] = Trigger(user, self.clock.now() + life_s)
        return key

    def response_url(self, channel: str, user: str, message: Message | None = None) -> str:
        """A new address for answers to an interaction of *user*, about *message* if there is one."""
        made = ResponseUrl(
            id=secrets.token_hex(16),
            channel=channel,
            user=user,
            expires_at=self.clock.now() + RESPONSE_URL_S,
            message_ts=message.ts if message else None,
            ephemeral=bool(message and message.ephemeral_for),
        )
        self.response_urls[made.id] = made
        return f"{self.url}/response/{made.id}"

    def emit(self, body: Json) -> None:
        """Tell the bot of an event, if its app subscribed to the type."""
        kinds = {"channel": "channels", "group": "groups", "im": "im", "mpim": "mpim"}
        narrow = f"message.{kinds.get(body.get('channel_type', ''))}"
        if body["type"] not in self.app.events and not (body["type"] == "message" and narrow in self.app.events):
            return
        body.setdefault("event_ts", body.get("ts") or self.mint_ts())
        self.underway += 1
        self.events.put_nowait(Event(body, self.workspace.mint_id("Ev")))

    def hears(self, channel: Channel) -> bool:
        """Whether the bot sees what is said in *channel*."""
        return self.app.bot_user_id in channel.members

    def note(self, channel: str, user: str, text: str, *, thread_ts: str | None = None) -> Message:
        """Show *user* alone a line from Slackbot, as Slack does when something failed."""
        message = Message(
            channel, self.mint_ts(), "USLACKBOT", text, thread_ts=thread_ts, username="Slackbot", ephemeral_for=user
        )
        self.workspace.in_channel(channel).append(message)
        self.pulse.touch()
        return message

    async def quiet(self, timeout_s: float = 5.0) -> None:
        """Wait until nothing is on its way in either direction; retries that wait for their hour do not count."""
        await self.pulse.holds(lambda: self.underway == 0, timeout_s)

    def to_json(self) -> Json:
        return {
            "version": 1,
            "workspace": self.workspace.to_json(),
            "response_urls": {key: asdict(url) for key, url in self.response_urls.items()},
            "clock_offset_s": self.clock.offset_s,
        }

    def restore(self, data: Json) -> None:
        """Go on from what `to_json` said."""
        self.workspace = Workspace.from_json(data["workspace"])
        self.response_urls = {key: ResponseUrl(**raw) for key, raw in data["response_urls"].items()}
        self.clock.offset_s = data["clock_offset_s"]
