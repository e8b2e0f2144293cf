"""What an event can mean, as values. They carry no authority: they say where to look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lastgood.model import AlarmPlace, AlarmState, Controller, DeploymentGroup, Mode, Onset, TriggerKind

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class AlarmSignal:
    """An alarm changed its state, or so the message says."""

    alarm_name: str
    alarm_arn: str
    state: AlarmState
    changed_at: datetime
    state_reason: str = ""
    trigger_kind: TriggerKind = TriggerKind.SNS
    # None: the message carried no tags, so nothing is known about them. Empty: the alarm has none.
    tags: Mapping[str, str] | None = field(default=None, hash=False)
    evaluation_seconds: int = 0
    # When the breach began, where the message's own reason data say so.
    onset: Onset | None = None
    message_id: str = ""
    # For an alarm over many time series: the one that this is about, and its attributes.
    contributor: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def key(self) -> str:
        """The transition's identity: the same for every delivery of it, whichever way it came."""
        one = f"#{self.contributor}" if self.contributor else ""
        return f"{self.alarm_arn}{one}@{(self.changed_at - _EPOCH) // timedelta(milliseconds=1)}"


@dataclass(frozen=True, slots=True)
class DeploymentSignal:
    """A CodeDeploy deployment, or an execution in a stage, changed its state: START, READY, STOP, FAILURE, SUCCESS."""

    application: str
    deployment_group: str
    deployment_id: str
    state: str
    controller: Controller = Controller.CODE_DEPLOY

    @property
    def group(self) -> DeploymentGroup:
        """Where it is deployed."""
        return DeploymentGroup(self.application, self.deployment_group, self.controller)


@dataclass(frozen=True, slots=True)
class ServiceDeploymentSignal:
    """An ECS service's own deployment changed its state (`SERVICE_DEPLOYMENT_COMPLETED`, `HOOK_AWAITING_ACTION` …)."""

    service_arn: str
    event_name: str

    @property
    def state(self) -> str:
        """The same in CodeDeploy's words: START, READY at a hook, SUCCESS or FAILURE."""
        if self.event_name.startswith("HOOK_"):
            return "READY"
        states = {"SERVICE_DEPLOYMENT_IN_PROGRESS": "START", "SERVICE_DEPLOYMENT_COMPLETED": "SUCCESS"}
        return states.get(self.event_name, "FAILURE")

    @property
    def group(self) -> DeploymentGroup | None:
        """The service; None where its ARN is of the old kind, which does not name the cluster."""
        cluster, _, service = self.service_arn.partition(":service/")[2].rpartition("/")
        return DeploymentGroup(cluster, service, Controller.ECS) if cluster else None


@dataclass(frozen=True, slots=True)
class OperatorRequest:
    """A person's request. Which fields are filled depends on the action: see `ACTIONS`."""

    action: str
    application: str = ""
    deployment_group: str = ""
    rollback_id: str = ""
    deployment_id: str = ""
    to_deployment_id: str = ""
    reason: str = ""
    requested_by: str = ""
    dry_run: bool = False
    force: bool = False
    mode: Mode | None = None
    until: datetime | None = None
    controller: Controller = Controller.CODE_DEPLOY

    @property
    def group(self) -> DeploymentGroup | None:
        """What it is about; None for everything."""
        if not self.application:
            return None
        return DeploymentGroup(self.application, self.deployment_group, self.controller)


@dataclass(frozen=True, slots=True)
class SweepSignal:
    """Time to visit every open rollback."""


@dataclass(frozen=True, slots=True)
class DrillSignal:
    """Time to try everything that a rollback would need, without one."""


@dataclass(frozen=True, slots=True)
class HealthRequest:
    """Is the function set up well?"""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that leads to nothing.

    `rejected`: the input is bad, and somebody should know. Otherwise it was understood and rightly ignored.
    """

    code: str
    message: str
    hint: str
    rejected: bool
    message_id: str = ""


Signal = (
    AlarmSignal
    | DeploymentSignal
    | ServiceDeploymentSignal
    | OperatorRequest
    | SweepSignal
    | DrillSignal
    | HealthRequest
)


@dataclass(frozen=True, slots=True)
class Home:
    """Where the function runs. An empty account or region is not checked; no topics means any topic.

    `alarm_regions` are the account's other regions whose alarms are accepted.
    """

    account_id: str = ""
    region: str = ""
    alarm_topic_arns: tuple[str, ...] = ()
    alarm_regions: tuple[str, ...] = ()

    @property
    def alarm_places(self) -> frozenset[AlarmPlace]:
        """The places whose alarms are accepted; an empty account or region in one of them fits any."""
        regions = (self.region, *self.alarm_regions) if self.region else ("",)
        return frozenset(AlarmPlace(self.account_id, region) for region in regions)

    def takes_from(self, topic_arn: str) -> bool:
        """Whether messages of a topic are accepted. In `alarm_topic_arns` a * stands for any region."""
        return not self.alarm_topic_arns or any(_fits(topic_arn, accepted) for accepted in self.alarm_topic_arns)


def _fits(topic_arn: str, accepted: str) -> bool:
    given, wanted = topic_arn.split(":"), accepted.split(":")
    return len(given) == len(wanted) and all(w in {g, "*"} for g, w in zip(given, wanted, strict=True))


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is known about an event from its envelopes."""

    home: Home
    now: datetime
    message_id: str = ""
    # The SNS topic; for a raw message from SQS the queue, because nothing names the topic.
    source_arn: str = ""
    queued: bool = False
    # It came in an SNS envelope, and so from the topic `source_arn`.
    published: bool = False
    replayed: bool = False

    def kind(self, direct: TriggerKind) -> TriggerKind:
        """How the signal reached the function; `direct` if no queue was in between."""
        return TriggerKind.SQS if self.queued else direct


type Results = tuple[Signal | Refusal, ...]
