"""Shows in Slack what runs owe: performs their effects, and mends what was done twice.

What is owed is in the run store, made there by the same commit as the state it tells of. A
message carries in its metadata which effect it is, so that a second attempt, after a crash
or an unclear failure, finds what the first one did and adopts it.
"""

from __future__ import annotations

import logging

from slack_sdk.errors import SlackApiError

from bot import blocks, wording
from bot.languages import ENGLISH, Catalogue
from bot.payloads import thread_link
from bot.showing import Showing
from bot.slack_calls import CLOSED_TO_US, UNCLEAR, SlackCalls, code, is_passing, retry_after
from bot.telling import Telling
from bot.workspaces import Workspaces
from engine.errors import ContextSerdeError, RunNotFound, StoreUnavailable
from engine.held_run import RESULT
from engine.run_store import AskRecord, EffectClaim, RunRecord
from engine.runner import PARKED, Runner

logger = logging.getLogger(__name__)

EFFECT_LEASE_S = 30.0
RETRY_S = (1.0, 2.0, 5.0, 15.0, 60.0)
"""How long to wait after the first, second, ... attempt whose outcome is unclear."""
_LEFT = "message left to other workers: what it shows cannot be read here"


class SlackSurface(Telling):
    """Slack as a place to show questions and results: each run's in its own workspace."""

    def __init__(
        self, workspaces: Workspaces, runner: Runner, *, thread_replies: bool = True, words: Catalogue = ENGLISH
    ) -> None:
        """*thread_replies*: a reply below a question is an answer, and people may be told so; *words*: of messages."""
        super().__init__(workspaces)
        self._slack = SlackCalls(workspaces)
        self._showing = Showing(runner, thread_replies=thread_replies, words=words)
        self._runner = runner
        self._store = runner.store
        self._words = words

    # --- what runs owe ---------------------------------------------------------------------

    async def show(self, run_id: str) -> None:
        """Do everything one run owes now, in order."""
        for effect_id in await self._store.effects_of(run_id):
            await self.perform(run_id, effect_id)

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
                    await self._slack.update(run.tenant, ref, self._showing.question(run, ask))
        except (SlackApiError, ContextSerdeError, RunNotFound, StoreUnavailable, *UNCLEAR) as error:
            logger.warning("question not shown again", extra={"run_id": run_id, "reason": str(error)})

    async def catch_up(self, limit: int = 100) -> None:
        """Do what is owed and late, of any run, and look again at what was done more than once."""
        for run_id, effect_id in await self._store.due_effects(limit):
            await self.perform(run_id, effect_id)
        for run_id, effect_id, ref in await self._store.doubtful(limit):
            await self._repair(run_id, effect_id, ref)

    async def perform(self, run_id: str, effect_id: str) -> None:
        """Do one effect, unless somebody else does."""
        try:
            claim = await self._store.claim_effect(run_id, effect_id, EFFECT_LEASE_S)
            if claim is not None:
                await self._perform(claim)
        except ContextSerdeError as error:  # it stays owed, and is tried again when the lease is over
            logger.warning(_LEFT, extra={"run_id": run_id, "effect": effect_id, "reason": str(error)})

    async def _perform(self, claim: EffectClaim) -> None:
        try:
            await self._do(claim)
        except (ContextSerdeError, RunNotFound) as error:
            logger.warning(_LEFT, extra=_about(claim, reason=str(error)))
            await self._later(claim)
        except SlackApiError as error:
            await self._refused(claim, error)
        except UNCLEAR as error:
            logger.warning("Slack did not answer", extra=_about(claim, reason=str(error)))
            await self._later(claim)

    async def _do(self, claim: EffectClaim) -> None:
        kind, _, _ = claim.effect_id.partition(":")
        match kind:
            case "prompt" if claim.ask is not None:
                await self._post_prompt(claim, claim.ask)
            case "update" | "lock" if claim.ask is not None:
                await self._bring_up_to_date(claim, claim.ask)
            case "remind" | "escalate" if claim.ask is not None:
                await self._remind(claim, claim.ask)
            case _ if kind == RESULT:
                await self._post(claim, self._showing.result(claim))
            case _ if kind == PARKED:
                await self._post(claim, blocks.failure_message(self._words.parked, words=self._words))
            case _:
                await self._store.drop_effect(claim, "no such effect")

    async def _post_prompt(self, claim: EffectClaim, ask: AskRecord) -> None:
        ref = await self._post(claim, self._showing.question(claim.run, ask))
        logger.info("question posted", extra=_about(claim, ref=ref))

    async def _bring_up_to_date(self, claim: EffectClaim, ask: AskRecord) -> None:
        """Let every message of a question show it as it is. One that cannot be reached now keeps none of the others."""
        failed: Exception | None = None
        for ref in ask.messages:
            try:
                await self._slack.update(claim.run.tenant, ref, self._showing.question(claim.run, ask))
            except (SlackApiError, *UNCLEAR) as error:
                failed = error
        if failed is not None:
            raise failed
        await self._store.finish_effect(claim, ask.messages[0] if ask.messages else "")

    async def _remind(self, claim: EffectClaim, ask: AskRecord) -> None:
        """Say once more, below the question, that it waits."""
        if ask.status != "open":
            await self._store.drop_effect(claim, "the question is closed")
            return
        await self._post(claim, self._showing.reminder(ask))

    async def _post(self, claim: EffectClaim, message: blocks.Message) -> str:
        """Post into the run's thread, or adopt what an earlier attempt has posted; record which counts."""
        run = claim.run
        thread_channel, _, thread_ts = run.thread.partition(":")
        channel = thread_channel or run.address
        ask_id = claim.ask.ask_id if claim.ask is not None else ""
        ref = await self._find(claim, channel, thread_ts) if claim.again else None
        if ref is None:
            metadata = blocks.metadata(run.run_id, ask_id, claim.effect_id)
            ref = await self._slack.post(run.tenant, channel, thread_ts, message, metadata)
        if not run.thread:
            await self._store.link(thread_link(run.tenant, *ref.split(":")), run.run_id)
        counts = await self._store.finish_effect(claim, ref)
        if counts != ref:
            await self._slack.delete(run.tenant, ref)
        return counts

    async def _find(self, claim: EffectClaim, channel: str, thread_ts: str) -> str | None:
        """Return the reference of what an earlier attempt posted, or None."""
        try:
            return next(iter(await self._slack.copies(claim.run, claim.effect_id, channel, thread_ts)), None)
        except SlackApiError as error:
            if is_passing(error):
                raise
            # Without a history scope we cannot look; then a second copy of the same question is the lesser evil.
            logger.info("cannot look for an earlier copy", extra=_about(claim, reason=code(error)))
            return None

    async def _repair(self, run_id: str, effect_id: str, counts: str) -> None:
        """Delete every copy of an effect but the one that counts."""
        run = await self._store.run(run_id)
        if run is None:
            await self._store.settle(run_id, effect_id, counts)
            return
        channel = counts.partition(":")[0]
        thread_ts = "" if run.thread == counts else run.thread.partition(":")[2]
        try:
            for ref in await self._slack.copies(run, effect_id, channel, thread_ts):
                if ref != counts:
                    await self._slack.delete(run.tenant, ref)
        except SlackApiError as error:
            logger.info("cannot look for second copies", extra={"run_id": run_id, "reason": code(error)})
        except UNCLEAR:
            return
        await self._store.settle(run_id, effect_id, counts)

    # --- when Slack says no ------------------------------------------------------------------

    async def _refused(self, claim: EffectClaim, error: SlackApiError) -> None:
        reason = code(error)
        if is_passing(error):
            logger.warning("Slack is busy", extra=_about(claim, reason=reason))
            await self._later(claim, retry_after(error))
        elif reason in CLOSED_TO_US:
            logger.warning("Slack does not let us post there", extra=_about(claim, reason=reason))
            await self._shut_out(claim, reason)
        else:
            logger.error("Slack refuses the message", extra=_about(claim, reason=reason))
            await self._store.drop_effect(claim, reason)
            await self._tell_requester(claim.run, self._words.not_posted)

    async def _shut_out(self, claim: EffectClaim, reason: str) -> None:
        """The channel is closed to us: a run that nobody has seen yet ends, any other is told of in private."""
        run = claim.run
        await self._store.drop_effect(claim, reason)
        if claim.ask is not None and not run.thread:
            await self._runner.cancel(run.run_id, by="")
            await self._tell_requester(run, wording.not_in_channel(run.address, words=self._words))
        elif claim.effect_id.partition(":")[0] == RESULT:
            if run.thread or run.status != "cancelled":  # else they were told that it did not begin
                await self._tell_requester(run, self._showing.result(claim).text)
        else:
            await self._tell_requester(run, self._words.not_posted)

    async def _tell_requester(self, run: RunRecord, text: str) -> None:
        if run.requester:
            await self.tell_directly(run.tenant, run.requester, text)

    async def _later(self, claim: EffectClaim, after_s: float | None = None) -> None:
        pause_s = RETRY_S[min(claim.attempt, len(RETRY_S)) - 1] if after_s is None else after_s
        await self._store.delay_effect(claim, claim.now + pause_s)


def _about(claim: EffectClaim, **more: str) -> dict[str, str]:
    return {"run_id": claim.run.run_id, "effect": claim.effect_id, **more}
