"""Counts and times over many rollbacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Any

from lastgood.model import TIMES
from lastgood_cli.when import when

_REACHED = {
    "stop": "stopped_at",
    "redeploy": "redeployed_at",
    "verify": "verified_at",
    "recover": "alarm_recovered_at",
}
"""The attribute that says when something was reached; for records that do not hold its seconds."""


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
    spreads = {name: _spread(heads, name) for name in TIMES}
    return Statistics(
        total=len(heads),
        outcomes=dict(Counter(map(_outcome, heads)).most_common()),
        reasons=dict(pairs.most_common()),
        times={name: spread for name, spread in spreads.items() if spread is not None},
        needs_human=sum(bool(head.get("needs_human")) for head in heads),
    )


def seconds_to(head: Mapping[str, Any], name: str) -> float | None:
    """Seconds to `name`, one of TIMES, as the record holds them; None where it was not reached.

    Detecting counts from the release, all else from the alarm, or from the request where there was none.
    """
    stored = head.get(f"seconds_to_{name}")
    if isinstance(stored, int | float | Decimal) and not isinstance(stored, bool):
        return float(stored)
    began = when(head.get("alarm_changed_at")) or when(head.get("opened_at"))
    reached = when(head.get(_REACHED.get(name, "")))
    if began is None or reached is None:
        return None
    return max(0.0, (reached - began).total_seconds())


def rank(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of ordered values."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def _outcome(head: Mapping[str, Any]) -> str:
    return str(head.get("outcome") or "open")


def _spread(heads: Sequence[Mapping[str, Any]], name: str) -> Spread | None:
    timed = [(s, str(head.get("rollback_id", ""))) for head in heads if (s := seconds_to(head, name)) is not None]
    if not timed:
        return None
    timed.sort()
    ordered = [seconds for seconds, _ in timed]
    return Spread(len(timed), rank(ordered, 0.5), rank(ordered, 0.9), *timed[-1])
