"""``verbose=True``: a line for what each step does, on the logger that is on for it or else printed."""

import asyncio
import logging

import pytest

from engine import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.events import StepStateChanged
from tests.unit.engine.turns import until


class Part(Event): ...


class Steps(Workflow):
    @step
    async def first(self, ev: StartEvent) -> Part | None:
        if ev.get("fail"):
            raise ValueError("no ink")
        return Part()

    @step
    async def second(self, ev: Part) -> StopEvent:
        return StopEvent(result="done")


class Asks(Workflow):
    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(prefix="?")

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)


SAID = [
    "[first:0] started from StartEvent",
    "[first:0] complete with Part",
    "[second:0] started from Part",
    "[second:0] complete with StopEvent",
    "[result] StopEvent(result='done')",
]


async def test_each_step_and_the_result_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    await Steps(verbose=True).run()

    assert capsys.readouterr().out.splitlines() == SAID


async def test_nothing_is_told_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    await Steps().run()

    assert capsys.readouterr().out == ""


async def test_a_logger_that_is_on_gets_the_lines(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="engine.verbose"):
        await Steps(verbose=True).run()

    assert caplog.messages == SAID
    assert capsys.readouterr().out == ""


async def test_a_step_that_fails_completes_with_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no ink"):
        await Steps(verbose=True).run(fail=True)

    assert capsys.readouterr().out.splitlines() == [
        "[first:0] started from StartEvent",
        "[first:0] complete with no result",
    ]


async def test_a_step_that_returns_none_completes_with_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    class Quiet(Workflow):
        @step
        async def first(self, ev: StartEvent) -> StopEvent | None:
            return None

    handler = Quiet(verbose=True).run()
    await asyncio.sleep(0)

    assert capsys.readouterr().out.splitlines()[1] == "[first:0] complete with no result"
    await handler.cancel_run()


async def test_a_call_that_waits_for_a_worker_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    class Narrow(Workflow):
        @step
        async def first(self, ev: StartEvent) -> list[Part]:
            return [Part(), Part()]

        @step(num_workers=1)
        async def second(self, ev: Part) -> StopEvent:
            return StopEvent()

    await Narrow(verbose=True).run()

    assert "[second] enqueued (waiting for capacity)" in capsys.readouterr().out.splitlines()


async def test_what_is_told_and_what_is_streamed_do_not_meet(capsys: pytest.CaptureFixture[str]) -> None:
    handler = Asks(verbose=True).run()
    await until(lambda: handler.ctx.open_asks)
    stream = handler.stream_events(expose_internal=True)
    handler.ctx.send_event(HumanResponseEvent(response="yes"))

    streamed = [type(event) async for event in stream]

    assert streamed == [InputRequiredEvent, StepStateChanged, StepStateChanged, StopEvent]
    assert capsys.readouterr().out.count("started from StartEvent") == 1
