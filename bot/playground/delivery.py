"""From Slack to the bot: signed HTTP requests or socket envelopes, three seconds each, and the retries of events."""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

import aiohttp

from bot.playground.payloads import event_payload
from bot.playground.platform import Event, Platform
from bot.playground.socket_mode import NoAck, SocketHub
from bot.playground.workspace import Json

Kind = Literal["slash_commands", "interactive", "events_api"]
LIMIT_S = 3.0
RETRY_DELAYS_S = (0.0, 60.0, 300.0)  # docs.slack.dev/apis/events-api: nearly at once, after 1 and after 5 minutes

RETRY_REASONS = {"operation_timeout": "http_timeout", "dispatch_failed": "connection_failed"}


@dataclass(frozen=True)
class DeliveryResult:
    """What became of one delivery, and what the person saw of it.

    `error` is Slack's word for a failed one; `errors` are a form's inline messages by block id, from the bot or
    from the Slack client itself, which then sent nothing (`status` is None).
    """

    status: int | None
    body: Any = ""
    duration_s: float = 0.0
    error: str | None = None
    shown: str | None = None
    errors: dict[str, str] = field(default_factory=dict)
    may_retry: bool = field(default=True, repr=False)

    @property
    def ok(self) -> bool:
        return self.error is None and not self.errors


def signature_headers(secret: str, body: bytes, timestamp: int) -> dict[str, str]:
    """Slack's signature version 0 over the raw body."""
    base = b"v0:" + str(timestamp).encode() + b":" + body
    digest = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(timestamp), "X-Slack-Signature": f"v0={digest}"}


class Delivery:
    """Sends what people do to the app, over whichever transport it uses now."""

    def __init__(self, slack: Platform, http: aiohttp.ClientSession, sockets: SocketHub) -> None:
        self._slack = slack
        self._http = http
        self._sockets = sockets
        self._reached = True
        self.retry_delays_s: tuple[float, ...] = RETRY_DELAYS_S
        self.limit_s = LIMIT_S

    @property
    def connected(self) -> bool:
        """Whether the bot could be reached as far as is known."""
        if self._slack.app.request_url is None:
            return self._sockets.ready
        return self._reached

    def lost(self) -> None:
        """Take the bot for unreachable until it answers again: somebody has ended it."""
        self._reached = False
        self._slack.pulse.touch()

    async def interact(self, kind: Kind, payload: Json) -> DeliveryResult:
        """Deliver a command or an interaction, once; Slack does not retry these.

        With the fault `deliver_twice` two copies go out together, each signed for itself, and the first one's answer
        counts.
        """
        if not self._slack.faults.deliver_twice:
            return await self._send(kind, payload, None)
        async with asyncio.TaskGroup() as copies:
            first = copies.create_task(self._send(kind, payload, None))
            copies.create_task(self._send(kind, payload, None, signed_before_s=1))
        return first.result()

    async def verify_url(self) -> bool:
        """Ask the request URL for its challenge, as Slack does when it is entered in the app's settings."""
        challenge = secrets.token_urlsafe(24)
        token = self._slack.app.verification_token
        payload = {"type": "url_verification", "challenge": challenge, "token": token}
        body = (await self._send("events_api", payload, None)).body
        return challenge == (body.get("challenge") if isinstance(body, dict) else str(body).strip())

    async def check_ssl(self) -> DeliveryResult:
        """Slack's occasional look at whether the address still answers."""
        payload = {"ssl_check": "1", "token": self._slack.app.verification_token}
        return await self._send("slash_commands", payload, None)

    async def tell(self, event: Event) -> None:
        """Deliver an event, again and again as Slack does, until it is answered with 2xx."""
        payload = event_payload(self._slack, event)
        retry: tuple[int, str] | None = None
        try:
            if self._slack.faults.deliver_twice:
                await self._send("events_api", payload, None, signed_before_s=1)
            for number, delay_s in enumerate((*self.retry_delays_s, None), start=1):
                result = await self._send("events_api", payload, retry)
                if result.error is None or not result.may_retry or delay_s is None:
                    return
                retry = number, RETRY_REASONS[result.error] if result.status is None else "http_error"
                await self._pause(delay_s)
        finally:
            self._slack.underway -= 1
            self._slack.pulse.touch()

    async def _pause(self, delay_s: float) -> None:
        if delay_s <= 0:
            return
        self._slack.underway -= 1
        self._slack.pulse.touch()
        try:
            await self._slack.clock.until(self._slack.clock.now() + delay_s)
        finally:
            self._slack.underway += 1

    async def _send(
        self, kind: Kind, payload: Json, retry: tuple[int, str] | None, signed_before_s: int = 0
    ) -> DeliveryResult:
        started = time.monotonic()
        try:
            async with asyncio.timeout(self.limit_s):
                status, body, may_retry = await self._carry(kind, payload, retry, signed_before_s)
            error = None if 200 <= status < 300 else "dispatch_failed"
            result = DeliveryResult(status, body, time.monotonic() - started, error, may_retry=may_retry)
            self._reached = True
        except TimeoutError:
            result = DeliveryResult(None, "", time.monotonic() - started, "operation_timeout")
        except (aiohttp.ClientError, OSError, NoAck):
            result = DeliveryResult(None, "", time.monotonic() - started, "dispatch_failed")
            self._reached = False
        seen = {**payload, "retry": {"num": retry[0], "reason": retry[1]}} if retry else payload
        self._slack.log.record("slack→bot", _name(kind, payload), result.status, started, seen, result.body)
        return result

    async def _carry(
        self, kind: Kind, payload: Json, retry: tuple[int, str] | None, signed_before_s: int
    ) -> tuple[int, Any, bool]:
        """Status, body, and whether Slack may try again."""
        url = self._slack.app.request_url
        if url is None:
            return 200, await self._sockets.send(kind, payload, retry) or "", True
        body, content_type = _encoded(kind, payload)
        # Real time, since the app checks it against its own clock, which a moved playground clock is not.
        headers = signature_headers(self._slack.app.signing_secret, body, int(time.time()) - signed_before_s)
        headers |= {"Content-Type": content_type, "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)"}
        if retry:
            headers |= {"X-Slack-Retry-Num": str(retry[0]), "X-Slack-Retry-Reason": retry[1]}
        async with self._http.post(url, data=body, headers=headers, allow_redirects=False) as response:
            text = await response.text(errors="replace")
            may_retry = response.headers.get("X-Slack-No-Retry") != "1"
            return response.status, _decoded(response.content_type, text), may_retry


def _encoded(kind: Kind, payload: Json) -> tuple[bytes, str]:
    form = "application/x-www-form-urlencoded"
    if kind == "events_api":
        return json.dumps(payload).encode(), "application/json"
    if kind == "interactive":
        return urlencode({"payload": json.dumps(payload)}).encode(), form
    # What is no valid text goes out as it is, so that the bot can be seen to survive it.
    return urlencode(payload, errors="surrogatepass").encode(), form


def _decoded(content_type: str, text: str) -> Any:
    if content_type != "application/json":
        return text
    try:
        return json.loads(text) if text.strip() else ""
    except ValueError:
        return text


def _name(kind: Kind, payload: Json) -> str:
    """What the inspector calls it: `/deploy`, `block_actions`, `event message`."""
    if kind == "slash_commands":
        return str(payload.get("command", "ssl_check"))
    if kind == "interactive":
        return str(payload.get("type"))
    if "event" not in payload:
        return str(payload.get("type"))
    event = payload["event"]
    return " ".join(["event", str(event.get("type")), *([event["subtype"]] if event.get("subtype") else [])])
