"""Revisions: the checks CodeDeploy makes, the identity under which it files them, and what an AppSpec names.

An AppSpec is JSON or YAML, and the casing of its keys differs between AWS's own examples.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import Any

import yaml

from simulated_aws.model import ServiceError

# ECS takes `String` too: a CloudTrail record shows it accepted (2026).
_ALLOWED_TYPES = {
    "Server": {"S3", "GitHub"},
    "Lambda": {"S3", "String", "AppSpecContent"},
    "ECS": {"S3", "String", "AppSpecContent"},
}
_LOCATION_KEYS = {
    "S3": "s3Location",
    "GitHub": "gitHubLocation",
    "String": "string",
    "AppSpecContent": "appSpecContent",
}


def checked(revision: dict[str, Any] | None, platform: str) -> dict[str, Any]:
    """The revision as CodeDeploy files it, with its hash. Raises ServiceError for one that it refuses."""
    if not revision:
        raise ServiceError("RevisionRequiredException", "The revision is required.")
    kind = revision.get("revisionType", "")
    location = revision.get(_LOCATION_KEYS.get(kind, ""))
    if kind not in _ALLOWED_TYPES[platform] or not location:
        message = f"The revision is not valid for {platform}: revisionType {kind or 'missing'}."
        raise ServiceError("InvalidRevisionException", message)
    if kind in {"String", "AppSpecContent"}:
        return {"revisionType": kind, _LOCATION_KEYS[kind]: _with_hash(location)}
    _check_location(kind, location)
    return {"revisionType": kind, _LOCATION_KEYS[kind]: dict(location)}


def _with_hash(location: dict[str, Any]) -> dict[str, Any]:
    content, sha256 = location.get("content"), location.get("sha256")
    if content is None:
        if not sha256:
            raise ServiceError("InvalidRevisionException", "The revision has neither content nor a hash.")
        return {"sha256": sha256}
    computed = content_hash(content)
    if sha256 and sha256 != computed:
        raise ServiceError("InvalidRevisionException", "The hash does not match the content of the revision.")
    return {"content": content, "sha256": computed}


def _check_location(kind: str, location: dict[str, Any]) -> None:
    required = ("bucket", "key") if kind == "S3" else ("repository", "commitId")
    missing = [name for name in required if not location.get(name)]
    if missing:
        raise ServiceError("InvalidRevisionException", f"The revision has no {' and no '.join(missing)}.")


def content_hash(content: str) -> str:
    """The hash under which an AppSpec is filed: SHA-256 of its bytes."""
    return hashlib.sha256(content.encode()).hexdigest()


def identity(revision: dict[str, Any]) -> str:
    """The key under which an application files a revision."""
    kind = revision.get("revisionType", "")
    location = revision.get(_LOCATION_KEYS.get(kind, ""), {})
    if kind in {"String", "AppSpecContent"}:
        return f"{kind}:{location.get('sha256') or content_hash(location.get('content', ''))}"
    names = ("bucket", "key", "version", "eTag", "repository", "commitId")
    return f"{kind}:" + "|".join(str(location.get(name, "")) for name in names)


def without_content(revision: dict[str, Any] | None) -> dict[str, Any] | None:
    """How GetDeployment shows a revision: an AppSpec's content is null there, only its hash is given."""
    if not revision:
        return None
    kind = revision["revisionType"]
    if kind not in {"String", "AppSpecContent"}:
        return revision
    key = _LOCATION_KEYS[kind]
    return {"revisionType": kind, key: {"content": None, "sha256": revision[key]["sha256"]}}


def appspec(revision: dict[str, Any]) -> str | None:
    """The AppSpec text that the revision itself carries, if it does."""
    for key in ("appSpecContent", "string"):
        if key in revision:
            content: str | None = revision[key].get("content")
            return content
    return None


@lru_cache(maxsize=512)
def _parsed(content: str) -> Any:
    """An AppSpec as CodeDeploy reads it, JSON or any form of YAML; None if it is neither."""
    try:
        return json.loads(content)
    except ValueError:
        pass
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError:
        return None


def _section(content: str, name: str) -> list[Any]:
    """A section of an AppSpec that is a list, whatever the casing of its name."""
    parsed = _parsed(content)
    found = next((v for k, v in parsed.items() if str(k).lower() == name), None) if isinstance(parsed, dict) else None
    return found if isinstance(found, list) else []


def properties(content: str) -> dict[str, Any]:
    """The properties of the resource that an AppSpec names, by their names in small letters."""
    for resource in _section(content, "resources"):
        for described in resource.values() if isinstance(resource, dict) else ():
            found = {str(k).lower(): v for k, v in described.items()} if isinstance(described, dict) else {}
            return {str(k).lower(): v for k, v in (found.get("properties") or {}).items()}
    return {}


def hooks(content: str) -> dict[str, list[str]]:
    """Each lifecycle event in small letters with the functions that validate it, by name."""
    named: dict[str, list[str]] = {}
    for entry in _section(content, "hooks"):
        for event, function in entry.items() if isinstance(entry, dict) else ():
            named.setdefault(str(event).lower(), []).append(str(function).rpartition("function:")[2].partition(":")[0])
    return named


def lambda_appspec(function: str, alias: str, current: str, target: str) -> dict[str, Any]:
    """A revision that moves an alias from one published version to another."""
    properties = {"Name": function, "Alias": alias, "CurrentVersion": current, "TargetVersion": target}
    resource = {function: {"Type": "AWS::Lambda::Function", "Properties": properties}}
    return _revision({"version": 0.0, "Resources": [resource]})


def ecs_appspec(task_definition_arn: str, container: str = "app", port: int = 80) -> dict[str, Any]:
    """A revision that deploys a task definition to the group's service."""
    properties = {
        "TaskDefinition": task_definition_arn,
        "LoadBalancerInfo": {"ContainerName": container, "ContainerPort": port},
    }
    resource = {"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}
    return _revision({"version": 0.0, "Resources": [resource]})


def s3_revision(bucket: str, key: str, version: str = "", etag: str = "") -> dict[str, Any]:
    """A bundle in S3 for servers."""
    location = {"bucket": bucket, "key": key, "bundleType": "zip"}
    location |= {"version": version} if version else {}
    location |= {"eTag": etag} if etag else {}
    return {"revisionType": "S3", "s3Location": location}


def github_revision(repository: str, commit: str) -> dict[str, Any]:
    """A commit for servers."""
    return {"revisionType": "GitHub", "gitHubLocation": {"repository": repository, "commitId": commit}}


def _revision(appspec_body: dict[str, Any]) -> dict[str, Any]:
    content = json.dumps(appspec_body)
    return {
        "revisionType": "AppSpecContent",
        "appSpecContent": {"content": content, "sha256": content_hash(content)},
    }
