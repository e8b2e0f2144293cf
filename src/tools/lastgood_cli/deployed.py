"""What is deployed, as far as AWS says so within a few seconds: for papers that are printed without it too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lastgood.errors import LastgoodError
from lastgood_cli.context import Session
from lastgood_cli.problems import Problem, problem_of

UNKNOWN_ACCOUNT = "123456789012"
BRIEF = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1})
"""One attempt: who has no network wants the paper, and not to wait for it."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """Names of the stack and its account; patterns, and the account 123456789012, where they cannot be looked up.

    `parameters` and `outputs` are the stack's, empty without one. `missing` says what was not found out, and why.
    """

    stack: str
    region: str
    partition: str
    account: str
    table: str
    function: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""

    @property
    def here(self) -> str:
        """`region:account`, as in the middle of an ARN."""
        return f"{self.region}:{self.account}"

    @property
    def table_arn(self) -> str:
        """The audit table's."""
        return f"arn:{self.partition}:dynamodb:{self.here}:table/{self.table}"

    @property
    def function_arn(self) -> str:
        """The function's."""
        if self.function.startswith("arn:"):
            return self.function
        return f"arn:{self.partition}:lambda:{self.here}:function:{self.function}"

    @property
    def stack_arn(self) -> str:
        """The stack's, whatever its last part."""
        return f"arn:{self.partition}:cloudformation:{self.here}:stack/{self.stack}/*"


def deployed(session: Session) -> Deployed:
    """Ask AWS who asks, and then for the stack. Where the first is not answered, nothing else is asked."""
    region, stack = session.region, session.stack
    table, function = f"{stack}-AuditTable-*", f"{stack}-RollbackFunction-*"
    try:
        caller = str(session.aws.client("sts", config=BRIEF).get_caller_identity()["Arn"])
    except (BotoCoreError, ClientError, Problem) as error:
        why = problem_of(error, session.profile).message.rstrip(".")
        partition = session.aws.session.get_partition_for_region(region)
        named = (session.table_option or table, session.function_option or function)
        told = (
            f"Not looked up ({why}): the account is {UNKNOWN_ACCOUNT}, names are patterns, and parameters that are not "
            "given have the template's defaults."
        )
        return Deployed(stack, region, partition, UNKNOWN_ACCOUNT, *named, missing=told)
    return Deployed(
        stack,
        region,
        caller.split(":")[1],
        caller.split(":")[4],
        _or(lambda: session.table, table),
        _or(lambda: session.function, function),
        _or(lambda: session.parameters, {}),
        _or(lambda: session.outputs, {}),
    )


def _or[T](look: Callable[[], T], otherwise: T) -> T:
    try:
        return look()
    except (BotoCoreError, ClientError, LastgoodError, Problem):
        return otherwise
