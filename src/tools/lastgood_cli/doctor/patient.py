"""The deployed function under examination, with what is read of its surroundings at most once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lastgood.settings import Settings
from lastgood_cli import checks as check
from lastgood_cli.checks import Check
from lastgood_cli.readonly import ReadOnlySession


class Patient:
    """One stack as it is at the time `now`."""

    def __init__(self, aws: Any, configuration: Mapping[str, Any], environ: Mapping[str, str], now: datetime) -> None:
        """`aws` makes clients; `configuration` is the function's, with `environ` as its variables."""
        self.aws = ReadOnlySession(aws)
        self.configuration = configuration
        self.environ = environ
        self.now = now
        self.arn = str(configuration["FunctionArn"])

    @cached_property
    def policy(self) -> str:
        """The function's resource policy: who may invoke it. One that has none has no policy at all."""
        try:
            return str(self.aws.client("lambda").get_policy(FunctionName=self.arn)["Policy"])
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
                raise
            return "{}"

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The stack's parameters; empty where they may not be read."""
        name = self.environ.get("POWERTOOLS_SERVICE_NAME", "")
        try:
            (found,) = self.aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        except (BotoCoreError, ClientError, ValueError):
            return {}
        return {each["ParameterKey"]: each.get("ParameterValue", "") for each in found.get("Parameters", [])}

    @cached_property
    def stack(self) -> Mapping[str, str]:
        """Logical id → physical id of the function's stack; empty where that may not be read."""
        name = self.environ.get("POWERTOOLS_SERVICE_NAME", "")
        try:
            found = self.aws.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
        except (BotoCoreError, ClientError):
            return {}
        return {str(each.get("LogicalResourceId")): each.get("PhysicalResourceId", "") for each in found}

    def own_table(self, settings: Settings) -> Check:
        """Whether the function writes to the stack's own table."""
        own = self.stack.get("AuditTable", "")
        return check.of_the_stack("it is the stack's", "LASTGOOD_TABLE", settings.table, own, self.arn, self.environ)
