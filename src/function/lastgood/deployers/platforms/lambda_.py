"""Lambda functions under CodeDeploy: an alias and the version that it points at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lastgood.clients import Clients, call
from lastgood.deployers.appspec import AppSpec, AppSpecError, appspec_location
from lastgood.deployers.marks import marks_in, unless_denied
from lastgood.errors import RefusedError
from lastgood.model import GroupFacts, Live, Marks, Preparation, Revision
from lastgood.settings import Settings


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
            return unless_denied(error)
        return marks_in(found.get("Description") or "")

    def prepare(self, group: GroupFacts, revision: Revision, live: Live) -> Preparation:
        """A split alias makes every later deployment fail until its weights are cleared."""
        return Preparation(problem=self.unusable(revision), alias_split=live.split)

    def redeployable(self, revision: Revision, live: Live, task_definition: str) -> dict[str, Any]:
        """The old AppSpec with CurrentVersion taken from the live alias."""
        spec = AppSpec(self.content(revision.location))
        spec = spec.replaced(CurrentVersion=live.identity.rsplit(":", 1)[1])
        return appspec_location(spec, self.settings)

    def do(self, todo: Preparation, revision: Revision) -> str:
        """Take the second version off the alias. The version that goes back stays the same."""
        if todo.alias_split:
            self._clear_alias(revision)
        return ""

    def _clear_alias(self, revision: Revision) -> None:
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
