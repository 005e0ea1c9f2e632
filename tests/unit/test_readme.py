"""What the README says, tried."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bot import CommandReceived, Prompt
from bot.__main__ import main
from bot.plugins import discover, load
from bot.settings import Settings
from engine.testing import later, play, reply

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PLUGIN, FORM, TESTED, LOCAL = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_workflow_in_the_readme_is_a_slash_command(tmp_path: Path) -> None:
    (tmp_path / "deploy.py").write_text(PLUGIN, "utf-8")

    assert list(discover(tmp_path)) == ["/deploy"]


async def test_the_same_class_runs_without_slack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "deploy.py").write_text(f"{PLUGIN}\n\n{LOCAL}", "utf-8")
    module: Any = load(tmp_path / "deploy.py")

    await module.main()

    assert capsys.readouterr().out == "Shipped 2.0\n"


async def test_the_test_in_the_readme_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behaviour 67."""
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "deploy.py").write_text(PLUGIN, "utf-8")
    (tmp_path / "test_deploy.py").write_text(TESTED, "utf-8")
    monkeypatch.chdir(tmp_path)
    module: Any = load(tmp_path / "test_deploy.py")

    await module.test_it_ships_when_somebody_says_so()


async def test_the_form_in_the_readme_is_filled_in_and_silence_is_an_answer(tmp_path: Path) -> None:
    (tmp_path / "trip.py").write_text(FORM, "utf-8")
    module: Any = load(tmp_path / "trip.py")
    start = CommandReceived(text="Rome", user_id="U1", channel_id="C1")

    booked = await play(module.Journey(), start, reply("book", form=module.Trip(day="2027-03-01")))
    silent = await play(module.Journey(), start, later(days=1))

    assert booked.result == "By train on 2027-03-01"
    assert silent.result == "Nobody goes"


def test_what_a_prompt_can_say_is_all_of_it() -> None:
    told = README.partition("### What a Prompt can say")[2].partition("Whoever answers")[0]

    assert [name for name in Prompt.model_fields if f"`{name}`" not in told] == []


def test_every_setting_named_is_one_and_every_one_with_a_default_shows_it() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)`.*", README, re.MULTILINE)
    known = {field.alias for field in Settings.model_fields.values()}

    assert rows
    assert set(re.findall(r"\b(?:SLACK|SIGNOFF|REDIS)_[A-Z_]+", README)) <= known
    assert f"`{Settings.model_fields['port'].default}`" in README
    assert f"`{Settings.model_fields['lease_s'].default:g}`, `{Settings.model_fields['sweep_s'].default:g}`" in README


def test_every_make_target_named_is_one() -> None:
    targets = re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)

    assert set(re.findall(r"(?:`|^)make ([a-z0-9]+)", README, re.MULTILINE)) <= set(targets)


def test_the_shipped_manifest_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["manifest", "--workflows", str(ROOT / "workflows")])

    assert code == 0
    assert capsys.readouterr().out == (ROOT / "manifest.yml").read_text("utf-8")


def test_a_workflow_file_that_does_not_load_is_named_on_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n", "utf-8")

    code = main(["manifest", "--workflows", str(tmp_path)])

    told = capsys.readouterr().err
    assert code == 2
    assert re.fullmatch(r"signoff: .*broken\.py:1: ModuleNotFoundError: .*nothing_of_this_name.*\n", told)
