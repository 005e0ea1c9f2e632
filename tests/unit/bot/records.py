"""A run and a question of it as they are stored, for tests to change with `dataclasses.replace`."""

from __future__ import annotations

from engine.run_store import AskRecord, RunRecord

RUN = RunRecord("k1-abc", "Deploy", "r1", "waiting", 1, "T1", "U1", "C1", 1_700_000_000.0, "C1:17.5")
ASK = AskRecord(
    run_id="k1-abc",
    ask_id="a1",
    status="open",
    revision=1,
    event=b"",
    digest="",
    allowed=("U2", "S1"),
    quorum=2,
    self_approval=True,
    opened_at=1.0,
    deadline=1_700_000_500.0,
    by="",
    at=0.0,
    response="",
    answer=b"",
    votes=(("U2", "ship"),),
    messages=("C1:17.5",),
)
