"""What Slack has sent, brought to Bolt whichever way it came, with a clock beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from prometheus_client import Histogram
from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse

from bot.deadline import heard

Dispatch: TypeAlias = Callable[[dict[str, Any]], Awaitable[BoltResponse]]
"""Takes what Slack has sent just now and returns the answer to it."""


def dispatch_to(bolt: AsyncApp, took: Histogram) -> Dispatch:
    """Return what brings requests to *bolt* and observes how many seconds each one *took*."""

    async def dispatch(said: dict[str, Any]) -> BoltResponse:
        with took.time():
            return await bolt.async_dispatch(heard(said))

    return dispatch
