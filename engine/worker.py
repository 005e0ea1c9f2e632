"""Work on durable runs: claim, reduce, perform, commit; and what becomes of a run that cannot go on here.

Nothing of a run stays in the process once it waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from engine.core.codec import Codec
from engine.core.weight import Scale
from engine.errors import CodecError, ContextSerdeError, FencedError, StoreUnavailable
from engine.events import WorkflowCancelledEvent
from engine.first_turn import ClockMoved, FirstTurn
from engine.held_run import RESULT, HeldRun
from engine.run_store import Claim, Commit, NewEffect, NewRun, RunStore
from engine.workflow import Workflow

logger = logging.getLogger(__name__)

LEASE_S = 30.0
RELEASE_LIMIT_S = 1.0
"""How long work that is cancelled may still take to give its run back."""
LONGEST_LEASE_S = 600.0
MAX_ATTEMPTS = 5
PARKED = "parked"
"""Id, before a colon and the version, of the effect that tells that a run cannot go on with this code; its body
says why."""


class Worker:
    """Works on runs of a store, each until it waits or is over. What its options mean stands in `Runner`."""

    def __init__(
        self,
        store: RunStore,
        workflows: Mapping[str, Workflow],
        *,
        name: str,
        lease_s: float,
        max_attempts: int,
        wake: Callable[[str], Awaitable[None]],
        limit_bytes: int,
        warn_bytes: int,
    ) -> None:
        """*workflows* are those known here by the names of their runs; more may be added to it any time."""
        self._store = store
        self._workflows = workflows
        self.name = name
        self.lease_s = lease_s
        self._max_attempts = max_attempts
        self._wake = wake
        self._limit_bytes = limit_bytes
        self._warn_bytes = warn_bytes
        self._offset: float | None = None
        """How far the store's clock is ahead of ours, as far as we have heard."""

    @property
    def known(self) -> tuple[str, ...]:
        """The names of the workflows that are known here."""
        return tuple(self._workflows)

    async def work(self, run_id: str) -> bool:
        """Do what a run has to do; see `Runner.work`."""
        claim = await self._store.claim(run_id, self.name, self.lease_s, self.known)
        try:
            return claim is not None and await self._work_from(claim)
        except* (CodecError, StoreUnavailable) as error:  # in a group, where a step was at work meanwhile
            raise _first(error) from None

    async def begin(self, run: NewRun) -> bool:
        """Work on a new run that is stored with what it comes to; False if the store's clock is not known for that.

        Raises:
            StoreUnavailable: it is not stored, as far as we know.
        """
        if self._offset is None:
            return False
        begun = True
        first = FirstTurn(self._store, run, self.name, self.lease_s, self._offset)
        try:
            await self._work_from(first.claim, first)
        except* ClockMoved:
            begun, self._offset = False, None
        except* StoreUnavailable as error:
            if not first.stored:
                raise _first(error) from None
            _leave_for_later(run.run_id, error)
        return begun

    async def work_at_once(self, claim: Claim | None) -> None:
        """Work on a run just started or answered. What stands in its way is met again by whoever sweeps."""
        if claim is not None:
            try:
                await self._work_from(claim)
            except* (CodecError, StoreUnavailable) as error:
                _leave_for_later(claim.run_id, error)

    async def _work_from(self, first: Claim, store: RunStore | FirstTurn | None = None) -> bool:
        """Work on a claimed run, and go on while it has something to do; tell whether anything stands.

        *store* is what the first claim is worked with, if that is not the worker's.
        """
        claim: Claim | None = first
        worked = False
        while claim is not None:
            run_id = claim.run_id
            released: Claim | None = None
            try:
                released = await self._work_on(claim, store or self._store)
            except* FencedError:
                logger.warning("another worker has taken the run over", extra={"run_id": run_id})
            if released is None:
                return worked
            worked = True
            self._offset = released.now - time.time()
            if not released.inbox:
                break
            store = None
            claim = await self._store.claim(run_id, self.name, self.lease_s, self.known)
        return worked

    async def _work_on(self, claim: Claim, store: RunStore | FirstTurn) -> Claim | None:
        held: HeldRun | None = None
        scale = Scale(self._limit_bytes, self._warn_bytes)
        try:
            workflow = self._workflow(claim)
            if claim.attempts > self._max_attempts and not _is_cancelled(claim):
                await self._park(store, claim, f"{self._max_attempts} workers in a row ended while they worked on it")
                return None
            lease_s = await self._lease(claim)
            held = HeldRun(store, workflow, claim, lease_s, scale, await self._questions(claim))
            return await held.work(workflow.run_slot)
        except ContextSerdeError as error:
            await self._give_up(store, claim if held is None else held.claim, str(error))
            return None
        except asyncio.CancelledError:
            await self._release(store, claim if held is None else held.claim)
            raise

    def _workflow(self, claim: Claim) -> Workflow:
        try:
            return self._workflows[claim.workflow]
        except KeyError:
            raise ContextSerdeError(
                f"workflow {claim.workflow} is known to no worker; this one knows {', '.join(self._workflows)}"
            ) from None

    async def _lease(self, claim: Claim) -> float:
        """Return for how many seconds the run is held at a time: longer, the more workers have died of it."""
        if claim.attempts < 2:
            return self.lease_s
        before = {"run_id": claim.run_id, "attempt": claim.attempts}
        logger.warning("run taken up again, since a worker that held it ended, stalled or lost the store", extra=before)
        lease_s = max(self.lease_s, min(self.lease_s * 2.0 ** (claim.attempts - 1), LONGEST_LEASE_S))
        await self._store.renew(claim, lease_s)
        return lease_s

    async def _questions(self, claim: Claim) -> Mapping[str, bytes]:
        """Return the questions of a run that was reopened; any other has no need of them."""
        if not any(entry.kind == "reopened" for entry in claim.inbox):
            return {}
        asks = [await self._store.ask(claim.run_id, ask_id) for ask_id in claim.asks]
        return {ask.ask_id: ask.event for ask in asks if ask is not None}

    async def _give_up(self, store: RunStore | FirstTurn, claim: Claim, reason: str) -> None:
        """Leave a run that this code cannot read to workers of other code; park it once they have had their time.

        One that is cancelled ends at once.
        """
        told = {"run_id": claim.run_id, "reason": reason}
        if _is_cancelled(claim):
            logger.warning("run cancelled, though its stored state cannot be read", extra=told)
            codec = Codec({WorkflowCancelledEvent.__name__: WorkflowCancelledEvent})
            result = NewEffect(RESULT, codec.dumps(WorkflowCancelledEvent(), RESULT))
            await store.commit(claim, Commit("cancelled", len(claim.inbox), effects=[result], note=reason))
        elif await store.leave(claim, reason):
            logger.warning("run left to other workers", extra=told)
        else:
            await self._park(store, claim, f"no worker can read its stored state: {reason}; deploy code that can")

    async def _release(self, store: RunStore | FirstTurn, claim: Claim) -> None:
        """Let another worker go on at once; if that fails, it does once the lease is over."""
        try:
            async with asyncio.timeout(RELEASE_LIMIT_S):
                await store.release(claim)
                logger.warning("run given back in the middle of a step", extra={"run_id": claim.run_id})
                await self._wake(claim.run_id)
        except (FencedError, StoreUnavailable, TimeoutError) as error:
            logger.warning("run not given back", extra={"run_id": claim.run_id, "reason": str(error)})

    async def _park(self, store: RunStore | FirstTurn, claim: Claim, reason: str) -> None:
        """Set a run aside that this code cannot go on with, and say so."""
        logger.error("run parked", extra={"run_id": claim.run_id, "reason": reason})
        effect = NewEffect(f"{PARKED}:{claim.version}", reason.encode())
        await store.commit(claim, Commit("parked", effects=[effect], note=reason))


def _is_cancelled(claim: Claim) -> bool:
    """Tell whether the run is to end: no step has to be run for that."""
    return any(entry.kind == "cancelled" for entry in claim.inbox)


def _leave_for_later(run_id: str, error: BaseExceptionGroup[CodecError | StoreUnavailable]) -> None:
    logger.warning("run left for later", extra={"run_id": run_id, "reason": str(_first(error))})


def _first(error: BaseExceptionGroup[CodecError | StoreUnavailable]) -> BaseException:
    """Return the first of the errors in a group."""
    found: BaseException = error
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
