"""`RedisRunStore`: each verb that changes a run, one script and one round trip."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from engine.errors import CodecError
from engine.redis.connections import connections_to
from engine.redis.copies import Copies
from engine.redis.keys import Keys, new_run_id
from engine.redis.outbox import Outbox
from engine.redis.rows import (
    Argument,
    ask_arguments,
    ask_ids,
    closed_asks,
    counted,
    entry_of,
    listed,
    named,
    of_run,
    pack,
    unseen_argument,
    verdict_of,
    words,
)
from engine.redis.scripts import Server
from engine.run_store import (
    ASKS_KEPT,
    KEPT_S,
    OVER,
    PATIENCE_S,
    Amendment,
    Answer,
    Claim,
    Commit,
    Entry,
    NewRun,
    Refusal,
    RunStatus,
    checked_run_id,
)
from engine.verdicts import Verdict

logger = logging.getLogger(__name__)


class RedisRunStore(Copies, Outbox):
    """A `RunStore` on Redis or Valkey; see `engine.redis` for what it writes.

    *lanes* is how many parts the work is spread over: at least the number of shards. It may change while
    runs are open. *ttl_s* is how long a run is kept once it is over, *patience_s* how long one that some workers
    cannot read is left to others.
    """

    def __init__(
        self,
        server: Server,
        *,
        prefix: str = "signoff",
        lanes: int = 8,
        ttl_s: float = KEPT_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.prefix = prefix
        self.server = self._server = server
        self._keys = Keys(prefix, lanes)
        self._ttl_s = max(1, int(ttl_s))
        self._patience_s = patience_s

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        prefix: str = "signoff",
        lanes: int = 8,
        ttl_s: float = KEPT_S,
        patience_s: float = PATIENCE_S,
        timeout_s: float = 5.0,
        replicas: int = 0,
    ) -> RedisRunStore:
        """Connect to one server, through Sentinel, or to a cluster; `connections_to` says how *url* tells.

        *timeout_s* limits each call. A call is never sent twice: only the caller knows what a lost reply means
        for it. With *replicas*, nothing is said to be kept before so many of them have it.

        Raises:
            ValueError: *url* is no address of Redis.
        """
        server = Server(connections_to(url, timeout_s), replicas, timeout_s)
        return cls(server, prefix=prefix, lanes=lanes, ttl_s=ttl_s, patience_s=patience_s)

    async def close(self) -> None:
        """Close its connections to the server."""
        await self._server.close()

    def new_run_id(self, key: str | None = None) -> str:
        return new_run_id(key, self._keys.lanes)

    async def start(self, run: NewRun, *, worker: str = "", lease_s: float = 0.0) -> tuple[bool, Claim | None]:
        checked_run_id(run.run_id)
        told = await self._server.run(
            "start",
            [*self._keys.of(run.run_id), self._keys.by(run.run_id, run.tenant, run.requester)],
            run.run_id,
            run.workflow,
            run.revision,
            run.event,
            run.tenant,
            run.requester,
            run.address,
            worker,
            lease_s,
            run.fence,
        )
        created = told[0] == 1
        if len(told) == 1:
            return created, None
        return created, run.claimed(float(told[1][2]), float(told[1][3])) if created else _claim(run.run_id, told[1])

    async def begin(self, run: NewRun, change: Commit, now: float, *, worker: str, lease_s: float) -> Claim | None:
        checked_run_id(run.run_id)
        opened = change.opened()
        claim = run.claimed(now, now + lease_s)
        told = await self._server.run(
            "begin",
            [
                *self._keys.of(run.run_id, [*opened, *change.withdrawn]),
                self._keys.by(run.run_id, run.tenant, run.requester),
            ],
            *self._transition(claim, change, (), ()),
            now,
            run.workflow,
            run.revision,
            run.tenant,
            run.requester,
            run.address,
            worker,
            lease_s,
        )
        if told == b"fenced":
            raise claim.overtaken()
        return None if told is None else _next_claim(claim, change, told)

    async def send(self, run_id: str, delivery_id: str, event: bytes) -> bool:
        told: int = await self._server.run("send", self._keys.of(run_id), run_id, delivery_id, event)
        return told == 1

    async def deliver(self, answer: Answer) -> Verdict:
        return (await self._deliver(answer, "", 0.0, ()))[0]

    async def deliver_and_claim(
        self, answer: Answer, worker: str, lease_s: float, workflows: Sequence[str] = ()
    ) -> tuple[Verdict, Claim | None]:
        return await self._deliver(answer, worker, lease_s, workflows)

    async def _deliver(
        self, answer: Answer, worker: str, lease_s: float, workflows: Sequence[str]
    ) -> tuple[Verdict, Claim | None]:
        told: Any = await self._server.run(
            "deliver",
            self._keys.of(answer.run_id, [answer.ask_id]),
            answer.run_id,
            answer.ask_id,
            answer.delivery_id,
            answer.actor,
            answer.response,
            answer.body,
            "" if answer.revision is None else answer.revision,
            "1" if answer.final else "",
            answer.via,
            unseen_argument(answer),
            answer.approves,
            worker,
            lease_s,
            *workflows,
        )
        if isinstance(told, bytes):
            return verdict_of(told), None
        return verdict_of(told[0]), _claim(answer.run_id, told[1])

    async def amend(self, change: Amendment) -> Verdict:
        told: bytes = await self._server.run(
            "amend",
            self._keys.of(change.run_id, [change.ask_id]),
            change.run_id,
            change.ask_id,
            change.delivery_id,
            change.actor,
            change.what,
            change.note,
            "" if change.allowed is None else "1",
            "1" if change.asks_back else "",
            pack(change.before),
            pack(change.allowed or ()),
            *(item for made in change.effects for item in (made.effect_id, made.body)),
        )
        return verdict_of(told)

    async def refuse(self, refusal: Refusal) -> Verdict:
        told: bytes = await self._server.run(
            "refuse",
            self._keys.of(refusal.run_id, [refusal.ask_id]),
            refusal.run_id,
            refusal.ask_id,
            refusal.delivery_id,
            refusal.actor,
            refusal.response,
            refusal.why,
            refusal.via,
            *refusal.allowed,
        )
        return verdict_of(told)

    async def claim(self, run_id: str, worker: str, lease_s: float, workflows: Sequence[str] = ()) -> Claim | None:
        told = await self._server.run(
            "claim", self._keys.of(run_id), run_id, worker, lease_s, self._patience_s, *workflows
        )
        return None if told is None else _claim(run_id, told)

    async def renew(self, claim: Claim, lease_s: float) -> None:
        told = await self._server.run("renew", self._keys.of(claim.run_id), claim.run_id, claim.fence, lease_s)
        if told != 1:
            raise claim.overtaken()

    async def remember(self, claim: Claim, key: str, value: bytes) -> bytes:
        told: bytes | None = await self._server.run(
            "remember", self._keys.of(claim.run_id), claim.run_id, claim.fence, key, value
        )
        if told is None:
            raise claim.overtaken()
        return told

    async def release(self, claim: Claim) -> None:
        if await self._server.run("release", self._keys.of(claim.run_id), claim.run_id, claim.fence) != 1:
            raise claim.overtaken()

    async def leave(self, claim: Claim, note: str) -> bool:
        told = await self._server.run(
            "leave", self._keys.of(claim.run_id), claim.run_id, claim.fence, self._patience_s, note
        )
        if told == -1:
            raise claim.overtaken()
        return bool(told)

    async def commit(self, claim: Claim, change: Commit) -> Claim:
        held = claim.asks if change.status in OVER else ()
        forgotten = claim.asks[: -(ASKS_KEPT // 2)] if len(claim.asks) > ASKS_KEPT and not held else ()
        opened = change.opened()
        told = await self._server.run(
            "commit",
            self._keys.of(claim.run_id, [*opened, *change.withdrawn, *held, *forgotten]),
            *self._transition(claim, change, held, forgotten),
        )
        if told == b"fenced":
            raise claim.overtaken()
        if told[0] == b"closed":
            raise ValueError(
                f"ask {told[1].decode()!r} of run {claim.run_id} is closed; give the new question a new id"
            )
        return _next_claim(claim, change, told)

    def _transition(
        self, claim: Claim, change: Commit, held: Sequence[str], forgotten: Sequence[str]
    ) -> Sequence[Argument]:
        """Return a transition as `commit.lua` reads it."""
        return [
            claim.run_id,
            claim.fence,
            claim.version,
            change.status,
            change.consumed,
            "" if change.wake_at is None else change.wake_at,
            "1" if change.release else "",
            change.note,
            self._ttl_s,
            *counted(change.written.items()),
            *listed(change.removed),
            *listed(change.forgotten),
            *counted([ask_arguments(ask) for ask in change.asks]),
            *listed(change.withdrawn),
            *counted([(made.effect_id, made.body, made.ask_id) for made in change.effects]),
            *listed(held),
            *listed(forgotten),
        ]

    async def cancel(self, run_id: str, by: str) -> bool:
        told = -1
        while told == -1:  # a commit may open another ask between our two calls
            asks = await self._open_ids(run_id)
            told = await self._server.run("cancel", self._keys.of(run_id, asks), run_id, by, *asks)
        return told == 1

    async def reopen(self, run_id: str, by: str) -> RunStatus | None:
        was = "changed"
        while was == "changed":  # a commit may close another ask between our two calls
            closed: bytes = await self._server.read("HGET", self._keys.at(run_id, "meta"), "x") or b""
            told: bytes = await self._server.run(
                "reopen", self._keys.of(run_id, closed_asks(run_id, closed)), run_id, by, closed
            )
            was = told.decode(errors="replace")
        return cast("RunStatus", was) if was else None

    async def fire_timers(self, limit: int = 100) -> Sequence[str]:
        due = [member.split("|", 1) for member in await self._due("timers", limit)]
        calls = [(self._keys.of(run_id, [ask_id]), [run_id, ask_id]) for run_id, ask_id in due]
        told = await self._server.try_each("fire", calls)
        for (run_id, ask_id), answer in zip(due, told, strict=True):
            if isinstance(answer, CodecError):
                logger.warning("timer not fired", extra={"run_id": run_id, "ask": ask_id, "reason": str(answer)})
        return list(dict.fromkeys(run_id for (run_id, _), ready in zip(due, told, strict=True) if ready == 1))


def _entries(inbox: Iterable[bytes]) -> tuple[Entry, ...]:
    return tuple(map(entry_of, inbox))


def _asks(run_id: str, closed: bytes, members: Iterable[bytes]) -> tuple[str, ...]:
    """Return the ids of a run's asks, those closed first, from its meta and the index `open`."""
    return (*words(closed), *ask_ids(run_id, members))


@of_run
def _claim(run_id: str, told: Sequence[Any]) -> Claim:
    fence, attempts, now, until, meta, inbox, state, memo, asks = told
    version, workflow, revision, requester, tenant, closed = (value or b"" for value in meta)
    return Claim(
        run_id=run_id,
        workflow=workflow.decode(),
        revision=revision.decode(),
        fence=int(fence),
        version=int(version),
        now=float(now),
        until=float(until),
        attempts=int(attempts),
        state=named(state),
        inbox=_entries(inbox),
        memo=named(memo),
        requester=requester.decode(),
        tenant=tenant.decode(),
        asks=_asks(run_id, closed, asks),
    )


def _next_claim(claim: Claim, change: Commit, told: Sequence[Any]) -> Claim:
    now, version, inbox, *held = told
    until, memo, closed, asks = held or (now, (), b"", ())
    return Claim(
        run_id=claim.run_id,
        workflow=claim.workflow,
        revision=claim.revision,
        fence=claim.fence,
        version=int(version),
        now=float(now),
        until=float(until),
        attempts=0,
        state=_state_after(claim, change) if held else {},
        inbox=_entries(inbox),
        memo=named(memo) if held else {},
        requester=claim.requester,
        tenant=claim.tenant,
        asks=_asks(claim.run_id, closed, asks) if held else (),
    )


def _state_after(claim: Claim, change: Commit) -> Mapping[str, bytes]:
    if not change.written and not change.removed:
        return claim.state
    gone = set(change.removed)
    return {name: value for name, value in {**claim.state, **change.written}.items() if name not in gone}
