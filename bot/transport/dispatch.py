"""What Slack has sent, brought to Bolt whichever way it came, with a clock beside it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from prometheus_client import Histogram
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.deadline import begun

logger = logging.getLogger(__name__)

Dispatch: TypeAlias = Callable[[dict[str, Any]], Awaitable[BoltResponse]]
"""Takes what Slack has sent just now and returns the answer to it."""


def dispatch_to(bolt: AsyncApp, took: Histogram) -> Dispatch:
    """Return what brings requests to *bolt* and observes how many seconds each one *took*."""

    async def dispatch(said: dict[str, Any]) -> BoltResponse:
        with took.time():
            if (request := _request(said)) is None:
                logger.warning("payload not readable", extra={"reason": "its parts are of other kinds than Slack's"})
                return BoltResponse(status=200)
            return await bolt.async_dispatch(request)

    return dispatch


def _request(said: dict[str, Any]) -> AsyncBoltRequest | None:
    """Return it as Bolt takes it; None of what Bolt fails on before it asks anybody, which would end a socket's reader.

    It looks for who has sent it, and into its event, as if each part were of the kind that Slack says.
    """
    if not isinstance(said.get("event", {}), dict):
        return None
    try:
        # Bolt takes what was read before only in this mode; otherwise it would read the body again.
        return AsyncBoltRequest(body=said, context=begun(), mode="socket_mode")
    except (AttributeError, KeyError, TypeError):
        return None
