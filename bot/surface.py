"""Shows in Slack what runs owe: posts, updates and repairs messages. The only caller of Slack.

What is owed is in the run store, made there by the same commit as the state it tells of. A
message carries in its metadata which effect it is, so that a second attempt, after a crash
or an unclear failure, finds what the first one did and adopts it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot import blocks, wording
from bot.payloads import thread_link
from bot.prompts import Question, question_of
from bot.workspaces import Workspaces
from engine.errors import ContextSerdeError, RunNotFound, StoreUnavailable
from engine.events import StopEvent, WorkflowCancelledEvent, WorkflowFailedEvent, WorkflowTimedOutEvent
from engine.held_run import RESULT
from engine.run_store import AskRecord, EffectClaim, RunRecord
from engine.runner import PARKED, Runner
from engine.verdicts import Cancelled, Expired

logger = logging.getLogger(__name__)

EFFECT_LEASE_S = 30.0
CALL_TIMEOUT_S = 10
"""Less than the lease: a call that may still land is never repeated while it may."""
OPEN_LIMIT_S = 2.0
"""For a modal: the click that wants it must be acknowledged within 3 seconds."""
LINK_LIMIT_S = 1.0
"""For a link in what a late answer is told: nice to have, and the acknowledgement waits for it."""
RETRY_S = (1.0, 2.0, 5.0, 15.0, 60.0)
"""How long to wait after the first, second, ... attempt whose outcome is unclear."""
_LEFT = "message left to other workers: what it shows cannot be read here"

# Slack will say these again however often we try: docs.slack.dev/reference/methods/chat.postMessage
_CLOSED_TO_US = {"channel_not_found", "not_in_channel", "is_archived", "restricted_action", "cannot_reply_to_message"}
_MESSAGE_GONE = {"message_not_found", "cant_update_message", "edit_window_closed", "is_inactive"}
_PASSING = {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
_UNCLEAR = (SlackClientError, aiohttp.ClientError, asyncio.TimeoutError, OSError)


class SlackSurface:
    """Slack as a place to show questions and results: each run's in its own workspace."""

    def __init__(self, workspaces: Workspaces, runner: Runner, *, thread_replies: bool = True) -> None:
        """*thread_replies*: a reply below a question is an answer, and people may be told so."""
        self._workspaces = workspaces
        self._runner = runner
        self._store = runner.store
        self._thread_replies = thread_replies

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
                    await self._update(run.tenant, ref, self._prompt(run, ask))
        except (SlackApiError, ContextSerdeError, RunNotFound, StoreUnavailable, *_UNCLEAR) as error:
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
        except _UNCLEAR as error:
            logger.warning("Slack did not answer", extra=_about(claim, reason=str(error)))
            await self._later(claim)

    async def _do(self, claim: EffectClaim) -> None:
        kind, _, _ = claim.effect_id.partition(":")
        match kind:
            case "prompt" if claim.ask is not None:
                await self._post_prompt(claim, claim.ask)
            case "lock" if claim.ask is not None:
                await self._lock(claim, claim.ask)
            case "remind" | "escalate" if claim.ask is not None:
                await self._remind(claim, claim.ask)
            case _ if kind == RESULT:
                await self._post(claim, self._result(claim))
            case _ if kind == PARKED:
                await self._post(claim, blocks.failure_message(wording.ENGLISH.parked))
            case _:
                await self._store.drop_effect(claim, "no such effect")

    async def _post_prompt(self, claim: EffectClaim, ask: AskRecord) -> None:
        ref = await self._post(claim, self._prompt(claim.run, ask))
        logger.info("question posted", extra=_about(claim, ref=ref))

    async def _lock(self, claim: EffectClaim, ask: AskRecord) -> None:
        """Bring every copy of a closed question to its last form, without buttons."""
        for ref in ask.messages:
            await self._update(claim.run.tenant, ref, self._locked(claim.run, ask))
        await self._store.finish_effect(claim, ask.messages[0] if ask.messages else "")

    async def _remind(self, claim: EffectClaim, ask: AskRecord) -> None:
        """Say once more, below the question, that it waits."""
        if ask.status != "open":
            await self._store.drop_effect(claim, "the question is closed")
            return
        text = wording.ENGLISH.reminder.format(who=self._whose(ask))
        await self._post(claim, blocks.private_message(text))

    async def _post(self, claim: EffectClaim, message: blocks.Message) -> str:
        """Post into the run's thread, or adopt what an earlier attempt has posted; record which counts."""
        run = claim.run
        thread_channel, _, thread_ts = run.thread.partition(":")
        channel = thread_channel or run.address
        ask_id = claim.ask.ask_id if claim.ask is not None else ""
        ts = await self._find(claim, channel, thread_ts) if claim.again else None
        if ts is None:
            client = await self._workspaces.client(run.tenant)
            sent = await client.chat_postMessage(
                channel=channel,
                text=message.text,
                blocks=message.blocks,
                thread_ts=thread_ts or None,
                metadata=blocks.metadata(run.run_id, ask_id, claim.effect_id),
                unfurl_links=False,
                unfurl_media=False,
            )
            channel, ts = str(sent["channel"]), str(sent["ts"])
            if message.overflow is not None:
                await self._upload(client, channel, thread_ts or ts, message.overflow)
        ref = f"{channel}:{ts}"
        if not run.thread:
            await self._store.link(thread_link(run.tenant, channel, ts), run.run_id)
        counts = await self._store.finish_effect(claim, ref)
        if counts != ref:
            await self._delete(run.tenant, ref)
        return counts

    async def _find(self, claim: EffectClaim, channel: str, thread_ts: str) -> str | None:
        """Return the time stamp of what an earlier attempt posted, or None."""
        try:
            return next(iter(await self._copies(claim.run, claim.effect_id, channel, thread_ts)), None)
        except SlackApiError as error:
            if _is_passing(error):
                raise
            # Without a history scope we cannot look; then a second copy of the same question is the lesser evil.
            logger.info("cannot look for an earlier copy", extra=_about(claim, reason=_code(error)))
            return None

    async def _copies(self, run: RunRecord, effect_id: str, channel: str, thread_ts: str) -> list[str]:
        client = await self._workspaces.client(run.tenant)
        arguments: dict[str, Any] = {"channel": channel, "limit": 100, "include_all_metadata": True}
        if thread_ts:
            answer = await client.conversations_replies(ts=thread_ts, **arguments)
        else:
            answer = await client.conversations_history(**arguments)
        messages: list[dict[str, Any]] = answer.get("messages", [])
        return sorted(str(message["ts"]) for message in messages if _is_effect(message, run.run_id, effect_id))

    async def _repair(self, run_id: str, effect_id: str, ref: str) -> None:
        """Delete every copy of an effect but the one that counts."""
        run = await self._store.run(run_id)
        if run is None:
            await self._store.settle(run_id, effect_id, ref)
            return
        channel, _, counts = ref.partition(":")
        thread_ts = "" if run.thread == ref else run.thread.partition(":")[2]
        try:
            for ts in await self._copies(run, effect_id, channel, thread_ts):
                if ts != counts:
                    await self._delete(run.tenant, f"{channel}:{ts}")
        except SlackApiError as error:
            logger.info("cannot look for second copies", extra={"run_id": run_id, "reason": _code(error)})
        except _UNCLEAR:
            return
        await self._store.settle(run_id, effect_id, ref)

    async def _update(self, tenant: str, ref: str, message: blocks.Message) -> None:
        client = await self._workspaces.client(tenant)
        channel, _, ts = ref.partition(":")
        try:
            await client.chat_update(channel=channel, ts=ts, text=message.text, blocks=message.blocks)
        except SlackApiError as error:
            if _code(error) not in _MESSAGE_GONE | _CLOSED_TO_US:
                raise
            logger.info("message can no longer be changed", extra={"ref": ref, "reason": _code(error)})

    async def _delete(self, tenant: str, ref: str) -> None:
        client = await self._workspaces.client(tenant)
        channel, _, ts = ref.partition(":")
        try:
            await client.chat_delete(channel=channel, ts=ts)
        except SlackApiError as error:
            if _code(error) in _PASSING:
                raise
            logger.info("message could not be deleted", extra={"ref": ref, "reason": _code(error)})

    async def _upload(self, client: AsyncWebClient, channel: str, thread_ts: str, text: str) -> None:
        await client.files_upload_v2(
            channel=channel, thread_ts=thread_ts, content=text, filename="draft.md", title="The whole text"
        )

    # --- when Slack says no ------------------------------------------------------------------

    async def _refused(self, claim: EffectClaim, error: SlackApiError) -> None:
        code = _code(error)
        if _is_passing(error):
            logger.warning("Slack is busy", extra=_about(claim, reason=code))
            await self._later(claim, _retry_after(error))
        elif code in _CLOSED_TO_US:
            logger.warning("Slack does not let us post there", extra=_about(claim, reason=code))
            await self._shut_out(claim, code)
        else:
            logger.error("Slack refuses the message", extra=_about(claim, reason=code))
            await self._store.drop_effect(claim, code)
            await self._tell_requester(claim.run, wording.ENGLISH.not_posted)

    async def _shut_out(self, claim: EffectClaim, code: str) -> None:
        """The channel is closed to us: a run that nobody has seen yet ends, any other is told of in private."""
        run = claim.run
        await self._store.drop_effect(claim, code)
        if claim.ask is not None and not run.thread:
            await self._runner.cancel(run.run_id, by="")
            await self._tell_requester(run, wording.not_in_channel(run.address))
        elif claim.effect_id.partition(":")[0] == RESULT:
            if run.thread or run.status != "cancelled":  # else they were told that it did not begin
                await self._tell_requester(run, self._result(claim).text)
        else:
            await self._tell_requester(run, wording.ENGLISH.not_posted)

    async def _tell_requester(self, run: RunRecord, text: str) -> None:
        if not run.requester:
            return
        try:
            client = await self._workspaces.client(run.tenant)
            opened = await client.conversations_open(users=run.requester)
            message = blocks.private_message(text)
            await client.chat_postMessage(
                channel=str(opened["channel"]["id"]), text=message.text, blocks=message.blocks
            )
        except (SlackApiError, *_UNCLEAR) as error:
            logger.error("could not reach the requester", extra={"run_id": run.run_id, "reason": str(error)})

    async def _later(self, claim: EffectClaim, after_s: float | None = None) -> None:
        pause_s = RETRY_S[min(claim.attempt, len(RETRY_S)) - 1] if after_s is None else after_s
        await self._store.delay_effect(claim, claim.now + pause_s)

    # --- words to one person -------------------------------------------------------------------

    async def tell(
        self, tenant: str, user: str, text: str, *, response_url: str = "", channel: str = "", thread_ts: str = ""
    ) -> None:
        """Tell one person something privately; a failure is logged, since they can ask again."""
        message = blocks.private_message(text)
        try:
            if response_url and self._is_slack(response_url):
                await self._answer(response_url, message)
            elif channel:
                client = await self._workspaces.client(tenant)
                await client.chat_postEphemeral(
                    channel=channel, user=user, text=message.text, blocks=message.blocks, thread_ts=thread_ts or None
                )
        except (SlackApiError, *_UNCLEAR) as error:
            logger.warning("could not tell somebody privately", extra={"reason": str(error)})

    async def open_modal(self, tenant: str, trigger_id: str, view: dict[str, Any]) -> bool:
        """Open a modal; False if Slack would not, most often because the click is older than 3 seconds."""
        try:
            async with asyncio.timeout(OPEN_LIMIT_S):
                client = await self._workspaces.client(tenant)
                await client.views_open(trigger_id=trigger_id, view=view)
        except SlackApiError as error:
            logger.info("modal not opened", extra={"reason": _code(error)})
            return False
        except _UNCLEAR as error:
            logger.warning("modal not opened", extra={"reason": repr(error)})
            return False
        return True

    async def permalink(self, tenant: str, ref: str) -> str | None:
        """Return the address of a message, or None."""
        channel, _, ts = ref.partition(":")
        try:
            async with asyncio.timeout(LINK_LIMIT_S):
                client = await self._workspaces.client(tenant)
                return str((await client.chat_getPermalink(channel=channel, message_ts=ts))["permalink"])
        except (SlackApiError, *_UNCLEAR):
            return None

    async def _answer(self, url: str, message: blocks.Message) -> None:
        body = {
            "response_type": "ephemeral",
            "replace_original": False,
            "text": message.text,
            "blocks": message.blocks,
        }
        async with self._session() as session, session.post(url, json=body, allow_redirects=False) as answer:
            if answer.status >= 300:
                logger.warning("could not tell somebody privately", extra={"reason": f"HTTP {answer.status}"})

    def _session(self) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
        """The session of all clients, if whoever made them gave them one, else one for this call."""
        if (session := self._workspaces.app.session) is not None:
            return nullcontext(session)
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S))

    def _is_slack(self, url: str) -> bool:
        """Whether an address that came with a payload is Slack's own (or that of the Slack we are set up for)."""
        asked, ours = urlsplit(url), urlsplit(self._workspaces.app.base_url)
        if (asked.scheme, asked.netloc) == (ours.scheme, ours.netloc):
            return True
        return asked.scheme == "https" and asked.netloc in ("hooks.slack.com", "hooks.slack-gov.com")

    # --- what to show ----------------------------------------------------------------------------

    def _prompt(self, run: RunRecord, ask: AskRecord) -> blocks.Message:
        if ask.status != "open":
            return self._locked(run, ask)
        return blocks.prompt_message(
            self._question(run, ask),
            run_id=run.run_id,
            ask_id=ask.ask_id,
            revision=ask.revision,
            digest=ask.digest,
            requester=run.requester,
            deadline=ask.deadline,
            votes=ask.votes,
            thread_replies=self._thread_replies,
        )

    def _locked(self, run: RunRecord, ask: AskRecord) -> blocks.Message:
        outcome: blocks.Outcome
        match ask.status:
            case "expired":
                outcome = Expired(ask.at)
            case "cancelled":
                outcome = Cancelled(ask.by, ask.at)
            case _:
                answer = self._runner.codec(run.workflow).loads(ask.answer, "answer")
                comment = str(getattr(answer, "comment", "") or "")
                outcome = blocks.Decided(ask.by, ask.at, ask.response, comment, ask.votes)
        return blocks.locked_message(self._question(run, ask), outcome, requester=run.requester)

    def _question(self, run: RunRecord, ask: AskRecord) -> Question:
        return question_of(self._runner.question(run, ask))

    def _result(self, claim: EffectClaim) -> blocks.Message:
        run = claim.run
        final = self._runner.codec(run.workflow).loads(claim.body, RESULT)
        match final:
            case WorkflowTimedOutEvent():
                return blocks.failure_message(wording.ENGLISH.timed_out, requester=run.requester)
            case WorkflowFailedEvent():
                return blocks.failure_message(requester=run.requester)
            case WorkflowCancelledEvent():
                return blocks.cancelled_message()
            case StopEvent() if type(final) is StopEvent:
                return blocks.result_message(final.result)
            case _:
                return blocks.result_message(final.model_dump(mode="json"))

    def _whose(self, ask: AskRecord) -> str:
        return ", ".join(wording.mention(who) for who in ask.allowed)


def _is_effect(message: Mapping[str, Any], run_id: str, effect_id: str) -> bool:
    payload = (message.get("metadata") or {}).get("event_payload") or {}
    return bool(payload.get("run_id") == run_id and payload.get("effect_id") == effect_id)


def _code(error: SlackApiError) -> str:
    return str(error.response.get("error", "") or f"http_{error.response.status_code}")


def _is_passing(error: SlackApiError) -> bool:
    """Whether it is worth asking again later."""
    return _code(error) in _PASSING or error.response.status_code >= 500 or error.response.status_code == 429


def _retry_after(error: SlackApiError) -> float | None:
    """Return how many seconds Slack asks us to wait, within reason, or None if it does not say."""
    given = error.response.headers.get("Retry-After") or error.response.headers.get("retry-after")
    try:
        return min(max(float(given), 0.5), 3600.0) if given is not None else None
    except (TypeError, ValueError):
        return None


def _about(claim: EffectClaim, **more: str) -> dict[str, str]:
    return {"run_id": claim.run.run_id, "effect": claim.effect_id, **more}
