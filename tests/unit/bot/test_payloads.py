"""Slack's JSON as it comes, as it comes broken, and as it comes twice."""

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.payloads.events import Ignored, PeopleChange, ThreadReply, parse_people_change, parse_reply, thread_link
from bot.payloads.interactions import (
    ButtonClick,
    CommandCall,
    ModalSubmit,
    parse_click,
    parse_command,
    parse_modal,
    parse_shortcut,
)
from bot.payloads.reading import PayloadError, readable, unescape
from bot.payloads.tokens import AskToken

TOKEN = AskToken("r1", "a1", 2, "approve")

COMMAND: dict[str, Any] = {
    "token": "legacy",
    "team_id": "T1",
    "team_domain": "acme",
    "channel_id": "C1",
    "channel_name": "general",
    "user_id": "U1",
    "user_name": "ann",
    "command": "/deploy",
    "text": " v2 &amp; &lt;b&gt; ",
    "api_app_id": "A1",
    "is_enterprise_install": "false",
    "response_url": "https://hooks.slack.com/commands/T1/1/x",
    "trigger_id": "13345224609.738474920.8088930838d88f008e0",
}
CLICK: dict[str, Any] = {
    "type": "block_actions",
    "user": {"id": "U2", "username": "bob", "name": "bob", "team_id": "T1"},
    "api_app_id": "A1",
    "token": "legacy",
    "container": {
        "type": "message",
        "message_ts": "1700000000.000100",
        "channel_id": "C1",
        "is_ephemeral": False,
        "thread_ts": "1699999999.000100",
    },
    "trigger_id": "12321423423.333649436676.d8c1bb837935619ccad0f624c448ffb3",
    "team": {"id": "T1", "domain": "acme"},
    "enterprise": None,
    "is_enterprise_install": False,
    "channel": {"id": "C1", "name": "general"},
    "message": {"type": "message", "ts": "1700000000.000100", "text": "Good?"},
    "state": {"values": {}},
    "response_url": "https://hooks.slack.com/actions/T1/2/y",
    "actions": [
        {
            "action_id": "decide.0",
            "block_id": "answers",
            "type": "button",
            "value": TOKEN.encode(),
            "action_ts": "1700000100.000000",
        }
    ],
}
MODAL: dict[str, Any] = {
    "type": "view_submission",
    "team": {"id": "T1", "domain": "acme"},
    "user": {"id": "U2", "username": "bob", "team_id": "T1"},
    "trigger_id": "1.2.3",
    "view": {
        "id": "V1",
        "type": "modal",
        "callback_id": "comment",
        "private_metadata": TOKEN.encode(),
        "hash": "156772938.1827394",
        "state": {
            "values": {
                "comment": {"text": {"type": "plain_text_input", "value": "Shorter"}},
                "when": {"d": {"type": "datepicker", "selected_date": "2026-01-02"}},
                "who": {"u": {"type": "users_select", "selected_user": None}},
                "size": {"s": {"type": "static_select", "selected_option": {"value": "L", "text": {}}}},
                "tags": {"t": {"type": "checkboxes", "selected_options": [{"value": "a"}, {"value": "b"}]}},
                "people": {"p": {"type": "multi_users_select", "selected_users": ["U1", "U2"]}},
                "at": {"a": {"type": "datetimepicker", "selected_date_time": 1700000000}},
            }
        },
    },
}
REPLY: dict[str, Any] = {
    "type": "event_callback",
    "team_id": "T1",
    "event_id": "Ev1",
    "event_time": 1700000200,
    "event": {
        "type": "message",
        "user": "U2",
        "text": "yes &amp; thanks",
        "ts": "1700000200.000100",
        "thread_ts": "1700000000.000100",
        "channel": "C1",
        "channel_type": "channel",
        "event_ts": "1700000200.000100",
    },
}

Parser = Callable[[object], Any]
PARSERS: list[tuple[Parser, dict[str, Any]]] = [
    (parse_command, COMMAND),
    (parse_click, CLICK),
    (parse_modal, MODAL),
    (parse_reply, REPLY),
]


def changed(payload: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy with values put at paths like ``event__user``; ``...`` removes the key."""
    result = copy.deepcopy(payload)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = result
        for parent in parents:
            place = place[parent]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return result


# --- as they come -----------------------------------------------------------------------


def test_a_command_is_read() -> None:
    call = parse_command(COMMAND)

    assert isinstance(call, CommandCall)
    assert (call.command, call.text) == ("/deploy", "v2 & <b>")
    assert (call.user_id, call.user_name, call.channel_id) == ("U1", "ann", "C1")
    assert (call.team_id, call.enterprise_id) == ("T1", "")
    assert call.response_url.startswith("https://hooks.slack.com/")


def test_a_click_is_read() -> None:
    click = parse_click(CLICK)

    assert isinstance(click, ButtonClick)
    assert (click.action_id, click.token) == ("decide.0", TOKEN)
    assert (click.user_id, click.channel_id) == ("U2", "C1")
    assert (click.message_ts, click.thread_ts) == ("1700000000.000100", "1699999999.000100")


def test_a_message_with_replies_is_in_no_thread_of_another() -> None:
    container = {**CLICK["container"], "thread_ts": CLICK["container"]["message_ts"]}

    assert parse_click({**CLICK, "container": container}).thread_ts == ""


def test_a_modal_is_read() -> None:
    sent = parse_modal(MODAL)

    assert isinstance(sent, ModalSubmit)
    assert (sent.callback_id, sent.token, sent.text("comment")) == ("comment", TOKEN, "Shorter")
    assert {name: value for name, value in sent.values.items() if name != "comment"} == {
        "when": "2026-01-02",
        "who": None,
        "size": "L",
        "tags": ("a", "b"),
        "people": ("U1", "U2"),
        "at": "1700000000",
    }


def test_a_reply_is_read() -> None:
    reply = parse_reply(REPLY)

    assert isinstance(reply, ThreadReply)
    assert (reply.text, reply.user_id) == ("yes & thanks", "U2")
    assert (reply.channel_id, reply.thread_ts, reply.message_ts) == ("C1", "1700000000.000100", "1700000200.000100")


@pytest.mark.parametrize(
    "change",
    [{"event__subtype": "thread_broadcast"}, {"event__subtype": "file_share", "event__files": [{"id": "F1"}]}],
)
def test_a_reply_shown_in_the_channel_or_with_a_file_counts(change: dict[str, Any]) -> None:
    assert isinstance(parse_reply(changed(REPLY, **change)), ThreadReply)


def test_an_edited_reply_is_one_if_it_now_says_something_else() -> None:
    said = {key: value for key, value in REPLY["event"].items() if key != "channel"}
    event = {"type": "message", "subtype": "message_changed", "channel": "C1", "ts": "1700000300.000100"}

    edited = parse_reply({**REPLY, "event": {**event, "message": said, "previous_message": {**said, "text": "hm"}}})
    unfurled = parse_reply({**REPLY, "event": {**event, "message": said, "previous_message": said}})

    reply = parse_reply(REPLY)
    assert isinstance(reply, ThreadReply)
    assert edited == replace(reply, edited=True)
    assert unfurled == Ignored("nothing was changed in what it says")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"event__bot_id": "B1"}, "not written by a person"),
        ({"event__bot_profile": {"id": "B1"}}, "not written by a person"),
        ({"event__user": "USLACKBOT"}, "not written by a person"),
        ({"event__user": ...}, "not written by a person"),
        ({"event__subtype": "message_changed"}, "nothing was changed in what it says"),
        ({"event__subtype": "message_deleted"}, "subtype message_deleted"),
        ({"event__subtype": "bot_message"}, "subtype bot_message"),
        ({"event__subtype": "channel_join"}, "subtype channel_join"),
        ({"event__subtype": "file_share", "event__text": ""}, "no text"),
        ({"event__text": "  "}, "no text"),
        ({"event__thread_ts": ...}, "not in a thread"),
        ({"event__thread_ts": "1700000200.000100"}, "not in a thread"),
        ({"event__type": "reaction_added"}, "not a message"),
        ({"event": ...}, "not a message"),
    ],
)
def test_what_is_nobodys_answer_is_left_alone_and_says_why(change: dict[str, Any], reason: str) -> None:
    assert parse_reply(changed(REPLY, **change)) == Ignored(reason)


# --- as they come broken ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("parse", "payload", "change", "named"),
    [
        (parse_command, COMMAND, {"command": ...}, "command"),
        (parse_command, COMMAND, {"user_id": ...}, "user_id"),
        (parse_command, COMMAND, {"channel_id": ""}, "channel_id"),
        (parse_command, COMMAND, {"team_id": ...}, "team"),
        (parse_command, COMMAND, {"text": ["x"]}, "text is a list"),
        (parse_click, CLICK, {"actions": []}, "actions is empty"),
        (parse_click, CLICK, {"actions": ...}, "actions is empty"),
        (parse_click, CLICK, {"actions": {}}, "actions is a dict"),
        (parse_click, CLICK, {"actions": [None]}, "action_id is missing"),
        (parse_click, CLICK, {"user": ...}, "user: id is missing"),
        (parse_click, CLICK, {"user": "U2"}, "user: is a str"),
        (parse_click, CLICK, {"team": None, "user__team_id": ...}, "team is missing"),
        (parse_click, CLICK, {"channel": {"id": "C1 DEL x"}}, "channel: id is not an identifier"),
        (parse_modal, MODAL, {"view": ...}, "view is missing"),
        (parse_modal, MODAL, {"user": None}, "user: id is missing"),
        (parse_modal, MODAL, {"view__state": []}, "state"),
        (parse_reply, REPLY, {"event__channel": ...}, "channel is missing"),
        (parse_reply, REPLY, {"event__ts": ...}, "ts is missing"),
        (parse_reply, REPLY, {"team_id": ...}, "team is missing"),
        (parse_reply, REPLY, {"event__user": 7}, "user is a int"),
    ],
)
def test_what_is_missing_is_named(parse: Parser, payload: dict[str, Any], change: dict[str, Any], named: str) -> None:
    with pytest.raises(PayloadError, match=named):
        parse(changed(payload, **change))


def test_a_click_in_app_home_has_no_channel_and_no_message() -> None:
    click = parse_click(
        changed(CLICK, channel=..., message=..., response_url=..., container={"type": "view", "view_id": "V1"})
    )

    assert (click.channel_id, click.message_ts, click.response_url) == ("", "", "")


def test_a_click_on_an_ephemeral_message_has_no_message() -> None:
    click = parse_click(changed(CLICK, message=...))

    assert click.message_ts == "1700000000.000100"


def test_an_org_wide_installation_has_a_null_team() -> None:
    click = parse_click(changed(CLICK, team=None, user__team_id=..., enterprise={"id": "E1"}))

    assert (click.team_id, click.enterprise_id) == ("", "E1")


@pytest.mark.parametrize("value", [None, "", "forged", 7, {"run": "r1"}])
def test_a_forged_button_has_no_token(value: object) -> None:
    payload = changed(CLICK)
    payload["actions"][0]["value"] = value

    try:
        assert parse_click(payload).token is None
    except PayloadError:
        assert not isinstance(value, str | None)


def test_lone_surrogates_in_text_become_storable() -> None:
    call = parse_command(changed(COMMAND, text="a\ud800b"))

    assert call.text == "a\N{REPLACEMENT CHARACTER}b"
    assert call.text.encode()


KEYS = [
    *{key for _, payload in PARSERS for key in payload},
    *("id", "type", "event", "view", "state", "values", "text", "ts", "thread_ts", "value", "action_id", "team_id"),
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(st.characters(codec=None), max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=6),
    max_leaves=25,
)


def mutated(payload: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A real payload in which something, at any depth, is something else."""

    def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return [path, *(found for key, child in children for found in paths(child, (*path, key)))]

    def put(change: tuple[tuple[Any, ...], Any]) -> dict[str, Any]:
        path, value = change
        result: Any = copy.deepcopy(payload)
        place = result
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        return dict(result)

    return st.tuples(st.sampled_from(paths(payload)[1:]), JSON).map(put)


@given(JSON)
def test_no_json_raises_anything_but_a_payload_error(payload: object) -> None:
    for parse, _ in PARSERS:
        try:
            parse(payload)
        except PayloadError as error:
            assert str(error)  # noqa: PT017 - either way is right


@given(st.one_of([st.tuples(st.just(parse), mutated(payload)) for parse, payload in PARSERS]))
def test_no_change_to_a_real_payload_raises_anything_else(case: tuple[Parser, dict[str, Any]]) -> None:
    parse, payload = case

    try:
        parsed = parse(payload)
    except PayloadError:
        return

    if not isinstance(parsed, Ignored):
        assert parsed.delivery_id.encode()
        assert parsed.user_id


# --- as they come twice -----------------------------------------------------------------


@pytest.mark.parametrize(("parse", "payload"), PARSERS)
def test_the_same_delivery_has_the_same_id(parse: Parser, payload: dict[str, Any]) -> None:
    assert parse(payload).delivery_id == parse(copy.deepcopy(payload)).delivery_id


@pytest.mark.parametrize(
    ("parse", "payload", "change"),
    [
        (parse_command, COMMAND, {"trigger_id": "9.9.9"}),
        (parse_command, COMMAND, {"user_id": "U9", "trigger_id": ...}),
        (parse_click, CLICK, {"trigger_id": "9.9.9"}),
        (parse_click, CLICK, {"actions": [{**CLICK["actions"][0], "action_ts": "1700000101.000000"}]}),
        (parse_modal, MODAL, {"trigger_id": "9.9.9"}),
        (parse_modal, MODAL, {"view__hash": "other"}),
        (parse_reply, REPLY, {"event__ts": "1700000201.000100"}),
    ],
)
def test_a_second_act_has_another_id(parse: Parser, payload: dict[str, Any], change: dict[str, Any]) -> None:
    assert parse(payload).delivery_id != parse(changed(payload, **change)).delivery_id


def test_a_retried_event_in_a_new_envelope_is_the_same_reply() -> None:
    again = changed(REPLY, event_id="Ev2", event_time=1700000300)

    assert parse_reply(again).delivery_id == parse_reply(REPLY).delivery_id  # type: ignore[union-attr]  # both replies


# --- changes of people -----------------------------------------------------------------------------

GONE = {"team_id": "T1", "event": {"type": "user_change", "user": {"id": "U2", "deleted": True}}}
SHRUNK = {"team_id": "T1", "event": {"type": "subteam_members_changed", "subteam_id": "S1", "removed_users": ["U2"]}}


def test_an_account_that_ends_and_a_group_that_shrinks_are_read() -> None:
    assert parse_people_change(GONE) == PeopleChange("U2", frozenset({"U2"}), "T1", "")
    assert parse_people_change(SHRUNK) == PeopleChange("S1", frozenset({"U2"}), "T1", "")


@pytest.mark.parametrize(
    "body", [changed(GONE, event__user={"id": "U2", "deleted": False}), changed(SHRUNK, event__removed_users=[])]
)
def test_other_changes_take_nobody_away(body: dict[str, Any]) -> None:
    assert parse_people_change(body).gone == frozenset()


@given(st.one_of(mutated(GONE), mutated(SHRUNK)))
def test_no_change_to_a_change_of_people_raises_anything_else(body: dict[str, Any]) -> None:
    with suppress(PayloadError):
        assert isinstance(parse_people_change(body), PeopleChange)


def test_ids_of_different_kinds_never_meet() -> None:
    ids = {parse(payload).delivery_id.partition(":")[0] for parse, payload in PARSERS}

    assert len(ids) == len(PARSERS)


def test_equal_threads_of_two_workspaces_are_two() -> None:
    assert thread_link("T1", "C1", "1.0") != thread_link("T2", "C1", "1.0")


@pytest.mark.parametrize(("sent", "typed"), [("a &amp;lt; b", "a &lt; b"), ("&lt;!channel&gt;", "<!channel>")])
def test_unescaping_happens_once(sent: str, typed: str) -> None:
    assert unescape(sent) == typed


@pytest.mark.parametrize(
    ("wire", "told"),
    [
        ("Ask <@U123|ben> in <#C1|drafts>", "Ask @ben in #drafts"),
        ("Ask <@U123>, <!subteam^S1|@leads> and <!channel>", "Ask @U123, @leads and @channel"),
        ("See <https://x.org/a?b=1&amp;c=2|the page>", "See the page (https://x.org/a?b=1&c=2)"),
        ("See <https://x.org|https://x.org> or <mailto:a@b.c|a@b.c>", "See https://x.org or a@b.c (mailto:a@b.c)"),
        ("1 &lt; 2 &amp;&amp; &lt;@U1&gt; <not ours>", "1 < 2 && <@U1> <not ours>"),
    ],
)
def test_a_message_is_read_as_people_see_it(wire: str, told: str) -> None:
    assert readable(wire) == told


@pytest.mark.parametrize("missing", ["user", "channel", "message", "team"])
def test_a_shortcut_that_lacks_what_it_needs_is_refused(missing: str) -> None:
    body: dict[str, Any] = {
        "type": "message_action",
        "callback_id": "send",
        "team": {"id": "T1"},
        "user": {"id": "U1"},
        "channel": {"id": "C1"},
        "message": {"ts": "1.2", "user": "U2", "text": "Hi"},
    }
    assert parse_shortcut(body).author_id == "U2"

    with pytest.raises(PayloadError):
        parse_shortcut({key: value for key, value in body.items() if key != missing})
