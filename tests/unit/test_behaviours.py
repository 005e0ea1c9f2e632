"""The table of promises: complete, and true of the tests that it names."""

from tests.behaviours import TABLE, claims, pins, written_anew

PROMISED = range(1, 71)


def test_every_promise_has_a_row_and_a_test() -> None:
    table = TABLE.read_text("utf-8")

    assert list(claims(table)) == list(PROMISED)
    assert pins().keys() == set(PROMISED)


def test_the_table_names_the_tests_that_name_its_numbers() -> None:
    table = TABLE.read_text("utf-8")

    assert table == written_anew(table), "run `make docs`"
