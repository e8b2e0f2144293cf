"""A rollback's record: place and phase, and groups of fields for trigger, choice, progress and follow-ups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Self

from lastgood.model.catalogue import calls_people
from lastgood.model.groups import ComputePlatform, Controller, DeploymentGroup
from lastgood.model.phases import NEXT_PHASES, Outcome, Phase
from lastgood.model.reasons import Reason
from lastgood.model.record.choice import Candidate, Choice
from lastgood.model.record.progress import Bookkeeping, Progress
from lastgood.model.record.trail import FollowUp, Trail
from lastgood.model.record.trigger import Trigger, TriggerKind

__all__ = [
    "GROUPS",
    "NEXT_PHASES",
    "Bookkeeping",
    "Candidate",
    "Choice",
    "FollowUp",
    "Outcome",
    "Phase",
    "Progress",
    "Rollback",
    "Trail",
    "Trigger",
    "TriggerKind",
]


@dataclass(frozen=True, slots=True)
class Rollback:
    """A rollback. Its head item in the audit table holds the fields of all its groups side by side.

    `people`: whether people are called, where that differs from what the catalogue says of the reason; else None.
    """

    rollback_id: str
    application: str
    deployment_group: str
    opened_at: datetime
    trigger: Trigger
    controller: Controller = Controller.CODE_DEPLOY
    compute_platform: ComputePlatform | None = None
    phase: Phase = Phase.CLAIMED
    outcome: Outcome | None = None
    reason_code: Reason | None = None
    explanation: str = ""
    people: bool | None = None
    closed_at: datetime | None = None
    choice: Choice = field(default_factory=Choice)
    progress: Progress = field(default_factory=Progress)
    trail: Trail = field(default_factory=Trail)
    bookkeeping: Bookkeeping = field(default_factory=Bookkeeping)

    @classmethod
    def opened(cls, rollback_id: str, group: DeploymentGroup, trigger: Trigger, now: datetime) -> Self:
        """A rollback of this group that begins now."""
        return cls(rollback_id, group.application, group.deployment_group, now, trigger, group.controller)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """A rollback from the fields of all its groups side by side, as they are stored."""
        own, grouped = _by_group(values)
        return cls(**own, **{name: kind(**grouped.get(name, {})) for name, kind in GROUPS.items()})

    @property
    def group(self) -> DeploymentGroup:
        """The deployment group that is rolled back."""
        return DeploymentGroup(self.application, self.deployment_group, self.controller)

    def changed(self, **changes: Any) -> Self:
        """The rollback with new values for these fields, whichever groups they belong to.

        Raises ValueError for a phase that may not follow the present one, TypeError for a field that does not exist.
        """
        own, grouped = _by_group(changes)
        groups = {name: replace(getattr(self, name), **values) for name, values in grouped.items()}
        after = replace(self, **own, **groups)
        if after.phase is not self.phase and after.phase not in NEXT_PHASES[self.phase]:
            raise ValueError(f"{self.rollback_id} cannot go from {self.phase} to {after.phase}")
        return after

    @property
    def open(self) -> bool:
        """True until it has an outcome."""
        return self.phase is not Phase.CLOSED

    @property
    def needs_human(self) -> bool:
        """Whether people are called: as the catalogue says of the reason, and always if the alarm did not recover."""
        if self.progress.not_recovered_at is not None:
            return True
        if self.people is not None or self.reason_code is None:
            return bool(self.people)
        return calls_people(self.reason_code, self.outcome)

    @property
    def verified_at(self) -> datetime | None:
        """When the good revision was seen to be live, which ends the rollback; None for any other end."""
        return self.closed_at if self.reason_code is Reason.VERIFIED else None

    @property
    def may_replace_running(self) -> bool:
        """Whether the good revision may replace a suspect that still runs, without stopping it first.

        ECS can only stop a deployment by putting back the revision before it. Where that one is known bad, or not the
        one that is wanted, it must not come back even for a moment; and ECS lets an update replace a running one.
        """
        return self.group.can().replaces_running and self.progress.stop_requested_at is None


GROUPS: Mapping[str, type] = {
    "trigger": Trigger,
    "choice": Choice,
    "progress": Progress,
    "trail": Trail,
    "bookkeeping": Bookkeeping,
}
"""The groups of a record. Field names are unique across all of them, because they are stored side by side."""

_GROUP_OF = {spec.name: name for name, kind in GROUPS.items() for spec in fields(kind)}


def _by_group(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The values that belong to the record's own fields, and those of each group by the group's name."""
    own: dict[str, Any] = {}
    grouped: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        group = _GROUP_OF.get(name)
        (own if group is None else grouped.setdefault(group, {}))[name] = value
    return own, grouped
