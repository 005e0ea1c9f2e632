"""Foreign text as it is safe to show: all of it to be seen, none of it active, and no longer than there is room."""

from __future__ import annotations

import re
import unicodedata

from bot.asking.legible import LINE_ENDS, width

_NEWLINES = re.compile(f"\r\n|[{LINE_ENDS}]")
_FLAG = "\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f"  # England, Scotland, Wales
_SUSPECT = re.compile(
    f"({_FLAG})|[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_JOINERS = "\u200c\u200d"
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_KEYCAP = "\u20e3"


def visible(text: str) -> str:
    """Return *text* with what hides or reorders characters spelled out, as ``[U+202E]``.

    Joiners stay where a script or an emoji sequence needs them, and a variation selector behind a sign that may have
    variants: rows of them can carry a text that nobody sees.
    """
    text = _NEWLINES.sub("\n", text)

    def spell(match: re.Match[str]) -> str:
        char, at = match[0], match.start()
        if match[1] or (char in _JOINERS and _joins(text, at)) or (_SELECTORS.match(char) and _selects(text, at)):
            return char
        return f"[U+{ord(char):04X}]"

    return _SUSPECT.sub(spell, text)


def _joins(text: str, at: int) -> bool:
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if not before or not after:
        return False
    kinds = unicodedata.category(before), unicodedata.category(after)
    if text[at] == "\u200d" and kinds[1] == "So":
        return kinds[0] in ("So", "Sk") or before == "\ufe0f"
    return all(kind in ("Lo", "Mn", "Mc") for kind in kinds) and before != "\ufe0f"


def _selects(text: str, at: int) -> bool:
    before = text[at - 1 : at]
    if not before or before.isspace() or _SUSPECT.match(before):
        return False
    return not before.isascii() or text[at + 1 : at + 2] == _KEYCAP


def escape(text: str) -> str:
    """Return *text* so that Slack reads no mention, link or date in it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def safe(text: str) -> str:
    """Return foreign text for a mrkdwn string: everything visible, nothing active."""
    return escape(visible(text))


def shorten(text: str, chars: int) -> str:
    """Return *text* in at most *chars* characters, with an ellipsis where it was cut."""
    if width(text) <= chars:
        return text
    return text[: fitting(text, chars - 1)].rstrip() + "…"


def fitting(text: str, chars: int) -> int:
    """Return how many characters from the front of *text* are at most *chars* wide."""
    end = min(len(text), chars)
    while (over := width(text[:end]) - chars) > 0:
        end -= (over + 1) // 2
    return end
