"""The phases of a rollback, which may follow which, and how one ends."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Phase(StrEnum):
    """Where a rollback is. `NEXT_PHASES` says which phase may follow."""

    CLAIMED = "CLAIMED"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    STOPPING = "STOPPING"
    REDEPLOYING = "REDEPLOYING"
    VERIFYING = "VERIFYING"
    CLOSED = "CLOSED"


NEXT_PHASES: Mapping[Phase, frozenset[Phase]] = {
    Phase.CLAIMED: frozenset({Phase.AWAITING_APPROVAL, Phase.STOPPING, Phase.VERIFYING, Phase.CLOSED}),
    Phase.AWAITING_APPROVAL: frozenset({Phase.STOPPING, Phase.VERIFYING, Phase.CLOSED}),
    Phase.STOPPING: frozenset({Phase.REDEPLOYING, Phase.VERIFYING, Phase.CLOSED}),
    # One way back: a stop that was answered and had no effect is asked for again.
    Phase.REDEPLOYING: frozenset({Phase.STOPPING, Phase.VERIFYING, Phase.CLOSED}),
    # The adopted rollback put nothing back: everything is judged again, or what was already begun goes on.
    Phase.VERIFYING: frozenset({Phase.CLAIMED, Phase.STOPPING, Phase.CLOSED}),
    Phase.CLOSED: frozenset(),
}
"""Which phases may follow a phase. VERIFYING follows directly where a rollback that already runs is adopted."""


class Outcome(StrEnum):
    """How a rollback ended."""

    ROLLED_BACK = "ROLLED_BACK"
    SKIPPED = "SKIPPED"
    BLOCKED = "BLOCKED"
    FAILED = "FAILED"
    DRY_RUN = "DRY_RUN"
