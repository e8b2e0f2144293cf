"""What CodeDeploy knows, in the shapes of its answers."""

from __future__ import annotations

from typing import Any

from simulated_aws.codedeploy import revisions
from simulated_aws.codedeploy.model import Application, Deployment, DeploymentGroup, RegisteredRevision

Answer = dict[str, Any]


def answer(**members: Any) -> Answer:
    """The members that are there."""
    return {name: value for name, value in members.items() if value is not None}


def deployment_info(deployment: Deployment) -> Answer:
    """A `DeploymentInfo`."""
    request, group = deployment.request, deployment.group
    settings = group.settings
    blue_green = settings.get("deploymentStyle", {}).get("deploymentType") == "BLUE_GREEN"
    over = deployment.terminal
    return answer(
        applicationName=group.application.name,
        deploymentGroupName=group.name,
        deploymentConfigName=deployment.config,
        deploymentId=deployment.id,
        previousRevision=revisions.without_content(deployment.previous_revision),
        revision=revisions.without_content(deployment.revision),
        status=deployment.status,
        errorInformation=_error(deployment),
        createTime=deployment.created_at,
        startTime=deployment.started_at,
        completeTime=deployment.completed_at,
        # ECS and Lambda have no overview until the deployment is over (OBS: raw CLI output of an ECS canary).
        deploymentOverview=(deployment.overview or None) if over or group.platform == "Server" else None,
        description=request.get("description") or None,
        creator=deployment.creator,
        ignoreApplicationStopFailures=request.get("ignoreApplicationStopFailures", False),
        autoRollbackConfiguration=request.get("autoRollbackConfiguration", settings.get("autoRollbackConfiguration")),
        updateOutdatedInstancesOnly=request.get("updateOutdatedInstancesOnly", False),
        rollbackInfo=dict(deployment.rollback_info) or None,
        deploymentStyle=settings.get("deploymentStyle") or _default_style(group),
        instanceTerminationWaitTimeStarted=deployment.terminating,
        blueGreenDeploymentConfiguration=settings.get("blueGreenDeploymentConfiguration") if blue_green else None,
        loadBalancerInfo=settings.get("loadBalancerInfo"),
        fileExistsBehavior=request.get("fileExistsBehavior", "DISALLOW"),
        deploymentMode=request.get("deploymentMode"),
        deploymentStatusMessages=[],
        computePlatform=group.platform,
        externalId=deployment.external_id or None,
        relatedDeployments=deployment.related or None,
        overrideAlarmConfiguration=request.get("overrideAlarmConfiguration"),
        targetInstances=request.get("targetInstances"),
        ec2DeploymentOptions=request.get("ec2DeploymentOptions", settings.get("ec2DeploymentOptions")),
    )


def _error(deployment: Deployment) -> Answer | None:
    return {"code": deployment.error[0], "message": deployment.error[1]} if deployment.error else None


def _default_style(group: DeploymentGroup) -> Answer:
    if group.platform == "Server":
        return {"deploymentType": "IN_PLACE", "deploymentOption": "WITHOUT_TRAFFIC_CONTROL"}
    return {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"}


_GROUP_SETTINGS = (
    "deploymentConfigName",
    "ec2TagFilters",
    "onPremisesInstanceTagFilters",
    "serviceRoleArn",
    "triggerConfigurations",
    "alarmConfiguration",
    "autoRollbackConfiguration",
    "outdatedInstancesStrategy",
    "blueGreenDeploymentConfiguration",
    "loadBalancerInfo",
    "ec2TagSet",
    "onPremisesTagSet",
    "ecsServices",
    "ec2DeploymentOptions",
    "terminationHookEnabled",
)


def group_info(group: DeploymentGroup) -> Answer:
    """A `DeploymentGroupInfo`."""
    last, attempted = group.last_successful, group.last_attempted
    named = {name: group.settings[name] for name in _GROUP_SETTINGS if name in group.settings}
    return named | answer(
        applicationName=group.application.name,
        deploymentGroupId=group.id,
        deploymentGroupName=group.name,
        autoScalingGroups=[{"name": name} for name in group.settings.get("autoScalingGroups", [])],
        deploymentStyle=group.settings.get("deploymentStyle") or _default_style(group),
        targetRevision=revisions.without_content(attempted.revision) if attempted else None,
        lastSuccessfulDeployment=_last(last),
        lastAttemptedDeployment=_last(attempted),
        computePlatform=group.platform,
    )


def _last(deployment: Deployment | None) -> Answer | None:
    if deployment is None:
        return None
    return answer(
        deploymentId=deployment.id,
        status=deployment.status,
        createTime=deployment.created_at,
        endTime=deployment.completed_at,
    )


def application_info(application: Application) -> Answer:
    """An `ApplicationInfo`."""
    return {
        "applicationId": application.id,
        "applicationName": application.name,
        "createTime": application.created_at,
        "linkedToGitHub": False,
        "computePlatform": application.compute_platform,
    }


def revision_info(known: RegisteredRevision) -> Answer:
    """A `GenericRevisionInfo`."""
    return answer(
        description=known.description or None,
        deploymentGroups=list(known.groups),
        firstUsedTime=known.first_used_at,
        lastUsedTime=known.last_used_at,
        registerTime=known.registered_at,
    )
