"""Leases: only one invocation at a time works on a rollback, and it takes the lease before anything else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from lastgood.ledger import LEASE_MARGIN, Ledger
from lastgood.model import Rollback


class Leases:
    """The leases of one invocation, named `owner`, which ends at `deadline`."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime], owner: str, deadline: datetime) -> None:
        self._ledger = ledger
        self._clock = clock
        self._owner = owner
        self._deadline = deadline

    def first(self, rollback: Rollback) -> Rollback:
        """A rollback that is about to be opened, leased from the start."""
        return rollback.changed(lease_owner=self._owner, lease_until=self._deadline + LEASE_MARGIN)

    def holding[Done](self, rollback_id: str, work: Callable[[Rollback], Done]) -> Done | None:
        """Do `work` with a rollback while holding its lease. None if another holds it, or there is no such rollback."""
        leased = self._ledger.lease(rollback_id, self._owner, self._deadline, self._clock())
        return None if leased is None else work(leased)
