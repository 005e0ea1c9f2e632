"""``ctx.effect``: what must not happen twice is not run again before somebody or something says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from engine import (
    Context,
    DidNotHappen,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    WorkflowCancelledByUser,
    retry_policy,
    step,
)
from engine.core.questions import AGAIN, CANCEL, HAPPENED
from engine.handler import WorkflowHandler
from engine.retry import stop_after_attempt, wait_fixed
from engine.testing import play

AT_ONCE = retry_policy(wait=wait_fixed(0), stop=stop_after_attempt(5))


class Bank:
    """The world: it counts payments, and each of the first calls ends as it is told to."""

    def __init__(self, *endings: BaseException | None) -> None:
        self.paid: list[int] = []
        self.endings = list(endings)

    async def pay(self, amount: int) -> str:
        ending = self.endings.pop(0) if self.endings else None
        if isinstance(ending, DidNotHappen):
            raise ending
        self.paid.append(amount)
        if ending is not None:
            raise ending
        return f"receipt {len(self.paid)}"


class Paying(Workflow):
    """Pays and then asks whether that was right."""

    def __init__(self, bank: Bank, reconcile: Callable[..., Any] | None = None) -> None:
        super().__init__(timeout=None)
        self.bank = bank
        self.reconcile = reconcile

    @step(retry_policy=AT_ONCE)
    async def pay(self, ctx: Context, ev: StartEvent) -> StopEvent:
        if self.reconcile is None:
            receipt = await ctx.effect("pay", self.bank.pay, 5)
        else:
            receipt = await ctx.effect("pay", self.bank.pay, 5, reconcile=self.reconcile)
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt="Fine?")
        return StopEvent(result=[receipt, answer.response])


async def asked(handler: WorkflowHandler) -> InputRequiredEvent:
    """Return the next question."""
    async with asyncio.timeout(5):
        async for event in handler.stream_events():
            if isinstance(event, InputRequiredEvent):
                return event
    raise AssertionError("it asked nothing")


async def told(handler: WorkflowHandler, *answers: HumanResponseEvent | str) -> list[str]:
    """Answer one question after the other and return their texts."""
    questions = []
    for given in answers:
        question = await asked(handler)
        answer = HumanResponseEvent(response=given) if isinstance(given, str) else given
        answer.ask_id = question.ask_id
        handler.ctx.send_event(answer)
        questions.append(question.prefix)
    return questions


async def test_an_effect_happens_once_however_often_its_step_runs() -> None:
    bank = Bank()
    handler = Paying(bank).run()

    await told(handler, "yes")

    assert await handler == ["receipt 1", "yes"]
    assert bank.paid == [5]


async def test_after_an_error_a_person_says_whether_it_happened() -> None:
    bank = Bank(ConnectionError())
    handler = Paying(bank).run()

    questions = await told(handler, HumanResponseEvent(response=HAPPENED, result="receipt 7"), "yes")

    assert await handler == ["receipt 7", "yes"]
    assert questions[0].startswith("Step `pay` was interrupted during `pay`")
    assert bank.paid == [5]


async def test_an_effect_that_happened_has_no_result_unless_the_answer_carries_one() -> None:
    handler = Paying(Bank(ConnectionError())).run()

    await told(handler, HAPPENED, "yes")

    assert await handler == [None, "yes"]


async def test_a_person_has_it_run_again_as_often_as_they_say_so() -> None:
    bank = Bank(ConnectionError(), ConnectionError())
    handler = Paying(bank).run()

    questions = await told(handler, AGAIN, AGAIN, "yes")

    assert await handler == ["receipt 3", "yes"]
    assert questions[0] == questions[1]
    assert bank.paid == [5, 5, 5]


async def test_the_question_offers_its_answers() -> None:
    question = await asked(Paying(Bank(ConnectionError())).run())

    assert question.options == ["it happened", "run it again", "cancel the run"]


async def test_an_answer_that_was_meant_for_another_question_asks_anew() -> None:
    bank = Bank(ConnectionError())
    handler = Paying(bank).run()

    await told(handler, "approve", HAPPENED, "yes")

    assert await handler == [None, "yes"]
    assert bank.paid == [5]


async def test_a_person_cancels_the_run_which_asks_anew_if_it_goes_on() -> None:
    bank = Bank(ConnectionError())
    flow = Paying(bank)
    handler = flow.run()

    await told(handler, CANCEL)
    with pytest.raises(WorkflowCancelledByUser):
        await handler
    snapshot = json.loads(json.dumps(handler.ctx.to_dict()))
    again = flow.run(ctx=Context[Any].from_dict(flow, snapshot))
    await told(again, HAPPENED, "yes")

    assert await again == [None, "yes"]
    assert bank.paid == [5]


async def test_what_certainly_did_not_happen_runs_again_unasked() -> None:
    bank = Bank(DidNotHappen("card declined"), DidNotHappen("card declined"))
    handler = Paying(bank).run()

    questions = await told(handler, "yes")

    assert questions == ["Fine?"]
    assert await handler == ["receipt 1", "yes"]


async def test_what_did_not_happen_once_is_in_doubt_the_next_time() -> None:
    """A question about a later attempt is another question: the answer to the first does not count for it."""
    bank = Bank(ConnectionError(), DidNotHappen("card declined"), ConnectionError())
    handler = Paying(bank).run()

    await told(handler, AGAIN, HAPPENED, "yes")

    assert await handler == [None, "yes"]
    assert bank.paid == [5, 5]


@pytest.mark.parametrize("is_async", [False, True])
async def test_reconcile_finds_the_result(is_async: bool) -> None:
    bank = Bank(ConnectionError())

    def look(amount: int) -> str:
        return f"found {amount}"

    async def look_far(amount: int) -> str:
        return look(amount)

    handler = Paying(bank, look_far if is_async else look).run()
    await told(handler, "yes")

    assert await handler == ["found 5", "yes"]
    assert bank.paid == [5]


async def test_reconcile_finds_nothing_and_it_runs_again() -> None:
    bank = Bank(ConnectionError())

    def look(amount: int) -> str:
        raise DidNotHappen

    handler = Paying(bank, look).run()
    await told(handler, "yes")

    assert await handler == ["receipt 2", "yes"]


async def test_a_reconcile_that_fails_is_tried_again_with_its_step() -> None:
    bank = Bank(ConnectionError())
    looked: list[int] = []

    def look(amount: int) -> str:
        looked.append(amount)
        if len(looked) < 3:
            raise ConnectionError
        return "found"

    handler = Paying(bank, look).run()
    await told(handler, "yes")

    assert await handler == ["found", "yes"]
    assert looked == [5, 5, 5]
    assert bank.paid == [5]


async def test_a_snapshot_taken_while_it_happens_is_in_doubt() -> None:
    happening, never = asyncio.Event(), asyncio.Event()

    class Slow(Bank):
        async def pay(self, amount: int) -> str:
            receipt = await super().pay(amount)
            happening.set()
            await never.wait()
            return receipt

    handler = Paying(Slow()).run()
    await happening.wait()
    snapshot = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()

    bank = Bank()
    flow = Paying(bank)
    restored = flow.run(ctx=Context[Any].from_dict(flow, snapshot))
    await told(restored, HAPPENED, "yes")

    assert await restored == [None, "yes"]
    assert bank.paid == []


async def test_a_question_that_waits_survives_a_snapshot() -> None:
    handler = Paying(Bank(ConnectionError())).run()
    question = await asked(handler)
    snapshot = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()

    bank = Bank()
    flow = Paying(bank)
    restored = flow.run(ctx=Context[Any].from_dict(flow, snapshot))
    restored.ctx.send_event(HumanResponseEvent(response=AGAIN, ask_id=question.ask_id))
    await told(restored, "yes")

    assert await restored == ["receipt 1", "yes"]


async def test_a_durable_run_asks_through_the_run_store() -> None:
    bank = Bank(ConnectionError(), ConnectionError())

    played = await play(Paying(bank), None, "run it again", "it happened", "yes")

    assert played.result == [None, "yes"]
    assert len(bank.paid) == 2


async def test_a_durable_run_is_cancelled_by_the_answer() -> None:
    played = await play(Paying(Bank(ConnectionError())), None, "cancel the run")

    assert played.status == "cancelled"


async def test_each_effect_of_a_step_is_asked_about_by_its_name() -> None:
    bank, shop = Bank(ConnectionError()), Bank(ConnectionError())

    class Flow(Workflow):
        @step(retry_policy=AT_ONCE)
        async def buy(self, ctx: Context, ev: StartEvent) -> StopEvent:
            paid = await ctx.effect("pay", bank.pay, 5)
            sent = await ctx.effect("send", shop.pay, 6)
            return StopEvent(result=[paid, sent, ctx.idempotency_key])

    handler = Flow().run()
    questions = await told(handler, AGAIN, HAPPENED)

    assert await handler == ["receipt 2", None, f"{handler.run_id}:1"]
    assert ["`pay`" in questions[0], "`send`" in questions[1]] == [True, True]
