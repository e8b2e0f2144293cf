"""What differs between CodeDeploy's compute platforms: what a revision is, what is live, how it is deployed again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from lastgood.clients import Clients, call
from lastgood.deployers.appspec import AppSpec, AppSpecError
from lastgood.deployers.task_definitions import TaskDefinitions
from lastgood.errors import RefusedError
from lastgood.model import APPROVAL_MARKER, FLOOR_MARKER, GroupFacts, Live, Marks, Preparation, Revision
from lastgood.settings import Settings

_APPSPEC_LIMIT = 1_000_000


class Platform(Protocol):
    """One compute platform of CodeDeploy."""

    @property
    def deployment_config(self) -> str:
        """The configuration of the redeployment; empty for the group's own."""
        ...

    def revision(self, location: Mapping[str, Any]) -> Revision:
        """What a `RevisionLocation` deploys. Its identity is empty where it cannot be read."""
        ...

    def live(self, group: GroupFacts, revision: Revision) -> Live:
        """What is live now, at the place where `revision` is deployed."""
        ...

    def unusable(self, revision: Revision) -> str:
        """Why the revision can no longer be deployed; empty if it can, or if nobody may look."""
        ...

    def marks(self, revision: Revision) -> Marks:
        """Whether the revision's tags or its description make it a floor, or ask for approval."""
        ...

    def prepare(self, group: GroupFacts, revision: Revision, live: Live) -> Preparation:
        """What has to be done before the revision is deployed again."""
        ...

    def redeployable(self, revision: Revision, live: Live, task_definition: str) -> dict[str, Any]:
        """The `RevisionLocation` that deploys the same code again, from where things stand now."""
        ...


@dataclass(frozen=True)
class ServerPlatform:
    """EC2 and on-premises: bundles in S3 or commits on GitHub, replayed as they were."""

    clients: Clients
    settings: Settings

    @property
    def deployment_config(self) -> str:
        """The configuration of the redeployment; empty for the group's own."""
        return self.settings.server_deployment_config

    def revision(self, location: Mapping[str, Any]) -> Revision:
        """S3 objects are told apart by version or ETag: the same key may have been overwritten."""
        kind = location.get("revisionType", "")
        if kind == "GitHub":
            hub = location.get("gitHubLocation", {})
            repository, commit = hub.get("repository", ""), hub.get("commitId", "")
            return Revision(kind, f"github:{repository}@{commit}", f"{repository}@{commit[:12]}", commit, location)
        if kind == "S3":
            return Revision(kind, s3_identity(location), _s3_label(location), "", location)
        return Revision(kind or "unknown", "", "", "", location)

    def live(self, group: GroupFacts, revision: Revision) -> Live:
        """CodeDeploy has no call that tells what runs on the instances: the group's last success stands for it."""
        return Live()

    def unusable(self, revision: Revision) -> str:
        """Looks at the bundle, where the function's role may read it."""
        if revision.kind != "S3" or not self.settings.check_bundles:
            return ""
        wanted = _s3_object(revision.location)
        where = _s3_label(revision.location)
        try:
            head = call(self.clients.s3, "head_object", **wanted)
        except RefusedError as error:
            gone = error.code in {"404", "NoSuchKey", "NoSuchVersion", "NotFound", "NoSuchBucket"}
            return f"{where} is no longer in S3." if gone else ""
        return _overwritten(revision.location, head, where)

    def marks(self, revision: Revision) -> Marks:
        """The tags of the bundle, where the function's role may read it."""
        if revision.kind != "S3" or not self.settings.check_bundles:
            return Marks()
        try:
            answer = call(self.clients.s3, "get_object_tagging", **_s3_object(revision.location))
        except RefusedError as error:
            return _unless_denied(error)
        return _marks([tag.get("Key", "") for tag in answer.get("TagSet", [])])

    def prepare(self, group: GroupFacts, revision: Revision, live: Live) -> Preparation:
        """Nothing: CodeDeploy replays a bundle wherever things stand."""
        return Preparation()

    def redeployable(self, revision: Revision, live: Live, task_definition: str) -> dict[str, Any]:
        """The location exactly as it was deployed, with its version and ETag."""
        return dict(revision.location)


def s3_identity(location: Mapping[str, Any]) -> str:
    """`s3://bucket/key?versionId=…`, or `?etag=…`, or the bare object where neither was recorded."""
    s3 = location.get("s3Location", {})
    base = f"s3://{s3.get('bucket', '')}/{s3.get('key', '')}"
    if s3.get("version"):
        return f"{base}?versionId={s3['version']}"
    if s3.get("eTag"):
        return f"{base}?etag={_bare(s3['eTag'])}"
    return base


def s3_text(clients: Clients, location: Mapping[str, Any]) -> str:
    """An AppSpec that lies in S3. Raises AppSpecError if it is gone, overwritten or may not be read."""
    where = _s3_label(location)
    try:
        answer = call(clients.s3, "get_object", **_s3_object(location))
    except RefusedError as error:
        raise AppSpecError(f"{where} cannot be read: {error.code}") from error
    changed = _overwritten(location, answer, where)
    if changed:
        raise AppSpecError(changed)
    return str(answer["Body"].read(_APPSPEC_LIMIT).decode("utf-8", "replace"))


def _s3_label(location: Mapping[str, Any]) -> str:
    s3 = location.get("s3Location", {})
    return f"{s3.get('bucket', '')}/{s3.get('key', '')}"


def _s3_object(location: Mapping[str, Any]) -> dict[str, Any]:
    s3 = location.get("s3Location", {})
    wanted = {"Bucket": s3.get("bucket", ""), "Key": s3.get("key", "")}
    return {**wanted, "VersionId": s3["version"]} if s3.get("version") else wanted


def _overwritten(location: Mapping[str, Any], head: Mapping[str, Any], where: str) -> str:
    recorded, found = _bare(location.get("s3Location", {}).get("eTag") or ""), _bare(head.get("ETag", ""))
    if recorded and found and recorded != found:
        return f"{where} was overwritten since: its ETag is {found} and was {recorded}."
    return ""


def _bare(etag: str) -> str:
    return etag.strip('"')


@dataclass(frozen=True)
class LambdaPlatform:
    """Lambda: the AppSpec is made anew, because its CurrentVersion must be what the alias points at now."""

    clients: Clients
    settings: Settings
    content: Callable[[Mapping[str, Any]], str]

    @property
    def deployment_config(self) -> str:
        """The configuration of the redeployment; empty for the group's own."""
        return self.settings.lambda_deployment_config

    def revision(self, location: Mapping[str, Any]) -> Revision:
        """Identity is (function, alias, target version): CurrentVersion changes the hash for the same code."""
        kind = location.get("revisionType", "")
        try:
            spec = AppSpec(self.content(location))
            function, alias = spec.get("Name"), spec.get("Alias")
            version = spec.get("TargetVersion")
        except AppSpecError:
            return Revision(kind, "", "", "", location)
        label = f"{function}:{alias} version {version}"
        return Revision(kind, f"lambda:{function}:{alias}:{version}", label, "", location)

    def live(self, group: GroupFacts, revision: Revision) -> Live:
        """Where the alias points, and whether it sends traffic to a second version."""
        function, alias, _ = _lambda_parts(revision)
        answer = call(self.clients.lambda_, "get_alias", FunctionName=function, Name=alias)
        weights = (answer.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        return Live(f"lambda:{function}:{alias}:{answer['FunctionVersion']}", bool(weights))

    def unusable(self, revision: Revision) -> str:
        """A cleaner may have deleted the version."""
        function, _, version = _lambda_parts(revision)
        try:
            found = call(self.clients.lambda_, "get_function_configuration", FunctionName=function, Qualifier=version)
        except RefusedError as error:
            if error.code == "ResourceNotFoundException":
                return f"Version {version} of the function {function} no longer exists."
            return ""
        state = found.get("State", "Active")
        # An Inactive version is only idle: Lambda wakes it at the next call.
        return "" if state in {"Active", "Inactive"} else f"Version {version} of {function} is {state}."

    def marks(self, revision: Revision) -> Marks:
        """The version's description: versions cannot be tagged."""
        function, _, version = _lambda_parts(revision)
        try:
            found = call(self.clients.lambda_, "get_function_configuration", FunctionName=function, Qualifier=version)
        except RefusedError as error:
            return _unless_denied(error)
        text = found.get("Description") or ""
        return Marks(FLOOR_MARKER in text, APPROVAL_MARKER in text)

    def prepare(self, group: GroupFacts, revision: Revision, live: Live) -> Preparation:
        """A split alias makes every later deployment fail until its weights are cleared."""
        return Preparation(problem=self.unusable(revision), alias_split=live.split)

    def redeployable(self, revision: Revision, live: Live, task_definition: str) -> dict[str, Any]:
        """The old AppSpec with CurrentVersion taken from the live alias."""
        spec = AppSpec(self.content(revision.location))
        spec = spec.replaced(CurrentVersion=live.identity.rsplit(":", 1)[1])
        return _appspec_location(spec, self.settings)

    def clear_alias(self, revision: Revision) -> None:
        """Send all traffic to the alias's own version; its RevisionId is the lock against somebody else's change."""
        function, alias, _ = _lambda_parts(revision)
        found = call(self.clients.lambda_, "get_alias", FunctionName=function, Name=alias)
        call(
            self.clients.lambda_,
            "update_alias",
            writes=True,
            FunctionName=function,
            Name=alias,
            FunctionVersion=found["FunctionVersion"],
            RoutingConfig={"AdditionalVersionWeights": {}},
            RevisionId=found["RevisionId"],
        )


def _lambda_parts(revision: Revision) -> tuple[str, str, str]:
    # A function's name in an AppSpec may be an ARN, which has colons of its own.
    function, alias, version = revision.identity.removeprefix("lambda:").rsplit(":", 2)
    return function, alias, version


@dataclass(frozen=True)
class EcsPlatform:
    """ECS blue/green under CodeDeploy: the task definition's ARN is what is deployed."""

    clients: Clients
    settings: Settings
    content: Callable[[Mapping[str, Any]], str]

    @property
    def deployment_config(self) -> str:
        """The configuration of the redeployment; empty for the group's own."""
        return self.settings.ecs_deployment_config

    def revision(self, location: Mapping[str, Any]) -> Revision:
        """Two AppSpecs with other hooks can deploy the same task definition."""
        kind = location.get("revisionType", "")
        try:
            arn = AppSpec(self.content(location)).get("TaskDefinition")
        except AppSpecError:
            return Revision(kind, "", "", "", location)
        return Revision(kind, arn, arn.rsplit("/", 1)[-1], "", location)

    def live(self, group: GroupFacts, revision: Revision) -> Live:
        """The task definition of the primary task set. A second active one may have a share of the traffic.

        A deployment that was stopped half way leaves both task sets and their shares as they were, and the shares
        stand in the load balancer alone.
        """
        answer = call(self.clients.ecs, "describe_services", cluster=group.ecs_cluster, services=[group.ecs_service])
        services = answer.get("services") or [{}]
        sets = services[0].get("taskSets") or []
        primary = next((s for s in sets if s.get("status") == "PRIMARY"), services[0])
        return Live(
            identity=str(primary.get("taskDefinition", "")),
            split=any(s.get("status") == "ACTIVE" for s in sets),
            deployment_id=str(primary.get("externalId", "")),
        )

    def unusable(self, revision: Revision) -> str:
        """INACTIVE can be mended by registering it again; deleted cannot."""
        return TaskDefinitions(self.clients).unusable(revision)

    def marks(self, revision: Revision) -> Marks:
        """The task definition's tags."""
        return TaskDefinitions(self.clients).marks(revision)

    def prepare(self, group: GroupFacts, revision: Revision, live: Live) -> Preparation:
        """ECS refuses new task sets from an INACTIVE task definition."""
        return TaskDefinitions(self.clients).prepare(revision)

    def redeployable(self, revision: Revision, live: Live, task_definition: str) -> dict[str, Any]:
        """The old AppSpec, pointing to the task definition that was registered again where one was."""
        spec = AppSpec(self.content(revision.location))
        if task_definition and task_definition != revision.identity:
            spec = spec.replaced(TaskDefinition=task_definition)
        return _appspec_location(spec, self.settings)

    def register(self, revision: Revision) -> str:
        """Register the same task definition again, unchanged, with its tags. Returns the new ARN."""
        return TaskDefinitions(self.clients).register(revision)


def _marks(tags: list[str]) -> Marks:
    return Marks(FLOOR_MARKER in tags, APPROVAL_MARKER in tags)


def _unless_denied(error: RefusedError) -> Marks:
    """What is gone marks nothing. What may not be read could be a floor: that is not taken for none."""
    if error.permission_denied:
        raise error
    return Marks()


def _appspec_location(spec: AppSpec, settings: Settings) -> dict[str, Any]:
    spec = spec.without_hooks() if settings.appspec_hooks == "drop" else spec
    digest = hashlib.sha256(spec.text.encode()).hexdigest()
    return {"revisionType": "AppSpecContent", "appSpecContent": {"content": spec.text, "sha256": digest}}
