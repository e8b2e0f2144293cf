"""ECS services that CodeDeploy deploys blue/green: a task definition and the task sets that run it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from lastgood.clients import Clients, call
from lastgood.deployers.appspec import AppSpec, AppSpecError, appspec_location
from lastgood.deployers.contents import AppSpecText, read_appspec
from lastgood.deployers.hooks import in_the_way, left_out, missing_hooks, rejection
from lastgood.deployers.protocol import never_asked
from lastgood.deployers.registry import lost, no_longer_means, stored
from lastgood.deployers.task_definitions import TaskDefinitions
from lastgood.deployers.tasks import running_images, task_sets
from lastgood.model import (
    AppSpecParts,
    Chore,
    Deployment,
    Evidence,
    Gone,
    GroupFacts,
    Image,
    LeftOut,
    Live,
    Note,
    Preparation,
    Revision,
    Unregistered,
)
from lastgood.settings import Settings


@dataclass(frozen=True)
class EcsPlatform:
    """ECS blue/green under CodeDeploy: what is deployed is a task definition's ARN. `group` reads where to."""

    clients: Clients
    settings: Settings
    content: AppSpecText
    group: Callable[[], GroupFacts | None]

    @property
    def deployment_config(self) -> str:
        """The configuration of the redeployment; empty for the group's own."""
        return self.settings.ecs_deployment_config

    def revision(self, location: Mapping[str, Any], made_at: datetime) -> Revision:
        """The revision of an AppSpec. Its hooks make no difference to it; its network and capacity do."""
        kind = location.get("revisionType", "")
        try:
            location, rewritten = read_appspec(self.content, location, made_at)
            spec = AppSpec(self.content(location))
            arn = spec.get("TaskDefinition")
        except AppSpecError as error:
            return Revision(kind, "", "", "", location, unreadable=str(error))
        label, parts = arn.rsplit("/", 1)[-1], _parts(spec.properties)
        moves = "" if _NUMBERED.fullmatch(label) else _FAMILY.format(name=label)
        return Revision(kind, arn, label, "", location, moves, other_parts=parts, rewritten=rewritten)

    def live(self, group: GroupFacts, revision: Revision) -> Live:
        """The task definition of the primary task set. A second active one may have a share of the traffic.

        A deployment that was stopped half way leaves both task sets and their shares as they were, and only the load
        balancer knows the shares. What the tasks run is read where a tag of `revision` may mean any image.
        """
        answer = call(self.clients.ecs, "describe_services", cluster=group.ecs_cluster, services=[group.ecs_service])
        services = answer.get("services") or [{}]
        sets = services[0].get("taskSets") or []
        primary = next((s for s in sets if s.get("status") == "PRIMARY"), services[0])
        return Live(
            identity=str(primary.get("taskDefinition", "")),
            split=any(s.get("status") == "ACTIVE" for s in sets),
            deployment_id=str(primary.get("externalId", "")),
            images=self._running(group, primary) if _in_doubt(revision.images) else (),
            other_parts={name: as_written(primary.get(member)) for name, member in PARTS_OF_TODAY.items()},
        )

    def _running(self, group: GroupFacts, task_set: Mapping[str, Any]) -> tuple[Image, ...]:
        return running_images(self.clients, group.ecs_cluster, str(task_set.get("id", "")))

    def evidence(self, deployment: Deployment) -> Evidence:
        """Whether the task definition can still be deployed, what its tags say, and which image a moving tag brought.

        The image is known only while the deployment's task set exists.
        """
        if deployment.revision.moves:
            return Evidence(deployment.revision)
        evidence = TaskDefinitions(self.clients).evidence(deployment.revision)
        content = partial(self.content, deployment.revision.location)
        problem = evidence.problem or rejection(self.clients, content, self.settings.appspec_hooks)
        ended = deployment.completed_at
        images = tuple(replace(image, deployed_at=ended) for image in evidence.revision.images)
        evidence = replace(evidence, problem=problem, revision=replace(evidence.revision, images=images))
        if not any(image.moves and not image.digest for image in evidence.revision.images):
            return evidence
        return replace(
            evidence, revision=replace(evidence.revision, images=self.ran(deployment, evidence.revision.images))
        )

    def ran(self, deployment: Deployment, images: tuple[Image, ...]) -> tuple[Image, ...]:
        """The images of a deployment, with the digests that its tasks run while its task set exists."""
        group = self.group()
        sets = task_sets(self.clients, group.ecs_cluster, group.ecs_service) if group else []
        own = next((s for s in sets if s.get("externalId") == deployment.deployment_id), None)
        running = {i.container: i for i in self._running(group, own)} if group and own else {}
        return tuple(replace(i, digest=i.digest or running.get(i.container, i).digest) for i in images)

    def contents(self, deployment: Deployment) -> Revision:
        """The definition with the digests that its tasks run."""
        if deployment.revision.moves:
            return deployment.revision
        revision = TaskDefinitions(self.clients).evidence(deployment.revision).revision
        return replace(revision, images=self.ran(deployment, revision.images))

    def noted(self, deployment: Deployment, note: Note) -> Evidence:
        """The digests that its tasks ran, from the notebook: once its task set is gone, AWS no longer knows them.

        An image that the registry no longer has cannot go back. One that was pushed after the deployment had ended is
        not what it ran, whatever the note says.
        """
        ended = deployment.completed_at or deployment.created_at
        known = {i.container: i.digest for i in note.images if _DIGEST.fullmatch(i.digest)}
        looked = [self._as_noted(i, known.get(i.container, ""), ended) for i in deployment.revision.images]
        images = tuple(image for image, _ in looked)
        revision = replace(deployment.revision, images=images, noted=images != deployment.revision.images)
        return Evidence(revision, next((gone for _, gone in looked if gone), ""))

    def _as_noted(self, image: Image, digest: str, ended: datetime) -> tuple[Image, str]:
        """An image with its noted digest; and a sentence if the registry no longer has it."""
        if image.digest or not digest:
            return image, ""
        kept = stored(self.clients, image.reference, digest)
        if kept.pushed_at and kept.pushed_at > ended:
            return image, ""
        noted = replace(image, digest=digest)
        return noted, lost(noted) if kept.there is False else ""

    def renamed(self, good: Revision) -> str:
        """Whether ECR has another image under a tag than it had then, where nobody recorded the digest."""
        return no_longer_means(self.clients, good.images)

    def before(self, first: Deployment, group: GroupFacts) -> Revision | None:
        """The task set that was there before it, while that still is: until the first deployment succeeds."""
        if first.revision.unreadable:
            return None
        original = _original(task_sets(self.clients, group.ecs_cluster, group.ecs_service), first)
        if original is None:
            return None
        try:
            spec = AppSpec(self.content(first.revision.location)).replaced(TaskDefinition=original["taskDefinition"])
        except AppSpecError:
            return None
        as_it_was = _as_made(spec, original)
        spec = spec if _parts(as_it_was.properties) == _parts(spec.properties) else as_it_was
        return self.revision(appspec_location(spec, self.settings), first.created_at)

    def prepare(self, group: GroupFacts, revision: Revision, live: Live) -> tuple[Preparation, ...]:
        """ECS refuses new task sets from an INACTIVE task definition, and resolves a tag anew."""
        preparations = TaskDefinitions(self.clients).prepare(revision, live.images)
        if any(isinstance(preparation, Gone) for preparation in preparations):
            return preparations
        missing = missing_hooks(self.clients, AppSpec(self.content(revision.location)), self.settings.appspec_hooks)
        differ = self._parts_that_differ(revision, live)
        return (*in_the_way(missing, self.settings.appspec_hooks), *preparations, *left_out(missing), *differ)

    def _parts_that_differ(self, revision: Revision, live: Live) -> tuple[LeftOut, ...]:
        differ = differing(revision.other_parts, live.other_parts)
        if not differ:
            return ()
        if self.settings.appspec_parts is AppSpecParts.KEEP:
            return (LeftOut(f"Its {differ} differ from today's and go back with it."),)
        return (LeftOut(f"Its {differ} are not put back: today's stay."),)

    def redeployable(self, revision: Revision, live: Live, task_definition: str) -> dict[str, Any]:
        """The old AppSpec, pointing to the task definition that was registered again where one was."""
        spec = AppSpec(self.content(revision.location))
        if task_definition and task_definition != revision.identity:
            spec = spec.replaced(TaskDefinition=task_definition)
        if self.settings.appspec_parts is AppSpecParts.TODAY and live.other_parts:
            spec = spec.with_properties(live.other_parts)
        missing = missing_hooks(self.clients, spec, self.settings.appspec_hooks)
        return appspec_location(spec.without(missing), self.settings)

    def do(self, todo: Chore, revision: Revision) -> str:
        """Register a task definition again: an INACTIVE one, or with the digests that served. Returns its new ARN."""
        if isinstance(todo, Unregistered):
            return TaskDefinitions(self.clients).register(revision, todo.pins)
        never_asked(todo)


_NUMBERED = re.compile(r".+:[0-9]+")
_FAMILY = (
    "{name} names a family of task definitions: deployed again, it would be the newest of them. Release one by its "
    "number"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
"""Exactly one digest; a container whose tasks ran several has no single image to go back to."""


def _original(sets: Sequence[Mapping[str, Any]], first: Deployment) -> Mapping[str, Any] | None:
    """The task set that served before a deployment: it is older, and was not replaced yet."""
    older = [s for s in sets if s.get("createdAt") and s["createdAt"].astimezone(UTC) <= first.created_at]
    standing = [s for s in older if s.get("status") in {"PRIMARY", "ACTIVE"}]
    return max(standing, key=lambda s: (s["status"] == "PRIMARY", s["createdAt"]), default=None)


def _in_doubt(images: tuple[Image, ...]) -> bool:
    """Whether some image is not determined by its name alone."""
    return any(not image.pinned and (image.moves or image.digest) for image in images)


def _as_made(spec: AppSpec, task_set: Mapping[str, Any]) -> AppSpec:
    """The AppSpec with the settings that a task set was made with; those of the release may be what is bad."""
    if not spec.properties:
        return spec
    then: dict[str, Any] = {name: as_written(task_set.get(member)) for name, member in PARTS_OF_TODAY.items()}
    for balancer in (task_set.get("loadBalancers") or [])[:1]:
        then["LoadBalancerInfo"] = as_written({k: v for k, v in balancer.items() if k.startswith("container")})
    if spec.properties.get("platformversion") and task_set.get("platformVersion"):
        then["PlatformVersion"] = task_set["platformVersion"]
    return spec.with_properties(then)


_PARTS = ("networkconfiguration", "capacityproviderstrategy", "platformversion", "loadbalancerinfo")


PARTS_OF_TODAY = {
    "NetworkConfiguration": "networkConfiguration",
    "CapacityProviderStrategy": "capacityProviderStrategy",
}
"""What can be taken from a task set instead of an AppSpec, and its name there."""


def as_written(value: Any) -> Any:
    """`awsvpcConfiguration` of the API is `AwsvpcConfiguration` in an AppSpec, and so on."""
    if isinstance(value, Mapping):
        return {f"{str(name)[:1].upper()}{str(name)[1:]}": as_written(part) for name, part in value.items()}
    return [as_written(item) for item in value] if isinstance(value, list) else value


def differing(old: str, today: Mapping[str, Any]) -> str:
    """Which settings of an AppSpec differ from today's, such as `network and capacity`; empty if none, or unknown."""
    was, now = json.loads(old) if old else {}, json.loads(_parts({k.lower(): v for k, v in today.items()}) or "{}")
    words = {"networkconfiguration": "network", "capacityproviderstrategy": "capacity"}
    return " and ".join(word for name, word in words.items() if today and was.get(name) != now.get(name))


def _parts(properties: Mapping[str, Any]) -> str:
    """What an AppSpec deploys besides the task definition; what it leaves out is removed from the service."""
    parts = {name: _plain(properties[name]) for name in _PARTS if properties.get(name)}
    return json.dumps(parts, sort_keys=True) if parts else ""


def _plain(value: Any) -> Any:
    """Names in lower case and values as text: the same setting may be written in several ways."""
    if isinstance(value, dict):
        return {str(name).lower(): _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else str(value)
