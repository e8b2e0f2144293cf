"""The checks of the chain from an alarm to the audit table, each a small function over what AWS answered. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from lastgood.errors import SettingsError
from lastgood.judgement.wording import ago, duration
from lastgood.settings import Settings, unknown_variables
from lastgood.times import parse_iso
from lastgood_cli import fixes
from lastgood_cli.lookout import points_here

DRILL_SCHEDULE = "rate(1 day)"
DRILL_SILENCE = timedelta(hours=49)
SWEEP_SILENCE = timedelta(minutes=5)
OVERDUE = timedelta(minutes=10)
INDEXES = ("by_deployment_group", "by_day", "open")


@dataclass(frozen=True, slots=True)
class Check:
    """One link of the chain. `ok`: True, False, or None where it could not be looked at."""

    name: str
    ok: bool | None
    detail: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the chain with its checks."""

    name: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool | None:
        """False if anything is wrong, None if something could not be looked at, else True."""
        found = {check.ok for check in self.checks}
        return False if False in found else None if None in found else True


def healthy(parts: Iterable[Part]) -> bool:
    """True where nothing is wrong; what could not be looked at does not count against it."""
    return all(part.ok is not False for part in parts)


# --- pure: the alarm --------------------------------------------------------------------------------------------------


def alarm_actions(alarm: Mapping[str, Any], settings: Settings, function_arn: str) -> tuple[Check, ...]:
    """Whether the alarm's change reaches the function."""
    topics = ", ".join(settings.alarm_topic_arns) or "the stack's AlarmTopic"
    enabled = bool(alarm.get("ActionsEnabled", True))
    name = alarm["AlarmName"]
    reaches = points_here(alarm, settings, function_arn) if settings.alarm_topic_arns else bool(alarm["AlarmActions"])
    says_ok = points_here({"AlarmActions": alarm.get("OKActions")}, settings, function_arn)
    return (
        Check(
            "its actions are enabled",
            enabled,
            "" if enabled else "The alarm changes its state and tells nobody.",
            "" if enabled else f"aws cloudwatch enable-alarm-actions --alarm-names '{name}'",
        ),
        Check(
            "going into ALARM reaches lastgood",
            reaches,
            "" if reaches else "None of its ALARM actions is the alarm topic or the function.",
            "" if reaches else f"Add {topics} to the alarm's ALARM actions.",
        ),
        Check(
            "its recovery reaches lastgood",
            True,
            "" if says_ok else "Not by an OK action; the sweep finds it out within a minute.",
        ),
    )


def alarm_suppressed(alarm: Mapping[str, Any]) -> Check:
    """Whether a composite alarm's actions are suppressed right now."""
    by = alarm.get("ActionsSuppressedBy", "")
    fix = f"See why {alarm.get('ActionsSuppressor') or 'the suppressor'} is in ALARM." if by else ""
    return Check("its actions are not suppressed", not by, f"Suppressed by {by}." if by else "", fix)


def alarm_muted(rules: Sequence[Mapping[str, Any]]) -> Check:
    """Whether a mute rule keeps the alarm silent now."""
    names = [str(rule.get("AlarmMuteRuleArn", "")).rpartition(":")[2] for rule in rules]
    fix = "Wait until the rule ends, or delete it." if names else ""
    return Check("it is not muted", not names, f"Muted by {', '.join(names)}." if names else "", fix)


# --- pure: the topic --------------------------------------------------------------------------------------------------


def allows(policy: str, action: str, service: str, source_arn: str = "") -> bool:
    """Whether a resource policy (JSON) allows a service an action, for a source where it is conditioned on one.

    A denial counts where it has no condition; those that have one (such as TLS only) are not worked out.
    """
    try:
        statements = json.loads(policy or "{}")["Statement"]
    except (ValueError, TypeError, KeyError):
        return False
    told = [s for s in (statements if isinstance(statements, list) else [statements]) if isinstance(s, dict)]
    matching = [s for s in told if _names(s, action, service)]
    denied = any(s.get("Effect") == "Deny" and not s.get("Condition") for s in matching)
    return not denied and any(s.get("Effect") == "Allow" and _source_fits(s, source_arn) for s in matching)


def _names(statement: Mapping[str, Any], action: str, service: str) -> bool:
    principal = statement.get("Principal")
    if isinstance(principal, dict):
        principal = [*_listed(principal.get("Service")), *(p for p in _listed(principal.get("AWS")) if p == "*")]
    actions = [each.lower() for each in _listed(statement.get("Action"))]
    return any(p in {service, "*"} for p in _listed(principal)) and any(fnmatchcase(action.lower(), a) for a in actions)


def _source_fits(statement: Mapping[str, Any], source_arn: str) -> bool:
    """Whether the conditions on the source's ARN and account hold; others are not looked at."""
    if not source_arn:
        return True
    source = {"aws:sourcearn": source_arn, "aws:sourceaccount": source_arn.split(":")[4]}
    for operator, pairs in (statement.get("Condition") or {}).items():
        if operator not in {"ArnLike", "ArnEquals", "StringLike", "StringEquals"}:
            continue
        for key, wanted in pairs.items():
            is_ = source.get(key.lower())
            if is_ is not None and not any(fnmatchcase(is_, each) for each in _listed(wanted)):
                return False
    return True


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [each for each in value or [] if isinstance(each, str)]


def topic_policy(policy: str, topic_arn: str) -> Check:
    """Whether CloudWatch may publish to the topic."""
    alarms = topic_arn.replace(":sns:", ":cloudwatch:").rpartition(":")[0] + ":alarm:any"
    ok = allows(policy, "sns:Publish", "cloudwatch.amazonaws.com", alarms)
    return Check(
        "CloudWatch may publish to it",
        ok,
        "" if ok else "Its policy lets cloudwatch.amazonaws.com publish nothing from this account's alarms.",
        "" if ok else fixes.topic_policy(topic_arn, _others(policy)),
    )


def _others(policy: str) -> list[dict[str, Any]]:
    """The statements of a topic's policy that may stay: all but what denies CloudWatch everything."""
    try:
        told = json.loads(policy or "{}").get("Statement", [])
    except (ValueError, AttributeError):
        return []
    statements = [s for s in (told if isinstance(told, list) else [told]) if isinstance(s, dict)]
    shut = ("sns:Publish", "cloudwatch.amazonaws.com")
    return [s for s in statements if not (s.get("Effect") == "Deny" and not s.get("Condition") and _names(s, *shut))]


def topic_key(key_id: str, policy: str | None) -> Check:
    """Whether CloudWatch may use the key that encrypts the topic; `policy` is None where it could not be read."""
    name = "CloudWatch may use its encryption key"
    if not key_id:
        return Check(name, True, "The topic is not encrypted.")
    if key_id.endswith("alias/aws/sns"):
        fix = "Give the stack a key of your own (KmsKeyArn), or none."
        return Check(name, False, "alias/aws/sns belongs to AWS: CloudWatch may not use it, and alarms are lost.", fix)
    if policy is None:
        return Check(name, None, f"The policy of {key_id} cannot be read.", "Allow kms:GetKeyPolicy.")
    needed = ("kms:Decrypt", "kms:GenerateDataKey")
    missing = [action for action in needed if not allows(policy, action, "cloudwatch.amazonaws.com")]
    fix = f"Let cloudwatch.amazonaws.com use kms:Decrypt and kms:GenerateDataKey* in the policy of {key_id}."
    return Check(name, not missing, f"Not allowed: {', '.join(missing)}." if missing else "", fix if missing else "")


def subscription(subscriptions: Sequence[Mapping[str, Any]], function_arn: str, topic_arn: str) -> Check:
    """Whether the function is subscribed, and the subscription confirmed."""
    name, fix = "the function is subscribed", fixes.subscribe_function(topic_arn, function_arn)
    mine = [s for s in subscriptions if s.get("Endpoint") == function_arn]
    if not mine:
        return Check(name, False, f"{function_arn} is not among its subscriptions.", fix)
    if all(s.get("SubscriptionArn") in {"PendingConfirmation", "Deleted"} for s in mine):
        return Check(name, False, "The subscription is not confirmed.", fix)
    return Check(name, True)


def unfiltered(attributes: Mapping[str, str], function_arn: str) -> Check:
    """Whether all that the topic says reaches the function; `attributes` are its subscription's."""
    policy = attributes.get("FilterPolicy", "") or "{}"
    whole = policy.strip() in {"{}", ""}
    fix = "" if whole else fixes.clear_filter(function_arn, attributes.get("SubscriptionArn", ""))
    return Check("no filter keeps alarms back", whole, "" if whole else f"Only {policy} comes through.", fix)


def may_be_invoked(policy: str, topic_arn: str, function_arn: str) -> Check:
    """Whether the function lets the topic invoke it."""
    name = "the topic may invoke the function"
    return _invocable(name, policy, "sns.amazonaws.com", topic_arn, function_arn)


def rule_may_invoke(what: str, policy: str, rule_arn: str, function_arn: str) -> Check:
    """Whether the function lets one of EventBridge's rules invoke it."""
    return _invocable(f"{what} may invoke it", policy, "events.amazonaws.com", rule_arn, function_arn)


def alarms_may_invoke(policy: str, alarm_arn: str, function_arn: str) -> Check:
    """Whether the function lets an alarm invoke it that names it among its actions."""
    service = "lambda.alarms.cloudwatch.amazonaws.com"
    return _invocable("it may invoke the function", policy, service, alarm_arn, function_arn)


def _invocable(name: str, policy: str, service: str, source_arn: str, function_arn: str) -> Check:
    ok = allows(policy, "lambda:InvokeFunction", service, source_arn)
    fix = "" if ok else fixes.add_permission(function_arn, service, source_arn)
    return Check(name, ok, "" if ok else "The function's policy does not allow it.", fix)


def people_listen(topic_arn: str, subscriptions: Sequence[Mapping[str, Any]]) -> Check:
    """Whether anybody would hear a notice."""
    name = "somebody hears its notices"
    if any(str(each.get("SubscriptionArn", "")).startswith("arn:") for each in subscriptions):
        return Check(name, True)
    pending = f" {len(subscriptions)} have not confirmed yet." if subscriptions else ""
    return Check(name, False, f"Nobody has subscribed to {topic_arn}.{pending}", fixes.subscribe_people(topic_arn))


# --- pure: the function -----------------------------------------------------------------------------------------------


def function_state(configuration: Mapping[str, Any]) -> tuple[Check, ...]:
    """Whether the function can run, and runs what was deployed last."""
    state, update = configuration.get("State", "Active"), configuration.get("LastUpdateStatus", "Successful")
    why, update_why = configuration.get("StateReason", ""), configuration.get("LastUpdateStatusReason", "")
    ready = state in {"Active", "Inactive"}
    return (
        Check(
            "it is active",
            ready,
            f"It is {state}. {why}".strip() if state != "Active" else "",
            "" if ready else "Wait if it is Pending; otherwise: sam build && sam deploy",
        ),
        Check(
            "its last update succeeded",
            update == "Successful",
            "" if update == "Successful" else f"It is {update}. {update_why}".strip(),
            "" if update == "Successful" else "Wait if it is InProgress; otherwise: sam build && sam deploy",
        ),
    )


def version(deployed: str, own: str) -> Check:
    """Whether the command is of the function's version: only then is what it plans what the function would do."""
    name = "it is this command's version"
    if deployed == own:
        return Check(name, True, f"{own}.")
    fix = "In the checkout of the newer one: git pull && make deploy, or: pipx install --force ."
    return Check(name, False, f"It is {deployed or 'of an unknown version'}; this command is {own}.", fix)


def not_throttled(concurrency: Mapping[str, Any], function_arn: str) -> Check:
    """Whether the function may run at all: the console's button Throttle reserves no concurrency for it."""
    reserved = concurrency.get("ReservedConcurrentExecutions")
    ok = reserved is None or reserved > 0
    said = "" if ok else "Its reserved concurrency is 0: it is never invoked."
    return Check("it may run", ok, said, "" if ok else fixes.free_concurrency(function_arn))


def of_the_stack(
    name: str, variable: str, given: str, stacks: str, function_arn: str, environ: Mapping[str, str]
) -> Check:
    """Whether a setting names the stack's own resource. `stacks` is empty where the stack could not be read."""
    if not stacks or given == stacks:
        return Check(name, True, given)
    said = f"{variable} is {given or 'empty'}, and the stack's is {stacks}."
    return Check(name, False, said, fixes.set_variables(function_arn, environ, **{variable: stacks}))


def settings_valid(environ: Mapping[str, str]) -> tuple[Check, ...]:
    """Every problem of the settings on its own line, and variables that mean nothing."""
    try:
        Settings.from_env(environ)
        checks = [Check("its settings are valid", True)]
    except SettingsError as error:
        fix = "Correct the stack's parameter and deploy."
        checks = [Check("its settings are valid", False, problem, fix) for problem in error.problems]
    checks += [
        Check(f"{name} is known", False, "It is no setting: misspelt, it changes nothing.", "Remove or rename it.")
        for name in unknown_variables(environ)
    ]
    return tuple(checks)


def switched_on(settings: Settings) -> Check:
    """The kill switch and the mode that holds where no group has its own."""
    if settings.kill_switch:
        fix = "Deploy with KillSwitch=false."
        return Check("it is switched on", False, "LASTGOOD_KILL_SWITCH is on: nothing is ever rolled back.", fix)
    said = {"off": "nothing is rolled back", "observe": "it records and does nothing", "approve": "it asks first"}
    meaning = said.get(settings.mode, "it acts by itself")
    fix = "" if settings.mode != "off" else "Deploy with another Mode, or: lastgood mode APPLICATION/GROUP auto"
    return Check("it is switched on", settings.mode != "off", f"Mode {settings.mode}: {meaning}.", fix)


def permissions(results: Sequence[Mapping[str, Any]]) -> tuple[Check, ...]:
    """IAM's simulation of what the function does, as `SimulatePrincipalPolicy` answers."""
    denied = [r for r in results if r.get("EvalDecision") != "allowed"]
    if not denied:
        return (Check("it may do what it must", True, f"{len(results)} actions were simulated."),)
    return tuple(
        Check(
            f"it may {r['EvalActionName']}",
            False,
            f"{r.get('EvalDecision')} on {r.get('EvalResourceName', '*')}.",
            "Deploy with fitting parameters: ApplicationPattern, DeploymentGroupPattern, EcsServices, TaskRoleArns, "
            "ArtifactBucketArns, PipelinePattern; look at any permissions boundary and denial.",
        )
        for r in denied
    )


def release_in_alarm(settings: Settings) -> Check:
    """What becomes of a release that meets a firing alarm, and whether the alarm has time to recover first."""
    name = "a release in a firing alarm is dealt with"
    grace, looks_back = settings.release_in_alarm_grace, settings.evaluation_window
    if settings.release_in_alarm == "rollback" and grace < looks_back:
        said = (
            f"It is rolled back after {duration(grace)}; an alarm looks back {duration(looks_back)} and cannot recover."
        )
        return Check(name, False, said, "Deploy with a ReleaseInAlarmGrace that is longer than EvaluationWindow.")
    meaning = {"tell": "People are told.", "ignore": "Nobody is told: ReleaseInAlarm is ignore."}
    rolled_back = f"It is rolled back if the alarm still fires {duration(grace)} later."
    return Check(name, True, meaning.get(settings.release_in_alarm, rolled_back))


def events_heard(rules: Sequence[Mapping[str, Any]], source: str, who: str, target: str = "") -> Check:
    """Whether a rule brings the events of `source` to the function; `rules` are as `DescribeRule` answers.

    `target` is the command that makes the stack's rule bring them again.
    """
    name = f"{who}'s events reach it"
    hearing = [rule for rule in rules if f'"{source}"' in str(rule.get("EventPattern", ""))]
    if any(enabled(rule) for rule in hearing):
        return Check(name, True)
    if hearing:
        return Check(
            name, False, "The rule is disabled.", f"aws events enable-rule --name {hearing[0].get('Name', '…')}"
        )
    return Check(name, False, "No rule brings them: rollbacks wait for the sweep.", target or _NO_RULE)


def sweep_scheduled(rules: Sequence[Mapping[str, Any]], target: str = "") -> Check:
    """Whether the sweep comes by itself. `target` is the command that makes the stack's rule invoke the function."""
    name = "the sweep's schedule is enabled"
    sweeps = [rule for rule in rules if rule.get("ScheduleExpression") not in {None, "", DRILL_SCHEDULE}]
    on = next((rule for rule in sweeps if enabled(rule)), None)
    if on is not None:
        return Check(name, True, f"{on['ScheduleExpression']}.")
    if sweeps:
        return Check(name, False, "It is disabled.", f"aws events enable-rule --name {sweeps[0].get('Name', '…')}")
    return Check(name, False, "No schedule invokes the function.", target or _NO_RULE)


_NO_RULE = "Give the stack's rule the function as its target: aws events put-targets --rule …"


def enabled(rule: Mapping[str, Any]) -> bool:
    """True for an EventBridge rule that is on."""
    return str(rule.get("State", "ENABLED")).startswith("ENABLED")


def drill(last: Mapping[str, Any], rules: Sequence[Mapping[str, Any]], now: datetime) -> Check:
    """When the daily drill was last, and what it found; `last` is its item in the audit table, or empty."""
    name, again = "the daily drill finds nothing wrong", "lastgood drill"
    scheduled = any(rule.get("ScheduleExpression") == DRILL_SCHEDULE and enabled(rule) for rule in rules)
    if not last:
        said = "There was none yet." if scheduled else "It is switched off (DailyDrill), and there was none."
        return Check(name, True, said)
    at = parse_iso(str(last["occurred_at"]))
    problems = [str(each) for each in last.get("problems") or ()]
    if problems:
        return Check(name, False, f"{ago(now, at)} ago: {' '.join(problems)}", f"Mend it, then: {again}")
    if scheduled and now - at > DRILL_SILENCE:
        return Check(name, False, f"It was last {ago(now, at)} ago.", f"Look at the function's logs, then: {again}")
    return Check(name, True, f"It was last {ago(now, at)} ago.")


def dead_letters(count: int, queue: str) -> Check:
    """Whether anything waits in the dead-letter queue."""
    name = "its dead-letter queue is empty"
    if not count:
        return Check(name, True)
    said = "1 event waits there." if count == 1 else f"{count} events wait there."
    return Check(name, False, said, f"Read them, mend the cause, redrive {queue}: a stale message then does nothing.")


def recent_errors(datapoints: Sequence[Mapping[str, Any]]) -> Check:
    """Whether the function has failed lately, by Lambda's own metric."""
    count = int(sum(point.get("Sum", 0) for point in datapoints))
    fix = "Read its logs, and: lastgood health" if count else ""
    return Check("it has not failed in the last hour", not count, f"It failed {count} times." if count else "", fix)


def sweep_ran(datapoints: Sequence[Mapping[str, Any]], now: datetime) -> Check:
    """Whether the sweep has run in the last minutes, by its own metric."""
    last = max((d["Timestamp"] for d in datapoints if d.get("Sum", 0) > 0), default=None)
    if last is None:
        fix = "Look at the schedule, the function's logs, and its permission for events.amazonaws.com."
        return Check("the sweep is running", False, "It has not run in the last 15 minutes.", fix)
    ok = now - last <= SWEEP_SILENCE + timedelta(minutes=1)
    said = f"It ran last {ago(now, last)} ago."
    return Check("the sweep is running", ok, said, "" if ok else "Look at the schedule and the function's logs.")


# --- pure: the table --------------------------------------------------------------------------------------------------


def table_state(table: Mapping[str, Any], function_arn: str) -> tuple[Check, ...]:
    """The audit table with its indexes, as `DescribeTable` answers."""
    status = table.get("TableStatus", "")
    indexes = {
        index["IndexName"]: index.get("IndexStatus", "ACTIVE") for index in table.get("GlobalSecondaryIndexes", [])
    }
    missing = [name for name in INDEXES if indexes.get(name) != "ACTIVE"]
    protected = bool(table.get("DeletionProtectionEnabled"))
    name = str(table.get("TableName", "TABLE"))
    return (
        Check(
            "it is active",
            status == "ACTIVE",
            "" if status == "ACTIVE" else f"It is {status}.",
            "" if status == "ACTIVE" else "Wait if it is UPDATING; otherwise look at it in DynamoDB's console.",
        ),
        Check(
            "its indexes are active",
            not missing,
            f"Not active: {', '.join(missing)}." if missing else "",
            f"aws dynamodb update-table --table-name {name} --global-secondary-index-updates …, as in template.yaml"
            if missing
            else "",
        ),
        Check(
            "it is protected from deletion",
            protected,
            "" if protected else "A mistake could delete the record.",
            "" if protected else fixes.protect_table(function_arn, name),
        ),
    )


def table_backups(answer: Mapping[str, Any], table: str, function_arn: str) -> Check:
    """Point-in-time recovery."""
    description = answer.get("ContinuousBackupsDescription", {}).get("PointInTimeRecoveryDescription", {})
    ok = description.get("PointInTimeRecoveryStatus") == "ENABLED"
    fix = "" if ok else fixes.back_table_up(function_arn, table)
    return Check("it can be restored to a point in time", ok, "" if ok else "Recovery is not enabled.", fix)


def table_expiry(answer: Mapping[str, Any], table: str, function_arn: str) -> Check:
    """Time to live."""
    description = answer.get("TimeToLiveDescription", {})
    ok = description.get("TimeToLiveStatus") == "ENABLED" and description.get("AttributeName") == "expires_at"
    fix = "" if ok else fixes.expire_records(function_arn, table)
    return Check("old records expire", ok, "" if ok else "Its time to live does not use expires_at.", fix)


def nothing_overdue(rows: Sequence[Mapping[str, Any]], now: datetime) -> Check:
    """Whether every open rollback is being looked after; `rows` are items of the index `open`."""
    late = [row for row in rows if now - parse_iso(str(row["next_check_at"])) > OVERDUE]
    said = (
        f"{', '.join(str(row['rollback_id']) for row in late[:3])} should have been visited long ago." if late else ""
    )
    fix = "The sweep does not get through: look at the function's logs." if late else ""
    return Check("no open rollback is left alone", not late, said or f"{len(rows)} open.", fix)
