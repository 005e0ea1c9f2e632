"""A bot that cannot start says in one line what is wrong and where, and ends with code 2."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from bot.playground import FakeSlack
from bot.playground.processes import free_port
from tests.e2e.process import Ended, signoff, until
from tests.e2e.shapes import SOCKET
from tests.e2e.stage import ANA, SECRETS, Stage, app_config, bot_settings
from tests.messages import buttons

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORKFLOW = """
from bot import CommandReceived, slash_command
from engine import StopEvent, Workflow, step


@slash_command("{command}", summary="A test")
class {name}(Workflow):
    @step
    async def only(self, ev: CommandReceived) -> StopEvent:
        return StopEvent(result=None)
"""


@pytest_asyncio.fixture(loop_scope="session")
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(app_config()) as found:
        yield found


@pytest.fixture
def settings(slack: FakeSlack, redis_url: str, prefix: str) -> dict[str, str]:
    """With these it would start."""
    return bot_settings(slack, redis_url, prefix) | {"SIGNOFF_PORT": str(free_port())}


async def serve(settings: Mapping[str, str], folder: Path) -> Ended:
    """Run the bot until it ends by itself."""
    ended = await signoff(settings, folder, "serve")
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not any(secret in ended.stdout + ended.stderr for secret in SECRETS)
    return ended


# --- workflows -----------------------------------------------------------------------------------------


BROKEN = {
    "a syntax error": ("def broken(:\n", "broken.py:1", "SyntaxError"),
    "an import error": ("import no_such_module\n", "broken.py:1", "No module named 'no_such_module'"),
    "an error when it runs": ("x = 1\ny = x / 0\n", "broken.py:2", "ZeroDivisionError"),
    "an exit": ("import sys\nsys.exit('bye')\n", "broken.py:2", "SystemExit"),
    "no command": ("x = 1\n", "broken.py", "no class with @slash_command"),
    "the command of another file": (WORKFLOW.format(command="/good", name="Other"), "good.py", "/good is taken"),
    "the class of another file": (WORKFLOW.format(command="/other", name="Good"), "good.py", "a class Good"),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_a_workflow_file_that_does_not_load_is_named_with_the_reason(
    settings: dict[str, str], tmp_path: Path, what: str
) -> None:
    text, where, why = BROKEN[what]
    folder = tmp_path / "workflows"
    folder.mkdir()
    (folder / "good.py").write_text(WORKFLOW.format(command="/good", name="Good"))
    (folder / "broken.py").write_text(text)

    ended = await serve(settings | {"SIGNOFF_WORKFLOWS": str(folder)}, tmp_path)

    assert ended.code == 2
    assert ended.stdout == ""
    assert where in ended.stderr
    assert why in ended.stderr


async def test_a_missing_folder_of_workflows_is_named(settings: dict[str, str], tmp_path: Path) -> None:
    ended = await serve(settings | {"SIGNOFF_WORKFLOWS": str(tmp_path / "nowhere")}, tmp_path)

    assert ended.code == 2
    assert f"{tmp_path / 'nowhere'}: no such folder" in ended.stderr


# --- settings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("SLACK_BOT_TOKEN", "SLACK_BOT_TOKEN is missing"),
        ("SLACK_SIGNING_SECRET", "SLACK_APP_TOKEN is missing"),
        ("SLACK_SIGNING_SECRET", "SLACK_SIGNING_SECRET takes its place"),
    ],
)
async def test_a_missing_secret_is_named_with_the_place_to_find_it(
    settings: dict[str, str], tmp_path: Path, name: str, told: str
) -> None:
    del settings[name]

    ended = await serve(settings, tmp_path)

    assert ended.code == 2
    assert told in ended.stderr
    assert "api.slack.com/apps" in ended.stderr


async def test_everything_wrong_with_the_settings_is_said_at_once(settings: dict[str, str], tmp_path: Path) -> None:
    wrong = {"SLACK_BOT_TOKEN": "xoxp-user", "SIGNOFF_PORT": "http", "REDIS_URL": "localhost"}

    ended = await serve(settings | wrong, tmp_path)

    assert ended.code == 2
    assert all(name in ended.stderr for name in wrong)
    assert "xoxp-user" not in ended.stderr


async def test_a_token_slack_refuses_is_said_so(settings: dict[str, str], tmp_path: Path) -> None:
    ended = await serve(settings | {"SLACK_BOT_TOKEN": "xoxb-revoked"}, tmp_path)

    assert ended.code == 2
    assert "SLACK_BOT_TOKEN" in ended.stderr
    assert "invalid_auth" in ended.stderr
    assert "xoxb-revoked" not in ended.stderr


async def test_an_app_token_slack_refuses_is_said_so(
    slack: FakeSlack, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    settings = bot_settings(slack, redis_url, prefix, SOCKET) | {"SIGNOFF_PORT": str(free_port())}

    ended = await serve(settings | {"SLACK_APP_TOKEN": "xapp-revoked"}, tmp_path)

    assert ended.code == 2
    assert "SLACK_APP_TOKEN" in ended.stderr
    assert "xapp-revoked" not in ended.stderr


# --- the machine ----------------------------------------------------------------------------------------


async def test_a_port_that_is_taken_is_named(settings: dict[str, str], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        ended = await serve(settings | {"SIGNOFF_PORT": port}, tmp_path)

    assert ended.code == 2
    assert port in ended.stderr
    assert "in use" in ended.stderr


async def test_a_bot_that_starts_while_slack_is_away_becomes_ready_by_itself(own_stage: Stage) -> None:
    """Acceptance 28."""
    await own_stage.kill()
    own_stage.slack.faults.fail("auth.test", "reset", times=2)

    await own_stage.bot.launch()
    first = await own_stage.bot.readiness()
    await until(own_stage.bot.is_ready)
    await own_stage.start()

    room = own_stage.room()
    assert first == (503, "Slack has not been reached yet")
    assert buttons(await room.started(ANA, "/deploy v2")) == ["Ship", "Keep back"]
