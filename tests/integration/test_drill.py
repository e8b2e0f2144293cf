"""The daily drill: it finds what would make a rollback fail, tells people, and leaves everything as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import boto3
import botocore.client
import pytest
from botocore.exceptions import ClientError

from scene import PLATFORMS, Scene, scene

ROUTES = '[{"alarm": "shop-*", "application": "shop", "deployment_group": "prod"}]'
ROUTED = {"LASTGOOD_ROUTES": ROUTES}
WRITES = {"StopDeployment", "CreateDeployment", "UpdateService", "UpdateAlias", "RegisterTaskDefinition"}


def drill(it: Scene) -> dict[str, Any]:
    """Invoke the function as the schedule does."""
    return it.deliver({"action": "drill"})


def memory(it: Scene) -> list[dict[str, Any]]:
    """What is in the table beside the drill's own note."""
    return [item for item in it.local.items() if item["sk"] != "DRILL"]


@contextmanager
def refused(operation: str) -> Iterator[None]:
    """AWS denies one operation, as it does where a permission is missing."""
    real = botocore.client.BaseClient._make_api_call

    def answer(client: Any, name: str, parameters: Any) -> Any:
        if name == operation:
            said = {"Error": {"Code": "AccessDeniedException", "Message": f"not authorized to perform {name}"}}
            raise ClientError(said, name)
        return real(client, name, parameters)

    with patch.object(botocore.client.BaseClient, "_make_api_call", answer):
        yield


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_drill_says_what_a_rollback_would_do_and_does_nothing(platform: str) -> None:
    with scene(platform, settings=ROUTED) as it:
        it.good_history(2)
        it.release(3, settle=True, rest=300)
        arrived = len(it.sim.arrivals)
        result = drill(it)
        assert (result["drill"], result["problems"]) == ("passed", [])
        (group,) = result["groups"]
        assert (group["application"], group["deployment_group"], group["reason"]) == (
            "shop",
            "prod",
            "SUSPECT_SUCCEEDED",
        )
        assert not {arrival.operation for arrival in it.sim.arrivals[arrived:]} & WRITES
        assert memory(it) == []
        assert it.local.notices() == []
        assert it.is_live(3)


def test_after_a_drill_an_alarm_is_answered_as_if_there_had_been_none() -> None:
    with scene(settings=ROUTED) as it:
        it.good_history(1)
        it.release(2)
        drill(it)
        it.sim.advance(1)
        assert it.alarm_fires()["phase"] == "VERIFYING"
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"


def test_the_default_deployment_group_is_drilled_too_and_each_group_once() -> None:
    default = {"LASTGOOD_DEFAULT_APPLICATION": "shop", "LASTGOOD_DEFAULT_DEPLOYMENT_GROUP": "prod"}
    with scene(settings=ROUTED | default) as it:
        it.good_history(1, 2)
        assert len(drill(it)["groups"]) == 1


def test_a_group_that_is_gone_fails_the_drill_and_people_are_called() -> None:
    gone = '[{"alarm": "shop-*", "application": "shop", "deployment_group": "renamed"}]'
    with scene(settings={"LASTGOOD_ROUTES": gone}) as it:
        result = drill(it)
        assert result["drill"] == "failed"
        assert "shop/renamed" in result["problems"][0]
        (notice,) = it.local.notices()
        assert "drill failed" in notice["content"]["title"]
        assert "shop/renamed" in notice["content"]["description"]
        assert memory(it) == []


@pytest.mark.parametrize(
    "operation",
    [
        "GetDeploymentGroup",
        "ListDeployments",
        "BatchGetDeployments",
        "GetDeployment",
        "DescribeAlarms",
        "Query",
        "PutItem",
    ],
)
def test_a_permission_that_is_missing_is_named_though_nothing_else_is_wrong(operation: str) -> None:
    with scene(settings=ROUTED) as it:
        it.good_history(1, 2)
        with refused(operation):
            result = drill(it)
        assert result["drill"] == "failed"
        assert operation in " ".join(result["problems"])
        assert len(it.local.notices()) == 1


def test_a_topic_to_which_nobody_listens_fails_the_drill() -> None:
    with scene(settings=ROUTED) as it:
        it.good_history(1, 2)
        (subscription,) = it.local.sns.list_subscriptions()["Subscriptions"]
        it.local.sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
        (problem,) = drill(it)["problems"]
        assert problem.startswith("Nobody has subscribed to")


def test_a_route_that_the_allow_list_leaves_out_fails_the_drill() -> None:
    with scene(settings=ROUTED | {"LASTGOOD_ALLOWED_GROUPS": "other/*"}) as it:
        (problem,) = drill(it)["problems"]
        assert problem.startswith("shop/prod") and "LASTGOOD_ALLOWED_GROUPS" in problem


def test_a_group_without_a_good_revision_is_told_and_is_no_failure_of_the_drill() -> None:
    with scene(settings=ROUTED) as it:
        it.release(1, settle=True)
        result = drill(it)
        assert result["drill"] == "passed"
        assert result["groups"][0]["reason"] == "NO_GOOD_REVISION"


def test_with_many_groups_each_has_its_turn_within_a_few_days() -> None:
    named = [f'{{"alarm": "a-{n}", "application": "shop", "deployment_group": "g-{n}"}}' for n in range(50)]
    with scene(settings={"LASTGOOD_ROUTES": f"[{', '.join(named)}]"}) as it:
        met: set[str] = set()
        for _ in range(10):
            problems = drill(it)["problems"]
            assert len(problems) <= 20
            met |= {problem.split(":")[0] for problem in problems}
            it.sim.advance(86_400)
        assert met == {f"shop/g-{n}" for n in range(50)}


def test_the_last_drill_is_kept_in_the_table() -> None:
    with scene(settings=ROUTED) as it:
        it.good_history(1, 2)
        drill(it)
        (item,) = [item for item in it.local.items() if item["sk"] == "DRILL"]
        assert item["pk"] == "CONTROL" and item["problems"] == [] and item["occurred_at"]


def bundle(content: bytes) -> dict[str, Any]:
    """Upload the bundle of every release under its one name, and return what the release names."""
    boto3.client("s3").put_object(Bucket="artifacts", Key="app/latest.zip", Body=content)
    place = {"bucket": "artifacts", "key": "app/latest.zip", "bundleType": "zip"}
    return {"revisionType": "S3", "s3Location": place}


def test_a_name_that_every_release_shares_is_told_before_an_incident_and_once() -> None:
    """What a rollback would answer is CONTENT_UNKNOWN; people hear today what to change in the pipeline."""
    with scene(settings=ROUTED) as it:
        boto3.client("s3").create_bucket(Bucket="artifacts")
        for content in (b"one", b"two"):
            it.sim.release("shop", "prod", bundle(content), settle=True)
            it.sim.advance(7200)
        first = drill(it)
        assert first["drill"] == "failed" and "app/latest.zip" in first["problems"][0]
        assert "Release it with the object's version or ETag" in first["problems"][0]
        assert len(it.local.notices()) == 1
        again = drill(it)
        assert (again["drill"], again["problems"], len(again["warnings"])) == ("passed", [], 1)
        assert not it.local.notices()


def test_a_tag_that_every_release_shares_is_told_before_an_incident() -> None:
    with scene("ECS", settings=ROUTED) as it:
        for memory in ("512", "1024"):
            box = {"name": "app", "image": "shop:latest", "essential": True, "portMappings": [{"containerPort": 80}]}
            arn = it.sim.register_task_definition("web", containerDefinitions=[box], memory=memory)
            it.release(int(arn.rpartition(":")[2]), settle=True)
        (warning,) = drill(it)["warnings"]
        assert "shop:latest" in warning and "by digest" in warning


def test_releases_under_names_of_their_own_are_no_warning() -> None:
    with scene("ECS", settings=ROUTED) as it:
        it.good_history(2, 3)
        assert drill(it)["warnings"] == []


def test_a_topic_with_many_addresses_that_nobody_confirmed_is_read_to_its_end() -> None:
    """SNS lists a hundred subscriptions at once; the one that counts may be the last."""
    pending = {"Subscriptions": [{"SubscriptionArn": "PendingConfirmation"}] * 100, "NextToken": "more"}
    real = botocore.client.BaseClient._make_api_call

    def answer(client: Any, name: str, parameters: Any) -> Any:
        first = name == "ListSubscriptionsByTopic" and "NextToken" not in parameters
        return pending if first else real(client, name, {k: v for k, v in parameters.items() if k != "NextToken"})

    with scene(settings=ROUTED) as it:
        it.good_history(1, 2)
        with patch.object(botocore.client.BaseClient, "_make_api_call", answer):
            assert drill(it)["problems"] == []
