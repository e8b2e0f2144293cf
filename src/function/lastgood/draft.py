"""A rollback under way: its present state, and the part of it that is not yet in the audit table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from lastgood.errors import LastgoodError
from lastgood.ledger import Kind, Ledger, Step
from lastgood.model import Rollback


class Draft:
    """Changes and steps of one leased rollback, collected until they are saved together."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime], leased: Rollback) -> None:
        self.rollback = self.written = leased
        self._was_open = leased.open
        self._ledger = ledger
        self._clock = clock
        self._steps: list[Step] = []

    def change(self, **changes: Any) -> None:
        """Change the draft, not the table. Raises ValueError for a phase that may not follow the present one."""
        self.rollback = self.rollback.changed(**changes)

    def note(self, kind: Kind, action: str, text: str, deployment_id: str = "") -> None:
        """Add a step: an intent, a result, a decision or a note."""
        self._steps.append(Step(kind, action, text, self._clock(), deployment_id))

    def vouched(self) -> bool:
        """Whether this visit ended it, or the group's lock names it: one closed item alone anybody can write."""
        rollback = self.rollback
        return self._was_open or self._ledger.lock(rollback.group).last_rollback_id == rollback.rollback_id

    def undo(self) -> None:
        """Forget what was not saved."""
        self.rollback, self._steps = self.written, []

    def abandon(self) -> None:
        """Yield the lease after an error, so that the retry need not wait for it to end."""
        try:
            self.undo()
            self.save(next_check_at=self._clock(), yields_lease=True)
        except LastgoodError:
            return

    def save(
        self,
        *,
        next_check_at: datetime | None = None,
        yields_lease: bool = False,
        extra: Iterable[dict[str, Any]] = (),
    ) -> None:
        """Write what changed, with its steps. Raises LostLeaseError if another invocation wrote in between."""
        if yields_lease:
            self.change(lease_owner="", lease_until=None)
        self.rollback = self._ledger.write(
            self.written, self.rollback, self._steps, next_check_at=next_check_at, extra=extra
        )
        self.written, self._steps = self.rollback, []
