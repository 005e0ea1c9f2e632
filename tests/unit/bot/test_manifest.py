"""The app manifest: what Slack takes, equal to what the workflows need, and no scope too many."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from bot.asking.triggers import MessageShortcut, SlashCommand
from bot.manifest import EVENTS, HISTORY, LEAVING_EVENTS, SCOPES, build, to_yaml
from bot.plugins import discover

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "tests" / "data" / "slack-manifest.schema.json").read_text(encoding="utf-8"))
COMMANDS = [SlashCommand("/b", "Second: with a colon"), SlashCommand("/a", "First", usage="topic")]
URL = "https://bot.example/slack/events"


def faults(manifest: dict[str, Any]) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in Draft7Validator(SCHEMA).iter_errors(manifest)]


def test_the_manifest_in_the_repository_is_the_one_its_workflows_need() -> None:
    plugins = discover(ROOT / "workflows").values()
    commands = [plugin.command for plugin in plugins]
    shortcuts = [plugin.shortcut for plugin in plugins if plugin.shortcut is not None]

    text = (ROOT / "manifest.yml").read_text(encoding="utf-8")

    assert text == to_yaml(build(commands, shortcuts))
    assert [shortcut.name for shortcut in shortcuts] == ["Send for approval"]
    assert faults(yaml.safe_load(text)) == []
    assert {"/approve-draft", "/deploy", "/quick-approve"} <= {command.command for command in commands}


@pytest.mark.parametrize("url", [None, URL])
@pytest.mark.parametrize("replies", [True, False])
@pytest.mark.parametrize("commands", [[], COMMANDS])
def test_slack_takes_every_kind_of_manifest(url: str | None, replies: bool, commands: list[SlashCommand]) -> None:
    assert faults(build(commands, request_url=url, thread_replies=replies)) == []


def test_the_schema_is_one_that_refuses() -> None:
    manifest = build(COMMANDS)
    manifest["features"]["slash_commands"][0]["command"] = "no slash"

    assert len(faults(manifest)) == 1


def test_shortcuts_are_listed_as_slack_wants_them() -> None:
    manifest = build(COMMANDS, [MessageShortcut("Send it", "Ask people", 100), MessageShortcut("Keep it", "Ask", 100)])

    kept, sent = manifest["features"]["shortcuts"]
    assert faults(manifest) == []
    assert kept["name"] == "Keep it"
    assert sent == {"name": "Send it", "type": "message", "callback_id": "send_it", "description": "Ask people"}
    with pytest.raises(ValueError, match="11 shortcuts; a Slack app may have 10"):
        build([], [MessageShortcut(f"s{n}", "x", 1) for n in range(11)])


def test_commands_are_listed_by_name_with_what_to_type() -> None:
    *listed, runs = build(COMMANDS)["features"]["slash_commands"]

    assert runs["command"] == "/runs", "which is built in"
    assert listed == [
        {"command": "/a", "description": "First", "usage_hint": "topic", "should_escape": False},
        {"command": "/b", "description": "Second: with a colon", "should_escape": False},
    ]


def test_without_an_address_the_app_connects_by_itself() -> None:
    manifest = build(COMMANDS)

    assert manifest["settings"]["socket_mode_enabled"] is True
    assert "http" not in to_yaml(manifest)


def test_with_an_address_slack_is_told_it_everywhere() -> None:
    manifest = build(COMMANDS, request_url=URL)

    settings = manifest["settings"]
    assert settings["socket_mode_enabled"] is False
    assert settings["interactivity"]["request_url"] == URL
    assert settings["event_subscriptions"]["request_url"] == URL
    assert {command["url"] for command in manifest["features"]["slash_commands"]} == {URL}


@pytest.mark.parametrize("url", [None, URL])
@pytest.mark.parametrize("replies", [True, False])
def test_an_app_that_many_install_hears_who_leaves_and_has_tokens_that_end(url: str | None, replies: bool) -> None:
    back = "https://bot.example/slack/oauth_redirect"

    manifest = build(COMMANDS, request_url=url, redirect_url=back, thread_replies=replies)

    assert faults(manifest) == []
    assert manifest["oauth_config"]["redirect_urls"] == [back]
    assert {*LEAVING_EVENTS} <= {*manifest["settings"]["event_subscriptions"]["bot_events"]}
    assert manifest["settings"]["org_deploy_enabled"]
    assert manifest["settings"]["token_rotation_enabled"]


@pytest.mark.parametrize("url", ["http://bot.example/", "bot.example", ""])
def test_slack_reaches_https_only(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        build(COMMANDS, request_url=url)


def test_without_thread_replies_no_message_is_read_and_none_heard() -> None:
    manifest = build(COMMANDS, thread_replies=False)

    assert "history" not in to_yaml(manifest)
    assert manifest["settings"]["event_subscriptions"]["bot_events"] == list(EVENTS)


def test_more_commands_than_slack_takes_are_refused() -> None:
    with pytest.raises(ValueError, match="51 commands; a Slack app may have 50"):
        build([SlashCommand(f"/c{n}", "x") for n in range(50)])


def test_the_same_commands_make_the_same_text() -> None:
    assert to_yaml(build(COMMANDS)) == to_yaml(build(COMMANDS[::-1]))


JSON = st.recursive(
    st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.dictionaries(st.from_regex(r"[a-z_]{2,8}x", fullmatch=True), inner, min_size=1, max_size=3)
        | st.lists(st.text() | st.dictionaries(st.just("key"), st.text(), min_size=1), min_size=1, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.from_regex(r"[a-z_]{2,8}x", fullmatch=True), JSON, min_size=1))
def test_our_yaml_means_what_it_was_made_of(value: dict[str, Any]) -> None:
    assert yaml.safe_load(to_yaml(value)) == value


# --- least scopes -------------------------------------------------------------------------

NEEDS_NO_SCOPE = {
    "auth.test",
    "auth.revoke",
    "views.open",
    "views.publish",
    "views.update",
    "chat.getPermalink",
    "apps.connectionsOpen",
}
IN_PIECES = {
    "files.uploadV2": ("files.getUploadURLExternal", "files.completeUploadExternal"),
    "usergroups.usersList": ("usergroups.users.list",),
}


def own_code() -> list[str]:
    """The source of the bot, but not of its fake Slack."""
    paths = (path for path in (ROOT / "bot").rglob("*.py") if "playground" not in path.parts)
    return [path.read_text(encoding="utf-8") for path in paths]


def called() -> set[str]:
    """Every Slack method that the bot's own code names, off its syntax: ``client.chat_postMessage`` and the like."""
    families = ("apps", "auth", "chat", "conversations", "files", "users", "usergroups", "views", "reactions", "pins")
    found: set[str] = set()
    for text in own_code():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute):
                family, _, method = node.attr.partition("_")
                if family in families and method:
                    head, *rest = method.split("_")
                    found.add(f"{family}.{head}{''.join(part.title() for part in rest)}")
    return {piece for method in found for piece in IN_PIECES.get(method, (method,))}


def heard() -> set[str]:
    """Every event that the bot's own code listens for, off its syntax: ``app.event("message")`` and the like."""
    found: set[str] = set()
    for text in own_code():
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Call(func=ast.Attribute(attr="event"), args=[ast.Constant(value=str(name))]):
                    found.add(name)
    return found


def test_every_event_heard_is_subscribed_to_and_no_other() -> None:
    """Security 12."""
    leaving = {"app_uninstalled", "team_access_revoked", "tokens_revoked"}  # only where anybody may install it
    for replies in (True, False):
        for redirect in (None, "https://bot.example/slack/oauth_redirect"):
            built = build(COMMANDS, request_url=URL, redirect_url=redirect, thread_replies=replies)
            told = built["settings"]["event_subscriptions"]["bot_events"]

            wanted = heard() - (set() if replies else {"message"}) - (leaving if redirect is None else set())
            assert {event.partition(".")[0] for event in told} == wanted
            assert len(told) == len(set(told))


def test_every_method_called_has_its_scope_and_no_other_is_asked_for() -> None:
    """Security 12."""
    methods = called()
    known = {**SCOPES, **HISTORY}

    assert methods - NEEDS_NO_SCOPE <= known.keys(), "name the method in bot/manifest.py with its scope"
    assert known.keys() - {"slash commands"} <= methods, "no code calls this any more"
