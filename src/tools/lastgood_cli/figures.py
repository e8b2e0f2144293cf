"""Counts and times over many rollbacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from lastgood_cli.when import when

TIMES = (
    ("stop", "stopped_at"),
    ("redeploy", "redeployed_at"),
    ("verify", "verified_at"),
    ("recover", "alarm_recovered_at"),
)
"""What is timed, and the attribute that says when it was reached. All count from the alarm."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds over many rollbacks. `worst` names the rollback."""

    count: int
    median: float
    p90: float
    worst: float
    worst_rollback_id: str


@dataclass(frozen=True, slots=True)
class Statistics:
    """What `audit stats` prints."""

    total: int
    outcomes: Mapping[str, int]
    reasons: Mapping[tuple[str, str], int]
    times: Mapping[str, Spread]
    needs_human: int


def statistics(heads: Iterable[Mapping[str, Any]]) -> Statistics:
    """Count rollbacks; an open one counts as `open`. Times only of those that acted and were no dry run."""
    heads = list(heads)
    pairs = Counter((_outcome(head), str(head.get("reason_code") or "")) for head in heads)
    spreads = {name: _spread(heads, attribute) for name, attribute in TIMES}
    return Statistics(
        total=len(heads),
        outcomes=dict(Counter(map(_outcome, heads)).most_common()),
        reasons=dict(pairs.most_common()),
        times={name: spread for name, spread in spreads.items() if spread is not None},
        needs_human=sum(bool(head.get("needs_human")) for head in heads),
    )


def seconds_to(head: Mapping[str, Any], attribute: str) -> float | None:
    """Seconds from the alarm (or the request) until something was reached; None where it was not."""
    began = when(head.get("alarm_changed_at")) or when(head.get("opened_at"))
    reached = when(head.get(attribute))
    if began is None or reached is None:
        return None
    return max(0.0, (reached - began).total_seconds())


def rank(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of ordered values."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def _outcome(head: Mapping[str, Any]) -> str:
    return str(head.get("outcome") or "open")


def _spread(heads: Sequence[Mapping[str, Any]], attribute: str) -> Spread | None:
    timed = [(s, str(head.get("rollback_id", ""))) for head in heads if (s := seconds_to(head, attribute)) is not None]
    if not timed:
        return None
    timed.sort()
    ordered = [seconds for seconds, _ in timed]
    return Spread(len(timed), rank(ordered, 0.5), rank(ordered, 0.9), *timed[-1])
