"""The workflows that ship with the bot, played through their questions."""

from pathlib import Path

import pytest

from bot.plugins import Plugin, discover
from bot.triggers import CommandReceived
from engine.testing import later, play, reply

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

    played = await play(plugins["/approve-draft"].workflow, typed("Tea"), feedback, feedback, feedback)

    assert (played.result["status"], played.result["version"]) == ("max_revisions", 3)


@pytest.mark.parametrize(("response", "approved"), [("yes", True), ("no", False)])
async def test_a_quick_question_is_reported(plugins: dict[str, Plugin], response: str, approved: bool) -> None:
    played = await play(plugins["/quick-approve"].workflow, typed("lunch"), response)

    assert played.questions == ["Go ahead with lunch?"]
    assert played.result == {"approved": approved, "topic": "lunch"}
