"""Finds what one person is to see of their runs, as rows to be listed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

from bot.asking.prompts import Question, question_of
from bot.views.listing import LAST_PAGE, PAGE, Row, Waiting
from engine.core.snapshot import START
from engine.errors import CodecError, ContextSerdeError, RunNotFound
from engine.run_store import AskRecord, RunRecord
from engine.runner import Runner

LINKS_KEPT = 2000
_NUMBER = re.compile(r"\d{1,9}")  # Python reads no number of more than 4,300 digits


class Finding:
    """Looks runs and questions up. Each method raises `StoreUnavailable`."""

    def __init__(
        self,
        runner: Runner,
        commands: Mapping[str, str],
        permalink: Callable[[str, str], Awaitable[str | None]],
    ) -> None:
        """*commands* is the slash command of each workflow by the name its runs are stored under; *permalink*
        returns the address of a message by its tenant and reference, or None.
        """
        self._runner = runner
        self._commands = commands
        self._permalink = permalink
        self._links: dict[tuple[str, str], str] = {}

    async def page(self, tenant: str, user: str, page: int) -> tuple[list[Row], bool]:
        """Return one page, counted from 0, of what somebody has started, newest first, and whether there are more."""
        first = PAGE * min(page, LAST_PAGE)
        runs = await self._runner.store.runs(tenant=tenant, requester=user, limit=first + PAGE + 1)
        return await self.rows(runs[first : first + PAGE]), len(runs) > first + PAGE

    async def one(self, tenant: str, user: str, given: str) -> Row | None:
        """Return somebody's own run, by its number in the list of all (1 is the newest) or by its id."""
        run = await self._numbered(tenant, user, given) or await self._runner.store.run(given)
        if run is None or run.tenant != tenant or run.requester != user:
            return None
        return (await self.rows([run]))[0]

    async def rows(self, runs: Sequence[RunRecord]) -> list[Row]:
        """Return runs with what is to be known of them, in the same order."""
        links = await self._links_to([(run.tenant, run.thread) for run in runs])
        return [await self._row(run, link) for run, link in zip(runs, links, strict=True)]

    async def asked(self, asks: Sequence[AskRecord]) -> list[Row]:
        """Return open questions, each with its run and the way to its own message; those of runs that are gone not."""
        runs = [await self.run_of(ask) for ask in asks]
        found = [(run, ask) for run, ask in zip(runs, asks, strict=True) if run is not None]
        links = await self._links_to([(run.tenant, "".join(ask.messages[-1:])) for run, ask in found])
        return [
            Row(run, self._command(run), "", link, (Waiting(ask, self._question(run, ask)),))
            for (run, ask), link in zip(found, links, strict=True)
        ]

    async def run_of(self, ask: AskRecord) -> RunRecord | None:
        """Return the run that asked; None if it is gone, or cannot be read."""
        try:
            return await self._runner.store.run(ask.run_id)
        except CodecError:
            return None

    async def _numbered(self, tenant: str, user: str, given: str) -> RunRecord | None:
        number = int(given) if _NUMBER.fullmatch(given) else 0
        if not 1 <= number <= PAGE * (LAST_PAGE + 1):
            return None
        runs = await self._runner.store.runs(tenant=tenant, requester=user, limit=number)
        return runs[-1] if len(runs) == number else None

    async def _row(self, run: RunRecord, link: str | None) -> Row:
        waits = [Waiting(ask, self._question(run, ask)) for ask in await self._open(run)]
        return Row(run, self._command(run), await self._typed(run), link, tuple(waits))

    def _command(self, run: RunRecord) -> str:
        return self._commands.get(run.workflow, run.workflow)

    async def _open(self, run: RunRecord) -> Sequence[AskRecord]:
        try:
            return await self._runner.store.open_asks(run.run_id)
        except ContextSerdeError:  # without the key that it was sealed with
            return ()

    async def _typed(self, run: RunRecord) -> str:
        """Return what was typed to start a run; "" before its first step, and where that cannot be read."""
        try:
            stored = (await self._runner.store.state(run.run_id, START)).get(START)
            event = None if stored is None else self._runner.codec(run.workflow).loads(stored, "start event")
        except (ContextSerdeError, RunNotFound):
            return ""
        return str(getattr(event, "text", ""))

    def _question(self, run: RunRecord, ask: AskRecord) -> Question | None:
        try:
            return question_of(self._runner.question(run, ask))
        except (ContextSerdeError, RunNotFound):
            return None

    async def _links_to(self, refs: Sequence[tuple[str, str]]) -> list[str | None]:
        """Return the addresses of messages, by tenant and reference; None where there is none to be had."""
        async with asyncio.TaskGroup() as tasks:
            found = [tasks.create_task(self._link(tenant, ref)) for tenant, ref in refs]
        return [task.result() for task in found]

    async def _link(self, tenant: str, ref: str) -> str | None:
        known = self._links.get((tenant, ref))
        if ref and known is None and (known := await self._permalink(tenant, ref)) is not None:
            self._links[tenant, ref] = known
            if len(self._links) > LINKS_KEPT:
                del self._links[next(iter(self._links))]
        return known
