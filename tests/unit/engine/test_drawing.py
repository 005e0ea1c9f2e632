"""Mermaid text of workflows and runs: what is asked, open or over stands out, and any text may stand in it."""

import json
import re

from engine import Context, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent, Workflow, step
from engine.core.model import Answered, CancelRequested, Emitted, Paused, Raised, Returned, RunState, Wait
from engine.core.reducer import begin, reduce
from engine.drawing import TEXT_CHARS, mermaid, mermaid_run


class Deploy(Workflow):
    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        return InputRequiredEvent()

    @step
    async def decide(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent()


class Inline(Workflow):
    @step
    async def end(self, ctx: Context, ev: StartEvent) -> StopEvent:
        answer = await ctx.wait_for_event(HumanResponseEvent, prompt="Go?")
        return StopEvent(result=answer.response)


DEPLOY = Deploy().definition
INLINE = Inline().definition

BOX = (
    r"(?:\w+(?:\[|\(\[|\{\{|\[/|\(\()\"[\w ,.?!()/…'#;-]*(?:<br/>[\w ,.?!()/…'#;-]*)?\"(?:\]|\]\)|\}\}|/\]|\)\)):::\w+)"
)
LINE = re.compile(rf"    (?:{BOX}|\w+ (?:-->|-\.->|==>(?:\|\d+ times\|)?) \w+|classDef \w+ [\w#:,-]+)")


def checked(text: str) -> str:
    """Return *text* once each line is one of the few we write and no arrow leads nowhere."""
    first, *rest = text.splitlines()
    assert first == "flowchart TD"
    assert [line for line in rest if LINE.fullmatch(line) is None] == []
    boxes = {match[1] for match in re.finditer(r"^    (\w+)[\[({]", text, re.MULTILINE)}
    ends = {end for match in re.finditer(r"^    (\w+) \S+> (\w+)$", text, re.MULTILINE) for end in match.groups()}
    assert ends <= boxes
    assert set(re.findall(r":::(\w+)$", text, re.MULTILINE)) == set(re.findall(r"classDef (\w+)", text))
    return text


def asking(text: str = "Ship v2?") -> RunState:
    state = begin(DEPLOY, "r1", StartEvent(), 0.0)
    reduce(DEPLOY, state, Returned(1.0, 1, InputRequiredEvent(prefix=text)))
    return state


def test_questions_answers_and_people_have_shapes_of_their_own() -> None:
    """Behaviour 66."""
    text = checked(mermaid(Deploy()))

    assert '    step_ask["ask"]:::step\n' in text
    assert '    event_InputRequiredEvent{{"InputRequiredEvent"}}:::question\n' in text
    assert '    event_HumanResponseEvent[/"HumanResponseEvent"/]:::answer\n' in text
    assert '    event_external_step(("a person")):::person\n' in text


def test_ways_by_a_person_are_dashed() -> None:
    text = mermaid(Deploy)

    assert "    event_InputRequiredEvent -.-> event_external_step\n" in text
    assert "    step_decide --> event_StopEvent\n" in text


def test_a_step_that_waits_inside_is_marked() -> None:
    assert '    step_end["end<br/>may wait inside"]:::question\n' in checked(mermaid(Inline()))


def test_the_same_workflow_is_drawn_the_same() -> None:
    assert mermaid(Deploy) == mermaid(Deploy())


def test_names_in_any_alphabet_become_plain_ids() -> None:
    class Größe(StopEvent):
        pass

    class Frage(Workflow):
        @step
        async def prüfe(self, ev: StartEvent) -> Größe:
            return Größe()

    assert 'step_pr_ufc_fe["prüfe"]:::step' in checked(mermaid(Frage()))


def test_the_way_a_run_has_come_stands_out() -> None:
    """Behaviour 66."""
    text = checked(mermaid_run(asking(), DEPLOY))

    assert "    event_StartEvent ==> step_ask\n" in text
    assert "    step_ask ==> event_InputRequiredEvent\n" in text
    assert "    event_InputRequiredEvent ==> event_external_step\n" in text
    assert "    event_external_step -.-> event_HumanResponseEvent\n" in text
    assert "    event_HumanResponseEvent --> step_decide\n" in text
    assert '    step_ask["ask"]:::passed\n' in text
    assert '    step_decide["decide"]:::step\n' in text


async def test_a_run_is_drawn_from_its_handler_its_context_and_its_snapshot() -> None:
    """Behaviour 66."""

    class Review(Workflow):
        @step
        async def write(self, ev: StartEvent | HumanResponseEvent) -> InputRequiredEvent | StopEvent:
            done = isinstance(ev, HumanResponseEvent) and ev.response == "approve"
            return StopEvent() if done else InputRequiredEvent(prefix="Good?")

    flow = Review()
    unborn = checked(mermaid(Context(flow)))
    handler = flow.run()
    replies = ["revise", "revise"]
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            if not replies:
                break
            handler.ctx.send_event(HumanResponseEvent(response=replies.pop()))
    paused = checked(mermaid(handler))
    again: Context = Context.from_dict(flow, json.loads(json.dumps(handler.ctx.to_dict())))

    assert "==>" not in unborn
    assert "    event_HumanResponseEvent ==>|2 times| step_write\n" in paused
    assert "    step_write ==>|3 times| event_InputRequiredEvent\n" in paused
    assert "    event_external_step ==> event_HumanResponseEvent\n" in paused
    assert "Good?" in paused
    assert "    step_write --> event_StopEvent\n" in paused
    assert paused == mermaid(handler.ctx) == mermaid(again)
    handler.ctx.send_event(HumanResponseEvent(response="approve"))
    await handler
    assert "    step_write ==> event_StopEvent\n" in checked(mermaid(handler))


def test_an_answer_that_a_step_made_is_no_person_s() -> None:
    """Behaviour 66."""
    state = begin(DEPLOY, "r1", StartEvent(), 0.0)
    reduce(DEPLOY, state, Emitted(1.0, 1, 0, HumanResponseEvent(response="yes")))

    text = checked(mermaid_run(state, DEPLOY))

    assert "    event_external_step -.-> event_HumanResponseEvent\n" in text
    assert "    event_HumanResponseEvent ==> step_decide\n" in text


def test_the_call_at_work_stands_out() -> None:
    """Behaviour 66."""
    state = begin(DEPLOY, "r1", StartEvent(), 0.0)

    text = checked(mermaid_run(state, DEPLOY))

    assert '    step_ask["ask<br/>1 running"]:::active\n' in text
    assert '    step_decide["decide"]:::step\n' in text


def test_an_open_question_stands_out_at_what_asked_it() -> None:
    """Behaviour 66."""
    text = checked(mermaid_run(asking(), DEPLOY))

    assert '    ask_a2{{"open#58; Ship v2?"}}:::open\n' in text
    assert "    event_InputRequiredEvent ==> ask_a2\n" in text


def test_a_question_inside_a_step_stands_out_at_the_step() -> None:
    """Behaviour 66."""
    state = begin(INLINE, "r1", StartEvent(), 0.0)
    reduce(INLINE, state, Paused(1.0, 1, Wait("w", "HumanResponseEvent"), InputRequiredEvent(prefix="Go?")))

    text = checked(mermaid_run(state, INLINE))

    assert '    step_end["end<br/>1 waiting for HumanResponseEvent"]:::active\n' in text
    assert "    step_end ==> ask_a2\n" in text


async def test_the_question_of_a_child_stands_out_at_the_step_that_runs_it() -> None:
    """Behaviour 65, 66."""

    class Parent(Workflow):
        @step
        async def delegate(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Inline().run())

    flow = Parent()
    handler = flow.run()
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            break
    again: Context = Context.from_dict(flow, json.loads(json.dumps(handler.ctx.to_dict())))

    text = checked(mermaid(again))

    assert '"delegate<br/>1 waiting for HumanResponseEvent"]:::active' in text
    assert "Go?" in text
    assert "    step_delegate ==> ask_" in text
    await handler.cancel_run()


def test_an_answered_question_is_gone() -> None:
    state = asking()
    reduce(DEPLOY, state, Answered(2.0, "a2", HumanResponseEvent(response="yes")))

    text = checked(mermaid_run(state, DEPLOY))

    assert ":::open" not in text
    assert '    step_decide["decide<br/>1 running"]:::active\n' in text


def test_the_question_of_a_stored_run_is_filled_in() -> None:
    state = asking()
    event, state.asks["a2"].event = state.asks["a2"].event, None
    assert event is not None

    assert '    ask_a2{{"open question a2"}}:::open\n    event_external_step ==> ask_a2\n' in checked(
        mermaid_run(state, DEPLOY)
    )
    assert "Ship v2?" in checked(mermaid_run(state, DEPLOY, {"a2": event}))


def test_the_end_of_a_run_stands_out() -> None:
    """Behaviour 66."""
    state = asking()
    reduce(DEPLOY, state, Answered(2.0, "a2", HumanResponseEvent(response="yes")))
    reduce(DEPLOY, state, Returned(3.0, 3, StopEvent()))

    assert '    event_StopEvent(["StopEvent<br/>done"]):::reached\n' in checked(mermaid_run(state, DEPLOY))


def test_the_step_that_failed_stands_out_with_its_error() -> None:
    state = begin(DEPLOY, "r1", StartEvent(), 0.0)
    reduce(DEPLOY, state, Raised(1.0, 1, ValueError('no "v2"')))

    text = checked(mermaid_run(state, DEPLOY))

    assert '    step_ask["ask"]:::failed\n' in text
    assert '    end_of_run(["failed#58; ValueError#58; no #34;v2#34;"]):::failed\n' in text
    assert "    step_ask ==> end_of_run\n" in text


def test_a_cancelled_run_says_so_and_asks_nothing() -> None:
    state = asking()
    reduce(DEPLOY, state, CancelRequested(2.0))

    text = checked(mermaid_run(state, DEPLOY))

    assert '    end_of_run(["cancelled"]):::failed\n' in text
    assert ":::open" not in text


def test_whatever_a_question_says_it_stays_one_label() -> None:
    """Behaviour 66."""
    nasty = '"]; end\n%%{init: {}}%% <b>style:"x"</b> `code` #35; &amp; classDef:a;--> \x00\u202e'

    text = checked(mermaid_run(asking(nasty), DEPLOY))

    assert "init#58; #123;#125;" in text


def test_a_long_question_is_cut() -> None:
    text = checked(mermaid_run(asking("word " * 100), DEPLOY))

    label = re.search(r'ask_a2\{\{"open#58; (.*)"', text)
    assert label is not None
    assert len(label[1]) <= TEXT_CHARS
    assert label[1].endswith("…")
