"""The simulator as tests and the demo hold it: scenes, time, faults, the log of arrivals."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from simulated_aws.clock import Clock, VirtualClock
from simulated_aws.cloudformation.api import StacksApi
from simulated_aws.cloudformation.releases import StackReleases
from simulated_aws.cloudformation.stacks import Stack, Stacks
from simulated_aws.codedeploy import revisions
from simulated_aws.codedeploy.api import CodeDeployApi, deployment_info
from simulated_aws.codedeploy.engine import Engine
from simulated_aws.codedeploy.model import Deployment, DeploymentGroup
from simulated_aws.codepipeline.api import PipelinesApi
from simulated_aws.codepipeline.pipelines import Pipeline, Pipelines
from simulated_aws.ecs.api import EcsApi
from simulated_aws.ecs.registry_api import RegistryApi
from simulated_aws.ecs.service_deployments import RollingService
from simulated_aws.ecs.world import Service
from simulated_aws.ground_truth import GroundTruth
from simulated_aws.lambda_.api import LambdaApi
from simulated_aws.mishaps import Mishaps, Race, Revision
from simulated_aws.model import NoAnswer, ServiceError
from simulated_aws.objects import Objects

BUNDLES = "bundles"
ROLE = "arn:aws:iam::123456789012:role/CodeDeploy"
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


class Simulator(Mishaps, GroundTruth):
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
        self._releases = StackReleases(self.engine)
        self.stacks = Stacks(self.engine, self._releases, self._tell_stack)
        self.engine.ended.append(lambda each: self.stacks.ended(each.id, each.status == "Succeeded"))
        self.engine.services_ended.append(lambda each: self.stacks.ended(each.id, each.status == "SUCCESSFUL"))
        self.cloudformation = StacksApi(self.stacks)
        self.pipelines = Pipelines(self.engine, self._build, self.stacks)
        self.codepipeline = PipelinesApi(self.pipelines, account)
        self.arrivals: list[Arrival] = []
        self.faults: list[Fault] = []
        self.races: list[Race] = []
        self.bad_contents: set[str] = set()
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

    # --- scenes ---------------------------------------------------------------------------------------------

    def server_group(self, application: str, group: str, *, instances: int = 3, **options: Any) -> DeploymentGroup:
        """A fleet of instances on which nothing is deployed yet."""
        return self._group("Server", application, group, options, instances)

    def lambda_group(
        self,
        application: str,
        group: str,
        function: str = "shop",
        alias: str = "live",
        *,
        versions: int = 3,
        current: int | str = 1,
        **options: Any,
    ) -> DeploymentGroup:
        """A function with published versions 1 to `versions`, and an alias at `current`."""
        self.engine.lambda_world.create_function(function, versions)
        self.engine.lambda_world.create_alias(function, alias, str(current))
        made = self._group("Lambda", application, group, options)
        made.alias = (function, alias)
        return made

    def ecs_group(
        self,
        application: str,
        group: str,
        cluster: str = "main",
        service: str = "web",
        family: str = "web",
        *,
        task_definitions: int = 3,
        current: int = 1,
        **options: Any,
    ) -> DeploymentGroup:
        """A service on `family:current`, whose family has revisions 1 to `task_definitions`."""
        for _ in range(task_definitions):
            self.register_task_definition(family)
        running = self.engine.ecs_world.task_definition(f"{family}:{current}").arn
        self.engine.ecs_world.create_service(cluster, service, running, self.clock.now())
        style = {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"}
        named = {"ecsServices": [{"clusterName": cluster, "serviceName": service}], "deploymentStyle": style}
        made = self._group("ECS", application, group, named | options)
        made.family = family
        return made

    def _group(
        self, platform: str, application: str, group: str, options: dict[str, Any], instances: int = 0
    ) -> DeploymentGroup:
        """`alarms` and `rollback_events` are short forms; all else is AWS's own setting."""
        settings = {"serviceRoleArn": ROLE} | dict(options)
        alarms, rollback_events = settings.pop("alarms", None), settings.pop("rollback_events", None)
        if alarms is not None:
            named = [{"name": name} for name in alarms]
            settings["alarmConfiguration"] = {
                "enabled": bool(named), "ignorePollAlarmFailure": False, "alarms": named,
            }  # fmt: skip
        if rollback_events is not None:
            events = list(rollback_events)
            settings["autoRollbackConfiguration"] = {"enabled": bool(events), "events": events}
        if "config" in settings:
            settings["deploymentConfigName"] = settings.pop("config")
        with self._lock:
            if application not in self.engine.applications:
                self.engine.create_application(application, platform)
            return self.engine.create_group(application, group, settings, instances)

    def rolling_service(
        self,
        cluster: str = "main",
        service: str = "web",
        family: str = "web",
        *,
        task_definitions: int = 3,
        current: int = 1,
        desired_count: int = 2,
        age_seconds: float = 86_400,
        **configuration: Any,
    ) -> RollingService:
        """A service that ECS itself deploys, on `family:current`, created `age_seconds` ago.

        `configuration` is AWS's `deploymentConfiguration`: `alarms`, `deploymentCircuitBreaker`, `strategy`, …
        """
        for _ in range(task_definitions):
            self.register_task_definition(family)
        running = self.engine.ecs_world.task_definition(f"{family}:{current}").arn
        at = self.clock.now() - timedelta(seconds=age_seconds)
        made = self.engine.ecs_world.create_service(cluster, service, running, at, desired_count, "ECS")
        made.task_sets.clear()
        settings = {"strategy": "ROLLING", "maximumPercent": 200, "minimumHealthyPercent": 100} | configuration
        return self.engine.service_deployments.add(made, settings, running, at)

    def publish_version(self, function: str, description: str = "", code: str = "", **configuration: Any) -> str:
        """Publish the next version of a function, with new code unless `code` says which.

        `configuration` is more of GetFunctionConfiguration's members (`MemorySize`, `Environment` …).
        """
        world = self.engine.lambda_world
        return world.publish(function, description, code, self.clock.now(), **configuration)

    def register_task_definition(self, family: str, tags: list[dict[str, str]] | None = None, **content: Any) -> str:
        """Register the next revision of a family, with one container `app` by default. Returns its ARN."""
        number = len(self.engine.ecs_world.families.get(family, [])) + 1
        container = {
            "name": "app",
            "image": f"{self.account}.dkr.ecr.{self.region}.amazonaws.com/{family}:{number}",
            "essential": True,
            "portMappings": [{"containerPort": 80, "protocol": "tcp"}],
        }
        content = {"containerDefinitions": [container], "cpu": "256", "memory": "512"} | content
        return self.engine.ecs_world.register(family, content, self.clock.now(), tags).arn

    # --- releasing ------------------------------------------------------------------------------------------

    def revision(self, application: str, group: str, revision: Revision) -> dict[str, Any]:
        """A revision in AWS's shape from a short form.

        A Lambda version number, an ECS task definition's number or ARN, or a key in the bucket `bundles`.
        """
        if isinstance(revision, dict):
            return revision
        owner = self.engine.group(application, group)
        if owner.platform == "Lambda":
            function, alias = self._alias_of(owner)
            current = self.engine.lambda_world.alias(function, alias).version
            return revisions.lambda_appspec(function, alias, current, str(revision))
        if owner.platform == "ECS":
            return revisions.ecs_appspec(self._task_definition_arn(owner, revision))
        return revisions.s3_revision(BUNDLES, str(revision))

    def _task_definition_arn(self, group: DeploymentGroup, revision: str | int) -> str:
        text = str(revision)
        name = f"{group.family}:{text}" if text.isdigit() else text
        return text if text.startswith("arn:") else self.engine.ecs_world.arn(f"task-definition/{name}")

    def _alias_of(self, group: DeploymentGroup) -> tuple[str, str]:
        if group.alias is None:
            raise LookupError(f"{group.name} was not made with lambda_group: give the revision in full")
        return group.alias

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

        `request` is more of CreateDeployment's parameters; `settle` runs it to its end.
        """
        given = {
            "applicationName": application,
            "deploymentGroupName": group,
            "revision": self.revision(application, group, revision),
            **request,
        }
        with self._lock:
            self.engine.tick()
            made = self.engine.create_deployment(given, creator, external_id)
        if settle:
            self.settle(made.id)
        return made.id

    def stack(self, name: str, application: str, group: str, **fields: Any) -> Stack:
        """A stack that owns a group's alias, or the service `group` in the cluster `application`.

        It believes in what is live. `fields` are those of `Stack` (`monitoring_minutes`, `disable_rollback`,
        `rollback_fails`, `creator`, `linked` for deployments that carry the stack's id as `externalId`).
        """
        with self._lock:
            owned = self._releases.resources((application, group))
            options = {"resources": owned, "believes": "", **fields}
            made = self.stacks.add(name, self.region, self.account, (application, group), **options)
            made.believes = made.believes or self._releases.live(made)
        for each in owned:
            if each.kind == "AWS::Lambda::Function" and each.physical:
                tags = {"stack-name": name, "stack-id": made.id, "logical-id": each.logical}
                named = {f"aws:cloudformation:{key}": value for key, value in tags.items()}
                self.engine.lambda_world.function(each.physical).tags |= named
        return made

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
        """What a build gives. Building a commit again gives a new revision with the same content."""
        owner = self.engine.group(application, group)
        if again and not isinstance(revision, dict):
            revision = self._copied(owner, revision)
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

        Returns the service deployment's id; `settle` runs it to its end.
        """
        with self._lock:
            self.engine.tick()
            owner = self.engine.service_deployments.services[(cluster, service)]
            arn = self.engine.ecs_world.task_definition(task_definition).arn
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

    def seed_history(
        self,
        application: str,
        group: str,
        count: int,
        *,
        every_seconds: float = 3600,
        failed_every: int = 0,
        status: str = "Succeeded",
        revisions: Iterable[Revision] | None = None,
        **request: Any,
    ) -> list[str]:
        """`count` deployments that are over, the last one an interval ago, not run. Returns their ids.

        Each deploys the next Lambda version, task definition or bundle, unless `revisions` says which. The
        last success is live afterwards. Every `failed_every`-th deployment is Failed.
        """
        owner = self.engine.group(application, group)
        chosen = list(revisions) if revisions is not None else self._new_revisions(owner, count)
        start = self.clock.now() - timedelta(seconds=every_seconds * count)
        seeded: list[Deployment] = []
        for index, short in enumerate(chosen[:count]):
            failed = failed_every and index % failed_every == failed_every - 1
            revision = self._seeded_revision(owner, short, chosen[index - 1] if index else short)
            at = start + timedelta(seconds=every_seconds * index)
            outcome = "Failed" if failed else status
            seeded.append(self.engine.seed_deployment(owner, revision, at, outcome, **request))
        self._make_live(owner)
        return [each.id for each in seeded]

    def _new_revisions(self, group: DeploymentGroup, count: int) -> list[Revision]:
        if group.platform == "Lambda":
            function, _ = self._alias_of(group)
            return [self.publish_version(function) for _ in range(count)]
        if group.platform == "ECS":
            return [self.register_task_definition(group.family) for _ in range(count)]
        known = len(group.deployments)
        return [f"{group.name}-{known + number + 1:05d}.zip" for number in range(count)]

    def _seeded_revision(self, group: DeploymentGroup, revision: Revision, before: Revision) -> dict[str, Any]:
        if group.platform == "Lambda" and not isinstance(revision, dict):
            function, alias = self._alias_of(group)
            return revisions.lambda_appspec(function, alias, str(before), str(revision))
        return self.revision(group.application.name, group.name, revision)

    def _make_live(self, group: DeploymentGroup) -> None:
        last = group.last_successful
        if last is None:
            return
        target = self.engine.target(last)
        if group.alias:
            self.engine.lambda_world.point(*group.alias, target)
        service = self._service(group)
        if service and service.primary:
            service.primary.task_definition, service.primary.external_id = target, last.id
        group.instances = dict.fromkeys(group.instances, last.revision)
        group.contents = dict.fromkeys(group.instances, last.content)

    def _service(self, group: DeploymentGroup) -> Service | None:
        named = (group.settings.get("ecsServices") or [{}])[0]
        return self.engine.ecs_world.services.get((named.get("clusterName", ""), named.get("serviceName", "")))

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
        probe = Deployment("", owner, given, "", self.clock.now())
        self.engine.bad_targets[(owner.id, self.engine.target(probe))] = (code, message, after_seconds)

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
