"""MiniStack, mended where it is unlike AWS on the way of an alarm. Runs in the environment of requirements/e2e.txt.

1. SNS and EventBridge hand their events to Lambda's asynchronous invocation, which tries again and uses the dead-letter
   queue. MiniStack calls the function once and forgets.
2. A dead-letter queue gets the bare event, with the error in its attributes. MiniStack sends it wrapped.
3. CloudFormation keeps a function's DeadLetterConfig. MiniStack drops it silently.
4. An alarm's message has AWS's shape, and an alarm looks only at its own dimensions.
5. PutEvents takes the source aws.codedeploy, so that a simulator can be CodeDeploy.
6. IAM knows of a request what AWS knows: which alarm's tags are read, the source of an event, and the role of a
   session, which `aws:PrincipalArn` names. What comes over loopback counts as TLS, because the topics' policies refuse
   anything else.
7. CloudFormation works out Select, Split and Sub inside of conditions. MiniStack takes them as they are written.

These are private names of MiniStack: another version is refused, so that an upgrade is a decision.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import boto3
from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region, new_uuid
from ministack.services import cloudwatch, eventbridge, lambda_svc, sns
from ministack.services.cloudformation import changesets, engine, handlers, provisioners, stacks

VERSION = "1.5.33"
ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
STATISTICS = {
    "Average": "AVERAGE",
    "Sum": "SUM",
    "Minimum": "MINIMUM",
    "Maximum": "MAXIMUM",
    "SampleCount": "SAMPLE_COUNT",
}
# CloudWatch writes the region's name, not its code, into an alarm's message.
REGION_NAMES = {"us-east-1": "US East (N. Virginia)"}


def own(service: str) -> Any:
    """A client of this very emulator: what AWS has an operation for goes through that operation."""
    connect: Any = boto3.client
    return connect(service, endpoint_url=f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}")


# --- 1. asynchronous invocation ---------------------------------------------------------------------------------------


def sns_to_lambda(endpoint: str, envelope: str, topic_arn: str, subscription_arn: str, *_: object) -> None:
    """A notification becomes an event: two keys are spelled differently, two are always there."""
    body = {"Subject": None, "MessageAttributes": {}, **json.loads(envelope)}
    body["SigningCertUrl"], body["UnsubscribeUrl"] = body.pop("SigningCertURL", ""), body.pop("UnsubscribeURL", "")
    record = {"EventVersion": "1.0", "EventSubscriptionArn": subscription_arn, "EventSource": "aws:sns", "Sns": body}
    invoke(endpoint, json.dumps({"Records": [record]}))


def invoke(function_arn: str, payload: str) -> None:
    """Queue an event for a function, as `InvocationType=Event` does."""
    function, config, _ = lambda_svc._get_func_record_for_ref(function_arn)
    if function and config:
        record = lambda_svc._execution_record_for_config(function, config)
        lambda_svc.invoke_async_with_retry(record, json.loads(payload))


# --- 2. and 3. the dead-letter queue ----------------------------------------------------------------------------------


def dead_letter(
    route: Callable[..., None], target_arn: str, function: str, event: dict[str, Any], result: dict[str, Any]
) -> None:
    """The third failure: only a destination gets the envelope that MiniStack writes."""
    config = lambda_svc._functions[function]["config"]
    queue = target_arn.split(":")
    if (config.get("DeadLetterConfig") or {}).get("TargetArn") != target_arn or queue[2] != "sqs":
        route(target_arn, function, event, result)
        return
    error = result["body"] if isinstance(result.get("body"), dict) else {}
    sqs = own("sqs")
    sqs.send_message(
        QueueUrl=sqs.get_queue_url(QueueName=queue[-1])["QueueUrl"],
        MessageBody=json.dumps(event),
        MessageAttributes={
            "RequestID": {"DataType": "String", "StringValue": new_uuid()},
            "ErrorCode": {"DataType": "Number", "StringValue": "200"},
            "ErrorMessage": {"DataType": "String", "StringValue": (error.get("errorMessage") or "error")[:1024]},
        },
    )


def create_function(create: Callable[..., Any], logical_id: str, properties: dict[str, Any], stack: str) -> Any:
    """AWS::Lambda::Function with its DeadLetterConfig. An update leaves what is there."""
    name, attributes = create(logical_id, properties, stack)
    lambda_svc._functions[name]["config"]["DeadLetterConfig"] = properties.get("DeadLetterConfig", {})
    return name, attributes


# --- 4. alarms --------------------------------------------------------------------------------------------------------


def act_on_alarm(alarm: dict[str, Any], old_state: str, new_state: str, reason: str) -> None:
    """Publish to the topics among the actions of the new state."""
    if not alarm.get("ActionsEnabled", True):
        return
    message = json.dumps(alarm_message(alarm, old_state, new_state, reason))
    subject = f'{new_state}: "{alarm["AlarmName"]}" in {region_name()}'[:100]
    for arn in alarm.get(ACTIONS[new_state]) or []:
        if cloudwatch._is_sns_action_arn(arn):
            sns._fanout(arn, new_uuid(), message, subject)


def alarm_message(alarm: dict[str, Any], old_state: str, new_state: str, reason: str) -> dict[str, Any]:
    """What CloudWatch publishes for a metric alarm that changed state."""
    return {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription") or None,
        "AWSAccountId": get_account_id(),
        "AlarmConfigurationUpdatedTimestamp": timestamp(alarm.get("AlarmConfigurationUpdatedTimestamp") or time.time()),
        "NewStateValue": new_state,
        "NewStateReason": reason,
        "StateChangeTime": timestamp(time.time()),
        "Region": region_name(),
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": old_state,
        **{actions: alarm.get(actions) or [] for actions in ACTIONS.values()},
        "Trigger": {
            "MetricName": alarm.get("MetricName"),
            "Namespace": alarm.get("Namespace"),
            "StatisticType": "Statistic",
            "Statistic": STATISTICS[alarm["Statistic"]],
            "Unit": alarm.get("Unit"),
            "Dimensions": [{"value": each["Value"], "name": each["Name"]} for each in alarm.get("Dimensions") or []],
            "Period": alarm["Period"],
            "EvaluationPeriods": alarm["EvaluationPeriods"],
            "ComparisonOperator": alarm["ComparisonOperator"],
            "Threshold": alarm["Threshold"],
            "TreatMissingData": alarm.get("TreatMissingData") or "missing",
            "EvaluateLowSampleCountPercentile": "",
        },
    }


def region_name() -> str:
    """The region as people call it."""
    code = str(get_region())
    return REGION_NAMES.get(code, code)


def timestamp(seconds: float) -> str:
    """A time as alarms write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def evaluate_alarm(evaluate: Callable[[dict[str, Any]], None], alarm: dict[str, Any]) -> None:
    """Evaluate over the alarm's own dimensions only."""
    wanted = {each["Name"]: each["Value"] for each in alarm.get("Dimensions") or []}
    everything = cloudwatch._metrics
    cloudwatch._metrics = {
        key: [point for point in points if dict(point.get("Dimensions") or {}) == wanted]
        for key, points in everything.items()
    }
    try:
        evaluate(alarm)
    finally:
        cloudwatch._metrics = everything


# --- 6. permissions ---------------------------------------------------------------------------------------------------


def resource_arn(extract: Callable[..., str], service: str, *request: Any) -> str:
    """What a request is about. `request` is method, path, headers, body, parameters, region and account."""
    body, parameters = request[3], request[4]
    named = iam_actions._param(body, parameters, "ResourceARN") if service == "monitoring" else ""
    return str(named or extract(service, *request))


def request_context(
    context: Callable[..., dict[str, Any]], service: str, action: str, body: bytes, parameters: dict[str, Any]
) -> dict[str, Any]:
    """The condition keys of a request, with the sources of the events that it puts."""
    known = context(service, action, body, parameters)
    if action == "events:PutEvents":
        sources = {entry.get("Source") for entry in json.loads(body)["Entries"]}
        known["events:source"] = sources.pop() if len(sources) == 1 else sorted(map(str, sources))
    return known


def condition_key(resolve: Callable[..., Any], key: str, request: Any) -> Any:
    """The value of a condition key; `aws:PrincipalArn` of a role's session is the role."""
    value = resolve(key, request)
    session = re.fullmatch(r"arn:(aws[a-z-]*):sts::(\d+):assumed-role/([^/]+)/.*", str(value))
    if key.lower() != "aws:principalarn" or session is None:
        return value
    return f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}"


def over_tls(pin: Callable[[str, bool], None], source_ip: str, _: bool) -> None:
    """Every request that comes here comes over loopback."""
    pin(source_ip, True)


# --- 7. conditions ----------------------------------------------------------------------------------------------------


def evaluated(
    evaluate: Callable[..., dict[str, bool]], template: dict[str, Any], parameters: dict[str, Any]
) -> dict[str, bool]:
    """The conditions of a template, with the functions inside of them worked out first."""
    conditions = worked_out(template.get("Conditions", {}), parameters)
    return evaluate({**template, "Conditions": conditions}, parameters)


def worked_out(node: Any, parameters: dict[str, Any]) -> Any:
    """An expression with its texts and lists in place of Sub, Split and Select; all else as it was."""
    if isinstance(node, list):
        return [worked_out(each, parameters) for each in node]
    if not isinstance(node, dict):
        return node
    made = {name: worked_out(each, parameters) for name, each in node.items()}
    match made:
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{(\w+)\}", lambda found: str(parameters[found[1]]["Value"]), text)
        case {"Fn::Split": [str(delimiter), str(text)]}:
            return text.split(delimiter)
        case {"Fn::Select": [index, [*items]]}:
            return items[int(index)]
        case _:
            return made


# --- all of it --------------------------------------------------------------------------------------------------------


def mend() -> None:
    """Put the seven in. Raises SystemExit for a MiniStack that they were not written for."""
    found = importlib.metadata.version("ministack")
    if found != VERSION:
        raise SystemExit(f"written for MiniStack {VERSION}, this is {found}")
    sns._deliver_to_lambda = sns_to_lambda
    eventbridge._dispatch_to_lambda = invoke
    lambda_svc._route_async_failure = partial(dead_letter, lambda_svc._route_async_failure)
    function = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]
    function["create"] = partial(create_function, function["create"])
    cloudwatch._dispatch_alarm_actions = act_on_alarm
    cloudwatch._evaluate_alarm = partial(evaluate_alarm, cloudwatch._evaluate_alarm)
    eventbridge._put_events = partial(eventbridge._put_events, allow_aws_source=True)
    iam_actions.extract_resource_arn = partial(resource_arn, iam_actions.extract_resource_arn)
    iam_actions.request_tag_context = partial(request_context, iam_actions.request_tag_context)
    iam_evaluator._resolve_condition_key = partial(condition_key, iam_evaluator._resolve_condition_key)
    conditions = partial(evaluated, engine._evaluate_conditions)
    for module in (changesets, engine, handlers, stacks):
        module._evaluate_conditions = conditions
    app.pin_request_origin = partial(over_tls, app.pin_request_origin)


if __name__ == "__main__":
    mend()
    app.main()
