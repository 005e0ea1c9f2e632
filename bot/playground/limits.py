"""Slack's limits on blocks and views, checked as Slack checks them and worded as Slack words it.

Each problem is a sentence with a JSON pointer, as in
`must be less than 3001 characters [json-pointer:/blocks/0/text/text]`. Pure; the shapes that are checked are in
`shapes`.
"""

import json
from collections.abc import Iterator
from typing import Any

from bot.playground.shapes import BLOCKS, OBJECTS, PARTS, Items, Nested, Number, OneOf, Rule, Shape, Text, Value

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
VIEW_BYTES = 250_000
MARKDOWN_TOTAL = 12_000
# Undocumented, measured by people: about 12,000 characters of text plus some 125 for each block, whatever its
# type; 13,297 in one markdown block still pass (github.com/slackapi/bolt-js/issues/2509 and 2867).
MESSAGE_TOTAL = 13_422
BLOCK_COST = 125

SURFACES = {
    "message": frozenset(BLOCKS) - {"alert"},
    "modal": frozenset(BLOCKS) - {"markdown", "file", "table", "context_actions"},
    "home": frozenset(BLOCKS) - {"markdown", "file", "table", "context_actions", "alert"},
}


def problems_with_blocks(blocks: Any, surface: str = "message", path: str = "/blocks") -> list[str]:
    """What Slack would say about *blocks*; empty if nothing."""
    if not isinstance(blocks, list):
        return [f"must be an array [json-pointer:{path}]"]
    most = MESSAGE_BLOCKS if surface == "message" else VIEW_BLOCKS
    found = [f"no more than {most} items allowed [json-pointer:{path}]"] if len(blocks) > most else []
    for index, block in enumerate(blocks):
        found += _block(block, surface, f"{path}/{index}")
    if not found:
        found += _repeated(blocks, path)
    if not found and surface == "message":
        found += _markdown_total(blocks, path)
    return found


def too_long_together(blocks: list[dict[str, Any]]) -> bool:
    """Whether a message of these blocks meets `msg_blocks_too_long`, each of them being fine alone."""
    return sum(len(text) for text in _texts(blocks)) + BLOCK_COST * len(blocks) > MESSAGE_TOTAL


def problems_with_view(view: Any, kinds: tuple[str, ...] = ("modal", "home")) -> list[str]:
    """What Slack would say about *view*; empty if nothing."""
    if not isinstance(view, dict):
        return ["must be an object [json-pointer:/view]"]
    kind = view.get("type")
    if kind not in kinds:
        return [f"must be one of: {', '.join(kinds)} [json-pointer:/view/type]"]
    found = list(_shape(view, OBJECTS[kind], "/view"))
    if isinstance(view.get("blocks"), list):
        found += problems_with_blocks(view["blocks"], kind, "/view/blocks")
        asks = any(isinstance(block, dict) and block.get("type") == "input" for block in view["blocks"])
        if kind == "modal" and asks and not view.get("submit"):
            found.append("missing required field: submit [json-pointer:/view]")
    return found


def view_is_too_large(view: dict[str, Any]) -> bool:
    return len(json.dumps(view, ensure_ascii=False).encode("utf-8", "replace")) > VIEW_BYTES


def _block(block: Any, surface: str, path: str) -> list[str]:
    if not isinstance(block, dict):
        return [f"must be an object [json-pointer:{path}]"]
    kind = block.get("type")
    if kind is None:
        return [f"missing required field: type [json-pointer:{path}]"]
    if not isinstance(kind, str) or kind not in SURFACES[surface]:
        return [f"unsupported type: {kind} [json-pointer:{path}/type]"]
    found = list(_shape(block, BLOCKS[kind], path))
    if kind == "section" and not found and "text" not in block and "fields" not in block:
        found.append(f"missing required field: text [json-pointer:{path}]")
    return found


def _shape(value: dict[str, Any], shape: Shape, path: str) -> Iterator[str]:
    for name, rule in shape.items():
        if value.get(name) is None:
            if rule.required:
                yield f"missing required field: {name} [json-pointer:{path}]"
            continue
        yield from _value(value[name], rule, f"{path}/{name}")
    for name in sorted(value.keys() - shape.keys() - {"type", "block_id"}):
        yield f"invalid additional property: {name} [json-pointer:{path}]"
    block_id = value.get("block_id")
    if block_id is not None:
        yield from _value(block_id, Value(most=255), f"{path}/block_id")


def _value(value: Any, rule: Rule, path: str) -> Iterator[str]:
    match rule:
        case Text():
            yield from _text_object(value, rule, path)
        case Value():
            yield from _string(value, rule.least, rule.most, path)
        case Number():
            yield from _number(value, rule, path)
        case OneOf():
            if value not in rule.values:
                yield f"must be one of: {', '.join(map(str, rule.values))} [json-pointer:{path}]"
        case Items():
            yield from _items(value, rule, path)
        case Nested():
            yield from _nested(value, rule, path)


def _string(value: Any, least: int, most: int, path: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"must be a string [json-pointer:{path}]"
    elif len(value) > most:
        yield f"must be less than {most + 1} characters [json-pointer:{path}]"
    elif len(value) < least:
        yield f"must be more than {least - 1} characters [json-pointer:{path}]"


def _number(value: Any, rule: Number, path: str) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int):
        yield f"must be an integer [json-pointer:{path}]"
    elif value < rule.least:
        yield f"must be greater than or equal to {rule.least} [json-pointer:{path}]"
    elif value > rule.most:
        yield f"must be less than or equal to {rule.most} [json-pointer:{path}]"


def _text_object(value: Any, rule: Text, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"must provide an object [json-pointer:{path}]"
        return
    kind = value.get("type")
    if kind not in rule.kinds:
        yield f"must be one of: {', '.join(rule.kinds)} [json-pointer:{path}/type]"
        return
    for name in sorted(value.keys() - {"type", "text", "emoji" if kind == "plain_text" else "verbatim"}):
        yield f"invalid additional property: {name} [json-pointer:{path}]"
    if "text" not in value:
        yield f"missing required field: text [json-pointer:{path}]"
        return
    yield from _string(value["text"], rule.least, rule.most, f"{path}/text")


def _items(value: Any, rule: Items, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"must be an array [json-pointer:{path}]"
        return
    if len(value) > rule.most:
        yield f"no more than {rule.most} items allowed [json-pointer:{path}]"
    if len(value) < rule.least:
        yield f"no fewer than {rule.least} items allowed [json-pointer:{path}]"
    for index, item in enumerate(value):
        yield from _value(item, rule.each, f"{path}/{index}")


def _nested(value: Any, rule: Nested, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"must be an object [json-pointer:{path}]"
        return
    if rule.name:
        yield from _shape(value, OBJECTS[rule.name], path)
        return
    kind = value.get("type")
    if not isinstance(kind, str):
        yield f"missing required field: type [json-pointer:{path}]"
    elif kind in rule.kinds and kind in ("mrkdwn", "plain_text"):
        yield from _text_object(value, Text(kinds=("mrkdwn", "plain_text")), path)
    elif kind in rule.kinds:
        yield from _shape(value, PARTS[kind], path)
        yield from _options(value, path)
    elif rule.kinds:
        yield f"unsupported type: {kind} [json-pointer:{path}/type]"


def _options(element: dict[str, Any], path: str) -> Iterator[str]:
    if element["type"].endswith("static_select") and ("options" in element) == ("option_groups" in element):
        yield f"must define either `options` or `option_groups` [json-pointer:{path}]"
    known = _dicts(element.get("options"))
    for group in _dicts(element.get("option_groups")):
        known += _dicts(group.get("options"))
    chosen = [element["initial_option"]] if "initial_option" in element else element.get("initial_options")
    if known and any(option not in known for option in _dicts(chosen)):
        yield f"initial value must exactly match one of the provided options [json-pointer:{path}]"


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _repeated(blocks: list[dict[str, Any]], path: str) -> Iterator[str]:
    seen_blocks: set[str] = set()
    seen_actions: set[str] = set()
    for index, block in enumerate(blocks):
        block_id = block.get("block_id")
        if block_id in seen_blocks:
            yield f"`block_id` {block_id} already exists [json-pointer:{path}/{index}/block_id]"
        if block_id:
            seen_blocks.add(block_id)
        for where, element in elements_of(block):
            action_id = element.get("action_id")
            if action_id in seen_actions:
                yield f"`action_id` {action_id} already exists [json-pointer:{path}/{index}/{where}/action_id]"
            if action_id:
                seen_actions.add(action_id)


def elements_of(block: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The interactive elements of a block, each with its pointer inside the block."""
    if block.get("type") in ("actions", "context_actions"):
        for index, element in enumerate(block.get("elements") or []):
            yield f"elements/{index}", element
    if block.get("type") == "section" and block.get("accessory"):
        yield "accessory", block["accessory"]
    if block.get("type") == "input" and block.get("element"):
        yield "element", block["element"]


def _markdown_total(blocks: list[dict[str, Any]], path: str) -> Iterator[str]:
    total = sum(len(block["text"]) for block in blocks if block["type"] == "markdown")
    if total > MARKDOWN_TOTAL:
        yield f"markdown text must be less than {MARKDOWN_TOTAL + 1} characters in total [json-pointer:{path}]"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name == "text" and isinstance(item, str):
                yield item
            else:
                yield from _texts(item)
