"""What cannot be saved is named, and nothing foreign or damaged is let in."""

import asyncio
import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import (
    Context,
    ContextSerdeError,
)
from engine.core.model import DictState
from engine.errors import CodecError
from tests.unit.engine.pausing import Stages, Waits, paused, restored, saved, yes


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("client", object(), r"state\.client: a builtins\.object cannot be stored"),
        ("deep", {"a": [1, print]}, r"state\.deep\.a\[1\]"),
        (5, "x", r"state key 5: a int cannot be stored as a key; use a str"),
    ],
)
async def test_what_cannot_be_saved_is_named(key: Any, value: Any, said: str) -> None:
    """Behaviour 54."""
    ctx = Context[DictState](Stages())
    async with ctx.store.edit_state() as state:
        state[key] = value

    with pytest.raises(ValueError, match=said):
        ctx.to_dict()


async def test_a_run_goes_on_after_a_snapshot_that_failed() -> None:
    """Behaviour 54."""
    handler = Waits().run()
    await paused(handler)
    await handler.ctx.store.set("client", object())

    with pytest.raises(CodecError, match="client"):
        handler.ctx.to_dict()

    for n in range(2):
        await paused(handler)
        handler.ctx.send_event(yes(n=n))
    assert await handler == ["yes", "yes", 2]


@pytest.fixture(scope="module")
def sample() -> dict[str, Any]:
    """A snapshot with something of everything: store, questions, a wait, a queue, an answer."""

    async def make() -> dict[str, Any]:
        handler = Waits().run()
        await paused(handler)
        await handler.ctx.store.set("page", {"title": "t", "tags": (1, 2)})
        handler.ctx.send_event(yes(n=0))
        return await saved(handler)

    return asyncio.run(make())


@pytest.mark.parametrize("data", [None, "", "text", 5, [], (), b"{}"])
def test_what_is_no_dictionary_is_refused(data: Any) -> None:
    """Behaviour 49."""
    with pytest.raises(ContextSerdeError, match=r"invalid format: found .*, not a dict"):
        restored(Waits(), data)


@pytest.mark.parametrize("data", [{}, {"foo": 1}, {"version": 2, "state": {}}, {"format": "1"}, {"format": True}])
def test_a_snapshot_of_something_else_is_refused(data: Any) -> None:
    """Behaviour 49."""
    with pytest.raises(ContextSerdeError, match="wrong or old format: it has no format number"):
        restored(Waits(), data)


def test_a_snapshot_from_the_future_is_refused(sample: dict[str, Any]) -> None:
    """Behaviour 49."""
    with pytest.raises(
        ContextSerdeError, match="it is of format 99, written by a newer version; this one reads up to 1"
    ):
        restored(Waits(), {**sample, "format": 99})


@pytest.mark.parametrize("key", ["run_id", "workflow", "status", "next_id", "spent", "announced", "calls", "asks"])
def test_a_snapshot_with_something_missing_names_it(sample: dict[str, Any], key: str) -> None:
    """Behaviour 49."""
    with pytest.raises(ContextSerdeError, match=f"{key}: Field required"):
        restored(Waits(), {name: value for name, value in sample.items() if name != key})


def test_a_renamed_step_is_named(sample: dict[str, Any]) -> None:
    """Behaviour 49."""
    with pytest.raises(
        ContextSerdeError, match=r"the run waits in step 'only', which .*Stages no longer has; it has write"
    ):
        restored(Stages(), sample)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("status", "sleeping", "status"),
        ("next_id", 1, "next_id 1 is taken"),
        ("spent", float("nan"), "spent"),
        ("calls.0.status", "sleeping", r"calls\.0\.status"),
        ("calls.0.attempt", 0, r"calls\.0\.attempt"),
        ("calls.0.first_at", "now", r"calls\.0\.first_at"),
        ("calls.0.event", 5, "event of step only: found int, not Event"),
        (
            "calls.0.event",
            {"$": "model", "t": "Gone", "v": {}},
            "event of step only.* names 'Gone', which this workflow",
        ),
        ("calls.0.event", {"$": "model", "t": "builtins.eval", "v": {}}, "names 'builtins.eval'"),
        ("calls.0.waits.0.requirements", [], "requirements"),
        ("calls.0.waits.0.answer", {"$": "type", "t": "Event"}, "answer"),
        ("calls.0.waits.1.id", "elsewhere", "nobody waits for the answer"),
        ("asks.0.event", None, "ask a"),
        ("asks.0.call_id", 77, "nobody waits for the answer"),
        ("asks.0.opened_at", None, r"asks\.0\.opened_at"),
        ("final", 5, "the event that ended the run"),
        ("error", "text", "error: found str"),
        ("store", [], "store"),
        ("store.page", {"$": "lambda"}, r"state\.page: unknown mark 'lambda'"),
    ],
)
def test_a_defect_is_told_by_its_place(sample: dict[str, Any], path: str, value: Any, said: str) -> None:
    """Behaviour 49, 55."""
    damaged = copy.deepcopy(sample)
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = damaged
    for part in way:
        place = place[part]
    place[last] = value

    with pytest.raises(ContextSerdeError, match=said):
        restored(Waits(), damaged)


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10) | st.floats() | st.sampled_from(["", "x", "ready", "Draft", "$"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["$", "t", "v", "id"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def _places(plain: Any) -> list[tuple[Any, Any]]:
    """Return each (holder, key) in a JSON value."""
    items = (
        list(plain.items()) if isinstance(plain, dict) else list(enumerate(plain)) if isinstance(plain, list) else []
    )
    return [place for key, item in items for place in [(plain, key), *_places(item)]]


@given(data=st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_refused_or_harmless(sample: dict[str, Any], data: st.DataObject) -> None:
    """Behaviour 49, 55."""
    damaged = copy.deepcopy(sample)
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(_places(damaged)))
        if isinstance(holder, dict) and data.draw(st.booleans()):
            del holder[key]
        else:
            holder[key] = data.draw(junk)
    ctx: Context[Any] | None = None

    with contextlib.suppress(ContextSerdeError):
        ctx = restored(Waits(), damaged)

    if ctx is not None and ctx.is_running:
        ctx.send_event(yes(n=1))
        json.dumps(ctx.to_dict())
