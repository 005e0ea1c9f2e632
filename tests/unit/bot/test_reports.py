"""What operators are shown of a run, from records as a store returns them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bot.operations import reports
from engine.run_store import EffectRecord, Entry, JournalEntry, WholeRun
from tests.unit.bot import records

NOW = 1_700_000_000.0
RUN = replace(records.RUN, run_id="k3-abc", version=4, created_at=NOW - 7_300, thread="C1:1.5")
ASK = replace(
    records.ASK,
    run_id="k3-abc",
    ask_id="a7",
    event=b'{"$":"model","t":"Prompt","v":{"prefix":"Ship it?"}}',
    digest="d",
    allowed=("U2", "U3"),
    opened_at=NOW - 90,
    deadline=NOW + 3_600,
    votes=(("U2", "yes"),),
    messages=("C1:1.5",),
)
WHOLE = WholeRun(
    at=NOW,
    run=RUN,
    worker="w1",
    until=NOW + 30,
    attempts=3,
    wake_at=None,
    state={"core": b'{"format": 1}', "start": b'{"text": "v2"}', "s:draft": b'"hello"', "s:raw": b"\x01\xff"},
    inbox=(Entry("answered", NOW - 5, b'"yes"', "a6", "U2"),),
    memo={"1:paid": b"true"},
    asks=(replace(ASK, ask_id="a6", status="answered", by="U2", at=NOW - 5, response="yes", answer=b'"yes"'), ASK),
    effects=(
        EffectRecord("prompt:a7", owed=False),
        EffectRecord("parked:3", owed=True, attempts=1, body=b"cannot be read"),
    ),
    journal=(JournalEntry(NOW - 7_300, "started", "U1", {"workflow": "Deploy"}),) * 12,
)


def test_a_table_has_a_line_for_each_run_and_is_narrow() -> None:
    lines = reports.table([RUN, replace(RUN, run_id="k11-longer", requester="")], NOW)

    assert lines == [
        "RUN         STATUS   AGE  REQUESTER  WORKFLOW",
        "k3-abc      waiting  2h   U1         Deploy",
        "k11-longer  waiting  2h   -          Deploy",
    ]


def test_a_run_is_shown_with_who_when_what_is_open_and_what_was_last() -> None:
    assert reports.details(WHOLE, 2) == [
        "k3-abc  waiting",
        "",
        "  workflow    Deploy, revision r1, version 4",
        "  started     2023-11-14 20:11:40Z, 2h ago, by U1",
        "  shown at    C1:1.5",
        "  tenant      T1",
        "  held        by w1 until 2023-11-14 22:13:50Z",
        "  attempts    3 since it was last saved",
        "  inbox       answered a6 by U2",
        "",
        "open questions",
        "  a7          1m old, expires in 1h, for U2 U3, 2 votes needed, 1 given",
        "              Ship it?",
        "",
        "not sent to Slack yet",
        "  parked:3, tried once",
        "",
        "journal, last 2 of 12",
        "  2023-11-14 20:11:40Z started by U1 workflow=Deploy",
        "  2023-11-14 20:11:40Z started by U1 workflow=Deploy",
    ]


def test_nothing_is_wider_than_the_terminal_or_speaks_to_it() -> None:
    event = b'{"v":{"prefix":"two\\nlines \\u001b[2J ' + b"long " * 50 + b'"}}'
    whole = replace(WHOLE, asks=(replace(ASK, event=event),), journal=(*WHOLE.journal, _line("x" * 200)))

    lines = reports.details(whole, 5, width=80)

    assert max(map(len, lines)) == 80
    assert sum("long" in line for line in lines) == 4
    assert all(letter.isprintable() for line in lines for letter in line)
    assert any("two lines ?[2J long" in line for line in lines)


@pytest.mark.parametrize(
    ("status", "lines", "told"),
    [
        ("failed", [("committed", "", {"status": "failed", "note": "ValueError: no"})], "ValueError: no"),
        ("parked", [("committed", "", {"status": "parked", "note": "no step"}), ("sent", "", {})], "no step"),
        ("cancelled", [("cancelled", "U9", {}), ("committed", "", {"status": "cancelled"})], "cancelled by U9"),
        ("cancelled", [("cancelled", "", {})], "cancelled by the bot"),
        ("waiting", [("committed", "", {"status": "failed", "note": "before"})], ""),
    ],
)
def test_why_a_run_stands_still_is_what_its_journal_says(status: Any, lines: list[Any], told: str) -> None:
    journal = tuple(JournalEntry(NOW, what, by, details) for what, by, details in lines)

    assert reports.reason(replace(WHOLE, run=replace(RUN, status=status), journal=journal)) == told


@pytest.mark.parametrize(
    ("seconds", "told"), [(-1, "0s"), (0.4, "0s"), (59, "59s"), (60, "1m"), (7_199, "1h"), (86_400 * 400, "400d")]
)
def test_an_age_has_one_unit(seconds: float, told: str) -> None:
    assert reports.age(seconds) == told


def test_json_is_all_there_is_as_far_as_json_goes() -> None:
    found = reports.whole_json(WHOLE)

    assert json.loads(json.dumps(found)) == found
    assert (found["start"], found["core"]) == ({"text": "v2"}, {"format": 1})
    assert found["store"] == {"draft": "hello", "raw": {"base64": "Af8="}}
    assert found["memo"] == {"1:paid": True}
    assert [entry["event"] for entry in found["inbox"]] == ["yes"]
    assert [(ask["ask"], ask["answer"]) for ask in found["asks"]] == [("a6", "yes"), ("a7", None)]
    assert found["effects"][1]["body"] == "cannot be read"
    assert len(found["journal"]) == 12


@pytest.mark.parametrize("indent", [None, 2])
def test_json_is_legible_and_neither_ends_a_line_nor_speaks_to_a_terminal(indent: int | None) -> None:
    """Security 5, 13."""
    said = "für 你 👍 a\u2028b\x85c\x9b31m\x7f\u202e\n\x1b[2J\U000e0041\ud800"

    text = reports.json_text({"said": said}, indent)

    assert "für 你 👍 a" in text
    assert all(line.isprintable() for line in text.split("\n"))
    assert len(text.splitlines()) == (1 if indent is None else 3)
    assert json.loads(text) == {"said": said}


def test_json_of_a_run_has_iso_times() -> None:
    found = reports.details_json(WHOLE, 1)

    assert found["created"] == "2023-11-14 20:11:40Z".replace(" ", "T").replace("Z", ".000Z")
    assert (found["held_until"], found["wakes"]) == ("2023-11-14T22:13:50.000Z", None)
    assert [(ask["ask"], ask["text"], ask["deadline"]) for ask in found["questions"]] == [
        ("a7", "Ship it?", "2023-11-14T23:13:20.000Z")
    ]
    assert found["owed"] == [{"effect": "parked:3", "attempts": 1}]
    assert len(found["journal"]) == 1


def test_a_question_without_words_is_called_by_its_class() -> None:
    assert reports.text_of(b'{"t":"Signing","v":{}}') == "(Signing)"
    assert reports.text_of(b"\x01sealed\xff") == "(cannot be read)"


def _line(note: str) -> JournalEntry:
    return JournalEntry(NOW, "committed", "", {"note": note})
