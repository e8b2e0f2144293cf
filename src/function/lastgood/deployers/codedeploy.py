"""CodeDeploy for one deployment group: history, stop, redeploy, live. Raw dictionaries stop here.

Facts that shape this module (CodeDeploy API reference and user guide): `GetDeployment` never returns an AppSpec's
content, `GetApplicationRevision` does; `CreateDeployment` has no idempotency token; a group has at most one active
deployment, which is always the one attempted last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from lastgood.clients import Clients, call
from lastgood.deployers import targets
from lastgood.deployers.appspec import AppSpecError
from lastgood.deployers.contents import Contents
from lastgood.deployers.deployment_info import deployment_of, description
from lastgood.deployers.group_facts import facts_in_place, facts_of, platform_of
from lastgood.deployers.history import History
from lastgood.deployers.options import options_again, own_options
from lastgood.deployers.platforms.ecs import EcsPlatform
from lastgood.deployers.platforms.lambda_ import LambdaPlatform
from lastgood.deployers.platforms.platform import Platform
from lastgood.deployers.platforms.server import ServerPlatform
from lastgood.errors import AlreadyCompletedError, GroupNotFoundError, RefusedError
from lastgood.model import (
    BEFORE,
    Chore,
    ComputePlatform,
    Deployment,
    DeploymentGroup,
    Evidence,
    GroupFacts,
    Live,
    Note,
    Preparation,
    Reach,
    Revision,
    Rollback,
)
from lastgood.settings import Settings

APPSPECS_AT_A_TIME = 4


class CodeDeploy:
    """One deployment group. Its compute platform is read with `facts`, or given where it is known already."""

    def __init__(
        self,
        group: DeploymentGroup,
        clients: Clients,
        settings: Settings,
        pool: ThreadPoolExecutor,
        contents: dict[tuple[str, str], str],
        compute_platform: ComputePlatform | None = None,
    ) -> None:
        """`contents` caches AppSpecs by application and hash: the text behind a hash never changes."""
        self._group = group
        self._clients = clients
        self._settings = settings
        self._pool = pool
        self._contents = Contents(clients, group.application, contents)
        self._compute_platform = compute_platform
        self._facts: GroupFacts | None = None

    # --- reading ------------------------------------------------------------------------------------------------------

    def facts(self) -> GroupFacts | None:
        """The group as it is; None if the application or the group does not exist."""
        try:
            answer = call(self._clients.codedeploy, "get_deployment_group", **_names(self._group))
        except GroupNotFoundError:
            return None
        self._facts = facts_of(answer["deploymentGroupInfo"])
        self._compute_platform = self._facts.compute_platform
        return self._facts

    def survey(self, since: datetime, now: datetime) -> tuple[GroupFacts | None, Iterator[tuple[Deployment, ...]]]:
        """The group and its deployments, newest first, in batches; older ones are read only when asked for.

        Two lists are read in parallel, then the deployments they name. For in-place deployments to servers, the newest
        deployment says everything that the group would; otherwise the group is read in parallel with the AppSpecs.
        """
        history = self._history()
        try:
            newest_listed = history.newest(since, now)
            listed = history.newest_first(newest_listed, now)
            first = next(listed, [])
        except GroupNotFoundError:
            return None, iter(())
        batches = self._resolved(chain([first], listed))
        # Where nothing recent is listed the list may be behind, and the group is asked.
        facts = facts_in_place(first) if newest_listed.recent.ids else None
        if facts is not None:
            self._compute_platform = facts.compute_platform
            return facts, batches
        if first:
            self._compute_platform = platform_of(first[0])
        reading = self._pool.submit(self.facts)
        newest = next(batches, ())
        facts = reading.result()
        return facts, chain([(*self._unlisted(facts, first, since), *newest)], batches)

    def _unlisted(
        self, facts: GroupFacts | None, listed: Iterable[Mapping[str, Any]], since: datetime
    ) -> tuple[Deployment, ...]:
        """The deployment that the group names as its last while the list does not yet: it may be the suspect."""
        last = facts.last_attempted_id if facts else ""
        if not last or any(info["deploymentId"] == last for info in listed):
            return ()
        deployment = self.deployment(last)
        return (deployment,) if deployment and deployment.created_at >= since else ()

    def _resolved(self, listed: Iterable[list[dict[str, Any]]]) -> Iterator[tuple[Deployment, ...]]:
        for batch in listed:
            if self._compute_platform is ComputePlatform.SERVER:
                yield tuple(map(self._deployment, batch))
                continue
            # Each AppSpec costs a call, and the last good revision is mostly among the newest few.
            for at in range(0, len(batch), APPSPECS_AT_A_TIME):
                yield tuple(self._pool.map(self._deployment, batch[at : at + APPSPECS_AT_A_TIME]))

    def before(self, first: Deployment, facts: GroupFacts) -> Deployment | None:
        """What was live before the group's first deployment, as if it had been deployed; None if that is unknown."""
        revision = self._platform.before(first, facts)
        if revision is None:
            return None
        earlier = first.created_at - timedelta(microseconds=1)
        return Deployment(first.deployment_id + BEFORE, "Succeeded", earlier, revision, completed_at=earlier)

    def deployment(self, deployment_id: str) -> Deployment | None:
        """One deployment as it is now; None if CodeDeploy does not know it, or it belongs to another group.

        Where its revision has a name that moves, what it deployed is looked up, as far as that can be proven.
        """
        if deployment_id.endswith(BEFORE):
            first, facts = self.deployment(deployment_id.removesuffix(BEFORE)), self.facts()
            return self.before(first, facts) if first and facts else None
        try:
            answer = call(self._clients.codedeploy, "get_deployment", deploymentId=deployment_id)
        except RefusedError as error:
            if error.code == "DeploymentDoesNotExistException":
                return None
            raise
        info = answer["deploymentInfo"]
        here = (info.get("applicationName"), info.get("deploymentGroupName"))
        if here != (self._group.application, self._group.deployment_group):
            return None
        deployment = self._deployment(info)
        return (
            replace(deployment, revision=self._platform.evidence(deployment).revision)
            if deployment.revision.moves
            else deployment
        )

    def newest(self, facts: GroupFacts) -> Deployment | None:
        """The deployment that was attempted last. If one is active, it is this one."""
        return self.deployment(facts.last_attempted_id) if facts.last_attempted_id else None

    def created_by(self, rollback: Rollback, now: datetime) -> Deployment | None:
        """The deployment that a rollback created, found by its marker; None if there is none (yet)."""
        since = rollback.progress.create_attempted_at or now
        for info in self._history().created_since(since - timedelta(minutes=5), now):
            deployment = self._deployment(info)
            if deployment.made_by == rollback.rollback_id:
                return deployment
        return None

    def live(self, facts: GroupFacts, revision: Revision) -> Live:
        """What is live where `revision` is deployed. For servers this is taken from the group's last success."""
        if facts.compute_platform is ComputePlatform.SERVER:
            last = self.deployment(facts.last_successful_id) if facts.last_successful_id else None
            return Live(last.revision.identity if last and last.revision.known else "")
        readable = revision.identity or facts.compute_platform is ComputePlatform.ECS
        return self._platform.live(facts, revision) if readable else Live()

    def evidence(self, deployment: Deployment) -> Evidence:
        """What a deployment contained, whether that can be deployed again, and what its marks say."""
        if not deployment.revision.identity:
            return Evidence(deployment.revision)
        return self._platform.evidence(deployment)

    def contents(self, deployment: Deployment) -> Revision:
        """What a deployment that has just ended contains, as exactly as AWS knows it: for the notebook."""
        return self._platform.contents(deployment) if deployment.revision.identity else deployment.revision

    def noted(self, deployment: Deployment, note: Note) -> Evidence:
        """What the notebook adds to what is known of a deployment, where AWS does not contradict it."""
        return self._platform.noted(deployment, note)

    def renamed(self, good: Revision) -> str:
        """A sentence if a tag of it means another image than the one that was deployed; empty where none is known."""
        return self._platform.renamed(good)

    def prepare(self, facts: GroupFacts, good: Revision, live: Live) -> tuple[Preparation, ...]:
        """What must be done before the last good revision's redeployment, and what is in its way."""
        return self._platform.prepare(facts, good, live)

    # --- writing ------------------------------------------------------------------------------------------------------

    def stop(self, deployment: Deployment, *, native: bool) -> str:
        """Stop a deployment. Returns `Succeeded`, `Pending`, or `AlreadyCompleted`.

        The flag for CodeDeploy's own rollback is always given: without it the group's setting would decide.
        """
        deployment_id = deployment.deployment_id
        try:
            answer = call(
                self._clients.codedeploy,
                "stop_deployment",
                writes=True,
                deploymentId=deployment_id,
                autoRollbackEnabled=native,
            )
        except AlreadyCompletedError:
            return "AlreadyCompleted"
        except RefusedError as error:
            # Whatever the error code: the deployment may have ended meanwhile; if it succeeded, we redeploy over it.
            current = None if error.permission_denied else self.deployment(deployment_id)
            if current is None or current.active:
                raise
            return "AlreadyCompleted"
        return str(answer.get("status", "Pending"))

    def let_go_on(self, deployment: Deployment) -> None:
        """Reroute the traffic of a deployment in status Ready."""
        call(
            self._clients.codedeploy,
            "continue_deployment",
            writes=True,
            deploymentId=deployment.deployment_id,
            deploymentWaitType="READY_WAIT",
        )

    def silent(self, deployment_id: str) -> tuple[str, ...]:
        """The targets that a deployment still waits for: instances, or a function's alias. Empty where unknown."""
        return targets.silent(self._clients.codedeploy, deployment_id)

    def reach(self, deployment: Deployment, facts: GroupFacts) -> Reach | None:
        """When a deployment began to serve users; None where that is unknown."""
        moves_traffic = self._group.moves_traffic(facts)
        return targets.reach(self._clients.codedeploy, deployment, moves_traffic=moves_traffic)

    def do(self, todo: Chore, good: Revision) -> str:
        """Do what has to be done before `good` is redeployed. Returns its new identity, if it gets one."""
        return self._platform.do(todo, good)

    def create(
        self, rollback: Rollback, facts: GroupFacts, good: Deployment, live: Live, suspect: Deployment | None
    ) -> str:
        """Create the deployment that puts the last good revision back. Returns its id.

        Raises AmbiguousError if it is unknown whether it was created, GroupBusyError if the group is occupied.
        """
        platform = self._platform
        try:
            revision = platform.redeployable(good.revision, live, rollback.progress.redeployed_revision)
        except AppSpecError as error:
            raise RefusedError("create_deployment", "UnreadableAppSpec", str(error)) from error
        answer = call(
            self._clients.codedeploy_writer,
            "create_deployment",
            writes=True,
            **_names(self._group),
            revision=revision,
            description=description(rollback),
            # If the rollback fails, CodeDeploy must not roll back to the last success, which is the suspect.
            autoRollbackConfiguration={"enabled": False},
            **({"deploymentConfigName": platform.deployment_config} if platform.deployment_config else {}),
            **own_options(facts, self._settings),
            **self._options_of_theirs(rollback, facts, good, suspect),
        )
        return str(answer["deploymentId"])

    def _options_of_theirs(
        self, rollback: Rollback, facts: GroupFacts, good: Deployment, suspect: Deployment | None
    ) -> dict[str, Any]:
        """The options that releases to servers are given for each deployment, and that a rollback needs as well."""
        if facts.compute_platform is not ComputePlatform.SERVER:
            return {}
        if suspect is None and rollback.choice.suspect_deployment_id:
            suspect = self.deployment(rollback.choice.suspect_deployment_id)
        return options_again(facts, good, suspect)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _history(self) -> History:
        return History(self._clients.codedeploy, self._group, self._pool)

    @property
    def _platform(self) -> Platform:
        if self._compute_platform is None and self.facts() is None:
            raise GroupNotFoundError(
                "get_deployment_group", "DeploymentGroupDoesNotExistException", f"there is no {self._group.key}"
            )
        match self._compute_platform:
            case ComputePlatform.LAMBDA:
                return LambdaPlatform(self._clients, self._settings, self._contents.text)
            case ComputePlatform.ECS:
                return EcsPlatform(
                    self._clients, self._settings, self._contents.text, lambda: self._facts or self.facts()
                )
            case _:
                return ServerPlatform(self._clients, self._settings)

    def _deployment(self, info: Mapping[str, Any]) -> Deployment:
        return deployment_of(info, self._platform.revision)


def _names(group: DeploymentGroup) -> dict[str, Any]:
    return {"applicationName": group.application, "deploymentGroupName": group.deployment_group}
