"""One of everything that Block Kit lets people fill in or press, put up by hand as a bot would through the Web API."""

from typing import Any

from playwright.sync_api import APIRequestContext

from bot.playground import AppConfig

Json = dict[str, Any]
TOKEN = AppConfig(signing_secret="").bot_token


def words(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def option(text: str, description: str = "") -> Json:
    value = text.lower().replace(" ", "-")
    return {"text": words(text), "value": value, **({"description": words(description)} if description else {})}


def field(name: str, label: str, kind: str, *, hint: str = "", optional: bool = False, **element: Any) -> Json:
    found: Json = {
        "type": "input",
        "block_id": name,
        "label": words(label),
        "element": {"type": kind, "action_id": name, **element},
        "optional": optional,
    }
    return {**found, "hint": words(hint)} if hint else found


COLOURS = [option("Red"), option("Green"), option("Blue")]
FORM: Json = {
    "type": "modal",
    "callback_id": "gallery",
    "title": words("Plan the release"),
    "submit": words("Send"),
    "close": words("Cancel"),
    "blocks": [
        {"type": "section", "text": {"type": "mrkdwn", "text": "*Release 12* goes out when this is filled in."}},
        field("title", "Title", "plain_text_input", max_length=40, placeholder=words("What is it called?")),
        field("notes", "Notes", "plain_text_input", multiline=True, optional=True, hint="Markdown is fine."),
        field("copies", "Copies", "number_input", is_decimal_allowed=False, min_value="1", max_value="9"),
        field("colour", "Colour", "static_select", options=COLOURS),
        field("extras", "Extras", "multi_static_select", options=COLOURS, max_selected_items=2),
        field("size", "Size", "radio_buttons", options=[option("Small", "fits a pocket"), option("Large")]),
        field("checks", "Checks", "checkboxes", options=[option("Tests pass"), option("Docs read")], optional=True),
        field("day", "Day", "datepicker"),
        field("hour", "Hour", "timepicker"),
        field("moment", "Freeze from", "datetimepicker"),
        field("owner", "Owner", "users_select"),
        field("helpers", "Helpers", "multi_users_select", optional=True),
        {
            "type": "actions",
            "block_id": "act",
            "elements": [{"type": "button", "action_id": "preview", "text": words("Preview")}],
        },
    ],
}
HOME: Json = {
    "type": "home",
    "blocks": [
        {"type": "header", "text": words("Waiting for you")},
        {"type": "section", "text": {"type": "mrkdwn", "text": "*Version 2 of 3: AI safety*, asked by <@U2>"}},
        {"type": "actions", "elements": [{"type": "button", "action_id": "open", "text": words("Open")}]},
        {"type": "divider"},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "Page 1 of 2"}]},
    ],
}
MESSAGE: list[Json] = [
    {
        "type": "section",
        "block_id": "more",
        "text": {"type": "mrkdwn", "text": "A release is waiting. *Who looks after it?*"},
        "accessory": {
            "type": "overflow",
            "action_id": "menu",
            "options": [option("Reassign"), option("Ask for more"), option("Cancel the run")],
        },
    },
    {
        "type": "actions",
        "block_id": "act",
        "elements": [
            {"type": "button", "action_id": "form", "text": words("Plan"), "style": "primary"},
            {"type": "users_select", "action_id": "owner", "placeholder": words("Hand over to…")},
            {"type": "datepicker", "action_id": "due", "initial_date": "2027-01-31"},
        ],
    },
]


def call(api: APIRequestContext, url: str, method: str, **args: Any) -> Json:
    """Call the fake Slack's Web API with the bot's own token."""
    answer = api.post(f"{url}/api/{method}", data=args, headers={"Authorization": f"Bearer {TOKEN}"})
    found: Json = answer.json()
    assert found["ok"], found
    return found


def put_up(api: APIRequestContext, url: str, text: str) -> None:
    """Post the message with one of everything, in #drafts, under the heading *text*."""
    head = {"type": "header", "text": words(text)}
    call(api, url, "chat.postMessage", channel="C2", text=text, blocks=[head, *MESSAGE])


def show(api: APIRequestContext, url: str, method: str, view: Json, **args: Any) -> Json:
    """Call a method of `views.*`; opening and pushing go by the trigger of the last press. The view as Slack has it."""
    if method in ("views.open", "views.push"):
        args["trigger_id"] = heard(api, url, "block_actions")["trigger_id"]
    found: Json = call(api, url, method, view=view, **args)["view"]
    return found


def heard(api: APIRequestContext, url: str, kind: str) -> Json:
    """The newest payload of that kind the bot was sent."""
    entries = api.get(f"{url}/control/log?after=0").json()["entries"]
    found: Json = next(entry["request"] for entry in reversed(entries) if entry["method"] == kind)
    return found
