"""From rounds to the page: the arithmetic, and that the page which is kept says what was measured."""

from __future__ import annotations

import json
import random
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import page
from benchmarks.figures import FIGURES, LEVERS
from benchmarks.plots import Axis, Series, chart, even_marks, powers_of_ten
from benchmarks.rounds import dependent_rounds, interleaved, percentile, ratios, spread

DOCS = Path(__file__).resolve().parents[2] / "docs"
KEPT = json.loads((DOCS / "performance.json").read_text())


@pytest.mark.parametrize("name", page.files(KEPT))
def test_the_page_and_its_plots_are_what_the_kept_results_make(name: str) -> None:
    assert (DOCS / name).read_text() == page.files(KEPT)[name]


def test_every_figure_of_the_page_was_measured_and_every_miss_has_its_reason() -> None:
    assert {*(f.key for f in FIGURES), *(lever.key for lever in LEVERS)} == set(KEPT["figures"])
    for figures, why in page.missed(KEPT):
        assert why, [figure.key for figure in figures]


def test_a_figure_that_meets_its_goal_is_a_hit_and_one_above_it_is_not() -> None:
    calls = {**KEPT, "figures": {**KEPT["figures"], "calls": [8, 8, 9], "rounds": [9, 9, 8]}}
    rows = page.goals_table(calls).splitlines()
    assert "| 8 | 8 – 8.80 | 3 | hit |" in next(row for row in rows if "calls of a rollback" in row)
    assert "| 9 | 8.20 – 9 | 3 | **miss** |" in next(row for row in rows if "dependent rounds" in row)
    missing = {figure.key for figures, _ in page.missed(calls) for figure in figures}
    assert "rounds" in missing and "calls" not in missing


def test_a_spread_is_the_median_between_its_tenth_and_ninetieth_percentiles() -> None:
    found = spread([1.0, 2.0, 3.0, 4.0, 100.0])
    assert (found.middle, found.rounds) == (3.0, 5)
    assert (found.low, found.high) == (pytest.approx(1.4), pytest.approx(61.6))
    assert percentile([5.0], 90) == 5.0
    with pytest.raises(ValueError):
        spread([])


def test_every_round_runs_every_variant_once_in_an_order_that_the_seed_fixes() -> None:
    def orders(seed: int) -> list[list[str]]:
        ran: list[str] = []
        variants = {name: (lambda name=name: ran.append(name) or 1.0) for name in "abcd"}
        interleaved(variants, 6, random.Random(seed))
        return [ran[at : at + 4] for at in range(0, len(ran), 4)]

    assert all(sorted(each) == list("abcd") for each in orders(1))
    assert orders(1) == orders(1) != orders(2)
    assert len({tuple(each) for each in orders(1)}) > 1


def test_a_ratio_compares_within_its_round_only() -> None:
    rounds = [{"a": 1.0, "b": 2.0}, {"a": 10.0, "b": 20.0}]
    assert ratios(rounds, "a", "b", float) == [0.5, 0.5]


def test_calls_side_by_side_are_one_round_and_calls_after_an_answer_are_the_next() -> None:
    def call(at: float, answered: float) -> dict[str, float]:
        return {"at": at, "answered": answered}

    assert dependent_rounds([]) == 0
    assert dependent_rounds([call(0, 1), call(0.5, 1.5)]) == 1
    assert dependent_rounds([call(0, 1), call(1.1, 2), call(1.2, 2.2), call(2.3, 3)]) == 3


def test_a_plot_is_a_picture_whose_points_lie_within_its_axes() -> None:
    across = Axis("x", powers_of_ten([10, 10_000]), logarithmic=True)
    drawn = ElementTree.fromstring(
        chart("t & u", across, Axis("y", even_marks(47)), [Series("a", [(10, 0), (10_000, 47)])])
    )
    (line,) = drawn.iter("{http://www.w3.org/2000/svg}polyline")
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert points[0] == (70.0, 350.0)
    assert 70 < points[1][0] <= 700 and 50 <= points[1][1] < 350


def test_marks_of_an_axis_are_round_and_hold_every_value() -> None:
    assert even_marks(47) == [0, 10, 20, 30, 40, 50]
    assert even_marks(3) == [0, 0.5, 1, 1.5, 2, 2.5, 3]
    assert powers_of_ten([12, 700]) == [10, 100, 1000]
