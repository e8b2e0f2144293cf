"""What a warm rollback costs in calls and in rounds of calls that wait for one another: exact, on every machine."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from aws_lambda_powertools import Logger, Metrics
from botocore.awsrequest import AWSResponse

from benchmarks.endpoint import PUBLISHED, SERVICES
from benchmarks.endpoint import Scene as Endpoint
from benchmarks.laboratory import TOPIC, message
from causality import Calls, CausalPool, counted
from integration.test_history import calls_of_a_rollback
from lastgood.app import Application
from lastgood.clients import Clients
from scene import ALARM, PLATFORMS, scene

# On servers, the bundles' heads prove what their keys hold. On Lambda and ECS, AppSpecs and versions or task
# definitions are read as well; there CodeDeploy flips the traffic back itself, so nothing is created.
CALLS = {"Server": 19, "Lambda": 28, "ECS": 28}
ROUNDS = {"Server": 10, "Lambda": 12, "ECS": 12}
HEAD = "s3 HeadObject"


@pytest.fixture(autouse=True)
def pool() -> Iterator[None]:
    """Every application of these tests reads through threads whose causes are followed."""
    with patch("lastgood.parts.ThreadPoolExecutor", CausalPool):
        yield


def rollback(platform: str, length: int, failed_on_top: int = 0) -> Calls:
    """All AWS calls from an alarm's message to the end of the invocation."""
    found: list[Calls] = []
    with scene(platform) as it:
        it.local.alarm(ALARM)

        def fires() -> dict[str, Any]:
            with counted() as calls:
                found.append(calls)
                return it.deliver(it.alarm_message())

        with patch.object(it, "alarm_fires", fires):
            calls_of_a_rollback(it, length, failed_on_top)
    return found[0]


def without_heads(calls: Calls) -> list[str]:
    """The calls' names but for those that ask S3 which object a key holds."""
    return [name for name in calls.names if name != HEAD]


class Answer(io.BytesIO):
    """A body as botocore reads it from a connection."""

    def stream(self, **_: object) -> Iterator[bytes]:
        """All of it."""
        yield self.read()


def answered_by(endpoint: Endpoint, request: Any, **_: object) -> AWSResponse:
    """Answer a request from the benchmark's endpoint without a connection."""
    target = request.headers.get("X-Amz-Target")
    if target is None:
        endpoint.answer("sns", "Publish", {}, 0.0)
        return AWSResponse(request.url, 200, {}, Answer(PUBLISHED.encode()))
    name, _, operation = target.decode().partition(".")
    status, body = endpoint.answer(SERVICES[name], operation, json.loads(request.body), 0.0)
    return AWSResponse(request.url, status, {}, Answer(json.dumps(body).encode()))


def rollback_on_the_endpoint(length: int, failed: int = 0) -> tuple[Calls, list[dict[str, Any]]]:
    """The same against the endpoint of the benchmark: what boto3 called, and what the endpoint saw."""
    endpoint = Endpoint.begin({"length": length, "failed": failed})
    session = boto3.Session(region_name="us-east-1")
    session.events.register("before-send", partial(answered_by, endpoint))
    settings = {"LASTGOOD_TABLE": "AuditTable", "LASTGOOD_NOTIFICATION_TOPIC_ARN": TOPIC}
    logger, metrics = Logger(service="x", level="CRITICAL"), Metrics(namespace="lastgood", service="x")
    application = Application.make(settings, logger, metrics, clients=Clients.make(session))
    with counted() as calls:
        (result,) = application.handle(message(0), "request", timedelta(seconds=60))["results"]
    application.close()
    assert result["phase"] == "VERIFYING", result
    return calls, endpoint.arrivals


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_rollback_takes_the_same_calls_and_rounds_on_a_short_and_on_a_long_history(platform: str) -> None:
    short, long = rollback(platform, 100), rollback(platform, 10_000)
    assert short.names == long.names
    assert (len(short.made), short.rounds) == (CALLS[platform], ROUNDS[platform])


def test_failures_on_top_of_the_history_cost_no_further_round() -> None:
    """Each bundle that may be on a server has its head read, all at once: a few of the failed ones have, too."""
    calm, stormy = rollback("Server", 100), rollback("Server", 10_000, failed_on_top=500)
    assert (without_heads(calm), calm.rounds) == (without_heads(stormy), stormy.rounds)
    assert (calm.names.count(HEAD), stormy.names.count(HEAD)) == (2, 5)


@pytest.mark.parametrize(("length", "failed"), [(100, 0), (10_000, 500)])
def test_the_benchmarks_endpoint_is_asked_what_the_simulator_is_asked(length: int, failed: int) -> None:
    """But for the heads of bundles: the endpoint's revisions carry their ETags, so S3 has nothing to prove."""
    calls, arrivals = rollback_on_the_endpoint(length, failed)
    simulated = rollback("Server", 100)
    assert (calls.names, calls.rounds) == (without_heads(simulated), simulated.rounds - 1)
    assert len(arrivals) == len(calls.made)


def test_the_endpoint_refuses_a_second_claim_and_a_second_deployment_as_aws_does() -> None:
    endpoint = Endpoint.begin({})
    names = {"applicationName": "shop", "deploymentGroupName": "prod-0"}
    revision = {"revisionType": "S3", "s3Location": {"key": "v1.zip"}}
    status, refused = endpoint.answer("codedeploy", "CreateDeployment", {**names, "revision": revision}, 0.0)
    assert (status, refused["__type"]) == (400, "DeploymentLimitExceededException")
    claim = {"TableName": "t", "Item": {"pk": {"S": "a"}, "sk": {"S": "b"}}}
    claim["ConditionExpression"] = "attribute_not_exists(pk)"
    transaction = {"TransactItems": [{"Put": claim}]}
    assert endpoint.answer("dynamodb", "TransactWriteItems", transaction, 0.0) == (200, {})
    status, refused = endpoint.answer("dynamodb", "TransactWriteItems", transaction, 0.0)
    assert (status, refused["CancellationReasons"][0]["Code"]) == (400, "ConditionalCheckFailed")
