"""What tasks really run: the definition with its images as digests, and the parts of the service around it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulated_aws.ecs.images import Images


@dataclass(frozen=True)
class Resolved:
    """What a deployment starts: `images` maps each container to its image and digest, `id` tells the content."""

    id: str
    images: dict[str, tuple[str, str]]
    parts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """The images that are gone."""
        return [image for image, digest in self.images.values() if not digest]


def resolve(family: str, definition: Mapping[str, Any], images: Images, parts: Mapping[str, Any]) -> Resolved:
    """What would run if tasks of the definition, in AWS's spelling, were started now."""
    boxes = definition.get("containerDefinitions") or []
    found = {box["name"]: (box["image"], images.digest(box["image"])) for box in boxes}
    pinned = [{**box, "image": found[box["name"]][1]} for box in boxes]
    whole = {**definition, "containerDefinitions": pinned}
    known = {name: value for name, value in parts.items() if value}
    text = json.dumps([whole, known], sort_keys=True, default=str)
    return Resolved(f"{family}@{hashlib.sha256(text.encode()).hexdigest()[:12]}", found, known)


def appspec_parts(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of an ECS AppSpec (its properties by their names in small letters), in ECS's own spelling.

    A part that the AppSpec leaves out is taken away from what runs (aws/containers-roadmap#1752).
    """
    balancer = {str(k).lower(): v for k, v in (properties.get("loadbalancerinfo") or {}).items()}
    return {
        "networkConfiguration": _lower_first(properties.get("networkconfiguration")),
        "capacityProviderStrategy": _lower_first(properties.get("capacityproviderstrategy")),
        "platformVersion": properties.get("platformversion"),
        "containerName": balancer.get("containername"),
        "containerPort": balancer.get("containerport"),
    }


def _lower_first(value: Any) -> Any:
    """AppSpec files write `AwsvpcConfiguration`, the API of ECS writes `awsvpcConfiguration`."""
    if isinstance(value, dict):
        return {str(k)[:1].lower() + str(k)[1:]: _lower_first(v) for k, v in value.items()}
    return [_lower_first(each) for each in value] if isinstance(value, list) else value
