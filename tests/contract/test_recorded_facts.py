"""The simulator answers as AWS did when somebody recorded it: values transcribed, each with where it was seen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from simulated_aws import Simulator, ecs_appspec, lambda_appspec, simulated_aws

ONE_ATTEMPT = Config(retries={"mode": "standard", "total_max_attempts": 1})
DISCOVER = {
    "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
    "blueGreenDeploymentConfiguration": {"greenFleetProvisioningOption": {"action": "DISCOVER_EXISTING"}},
}


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with simulated_aws() as simulator:
        yield simulator


def refused(call: Any, **given: Any) -> tuple[str, str]:
    """Code and text of the error with which a call is refused."""
    with pytest.raises(ClientError) as error:
        call(**given)
    told = error.value.response["Error"]
    return told["Code"], told["Message"]


# --- CodeDeploy -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alarms", [["c02-5xx"], ["api-5xx", "errors"]])
def test_a_deployment_that_alarms_stopped_names_each_in_brackets(sim: Simulator, alarms: list[str]) -> None:
    """Terminal output of an ECS lab and a Lambda intake on AWS, 2026-08: within a second, this text."""
    sim.lambda_group("shop", "prod", alarms=alarms)
    for name in alarms:
        sim.set_alarm(name, "ALARM")
    made = sim.release("shop", "prod", 2, settle=True)
    told = sim.deployment(made)
    assert told["errorInformation"] == {
        "code": "ALARM_ACTIVE",
        "message": "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, "
        f"and the affected deployments have been stopped. Activated alarms: {' '.join(f'<{a}>' for a in alarms)}",
    }
    assert (told["completeTime"] - told["createTime"]).total_seconds() < 1


def test_the_native_rollback_of_a_linear_ecs_group_is_all_at_once_and_linked_both_ways(sim: Simulator) -> None:
    """The same lab: configuration, creator and both sentences of `rollbackInfo`."""
    linear = "CodeDeployDefault.ECSLinear10PercentEvery1Minutes"
    sim.ecs_group("shop", "prod", config=linear, alarms=["c02-5xx"], rollback_events=["DEPLOYMENT_STOP_ON_ALARM"])
    sim.release("shop", "prod", 2, settle=True)
    stopped = sim.release("shop", "prod", 3)
    sim.advance(90)
    sim.set_alarm("c02-5xx", "ALARM")
    sim.settle()
    first, second = sim.deployment(stopped), sim.deployments("shop", "prod")[-1]
    assert (second["creator"], second["status"]) == ("codeDeployRollback", "Succeeded")
    assert second["deploymentConfigName"] == "CodeDeployDefault.ECSAllAtOnce"
    back = second["deploymentId"]
    assert first["rollbackInfo"]["rollbackMessage"] == (
        f"Deployment {stopped} terminated. Automatic rollback is triggered with a DeploymentId {back}."
    )
    assert second["rollbackInfo"] == {
        "rollbackTriggeringDeploymentId": stopped,
        "rollbackMessage": f"Deployment {back} is triggered to roll back deployment {stopped}.",
    }


def test_the_overview_of_an_ecs_deployment_that_failed_says_succeeded(sim: Simulator) -> None:
    """The same lab, a deployment with ECS_UPDATE_ERROR: Succeeded 1, Failed 0."""
    sim.ecs_group("shop", "prod")
    sim.engine.ecs_world.deregister("web:2", sim.clock.now())
    failed = sim.deployment(sim.release("shop", "prod", 2, settle=True))
    assert (failed["status"], failed["errorInformation"]["code"]) == ("Failed", "ECS_UPDATE_ERROR")
    assert (failed["deploymentOverview"]["Succeeded"], failed["deploymentOverview"]["Failed"]) == (1, 0)


def test_ecs_takes_a_string_revision(sim: Simulator) -> None:
    """A CloudTrail record shows `revisionType` String accepted."""
    sim.ecs_group("shop", "prod")
    content = ecs_appspec(sim.engine.ecs_world.arn("task-definition/web:2"))["appSpecContent"]["content"]
    sim.release("shop", "prod", {"revisionType": "String", "string": {"content": content}}, settle=True)
    assert sim.live("shop", "prod").target.endswith("web:2")


def test_a_stop_answers_in_the_words_of_awss_examples(sim: Simulator) -> None:
    """Command line reference (`stop-deployment`) and Tools for PowerShell (`Stop-CDDeployment`)."""
    sim.server_group("shop", "prod", config="CodeDeployDefault.OneAtATime")
    codedeploy = boto3.client("codedeploy")
    made = sim.release("shop", "prod", "v1.zip")
    over = codedeploy.stop_deployment(deploymentId=made)
    assert (over["status"], over["statusMessage"]) == (
        "Succeeded",
        "No more commands will be scheduled for execution in the deployment instances",
    )
    sim.timing(stop_pending_seconds=30)
    pending = codedeploy.stop_deployment(deploymentId=sim.release("shop", "prod", "v1.zip"))
    assert (pending["status"], pending["statusMessage"]) == (
        "Pending",
        "Stopping Pending. Stopping to schedule commands in the deployment instances",
    )


@pytest.mark.parametrize("kind", ["lambda", "ecs"])
def test_what_does_not_fit_the_platform_is_refused(sim: Simulator, kind: str) -> None:
    """jenkinsci/pipeline-aws-plugin#332 and aws/aws-toolkit-azure-devops#288 have the first error."""
    getattr(sim, f"{kind}_group")("shop", "prod")
    create = boto3.client("codedeploy").create_deployment
    given = {"applicationName": "shop", "deploymentGroupName": "prod", "revision": sim.revision("shop", "prod", 2)}
    assert refused(create, **given, fileExistsBehavior="OVERWRITE") == (
        "InvalidFileExistsBehaviorException",
        "For Lambda, ECS and Kubernetes deployment, fileExistsBehavior can not be specified",
    )
    code, _ = refused(create, **given, deploymentConfigName="CodeDeployDefault.OneAtATime")
    assert code == "InvalidComputePlatformException"


def test_blue_green_with_existing_instances_needs_them_named(sim: Simulator) -> None:
    """hashicorp/terraform-provider-aws#4678: each deployment names them in `targetInstances`."""
    sim.server_group("shop", "prod", **DISCOVER)
    unnamed = sim.release("shop", "prod", "v1.zip", settle=True)
    assert sim.deployment(unnamed)["errorInformation"]["code"] == "NO_INSTANCES"
    green = {"tagFilters": [{"Key": "colour", "Value": "green", "Type": "KEY_AND_VALUE"}]}
    named = sim.release("shop", "prod", "v1.zip", settle=True, targetInstances=green)
    assert sim.deployment(named)["status"] == "Succeeded"


def test_a_group_keeps_an_appspec_in_s3_without_version_and_etag(sim: Simulator) -> None:
    """cloud-custodian's recording of GetDeploymentGroup, 2021: bucket, key and bundle type, and nothing else."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="bucket")
    content = lambda_appspec("shop", "live", "1", "2")["appSpecContent"]["content"]
    s3.put_object(Bucket="bucket", Key="appspec.yml", Body=content.encode())
    sim.lambda_group("shop", "prod")
    place = {"bucket": "bucket", "key": "appspec.yml", "bundleType": "YAML"}
    sim.release("shop", "prod", {"revisionType": "S3", "s3Location": place}, settle=True)
    group = boto3.client("codedeploy").get_deployment_group(applicationName="shop", deploymentGroupName="prod")
    assert group["deploymentGroupInfo"]["targetRevision"] == {"revisionType": "S3", "s3Location": place}


# --- ECS --------------------------------------------------------------------------------------------------------------


def revision_arn(sim: Simulator, revision: str, service: str = "web", cluster: str = "main") -> str:
    return sim.engine.ecs_world.arn(f"service-revision/{cluster}/{service}/{revision}")


def test_service_revisions_are_refused_in_the_recorded_words(sim: Simulator) -> None:
    """A recording of DescribeServiceRevisions on AWS, 2026-09."""
    owner = sim.rolling_service()
    sim.rolling_service(service="other", task_definitions=0)
    describe = boto3.client("ecs", config=ONE_ATTEMPT).describe_service_revisions
    known = revision_arn(sim, next(iter(owner.revisions)))

    def told(*arns: str) -> tuple[str, str]:
        return refused(describe, serviceRevisionArns=list(arns))

    assert told() == ("InvalidParameterException", "The Service ARN provided is invalid.")
    assert told(*[revision_arn(sim, str(n)) for n in range(21)]) == (
        "InvalidParameterException",
        "Service Revision ARN count cannot exceed 20",
    )
    assert told(known, revision_arn(sim, "1", "other"))[1].startswith("Cross service requests are not allowed.")
    assert told(known, known) == ("ServerException", "Service Unavailable. Please try again later.")
    assert told(revision_arn(sim, "1", "gone")) == ("ServiceNotFoundException", "Service not found.")
    assert told(revision_arn(sim, "1", cluster="gone")) == (
        "ClusterNotFoundException",
        "The referenced cluster was inactive.",
    )
    missing = describe(serviceRevisionArns=[revision_arn(sim, "1")])
    assert (missing["serviceRevisions"], missing["failures"][0]["reason"]) == ([], "MISSING")
    owner.service.status = "INACTIVE"
    assert told(known)[1] == "Cannot call DescribeServiceRevisions for a service that is INACTIVE"


def test_the_deployment_before_is_listed_without_tasks_while_one_goes_on(sim: Simulator) -> None:
    """The same recording, after an update with a desired count of 0."""
    owner = sim.rolling_service()
    owner.service.desired_count = 0
    owner.tasks.clear()
    sim.release_service("main", "web", "web:2")
    sim.advance(5)
    told = boto3.client("ecs").describe_services(cluster="main", services=["web"])["services"][0]["deployments"]
    assert [(each["status"], each["runningCount"], each["rolloutState"]) for each in told] == [
        ("PRIMARY", 0, "IN_PROGRESS"),
        ("ACTIVE", 0, "COMPLETED"),
    ]


def test_task_sets_in_each_phase_of_a_deployment(sim: Simulator) -> None:
    """The ECS lab: PRIMARY only at 100 %, the old one ACTIVE until the wait is over, then DRAINING."""
    wait = {"terminateBlueInstancesOnDeploymentSuccess": {"terminationWaitTimeInMinutes": 5}}
    sim.ecs_group("shop", "prod", blueGreenDeploymentConfiguration=wait)
    made = sim.release("shop", "prod", 2)
    ecs = boto3.client("ecs")

    def sets() -> list[tuple[str | None, str]]:
        service = ecs.describe_services(cluster="main", services=["web"])["services"][0]
        return [(each.get("externalId") or None, each["status"]) for each in service["taskSets"]]

    sim.advance(60)
    assert sim.deployment(made)["status"] == "InProgress"
    assert sim.deployment(made).get("deploymentOverview") is None
    assert sets() == [(None, "ACTIVE"), (made, "PRIMARY")]
    sim.settle()
    assert sets() == [(None, "DRAINING"), (made, "PRIMARY")]


def test_texts_are_json_or_any_yaml() -> None:
    """What is read is read whole: a hook is found in flow style too."""
    from simulated_aws import revisions

    text = "{version: 0.0, Resources: [{a: {Properties: {Name: shop}}}], Hooks: [{BeforeAllowTraffic: check}]}"
    assert revisions.hooks(text) == {"beforeallowtraffic": ["check"]}
    assert revisions.hooks(json.dumps({"Hooks": None})) == {}
