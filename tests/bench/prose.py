"""Drafts to ask about: English of a given size, each different, since compression would flatter one repeated letter."""

from __future__ import annotations

import random
from zlib import crc32

DRAFT_BYTES = 1024

_SUBJECTS = (
    "the platform team, our auditors, every new colleague, the second reviewer, finance, the weekly report, "
    "a customer in Lisbon, the on-call engineer, the old contract, this proposal, the design group, nobody"
).split(", ")
_VERBS = (
    "expects, has measured, would rather postpone, signs off on, cannot reproduce, already depends on, pays for, "
    "asked twice about, writes down, still doubts, will replace, keeps a copy of"
).split(", ")
_OBJECTS = (
    "the migration of 1998 records, a shorter notice period, three of the eleven rules, the quarterly budget, "
    "an owner for each alert, the wording of clause 7, a rollback that works, what was promised in May, "
    "the cheaper region, a glossary, last week's numbers, the final invoice"
).split(", ")
_ENDINGS = (
    "before the end of June, as far as anyone knows, without a second meeting, and says so, because it is the law, "
    "unless the vendor objects, at no extra cost, for the third time, which surprised us, in plain words"
).split(", ")


def _sentence(chance: random.Random) -> str:
    words = " ".join(chance.choice(part) for part in (_SUBJECTS, _VERBS, _OBJECTS, _ENDINGS))
    return f"{words[0].upper()}{words[1:]}."


_chance = random.Random(7)
_SENTENCES = [_sentence(_chance) for _ in range(2_003)]  # made beforehand: writing is not what is measured


def draft(topic: str, size_bytes: int = DRAFT_BYTES) -> str:
    """Return prose of exactly *size_bytes*, all ASCII, the same for the same *topic*."""
    many = size_bytes // 40 + 1
    first = crc32(topic.encode()) % (len(_SENTENCES) - many)
    text = " ".join([f"{topic}: a proposal.", *_SENTENCES[first : first + many]])
    return f"{text[: size_bytes - 1].rstrip(' .'):.<{size_bytes}}"
