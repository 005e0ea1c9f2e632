"""Foreign text: nothing in it hides, nothing in it acts, and it fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.asking.legible import width
from bot.views.escaping import escape, fitting, safe, shorten, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "a[U+202E]b"),
        ("a\u200bb\u200dc", "a[U+200B]b[U+200D]c"),
        ("a\x00b\x1b", "a[U+0000]b[U+001B]"),
        ("\ud800", "[U+D800]"),
        ("\u2066x\u2069", "[U+2066]x[U+2069]"),
        ("a\U000e0041", "a[U+E0041]"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("tab\tstays", "tab\tstays"),
        ("👩\u200d🚀 👨🏽\u200d💻 ❤\ufe0f\u200d🔥", "👩\u200d🚀 👨🏽\u200d💻 ❤\ufe0f\u200d🔥"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("1\ufe0f\u20e3 葛\U000e0100 ☺\ufe0e", "1\ufe0f\u20e3 葛\U000e0100 ☺\ufe0e"),
        ("a\ufe0f☺\ufe0f\U000e0168 \ufe01", "a[U+FE0F]☺\ufe0f[U+E0168] [U+FE01]"),
        ("a\U0001bca0\U00013430b", "a[U+1BCA0][U+13430]b"),
        ("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",) * 2,
    ],
)
def test_what_hides_is_spelled_out_and_what_is_needed_stays(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(st.characters(codec=None)))
def test_safe_text_can_be_sent_and_does_nothing(text: str) -> None:
    result = safe(text)

    assert result.encode() or not text
    assert not set("<>") & set(result)
    assert visible(visible(text)) == visible(text)


def test_escaping_is_slacks() -> None:
    assert escape("<a> & &lt;") == "&lt;a&gt; &amp; &amp;lt;"


@given(st.text(st.characters(codec="utf-8")), st.integers(1, 40))
def test_shortened_text_fits(text: str, chars: int) -> None:
    result = shorten(text, chars)

    assert len(result.encode("utf-16-le")) // 2 <= chars
    assert result == text or result.endswith("…")


@given(st.text(st.characters(codec="utf-8")), st.integers(0, 40))
def test_as_much_is_taken_as_fits(text: str, chars: int) -> None:
    end = fitting(text, chars)

    assert width(text[:end]) <= chars
    assert end == len(text) or width(text[: end + 1]) > chars or end >= chars
