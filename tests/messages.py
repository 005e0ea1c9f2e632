"""What a message in the fake Slack shows, and what can be pressed in it."""

from __future__ import annotations

from typing import Any

from bot.playground.workspace import Message


def buttons(message: Message) -> list[str]:
    """The labels of a message's buttons."""
    return list(_actions(message))


def shown(message: Message) -> str:
    """All text of a message, as its blocks show it."""
    return "\n".join(_texts(message.blocks or []))


def run_of(message: Message) -> str:
    """The run that a message shows something of."""
    return str((message.metadata or {})["event_payload"]["run_id"])


def button(message: Message, label: str) -> dict[str, Any]:
    """A button as Slack would send it back."""
    return _actions(message)[label]


def effect_of(message: Message) -> str:
    """The effect that a message is, "" if it is none."""
    return str(((message.metadata or {}).get("event_payload") or {}).get("effect_id", ""))


def _actions(message: Message) -> dict[str, dict[str, Any]]:
    blocks = [block for block in message.blocks or [] if block["type"] == "actions"]
    return {
        element["text"]["text"]: element
        for block in blocks
        for element in block["elements"]
        if element["type"] == "button"
    }


def _texts(value: Any) -> list[str]:
    match value:
        case list():
            return [text for item in value for text in _texts(item)]
        case {"type": str(kind), "elements": list(parts)} if kind.startswith("rich_text_"):
            return ["".join(text for part in parts for text in _texts(part))]
        case dict():
            own = [value["text"]] if isinstance(value.get("text"), str) else []
            return own + [text for item in value.values() if isinstance(item, dict | list) for text in _texts(item)]
        case _:
            return []
