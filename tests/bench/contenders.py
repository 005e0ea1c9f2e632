"""Three ways to ask a person about a draft and go on later, all on one Redis: ours, LlamaIndex's, and by hand.

Each has two verbs: `pause` begins a run and returns when its question is in Redis; `finish` answers it with
nothing but its id, as a process would that was started meanwhile, and returns when the run is over.
"""

from __future__ import annotations

import itertools
import json
from typing import Any, Protocol

import workflows as llama  # noqa: TID251  # the peer, not our folder
from redis.asyncio import Redis
from workflows import events as llama_events  # noqa: TID251

from bot.asking.triggers import CommandReceived
from engine.redis import RedisRunStore
from engine.runner import Runner
from engine.verdicts import Accepted
from engine.workflow import Workflow
from tests.bench.prose import DRAFT_BYTES, draft

ASK_ID = "a2"
"""The first question of a run whose first step asks it; in Slack the button carries it."""
KEPT_S = 30 * 86_400
"""Finished runs are kept as long as ours are."""


class Contender(Protocol):
    async def pause(self) -> str:
        """Begin a run; its question is saved when this returns. Returns its id."""

    async def finish(self, run_id: str) -> None:
        """Answer a run's question from what is saved and work until the run is over, and saved."""

    async def result(self, run_id: str) -> str:
        """Return what the run came to."""


class Ours:
    """The whole protocol: journal, outbox, lease, verdict. Nothing is kept in this process between the two."""

    def __init__(self, url: str, workflow: Workflow) -> None:
        self.store = RedisRunStore.from_url(url, prefix="ours", lanes=4)
        self.runner = Runner(self.store, [workflow], eager=True)
        self._workflow = workflow
        self._numbers = itertools.count()

    async def pause(self) -> str:
        start = CommandReceived(text=f"Topic {next(self._numbers)}", user_id="U1", channel_id="C1")
        run_id = await self.runner.start(self._workflow, start, tenant="T1", requester="U1", address="C1")
        return run_id

    async def finish(self, run_id: str) -> None:
        verdict = await self.runner.answer(run_id, ASK_ID, "approve", user_id="U2")
        assert isinstance(verdict, Accepted)

    async def result(self, run_id: str) -> str:
        return str((await self.runner.view(run_id)).result)


class LlamaDraft(llama.Workflow):
    """The same workflow, asked for with LlamaIndex's own events."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(timeout=None)
        self._size_bytes = size_bytes

    @llama.step
    async def ask(self, ctx: llama.Context, ev: llama_events.StartEvent) -> llama_events.InputRequiredEvent:
        await ctx.store.set("topic", ev.topic)
        return llama_events.InputRequiredEvent(prefix=draft(ev.topic, self._size_bytes))

    @llama.step
    async def decide(self, ctx: llama.Context, ev: llama_events.HumanResponseEvent) -> llama_events.StopEvent:
        return llama_events.StopEvent(result=f"{ev.response}: {await ctx.store.get('topic')}")


class Llama:
    """`Context.to_dict` into Redis, by hand: no journal, no timers, no outbox, no lock, no verdict."""

    def __init__(self, client: Redis, size_bytes: int = DRAFT_BYTES) -> None:
        self._redis = client
        self._workflow = LlamaDraft(size_bytes)
        self._numbers = itertools.count()

    async def pause(self) -> str:
        number = next(self._numbers)
        handler = self._workflow.run(topic=f"Topic {number}")
        prompt = ""
        async for event in handler.stream_events():
            if isinstance(event, llama_events.InputRequiredEvent):
                prompt = event.prefix
                break
        # The context does not hold the question, and whoever draws it anew needs it.
        await self._redis.set(f"llama:{number}", json.dumps({"context": handler.ctx.to_dict(), "prompt": prompt}))
        await handler.cancel_run()
        return f"llama:{number}"

    async def finish(self, run_id: str) -> None:
        saved = await self._redis.get(run_id)
        assert saved is not None
        ctx: llama.Context = llama.Context.from_dict(self._workflow, json.loads(saved)["context"])
        handler = self._workflow.run(ctx=ctx)
        handler.ctx.send_event(llama_events.HumanResponseEvent(response="approve"))
        ended = {"context": handler.ctx.to_dict(), "result": await handler}
        await self._redis.set(run_id, json.dumps(ended), ex=KEPT_S)

    async def result(self, run_id: str) -> str:
        return str(json.loads(await self._redis.get(run_id) or "{}").get("result"))


class ByHand:
    """The floor: the same facts written and read with redis-py, atomically, and no engine at all."""

    def __init__(self, client: Redis, size_bytes: int = DRAFT_BYTES) -> None:
        self._redis = client
        self._size_bytes = size_bytes
        self._numbers = itertools.count()

    async def pause(self) -> str:
        number = next(self._numbers)
        topic, key = f"Topic {number}", f"hand:{number}"
        run: dict[Any, Any] = {
            "status": "waiting",
            "topic": topic,
            "user": "U1",
            "channel": "C1",
            "team": "T1",
            "prompt": draft(topic, self._size_bytes),
        }
        async with self._redis.pipeline() as pipe:
            pipe.hset(key, mapping=run)
            pipe.zadd("hand:open", {key: 0})
            await pipe.execute()
        return key

    async def finish(self, run_id: str) -> None:
        run: Any = await self._redis.hgetall(run_id)
        result = f"approve: {run['topic']}"
        async with self._redis.pipeline() as pipe:
            pipe.hset(run_id, mapping={"status": "done", "by": "U2", "response": "approve", "result": result})
            pipe.zrem("hand:open", run_id)
            pipe.expire(run_id, KEPT_S)
            await pipe.execute()

    async def result(self, run_id: str) -> str:
        return str((await self._redis.hgetall(run_id))["result"])
