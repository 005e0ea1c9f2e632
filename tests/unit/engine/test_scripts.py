"""The scripts: each is sent with what it uses, and the guards that `make chaos` takes away one by one stand in them."""

from __future__ import annotations

import pytest

from engine.redis.scripts import script
from tests.chaos.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_guard_is_where_it_is_said_to_be(mutant: Mutant) -> None:
    assert mutant.text_of(mutant.script) != script(mutant.script)


def test_a_script_is_sent_with_what_it_uses_and_no_more() -> None:
    text = script("renew").text

    assert "local function holds(" in text, "it calls that"
    assert "local META," in text, "and that uses this"
    assert "HMGET', META, 'f', 'l', 's')" in text, "it asks for the fields it mentions"
    assert "close_ask" not in text, "what nothing in it calls stays behind"
