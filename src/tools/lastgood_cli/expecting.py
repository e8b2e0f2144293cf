"""Reads what tells how long an incident would take: alarms, past deployments, target groups. `expected` computes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError

from lastgood.model import NATIVE_ROLLBACK_CREATOR, Controller, DeploymentGroup
from lastgood_cli.expected import (
    Advice,
    Expected,
    alarm_advice,
    detection,
    expected,
    redeployment,
    seconds_of,
    target_group_advice,
    way_back_advice,
)
from lastgood_cli.names import group_names
from lastgood_cli.readonly import ReadOnlySession

MOST_DEPLOYMENTS = 25
Described = Mapping[str, Any]


class Expecting:
    """How long incidents would take, in one account. What may not be read is left out."""

    def __init__(self, aws: ReadOnlySession, attribution_window: timedelta) -> None:
        self._aws = aws
        self._window = attribution_window

    def of(self, group: DeploymentGroup, alarms: Sequence[Described] = ()) -> Expected:
        """What is to be expected of a group. `alarms` are those that lead to it, in AWS's shape; the slowest counts."""
        slowest = max(alarms, key=lambda alarm: detection(alarm).most, default=None)
        first = [detection(slowest)] if slowest else []
        advice = list(alarm_advice(slowest)) if slowest else []
        with suppress(ClientError):
            match group.controller:
                case Controller.CODE_DEPLOY:
                    past, back = self._codedeploy_seconds(group)
                    advice += self._codedeploy_advice(group, past)
                case Controller.ECS:
                    past, back = self._service_seconds(group), []
                case Controller.PIPELINE:
                    past, back = self._stage_seconds(group), []
            return expected([*first, redeployment(past, back)], advice)
        return expected(first, advice)

    def _codedeploy_seconds(self, group: DeploymentGroup) -> tuple[list[float], list[float]]:
        """How long the last deployments took, and how long those that were rollbacks."""
        codedeploy, names = self._aws.client("codedeploy"), _names(group)
        ids = codedeploy.list_deployments(**names, includeOnlyStatuses=["Succeeded"])["deployments"][:MOST_DEPLOYMENTS]
        found = codedeploy.batch_get_deployments(deploymentIds=ids)["deploymentsInfo"] if ids else []
        return seconds_of(found), seconds_of(each for each in found if _went_back(each))

    def _codedeploy_advice(self, group: DeploymentGroup, past: Sequence[float]) -> Iterator[Advice]:
        told = self._aws.client("codedeploy").get_deployment_group(**_names(group))["deploymentGroupInfo"]
        yield from way_back_advice(told, self._window, past)
        if told.get("computePlatform") == "Server":
            yield from self._target_groups(told)

    def _target_groups(self, told: Described) -> Iterator[Advice]:
        """What the target group of a fleet would save: its instances leave it and come back."""
        named = [each["name"] for each in (told.get("loadBalancerInfo") or {}).get("targetGroupInfoList") or []]
        if not named:
            return
        with suppress(ClientError):
            balancing = self._aws.client("elbv2")
            for each in balancing.describe_target_groups(Names=named)["TargetGroups"]:
                found = balancing.describe_target_group_attributes(TargetGroupArn=each["TargetGroupArn"])["Attributes"]
                yield from target_group_advice({a["Key"]: a["Value"] for a in found}, each)

    def _service_seconds(self, group: DeploymentGroup) -> list[float]:
        cluster, service = group_names(group)
        found = self._aws.client("ecs").list_service_deployments(
            cluster=cluster, service=service, status=["SUCCESSFUL"], maxResults=MOST_DEPLOYMENTS
        )["serviceDeployments"]
        both = ((each.get("startedAt"), each.get("finishedAt")) for each in found)
        return [(finished - started).total_seconds() for started, finished in both if started and finished]

    def _stage_seconds(self, group: DeploymentGroup) -> list[float]:
        """How long the stage took, with all its actions, in the newest executions in which they all succeeded."""
        pipeline, stage = group_names(group)
        listed = self._aws.client("codepipeline").list_action_executions(pipelineName=pipeline, maxResults=100)
        runs: dict[str, list[Described]] = {}
        for action in listed["actionExecutionDetails"]:
            if action["stageName"] == stage:
                runs.setdefault(action["pipelineExecutionId"], []).append(action)
        well = (run for run in runs.values() if all(action["status"] == "Succeeded" for action in run))
        return [(max(a["lastUpdateTime"] for a in r) - min(a["startTime"] for a in r)).total_seconds() for r in well]


def _names(group: DeploymentGroup) -> dict[str, str]:
    application, deployment_group = group_names(group)
    return {"applicationName": application, "deploymentGroupName": deployment_group}


def _went_back(deployment: Described) -> bool:
    """A rollback by AWS or by lastgood, as far as a description can be believed: here it only tells a time."""
    described = str(deployment.get("description") or "")
    return deployment.get("creator") == NATIVE_ROLLBACK_CREATOR or described.startswith("lastgood rb-")
