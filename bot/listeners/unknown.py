"""What no listener knows: refused before them all if Bolt would fail on it, else acknowledged after them all."""

from __future__ import annotations

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.listeners.hearing import ANYTHING, EMPTY, Gate, Readers, unreadable
from bot.payloads.reading import PayloadError
from bot.views import modals


class Unreadable(Gate):
    """Answers what Bolt would fail on, or with 404: what it goes by it takes for text, if it is there at all."""

    def __init__(self, readers: Readers) -> None:
        self._unread = readers.unread

    async def answer(self, req: AsyncBoltRequest) -> BoltResponse | None:
        """Refuse what Bolt would not get over."""
        by = (req.context.enterprise_id, req.context.team_id, req.context.user_id)
        if not all(isinstance(one, str | None) for one in by):
            unreadable(PayloadError("a request of whom is no text"))
            return EMPTY
        match req.body:
            case {"type": "block_actions", "actions": [{"action_id": str()}, *_]}:
                return None
            case {"type": "view_submission", "view": {"type": _, "callback_id": str()}}:
                return None
            case {"type": "block_actions"}:
                unreadable(PayloadError("block_actions: there is no action"))
                return EMPTY
            case {"type": "view_submission"}:
                words = self._unread(PayloadError("view_submission: view is missing"), req.context)
                told = modals.notice_modal(words.not_readable, words)
                return BoltResponse(status=200, body=modals.replaced_by(told))
            case {"command": str()} | {"type": "event_callback", "event": {"type": str()}} | {"ssl_check": _}:
                return None
            case {"type": "shortcut" | "message_action", "callback_id": str()}:
                return None
            case {"type": "block_suggestion", "action_id": str()} | {"type": "url_verification"}:
                return None
            case _:
                unreadable(PayloadError("a request of a kind that is not known here"))
                return EMPTY


class AnythingElse:
    """Acknowledges what nobody waits for, so that Slack does not call it a failure."""

    def listen(self, app: AsyncApp) -> None:
        for constraint in (app.event, app.view_closed, app.shortcut, app.options):
            constraint(ANYTHING)(self.on_anything)

    async def on_anything(self, ack: AsyncAck) -> BoltResponse:
        return await ack()
