"""The simulator as tests and the demo hold it: scenes, time, faults, the log of arrivals."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from simulated_aws.clock import Clock, VirtualClock
from simulated_aws.cloudformation.api import StacksApi
from simulated_aws.cloudformation.releases import StackReleases
from simulated_aws.cloudformation.stacks import Stack, Stacks
from simulated_aws.codedeploy.answers import deployment_info
from simulated_aws.codedeploy.api import CodeDeployApi
from simulated_aws.codedeploy.engine import Engine
from simulated_aws.codepipeline.api import PipelinesApi
from simulated_aws.codepipeline.pipelines import Pipelines
from simulated_aws.ecs.api import EcsApi
from simulated_aws.ecs.registry_api import RegistryApi
from simulated_aws.ground_truth import GroundTruth
from simulated_aws.history import History
from simulated_aws.lambda_.api import LambdaApi
from simulated_aws.mishaps import Fault, Mishaps, Race
from simulated_aws.model import NoAnswer, ServiceError
from simulated_aws.objects import Objects
from simulated_aws.releasing import Releasing

T = TypeVar("T")


@dataclass
class Arrival:
    """One call that arrived: `operation` is AWS's name, `error` the code it was refused with, if it was."""

    service: str
    operation: str
    parameters: dict[str, Any]
    at: datetime
    error: str = ""


@dataclass(frozen=True)
class Live:
    """What is live: each target and its share. `target` is the only one, or empty while there are several."""

    shares: dict[str, float] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """The version, task definition ARN or bundle that has everything; empty if none has."""
        return next((each for each, share in self.shares.items() if share > 0.999), "")


class Simulator(History, Mishaps, GroundTruth, Releasing):
    """A CodeDeploy that moves. Use `simulated_aws` or `serve` to get one that boto3 talks to."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        seed: int = 0,
        account: str = "123456789012",
        region: str = "us-east-1",
        alarm_state: Callable[[str], str] | None = None,
        objects: Objects | None = None,
    ) -> None:
        """`alarm_state` maps an alarm's name to its state; without it alarms are what `set_alarm` says."""
        self.clock = clock or VirtualClock()
        self.account, self.region = account, region
        self._own_alarms: dict[str, str] = {}
        self._outer_alarms = alarm_state or (lambda name: "OK")
        self.engine = Engine(
            self.clock,
            seed=seed,
            account=account,
            region=region,
            alarm_state=self._alarm_state,
            objects=objects,
        )
        self.codedeploy = CodeDeployApi(self.engine)
        self.lambda_ = LambdaApi(self.engine)
        self.ecs = EcsApi(self.engine)
        self.ecr = RegistryApi(self.engine.ecs_world.images, account, region)
        self.releases_of_stacks = StackReleases(self.engine)
        self.stacks = Stacks(self.engine, self.releases_of_stacks, self._tell_stack)
        self.engine.ended.append(lambda each: self.stacks.ended(each.id, each.status == "Succeeded"))
        self.engine.services_ended.append(lambda each: self.stacks.ended(each.id, each.status == "SUCCESSFUL"))
        self.cloudformation = StacksApi(self.stacks)
        self.pipelines = Pipelines(self.engine, self._build, self.stacks)
        self.codepipeline = PipelinesApi(self.pipelines, region, account)
        self.arrivals: list[Arrival] = []
        self.faults: list[Fault] = []
        self.races: list[Race] = []
        self.bad_contents: set[str] = set()
        self.bundles = objects
        self._lock = threading.RLock()

    # --- calls ----------------------------------------------------------------------------------------------

    def answer(self, service: str, operation: str, parameters: dict[str, Any], act: Callable[[], T]) -> T:
        """Answer one call: note its arrival, let time catch up, and apply the fault that waits for it."""
        with self._lock:
            self.engine.tick()
            arrival = Arrival(service, operation, parameters, self.clock.now())
            self.arrivals.append(arrival)
            try:
                return self._with_fault(operation, act)
            except ServiceError as error:
                arrival.error = error.code
                raise
            except NoAnswer:
                arrival.error = "NoAnswer"
                raise

    def _with_fault(self, operation: str, act: Callable[[], T]) -> T:
        self._race(operation, after=False)
        answer = self._answered(operation, act)
        self._race(operation, after=True)
        return answer

    def _race(self, operation: str, *, after: bool) -> None:
        for race in self.races:
            if race.operation == operation and race.after == after and race.count:
                race.count -= 1
                race.act()

    def _answered(self, operation: str, act: Callable[[], T]) -> T:
        fault = next((each for each in self.faults if each.operation == operation and each.count), None)
        if fault is None:
            return act()
        fault.count -= 1
        if fault.error:
            raise fault.error
        if fault.after_effect:
            act()
        raise NoAnswer(operation)

    def calls(self, operation: str) -> list[Arrival]:
        """Every call of an operation (`CreateDeployment`) that arrived, failed ones too."""
        return [each for each in self.arrivals if each.operation == operation]

    # --- what is there ------------------------------------------------------------------------------------

    def service_deployments(self, cluster: str, service: str) -> dict[str, str]:
        """The status of each deployment of a service by its id, oldest first."""
        with self._lock:
            self.engine.tick()
            return {d.id: d.status for d in self.engine.service_deployments.services[(cluster, service)].deployments}

    def service_live(self, cluster: str, service: str) -> Live:
        """What a service runs: each task definition and its share of the traffic."""
        with self._lock:
            self.engine.tick()
            owner = self.engine.service_deployments.services[(cluster, service)]
            shares: dict[str, float] = {}
            for revision, share in owner.shares().items():
                arn = owner.revisions[revision].task_definition
                shares[arn] = shares.get(arn, 0) + share
            return Live(shares)

    def deployment(self, deployment_id: str) -> dict[str, Any]:
        """The `DeploymentInfo` as GetDeployment tells it, outside the log of arrivals."""
        with self._lock:
            self.engine.tick()
            return deployment_info(self.engine.deployment(deployment_id))

    def deployments(self, application: str, group: str) -> list[dict[str, Any]]:
        """Every `DeploymentInfo` of a group, oldest first."""
        with self._lock:
            self.engine.tick()
            return [deployment_info(each) for each in self.engine.group(application, group).deployments]

    def live(self, application: str, group: str) -> Live:
        """What is live in a group."""
        with self._lock:
            self.engine.tick()
            owner = self.engine.group(application, group)
            return Live(self.engine.platform_of(owner).live(owner))

    def _alarm_state(self, name: str) -> str:
        return self._own_alarms.get(name) or self._outer_alarms(name)

    def _tell_stack(self, stack: Stack) -> None:
        self.engine.events.tell_stack(stack, self.engine.now(), self.engine.new_uuid())

    # --- events ---------------------------------------------------------------------------------------------

    def listen(self, listener: Callable[[dict[str, Any]], object]) -> None:
        """Tell every EventBridge event to `listener`, while time moves (`advance`, `settle`, `catch_up`)."""
        self.engine.events.listeners.append(listener)

    def read_events(self) -> list[dict[str, Any]]:
        """The EventBridge events since the last call."""
        with self._lock:
            self.engine.tick()
            return self.engine.events.read()

    def lose_events(self, count: int) -> None:
        """The next events get lost: EventBridge is best effort."""
        self.engine.events.lost_count = count
