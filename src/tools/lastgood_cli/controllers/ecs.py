"""Services that ECS itself deploys, as the command looks at them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from lastgood.model import DeploymentGroup
from lastgood.settings import Settings
from lastgood_cli.controllers.known import Past
from lastgood_cli.readonly import ReadOnlySession

MOST_TIMED = 25


def needed(group: DeploymentGroup, settings: Settings, here: str) -> Iterator[tuple[str, str]]:
    """What a rollback of a service asks of ECS."""
    base, name = f"arn:{here.format('ecs')}", group.place
    for action in ("DescribeServices", "ListServiceDeployments", "UpdateExpressGatewayService", "UpdateService"):
        yield f"ecs:{action}", f"{base}:service/{name}"
    for action in ("ContinueServiceDeployment", "DescribeServiceDeployments", "StopServiceDeployment"):
        yield f"ecs:{action}", f"{base}:service-deployment/{name}/any"
    yield "ecs:DescribeServiceRevisions", f"{base}:service-revision/{name}/any"
    yield "ecs:DescribeTaskDefinition", "*"


def past(aws: ReadOnlySession, group: DeploymentGroup, window: timedelta) -> Past:
    """The last service deployments that succeeded."""
    found = aws.client("ecs").list_service_deployments(
        cluster=group.application, service=group.deployment_group, status=["SUCCESSFUL"], maxResults=MOST_TIMED
    )["serviceDeployments"]
    both = ((each.get("startedAt"), each.get("finishedAt")) for each in found)
    return Past([(finished - started).total_seconds() for started, finished in both if started and finished])
