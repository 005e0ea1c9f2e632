"""What is sent to Slack stays within its limits, loses no text and lets nobody smuggle anything in."""

import html
import json
import re
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.asking.choices import Choice
from bot.asking.prompts import Prompt, Question, literal, question_of
from bot.languages import ENGLISH, GERMAN, Catalogue
from bot.payloads.tokens import AskToken
from bot.views.blocks import (
    Decided,
    Message,
    cancelled_message,
    failure_message,
    locked_message,
    metadata,
    parked_message,
    private_message,
    prompt_message,
    result_message,
)
from bot.views.escaping import visible
from bot.views.markdown import LANGUAGES
from engine.run_store import AskRecord
from engine.verdicts import Cancelled, Expired
from tests.unit.bot.drawn import LONG, MARKUP
from tests.unit.bot.questions import asked
from tests.unit.bot.records import ASK
from tests.unit.bot.slack_limits import check, each

AT = 1_700_000_000.0


def stored(**fields: Any) -> AskRecord:
    """A question as it is stored that anybody may answer at any time."""
    plain: dict[str, Any] = {"allowed": (), "quorum": 1, "deadline": None, "votes": ()}
    return replace(ASK, run_id="r1", **{**plain, **fields})


def prompt(question: Question, ask: AskRecord | None = None, **more: Any) -> Message:
    return prompt_message(question, ask or stored(), **more)


def said(blocks: list[dict[str, Any]]) -> str:
    """What blocks say; only mrkdwn is escaped."""
    return "".join(
        text if block["type"] in ("rich_text", "actions") else html.unescape(text)
        for block in blocks
        for text in each(block, "text")
    )


def shown(message: Message) -> str:
    return said(message.blocks)


def body_of(message: Message) -> str:
    """The same without what stands below the question."""
    return said([block for block in message.blocks if block["type"] in ("section", "rich_text")])


def ink(text: str) -> str:
    """Letters and digits only, which no markup adds or takes away; fillers that show nothing do not count."""
    text = re.sub(r"\[U\+[0-9A-F]{4,6}\]", "", text)
    return "".join(char for char in text if char.isalnum() and char not in "\u115f\u1160\u3164\uffa0")


# --- any text -----------------------------------------------------------------------------

LANGUAGE = re.compile(rf"^\s*```\s*({'|'.join(map(re.escape, sorted(LANGUAGES)))})\s*$", re.IGNORECASE | re.MULTILINE)
"""The name of a language after a fence, which shows nowhere once code follows."""


@given(MARKUP | LONG | st.text())
@example("")
@example(" \n ")
@example("x" * 50_000)
@example("\n" * 10_000)
@example("&" * 5_000)
@example("😀" * 5_000)
@example("\\*" + "_a_ " * 2_000)
@example("```\n" * 500)
@example("```PYTHON")
@example("```C\r0")
@example("```python\nprint(1)\n```")
@settings(max_examples=150)
def test_any_text_stays_within_every_limit_and_none_is_lost(prefix: str) -> None:
    question = question_of(Prompt(prefix=prefix, choices=["approve"], takes_text="feedback"))

    message = prompt(question, stored(deadline=AT), requester="U1")

    check(message)
    whole = body_of(message) if message.overflow is None else message.overflow
    written = {ink(question.text), ink(LANGUAGE.sub("```", visible(question.text)))}
    assert ink(whole) in written or ("" in written and ink(whole) == ink("(no text)"))


@pytest.mark.parametrize("chars", [2_900, 12_500, 40_000, 200_000])
@pytest.mark.parametrize("word", ["word ", "x", "<&> ", "😀", "line\n", "para\n\n", "**b** "])
def test_a_draft_of_any_length_is_shown_whole_or_with_a_file(chars: int, word: str) -> None:
    draft = (word * (chars // len(word) + 1))[:chars]

    message = prompt(asked(draft))

    check(message)
    assert (message.overflow is None) or message.overflow.strip() == draft.strip()
    assert message.blocks[-1]["type"] == "actions"
    assert message.overflow is None or len(shown(message)) > 3_000


def test_only_what_is_still_to_be_decided_is_to_be_read_first() -> None:
    question = asked("word " * 9_000)

    still_open, closed = prompt(question), locked_message(question, Decided("U2", AT, "approve"))
    result = result_message("word " * 9_000)

    assert [ENGLISH.read_whole in shown(one) for one in (still_open, closed, result)] == [True, False, False]
    assert all(ENGLISH.goes_on_in_file in shown(one) for one in (closed, result))
    assert {one.overflow_title for one in (still_open, closed, result)} == {"The whole text"}


def test_short_drafts_need_no_file() -> None:
    message = prompt(asked("word " * 2_000))

    assert message.overflow is None
    assert body_of(message).count("word") == 2_000


@pytest.mark.parametrize("chars", [2_900, 6_500, 12_500, 40_000, 200_000])
@pytest.mark.parametrize("word", ["word ", "x", "<&> ", "😀", "line\n", literal("*not bold* ")])
def test_details_of_any_length_are_shown_whole_or_with_a_file(chars: int, word: str) -> None:
    details = word * (chars // len(word))

    messages = [
        prompt(asked("Good?", details=details)),
        locked_message(asked("Good?", details=details), Decided("U2", AT, "approve")),
    ]

    for message in messages:
        check(message)
        assert message.overflow is None or message.overflow.strip() == f"Good?\n\n{details}".strip()
        assert message.overflow is not None or ink(body_of(message)).startswith(ink(f"Good?{details}"))
    assert messages[0].overflow is None or chars > 3_000


def test_details_are_folded_below_a_question_that_is_not() -> None:
    message = prompt(asked("Good?", details="word " * 1_500))

    first, *rest = [block for block in message.blocks if block["type"] == "section"]
    assert message.overflow is None
    assert first["expand"]
    assert len(rest) == 3
    assert not any("expand" in block for block in rest)


def test_long_text_is_cut_between_paragraphs() -> None:
    paragraphs = [f"{n} " + "word " * 200 for n in range(8)]

    message = prompt(asked("\n\n".join(paragraphs)))

    sections = [block["text"]["text"] for block in message.blocks if block["type"] == "section"]
    assert len(sections) > 1
    assert all(section.split()[0].isdigit() for section in sections)


def test_no_entity_is_cut_in_two() -> None:
    message = prompt(asked("&" * 2_300))

    assert body_of(message) == "&" * 2_300


def test_text_that_seeks_to_be_slow_is_not() -> None:
    started = time.perf_counter()

    for evil in ("**a " * 50_000, "**" * 100_000, "\\*" + "*a" * 90_000, "_a " * 60_000, "~~" * 90_000, "`" * 200_000):
        prompt(asked(evil))
    for evil in ("# a" + " " * 200_000 + "b", "# a" + "#" * 200_000 + "b", literal("a" + "\n" * 200_000 + "b")):
        prompt(asked(evil))

    assert time.perf_counter() - started < 10  # about 1 s; a quadratic pattern takes minutes


# --- Markdown ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markdown", "mrkdwn"),
    [
        ("**bold** and *strong*", "*bold* and *strong*"),
        ("# Title\ntext", "*Title*\ntext"),
        ("### A **b** c ###", "*A b c*"),
        ("- a\n* b\n  + c", "• a\n• b\n  • c"),
        ("~~old~~", "~old~"),
        ("`**x**` **y**", "`**x**` *y*"),
        ("```python\nif a < b:\n    # no title\n```\nend", "```\nif a &lt; b:\n    # no title\n```\nend"),
        ("```rm -rf\nls\n```", "```\nrm -rf\nls\n```"),
        ("a\n\n\n\n\n\nb", "a\n\n\nb"),
        ("2 * 3 * 4, __init__", "2 * 3 * 4, __init__"),
        ("[Approve](https://evil.example)", "[Approve](https://evil.example)"),
    ],
)
def test_markdown_becomes_slacks_own(markdown: str, mrkdwn: str) -> None:
    assert prompt(asked(markdown)).blocks[0]["text"]["text"] == mrkdwn


@pytest.mark.parametrize(
    "typed", ["<!channel>", "<!here|x>", "<@U9>", "<#C1>", "<https://evil|bank>", "&lt;!channel&gt;", "<!subteam^S1>"]
)
def test_nothing_typed_notifies_anybody(typed: str) -> None:
    """Security 5."""
    messages = [
        prompt(asked(f"About {typed}", details=typed)),
        locked_message(asked(typed), Decided("U2", AT, "reject", typed), requester="U1"),
        result_message({"draft": typed, typed: 1}),
        result_message(typed),
        failure_message(typed),
    ]

    for message in messages:
        check(message)
        assert typed not in message.text
        for block in message.blocks:
            assert block["type"] == "rich_text" or typed not in json.dumps(block)
        assert typed in shown(message)


@pytest.mark.parametrize(
    "topic",
    ["*bold*", "`code`", "**very**", "_it_ ~no~", "```\nblock\n```", "# title", "- item", "a\\b", "*", "\\*", "> q"],
)
def test_literal_text_shows_character_by_character(topic: str) -> None:
    """Security 5."""
    message = prompt(asked(f"**Draft about {literal(topic)}**\n\n{literal(topic)}"))

    assert topic in body_of(message)
    assert body_of(message).count(topic) >= 2


def test_the_authors_own_markup_counts_beside_literal_text() -> None:
    message = prompt(asked(f"# {literal('A')}\n**Draft** of `x` about {literal('*it*')}\n- one"))

    [section] = message.blocks[0]["elements"]
    assert section["elements"] == [
        {"type": "text", "text": "A", "style": {"bold": True}},
        {"type": "text", "text": "\n"},
        {"type": "text", "text": "Draft", "style": {"bold": True}},
        {"type": "text", "text": " of "},
        {"type": "text", "text": "x", "style": {"code": True}},
        {"type": "text", "text": " about *it*\n• one"},
    ]


def test_what_hides_is_shown() -> None:
    """Security 5."""
    message = prompt(asked("pay\u202etneilc \u200b\x00 👩\u200d🚀 नमस्\u200dते"))

    assert "pay[U+202E]tneilc [U+200B][U+0000] 👩\u200d🚀 नमस्\u200dते" in shown(message)


# --- a prompt ----------------------------------------------------------------------------


def test_a_button_carries_the_question_and_its_choice() -> None:
    message = prompt(asked(takes_text="feedback"))

    *buttons, menu = message.blocks[-1]["elements"]
    choices = [AskToken.decode(option["value"]) for option in menu["options"]]
    assert choices == [AskToken("r1", "a1", 1, "hand_on"), AskToken("r1", "a1", 1, "details")]
    assert [button["text"]["text"] for button in buttons] == ["Approve", "Reject", "Give feedback"]
    assert [AskToken.decode(button["value"]) for button in buttons] == [
        AskToken("r1", "a1", 1, "approve"),
        AskToken("r1", "a1", 1, "reject"),
        AskToken("r1", "a1", 1, "feedback"),
    ]
    assert [button["action_id"] for button in buttons] == ["decide.0", "decide.1", "open.2"]
    assert [button.get("style") for button in buttons] == ["primary", "danger", None]


@pytest.mark.parametrize(
    ("words", "told"), [(ENGLISH, ", or it counts as “Keep & wait”"), (GERMAN, "sonst gilt „Keep & wait“")]
)
def test_a_prompt_says_what_silence_comes_to(words: Catalogue, told: str) -> None:
    question = asked(choices=["ship", Choice("keep", label="Keep & wait")], timeout=60, on_timeout="keep")

    message = prompt(question, stored(deadline=AT), words=words)

    assert told in shown(message)


def test_a_prompt_says_who_asks_whom_until_when() -> None:
    question = asked(approvers=["U2", "U3"], quorum=2, version=3)

    message = prompt(question, stored(deadline=AT), requester="U1")

    [context] = [block for block in message.blocks if block["type"] == "context"]

    told = context["elements"][0]["text"]
    assert "Asked by <@U1>" in told
    assert "Version 3" in told
    assert "For <@U2> or <@U3>" in told
    assert "2 people must agree" in told
    assert "<!date^1700000000^{date_short_pretty} at {time}|2023-11-14 22:13 UTC>" in told


@pytest.mark.parametrize(("words", "told"), [(ENGLISH, "About <@U4> and <@U5>"), (GERMAN, "Betrifft <@U4> und <@U5>")])
def test_whom_it_concerns_is_named_while_it_is_open_and_afterwards(words: Catalogue, told: str) -> None:
    question = asked("Give access?", concerns=["U4", "<@U5>"])

    assert told in shown(prompt(question, words=words))
    assert told in shown(locked_message(question, Decided("U2", AT, "approve"), words=words))


def test_votes_so_far_are_named() -> None:
    message = prompt(asked(approvers=["U2", "U3"], quorum=2), stored(votes=(("U2", "approve"),)))

    assert "1 of 2 so far: <@U2>: approved" in shown(message)


def test_the_biggest_prompt_still_fits() -> None:
    choices = [Choice(f"{n}" + "ü" * 70, label="l" * 300, confirm="c" * 900, asks_comment=True) for n in range(9)]
    question = asked(
        "😀 " * 90_000,
        choices=choices,
        takes_text="feedback",
        approvers=[f"U{n:010}" for n in range(300)],
        concerns=[f"U{n:010}" for n in range(300)],
        quorum=300,
        details="d" * 9_000,
    )

    votes = tuple((f"U{n:010}", "9" + "ü" * 70) for n in range(299))
    ask = replace(ASK, run_id="r" * 255, ask_id="a" * 255, revision=10**8, deadline=None, votes=votes)

    message = prompt(question, ask, requester="U1")

    check(message)
    assert message.overflow is not None
    assert message.blocks[0]["type"] == "section"


def test_the_notification_says_what_is_asked_without_markup() -> None:
    """Acceptance 5."""
    text = prompt(asked(f"# News\n\n**Ship** v2 & {literal('**v3**')}?")).text

    assert text == "News Ship v2 &amp; **v3**? – answer with Approve or Reject"


# --- after the decision --------------------------------------------------------------------


def test_a_decided_question_says_who_decided_what_when_and_why() -> None:
    message = locked_message(asked("Good?"), Decided("U2", AT, "reject", "too *long*\nby far"), requester="U1")

    check(message)
    assert "Good?" in shown(message)
    assert "*Rejected* by <@U2> · <!date^1700000000^" in shown(message)
    assert "too *long*\nby far" in shown(message)
    assert list(each(message.blocks, "action_id")) == []


def test_a_choice_of_ones_own_is_named_by_its_label() -> None:
    question = asked(choices=[Choice("ship", label="Ship it"), Choice("wait")])

    assert "*Answered “Ship it”* by <@U2>" in shown(locked_message(question, Decided("U2", AT, "ship")))


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Expired(AT), "*Expired* without an answer"),
        (Cancelled("U1", AT), "*Cancelled* by <@U1>"),
        (Cancelled("", AT), "*Closed* without an answer"),
        (Decided("", AT, "reject"), "*Rejected* because nobody answered in time"),
        (Decided("U2", AT, "approve", votes=(("U3", "approve"), ("U2", "approve"))), "Votes: <@U3>: approved, <@U2>"),
    ],
)
def test_every_end_is_told(outcome: Any, words: str) -> None:
    message = locked_message(asked(), outcome)

    check(message)
    assert words in shown(message)
    assert not [block for block in message.blocks if block["type"] == "actions"]


@given(st.text(), st.text(), MARKUP | LONG)
def test_any_decision_fits(response: str, comment: str, prefix: str) -> None:
    check(locked_message(asked(prefix), Decided("U2", AT, response, comment), requester="U1"))


@given(st.sampled_from([0.0, -1e20, 1e308, float("nan"), float("inf"), 1e11]))
def test_an_odd_time_breaks_nothing(at: float) -> None:
    check(prompt(asked(), stored(deadline=at)))


# --- results -----------------------------------------------------------------------------

ANY_RESULT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(ANY_RESULT)
def test_any_result_fits(result: object) -> None:
    check(result_message(result))


def test_a_result_is_shown_key_by_key() -> None:
    message = result_message({"status": "timed_out", "max_revisions": 3, "final": True, "draft": "a\nb", "none": None})

    assert shown(message) == "*Status:* timed out\n*Max revisions:* 3\n*Final:* yes\n*Draft*\n\na\nb\n\n*None:* –"


def test_a_result_that_is_true_is_so_in_any_language() -> None:
    assert shown(result_message({"final": True, "late": False}, words=GERMAN)) == "*Final:* ja\n*Late:* nein"


def test_markup_in_a_result_is_not_followed() -> None:
    message = result_message({"topic": "*bold* `x`"})

    assert "*bold* `x`" in shown(message)
    assert {"type": "text", "text": " *bold* `x`"} in message.blocks[0]["elements"][0]["elements"]


@pytest.mark.parametrize("result", [None, "", "  "])
def test_no_result_is_still_an_end(result: object) -> None:
    assert result_message(result).text == "Done."


def test_a_failure_names_no_run_and_shows_no_traceback() -> None:
    message = failure_message("the model is down", requester="U1")

    check(message)
    assert message.text.startswith("<@U1> This request stopped")
    assert "the model is down" in shown(message)
    check(cancelled_message())


@pytest.mark.parametrize("words", [ENGLISH, GERMAN])
def test_a_run_on_hold_is_not_said_to_be_over(words: Catalogue) -> None:
    message = parked_message(words=words)

    check(message)
    assert words.parked in shown(message)
    assert words.failed not in shown(message)


@given(st.text(min_size=1).filter(lambda text: text.strip() != ""))
def test_a_private_word_fits(text: str) -> None:
    message = private_message("word " + html.escape(text, quote=False).encode(errors="ignore").decode() * 50)

    assert len(message.blocks[0]["text"]["text"]) <= 3000


def test_metadata_holds_ids_only() -> None:
    assert metadata("r1", "a1", "prompt:a1") == {
        "event_type": "signoff_effect",
        "event_payload": {"run_id": "r1", "ask_id": "a1", "effect_id": "prompt:a1"},
    }


# --- texts that may be edited ----------------------------------------------------------------


def test_a_text_can_be_edited_by_a_button_beside_the_one_that_approves_it() -> None:
    message = prompt(asked("Send?", editable="Dear all", choices=["keep", Choice("send", means="yes"), "drop"]))

    check(message)
    *buttons, _ = message.blocks[-1]["elements"]
    assert [button["text"]["text"] for button in buttons] == ["Keep", "Send", "Edit and send", "Drop"]
    tokens = [AskToken.decode(button["value"]) for button in buttons]
    assert tokens[1] == tokens[2]
    assert [button["action_id"] for button in buttons] == ["decide.0", "decide.1", "edit.1", "decide.2"]


def test_a_text_too_long_to_be_edited_says_so_and_how_to_answer_instead() -> None:
    message = prompt(asked("Send?", editable="x" * 3_001, takes_text="feedback"), thread_replies=True)

    check(message)
    assert not [text for text in each(message.blocks, "text") if text.startswith("Edit and")]
    assert "Longer than the 3,000 characters that can be edited here · Or reply in the thread" in shown(message)


@given(MARKUP | LONG, st.text(max_size=3_000))
@settings(max_examples=60)
@example("x" * 50_000, "\u202e" * 3_000)
@example("x", "*" * 3_000)
def test_a_closed_question_holds_the_text_that_was_approved_instead(prefix: str, text: str) -> None:
    message = locked_message(asked(prefix), Decided("U1", AT, "approve", text=text))

    check(message)
    assert ink(text) in ink(shown(message)) or "\u202e" in text
