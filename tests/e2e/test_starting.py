"""A command that needs words and got none asks for them; then it starts as if they had been typed."""

from __future__ import annotations

import pytest

from bot.playground.workspace import View
from tests.e2e import requests
from tests.e2e.stage import ANA, Room
from tests.messages import shown

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def asked(room: Room, line: str = "/approve-draft") -> View:
    assert (await room.command(ANA, line)).shown is None
    return await room.see(lambda: room.slack.view_of(ANA))


@pytest.mark.parametrize("blank", ["", "   ", "\u200b\u2060"])
async def test_a_command_without_a_topic_asks_for_one_and_starts_where_it_was_typed(room: Room, blank: str) -> None:
    form = await asked(room, f"/approve-draft {blank}")

    result = await room.slack.submit(ANA, form.id, {"text": " AI safety "})

    prompt = await room.prompt()
    assert result.ok
    assert form.body["title"]["text"] == "/approve-draft"
    assert "Version 1 of 3: AI safety" in shown(prompt)
    assert f"<@{ANA}>" in shown(prompt)


async def test_a_topic_sent_twice_from_one_modal_starts_one_run(room: Room) -> None:
    form = await asked(room)
    sent = requests.submission(room, form, ANA, {"text": "AI safety"})

    answers = [await room.slack.interact(sent) for _ in range(2)]

    await room.prompt()
    await room.stage.idle()
    assert {answer.status for answer in answers} == {200}
    assert len(room.slack.messages(room.channel)) == 1
    await room.slack.close_view(ANA, form.id)


@pytest.mark.parametrize(
    ("text", "told"),
    [("x" * 501, "Please write at most 500 characters."), (" \n\u200b", "Please fill this in."), (None, "Please fill")],
)
async def test_a_topic_that_will_not_do_is_marked_in_the_modal(room: Room, text: str | None, told: str) -> None:
    form = await asked(room)

    answer = await room.slack.interact(
        requests.submission(room, form, ANA, {"text": {"type": "plain_text_input", "value": text}})
    )

    assert answer.body["errors"]["text"].startswith(told)
    await room.stage.idle()
    assert room.slack.messages(room.channel) == []
    await room.slack.close_view(ANA, form.id)


async def test_an_expired_trigger_is_told_in_words_how_to_give_a_topic(room: Room) -> None:
    """Adversarial 1."""
    room.slack.faults.expire_triggers = True

    result = await room.command(ANA, "/approve-draft")

    await room.stage.idle()
    assert "Like this: `/approve-draft topic`" in (result.shown or "")
    assert room.slack.view_of(ANA) is None
    assert room.slack.messages(room.channel) == []


async def test_a_reused_trigger_is_not_told_of_since_its_modal_is_open(room: Room) -> None:
    """Adversarial 2."""
    fields = requests.command(room, "/approve-draft")

    answers = [await room.slack.run_command(fields) for _ in range(2)]

    assert [answer.body for answer in answers] == ["", ""]
    form = await room.see(lambda: room.slack.view_of(ANA))
    await room.slack.close_view(ANA, form.id)


@pytest.mark.parametrize(
    "place",
    ["", "{}", "[]", "null", '{"command": "/approve-draft"}', '{"command": "/approve-draft", "channel": "<!here>"}'],
)
async def test_a_modal_that_does_not_say_where_it_belongs_starts_nothing(room: Room, place: str) -> None:
    form = await asked(room)
    sent = requests.submission(room, form, ANA, {"text": "AI safety"})
    sent["view"]["private_metadata"] = place

    answer = await room.slack.interact(sent)

    assert "in a form I cannot read" in str(answer.body)
    await room.stage.idle()
    assert room.slack.messages(room.channel) == []
    await room.slack.close_view(ANA, form.id)
