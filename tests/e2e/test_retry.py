"""A request that is over and that an operator takes up again, as people see it in Slack."""

from __future__ import annotations

import pytest

from tests.e2e.stage import ANA, BEN, Room
from tests.messages import run_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_cancelled_request_that_is_tried_again_is_asked_anew_and_told_of_a_second_time(room: Room) -> None:
    store = room.stage.store
    question = await room.started(ANA, "/deploy v2")
    await store.cancel(run_of(question), BEN)
    await room.result()
    await room.stage.idle()

    was = await store.reopen(run_of(question), ANA)
    again = await room.prompt(nth=2)
    await room.stage.idle()
    await room.press(BEN, again, "Ship")

    assert was == "cancelled"
    assert "v2" in (await room.result(nth=2)).text
    assert "Cancelled" in await room.locked(question)
