"""How far a rollback is, and who may write its record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """What AWS and people were asked to do for a rollback, what came of it, and what was seen afterwards."""

    approved_by: str = ""
    rejected_by: str = ""
    stop_requested_at: datetime | None = None
    stop_answer: str = ""
    native_rollback_asked: bool = False
    stopped_at: datetime | None = None
    create_attempted_at: datetime | None = None
    redeployed_at: datetime | None = None
    redeployed_revision: str = ""
    rollback_deployment_id: str = ""
    adopted: bool = False
    stack_cancel_requested_at: datetime | None = None
    stack_debt: str = ""
    passed_on_to: str = ""
    passed_on_run: str = ""
    passed_on_id: str = ""
    held_up_since: datetime | None = None
    held_up_by: str = ""
    held_up_ended_at: datetime | None = None
    alarm_recovered_at: datetime | None = None
    not_recovered_at: datetime | None = None
    not_recovered_state: str = ""
    not_recovered_alarm: str = ""
    next_good_deployment_id: str = ""
    next_good_revision: str = ""

    @property
    def touched(self) -> bool:
        """Whether AWS was asked to stop, create or cancel something, or a rollback of its own was adopted."""
        return any(
            (
                self.stop_requested_at,
                self.create_attempted_at,
                self.stack_cancel_requested_at,
                self.rollback_deployment_id,
            )
        )


@dataclass(frozen=True, slots=True)
class Bookkeeping:
    """What keeps the writers of one record out of each other's way, and which notices were sent."""

    notified: tuple[str, ...] = ()
    took_lock_of: str = ""
    version: int = 0
    step_count: int = 0
    lease_owner: str = ""
    lease_until: datetime | None = None
