"""The smallest pieces of Block Kit."""

from __future__ import annotations

from typing import Any, TypeAlias

Block: TypeAlias = dict[str, Any]


def plain(text: str) -> Block:
    """Return text in which Slack reads no markup."""
    return {"type": "plain_text", "text": text, "emoji": True}
