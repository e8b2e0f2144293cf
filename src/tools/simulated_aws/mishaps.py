"""What may go wrong in the world, as a test asks for it: the part of the simulator that is not about calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simulated_aws.codedeploy import revisions
from simulated_aws.codedeploy.native_rollbacks import Plan
from simulated_aws.codedeploy.obstacles import UNHEALTHY, Hook
from simulated_aws.scenes import Revision, Scenes


@dataclass
class Race:
    """What somebody else does as the next `count` calls of an operation arrive, before or after they take effect."""

    operation: str
    act: Callable[[], object]
    count: int = 1
    after: bool = False


class Mishaps(Scenes):
    """Native rollbacks that go wrong, people who race, silent instances, hooks, names whose content moves."""

    races: list[Race]

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
