"""Slack's limits, each exactly at its edge: what is allowed still passes, one more does not."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.playground import FakeSlack
from bot.playground.limits import problems_with_blocks, problems_with_view
from bot.playground.pacing import Pace

Json = dict[str, Any]
Make = Callable[[int], Any]


def plain(length: int) -> Json:
    return {"type": "plain_text", "text": "x" * length}


def mrkdwn(length: int) -> Json:
    return {"type": "mrkdwn", "text": "x" * length}


def section(**fields: Any) -> Json:
    return {"type": "section", "text": mrkdwn(1), **fields}


def button(**fields: Any) -> Json:
    return {"type": "button", "text": plain(1), **fields}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def option(number: int = 0, **fields: Any) -> Json:
    return {"text": plain(1), "value": str(number), **fields}


def select(**fields: Any) -> Json:
    return {"type": "static_select", "options": [option()], **fields}


def group(number: int = 0, **fields: Any) -> Json:
    return {"label": plain(1), "options": [option(number)], **fields}


def grouped(*groups: Json) -> Json:
    return {"type": "static_select", "option_groups": list(groups)}


def confirm(**fields: Any) -> Json:
    return {"title": plain(1), "text": mrkdwn(1), "confirm": plain(1), "deny": plain(1), **fields}


def question(element: Json, **fields: Any) -> Json:
    return {"type": "input", "label": plain(1), "element": element, **fields}


def modal(**fields: Any) -> Json:
    return {"type": "modal", "title": plain(1), "submit": plain(1), "blocks": [], **fields}


def many(count: int, make: Callable[[int], Json]) -> list[Json]:
    return [make(number) for number in range(count)]


CHARACTERS = "must be less than {} characters"
ITEMS = "no more than {} items allowed"
# (most, blocks of that size, where it goes wrong, how Slack words it)
MESSAGE_LIMITS: dict[str, tuple[int, Make, str, str]] = {
    "blocks": (50, lambda n: many(n, lambda _: {"type": "divider"}), "/blocks", ITEMS),
    "section text": (3000, lambda n: [section(text=mrkdwn(n))], "/blocks/0/text/text", CHARACTERS),
    "section field": (2000, lambda n: [section(fields=[mrkdwn(n)])], "/blocks/0/fields/0/text", CHARACTERS),
    "section fields": (10, lambda n: [section(fields=many(n, lambda _: mrkdwn(1)))], "/blocks/0/fields", ITEMS),
    "header": (150, lambda n: [{"type": "header", "text": plain(n)}], "/blocks/0/text/text", CHARACTERS),
    "context elements": (
        10,
        lambda n: [{"type": "context", "elements": many(n, lambda _: mrkdwn(1))}],
        "/blocks/0/elements",
        ITEMS,
    ),
    "actions": (25, lambda n: [actions(*many(n, lambda _: button()))], "/blocks/0/elements", ITEMS),
    "markdown": (12_000, lambda n: [{"type": "markdown", "text": "x" * n}], "/blocks/0/text", CHARACTERS),
    "block_id": (255, lambda n: [section(block_id="x" * n)], "/blocks/0/block_id", CHARACTERS),
    "action_id": (255, lambda n: [actions(button(action_id="x" * n))], "/blocks/0/elements/0/action_id", CHARACTERS),
    "button text": (75, lambda n: [actions(button(text=plain(n)))], "/blocks/0/elements/0/text/text", CHARACTERS),
    "button value": (2000, lambda n: [actions(button(value="x" * n))], "/blocks/0/elements/0/value", CHARACTERS),
    "button url": (3000, lambda n: [actions(button(url="x" * n))], "/blocks/0/elements/0/url", CHARACTERS),
    "confirm title": (
        100,
        lambda n: [actions(button(confirm=confirm(title=plain(n))))],
        "/blocks/0/elements/0/confirm/title/text",
        CHARACTERS,
    ),
    "confirm text": (
        300,
        lambda n: [actions(button(confirm=confirm(text=mrkdwn(n))))],
        "/blocks/0/elements/0/confirm/text/text",
        CHARACTERS,
    ),
    "confirm yes": (
        30,
        lambda n: [actions(button(confirm=confirm(confirm=plain(n))))],
        "/blocks/0/elements/0/confirm/confirm/text",
        CHARACTERS,
    ),
    "confirm no": (
        30,
        lambda n: [actions(button(confirm=confirm(deny=plain(n))))],
        "/blocks/0/elements/0/confirm/deny/text",
        CHARACTERS,
    ),
    "options": (
        100,
        lambda n: [section(accessory=select(options=many(n, option)))],
        "/blocks/0/accessory/options",
        ITEMS,
    ),
    "option text": (
        75,
        lambda n: [section(accessory=select(options=[option(text=plain(n))]))],
        "/blocks/0/accessory/options/0/text/text",
        CHARACTERS,
    ),
    "option value": (
        75,
        lambda n: [section(accessory=select(options=[option(value="x" * n)]))],
        "/blocks/0/accessory/options/0/value",
        CHARACTERS,
    ),
    "option description": (
        75,
        lambda n: [section(accessory=select(options=[option(description=plain(n))]))],
        "/blocks/0/accessory/options/0/description/text",
        CHARACTERS,
    ),
    "option groups": (
        100,
        lambda n: [section(accessory=grouped(*many(n, group)))],
        "/blocks/0/accessory/option_groups",
        ITEMS,
    ),
    "options of a group": (
        100,
        lambda n: [section(accessory=grouped(group(options=many(n, option))))],
        "/blocks/0/accessory/option_groups/0/options",
        ITEMS,
    ),
    "group label": (
        75,
        lambda n: [section(accessory=grouped(group(label=plain(n))))],
        "/blocks/0/accessory/option_groups/0/label/text",
        CHARACTERS,
    ),
    "placeholder": (
        150,
        lambda n: [section(accessory=select(placeholder=plain(n)))],
        "/blocks/0/accessory/placeholder/text",
        CHARACTERS,
    ),
    "overflow options": (
        5,
        lambda n: [section(accessory={"type": "overflow", "options": many(n, option)})],
        "/blocks/0/accessory/options",
        ITEMS,
    ),
    "radio buttons": (
        10,
        lambda n: [section(accessory={"type": "radio_buttons", "options": many(n, option)})],
        "/blocks/0/accessory/options",
        ITEMS,
    ),
    "checkboxes": (
        10,
        lambda n: [section(accessory={"type": "checkboxes", "options": many(n, option)})],
        "/blocks/0/accessory/options",
        ITEMS,
    ),
    "accessibility label": (
        75,
        lambda n: [actions(button(accessibility_label="x" * n))],
        "/blocks/0/elements/0/accessibility_label",
        CHARACTERS,
    ),
    "image url": (
        3000,
        lambda n: [{"type": "image", "image_url": "x" * n, "alt_text": "x"}],
        "/blocks/0/image_url",
        CHARACTERS,
    ),
    "image title": (
        2000,
        lambda n: [{"type": "image", "image_url": "https://x", "alt_text": "x", "title": plain(n)}],
        "/blocks/0/title/text",
        CHARACTERS,
    ),
    "image alt text": (
        2000,
        lambda n: [{"type": "image", "image_url": "https://x", "alt_text": "x" * n}],
        "/blocks/0/alt_text",
        CHARACTERS,
    ),
}
VIEW_LIMITS: dict[str, tuple[int, Make, str, str]] = {
    "title": (24, lambda n: modal(title=plain(n)), "/view/title/text", CHARACTERS),
    "submit": (24, lambda n: modal(submit=plain(n)), "/view/submit/text", CHARACTERS),
    "close": (24, lambda n: modal(close=plain(n)), "/view/close/text", CHARACTERS),
    "private_metadata": (3000, lambda n: modal(private_metadata="x" * n), "/view/private_metadata", CHARACTERS),
    "callback_id": (255, lambda n: modal(callback_id="x" * n), "/view/callback_id", CHARACTERS),
    "external_id": (255, lambda n: modal(external_id="x" * n), "/view/external_id", CHARACTERS),
    "blocks": (100, lambda n: modal(blocks=many(n, lambda _: {"type": "divider"})), "/view/blocks", ITEMS),
    "input label": (
        2000,
        lambda n: modal(blocks=[question({"type": "plain_text_input"}, label=plain(n))]),
        "/view/blocks/0/label/text",
        CHARACTERS,
    ),
    "input hint": (
        2000,
        lambda n: modal(blocks=[question({"type": "plain_text_input"}, hint=plain(n))]),
        "/view/blocks/0/hint/text",
        CHARACTERS,
    ),
    "initial value": (
        3000,
        lambda n: modal(blocks=[question({"type": "plain_text_input", "initial_value": "x" * n})]),
        "/view/blocks/0/element/initial_value",
        CHARACTERS,
    ),
}


async def complaints(client: AsyncWebClient, method: str, **args: Any) -> tuple[str, list[str]]:
    with pytest.raises(SlackApiError) as caught:
        await client.api_call(method, json=args)
    answer = caught.value.response
    return str(answer["error"]), list(answer.get("response_metadata", {}).get("messages", []))


@pytest.mark.parametrize("name", MESSAGE_LIMITS)
async def test_a_message_at_the_limit_passes_and_one_over_is_refused(client: AsyncWebClient, name: str) -> None:
    most, make, pointer, words = MESSAGE_LIMITS[name]

    sent = await client.chat_postMessage(channel="C2", text="x", blocks=make(most))
    refusal = await complaints(client, "chat.postMessage", channel="C2", text="x", blocks=make(most + 1))

    limit = words.format(most + 1 if words is CHARACTERS else most)
    assert sent["ok"]
    assert refusal == ("invalid_blocks", [f"[ERROR] {limit} [json-pointer:{pointer}]"])


@pytest.mark.parametrize("name", VIEW_LIMITS)
async def test_a_view_at_the_limit_passes_and_one_over_is_refused(
    slack: FakeSlack, client: AsyncWebClient, name: str
) -> None:
    most, make, pointer, words = VIEW_LIMITS[name]

    opened = await client.views_open(trigger_id=slack.trigger("U1"), view=make(most))
    refusal = await complaints(client, "views.open", trigger_id=slack.trigger("U1"), view=make(most + 1))

    limit = words.format(most + 1 if words is CHARACTERS else most)
    assert opened["ok"]
    assert refusal == ("invalid_arguments", [f"[ERROR] {limit} [json-pointer:{pointer}]"])


async def test_a_view_of_more_than_250_kilobytes_is_too_large(slack: FakeSlack, client: AsyncWebClient) -> None:
    view = modal(blocks=many(84, lambda _: section(text=mrkdwn(3000))))

    assert await complaints(client, "views.open", trigger_id=slack.trigger("U1"), view=view) == ("view_too_large", [])


async def test_a_refused_view_leaves_its_trigger_unused(slack: FakeSlack, client: AsyncWebClient) -> None:
    trigger = slack.trigger("U1")
    await complaints(client, "views.open", trigger_id=trigger, view=modal(title=plain(25)))

    assert (await client.views_open(trigger_id=trigger, view=modal()))["ok"]


async def test_a_messages_blocks_are_limited_together(client: AsyncWebClient) -> None:
    fits = many(4, lambda _: section(text=mrkdwn(3000)))
    over = many(5, lambda _: section(text=mrkdwn(3000)))

    assert (await client.chat_postMessage(channel="C2", text="x", blocks=fits))["ok"]
    assert await complaints(client, "chat.postMessage", channel="C2", text="x", blocks=over) == (
        "msg_blocks_too_long",
        [],
    )


async def test_markdown_is_limited_in_total(client: AsyncWebClient) -> None:
    halves = many(2, lambda _: {"type": "markdown", "text": "x" * 6000})
    over = [*halves, {"type": "markdown", "text": "x"}]

    assert (await client.chat_postMessage(channel="C2", text="x", blocks=halves))["ok"]
    assert await complaints(client, "chat.postMessage", channel="C2", text="x", blocks=over) == (
        "invalid_blocks",
        ["[ERROR] markdown text must be less than 12001 characters in total [json-pointer:/blocks]"],
    )


async def test_a_message_has_a_hundred_attachments_at_most(client: AsyncWebClient) -> None:
    fits, over = ([{"text": "x"}] * count for count in (100, 101))

    assert (await client.chat_postMessage(channel="C2", text="x", attachments=fits))["ok"]
    assert (await complaints(client, "chat.postMessage", channel="C2", attachments=over))[0] == "too_many_attachments"


async def test_metadata_of_more_than_16_kilobytes_is_too_large(client: AsyncWebClient) -> None:
    def metadata(length: int) -> Json:
        """As JSON, *length* bytes."""
        return {"event_type": "x", "event_payload": {"x": "x" * (length - 47)}}

    assert len(json.dumps(metadata(16_384))) == 16_384
    assert (await client.chat_postMessage(channel="C2", text="x", metadata=metadata(16_384)))["ok"]
    over = await complaints(client, "chat.postMessage", channel="C2", text="x", metadata=metadata(16_385))
    assert over[0] == "metadata_too_large"


async def test_the_limits_of_blocks_hold_whichever_way_they_come(slack: FakeSlack, client: AsyncWebClient) -> None:
    over = many(51, lambda _: {"type": "divider"})
    sent = await client.chat_postMessage(channel="C2", text="x")
    hook = AsyncWebhookClient(slack.response_url("C2", "U1"))

    update = await complaints(client, "chat.update", channel="C2", ts=sent["ts"], text="x", blocks=over)
    private = await complaints(client, "chat.postEphemeral", channel="C2", user="U1", text="x", blocks=over)
    answer = json.loads((await hook.send(text="x", blocks=over)).body)

    assert {update[0], private[0], answer["error"]} == {"invalid_blocks"}


async def test_a_home_has_a_hundred_blocks_at_most(client: AsyncWebClient) -> None:
    def home(count: int) -> Json:
        return {"type": "home", "blocks": many(count, lambda _: {"type": "divider"})}

    assert (await client.views_publish(user_id="U1", view=home(100)))["ok"]
    assert await complaints(client, "views.publish", user_id="U1", view=home(101)) == (
        "invalid_arguments",
        ["[ERROR] no more than 100 items allowed [json-pointer:/view/blocks]"],
    )


async def test_a_channel_takes_about_one_message_a_second(slack: FakeSlack, client: AsyncWebClient) -> None:
    slack.faults.pace = True
    for _ in range(3):
        await client.chat_postMessage(channel="C2", text="x")

    with pytest.raises(SlackApiError) as caught:
        await client.chat_postMessage(channel="C2", text="x")

    refusal = caught.value.response
    assert (refusal.status_code, refusal["error"], refusal.headers["Retry-After"]) == (429, "ratelimited", "1")
    assert (await client.chat_postMessage(channel="C1", text="x"))["ok"]
    await slack.advance(1)
    assert (await client.chat_postMessage(channel="C2", text="x"))["ok"]


def test_a_burst_of_three_is_let_through_and_then_one_message_a_second() -> None:
    now = 100.0
    pace = Pace(lambda: now)

    at_once = [pace.wait_s("C2") for _ in range(5)]
    now += 1
    a_second_later = [pace.wait_s("C2") for _ in range(2)]
    now += 60
    after_a_minute = [pace.wait_s("C2") for _ in range(4)]

    assert at_once == [0, 0, 0, 1, 1]
    assert a_second_later == [0, 1]
    assert after_a_minute == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("blocks", "problem"),
    [
        ([{}], "missing required field: type [json-pointer:/blocks/0]"),
        (["x"], "must be an object [json-pointer:/blocks/0]"),
        ([{"type": "nonsense"}], "unsupported type: nonsense [json-pointer:/blocks/0/type]"),
        ([{"type": "section"}], "missing required field: text [json-pointer:/blocks/0]"),
        ([section(text=mrkdwn(0))], "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
        ([section(text="x")], "must provide an object [json-pointer:/blocks/0/text]"),
        ([section(color="red")], "invalid additional property: color [json-pointer:/blocks/0]"),
        ([{"type": "header", "text": mrkdwn(1)}], "must be one of: plain_text [json-pointer:/blocks/0/text/type]"),
        ([actions(button(style="bold"))], "must be one of: primary, danger [json-pointer:/blocks/0/elements/0/style]"),
        ([actions()], "no fewer than 1 items allowed [json-pointer:/blocks/0/elements]"),
        ([actions({"type": "plain_text_input"})], "unsupported type: plain_text_input"),
        (
            [section(block_id="a"), section(block_id="a")],
            "`block_id` a already exists [json-pointer:/blocks/1/block_id]",
        ),
        ([actions(button(action_id="a"), button(action_id="a"))], "`action_id` a already exists"),
        ([section(accessory={"type": "static_select"})], "must define either `options` or `option_groups`"),
        ([section(accessory=select(initial_option=option(9)))], "initial value must exactly match"),
        ([section(text={**mrkdwn(1), "emoji": True})], "invalid additional property: emoji"),
    ],
)
def test_what_is_no_block_kit_is_named_with_its_place(blocks: Any, problem: str) -> None:
    assert any(found.startswith(problem) for found in problems_with_blocks(blocks))


@pytest.mark.parametrize(
    ("view", "problem"),
    [
        ("x", "must be an object [json-pointer:/view]"),
        ({"type": "window"}, "must be one of: modal, home [json-pointer:/view/type]"),
        ({"type": "modal", "blocks": []}, "missing required field: title [json-pointer:/view]"),
        ({"type": "modal", "title": plain(1)}, "missing required field: blocks [json-pointer:/view]"),
        ({**modal(blocks=[question({"type": "datepicker"})]), "submit": None}, "missing required field: submit"),
        (modal(blocks=[{"type": "markdown", "text": "x"}]), "unsupported type: markdown"),
        (
            modal(blocks=[question({"type": "plain_text_input", "max_length": 3001})]),
            "must be less than or equal to 3000",
        ),
        (modal(blocks=[question({"type": "plain_text_input", "max_length": 0})]), "must be greater than or equal to 1"),
        (modal(color="red"), "invalid additional property: color [json-pointer:/view]"),
    ],
)
def test_what_is_no_view_is_named_with_its_place(view: Any, problem: str) -> None:
    assert any(found.startswith(problem) for found in problems_with_view(view))


@pytest.mark.parametrize(
    ("elements", "told"),
    [
        ([], "no fewer than 1 items"),
        ([{"type": "rich_text_section", "elements": []}], "no fewer than 1 items"),
        ([{"type": "rich_text_section", "elements": [{"type": "text", "text": ""}]}], "must be more than 0 characters"),
        ([{"type": "rich_text_quote", "elements": [{"type": "text"}]}], "missing required field: text"),
        ([{"type": "rich_text_preformatted", "elements": [{"type": "button"}]}], "unsupported type: button"),
        ([{"type": "section"}], "unsupported type: section"),
    ],
)
def test_rich_text_is_looked_into(elements: list[Json], told: str) -> None:
    assert told in problems_with_blocks([{"type": "rich_text", "elements": elements}])[0]
