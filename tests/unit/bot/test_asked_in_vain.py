"""What an author hears at once of a question that cannot go as it was meant."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from bot import Escalation, Prompt
from engine import Context, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.memory_store import MemoryRunStore
from engine.runner import Runner, RunView

ANA, BEN, CHLOE, TEAM = "U012ANA", "U012BEN", "U012CHLOE", "S012TEAM"


class Ask(Workflow):
    """Asks as it is told."""

    def __init__(self, question: InputRequiredEvent) -> None:
        super().__init__()
        self.question = question

    @step
    async def ask(self, ctx: Context, ev: StartEvent) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, waiter_event=self.question)
        return StopEvent(result=answer.response)


async def asked_by(requester: str, question: InputRequiredEvent) -> RunView:
    workflow = Ask(question)
    runner = Runner(MemoryRunStore(), [workflow])
    return await runner.drain(await runner.start(workflow, requester=requester))


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"approvers": [ANA]}, "nobody may answer"),
        ({"approvers": [ANA], "escalate": [Escalation(after=60, to=[ANA])]}, "nobody may answer"),
        ({"approvers": [ANA, BEN], "quorum": 2}, f"quorum is 2 but only {BEN} may answer"),
    ],
)
async def test_a_question_that_four_eyes_leaves_to_too_few_fails_its_step(rules: dict[str, Any], told: str) -> None:
    view = await asked_by(ANA, Prompt(prefix="Ship?", choices=["yes"], four_eyes=True, **rules))

    assert view.status == "failed"
    assert f"{told}: {ANA} is named, too, but has started the run" in str(view.error)
    assert "name somebody else" in str(view.error)


@pytest.mark.parametrize(
    "rules",
    [
        {"approvers": [ANA, BEN]},
        {"approvers": [ANA, TEAM], "quorum": 2},
        {"approvers": [ANA], "escalate": [Escalation(after=60, to=[BEN])]},
        {"approvers": [ANA, BEN], "quorum": 2, "escalate": [Escalation(after=60, to=[TEAM])]},
        {"approvers": []},
        {"approvers": [ANA], "four_eyes": False},
    ],
)
async def test_a_question_that_enough_may_answer_by_and_by_is_asked(rules: dict[str, Any]) -> None:
    view = await asked_by(ANA, Prompt(prefix="Ship?", choices=["yes"], **{"four_eyes": True, **rules}))

    assert view.status == "waiting"


async def test_whoever_did_not_ask_may_be_the_only_one() -> None:
    view = await asked_by(CHLOE, Prompt(prefix="Ship?", choices=["yes"], four_eyes=True, approvers=[ANA]))

    assert view.status == "waiting"


async def test_where_groups_are_not_told_apart_a_quorum_is_not_judged() -> None:
    rules: dict[str, Any] = {"allowed": [ANA, TEAM], "quorum": 2, "self_approval": False}

    assert (await asked_by(ANA, InputRequiredEvent(**rules))).status == "waiting"
    assert (await asked_by(ANA, InputRequiredEvent(**{**rules, "allowed": [ANA]}))).status == "failed"


async def test_a_reminder_that_the_timeout_forestalls_is_told_of_when_the_question_is_asked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rungs = [Escalation(after=59, to=[BEN]), Escalation(after=60, to=[CHLOE])]

    with caplog.at_level(logging.WARNING):
        for timeout in (60, None):
            prompt = Prompt(prefix="Ship?", choices=["yes"], timeout=timeout, remind=[30, 90], escalate=rungs)
            await asked_by(ANA, prompt)

    (told,) = caplog.records
    assert told.getMessage() == "question asked that expires before it is reminded of or escalated"
    assert vars(told)["never"] == "remind 2, escalate 2"
