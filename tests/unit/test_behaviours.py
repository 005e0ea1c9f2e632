"""The tables of promises: complete, and true of the tests that they name."""

from pathlib import Path

import pytest

from tests.behaviours import ACCEPTANCE, BEHAVIOURS, claims, pins, written_anew

PROMISED = {
    BEHAVIOURS: [f"Behaviour {n}" for n in range(1, 71)],
    ACCEPTANCE: [
        *(f"Acceptance {n}" for n in range(1, 32)),
        *(f"Security {n}" for n in range(1, 14)),
        *(f"Adversarial {n}" for n in range(1, 49)),
    ],
}


@pytest.mark.parametrize("page", PROMISED, ids=lambda page: page.stem)
def test_every_promise_has_a_row(page: Path) -> None:
    assert list(claims(page.read_text("utf-8"))) == PROMISED[page]


def test_every_promise_has_a_test() -> None:
    assert pins().keys() == {name for names in PROMISED.values() for name in names}


@pytest.mark.parametrize("page", PROMISED, ids=lambda page: page.stem)
def test_a_table_names_the_tests_that_name_its_promises(page: Path) -> None:
    table = page.read_text("utf-8")

    assert table == written_anew(table), "run `make docs`"
