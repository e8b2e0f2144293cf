"""`lastgood doctor`: the whole chain from an alarm to the audit table: what is right, what is wrong, how to mend it.

A check that cannot be made, for want of a permission, is neither right nor wrong: it says what is missing. Everything
is only read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any

import click
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import BotoCoreError, ClientError
from rich.text import Text
from rich.tree import Tree

from lastgood import __version__
from lastgood.errors import LastgoodError, RefusedError, SettingsError
from lastgood.ledger import OPEN_KEY
from lastgood.model import ComputePlatform, Controller, DeploymentGroup
from lastgood.settings import PipelineRule, Settings
from lastgood.signals import OperatorRequest
from lastgood_cli import checks as check
from lastgood_cli import fixes
from lastgood_cli.checks import Check, Part, enabled, healthy
from lastgood_cli.context import Session
from lastgood_cli.coverage import all_alarms
from lastgood_cli.expecting import Expecting
from lastgood_cli.group_checks import (
    group_checks,
    how_long,
    needed_actions,
    pipeline_checks,
    platform_actions,
    stage_transition,
)
from lastgood_cli.lookout import Lookout, group_names, points_here
from lastgood_cli.names import GROUP
from lastgood_cli.output import Format, harmless, show_rows
from lastgood_cli.overview import deployed_version
from lastgood_cli.problems import Exit
from lastgood_cli.readonly import ReadOnlySession

FEW = 3
"""So many healthy alarms, or groups, are shown one by one; more are folded into a line."""
RULES = {
    "RollbackFunctionSweep": ("the sweep", '{"action": "sweep"}'),
    "RollbackFunctionDrill": ("the drill", '{"action": "drill"}'),
    "RollbackFunctionDeploymentMoved": ("CodeDeploy's events", ""),
    "ServiceDeploymentMoved": ("ECS's events", ""),
}
"""The stack's rules by logical id: what they bring, and what a schedule says to the function."""
_decode = TypeDeserializer().deserialize

# --- looking ----------------------------------------------------------------------------------------------------------

_GONE = {"NotFound", "NotFoundException", "ResourceNotFoundException", "NoSuchEntity", "QueueDoesNotExist"}
_DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException"}
_UNKNOWN_CALL = {"InvalidAction", "UnknownOperationException", "UnknownOperation", "NotImplemented"}
_NOT_LOCAL = frozenset(
    {
        "it is not muted",
        "it may events:PutEvents",
        "it can be restored to a point in time",
        "old records expire",
        "the sweep is running",
    }
)
"""What the local AWS of `make local` does not have, or cannot tell."""
_GONE_FIX = "Restore it: delete the stack but keep its table, and deploy it again; see docs/deploy.md."
_NO_GROUP = {"DeploymentGroupDoesNotExistException", "ApplicationDoesNotExistException"}
type Found = Check | tuple[Check, ...]


def attempted(name: str, look: Callable[[], Found]) -> tuple[Check, ...]:
    """The checks that `look` makes; where AWS does not let it, one that says what is missing."""
    try:
        found = look()
    except ClientError as error:
        told = error.response.get("Error", {})
        return (_unmade(name, error.operation_name, str(told.get("Code", "")), str(told.get("Message", ""))),)
    except RefusedError as error:
        return (_unmade(name, error.operation, error.code, error.message),)
    except (BotoCoreError, LastgoodError) as error:
        return (Check(name, None, str(error), "Try again in a moment."),)
    return found if isinstance(found, tuple) else (found,)


def _unmade(name: str, operation: str, code: str, message: str) -> Check:
    if code in _DENIED:
        return Check(name, None, f"You may not call {operation}.", "What you need: lastgood permissions operator")
    if code in _GONE or code.endswith("NonExistentQueue"):
        return Check(name, False, f"It does not exist: {operation} answers {code}.", _GONE_FIX)
    if code in _NO_GROUP:
        return Check(name, False, message, "Mend the alarm's tags, or LASTGOOD_ROUTES.")
    if code == "PipelineNotFoundException":
        fix = "Mend LASTGOOD_PIPELINES (the stack's parameter Pipelines); aws codepipeline list-pipelines"
        return Check(name, False, "CodePipeline has no pipeline of that name here.", fix)
    if code in _UNKNOWN_CALL:
        return Check(name, None, f"{operation} is unknown here: {message}", "Nothing; look at it in the console.")
    return Check(name, None, f"{operation} answers {code}: {message}", "Try again in a moment.")


class Doctor:
    """One examination of one stack, as it is at the time `now`."""

    def __init__(self, aws: Any, configuration: Mapping[str, Any], environ: Mapping[str, str], now: datetime) -> None:
        """`aws` makes clients; `configuration` is the function's, with `environ` as its variables."""
        self._aws = ReadOnlySession(aws)
        self._configuration = configuration
        self._environ = environ
        self._now = now
        self._arn = str(configuration["FunctionArn"])
        self._watching: dict[DeploymentGroup, list[Mapping[str, Any]]] = {}

    def examine(
        self,
        alarm: str = "",
        group: DeploymentGroup | None = None,
        progress: Callable[[str], None] = lambda text: None,
    ) -> tuple[Part, ...]:
        """Every part of the chain. Without an alarm, every alarm that leads here; with a group, that group too."""
        try:
            eyes = Lookout(self._aws, self._environ, self._now)
        except SettingsError:
            return (self._function(None, ()),)
        with eyes:
            progress("Looking at the alarms")
            parts, groups = self._alarms(eyes, alarm, group)
            progress("Looking at the topics, the function and the table")
            parts += [self._topic(topic) for topic in eyes.settings.alarm_topic_arns]
            parts += [*self._notices(eyes.settings), self._function(eyes, groups), self._table(eyes)]
            looked_at: list[Part] = []
            if not self._own_table(eyes.settings).ok:
                # Whatever else would be found wrong has this cause.
                groups = []
            for number, each in enumerate(groups, start=1):
                progress(f"Looking at {each.key} ({number} of {len(groups)})")
                looked_at.append(self._group(eyes, each))
                rule = eyes.settings.pipeline_of(each)
                looked_at += [self._pipeline(rule, each)] if rule else []
            parts += folded(looked_at, "Deployment groups", "{} could be rolled back now")
        return tuple(parts)

    def _alarms(
        self, eyes: Lookout, alarm: str, group: DeploymentGroup | None
    ) -> tuple[list[Part], list[DeploymentGroup]]:
        """The parts of all alarms that lead here, or of the one that is named, and the groups that they lead to."""
        groups = [group] if group else []
        if alarm:
            described = {alarm: eyes.described(alarm)}
        elif group:
            described = {}
        else:
            described = {each["AlarmName"]: each for each in self._alarms_here(eyes)}
        muted = self._anything_muted() if len(described) > FEW else True
        parts = []
        for name, told in described.items():
            part, leads_to = self._alarm(eyes, name, told, muted)
            parts.append(part)
            groups += [each for each in leads_to if each not in groups]
            if told:
                for each in leads_to:
                    self._watching.setdefault(each, []).append(told)
        if not described and group is None:
            parts.append(Part("Alarms", (_no_alarm(),)))
        return folded(parts, "Alarms", "{} reach lastgood and lead to a deployment group"), groups

    def _alarms_here(self, eyes: Lookout) -> list[dict[str, Any]]:
        return [a for a in all_alarms(eyes.clients.cloudwatch) if points_here(a, eyes.settings, self._arn)]

    def _anything_muted(self) -> bool:
        """Whether any mute rule is active: only then is it worth asking for each of many alarms."""
        try:
            answer = self._aws.client("cloudwatch").list_alarm_mute_rules(Statuses=["ACTIVE"])
        except (BotoCoreError, ClientError):
            return True
        return bool(answer.get("AlarmMuteRuleSummaries"))

    def _alarm(
        self, eyes: Lookout, name: str, alarm: dict[str, Any] | None, may_be_muted: bool
    ) -> tuple[Part, tuple[DeploymentGroup, ...]]:
        title = f"Alarm {name}"
        if alarm is None:
            fix = "aws cloudwatch describe-alarms --alarm-name-prefix …"
            return Part(title, (Check("it exists", False, "CloudWatch knows no alarm of that name here.", fix),)), ()
        routing = eyes.routing(eyes.signal_of(name, alarm))
        leads = ", ".join(group.key for group in routing.groups)
        fix = "" if leads else fixes.add_alarm_action(self._arn, name)
        said = f"{leads}, by {routing.source}." if leads else routing.problem
        checks = [
            Check("it exists", True, f"It is {alarm['StateValue']}."),
            *check.alarm_actions(alarm, eyes.settings, self._arn),
            check.alarm_suppressed(alarm),
        ]
        if may_be_muted:
            checks += attempted("it is not muted", lambda: check.alarm_muted(self._mute_rules(name)))
        if self._arn in (alarm.get("AlarmActions") or ()):
            arn = str(alarm["AlarmArn"])
            checks += attempted(
                "it may invoke the function", lambda: check.alarms_may_invoke(self._policy, arn, self._arn)
            )
        checks.append(Check("it leads to a deployment group", bool(leads), said, fix))
        return Part(title, tuple(checks)), routing.groups

    def _mute_rules(self, name: str) -> list[dict[str, Any]]:
        client = self._aws.client("cloudwatch")
        answer = client.list_alarm_mute_rules(AlarmName=name, Statuses=["ACTIVE"])
        found: list[dict[str, Any]] = answer.get("AlarmMuteRuleSummaries", [])
        return found

    def _topic(self, arn: str) -> Part:
        sns = self._aws.client("sns")

        def attributes() -> tuple[Check, ...]:
            told = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
            key = told.get("KmsMasterKeyId", "")
            return check.topic_policy(told.get("Policy", ""), arn), check.topic_key(key, self._key_policy(key))

        def subscribed() -> Check:
            pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
            return check.subscription([each for page in pages for each in page["Subscriptions"]], self._arn, arn)

        def unfiltered() -> Found:
            pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
            mine = [s["SubscriptionArn"] for page in pages for s in page["Subscriptions"] if s["Endpoint"] == self._arn]
            told = [sns.get_subscription_attributes(SubscriptionArn=each)["Attributes"] for each in mine if ":" in each]
            return tuple(check.unfiltered({"SubscriptionArn": mine[0], **each}, self._arn) for each in told)

        def invocable() -> Check:
            return check.may_be_invoked(self._policy, arn, self._arn)

        looks: Mapping[str, Callable[[], Found]] = {
            "CloudWatch may publish to it": attributes,
            "the function is subscribed": subscribed,
            "no filter keeps alarms back": unfiltered,
            "the topic may invoke the function": invocable,
        }
        checks = tuple(found for name, look in looks.items() for found in attempted(name, look))
        return Part(f"Topic {arn.rpartition(':')[2]}", checks)

    @cached_property
    def _policy(self) -> str:
        """The function's resource policy: who may invoke it. One that has none has no policy at all."""
        try:
            return str(self._aws.client("lambda").get_policy(FunctionName=self._arn)["Policy"])
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
                raise
            return "{}"

    @cached_property
    def _parameters(self) -> Mapping[str, str]:
        """The stack's parameters; empty where they may not be read."""
        name = self._environ.get("POWERTOOLS_SERVICE_NAME", "")
        try:
            (found,) = self._aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        except (BotoCoreError, ClientError, ValueError):
            return {}
        return {each["ParameterKey"]: each.get("ParameterValue", "") for each in found.get("Parameters", [])}

    @cached_property
    def _stack(self) -> Mapping[str, str]:
        """Logical id → physical id of the function's stack; empty where that may not be read."""
        name = self._environ.get("POWERTOOLS_SERVICE_NAME", "")
        try:
            found = self._aws.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
        except (BotoCoreError, ClientError):
            return {}
        return {str(each.get("LogicalResourceId")): each.get("PhysicalResourceId", "") for each in found}

    def _notices(self, settings: Settings) -> Iterator[Part]:
        """Where people are told, and other systems."""
        arn, own = settings.notification_topic_arn, self._stack.get("NotificationTopic", "")
        named = check.of_the_stack(
            "it is the stack's", "LASTGOOD_NOTIFICATION_TOPIC_ARN", arn, own, self._arn, self._environ
        )
        if named.ok and arn:
            heard = attempted("somebody hears its notices", lambda: self._listeners(arn))
            yield Part(f"Notification topic {arn.rpartition(':')[2]}", (named, *heard))
        else:
            yield Part("Notification topic", (named if arn or not named.ok else _silent(),))
        if settings.event_bus:
            exists = attempted("it exists", lambda: self._event_bus(settings.event_bus))
            yield Part(f"Event bus {settings.event_bus}", exists)

    def _listeners(self, arn: str) -> Check:
        sns = self._aws.client("sns")
        try:
            sns.get_topic_attributes(TopicArn=arn)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in _GONE:
                raise
            return Check("it exists", False, "It was deleted, and its subscribers with it.", fixes.create_topic(arn))
        pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
        return check.people_listen(arn, [each for page in pages for each in page["Subscriptions"]])

    def _event_bus(self, name: str) -> Check:
        found = self._aws.client("events").describe_event_bus(Name=name)
        return Check("it exists", True, str(found.get("Arn", "")))

    def _key_policy(self, key_id: str) -> str | None:
        if not key_id or key_id.endswith("alias/aws/sns"):
            return None
        try:
            answer = self._aws.client("kms").get_key_policy(KeyId=key_id, PolicyName="default")
        except ClientError:
            return None
        return str(answer["Policy"])

    def _function(self, eyes: Lookout | None, groups: Sequence[DeploymentGroup]) -> Part:
        checks = [*check.function_state(self._configuration), *check.settings_valid(self._environ)]
        checks.append(check.version(deployed_version(self._configuration), __version__))
        checks += attempted("it may run", self._concurrency)
        if eyes is not None:
            checks.append(check.switched_on(eyes.settings))
            settings = eyes.settings
            checks.append(check.release_in_alarm(settings))
            checks += attempted("it may do what it must", lambda: check.permissions(self._simulated(eyes, groups)))
        checks += attempted("it has not failed in the last hour", self._errors)
        checks += attempted("its dead-letter queue is empty", self._dead_letters)
        checks += attempted("the sweep's schedule is enabled", lambda: self._rules(eyes, groups))
        checks += attempted("the sweep is running", self._sweep)
        return Part(f"Function {self._configuration['FunctionName']}", tuple(checks))

    def _concurrency(self) -> Check:
        told = self._aws.client("lambda").get_function_concurrency(FunctionName=self._arn)
        return check.not_throttled(told, self._arn)

    def _simulated(self, eyes: Lookout, groups: Sequence[DeploymentGroup]) -> list[dict[str, Any]]:
        iam, region, settings = self._aws.client("iam"), self._arn.split(":")[3], eyes.settings
        table_arn = (
            self._arn.partition(":lambda:")[0] + f":dynamodb:{region}:{self._arn.split(':')[4]}:table/{settings.table}"
        )
        by_resource: dict[str, list[str]] = {}
        platforms = _platforms(eyes, groups)
        one_of_each = tuple({(g.controller, platforms.get(g)): g for g in reversed(groups)}.values())
        needed = needed_actions(one_of_each, settings, self._arn, table_arn)
        needed += platform_actions({*platforms.values()}, self._parameters, self._arn)
        for action, resource in dict.fromkeys(needed):
            by_resource.setdefault(resource, []).append(action)
        context = [
            ("aws:RequestedRegion", region),
            ("events:source", "lastgood"),
            ("iam:PassedToService", "ecs-tasks.amazonaws.com"),
        ]
        entries = [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"} for key, value in context
        ]
        results: list[dict[str, Any]] = []
        for resource, actions in by_resource.items():
            answer = iam.simulate_principal_policy(
                PolicySourceArn=self._configuration["Role"],
                ActionNames=actions,
                ResourceArns=[resource],
                ContextEntries=entries,
            )
            results += answer["EvaluationResults"]
        return results

    def _dead_letters(self) -> Check:
        arn = self._configuration.get("DeadLetterConfig", {}).get("TargetArn", "")
        name = "its dead-letter queue is empty"
        if not arn:
            queue = self._queue()
            return Check(name, False, "It has none: events that fail three times are lost.", queue)
        sqs, queue = self._aws.client("sqs"), arn.rpartition(":")[2]
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
        return check.dead_letters(sum(int(counts.get(each, 0)) for each in wanted), queue)

    def _queue(self) -> str:
        """The command that gives the function the stack's queue for what fails."""
        name = self._stack.get("DeadLetterQueue", "").rpartition("/")[2]
        here = self._arn.partition(":function:")[0].replace(":lambda:", ":sqs:")
        return fixes.queue_for_failures(self._arn, f"{here}:{name}") if name else "Give it the stack's DeadLetterQueue."

    def _rules(self, eyes: Lookout | None, groups: Sequence[DeploymentGroup]) -> tuple[Check, ...]:
        """What comes to the function by EventBridge: the sweep, the drill, and what moves where."""
        events = self._aws.client("events")
        names = events.list_rule_names_by_target(TargetArn=self._arn)["RuleNames"]
        rules = [events.describe_rule(Name=name) for name in names]
        known = {rule["Name"]: rule for rule in rules if rule.get("Name")}
        checks = [
            check.sweep_scheduled(rules, self._target("RollbackFunctionSweep")),
            check.events_heard(rules, "aws.codedeploy", "CodeDeploy", self._target("RollbackFunctionDeploymentMoved")),
        ]
        if any(group.controller is Controller.ECS for group in groups):
            checks.append(check.events_heard(rules, "aws.ecs", "ECS", self._target("ServiceDeploymentMoved")))
        for logical, (what, _) in RULES.items():
            name = self._stack.get(logical, "").rpartition("|")[2]
            if name in known and enabled(known[name]):
                arn = str(known[name].get("Arn") or self._rule_arn(name))
                checks += attempted(f"{what} may invoke it", partial(self._may_invoke, what, arn))
        if eyes is not None and self._own_table(eyes.settings).ok:
            last = partial(_last_drill, eyes.clients.dynamodb, eyes.settings.table)
            checks += attempted("the daily drill finds nothing wrong", lambda: check.drill(last(), rules, self._now))
        return tuple(checks)

    def _target(self, logical: str) -> str:
        """The command that makes one of the stack's rules invoke the function; empty where the stack has none."""
        name = self._stack.get(logical, "").rpartition("|")[2]
        return fixes.put_target(self._arn, name, RULES[logical][1]) if name else ""

    def _rule_arn(self, name: str) -> str:
        return self._arn.partition(":function:")[0].replace(":lambda:", ":events:") + f":rule/{name}"

    def _may_invoke(self, what: str, rule_arn: str) -> Check:
        return check.rule_may_invoke(what, self._policy, rule_arn, self._arn)

    def _errors(self) -> Check:
        name = ("FunctionName", str(self._configuration["FunctionName"]))
        return check.recent_errors(self._sums("AWS/Lambda", "Errors", name, timedelta(hours=1)))

    def _sweep(self) -> Check:
        name = self._environ.get("POWERTOOLS_SERVICE_NAME", "lastgood")
        points = self._sums("lastgood", "SweepRan", ("service", name), timedelta(minutes=15))
        return check.sweep_ran(points, self._now)

    def _sums(
        self, namespace: str, metric: str, dimension: tuple[str, str], back: timedelta
    ) -> Sequence[Mapping[str, Any]]:
        """A metric's sums by the minute."""
        answer = self._aws.client("cloudwatch").get_metric_statistics(
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": dimension[0], "Value": dimension[1]}],
            StartTime=self._now - back,
            EndTime=self._now,
            Period=60,
            Statistics=["Sum"],
        )
        points: Sequence[Mapping[str, Any]] = answer["Datapoints"]
        return points

    def _own_table(self, settings: Settings) -> Check:
        own = self._stack.get("AuditTable", "")
        return check.of_the_stack("it is the stack's", "LASTGOOD_TABLE", settings.table, own, self._arn, self._environ)

    def _table(self, eyes: Lookout) -> Part:
        dynamodb, table = eyes.clients.dynamodb, eyes.settings.table
        named = self._own_table(eyes.settings)
        if not named.ok:
            return Part(f"Table {table}", (named,))
        looks: Mapping[str, Callable[[], Found]] = {
            "it is active": lambda: check.table_state(dynamodb.describe_table(TableName=table)["Table"], self._arn),
            "it can be restored to a point in time": lambda: check.table_backups(
                dynamodb.describe_continuous_backups(TableName=table), table, self._arn
            ),
            "old records expire": lambda: check.table_expiry(
                dynamodb.describe_time_to_live(TableName=table), table, self._arn
            ),
            "no open rollback is left alone": lambda: check.nothing_overdue(_open_rows(dynamodb, table), self._now),
        }
        found = (c for name, look in looks.items() for c in attempted(name, look))
        return Part(f"Table {table}", (named, *found))

    def _group(self, eyes: Lookout, group: DeploymentGroup) -> Part:
        request = OperatorRequest(
            "rollback",
            *group_names(group),
            reason="lastgood doctor",
            requested_by="doctor",
            controller=group.controller,
        )
        checks = attempted("a rollback could begin now", lambda: group_checks(eyes.for_request(request)))

        def minutes() -> Found:
            expecting = Expecting(self._aws, eyes.settings.attribution_window)
            return how_long(expecting.of(group, self._watching.get(group, [])))

        checks += attempted("how long an incident would take", minutes)
        kind = "ECS service" if group.controller is Controller.ECS else "Deployment group"
        return Part(f"{kind} {group.key}", checks)

    def _pipeline(self, rule: PipelineRule, group: DeploymentGroup) -> Part:
        client = self._aws.client("codepipeline")

        def defined() -> Found:
            return pipeline_checks(rule, group, client.get_pipeline(name=rule.pipeline)["pipeline"])

        def transition() -> Found:
            return stage_transition(rule, group, client.get_pipeline_state(name=rule.pipeline)["stageStates"])

        checks = attempted("it exists", defined)
        if rule.hold and all(each.ok for each in checks):
            checks += attempted(f"the way into {rule.hold} is open", transition)
        return Part(f"Pipeline {rule.pipeline}, after a rollback of {group.key}", checks)


def as_local(part: Part) -> Part:
    """A part of the local AWS's stack: what that cannot show is not known, and not wrong."""
    return Part(part.name, tuple(map(_locally, part.checks)))


def _locally(found: Check) -> Check:
    unknown = found.name in _NOT_LOCAL and found.ok is not True
    return Check(found.name, None, "Not in the local AWS.") if unknown else found


def folded(parts: Sequence[Part], title: str, said: str) -> list[Part]:
    """Parts with those that are well folded into one line where there are many: what is wrong must be seen."""
    well = [part for part in parts if part.ok]
    if len(well) <= FEW:
        return list(parts)
    line = Check(said.format(len(well)), True, f"Of {len(parts)}.")
    return [Part(title, (line,)), *(part for part in parts if not part.ok)]


def _silent() -> Check:
    said = "LASTGOOD_NOTIFICATION_TOPIC_ARN is empty: nobody is told of anything."
    return Check("people are told", False, said, "Deploy the stack's own NotificationTopic: sam build && sam deploy")


def _no_alarm() -> Check:
    fix = "lastgood connect ALARM --group APPLICATION/GROUP"
    return Check("an alarm leads here", False, "No alarm would ever wake lastgood.", fix)


def _platforms(eyes: Lookout, groups: Sequence[DeploymentGroup]) -> dict[DeploymentGroup, ComputePlatform]:
    """The compute platform of each of CodeDeploy's groups that can be read."""
    found: dict[DeploymentGroup, ComputePlatform] = {}
    for group in groups:
        if group.controller is not Controller.ECS:
            with suppress(LastgoodError):
                facts = eyes.observer.deployer_for(group, None).facts()
                found |= {group: facts.compute_platform} if facts else {}
    return found


def _last_drill(dynamodb: Any, table: str) -> dict[str, Any]:
    answer = dynamodb.get_item(TableName=table, Key={"pk": {"S": "CONTROL"}, "sk": {"S": "DRILL"}})
    return {name: _decode(value) for name, value in answer.get("Item", {}).items()}


def _open_rows(dynamodb: Any, table: str) -> list[dict[str, Any]]:
    answer = dynamodb.query(
        TableName=table,
        IndexName="open",
        KeyConditionExpression="open_key = :key",
        ExpressionAttributeValues={":key": {"S": OPEN_KEY}},
    )
    return [{name: next(iter(value.values())) for name, value in item.items()} for item in answer.get("Items", [])]


# --- printing ---------------------------------------------------------------------------------------------------------

_SIGNS: Mapping[bool | None, tuple[str, str]] = {
    True: ("[OK]", "green"),
    False: ("[NG]", "bold red"),
    None: ("[??]", "yellow"),
}


def tree(parts: Sequence[Part]) -> Tree:
    """The chain as a tree; what is wrong has its fix below it."""
    root = Tree(_line(all_ok(parts), "From the alarm to the record"), guide_style="dim")
    for part in parts:
        branch = root.add(_line(part.ok, part.name, bold=True))
        for each in part.checks:
            leaf = branch.add(_line(each.ok, each.name, each.detail))
            if each.fix and each.ok is not True:
                leaf.add(Text.assemble(("fix: ", "bold"), harmless(each.fix)))
    return root


def all_ok(parts: Iterable[Part]) -> bool | None:
    """One sign for everything."""
    return Part("", tuple(each for part in parts for each in part.checks)).ok


def _line(ok: bool | None, name: str, detail: str = "", *, bold: bool = False) -> Text:
    sign, style = _SIGNS[ok]
    line = Text.assemble((sign, style), " ", (harmless(name), "bold" if bold else ""))
    return line.append(f"  {harmless(detail)}", "dim") if detail else line


def rows(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """One row for each check, for JSON and CSV. `ok` is null where it could not be looked at."""
    return [
        {"part": part.name, "check": each.name, "ok": each.ok, "detail": each.detail, "fix": each.fix}
        for part in parts
        for each in part.checks
    ]


@click.command()
@click.argument("alarm", default="")
@click.option("--group", "-g", type=GROUP, metavar="APPLICATION/GROUP", help="Also look at this deployment group.")
@click.pass_obj
def doctor(session: Session, alarm: str, group: DeploymentGroup | None) -> Exit:
    """Look at the whole chain from an alarm to the audit table, and say how to mend what is wrong.

    Without ALARM it looks at every alarm that leads to lastgood. Nothing is changed. Leaves with 1 if something is
    wrong; what could not be looked at, for want of a permission, is marked [??] and does not count.

    \b
    lastgood doctor
    lastgood doctor shop-prod-error-rate
    lastgood doctor --group shop/prod
    """
    with session.err.status("Looking at the function") as status:
        one = Doctor(session.aws, session.configuration, session.environ, session.now)
        parts = one.examine(alarm, group, status.update)
    if os.environ.get("LASTGOOD_LOCAL_AWS"):
        parts = tuple(map(as_local, parts))
    if session.output is Format.TABLE:
        session.out.print(tree(parts))
    else:
        show_rows(session.out, session.output, rows(parts), ["part", "check", "ok", "detail", "fix"])
    return Exit.DONE if healthy(parts) else Exit.REFUSED
