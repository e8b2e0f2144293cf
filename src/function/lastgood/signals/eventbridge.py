"""What EventBridge brings: alarms, CodeDeploy's and ECS's deployments, stages of pipelines, and the schedule."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lastgood.model import DEPLOYMENT_ID, EXECUTION_ID, Controller, TriggerKind, parse_stage
from lastgood.signals.alarms import first_tags, stated_alarm
from lastgood.signals.fields import (
    ACCEPTED_SHAPES,
    ACCOUNT,
    REGION,
    Arn,
    check_home,
    group_name,
    guarded,
    ignore,
    kind_of,
    optional_text,
    parse_arn,
    reject,
)
from lastgood.signals.types import (
    Delivery,
    DeploymentSignal,
    Home,
    Results,
    ServiceDeploymentSignal,
    SweepSignal,
)
from lastgood.text import clean

# Services from before 2018 have ARNs without their cluster's name.
_ECS_SERVICE = re.compile(r"service/(?:[A-Za-z0-9_-]{1,255}/)?[A-Za-z0-9_-]{1,255}")
_ECS_DEPLOYMENT = re.compile(r"service-deployment/([A-Za-z0-9_-]{1,255}/[A-Za-z0-9_-]{1,255})/[A-Za-z0-9_-]{1,255}")
_DEPLOYMENT_STATES = frozenset({"START", "READY", "STOP", "FAILURE", "SUCCESS"})
# In CodeDeploy's words (user guide, "Monitoring CodePipeline events").
_STAGE_STATES = {
    "STARTED": "START",
    "RESUMED": "START",
    "SUCCEEDED": "SUCCESS",
    "FAILED": "FAILURE",
    "STOPPING": "STOP",
    "STOPPED": "STOP",
    "CANCELED": "STOP",
}
_SERVICE_DEPLOYMENT_EVENTS = frozenset(
    {"SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_DEPLOYMENT_COMPLETED", "SERVICE_DEPLOYMENT_FAILED"}
)
_HOOK = re.compile(r"HOOK_[A-Z_]{1,60}")


def read_eventbridge(event: dict[str, Any], delivery: Delivery) -> Results:
    source, detail_type = event.get("source"), event["detail-type"]
    named = isinstance(source, str) and isinstance(detail_type, str)
    reader = READERS.get((source, detail_type)) if named else None
    if reader is None:
        told = clean(detail_type, 100) if isinstance(detail_type, str) else kind_of(detail_type)
        ignore("other_event", f"EventBridge events of this kind are not read: {told}.", ACCEPTED_SHAPES)
    if not delivery.queued:
        delivery = replace(delivery, message_id=optional_text(event, "id", 100))
    return guarded(reader, event, delivery)


def _eventbridge_alarm(event: dict[str, Any], delivery: Delivery) -> Results:
    detail = _detail(event)
    kind = delivery.kind(TriggerKind.EVENTBRIDGE)
    tags = first_tags(detail, event)
    return (stated_alarm(detail, _first_resource(event), event.get("account"), tags, kind, delivery),)


def _eventbridge_contributor(event: dict[str, Any], delivery: Delivery) -> Results:
    """One time series of an alarm over many, even where the event does not say which."""
    return _eventbridge_alarm({**event, "detail": {"alarmContributor": {}, **_detail(event)}}, delivery)


def _codedeploy(event: dict[str, Any], delivery: Delivery) -> Results:
    detail = _detail(event)
    _check_place(event, delivery.home)
    deployment_id, state = detail.get("deploymentId"), detail.get("state")
    if not isinstance(deployment_id, str) or not DEPLOYMENT_ID.fullmatch(deployment_id):
        ignore("bad_field", "The event names no deployment (d- and nine letters or digits).")
    if not isinstance(state, str) or state not in _DEPLOYMENT_STATES:
        ignore("bad_state", "The event's deployment state is unknown.")
    return (
        DeploymentSignal(
            application=group_name(detail.get("application"), "application", ignore),
            deployment_group=group_name(detail.get("deploymentGroup"), "deploymentGroup", ignore),
            deployment_id=deployment_id,
            state=state,
        ),
    )


def _ecs(event: dict[str, Any], delivery: Delivery) -> Results:
    detail = _detail(event)
    arn = parse_arn(_first_resource(event), "ecs")
    if arn is None or not _ECS_SERVICE.fullmatch(arn.resource):
        ignore("bad_field", "The event's first resource is not the ARN of an ECS service.")
    check_home(arn, delivery.home)
    event_name = detail.get("eventName")
    if not isinstance(event_name, str) or event_name not in _SERVICE_DEPLOYMENT_EVENTS:
        ignore("bad_state", "The event's name is not one of a service deployment.")
    return (ServiceDeploymentSignal(str(arn), event_name),)


def _ecs_hook(event: dict[str, Any], delivery: Delivery) -> Results:
    """A lifecycle hook of ECS. The event's resources are undocumented: one names the service or its deployment."""
    detail, resources = _detail(event), event.get("resources")
    arns = [parse_arn(resource, "ecs") for resource in resources] if isinstance(resources, list) else []
    arn = next((arn for arn in arns if arn and _ECS_DEPLOYMENT.fullmatch(arn.resource)), None)
    arn = arn or next((arn for arn in arns if arn and _ECS_SERVICE.fullmatch(arn.resource)), None)
    if arn is None:
        ignore("bad_field", "None of the event's resources is the ARN of an ECS service or of its deployment.")
    check_home(arn, delivery.home)
    event_name = detail.get("eventName")
    if not isinstance(event_name, str) or not _HOOK.fullmatch(event_name):
        ignore("bad_state", "The event's name is not one of a lifecycle hook.")
    service = _ECS_DEPLOYMENT.sub(r"service/\1", arn.resource)
    return (ServiceDeploymentSignal(str(replace(arn, resource=service)), event_name),)


def _codepipeline(event: dict[str, Any], delivery: Delivery) -> Results:
    detail = _detail(event)
    _check_place(event, delivery.home)
    execution_id, state = detail.get("execution-id"), detail.get("state")
    if not isinstance(execution_id, str) or not EXECUTION_ID.fullmatch(execution_id):
        ignore("bad_field", "The event names no execution of a pipeline.")
    if not isinstance(state, str) or state not in _STAGE_STATES:
        ignore("bad_state", "The event's state of the stage is unknown.")
    try:
        group = parse_stage(f"{detail.get('pipeline')}/{detail.get('stage')}")
    except ValueError:
        ignore("bad_field", "The event names no pipeline and no stage of it.")
    return (
        DeploymentSignal(
            application=group.application,
            deployment_group=group.deployment_group,
            deployment_id=execution_id,
            state=_STAGE_STATES[state],
            controller=Controller.PIPELINE,
        ),
    )


def _schedule(event: dict[str, Any], delivery: Delivery) -> Results:
    return (SweepSignal(),)


def _detail(event: dict[str, Any]) -> dict[str, Any]:
    detail = event.get("detail")
    if not isinstance(detail, dict):
        reject("bad_field", f"The event's detail is {kind_of(detail)}, not an object.")
    return detail


def _first_resource(event: dict[str, Any]) -> object:
    resources = event.get("resources")
    return resources[0] if isinstance(resources, list) and resources else None


def _check_place(event: dict[str, Any], home: Home) -> None:
    account, region = optional_text(event, "account", 40), optional_text(event, "region", 40)
    if not (ACCOUNT.fullmatch(account) and REGION.fullmatch(region)):
        reject("bad_field", "The event's account and region are not those of AWS.")
    check_home(Arn("aws", "", region, account, ""), home)


READERS: dict[tuple[object, object], Callable[[dict[str, Any], Delivery], Results]] = {
    ("aws.cloudwatch", "CloudWatch Alarm State Change"): _eventbridge_alarm,
    ("aws.cloudwatch", "CloudWatch Alarm Contributor State Change"): _eventbridge_contributor,
    ("aws.codedeploy", "CodeDeploy Deployment State-change Notification"): _codedeploy,
    ("aws.ecs", "ECS Deployment State Change"): _ecs,
    ("aws.ecs", "ECS Hook State Change"): _ecs_hook,
    ("aws.codepipeline", "CodePipeline Stage Execution State Change"): _codepipeline,
    ("aws.events", "Scheduled Event"): _schedule,
    ("aws.scheduler", "Scheduled Event"): _schedule,
}
