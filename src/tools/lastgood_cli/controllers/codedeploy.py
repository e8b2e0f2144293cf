"""Deployment groups of CodeDeploy's, as the command looks at them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from lastgood.model import NATIVE_ROLLBACK_CREATOR, ComputePlatform, DeploymentGroup
from lastgood.settings import Settings
from lastgood_cli.controllers.known import Described, Past, gone
from lastgood_cli.expected import Advice, seconds_of, target_group_advice, way_back_advice
from lastgood_cli.lookout import Lookout
from lastgood_cli.readonly import ReadOnlySession
from lastgood_cli.replay import GroupHistory

MOST_LOOKED_BACK_AT = 500
MOST_TIMED = 25

# --- what there is ----------------------------------------------------------------------------------------------------


def applications(client: Any) -> Iterator[str]:
    """The names of all applications."""
    for page in client.get_paginator("list_applications").paginate():
        yield from page["applications"]


def groups(client: Any, application: str) -> Iterator[str]:
    """The names of an application's deployment groups."""
    for page in client.get_paginator("list_deployment_groups").paginate(applicationName=application):
        yield from page["deploymentGroups"]


# --- what the function must be allowed --------------------------------------------------------------------------------


def needed(group: DeploymentGroup, settings: Settings, here: str) -> Iterator[tuple[str, str]]:
    """What a rollback of a deployment group asks of CodeDeploy, whatever it deploys."""
    base = f"arn:{here.format('codedeploy')}"
    reads_and_creates = ("GetDeploymentGroup", "ListDeployments", "GetDeployment", "BatchGetDeployments")
    for action in (*reads_and_creates, "CreateDeployment"):
        yield f"codedeploy:{action}", f"{base}:deploymentgroup:{group.key}"
    if settings.override_alarms:
        yield "codedeploy:UpdateDeploymentGroup", f"{base}:deploymentgroup:{group.key}"
    yield "codedeploy:GetApplicationRevision", f"{base}:application:{group.application}"
    yield "codedeploy:GetDeploymentConfig", f"{base}:deploymentconfig:CodeDeployDefault.AllAtOnce"
    for action in ("StopDeployment", "ListDeploymentTargets", "BatchGetDeploymentTargets"):
        yield f"codedeploy:{action}", "*"


def beside(
    platforms: Collection[ComputePlatform], parameters: Mapping[str, str], arn: str
) -> tuple[tuple[str, str], ...]:
    """(action, resource) of what rollbacks on these compute platforms need beside CodeDeploy.

    `parameters` are the stack's: they say which functions, services, roles and buckets are meant. `arn` is the
    function's.
    """
    partition, region, account = arn.split(":")[1], arn.split(":")[3], arn.split(":")[4]
    here = f"{partition}:{{}}:{region}:{account}"
    found = [pair for platform in platforms if platform in _BESIDE for pair in _BESIDE[platform](parameters, here)]
    return tuple(dict.fromkeys(found))


def _beside_lambda(parameters: Mapping[str, str], here: str) -> Iterator[tuple[str, str]]:
    name = parameters.get("LambdaFunctionPattern", "*").replace("*", "any")
    for action in ("GetAlias", "GetFunctionConfiguration", "UpdateAlias"):
        yield f"lambda:{action}", f"arn:{here.format('lambda')}:function:{name}"
    yield from _appspecs(parameters)


def _beside_ecs(parameters: Mapping[str, str], here: str) -> Iterator[tuple[str, str]]:
    ecs = f"arn:{here.format('ecs')}"
    yield "ecs:DescribeServices", f"{ecs}:service/any/any"
    yield "ecs:DescribeTaskDefinition", "*"
    yield "ecs:ListTasks", "*"
    yield "ecs:DescribeTasks", f"{ecs}:task/any/any"
    yield "ecs:RegisterTaskDefinition", f"{ecs}:task-definition/any:1"
    yield from (("iam:PassRole", role) for role in _listed(parameters, "TaskRoleArns"))
    yield from (("ecr:DescribeImages", repository) for repository in _listed(parameters, "ImageRepositoryArns"))
    yield from _appspecs(parameters)


def _appspecs(parameters: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield from (("s3:GetObject", f"{bucket}/any") for bucket in _listed(parameters, "ArtifactBucketArns"))


_BESIDE = {ComputePlatform.LAMBDA: _beside_lambda, ComputePlatform.ECS: _beside_ecs}


def _listed(parameters: Mapping[str, str], name: str) -> list[str]:
    return [each.strip().replace("*", "any") for each in parameters.get(name, "").split(",") if each.strip()]


# --- how long deployments took ----------------------------------------------------------------------------------------


def past(aws: ReadOnlySession, group: DeploymentGroup, window: timedelta) -> Past:
    """The last deployments, those of them that were rollbacks, and what would save most."""
    codedeploy, names = aws.client("codedeploy"), _names(group)
    ids = codedeploy.list_deployments(**names, includeOnlyStatuses=["Succeeded"])["deployments"][:MOST_TIMED]
    found = codedeploy.batch_get_deployments(deploymentIds=ids)["deploymentsInfo"] if ids else []
    took, back = seconds_of(found), seconds_of(each for each in found if _went_back(each))
    told = codedeploy.get_deployment_group(**names)["deploymentGroupInfo"]
    advice = [*way_back_advice(told, window, took), *_target_groups(aws, told)]
    return Past(took, back, advice)


def _target_groups(aws: ReadOnlySession, told: Described) -> Iterator[Advice]:
    """What the target group of a fleet of servers would save: its instances leave it and come back."""
    servers = told.get("computePlatform") == ComputePlatform.SERVER
    named = (told.get("loadBalancerInfo") or {}).get("targetGroupInfoList") if servers else None
    if not named:
        return
    with suppress(ClientError):
        balancing = aws.client("elbv2")
        for each in balancing.describe_target_groups(Names=[each["name"] for each in named])["TargetGroups"]:
            found = balancing.describe_target_group_attributes(TargetGroupArn=each["TargetGroupArn"])["Attributes"]
            yield from target_group_advice({a["Key"]: a["Value"] for a in found}, each)


def _names(group: DeploymentGroup) -> dict[str, str]:
    return {"applicationName": group.application, "deploymentGroupName": group.deployment_group}


def _went_back(deployment: Described) -> bool:
    """Whether it was a rollback by AWS or by lastgood. The description is believed here: only a time depends on it."""
    described = str(deployment.get("description") or "")
    return deployment.get("creator") == NATIVE_ROLLBACK_CREATOR or described.startswith("lastgood rb-")


# --- what was deployed ------------------------------------------------------------------------------------------------


def history(eyes: Lookout, group: DeploymentGroup, since: datetime) -> tuple[GroupHistory, str]:
    """The group with its newest deployments since a time, and a note if there were more than are read."""
    deployer = eyes.observer.deployer_for(group, None)
    facts = deployer.facts()
    if facts is None:
        return gone(group)
    ids = _deployment_ids(eyes, group, since)
    more = f"{group.key} has {len(ids)} deployments since {since:%Y-%m-%d}; {MOST_LOOKED_BACK_AT} of them are read."
    # A second look, which knows the compute platform, so that each deployment costs no call for it.
    reader = eyes.observer.deployer_for(group, facts.compute_platform)
    found = eyes.pool.map(reader.deployment, ids[:MOST_LOOKED_BACK_AT])
    deployments = sorted((d for d in found if d), key=lambda d: d.created_at, reverse=True)
    return GroupHistory(facts, tuple(deployments)), more if len(ids) > MOST_LOOKED_BACK_AT else ""


def _deployment_ids(eyes: Lookout, group: DeploymentGroup, since: datetime) -> list[str]:
    pages = eyes.clients.codedeploy.get_paginator("list_deployments").paginate(
        applicationName=group.application,
        deploymentGroupName=group.deployment_group,
        createTimeRange={"start": since, "end": eyes.now},
    )
    return [each for page in pages for each in page.get("deployments", [])]
