"""What is deployed to: a CodeDeploy group or a service that ECS itself deploys, as the people around it see it.

Both are simulated; a place says in the same words what happened to either.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from scene import SLOW, number_of
from simulated_aws import ServiceError, Simulator
from simulated_aws.ecs.service_model import ServiceDeployment

ALARMS = ("shop-prod-error-rate", "shop-prod-latency")
FLOOR = "lastgood:floor"
COMMIT_SECONDS = 70
"""A pipeline has taken its sources and built them after so long."""

FAST = {
    "Server": {"config": "CodeDeployDefault.AllAtOnce"},
    "Lambda": {"config": "CodeDeployDefault.LambdaAllAtOnce"},
    "ECS": {"config": "CodeDeployDefault.ECSAllAtOnce"},
}


@dataclass
class Config:
    """What is drawn for one example.

    `pipeline` is its entry in LASTGOOD_PIPELINES, without the names. `stage` are options of a stage's pipeline, `stack`
    those of a stack; `by_pipeline` among these says that a pipeline updates it, which a rule names.
    """

    platform: str = "Server"
    slow: bool = True
    native_alarm: bool = False
    breaker_goes_back: bool = True
    stop_pending: float = 0.0
    rollback_delay: float = 0.0
    list_order: str = "newest_first"
    pipeline: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    stage: dict[str, Any] = field(default_factory=dict)
    stack: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """A deployment: revision `number`, created by the rollback `by`, by AWS itself (`native`), or else by people.

    `undone`: AWS itself went back from it, with a deployment of its own or inside the same one.
    """

    id: str
    number: int
    created_at: datetime
    status: str
    ended: bool
    by: str = ""
    native: bool = False
    undone: bool = False
    floor: bool = False

    @property
    def released(self) -> bool:
        """Whether people made it."""
        return not self.by and not self.native


def commit(number: int) -> str:
    """The commit from which a pipeline builds revision n."""
    return f"{number:040x}"


class Place(ABC):
    """Something that a team releases to. `names` are its fields in a request, `key` its key in the audit table.

    `release_takes`: so many seconds until a release reaches it. `stage`: the stage of a pipeline that also releases to
    it, and that may be rolled back in its place.
    """

    names: ClassVar[dict[str, str]]
    key: ClassVar[str]
    release_takes: ClassVar[int] = 0
    stage: Place | None = None

    def __init__(self, sim: Simulator, config: Config) -> None:
        self.sim, self.config = sim, config

    @property
    def settings(self) -> dict[str, str]:
        """The function's settings that lead from the alarms to here, and from here to its pipeline."""
        rule = self.config.pipeline
        pipelines = [{**self.names, "pipeline": "shop", **rule}] if rule else []
        return {
            "LASTGOOD_ROUTES": json.dumps([{"alarm": "shop-prod-*", **self.names}]),
            **({"LASTGOOD_PIPELINES": json.dumps(pipelines)} if pipelines else {}),
        }

    @property
    @abstractmethod
    def deployments(self) -> list[Seen]:
        """All of them, oldest first."""

    @property
    def active(self) -> bool:
        """Whether one is going on."""
        return any(not each.ended for each in self.deployments[-1:])

    @property
    @abstractmethod
    def newest(self) -> str:
        """The id of what was attempted last, AWS's own rollback counted."""

    @property
    @abstractmethod
    def live(self) -> str:
        """What is live, as the simulator names it; empty while there are two."""

    @abstractmethod
    def release(self, number: int, *, floor: bool = False, failing: bool = False) -> str:
        """A team releases revision n, if it can. Returns the deployment's id, or nothing."""

    @abstractmethod
    def stop(self) -> None:
        """Somebody stops what is going on."""

    @abstractmethod
    def goes_to(self, stopped: str) -> int | None:
        """The revision that a stop which the function asks for puts back by itself, if that is how this stops."""

    def number(self, revision: str) -> int:
        """The n of a revision, as the simulator or the audit table names it."""
        return number_of(revision)

    def is_good(self, deployed: str, good: str) -> bool:
        """Whether what was deployed is the good revision."""
        return self.number(deployed) == self.number(good)

    def began(self, deployment_id: str) -> datetime:
        """When a deployment was created."""
        return next(d.created_at for d in self.deployments if d.id == deployment_id)

    @abstractmethod
    def note(self, deployment_id: str, rollback_id: str) -> None:
        """The function made a deployment, for a rollback."""


class CodeDeployGroup(Place):
    """The deployment group `shop/prod`, which a pipeline of the same name may deploy to."""

    names: ClassVar = {"application": "shop", "deployment_group": "prod"}
    key = "shop/prod"

    def __init__(self, sim: Simulator, config: Config) -> None:
        super().__init__(sim, config)
        self.highest = 3
        make = {"Server": sim.server_group, "Lambda": sim.lambda_group, "ECS": sim.ecs_group}[config.platform]
        options: dict[str, Any] = {**(SLOW if config.slow else FAST)[config.platform]}
        if config.native_alarm:
            options |= {"alarms": [ALARMS[0]], "rollback_events": ["DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_FAILURE"]}
        self._group = make("shop", "prod", **options)
        sim.timing(
            stop_pending_seconds=config.stop_pending,
            native_rollback_delay_seconds=config.rollback_delay,
            alarm_poll_seconds=20.0,
        )

    @property
    def deployments(self) -> list[Seen]:
        return [self._seen(each) for each in self._group.deployments]

    def _seen(self, made: Any) -> Seen:
        text = made.request.get("description") or ""
        by = text.split()[1] if text.startswith("lastgood ") else ""
        return Seen(
            made.id,
            self.number(self.sim.engine.target(made)),
            made.created_at,
            made.status,
            made.terminal,
            by,
            made.native_rollback,
            undone="rollbackDeploymentId" in made.rollback_info,
            floor=FLOOR in text and not by,
        )

    @property
    def newest(self) -> str:
        return self._group.last_attempted.id if self._group.last_attempted else ""

    @property
    def live(self) -> str:
        return str(self.sim.live("shop", "prod").target)

    def release(self, number: int, *, floor: bool = False, failing: bool = False) -> str:
        platform = self.config.platform
        while number > self.highest:
            self.highest += 1
            if platform == "Lambda":
                self.sim.publish_version("shop")
            elif platform == "ECS":
                self.sim.register_task_definition("web")
        if failing:
            if self.active:
                return ""
            self.sim.fail_next("HOOK_EXECUTION_FAILURE", "simulated")
        revision: int | str = f"v{number}.zip" if platform == "Server" else number
        try:
            return self.sim.release("shop", "prod", revision, description=f"{FLOOR} for the migration" * floor)
        except ServiceError:
            return ""

    def stop(self) -> None:
        active = self._group.active
        if active is not None:
            self.sim.engine.stop_deployment(active, False)

    def goes_to(self, stopped: str) -> int | None:
        return None

    def note(self, deployment_id: str, rollback_id: str) -> None:
        """Its description says it."""


class EcsService(Place):
    """The service `main/web`, which has run `web:1` for a day. A release takes the place of one that still runs."""

    names: ClassVar = {"ecs_service": "main/web"}
    key = "ecs:main/web"

    def __init__(self, sim: Simulator, config: Config) -> None:
        super().__init__(sim, config)
        options: dict[str, Any] = {"desired_count": 12 if config.slow else 2}
        # Without the circuit breaker a deployment whose tasks do not start would never end.
        options["deploymentCircuitBreaker"] = {"enable": True, "rollback": config.breaker_goes_back}
        if config.native_alarm:
            options["alarms"] = {"alarmNames": [ALARMS[0]], "enable": True, "rollback": True}
        self._service = sim.rolling_service("main", "web", **options)
        self._service.timing.rollback_requested_seconds = config.stop_pending or 1.0
        self._service.timing.alarm_poll_seconds = 20.0
        self._ours: dict[str, str] = {}
        self._released = [each.arn for each in sim.engine.ecs_world.families["web"]]

    def number(self, revision: str) -> int:
        """What a team registered has its number; what the function registered again has one that no team uses."""
        return self._released.index(revision) + 1 if revision in self._released else 1000 + number_of(revision)

    @property
    def deployments(self) -> list[Seen]:
        return [self._seen(each) for each in self._service.deployments]

    def _seen(self, made: ServiceDeployment) -> Seen:
        definition = self.sim.engine.ecs_world.task_definition(made.target.task_definition)
        by = self._ours.get(made.id, "")
        # A tag is read where the release did change what is live.
        floor = not by and made.status == "SUCCESSFUL" and any(tag["key"] == FLOOR for tag in definition.tags)
        return Seen(
            made.id,
            self.number(definition.arn),
            made.created_at,
            made.status,
            made.ended,
            by,
            undone=made.status.startswith("ROLLBACK"),
            floor=floor,
        )

    @property
    def newest(self) -> str:
        last = self._service.deployments[-1]
        return last.id + "/rollback" * last.status.startswith("ROLLBACK")

    @property
    def live(self) -> str:
        return str(self.sim.service_live("main", "web").target)

    def release(self, number: int, *, floor: bool = False, failing: bool = False) -> str:
        while number > len(self._released):
            self._released.append(self.sim.register_task_definition("web"))
        definition = self.sim.engine.ecs_world.task_definition(self._released[number - 1])
        if definition.status != "ACTIVE":
            return ""
        if floor:
            definition.tags.append({"key": FLOOR, "value": ""})
        if failing:
            self._service.bad.add(definition.arn)
        return self.sim.release_service("main", "web", definition.arn)

    def stop(self) -> None:
        active = self._service.active
        if active is not None and active.source is not None:
            self.sim.engine.service_deployments.stop(active, "ROLLBACK")

    def goes_to(self, stopped: str) -> int | None:
        found = next(each for each in self._service.deployments if each.id == stopped)
        if found.ended or found.status.startswith("ROLLBACK") or found.source is None:
            return None
        return self.number(found.source.task_definition)

    def began(self, deployment_id: str) -> datetime:
        """ECS's own rollback of a deployment began later than that."""
        bare = deployment_id.removesuffix("/rollback")
        found = next(each for each in self._service.deployments if each.id == bare)
        began: datetime = found.rollback["startedAt"] if bare != deployment_id else found.created_at
        return began

    def deregister(self, number: int) -> None:
        """Somebody tidies up: revision n becomes INACTIVE, unless the service wants it right now."""
        primary = self._service.primary
        definition = self.sim.engine.ecs_world.task_definition(self._released[number - 1])
        if primary is None or primary.task_definition != definition.arn:
            definition.status = "INACTIVE"

    def is_good(self, deployed: str, good: str) -> bool:
        """It may have been registered again under another number."""
        definition = self.sim.engine.ecs_world.task_definition
        return bool(deployed) and definition(deployed).content == definition(good).content

    def note(self, deployment_id: str, rollback_id: str) -> None:
        self._ours[deployment_id] = rollback_id
