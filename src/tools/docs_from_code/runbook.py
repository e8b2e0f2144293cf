"""The blocks of docs/runbook.md and the head of the runbook in the README, from the catalogue of reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lastgood.model import OUTCOMES, REASONS, REJECTIONS, Outcome, Reason, calls_people, what_to_do

_ENDS = (Outcome.BLOCKED, Outcome.FAILED, Outcome.SKIPPED, Outcome.ROLLED_BACK, Outcome.DRY_RUN)
"""The outcomes in the order in which people need them."""


def outcomes() -> str:
    """Each outcome of a real rollback, what it means, and what to look at first."""
    real = ((outcome, *said) for outcome, said in OUTCOMES.items() if outcome is not Outcome.DRY_RUN)
    return _table(("outcome", "it means", "first"), ((f"`{outcome}`", means, first) for outcome, means, first in real))


def reasons() -> str:
    """Every reason under each outcome that it ends a rollback with, and then those that end none."""
    parts = [f"## {outcome}\n\n{_first(outcome)}\n\n{_rows(outcome)}" for outcome in _ENDS]
    open_ones = [(f"`{r}`", m.means, what_to_do(r, None)) for r, m in REASONS.items() if not m.ends]
    under_way = _table(("reason", "it means", "what to do"), open_ones)
    return "\n\n".join([*parts, f"## While a rollback is open\n\n{under_way}"])


def rejections() -> str:
    """Why a deployment of the history was not put back."""
    return _table(("rejection", "it means"), ((f"`{each}`", means) for each, means in REJECTIONS.items()))


def _first(outcome: Outcome) -> str:
    means, first = OUTCOMES[outcome]
    return f"{means[0].upper()}{means[1:]}. First: {first}."


def _rows(outcome: Outcome) -> str:
    found = [(reason, meaning) for reason, meaning in REASONS.items() if outcome in meaning.ends]
    head = ("reason", "it means", "people are called", "what to do")
    return _table(head, ((f"`{r}`", m.means, _called(r, outcome), what_to_do(r, None)) for r, m in found))


def _called(reason: Reason, outcome: Outcome) -> str:
    return "yes" if calls_people(reason, outcome) else "no"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


BLOCKS: dict[str, Callable[[], str]] = {"reasons": reasons, "rejections": rejections}
