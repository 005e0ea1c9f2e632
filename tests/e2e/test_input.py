"""What people type and press that is no request: they are told in private what is wrong, and nothing is lost."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from bot.payloads.tokens import AskToken
from tests.e2e import requests
from tests.e2e.shapes import HTTP, HTTP_FLEET, only
from tests.e2e.stage import ANA, BEN, CHLOE, Room
from tests.messages import button, buttons, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")


# --- commands --------------------------------------------------------------------------------------


async def test_a_topic_of_5000_characters_is_refused_with_both_numbers(room: Room) -> None:
    """Acceptance 2."""
    result = await room.command(ANA, "/approve-draft " + "x" * 5_000)

    await room.stage.idle()
    assert "5,000 characters" in (result.shown or "")
    assert "at most 500" in (result.shown or "")
    assert room.posted("prompt:") == []


async def test_a_topic_of_500_characters_is_taken(room: Room) -> None:
    prompt = await room.started(ANA, "/approve-draft " + "x" * 500)

    assert "x" * 500 in shown(prompt)


async def test_an_unknown_command_is_told_which_there_are(room: Room) -> None:
    fields = requests.command(room, "/aprove-draft AI")

    result = await room.slack.run_command(fields)

    assert result.status == 200
    assert "`/aprove-draft` is not something I know" in str(result.body)
    assert "`/approve-draft`" in str(result.body)


@pytest.mark.parametrize(
    "topic", ["payload", "a payload=b", "{}", '{"a": 1}', "100% & more = less + 1", "a&payload={}"]
)
async def test_a_topic_may_hold_words_that_mean_something_to_the_machinery(room: Room, topic: str) -> None:
    prompt = await room.started(ANA, f"/deploy {topic}")

    assert f"Ship {topic}?" in shown(prompt).replace("&amp;", "&")


# --- text that would like to be markup --------------------------------------------------------------


@pytest.mark.parametrize("command", ["/approve-draft", "/quick-approve", "/deploy"])
async def test_markup_in_a_topic_is_shown_character_by_character(room: Room, command: str) -> None:
    """Acceptance 7; Security 5."""
    topic = "<!channel> *bold* _it_ ~no~ `code` <@U2> <https://evil.example|bank> & :+1: \\"

    prompt = await room.started(ANA, f"{command} {topic}")

    assert topic in _as_people_see_it(prompt.blocks or [])
    assert _active(prompt.blocks or []) == []
    assert "<!" not in prompt.text
    assert "<@U2>" not in prompt.text


async def test_direction_marks_and_invisible_characters_are_spelled_out(room: Room) -> None:
    """Security 5; Adversarial 19."""
    prompt = await room.started(ANA, "/deploy v2\u202egpj.exe and a\u200bb")

    await room.press(BEN, prompt, "Ship")

    result = await room.result()
    for message in (prompt, result):
        said = json.dumps([message.text, message.blocks], ensure_ascii=False)
        assert "v2[U+202E]gpj.exe" in said
        assert "a[U+200B]b" in said
        assert "\u202e" not in said


async def test_feedback_cannot_call_anybody_either(room: Room) -> None:
    """Security 5."""
    first = await room.started(ANA, "/approve-draft AI safety")

    await room.reply(BEN, first, "<!here> make it *bold*")

    second = await room.prompt(2)
    await room.locked(first)
    for message in (first, second):
        assert "<!here> make it *bold*" in _as_people_see_it(message.blocks or [])
        assert _active(message.blocks or []) == []


async def test_lone_surrogates_and_nul_in_a_topic_are_survived(room: Room) -> None:
    """Adversarial 19."""
    fields = requests.command(room, "/deploy v2")

    result = await room.slack.run_command({**fields, "text": "v2 \x00 \ufffe"})

    prompt = await room.prompt()
    assert result.ok
    assert "[U+0000]" in shown(prompt)


@only(HTTP, HTTP_FLEET, because="it is about the bytes of a request")
async def test_text_that_is_no_text_is_refused_before_it_is_read(room: Room) -> None:
    """Adversarial 19. A lone surrogate is no UTF-8, and so nothing that Slack could send."""
    fields = requests.command(room, "/deploy v2")

    result = await room.slack.run_command({**fields, "text": "v2 \ud800"})

    assert result.status == 400
    assert room.slack.messages(room.channel) == []


def _as_people_see_it(blocks: list[dict[str, Any]]) -> str:
    """The text that Slack would draw: literal in rich text, entities undone elsewhere."""
    drawn: list[str] = []
    for block in blocks:
        if block["type"] == "rich_text":
            drawn += ["".join(part["text"] for part in row["elements"]) for row in block["elements"]]
        else:
            drawn.append(json.dumps(block, ensure_ascii=False))
    return "\n".join(drawn).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _active(blocks: list[dict[str, Any]]) -> list[str]:
    """Everything in blocks that would notify somebody or lead somewhere, but for who asked, answered and when."""
    found = []
    for block in blocks:
        if block["type"] == "rich_text":
            parts = [part for row in block["elements"] for part in row["elements"]]
            found += [part["type"] for part in parts if part["type"] != "text"]
        elif block["type"] != "actions":
            said = json.dumps(block)
            for harmless in ("<@U1>", "<@U2>", "<!date^"):
                said = said.replace(harmless, "")
            found += [said] if "<" in said else []
    return found


# --- buttons that are not ours ------------------------------------------------------------------------


ODD_BUTTONS: dict[str, dict[str, Any]] = {
    "an action id of another app": {"action_id": "approve_request", "value": "1"},
    "no value": {"value": ""},
    "garbage": {"value": "%%%garbage%%%"},
    "a very long value": {"value": "A" * 2_000},
    "base64 of nothing": {"value": base64.urlsafe_b64encode(b"\x1f\x1f\x1f").decode()},
    "another choice": {"value": "choice"},
    "a run that never was": {"value": "run"},
    "a question that never was": {"value": "ask"},
}


@pytest.mark.parametrize("what", ODD_BUTTONS)
async def test_a_button_that_is_not_ours_is_told_so_and_decides_nothing(room: Room, what: str) -> None:
    """Security 3; Adversarial 14."""
    prompt = await room.started(ANA, "/deploy v2")
    click = requests.click(room, prompt, "Ship", BEN)
    ours = AskToken.decode(button(prompt, "Ship")["value"])
    assert ours is not None
    forged = {
        "choice": AskToken(ours.run_id, ours.ask_id, ours.revision, "launch").encode(),
        "run": AskToken("k1-aaaaaaaaaaaaaaaa", ours.ask_id, 1, "ship").encode(),
        "ask": AskToken(ours.run_id, "a99", 1, "ship").encode(),
    }
    pressed = ODD_BUTTONS[what]
    click["actions"][0] |= {**pressed, "value": forged.get(pressed["value"], pressed["value"])}

    clicked = await room.slack.interact(click)

    await room.told(BEN, "unknown here")
    assert clicked.ok
    assert buttons(prompt) == ["Ship", "Keep back"]
    assert await room.times("answered", prompt) == 0


async def test_a_click_from_another_workspace_finds_nothing(room: Room) -> None:
    """Security 2; Adversarial 15."""
    prompt = await room.started(ANA, "/deploy v2")
    click = requests.click(room, prompt, "Ship", BEN)
    click["team"] = {"id": "T2", "domain": "elsewhere"}
    click["user"]["team_id"] = "T2"

    clicked = await room.slack.interact(click)

    await room.told(BEN, "unknown here")
    assert clicked.ok
    assert await room.times("answered", prompt) == 0


async def test_a_reply_from_another_workspace_finds_nothing(room: Room) -> None:
    """Security 2; Adversarial 15."""
    prompt = await room.started(ANA, "/deploy v2")
    said = requests.reply(room, prompt, "ship", BEN)
    said["team_id"] = said["event"]["team"] = "T2"

    await room.slack.send_envelope(said)
    await room.reply(CHLOE, prompt, "keep back")

    assert (await room.result()).text == "Kept back v2"
    await room.told(CHLOE, "“keep back” was taken as *Keep back*")
    assert room.notes(BEN) == []


@pytest.mark.parametrize("label", ["Approve", "Give feedback"])
async def test_a_button_of_another_run_counts_nowhere(room: Room, label: str) -> None:
    """Security 3: what a button says must be what its message shows."""
    here = await room.started(ANA, "/approve-draft one")
    await room.command(ANA, "/approve-draft other")
    other = await room.prompt(2)
    await room.stage.idle()
    click = requests.click(room, here, label, BEN)
    click["actions"][0]["value"] = button(other, label)["value"]
    on_screen = room.slack.view_of(BEN)  # of an earlier test, perhaps

    await room.slack.interact(click)

    await room.told(BEN, "outdated")
    await room.stage.idle()
    assert buttons(here) == buttons(other)
    assert room.slack.view_of(BEN) is on_screen
    assert await room.times("answered", here) == await room.times("answered", other) == 0


async def test_a_modal_with_a_forged_token_is_told_so(room: Room) -> None:
    """Security 3; Adversarial 14."""
    prompt = await room.started(ANA, "/approve-draft AI safety")
    form = await room.open_form(BEN, prompt, "Give feedback")
    form.body["private_metadata"] = AskToken("k1-aaaaaaaaaaaaaaaa", "a2", 1, "feedback").encode()

    await room.submit(BEN, form, "Shorter, please")

    notice = await room.see(lambda: room.slack.view_of(BEN))
    assert "unknown here" in json.dumps(notice.blocks)
    assert await room.times("answered", prompt) == 0
    await room.slack.close_view(BEN, notice.id)


async def test_a_click_on_a_run_that_is_over_says_how_it_ended(room: Room) -> None:
    """Adversarial 11."""
    prompt = await room.started(ANA, "/deploy v2")
    click = requests.click(room, prompt, "Keep back", CHLOE)
    await room.press(BEN, prompt, "Ship")
    await room.result()
    await room.stage.idle()

    await room.slack.interact(click)

    await room.told(CHLOE, f"already answered “Ship” by <@{BEN}>")
    await room.stage.idle()
    assert len(room.posted("result")) == 1


async def test_a_reply_of_50000_characters_is_answered_kindly(room: Room) -> None:
    """Adversarial 18."""
    prompt = await room.started(ANA, "/quick-approve lunch")

    await room.reply(BEN, prompt, "x" * 50_000)

    note = await room.told(BEN, "is not an answer")
    assert len(note) < 500


async def test_feedback_of_30000_characters_is_shown_whole(room: Room) -> None:
    first = await room.started(ANA, "/approve-draft AI safety")
    feedback = " ".join(f"word{n}" for n in range(3_500))

    await room.reply(BEN, first, feedback)

    second = await room.prompt(2)
    await room.stage.idle()
    files = [file for file in room.slack.workspace.files.values() if room.channel in file.shared]
    assert "word3499" in shown(second) or any("word3499" in file.content.decode() for file in files)
    assert buttons(second) == ["Approve", "Reject", "Give feedback"]


@pytest.mark.parametrize("words", ["\u200b", " \t\n", "…", "\n" * 10_000 + "ok?", "👩‍👩‍👧‍👦", "\u202eyes"])
async def test_an_odd_reply_decides_nothing(room: Room, words: str) -> None:
    """Adversarial 18, 19."""
    prompt = await room.started(ANA, "/quick-approve lunch")

    await room.reply(BEN, prompt, words)
    await room.reply(CHLOE, prompt, "no")

    assert "Approved: no" in (await room.result()).text
    assert await room.times("answered", prompt) == 1
