"""Shows in Slack what runs owe: performs their effects, and mends what was done twice.

What is owed is in the run store, made there by the same commit as the state it tells of. A
message carries in its metadata which effect it is, so that a second attempt, after a crash
or an unclear failure, finds what the first one did and adopts it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

from slack_sdk.errors import SlackApiError

from bot.languages import Catalogue
from bot.slack.calls import CLOSED_TO_US, NOT_LET_IN, UNCLEAR, SlackCalls, code, is_passing, retry_after
from bot.slack.directory import Directory
from bot.slack.pace import HeldBack, Pace
from bot.slack.posting import Place, Posting
from bot.slack.showing import Showing
from bot.slack.telling import Telling
from bot.slack.workspaces import NotInstalled, Workspaces
from bot.slack_ids import is_group
from bot.views import blocks, wording
from engine.errors import CodecError, ContextSerdeError, RunNotFound, StoreUnavailable
from engine.held_run import RESULT
from engine.run_store import Amendment, AskRecord, EffectClaim, RunRecord, copy_of
from engine.runner import Runner
from engine.verdicts import Accepted, Stale, Verdict
from engine.worker import PARKED

logger = logging.getLogger(__name__)

EFFECT_LEASE_S = 30.0
RETRY_S = (1.0, 2.0, 5.0, 15.0, 60.0)
"""How long to wait after the first, second, ... attempt whose outcome is unclear."""
HELD_S = 300.0
"""How long to wait before looking again whether the app was installed again."""
Show: TypeAlias = Callable[[Catalogue], blocks.Message]
"""A message, once the words for who reads it are known."""
_LEFT = "message left to other workers: what it shows cannot be read here"


class SlackSurface(Telling):
    """Slack as a place to show questions and results: each run's in its own workspace."""

    def __init__(
        self,
        workspaces: Workspaces,
        runner: Runner,
        directory: Directory,
        *,
        thread_replies: bool = True,
        pace: Pace | None = None,
    ) -> None:
        """*thread_replies*: a reply below a question is an answer, and people may be told so.

        *directory* knows the words for each conversation and for whom something is told in private.
        """
        super().__init__(workspaces)
        self._directory = directory
        self._slack = SlackCalls(workspaces, pace or Pace())
        self._posting = Posting(self._slack, runner.store)
        self._showing = Showing(runner, thread_replies=thread_replies)
        self._runner = runner
        self._store = runner.store

    # --- what runs owe ---------------------------------------------------------------------

    async def show(self, run_id: str) -> list[EffectClaim]:
        """Do everything one run owes now, in order, and return what was tried."""
        return [
            claim
            for effect_id in await self._store.effects_of(run_id)
            if (claim := await self.perform(run_id, effect_id)) is not None
        ]

    async def show_again(self, run_id: str) -> None:
        """Give a run's open questions their buttons back, where they stand; what it owes comes by itself.

        For a database that came back with an older state: it knows nothing of what was shown since.
        """
        try:
            run = await self._store.run(run_id)
            if run is None:
                return
            for ask in await self._store.open_asks(run_id):
                for ref in ask.messages:
                    channel = ref.partition(":")[0]
                    message = self._showing.question(run, ask, channel, await self._words_in(run, channel))
                    await self._slack.update(run.tenant, ref, message)
        except (HeldBack, SlackApiError, ContextSerdeError, RunNotFound, StoreUnavailable, *UNCLEAR) as error:
            logger.warning("question not shown again", extra={"run_id": run_id, "reason": str(error)})

    async def catch_up(self) -> list[EffectClaim]:
        """Do what is owed and late, of any run, and return what was tried; look again at what was done twice."""
        claims = [await self.perform(run_id, effect_id) for run_id, effect_id in await self._store.due_effects()]
        for run_id, effect_id, ref in await self._store.doubtful():
            try:
                await self._posting.repair(run_id, effect_id, ref)
            except CodecError as error:
                logger.warning(_LEFT, extra={"run_id": run_id, "effect": effect_id, "reason": str(error)})
        return [claim for claim in claims if claim is not None]

    async def perform(self, run_id: str, effect_id: str) -> EffectClaim | None:
        """Do one effect, unless somebody else does, and return the claim on it."""
        try:
            claim = await self._store.claim_effect(run_id, effect_id, EFFECT_LEASE_S)
            if claim is not None:
                await self._perform(claim)
        except ContextSerdeError as error:  # it stays owed, and is tried again when the lease is over
            logger.warning(_LEFT, extra={"run_id": run_id, "effect": effect_id, "reason": str(error)})
            return None
        return claim

    async def _perform(self, claim: EffectClaim) -> None:
        try:
            await self._do_or_tell(claim)
        except (ContextSerdeError, RunNotFound) as error:
            logger.warning(_LEFT, extra=_about(claim, reason=str(error)))
            await self._later(claim)
        except HeldBack as held:
            await self._store.delay_effect(claim, claim.now + held.after_s, untried=True)
        except SlackApiError as error:
            logger.warning("Slack is busy", extra=_about(claim, reason=code(error)))
            await self._later(claim, retry_after(error))
        except NotInstalled as error:
            logger.warning("message held back until the app is installed again", extra=_about(claim, reason=str(error)))
            first = claim.attempt == 1  # it may be tried a thousand times, and the journal is for people
            why = f"not installed in {error.tenant}" if first else ""
            await self._store.delay_effect(claim, claim.now + HELD_S, why=why)
        except UNCLEAR as error:
            logger.warning("Slack did not answer", extra=_about(claim, reason=str(error)))
            await self._later(claim)

    async def _do(self, claim: EffectClaim) -> None:
        kind, _, _ = claim.effect_id.partition(":")
        match kind:
            case "prompt" if claim.ask is not None:
                await self._ask(claim, claim.ask)
            case "copy" if claim.ask is not None:
                await self._ask_too(claim, claim.ask)
            case "update" | "lock" | "redraw" if claim.ask is not None:
                await self._bring_up_to_date(claim, claim.ask)
            case "remind" if claim.ask is not None:
                await self._remind(claim, claim.ask)
            case "escalate" if claim.ask is not None:
                await self._escalate(claim, claim.ask)
            case "details" if claim.ask is not None:
                await self._ask_back(claim, claim.ask)
            case _ if kind == RESULT:
                await self._say(claim, lambda words: self._showing.result(claim, words))
            case _ if kind == PARKED:
                await self._say(claim, lambda words: blocks.parked_message(words=words))
            case _:
                await self._store.drop_effect(claim, "no such effect")

    async def _ask(self, claim: EffectClaim, ask: AskRecord) -> None:
        """Post a question where its command was typed."""
        home = self._showing.home_of(claim.run)
        message = self._showing.question(claim.run, ask, home, await self._words_in(claim.run, home))
        in_thread = self._showing.asked(claim.run, ask).home != "channel"
        ref = await self._posting.post(claim, self._home(claim.run, in_thread=in_thread), message)
        logger.info("question posted", extra=_about(claim, ref=ref))

    async def _ask_too(self, claim: EffectClaim, ask: AskRecord) -> None:
        """Post a question to one more person, in their conversation with the bot."""
        run, person = claim.run, claim.body.decode()
        place = Place(await self._slack.open(run.tenant, person))
        if place.channel == self._showing.home_of(run):
            await self._store.drop_effect(claim, "the question is shown there already")
        elif ask.status != "open" and not (claim.again and await self._posting.is_posted(claim, place)):
            await self._store.drop_effect(claim, "the question is closed")
        else:
            words = await self._directory.words_in(run.tenant, place.channel, person)
            await self._posting.post(claim, place, self._showing.question(run, ask, place.channel, words))

    async def _bring_up_to_date(self, claim: EffectClaim, ask: AskRecord) -> None:
        """Let every message of a question show it as it is. One that cannot be reached now keeps none of the others."""
        run, closed = claim.run, False
        failures: list[Exception] = []
        for ref in ask.messages:
            channel = ref.partition(":")[0]
            message = self._showing.question(run, ask, channel, await self._words_in(run, channel))
            try:
                standing = await self._slack.update(run.tenant, ref, message)
                closed = closed or standing == "closed"
                if standing == "gone":
                    in_thread = ref != run.thread and channel == self._showing.home_of(run)
                    place = self._home(run) if in_thread else Place(channel)
                    await self._posting.put_again(run, ask, ref, place, message)
            except (HeldBack, SlackApiError, *UNCLEAR) as error:
                failures.append(error)
        if failures:
            raise min(failures, key=_is_lasting)
        if closed and ask.status == "open":
            await self._tell_requester(claim, _not_posted)
        await self._store.finish_effect(claim, ask.messages[0] if ask.messages else "")

    async def _remind(self, claim: EffectClaim, ask: AskRecord) -> None:
        """Say once more, below each message of the question, that it waits."""
        if ask.status != "open":
            await self._store.drop_effect(claim, "the question is closed")
            return
        run, home = claim.run, self._showing.home_of(claim.run)
        places = {channel: Place(channel, ts) for channel, _, ts in (ref.partition(":") for ref in ask.messages)}
        places[home] = self._home(run)
        if self._showing.hidden(run, ask, home):
            del places[home]
        refs: list[str] = []
        failures: list[Exception] = []
        for place in places.values():
            try:
                words = await self._words_in(run, place.channel)
                refs.append(await self._posting.put(claim, place, self._showing.reminder(ask, words)))
            except (HeldBack, SlackApiError, *UNCLEAR) as error:  # the others are told all the same
                failures.append(error)
        failure = min(failures, key=_is_lasting, default=None)
        if isinstance(failure, HeldBack):
            untried = not refs and all(isinstance(one, HeldBack) for one in failures)
            await self._store.delay_effect(claim, claim.now + failure.after_s, untried=untried)
        elif failure is None or (refs and _is_lasting(failure)):
            await self._store.finish_effect(claim, refs[0] if refs else "")
        else:
            raise failure

    async def _escalate(self, claim: EffectClaim, ask: AskRecord) -> None:
        """Let further people answer, ask each of them in private, and say so below the question."""
        who = self._showing.escalated_to(claim.run, ask, int(claim.effect_id.rpartition(":")[2]))
        if not who:
            await self._remind(claim, ask)
            return
        if ask.status != "open":  # since an attempt that has asked them already
            await self._store.drop_effect(claim, "the question is closed")
            return
        told: Verdict = Stale()
        while told == Stale():  # somebody has just handed it on
            ask = await self._store.ask(ask.run_id, ask.ask_id) or ask
            told = await self._runner.amend(_asking_too(ask, who, claim.effect_id))
        if not isinstance(told, Accepted):
            await self._store.drop_effect(claim, "the question is closed")
            return
        await self._say(claim, lambda words: self._showing.escalation(ask, who, words))

    async def _ask_back(self, claim: EffectClaim, ask: AskRecord) -> None:
        """Ask the requester something; of a question that is asked in private, in private."""
        run, place = claim.run, self._home(claim.run)
        if self._showing.hidden(run, ask, place.channel):
            place = Place(await self._slack.open(run.tenant, run.requester))
        await self._say(claim, lambda words: self._showing.details(claim, words), place)

    async def _say(self, claim: EffectClaim, message: Show, place: Place | None = None) -> None:
        """Post a message where the run is shown, unless another *place* is named."""
        place = place or self._home(claim.run)
        await self._posting.post(claim, place, message(await self._words_in(claim.run, place.channel)))

    async def _words_in(self, run: RunRecord, channel: str) -> Catalogue:
        """Return the words for a conversation; where a run was started with the bot alone, it is its requester's."""
        reader = run.requester if channel == self._showing.home_of(run) else ""
        return await self._directory.words_in(run.tenant, channel, reader)

    def _home(self, run: RunRecord, *, in_thread: bool = True) -> Place:
        """Return where a run's messages go: into its thread, once there is one."""
        return Place(self._showing.home_of(run), run.thread.partition(":")[2] if in_thread else "")

    # --- when Slack says no ------------------------------------------------------------------

    async def _do_or_tell(self, claim: EffectClaim) -> None:
        """Do an effect; one that Slack will never let us do is given up once that has been told."""
        try:
            await self._do(claim)
        except SlackApiError as error:
            if is_passing(error):
                raise
            reason = code(error)
            level = logging.WARNING if reason in CLOSED_TO_US else logging.ERROR
            logger.log(level, "Slack does not take the message", extra=_about(claim, reason=reason))
            if (message := await self._instead(claim, reason)) is not None:
                await self._tell_requester(claim, message)
            await self._store.drop_effect(claim, reason)

    async def _instead(self, claim: EffectClaim, reason: str) -> Show | None:
        """Return what is told in the place of an effect that cannot be done, None if that was told before.

        Where the channel is closed to us, a run that nobody has seen yet ends.
        """
        run, kind = claim.run, claim.effect_id.partition(":")[0]
        if kind == "copy":
            who = wording.mention(claim.body.decode())
            return lambda words: blocks.private_message(words.not_asked.format(who=who))
        if reason not in CLOSED_TO_US:
            return _not_posted
        if claim.ask is not None and not run.thread:
            await self._runner.cancel(run.run_id, by="")
            told = wording.not_in_channel if reason in NOT_LET_IN else wording.closed_channel
            return lambda words: blocks.private_message(told(run.address, words=words))
        if kind != RESULT:
            return _not_posted
        if run.status == "cancelled" and not run.thread:  # they were told that it did not begin
            return None
        return lambda words: self._showing.result(claim, words)

    async def _tell_requester(self, claim: EffectClaim, message: Show) -> None:
        """Tell in private, once, what cannot be shown where it belongs."""
        run = claim.run
        if not run.requester:
            return
        words = await self._directory.learn(run.tenant, run.requester)
        try:
            place = Place(await self._slack.open(run.tenant, run.requester))
            await self._posting.put_instead(claim, place, message(words))
        except SlackApiError as error:
            if is_passing(error):
                raise
            logger.error("could not reach somebody", extra=_about(claim, reason=code(error)))

    async def _later(self, claim: EffectClaim, after_s: float | None = None) -> None:
        pause_s = RETRY_S[min(claim.attempt, len(RETRY_S)) - 1] if after_s is None else after_s
        await self._store.delay_effect(claim, claim.now + pause_s)


def _asking_too(ask: AskRecord, who: Sequence[str], delivery_id: str) -> Amendment:
    """Return what lets *who* answer, too, and shows it to each of them."""
    allowed = tuple(dict.fromkeys((*ask.allowed, *who)))
    return Amendment(
        run_id=ask.run_id,
        ask_id=ask.ask_id,
        delivery_id=delivery_id,
        actor="",
        what="asked too",
        allowed=allowed if ask.allowed and allowed != ask.allowed else None,
        before=ask.allowed,
        effects=[copy_of(ask.ask_id, person) for person in who if not is_group(person)],
    )


def _not_posted(words: Catalogue) -> blocks.Message:
    return blocks.private_message(words.not_posted)


def _is_lasting(error: Exception) -> bool:
    """Whether it will be the same however often it is tried; what will pass is tried again first."""
    return isinstance(error, SlackApiError) and not is_passing(error)


def _about(claim: EffectClaim, **more: str) -> dict[str, str]:
    return {"run_id": claim.run.run_id, "effect": claim.effect_id, **more}
