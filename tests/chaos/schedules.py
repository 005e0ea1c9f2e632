"""Random schedules: processes that take turns at the store, call by call, crash, stall beyond their lease and
meet jumping clocks; and the law that must hold whatever the order was.

A schedule follows from its seed. Everybody waits before each call of the store until it is their turn, so
only one call is under way at a time and the same seed tells the same story again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from engine import Context, Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.core.questions import AGAIN, HAPPENED
from engine.redis import RedisRunStore
from engine.redis.keys import Keys, lane_of
from engine.redis.scripts import Server
from engine.run_store import AskRecord
from engine.runner import Runner
from engine.verdicts import Accepted, Already, Cancelled, Expired, Recorded, Unknown, Verdict
from tests.chaos.crashing import Crash
from tests.integration.engine.stores import skewing

LEASE_S = 30.0
LANES = 2
TURNS = 120
WORK_OFF_TURNS = 1_000
CALM_TURNS = 2_000
CLICKS = 12
ASIDES = 3
PEOPLE = ("ann", "bob", "cy")


class LawBroken(AssertionError):
    """Something happened that must never happen; the message says what."""


# --- What is outside -------------------------------------------------------------------------


@dataclass
class World:
    """What people see and did, and what the run did to the world."""

    visible: dict[str, str] = field(default_factory=dict)
    """Messages that can be seen: reference -> effect."""
    posted: int = 0
    told: dict[str, list[Verdict]] = field(default_factory=dict)
    """By delivery, each time somebody was told."""
    clicks: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """By delivery: ask, actor, response."""
    drafts: int = 0
    paid: int = 0

    def post(self, effect_id: str) -> str:
        self.posted += 1
        self.visible[f"m{self.posted}"] = effect_id
        return f"m{self.posted}"

    def find(self, effect_id: str) -> str | None:
        return next((ref for ref, name in self.visible.items() if name == effect_id), None)

    def draft(self) -> str:
        self.drafts += 1
        return f"draft {self.drafts}"

    def pay(self) -> str:
        self.paid += 1
        return f"receipt {self.paid}"


class Revised(Event):
    pass


class Paid(Event):
    receipt: str | None


class Aside(Event):
    pass


class Noted(Event):
    pass


class AllNoted(Event):
    pass


class Release(Workflow):
    """Drafts, asks, revises, asks once more within a step and pays, while it asks something else beside all that."""

    def __init__(self, world: World) -> None:
        super().__init__(timeout=None)
        self.world = world

    @step
    async def write(self, ctx: Context, ev: StartEvent | Revised) -> InputRequiredEvent:
        number = await ctx.store.get("round", 0) + 1
        await ctx.store.set("round", number)
        await ctx.store.set(f"drafts.r{number}", await ctx.once("draft", self.world.draft))
        two = number == 2
        return InputRequiredEvent(
            prefix="Ship it?",
            options=["ship", "revise", "stop"],
            quorum=2 if two else 1,
            timeout=None if two else 40.0,
            on_timeout="revise",
            remind=[10.0],
        )

    @step
    async def spread(self, ev: StartEvent) -> list[Aside]:
        return [Aside() for _ in range(ASIDES)]

    @step
    async def beside(self, ctx: Context, ev: Aside) -> Noted:
        await self._note(ctx, await ctx.wait_for_event(HumanResponseEvent, waiter_event=_plain("Beside?")))
        return Noted()

    @step
    async def decide(self, ctx: Context, ev: HumanResponseEvent) -> Revised | Paid | StopEvent:
        await self._note(ctx, ev)
        if ev.response == "stop":
            return StopEvent(result={"applied": await ctx.store.get("applied"), "receipt": None})
        if ev.response == "revise" and await ctx.store.get("round") < 3:
            return Revised()
        await self._note(ctx, await ctx.wait_for_event(HumanResponseEvent, waiter_event=_plain("Sure?")))
        return Paid(receipt=await ctx.effect("pay", self.world.pay))

    @step
    async def gather(self, noted: list[Noted]) -> AllNoted:
        return AllNoted()

    @step
    async def end(self, ctx: Context, paid: Paid, noted: AllNoted) -> StopEvent:
        return StopEvent(result={"applied": await ctx.store.get("applied"), "receipt": paid.receipt})

    async def _note(self, ctx: Context, ev: HumanResponseEvent) -> None:
        async with ctx.store.edit_state() as state:
            state.applied = [*state.get("applied", []), [ev.ask_id, ev.user_id, ev.response]]


def _plain(question: str) -> InputRequiredEvent:
    return InputRequiredEvent(prefix=question, options=["yes", "no"])


# --- Who takes turns --------------------------------------------------------------------------


@dataclass
class _Parked:
    name: str
    verb: Callable[..., Awaitable[Any]]
    arguments: tuple[Any, ...]
    told: asyncio.Future[Any]


class _Seat(Server):
    """The server as one actor sees it: every script and every read waits for its turn."""

    def __init__(self, schedule: Schedule, name: str) -> None:
        self._schedule = schedule
        self._name = name

    async def try_each(self, name: str, calls: Any) -> list[Any]:
        told = []
        for call in calls:
            told += await self._schedule.turn_of(self._name, self._schedule.store.server.try_each, name, [call])
        return told

    async def try_to_read(self, calls: Any) -> list[Any]:
        told: list[Any] = await self._schedule.turn_of(self._name, self._schedule.store.server.try_to_read, calls)
        return told

    async def elsewhere(self) -> None:
        """Something that takes time and is no call of the store, such as a request to Slack."""
        await self._schedule.turn_of(self._name, _nothing)


async def _nothing() -> None:
    pass


class Schedule:
    """One run under one seed."""

    def __init__(self, store: RedisRunStore, seed: int) -> None:
        self.store = store
        self.random = random.Random(seed)
        self.world = World()
        self.workflow = Release(self.world)
        self.key = str(seed)
        self.run_id = store.new_run_id(self.key)
        self._pass_time = skewing(store, LANES)
        self._parked: dict[int, _Parked] = {}
        """Calls that wait for their turn, by number."""
        self._calls = 0
        self._asleep: dict[str, int] = {}
        self._calm = False
        self._over = False
        self._actors = {
            "w1": self._work,
            "w2": self._work,
            "s1": self._send,
            "s2": self._send,
            "sweeper": self._sweep,
            **dict.fromkeys(PEOPLE, self._click),
        }

    async def play(self) -> None:
        """Play it to its end and check the law.

        Raises:
            LawBroken: it does not hold.
        """
        await Runner(self.store).start(self.workflow, key=self.key)
        async with asyncio.TaskGroup() as tasks:
            for name, life in self._actors.items():
                tasks.create_task(self._live(name, life))
            for turn in range(TURNS):
                await self._take_turn(turn)
                await self._check_that_somebody_comes()
            self._calm = True
            await self._let_it_work_off()
            for turn in range(TURNS, TURNS + CALM_TURNS):
                if turn % 40 == 0:
                    await self._pass_time(LEASE_S)
                    if await self._finished():
                        break
                await self._take_turn(turn)
            await self._quiet()
            self._over = True
            for parked in list(self._parked.values()):
                parked.told.set_exception(Crash())
        await self._check()

    async def _let_it_work_off(self) -> None:
        """Let nobody click until the run has gone on with all that it was told, which no click must remind it of."""
        self._asleep = dict.fromkeys(PEOPLE, TURNS + 1)
        for turn in range(WORK_OFF_TURNS):
            if turn % 40 == 0:
                await self._pass_time(LEASE_S)
                whole = await self.store.export(self.run_id)
                if whole is None or not whole.inbox:
                    return
            await self._take_turn(TURNS)
        raise LawBroken("the run does not go on with what it was told")

    async def _check_that_somebody_comes(self) -> None:
        """A run that was told something must be due at some time, or it would wait until somebody clicks again."""
        keys, run_id = Keys(self.store.prefix, LANES), self.run_id
        ready = f"{keys.lane(lane_of(run_id, LANES))}ready"
        status, told, due_at = await self.store.server.read_each(
            [("HGET", keys.at(run_id, "meta"), "s"), ("LLEN", keys.at(run_id, "inbox")), ("ZSCORE", ready, run_id)]
        )
        if told and due_at is None and status != b"parked":
            raise LawBroken("nobody comes to look at what the run was told")

    async def turn_of(self, name: str, verb: Any, *arguments: Any) -> Any:
        """Wait for the turn of actor *name*, make the call, and return what came of it."""
        told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._calls += 1
        number = self._calls
        self._parked[number] = _Parked(name, verb, arguments, told)
        try:
            return await told
        finally:
            self._parked.pop(number, None)

    async def _live(self, name: str, life: Callable[[Any, str], Awaitable[None]]) -> None:
        while not self._over:
            try:
                seat = _Seat(self, name)
                await life(RedisRunStore(seat, prefix=self.store.prefix, lanes=LANES), name)
            except* Crash:
                pass

    async def _quiet(self) -> None:
        """Wait until everybody waits for their turn, and nothing else is under way in the event loop."""
        under_way: Any = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            while under_way._ready or len({parked.name for parked in self._parked.values()}) < len(self._actors):  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def _take_turn(self, turn: int) -> None:
        await self._quiet()
        awake = [number for number, one in self._parked.items() if self._asleep.get(one.name, 0) <= turn]
        if not awake:
            return
        number = self.random.choice(awake)
        parked = self._parked[number]
        fate = 1.0 if self._calm else self.random.random()
        if 0.10 <= fate < 0.15:  # it stalls: others go on, and its lease runs out
            self._asleep[parked.name] = turn + self.random.randint(5, 25)
            await self._pass_time(LEASE_S * 1.2)
            return
        del self._parked[number]
        if fate < 0.05:
            parked.told.set_exception(Crash())
        elif fate < 0.10:
            with contextlib.suppress(Exception):
                await parked.verb(*parked.arguments)
            parked.told.set_exception(Crash())
        else:
            await self._make(parked)
            if not self._calm and self.random.random() < 0.08:
                await self._pass_time(self.random.uniform(0, 2 * LEASE_S))

    async def _make(self, parked: _Parked) -> None:
        try:
            answer = await parked.verb(*parked.arguments)
        except Exception as error:  # noqa: BLE001 - it is for whoever made the call
            parked.told.set_exception(error)
        else:
            parked.told.set_result(answer)

    # --- lives ------------------------------------------------------------------------------

    async def _work(self, store: Any, name: str) -> None:
        """What a worker process does between its start and its crash."""
        runner = Runner(store, [self.workflow], worker=name, lease_s=LEASE_S, max_attempts=1_000)
        while True:
            for run_id in await store.due():
                await runner.work(run_id)

    async def _send(self, store: Any, name: str) -> None:
        """Do what is owed, as a careful surface does."""
        for effect_id in await store.effects_of(self.run_id):
            claim = await store.claim_effect(self.run_id, effect_id, LEASE_S)
            if claim is None:
                continue
            await store.server.elsewhere()
            ref = self.world.find(effect_id) if claim.again else None
            await store.server.elsewhere()
            ref = ref or self.world.post(effect_id)
            if await store.finish_effect(claim, ref) != ref:
                self.world.visible.pop(ref, None)
        for run_id, effect_id, ref in await store.doubtful():
            for copy in [copy for copy, name in self.world.visible.items() if name == effect_id and copy != ref]:
                del self.world.visible[copy]
            await store.settle(run_id, effect_id, ref)

    async def _sweep(self, store: Any, name: str) -> None:
        await store.fire_timers()

    async def _click(self, store: Any, name: str) -> None:
        """Click at something that can be seen, or let Slack deliver a click again that nobody acknowledged."""
        world, runner = self.world, Runner(store, [self.workflow])
        unheard = [
            delivery for delivery, click in world.clicks.items() if click[1] == name and not world.told[delivery]
        ]
        prompts = {effect.partition(":")[2] for effect in world.visible.values() if effect.startswith("prompt:")}
        seen = sorted(prompts, key=lambda ask_id: int(ask_id[1:]))
        mine = [delivery for delivery, click in world.clicks.items() if click[1] == name]
        if unheard or (mine and self.random.random() < 0.2):
            delivery = unheard[0] if unheard else self.random.choice(mine)
        elif seen and (self._calm or len(mine) < CLICKS):
            ask_id = self.random.choice(seen)
            asked = await runner.asked(self.run_id, ask_id)
            if asked is None or (self._calm and asked.ask.status != "open"):
                return
            delivery = f"{name}{len(mine)}"
            world.clicks[delivery] = (ask_id, name, self._answer_to(asked.event))
            world.told[delivery] = []
        else:
            await store.run(self.run_id)
            return
        ask_id, actor, response = world.clicks[delivery]
        world.told[delivery].append(
            await runner.answer(self.run_id, ask_id, response, user_id=actor, delivery_id=delivery)
        )

    def _answer_to(self, question: InputRequiredEvent) -> str:
        """Choose; but of what has happened in the world people tell the truth."""
        options: list[str] = question.options
        if HAPPENED in options:
            return HAPPENED if self.world.paid else AGAIN
        return self.random.choices(options, [2 if option == "stop" else 8 for option in options])[0]

    # --- the law ----------------------------------------------------------------------------

    async def _finished(self) -> bool:
        run = await self.store.run(self.run_id)
        return run is not None and run.status in ("done", "failed") and not await self._owed()

    async def _owed(self) -> list[str]:
        """Return all that stands in an index of any lane, but when a run is to be forgotten."""
        indexes = ("ready", "timers", "outq", "verify", "open", "live")
        names = [f"{self.store.prefix}:{{{lane}}}:{index}" for lane in range(LANES) for index in indexes]
        found = [(name, member) for name in names for member in await self.store.server.read("ZRANGE", name, 0, -1)]
        return [f"{name} {member}" for name, member in found if not member.endswith(b"|")]

    async def _check(self) -> None:
        run = await self.store.run(self.run_id)
        _law(run is not None and run.status == "done", f"the run is {run and run.status}; owed: {await self._owed()}")
        _law(not await self._owed(), f"still owed: {await self._owed()}")
        view = await Runner(self.store, [self.workflow]).view(self.run_id)
        await self._check_verdicts(view.result["applied"])
        stopped = any(response == "stop" for _, _, response in view.result["applied"])
        _law(self.world.paid == 1 or (stopped and not self.world.paid), f"paid {self.world.paid} times")
        _law(view.result["receipt"] in (None, "receipt 1"), f"the receipt is {view.result['receipt']}")
        visible = Counter(self.world.visible.values())
        _law(set(visible.values()) == {1}, f"shown more than once: {[name for name, n in visible.items() if n > 1]}")
        await self._check_journal()

    async def _check_verdicts(self, applied: list[list[str | None]]) -> None:
        """One answer decides each question, everybody is told so, and it is what the run has applied."""
        asks = {ask_id: await self.store.ask(self.run_id, ask_id) for ask_id, _, _ in self.world.clicks.values()}
        for ask in asks.values():
            _law(ask is not None and _well_decided(ask), f"wrongly decided: {ask}")
        for delivery, told in self.world.told.items():
            final = {verdict for verdict in told if not isinstance(verdict, Unknown)}
            _law(len(final) <= 1, f"{delivery} was told one thing and then another: {told}")
            ask = asks[self.world.clicks[delivery][0]]
            _law(ask is None or all(_true_of(ask, one) for one in final), f"{delivery} was told {final}, but: {ask}")
        ids = [entry[0] for entry in applied]
        _law(len(set(ids)) == len(ids), f"an answer was applied twice: {applied}")
        for ask_id, actor, response in applied:
            ask = asks.get(ask_id or "")
            if ask is not None and ask.status == "answered":
                _law((ask.by, ask.response) == (actor, response), f"{ask} was decided, applied is {response}")
        stopped = any(response == "stop" for _, _, response in applied)  # an answer may come too late for that
        won = [ask_id for ask_id, ask in asks.items() if ask is not None and ask.status == "answered"]
        lost = [ask_id for ask_id in won if ask_id not in ids and not self._in_doubt(ask_id)]
        _law(stopped or not lost, f"accepted and never applied: {lost}")

    def _in_doubt(self, ask_id: str) -> bool:
        return any(click[0] == ask_id and click[2] in (HAPPENED, AGAIN) for click in self.world.clicks.values())

    async def _check_journal(self) -> None:
        journal = await self.store.journal(self.run_id)
        versions = [int(line.details["version"]) for line in journal if line.what == "committed"]
        _law(versions == list(range(1, len(versions) + 1)), f"versions have a gap: {versions}")
        answered = Counter(line.details["ask"] for line in journal if line.what == "answered")
        _law(set(answered.values()) <= {1}, f"answered twice: {answered}")


def _law(holds: bool, told: str) -> None:
    if not holds:
        raise LawBroken(told)


def _well_decided(ask: AskRecord) -> bool:
    """Tell whether an answer came in time and with the votes it needed."""
    if ask.status != "answered":
        return ask.status != "open"
    voters = [actor for actor, response in ask.votes if response == ask.response]
    in_time = ask.deadline is None or ask.at <= ask.deadline
    return in_time and (ask.quorum == 1 or len(set(voters)) >= ask.quorum) and len(set(voters)) == len(voters)


def _true_of(ask: AskRecord, verdict: Verdict) -> bool:
    match verdict:
        case Accepted() | Already():
            return ask.status == "answered" and (verdict.by, verdict.response) == (ask.by, ask.response)
        case Expired():
            return ask.status == "expired"
        case Cancelled():
            return ask.status == "cancelled"
        case _:
            return isinstance(verdict, Recorded) and ask.quorum > 1
