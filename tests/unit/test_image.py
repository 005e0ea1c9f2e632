"""Dockerfile and compose.yaml fit what they hold: what they copy is there, what they set is a setting."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from bot.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
BOT = SERVICES["signoff"]


def test_what_the_image_copies_is_there() -> None:
    copied = " ".join(re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)).split()

    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert {"engine", "bot", "workflows"} <= set(copied)


def test_what_the_image_installs_is_what_serving_needs_in_the_versions_of_the_tests() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    image, tested = (_pinned(ROOT / name) for name in ("requirements-image.lock", "requirements.lock"))
    needed = [*project["dependencies"], *project["optional-dependencies"]["llm"]]

    assert {re.split(r"[^\w-]", name)[0] for name in needed} <= image.keys()
    assert image.items() <= tested.items()


def test_what_is_set_for_the_bot_is_a_setting() -> None:
    known = {field.alias for field in Settings.model_fields.values()}
    in_the_image = re.findall(r"\b(SIGNOFF_\w+)=", DOCKERFILE)

    assert {*in_the_image, *BOT["environment"]} <= known


def test_the_bot_s_container_can_do_no_more_than_it_has_to() -> None:
    assert BOT["read_only"]
    assert BOT["cap_drop"] == ["ALL"]
    assert BOT["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in BOT
    assert re.search("^USER nobody$", DOCKERFILE, re.MULTILINE)


def test_a_container_has_the_time_to_drain() -> None:
    assert int(BOT["stop_grace_period"].removesuffix("s")) > Settings.model_fields["drain_s"].default


def test_the_server_beside_it_keeps_what_it_acknowledges() -> None:
    command = SERVICES["valkey"]["command"]

    assert dict(zip(command[1::2], command[2::2], strict=True)) == {"--appendonly": "yes", "--appendfsync": "always"}
    assert BOT["environment"]["REDIS_URL"].startswith("redis://valkey:")


def _pinned(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", lock.read_text("utf-8"), re.MULTILINE))
