"""Markdown of authors and models as Slack's own markup; nothing in it can mention anybody.

Text with characters from `bot.literal` becomes ``rich_text``, the only block in which stars and
backticks can stand for themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeVar

from bot.asking.legible import width
from bot.block_kit import Block
from bot.views.escaping import escape, fitting, visible

SECTION_CHARS = 3000  # docs.slack.dev/reference/block-kit

_UNESCAPE = re.compile(r"\\([\\*_~`#+>-])")
_MARKUP = re.compile(r"(?<!\\)\*\*|^[ \t]*#{1,6}[ \t]+|^[ \t]*```\w*$", re.MULTILINE)
_CODE = re.compile(r"(`[^`\n]+`)")
_BOLD = re.compile(r"\*\*(?=\S)(.{1,1200}?)(?<=\S)\*\*")
_STRUCK = re.compile(r"~~(?=\S)(.{1,1200}?)(?<=\S)~~")
_HEADING = re.compile(r"#{1,6}[ \t]+")
_ITEM = re.compile(r"([ \t]*)[-*+][ \t]+(?=\S)")
# A backslash and what follows count as one, so that an escaped star closes nothing.
_STYLED = re.compile(
    r"\\(?P<literal>[\\*_~`#+>-])|`(?P<code>[^`\n]+)`"
    r"|\*\*(?=\S)(?P<bold>(?:\\.|[^\\]){1,1200}?)(?<=\S)\*\*"
    r"|(?<![\w*])\*(?=[^\s*])(?P<strong>(?:\\.|[^\\*])+?)(?<=\S)\*(?![\w*])"
    r"|(?<!\w)_(?=[^\s_])(?P<italic>(?:\\.|[^\\_])+?)(?<=\S)_(?!\w)"
    r"|~~(?=\S)(?P<strike>(?:\\.|[^\\]){1,1200}?)(?<=\S)~~"
)
# Named on a fence to colour code, and left out here. Any other words there are text that must be seen.
LANGUAGES = set("bash c cpp css diff go html java javascript js json md python py rust sh sql text ts yaml yml".split())
_STYLES = {"bold": "bold", "strong": "bold", "italic": "italic", "strike": "strike", "code": "code"}


def mrkdwn(text: str) -> Block:
    # verbatim: Slack then makes no links and mentions of its own out of what people wrote
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def section(text: str) -> Block:
    # expand: or Slack folds long text behind "See more"
    return {"type": "section", "text": mrkdwn(text), "expand": True}


def sections(text: str) -> list[Block]:
    """Return Markdown as blocks of at most 3,000 characters each, cut between paragraphs or words."""
    text = re.sub(r"\n{4,}", "\n\n\n", visible(text)).strip("\n")
    pieces = list(_fenced(text))
    if any(_UNESCAPE.search(piece) for code, piece in pieces if not code):
        parts = [part for code, piece in pieces for part in _rich_parts(code, piece)]
        return [{"type": "rich_text", "elements": packed} for packed in _packed(parts)]
    chunks = [chunk for code, piece in pieces for chunk in _mrkdwn_parts(code, piece)]
    return [section("\n".join(packed)) for packed in _packed(chunks)]


def bare(text: str) -> str:
    """Return Markdown without its markup, for where only plain text can stand."""
    return _UNESCAPE.sub(r"\1", _MARKUP.sub("", text))


def _fenced(text: str) -> Iterator[tuple[bool, str]]:
    """Yield (is code, text) in order; a fence left open runs to the end.

    What stands on a fence's line stays, but for the name of a language that code follows.
    """
    lines: list[str] = []
    code, language = False, ""
    for line in text.split("\n"):
        start = line.lstrip()
        if not start.startswith("```") or (not code and "`" in start[3:]):
            lines.append(line)
            continue
        yield code, "\n".join(lines) or language
        code = not code
        rest = start.lstrip("`").strip()
        language = rest if code and rest.lower() in LANGUAGES else ""
        lines = [rest] if rest and not language else []
    yield code, "\n".join(lines) or language


def _mrkdwn_parts(code: bool, text: str) -> list[tuple[int, str]]:
    if code:
        chunks = [f"```\n{chunk}\n```" for chunk in split(escape(text), SECTION_CHARS - 8)]
    else:
        chunks = list(split("\n".join(_mrkdwn_line(line) for line in text.split("\n")), SECTION_CHARS))
    return [(width(chunk), chunk) for chunk in chunks]


def _mrkdwn_line(line: str) -> str:
    if heading := _heading(line):
        title = heading.replace("**", "")
        return f"*{escape(title)}*" if not set("*`") & set(title) else _mrkdwn_inline(heading)
    if item := _ITEM.match(line):
        return f"{item[1]}• {_mrkdwn_inline(line[item.end() :])}"
    return _mrkdwn_inline(line)


def _heading(line: str) -> str:
    """Return what a heading says; "" of any other line."""
    signs = _HEADING.match(line)
    return "" if signs is None else line[signs.end() :].rstrip("#").rstrip(" \t")


def _mrkdwn_inline(text: str) -> str:
    spans = _CODE.split(text)
    for place in range(0, len(spans), 2):
        spans[place] = _STRUCK.sub(r"~\1~", _BOLD.sub(r"*\1*", spans[place]))
    return escape("".join(spans))


def _rich_parts(code: bool, text: str) -> list[tuple[int, Block]]:
    parts = []
    for chunk in split(text, SECTION_CHARS):
        if code:
            element = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": chunk}]}
        else:
            element = {"type": "rich_text_section", "elements": _rich_lines(chunk)}
        parts.append((width(chunk), element))
    return parts


def _rich_lines(text: str) -> list[Block]:
    found: list[tuple[str, str]] = []
    for n, line in enumerate(text.split("\n")):
        style = ""
        if heading := _heading(line):
            line, style = heading.replace("**", ""), "bold"
        elif item := _ITEM.match(line):
            line = f"{item[1]}• {line[item.end() :]}"
        found += [("\n" if n else "", ""), *_rich_inline(line, style)]
    return [_rich_text(text, style) for text, style in _merged(found)]


def _rich_inline(line: str, style: str) -> Iterator[tuple[str, str]]:
    at = 0
    for match in _STYLED.finditer(line):
        kind = match.lastgroup or "literal"
        yield line[at : match.start()], style
        inner = match[kind]
        yield inner if kind in ("code", "literal") else _UNESCAPE.sub(r"\1", inner), _STYLES.get(kind, style)
        at = match.end()
    yield line[at:], style


def _merged(spans: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    text, style = "", ""
    for more, next_style in spans:
        if not more:
            continue
        if next_style != style and text:
            yield text, style
            text = ""
        text, style = text + more, next_style
    if text:
        yield text, style


def _rich_text(text: str, style: str) -> Block:
    return {"type": "text", "text": text, "style": {style: True}} if style else {"type": "text", "text": text}


def split(text: str, chars: int) -> Iterator[str]:
    """Yield *text* in pieces that fit, cut at a paragraph, a line, a word, or where nothing breaks."""
    while width(text) > chars:
        cut = fitting(text, chars)
        for separator in ("\n\n", "\n", " "):
            if (at := text.rfind(separator, cut // 2, cut)) > 0:
                cut, skip = at, len(separator)
                break
        else:
            cut, skip = _unbroken(text, cut), 0
        if text[:cut].strip():
            yield text[:cut].strip("\n")
        text = text[cut + skip :]
    if text.strip():
        yield text.strip("\n")


def _unbroken(text: str, cut: int) -> int:
    """Return where to cut at or before *cut* so that no entity and no escape is cut in two."""
    if entity := re.search(r"&[a-z]{0,3}$", text[max(0, cut - 5) : cut]):
        return cut - len(entity[0])
    slashes = len(text[:cut]) - len(text[:cut].rstrip("\\"))
    return cut - slashes % 2


_Part = TypeVar("_Part", str, Block)


def _packed(parts: list[tuple[int, _Part]]) -> Iterator[list[_Part]]:
    """Yield parts in groups, each of which fits into one block."""
    group: list[_Part] = []
    room = SECTION_CHARS
    for chars, part in parts:
        if group and chars > room:
            yield group
            group, room = [], SECTION_CHARS
        group.append(part)
        room -= chars + 1
    if group:
        yield group
