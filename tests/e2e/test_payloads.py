"""What comes from Slack and is not what Slack should send: acknowledged, without a fuss, and nothing comes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e import requests
from tests.e2e.shapes import everywhere
from tests.e2e.stage import ANA, BEN, Room

pytestmark = pytest.mark.asyncio(loop_scope="session")

ODD_INTERACTIONS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "an unknown type": {"type": "workflow_step_edit"},
    "no actions": {"type": "block_actions", "user": {"id": BEN}, "team": {"id": "T1"}, "actions": []},
    "no user": {"type": "block_actions", "team": {"id": "T1"}, "actions": [{"action_id": "decide.0"}]},
    "no team": {"type": "block_actions", "user": {"id": BEN}, "actions": [{"action_id": "decide.0", "type": "button"}]},
    "neither message nor channel": {
        "type": "block_actions",
        "user": {"id": BEN},
        "team": {"id": "T1"},
        "container": {"type": "view", "view_id": "V1"},
        "actions": [{"type": "button", "action_id": "decide.0", "block_id": "b", "value": "x"}],
    },
    "a number for a user": {"type": "block_actions", "user": 7, "actions": [{"action_id": "decide.0"}]},
    "a list for a user's id": {
        "type": "block_actions",
        "user": {"id": [BEN]},
        "team": {"id": "T1"},
        "actions": [{"action_id": "decide.0"}],
    },
    "an action without an id": {"type": "block_actions", "user": {"id": BEN}, "team": {"id": "T1"}, "actions": [{}]},
    "a number for a modal's name": {
        "type": "view_submission",
        "user": {"id": BEN},
        "team": {"id": "T1"},
        "view": {"id": "V1", "type": "modal", "callback_id": 7},
    },
    "a message without a shortcut": {"type": "message_action", "user": {"id": BEN}, "team": {"id": "T1"}},
    "a list for a user": {"type": "block_actions", "user": [], "team": {"id": "T1"}, "actions": [{"action_id": "a"}]},
    "a number for a value": {
        "type": "block_actions",
        "user": {"id": BEN},
        "team": {"id": "T1"},
        "actions": [{"type": "button", "action_id": "decide.0", "block_id": "b", "value": 7}],
    },
    "a modal without a type": {
        "type": "view_submission",
        "user": {"id": BEN},
        "team": {"id": "T1"},
        "view": {"id": "V1", "callback_id": "comment", "private_metadata": "x"},
    },
    "a modal without a view": {"type": "view_submission", "user": {"id": BEN}, "team": {"id": "T1"}},
    "a modal without state": {
        "type": "view_submission",
        "user": {"id": BEN},
        "team": {"id": "T1"},
        "view": {"id": "V1"},
    },
    "a modal of nobody": {"type": "view_submission", "view": {"id": "V1", "callback_id": "comment", "state": {}}},
    "a shortcut": {"type": "shortcut", "callback_id": "x", "user": {"id": BEN}, "team": {"id": "T1"}},
    "a closed modal": {"type": "view_closed", "view": {"id": "V1"}, "user": {"id": BEN}, "team": {"id": "T1"}},
    "a menu's options": {"type": "block_suggestion", "action_id": "x", "user": {"id": BEN}, "team": {"id": "T1"}},
}


@pytest.mark.parametrize("what", ODD_INTERACTIONS)
async def test_an_odd_interaction_is_acknowledged_without_a_fuss(room: Room, what: str) -> None:
    """Adversarial 20, 21, 22."""
    answer = await room.slack.interact(ODD_INTERACTIONS[what])

    assert answer.status == 200
    assert "Traceback" not in str(answer.body)


@pytest.mark.parametrize("field", ["team_id", "user_id", "channel_id"])
async def test_a_command_without_a_field_is_answered_in_words(room: Room, field: str) -> None:
    fields = {name: value for name, value in requests.command(room, "/deploy v2").items() if name != field}

    answer = await room.slack.run_command(fields)

    assert answer.status == 200
    assert "nothing has happened" in (answer.shown or str(answer.body))
    assert room.slack.messages(room.channel) == []


@pytest.mark.parametrize(
    "event",
    [
        {"type": "message"},
        {"type": "message", "channel": "C1", "ts": "1.1", "thread_ts": "1.0", "user": ANA, "text": None},
        {"type": "message", "channel": "C1", "ts": "1.1", "thread_ts": "1.0", "user": ANA, "text": {"a": 1}},
        {"type": "message", "channel": ["C1"], "ts": "1.1", "thread_ts": "1.0", "user": ANA, "text": "yes"},
        {"type": "message", "subtype": "message_changed", "channel": "C1", "ts": "1.1"},
        {"type": "app_home_opened", "user": ANA},
        {"type": "tokens_revoked"},
        {"type": "never_heard_of"},
    ],
    ids=json.dumps,
)
async def test_an_event_nobody_waits_for_is_acknowledged(room: Room, event: dict[str, object]) -> None:
    envelope = {"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event": event}

    answer = await room.slack.send_envelope(envelope)

    assert answer.status == 200
    assert "Traceback" not in str(answer.body)


@everywhere
@pytest.mark.parametrize("odd", [{"event": {}}, {"event": {"type": 7}}, {"authorizations": [7]}])
async def test_an_envelope_of_no_known_form_ends_no_connection(room: Room, odd: dict[str, object]) -> None:
    """Adversarial 22."""
    answer = await room.slack.send_envelope({"type": "event_callback", "team_id": "T1", "event_id": "Ev1", **odd})

    assert answer.status == 200
    assert (await room.command(ANA, "/runs")).ok
