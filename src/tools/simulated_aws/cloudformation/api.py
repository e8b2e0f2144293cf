"""CloudFormation's operations on the stacks that were made here, and its answers in XML."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from simulated_aws.cloudformation.stacks import Resource, Stack, Stacks
from simulated_aws.model import ServiceError

Answer = dict[str, Any]
NAMESPACE = "http://cloudformation.amazonaws.com/doc/2010-05-15/"
PAGE = 100
"""DescribeStackResources answers the first hundred resources alone, ListStackResources a hundred at a time."""

OPERATIONS = frozenset(
    {
        "DescribeStacks",
        "DescribeStackResources",
        "ListStackResources",
        "DetectStackResourceDrift",
        "CancelUpdateStack",
        "RollbackStack",
        "ContinueUpdateRollback",
    }
)


class StacksApi:
    """One answer for each operation."""

    def __init__(self, stacks: Stacks) -> None:
        self._stacks = stacks

    def knows(self, operation: str, given: Answer) -> bool:
        """Whether the simulator answers: it is about one of its stacks, or asks to which stack a resource belongs."""
        if operation not in OPERATIONS:
            return False
        if operation == "DescribeStackResources" and given.get("PhysicalResourceId"):
            return True
        known = {name for stack in self._stacks.stacks.values() for name in (stack.name, stack.id)}
        return given.get("StackName") in known or (operation == "DescribeStacks" and bool(known) and not given)

    def answer(self, operation: str, given: Answer) -> Answer:
        """The answer to a call that `knows` accepts."""
        if operation == "DescribeStackResources":
            return {"StackResources": self._resources(given)}
        if operation == "DetectStackResourceDrift":
            return {"StackResourceDrift": self._drift(given)}
        if operation == "ListStackResources":
            return self._listed(given)
        if operation == "DescribeStacks":
            every = [self._stacks.stack(given["StackName"])] if given.get("StackName") else self._stacks.stacks.values()
            return {"Stacks": [_stack(each) for each in every]}
        stack, token = self._stacks.stack(given["StackName"]), given.get("ClientRequestToken", "")
        if operation == "CancelUpdateStack":
            self._stacks.cancel(stack, token)
            return {}
        if operation == "RollbackStack":
            self._stacks.roll_back_stack(stack, token)
            return {"StackId": stack.id}
        self._stacks.continue_rollback(stack, token)
        return {}

    def _resources(self, given: Answer) -> list[Answer]:
        """Exactly one of `StackName` and `PhysicalResourceId` (API reference)."""
        name, physical = given.get("StackName"), given.get("PhysicalResourceId")
        if bool(name) == bool(physical):
            raise ServiceError("ValidationError", "Exactly one of StackName and PhysicalResourceId must be specified")
        stack = self._stacks.stack(str(name)) if name else self._stacks.owner_of(str(physical))
        return [_resource(stack, each) for each in stack.resources][:PAGE]

    def _drift(self, given: Answer) -> Answer:
        """What the template says of an alias or a service, against what is live."""
        stack = self._stacks.stack(given["StackName"])
        found = next((r for r in stack.resources if r.logical == given["LogicalResourceId"]), None)
        if found is None:
            message = f"Resource {given['LogicalResourceId']} does not exist for stack {stack.name}"
            raise ServiceError("ValidationError", message)
        path = "/TaskDefinition" if found.kind == "AWS::ECS::Service" else "/FunctionVersion"
        live = self._stacks.live(stack)
        differs = live != stack.believes
        difference = {
            "PropertyPath": path,
            "ExpectedValue": stack.believes,
            "ActualValue": live,
            "DifferenceType": "NOT_EQUAL",
        }
        return {
            **_resource(stack, found),
            "StackResourceDriftStatus": "MODIFIED" if differs else "IN_SYNC",
            "PropertyDifferences": [difference] if differs else [],
        }

    def _listed(self, given: Answer) -> Answer:
        stack, start = self._stacks.stack(given["StackName"]), int(given.get("NextToken") or 0)
        every = (_resource(stack, each) for each in stack.resources)
        page = [{**each, "LastUpdatedTimestamp": each.pop("Timestamp")} for each in every][start : start + PAGE]
        more = start + PAGE if start + PAGE < len(stack.resources) else None
        return _present(StackResourceSummaries=page, NextToken=str(more) if more else None)


def _stack(stack: Stack) -> Answer:
    return _present(
        StackId=stack.id,
        StackName=stack.name,
        CreationTime=stack.created_at,
        LastUpdatedTime=stack.updated_at,
        RollbackConfiguration={"MonitoringTimeInMinutes": int(stack.monitoring_minutes)},
        StackStatus=stack.status,
        StackStatusReason=stack.reason or None,
        DisableRollback=stack.disable_rollback,
        RootId=stack.root_id or None,
        ParentId=stack.root_id or None,
        Tags=[],
    )


def _resource(stack: Stack, resource: Resource) -> Answer:
    works = resource.kind in {"AWS::Lambda::Alias", "AWS::ECS::Service"} and stack.moved_at is None
    return {
        "StackName": stack.name,
        "StackId": stack.id,
        "LogicalResourceId": resource.logical,
        "PhysicalResourceId": resource.physical,
        "ResourceType": resource.kind,
        "Timestamp": stack.moved_at or stack.updated_at or stack.created_at,
        "ResourceStatus": "UPDATE_IN_PROGRESS" if works and resource.status == "UPDATE_COMPLETE" else resource.status,
    }


def _present(**members: Any) -> Answer:
    return {name: value for name, value in members.items() if value is not None}


# --- the query protocol ---------------------------------------------------------------------------------------------


def to_xml(operation: str, answer: Answer) -> str:
    """An answer as the query protocol writes it."""
    result = f"<{operation}Result>{_members(answer)}</{operation}Result>"
    told = "<ResponseMetadata><RequestId>00000000-0000-4000-8000-000000000000</RequestId></ResponseMetadata>"
    return f'<{operation}Response xmlns="{NAMESPACE}">{result}{told}</{operation}Response>'


def error_to_xml(code: str, message: str) -> str:
    """An error as the query protocol writes it."""
    error = f"<Error><Type>Sender</Type><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    return f'<ErrorResponse xmlns="{NAMESPACE}">{error}<RequestId>0</RequestId></ErrorResponse>'


def _members(members: Answer) -> str:
    return "".join(f"<{name}>{_value(value)}</{name}>" for name, value in members.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return _members(value)
    if isinstance(value, list):
        return "".join(f"<member>{_value(each)}</member>" for each in value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return escape(str(value))
