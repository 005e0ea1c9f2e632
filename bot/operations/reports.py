"""What operators are shown of runs: as text for a terminal, and as JSON. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from textwrap import wrap
from typing import Any

from engine.core.snapshot import CORE, KEY, START
from engine.run_store import LATE, AskRecord, Entry, JournalEntry, RunRecord, WholeRun

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_HEADS = ("RUN", "STATUS", "AGE", "REQUESTER", "WORKFLOW")
_MARGIN = 2
_COLUMN, _LINES = 14, 4


# --- text -----------------------------------------------------------------------------------------


def table(runs: Sequence[RunRecord], now: float) -> list[str]:
    """Return a line for each run, below a line of heads."""
    rows = [(run.run_id, run.status, age(now - run.created_at), run.requester or "-", run.workflow) for run in runs]
    cells = [_HEADS, *(tuple(line_of(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) + _MARGIN for column in range(len(_HEADS))]
    return ["".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def details(whole: WholeRun, lines: int, width: int = 100) -> list[str]:
    """Return how a run stands, for people: at most *width* columns, and the last *lines* of its journal."""
    run = whole.run
    told = [f"{run.run_id}  {run.status}", ""]
    facts = {
        "workflow": f"{run.workflow}, revision {run.revision}, version {run.version}",
        "started": f"{moment(run.created_at)}, {age(whole.at - run.created_at)} ago"
        + (f", by {run.requester}" if run.requester else ""),
        "shown at": run.thread or run.address,
        "tenant": run.tenant,
        "why": reason(whole),
        "held": f"by {whole.worker} until {moment(whole.until)}" if whole.until is not None else "",
        "attempts": f"{whole.attempts} since it was last saved" if whole.attempts > 1 else "",
        "wakes": moment(whole.wake_at) if whole.wake_at is not None else "",
        "inbox": ", ".join(_entry(entry) for entry in whole.inbox),
        "unreadable": whole.unreadable,
    }
    for name, fact in facts.items():
        told += _beside(name, fact, width)
    asks = open_asks(whole)
    told += ["", "open questions"] if asks else []
    for ask in asks:
        told += _beside(ask.ask_id, _standing(ask, whole.at), width)
        told += _beside("", text_of(ask.event), width)
    owed = [f"{one.effect_id}, tried {_times(one.attempts)}" for one in whole.effects if one.owed]
    told += ["", "not sent to Slack yet"] if owed else []
    told += [cut(f"  {line_of(effect)}", width) for effect in owed]
    shown = whole.journal[-lines:] if lines else ()
    told += ["", f"journal, last {len(shown)} of {len(whole.journal)}"] if shown else []
    return told + [cut(f"  {_line(entry)}", width) for entry in shown]


def reason(whole: WholeRun) -> str:
    """Return why a run is parked, failed or cancelled, as its journal says; "" of any other."""
    if whole.run.status not in ("parked", "failed", "cancelled"):
        return ""
    for line in reversed(whole.journal):
        if line.what == "cancelled" and whole.run.status == "cancelled":
            return f"cancelled by {line.by or 'the bot'}"
        if line.what == "committed" and line.details.get("status") in ("parked", "failed"):
            return line.details.get("note", "")
    return ""


def open_asks(whole: WholeRun) -> list[AskRecord]:
    """Return the questions that wait for somebody, oldest first."""
    return [ask for ask in whole.asks if ask.status == "open"]


def text_of(event: bytes) -> str:
    """Return what a stored question asks, or, if that cannot be told, what it is."""
    found = plain(event)
    values = found.get("v") if isinstance(found, dict) else None
    if not isinstance(values, dict):
        return "(cannot be read)"
    prefix = values.get("prefix")
    return prefix if isinstance(prefix, str) and prefix else f"({found.get('t', 'question')})"


def age(seconds: float) -> str:
    """Return a length of time in its largest unit, as 3h."""
    whole = max(0, int(seconds))
    return next((f"{whole // size}{unit}" for size, unit in _UNITS if whole >= size), "0s")


def moment(at: float) -> str:
    """Return a time to the second, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def line_of(text: str) -> str:
    """Return *text* as one line that does nothing to a terminal but show."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def cut(text: str, width: int) -> str:
    """Return *text* in *width* columns."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _beside(name: str, text: str, width: int) -> list[str]:
    """Return *text* in a few lines beside a *name*; none if there is none."""
    lines = wrap(line_of(text), max(20, width - _COLUMN), max_lines=_LINES, placeholder="…")
    return [f"  {name if i == 0 else '':<{_COLUMN - 3}} {line}" for i, line in enumerate(lines)]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _entry(entry: Entry) -> str:
    words = [entry.kind, entry.ask_id, f"by {entry.actor}" if entry.actor else ""]
    return " ".join(word for word in words if word)


def _standing(ask: AskRecord, now: float) -> str:
    parts = [f"{age(now - ask.opened_at)} old"]
    if ask.deadline is not None:
        left = ask.deadline - now
        parts.append(f"expires in {age(left)}" if left > 0 else f"expired {age(-left)} ago")
    parts.append(f"for {' '.join(ask.allowed)}" if ask.allowed else "for anybody")
    if ask.quorum > 1:
        parts.append(f"{ask.quorum} votes needed, {len(ask.votes)} given")
    if not ask.messages:
        parts.append("not shown yet")
    return line_of(", ".join(parts))


def _line(entry: JournalEntry) -> str:
    told = " ".join(f"{name}={value}" for name, value in entry.details.items())
    return line_of(f"{moment(entry.at)} {entry.what:<10}{f' by {entry.by}' if entry.by else ''} {told}")


# --- JSON -----------------------------------------------------------------------------------------


def run_json(run: RunRecord) -> dict[str, Any]:
    """Return a run without what is in it."""
    return {
        "run": run.run_id,
        "status": run.status,
        "workflow": run.workflow,
        "revision": run.revision,
        "version": run.version,
        "tenant": run.tenant,
        "requester": run.requester,
        "address": run.address,
        "thread": run.thread,
        "created": _iso(run.created_at),
    }


def details_json(whole: WholeRun, lines: int) -> dict[str, Any]:
    """Return how a run stands, with the last *lines* of its journal."""
    return {
        **_standing_json(whole),
        "reason": reason(whole),
        "inbox": [_entry_json(entry) for entry in whole.inbox],
        "questions": [{**_ask_json(ask), "text": text_of(ask.event)} for ask in open_asks(whole)],
        "owed": [{"effect": one.effect_id, "attempts": one.attempts} for one in whole.effects if one.owed],
        "journal": [_line_json(line) for line in (whole.journal[-lines:] if lines else ())],
    }


def whole_json(whole: WholeRun) -> dict[str, Any]:
    """Return all that is stored of a run. Values of the author's are as the codec wrote them."""
    store = {name.removeprefix(KEY): value for name, value in whole.state.items() if name.startswith(KEY)}
    return {
        **_standing_json(whole),
        "reason": reason(whole),
        "start": _maybe(whole.state.get(START, b"")),
        "core": _maybe(whole.state.get(CORE, b"")),
        "store": _plain_values(store),
        "memo": _plain_values(whole.memo),
        "inbox": [{**_entry_json(entry), "event": _maybe(entry.body)} for entry in whole.inbox],
        "asks": [
            {**_ask_json(ask), "event": _maybe(ask.event), "digest": ask.digest, "answer": _maybe(ask.answer)}
            for ask in whole.asks
        ],
        "effects": [
            {"effect": one.effect_id, "owed": one.owed, "attempts": one.attempts, "ref": one.ref}
            | {"body": _maybe(one.body)}
            for one in whole.effects
        ],
        "journal": [_line_json(line) for line in whole.journal],
    }


def _iso(at: float | None) -> str | None:
    """Return a time to the millisecond as ISO 8601, in UTC."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(value: bytes) -> Any:
    """Return what stored bytes say: JSON as it is, other text as text, and anything else in base64."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
    try:
        return json.loads(text)
    except ValueError:
        return text


def _maybe(value: bytes) -> Any:
    return plain(value) if value else None


def _plain_values(values: Mapping[str, bytes]) -> dict[str, Any]:
    return {name: plain(value) for name, value in sorted(values.items())}


def _standing_json(whole: WholeRun) -> dict[str, Any]:
    return {
        **run_json(whole.run),
        "read": _iso(whole.at),
        "worker": whole.worker,
        "held_until": _iso(whole.until),
        "attempts": whole.attempts,
        "wakes": _iso(whole.wake_at),
        "unreadable": whole.unreadable,
    }


def _entry_json(entry: Entry) -> dict[str, Any]:
    return {"kind": entry.kind, "at": _iso(entry.at), "ask": entry.ask_id, "by": entry.actor}


def _ask_json(ask: AskRecord) -> dict[str, Any]:
    closed = ask.status != "open"
    return {
        "ask": ask.ask_id,
        "status": ask.status,
        "revision": ask.revision,
        "opened": _iso(ask.opened_at),
        "deadline": _iso(ask.deadline),
        "allowed": list(ask.allowed),
        "quorum": ask.quorum,
        "self_approval": ask.self_approval,
        "votes": [{"by": by, "response": response} for by, response in ask.votes],
        "closed": _iso(ask.at) if closed else None,
        "by": ask.by,
        "response": ask.response,
        "messages": list(ask.messages),
    }


def _line_json(line: JournalEntry) -> dict[str, Any]:
    return {"at": _iso(line.at), "what": line.what, "by": line.by, "details": dict(line.details)}


_DECISIONS = {
    "answered": "accepted",
    "voted": "recorded",
    "refused": "not allowed",
    "expired": "expired",
    "withdrawn": "withdrawn",
    "cancelled": "cancelled",
    "reopened": "reopened",
}
"""What lines of the journal that decide something, or that somebody was kept from it, stand for."""


def decision_json(run: RunRecord, line: JournalEntry) -> dict[str, Any] | None:
    """Return who decided what, and exactly which text they were shown; None of a line that decides nothing."""
    verdict = "too late" if line.details.get("why") == LATE else _DECISIONS.get(line.what)
    if verdict is None:
        return None
    told = dict(line.details)
    named = {name: told.pop(name, "") for name in ("ask", "response", "digest", "via")}
    revision = told.pop("revision", "")
    return {
        "at": _iso(line.at),
        "run": run.run_id,
        "workflow": run.workflow,
        "tenant": run.tenant,
        "requester": run.requester,
        "ask": named["ask"],
        "version": int(revision) if revision.isdecimal() else None,
        "digest": named["digest"],
        "by": line.by,
        "response": named["response"],
        "via": named["via"],
        "verdict": verdict,
        "details": told,
    }


def decision_line(fact: Mapping[str, Any]) -> str:
    """Return a decision for people, on one line."""
    parts = [fact["at"], fact["run"], fact["workflow"], fact["ask"], fact["verdict"], fact["response"]]
    parts += [f"by {fact['by']}" if fact["by"] else "", f"via {fact['via']}" if fact["via"] else ""]
    return line_of(" ".join(filter(None, parts)))


def json_lines(items: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return one line of JSON for each item."""
    return [json_text(item) for item in items]


def json_text(value: Any, indent: int | None = None) -> str:
    """Return *value* as JSON in letters that people read; escaped is what no reader sees, ends a line or is no text."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter == "\n" else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if ord(letter) <= 0xFFFF else json.dumps(letter).strip('"')
