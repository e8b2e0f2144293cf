"""Which content really serves, whatever it is called: the judge of the tests that release under moving names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from simulated_aws import Simulator, github_revision, lambda_appspec, s3_revision, simulated_aws

CANARY = "CodeDeployDefault.LambdaCanary10Percent5Minutes"
TAG = "123456789012.dkr.ecr.us-east-1.amazonaws.com/web:latest"


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with simulated_aws() as simulator:
        yield simulator


def box(image: str = TAG) -> list[dict[str, Any]]:
    return [{"name": "app", "image": image, "essential": True, "memory": 256, "portMappings": [{"containerPort": 80}]}]


def test_two_lambda_versions_with_the_same_code_are_one_content(sim: Simulator) -> None:
    sim.lambda_group("shop", "prod", versions=1)
    for memory in (256, 256, 512):
        sim.publish_version("shop", code="checkout 7", MemorySize=memory)
    second, third, fourth = (sim.content("shop", "prod", number) for number in (2, 3, 4))
    assert second == third != fourth
    told = boto3.client("lambda").get_function_configuration(FunctionName="shop", Qualifier="4")
    assert told["MemorySize"] == 512
    assert (
        told["CodeSha256"]
        == boto3.client("lambda").list_versions_by_function(FunctionName="shop")["Versions"][2]["CodeSha256"]
    )


def test_a_canary_serves_both_contents_and_the_bad_one_its_share(sim: Simulator) -> None:
    sim.lambda_group("shop", "prod", config=CANARY)
    bad = sim.release("shop", "prod", 2)
    sim.advance(60)
    sim.declare_bad(bad)
    assert sim.bad_share("shop", "prod") == pytest.approx(0.1)
    assert sum(sim.serving("shop", "prod").values()) == pytest.approx(1)


def test_each_function_of_a_group_is_judged_for_itself(sim: Simulator) -> None:
    sim.lambda_group("shop", "prod")
    sim.engine.lambda_world.create_function("cart", 2)
    sim.engine.lambda_world.create_alias("cart", "live", "1")
    bad = sim.release("shop", "prod", lambda_appspec("cart", "live", "1", "2"), settle=True)
    sim.declare_bad(bad)
    assert set(sim.serving_by_target("shop", "prod")) == {"shop:live", "cart:live"}
    assert sim.bad_share("shop", "prod") == 1


def test_a_bare_key_brings_what_lies_there_when_it_is_fetched(sim: Simulator) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="artifacts")
    sim.server_group("shop", "prod")
    s3.put_object(Bucket="artifacts", Key="app.zip", Body=b"good")
    good = sim.release("shop", "prod", s3_revision("artifacts", "app.zip"), settle=True)
    s3.put_object(Bucket="artifacts", Key="app.zip", Body=b"bad")
    assert sim.serving("shop", "prod") == {sim.content_of(good): 1}
    bad = sim.release("shop", "prod", s3_revision("artifacts", "app.zip"), settle=True)
    sim.declare_bad(bad)
    again = sim.release("shop", "prod", s3_revision("artifacts", "app.zip"), settle=True)
    assert sim.content_of(again) == sim.content_of(bad) != sim.content_of(good)
    assert sim.bad_share("shop", "prod") == 1


def test_a_version_of_an_object_brings_the_old_content_back(sim: Simulator) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="artifacts")
    s3.put_bucket_versioning(Bucket="artifacts", VersioningConfiguration={"Status": "Enabled"})
    sim.server_group("shop", "prod")
    first = s3.put_object(Bucket="artifacts", Key="app.zip", Body=b"good")["VersionId"]
    good = sim.release("shop", "prod", s3_revision("artifacts", "app.zip"), settle=True)
    sim.advance(3600)
    s3.put_object(Bucket="artifacts", Key="app.zip", Body=b"bad")
    sim.release("shop", "prod", s3_revision("artifacts", "app.zip"), settle=True)
    back = sim.release("shop", "prod", s3_revision("artifacts", "app.zip", version=first), settle=True)
    assert sim.content_of(back) == sim.content_of(good)
    versions = s3.list_object_versions(Bucket="artifacts", Prefix="app.zip")["Versions"]
    newest, oldest = (each["LastModified"] for each in versions)
    assert newest > oldest
    assert (sim.clock.now() - newest).total_seconds() < 600, "objects live by the simulated clock"


def test_a_branch_brings_the_commit_on_which_it_stands(sim: Simulator) -> None:
    sim.server_group("shop", "prod")
    sim.push_branch("acme/shop", "main", "a" * 40)
    good = sim.release("shop", "prod", github_revision("acme/shop", "main"), settle=True)
    sim.push_branch("acme/shop", "main", "b" * 40)
    bad = sim.release("shop", "prod", github_revision("acme/shop", "main"), settle=True)
    assert sim.content_of(good) == sim.content("shop", "prod", github_revision("acme/shop", "a" * 40))
    assert sim.content_of(bad) == sim.content("shop", "prod", github_revision("acme/shop", "b" * 40))


def test_an_appspec_that_was_written_over_changes_nothing_of_the_deployment_that_read_it(sim: Simulator) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="artifacts")
    sim.lambda_group("shop", "prod", config=CANARY)
    place = {"revisionType": "S3", "s3Location": {"bucket": "artifacts", "key": "a.json", "bundleType": "JSON"}}

    def write(version: str) -> None:
        text = lambda_appspec("shop", "live", "1", version)["appSpecContent"]["content"]
        s3.put_object(Bucket="artifacts", Key="a.json", Body=text.encode())

    write("2")
    sim.release("shop", "prod", place)
    sim.advance(60)
    write("3")
    sim.settle()
    assert sim.live("shop", "prod").target == "2"


def test_a_tag_that_moved_is_another_content_under_the_same_definition(sim: Simulator) -> None:
    sim.push_image(TAG, "good")
    sim.register_task_definition("web", containerDefinitions=box())
    sim.ecs_group("shop", "prod", task_definitions=0)
    before = sim.serving("shop", "prod")
    sim.push_image(TAG, "bad")
    assert sim.serving("shop", "prod") == before, "what runs keeps its digest"
    bad = sim.release("shop", "prod", 1, settle=True)
    sim.declare_bad(bad)
    assert sim.serving("shop", "prod") != before
    assert sim.bad_share("shop", "prod") == 1


def test_tasks_and_service_revisions_tell_the_digest_that_was_resolved(sim: Simulator) -> None:
    good = sim.push_image(TAG, "good")
    sim.register_task_definition("web", containerDefinitions=box())
    owner = sim.rolling_service(task_definitions=0)
    bad = sim.push_image(TAG, "bad")
    sim.release_service("main", "web", "web:1", settle=True)
    ecs = boto3.client("ecs")
    arns = ecs.list_tasks(cluster="main", serviceName="web")["taskArns"]
    tasks = ecs.describe_tasks(cluster="main", tasks=arns)["tasks"]
    assert {each["containers"][0]["imageDigest"] for each in tasks} == {bad}
    names = [ecs_arn(sim, owner, key) for key in owner.revisions]
    told = ecs.describe_service_revisions(serviceRevisionArns=names)["serviceRevisions"]
    assert [each["containerImages"][0]["imageDigest"] for each in told] == [good, bad]


def ecs_arn(sim: Simulator, owner: Any, revision: str) -> str:
    return sim.engine.ecs_world.arn(f"service-revision/{owner.service.cluster}/{owner.service.name}/{revision}")


def test_ecs_own_stop_brings_back_the_digest_that_ran_before(sim: Simulator) -> None:
    sim.push_image(TAG, "good")
    sim.register_task_definition("web", containerDefinitions=box())
    owner = sim.rolling_service(task_definitions=0)
    before = sim.serving("main", "web")
    sim.push_image(TAG, "bad")
    made = sim.release_service("main", "web", "web:1")
    sim.advance(25)
    sim.declare_bad(made)
    assert 0 < sim.bad_share("main", "web") < 1
    sim.engine.service_deployments.stop(owner.deployments[-1], "ROLLBACK")
    sim.settle()
    assert sim.serving("main", "web") == before


def test_an_image_that_was_deleted_cannot_be_started(sim: Simulator) -> None:
    sim.ecs_group("shop", "prod")
    image = sim.engine.ecs_world.task_definition("web:2").content["containerDefinitions"][0]["image"]
    sim.delete_image(image)
    failed = sim.release("shop", "prod", 2, settle=True)
    assert sim.deployment(failed)["errorInformation"]["code"] == "ECS_UPDATE_ERROR"
    ecr, repository = boto3.client("ecr"), "web"
    with pytest.raises(ecr.exceptions.ImageNotFoundException):
        ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "2"}])
    assert ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "1"}])["images"]


def test_the_network_of_an_appspec_takes_effect_and_one_without_it_takes_it_away(sim: Simulator) -> None:
    sim.ecs_group("shop", "prod")

    def appspec(**more: Any) -> dict[str, Any]:
        arn = sim.engine.ecs_world.arn("task-definition/web:2")
        balancer = {"ContainerName": "app", "ContainerPort": 80}
        properties = {"TaskDefinition": arn, "LoadBalancerInfo": balancer, **more}
        service = {"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}
        content = json.dumps({"version": 0.0, "Resources": [service]})
        return {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}}

    network = {"AwsvpcConfiguration": {"Subnets": ["subnet-1"], "SecurityGroups": ["sg-1"]}}
    sim.release("shop", "prod", appspec(NetworkConfiguration=network), settle=True)
    with_network = sim.serving("shop", "prod")
    [task_set] = [
        each
        for each in boto3.client("ecs").describe_services(cluster="main", services=["web"])["services"][0]["taskSets"]
        if each["status"] == "PRIMARY"
    ]
    assert task_set["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"] == ["sg-1"]
    sim.release("shop", "prod", appspec(), settle=True)
    assert sim.serving("shop", "prod") != with_network


def test_a_release_moves_a_tag_that_is_the_same_for_every_release_as_a_pipeline_does(sim: Simulator) -> None:
    """An image that a test pushed itself stays, and so does a tag that names one release."""
    sim.register_task_definition("web", containerDefinitions=box())
    sim.register_task_definition("web", containerDefinitions=box(TAG.replace("latest", "v2")))
    sim.rolling_service(task_definitions=0)

    def released(number: int) -> str:
        return sim.content_of(sim.release_service("main", "web", f"web:{number}", settle=True))

    assert released(1) != released(1)
    assert released(2) == released(2)
    sim.push_image(TAG, "this one")
    assert released(1) == released(1)
