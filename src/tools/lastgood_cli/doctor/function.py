"""The function: whether it runs, may do what it must, and is invoked by all that should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from lastgood import __version__
from lastgood.errors import LastgoodError
from lastgood.model import ComputePlatform, Controller, DeploymentGroup, controllers, platforms_of
from lastgood_cli import by_hand, fixes
from lastgood_cli import checks as check
from lastgood_cli.checks import Check, Part, enabled
from lastgood_cli.controllers import KNOWN
from lastgood_cli.controllers.codedeploy import beside
from lastgood_cli.doctor.looking import attempted
from lastgood_cli.doctor.patient import Patient
from lastgood_cli.fix import NOTHING, Fix
from lastgood_cli.lookout import Lookout
from lastgood_cli.needed import needed_actions
from lastgood_cli.overview import deployed_version

RULES = {
    "RollbackFunctionSweep": ("the sweep", '{"action": "sweep"}'),
    "RollbackFunctionDrill": ("the drill", '{"action": "drill"}'),
    **{known.events[1]: (f"{controllers()[each].deployer}'s events", "") for each, known in KNOWN.items()},
}
"""The stack's rules by logical id: what they bring, and what a schedule says to the function."""
_decode = TypeDeserializer().deserialize


def examine_function(patient: Patient, eyes: Lookout | None, groups: Sequence[DeploymentGroup]) -> Part:
    """The function itself. `eyes` is None where its settings are wrong; `groups`: those that it has to act on."""
    checks = [*check.function_state(patient.configuration), *_settings(patient)]
    checks.append(check.version(deployed_version(patient.configuration), __version__))
    checks += attempted("it may run", partial(_concurrency, patient))
    if eyes is not None:
        right = partial(fixes.set_right, patient.arn, patient.environ, patient.parameters)
        dealt_with = (check.switched_on, check.release_in_alarm, check.release_set)
        checks += [each(eyes.settings, right) for each in dealt_with]
        checks += attempted("it may do what it must", lambda: _allowed(patient, eyes, groups))
    checks += attempted("it has not failed in the last hour", partial(_errors, patient))
    checks += attempted("its dead-letter queue is empty", partial(_dead_letters, patient))
    checks += attempted("the sweep's schedule is enabled", lambda: _rules(patient, eyes, groups))
    checks += attempted("the sweep is running", partial(_sweep, patient))
    return Part(f"Function {patient.configuration['FunctionName']}", tuple(checks))


def _settings(patient: Patient) -> tuple[Check, ...]:
    return check.settings_valid(patient.environ, patient.parameters, patient.arn)


def _concurrency(patient: Patient) -> Check:
    told = patient.aws.client("lambda").get_function_concurrency(FunctionName=patient.arn)
    return check.not_throttled(told, patient.arn)


def _allowed(patient: Patient, eyes: Lookout, groups: Sequence[DeploymentGroup]) -> tuple[Check, ...]:
    results = _simulated(patient, eyes, groups)
    return check.permissions(results, str(patient.configuration["Role"]), patient.arn)


def _simulated(patient: Patient, eyes: Lookout, groups: Sequence[DeploymentGroup]) -> list[dict[str, Any]]:
    iam, region, settings = patient.aws.client("iam"), patient.arn.split(":")[3], eyes.settings
    table_arn = (
        patient.arn.partition(":lambda:")[0] + f":dynamodb:{region}:{patient.arn.split(':')[4]}:table/{settings.table}"
    )
    by_resource: dict[str, list[str]] = {}
    platforms = _platforms(eyes, groups)
    one_of_each = tuple({(g.controller, platforms.get(g)): g for g in reversed(groups)}.values())
    needed = needed_actions(one_of_each, settings, patient.arn, table_arn)
    needed += beside({*platforms.values()}, patient.parameters, patient.arn)
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
            PolicySourceArn=patient.configuration["Role"],
            ActionNames=actions,
            ResourceArns=[resource],
            ContextEntries=entries,
        )
        results += answer["EvaluationResults"]
    return results


def _dead_letters(patient: Patient) -> Check:
    arn = patient.configuration.get("DeadLetterConfig", {}).get("TargetArn", "")
    name = "its dead-letter queue is empty"
    if not arn:
        return Check(name, False, "It has none: events that fail three times are lost.", _queue(patient))
    sqs, queue = patient.aws.client("sqs"), arn.rpartition(":")[2]
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
    return check.dead_letters(sum(int(counts.get(each, 0)) for each in wanted), patient.arn, url)


def _queue(patient: Patient) -> Fix:
    """The command that gives the function the stack's queue for what fails."""
    name = patient.stack.get("DeadLetterQueue", "").rpartition("/")[2]
    here = patient.arn.partition(":function:")[0].replace(":lambda:", ":sqs:")
    return fixes.queue_for_failures(patient.arn, f"{here}:{name}") if name else by_hand.name_a_queue()


def _rules(patient: Patient, eyes: Lookout | None, groups: Sequence[DeploymentGroup]) -> tuple[Check, ...]:
    """What comes to the function by EventBridge: the sweep, the drill, and what moves where."""
    events = patient.aws.client("events")
    names = events.list_rule_names_by_target(TargetArn=patient.arn)["RuleNames"]
    rules = [events.describe_rule(Name=name) for name in names]
    known = {rule["Name"]: rule for rule in rules if rule.get("Name")}
    checks = [check.sweep_scheduled(rules, _target(patient, "RollbackFunctionSweep"))]
    for controller in dict.fromkeys([Controller.CODE_DEPLOY, *sorted(group.controller for group in groups)]):
        source, rule = KNOWN[controller].events
        checks.append(check.events_heard(rules, source, controllers()[controller].deployer, _target(patient, rule)))
    for logical, (what, _) in RULES.items():
        name = patient.stack.get(logical, "").rpartition("|")[2]
        if name in known and enabled(known[name]):
            arn = str(known[name].get("Arn") or _rule_arn(patient, name))
            checks += attempted(f"{what} may invoke it", partial(_may_invoke, patient, what, arn))
    if eyes is not None and patient.own_table(eyes.settings).ok:
        last = partial(_last_drill, eyes.clients.dynamodb, eyes.settings.table)
        checks += attempted("the daily drill finds nothing wrong", lambda: check.drill(last(), rules, patient.now))
    return tuple(checks)


def _target(patient: Patient, logical: str) -> Fix:
    """The command that makes one of the stack's rules invoke the function; nothing where the stack has none."""
    name = patient.stack.get(logical, "").rpartition("|")[2]
    return fixes.put_target(patient.arn, name, RULES[logical][1]) if name else NOTHING


def _rule_arn(patient: Patient, name: str) -> str:
    return patient.arn.partition(":function:")[0].replace(":lambda:", ":events:") + f":rule/{name}"


def _may_invoke(patient: Patient, what: str, rule_arn: str) -> Check:
    return check.rule_may_invoke(what, patient.policy, rule_arn, patient.arn)


def _errors(patient: Patient) -> Check:
    name = ("FunctionName", str(patient.configuration["FunctionName"]))
    return check.recent_errors(_sums(patient, "AWS/Lambda", "Errors", name, timedelta(hours=1)), patient.arn)


def _sweep(patient: Patient) -> Check:
    name = patient.environ.get("POWERTOOLS_SERVICE_NAME", "lastgood")
    points = _sums(patient, "lastgood", "SweepRan", ("service", name), timedelta(minutes=15))
    return check.sweep_ran(points, patient.now, patient.arn)


def _sums(
    patient: Patient, namespace: str, metric: str, dimension: tuple[str, str], back: timedelta
) -> Sequence[Mapping[str, Any]]:
    """A metric's sums by the minute."""
    answer = patient.aws.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": dimension[0], "Value": dimension[1]}],
        StartTime=patient.now - back,
        EndTime=patient.now,
        Period=60,
        Statistics=["Sum"],
    )
    points: Sequence[Mapping[str, Any]] = answer["Datapoints"]
    return points


def _platforms(eyes: Lookout, groups: Sequence[DeploymentGroup]) -> dict[DeploymentGroup, ComputePlatform]:
    """The compute platform of each group that can be read and whose controller deploys to several."""
    found: dict[DeploymentGroup, ComputePlatform] = {}
    for group in groups:
        if len(platforms_of(group.controller)) > 1:
            with suppress(LastgoodError):
                facts = eyes.observer.deployer_for(group, None).facts()
                found |= {group: facts.compute_platform} if facts else {}
    return found


def _last_drill(dynamodb: Any, table: str) -> dict[str, Any]:
    answer = dynamodb.get_item(TableName=table, Key={"pk": {"S": "CONTROL"}, "sk": {"S": "DRILL"}})
    return {name: _decode(value) for name, value in answer.get("Item", {}).items()}
