"""What this botocore knows of AWS: it comes with the runtime, and an older one lacks newer operations and fields.

What is needed is listed here, and a test compares the list with the calls in the code. Nothing is looked up while an
alarm waits: `health` and the daily drill ask.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import botocore

# By the attribute of `Clients`: each operation, and the members of its request that lastgood cannot do without.
NEEDED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "codedeploy": {
        "BatchGetDeploymentGroups": (),
        "BatchGetDeploymentTargets": (),
        "BatchGetDeployments": (),
        "ContinueDeployment": ("deploymentWaitType",),
        "CreateDeployment": ("fileExistsBehavior", "overrideAlarmConfiguration"),
        "GetApplicationRevision": (),
        "GetDeployment": (),
        "GetDeploymentConfig": (),
        "GetDeploymentGroup": (),
        "ListApplications": (),
        "ListDeploymentGroups": (),
        "ListDeploymentTargets": (),
        "ListDeployments": (),
        "StopDeployment": ("autoRollbackEnabled",),
    },
    "dynamodb": {"GetItem": (), "PutItem": (), "Query": (), "TransactWriteItems": (), "UpdateItem": ()},
    "cloudwatch": {
        "DescribeAlarmContributors": (),
        "DescribeAlarmHistory": ("AlarmContributorId",),
        "DescribeAlarms": (),
        "GetMetricData": (),
        "ListTagsForResource": (),
    },
    "lambda_": {"GetAlias": (), "GetFunctionConfiguration": (), "UpdateAlias": ("RoutingConfig",)},
    "ecs": {
        "ContinueServiceDeployment": ("action", "hookId"),
        "DescribeServiceDeployments": (),
        "DescribeServiceRevisions": (),
        "DescribeServices": (),
        "DescribeTaskDefinition": (),
        "DescribeTasks": (),
        "ListServiceDeployments": (),
        "ListTasks": ("startedBy",),
        "RegisterTaskDefinition": (),
        "StopServiceDeployment": ("stopType",),
        "UpdateExpressGatewayService": ("taskDefinitionArn",),
        "UpdateService": (),
    },
    "ecr": {"DescribeImages": ()},
    "s3": {"GetObject": (), "GetObjectTagging": (), "HeadObject": (), "ListObjectVersions": ()},
    "codepipeline": {
        "DisableStageTransition": (),
        "EnableStageTransition": (),
        "GetPipeline": (),
        "GetPipelineExecution": (),
        "GetPipelineState": (),
        "ListActionExecutions": (),
        "ListPipelineExecutions": ("filter",),
        "RollbackStage": (),
        "StartPipelineExecution": ("sourceRevisions",),
        "StopPipelineExecution": (),
    },
    "cloudformation": {
        "CancelUpdateStack": (),
        "DescribeStackResources": ("PhysicalResourceId",),
        "DescribeStacks": (),
        "ListStackResources": (),
    },
    "sns": {"ListSubscriptionsByTopic": (), "Publish": ()},
    "events": {"PutEvents": ()},
}
# What AWS added to answers and values later: without it nothing fails, but something is not seen. By the attribute of
# `Clients` and the shape: a member or a value of it, and the effect of an older botocore.
FEATURES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "cloudwatch": {
        "AlarmType": {"LogAlarm": "a log alarm is taken for one that does not exist, and commands nothing"},
    },
    "codedeploy": {
        "DeploymentInfo": {
            "ec2DeploymentOptions": "a rollback leaves the Auto Scaling processes running that its release suspended",
            "overrideAlarmConfiguration": "it is not seen whether a deployment switched its group's alarms off",
        },
    },
    "ecs": {
        "DeploymentLifecycleHookAction": {"ROLLBACK": "a deployment that a hook pauses cannot be answered"},
        "Service": {"resourceManagementType": "a service in Express Mode is taken for a plain one"},
        "ServiceDeployment": {"lifecycleHookDetails": "it is not seen that a hook pauses a deployment"},
        "StopServiceDeploymentStopType": {"ROLLBACK": "a service deployment cannot be stopped"},
    },
}
UNKNOWN_MEMBERS = "MembersThatBotocoreDoesNotKnow"


def missing(clients: Any) -> list[str]:
    """What this botocore lacks, as sentences; empty if nothing. Loads the models of services not used so far."""
    lacking = [name for service, needed in NEEDED.items() for name in _lacking(getattr(clients, service), needed)]
    return [f"botocore {botocore.__version__} does not know {name}: what needs it is refused." for name in lacking]


def unseen(clients: Any) -> list[str]:
    """What this botocore does not see, as sentences; empty if nothing."""
    return [
        f"botocore {botocore.__version__} does not know {model.service_name} {shape} {name}: {effect}."
        for service, shapes in FEATURES.items()
        if (model := getattr(clients, service).meta.service_model)
        for shape, names in shapes.items()
        for name, effect in names.items()
        if name not in _names(model, shape)
    ]


def _names(model: Any, shape: str) -> Collection[str]:
    """The members of a structure, or the values of an enumeration; none for an unknown shape."""
    if shape not in model.shape_names:
        return ()
    described = model.shape_for(shape)
    return list(described.members if described.type_name == "structure" else described.enum)


def _lacking(client: Any, needed: Mapping[str, Iterable[str]]) -> Iterator[str]:
    model = client.meta.service_model
    for operation, members in needed.items():
        if operation not in model.operation_names:
            yield f"{model.service_name} {operation}"
        else:
            known = model.operation_model(operation).input_shape.members
            yield from (f"{model.service_name} {operation}.{name}" for name in members if name not in known)


def tell_unknown_members(client: Any, operation: str) -> None:
    """Have the answers of an operation name, from now on, the members that AWS sent and botocore dropped."""
    event = f"after-call.{client.meta.service_model.service_name}.{operation}"
    client.meta.events.register(event, _note_unknown, unique_id=f"lastgood-{operation}")


def _note_unknown(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
    if http_response.status_code >= 300:
        return
    try:
        sent = json.loads(http_response.content)
    except ValueError:
        return
    if unknown := sorted(set(_unknown(sent, parsed, ""))):
        parsed[UNKNOWN_MEMBERS] = unknown


def _unknown(sent: Any, parsed: Any, path: str) -> Iterator[str]:
    """The paths of the values in the raw answer that the parsed one lacks, except empty values."""
    if isinstance(sent, dict) and isinstance(parsed, dict):
        for name, value in sent.items():
            if name in parsed:
                yield from _unknown(value, parsed[name], f"{path}.{name}" if path else name)
            elif value not in (None, "", [], {}):
                yield f"{path}.{name}" if path else name
    elif isinstance(sent, list) and isinstance(parsed, list):
        for one, other in zip(sent, parsed, strict=False):
            yield from _unknown(one, other, path)
