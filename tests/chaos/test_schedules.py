"""The law under random schedules, and proof that it is the guards of the protocol that keep it.

``SIGNOFF_SEEDS`` says how many schedules are played; ``make chaos`` plays 5,000.
"""

from __future__ import annotations

import os
import secrets

import pytest

from engine.redis import RedisRunStore, scripts
from tests.chaos.mutants import MUTANTS, Mutant
from tests.chaos.schedules import LANES, LawBroken, Schedule

pytestmark = pytest.mark.chaos

SEEDS = int(os.environ.get("SIGNOFF_SEEDS", "150"))
PARTS = 10
MUTANT_SEEDS = 500
SAFE_SEEDS = max(10, SEEDS // 50)


async def played(redis_url: str, seed: int) -> None:
    store = RedisRunStore.from_url(redis_url, prefix=f"t{secrets.token_hex(5)}", lanes=LANES)
    try:
        await Schedule(store, seed).play()
    finally:
        await store.close()


@pytest.mark.parametrize("part", range(PARTS))
async def test_the_law_holds_under_random_schedules(redis_url: str, part: int) -> None:
    for seed in range(part, SEEDS, PARTS):
        try:
            await played(redis_url, seed)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.fixture
def mutated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Mutant:
    mutant: Mutant = request.param
    monkeypatch.setattr(scripts, "script", mutant.text_of)
    return mutant


@pytest.mark.parametrize("mutated", [one for one in MUTANTS if not one.safe], indirect=True, ids=lambda one: one.name)
async def test_a_schedule_breaks_the_law_without_this_guard(redis_url: str, mutated: Mutant) -> None:
    for seed in range(MUTANT_SEEDS):
        try:
            await played(redis_url, seed)
        except (LawBroken, ExceptionGroup, ValueError):
            print(f"noticed at seed {seed}")
            return
    pytest.fail(f"{MUTANT_SEEDS} schedules did not notice")


@pytest.mark.parametrize("mutated", [one for one in MUTANTS if one.safe], indirect=True, ids=lambda one: one.name)
async def test_safety_does_not_need_this_guard(redis_url: str, mutated: Mutant) -> None:
    for seed in range(SAFE_SEEDS):
        await played(redis_url, seed)
