"""By when a request must be answered: said at the door, and kept by all that may take long on its way."""

from __future__ import annotations

import asyncio
from typing import Any

from slack_bolt.async_app import AsyncBoltContext

ANSWER_S = 2.5
"""Slack waits 3 seconds, in which the request has to reach us and the answer to reach Slack."""
_ANSWER_BY = "signoff_answer_by"


def begun() -> dict[str, Any]:
    """Return the context of a request that has come just now: it is to be answered within `ANSWER_S`."""
    return {_ANSWER_BY: asyncio.get_running_loop().time() + ANSWER_S}


def answer_by(context: AsyncBoltContext) -> float:
    """Return by when a request must be answered, in the event loop's time."""
    return float(context[_ANSWER_BY])
