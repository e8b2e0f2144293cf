"""The nouns of a rollback: frozen values and enums, standard library only.

Stored values use AWS's own spelling (`"InProgress"`, `"ALARM"`). All times are aware and in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class ComputePlatform(StrEnum):
    """CodeDeploy's `computePlatform`."""

    SERVER = "Server"
    LAMBDA = "Lambda"
    ECS = "ECS"


class Controller(StrEnum):
    """Who deploys: CodeDeploy, or ECS itself (its deployment controller of that name, with any strategy)."""

    CODE_DEPLOY = "CODE_DEPLOY"
    ECS = "ECS"


class AlarmState(StrEnum):
    """CloudWatch's alarm states."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Mode(StrEnum):
    """How far lastgood goes by itself for a deployment group."""

    AUTO = "auto"
    APPROVE = "approve"
    OBSERVE = "observe"
    OFF = "off"


class TriggerKind(StrEnum):
    """How a signal reached the function."""

    SNS = "sns"
    SQS = "sqs"
    ALARM_ACTION = "alarm_action"
    EVENTBRIDGE = "eventbridge"
    MANUAL = "manual"
    RELEASE = "release"


class Phase(StrEnum):
    """Where a rollback is. It only moves forward."""

    CLAIMED = "CLAIMED"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    STOPPING = "STOPPING"
    REDEPLOYING = "REDEPLOYING"
    VERIFYING = "VERIFYING"
    CLOSED = "CLOSED"


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


class Reason(StrEnum):
    """Why: one code for machines. The explanation beside it is for people."""

    # why something is being done
    SUSPECT_ACTIVE = "SUSPECT_ACTIVE"
    SUSPECT_SUCCEEDED = "SUSPECT_SUCCEEDED"
    SUSPECT_STOPPED = "SUSPECT_STOPPED"
    NATIVE_ROLLBACK = "NATIVE_ROLLBACK"
    VERIFIED = "VERIFIED"
    REQUESTED = "REQUESTED"
    IN_PROGRESS = "IN_PROGRESS"
    # why a signal opens or changes nothing
    ALREADY_OPEN = "ALREADY_OPEN"
    UNROUTED_ALARM = "UNROUTED_ALARM"
    KNOWN_BAD_RELEASED = "KNOWN_BAD_RELEASED"
    RELEASED_IN_ALARM = "RELEASED_IN_ALARM"
    NOT_ALLOWED = "NOT_ALLOWED"
    # why nothing was done
    KILL_SWITCH = "KILL_SWITCH"
    PAUSED = "PAUSED"
    MODE_OFF = "MODE_OFF"
    OBSERVE_MODE = "OBSERVE_MODE"
    STALE_SIGNAL = "STALE_SIGNAL"
    ALARM_NOT_CONFIRMED = "ALARM_NOT_CONFIRMED"
    ALARM_RECOVERED = "ALARM_RECOVERED"
    ALARM_SUPPRESSED = "ALARM_SUPPRESSED"
    NOT_ATTRIBUTABLE = "NOT_ATTRIBUTABLE"
    NEWER_DEPLOYMENT = "NEWER_DEPLOYMENT"
    SUSPECT_IS_ROLLBACK = "SUSPECT_IS_ROLLBACK"
    MANAGED_BY_CLOUDFORMATION = "MANAGED_BY_CLOUDFORMATION"
    COOLDOWN = "COOLDOWN"
    TOO_MANY_ROLLBACKS = "TOO_MANY_ROLLBACKS"
    STORM = "STORM"
    NO_GOOD_REVISION = "NO_GOOD_REVISION"
    BELOW_FLOOR = "BELOW_FLOOR"
    KNOWN_BAD = "KNOWN_BAD"
    NEEDS_APPROVAL = "NEEDS_APPROVAL"
    APPROVAL_REJECTED = "APPROVAL_REJECTED"
    APPROVAL_EXPIRED = "APPROVAL_EXPIRED"
    ALREADY_LIVE = "ALREADY_LIVE"
    LIVE_DIFFERS = "LIVE_DIFFERS"
    OTHER_DEPLOYMENT = "OTHER_DEPLOYMENT"
    # why it failed
    GROUP_NOT_FOUND = "GROUP_NOT_FOUND"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    READ_REFUSED = "READ_REFUSED"
    STOP_REFUSED = "STOP_REFUSED"
    REDEPLOY_REFUSED = "REDEPLOY_REFUSED"
    ROLLBACK_DEPLOYMENT_FAILED = "ROLLBACK_DEPLOYMENT_FAILED"
    DEADLINE_PASSED = "DEADLINE_PASSED"
    DRILL_FAILED = "DRILL_FAILED"


class Rejection(StrEnum):
    """Why a deployment of the history was not chosen as the last good one."""

    SUSPECT = "SUSPECT"
    NOT_BEFORE_SUSPECT = "NOT_BEFORE_SUSPECT"
    NOT_SUCCEEDED = "NOT_SUCCEEDED"
    SAME_REVISION = "SAME_REVISION"
    KNOWN_BAD = "KNOWN_BAD"
    ROLLED_BACK_BY_CODEDEPLOY = "ROLLED_BACK_BY_CODEDEPLOY"
    SCALE_OUT = "SCALE_OUT"
    OUTDATED_INSTANCES_ONLY = "OUTDATED_INSTANCES_ONLY"
    RESTART = "RESTART"
    BELOW_FLOOR = "BELOW_FLOOR"
    UNREADABLE_REVISION = "UNREADABLE_REVISION"
    NOT_DEPLOYABLE = "NOT_DEPLOYABLE"
    NOT_REQUESTED = "NOT_REQUESTED"


TERMINAL_STATUSES = frozenset({"Succeeded", "Failed", "Stopped"})
# CodeDeploy starts these by itself; they bring the revision that is live to more instances and release nothing.
SCALE_OUT_CREATORS = frozenset({"autoscaling", "autoscalingTermination", "CodeDeployAutoUpdate"})
CLOUDFORMATION_CREATORS = frozenset({"CloudFormation", "CloudFormationRollback"})
NATIVE_ROLLBACK_CREATOR = "codeDeployRollback"
FLOOR_MARKER = "lastgood:floor"
APPROVAL_MARKER = "lastgood:needs-approval"
MARKER_PREFIX = "lastgood "
TIMES = ("detect", "stop", "redeploy", "verify", "recover")
"""The spans of a rollback that are recorded (`seconds_to_stop`) and sent as metrics (`SecondsToStop`)."""


@dataclass(frozen=True, slots=True, order=True)
class DeploymentGroup:
    """Where a revision is deployed: a CodeDeploy deployment group, or a service that ECS itself deploys.

    Of a service, `application` is the cluster's name and `deployment_group` the service's.
    """

    application: str
    deployment_group: str
    controller: Controller = Controller.CODE_DEPLOY

    @property
    def key(self) -> str:
        """`<application>/<deployment_group>`, as the audit table's index has it; `ecs:<cluster>/<service>`.

        A name of CodeDeploy's that begins with `ecs:` is refused, so the two can never be confused.
        """
        prefix = "ecs:" if self.controller is Controller.ECS else ""
        return f"{prefix}{self.application}/{self.deployment_group}"

    @property
    def address(self) -> dict[str, str]:
        """The members of an operator's request that name it."""
        if self.controller is Controller.ECS:
            return {"ecs_service": f"{self.application}/{self.deployment_group}"}
        return {"application": self.application, "deployment_group": self.deployment_group}

    @property
    def deployer(self) -> str:
        """Who deploys there, as people say it."""
        return "ECS" if self.controller is Controller.ECS else "CodeDeploy"


@dataclass(frozen=True, slots=True)
class Revision:
    """What a deployment deploys.

    `identity` says what ends up live, so that two deployments of the same code compare equal: an S3 object's
    version, a commit, a Lambda version, a task definition ARN. It is never an AppSpec's hash, which changes with
    hooks and with `CurrentVersion`. Empty while the AppSpec has not been read.
    """

    kind: str
    identity: str
    label: str = ""
    commit: str = ""
    location: Mapping[str, object] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Deployment:
    """One run of CodeDeploy, as `GetDeployment` tells it."""

    deployment_id: str
    status: str
    created_at: datetime
    revision: Revision
    completed_at: datetime | None = None
    creator: str = "user"
    description: str = ""
    external_id: str = ""
    rollback_deployment_id: str = ""
    rolls_back_deployment_id: str = ""
    error_code: str = ""
    error_message: str = ""
    restart: bool = False
    outdated_instances_only: bool = False
    instances_failed: int = 0
    instances_skipped: int = 0
    floor: bool = False
    needs_approval: bool = False

    @property
    def active(self) -> bool:
        """Occupies the group. A status that we do not know counts as active, never as a success."""
        return self.status not in TERMINAL_STATUSES

    @property
    def rollback_id(self) -> str:
        """The id of the rollback that created this deployment, from the marker; empty for anyone else's."""
        if not self.description.startswith(MARKER_PREFIX):
            return ""
        return self.description[len(MARKER_PREFIX) :].split(" ", 1)[0].rstrip(":;,")

    @property
    def is_rollback(self) -> bool:
        """CodeDeploy's own rollback, or one of ours."""
        return self.creator == NATIVE_ROLLBACK_CREATOR or bool(self.rollback_id)

    @property
    def is_release(self) -> bool:
        """Somebody meant to change what is live."""
        return not (
            self.is_rollback or self.creator in SCALE_OUT_CREATORS or self.restart or self.outdated_instances_only
        )


@dataclass(frozen=True, slots=True)
class Marks:
    """What a revision says of itself in its tags or its description, wherever its platform keeps them."""

    floor: bool = False
    needs_approval: bool = False


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A deployment group as `GetDeploymentGroup` tells it, or as far as its newest deployment shows it."""

    compute_platform: ComputePlatform
    last_attempted_id: str = ""
    last_attempted_status: str = ""
    last_successful_id: str = ""
    blue_green: bool = False
    alarm_names: tuple[str, ...] = ()
    ecs_cluster: str = ""
    ecs_service: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """What is live now. `identity` is empty where it cannot be read; `split`: a second revision may have traffic.

    `deployment_id` is the deployment that made it so, where the platform tells (ECS).
    """

    identity: str = ""
    split: bool = False
    deployment_id: str = ""


@dataclass(frozen=True, slots=True)
class AlarmFacts:
    """An alarm as `DescribeAlarms` tells it."""

    name: str
    state: AlarmState
    changed_at: datetime | None = None
    suppressed_by: str = ""


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


@dataclass(frozen=True, slots=True)
class PastRollback:
    """An earlier rollback of the same deployment group that acted."""

    rollback_id: str
    closed_at: datetime
    outcome: Outcome
    rollback_deployment_id: str = ""


@dataclass(frozen=True, slots=True)
class Controls:
    """What operators and earlier rollbacks left in the audit table for one deployment group."""

    pause_all: Pause | None = None
    pause_group: Pause | None = None
    mode: Mode | None = None
    floor: Floor | None = None
    cleared_floors: frozenset[str] = frozenset()
    known_bad: Mapping[str, str] = field(default_factory=dict)
    known_bad_since: Mapping[str, datetime] = field(default_factory=dict)
    marked_good: frozenset[str] = frozenset()
    past: tuple[PastRollback, ...] = ()
    groups_in_alarm: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A deployment that selection looked at. `rejection` is None for the one that was chosen."""

    deployment_id: str
    revision: str
    created_at: datetime
    rejection: Rejection | None
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What must be done before the last good revision can be deployed again (read from live AWS)."""

    problem: str = ""
    alias_split: bool = False
    register_task_definition: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """The facts of one look at AWS, enough to decide the next step. Which are filled depends on the phase.

    `newest` is the deployment that was attempted last, where that is not one that the rollback knows already.
    """

    group: GroupFacts | None = None
    alarm: AlarmFacts | None = None
    alarm_read: bool = False
    history: tuple[Deployment, ...] = ()
    live: Live = Live()
    controls: Controls = Controls()
    unusable: Mapping[str, str] = field(default_factory=dict)
    suspect: Deployment | None = None
    good: Deployment | None = None
    rollback: Deployment | None = None
    newest: Deployment | None = None
    preparation: Preparation = Preparation()


@dataclass(frozen=True, slots=True)
class Policy:
    """What applies to one deployment group: the function's settings with the operators' items on top."""

    mode: Mode = Mode.AUTO
    kill_switch: bool = False
    attribution_window: timedelta = timedelta(hours=1)
    evaluation_window: timedelta = timedelta(minutes=5)
    max_signal_age: timedelta = timedelta(minutes=15)
    require_still_in_alarm: bool = True
    cooldown: timedelta = timedelta(minutes=30)
    max_rollbacks: int = 3
    rollback_window: timedelta = timedelta(hours=24)
    storm_groups: int = 5
    storm_window: timedelta = timedelta(minutes=10)
    stop_without_target: str = "first-deployment"
    native_rollback: bool = True
    native_rollback_grace: timedelta = timedelta(seconds=30)
    create_settle: timedelta = timedelta(seconds=60)
    deadline: timedelta = timedelta(hours=2)
    approval_expiry: timedelta = timedelta(minutes=30)
    recovery_window: timedelta = timedelta(minutes=15)


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
    redeployed_revision: str = ""
    rollback_deployment_id: str = ""
    adopted: bool = False
    native_rollback_asked: bool = False
    candidates: tuple[Candidate, ...] = ()
    stop_requested_at: datetime | None = None
    stopped_at: datetime | None = None
    create_attempted_at: datetime | None = None
    redeployed_at: datetime | None = None
    verified_at: datetime | None = None
    closed_at: datetime | None = None
    alarm_recovered_at: datetime | None = None
    not_recovered_at: datetime | None = None
    looks_for_commits: bool = False
    pipeline: str = ""
    after_rollback: str = ""
    hold_stage: str = ""
    suspect_commit: str = ""
    good_commit: str = ""
    revert_command: str = ""
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

    @property
    def replaces(self) -> bool:
        """A suspect that still runs is not stopped first: what goes back replaces it.

        ECS can stop a deployment only by putting back what was before it. Where that is known bad, or not what is
        wanted, it must not come back even for a moment; and ECS lets an update take a running deployment's place.
        """
        return self.controller is Controller.ECS and self.stop_requested_at is None

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
