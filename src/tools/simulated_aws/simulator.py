"""The simulator as tests and the demo hold it: scenes, time, faults, the log of arrivals."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from simulated_aws.clock import Clock, VirtualClock
from simulated_aws.cloudformation.api import StacksApi
from simulated_aws.cloudformation.releases import StackReleases
from simulated_aws.cloudformation.stacks import Stack, Stacks
from simulated_aws.codedeploy.answers import deployment_info
from simulated_aws.codedeploy.api import CodeDeployApi
from simulated_aws.codedeploy.engine import Engine
from simulated_aws.codedeploy.model import DeploymentGroup
from simulated_aws.codepipeline.api import PipelinesApi
from simulated_aws.codepipeline.model import Pipeline
from simulated_aws.codepipeline.pipelines import Pipelines
from simulated_aws.ecs.api import EcsApi
from simulated_aws.ecs.registry_api import RegistryApi
from simulated_aws.ground_truth import GroundTruth
from simulated_aws.history import History
from simulated_aws.lambda_.api import LambdaApi
from simulated_aws.mishaps import Mishaps, Race
from simulated_aws.model import NoAnswer, ServiceError
from simulated_aws.objects import Objects
from simulated_aws.scenes import Revision

T = TypeVar("T")


@dataclass
class Arrival:
    """One call that arrived: `operation` is AWS's name, `error` the code it was refused with, if it was."""

    service: str
    operation: str
    parameters: dict[str, Any]
    at: datetime
    error: str = ""


@dataclass
class Fault:
    """What happens to the next `count` calls of an operation: an error, or no answer."""

    operation: str
    count: int
    error: ServiceError | None = None
    after_effect: bool = False


@dataclass(frozen=True)
class Live:
    """What is live: each target and its share. `target` is the only one, or empty while there are several."""

    shares: dict[str, float] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """The version, task definition ARN or bundle that has everything; empty if none has."""
        return next((each for each, share in self.shares.items() if share > 0.999), "")


class Simulator(History, Mishaps, GroundTruth):
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
        self.codepipeline = PipelinesApi(self.pipelines, account)
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

    # --- time -----------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Move time on. Listeners are told on the way, each at its moment."""
        self._play_until(self.clock.now() + timedelta(seconds=seconds))

    def _play_until(self, until: datetime) -> None:
        self.catch_up()
        while self._play_next(until):
            pass
        self.clock.advance_to(until)

    def catch_up(self) -> None:
        """Do what is due on the clock, and tell the listeners. Needed if the clock is moved from outside."""
        with self._lock:
            self.engine.tick()
        self._deliver()

    def _play_next(self, until: datetime) -> bool:
        with self._lock:
            played = self.engine.play_next(until)
        self._deliver()
        return played

    def _deliver(self) -> None:
        # Not under the lock: a listener may call AWS from threads of its own.
        self.engine.events.deliver()

    def settle(self, deployment_id: str | None = None, limit_seconds: float = 200_000) -> None:
        """Move time on until a deployment (else every one) is over. Raises TimeoutError past the limit."""
        limit = self.clock.now() + timedelta(seconds=limit_seconds)
        self.catch_up()
        while self._going(deployment_id):
            if not self._play_next(limit):
                raise TimeoutError(f"{deployment_id or 'a deployment'} is not over after {limit_seconds} seconds")

    def _going(self, deployment_id: str | None) -> bool:
        if deployment_id:
            return not self.engine.deployment(deployment_id).terminal
        groups = [group for each in self.engine.applications.values() for group in each.groups.values()]
        services = self.engine.service_deployments.services.values()
        stacks = any(stack.going for stack in self.stacks.stacks.values())
        return stacks or any(group.active for group in groups) or any(service.active for service in services)

    def timing(self, application: str = "", group: str = "", *, config: str = "", **fields: float | None) -> None:
        """Change durations (fields of `Timing`) of a group, of a configuration, or of everything."""
        key = (application, group) if group else (config,) if config else ()
        self.engine.set_timing(key, **fields)

    # --- releasing ------------------------------------------------------------------------------------------

    def release(
        self,
        application: str,
        group: str,
        revision: Revision,
        *,
        creator: str = "user",
        external_id: str = "",
        settle: bool = False,
        **request: Any,
    ) -> str:
        """Create a deployment as a pipeline would, outside the log of arrivals. Returns its id.

        `request` is more of CreateDeployment's parameters; `settle` runs it to its end. A bundle that is named by its
        key alone is uploaded first, as a pipeline does, unless it is there; a new image is pushed to a tag such as
        `latest`, unless a test pushes what it wants there.
        """
        given = {
            "applicationName": application,
            "deploymentGroupName": group,
            "revision": self.revision(application, group, revision),
            **request,
        }
        with self._lock:
            self.engine.tick()
            owner = self.engine.group(application, group)
            self.upload(owner, revision, self.clock.now())
            if owner.platform == "ECS":
                self.build_images(self.engine.target(self.probe(owner, given["revision"])))
            made = self.engine.create_deployment(given, creator, external_id)
        if settle:
            self.settle(made.id)
        return made.id

    def update_stack(self, name: str, revision: str | int, *, settle: bool = False) -> str:
        """What `sam deploy` or a CDK pipeline does: the template names another version, or task definition.

        Returns the id of the deployment that the stack made, empty if there was none.
        """
        with self._lock:
            self.engine.tick()
            stack = self.stacks.stack(name)
            wanted = str(revision)
            if stack.group in self.engine.service_deployments.services:
                wanted = self.engine.ecs_world.task_definition(wanted).arn
            self.stacks.update_stack(stack, wanted)
            deployment = stack.deployment
        if settle:
            self.settle()
        return deployment

    def _tell_stack(self, stack: Stack) -> None:
        self.engine.events.tell_stack(stack, self.engine.now(), self.engine.new_uuid())

    def pipeline(self, name: str, application: str, group: str, **options: Any) -> Pipeline:
        """A pipeline that releases to a group; `options` are fields of `Pipeline` (`pipeline_type`, `mode` …)."""
        with self._lock:
            return self.pipelines.create(name, application, group, **options)

    def push(
        self, pipeline: str, commit: str, builds: Revision, *, settle: bool = False, summary: str = "", action: str = ""
    ) -> str:
        """A commit reaches a pipeline, which builds a revision from it and releases that. Returns the run's id.

        `settle` lets time pass until the run is over, or waits before a stage.
        """
        with self._lock:
            self.engine.tick()
            run = self.pipelines.push(pipeline, commit, builds, summary, action)
        limit = self.clock.now() + timedelta(days=2)
        while settle and run.status == "InProgress" and not run.waiting and self._play_next(limit):
            pass
        return run.id

    def _build(self, application: str, group: str, revision: Revision, again: bool) -> dict[str, Any]:
        """What a build gives, bundles uploaded. Building a commit again gives a new revision with the same content."""
        owner = self.engine.group(application, group)
        if again and not isinstance(revision, dict):
            revision = self._copied(owner, revision)
        self.upload(owner, revision, self.clock.now())
        return self.revision(application, group, revision)

    def _copied(self, group: DeploymentGroup, revision: str | int) -> str | int:
        if group.platform == "ECS":
            old = self.engine.ecs_world.task_definition(self._task_definition_arn(group, revision))
            return self.register_task_definition(group.family, **old.content)
        if group.platform == "Lambda":
            function, _ = self._alias_of(group)
            like = self.engine.lambda_world.function(function).versions[str(revision)]
            return self.publish_version(function, f"the same as {revision}", like.code, **like.configuration)
        return f"{revision}.{len(group.deployments)}"

    def release_service(self, cluster: str, service: str, task_definition: str, *, settle: bool = False) -> str:
        """Update a service as a pipeline would, outside the log of arrivals: to `family:revision` or an ARN.

        A new image is pushed to a tag such as `latest`, as in `release`. Returns the service deployment's id; `settle`
        runs it to its end.
        """
        with self._lock:
            self.engine.tick()
            owner = self.engine.service_deployments.services[(cluster, service)]
            arn = self.engine.ecs_world.task_definition(task_definition).arn
            self.build_images(arn)
            made = self.engine.service_deployments.update(owner, arn, force=True)
        if made is None:
            raise LookupError(f"{task_definition} started no deployment")
        if settle:
            self.settle()
        return made.id

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

    # --- what goes wrong ------------------------------------------------------------------------------------

    def fail_next(
        self,
        code: str = "HOOK_EXECUTION_FAILURE",
        message: str = "A hook failed.",
        after_seconds: float | None = None,
    ) -> None:
        """The next deployment (not a native rollback) fails with `code`, so long after its validation."""
        self.engine.failures.append((code, message, after_seconds))

    def bad_revision(
        self,
        application: str,
        group: str,
        revision: Revision,
        code: str = "HEALTH_CONSTRAINTS",
        message: str = "Too many instances failed.",
        after_seconds: float | None = None,
    ) -> None:
        """Every deployment of this revision fails, whatever AppSpec carries it."""
        given = self.revision(application, group, revision)
        owner = self.engine.group(application, group)
        target = self.engine.target(self.probe(owner, given))
        self.engine.bad_targets[(owner.id, target)] = (code, message, after_seconds)

    def throttle(self, operation: str, count: int = 1) -> None:
        """The next calls of an operation get ThrottlingException. A client that retries uses up several."""
        self.fail_call(operation, "ThrottlingException", "Rate exceeded", count)

    def fail_call(self, operation: str, code: str, message: str = "", count: int = 1, status: int = 400) -> None:
        """The next calls of an operation are answered with an error and change nothing."""
        self.faults.append(Fault(operation, count, ServiceError(code, message, status)))

    def effect_then_timeout(self, operation: str, count: int = 1) -> None:
        """The next calls take effect, and get no answer: a read timeout in process, an HTTP 500 over HTTP."""
        self.faults.append(Fault(operation, count, after_effect=True))

    def timeout_without_effect(self, operation: str, count: int = 1) -> None:
        """The next calls change nothing, and get no answer either."""
        self.faults.append(Fault(operation, count))

    def set_alarm(self, name: str, state: str) -> None:
        """Say an alarm's state here, over whatever CloudWatch says."""
        self._own_alarms[name] = state

    def _alarm_state(self, name: str) -> str:
        return self._own_alarms.get(name) or self._outer_alarms(name)

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
