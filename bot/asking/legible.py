"""Text as people read it: whether there is anything to see, how wide it is, and the names of code in words."""

from __future__ import annotations

import unicodedata

LINE_ENDS = "\r\u2028\u2029\x0b\x0c\x85"
"""What ends a line besides ``\\n``, as which it is shown."""

_INVISIBLE = {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"}
_BLANK = "\u2800\u3164\u115f\u1160\uffa0\u034f"  # letters and symbols that leave no ink


def has_ink(text: str) -> bool:
    """Whether a reader would see anything: not only blanks, controls and zero-width characters."""
    return any(unicodedata.category(char) not in _INVISIBLE and char not in _BLANK for char in text)


def width(text: str) -> int:
    """The length as Slack's clients count it, in UTF-16 units: never less than `len`."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def capitalised(text: str) -> str:
    """Return *text* as the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def in_words(name: str) -> str:
    """Return what code calls something as people read it: ``keep_back`` is "Keep back"."""
    return capitalised(name.replace("_", " ").strip() or name)
