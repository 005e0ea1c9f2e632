"""Nobody keeps Signoff busy alone: what one person does is counted, and what is too much is told so and not done."""

from __future__ import annotations

import logging
import math
import time

from slack_bolt.async_app import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.background import Spawn
from bot.listeners.hearing import EMPTY, Body, Gate
from bot.slack.directory import Directory
from bot.slack.telling import Telling
from bot.transport.limits import Allowance
from bot.views import modals

logger = logging.getLogger(__name__)

AT_ONCE = 60
"""What one person may do all at once before the limit per minute counts."""


class Pacing(Gate):
    """Stands before the listeners. Events pass: what nobody is told of must not get lost."""

    def __init__(self, per_minute: float, directory: Directory, telling: Telling, spawn: Spawn) -> None:
        """*per_minute* commands, clicks and modals for each person; 0: without limit."""
        self._allowance: Allowance[tuple[str, str]] = Allowance(per_minute, AT_ONCE)
        self._directory = directory
        self._telling = telling
        self._spawn = spawn

    async def answer(self, req: AsyncBoltRequest) -> BoltResponse | None:
        """Refuse what is too much."""
        tenant, user = req.context.team_id or req.context.enterprise_id or "", req.context.user_id or ""
        if not user or "event" in req.body:
            return None
        wait_s = self._allowance.take((tenant, user), time.monotonic())
        if not wait_s:
            return None
        logger.warning("somebody does too much at once", extra={"user": user})
        return self._refusal(req.body, tenant, user, wait_s)

    def _refusal(self, body: Body, tenant: str, user: str, wait_s: float) -> BoltResponse:
        words = self._directory.words(tenant, user)
        told = words.too_often.format(seconds=math.ceil(wait_s))
        match body:
            case {"command": _}:
                return BoltResponse(status=200, body=told)
            case {"type": "view_submission"}:
                return BoltResponse(status=200, body=modals.replaced_by(modals.notice_modal(told, words)))
            case {"response_url": str(url)}:
                self._spawn(self._telling.tell(tenant, user, told, response_url=url))
            case {"type": "block_actions", "trigger_id": str(trigger)}:  # App Home has no place for a private note
                self._spawn(self._telling.tell_above(tenant, user, trigger, told, words))
        return EMPTY
