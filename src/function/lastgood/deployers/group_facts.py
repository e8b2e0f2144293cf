"""A CodeDeploy deployment group, from its own description or from its newest deployments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lastgood.errors import RefusedError
from lastgood.model import ComputePlatform, GroupFacts
from lastgood.text import clean


def platform_of(info: Mapping[str, Any]) -> ComputePlatform:
    """The platform of a `DeploymentGroupInfo` or a `DeploymentInfo`. Raises RefusedError for an unknown one."""
    named = str(info.get("computePlatform") or ComputePlatform.SERVER)
    if named not in set(ComputePlatform):
        told = f"CodeDeploy deploys to {clean(named, 40)} here, a compute platform that this version does not know"
        raise RefusedError("get_deployment_group", "UnknownComputePlatform", told)
    return ComputePlatform(named)


def _is_blue_green(info: Mapping[str, Any]) -> bool:
    return (info.get("deploymentStyle") or {}).get("deploymentType") == "BLUE_GREEN"


def facts_in_place(newest_first: Sequence[Mapping[str, Any]]) -> GroupFacts | None:
    """The group as its newest deployments show it; None where they do not show everything that matters.

    A deployment in place moves no traffic, so only CodeDeploy's own rollback would need more facts.
    """
    if not newest_first or _is_blue_green(newest_first[0]):
        return None
    newest = newest_first[0]
    if platform_of(newest) is not ComputePlatform.SERVER:
        return None
    succeeded = next((d for d in newest_first if d.get("status") == "Succeeded"), {})
    return GroupFacts(
        compute_platform=ComputePlatform.SERVER,
        last_attempted_id=newest["deploymentId"],
        last_attempted_status=newest.get("status", ""),
        last_successful_id=succeeded.get("deploymentId", ""),
        by_list=True,
    )


def facts_of(info: Mapping[str, Any]) -> GroupFacts:
    """The group as `GetDeploymentGroup` describes it."""
    attempted, succeeded = info.get("lastAttemptedDeployment") or {}, info.get("lastSuccessfulDeployment") or {}
    service = (info.get("ecsServices") or [{}])[0]
    alarms = (info.get("alarmConfiguration") or {}).get("alarms") or []
    blue_green = info.get("blueGreenDeploymentConfiguration") or {}
    green = (blue_green.get("greenFleetProvisioningOption") or {}).get("action")
    blue = (blue_green.get("terminateBlueInstancesOnDeploymentSuccess") or {}).get("action")
    return GroupFacts(
        compute_platform=platform_of(info),
        last_attempted_id=attempted.get("deploymentId", ""),
        last_attempted_status=attempted.get("status", ""),
        last_successful_id=succeeded.get("deploymentId", ""),
        blue_green=_is_blue_green(info),
        alarm_names=tuple(a.get("name", "") for a in alarms),
        ecs_cluster=service.get("clusterName", ""),
        ecs_service=service.get("serviceName", ""),
        names_instances=_is_blue_green(info) and green == "DISCOVER_EXISTING",
        ends_originals=blue == "TERMINATE",
        own_instances=_own_instances(info),
    )


def _own_instances(info: Mapping[str, Any]) -> dict[str, Any]:
    """The group's own instances as `targetInstances`, where tag filters and tag sets exclude each other."""
    scaling = [group["name"] for group in info.get("autoScalingGroups") or () if group.get("name")]
    tags = {"ec2TagSet": info["ec2TagSet"]} if info.get("ec2TagSet") else {}
    tags = tags or ({"tagFilters": info["ec2TagFilters"]} if info.get("ec2TagFilters") else {})
    return tags | ({"autoScalingGroups": scaling} if scaling else {})
