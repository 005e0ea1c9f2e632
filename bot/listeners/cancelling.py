"""Cancels runs for whoever started them, and for nobody else."""

from __future__ import annotations

import logging
from dataclasses import replace

from bot.languages import Catalogue
from bot.listeners.finding import Finding
from bot.views.escaping import safe, shorten
from bot.views.listing import Row, name_of
from engine.runner import Runner

logger = logging.getLogger(__name__)


class Cancelling:
    """Ends a run on its requester's word."""

    def __init__(self, runner: Runner, finding: Finding) -> None:
        self._runner = runner
        self._finding = finding

    async def cancel(self, tenant: str, user: str, run_id: str, words: Catalogue) -> tuple[Row | None, str]:
        """Cancel a run of *user*; return it as it is then, None if it is not theirs, and what to tell them.

        Raises:
            StoreUnavailable: it may not be cancelled; try again.
        """
        row = await self._finding.one(tenant, user, run_id)
        if row is None:
            return None, words.runs_unknown.format(run=safe(shorten(run_id, 40)))
        name = safe(name_of(row))
        if not await self._runner.cancel(row.run.run_id, user):
            row = await self._finding.one(tenant, user, row.run.run_id) or row
            if row.run.status != "cancelled":
                return row, words.run_over.format(run=name)
        logger.info("run cancelled", extra={"run_id": row.run.run_id, "by": user})
        return ended(row), words.run_cancelled.format(run=name)


def ended(row: Row) -> Row:
    """Return a run as it is once a worker has seen that it is cancelled."""
    return replace(row, run=replace(row.run, status="cancelled"), waits=())
