"""Block Kit as data: which fields each block, element and object has, and how long they may be.

Limits are those of docs.slack.dev/reference/block-kit as of 2026-08; `limits` applies them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

BOTH = ("plain_text", "mrkdwn")
PLAIN = ("plain_text",)


@dataclass(frozen=True)
class Anything:
    """A field that is allowed and not looked into."""

    required: bool = False


@dataclass(frozen=True)
class Text:
    """A text object of one of *kinds*."""

    most: int = 3000
    kinds: tuple[str, ...] = BOTH
    required: bool = False
    least: int = 1


@dataclass(frozen=True)
class Value:
    """A string."""

    most: int = 255
    required: bool = False
    least: int = 0


@dataclass(frozen=True)
class Number:
    least: int
    most: int
    required: bool = False


@dataclass(frozen=True)
class OneOf:
    values: tuple[object, ...]
    required: bool = False


@dataclass(frozen=True)
class Nested:
    """An object called *name*, or an element of one of *kinds*."""

    name: str = ""
    kinds: frozenset[str] = frozenset()
    required: bool = False


@dataclass(frozen=True)
class Items:
    each: "Rule"
    most: int
    required: bool = False
    least: int = 1


Rule = Anything | Text | Value | Number | OneOf | Nested | Items
Shape = Mapping[str, Rule]

_ANY = Anything()
_ACTION_ID = Value(255)
_PLACEHOLDER = Text(150, PLAIN)
_CONFIRM = Nested("confirm")
_FOCUS = OneOf((True, False))

OBJECTS: Mapping[str, Shape] = {
    "confirm": {
        "title": Text(100, PLAIN, required=True),
        "text": Text(300, required=True),
        "confirm": Text(30, PLAIN, required=True),
        "deny": Text(30, PLAIN, required=True),
        "style": OneOf(("primary", "danger")),
    },
    "option": {
        "text": Text(75, required=True),
        "value": Value(75, required=True),
        "description": Text(75),
        "url": Value(3000),
    },
    "option_group": {
        "label": Text(75, PLAIN, required=True),
        "options": Items(Nested("option"), 100, required=True),
    },
    "modal": {
        "title": Text(24, PLAIN, required=True),
        "blocks": Anything(required=True),
        "submit": Text(24, PLAIN),
        "close": Text(24, PLAIN),
        "private_metadata": Value(3000),
        "callback_id": Value(255),
        "external_id": Value(255),
        "clear_on_close": OneOf((True, False)),
        "notify_on_close": OneOf((True, False)),
    },
    "home": {
        "blocks": Anything(required=True),
        "private_metadata": Value(3000),
        "callback_id": Value(255),
        "external_id": Value(255),
        # Slack ignores these four for a home and says so nowhere; slack_sdk's View sends them.
        "title": _ANY,
        "submit": _ANY,
        "close": _ANY,
        "clear_on_close": _ANY,
        "notify_on_close": _ANY,
    },
}

_OPTIONS = Items(Nested("option"), 100)
_GROUPS = Items(Nested("option_group"), 100)
_FEW_OPTIONS = Items(Nested("option"), 10, required=True)
_SELECT: Shape = {"action_id": _ACTION_ID, "placeholder": _PLACEHOLDER, "confirm": _CONFIRM, "focus_on_load": _FOCUS}
_MULTI: Shape = {**_SELECT, "max_selected_items": Number(1, 10_000)}
_TYPED: Shape = {
    "action_id": _ACTION_ID,
    "placeholder": _PLACEHOLDER,
    "focus_on_load": _FOCUS,
    "dispatch_action_config": _ANY,
}
_CONVERSATIONS: Shape = {"default_to_current_conversation": _FOCUS, "filter": _ANY}

ELEMENTS: Mapping[str, Shape] = {
    "button": {
        "text": Text(75, PLAIN, required=True),
        "action_id": _ACTION_ID,
        "url": Value(3000),
        "value": Value(2000),
        "style": OneOf(("primary", "danger")),
        "confirm": _CONFIRM,
        "accessibility_label": Value(75),
    },
    "static_select": {**_SELECT, "options": _OPTIONS, "option_groups": _GROUPS, "initial_option": Nested("option")},
    "external_select": {**_SELECT, "initial_option": Nested("option"), "min_query_length": Number(0, 10_000)},
    "users_select": {**_SELECT, "initial_user": Value(255)},
    "channels_select": {**_SELECT, "initial_channel": Value(255), "response_url_enabled": _FOCUS},
    "conversations_select": {
        **_SELECT,
        **_CONVERSATIONS,
        "initial_conversation": Value(255),
        "response_url_enabled": _FOCUS,
    },
    "multi_static_select": {
        **_MULTI,
        "options": _OPTIONS,
        "option_groups": _GROUPS,
        "initial_options": Items(Nested("option"), 100),
    },
    "multi_external_select": {
        **_MULTI,
        "initial_options": Items(Nested("option"), 100),
        "min_query_length": Number(0, 10_000),
    },
    "multi_users_select": {**_MULTI, "initial_users": Items(Value(255), 100)},
    "multi_channels_select": {**_MULTI, "initial_channels": Items(Value(255), 100)},
    "multi_conversations_select": {**_MULTI, **_CONVERSATIONS, "initial_conversations": Items(Value(255), 100)},
    "overflow": {
        "action_id": _ACTION_ID,
        "options": Items(Nested("option"), 5, required=True),
        "confirm": _CONFIRM,
    },
    "radio_buttons": {
        "action_id": _ACTION_ID,
        "options": _FEW_OPTIONS,
        "initial_option": Nested("option"),
        "confirm": _CONFIRM,
        "focus_on_load": _FOCUS,
    },
    "checkboxes": {
        "action_id": _ACTION_ID,
        "options": _FEW_OPTIONS,
        "initial_options": Items(Nested("option"), 10),
        "confirm": _CONFIRM,
        "focus_on_load": _FOCUS,
    },
    "datepicker": {**_SELECT, "initial_date": Value(10)},
    "timepicker": {**_SELECT, "initial_time": Value(5), "timezone": Value(255)},
    "datetimepicker": {
        "action_id": _ACTION_ID,
        "initial_date_time": Number(0, 9_999_999_999),
        "confirm": _CONFIRM,
        "focus_on_load": _FOCUS,
    },
    "plain_text_input": {
        **_TYPED,
        "initial_value": Value(3000),
        "multiline": _FOCUS,
        "min_length": Number(0, 3000),
        "max_length": Number(1, 3000),
    },
    "number_input": {
        **_TYPED,
        "is_decimal_allowed": OneOf((True, False), required=True),
        "initial_value": Value(255),
        "min_value": Value(255),
        "max_value": Value(255),
    },
    "email_text_input": {**_TYPED, "initial_value": Value(3000)},
    "url_text_input": {**_TYPED, "initial_value": Value(3000)},
    "rich_text_input": {**_TYPED, "initial_value": _ANY},
    "file_input": {"action_id": _ACTION_ID, "filetypes": _ANY, "max_files": Number(1, 10)},
    "image": {"image_url": Value(3000), "slack_file": _ANY, "alt_text": Value(2000, required=True)},
    "workflow_button": {
        "text": Text(75, PLAIN, required=True),
        "workflow": Anything(required=True),
        "action_id": _ACTION_ID,
        "style": OneOf(("primary", "danger")),
        "accessibility_label": Value(75),
    },
    "feedback_buttons": {
        "action_id": _ACTION_ID,
        "positive_button": Anything(required=True),
        "negative_button": Anything(required=True),
    },
    "icon_button": {
        "icon": Value(255, required=True),
        "text": Text(75, PLAIN, required=True),
        "action_id": _ACTION_ID,
        "value": Value(2000),
        "confirm": _CONFIRM,
        "accessibility_label": Value(75),
        "visible_to_user_ids": _ANY,
    },
}

_STYLE = Anything()
_INLINE: Mapping[str, Shape] = {
    "text": {"text": Value(40_000, required=True, least=1), "style": _STYLE},
    "link": {
        "url": Value(3000, required=True, least=1),
        "text": Value(40_000, least=1),
        "style": _STYLE,
        "unsafe": _ANY,
    },
    "emoji": {"name": Value(255, required=True, least=1), "unicode": _ANY, "style": _STYLE},
    "user": {"user_id": Value(255, required=True, least=1), "style": _STYLE},
    "usergroup": {"usergroup_id": Value(255, required=True, least=1), "style": _STYLE},
    "channel": {"channel_id": Value(255, required=True, least=1), "style": _STYLE},
    "broadcast": {"range": OneOf(("here", "channel", "everyone"), required=True), "style": _STYLE},
    "date": {"timestamp": Anything(required=True), "format": Value(255, required=True), "url": _ANY, "fallback": _ANY},
    "color": {"value": Value(255, required=True, least=1)},
}
# Slack refuses a text of no characters, and a part without elements: each spoils the whole message.
_INLINES = Items(Nested(kinds=frozenset(_INLINE)), 10_000, required=True)
_RICH: Mapping[str, Shape] = {
    "rich_text_section": {"elements": _INLINES},
    "rich_text_preformatted": {"elements": _INLINES, "border": _ANY, "language": _ANY},
    "rich_text_quote": {"elements": _INLINES, "border": _ANY},
    "rich_text_list": {
        "elements": Items(Nested(kinds=frozenset({"rich_text_section"})), 10_000, required=True),
        "style": OneOf(("bullet", "ordered"), required=True),
        "indent": _ANY,
        "offset": _ANY,
        "border": _ANY,
    },
}
PARTS: Mapping[str, Shape] = {**ELEMENTS, **_INLINE, **_RICH}
"""Whatever stands in a block's ``elements``, ``element`` or ``accessory``."""

INPUTS = frozenset(ELEMENTS) - {"button", "overflow", "image", "workflow_button", "feedback_buttons", "icon_button"}
_ACTIONS = frozenset(
    {"button", "overflow", "radio_buttons", "checkboxes", "datepicker", "timepicker", "datetimepicker"}
    | {"workflow_button", "rich_text_input"}
    | {kind for kind in ELEMENTS if kind.endswith("_select")}
)
_ACCESSORIES = (_ACTIONS | {"image"}) - {"rich_text_input"}

BLOCKS: Mapping[str, Shape] = {
    "section": {
        "text": Text(3000),
        "fields": Items(Text(2000), 10),
        "accessory": Nested(kinds=_ACCESSORIES),
        "expand": _FOCUS,
    },
    "header": {"text": Text(150, PLAIN, required=True), "level": Number(1, 4)},
    "divider": {},
    "context": {"elements": Items(Nested(kinds=frozenset({"image", *BOTH})), 10, required=True)},
    "actions": {"elements": Items(Nested(kinds=_ACTIONS), 25, required=True)},
    "context_actions": {
        "elements": Items(Nested(kinds=frozenset({"feedback_buttons", "icon_button"})), 5, required=True)
    },
    "input": {
        "label": Text(2000, PLAIN, required=True),
        "element": Nested(kinds=INPUTS, required=True),
        "hint": Text(2000, PLAIN),
        "optional": _FOCUS,
        "dispatch_action": _FOCUS,
    },
    "image": {
        "image_url": Value(3000),
        "slack_file": _ANY,
        "alt_text": Value(2000, required=True),
        "title": Text(2000, PLAIN),
    },
    "markdown": {"text": Value(12_000, required=True, least=1)},
    "rich_text": {"elements": Items(Nested(kinds=frozenset(_RICH)), 10_000, required=True)},
    "table": {"rows": Items(_ANY, 100, required=True), "column_settings": _ANY},
    "file": {"external_id": Value(255, required=True), "source": OneOf(("remote",), required=True)},
    "video": {
        "alt_text": Value(2000, required=True),
        "title": Text(199, PLAIN, required=True),
        "thumbnail_url": Value(3000, required=True),
        "video_url": Value(3000, required=True),
        "author_name": Value(49),
        "description": Text(200, PLAIN),
        "provider_icon_url": Value(3000),
        "provider_name": Value(255),
        "title_url": Value(3000),
    },
    "alert": {
        "text": Text(200, required=True),
        "level": OneOf(("default", "info", "warning", "error", "success")),
    },
}
