"""What Prometheus is told follows from the log, from how requests were answered and from what is stored."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot import logs
from bot.metrics import Metrics
from engine.errors import StoreUnavailable
from engine.redis.condition import Backlog

Labels = tuple[tuple[str, str], ...]


async def full() -> Backlog:
    return Backlog(runs=7, questions=3, effects=2, late_s=1.5)


async def away() -> Backlog:
    raise StoreUnavailable("no")


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    found = Metrics(full)
    with logs.also_to(found.lines):
        yield found


async def figures(metrics: Metrics) -> dict[tuple[str, Labels], float]:
    families = text_string_to_metric_families((await metrics.page()).decode())
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}


def line(level: str, logger: str, message: str, verdict: str = "") -> tuple[str, Labels]:
    labels = {"level": level, "logger": logger, "message": message, "verdict": verdict}
    return "signoff_log_lines_total", tuple(sorted(labels.items()))


async def test_a_line_is_counted_by_what_it_says_and_by_its_verdict(metrics: Metrics) -> None:
    logger = logging.getLogger("bot.listeners.answering")
    for verdict in ("Accepted", "Already", "Already"):
        logger.warning("answer judged", extra={"verdict": verdict, "run_id": "k0-a"})

    found = await figures(metrics)

    assert found[line("warning", "bot", "answer judged", "Accepted")] == 1
    assert found[line("warning", "bot", "answer judged", "Already")] == 2


async def test_what_is_put_into_a_message_makes_no_figure_of_its_own(metrics: Metrics) -> None:
    for name in ("a", "b"):
        logging.getLogger("bot.demo").error("the bot does not come back: %s", name)

    assert (await figures(metrics))[line("error", "bot", "the bot does not come back: %s")] == 2


async def test_what_others_say_is_counted_but_not_repeated(metrics: Metrics) -> None:
    for told in ("connection 1 broke", "connection 2 broke", "connection 3 broke"):
        logging.getLogger("aiohttp.server").error(told)

    assert (await figures(metrics))[line("error", "aiohttp", "")] == 3


async def test_what_is_stored_is_told(metrics: Metrics) -> None:
    found = await figures(metrics)

    assert found["signoff_store_up", ()] == 1
    assert found["signoff_runs", ()] == 7
    assert found["signoff_questions", ()] == 3
    assert found["signoff_owed", ()] == 2
    assert found["signoff_late_seconds", ()] == 1.5


async def test_while_the_store_is_away_its_figures_are_not_known() -> None:
    found = await figures(Metrics(away))

    assert found["signoff_store_up", ()] == 0
    assert math.isnan(found["signoff_late_seconds", ()])


async def test_lines_are_counted_no_longer_than_they_are_asked_for() -> None:
    metrics = Metrics(full)
    with logs.also_to(metrics.lines):
        pass
    logging.getLogger("bot.app").warning("sweep cut short")

    assert line("warning", "bot", "sweep cut short") not in await figures(metrics)
