"""Lambda functions under CodeDeploy: an alias and the version that it points at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from lastgood.clients import Clients, call
from lastgood.deployers.appspec import AppSpec, AppSpecError, appspec_location
from lastgood.deployers.contents import AppSpecText, read_appspec
from lastgood.deployers.hooks import in_the_way, left_out, missing_hooks, rejection
from lastgood.deployers.marks import marks_in, unless_denied
from lastgood.deployers.protocol import never_asked
from lastgood.errors import RefusedError
from lastgood.model import Chore, Deployment, Evidence, GroupFacts, Live, Note, Preparation, Revision, SplitAlias
from lastgood.settings import Settings


@dataclass(frozen=True)
class LambdaPlatform:
    """Lambda: the AppSpec is written anew, because its CurrentVersion must be the version that the alias has now."""

    clients: Clients
    settings: Settings
    content: AppSpecText

    @property
    def deployment_config(self) -> str:
        """The configuration of the redeployment; empty for the group's own."""
        return self.settings.lambda_deployment_config

    def revision(self, location: Mapping[str, Any], made_at: datetime) -> Revision:
        """Identity is (function, alias, target version): CurrentVersion changes the hash for the same code."""
        kind = location.get("revisionType", "")
        try:
            location, rewritten = read_appspec(self.content, location, made_at)
            spec = AppSpec(self.content(location))
            function, alias = spec.get("Name"), spec.get("Alias")
            version = spec.get("TargetVersion")
        except AppSpecError as error:
            return Revision(kind, "", "", "", location, unreadable=str(error))
        label, target = f"{function}:{alias} version {version}", f"{function}:{alias}"
        moves = _UNPUBLISHED.format(function=function) if version == "$LATEST" else ""
        identity = f"lambda:{target}:{version}"
        return Revision(kind, identity, label, "", location, moves, target=target, rewritten=rewritten)

    def live(self, group: GroupFacts, revision: Revision) -> Live:
        """Where the alias points, and whether it sends traffic to a second version."""
        function, alias, _ = _lambda_parts(revision)
        answer = call(self.clients.lambda_, "get_alias", FunctionName=function, Name=alias)
        weights = (answer.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        return Live(f"lambda:{function}:{alias}:{answer['FunctionVersion']}", bool(weights))

    def evidence(self, deployment: Deployment) -> Evidence:
        """The version's code and configuration, and its description: versions cannot be tagged.

        A clean-up may have deleted the version. One that may not be read could be a floor: then the error is raised.
        """
        revision = deployment.revision
        function, _, version = _lambda_parts(revision)
        try:
            configuration = call(
                self.clients.lambda_, "get_function_configuration", FunctionName=function, Qualifier=version
            )
        except RefusedError as error:
            gone = error.code == "ResourceNotFoundException"
            problem = f"Version {version} of the function {function} no longer exists." if gone else ""
            return Evidence(revision, problem, unless_denied(error))
        state = configuration.get("State", "Active")
        # An Inactive version is only idle: Lambda wakes it at the next call.
        problem = "" if state in {"Active", "Inactive"} else f"Version {version} of {function} is {state}."
        content = partial(self.content, revision.location)
        problem = problem or rejection(self.clients, content, self.settings.appspec_hooks)
        return Evidence(
            replace(revision, digest=_digest(configuration)), problem, marks_in(configuration.get("Description") or "")
        )

    def contents(self, deployment: Deployment) -> Revision:
        """The version with a digest of its code and configuration."""
        return self.evidence(deployment).revision

    def noted(self, deployment: Deployment, note: Note) -> Evidence:
        """Nothing more: a published version never changes."""
        return Evidence(deployment.revision)

    def renamed(self, good: Revision) -> str:
        """Never: no tags are deployed here."""
        return ""

    def before(self, first: Deployment, group: GroupFacts) -> Revision | None:
        """The version that its AppSpec names as current: CodeDeploy refuses any but the alias's own."""
        if first.revision.unreadable:
            return None
        try:
            spec = AppSpec(self.content(first.revision.location))
            spec = spec.replaced(TargetVersion=spec.get("CurrentVersion"))
        except AppSpecError:
            return None
        return self.revision(appspec_location(spec, self.settings), first.created_at)

    def prepare(self, group: GroupFacts, revision: Revision, live: Live) -> tuple[Preparation, ...]:
        """A split alias makes every later deployment fail until its weights are cleared."""
        missing = self._missing(AppSpec(self.content(revision.location)))
        setting = self.settings.appspec_hooks
        split = (SplitAlias(),) if live.split else ()
        return (*in_the_way(missing, setting), *split, *left_out(missing))

    def redeployable(self, revision: Revision, live: Live, task_definition: str) -> dict[str, Any]:
        """The old AppSpec with CurrentVersion taken from the live alias."""
        spec = AppSpec(self.content(revision.location))
        spec = spec.replaced(CurrentVersion=live.identity.rsplit(":", 1)[1])
        return appspec_location(spec.without(self._missing(spec)), self.settings)

    def _missing(self, spec: AppSpec) -> tuple[str, ...]:
        return missing_hooks(self.clients, spec, self.settings.appspec_hooks)

    def do(self, todo: Chore, revision: Revision) -> str:
        """Remove the second version from the alias. The version that goes back stays the same."""
        if not isinstance(todo, SplitAlias):
            never_asked(todo)
        self._clear_alias(revision)
        return ""

    def _clear_alias(self, revision: Revision) -> None:
        """Send all traffic to the alias's own version; its RevisionId is the lock against somebody else's change."""
        function, alias, _ = _lambda_parts(revision)
        current = call(self.clients.lambda_, "get_alias", FunctionName=function, Name=alias)
        call(
            self.clients.lambda_,
            "update_alias",
            writes=True,
            FunctionName=function,
            Name=alias,
            FunctionVersion=current["FunctionVersion"],
            RoutingConfig={"AdditionalVersionWeights": {}},
            RevisionId=current["RevisionId"],
        )


def _lambda_parts(revision: Revision) -> tuple[str, str, str]:
    # A function's name in an AppSpec may be an ARN, which has colons of its own.
    function, alias, version = revision.identity.removeprefix("lambda:").rsplit(":", 2)
    return function, alias, version


_UNPUBLISHED = (
    "$LATEST of {function} is no version but whatever was uploaded last, which may be what is blamed. Publish "
    "versions, and let the alias point at one"
)

_CONTENT = (
    "CodeSha256",
    "Runtime",
    "Handler",
    "MemorySize",
    "Timeout",
    "Environment",
    "Layers",
    "Role",
    "Architectures",
    "VpcConfig",
    "EphemeralStorage",
    "FileSystemConfigs",
    "ImageConfigResponse",
    "RuntimeVersionConfig",
    "SnapStart",
)
"""The fields of `GetFunctionConfiguration`'s answer that are a version's content; the rest is its name and state."""


def _digest(configuration: Mapping[str, Any]) -> str:
    """A digest of code and configuration, equal for equal versions; empty where AWS does not identify the code."""
    if not configuration.get("CodeSha256"):
        return ""
    content = {name: configuration[name] for name in _CONTENT if name in configuration}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
