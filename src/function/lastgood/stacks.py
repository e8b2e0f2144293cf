"""CloudFormation: which stack holds the alias or the service that a rollback would move; and cancelling its update.

It is asked each time, beside other reads: a stack may have imported the resource since, or let go of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from lastgood.clients import Clients, call
from lastgood.errors import RefusedError, RetryableError
from lastgood.judgement.case import Case
from lastgood.judgement.stacks import passed_over
from lastgood.model import (
    BEFORE,
    Deployment,
    DeploymentGroup,
    GroupFacts,
    Observation,
    Origin,
    Policy,
    Rollback,
    parse_key,
)
from lastgood.pipelines.adapter import Pipelines
from lastgood.pipelines.runs import asks_people
from lastgood.routing import is_allowed
from lastgood.settings import Settings

_GROUP, _APPLICATION, _SERVICE = "AWS::CodeDeploy::DeploymentGroup", "AWS::CodeDeploy::Application", "AWS::ECS::Service"

FIRST_RESOURCES = 100
"""DescribeStackResources returns at most this many of a stack's resources, with no further page (API reference)."""

MAX_PAGES = 10
"""A stack has at most 500 resources, or a thousand; a page of ListStackResources holds a hundred."""

MOST_PAIRS = 25
"""So many pairs of an application and a group are looked up, where a stack has several applications."""

LONGEST_ACTION = timedelta(hours=3)
"""Actions are listed by their start, newest first; what a deploy action releases comes within this time of it."""

CLOCKS_DIFFER_BY = timedelta(minutes=1)
"""CodePipeline and CodeDeploy may date one moment so differently."""

_COMPLETED = frozenset({"UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"})
_LET_GO = frozenset({"DELETE_COMPLETE", "DELETE_SKIPPED"})
"""The template no longer holds the resource: it was deleted, or retained for another owner."""


@dataclass(frozen=True)
class Stacks:
    """Asks CloudFormation, where the settings want it."""

    clients: Clients
    settings: Settings

    def origin(self, rollback: Rollback, facts: GroupFacts, suspect: Deployment) -> Origin | None:
        """Which stack holds what would be moved; None where that is not asked, or where it is no alias and no service.

        Raises RetryableError where AWS does not answer, unless the suspect still runs: its stop cannot wait.
        """
        moved = _moved(rollback.group, facts, suspect) if self.settings.find_stacks else ""
        if not moved:
            return None
        account = self.settings.account_id or f"{rollback.trigger.alarm_arn}:::::".split(":")[4]
        if not account and not moved.startswith("arn:"):
            return Origin(problem="the account is not known; set LASTGOOD_ACCOUNT_ID")
        try:
            origin = self._holder(moved if moved.startswith("arn:") else self._arn(moved, account), suspect)
            if not origin.stack or passed_over(origin, suspect.created_at):
                return replace(origin, bypassed=bool(origin.stack))
            return replace(origin, stage=self._stage(rollback.group, suspect))
        except RetryableError as error:
            if not suspect.active:
                raise
            return Origin(problem=str(error))

    def _stage(self, group: DeploymentGroup, suspect: Deployment) -> str:
        """The stage that released the suspect, by the rules for the group; empty where it may not be touched.

        What somebody deployed by hand through the same stack is not the stage's: to roll that back would undo another
        release. Where several pipelines deploy the same stack, it is the one that ran then; if two did, nobody knows.
        """
        stages = self.settings.stages_of(group)
        ran = [stage for stage in stages if is_allowed(stage, self.settings) and self._runs(stage, suspect.created_at)]
        return ran[0].key if len(ran) == 1 else ""

    def with_run(self, origin: Origin, good: Deployment | None) -> Origin:
        """Add which execution of the stage released what would go back; none where the stage did not release it."""
        if not origin.stage or good is None or good.deployment_id.endswith(BEFORE):
            return origin
        runs = self._runs(parse_key(origin.stage), good.created_at)
        return replace(origin, stage_run=next(iter(runs)) if len(runs) == 1 else "")

    def _runs(self, stage: DeploymentGroup, moment: datetime) -> set[str]:
        """The executions that were releasing in a stage at that moment. An approval that waits there releases nothing.

        Empty where the pipeline is gone, or may not be read.
        """
        execution_ids: set[str] = set()
        try:
            for action in Pipelines(self.clients).actions(stage.application):
                if action["startTime"] < moment - LONGEST_ACTION:
                    break
                here = action.get("stageName") == stage.deployment_group and not asks_people(action)
                execution_ids |= {action["pipelineExecutionId"]} if here and _ran_at(moment, action) else set()
        except RefusedError:
            return set()
        return execution_ids

    def _arn(self, moved: str, account: str) -> str:
        meta = self.clients.cloudformation.meta
        service, resource = moved.split(":", 1)
        return f"arn:{meta.partition}:{service}:{meta.region_name}:{account}:{resource}"

    def state(self, stack: str, group: DeploymentGroup, suspect: Deployment | None) -> Origin:
        """The present state of a stack that is known already; without a status where that cannot be read.

        Once its update is complete, only the stage that released the suspect can put it back: that is looked up then.
        """
        origin = self._in_its_state(stack, frozenset())
        if suspect is None or origin.status not in _COMPLETED:
            return origin
        return replace(origin, stage=self._stage(group, suspect))

    def cancel(self, stack: str, token: str) -> None:
        """Cancel the update of an outermost stack. With the same token it is the same request."""
        call(self.clients.cloudformation, "cancel_update_stack", StackName=stack, ClientRequestToken=token)

    def _holder(self, arn: str, suspect: Deployment) -> Origin:
        """The stack that holds what this ARN names, also where the stack knows it by the ARN that it had once."""
        origins = (self._held(name, in_a_hurry=suspect.active) for name in _physical_ids(arn))
        return next((origin for origin in origins if origin.stack or origin.problem), Origin())

    def _held(self, arn: str, *, in_a_hurry: bool) -> Origin:
        client = self.clients.cloudformation
        try:
            resources = call(client, "describe_stack_resources", PhysicalResourceId=arn)["StackResources"]
        except RefusedError as error:
            # The only answer that means "none"; it shares its code with every other error.
            if error.code == "ValidationError" and "does not exist" in str(error):
                return Origin()
            return Origin(problem=str(error))
        stack = next((str(r.get("StackId", "")) for r in resources), "")
        if len(resources) >= FIRST_RESOURCES:
            resources = self._all_resources(stack, resources)
        held = next((r for r in resources if r.get("PhysicalResourceId") == arn), None)
        if held is None:
            return Origin(problem=f"CloudFormation answered without {arn}")
        if held.get("ResourceStatus") in _LET_GO:
            return Origin()
        origin = self._in_its_state(stack, self._deploys(resources, in_a_hurry=in_a_hurry))
        return replace(origin, logical_id=str(held.get("LogicalResourceId", "")), settled_at=_settled_at(held))

    def _deploys(self, resources: Iterable[Mapping[str, Any]], *, in_a_hurry: bool) -> frozenset[str]:
        """The keys of the groups and services that a stack holds; one that is not made yet has no name."""
        by_kind: dict[str, list[str]] = {}
        for resource in resources:
            if resource.get("PhysicalResourceId") and resource.get("ResourceStatus") not in _LET_GO:
                by_kind.setdefault(str(resource.get("ResourceType")), []).append(str(resource["PhysicalResourceId"]))
        applications = by_kind.get(_APPLICATION, [])
        groups = [DeploymentGroup(a, group) for a in applications for group in by_kind.get(_GROUP, [])]
        if len(applications) > 1:
            # A stack names a group alone, without its application.
            asked = groups if len(groups) <= MOST_PAIRS and not in_a_hurry else []
            groups = [group for group in asked if self._exists(group)]
        # A service of before 2018 has an ARN without its cluster: `…:service/<name>`.
        services = (arn.split("/")[1:] for arn in by_kind.get(_SERVICE, []))
        return frozenset({g.key for g in groups} | {f"ecs:{'/'.join(names)}" for names in services if len(names) == 2})

    def _exists(self, group: DeploymentGroup) -> bool:
        asked, client = group.deployment_group, self.clients.codedeploy
        try:
            call(client, "get_deployment_group", applicationName=group.application, deploymentGroupName=asked)
        except RefusedError:
            return False
        return True

    def _all_resources(self, stack: str, first: list[Any]) -> list[Any]:
        """Every resource of a large stack; only the `first` ones where the rest may not be listed."""
        resources: list[Any] = []
        more: dict[str, Any] = {}
        try:
            for _ in range(MAX_PAGES):
                answer = call(self.clients.cloudformation, "list_stack_resources", StackName=stack, **more)
                resources += answer.get("StackResourceSummaries") or ()
                if not answer.get("NextToken"):
                    break
                more = {"NextToken": answer["NextToken"]}
        except RefusedError:
            return first
        return resources

    def _in_its_state(self, stack: str, groups: frozenset[str]) -> Origin:
        try:
            described = self._described(stack)
            root = str(described.get("RootId") or "")
            state = self._described(root) if root else described
        except RefusedError:
            return Origin(stack, groups=groups)
        if described.get("StackStatus") == "DELETE_COMPLETE":
            # A deleted stack is listed for ninety days; what it retained belongs to no stack now.
            return Origin()
        began = state.get("LastUpdatedTime")
        return Origin(stack, str(state.get("StackStatus", "")), root, groups=groups, updated_at=began)

    def _described(self, stack: str) -> dict[str, Any]:
        described: dict[str, Any] = call(self.clients.cloudformation, "describe_stacks", StackName=stack)["Stacks"][0]
        return described


def _ran_at(moment: datetime, action: Mapping[str, Any]) -> bool:
    """Whether an action of a pipeline was running then."""
    began, ended = action["startTime"] - CLOCKS_DIFFER_BY, action["lastUpdateTime"] + CLOCKS_DIFFER_BY
    return bool(began <= moment and (action.get("status") == "InProgress" or moment <= ended))


def _moved(group: DeploymentGroup, facts: GroupFacts, suspect: Deployment) -> str:
    """What a rollback would move, a function's alias or an ECS service, as an ARN or as the end of one."""
    if resource := group.can().stack_resource:
        return resource.format(place=group.place)
    if facts.ecs_cluster and facts.ecs_service:
        return f"ecs:service/{facts.ecs_cluster}/{facts.ecs_service}"
    target = suspect.revision.target
    if target.startswith("arn:") or not target:
        return target
    # An AppSpec may name the function by a partial ARN, `<account>:function:<name>`.
    return f"lambda:function:{target.rpartition('function:')[2]}"


def _physical_ids(arn: str) -> Iterator[str]:
    """The ids by which a stack may hold it: a service that was made in the old format has no cluster in its ARN."""
    yield arn
    head, service, names = arn.partition(":service/")
    if service and "/" in names:
        yield f"{head}{service}{names.rpartition('/')[2]}"


def _settled_at(held: Mapping[str, Any]) -> datetime | None:
    """When the stack was last done with a resource; None while it works on it. A list names the time differently."""
    if str(held.get("ResourceStatus")).endswith("_IN_PROGRESS"):
        return None
    return held.get("Timestamp") or held.get("LastUpdatedTimestamp")


def held_by_a_stack(
    rollback: Rollback, seen: Observation, policy: Policy, now: datetime, origin: Origin | None
) -> Observation:
    """What was seen, with the suspects marked as held by a stack, where one holds them."""
    seen = replace(seen, origin=origin)
    if origin is None or not origin.stack:
        return seen
    suspects = Case(rollback, seen, policy, now).attribution.suspects
    if origin.bypassed and all(passed_over(origin, suspect.created_at) for suspect in suspects):
        return seen
    seen = replace(seen, origin=replace(origin, bypassed=False))
    blamed = {d.deployment_id for d in suspects}
    marked = (replace(d, held_by=origin.stack) if d.deployment_id in blamed else d for d in seen.history)
    return replace(seen, history=tuple(marked))
