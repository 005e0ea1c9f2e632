"""Effects: what the surface owes the world, done once each as far as the world allows."""

from __future__ import annotations

from dataclasses import replace

from engine.memory_store.reads import Reads
from engine.memory_store.rows import Effect, Run
from engine.run_store import EffectClaim


class Outbox(Reads):
    """The verbs of `MemoryRunStore` on one effect."""

    async def claim_effect(self, run_id: str, effect_id: str, lease_s: float) -> EffectClaim | None:
        now = self._clock()
        run, effect = self._effect(run_id, effect_id)
        if run is None or effect is None or effect.done or effect.not_before > now:
            return None
        first = run.effects.get(effect.after)
        if first is not None and not first.done:
            effect.not_before = max(effect.not_before, first.not_before)
            return None
        if effect_id.startswith("update:") and run.waiting_for(effect_id, ("lock:", "update:")):
            run.end(effect_id, effect, "", now)  # what waits shows all that this update would
            return None
        effect.attempts += 1
        effect.not_before = now + lease_s
        ask = run.asks.get(effect.ask_id)
        return EffectClaim(
            run=run.record,
            effect_id=effect_id,
            attempt=effect.attempts,
            again=effect.attempts > 1,
            body=effect.body,
            ask=None if ask is None else ask.record,
            now=now,
            until=now + lease_s,
        )

    async def finish_effect(self, claim: EffectClaim, ref: str) -> str:
        now = self._clock()
        run, effect = self._effect(claim.run.run_id, claim.effect_id)
        if run is None or effect is None:
            return ""
        self._redraw_if_overtaken(claim)
        name = (run.record.run_id, claim.effect_id)
        look_at = now + 2 * (claim.until - claim.now)
        if effect.done:
            if effect.ref and effect.ref != ref:  # two did it: the second copy must be gone when somebody looks
                self._verify.setdefault((*name, effect.ref), look_at)
            return effect.ref
        if effect.attempts > 1 and ref:
            self._verify[*name, ref] = look_at
        kind = claim.effect_id.partition(":")[0]
        if kind == "prompt":
            run.record = replace(run.record, thread=run.record.thread or ref)
        ask = run.asks.get(effect.ask_id)
        if kind in ("prompt", "copy") and ask is not None:
            if ref not in ask.record.messages:
                ask.record = replace(ask.record, messages=(*ask.record.messages, ref))
            if kind == "copy" and (ask.updates or not ask.is_open):
                run.owe_update(ask, now)
        run.note(now, "shown", effect=claim.effect_id, ref=ref)
        run.end(claim.effect_id, effect, ref, now)
        return ref

    async def replace_message(self, run_id: str, ask_id: str, gone: str, ref: str) -> None:
        run = self._find(run_id)
        ask = self._ask(run, ask_id)
        if run is None or ask is None or gone not in ask.record.messages:
            return
        messages = tuple(ref if message == gone else message for message in ask.record.messages)
        ask.record = replace(ask.record, messages=messages)
        if run.record.thread == gone:
            run.record = replace(run.record, thread=ref)
        run.note(self._clock(), "shown again", gone=gone, ref=ref)

    async def delay_effect(self, claim: EffectClaim, until: float, *, untried: bool = False, why: str = "") -> None:
        run, effect = self._attempted(claim)
        if run is not None and effect is not None:
            effect.not_before = until
            effect.attempts -= untried
            if why:
                run.note(self._clock(), "held back", effect=claim.effect_id, reason=why)

    async def drop_effect(self, claim: EffectClaim, reason: str) -> None:
        now = self._clock()
        run, effect = self._attempted(claim)
        if run is not None and effect is not None:
            run.note(now, "dropped", effect=claim.effect_id, reason=reason)
            run.end(claim.effect_id, effect, "", now)

    async def settle(self, run_id: str, effect_id: str, ref: str) -> None:
        run = self._find(run_id)
        if self._verify.pop((run_id, effect_id, ref), None) is not None and run is not None:
            run.note(self._clock(), "settled", effect=effect_id, ref=ref)

    def _redraw_if_overtaken(self, claim: EffectClaim) -> None:
        """Owe an update if somebody else took a drawing over: what *claim* drew may be older, and have come later."""
        run, effect = self._effect(claim.run.run_id, claim.effect_id)
        if run is None or effect is None or (not effect.done and effect.attempts == claim.attempt):
            return
        ask = run.asks.get(effect.ask_id)
        if claim.effect_id.startswith(("update:", "lock:")) and ask is not None:
            run.owe_update(ask, self._clock())

    def _effect(self, run_id: str, effect_id: str) -> tuple[Run | None, Effect | None]:
        run = self._find(run_id)
        return run, None if run is None else run.effects.get(effect_id)

    def _attempted(self, claim: EffectClaim) -> tuple[Run | None, Effect | None]:
        """Return the effect of *claim* if nobody else is at it by now."""
        self._redraw_if_overtaken(claim)
        run, effect = self._effect(claim.run.run_id, claim.effect_id)
        current = effect is not None and not effect.done and effect.attempts == claim.attempt
        return run, effect if current else None
