"""Task definitions: whether one can still be deployed, and registering a deregistered one again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lastgood.aws_models import UNKNOWN_MEMBERS, tell_unknown_members
from lastgood.clients import Clients, call
from lastgood.deployers.marks import marks_in, unless_denied
from lastgood.deployers.registry import means, no_longer_means
from lastgood.errors import RefusedError
from lastgood.model import Evidence, Gone, Image, Preparation, Revision, Unregistered

# What `DescribeTaskDefinition` adds and `RegisterTaskDefinition` refuses.
_READ_ONLY = {
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
}
_GONE = {"ClientException", "InvalidParameterException"}
_UNTOLD = (Image("?", "an image that ECS does not name"),)
"""The images of a definition whose answer has none: they are not known to be those of any other."""


@dataclass(frozen=True, slots=True)
class TaskDefinitions:
    """ECS's task definitions, whose ARNs are the identities of revisions. Both deployers of ECS use this."""

    clients: Clients

    def evidence(self, revision: Revision) -> Evidence:
        """An INACTIVE one can be registered again, a deleted one cannot. One that may not be read could be a floor."""
        tell_unknown_members(self.clients.ecs, "DescribeTaskDefinition")
        try:
            answer = call(
                self.clients.ecs, "describe_task_definition", taskDefinition=revision.identity, include=["TAGS"]
            )
        except RefusedError as error:
            gone = f"The task definition {revision.label} no longer exists." if error.code in _GONE else ""
            return Evidence(revision, gone, unless_denied(error))
        definition = answer["taskDefinition"]
        images, draws = revision.images or _images(definition), _draws(definition)
        revision = replace(revision, digest=_digest(definition), images=images, draws=draws)
        status, problem = _judged(answer, revision)
        if status not in {"ACTIVE", "INACTIVE"}:
            problem = f"{revision.label} is {status}."
        return Evidence(revision, problem, marks_in({tag.get("key", "") for tag in answer.get("tags") or ()}))

    def prepare(self, revision: Revision, live: Sequence[Image] = ()) -> tuple[Preparation, ...]:
        """ECS starts nothing new from an INACTIVE task definition. What `live` shows of a tag is what it means now.

        Of another the registry is asked; of a tag that is the same for every release nothing else is believed.
        """
        status, problem = self._status(revision)
        if problem or status not in {"ACTIVE", "INACTIVE"}:
            return (Gone(problem or f"{revision.label} is {status}."),)
        if other := no_longer_means(self.clients, revision.images):
            return (Gone(other),)
        now = {image.reference: image.digest for image in live if image.digest}
        served = [image for image in revision.images if image.digest and not image.pinned]
        pins = tuple(i for i in served if (now.get(i.reference) or self._means(i)) != i.digest)
        return (Unregistered(revision.identity, pins),) if status == "INACTIVE" or pins else ()

    def register(self, revision: Revision, pins: Sequence[Image] = ()) -> str:
        """Register the same task definition again, with its tags and these digests. Returns the new ARN."""
        tell_unknown_members(self.clients.ecs, "DescribeTaskDefinition")
        answer = call(self.clients.ecs, "describe_task_definition", taskDefinition=revision.identity, include=["TAGS"])
        if lost := _lost(answer):
            raise RefusedError("register_task_definition", "MembersWouldBeLost", f"{lost} would be lost")
        definition = {k: v for k, v in answer["taskDefinition"].items() if k not in _READ_ONLY}
        for box in definition.get("containerDefinitions") or ():
            pin = next((i for i in pins if i.container == box["name"]), None)
            box |= {"image": f"{_repository(pin.reference)}@{pin.digest}"} if pin else {}
        tags = {"tags": answer["tags"]} if answer.get("tags") else {}
        made = call(self.clients.ecs, "register_task_definition", writes=True, **definition, **tags)
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def _means(self, image: Image) -> str:
        """The digest of a tag that names a release: from ECR, or else the one that it had."""
        return _by_name(image) and (means(self.clients, image) or image.digest)

    def _status(self, revision: Revision) -> tuple[str, str]:
        tell_unknown_members(self.clients.ecs, "DescribeTaskDefinition")
        try:
            answer = call(self.clients.ecs, "describe_task_definition", taskDefinition=revision.identity)
        except RefusedError as error:
            if error.code in _GONE:
                return "", f"The task definition {revision.label} no longer exists."
            return "ACTIVE", ""
        return _judged(answer, revision)


def _by_name(image: Image) -> str:
    """What to assume that a reference means now, if nothing shows it: a release's own tag still means its image."""
    return "" if image.moves else image.digest


def _judged(answer: Mapping[str, Any], revision: Revision) -> tuple[str, str]:
    """The status, and why an INACTIVE task definition cannot be registered again unchanged; empty if it can."""
    status = str(answer["taskDefinition"].get("status", "ACTIVE"))
    if status == "INACTIVE" and (lost := _lost(answer)):
        return status, f"{revision.label} is INACTIVE, and {lost} would be lost if it were registered again."
    return status, ""


def _lost(answer: Mapping[str, Any]) -> str:
    """The fields that registering this answer again would lose, because this botocore does not know them."""
    return ", ".join(answer.get(UNKNOWN_MEMBERS, ()))


def _digest(definition: Mapping[str, Any]) -> str:
    """Equal for two definitions with the same content, whatever their family and number; images count by reference."""
    content = {name: value for name, value in definition.items() if name not in _READ_ONLY and name != "family"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _images(definition: Mapping[str, Any]) -> tuple[Image, ...]:
    named = [(box.get("name", ""), box.get("image", "")) for box in definition.get("containerDefinitions") or ()]
    return tuple(Image(name, image, image.partition("@")[2]) for name, image in named) or _UNTOLD


def _draws(definition: Mapping[str, Any]) -> bool:
    """Whether a container gets values from Secrets Manager, Parameter Store or S3, which ECS reads at its start."""
    boxes = definition.get("containerDefinitions") or ()
    return any(box.get("secrets") or box.get("environmentFiles") for box in boxes)


def _repository(reference: str) -> str:
    """A reference without its tag; a registry's port is no tag."""
    place, slash, name = reference.rpartition("/")
    return place + slash + name.partition(":")[0]
