"""From rounds to a figure: the median of what each round measured, with its spread."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """The median of `rounds` values, and the tenth and the ninetieth percentile."""

    middle: float
    low: float
    high: float
    rounds: int


def spread(values: Sequence[float]) -> Spread:
    """Raises ValueError where there are none."""
    if not values:
        raise ValueError("a figure needs at least one round")
    return Spread(median(values), percentile(values, 10), percentile(values, 90), len(values))


def percentile(values: Sequence[float], wanted: float) -> float:
    """By linear interpolation between the closest ranks."""
    ordered = sorted(values)
    at = (len(ordered) - 1) * wanted / 100
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def interleaved[Sample](
    variants: Mapping[str, Callable[[], Sample]], rounds: int, chance: random.Random
) -> list[dict[str, Sample]]:
    """Each round runs every variant once, in an order of its own: a slow spell of the machine hits them alike."""
    measured = []
    for _ in range(rounds):
        names = list(variants)
        chance.shuffle(names)
        measured.append({name: variants[name]() for name in names})
    return measured


def ratios[Sample](
    rounds: Iterable[Mapping[str, Sample]], above: str, below: str, value: Callable[[Sample], float]
) -> list[float]:
    """In each round, one variant's value over another's."""
    return [value(each[above]) / value(each[below]) for each in rounds]


def dependent_rounds(arrivals: Iterable[Mapping[str, float]]) -> int:
    """How many calls came one after the answer of another: the longest chain in an arrival log.

    A call counts as dependent on every call that was answered before it arrived.
    """
    depths: list[tuple[float, int]] = []
    for call in sorted(arrivals, key=lambda each: each["at"]):
        before = [depth for answered, depth in depths if answered <= call["at"]]
        depths.append((call["answered"], 1 + max(before, default=0)))
    return max((depth for _, depth in depths), default=0)
