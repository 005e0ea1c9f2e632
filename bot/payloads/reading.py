"""One JSON object that Slack sent, read by key, and the text in it. Nothing is taken on trust.

Whatever is not as it should be raises `PayloadError`, which names what is missing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from bot.payloads.tokens import ID

_ENTITY = re.compile(r"<([@#!][^<>\n]+|(?:https?://|mailto:)[^<>\n]+)>")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_SEPARATOR = "\x1f"


class PayloadError(ValueError):
    """Slack sent something we cannot read; the message names what is missing or odd."""


class JsonReader:
    """One JSON object, read by key; *where* is how errors call it."""

    __slots__ = ("_given", "_where")

    def __init__(self, where: str, given: object) -> None:
        if given is not None and not isinstance(given, Mapping):
            raise PayloadError(f"{where}: is {_kind(given)}; an object was expected")
        self._where = where
        self._given: Mapping[object, object] = {} if given is None else given

    @property
    def empty(self) -> bool:
        return not self._given

    def raw(self, key: str) -> object:
        return self._given.get(key)

    def text(self, key: str) -> str:
        """A string, without lone surrogates (no database takes them); "" if there is none."""
        value = self._given.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise PayloadError(f"{self._where}: {key} is {_kind(value)}; text was expected")
        return whole(value)

    def id(self, key: str, default: str | None = None) -> str:
        """An identifier; required unless there is a *default*."""
        value = self.text(key)
        if not value:
            if default is None:
                raise PayloadError(f"{self._where}: {key} is missing")
            return default
        if ID.fullmatch(value) is None:
            raise PayloadError(f"{self._where}: {key} is not an identifier")
        return value

    def array(self, key: str) -> list[object]:
        value = self._given.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise PayloadError(f"{self._where}: {key} is {_kind(value)}; a list was expected")
        return value

    def part(self, key: str) -> JsonReader:
        """The object under *key*; an empty one if there is none."""
        return JsonReader(f"{self._where}: {key}", self._given.get(key))

    def pairs(self) -> list[tuple[str, object]]:
        return [(key, value) for key, value in self._given.items() if isinstance(key, str)]

    def needs_owner(self, team_id: str, enterprise_id: str) -> None:
        if not team_id and not enterprise_id:
            raise PayloadError(f"{self._where}: team is missing")


def _kind(value: object) -> str:
    return "null" if value is None else f"a {type(value).__name__}"


def whole(text: str) -> str:
    """Return text without lone surrogates, which no database takes."""
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def readable(text: str) -> str:
    """Return a message's text with its mentions and links in words, for those who know nothing of Slack's form."""
    return unescape(_ENTITY.sub(_in_words, text))


def _in_words(found: re.Match[str]) -> str:
    target, _, label = found[1].partition("|")
    if target[:1] in ("@", "#"):
        return f"{target[0]}{label.lstrip('@#') or target[1:]}"
    if target[:1] == "!":
        return label or f"@{target[1:].partition('^')[0]}"
    return f"{label} ({target})" if label and label != target else target


def unescape(text: str) -> str:
    """Undo Slack's escaping of ``&``, ``<`` and ``>``."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def digest(*parts: str) -> str:
    """Return a name for a delivery, the same for the same *parts*; the first says of what kind it is."""
    return f"{parts[0]}:{hashlib.sha256(_SEPARATOR.join(parts).encode(errors='replace')).hexdigest()[:32]}"
