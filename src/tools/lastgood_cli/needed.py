"""What the function must be allowed for the groups that it acts on. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lastgood.model import Controller, DeploymentGroup
from lastgood.settings import Settings
from lastgood_cli.controllers import KNOWN
from lastgood_cli.controllers.pipeline import needed_after

_ON_TABLE = ("GetItem", "PutItem", "UpdateItem", "ConditionCheckItem", "Query")


def needed_actions(
    groups: Sequence[DeploymentGroup], settings: Settings, arn: str, table_arn: str
) -> tuple[tuple[str, str], ...]:
    """(action, resource) of what the function does for these groups, or for any if there are none.

    `arn` is the function's. Each action on each resource is named once.
    """
    partition, region, account = arn.split(":")[1], arn.split(":")[3], arn.split(":")[4]
    here = f"{partition}:{{}}:{region}:{account}"
    needed = [
        ("cloudwatch:DescribeAlarms", "*"),
        ("cloudwatch:DescribeAlarmHistory", "*"),
        ("cloudwatch:ListTagsForResource", f"arn:{here.format('cloudwatch')}:alarm:any"),
        *((f"dynamodb:{action}", table_arn) for action in _ON_TABLE),
        ("dynamodb:Query", f"{table_arn}/index/open"),
    ]
    if settings.group_alarms:
        needed.append(("codedeploy:ListApplications", "*"))
    for group in groups or (DeploymentGroup("any", "any"),):
        needed += KNOWN[group.controller].needed(group, settings, here)
        rule = settings.pipeline_of(group)
        needed += needed_after(rule, f"arn:{here.format('codepipeline')}:{rule.pipeline}") if rule else ()
        needed += _of_its_stages(group, settings, here)
    if settings.find_stacks:
        stacks = f"arn:{here.format('cloudformation')}:stack/any/any"
        reads = ("DescribeStackResources", "DescribeStacks", "ListStackResources")
        needed += [(f"cloudformation:{action}", stacks) for action in reads]
    if settings.cancel_stack_updates:
        named = settings.cancel_stack_updates.replace("*", "any")
        cancels = f"arn:{here.format('cloudformation')}:stack/{named}/any"
        needed.append(("cloudformation:CancelUpdateStack", cancels))
    if settings.notification_topic_arn:
        needed.append(("sns:Publish", settings.notification_topic_arn))
    if settings.event_bus:
        needed.append(("events:PutEvents", f"arn:{here.format('events')}:event-bus/{settings.event_bus}"))
    return tuple(dict.fromkeys(needed))


def _of_its_stages(group: DeploymentGroup, settings: Settings, here: str) -> Iterator[tuple[str, str]]:
    """What is needed to roll a stage back instead of the group, where a stack holds what the group deploys."""
    for stage in settings.stages_of(group) if settings.find_stacks else ():
        yield from KNOWN[Controller.PIPELINE].needed(stage, settings, here)
