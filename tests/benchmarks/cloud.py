"""What the endpoint answers with: a CodeDeploy with long histories, one DynamoDB table, an alarm that fires.

It is not the simulator of the tests: those want truth, this wants answers that cost next to nothing, so that the fixed
latency is all that a call takes. A test holds the two together: the same rollback makes the same calls on both.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from benchmarks.expressions import Item, holds, updated

APPLICATION = "shop"
PAGE = 100
ACTIVE = {"Created", "Queued", "InProgress"}
DAY = 86_400.0

Answer = dict[str, Any]


class Refused(Exception):
    """An error answer: its code, and what else it carries."""

    def __init__(self, code: str, message: str = "", **more: Any) -> None:
        super().__init__(code)
        self.body = {"__type": code, "message": message or code, **more}


def group_name(number: int) -> str:
    """The n-th deployment group of the application."""
    return f"prod-{number}"


def alarm_name(number: int) -> str:
    """The alarm that speaks for it."""
    return f"shop-prod-{number}-error-rate"


@dataclass(slots=True)
class Deployment:
    """One deployment; times are epoch seconds."""

    deployment_id: str
    group: str
    status: str
    created: float
    revision: Mapping[str, Any]
    description: str = ""

    def described(self) -> Answer:
        """As CodeDeploy tells of it."""
        done = {} if self.status in ACTIVE else {"completeTime": self.created + 60}
        return {
            "applicationName": APPLICATION,
            "deploymentGroupName": self.group,
            "deploymentId": self.deployment_id,
            "deploymentConfigName": "CodeDeployDefault.OneAtATime",
            "status": self.status,
            "createTime": self.created,
            "revision": self.revision,
            "description": self.description,
            "creator": "user",
            "computePlatform": "Server",
            **done,
        }


@dataclass(slots=True)
class Group:
    """A deployment group: its deployments, oldest first."""

    name: str
    deployments: list[Deployment] = field(default_factory=list)

    def active(self) -> bool:
        """Whether a deployment is running."""
        return bool(self.deployments) and self.deployments[-1].status in ACTIVE


class CodeDeploy:
    """Deployment groups of one application on servers, each with a bad release that is still running."""

    def __init__(self, now: float, groups: int, length: int, failed: int) -> None:
        self._clock_at_start = now
        self._numbers = count(1)
        self._by_id: dict[str, Deployment] = {}
        self._groups = {group_name(n): Group(group_name(n)) for n in range(groups)}
        for group in self._groups.values():
            for n in range(length):
                # The last one two hours ago, the others ten minutes apart before it.
                self._add(group, "Succeeded", now - 7200 - failed * 60 - (length - n) * 600, f"v{n}.zip")
            for n in range(failed):
                self._add(group, "Failed", now - 300 - (failed - n) * 60, f"failed-{n}.zip")
            self._add(group, "InProgress", now - 60, "bad.zip")

    def answer(self, operation: str, asked: Answer, now: float) -> Answer:
        """One call. Raises Refused."""
        return self._OPERATIONS[operation](self, asked, now)

    def _add(self, group: Group, status: str, created: float, key: str, description: str = "") -> Deployment:
        location = {"bucket": "bundles", "key": key, "bundleType": "zip", "eTag": key}
        made = Deployment(
            f"d-{next(self._numbers):09d}",
            group.name,
            status,
            created,
            {"revisionType": "S3", "s3Location": location},
            description,
        )
        group.deployments.append(made)
        self._by_id[made.deployment_id] = made
        return made

    def _get_group(self, asked: Answer, now: float) -> Answer:
        group = self._group(asked)
        last = {"lastAttemptedDeployment": _brief(group.deployments[-1])}
        succeeded = next((d for d in reversed(group.deployments) if d.status == "Succeeded"), None)
        if succeeded:
            last["lastSuccessfulDeployment"] = _brief(succeeded)
        return {
            "deploymentGroupInfo": {
                "applicationName": APPLICATION,
                "deploymentGroupName": group.name,
                "computePlatform": "Server",
                "deploymentStyle": {"deploymentType": "IN_PLACE"},
                **last,
            }
        }

    def _list(self, asked: Answer, now: float) -> Answer:
        group, wanted = self._group(asked), set(asked.get("includeOnlyStatuses", []))
        start = (asked.get("createTimeRange") or {}).get("start", 0.0)
        at = int(asked.get("nextToken") or len(group.deployments) - 1)
        oldest = bisect_right(group.deployments, start, key=lambda d: d.created)
        ids: list[str] = []
        while at >= oldest and len(ids) < PAGE:
            found = group.deployments[at]
            if not wanted or found.status in wanted:
                ids.append(found.deployment_id)
            at -= 1
        return {"deployments": ids, **({"nextToken": str(at)} if at >= oldest else {})}

    def _batch_get(self, asked: Answer, now: float) -> Answer:
        if len(asked["deploymentIds"]) > 25:
            raise Refused("BatchLimitExceededException")
        return {"deploymentsInfo": [self._deployment(each).described() for each in asked["deploymentIds"]]}

    def _get(self, asked: Answer, now: float) -> Answer:
        return {"deploymentInfo": self._deployment(asked["deploymentId"]).described()}

    def _stop(self, asked: Answer, now: float) -> Answer:
        found = self._deployment(asked["deploymentId"])
        if found.status not in ACTIVE:
            raise Refused("DeploymentAlreadyCompletedException")
        found.status = "Stopped"
        return {"status": "Succeeded", "statusMessage": ""}

    def _create(self, asked: Answer, now: float) -> Answer:
        group = self._group(asked)
        if group.active():
            raise Refused("DeploymentLimitExceededException")
        key = asked["revision"]["s3Location"]["key"]
        return {"deploymentId": self._add(group, "InProgress", now, key, asked.get("description", "")).deployment_id}

    def _get_config(self, asked: Answer, now: float) -> Answer:
        return {"deploymentConfigInfo": {"deploymentConfigName": asked["deploymentConfigName"]}}

    def _group(self, asked: Answer) -> Group:
        found = self._groups.get(asked["deploymentGroupName"])
        if found is None or asked["applicationName"] != APPLICATION:
            raise Refused("DeploymentGroupDoesNotExistException")
        return found

    def _deployment(self, deployment_id: str) -> Deployment:
        if deployment_id not in self._by_id:
            raise Refused("DeploymentDoesNotExistException")
        return self._by_id[deployment_id]

    _OPERATIONS: Mapping[str, Callable[[CodeDeploy, Answer, float], Answer]] = {
        "GetDeploymentGroup": _get_group,
        "ListDeployments": _list,
        "BatchGetDeployments": _batch_get,
        "GetDeployment": _get,
        "StopDeployment": _stop,
        "CreateDeployment": _create,
        "GetDeploymentConfig": _get_config,
    }


def _brief(deployment: Deployment) -> Answer:
    return {
        "deploymentId": deployment.deployment_id,
        "status": deployment.status,
        "createTime": deployment.created,
    }


class Table:
    """One DynamoDB table with the keys `pk` and `sk`, and an index per partition attribute that is asked for."""

    def __init__(self) -> None:
        self._partitions: dict[str, dict[str, Item]] = {}

    def answer(self, operation: str, asked: Answer, now: float) -> Answer:
        """One call. Raises Refused."""
        return self._OPERATIONS[operation](self, asked)

    def _get(self, asked: Answer) -> Answer:
        item = self._item(asked["Key"])
        return {"Item": item} if item else {}

    def _put(self, asked: Answer) -> Answer:
        self._check(asked, asked["Item"])
        self._store(asked["Item"])
        return {}

    def _update(self, asked: Answer) -> Answer:
        self._check(asked, asked["Key"])
        after = self._after_update(asked)
        self._store(after)
        return {"Attributes": after}

    def _query(self, asked: Answer) -> Answer:
        condition, values = asked["KeyConditionExpression"], asked["ExpressionAttributeValues"]
        names = asked.get("ExpressionAttributeNames", {})
        hash_key, slot = re.findall(r"(\S+) = (:\w+)", condition)[0]
        rows = list(self._rows(names.get(hash_key, hash_key), values[slot]))
        found = [item for item in rows if holds(condition, item, names, values)]
        return {"Items": found[: asked.get("Limit", len(found))], "Count": len(found), "ScannedCount": len(found)}

    def _rows(self, hash_key: str, value: dict[str, Any]) -> list[Item]:
        if hash_key == "pk":
            partition = self._partitions.get(value["S"], {})
            return [partition[sk] for sk in sorted(partition)]
        return [item for part in self._partitions.values() for item in part.values() if item.get(hash_key) == value]

    def _transact(self, asked: Answer) -> Answer:
        steps = [next(iter(step.items())) for step in asked["TransactItems"]]
        reasons = [self._reason(what) for _, what in steps]
        if any(reasons):
            told = [reason or {"Code": "None"} for reason in reasons]
            raise Refused("TransactionCanceledException", CancellationReasons=told)
        for kind, what in steps:
            self._store(what["Item"] if kind == "Put" else self._after_update(what))
        return {}

    def _reason(self, what: Answer) -> Answer:
        key = what.get("Key") or what["Item"]
        if self._holds(what, key):
            return {}
        return {"Code": "ConditionalCheckFailed", "Message": "", "Item": self._item(key)}

    def _after_update(self, asked: Answer) -> Item:
        names, values = asked.get("ExpressionAttributeNames", {}), asked.get("ExpressionAttributeValues", {})
        return updated(asked["UpdateExpression"], {**asked["Key"], **self._item(asked["Key"])}, names, values)

    def _check(self, asked: Answer, key: Item) -> None:
        if not self._holds(asked, key):
            raise Refused("ConditionalCheckFailedException", Item=self._item(key))

    def _holds(self, asked: Answer, key: Item) -> bool:
        names, values = asked.get("ExpressionAttributeNames", {}), asked.get("ExpressionAttributeValues", {})
        return holds(asked.get("ConditionExpression"), self._item(key), names, values)

    def _item(self, key: Item) -> Item:
        return self._partitions.get(key["pk"]["S"], {}).get(key["sk"]["S"], {})

    def _store(self, item: Item) -> None:
        self._partitions.setdefault(item["pk"]["S"], {})[item["sk"]["S"]] = item

    _OPERATIONS: Mapping[str, Callable[[Table, Answer], Answer]] = {
        "GetItem": _get,
        "PutItem": _put,
        "UpdateItem": _update,
        "Query": _query,
        "TransactWriteItems": _transact,
    }


class Cloud:
    """All services of one scene. `now` is given with each call, so that a scene can begin at any time."""

    def __init__(self, now: float, *, groups: int = 1, length: int = 100, failed: int = 0) -> None:
        self.alarmed_at = now - 5
        self.codedeploy = CodeDeploy(now, groups, length, failed)
        self.table = Table()

    def answer(self, service: str, operation: str, asked: Answer, now: float) -> Answer:
        """One call to any service. Raises Refused."""
        match service:
            case "codedeploy":
                return self.codedeploy.answer(operation, asked, now)
            case "dynamodb":
                return self.table.answer(operation, asked, now)
            case "cloudwatch":
                return self._tags(asked) if operation == "ListTagsForResource" else self._alarms(asked)
            case "events":
                return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}
            case _:
                return {"MessageId": "1"}

    def _alarms(self, asked: Answer) -> Answer:
        firing = {"StateValue": "ALARM", "StateTransitionedTimestamp": self.alarmed_at}
        return {"MetricAlarms": [{"AlarmName": name, **firing} for name in asked.get("AlarmNames", [])]}

    def _tags(self, asked: Answer) -> Answer:
        """Each alarm names its group, in its name and in its tags."""
        number = asked["ResourceARN"].partition(":alarm:shop-prod-")[2].partition("-")[0]
        tags = {"lastgood:application": APPLICATION, "lastgood:deployment-group": group_name(int(number))}
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
