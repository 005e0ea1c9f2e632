"""What hypothesis draws for the bot's tests: text full of markup, and forms."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal

from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from bot.asking.forms import SlackUser

MARKUP = st.lists(
    st.sampled_from(
        [
            "**",
            "*",
            "_",
            "~~",
            "`",
            "```",
            "```rm\n",
            "\n",
            "\n\n",
            "# ",
            "- ",
            "1. ",
            "> ",
            "\\",
            "\\*",
            "&",
            "<!channel>",
        ]
    )
    | st.sampled_from(
        ["<@U1>", "&amp;", " ", "word", "a" * 70, "é", "😀", "👩\u200d🚀", "\u202e", "\x00", "\ud800", "\r\n"]
    )
    | st.text(max_size=8),
    max_size=60,
).map("".join)
LONG = st.tuples(MARKUP, st.integers(1, 400)).map(lambda drawn: drawn[0] * drawn[1])
INK = st.characters(categories=["L", "N", "P", "S"], exclude_characters="\u2800\u3164\u115f\u1160\uffa0")
TEXT = st.text(INK, min_size=1, max_size=40)
LITERALS = st.lists(st.text("abcäß_😀", min_size=1, max_size=30), min_size=1, max_size=20, unique=True)


@st.composite
def models(draw: st.DrawFn) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for n in range(draw(st.integers(1, 12))):
        options: Any = Literal[tuple(draw(LITERALS))]
        kinds: list[Any] = [str, int, float, Decimal, bool, date, time, datetime, SlackUser, options]
        kind = draw(st.sampled_from([*kinds, list[options], set[options], list[SlackUser]]))
        title, hint = draw(st.none() | TEXT), draw(st.none() | TEXT)
        nullable = draw(st.booleans())
        default = None if nullable and draw(st.booleans()) else ...
        fields[f"field_{n}"] = (kind | None if nullable else kind, Field(default, title=title, description=hint))
    return create_model("Drawn", **fields)
