"""The answers that a question names in its own text: ``(yes/no)`` at its end, or words in quotes."""

from __future__ import annotations

import re

CHOICES = 10
VALUE_CHARS = 75
FREE_TEXT = {"feedback", "comment", "comments", "text", "other"}
_WORD = r"[^\W\d_][\w'-]{0,29}(?: [\w'-]{1,29}){0,2}"
_ITEM = rf"['\"]?{_WORD}['\"]?"
_SLASHED = re.compile(rf"[(\[]\s*((?:{_ITEM}\s*/\s*){{1,{CHOICES - 1}}}{_ITEM})\s*[)\]][\s:?.]*$")
_QUOTE = r"(?:'[^'\n]{1,40}'|\"[^\"\n]{1,40}\"|“[^”\n]{1,40}”|`[^`\n]{1,40}`)"
_QUOTED = re.compile(
    rf"({_QUOTE}(?:\s*(?:,\s*or\b|,\s*and\b|,|/|\bor\b|\band\b)\s*{_QUOTE}){{0,{CHOICES - 1}}})"
    r"(\s*,?\s*\bor\s+(?:[\w-]+\s+){0,3}(?:feedback|comments?|changes|suggestions?|notes|instructions|text))?[\s:.?]*$",
    re.IGNORECASE,
)
_INSTRUCTION = re.compile(
    r"(?:please\s+)?(?:enter|type|reply|answer|respond|say|write|choose|pick|select)(?:\s+(?:with|one of))?\s*:?\s*$",
    re.IGNORECASE,
)


def closing_list(text: str) -> tuple[str, tuple[str, ...], str | None]:
    """Return the text without its closing list of answers, the answers, and the name of free text if taken."""
    start = max(text.rfind("\n") + 1, len(text) - 400)
    line = text[start:]
    if match := _SLASHED.search(line):
        words = [word.strip().strip("'\"") for word in match[1].split("/")]
        return _listed(text[: start + match.start()] or text, words)
    if not (match := _QUOTED.search(line)):
        return text, (), None
    words = [word[1:-1].strip() for word in re.findall(_QUOTE, match[1])]
    lead = _INSTRUCTION.search(line[: match.start()])
    if lead is None and not (len(words) > 1 and re.search(r"\bor\b", match[0])):
        return text, (), None
    shown = text if lead is None else text[: start + lead.start()] or text
    return _listed(shown, [*words, "feedback"] if match[2] else words)


def _listed(shown: str, words: list[str]) -> tuple[str, tuple[str, ...], str | None]:
    values = [value for word in dict.fromkeys(words) if (value := as_value(word))][:CHOICES]
    free = next((value for value in values if value.casefold() in FREE_TEXT), None)
    return shown.rstrip(), tuple(value for value in values if value != free), free


def as_value(word: str) -> str:
    """Return a word as the value of a choice: printable, and not too long for Slack; "" if nothing is left."""
    return "".join(char for char in word if char.isprintable()).strip()[:VALUE_CHARS].strip()
