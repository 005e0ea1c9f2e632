"""``signoff runs`` and ``signoff audit``: what an operator does, on the run store alone. No worker has to be there."""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import sys
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

from bot.operations import reports
from bot.plugins import discover
from bot.settings import StoreSettings
from bot.stores import store_of
from engine.drawing import mermaid_durable
from engine.errors import CodecError, RunNotFound
from engine.run_store import OVER, REOPENABLE, Amendment, NewEffect, RunRecord, RunStatus, RunStore, WholeRun
from engine.runner import Runner

REFUSED = 1
"""Exit code for a run that is unknown, or not what it would have to be."""
_DAY_S = 86_400.0
_PAGE = 200


class Refused(Exception):
    """It cannot be done to this run; the message says why, and what can."""


async def operate(settings: StoreSettings, args: argparse.Namespace) -> int:
    """Do what *args* ask for and return the exit code.

    Raises:
        StoreUnavailable: Redis cannot be reached.
        PluginError: a drawing was asked for, and a workflow file cannot be used.
    """
    store = store_of(settings)
    try:
        return await _Operator(store, settings, args).operate()
    except (Refused, RunNotFound, CodecError) as error:
        _complain(error)
        return REFUSED
    finally:
        await store.close()


class _Operator:
    def __init__(self, store: RunStore, settings: StoreSettings, args: argparse.Namespace) -> None:
        self._store = store
        self._settings = settings
        self._args = args
        self._runner = Runner(store)

    async def operate(self) -> int:
        match self._args.action:
            case "list":
                return await self._list()
            case "show":
                return await self._show()
            case "export":
                print(reports.json_text(reports.whole_json(await self._whole()), indent=2))
                return 0
            case "audit":
                return await self._audit()
            case "purge" if not self._args.ids:
                return await self._purge_old()
            case _:
                return await self._change_each()

    # --- looking -----------------------------------------------------------------------------

    async def _list(self) -> int:
        found = [run async for run in self._found(frozenset(self._args.status), self._args.limit)]
        if self._args.json:
            _say(reports.json_lines(map(reports.run_json, found)))
        elif found:
            _say(reports.table(found, time.time()))
        else:
            print("no such run")
        if found and len(found) == self._args.limit and not self._args.json:
            print(f"\nthere may be more: --before {found[-1].run_id}")
        return 0

    async def _found(self, statuses: frozenset[RunStatus], limit: int | None) -> AsyncIterator[RunRecord]:
        """Find the runs that the command line asks for, newest first; None: all of them."""
        args = self._args
        older_than = getattr(args, "older_than", None)
        place = None if older_than is None else (time.time() - older_than * _DAY_S, "")
        if before := getattr(args, "before", None):
            first = (await self._run(before)).place
            place = first if place is None else min(first, place)
        while limit is None or limit > 0:
            page = await self._store.runs(
                statuses=statuses,
                workflow=args.workflow,
                tenant=args.tenant,
                requester=args.requester,
                before=place,
                limit=_PAGE if limit is None else min(limit, _PAGE),
            )
            if not page:
                return
            for run in page:
                yield run
            place = page[-1].place
            limit = None if limit is None else limit - len(page)

    async def _show(self) -> int:
        whole, lines = await self._whole(), self._args.journal
        if self._args.mermaid:
            plugins = discover(self._settings.workflows).values()
            runner = Runner(self._store, [plugin.workflow for plugin in plugins])
            print(await mermaid_durable(runner, whole.run.run_id), end="")
        elif self._args.json:
            _say(reports.json_lines([reports.details_json(whole, lines)]))
        else:
            _say(reports.details(whole, lines, shutil.get_terminal_size((100, 24)).columns))
        return 0

    async def _audit(self) -> int:
        """Print every decision of every run there is when it begins, in no more memory than a run takes."""
        code, since, until = 0, self._args.since or 0.0, self._args.until or float("inf")
        async for run in self._found(frozenset(), None):
            try:
                lines = [line for line in await self._store.journal(run.run_id) if since <= line.at < until]
            except CodecError as error:
                _complain(error)
                code = REFUSED
                continue
            facts = [fact for line in lines if (fact := reports.decision_json(run, line)) is not None]
            _say(reports.json_lines(facts) if self._args.json else map(reports.decision_line, facts))
        return code

    async def _run(self, run_id: str) -> RunRecord:
        run = await self._store.run(run_id)
        if run is None:
            raise _unknown(run_id)
        return run

    async def _whole(self) -> WholeRun:
        (run_id,) = self._args.ids
        whole = await self._store.export(run_id)
        if whole is None:
            raise _unknown(run_id)
        return whole

    # --- changing ----------------------------------------------------------------------------

    async def _change_each(self) -> int:
        code = 0
        for run_id in self._args.ids:
            try:
                self._tell(*await self._change(run_id))
            except (Refused, RunNotFound, CodecError) as error:
                _complain(error)
                code = REFUSED
        return code

    async def _change(self, run_id: str) -> tuple[str, dict[str, Any]]:
        """Do one thing to one run; return what to tell of it, in words and as JSON."""
        match self._args.action:
            case "cancel":
                return await self._cancel(run_id)
            case "retry":
                return await self._retry(run_id)
            case "fork":
                await self._run(run_id)
                new = await self._runner.fork(run_id, self._args.by)
                return f"{new} is a fork of {run_id}", {"run": new, "did": "fork", "from": run_id}
            case "purge":
                return await self._purge(run_id)
            case "redraw":
                return await self._redraw(run_id)
            case action:
                raise AssertionError(action)

    async def _cancel(self, run_id: str) -> tuple[str, dict[str, Any]]:
        if not await self._runner.cancel(run_id, self._args.by):
            raise Refused(f"run {run_id} is over already: it is {(await self._run(run_id)).status}")
        told = f"{run_id} is cancelled; its questions are closed, and the next worker ends it"
        return told, {"run": run_id, "did": "cancel"}

    async def _retry(self, run_id: str) -> tuple[str, dict[str, Any]]:
        was = await self._runner.reopen(run_id, self._args.by)
        if was is None:
            raise _unknown(run_id)
        if was == "done":
            raise Refused(f"run {run_id} is done; to begin it again: signoff runs fork {run_id}")
        if was not in REOPENABLE:
            raise Refused(f"run {run_id} is {was}; only one that is parked, failed or cancelled can be tried again")
        return f"{run_id} was {was}; the next worker goes on with it", {"run": run_id, "did": "retry", "was": was}

    async def _redraw(self, run_id: str) -> tuple[str, dict[str, Any]]:
        """Owe Slack every open question as it is stored: what was shown since an older backup is not known here."""
        await self._run(run_id)
        asks = [ask.ask_id for ask in await self._store.open_asks(run_id)]
        if not asks:
            raise Refused(f"run {run_id} has no open question")
        for ask_id in asks:
            once = f"{ask_id}:{secrets.token_hex(4)}"
            effect = NewEffect(f"redraw:{once}", ask_id=ask_id)
            await self._runner.amend(Amendment(run_id, ask_id, once, self._args.by, "redrawn", effects=[effect]))
        told = f"{run_id} is redrawn by the next worker: {', '.join(asks)}"
        return told, {"run": run_id, "did": "redraw", "asks": asks}

    async def _purge(self, run_id: str) -> tuple[str, dict[str, Any]]:
        was = await self._store.purge(run_id, force=self._args.force)
        if was is None:
            raise _unknown(run_id)
        if was not in OVER and not self._args.force:
            raise Refused(f"run {run_id} is {was}; cancel it first, or remove it as it is with --force")
        return f"{run_id} was {was} and is gone", {"run": run_id, "did": "purge", "was": was}

    async def _purge_old(self) -> int:
        statuses: frozenset[RunStatus] = frozenset() if self._args.force else OVER
        gone, code = 0, 0
        async for run in self._found(statuses, None):
            try:
                told = await self._purge(run.run_id)
            except Refused:  # removed, or taken up again, since it was found
                continue
            except CodecError as error:
                _complain(error)
                code = REFUSED
                continue
            gone += 1
            if self._args.json:
                self._tell(*told)
        if not self._args.json:
            print(f"{gone} {'run is' if gone == 1 else 'runs are'} gone")
        return code

    def _tell(self, text: str, fact: dict[str, Any]) -> None:
        print(json.dumps(fact) if self._args.json else text)


def _unknown(run_id: str) -> Refused:
    return Refused(f"no run {run_id}; `signoff runs list` tells which there are")


def _complain(error: Exception) -> None:
    print(f"signoff: {reports.line_of(str(error))}", file=sys.stderr)


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)
