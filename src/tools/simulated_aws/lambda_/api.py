"""The Lambda operations on functions that were made here."""

from __future__ import annotations

import uuid
from typing import Any

from simulated_aws.clock import EPOCH
from simulated_aws.codedeploy import revisions
from simulated_aws.codedeploy.engine import Engine
from simulated_aws.lambda_.world import Alias, Function, LambdaVersion
from simulated_aws.model import ServiceError

Answer = dict[str, Any]


class LambdaApi:
    """Aliases and versions of the functions that a test has created here."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._world = engine.lambda_world

    def knows(self, function: str) -> bool:
        """Whether the simulator answers for this function."""
        return function in self._world.functions

    def is_hook(self, function: str) -> bool:
        """Whether some AppSpec names it as a validation function, or a test said how it behaves."""
        apps = self._engine.applications.values()
        texts = [revisions.appspec(each.revision) for app in apps for each in app.revisions.values()]
        named = {name for text in texts if text for names in revisions.hooks(text).values() for name in names}
        return function in self._engine.hooks or function in named

    def get_hook(self, function: str) -> Answer:
        """GetFunctionConfiguration of a validation function: there, unless a test said that it is `missing`."""
        hook = self._engine.hooks.get(function)
        if hook is not None and hook.behaviour == "missing":
            raise ServiceError("ResourceNotFoundException", f"Function not found: {self._arn(function)}", 404)
        return {"FunctionName": function, "FunctionArn": self._arn(function), "State": "Active"}

    def get_alias(self, function: str, name: str) -> Answer:
        """GetAlias."""
        return self._alias(function, self._world.alias(function, name))

    def update_alias(self, function: str, name: str, given: dict[str, Any]) -> Answer:
        """UpdateAlias; a RevisionId that is not the alias's own gives PreconditionFailedException."""
        alias = self._world.alias(function, name)
        if given.get("RevisionId") and given["RevisionId"] != alias.revision_id:
            message = "The RevisionId provided does not match the latest RevisionId."
            raise ServiceError("PreconditionFailedException", message, 412)
        version = given.get("FunctionVersion") or alias.version
        self._version(function, version)
        routing = given.get("RoutingConfig")
        weights = alias.weights if routing is None else routing.get("AdditionalVersionWeights") or {}
        alias.description = given.get("Description", alias.description)
        return self._alias(function, self._world.point(function, name, version, weights))

    def list_versions(self, function: str) -> Answer:
        """ListVersionsByFunction, on one page."""
        known = self._world.function(function)
        versions = [LambdaVersion("$LATEST"), *known.versions.values()]
        return {"Versions": [self._configuration(known, version) for version in versions]}

    def get_function_configuration(self, function: str, qualifier: str | None) -> Answer:
        """GetFunctionConfiguration of a version, of what an alias points at, or of $LATEST."""
        known = self._world.function(function)
        if qualifier in known.aliases:
            qualifier = known.aliases[qualifier].version
        return self._configuration(known, self._version(function, qualifier or "$LATEST"))

    def get_function(self, function: str, qualifier: str | None) -> Answer:
        """GetFunction."""
        tags = self._world.function(function).tags
        return {"Configuration": self.get_function_configuration(function, qualifier), "Tags": tags}

    def _version(self, function: str, number: str) -> LambdaVersion:
        if number == "$LATEST":
            return LambdaVersion("$LATEST")
        versions = self._world.function(function).versions
        if number not in versions:
            message = f"Function not found: {self._arn(function)}:{number}"
            raise ServiceError("ResourceNotFoundException", message, 404)
        return versions[number]

    def _arn(self, function: str) -> str:
        return f"arn:aws:lambda:{self._engine.region}:{self._engine.account}:function:{function}"

    def _alias(self, function: str, alias: Alias) -> Answer:
        routing = {"RoutingConfig": {"AdditionalVersionWeights": alias.weights}} if alias.weights else {}
        return {
            "AliasArn": f"{self._arn(function)}:{alias.name}",
            "Name": alias.name,
            "FunctionVersion": alias.version,
            "Description": alias.description,
            "RevisionId": alias.revision_id,
            **routing,
        }

    def _configuration(self, function: Function, version: LambdaVersion) -> Answer:
        return {
            "FunctionName": function.name,
            "FunctionArn": f"{self._arn(function.name)}:{version.number}",
            "Runtime": "python3.13",
            "Role": f"arn:aws:iam::{self._engine.account}:role/{function.name}",
            "Handler": "app.handler",
            "CodeSize": 1024,
            "Timeout": 3,
            "MemorySize": 128,
            "CodeSha256": version.code_sha256,
            "LastModified": (version.published_at or EPOCH).strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
            "RevisionId": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{function.name}:{version.number}")),
            "PackageType": "Zip",
            "Architectures": ["x86_64"],
            "Description": version.description,
            "Version": version.number,
            "State": version.state,
            "LastUpdateStatus": version.last_update_status,
            **version.configuration,
        }
