"""Between the store's bytes and the engine's records. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import wraps
from itertools import chain
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar, cast

from engine.errors import CodecError, NotJudged
from engine.run_store import (
    Answer,
    AskRecord,
    AskStatus,
    EffectRecord,
    Entry,
    EntryKind,
    JournalEntry,
    NewAsk,
    RunRecord,
    RunStatus,
    Shown,
)
from engine.verdicts import Accepted, Already, Cancelled, Expired, NotAllowed, Recorded, Stale, Unknown, Verdict

ANY = b"*"
"""In place of the responses that an ask takes."""
Argument: TypeAlias = bytes | str | int | float
Row: TypeAlias = Mapping[bytes, bytes]
P = ParamSpec("P")
R = TypeVar("R")


def of_run(read: Callable[Concatenate[str, P], R]) -> Callable[Concatenate[str, P], R]:
    """Return *read*, which raises `CodecError` where a value of the run that it names first is no such value."""

    @wraps(read)
    def told(run_id: str, /, *args: P.args, **named: P.kwargs) -> R:
        try:
            return read(run_id, *args, **named)
        except (LookupError, ValueError) as error:
            raise CodecError(
                f"what is stored of run {run_id} cannot be read: {type(error).__name__}: {error}"
            ) from error

    return told


def pack(items: Iterable[str | bytes]) -> bytes:
    """Return *items* as netstrings, the store's form of several values in one field."""
    parts: list[bytes] = []
    for item in items:
        raw = item if isinstance(item, bytes) else item.encode()
        parts += (b"%d:" % len(raw), raw)
    return b"".join(parts)


def unpack(text: bytes) -> list[bytes]:
    """Undo `pack`."""
    items: list[bytes] = []
    start, end = 0, len(text)
    while start < end:
        colon = text.index(b":", start)
        stop = colon + 1 + int(text[start:colon])
        items.append(text[colon + 1 : stop])
        start = stop
    return items


def words(text: bytes) -> tuple[str, ...]:
    """Return the values in a field as text."""
    return tuple(map(bytes.decode, unpack(text)))


def pairs(flat: Sequence[bytes]) -> Row:
    """Return a hash, which the server hands over as name, value, name, value."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def named(flat: Sequence[bytes]) -> dict[str, bytes]:
    """Return such a hash with its names as text."""
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


@of_run
def closed_asks(run_id: str, text: bytes) -> tuple[str, ...]:
    """Return the ids of a run's closed asks from its meta."""
    return words(text)


def listed(items: Collection[Argument]) -> list[Argument]:
    """Return values as scripts read them, after their number."""
    return [len(items), *items]


def counted(rows: Collection[Iterable[Argument]]) -> list[Argument]:
    """Return rows of several values as scripts read them, after the number of rows."""
    return [len(rows), *chain.from_iterable(rows)]


def ask_ids(run_id: str, members: Iterable[bytes]) -> list[str]:
    """Return the ids of a run's asks from what stands for them in the index `open`."""
    return [member.decode()[len(run_id) + 3 :] for member in members]


def entry_argument(entry: Entry) -> bytes:
    """Return an entry as it stands in an inbox."""
    return pack((entry.kind, f"{entry.at:.6f}", entry.ask_id, entry.actor, entry.body))


def entry_of(text: bytes) -> Entry:
    """Return an entry of an inbox."""
    kind, at, ask_id, actor, body = unpack(text)
    return Entry(cast("EntryKind", kind.decode()), float(at), body, ask_id.decode(), actor.decode())


def verdict_of(text: bytes) -> Verdict:
    """Return what a script told of an answer.

    Raises:
        NotJudged: it could not tell.
    """
    match words(text):
        case ("accepted", by, at, response):
            return Accepted(by, float(at), response)
        case ("recorded", count, quorum):
            return Recorded(int(count), int(quorum))
        case ("already", by, at, response):
            return Already(by, float(at), response)
        case ("expired", at):
            return Expired(float(at))
        case ("cancelled", by, at):
            return Cancelled(by, float(at))
        case ("stale",):
            return Stale()
        case ("not_allowed", *allowed):
            return NotAllowed(tuple(allowed))
        case ("unknown",):
            return Unknown()
        case ("not_judged",):
            raise NotJudged("whoever gave the answer may not, or the question does not take it, or does not say so")
        case told:
            raise ValueError(f"the store told {told!r}, which is no verdict")


def ask_arguments(ask: NewAsk) -> list[Argument]:
    """Return an ask as `commit.lua` reads it."""
    timers = sorted(ask.timers, key=lambda timer: timer.at)
    times = [timer.at for timer in timers[:1]] + ([] if ask.deadline is None else [ask.deadline])
    return [
        ask.ask_id,
        ask.event,
        ask.digest,
        pack(ask.allowed),
        "" if ask.quorum == 1 else ask.quorum,
        "" if ask.self_approval else "1",
        pack(ask.options) or ANY,
        pack(ask.complete),
        "" if ask.deadline is None else ask.deadline,
        pack(text for timer in timers for text in (timer.kind, str(timer.n), repr(timer.at))),
        min(times) if times else "",
    ]


def unseen_argument(answer: Answer) -> Argument:
    """Return what `deliver.lua` is told of what an answer was judged by: nobody may have looked at the question."""
    if isinstance(answer.unseen, Shown):
        return pack((answer.unseen.tenant, answer.unseen.digest, answer.unseen.message))
    if answer.unseen:
        return "1"
    return "" if answer.allowed is None else pack((pack(answer.allowed),))


@of_run
def ask_record(run_id: str, ask_id: str, row: Row) -> AskRecord | None:
    """Return an ask as stored, or None of an empty *row*."""
    if not row:
        return None
    votes = words(row.get(b"y", b""))
    return AskRecord(
        run_id=run_id,
        ask_id=ask_id,
        status=cast("AskStatus", row.get(b"s", b"open").decode()),
        revision=int(row.get(b"v", b"1")),
        event=row.get(b"e", b""),
        digest=row.get(b"h", b"").decode(),
        allowed=words(row.get(b"w", b"")),
        quorum=int(row.get(b"q", b"1")),
        self_approval=b"p" not in row,
        opened_at=float(row[b"o"]),
        deadline=float(row[b"d"]) if b"d" in row else None,
        by=row.get(b"b", b"").decode(),
        at=float(row.get(b"t", b"0")),
        response=row.get(b"r", b"").decode(),
        answer=row.get(b"a", b""),
        votes=tuple(zip(votes[::2], votes[1::2], strict=True)),
        messages=words(row.get(b"m", b"")),
        asks_back=b"i" in row,
        reminded_at=float(row[b"g"]) if b"g" in row else None,
        options=None if b"c" not in row else () if row[b"c"] == ANY else words(row[b"c"]),
        complete=words(row.get(b"k", b"")),
    )


@of_run
def run_record(run_id: str, row: Row) -> RunRecord | None:
    """Return a run as stored, or None of an empty *row*."""
    if not row:
        return None
    return RunRecord(
        run_id=run_id,
        workflow=row[b"w"].decode(),
        revision=row[b"g"].decode(),
        status=cast("RunStatus", row[b"s"].decode()),
        version=int(row[b"v"]),
        tenant=row.get(b"t", b"").decode(),
        requester=row.get(b"u", b"").decode(),
        address=row.get(b"a", b"").decode(),
        created_at=float(row[b"c"]),
        thread=row.get(b"h", b"").decode(),
    )


def effect_record(effect_id: str, text: bytes) -> EffectRecord:
    """Return an effect as it stands in an outbox."""
    items = unpack(text[1:])
    if text[:1] == b"d":
        return EffectRecord(effect_id, owed=False, ref=items[1].decode())
    return EffectRecord(effect_id, owed=True, attempts=int(items[1]), body=items[4])


def journal_entry(line: bytes) -> JournalEntry:
    """Return a line of an audit trail."""
    at, what, by, *details = words(line)
    return JournalEntry(float(at), what, by, dict(zip(details[::2], details[1::2], strict=True)))


def doubt_of(member: str) -> tuple[str, str, str]:
    """Return run, effect and reference of a member of `verify`."""
    run_id, size, rest = member.split("|", 2)
    raw = rest.encode()
    return run_id, raw[: int(size)].decode(), raw[int(size) + 1 :].decode()
