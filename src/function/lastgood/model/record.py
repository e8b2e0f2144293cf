"""A rollback: its phases, its outcome, and its record as the audit table holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from lastgood.model.groups import ComputePlatform, Controller, DeploymentGroup
from lastgood.model.reasons import Reason, Rejection


class TriggerKind(StrEnum):
    """How a signal reached the function."""

    SNS = "sns"
    SQS = "sqs"
    ALARM_ACTION = "alarm_action"
    EVENTBRIDGE = "eventbridge"
    MANUAL = "manual"
    RELEASE = "release"


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
    # A rollback that somebody else began, and that put nothing back: it is judged again, or what was begun goes on.
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


class FollowUp(StrEnum):
    """What is done for the pipeline beside a rollback. None of it touches, delays or fails the rollback itself."""

    HOLD = "HOLD"
    FIND_COMMITS = "FIND_COMMITS"
    RERUN = "RERUN"
    WATCH_RERUN = "WATCH_RERUN"
    RELEASE = "RELEASE"

    @property
    def prompt(self) -> bool:
        """True for what is done at once, and told in the closing notice; the others take hours or days."""
        return self in {FollowUp.HOLD, FollowUp.FIND_COMMITS, FollowUp.RERUN}


TIMES = ("detect", "stop", "redeploy", "verify", "recover")
"""The spans of a rollback that are recorded (`seconds_to_stop`) and sent as metrics (`SecondsToStop`)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A deployment that selection looked at. `rejection` is None for the one that was chosen.

    `served_seconds`, `alarms_meanwhile` (how often an alarm of the group fired while it served) and `content_known` are
    None where nobody knows, or nobody asked.
    """

    deployment_id: str
    revision: str
    created_at: datetime
    rejection: Rejection | None
    explanation: str = ""
    served_seconds: int | None = None
    alarms_meanwhile: int | None = None
    content_known: bool | None = None


@dataclass(frozen=True, slots=True)
class Rollback:
    """A rollback, as its head item in the audit table holds it.

    `released_in_alarm` is the deployment that is blamed because it was released while the alarm fired already;
    `brought_back` maps the deployments that only brought back what an earlier rollback had put back to that one's id.
    """

    rollback_id: str
    application: str
    deployment_group: str
    trigger_kind: TriggerKind
    opened_at: datetime
    signal_at: datetime
    controller: Controller = Controller.CODE_DEPLOY
    phase: Phase = Phase.CLAIMED
    outcome: Outcome | None = None
    reason_code: Reason | None = None
    explanation: str = ""
    compute_platform: ComputePlatform | None = None
    alarm_name: str = ""
    alarm_arn: str = ""
    alarm_changed_at: datetime | None = None
    released_in_alarm: str = ""
    brought_back: Mapping[str, str] = field(default_factory=dict)
    evaluation_seconds: int = 0
    onset_at: datetime | None = None
    onset_margin_seconds: int = 0
    onset_measured: bool = False
    routed_by: str = ""
    took_lock_of: str = ""
    alarm_contributor: str = ""
    alarm_attributes: Mapping[str, str] = field(default_factory=dict)
    requested_by: str = ""
    request_reason: str = ""
    dry_run: bool = False
    force: bool = False
    to_deployment_id: str = ""
    approved_by: str = ""
    rejected_by: str = ""
    suspect_deployment_id: str = ""
    suspect_revision: str = ""
    suspect_created_at: datetime | None = None
    suspect_revisions: tuple[str, ...] = ()
    good_deployment_id: str = ""
    good_revision: str = ""
    good_digests: tuple[str, ...] = ()
    redeployed_revision: str = ""
    rollback_deployment_id: str = ""
    adopted: bool = False
    suspect_stack: str = ""
    origin: str = ""
    stack_status: str = ""
    stack_command: str = ""
    stack_debt: str = ""
    failed_rollback_id: str = ""
    failed_rollback: str = ""
    native_rollback_asked: bool = False
    candidates: tuple[Candidate, ...] = ()
    remark: str = ""
    calls_people: bool = False
    floor_deployment_id: str = ""
    stop_requested_at: datetime | None = None
    stop_answer: str = ""
    stopped_at: datetime | None = None
    create_attempted_at: datetime | None = None
    redeployed_at: datetime | None = None
    verified_at: datetime | None = None
    closed_at: datetime | None = None
    alarm_recovered_at: datetime | None = None
    not_recovered_at: datetime | None = None
    not_recovered_state: str = ""
    next_good_deployment_id: str = ""
    next_good_revision: str = ""
    held_up_since: datetime | None = None
    held_up_by: str = ""
    held_up_ended_at: datetime | None = None
    looks_for_commits: bool = False
    pipeline: str = ""
    after_rollback: str = ""
    hold_stage: str = ""
    suspect_commit: str = ""
    good_commit: str = ""
    revert_command: str = ""
    compare_url: str = ""
    suspect_execution_id: str = ""
    good_execution_id: str = ""
    rerun_request: str = ""
    rerun_command: str = ""
    rerun_execution_id: str = ""
    rerun_status: str = ""
    held_at: datetime | None = None
    release_requested_by: str = ""
    released_at: datetime | None = None
    pipeline_problem: str = ""
    pipeline_alert: str = ""
    followed_up: tuple[str, ...] = ()
    follow_up_attempts: int = 0
    follow_up_at: datetime | None = None
    needs_human: bool = False
    notified: tuple[str, ...] = ()
    version: int = 0
    step_count: int = 0
    lease_owner: str = ""
    lease_until: datetime | None = None

    @property
    def group(self) -> DeploymentGroup:
        """The deployment group that is rolled back."""
        return DeploymentGroup(self.application, self.deployment_group, self.controller)

    def changed(self, **changes: Any) -> Rollback:
        """The rollback with other values. Raises ValueError for a phase that may not follow the present one."""
        after = replace(self, **changes)
        if after.phase is not self.phase and after.phase not in NEXT_PHASES[self.phase]:
            raise ValueError(f"{self.rollback_id} cannot go from {self.phase} to {after.phase}")
        return after

    @property
    def replaces(self) -> bool:
        """A suspect that still runs is not stopped first: what goes back replaces it.

        ECS can stop a deployment only by putting back what was before it. Where that is known bad, or not what is
        wanted, it must not come back even for a moment; and ECS lets an update take a running deployment's place.
        """
        return self.group.can().replaces_running and self.stop_requested_at is None

    @property
    def open(self) -> bool:
        """True until it has an outcome."""
        return self.phase is not Phase.CLOSED

    @property
    def seconds(self) -> dict[str, int]:
        """The times that matter, as far as they are known: detecting counts from the release, all else from the alarm.

        Without an alarm, everything counts from the request.
        """
        since = self.signal_at if self.released_in_alarm else self.alarm_changed_at or self.signal_at
        spans = (
            (self.suspect_created_at, self.alarm_changed_at),
            (since, self.stopped_at),
            (since, self.redeployed_at),
            (since, self.verified_at),
            (self.alarm_changed_at, self.alarm_recovered_at),
        )
        known = ((name, start, end) for name, (start, end) in zip(TIMES, spans, strict=True) if start and end)
        return {name: max(0, round((end - start).total_seconds())) for name, start, end in known}

    @property
    def notices_due(self) -> tuple[str, ...]:
        """The kinds of notices that the record calls for and that were not sent yet."""
        under_way = self.open and self.phase not in {Phase.CLAIMED, Phase.AWAITING_APPROVAL}
        wanted = {
            "opened": under_way,
            "needs_human": self.phase is Phase.AWAITING_APPROVAL,
            # What follows for the pipeline is tried, and told, first; it gives up soon.
            "closed": not self.open and not (self.follow_up and self.follow_up.prompt),
            "held_up": self.open and bool(self.held_up_by) and self.held_up_ended_at is None,
            "goes_on": self.open and self.held_up_ended_at is not None,
            "not_recovered": self.not_recovered_at is not None,
            "pipeline": bool(self.pipeline_alert),
        }
        return tuple(kind for kind, called_for in wanted.items() if called_for and kind not in self.notified)

    @property
    def follow_up(self) -> FollowUp | None:
        """What is to be done next for the pipeline, now that the rollback is this far; None: nothing."""
        rolled_back = self.outcome is Outcome.ROLLED_BACK
        # Nothing is looked up before the redeployment runs: that would only delay it.
        moved = bool(self.rollback_deployment_id) and (self.phase is Phase.VERIFYING or self.outcome is Outcome.FAILED)
        ended = not self.open and self.outcome is not Outcome.SKIPPED
        wanted = {
            FollowUp.HOLD: bool(self.hold_stage) and not self.dry_run and (moved or rolled_back),
            FollowUp.FIND_COMMITS: self._commits_can_be_found and (moved or ended),
            FollowUp.RERUN: self.after_rollback == "rerun" and bool(self.rerun_request) and rolled_back,
            FollowUp.WATCH_RERUN: bool(self.rerun_execution_id),
            FollowUp.RELEASE: self.held_at is not None,
        }
        return next((each for each, due in wanted.items() if due and each not in self.followed_up), None)

    @property
    def _commits_can_be_found(self) -> bool:
        traced = bool(self.pipeline) or self.suspect_revision.startswith("s3://")
        return self.looks_for_commits and traced and bool(self.suspect_deployment_id)
