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
STILL_OPEN: set[str] = set()


@pytest.mark.parametrize("page", PROMISED, ids=lambda page: page.stem)
def test_every_promise_has_a_row(page: Path) -> None:
    assert list(claims(page.read_text("utf-8"))) == PROMISED[page]


def test_every_promise_but_the_open_ones_has_a_test() -> None:
    promised = {name for names in PROMISED.values() for name in names}

    assert promised - STILL_OPEN <= pins().keys() <= promised


def test_the_table_names_the_tests_that_name_its_promises() -> None:
    table = BEHAVIOURS.read_text("utf-8")

    assert table == written_anew(table), "run `make docs`"
