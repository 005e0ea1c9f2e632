"""Text as people read it: whether there is anything to see, how wide it is, and the names of code in words."""

from __future__ import annotations

import re
import unicodedata

LINE_ENDS = "\r\u2028\u2029\x0b\x0c\x85"
"""What ends a line besides ``\\n``, as which it is shown."""

_INVISIBLE = {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"}
_BLANK = re.compile(  # letters, marks and symbols that leave no ink
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def has_ink(text: str) -> bool:
    """Whether a reader would see anything: not only blanks, controls and zero-width characters."""
    return any(unicodedata.category(char) not in _INVISIBLE and _BLANK.match(char) is None for char in text)


def width(text: str) -> int:
    """The length as Slack's clients count it, in UTF-16 units: never less than `len`."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def capitalised(text: str) -> str:
    """Return *text* as the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def in_words(name: str) -> str:
    """Return what code calls something as people read it: ``keep_back`` is "Keep back"."""
    return capitalised(name.replace("_", " ").strip() or name)
