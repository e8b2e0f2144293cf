"""What applies to a deployment group: the settings, what operators set, what earlier rollbacks left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from lastgood.model.deployments import Revision
from lastgood.model.record import Outcome
from lastgood.model.remembered import is_remembered


class Mode(StrEnum):
    """How far lastgood goes by itself for a deployment group."""

    AUTO = "auto"
    APPROVE = "approve"
    OBSERVE = "observe"
    OFF = "off"


class StopWithoutTarget(StrEnum):
    """Whether a deployment is stopped where nothing can be put back; `first-deployment`: only if nothing ever could."""

    NEVER = "never"
    FIRST_DEPLOYMENT = "first-deployment"
    ALWAYS = "always"


class RollbackPauses(StrEnum):
    """What is done where a rollback's own deployment waits for a go-ahead."""

    TELL = "tell"
    CONTINUE = "continue"


class FloorsFrom(StrEnum):
    """Who may say that nothing older goes back: a release itself, operators, or both."""

    DESCRIPTION = "description"
    OPERATORS = "operators"
    BOTH = "both"


class ReleaseInAlarm(StrEnum):
    """What is done with a release that comes while its alarm fires already."""

    IGNORE = "ignore"
    TELL = "tell"
    ROLLBACK = "rollback"


class OthersOfARelease(StrEnum):
    """What is done for the other groups of a release of which one is rolled back: people are told, or they follow."""

    TELL = "tell"
    FOLLOW = "follow"


class CheckBundles(StrEnum):
    """What S3 is asked about a bundle of known version or ETag: nothing, whether it is there, or its tags too."""

    NO = "false"
    PRESENT = "present"
    TAGS = "true"


class AppSpecHooks(StrEnum):
    """Whether a rollback runs the validation functions of the old AppSpec."""

    KEEP = "keep"
    PRESENT = "present"
    DROP = "drop"


class AppSpecParts(StrEnum):
    """Whether the network and the capacity of the old AppSpec go back, or today's stay."""

    KEEP = "keep"
    TODAY = "today"


class AfterRollback(StrEnum):
    """What is done with the pipeline: people are told how to rerun it for the good commit, it is rerun, or neither."""

    TELL = "tell"
    RERUN = "rerun"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Pause:
    """An operator's stop sign for one deployment group, or for everything."""

    reason: str
    requested_by: str
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """A pause without an end holds until somebody resumes."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Floor:
    """The oldest deployment that may be redeployed, because a database change cannot go back further."""

    deployment_id: str
    created_at: datetime
    reason: str = ""
    set_by: str = ""

    @property
    def source(self) -> str:
        """Who set it and why: an operator in their own words, or the release itself."""
        return f"{self.set_by}, who said: {self.reason}" if self.set_by else self.reason


@dataclass(frozen=True, slots=True)
class PastRollback:
    """An earlier rollback of the same deployment group that acted."""

    rollback_id: str
    closed_at: datetime
    outcome: Outcome
    rollback_deployment_id: str = ""
    alarm_name: str = ""
    alarm_changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Controls:
    """What operators and earlier rollbacks left in the audit table for one deployment group.

    `groups_in_alarm` are the keys of the groups that went into alarm within the storm window; for `unfounded_groups`
    only a message said so. Alarms from before `resumed_at` no longer count: somebody has looked. Known-bad revisions
    are kept by their identity: why they are bad, since when, and what they contain (`remembered`).
    """

    pause_all: Pause | None = None
    pause_group: Pause | None = None
    mode: Mode | None = None
    floor: Floor | None = None
    cleared_floors: frozenset[str] = frozenset()
    known_bad: Mapping[str, str] = field(default_factory=dict)
    known_bad_since: Mapping[str, datetime] = field(default_factory=dict)
    known_bad_contents: Mapping[str, str] = field(default_factory=dict)
    marked_good: frozenset[str] = frozenset()
    past: tuple[PastRollback, ...] = ()
    groups_in_alarm: frozenset[str] = frozenset()
    unfounded_groups: frozenset[str] = frozenset()
    resumed_at: datetime | None = None
    open_rollback_id: str = ""

    def known_bad_as(self, revision: Revision) -> str:
        """The name under which it, or the same content, is known bad; empty if it is not."""
        if revision.known and revision.identity in self.known_bad:
            return revision.identity
        if revision.identity in self.marked_good:
            return ""
        contents = self.known_bad_contents.items()
        return next((identity for identity, content in contents if is_remembered(content, revision)), "")


@dataclass(frozen=True, slots=True)
class Policy:
    """What applies to one deployment group: the function's settings with the operators' items on top."""

    mode: Mode = Mode.AUTO
    kill_switch: bool = False
    attribution_window: timedelta = timedelta(hours=1)
    evaluation_window: timedelta = timedelta(minutes=5)
    max_signal_age: timedelta = timedelta(minutes=15)
    require_still_in_alarm: bool = True
    require_evidence: bool = False
    cooldown: timedelta = timedelta(minutes=30)
    max_rollbacks: int = 3
    rollback_window: timedelta = timedelta(hours=24)
    storm_groups: int = 5
    storm_window: timedelta = timedelta(minutes=10)
    stop_without_target: StopWithoutTarget = StopWithoutTarget.FIRST_DEPLOYMENT
    native_rollback: bool = True
    cancel_stack_updates: str = ""
    rollback_pauses: RollbackPauses = RollbackPauses.TELL
    native_rollback_grace: timedelta = timedelta(seconds=30)
    create_settle: timedelta = timedelta(seconds=60)
    deadline: timedelta = timedelta(hours=2)
    approval_expiry: timedelta = timedelta(minutes=30)
    recovery_window: timedelta = timedelta(minutes=15)
    proven_after: timedelta = timedelta(minutes=15)
    known_bad_heals_after: timedelta = timedelta(days=7)
