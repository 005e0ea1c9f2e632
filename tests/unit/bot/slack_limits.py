"""Slack's limits on messages and modals, checked by other means than they are kept."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from typing import Any

from bot.playground.limits import problems_with_blocks, too_long_together
from bot.views.blocks import Message
from bot.views.buttons import ACTION

MOST = {"section": 3000, "context": 3000, "button": 75, "title": 24, "confirm_title": 100, "confirm_text": 300}


def check(message: Message) -> None:
    assert message.text.strip()
    assert len(message.text) <= 4000
    assert 1 <= len(message.blocks) <= 50
    assert len("".join(each(message.blocks, "text"))) + 125 * len(message.blocks) <= 13_200
    for block in message.blocks:
        check_block(block)
    assert problems_with_blocks(message.blocks) == [], "our fake Slack would refuse it"
    assert not too_long_together(message.blocks)
    actions = list(each(message.blocks, "action_id"))
    assert len(actions) == len(set(actions))
    blocks = list(each(message.blocks, "block_id"))
    assert len(blocks) == len(set(blocks))
    json.dumps([message.text, message.blocks, message.overflow], ensure_ascii=False).encode()  # no lone surrogates


def check_block(block: dict[str, Any]) -> None:
    match block["type"]:
        case "section":
            check_text(block["text"], MOST["section"])
        case "context":
            assert 1 <= len(block["elements"]) <= 10
            for element in block["elements"]:
                check_text(element, MOST["context"])
        case "actions":
            assert 1 <= len(block["elements"]) <= 25
            for element in block["elements"]:
                check_menu(element) if element["type"] == "overflow" else check_button(element)
        case "rich_text":
            assert block["elements"]
            assert all(each(block, "text")), "an empty text element is refused"
            assert len("".join(each(block, "text"))) <= 3000
        case "input":
            check_text(block["label"], 2000)
            assert len(block["element"].get("initial_value", "")) <= 3000
            assert block["element"]["max_length"] <= 3000
        case other:
            raise AssertionError(f"{other} is not one of ours")


def check_text(text: dict[str, Any], most: int) -> None:
    assert text["text"].strip()
    assert len(text["text"].encode("utf-16-le")) // 2 <= most
    assert text["type"] in ("mrkdwn", "plain_text")
    if text["type"] == "mrkdwn":
        left = text["text"].replace("<!date^", "").replace("<@U", "").replace("<!subteam^S", "").replace("<#C", "")
        assert "<" not in left.replace("<https://", ""), "nothing of ours opens with that"
        assert "&" not in html.unescape(left) or "&amp;" in left


def check_menu(menu: dict[str, Any]) -> None:
    assert 1 <= len(menu["options"]) <= 5
    for option in menu["options"]:
        check_text(option["text"], 75)
        assert 1 <= len(option["value"]) <= 75


def check_button(button: dict[str, Any]) -> None:
    check_text(button["text"], MOST["button"])
    assert ACTION.fullmatch(button["action_id"])
    assert 1 <= len(button["value"]) <= 2000
    assert button.get("style") in (None, "primary", "danger")
    if confirm := button.get("confirm"):
        check_text(confirm["title"], MOST["confirm_title"])
        check_text(confirm["text"], MOST["confirm_text"])
        assert len(confirm["confirm"]["text"]) <= 30
        assert len(confirm["deny"]["text"]) <= 30


def each(value: Any, key: str) -> Iterator[Any]:
    """Every value of *key*, at any depth, in order."""
    if isinstance(value, list):
        for item in value:
            yield from each(item, key)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name == key and not isinstance(item, dict | list):
                yield item
            else:
                yield from each(item, key)
