"""The mark that says what starts a workflow, and the check of what was typed behind the command."""

import pytest

from bot.asking.legible import has_ink
from bot.asking.triggers import (
    CommandReceived,
    EmptyText,
    MessageWithoutText,
    TextTooLong,
    command_of,
    shortcut,
    shortcut_of,
    slash_command,
)
from engine.errors import DefinitionError
from engine.events import StopEvent
from engine.workflow import Workflow, step


class Greeting(Workflow):
    @step
    async def greet(self, ev: CommandReceived) -> StopEvent:
        return StopEvent(result=f"Hello {ev.text}")


def marked(**options: object) -> type[Workflow]:
    class Marked(Greeting):
        pass

    return slash_command("/greet", **{"summary": "Say hello", **options})(Marked)  # type: ignore[arg-type]  # by name


def test_the_mark_stays_on_the_class() -> None:
    command = command_of(marked(usage="name", max_chars=20))

    assert command is not None
    assert (command.command, command.summary, command.usage) == ("/greet", "Say hello", "name")
    assert (command.required, command.max_chars) == (True, 20)


def test_a_subclass_does_not_inherit_the_command() -> None:
    class Other(marked()):  # type: ignore[misc]  # a class made by a call
        pass

    assert command_of(Other) is None


@pytest.mark.parametrize("name", ["/a", "/approve-draft", "/deploy_2", "/" + "x" * 31])
def test_names_that_slack_accepts_are_accepted(name: str) -> None:
    cls = slash_command(name, summary="Something")(type("Fresh", (Greeting,), {}))

    command = command_of(cls)
    assert command is not None
    assert command.command == name


@pytest.mark.parametrize(
    "name", ["deploy", "/", "", "/Deploy", "/two words", "/" + "x" * 32, "/ünter", "/a\n", "//a", "/a.b"]
)
def test_names_that_slack_refuses_are_refused_with_an_example(name: str) -> None:
    with pytest.raises(DefinitionError, match="as in '/approve-draft'"):
        slash_command(name, summary="Something")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"summary": " "}, "summary"),
        ({"summary": "x" * 2001}, "summary"),
        ({"summary": "x", "usage": "x" * 1001}, "usage"),
        ({"summary": "x", "max_chars": 0}, "max_chars is 0"),
        ({"summary": "x", "max_chars": 3001}, "max_chars is 3001"),
    ],
)
def test_what_slack_would_not_take_is_named(options: dict[str, object], problem: str) -> None:
    with pytest.raises(DefinitionError, match=problem):
        slash_command("/greet", **options)  # type: ignore[arg-type]  # wrong on purpose


def test_a_class_takes_one_command() -> None:
    cls = marked()

    with pytest.raises(DefinitionError, match="has /greet already; give /again a class of its own"):
        slash_command("/again", summary="Again")(cls)


def test_the_mark_goes_on_a_class_only() -> None:
    with pytest.raises(DefinitionError, match="put it on a Workflow class"):
        slash_command("/greet", summary="Say hello")(len)  # type: ignore[type-var]  # wrong on purpose


@pytest.mark.parametrize(
    "text", ["", "   ", "\n\t", "\u200b\u2060", "\u202e", "\u3164", "\x00", "\ufeff \u00a0", "\ufe0f\U000e0100"]
)
def test_text_without_ink_is_empty(text: str) -> None:
    command = command_of(marked(usage="name"))

    assert command is not None
    assert command.check(text) == EmptyText("/greet", "name")
    assert not has_ink(text)


def test_a_command_that_needs_no_text_takes_none() -> None:
    command = command_of(marked(required=False))

    assert command is not None
    assert command.check("") is None


def test_text_over_the_limit_is_counted() -> None:
    command = command_of(marked())

    assert command is not None
    assert command.check("x" * 500) is None
    assert command.check("x" * 5000) == TextTooLong("/greet", 5000, 500)


@pytest.mark.parametrize("text", ["x", " a ", "👍", "a\u200db", "`*<!channel>*`"])
def test_any_text_with_ink_is_fine(text: str) -> None:
    command = command_of(marked())

    assert command is not None
    assert command.check(text) is None


def test_a_command_begins_a_run_with_who_and_where() -> None:
    event = CommandReceived(text="v2", user_id="U1", channel_id="C1")

    assert (event.team_id, event.user_name) == ("", "")
    assert event.to_dict() == {}


async def test_the_decorated_class_still_runs_without_slack() -> None:
    result = await marked()().run(start_event=CommandReceived(text="you", user_id="U1", channel_id="C1"))

    assert result == "Hello you"


# --- shortcuts ---------------------------------------------------------------------------------------


def picked(name: str = "Send for approval", **options: object) -> type[Workflow]:
    class Marked(Greeting):
        pass

    return shortcut(name, **{"summary": "Ask people", **options})(Marked)  # type: ignore[arg-type]  # by name


def test_a_shortcut_is_known_by_its_name_in_small_letters() -> None:
    found = shortcut_of(picked("Send for approval!"))

    assert found is not None
    assert (found.name, found.callback_id, found.max_chars) == ("Send for approval!", "send_for_approval", 12_000)


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("", {}, "as in 'Send for approval'"),
        ("!!", {}, "as in 'Send for approval'"),
        ("x" * 25, {}, "1 to 24"),
        ("Send", {"summary": ""}, "summary takes 1 to 150"),
        ("Send", {"summary": "x" * 151}, "summary takes 1 to 150"),
        ("Send", {"max_chars": 0}, "max_chars is 0; give 1 to 40000"),
        ("Send", {"max_chars": 40_001}, "max_chars is 40001"),
    ],
)
def test_a_shortcut_that_slack_would_not_take_is_named(name: str, options: dict[str, object], problem: str) -> None:
    with pytest.raises(DefinitionError, match=problem):
        picked(name, **options)


def test_a_class_takes_one_shortcut() -> None:
    with pytest.raises(DefinitionError, match="has 'Send for approval' already"):
        shortcut("Another", summary="x")(picked())


def test_a_message_without_text_or_with_too_much_starts_nothing() -> None:
    found = shortcut_of(picked(max_chars=5))

    assert found is not None
    assert found.check(" \u200b") == MessageWithoutText()
    assert found.check("123456") == TextTooLong("Send for approval", 6, 5)
    assert found.check("12345") is None
