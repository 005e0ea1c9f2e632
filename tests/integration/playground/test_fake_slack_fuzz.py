"""Whatever a bot sends, the fake Slack refuses it in Slack's words; it never breaks."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.playground import AppConfig
from bot.playground.arguments import METHOD_TABLE, Arguments, Failure
from bot.playground.limits import problems_with_blocks, problems_with_view
from bot.playground.methods import METHODS
from bot.playground.platform import Platform
from bot.playground.shapes import BLOCKS, ELEMENTS
from bot.playground.workspace import Message, demo_workspace

FIELDS = sorted({name for shape in (*BLOCKS.values(), *ELEMENTS.values()) for name in shape} | {"type", "block_id"})
KINDS = [*BLOCKS, *ELEMENTS, "plain_text", "mrkdwn", "modal", "home"]
WORDS = st.sampled_from(
    ["", "x", "C2", "C3", "D1", "U1", "U0BOT", "S1", "1.000001", "T1", "[", "{}", "[{}]", "true", "-1"]
)
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-5, 5000), WORDS, st.text(max_size=5), st.sampled_from(KINDS))
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
        st.builds(lambda kind, rest: {**rest, "type": kind}, st.sampled_from(KINDS), st.fixed_dictionaries({})),
        st.builds(
            lambda kind, rest: {**rest, "type": kind},
            st.sampled_from(KINDS),
            st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
        ),
    ),
    max_leaves=25,
)


def furnished() -> Platform:
    """A workspace with one message of the bot's."""
    app = AppConfig(signing_secret="shhh")
    slack = Platform(app, demo_workspace(app.bot_user_id))
    slack.workspace.in_channel("C2").append(Message("C2", "1.000001", "U0BOT", "hello", bot_id="B0BOT"))
    return slack


@given(blocks=VALUES)
@settings(max_examples=200)
def test_any_blocks_are_judged(blocks: Any) -> None:
    assert all(isinstance(problem, str) for problem in problems_with_blocks(blocks))


@given(view=VALUES)
@settings(max_examples=200)
def test_any_view_is_judged(view: Any) -> None:
    assert all(isinstance(problem, str) for problem in problems_with_view(view))


@pytest.mark.parametrize("method", METHODS)
@given(data=st.data())
@settings(max_examples=25)
def test_any_arguments_are_answered_or_refused(method: str, data: st.DataObject) -> None:
    names = sorted(METHOD_TABLE.get(method, {"args": {"error": {}}})["args"])
    values = data.draw(st.dictionaries(st.sampled_from(names), VALUES) if names else st.just({}))
    slack = furnished()

    try:
        answer = METHODS[method](slack, Arguments(values))
    except Failure as failure:
        answer = failure.to_json()

    assert answer["ok"] is True or isinstance(answer["error"], str)
