"""What a workflow that a step runs asks in Slack: in the thread of the step's own run, as if that asked."""

from __future__ import annotations

from bot import Choice, CommandReceived, Prompt, slash_command
from engine import HumanResponseEvent, StartEvent, StopEvent, Workflow, step
from engine.verdicts import Accepted
from tests.integration.bot.desk import BEN, CHLOE, desk
from tests.messages import buttons


class Legal(Workflow):
    """Asks a lawyer."""

    @step
    async def ask(self, ev: StartEvent) -> Prompt:
        return Prompt(prefix="Legally sound?", choices=[Choice("yes"), Choice("no", style="danger")])

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=f"{ev.response} by {ev.user_id}")


@slash_command("/publish", summary="Publish once two people agree")
class Publish(Workflow):
    """Asks an editor, then has a lawyer asked."""

    @step
    async def ask(self, ev: CommandReceived) -> Prompt:
        return Prompt(prefix="Publish?", choices=[Choice("yes"), Choice("no")])

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=f"{ev.response}; {await Legal().run()}")


async def test_a_childs_question_is_asked_in_the_thread_of_its_parents_run() -> None:
    """Behaviour 65."""
    publish = Publish()
    async with desk(publish) as found:
        await found.start(publish)

        told = [await found.answer(user, "yes") for user in (BEN, CHLOE)]

        assert all(isinstance(one.verdict, Accepted) for one in told)
        published, legal, result = found.home()
        assert "Publish?" in published.text
        assert "Legally sound?" in legal.text
        assert legal.thread_ts == published.ts
        assert f"yes; yes by {CHLOE}" in result.text
        assert not any(buttons(message) for message in (published, legal))
