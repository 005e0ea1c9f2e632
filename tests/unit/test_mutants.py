"""The guards that `make chaos` takes away one by one stand in the scripts."""

from __future__ import annotations

import pytest

from engine.redis.scripts import script
from tests.chaos.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_guard_is_where_it_is_said_to_be(mutant: Mutant) -> None:
    assert mutant.text_of(mutant.script) != script(mutant.script)
