"""What may go wrong, as a test asks for it: in a call, in a deployment, in the world around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simulated_aws.codedeploy import revisions
from simulated_aws.codedeploy.native_rollbacks import Plan
from simulated_aws.codedeploy.obstacles import UNHEALTHY, Hook
from simulated_aws.model import ServiceError
from simulated_aws.scenes import Revision, Scenes


@dataclass
class Race:
    """What somebody else does as the next `count` calls of an operation arrive, before or after they take effect."""

    operation: str
    act: Callable[[], object]
    count: int = 1
    after: bool = False


@dataclass
class Fault:
    """What happens to the next `count` calls of an operation: an error, or no answer."""

    operation: str
    count: int
    error: ServiceError | None = None
    after_effect: bool = False


class Mishaps(Scenes):
    """Faults, native rollbacks that go wrong, people who race, silent instances, hooks, names whose content moves."""

    races: list[Race]
    faults: list[Fault]
    _own_alarms: dict[str, str]

    # --- calls and deployments -------------------------------------------------------------------------------

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

    def set_alarm(self, name: str, state: str) -> None:
        """Say an alarm's state here, over whatever CloudWatch says."""
        self._own_alarms[name] = state

    # --- rollbacks and other people -----------------------------------------------------------------------------------

    def native_rollbacks(
        self,
        application: str = "",
        group: str = "",
        *,
        fail: bool | tuple[str, str] = False,
        stop: bool = False,
        to: Revision | None = None,
        never: bool = False,
        after_seconds: float | None = None,
    ) -> None:
        """How CodeDeploy's own rollbacks of a group (else of every group) go from now on.

        They `fail` (True, or an error's code and message) or somebody `stop`s them, `after_seconds` from their
        validation (else before anything moves); they go `to` another revision; they `never` start. Without any of
        these they go well again. A rollback that stalls or fails: villasv/aws-airflow-stack#192.
        """
        named = self.engine.group(application, group) if group else None
        key = (named.application.name, named.name) if named else ()
        error = UNHEALTHY if fail is True else (str(fail[0]), str(fail[1])) if fail else None
        target = self.revision(application, group, to) if to is not None else None
        self.engine.native_rollbacks.plans[key] = Plan(error, stop, target, never, after_seconds)

    def meanwhile(
        self, operation: str, act: Callable[[], object], *, count: int = 1, after_effect: bool = False
    ) -> None:
        """Somebody else acts as the next call of an operation arrives: before it takes effect, or just after.

        `sim.meanwhile("CreateDeployment", lambda: sim.release("shop", "prod", 2))` is a race that the caller loses.
        """
        self.races.append(Race(operation, act, count, after_effect))

    def service_rollbacks(self, cluster: str, service: str, *, fail: bool) -> None:
        """Whether ECS's own rollbacks of a service fail from now on (ROLLBACK_FAILED)."""
        self.engine.service_deployments.services[(cluster, service)].rollbacks_fail = fail

    # --- instances ------------------------------------------------------------------------------------------------

    def silent_instance(self, application: str, group: str, instance: str | int = 0, minutes: float = 70) -> str:
        """The agent of an instance is dead: what reaches it waits so long, a stop too. Returns its id."""
        owner = self.engine.group(application, group)
        chosen = list(owner.instances)[instance] if isinstance(instance, int) else instance
        owner.silent[chosen] = minutes * 60
        return chosen

    def answering_instance(self, application: str, group: str, instance: str) -> None:
        """The agent answers again: what waits for it goes on."""
        owner = self.engine.group(application, group)
        owner.silent.pop(instance, None)
        self.engine.answered(owner)

    def terminate_instance(self, application: str, group: str, instance: str) -> None:
        """An instance is taken out of the fleet: nothing waits for it any more."""
        owner = self.engine.group(application, group)
        owner.instances.pop(instance, None)
        owner.contents.pop(instance, None)
        self.answering_instance(application, group, instance)

    def failing_stop_script(self, application: str, group: str, revision: Revision) -> None:
        """The ApplicationStop of this revision fails: so does what is deployed over it, unless that is ignored."""
        filed = revisions.checked(self.revision(application, group, revision), "Server")
        self.engine.group(application, group).failing_stop_scripts.add(revisions.identity(filed))

    # --- hooks ----------------------------------------------------------------------------------------------------

    def hook(self, function: str, behaviour: str = "succeeds", seconds: float = 0.0) -> None:
        """How a validation function of AppSpec files behaves: `succeeds`, `fails`, `hangs` or is `missing`."""
        if behaviour not in {"succeeds", "fails", "hangs", "missing"}:
            raise ValueError(f"no such behaviour: {behaviour}")
        self.engine.hooks[function] = Hook(behaviour, seconds)

    # --- names whose content moves --------------------------------------------------------------------------------

    def push_image(self, image: str, content: str) -> str:
        """Move a tag (`repository:tag`) to an image with this content. Returns the digest."""
        return self.engine.ecs_world.images.push(image, content, self.engine.now())

    def delete_image(self, image: str) -> None:
        """Take an image away, by tag or digest: nothing can be started with it."""
        self.engine.ecs_world.images.delete(image)

    def push_branch(self, repository: str, branch: str, commit: str) -> None:
        """Move a branch of a repository to a commit."""
        self.engine.branches[(repository, branch)] = commit
