"""What every command needs: AWS as the options say, the stack's table and function, the clock, where to print."""

from __future__ import annotations

import getpass
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rich.console import Console

from lastgood.times import utc_now
from lastgood_cli.near import nearest, there_is
from lastgood_cli.options import DEFAULT_STACK, Format
from lastgood_cli.output import console
from lastgood_cli.problems import Exit, Problem

if TYPE_CHECKING:
    from lastgood.settings import Settings
    from lastgood_cli.records import Records

REGION = re.compile(r"[a-z]{2,}(-[a-z]+)*-(central|(north|south)(east|west)?|east|west)-[0-9]{1,2}")
"""How AWS names its regions, also those that this version does not know yet."""


def no_such_region(name: str, session: Any) -> Problem:
    """That a region's name is none, with those that may have been meant. `session` is boto3's."""
    known = [each for part in session.get_available_partitions() for each in session.get_available_regions("ec2", part)]
    meant = nearest(name.strip().lower(), known, 2, 0.6)
    told = f"{name!r} is no region's name{there_is(meant)}"
    return Problem(told, f"lastgood --region {meant[0] if meant else 'us-east-1'} …", Exit.AWS)


OURS = "RollbackFunctionName"
"""An output that tells lastgood's stacks from others."""


class Aws:
    """A boto3 session whose clients all talk to `endpoint_url`, where one is given. Stands in for a boto3 session."""

    def __init__(self, profile: str = "", region: str = "", endpoint_url: str = "") -> None:
        self._profile, self._region, self._endpoint_url = profile, region, endpoint_url

    @cached_property
    def session(self) -> Any:
        """boto3's own session, in the region of AWS_REGION too, which boto3 does not read.

        Raises ProfileNotFound, and Problem for what is no region's name: asked for its endpoint, the network would take
        ten seconds and more to say so.
        """
        import boto3  # slow to import, and `--help` needs none

        region = self._region or os.environ.get("AWS_REGION")
        session = boto3.Session(profile_name=self._profile or None, region_name=region or None)
        if session.region_name and not REGION.fullmatch(session.region_name):
            raise no_such_region(session.region_name, session)
        return session

    @property
    def region_name(self) -> str:
        """The region in use; empty where none is set."""
        return str(self.session.region_name or "")

    def client(self, name: str, **options: Any) -> Any:
        """A boto3 client of the service `name`."""
        if self._endpoint_url:
            options.setdefault("endpoint_url", self._endpoint_url)
        return self.session.client(name, **options)


@dataclass(frozen=True)
class Session:
    """One run of the command. Everything in AWS is looked up on first use, and once."""

    profile: str = ""
    region_option: str = ""
    endpoint_url: str = ""
    stack: str = DEFAULT_STACK
    table_option: str = ""
    function_option: str = ""
    output: Format = Format.TABLE
    clock: Callable[[], datetime] = utc_now
    wait: Callable[[float], None] = time.sleep
    out: Console = field(default_factory=console)
    err: Console = field(default_factory=lambda: console(stderr=True))

    # --- AWS ---

    @cached_property
    def aws(self) -> Aws:
        """Makes clients: `session.aws.client("codedeploy")`. Can be handed to whatever wants a boto3 session."""
        return Aws(self.profile, self.region_option, self.endpoint_url)

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    def client(self, name: str) -> Any:
        """One client per service, with the function's own timeouts and retries."""
        if name not in self._clients:
            from lastgood.clients import READS

            self._clients[name] = self.aws.client(name, config=READS)
        return self._clients[name]

    @property
    def region(self) -> str:
        """The region in use. Raises Problem where none is set."""
        if not self.aws.region_name:
            raise Problem("No region is given", "lastgood --region us-east-1 …", Exit.AWS)
        return self.aws.region_name

    @cached_property
    def caller_arn(self) -> str:
        """Who asks, as STS says it."""
        return str(self.client("sts").get_caller_identity()["Arn"])

    @cached_property
    def account(self) -> str:
        """The account's number."""
        return self.caller_arn.split(":")[4]

    # --- the stack ---

    @cached_property
    def _described(self) -> Mapping[str, Any]:
        from botocore.exceptions import ClientError

        try:
            found: list[dict[str, Any]] = self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ValidationError":
                raise
            near = self._near_stacks()
            told = f"There is no stack {self.stack} in {self.region}{there_is(near)}"
            named = near[0] if near else "NAME"
            raise Problem(told, f"lastgood --stack {named} …, or --table and --function", Exit.NOT_FOUND) from error
        return found[0]

    def _near_stacks(self) -> list[str]:
        """The stacks that are lastgood's, those first whose names are like the one that does not exist."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            pages = self.client("cloudformation").get_paginator("describe_stacks").paginate()
            every = [stack for page in pages for stack in page["Stacks"]]
        except (BotoCoreError, ClientError):
            return []
        ours = [s["StackName"] for s in every if any(o["OutputKey"] == OURS for o in s.get("Outputs", []))]
        return nearest(self.stack, ours, alike=0)

    @property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs, such as AuditTableName. Raises Problem where there is no such stack."""
        return {each["OutputKey"]: each["OutputValue"] for each in self._described.get("Outputs", [])}

    @property
    def parameters(self) -> Mapping[str, str]:
        """The stack's parameters as it was deployed. Raises Problem where there is no such stack."""
        return {each["ParameterKey"]: each["ParameterValue"] for each in self._described.get("Parameters", [])}

    def stack_output(self, key: str) -> str:
        """One output of the stack. Raises Problem where it has none of that name."""
        if key not in self.outputs:
            told = f"The stack {self.stack} has no output {key}: it is not lastgood's"
            raise Problem(told, "lastgood --stack NAME …, or --table and --function", Exit.NOT_FOUND)
        return self.outputs[key]

    @cached_property
    def function(self) -> str:
        """The deployed function's name or ARN: `--function`, else the stack's."""
        return self.function_option or self.stack_output("RollbackFunctionName")

    @cached_property
    def table(self) -> str:
        """The audit table's name: `--table`, else what the function given with `--function` uses, else the stack's."""
        if self.table_option:
            return self.table_option
        if self.function_option:
            return self.settings.table
        return self.stack_output("AuditTableName")

    @cached_property
    def records(self) -> Records:
        """What the audit table holds."""
        from lastgood_cli.records import Records

        return Records(self.client("dynamodb"), self.table)

    def named(self, rollback_id: str) -> str:
        """The whole id of the rollback that is meant: `last`, the ending of an id, an id."""
        return self.records.named(rollback_id, self.now)

    # --- the function ---

    @cached_property
    def configuration(self) -> Mapping[str, Any]:
        """GetFunctionConfiguration of the deployed function. Raises Problem where there is none of that name."""
        from botocore.exceptions import ClientError

        try:
            found: dict[str, Any] = self.client("lambda").get_function_configuration(FunctionName=self.function)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
                raise
            told = f"There is no function {self.function} in {self.region}"
            raise Problem(told, "lastgood --stack NAME --region REGION …", Exit.NOT_FOUND) from error
        return found

    @cached_property
    def environ(self) -> Mapping[str, str]:
        """The deployed function's variables, with the region that Lambda adds."""
        variables: dict[str, str] = dict(self.configuration.get("Environment", {}).get("Variables", {}))
        return {"AWS_REGION": self.region, **variables}

    @cached_property
    def settings(self) -> Settings:
        """The deployed function's settings. Raises SettingsError with all that is wrong in them."""
        from lastgood.settings import Settings

        return Settings.from_env(self.environ)

    # --- people ---

    @property
    def now(self) -> datetime:
        """The time."""
        return self.clock()

    @property
    def interactive(self) -> bool:
        """True where a person sits at a terminal and can be asked."""
        import sys

        return sys.stdin.isatty() and self.err.is_terminal

    def requested_by(self, given: str) -> str:
        """Who asks: `--as`, else the caller's identity at STS, else the machine's user."""
        from botocore.exceptions import BotoCoreError, ClientError

        if given:
            return given
        try:
            return self.caller_arn.split(":", 5)[5]
        except (BotoCoreError, ClientError, IndexError):
            return getpass.getuser()
