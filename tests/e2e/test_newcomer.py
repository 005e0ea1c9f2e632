"""What the README tells a newcomer to do, done line by line against the fake Slack."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.playground import AppConfig, CommandInfo, FakeSlack, ShortcutInfo
from bot.playground.processes import die_with_parent, free_port
from tests.e2e.process import LIMIT_S, ROOT, environment
from tests.e2e.stage import ANA, APP_TOKEN, BEN, BOT_TOKEN, SIGNING_SECRET
from tests.messages import button, buttons

pytestmark = pytest.mark.asyncio(loop_scope="session")
STEPS = (ROOT / "README.md").read_text("utf-8").partition("## Connect a real workspace")[2].partition("\n| setting")[0]


async def begun(line: str, folder: Path, settings: dict[str, str], log: int) -> asyncio.subprocess.Process:
    """Begin a command of the README as it stands there, where the newcomer is."""
    program, *arguments = line.split()
    assert program == "signoff"
    return await asyncio.create_subprocess_exec(
        *(*die_with_parent(), sys.executable, "-m", "bot", *arguments),
        env=environment(settings),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )


async def signoff(line: str, folder: Path, **settings: str) -> str:
    """Run a command; return what it prints."""
    with (folder / "printed").open("w+") as printed:
        process = await begun(line, folder, settings, printed.fileno())
        assert await process.wait() == 0, (folder / "printed").read_text()
        return (folder / "printed").read_text()


@asynccontextmanager
async def serving(line: str, folder: Path, **settings: str) -> AsyncIterator[Path]:
    """Run a command while the block runs, and stop it then; gives its log."""
    path = folder / "bot.log"
    with path.open("wb") as log:
        process = await begun(line, folder, {**settings, "SIGNOFF_PORT": str(free_port())}, log.fileno())
    try:
        yield path
        process.terminate()
        async with asyncio.timeout(LIMIT_S):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()


def app_from(manifest: dict[str, Any]) -> AppConfig:
    """The app as Slack makes it from a manifest: it can do what that says and no more."""
    features = manifest["features"]
    assert manifest["settings"]["socket_mode_enabled"]
    assert features["app_home"]["home_tab_enabled"]
    return AppConfig(
        signing_secret=SIGNING_SECRET,
        bot_token=BOT_TOKEN,
        app_token=APP_TOKEN,
        commands=tuple(CommandInfo(command["command"]) for command in features["slash_commands"]),
        shortcuts=tuple(ShortcutInfo(one["callback_id"], one["name"]) for one in features["shortcuts"]),
        scopes=frozenset(manifest["oauth_config"]["scopes"]["bot"]),
        events=frozenset(manifest["settings"]["event_subscriptions"]["bot_events"]),
    )


def settings_in(text: str, **values: str) -> dict[str, str]:
    """The lines of the README's ``.env`` with a newcomer's own values in place of the examples."""
    (block,) = re.findall(r"put into `\.env`:\n\n +```\n(.*?)```", text, re.DOTALL)
    lines = [line.strip() for line in block.strip().splitlines()]
    names = [line.partition("=")[0] for line in lines]
    assert names == list(values), "the README names other settings"
    return {
        name: line.replace(re.split(r"\s+#", line)[0], f"{name}={values[name]}")
        for name, line in zip(names, lines, strict=True)
    }


async def test_a_newcomer_comes_from_the_manifest_to_an_answer(tmp_path: Path, redis_url: str, prefix: str) -> None:
    """Security 12: with the scopes and events of the manifest, and no others."""
    folder = tmp_path
    assert "`signoff manifest > manifest.yml`" in STEPS
    (folder / "manifest.yml").write_text(await signoff("signoff manifest", folder), "utf-8")

    async with FakeSlack(app_from(yaml.safe_load((folder / "manifest.yml").read_text("utf-8")))) as slack:
        lines = settings_in(STEPS, SLACK_BOT_TOKEN=BOT_TOKEN, SLACK_APP_TOKEN=APP_TOKEN, REDIS_URL=redis_url)
        (folder / ".env").write_text("\n".join(lines.values()), "utf-8")
        ours = {"SLACK_API_BASE_URL": slack.api_base_url, "SIGNOFF_KEY_PREFIX": prefix}
        assert "`signoff doctor`" in STEPS
        told = await signoff("signoff doctor", folder, **ours)
        assert "fail" not in told
        assert "all there" in told

        assert "`signoff serve`" in STEPS
        async with serving("signoff serve", folder, **ours) as log:
            await slack.wait_for(lambda: slack.sockets.ready, LIMIT_S)
            assert "`/invite @Signoff`" in STEPS
            slack.workspace.channels["C3"].members[:] = [ANA, BEN]
            assert (await slack.command(ANA, "C3", "/invite @Signoff")).ok
            for line in ("/deploy v1", "/runs"):
                assert (await slack.command(ANA, "C3", line)).ok
            (prompt,) = await slack.wait_for(lambda: [m for m in slack.messages("C3") if m.metadata], 10)
            await slack.click(BEN, "C3", prompt.ts, button(prompt, "Ship")["action_id"])
            await slack.wait_for(lambda: any("Shipped v1" in m.text for m in slack.messages("C3")), 10)
            await slack.open_home(ANA)
            await slack.wait_for(lambda: slack.home_of(ANA), 10)

    assert buttons(prompt) == []
    assert "missing_scope" not in log.read_text()
