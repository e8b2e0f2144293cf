"""What the simulator plays beside deployments reaches clients over HTTP too, and is asked for by its commands."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from simulated_aws import Server


def command(server: Server, what: str, **parameters: Any) -> Any:
    body = json.dumps({"command": what, **parameters}).encode()
    url, headers = f"{server.url}/moto-api/codedeploy", {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
        return json.loads(answer.read())["result"]


def test_a_stack_is_made_and_updated_over_http(server: Server) -> None:
    command(server, "lambda_group", application="stacked", group="prod", function="stacked")
    command(server, "stack", name="app", application="stacked", group="prod")
    command(server, "update_stack", name="app", revision="2", settle=True)
    cloudformation = server.client("cloudformation")
    assert cloudformation.describe_stacks(StackName="app")["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE"
    alias = "arn:aws:lambda:us-east-1:123456789012:function:stacked:live"
    [first, *_] = cloudformation.describe_stack_resources(PhysicalResourceId=alias)["StackResources"]
    assert first["StackName"] == "app"
    assert command(server, "live", application="stacked", group="prod")["target"] == "2"


def test_mishaps_and_the_judge_over_http(server: Server) -> None:
    command(server, "lambda_group", application="judged", group="prod", function="judged")
    command(server, "release", application="judged", group="prod", revision=2, settle=True)
    command(server, "native_rollbacks", application="judged", group="prod", fail=["THROTTLED", "Rate exceeded"])
    suspect = command(
        server,
        "release",
        application="judged",
        group="prod",
        revision=3,
        deploymentConfigName="CodeDeployDefault.LambdaCanary10Percent5Minutes",
    )
    command(server, "advance", seconds=60)
    server.client("codedeploy").stop_deployment(deploymentId=suspect, autoRollbackEnabled=True)
    command(server, "settle")
    bad = command(server, "content_of", deployment_id=suspect)
    assert command(server, "serving", application="judged", group="prod")[bad] == 0.1
    command(server, "declare_bad", deployment_ids=[suspect])
    assert command(server, "bad_share", application="judged", group="prod") == 0.1


def test_tasks_and_images_are_made_and_read_over_http(server: Server) -> None:
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/served:latest"
    digest = command(server, "push_image", image=image, content="one")
    box = {"name": "app", "image": image, "essential": True}
    command(server, "register_task_definition", family="served", containerDefinitions=[box])
    command(server, "rolling_service", cluster="c", service="served", family="served", task_definitions=0)
    ecs = server.client("ecs")
    arns = ecs.list_tasks(cluster="c", serviceName="served")["taskArns"]
    told = ecs.describe_tasks(cluster="c", tasks=arns)["tasks"]
    assert {each["containers"][0]["imageDigest"] for each in told} == {digest}
    ecr = server.client("ecr")
    found = ecr.describe_images(repositoryName="served", imageIds=[{"imageTag": "latest"}])["imageDetails"]
    assert found[0]["imageDigest"] == digest
