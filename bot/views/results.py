"""What a run came to, as Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from pydantic import BaseModel

from bot.asking.legible import capitalised
from bot.asking.prompts import literal
from bot.languages import ENGLISH, Catalogue


def result_text(result: object, words: Catalogue = ENGLISH) -> str:
    """Return a run's result as Markdown."""
    if result is None:
        return ""
    if isinstance(result, str):
        return literal(result)
    if isinstance(result, BaseModel):
        result = result.model_dump(mode="json")
    if isinstance(result, Mapping):
        return "\n".join(_entry(str(key), value, words) for key, value in result.items())
    return _as_text(result, words)


_IDENTIFIER = re.compile(r"[a-z]+(_[a-z]+)+")


def _entry(key: str, value: object, words: Catalogue) -> str:
    name, text = literal(capitalised(key.replace("_", " "))), _as_text(value, words)
    return f"**{name}**\n\n{text}\n" if "\n" in text or len(text) > 100 else f"**{name}:** {text}"


def _as_text(value: object, words: Catalogue) -> str:
    match value:
        case None:
            return "–"
        case str():
            return literal(value.replace("_", " ") if _IDENTIFIER.fullmatch(value) else value)
        case bool():
            return (words.yes if value else words.no).lower()
        case int() | float():
            return str(value)
        case _:
            return f"```\n{json.dumps(value, ensure_ascii=False, indent=2, default=str)}\n```"
