"""What people read: true, complete, and safe whatever is filled in."""

import dataclasses
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from bot.asking.choices import Choice
from bot.asking.prompts import Prompt, question_of
from bot.asking.replies import NotUnderstood
from bot.asking.triggers import EmptyText, SlashCommand, TextTooLong
from bot.languages import CATALOGUES, ENGLISH, GERMAN, Catalogue, catalogue
from bot.views.wording import (
    bad_text,
    deed,
    listed,
    mention,
    not_in_channel,
    not_understood_text,
    outdated_text,
    too_few_left,
    unknown_command,
    verdict_text,
    when,
)
from engine.verdicts import (
    Accepted,
    Already,
    Cancelled,
    Expired,
    Invalid,
    NotAllowed,
    Recorded,
    Unknown,
    Verdict,
)

AT = 1_700_000_000.0
DATE = "<!date^1700000000^{date_short_pretty} at {time}|2023-11-14 22:13 UTC>"
LINK = "https://acme.slack.com/archives/C1/p1700000000000100"


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (Accepted("U1", AT, "approve"), "Thank you, this is now approved."),
        (Accepted("U2", AT, "approve"), "This is now approved by <@U2>."),
        (Recorded(1, 2), "Your answer is recorded: 1 of 2 so far."),
        (Already("U2", AT, "approve"), f"This was already approved by <@U2>, {DATE}. Nothing was changed."),
        (Already("U1", AT, "reject"), f"You have answered this before: it was rejected, {DATE}. Nothing was changed."),
        (Already("", AT, "reject"), f"This was already rejected when its time ran out, {DATE}. Nothing was changed."),
        (Already("U2", AT, "ship"), f"This was already answered “Ship it” by <@U2>, {DATE}. Nothing was changed."),
        (Expired(AT), f"This question expired {DATE}, so your answer could not count."),
        (Cancelled("U2", AT), f"<@U2> cancelled this request {DATE}, so there is nothing left to answer."),
        (Cancelled("", AT), f"This request was closed {DATE}, so there is nothing left to answer."),
        (NotAllowed(("U3", "S4")), "This question is not yours to answer. Please ask <@U3> or <!subteam^S4>."),
        (
            Invalid((("size", "too big."), ("", "try <b>"))),
            "Your answer could not be taken: size: too big; try &lt;b&gt;.",
        ),
    ],
)
def test_each_verdict_is_told_truthfully(verdict: Verdict, told: str) -> None:
    assert verdict_text(verdict, viewer="U1", labels={"ship": "Ship it"}) == told


def test_whoever_asked_is_told_that_they_cannot_decide() -> None:
    assert "whoever made the request cannot decide it" in verdict_text(NotAllowed(()))


def test_an_unknown_question_says_what_to_do() -> None:
    assert "start the request again" in verdict_text(Unknown())


def test_whoever_asked_is_led_to_the_question_that_too_few_can_answer() -> None:
    told = too_few_left(["U2", "S1"], "https://example.slack.com/p1")

    assert "<@U2> or <!subteam^S1>" in told
    assert told.endswith("https://example.slack.com/p1")
    assert "http" not in too_few_left(["U2"], None)


def test_an_outdated_question_links_to_the_current_one() -> None:
    assert outdated_text(LINK).endswith(f"<{LINK}|Here is the current one>.")


@pytest.mark.parametrize("link", [None, "", "javascript:alert(1)", "http://127.0.0.1/"])
def test_without_a_good_link_there_is_none(link: str | None) -> None:
    assert "<" not in outdated_text(link)


@given(st.text())
def test_a_link_cannot_break_out(path: str) -> None:
    told = outdated_text(f"https://x/{path}")

    assert told.count("<") == told.count(">") == told.count("|") == 1


VERDICTS = st.one_of(
    st.builds(Accepted, st.text(), st.floats(), st.text()),
    st.builds(Already, st.text(), st.floats(), st.text()),
    st.builds(Cancelled, st.text(), st.floats()),
    st.builds(Expired, st.floats()),
    st.builds(NotAllowed, st.lists(st.text()).map(tuple)),
    st.builds(Invalid, st.lists(st.tuples(st.text(), st.text())).map(tuple)),
)


@given(VERDICTS, st.text(), st.dictionaries(st.text(), st.text()))
def test_nothing_filled_in_becomes_markup(verdict: Any, viewer: str, labels: dict[str, str]) -> None:
    told = verdict_text(verdict, viewer=viewer, labels=labels)

    rest = told.replace("<!date^", "").replace("<@", "").replace("<!subteam^", "").replace("<#", "")
    assert told
    assert "<" not in rest
    assert told == verdict_text(verdict, viewer=viewer, labels=labels)


def test_a_reply_that_says_nothing_is_quoted_and_asked_back() -> None:
    question = question_of(Prompt(prefix="?", choices=["approve", "reject", Choice("burn", confirm="Sure?")]))

    told = not_understood_text(NotUnderstood("words"), question, "<!here> hm\nhm")

    assert told.startswith("“&lt;!here&gt; hm hm” is not an answer I can take here.")
    assert told.endswith("Please write *Approve* or *Reject* in a new reply, or use the buttons.")


def test_nobody_is_asked_to_write_what_a_reply_cannot_say() -> None:
    class Seal(BaseModel):
        colour: str

    choices = ["sign", "refuse", Choice("seal", asks_form=True), Choice("send back", asks_comment="required"), "remark"]
    question = question_of(Prompt(prefix="?", choices=choices, form=Seal, takes_text="remark"))

    told = not_understood_text(NotUnderstood("words"), question, "ok")

    assert "Please write *Sign* or *Refuse* in a new reply" in told


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("words", "one of the buttons"),
        ("needs_text", "in words"),
        ("confirm", "its button"),
        ("unknown", "unknown here"),
    ],
)
def test_each_misunderstanding_says_what_to_do(why: Any, told: str) -> None:
    assert told in not_understood_text(NotUnderstood(why), question_of(Prompt(prefix="?", choices=["a"])))


def test_an_empty_topic_is_refused_with_how_it_is_used() -> None:
    assert "Like this: `/deploy version`" in bad_text(EmptyText("/deploy", "version"))
    assert "needs some text" in bad_text(EmptyText("/deploy", ""))


def test_a_long_topic_is_refused_with_numbers() -> None:
    told = bad_text(TextTooLong("/deploy", 5000, 500))

    assert told == "That is 5,000 characters, and `/deploy` takes at most 500. Please shorten it."
    assert "5.000 Zeichen" in bad_text(TextTooLong("/deploy", 5000, 500), GERMAN)


def test_an_unknown_command_is_told_the_known_ones() -> None:
    known = [SlashCommand("/a", "A"), SlashCommand("/b", "B"), SlashCommand("/c", "C")]

    assert (
        unknown_command("/x`<!here>", known)
        == "`/x'&lt;!here&gt;` is not something I know. I know `/a`, `/b` and `/c`."
    )
    assert "no command is set up" in unknown_command("/x", [])


def test_a_channel_without_the_bot_is_told_how_to_invite_it() -> None:
    assert (
        not_in_channel("C1")
        == "I am not in <#C1>, so I cannot post there. Type `/invite @Signoff` there and try again."
    )
    assert not_in_channel("<!channel>") == not_in_channel("D1") == ENGLISH.not_in_conversation


# --- the catalogue ----------------------------------------------------------------------


@pytest.mark.parametrize("language", CATALOGUES.values(), ids=lambda words: words.language)
def test_every_language_says_everything_with_the_same_placeholders(language: Catalogue) -> None:
    for field in dataclasses.fields(ENGLISH):
        english, other = getattr(ENGLISH, field.name), getattr(language, field.name)
        assert other
        pairs = (
            {"": (english, other)} if isinstance(english, str) else {key: (english[key], other[key]) for key in english}
        )
        assert isinstance(english, str) or other.keys() == english.keys()
        for key, (one, same) in pairs.items():
            assert placeholders(same) == placeholders(one), (field.name, key)


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("locale", ["", "en-US", "xx", "EN"])
def test_where_there_is_no_better_language_it_is_english(locale: str) -> None:
    assert catalogue(locale) is ENGLISH


@pytest.mark.parametrize("language", CATALOGUES.values(), ids=lambda words: words.language)
def test_short_texts_stay_within_slacks_limits(language: Catalogue) -> None:
    for name in ("send", "close", "notice_title"):
        assert len(getattr(language, name)) <= 24
    for name in ("confirm_yes", "confirm_no"):
        assert len(getattr(language, name)) <= 30


def test_a_reader_of_german_gets_german_words_and_times() -> None:
    assert catalogue("de-DE") is GERMAN
    told = verdict_text(Already("U1", 0.0, "approve"), viewer="U2", words=catalogue("de-AT"))
    assert told.startswith("Das wurde schon von <@U1> freigegeben (<!date^0^{date_short_pretty} um {time}|")


def test_a_deed_is_known_or_named() -> None:
    assert deed("approve") == "approved"
    assert deed("Approve") == "approved"
    assert deed("later", {"later": "Not *now*"}) == "answered “Not *now*”"


@pytest.mark.parametrize(
    ("items", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c")]
)
def test_a_list_reads_as_a_sentence(items: list[str], text: str) -> None:
    assert listed(items, ENGLISH.list_or) == text


# --- people and times ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "shown"),
    [("U1", "<@U1>"), ("W2", "<@W2>"), ("S3", "<!subteam^S3>"), ("<!here>", "&lt;!here&gt;"), ("", "")],
)
def test_only_ids_are_mentioned(who: str, shown: str) -> None:
    assert mention(who) == shown


@pytest.mark.parametrize("at", [float("nan"), float("inf"), -1e300, 1e300])
def test_an_impossible_time_is_a_question_mark(at: float) -> None:
    assert when(at) == "?"
