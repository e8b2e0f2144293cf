"""lastgood on this machine: the real application against a simulated AWS, for the demo and the tests.

DynamoDB, SNS, SQS and CloudWatch are moto's, CodeDeploy (with Lambda aliases and ECS task sets) is the simulator's. The
audit table is made from `template.yaml`, so that it is the table that will be deployed.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import boto3
import yaml
from aws_lambda_powertools import Logger, Metrics
from boto3.dynamodb.types import TypeDeserializer
from moto.dynamodb.models import dynamodb_backends

from lastgood.app import Application
from lastgood.clients import Clients
from simulated_aws.alarm_history import act
from simulated_aws.alarm_series import change_series, series_id

ROOT = Path(__file__).resolve().parents[3]
EVENTS = ROOT / "events"
TABLE = "AuditTable"
REGION = "us-east-1"
ACCOUNT = "123456789012"
ERRORS: dict[str, Any] = {
    "MetricName": "5XXError",
    "Namespace": "AWS/ApiGateway",
    "Statistic": "Average",
    "Period": 60,
    "EvaluationPeriods": 3,
    "Threshold": 0.05,
    "ComparisonOperator": "GreaterThanThreshold",
}
"""An alarm over an API's errors, as CloudWatch is told of it beside its name."""
_decode = TypeDeserializer().deserialize


class Clock(Protocol):
    """The simulated clock."""

    def now(self) -> datetime: ...


class _Untagged(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads a template without its functions: what is `!Ref` or `!Sub` becomes None."""


_Untagged.add_multi_constructor("!", lambda *_: None)


@cache
def _table_properties() -> dict[str, Any]:
    resource = yaml.load((ROOT / "template.yaml").read_text(), _Untagged)["Resources"]["AuditTable"]["Properties"]
    keys = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    return {key: resource[key] for key in keys}


@cache
def _session() -> Any:
    """One session for every scene of a process: it reads botocore's service models once."""
    return boto3.Session(region_name=REGION)


@cache
def _client(service: str) -> Any:
    """One client for every scene of a process, beside those of the application: it keeps nothing between calls."""
    return _session().client(service)


def audit_table(client: Any, name: str = TABLE) -> None:
    """Create the audit table as the template describes it."""
    client.create_table(TableName=name, **_table_properties())


def event(name: str) -> dict[str, Any]:
    """One of the example events, by its file's name without `.json`."""
    loaded: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return loaded


def alarm_event(
    name: str = "alarm-in-alarm",
    *,
    at: datetime,
    alarm: str = "shop-prod-error-rate",
    tags: Mapping[str, str] | None = None,
    message_id: str = "",
    region: str = REGION,
) -> dict[str, Any]:
    """An example alarm message as CloudWatch would send it at another time, for another alarm, with other tags."""
    made = copy.deepcopy(event(name))
    sns = made["Records"][0]["Sns"]
    message = json.loads(sns["Message"])
    message["StateChangeTime"] = _stamp(at)
    message["AlarmName"] = alarm
    message["AlarmArn"] = alarm_arn(alarm, region)
    if tags is not None:
        message["AlarmTags"] = dict(tags)
    sns["Message"] = json.dumps(message)
    sns["MessageId"] = message_id or sns["MessageId"]
    return made


def reason_data(breached: Sequence[datetime], evaluated: datetime) -> str:
    """What CloudWatch tells with an alarm of one minute, 2 of 3 datapoints, over 0.05: newest first, as it does."""
    first = min(breached)
    minutes = [first + timedelta(minutes=n) for n in range(-1, 1 + (max(breached) - first) // timedelta(minutes=1))]
    values = [0.21 if minute in breached else 0.01 for minute in minutes]
    points = [
        {"timestamp": _stamp(minute), "sampleCount": 412.0, "value": value}
        for minute, value in zip(minutes, values, strict=True)
    ]
    return json.dumps(
        {
            "version": "1.0",
            "queryDate": _stamp(evaluated),
            "startDate": _stamp(minutes[0]),
            "statistic": "Average",
            "period": 60,
            "recentDatapoints": values,
            "threshold": 0.05,
            "evaluatedDatapoints": points[::-1],
        }
    )


def no_datapoints(evaluated: datetime) -> str:
    """What CloudWatch tells where it found no datapoint, and missing ones count as good."""
    told = {"version": "1.0", "queryDate": _stamp(evaluated), "statistic": "Average", "period": 60, "threshold": 0.05}
    times = [{"timestamp": _stamp(evaluated - timedelta(minutes=n))} for n in (1, 2, 3)]
    return json.dumps({**told, "recentDatapoints": [], "evaluatedDatapoints": times})


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def alarm_arn(name: str, region: str = REGION) -> str:
    """The ARN of an alarm of this account, and of this region where no other one is named."""
    return f"arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:{name}"


def of_series(event: Mapping[str, Any], attributes: Mapping[str, str]) -> dict[str, Any]:
    """An alarm's message as CloudWatch sends it about one time series of an alarm over many."""
    made = copy.deepcopy(dict(event))
    sns = made["Records"][0]["Sns"]
    about = {"AlarmContributorId": series_id(attributes), "AlarmContributorAttributes": dict(attributes)}
    sns["Message"] = json.dumps(json.loads(sns["Message"]) | about)
    return made


def group_tags(application: str, deployment_group: str) -> dict[str, str]:
    """The alarm tags that lead to a deployment group."""
    return {"lastgood:application": application, "lastgood:deployment-group": deployment_group}


def service_tags(cluster: str, service: str) -> dict[str, str]:
    """The alarm tag that leads to a service that ECS itself deploys."""
    return {"lastgood:ecs-service": f"{cluster}/{service}"}


def tag_pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as AWS's APIs take them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@dataclass
class Local:
    """The application with its table, topic and alarm, inside a simulated AWS that is already running."""

    clock: Any
    advance: Any
    environment: dict[str, str] = field(default_factory=dict)
    remaining: timedelta = timedelta(seconds=60)
    # The tags of alarms that are still to be made, by their names.
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    _requests: int = 0

    def __post_init__(self) -> None:
        self.session = _session()
        self.dynamodb, self.cloudwatch = _client("dynamodb"), _client("cloudwatch")
        self.sns, self.sqs = _client("sns"), _client("sqs")
        audit_table(self.dynamodb)
        self.topic_arn = self.sns.create_topic(Name="NotificationTopic")["TopicArn"]
        self.inbox = self.sqs.create_queue(QueueName="inbox")["QueueUrl"]
        self.sns.subscribe(TopicArn=self.topic_arn, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:inbox")
        self.restart()

    def restart(self, **environment: str) -> None:
        """A fresh execution environment of the function, with other settings if given."""
        self.environment |= environment
        self.application = Application.make(
            {
                "LASTGOOD_MODE": "auto",
                "LASTGOOD_TABLE": TABLE,
                "LASTGOOD_NOTIFICATION_TOPIC_ARN": self.topic_arn,
                **self.environment,
            },
            Logger(service="lastgood", level=logging.CRITICAL),
            Metrics(namespace="lastgood", service="lastgood"),
            clients=Clients.make(_session()),
            clock=self.clock.now,
            wait=self.advance,
        )

    def close(self) -> None:
        """The execution environment ends; its threads with it, and the metrics that Powertools keeps per process."""
        self.application.close()
        Metrics(namespace="lastgood", service="lastgood").clear_metrics()

    def handle(self, event: object, request_id: str = "", door: str = "") -> list[dict[str, Any]]:
        """Invoke the application once, by an alias where one is named."""
        self._requests += 1
        answer = self.application.handle(event, request_id or f"request-{self._requests}", self.remaining, door)
        results: list[dict[str, Any]] = answer["results"]
        return results

    def alarm(
        self,
        name: str,
        state: str = "ALARM",
        breached: Sequence[datetime] = (),
        tags: Mapping[str, str] | None = None,
        region: str = REGION,
        *,
        without_data: bool = False,
    ) -> None:
        """Make a CloudWatch alarm of that name, or change its state; give it these tags too, if any.

        `breached` are the minutes whose datapoints breached: then the state has the reason data that CloudWatch gives.
        So it has `without_data`, which says that no datapoint came.
        """
        cloudwatch = self.cloudwatch if region == REGION else _session().client("cloudwatch", region_name=region)
        if not cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]:
            cloudwatch.put_metric_alarm(
                AlarmName=name,
                DatapointsToAlarm=2,
                **ERRORS,
            )
            tags = self.tags.get(name) if tags is None else tags
        if tags:
            cloudwatch.tag_resource(ResourceARN=alarm_arn(name, region), Tags=tag_pairs(tags))
        evaluated = self.clock.now()
        data = {"StateReasonData": reason_data(breached, evaluated)} if breached else {}
        data |= {"StateReasonData": no_datapoints(evaluated)} if without_data else {}
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="simulated", **data)

    def series(self, alarm: str, attributes: Mapping[str, str], state: str = "ALARM") -> str:
        """One time series of an alarm over many changes its state, and the alarm with the first and the last of them.

        Returns the id of the series.
        """
        before = self.cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
        fires = change_series(ACCOUNT, REGION, alarm, attributes, state, self.clock.now())
        after = "ALARM" if fires else "OK"
        if not before or before[0]["StateValue"] != after:
            self.alarm(alarm, after)
        return series_id(attributes)

    def acts(self, alarm: str, state: str = "Succeeded") -> None:
        """CloudWatch takes the alarm's action now, as its history tells; or, in another state, does not."""
        act(ACCOUNT, REGION, alarm, self.clock.now(), state)

    def notices(self) -> list[dict[str, Any]]:
        """The notices sent since the last look, as a chat channel gets them."""
        found: list[dict[str, Any]] = []
        while messages := self.sqs.receive_message(QueueUrl=self.inbox, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(json.loads(message["Body"])["Message"]))
                self.sqs.delete_message(QueueUrl=self.inbox, ReceiptHandle=message["ReceiptHandle"])
        return found

    def items(self, key: str = "") -> list[dict[str, Any]]:
        """The audit table, or what has one partition key, as plain dictionaries.

        They are read from moto's memory: nothing looks at them as often as the tests.
        """
        table = dynamodb_backends[ACCOUNT][REGION].get_table(TABLE)
        rows = [item.to_json()["Attributes"] for item in table.all_items() if key in ("", item.hash_key.value)]
        return [{name: _decode(value) for name, value in row.items()} for row in rows]

    def _record(self, rollback_id: str) -> list[dict[str, Any]]:
        """A rollback's items in order."""
        return sorted(self.items(f"ROLLBACK#{rollback_id}"), key=lambda item: item["sk"])

    def head(self, rollback_id: str) -> dict[str, Any]:
        """A rollback's head item."""
        return next(item for item in self._record(rollback_id) if item["sk"] == "META")

    def steps(self, rollback_id: str) -> list[dict[str, Any]]:
        """A rollback's steps in order."""
        return [item for item in self._record(rollback_id) if item["sk"].startswith("STEP#")]
