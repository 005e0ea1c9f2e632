"""A run that is at work before it is stored: it is stored with what its first steps come to, or once they wait."""

from __future__ import annotations

import asyncio
import time

from engine.errors import FencedError
from engine.run_store import Claim, Commit, NewRun, RunStore


class ClockMoved(Exception):
    """The store's clock is not what a run was begun by; nothing of it was stored."""


class FirstTurn:
    """What a run that is not stored yet has for a store.

    Most first steps do nothing but come to a question: then the run is stored with it, in one call. Where they have
    to wait, or do something that counts once, the run is stored as it was started before anything else; see `keep`.
    """

    def __init__(self, store: RunStore, run: NewRun, worker: str, lease_s: float, offset: float) -> None:
        """The store's clock is ahead of this machine's by *offset* seconds, as far as we know."""
        now = time.time() + offset
        self.claim = run.claimed(now, now + lease_s)
        self.sent = False
        """The run may be there: something was sent to the store."""
        self.stored = False
        self._store = store
        self._run = run
        self._worker = worker
        self._lease_s = lease_s
        self._offset = offset
        self._one_at_a_time = asyncio.Lock()

    async def keep(self) -> None:
        """Store the run as it was started, unless it is stored already.

        Raises:
            FencedError: there is a run of this id.
        """
        async with self._one_at_a_time:
            if not self.stored:
                self.sent = True
                created, _ = await self._store.start(self._run, worker=self._worker, lease_s=self._lease_s)
                if not created:
                    raise FencedError(f"run {self._run.run_id} was there before it was started; drop the work")
                self.stored = True

    # --- what a run at work asks of its store; see `RunStore` ------------------------------------

    async def commit(self, claim: Claim, change: Commit) -> Claim:
        """Apply a transition: the first one creates the run.

        Raises:
            ClockMoved: the store's clock is not what it was; nothing was stored.
            FencedError: another worker has the run, or there is one of this id.
        """
        async with self._one_at_a_time:
            if not self.stored:
                self.sent = True
                now = time.time() + self._offset
                after = await self._store.begin(self._run, change, now, worker=self._worker, lease_s=self._lease_s)
                if after is None:
                    self.sent = False
                    raise ClockMoved(f"the store's clock has moved since run {self._run.run_id} was begun")
                self.stored = True
                return after
        return await self._store.commit(claim, change)

    async def remember(self, claim: Claim, key: str, value: bytes) -> bytes:
        await self.keep()
        return await self._store.remember(claim, key, value)

    async def renew(self, claim: Claim, lease_s: float) -> None:
        await self.keep()
        await self._store.renew(claim, lease_s)

    async def leave(self, claim: Claim, note: str) -> bool:
        await self.keep()
        return await self._store.leave(claim, note)

    async def release(self, claim: Claim) -> None:
        """Give the run back; one that was never sent to the store is forgotten."""
        if self.sent:
            await self._store.release(claim)
