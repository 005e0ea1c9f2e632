"""Redis or Slack away, slow, or in doubt: people are told, nothing is lost, nothing is said twice."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from bot.playground.valkey import PrivateValkey
from bot.playground.workspace import Message
from tests.e2e import requests
from tests.e2e.process import LIMIT_S, signoff, until
from tests.e2e.shapes import Shape
from tests.e2e.stage import ANA, BEN, CHLOE, Logs, Room, Stage, stage
from tests.messages import buttons, run_of, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")
SORRY = "could not be recorded for certain just now"


# --- Redis ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def valkey_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("valkey")


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def valkey(valkey_folder: Path) -> AsyncIterator[PrivateValkey]:
    """A server to be stopped; it keeps each write."""
    async with PrivateValkey(valkey_folder, appendfsync="always") as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def fragile_stage(logs: Logs, valkey: PrivateValkey, shape: Shape) -> AsyncIterator[Stage]:
    async with stage(logs, valkey.url, f"e2e-fragile-{shape.name}", shape) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def fragile(fragile_stage: Stage, valkey: PrivateValkey) -> AsyncIterator[Stage]:
    """A stage whose Redis may go away; it is there at the beginning of each test."""
    if valkey.pid is None:
        await valkey.start()
    await until(fragile_stage.bot.is_ready)
    yield fragile_stage
    fragile_stage.check()


async def test_a_bot_that_starts_without_redis_says_so_and_recovers_by_itself(
    logs: Logs, valkey: PrivateValkey, prefix: str, shape: Shape
) -> None:
    """Adversarial 32."""
    await valkey.stop()
    async with stage(logs, valkey.url, prefix, shape, start=False) as found:
        room = found.room()
        for bot in found.bots:
            await bot.launch()

        status, reason = await found.bot.readiness()
        refused = await room.command(ANA, "/deploy v2")
        await valkey.start()
        await until(found.bot.is_ready)
        prompt = await room.started(ANA, "/deploy v3")
        await room.press(BEN, prompt, "Ship")

        assert (status, reason) == (503, "Redis does not answer")
        assert any("not ready reason=" in line for line in found.bot.log.read_text().splitlines())
        assert SORRY in (refused.shown or "")
        assert (await room.result()).text == "Shipped v3"
        assert len(room.posted("prompt:")) == 1


async def test_a_click_while_redis_is_down_is_told_so_and_counts_when_repeated(
    fragile: Stage, valkey: PrivateValkey
) -> None:
    """Acceptance 25."""
    room = fragile.room()
    prompt = await room.started(ANA, "/deploy v2")
    await valkey.stop()

    failed = await room.press(BEN, prompt, "Ship")
    note = await room.told(BEN)
    unready = await fragile.bot.readiness()
    (line,) = [line for line in fragile.bot.log.read_text().splitlines() if "click not recorded" in line][-1:]
    await valkey.start()
    await until(fragile.bot.is_ready)
    await room.press(BEN, prompt, "Ship")

    assert failed.ok
    assert SORRY in note
    assert unready[0] == 503
    assert f"run_id={run_of(prompt)} by={BEN} " in line
    assert (await room.result()).text == "Shipped v2"
    assert await room.times("answered", prompt) == 1


async def test_a_command_while_redis_is_down_is_told_so_and_starts_nothing(
    fragile: Stage, valkey: PrivateValkey
) -> None:
    """Acceptance 25."""
    room = fragile.room()
    await valkey.stop()

    refused = await room.command(ANA, "/deploy v2")
    await valkey.start()
    await until(fragile.bot.is_ready)

    await fragile.idle()
    assert SORRY in (refused.shown or "")
    assert "cannot count twice" not in (refused.shown or ""), "typed again it is another request"
    assert room.posted("prompt:") == []


async def test_a_modal_sent_while_redis_is_down_stays_open_and_says_so(fragile: Stage, valkey: PrivateValkey) -> None:
    room = fragile.room()
    first = await room.started(ANA, "/approve-draft AI safety")
    form = await room.open_form(BEN, first, "Give feedback")
    await valkey.stop()

    failed = await room.submit(BEN, form, "Shorter, please")
    await valkey.start()
    await until(fragile.bot.is_ready)
    again = await room.submit(BEN, form, "Shorter, please")

    assert SORRY in failed.errors["comment"]
    assert again.ok
    assert "Shorter, please" in shown(await room.prompt(2))


async def test_a_reply_while_redis_is_down_is_taken_when_slack_sends_it_again(
    fragile: Stage, valkey: PrivateValkey
) -> None:
    """Acceptance 25."""
    room = fragile.room()
    first = await room.started(ANA, "/approve-draft AI safety")
    await valkey.stop()

    await room.reply(BEN, first, "Shorter, please")
    await room.slack.settled(LIMIT_S)
    statuses = [call.status for call in room.slack.log.calls("event message") if _is_by(call.request, BEN)]
    await valkey.start()
    await until(fragile.bot.is_ready)
    await room.slack.advance(61)

    assert set(statuses) == {503 if room.slack.request_url else None}  # over a socket, no word
    assert "Shorter, please" in shown(await room.prompt(2))
    assert await room.times("answered", first) == 1


async def test_what_a_run_owed_when_redis_went_away_is_done_when_it_is_back(
    fragile: Stage, valkey: PrivateValkey
) -> None:
    """Adversarial 33."""
    room = fragile.room()
    room.slack.faults.fail("chat.postMessage", "slow", seconds=0.3)
    await room.command(ANA, "/deploy v2")
    await room.see(lambda: not room.slack.faults.calls)

    await valkey.kill()
    await room.prompt()
    await valkey.start()
    await until(fragile.bot.is_ready)
    await fragile.move_clock(31)

    await fragile.idle()
    (prompt,) = room.posted("prompt:")
    await room.press(BEN, prompt, "Ship")
    assert (await room.result()).text == "Shipped v2"


async def test_a_click_while_redis_hangs_is_told_so_before_slack_gives_up(
    fragile: Stage, valkey: PrivateValkey
) -> None:
    """Adversarial 34."""
    room = fragile.room()
    prompt = await room.started(ANA, "/deploy v2")
    assert valkey.pid is not None
    os.kill(valkey.pid, signal.SIGSTOP)

    failed = await room.press(BEN, prompt, "Ship")
    note = await room.told(BEN)
    os.kill(valkey.pid, signal.SIGCONT)
    await until(fragile.bot.is_ready)
    await room.press(BEN, prompt, "Ship")

    assert failed.ok
    assert SORRY in note
    assert (await room.result()).text == "Shipped v2"
    assert await room.times("answered", prompt) == 1


async def test_a_click_for_which_redis_and_slack_take_their_time_is_answered_before_slack_gives_up(
    fragile: Stage,
) -> None:
    """Adversarial 34: neither takes too long, but both together would."""
    room = fragile.room()
    prompt = await room.started(ANA, "/approve-draft AI safety")
    await fragile.idle()
    room.slack.faults.fail("views.open", "slow", seconds=5)
    await fragile.ask_redis(("CLIENT", "PAUSE", 1700, "ALL"))

    clicked = await room.press(BEN, prompt, "Give feedback")

    assert clicked.ok
    await room.told(BEN, "press the button again")


async def test_a_late_click_is_told_the_truth_however_long_the_link_to_the_newer_question_takes(
    fragile: Stage,
) -> None:
    """Adversarial 34: the verdict is known by then."""
    room = fragile.room()
    first = await room.started(ANA, "/approve-draft AI safety")
    on_screen = replace(first)
    await room.reply(BEN, first, "Shorter, please")
    await room.prompt(2)
    await fragile.idle()
    room.slack.faults.fail("chat.getPermalink", "slow", seconds=5)
    await fragile.ask_redis(("CLIENT", "PAUSE", 1700, "ALL"))

    late = await room.press(CHLOE, first, "Approve", as_seen=on_screen)

    assert late.ok
    assert "already" in await room.told(CHLOE)


async def test_a_click_while_redis_is_full_is_told_so_and_counts_when_there_is_room(
    fragile: Stage, valkey: PrivateValkey
) -> None:
    """Adversarial 35."""
    room = fragile.room()
    prompt = await room.started(ANA, "/deploy v2")
    await fragile.ask_redis(("CONFIG", "SET", "maxmemory", "1"))

    failed = await room.press(BEN, prompt, "Ship")
    note = await room.told(BEN)
    await fragile.ask_redis(("CONFIG", "SET", "maxmemory", "0"))
    await room.press(BEN, prompt, "Ship")

    assert failed.ok
    assert SORRY in note
    assert (await room.result()).text == "Shipped v2"


async def test_a_click_while_redis_takes_no_writes_is_told_so_and_counts_when_it_does(
    fragile: Stage, valkey: PrivateValkey
) -> None:
    """Adversarial 36."""
    room = fragile.room()
    prompt = await room.started(ANA, "/deploy v2")
    await fragile.ask_redis(("REPLICAOF", "127.0.0.1", "1"))

    failed = await room.press(BEN, prompt, "Ship")
    note = await room.told(BEN)
    refused = await room.command(ANA, "/deploy v3")
    await fragile.ask_redis(("REPLICAOF", "NO", "ONE"))
    await room.press(BEN, prompt, "Ship")

    assert failed.ok
    assert SORRY in note
    assert SORRY in (refused.shown or "")
    assert (await room.result()).text == "Shipped v2"
    assert await room.times("answered", prompt) == 1


async def _asked_what_redis_loses(
    fragile: Stage, valkey: PrivateValkey, valkey_folder: Path, earlier: Path
) -> tuple[Room, Message, Message]:
    """Return a room, its first question, and a second one that Redis knows nothing of any more."""
    room = fragile.room()
    first = await room.started(ANA, "/approve-draft AI safety")
    await valkey.stop()
    shutil.copytree(valkey_folder, earlier)
    await valkey.start()
    await until(fragile.bot.is_ready)
    await room.reply(BEN, first, "Shorter, please")
    second = await room.prompt(2)
    await fragile.idle()
    await _come_back_with(earlier, valkey, valkey_folder)
    await until(fragile.bot.is_ready)
    return room, first, second


async def test_a_click_on_a_question_that_redis_has_lost_is_told_so_and_the_run_asks_again(
    fragile: Stage, valkey: PrivateValkey, valkey_folder: Path, tmp_path: Path
) -> None:
    """With ``appendfsync everysec`` Redis may come back without its last seconds."""
    room, first, second = await _asked_what_redis_loses(fragile, valkey, valkey_folder, tmp_path / "earlier")

    await room.press(BEN, second, "Approve")
    note = await room.told(BEN, "unknown here")
    await room.see(lambda: buttons(first))
    await room.press(BEN, first, "Approve")

    assert "asks again" in note
    assert "Status: approved" in (await room.result()).text
    assert await room.times("answered", first) == 1


async def test_after_a_restore_the_operator_has_open_questions_drawn_anew(
    fragile: Stage, valkey: PrivateValkey, valkey_folder: Path, tmp_path: Path
) -> None:
    """Answered since, a question is open again in Redis, and its message has no buttons."""
    room, first, _ = await _asked_what_redis_loses(fragile, valkey, valkey_folder, tmp_path / "earlier")
    without = buttons(first)

    done = await signoff(fragile.bot.environment, tmp_path, "runs", "redraw", run_of(first), "--by", "eve")
    await room.see(lambda: buttons(first))
    again = await signoff(fragile.bot.environment, tmp_path, "runs", "redraw", run_of(first), "--json")
    await room.press(BEN, first, "Approve")
    over = await signoff(fragile.bot.environment, tmp_path, "runs", "redraw", run_of(first))

    assert without == []
    assert (done.code, again.code, over.code) == (0, 0, 1)
    assert "has no open question" in over.stderr
    assert "Status: approved" in (await room.result()).text
    assert ("redrawn", "eve") in [(line.what, line.by) for line in await room.journal(first)]


async def test_a_click_on_a_question_that_redis_has_lost_does_not_answer_another(
    fragile: Stage, valkey: PrivateValkey, valkey_folder: Path, tmp_path: Path
) -> None:
    """What is asked instead has the same number, and other words."""
    room, first, lost = await _asked_what_redis_loses(fragile, valkey, valkey_folder, tmp_path / "earlier")
    await room.reply(BEN, first, "Longer, please")
    instead = await room.prompt(3)
    await fragile.idle()

    await room.press(BEN, lost, "Approve")

    await room.told(BEN, "outdated")
    assert buttons(instead) == ["Approve", "Edit and approve", "Reject", "Give feedback"]
    assert await room.times("answered", first) == 1


async def _come_back_with(earlier: Path, valkey: PrivateValkey, folder: Path) -> None:
    """Kill Redis and start it with what it had saved earlier."""
    await valkey.kill()
    shutil.rmtree(folder / "appendonlydir")
    shutil.copytree(earlier / "appendonlydir", folder / "appendonlydir")
    await valkey.start()


def _is_by(request: object, user: str) -> bool:
    return isinstance(request, dict) and request.get("event", {}).get("user") == user


# --- Slack: one question, whatever it answers -------------------------------------------------------


@pytest.mark.parametrize("fault", ["ratelimited", "server_error", "html", "reset", "error"])
async def test_a_question_slack_would_not_take_is_posted_once_it_does(room: Room, fault: str) -> None:
    """Adversarial 9."""
    room.slack.faults.fail("chat.postMessage", fault, retry_after=1)  # type: ignore[arg-type]  # one of its kinds

    await room.command(ANA, "/deploy v2")

    prompt = await room.prompt()
    await room.stage.idle()
    assert room.slack.messages(room.channel) == [prompt]


@pytest.mark.parametrize("fault", ["server_error", "html", "reset"])
async def test_a_question_slack_did_post_but_did_not_confirm_is_adopted(room: Room, fault: str) -> None:
    """Adversarial 9."""
    room.slack.faults.fail("chat.postMessage", fault, applied=True)  # type: ignore[arg-type]  # one of its kinds

    await room.command(ANA, "/deploy v2")

    prompt = await room.prompt()
    await room.stage.idle()
    assert room.slack.messages(room.channel) == [prompt]
    await room.press(BEN, prompt, "Ship")
    assert (await room.result()).text == "Shipped v2"


async def test_an_unconfirmed_question_in_a_thread_is_adopted_too(room: Room) -> None:
    """Adversarial 9."""
    first = await room.started(ANA, "/approve-draft AI safety")
    room.slack.faults.fail("chat.postMessage", "reset", applied=True)

    await room.reply(BEN, first, "Shorter, please")

    await room.prompt(2)
    await room.stage.idle()
    assert len(room.posted("prompt:")) == 2


async def test_a_reply_to_a_question_not_yet_confirmed_is_not_lost(room: Room) -> None:
    """The bot learns only from its second look where its question stands; Slack sends the reply again by then."""
    room.slack.faults.fail("chat.postMessage", "reset", applied=True)
    await room.command(ANA, "/approve-draft AI safety")
    first = await room.prompt()

    await room.reply(BEN, first, "Shorter, please")
    await room.stage.idle()
    await room.slack.advance(61)

    assert "Shorter, please" in shown(await room.prompt(2))
    assert await room.times("answered", first) == 1


@pytest.mark.parametrize(("fault", "applied"), [("ratelimited", False), ("server_error", True), ("reset", False)])
async def test_buttons_vanish_though_slack_did_not_take_the_first_update(room: Room, fault: str, applied: bool) -> None:
    """Adversarial 9."""
    prompt = await room.started(ANA, "/deploy v2")
    room.slack.faults.fail("chat.update", fault, applied=applied)  # type: ignore[arg-type]  # one of its kinds

    await room.press(BEN, prompt, "Ship")

    assert f"<@{BEN}>" in await room.locked(prompt)
    assert (await room.result()).text == "Shipped v2"


@pytest.mark.parametrize("applied", [False, True])
async def test_a_result_is_told_once_though_slack_was_in_trouble(room: Room, applied: bool) -> None:
    """Adversarial 9."""
    prompt = await room.started(ANA, "/deploy v2")
    room.slack.faults.fail("chat.postMessage", "server_error", applied=applied)

    await room.press(BEN, prompt, "Ship")

    await room.result()
    await room.stage.idle()
    assert [message.text for message in room.posted("result")] == ["Shipped v2"]


@pytest.mark.parametrize("retry_after", [None, "0", "soon"])
async def test_an_odd_retry_after_is_survived(room: Room, retry_after: str | None) -> None:
    """Adversarial 8."""
    room.slack.faults.fail("chat.postMessage", "ratelimited", retry_after=retry_after)

    await room.command(ANA, "/deploy v2")

    await room.prompt()
    await room.stage.idle()
    assert len(room.posted("prompt:")) == 1


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1:1/", "file:///etc/passwd", "https://[::1"]
)
async def test_a_forged_response_url_is_not_called_and_the_click_counts(room: Room, url: str) -> None:
    """Security 7; Adversarial 38."""
    prompt = await room.started(ANA, "/deploy v2")
    click = requests.click(room, prompt, "Ship", BEN)
    click["response_url"] = url

    clicked = await room.slack.interact(click)

    assert clicked.ok
    assert (await room.result()).text == "Shipped v2"
    await room.told(BEN, "Thank you")  # on the way every bot has, chat.postEphemeral


async def test_a_form_slack_does_not_open_in_time_is_said_so(room: Room) -> None:
    """Adversarial 1."""
    prompt = await room.started(ANA, "/approve-draft AI safety")
    room.slack.faults.expire_triggers = True

    await room.press(BEN, prompt, "Give feedback")

    await room.told(BEN, "press the button again")
    assert buttons(prompt) == ["Approve", "Edit and approve", "Reject", "Give feedback"]


@pytest.mark.parametrize("fault", ["server_error", "reset", "html", "slow"])
async def test_a_form_slack_cannot_open_is_said_so(room: Room, fault: str) -> None:
    prompt = await room.started(ANA, "/approve-draft AI safety")
    room.slack.faults.fail("views.open", fault, seconds=2.5)  # type: ignore[arg-type]  # one of its kinds

    clicked = await room.press(BEN, prompt, "Give feedback")

    assert clicked.ok
    await room.told(BEN, "press the button again")
