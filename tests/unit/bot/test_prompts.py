"""Questions as authors write them, and as they are asked."""

import json
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from bot.asking.choices import Choice
from bot.asking.prompts import Escalation, Prompt, Question, asked_by_us, literal, question_of
from bot.asking.replies import NotUnderstood, Reply, read_reply
from bot.languages import GERMAN
from engine.core.codec import Codec
from engine.core.questions import AGAIN, in_doubt
from engine.errors import DefinitionError
from engine.events import InputRequiredEvent
from tests.unit.bot.questions import REVIEW, SHIP, Trip


def plain(prefix: str) -> Question:
    return question_of(InputRequiredEvent(prefix=prefix))


@pytest.mark.parametrize(
    ("name", "meant"),
    [("aprovers", "approvers"), ("approver", "approvers"), ("choises", "choices"), ("time_out", "timeout")],
)
def test_a_misspelt_rule_is_refused_and_not_left_out(name: str, meant: str) -> None:
    with pytest.raises(TypeError, match=f"Prompt has no '{name}'; did you mean '{meant}'"):
        Prompt(prefix="Pay?", **{name: ["U1"]})


def test_a_rule_that_there_is_not_is_refused_and_those_there_are_told() -> None:
    with pytest.raises(TypeError, match=r"Prompt has no 'reviewers'; it takes prefix, .*, approvers, "):
        Prompt(prefix="Pay?", reviewers=["U1"])
    with pytest.raises(TypeError, match="Choice has no 'color'; it takes value, label, style, "):
        Choice("stop", color="red")  # type: ignore[call-arg]  # that is the point


def test_a_ladder_of_one_rung_is_a_list() -> None:
    with pytest.raises(ValueError, match=r"Prompt.escalate is Escalation.*: give a list, as \[Escalation\(after="):
        Prompt(prefix="?", escalate=Escalation(after=60, to=["U9"]))


def test_a_prompt_of_your_own_has_the_fields_it_declares() -> None:
    class Payment(Prompt):
        amount: int

    assert Payment(prefix="Pay?", amount=3).amount == 3
    with pytest.raises(TypeError, match="Payment has no 'amoun'; did you mean 'amount'"):
        Payment(prefix="Pay?", amount=3, amoun=4)


def values(question: Question) -> list[str]:
    return [choice.value for choice in question.choices]


# --- writing a prompt -------------------------------------------------------------------


def test_a_choice_takes_its_value_first() -> None:
    choice = Choice("keep back", style="danger")

    assert (choice.value, choice.shown, choice.style) == ("keep back", "Keep back", "danger")


def test_plain_words_are_choices() -> None:
    prompt = Prompt(prefix="?", choices=["approve", Choice("no_way", label="Never")])

    assert [choice.shown for choice in prompt.choices] == ["Approve", "Never"]


@pytest.mark.parametrize("value", ["", " a", "a ", "a\nb", "a\x1fb", "\u202ea", "x" * 76, "\ud800"])
def test_a_value_that_could_not_be_told_apart_is_refused(value: str) -> None:
    with pytest.raises(ValueError):
        Choice(value)


@pytest.mark.parametrize("label", ["", "  ", "\u200b", "\n"])
def test_a_button_has_words(label: str) -> None:
    with pytest.raises(ValueError, match="label is blank"):
        Choice("a", label=label)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"choices": ["yes", "Yes"]}, "yes is there twice"),
        ({"choices": [str(n) for n in range(11)]}, "at most 10"),
        ({"approvers": ["carol"]}, "approver 'carol'"),
        ({"concerns": ["dan"]}, "concerns 'dan'"),
        ({"concerns": ["S1"]}, "concerns 'S1': no person; name people"),
        ({"approvers": ["U1"], "quorum": 2}, "only 1 may answer"),
        ({"quorum": 0}, "quorum"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
    ],
)
def test_a_prompt_that_cannot_work_is_refused(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Prompt(prefix="?", **fields)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"remind": [float("nan")]}, "Prompt.remind.0 is nan: Input should be"),
        ({"quorum": 0}, "Prompt.quorum is 0: Input should be greater than or equal to 1"),
        (
            {"approvers": ["bob"]},
            "Prompt.approvers is ['bob']: approver 'bob': give a Slack id of a person, user group or",
        ),
        ({"choices": ["a", "A"]}, "Prompt: choices: a is there twice; give each a value of its own"),
        ({"choices": [3]}, "Prompt.choices.0 is 3: Input should be a valid dictionary or instance of Choice"),
        (
            {"escalate": [{"after": 0, "to": ["U1"]}]},
            "Prompt.escalate.0 is {'after': 0, 'to': ['U1']}: Escalation.after is 0: Input should be",
        ),
        ({"details": ["x" * 99]}, f"Prompt.details is ['{'x' * 58}…: Input should be a valid string"),
        (
            {"prefix": 1, "timeout": -1},
            "Prompt.prefix is 1: Input should be a valid string; Prompt.timeout is -1: Input",
        ),
    ],
)
def test_what_is_wrong_with_a_prompt_is_said_in_one_line(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError) as caught:
        Prompt(**{"prefix": "?", **fields})

    said = str(caught.value)
    assert said.startswith(told)
    assert "http" not in said
    assert "\n" not in said


def test_what_is_wrong_with_a_part_of_a_prompt_is_said_in_one_line() -> None:
    style: Any = "green"
    nothing: dict[str, Any] = {}

    with pytest.raises(ValueError, match=r"^Choice\.style is 'green': Input should be 'primary' or 'danger'$"):
        Choice("a", style=style)
    with pytest.raises(ValueError, match=r"^Escalation\.to is \[\]: List should have at least 1 item"):
        Escalation(after=60, to=[])
    with pytest.raises(ValueError, match=r"^Prompt\.prefix: Field required$"):
        Prompt(**nothing)


@pytest.mark.parametrize("group", ["S1", "C1"])
def test_a_group_may_have_as_many_members_as_a_quorum_needs(group: str) -> None:
    assert Prompt(prefix="?", approvers=[group], quorum=3).quorum == 3


def test_approvers_may_be_mentions() -> None:
    prompt = Prompt(prefix="?", approvers=["<@U1>", "<@U2|bob>", "@U3", "<!subteam^S1|@ops>", "<#C1|leads>", "U1"])

    assert prompt.approvers == ["U1", "U2", "U3", "S1", "C1"]
    assert prompt.allowed == prompt.approvers


def test_the_engine_finds_its_own_names() -> None:
    prompt = Prompt(prefix="?", choices=["ship"], takes_text="feedback", approvers=["U1"], four_eyes=True)

    assert prompt.options == ["ship", "feedback"]
    assert prompt.allowed == ["U1"]
    assert prompt.self_approval is False


def test_a_prompt_takes_what_its_buttons_say() -> None:
    prompt = Prompt(prefix="Ship?", choices=["ship", Choice("stop", asks_comment=True)])

    assert prompt.options == ["ship", "stop"] == [choice.value for choice in question_of(prompt).choices]


def test_a_prompt_that_takes_any_text_limits_nothing() -> None:
    assert Prompt(prefix="Your name?").options == []


def test_a_prompt_survives_storage() -> None:
    codec = Codec({kind.__name__: kind for kind in (Prompt, Choice, Escalation)})
    prompt = Prompt(prefix="?", choices=["a", Choice("b", confirm="Sure?")], escalate=[Escalation(after=60, to=["U9"])])
    prompt["from_a_newer_version"] = 1

    assert codec.loads(codec.dumps(prompt, "prompt"), "prompt") == prompt


def test_all_but_the_form_is_json() -> None:
    class Form(BaseModel):
        reason: str

    prompt = Prompt(prefix="?", choices=["a"], form=Form, approvers=["U1"], remind=[60.0])

    assert json.loads(prompt.model_dump_json(exclude={"form"}))["choices"][0]["value"] == "a"


def test_a_choice_from_a_newer_version_is_still_read() -> None:
    prompt = Prompt.model_validate({"prefix": "?", "choices": [{"value": "a", "colour": "blue"}]})

    assert prompt.choices == [Choice("a")]


def test_a_stored_choice_without_value_is_a_validation_error() -> None:
    with pytest.raises(ValidationError):
        Prompt.model_validate({"prefix": "?", "choices": [{"label": "A"}]})


# --- what is asked ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "text", "choices", "takes_text"),
    [
        ("Review this:\nfoo\n\nApprove? (yes/no): ", "Review this:\nfoo\n\nApprove?", ["yes", "no"], None),
        ("V1:\nx\n\nEnter 'approve', 'revise', or feedback: ", "V1:\nx", ["approve", "revise", "feedback"], "feedback"),
        (
            "x\n\nEnter 'approve', 'reject', or revision feedback: ",
            "x",
            ["approve", "reject", "feedback"],
            "feedback",
        ),
        ("Is it accurate? (approve/revise/reject): ", "Is it accurate?", ["approve", "revise", "reject"], None),
        ("=== FINAL ===\n\nok? (approve / reject)", "=== FINAL ===\n\nok?", ["approve", "reject"], None),
        ("Go on [y/n]?", "Go on", ["y", "n"], None),
        ("Ship? ('ship'/'keep back')", "Ship?", ["ship", "keep back"], None),
        ('Type "left" or "right".', 'Type "left" or "right".', ["left", "right"], None),
        ("Good? (approve/reject/feedback)", "Good?", ["approve", "reject", "feedback"], "feedback"),
        ("(yes/no)", "(yes/no)", ["yes", "no"], None),
    ],
)
def test_a_closing_list_becomes_buttons(prefix: str, text: str, choices: list[str], takes_text: str | None) -> None:
    question = plain(prefix)

    assert (question.text, values(question), question.takes_text) == (text, choices, takes_text)


@pytest.mark.parametrize(
    "prefix",
    ["What is your name?", "Is it (24/7)", "Compare 'a' and 'b'", "See (docs/readme) first", "Say (a/b)\n\nhm"],
)
def test_without_a_closing_list_any_text_is_the_answer(prefix: str) -> None:
    question = plain(prefix)

    assert (question.text, values(question), question.takes_text) == (prefix, ["answer"], "answer")
    assert question.choices[0].asks_comment
    assert question.text_is_response


def test_the_first_choice_is_green_and_refusals_are_red() -> None:
    question = plain("? (approve/revise/reject)")

    assert [choice.style for choice in question.choices] == ["primary", None, "danger"]


def test_styles_of_the_author_stay() -> None:
    assert [choice.style for choice in question_of(SHIP).choices] == [None, "danger"]


def test_choices_of_a_prompt_are_not_read_from_its_text() -> None:
    question = question_of(Prompt(prefix="Ship? (yes/no)", choices=["ship"]))

    assert (question.text, values(question)) == ("Ship? (yes/no)", ["ship"])


def test_free_text_gets_a_button_that_asks_for_it() -> None:
    question = question_of(REVIEW)

    assert [(choice.shown, choice.asks_comment) for choice in question.choices] == [
        ("Approve", False),
        ("Reject", False),
        ("Give feedback", True),
    ]


def labels(question: Question) -> list[str]:
    return [choice.shown for choice in question.choices]


def test_what_nobody_put_into_words_is_said_in_any_language() -> None:
    form, editable = Prompt(prefix="?", form=Trip, choices=["stay"]), Prompt(prefix="?", editable="x")

    assert labels(question_of(form)) == ["Fill in", "Stay"]
    assert labels(question_of(form).said_in(GERMAN)) == ["Ausfüllen", "Stay"]
    assert labels(question_of(editable).said_in(GERMAN)) == ["Freigeben", "Ablehnen"]
    assert labels(plain("Your name?").said_in(GERMAN)) == ["Antworten"]
    assert labels(question_of(REVIEW).said_in(GERMAN))[-1] == "Anmerkungen geben"
    assert labels(question_of(Prompt(prefix="?", takes_text="remark")).said_in(GERMAN)) == ["Remark"]


def test_what_an_author_wrote_is_said_as_written() -> None:
    given = [Choice("approve"), Choice("feedback", label="Give feedback"), Choice("submit")]
    question = question_of(Prompt(prefix="?", choices=given, takes_text="feedback"))

    assert labels(question.said_in(GERMAN)) == labels(question) == ["Approve", "Give feedback", "Submit"]
    assert labels(plain("? (approve/reject)").said_in(GERMAN)) == ["Approve", "Reject"]


def test_a_reply_may_say_what_the_button_says_in_its_language() -> None:
    question = question_of(Prompt(prefix="?", form=Trip, choices=["stay"]))

    assert read_reply(question, "ausfüllen") == NotUnderstood("form")
    assert read_reply(question, "fill in") == NotUnderstood("form")
    assert read_reply(question, "bleiben") == NotUnderstood("words")


def test_options_of_a_plain_event_are_choices() -> None:
    question = question_of(InputRequiredEvent(prefix="?", options=["red", "blue", " "], allowed=["U1"], quorum=2))

    assert (values(question), question.approvers, question.quorum) == (["red", "blue"], ("U1",), 2)


def test_a_question_about_an_effect_in_doubt_has_its_buttons_and_can_be_answered_in_words() -> None:
    event = in_doubt("pay", "charge_card")

    assert [choice.shown for choice in question_of(event).choices] == ["It happened", "Run it again", "Cancel the run"]
    assert read_reply(question_of(event), "Run it again!") == Reply(choice=AGAIN, response=AGAIN)


def test_a_question_about_an_effect_in_doubt_is_said_in_any_language() -> None:
    question = question_of(in_doubt("pay", "charge_card"))

    german = question.said_in(GERMAN)

    assert question.text == in_doubt("pay", "charge_card").prefix
    assert german.text.startswith("Der Schritt `pay` wurde während `charge_card` unterbrochen")
    assert labels(german) == ["Es ist geschehen", "Noch einmal ausführen", "Anfrage abbrechen"]
    assert values(german) == values(question)
    assert read_reply(question, "noch einmal ausführen") == Reply(choice=AGAIN, response=AGAIN)


def test_a_question_that_no_author_asks_is_said_in_any_language() -> None:
    question = question_of(asked_by_us("no_answer", {"writer": "a {model}"}, ["again", "stop"], approvers=["U1"]))

    assert (question.text, labels(question)) == (
        "No text from a {model}: it could not be reached, or did not answer. How should it go on?",
        ["Try again", "Stop"],
    )
    assert labels(question.said_in(GERMAN)) == ["Noch einmal versuchen", "Beenden"]
    assert question.said_in(GERMAN).text.startswith("Kein Text von a {model}: ")


def test_a_question_that_no_catalogue_knows_any_more_is_said_as_it_was_stored() -> None:
    prompt = Prompt(prefix="So?", choices=["again"])
    prompt["ours"] = {"name": "long ago", "about": {}}

    question = question_of(prompt)

    assert (question.said_in(GERMAN).text, labels(question.said_in(GERMAN))) == ("So?", ["Again"])


class Odd(StrEnum):
    A = "a"


@pytest.mark.parametrize(
    "event",
    [
        InputRequiredEvent(),
        InputRequiredEvent(prefix=None),
        InputRequiredEvent(prefix=3, options="abc", allowed=5, quorum="x", form=3),
        InputRequiredEvent(prefix="", options=[None, 3, "\x00", "x" * 200]),
        InputRequiredEvent(prefix=Odd.A, quorum=True, version="2"),
    ],
)
def test_an_odd_event_is_still_a_question(event: InputRequiredEvent) -> None:
    question = question_of(event)

    assert question.choices
    assert question.quorum == 1


@given(st.text())
def test_any_text_is_a_question_that_can_be_answered(prefix: str) -> None:
    question = plain(prefix)

    assert question.choices
    assert question.takes_text is not None or len(question.choices) >= 1


# --- literal text -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain - text", "plain - text"),
        ("*bold* `x` _y_ ~z~", r"\*bold\* \`x\` \_y\_ \~z\~"),
        ("# a\n- b\n > c", "\\# a\n\\- b\n \\> c"),
        ("a\\b", "a\\\\b"),
        ("a\u2028# b\r- c\x85> d", "a\u2028\\# b\r\\- c\x85\\> d"),
    ],
)
def test_markup_in_literal_text_is_escaped(text: str, escaped: str) -> None:
    assert literal(text) == escaped


# --- where a question is shown ------------------------------------------------------------------------


def test_a_question_may_be_shown_to_people_in_private_too() -> None:
    prompt = Prompt(prefix="?", approvers=["U2", "S3", "U4"], where=["channel", "approvers", "<@U5>", "U4"])

    assert (prompt.home, prompt.copies) == ("channel", ["U2", "U4", "U5"])


def test_a_question_only_for_some_is_theirs_to_answer() -> None:
    prompt = Prompt(prefix="?", where="<@U5|eve>")

    assert (prompt.home, prompt.copies, prompt.allowed) == ("private", ["U5"], ["U5"])


def test_a_question_is_shown_where_it_was_asked_unless_it_says_where() -> None:
    prompt = Prompt(prefix="?")

    assert (prompt.home, prompt.copies, prompt.allowed) == ("", [], [])


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("C123", "no person"),
        ("S123", "name people"),
        (["channel", "thread"], "name one of them"),
        ("approvers", "nobody would be asked"),
        ("#general", "give 'channel', 'thread', 'approvers' or the Slack id of a person"),
    ],
)
def test_a_place_that_cannot_be_is_refused(where: str | list[str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Prompt(prefix="?", where=where)


# --- forms and texts to edit ---------------------------------------------------------------


class Unshowable(BaseModel):
    where: dict[str, str]


def test_a_form_gets_a_button_of_its_own_unless_a_choice_asks_for_it() -> None:
    own = question_of(Prompt(prefix="Off?", form=Trip, choices=["stay"]))
    given = question_of(Prompt(prefix="Off?", form=Trip, choices=[Choice("go", asks_form=True), "stay"]))

    assert [(choice.value, choice.shown, choice.opens) for choice in own.choices] == [
        ("submit", "Fill in", True),
        ("stay", "Stay", False),
    ]
    assert values(given) == ["go", "stay"]
    assert Prompt(prefix="Off?", form=Trip).options == ["submit"]


@pytest.mark.parametrize(
    ("given", "complete"),
    [
        ({"choices": ["ship", "stop"]}, ["ship", "stop"]),
        ({"prefix": "Ship? (yes/no)"}, ["yes", "no"]),
        ({"choices": ["ship", Choice("stop", asks_comment=True)]}, ["ship"]),
        ({"choices": ["ship", Choice("stop", asks_comment="required")]}, ["ship"]),
        ({"choices": ["ship", "feedback"], "takes_text": "feedback"}, ["ship"]),
        ({"choices": ["approve", "reject"], "editable": "Dear all"}, ["reject"]),
        ({"choices": ["stay", Choice("go", asks_form=True)], "form": Trip}, ["stay"]),
        ({"form": Trip}, []),
        ({"prefix": "Your name?"}, []),
    ],
)
def test_a_choice_is_a_whole_answer_if_nothing_goes_along_with_it(given: dict[str, Any], complete: list[str]) -> None:
    assert Prompt(**{"prefix": "?", **given}).complete_options == complete


def test_an_approval_brings_the_text_as_it_was_shown() -> None:
    assert Prompt(prefix="?", editable="Dear all").brings == {"approve": {"text": "Dear all"}}
    assert Prompt(prefix="?").brings == {}


@pytest.mark.parametrize(
    ("choices", "vetoes"),
    [(["yes", "no"], ["no"]), (["ship", Choice("keep", means="no")], ["keep"]), (["red", "blue"], [])],
)
def test_a_no_decides_whatever_the_quorum(choices: list[Any], vetoes: list[str]) -> None:
    assert Prompt(prefix="?", choices=choices, quorum=2).vetoes == vetoes


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"choices": [Choice("go", asks_form=True)]}, "'go' asks for a form and there is none"),
        ({"form": Trip, "quorum": 2}, "each would fill in the form differently"),
        ({"editable": "A draft", "quorum": 2}, "each would edit the text differently"),
        ({"editable": " \u200b "}, "editable is blank"),
        ({"editable": "A draft", "choices": ["red", "green", "blue"]}, "no single choice approves the text"),
    ],
)
def test_a_form_or_a_text_that_nobody_could_answer_is_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Prompt(prefix="?", **fields)


def test_a_form_that_slack_cannot_show_is_refused_where_the_prompt_is_made() -> None:
    with pytest.raises(DefinitionError, match=r"^form Unshowable\.where: dict\[str, str\] has no input in Slack"):
        Prompt(prefix="?", form=Unshowable)


def test_a_text_is_edited_whole_or_not_at_all() -> None:
    texts = ["x" * 3_000, "x" * 3_001, "😀" * 1_500, "😀" * 1_501]

    assert [question_of(Prompt(prefix="?", editable=text)).edits for text in texts] == [True, False, True, False]
    assert values(question_of(Prompt(prefix="?", editable="x"))) == ["approve", "reject"]


def test_silence_stands_for_an_answer_that_there_is() -> None:
    with pytest.raises(ValueError, match="use one of 'expire', 'fail', 'yes', 'no'"):
        Prompt(prefix="?", choices=["yes", "no"], timeout=60, on_timeout="maybe")
    with pytest.raises(ValueError, match="on_timeout is 'no' but there is no timeout, so it never comes; give both"):
        Prompt(prefix="?", choices=["yes", "no"], on_timeout="no")

    assert question_of(Prompt(prefix="?", choices=["yes", "no"], timeout=60, on_timeout="no")).silence == "no"
