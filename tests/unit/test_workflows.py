"""The workflows that ship with the bot, played through their questions."""

from pathlib import Path

import pytest

from bot.asking.prompts import question_of
from bot.asking.triggers import CommandReceived
from bot.plugins import Plugin, discover
from engine.testing import Played, later, play, reply

FOLDER = Path(__file__).parents[2] / "workflows"


@pytest.fixture(scope="module")
def plugins() -> dict[str, Plugin]:
    return discover(FOLDER)


def typed(text: str) -> CommandReceived:
    return CommandReceived(text=text, user_id="U1", channel_id="C1")


async def test_a_deploy_ships_once_somebody_says_so(plugins: dict[str, Plugin]) -> None:
    played = await play(plugins["/deploy"].workflow, typed("v2"), "ship")

    assert played.questions == ["Ship v2?"]
    assert played.result == "Shipped v2"


def last_buttons(played: Played) -> list[str]:
    return [question_of(event).choices[-1].shown for event in played.asked]


async def test_a_deploy_is_kept_back(plugins: dict[str, Plugin]) -> None:
    played = await play(plugins["/deploy"].workflow, typed("v2"), later(days=90), "keep back")

    assert played.result == "Kept back v2"


async def test_a_draft_is_approved(plugins: dict[str, Plugin]) -> None:
    played = await play(plugins["/approve-draft"].workflow, typed("Tea"), "approve")

    assert (played.result["status"], played.result["version"]) == ("approved", 1)
    assert "Version 1 of 3: Tea" in played.questions[0]


async def test_a_draft_is_rejected(plugins: dict[str, Plugin]) -> None:
    played = await play(plugins["/approve-draft"].workflow, typed("Tea"), "reject")

    assert played.result["status"] == "rejected"


async def test_feedback_goes_into_the_next_version_of_a_draft(plugins: dict[str, Plugin]) -> None:
    played = await play(
        plugins["/approve-draft"].workflow, typed("Tea"), reply("feedback", comment="Name a price"), "approve"
    )

    assert [text.splitlines()[0] for text in played.questions] == ["**Version 1 of 3: Tea**", "**Version 2 of 3: Tea**"]
    assert "Name a price" in played.result["draft"]
    assert played.result["status"] == "approved"


async def test_feedback_on_the_last_version_of_a_draft_ends_it(plugins: dict[str, Plugin]) -> None:
    feedback = reply("feedback", comment="Again")

    played = await play(
        plugins["/approve-draft"].workflow, typed("Tea"), feedback, feedback, reply("end", comment="Again")
    )

    assert (played.result["status"], played.result["version"]) == ("max_revisions", 3)
    assert last_buttons(played) == ["Give feedback", "Give feedback", "Give feedback and end"]
    assert ["ends the request" in text for text in played.questions] == [False, False, True]


@pytest.mark.parametrize(("response", "approved"), [("yes", True), ("no", False)])
async def test_a_quick_question_is_reported(plugins: dict[str, Plugin], response: str, approved: bool) -> None:
    played = await play(plugins["/quick-approve"].workflow, typed("lunch"), response)

    assert played.questions == ["Go ahead with lunch?"]
    assert played.result == {"approved": approved, "topic": "lunch"}


async def test_a_document_is_released_after_both_stages(plugins: dict[str, Plugin]) -> None:
    """Acceptance 12."""
    played = await play(plugins["/approve-document"].workflow, typed("Tea"), "approve", "approve")

    assert [text.splitlines()[0] for text in played.questions] == ["**Content review: Tea**", "**Final approval: Tea**"]
    assert played.result["status"] == "approved"
    assert "what we mean by Tea" in played.result["document"]


async def test_a_comment_goes_into_the_document_before_its_second_stage(plugins: dict[str, Plugin]) -> None:
    revise = reply("revise", comment="Say who pays")

    played = await play(plugins["/approve-document"].workflow, typed("Tea"), revise, "approve", "approve")

    assert "Say who pays" in played.questions[1]
    assert "Say who pays" in played.result["document"]


@pytest.mark.parametrize(("moves", "stage"), [(["reject"], "content"), (["approve", "reject"], "final")])
async def test_a_document_is_rejected_at_either_stage(plugins: dict[str, Plugin], moves: list[str], stage: str) -> None:
    played = await play(plugins["/approve-document"].workflow, typed("Tea"), *moves)

    assert played.result == {"status": "rejected", "stage": stage}


async def test_code_is_revised_and_approved(plugins: dict[str, Plugin]) -> None:
    revise = reply("revise", comment="Add types")

    played = await play(plugins["/review-code"].workflow, typed("greet somebody"), revise, "approve")

    assert "```python\ndef process(data):" in played.questions[0]
    assert (played.result["status"], played.result["version"]) == ("approved", 2)
    assert played.result["code"].startswith("# Revised: Add types\ndef process(data):")


async def test_code_is_revised_three_times_at_most(plugins: dict[str, Plugin]) -> None:
    """Acceptance 11."""
    revise = reply("revise", comment="Again")

    played = await play(plugins["/review-code"].workflow, typed("greet"), revise, revise, reply("end", comment="Again"))

    assert (played.result["status"], played.result["version"]) == ("max_revisions", 3)
    assert last_buttons(played) == ["Revise", "Revise", "Give feedback and end"]
    assert ["ends the request" in text for text in played.questions] == [False, False, True]


@pytest.mark.parametrize("description", ['say """hello"""', "a \\ b", 'ends with "', "``` in it"])
async def test_template_code_compiles_whatever_is_described(plugins: dict[str, Plugin], description: str) -> None:
    played = await play(plugins["/review-code"].workflow, typed(description), "approve")

    compile(played.result["code"], "template", "exec")
