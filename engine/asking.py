"""What is stored of a question when it is asked, and what is refused of one that cannot be asked as it is. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from engine.core.codec import Codec
from engine.core.model import Ask
from engine.core.questions import listed, seconds, words
from engine.errors import CodecError
from engine.events import InputRequiredEvent
from engine.run_store import NewAsk, Timer, TimerKind

_LADDER: tuple[TimerKind, ...] = ("remind", "escalate")


def new_ask(ask: Ask, codec: Codec, requester: str) -> NewAsk:
    """Return what is stored of a question in a run that *requester* has started.

    Raises:
        CodecError: it has no stored form, or it cannot be told who may answer, or too few ever may.
    """
    event = ask.event
    assert event is not None
    _check_answerable(event, requester)
    body = codec.dumps(event, f"question {ask.id}")
    rungs = [Timer("expire", 0, ask.deadline)] if ask.deadline is not None else []
    for kind in _LADDER:
        for n, rung in enumerate(listed(getattr(event, kind, None))):
            after_s = seconds(getattr(rung, "after", rung))
            if after_s is not None:
                rungs.append(Timer(kind, n, ask.opened_at + after_s))
    return NewAsk(
        ask_id=ask.id,
        event=body,
        digest=hashlib.sha256(body).hexdigest()[:16],
        allowed=_allowed(event),
        quorum=_quorum(event),
        self_approval=bool(getattr(event, "self_approval", True)),
        options=words(getattr(event, "options", None)),
        complete=words(getattr(event, "complete_options", None)),
        deadline=ask.deadline,
        timers=tuple(rungs),
    )


def too_late(ask: NewAsk) -> Sequence[str]:
    """Return the rungs of its ladder that never come, since it expires before, as "remind 2"."""
    end = ask.deadline
    return [f"{rung.kind} {rung.n + 1}" for rung in ask.timers if rung.kind in _LADDER and end and rung.at >= end]


def _allowed(event: InputRequiredEvent) -> tuple[str, ...]:
    """Return who may answer, none: anybody.

    Raises:
        CodecError: it cannot be told; nobody is let in for that.
    """
    given = getattr(event, "allowed", None)
    if given and not words(given):
        raise CodecError(f"allowed is {given!r}; give a list of the ids of those who may answer, or leave it out")
    return words(given)


def _quorum(event: InputRequiredEvent) -> int:
    """Return how many have to agree; raises as `_allowed`."""
    given = getattr(event, "quorum", None) or 1
    if type(given) is not int or given < 1:
        raise CodecError(f"quorum is {given!r}; give the number of people who have to agree, or leave it out")
    return given


def _check_answerable(event: InputRequiredEvent, requester: str) -> None:
    """Raise `CodecError` for a question that too few may ever answer, once its asker is barred from it."""
    allowed, quorum = set(_allowed(event)), _quorum(event)
    if getattr(event, "self_approval", True) or requester not in allowed:
        return
    others = {who for rung in listed(getattr(event, "escalate", None)) for who in words(getattr(rung, "to", None))}
    left, groups = (allowed | others) - {requester}, getattr(event, "groups", None)
    needed = 1 if groups is None else quorum
    if len(left) < needed and left.isdisjoint(words(groups)):
        found = f"quorum is {quorum} but only {', '.join(sorted(left))} may answer" if left else "nobody may answer"
        raise CodecError(
            f"{found}: {requester} is named, too, but has started the run, and self_approval=False (four_eyes) bars "
            "whoever has; name somebody else besides, or let them answer"
        )
