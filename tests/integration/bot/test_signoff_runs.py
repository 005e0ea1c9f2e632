"""``signoff runs``, as an operator calls it: a process of its own, on a real Redis."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from argparse import Namespace
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot import CommandReceived
from bot.operations import runs
from bot.operations.runs import operate
from bot.plugins import discover
from bot.settings import load_store
from engine import Workflow
from engine.keyring import Keyring, new_key
from engine.memory_store import MemoryRunStore
from engine.redis import RedisRunStore
from engine.run_store import Commit, NewRun, RunRecord
from engine.runner import Runner
from engine.sealed_store import SealedRunStore
from tests.e2e.process import Ended, environment, signoff

WORKFLOWS = Path(__file__).parents[3] / "workflows"


class Told(Ended):
    """What a command has printed, as JSON."""

    @property
    def facts(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines()]


@dataclass(frozen=True)
class Desk:
    """An operator's terminal, and the worker that is there otherwise."""

    store: SealedRunStore
    runner: Runner
    deploy: Workflow
    settings: dict[str, str]
    folder: Path

    async def start(self, text: str = "v2", requester: str = "U1") -> str:
        event = CommandReceived(text=text, user_id=requester, channel_id="C1")
        run_id = await self.runner.start(self.deploy, event, requester=requester, address="C1")
        await self.runner.drain(run_id)
        return run_id

    async def finish(self, run_id: str) -> None:
        (ask,) = (await self.runner.view(run_id)).asks
        await self.runner.answer(run_id, ask.id, "ship", user_id="U2")
        await self.runner.drain(run_id)

    async def park(self, run_id: str) -> None:
        await self.store.send(run_id, "d1", b"event")
        claim = await self.store.claim(run_id, "w1", 30.0)
        assert claim is not None
        await self.store.commit(claim, Commit("parked", consumed=1, note="no step of that name"))

    async def runs(self, *arguments: str, **changes: str) -> Told:
        return await self.signoff("runs", *arguments, **changes)

    async def signoff(self, *arguments: str, **changes: str) -> Told:
        ended = await signoff({**self.settings, **changes}, self.folder, *arguments)
        assert "Traceback" not in ended.stderr
        return Told(ended.code, ended.stdout, ended.stderr)


@pytest.fixture
async def desk(redis_url: str, prefix: str, tmp_path: Path) -> AsyncIterator[Desk]:
    key = new_key()
    kept = RedisRunStore.from_url(redis_url, prefix=prefix, lanes=3)
    settings = {
        "REDIS_URL": redis_url,
        "SIGNOFF_KEY_PREFIX": prefix,
        "SIGNOFF_LANES": "3",
        "SIGNOFF_ENCRYPTION_KEYS": key,
        "SIGNOFF_WORKFLOWS": str(WORKFLOWS),
    }
    try:
        store, deploy = SealedRunStore(kept, Keyring([key])), discover(WORKFLOWS)["/deploy"].workflow
        yield Desk(store, Runner(store, [deploy]), deploy, settings, tmp_path)
        assert await kept.leftovers() == []
    finally:
        await kept.close()


async def test_list_shows_the_runs_that_are_asked_for(desk: Desk) -> None:
    first, second = await desk.start(requester="U1"), await desk.start(requester="U7")
    await desk.finish(first)

    table = await desk.runs("list")
    found = await desk.runs("list", "--json", "--status", "waiting", "--status", "parked", "--requester", "U7")
    page = await desk.runs("list", "--json", "--before", second, "--limit", "1")
    old = await desk.runs("list", "--older-than", "1")

    assert [line.split()[:2] for line in table.stdout.splitlines()[1:]] == [[second, "waiting"], [first, "done"]]
    assert [(fact["run"], fact["workflow"]) for fact in found.facts] == [(second, "Deploy")]
    assert [fact["run"] for fact in page.facts] == [first]
    assert (old.code, old.stdout) == (0, "no such run\n")


async def test_show_tells_how_a_run_stands(desk: Desk) -> None:
    run_id = await desk.start("v3")

    text, fact, drawn = [await desk.runs("show", run_id, *more) for more in ((), ("--json",), ("--mermaid",))]

    assert text.stdout.startswith(f"{run_id}  waiting\n")
    assert "v3" in text.stdout.partition("open questions")[2]
    assert [ask["status"] for ask in fact.facts[0]["questions"]] == ["open"]
    assert drawn.stdout.startswith("flowchart")


async def test_a_parked_run_is_told_of_with_its_reason_and_tried_again(desk: Desk) -> None:
    run_id = await desk.start()
    await desk.park(run_id)

    shown = await desk.runs("show", run_id)
    told = await desk.runs("retry", run_id, "--by", "eve", "--json")
    await desk.runner.drain(run_id)

    assert "no step of that name" in shown.stdout
    assert (told.code, told.facts) == (0, [{"run": run_id, "did": "retry", "was": "parked"}])
    assert [(line.what, line.by) for line in await desk.store.journal(run_id)][-2][1] == "eve"
    await desk.finish(run_id)


async def test_what_is_cancelled_can_be_tried_again_and_what_is_done_cannot(desk: Desk) -> None:
    run_id, done = await desk.start(), await desk.start()
    await desk.finish(done)

    cancelled = await desk.runs("cancel", run_id, done, "--by", "eve")
    await desk.runner.drain(run_id)
    retried = await desk.runs("retry", run_id, done, "k0-nobody")
    await desk.runner.drain(run_id)

    assert (cancelled.code, retried.code) == (1, 1)
    assert cancelled.stdout.startswith(f"{run_id} is cancelled")
    assert cancelled.stderr == f"signoff: run {done} is over already: it is done\n"
    assert retried.stdout.startswith(f"{run_id} was cancelled")
    assert "signoff runs fork" in retried.stderr
    assert "no run k0-nobody" in retried.stderr
    assert len((await desk.runner.view(run_id)).asks) == 1


async def test_a_fork_goes_its_own_way_and_both_say_so(desk: Desk) -> None:
    run_id = await desk.start("v9")

    (fact,) = (await desk.runs("fork", run_id, "--json", "--by", "eve")).facts
    await desk.runner.drain(fact["run"])
    exported = json.loads((await desk.runs("export", fact["run"])).stdout)

    await desk.finish(fact["run"])
    assert (await desk.runner.view(run_id)).status == "waiting"
    assert fact["from"] == run_id
    assert (exported["journal"][0]["what"], exported["journal"][0]["details"]) == ("forked", {"from": run_id})
    assert (await desk.store.journal(run_id))[-1].details == {"to": fact["run"]}


async def test_an_export_has_everything_in_plain_words(desk: Desk) -> None:
    run_id = await desk.start("v4")
    await desk.finish(run_id)

    found = json.loads((await desk.runs("export", run_id)).stdout)

    assert (found["run"], found["status"], found["start"]["v"]["text"]) == (run_id, "done", "v4")
    assert [(ask["status"], ask["by"], ask["response"]) for ask in found["asks"]] == [("answered", "U2", "ship")]
    assert [line["what"] for line in found["journal"]][:2] == ["started", "committed"]
    assert {"result", "prompt:a2"} <= {effect["effect"] for effect in found["effects"]}


async def test_purge_removes_what_is_over_and_nothing_else(desk: Desk) -> None:
    done, other, waiting = [await desk.start() for _ in range(3)]
    await desk.finish(done)
    await desk.finish(other)

    refused = await desk.runs("purge", waiting)
    one = await desk.runs("purge", done)
    old = await desk.runs("purge", "--older-than", "0")
    forced = await desk.runs("purge", waiting, "--force", "--json")

    assert (refused.code, one.code, old.code) == (1, 0, 0)
    assert "--force" in refused.stderr
    assert (one.stdout, old.stdout) == (f"{done} was done and is gone\n", "1 run is gone\n")
    assert forced.facts == [{"run": waiting, "did": "purge", "was": "waiting"}]
    assert await desk.store.runs() == []


class Busy(MemoryRunStore):
    """Of the runs that it lists, the first is removed at once and the second taken up again."""

    async def runs(self, **filters: Any) -> Sequence[RunRecord]:
        found = await super().runs(**filters)
        if len(found) > 1:
            await self.purge(found[0].run_id)
            await self.reopen(found[1].run_id, "U9")
        return found


async def test_purge_goes_on_when_a_run_is_removed_or_taken_up_again_meanwhile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Busy()
    run_ids = [store.new_run_id() for _ in range(4)]
    for run_id in run_ids:
        _, claim = await store.start(NewRun(run_id, "Deploy", "r1", b"s"), worker="w1", lease_s=30)
        assert claim is not None
        await store.commit(claim, Commit("failed", consumed=1))
    monkeypatch.setattr(runs, "store_of", lambda _settings: store)
    chosen: dict[str, Any] = dict.fromkeys(("workflow", "tenant", "requester"))
    args = Namespace(action="purge", ids=[], older_than=0.0, force=False, json=False, **chosen)

    code = await operate(load_store(None), args)

    (left,) = await store.runs()
    assert (code, capsys.readouterr().out) == (0, "2 runs are gone\n")
    assert left.status == "ready"


async def test_a_run_whose_key_is_missing_is_shown_all_the_same(desk: Desk) -> None:
    run_id = await desk.start()

    shown = await desk.runs("show", run_id, SIGNOFF_ENCRYPTION_KEYS=new_key())
    forked = await desk.runs("fork", run_id, SIGNOFF_ENCRYPTION_KEYS=new_key())

    assert shown.code == 0
    assert "which is not here" in " ".join(shown.stdout.split())
    assert forked.code == 1
    assert "which is not here" in forked.stderr


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "told"),
    [
        (("show", "k0-nobody"), {}, 1, "no run k0-nobody"),
        (("export", "nonsense"), {}, 1, "no run nonsense"),
        (("redraw", "k0-nobody"), {}, 1, "no run k0-nobody"),
        (("purge",), {}, 2, "--older-than DAYS"),
        (("list", "--older-than", "yesterday"), {}, 2, "'yesterday' is no number of days"),
        (("list",), {"REDIS_URL": "redis://127.0.0.1:1/0"}, 2, "Redis"),
        (("list",), {"REDIS_URL": "http://127.0.0.1"}, 2, "REDIS_URL is not a Redis address"),
        (("list",), {"REDIS_URL": "redis://127.0.0.1:port"}, 2, "REDIS_URL cannot be used: Port could not be cast"),
        (("list",), {"REDIS_URL": "redis://127.0.0.1?ssl_cacerts=x"}, 2, "unexpected keyword argument 'ssl_cacerts'"),
    ],
)
async def test_what_cannot_be_done_is_told_in_a_sentence(
    desk: Desk, arguments: tuple[str, ...], settings: dict[str, str], code: int, told: str
) -> None:
    found = await desk.runs(*arguments, **settings)

    assert (found.code, found.stdout) == (code, "")
    assert told in found.stderr


async def test_a_list_of_none_is_empty(desk: Desk) -> None:
    await desk.start()

    assert (await desk.runs("list", "--limit", "0")).stdout == "no such run\n"


async def test_a_reader_that_has_had_enough_is_no_error(desk: Desk) -> None:
    """As ``signoff runs list | head``."""
    await desk.start()
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [sys.executable, "-m", "bot", "runs", "list"]
        surroundings = environment(desk.settings)
        process = await asyncio.create_subprocess_exec(*command, env=surroundings, stdout=writing, stderr=PIPE)
    finally:
        os.close(writing)

    _, complaint = await process.communicate()

    assert (process.returncode, complaint) == (141, b"")


# --- the audit ---------------------------------------------------------------------------------------


async def test_the_audit_has_every_decision_of_every_run(desk: Desk) -> None:
    """Acceptance 22; Security 13."""
    ids = [await desk.start(f"v{number}", requester=f"U{number}") for number in range(230)]
    for run_id in ids[:205]:
        await desk.finish(run_id)
    await desk.runner.cancel(ids[-1], "U9")
    await desk.runner.drain()
    asks = {run_id: (await desk.store.export(run_id)).asks[0] for run_id in ids[:205]}  # type: ignore[union-attr]

    told = await desk.signoff("audit", "--json")

    answered = {fact["run"]: fact for fact in told.facts if fact["verdict"] == "accepted"}
    assert (told.code, told.stderr) == (0, "")
    assert answered.keys() == set(ids[:205])
    for run_id, fact in answered.items():
        ask = asks[run_id]
        assert (fact["by"], fact["response"], fact["workflow"]) == ("U2", "ship", "Deploy")
        assert (fact["ask"], fact["version"], fact["digest"]) == (ask.ask_id, ask.revision, ask.digest)
        assert fact["at"].startswith("20")
    assert [(fact["run"], fact["by"]) for fact in told.facts if fact["verdict"] == "cancelled"] == [(ids[-1], "U9")]


async def test_the_audit_misses_nothing_while_new_runs_come(desk: Desk) -> None:
    """Acceptance 22: what was there when it began is in it, once, however much begins and ends meanwhile."""
    ids = [await desk.start(f"v{number}") for number in range(30)]
    for run_id in ids:
        await desk.finish(run_id)

    async with asyncio.TaskGroup() as tasks:
        audit = tasks.create_task(desk.signoff("audit", "--json"))
        for number in range(30):
            await desk.finish(await desk.start(f"new {number}"))

    audited = [fact["run"] for fact in audit.result().facts]
    assert [run_id for run_id in audited if run_id in ids] == ids[::-1]
    assert len(set(audited)) == len(audited)


async def test_the_audit_is_cut_to_a_time_and_a_workflow(desk: Desk) -> None:
    run_id = await desk.start()
    await desk.finish(run_id)

    none = await desk.signoff("audit", "--until", "2020-01-01")
    other = await desk.signoff("audit", "--workflow", "Other")
    text = await desk.signoff("audit", "--since", "2020-01-01T00:00Z", "--workflow", "Deploy")
    wrong = await desk.signoff("audit", "--since", "yesterday")

    assert (none.stdout, other.stdout) == ("", "")
    assert re.fullmatch(rf"\S+ {run_id} Deploy \S+ accepted ship by U2\n", text.stdout)
    assert wrong.code == 2
    assert "'yesterday' is no time, as 2026-11-01" in wrong.stderr
