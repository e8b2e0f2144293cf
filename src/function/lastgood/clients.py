"""AWS clients, made once, and the one place where botocore's errors become ours.

Lambda gives initialisation a full CPU and throttles the handler, so every client on the way to the stop is made while
the module is imported; those that come after it, or are rarely needed, are made on first use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any

import botocore
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError
from botocore.session import Session as CoreSession

from lastgood import __version__
from lastgood.errors import (
    AlreadyCompletedError,
    AmbiguousError,
    ExpiredError,
    GroupBusyError,
    GroupNotFoundError,
    PassingError,
    RefusedError,
    RetryableError,
)
from lastgood.model import AlarmPlace

# CloudTrail shows this with every call, so people who ask what stopped a deployment see it at once. It also saves
# botocore from composing a longer one twice per call.
USER_AGENT = f"lastgood/{__version__} Botocore/{botocore.__version__}"

READS = Config(
    user_agent=USER_AGENT,
    retries={"mode": "standard", "total_max_attempts": 5},
    connect_timeout=2,
    read_timeout=5,
)
# CodeDeploy lets few calls per second through. Giving up too soon means coming back a minute later and reading
# everything again, with even more calls; these attempts take 25 seconds on average, and 51 at most.
PATIENT_READS = READS.merge(Config(retries={"mode": "standard", "total_max_attempts": 7}))
# CreateDeployment has no idempotency token: a silent second attempt could create a second deployment. A second
# UpdateService is harmless in itself, but a late one could replace what somebody released in between.
WRITES = READS.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}, read_timeout=10))

_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "ProvisionedThroughputExceededException",
    "TransactionInProgressException",
    "SlowDown",
}
# Refusals that pass by themselves, though their codes are also used for final ones: the message decides. Lambda refuses
# while an update of the function is in progress ("The resource already exists, or another operation is in progress":
# API reference), ECS where two register at once ("Too many concurrent attempts to create a new revision of the
# specified family": hashicorp/terraform-provider-aws#9777); its "TaskDefinition is inactive" is final.
_PASSING = {
    "ResourceConflictException": re.compile("(?!.*already exist)", re.IGNORECASE | re.DOTALL),
    "ClientException": re.compile(".*too many concurrent", re.IGNORECASE | re.DOTALL),
}
# The execution environment's credentials have run out; the next one has fresh ones.
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
# A request came too long after it was signed, or by a wrong clock, so it had no effect. An execution environment may be
# frozen between the two. The services that take JSON have one code for that and for a wrong key.
_TOO_LATE = {
    "InvalidSignatureException": re.compile("signature (expired|not yet current)", re.IGNORECASE),
    "SignatureDoesNotMatch": re.compile("signature (expired|not yet current)", re.IGNORECASE),
    "RequestTimeTooSkewed": re.compile(""),
}
# AWS gave up waiting, and does not say whether for the request or for its own answer.
_TIMED_OUT = {"RequestTimeout", "RequestTimeoutException"}
_SPECIFIC: dict[str, type[RefusedError]] = {
    # A name that can be none: there is nothing of that name.
    "InvalidApplicationNameException": GroupNotFoundError,
    "InvalidDeploymentGroupNameException": GroupNotFoundError,
    "ApplicationDoesNotExistException": GroupNotFoundError,
    "DeploymentGroupDoesNotExistException": GroupNotFoundError,
    "DeploymentLimitExceededException": GroupBusyError,
    "DeploymentAlreadyCompletedException": AlreadyCompletedError,
    "ClusterNotFoundException": GroupNotFoundError,
    "ServiceNotFoundException": GroupNotFoundError,
    "PipelineNotFoundException": GroupNotFoundError,
}


class Session:
    """Makes clients as boto3's session does. boto3 would add nothing to them but the time and memory that it takes."""

    def __init__(self, core: CoreSession | None = None) -> None:
        self.client = (core or CoreSession()).create_client


@dataclass
class Clients:
    """One client per service. `codedeploy_writer` makes one attempt per call; the others retry."""

    session: Any
    codedeploy: Any
    codedeploy_writer: Any
    dynamodb: Any
    cloudwatch: Any
    _making: Lock = field(default_factory=Lock, repr=False)
    _made: dict[tuple[str, bool, str], Any] = field(default_factory=dict, repr=False)

    @classmethod
    def make(cls, session: Any = None) -> Clients:
        """The clients that a rollback needs before it redeploys, one after the other (faster than threads)."""
        session = session or Session()
        return cls(
            session=session,
            codedeploy=session.client("codedeploy", config=PATIENT_READS),
            codedeploy_writer=session.client("codedeploy", config=WRITES),
            dynamodb=session.client("dynamodb", config=READS),
            cloudwatch=session.client("cloudwatch", config=READS),
        )

    @cached_property
    def lambda_(self) -> Any:
        """Only for deployment groups on Lambda."""
        return self._on_first_use("lambda", READS)

    @cached_property
    def ecs(self) -> Any:
        """Only for deployment groups and services on ECS."""
        return self._on_first_use("ecs", READS)

    @cached_property
    def ecs_writer(self) -> Any:
        """Only to update a service; one attempt per call."""
        return self._on_first_use("ecs", WRITES)

    @cached_property
    def ecr(self) -> Any:
        """Only to check whether an image that served still exists."""
        return self._on_first_use("ecr", READS)

    @cached_property
    def s3(self) -> Any:
        """Only to check whether a bundle still exists."""
        return self._on_first_use("s3", READS)

    @cached_property
    def codepipeline(self) -> Any:
        """Only for stages of pipelines, and for the pipeline of a deployment group. Its writes may be repeated."""
        return self._on_first_use("codepipeline", READS)

    @cached_property
    def codepipeline_writer(self) -> Any:
        """Only to roll a stage back, which takes no token; one attempt per call."""
        return self._on_first_use("codepipeline", WRITES)

    @cached_property
    def cloudformation(self) -> Any:
        """Only to find the stack that holds an alias or a service."""
        return self._on_first_use("cloudformation", READS)

    @cached_property
    def sns(self) -> Any:
        """Only to notify people: the redeployment is under way by then."""
        return self._on_first_use("sns", READS)

    @cached_property
    def events(self) -> Any:
        """Only after a rollback has moved."""
        return self._on_first_use("events", READS)

    def prepare(self, services: Iterable[str]) -> None:
        """Make the clients of these services, so that the first rollback of this environment need not."""
        for service in services:
            self._on_first_use(service, READS)

    def cloudwatch_at(self, place: AlarmPlace) -> Any:
        """CloudWatch in an alarm's region; the client for another region is made on first use."""
        if place.region in {"", self.cloudwatch.meta.region_name}:
            return self.cloudwatch
        return self._on_first_use("cloudwatch", READS, place.region)

    def _on_first_use(self, service: str, config: Config, region: str = "") -> Any:
        """Parallel threads may ask at the same moment: one of them makes the client, all get it."""
        with self._making:
            key = (service, config is WRITES, region)
            if key not in self._made:
                elsewhere = {"region_name": region} if region else {}
                self._made[key] = self.session.client(service, config=config, **elsewhere)
            return self._made[key]


def call(client: Any, operation: str, *, writes: bool = False, **parameters: Any) -> dict[str, Any]:
    """Make one AWS call. Raises RetryableError, AmbiguousError (only if `writes`) or a RefusedError."""
    known = getattr(client, operation, None)
    if known is None:
        raise RefusedError(operation, "UnknownOperation", f"botocore {botocore.__version__} does not know it")
    try:
        answer: dict[str, Any] = known(**parameters)
    except ClientError as error:
        raise _translated(operation, error, writes) from error
    except (ConnectionError, HTTPClientError) as error:
        unanswered = AmbiguousError if writes else RetryableError
        raise unanswered(f"{operation}: no usable answer: {type(error).__name__}") from error
    except BotoCoreError as error:
        raise RefusedError(operation, type(error).__name__, str(error)) from error
    return answer


def _translated(operation: str, error: ClientError, writes: bool) -> Exception:
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _THROTTLED or status == 429:
        return RetryableError(f"{operation} was throttled ({code})")
    if code in _EXPIRED:
        return ExpiredError(f"{operation} was refused with {code}: the credentials have run out")
    if code in _TOO_LATE and _TOO_LATE[code].match(message):
        return RetryableError(f"{operation} was refused with {code}: it came too late, or a clock is wrong")
    if status >= 500 or code in _TIMED_OUT:
        return (AmbiguousError if writes else RetryableError)(f"{operation} failed with {status} {code}")
    if code in _PASSING and _PASSING[code].match(message):
        return PassingError(operation, code, message)
    return _SPECIFIC.get(code, RefusedError)(operation, code, message, dict(error.response))
