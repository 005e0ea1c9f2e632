"""What a workflow that a step runs asks in Slack: in the thread of the step's own run, as if that asked."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot import Choice, CommandReceived, Prompt, slash_command
from bot.aside import Aside
from bot.listeners.admission import Admission
from bot.listeners.answering import Answering
from bot.payloads.tokens import AskToken
from bot.playground import AppConfig, FakeSlack
from bot.playground.workspace import Message
from bot.slack.directory import Directory
from bot.slack.surface import SlackSurface
from bot.slack.workspaces import OneWorkspace
from engine import HumanResponseEvent, StartEvent, StopEvent, Workflow, step
from engine.runner import Runner
from engine.verdicts import Accepted
from tests.integration.engine.stores import in_memory


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


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(AppConfig(signing_secret="unused")) as slack:
        yield slack


async def test_a_childs_question_is_asked_in_the_thread_of_its_parents_run(slack: FakeSlack) -> None:
    """Behaviour 65."""
    client = AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_base_url)
    runner = Runner(in_memory().store, [Publish()])
    workspaces = OneWorkspace(client)
    directory = Directory(workspaces)
    surface = SlackSurface(workspaces, runner, directory)
    answering = Answering(runner, Admission(runner, directory), surface.permalink, Aside().spawn)
    run_id = await runner.start(
        Publish(),
        CommandReceived(text="", user_id="U1", channel_id="C2", team_id="T1"),
        tenant="T1",
        requester="U1",
        address="C2",
    )

    async def answered(user: str) -> None:
        await runner.drain(run_id)
        await surface.show(run_id)
        (ask,) = await runner.store.open_asks(run_id)
        asked = await runner.asked(run_id, ask.ask_id)
        button = AskToken(run_id, ask.ask_id, ask.revision, "yes", ask.digest)
        told = await answering.choose(asked, button, user, f"{user}:{ask.ask_id}", via="button")
        assert isinstance(told.verdict, Accepted)

    await answered("U2")
    await answered("U3")
    await runner.drain(run_id)
    await surface.show(run_id)

    publish, legal, result = slack.messages("C2")
    assert "Publish?" in publish.text
    assert "Legally sound?" in legal.text
    assert legal.thread_ts == publish.ts
    assert "yes; yes by U3" in result.text
    assert not any(has_buttons(message) for message in (publish, legal))


def has_buttons(message: Message) -> bool:
    return any(block["type"] == "actions" for block in message.blocks or [])
