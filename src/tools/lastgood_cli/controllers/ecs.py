"""Services that ECS itself deploys, as the command looks at them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from lastgood.model import DeploymentGroup, RollbackPauses
from lastgood.settings import Settings
from lastgood_cli.checks import Check
from lastgood_cli.controllers.known import Described, Past
from lastgood_cli.readonly import ReadOnlySession

MOST_TIMED = 25
_PAUSE = "PAUSE"
_LONGEST_PAUSE = 1440
"""Minutes, where a hook does not say."""


def clusters(client: Any) -> Iterator[str]:
    """The names of all clusters."""
    for page in client.get_paginator("list_clusters").paginate():
        yield from (arn.rpartition("/")[2] for arn in page["clusterArns"])


def services(client: Any, cluster: str) -> Iterator[str]:
    """The names of a cluster's services."""
    for page in client.get_paginator("list_services").paginate(cluster=cluster):
        yield from (arn.rpartition("/")[2] for arn in page["serviceArns"])


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


# --- lifecycle hooks --------------------------------------------------------------------------------------------------


def checks(aws: ReadOnlySession, group: DeploymentGroup, settings: Settings) -> tuple[Check, ...]:
    """The service's lifecycle hooks, which hold a rollback's own deployment too; nothing where it has none."""
    cluster, service = group.application, group.deployment_group
    found = aws.client("ecs").describe_services(cluster=cluster, services=[service])["services"]
    hooks = ((found[0].get("deploymentConfiguration") or {}).get("lifecycleHooks") or []) if found else []
    if not hooks:
        return ()
    said = "; ".join(map(_said, hooks))
    pauses = any(each.get("targetType") == _PAUSE for each in hooks)
    return (Check("its lifecycle hooks are known", True, f"{said}.{_held(settings) if pauses else ''}"),)


def _said(hook: Described) -> str:
    """`PAUSE at PRE_SCALE_UP, ROLLBACK after 1440 min`, or a function's ARN with its stages."""
    stages = ", ".join(hook.get("lifecycleStages") or [])
    if hook.get("targetType") != _PAUSE:
        return f"{hook.get('hookTargetArn') or hook.get('targetType', 'a hook')} at {stages}"
    timeout = hook.get("timeoutConfiguration") or {}
    minutes = timeout.get("timeoutInMinutes", _LONGEST_PAUSE)
    return f"{_PAUSE} at {stages}, {timeout.get('action', 'ROLLBACK')} after {minutes} min"


def _held(settings: Settings) -> str:
    if settings.rollback_pauses is RollbackPauses.CONTINUE:
        return " A rollback that a pause holds is let go on (LASTGOOD_ROLLBACK_PAUSES)."
    return (
        " A rollback's own deployment waits there for somebody's word, and people are told at once. Without it a "
        "timeout with ROLLBACK brings the bad revision back."
    )
