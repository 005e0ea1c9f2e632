"""Every method the fake Slack offers, held to Slack's own list of arguments and errors (`methods.json`).

A new method needs a line in `CALLS`: a call of it that succeeds.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from bot.playground import AppConfig, FakeSlack
from bot.playground.arguments import METHOD_TABLE
from bot.playground.methods import METHODS, OPEN
from bot.playground.workspace import File, Message, View

Json = dict[str, Any]
MODAL: Json = {"type": "modal", "title": {"type": "plain_text", "text": "Title"}, "blocks": []}
HOME: Json = {"type": "home", "blocks": []}
TRANSPORTS = ("get", "query", "form", "json")


class Scene:
    """A fake Slack with a message, a modal on Ana's screen and two uploads in it, and ways to call it."""

    def __init__(self, slack: FakeSlack, http: aiohttp.ClientSession) -> None:
        self.slack = slack
        self._http = http
        bot = slack.app.bot_user_id
        self.ts = slack.mint_ts()
        slack.workspace.in_channel("C2").append(Message("C2", self.ts, bot, "hello", bot_id=slack.app.bot_id))
        self.view = View("V1", "U1", MODAL, "1.hash", root_view_id="V1")
        slack.workspace.modals["U1"] = [self.view]
        self.file = File("F1", "x.txt", "x.txt", bot, 1, b"x", uploaded=True)
        slack.workspace.files[self.file.id] = self.file

    async def call(self, method: str, args: Json, how: str = "form", token: str | None = None) -> Json:
        """Call *method*, its arguments sent as the query of a GET or of a POST, as a form or as JSON."""
        token = (self.slack.app.bot_token if token is None else token) or None
        url, headers = self.slack.api_base_url + method, {"Authorization": f"Bearer {token}"} if token else {}
        flat = {name: value if isinstance(value, str) else json.dumps(value) for name, value in args.items()}
        calls = {
            "get": lambda: self._http.get(url, params=flat, headers=headers),
            "query": lambda: self._http.post(url, params=flat, headers=headers),
            "form": lambda: self._http.post(url, data=flat, headers=headers),
            "json": lambda: self._http.post(url, json=args, headers=headers),
        }
        async with calls[how]() as response:
            assert response.status == 200
            found: Json = await response.json()
            return found


CALLS: dict[str, Callable[[Scene], Json]] = {
    "api.test": lambda scene: {"foo": "bar"},
    "auth.test": lambda scene: {},
    "bots.info": lambda scene: {"bot": scene.slack.app.bot_id},
    "chat.delete": lambda scene: {"channel": "C2", "ts": scene.ts},
    "chat.getPermalink": lambda scene: {"channel": "C2", "message_ts": scene.ts},
    "chat.postEphemeral": lambda scene: {"channel": "C2", "user": "U1", "text": "psst"},
    "chat.postMessage": lambda scene: {"channel": "C2", "text": "hello", "blocks": [{"type": "divider"}]},
    "chat.update": lambda scene: {"channel": "C2", "ts": scene.ts, "text": "changed"},
    "conversations.history": lambda scene: {"channel": "C2", "limit": 5, "inclusive": True},
    "conversations.info": lambda scene: {"channel": "C2", "include_num_members": True},
    "conversations.join": lambda scene: {"channel": "C2"},
    "conversations.list": lambda scene: {"types": "public_channel", "limit": 5},
    "conversations.members": lambda scene: {"channel": "C2"},
    "conversations.open": lambda scene: {"users": "U1"},
    "conversations.replies": lambda scene: {"channel": "C2", "ts": scene.ts},
    "files.completeUploadExternal": lambda scene: {"files": [{"id": "F1"}], "channel_id": "C2"},
    "files.getUploadURLExternal": lambda scene: {"filename": "x.txt", "length": 1},
    "files.info": lambda scene: {"file": "F1"},
    "reactions.add": lambda scene: {"channel": "C2", "timestamp": scene.ts, "name": "thumbsup"},
    "team.info": lambda scene: {},
    "usergroups.list": lambda scene: {"include_users": True},
    "usergroups.users.list": lambda scene: {"usergroup": "S1"},
    "users.conversations": lambda scene: {"user": "U1"},
    "users.info": lambda scene: {"user": "U1", "include_locale": True},
    "users.list": lambda scene: {"limit": 2},
    "views.open": lambda scene: {"trigger_id": scene.slack.trigger("U1"), "view": MODAL},
    "views.publish": lambda scene: {"user_id": "U1", "view": HOME},
    "views.push": lambda scene: {"trigger_id": scene.slack.trigger("U1"), "view": MODAL},
    "views.update": lambda scene: {"view_id": scene.view.id, "hash": scene.view.hash, "view": MODAL},
}
REQUIRED = [
    (method, name)
    for method in sorted(METHODS)
    for name, rule in METHOD_TABLE.get(method, {"args": {}})["args"].items()
    if rule["required"]
]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(FakeSlack(AppConfig(signing_secret="shhh")))
        yield Scene(slack, await stack.enter_async_context(aiohttp.ClientSession()))


def test_every_method_that_is_offered_is_held_to_the_contract() -> None:
    assert sorted(CALLS) == sorted(METHODS)


def test_every_method_that_is_offered_is_one_of_slacks() -> None:
    assert METHODS.keys() - OPEN <= METHOD_TABLE.keys()


@pytest.mark.parametrize("how", TRANSPORTS)
@pytest.mark.parametrize("method", sorted(CALLS))
async def test_a_method_takes_its_arguments_however_they_come(scene: Scene, method: str, how: str) -> None:
    answer = await scene.call(method, CALLS[method](scene), how)

    assert answer["ok"] is True, answer


@pytest.mark.parametrize("method", sorted(CALLS))
async def test_an_unknown_argument_is_no_error(scene: Scene, method: str) -> None:
    answer = await scene.call(method, {**CALLS[method](scene), "team_color": "red"}, "json")

    assert answer["ok"] is True, answer


@pytest.mark.parametrize(("method", "name"), REQUIRED)
@pytest.mark.parametrize("how", TRANSPORTS)
async def test_a_required_argument_that_is_missing_is_named(scene: Scene, method: str, name: str, how: str) -> None:
    args = CALLS[method](scene)
    del args[name]

    answer = await scene.call(method, args, how)

    assert (answer["ok"], answer["error"]) == (False, "invalid_arguments")
    assert answer["response_metadata"]["messages"] == [f"[ERROR] missing required field: {name}"]


@pytest.mark.parametrize(
    ("token", "code"),
    [("", "not_authed"), ("xoxb-wrong", "invalid_auth"), ("xapp-playground-app", "not_allowed_token_type")],
)
@pytest.mark.parametrize("method", sorted(CALLS.keys() - OPEN))
async def test_a_method_needs_a_token_that_may_call_it(scene: Scene, method: str, token: str, code: str) -> None:
    assert (await scene.call(method, CALLS[method](scene), token=token))["error"] == code


# Every id that does not exist, and what Slack says to it.
NOWHERE = [
    ("bots.info", "bot", "bot_not_found"),
    ("chat.delete", "channel", "channel_not_found"),
    ("chat.delete", "ts", "message_not_found"),
    ("chat.getPermalink", "channel", "channel_not_found"),
    ("chat.getPermalink", "message_ts", "message_not_found"),
    ("chat.postEphemeral", "channel", "channel_not_found"),
    ("chat.postEphemeral", "user", "user_not_in_channel"),
    ("chat.postMessage", "channel", "channel_not_found"),
    ("chat.update", "channel", "channel_not_found"),
    ("chat.update", "ts", "message_not_found"),
    ("conversations.history", "channel", "channel_not_found"),
    ("conversations.info", "channel", "channel_not_found"),
    ("conversations.join", "channel", "channel_not_found"),
    ("conversations.list", "types", "invalid_types"),
    ("conversations.members", "channel", "channel_not_found"),
    ("conversations.open", "users", "user_not_found"),
    ("conversations.replies", "channel", "channel_not_found"),
    ("conversations.replies", "ts", "thread_not_found"),
    ("files.completeUploadExternal", "channel_id", "channel_not_found"),
    ("files.completeUploadExternal", "files", "invalid_arguments"),
    ("files.info", "file", "file_not_found"),
    ("reactions.add", "channel", "channel_not_found"),
    ("reactions.add", "timestamp", "message_not_found"),
    ("usergroups.users.list", "usergroup", "no_such_subteam"),
    ("users.info", "user", "user_not_found"),
    ("views.open", "trigger_id", "invalid_trigger_id"),
    ("views.open", "view", "invalid_arguments"),
    ("views.publish", "user_id", "invalid_arguments"),
    ("views.publish", "view", "invalid_arguments"),
    ("views.push", "trigger_id", "invalid_trigger_id"),
    ("views.update", "hash", "hash_conflict"),
    ("views.update", "view_id", "not_found"),
]


@pytest.mark.parametrize(("method", "name", "code"), NOWHERE)
async def test_what_does_not_exist_is_refused_in_slacks_words(scene: Scene, method: str, name: str, code: str) -> None:
    answer = await scene.call(method, {**CALLS[method](scene), name: "nowhere"})

    assert answer["error"] == code
    assert code in {*METHOD_TABLE[method]["errors"], "invalid_arguments"}
