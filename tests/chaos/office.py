"""Many runs at once, people who answer them and a board where messages hang; and the law that holds for each run.

Who works on the runs, and what happens to those workers, is for each test to say.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from redis.asyncio import Redis

from engine import Context, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.errors import StoreUnavailable
from engine.redis import RedisRunStore
from engine.run_store import RunStore
from engine.runner import Runner
from engine.verdicts import Accepted, Already, Cancelled, Expired, Verdict

LANES = 4
LEASE_S = 1.0
SWEEP_S = 0.01
LIMIT_S = 90.0
PEOPLE = ("ann", "bob", "cy")
T = TypeVar("T")


# --- What runs ----------------------------------------------------------------------------------


class Revised(Event):
    pass


class Release(Workflow):
    """Asks up to three times, reminding, asks once more within a step, and tells which answers it has applied."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @step
    async def write(self, ctx: Context, ev: StartEvent | Revised) -> InputRequiredEvent:
        number = await ctx.store.get("round", 0) + 1
        await ctx.store.set("round", number)
        text = await ctx.once("draft", self._draft, number)
        limits = {"timeout": 2.0, "on_timeout": "revise"} if number == 2 else {"timeout": None}
        return InputRequiredEvent(prefix=f"{text}?", options=["ship", "revise"], remind=[0.2], **limits)

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> Revised | StopEvent:
        await self._note(ctx, ev)
        if ev.response == "revise" and await ctx.store.get("round") < 3:
            return Revised()
        sure = InputRequiredEvent(prefix="Sure?", options=["yes", "no"])
        await self._note(ctx, await ctx.wait_for_event(HumanResponseEvent, waiter_event=sure, timeout=None))
        return StopEvent(result=await ctx.store.get("applied"))

    async def _draft(self, number: int) -> str:
        await asyncio.sleep(0.02)  # as long as work takes, so that a process can die in it
        return f"draft {number}"

    async def _note(self, ctx: Context, ev: HumanResponseEvent) -> None:
        async with ctx.store.edit_state() as state:
            state.applied = [*state.get("applied", []), [ev.ask_id, ev.user_id, ev.response]]


# --- Where messages hang ---------------------------------------------------------------------------


class Board(Protocol):
    """Where messages hang for all to see; like Slack it is beside the run store and outlives any process."""

    async def post(self, run_id: str, effect_id: str) -> str:
        """Hang a message up and return its reference."""

    async def take_down(self, run_id: str, ref: str) -> None:
        """Remove a message."""

    async def seen(self, run_id: str) -> dict[str, str]:
        """Return what hangs there of a run: reference -> effect."""


@dataclass
class MemoryBoard:
    """A board of one process."""

    hung: dict[str, dict[str, str]] = field(default_factory=dict)
    posted: int = 0

    async def post(self, run_id: str, effect_id: str) -> str:
        self.posted += 1
        self.hung.setdefault(run_id, {})[f"m{self.posted}"] = effect_id
        return f"m{self.posted}"

    async def take_down(self, run_id: str, ref: str) -> None:
        self.hung.get(run_id, {}).pop(ref, None)

    async def seen(self, run_id: str) -> dict[str, str]:
        return dict(self.hung.get(run_id, {}))


class RedisBoard:
    """A board that many processes see."""

    def __init__(self, url: str, name: str) -> None:
        self.redis = Redis.from_url(url, decode_responses=True)
        self.name = name

    async def post(self, run_id: str, effect_id: str) -> str:
        ref = f"m{await self.redis.incr(self.name)}"
        await self.redis.hset(f"{self.name}:{run_id}", ref, effect_id)
        return ref

    async def take_down(self, run_id: str, ref: str) -> None:
        await self.redis.hdel(f"{self.name}:{run_id}", ref)

    async def seen(self, run_id: str) -> dict[str, str]:
        found: Any = await self.redis.hgetall(f"{self.name}:{run_id}")
        return dict(found)


# --- Who works -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clerk:
    """What a worker does: works on runs and shows what they owe, as carefully as the surface of Slack."""

    runner: Runner
    board: Board

    async def attend(self, run_id: str) -> None:
        """Do what a run has to do and show what it owes."""
        await self.runner.work(run_id)
        for effect_id in await self.runner.store.effects_of(run_id):
            await self._perform(run_id, effect_id)

    async def due(self) -> list[str]:
        """Do what time brings and return the runs that have something to do."""
        return list(await self.runner.sweep())

    async def tidy(self) -> None:
        """Do what is late, and take back what was done twice."""
        store = self.runner.store
        for run_id, effect_id in await store.due_effects():
            await self._perform(run_id, effect_id)
        for run_id, effect_id, ref in await store.doubtful():
            for copy in await self._copies(run_id, effect_id):
                if copy != ref:
                    await self.board.take_down(run_id, copy)
            await store.settle(run_id, effect_id, ref)

    async def serve(self) -> None:
        """Work until cancelled. A store that is away comes back."""
        while True:
            with suppress(StoreUnavailable):
                found = await self.due()
                await self.tidy()
                async with asyncio.TaskGroup() as tasks:
                    for run_id in found[:20]:
                        tasks.create_task(self._try(run_id))
            await asyncio.sleep(SWEEP_S)

    async def _try(self, run_id: str) -> None:
        try:
            await self.attend(run_id)
        except* StoreUnavailable:
            pass  # the sweep meets it again

    async def _perform(self, run_id: str, effect_id: str) -> None:
        store = self.runner.store
        claim = await store.claim_effect(run_id, effect_id, LEASE_S)
        if claim is None:
            return
        if effect_id.startswith(("lock:", "update:")):
            await store.finish_effect(claim, "")
            return
        found = await self._copies(run_id, effect_id) if claim.again else []
        ref = found[0] if found else await self.board.post(run_id, effect_id)
        if await store.finish_effect(claim, ref) != ref:
            await self.board.take_down(run_id, ref)

    async def _copies(self, run_id: str, effect_id: str) -> list[str]:
        return sorted(ref for ref, effect in (await self.board.seen(run_id)).items() if effect == effect_id)


# --- Who answers -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Click:
    """Somebody's answer to a question, and what they were told each time it was delivered."""

    ask_id: str
    actor: str
    response: str
    told: list[Verdict] = field(default_factory=list)


@dataclass
class Office:
    """The people, the runs they started, and what they were told."""

    store: RunStore
    board: Board
    random: random.Random
    wake: Callable[[str], Awaitable[None]] | None = None
    clicks: dict[str, list[Click]] = field(default_factory=dict)
    """By run."""

    def __post_init__(self) -> None:
        self.workflow = Release()
        self._started = 0
        self.runner = Runner(self.store, [self.workflow], wake=self.wake)

    async def see_through(self, runs: int, at_once: int = 15) -> None:
        """Start *runs* runs, no more than *at_once* at a time, and answer what they ask until all are over."""
        room = asyncio.Semaphore(at_once)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(runs):
                await room.acquire()
                self._started += 1
                tasks.create_task(self._see_through(self._started)).add_done_callback(lambda _: room.release())

    async def _see_through(self, number: int) -> None:
        """Start one run, twice, and answer until it is over."""
        async with asyncio.timeout(LIMIT_S):
            await self._answer(await self._start(number))

    async def _start(self, number: int) -> str:
        run_id = ""
        for _ in range(2):
            run_id = await insist(lambda: self.runner.start(self.workflow, key=f"run {number}"))
        return run_id

    async def _answer(self, run_id: str) -> None:
        self.clicks[run_id] = []
        answered: set[str] = set()
        while not await insist(lambda: self._over(run_id)):
            shown = {effect for effect in (await self.board.seen(run_id)).values() if effect.startswith("prompt:")}
            async with asyncio.TaskGroup() as tasks:
                for ask_id in sorted(effect.removeprefix("prompt:") for effect in shown - answered):
                    for actor in PEOPLE[: self.random.randint(1, len(PEOPLE))]:
                        tasks.create_task(self._click(run_id, ask_id, actor))
            answered |= shown
            await asyncio.sleep(self.random.uniform(0, 0.1))

    async def _click(self, run_id: str, ask_id: str, actor: str) -> None:
        """Answer a question; the answer is delivered up to three times, as Slack may do."""
        asked = await insist(lambda: self.runner.asked(run_id, ask_id))
        assert asked is not None
        click = Click(ask_id, actor, self.random.choice(asked.event.options))
        self.clicks[run_id].append(click)
        for _ in range(self.random.randint(1, 3)):
            click.told.append(await insist(lambda: self._deliver(run_id, click)))

    async def _deliver(self, run_id: str, click: Click) -> Verdict:
        delivery = f"{click.ask_id} {click.actor}"
        return await self.runner.answer(run_id, click.ask_id, click.response, user_id=click.actor, delivery_id=delivery)

    async def _over(self, run_id: str) -> bool:
        run = await self.store.run(run_id)
        return run is not None and run.status in ("done", "failed", "parked", "cancelled")

    def told(self) -> int:
        """Return how often somebody was told what became of an answer."""
        return sum(len(click.told) for clicks in self.clicks.values() for click in clicks)

    # --- the law -------------------------------------------------------------------------------

    async def settled(self) -> None:
        """Wait until nothing is owed any more; workers must be there to do it.

        Raises:
            TimeoutError: something is still owed.
        """
        async with asyncio.timeout(LIMIT_S):
            while await owed(self.store):  # noqa: ASYNC110 - Redis is asked, which tells nobody by itself
                await asyncio.sleep(0.05)

    async def check(self) -> None:
        """Check the law for every run."""
        for run_id, clicks in self.clicks.items():
            try:
                await self._check(run_id, clicks)
            except AssertionError as error:
                error.add_note(f"run {run_id}: {await self.store.journal(run_id)}")
                raise

    async def _check(self, run_id: str, clicks: list[Click]) -> None:
        view = await self.runner.view(run_id)
        assert view.status == "done", view.error
        applied: list[list[str | None]] = view.result
        asks = [ask_id for ask_id, _, _ in applied]
        assert len(set(asks)) == len(asks), f"an answer was applied twice: {applied}"
        winners = _winners(clicks)
        for ask_id, actor, response in applied:
            assert winners.get(str(ask_id), (actor, response)) == (actor, response), f"{applied} {winners}"
        assert set(winners) <= set(asks), f"accepted and never applied: {set(winners) - set(asks)}"
        for click in clicks:
            assert len(set(click.told)) == 1, f"told one thing and then another: {click}"
            verdict = click.told[0]
            assert isinstance(verdict, Accepted | Already | Expired | Cancelled), click
            if isinstance(verdict, Already) and click.ask_id in winners:
                assert (verdict.by, verdict.response) == winners[click.ask_id], click
        await self._check_journal(run_id)
        hung = Counter((await self.board.seen(run_id)).values())
        assert set(hung.values()) == {1}, f"shown more than once: {hung}"
        assert {effect for effect in hung if effect.startswith("prompt:")} == {f"prompt:{ask_id}" for ask_id in asks}
        assert hung["result"] == 1

    async def _check_journal(self, run_id: str) -> None:
        journal = await self.store.journal(run_id)
        versions = [int(line.details["version"]) for line in journal if line.what == "committed"]
        assert versions == list(range(1, len(versions) + 1)), "versions have a gap"
        answered = Counter(line.details["ask"] for line in journal if line.what == "answered")
        assert set(answered.values()) <= {1}, f"answered twice: {answered}"


def _winners(clicks: list[Click]) -> dict[str, tuple[str, str]]:
    """Return whose answer was accepted, by question."""
    found: dict[str, tuple[str, str]] = {}
    for click in clicks:
        if any(isinstance(verdict, Accepted) for verdict in click.told):
            assert click.ask_id not in found, f"two answers to {click.ask_id} were accepted: {clicks}"
            found[click.ask_id] = (click.actor, click.response)
    return found


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call again and again while the store is away, as Slack and people do."""
    while True:
        try:
            return await call()
        except StoreUnavailable:
            await asyncio.sleep(0.05)


async def owed(store: RunStore) -> list[str]:
    """Return all that stands in an index of a Redis store, but for when to forget a run that is over."""
    assert isinstance(store, RedisRunStore)
    names = [f"{store.prefix}:{{{n}}}:{index}" for n in range(LANES) for index in INDEXES]
    found: list[Any] = await store.server.read_each([("ZRANGE", name, 0, -1) for name in names])
    members = [(name, member.decode()) for name, some in zip(names, found, strict=True) for member in some]
    return [f"{name} {member}" for name, member in members if not member.endswith("|")]


INDEXES = ("ready", "timers", "outq", "verify", "open")
