"""What authors test their workflows with: a run in process, or a durable one played through its questions."""

import json

import pytest
from pydantic import field_validator

from engine import (
    AskExpired,
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    retry_policy,
    step,
)
from engine.retry import stop_after_attempt, stop_never, wait_fixed
from engine.testing import (
    AnswerRefused,
    AnswersLeftOver,
    AnswersRanOut,
    ManualClock,
    PlayError,
    WorkflowTestRunner,
    later,
    play,
    reply,
)
from engine.verdicts import Accepted, Invalid, NotAllowed, Recorded

HOUR = 3600.0


class Begin(StartEvent):
    topic: str = "tea"


class Parcel(Event):
    weight: int


class Ask(Workflow):
    """Asks what the start event says, with whatever else it carries, and returns the answer."""

    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(**ev.to_dict())

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=(ev.response, ev.user_id))

    @step
    async def late(self, ev: AskExpired) -> StopEvent:
        return StopEvent(result="nobody answered")


class Rung(Event):
    after: float
    to: list[str]


class Unheard(Workflow):
    """Asks, and does not care whether anybody answers in time."""

    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent(prefix="Ship?", timeout=90)

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent()


class Judgement(HumanResponseEvent):
    response: str


class Court(Workflow):
    """Waits for an answer of a class of its own in the way that the start event says."""

    @step
    async def ask(self, ctx: Context, ev: StartEvent) -> InputRequiredEvent | StopEvent:
        question = InputRequiredEvent(prefix="Guilty?", timeout=HOUR, on_timeout="no")
        if ev.inline:
            return self.told(await ctx.wait_for_event(Judgement, waiter_event=question))
        return question

    @step
    async def hear(self, ev: Judgement) -> StopEvent:
        return self.told(ev)

    def told(self, ev: Judgement) -> StopEvent:
        return StopEvent(result=(type(ev).__name__, ev.response, ev.user_id, ev.comment, ev.answered_at > 0))


class Teapot(Workflow):
    """Its step calls what calls a library, which raises."""

    @step
    async def brew(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result=self.pour())

    def pour(self) -> object:
        return json.loads("tea")


class Twice(Workflow):
    @step
    async def ask(self, ctx: Context, ev: StartEvent) -> StopEvent:
        first = await ctx.wait_for_event(HumanResponseEvent, prompt="First?")
        second = await ctx.wait_for_event(HumanResponseEvent, prompt="Second?")
        return StopEvent(result=[first.response, second.response])


class Both(Workflow):
    @step
    async def one(self, ctx: Context, ev: StartEvent) -> StopEvent | None:
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt="The colour?")
        await ctx.store.set("colour", answer.response)
        return None

    @step
    async def two(self, ctx: Context, ev: StartEvent) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt="The size?")
        return StopEvent(result=(answer.response, await ctx.store.get("colour", None)))


class Wait(Workflow):
    @step
    async def wait(self, ctx: Context, ev: StartEvent) -> StopEvent:
        try:
            parcel = await ctx.wait_for_event(Parcel, timeout=2 * HOUR)
        except TimeoutError:
            return StopEvent(result="no parcel")
        return StopEvent(result=parcel.weight)


class Flaky(Workflow):
    @step(retry_policy=retry_policy(wait=wait_fixed(HOUR), stop=stop_after_attempt(3)))
    async def work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        if (info := ctx.retry_info()).retry_number < ev.get("failures", 0):
            raise ConnectionError("down")
        return StopEvent(result=round(info.elapsed_seconds / HOUR, 2))


# --- in process ------------------------------------------------------------------------------


async def test_a_run_in_process_is_collected_and_counted() -> None:
    class Greet(Workflow):
        @step
        async def greet(self, ctx: Context, ev: Begin) -> StopEvent:
            ctx.write_event_to_stream(Parcel(weight=1))
            ctx.write_event_to_stream(Parcel(weight=2))
            return StopEvent(result=ev.topic)

    played = await WorkflowTestRunner(Greet()).run(Begin(topic="milk"), expose_internal=False)

    assert played.result == "milk"
    counts: dict[type[Event], int] = {Parcel: 2, StopEvent: 1}
    kinds: list[type[Event]] = [Parcel, Parcel, StopEvent]
    assert played.event_types == counts
    assert [type(event) for event in played.collected] == kinds
    assert not played.ctx.is_running


async def test_types_left_out_are_not_collected() -> None:
    played = await WorkflowTestRunner(Flaky()).run(expose_internal=False, exclude_events=[StopEvent])

    assert played.collected == []
    assert played.event_types == {}


async def test_the_context_given_is_used() -> None:
    workflow = Flaky()
    ctx: Context = Context(workflow)

    played = await WorkflowTestRunner(workflow).run(StartEvent(), ctx=ctx)

    assert played.ctx is ctx


# --- time -------------------------------------------------------------------------------------


def test_a_manual_clock_moves_when_it_is_told_to() -> None:
    """Behaviour 67."""
    clock = ManualClock(100.0)

    clock.advance(50)
    clock.advance_to(120.0)

    assert clock() == 150.0


def test_a_manual_clock_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        ManualClock().advance(-1)


def test_later_adds_its_units_up() -> None:
    assert later(days=1, hours=1, minutes=1, seconds=1).seconds == 86400 + 3600 + 60 + 1


# --- through questions ----------------------------------------------------------------------


async def test_a_run_is_played_through_its_question() -> None:
    """Behaviour 67."""
    played = await play(Ask(), StartEvent(prefix="Ship?"), "yes")

    assert (played.status, played.result) == ("done", ("yes", "somebody-1"))
    assert played.questions == ["Ship?"]
    assert isinstance(played.verdicts[0], Accepted)


async def test_a_run_without_questions_needs_no_answers() -> None:
    assert (await play(Flaky())).result == 0


async def test_questions_inside_a_step_are_answered_in_order() -> None:
    """Behaviour 67."""
    played = await play(Twice(), StartEvent(), "a", later(days=90), "b")

    assert played.questions == ["First?", "Second?"]
    assert played.result == ["a", "b"]


async def test_an_answer_carries_its_writer_and_whatever_else_it_is_given() -> None:
    class Note(Workflow):
        @step
        async def ask(self, ev: StartEvent) -> InputRequiredEvent:
            return InputRequiredEvent()

        @step
        async def decide(self, ev: HumanResponseEvent) -> StopEvent:
            return StopEvent(result=[ev.response, ev.user_id, ev.comment, ev.form])

    played = await play(Note(), None, reply("no", by="U7", comment="too dear", form={"price": 3}))

    assert played.result == ["no", "U7", "too dear", {"price": 3}]


async def test_an_answer_goes_to_the_question_it_names() -> None:
    played = await play(Both(), None, reply("red", to="colour"), reply("large", to="size"))

    assert played.result == ("large", "red")


async def test_an_event_is_sent_to_the_run() -> None:
    played = await play(Wait(), None, later(hours=1), Parcel(weight=3))

    assert played.result == 3


# --- time passes ------------------------------------------------------------------------------


async def test_a_question_expires_when_its_time_has_passed() -> None:
    """Behaviour 67."""
    played = await play(Ask(), StartEvent(prefix="Ship?", timeout=HOUR), later(hours=1))

    assert played.result == "nobody answered"


async def test_a_question_does_not_expire_before() -> None:
    """Behaviour 67."""
    played = await play(Ask(), StartEvent(prefix="Ship?", timeout=HOUR), later(minutes=59), "yes")

    assert played.result == ("yes", "somebody-1")


async def test_a_question_that_fails_fails_the_run() -> None:
    played = await play(Ask(), StartEvent(prefix="Ship?", timeout=HOUR, on_timeout="fail"), later(hours=1))

    assert played.status == "failed"
    assert "WorkflowTimeoutError: Nobody answered question a2 within 3600 seconds" in str(played.error)


async def test_a_question_whose_end_no_step_takes_says_so() -> None:
    played = await play(Unheard(), StartEvent(), later(hours=1))

    assert str(played.error).endswith("within 90 seconds, and no step takes AskExpired")


@pytest.mark.parametrize("inline", [True, False])
async def test_silence_that_is_an_answer_has_all_that_an_answer_has(inline: bool) -> None:
    played = await play(Court(), StartEvent(inline=inline), later(hours=1))

    assert played.result == ("Judgement", "no", None, "", True)


async def test_whom_a_question_is_escalated_to_may_answer_from_then_on() -> None:
    """Behaviour 67."""
    start = StartEvent(prefix="Ship?", allowed=["U1"], escalate=[Rung(after=HOUR, to=["lead"])])
    early, late = reply("yes", by="lead", refused=True), reply("yes", by="lead")

    played = await play(Ask(), start, later(minutes=59), early, later(minutes=1), late)

    assert played.result == ("yes", "lead")
    assert played.escalated == 1


async def test_one_veto_decides_whatever_the_quorum() -> None:
    """Behaviour 67."""
    start = StartEvent(prefix="Ship?", options=["yes", "no"], quorum=2, vetoes=["no"])

    played = await play(Ask(), start, "yes", "no")

    assert played.result == ("no", "somebody-2")


async def test_a_run_that_stands_still_says_what_may_be_wrong() -> None:
    """Behaviour 67."""

    class Forgetful(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return None  # type: ignore[return-value]  # what is forgotten is a return

    with pytest.raises(AnswersRanOut, match="asks nothing; a step that returns None leads nowhere"):
        await play(Forgetful(), StartEvent())


async def test_what_a_question_brings_goes_along_unless_it_is_said_otherwise() -> None:
    """Behaviour 67."""

    class Letter(Workflow):
        @step
        async def ask(self, ctx: Context, ev: StartEvent) -> StopEvent:
            question = InputRequiredEvent(prefix="Send?", brings={"send": {"text": "Dear all"}})
            return StopEvent(result=(await ctx.wait_for_event(HumanResponseEvent, waiter_event=question)).text)

    as_it_was = await play(Letter(), StartEvent(), "send")
    edited = await play(Letter(), StartEvent(), reply("send", text="Hello"))

    assert (as_it_was.result, edited.result) == ("Dear all", "Hello")


async def test_a_run_that_failed_names_the_line_that_is_to_blame(caplog: pytest.LogCaptureFixture) -> None:
    """Behaviour 67."""
    line = Teapot.pour.__code__.co_firstlineno + 1

    with pytest.raises(
        AnswersLeftOver, match=rf"failed with JSONDecodeError: Expecting .*\(step brew, test_testing\.py:{line}\)"
    ):
        await play(Teapot(), StartEvent(), "yes")

    (logged,) = [record for record in caplog.records if record.message == "step failed"]
    told = {"step": "brew", "error": "JSONDecodeError", "line": f"test_testing.py:{line}"}
    assert told.items() <= vars(logged).items()
    assert "Expecting" not in str(vars(logged))


async def test_reminders_and_escalations_on_the_way_are_counted() -> None:
    """Behaviour 67."""
    start = StartEvent(prefix="Ship?", timeout=4 * HOUR, remind=[HOUR, 2 * HOUR], escalate=[3 * HOUR])

    played = await play(Ask(), start, later(days=1))

    assert (played.reminded, played.escalated) == (2, 1)
    assert played.result == "nobody answered"


async def test_a_reminder_is_seen_though_the_run_still_waits() -> None:
    """Behaviour 67."""
    played = await play(Ask(), StartEvent(prefix="Ship?", remind=[HOUR, 2 * HOUR]), later(hours=1), to_end=False)

    assert (played.status, played.reminded, played.result) == ("waiting", 1, None)


async def test_what_comes_of_an_expired_question_has_a_time_of_its_own() -> None:
    class Again(Workflow):
        @step
        async def ask(self, ctx: Context, ev: StartEvent | AskExpired) -> InputRequiredEvent:
            times = await ctx.store.get("times", 0) + 1
            await ctx.store.set("times", times)
            return InputRequiredEvent(prefix=f"{times}?", timeout=HOUR)

        @step
        async def decide(self, ev: HumanResponseEvent) -> StopEvent:
            return StopEvent()

    played = await play(Again(), None, later(hours=2, minutes=30), "yes")

    assert played.questions == ["1?", "2?", "3?"]


async def test_a_wait_ends_when_its_time_has_passed() -> None:
    """Behaviour 67."""
    assert (await play(Wait(), None, later(hours=2))).result == "no parcel"


async def test_a_retry_comes_by_itself() -> None:
    """Behaviour 67."""
    assert (await play(Flaky(), StartEvent(failures=2))).result == 2


async def test_a_clock_given_shows_how_much_time_has_passed() -> None:
    clock = ManualClock(0.0)

    await play(Ask(), StartEvent(prefix="Ship?"), later(days=2), "yes", clock=clock)

    assert 0 <= clock() - 2 * 86400 < 60


# --- people -----------------------------------------------------------------------------------


async def test_answers_to_a_quorum_come_from_different_people() -> None:
    played = await play(Ask(), StartEvent(prefix="Ship?", quorum=2), "yes", "yes")

    assert [type(verdict) for verdict in played.verdicts] == [Recorded, Accepted]
    assert played.result == ("yes", "somebody-2")


async def test_an_answer_comes_from_somebody_who_may_give_it() -> None:
    start = StartEvent(prefix="Ship?", allowed=["U1", "U2"], self_approval=False)

    assert (await play(Ask(), start, "yes", requester="U1")).result == ("yes", "U2")


async def test_the_requester_is_the_user_of_the_start_event() -> None:
    start = StartEvent(prefix="Ship?", user_id="U1", self_approval=False)

    played = await play(Ask(), start, reply("yes", by="U1", refused=True), reply("yes", by="U2"))

    assert played.verdicts[0] == NotAllowed(())
    assert played.result == ("yes", "U2")


# --- what goes wrong ------------------------------------------------------------------------


async def test_answers_that_run_out_are_told_with_the_question() -> None:
    with pytest.raises(AnswersRanOut, match=r"the run asks 'Ship\?' \(yes / no\)"):
        await play(Ask(), StartEvent(prefix="Ship?", options=["yes", "no"]))


async def test_a_run_that_waits_for_an_event_says_which() -> None:
    with pytest.raises(AnswersRanOut, match="step wait waits for Parcel"):
        await play(Wait())


async def test_answers_left_over_are_told() -> None:
    with pytest.raises(AnswersLeftOver, match=r"left over: 'maybe', later\(seconds=60\); the run is done"):
        await play(Ask(), StartEvent(prefix="Ship?"), "yes", "maybe", later(minutes=1))


async def test_an_answer_left_over_by_a_failure_tells_the_failure() -> None:
    with pytest.raises(AnswersLeftOver, match="the run failed with ConnectionError: down") as caught:
        await play(Flaky(), StartEvent(failures=9), "yes")

    assert str(caught.value.__cause__) == "ConnectionError: down"


async def test_an_answer_while_nothing_is_asked_is_told() -> None:
    with pytest.raises(AnswersLeftOver, match="step wait waits for Parcel"):
        await play(Wait(), None, "yes")


async def test_an_answer_to_a_question_that_is_not_open_is_told() -> None:
    with pytest.raises(AnswersLeftOver, match="no open question has 'price' in it"):
        await play(Both(), None, reply("red", to="price"))


async def test_an_answer_that_does_not_fit_is_told() -> None:
    with pytest.raises(AnswerRefused, match=r"'perhaps' by somebody-1 to .* was refused") as caught:
        await play(Ask(), StartEvent(prefix="Ship?", options=["yes", "no"]), "perhaps")

    assert Invalid.__name__ in str(caught.value)


async def test_an_answer_taken_against_expectation_is_told() -> None:
    with pytest.raises(AnswerRefused, match="was to be refused and was taken"):
        await play(Ask(), StartEvent(prefix="Ship?"), reply("yes", refused=True))


async def test_a_failure_is_returned() -> None:
    played = await play(Flaky(), StartEvent(failures=9))

    assert played.status == "failed"
    assert str(played.error) == "ConnectionError: down"


async def test_a_run_that_cannot_be_read_back_is_told() -> None:
    class Fussy(StartEvent):
        words: str

        @field_validator("words")
        @classmethod
        def _once_only(cls, words: str) -> str:
            if words.endswith("!"):
                raise ValueError("seen before")
            return f"{words}!"

    class Read(Workflow):
        @step
        async def read(self, ev: Fussy) -> StopEvent:
            return StopEvent()

    with pytest.raises(PlayError, match=r"the run cannot go on: .*start event"):
        await play(Read(), Fussy(words="hello"))


async def test_retries_without_end_are_told() -> None:
    class Hopeless(Workflow):
        @step(retry_policy=retry_policy(wait=wait_fixed(60), stop=stop_never()))
        async def work(self, ev: StartEvent) -> StopEvent:
            raise ConnectionError("down")

    with pytest.raises(PlayError, match="give its retry policy an end"):
        await play(Hopeless())


async def test_what_a_step_keeps_on_self_is_gone_after_a_pause_as_in_another_process() -> None:
    class Forgetful(Workflow):
        @step
        async def ask(self, ev: StartEvent) -> InputRequiredEvent:
            self.topic = ev.get("topic")
            return InputRequiredEvent(prefix=f"Ship {self.topic}?")

        @step
        async def end(self, ev: HumanResponseEvent) -> StopEvent:
            return StopEvent(result=self.topic)

    played = await play(Forgetful(), StartEvent(topic="v2"), "yes")

    assert played.questions == ["Ship v2?"]
    assert "'Forgetful' object has no attribute 'topic'" in str(played.error)
