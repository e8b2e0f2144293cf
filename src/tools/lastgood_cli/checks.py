"""The checks of the chain from an alarm to the audit table, each a small function over what AWS answered. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from lastgood.decide import GUARDS
from lastgood.errors import SettingsError
from lastgood.ledger import parse_iso
from lastgood.model import DeploymentGroup, Reason
from lastgood.phrases import ago
from lastgood.settings import Settings, unknown_variables
from lastgood_cli.lookout import Answer, Plan, Verdict, points_here

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
        "" if ok else "Deploy the stack again: its AlarmTopicPolicy allows it.",
    )


def topic_key(key_id: str, policy: str | None) -> Check:
    """Whether CloudWatch may use the key that encrypts the topic; `policy` is None where it could not be read."""
    name = "CloudWatch may use its encryption key"
    if not key_id:
        return Check(name, True, "The topic is not encrypted.")
    if key_id.endswith("alias/aws/sns"):
        fix = "Give the stack a key of your own (AlarmTopicKmsKeyArn), or none."
        return Check(name, False, "alias/aws/sns belongs to AWS: CloudWatch may not use it, and alarms are lost.", fix)
    if policy is None:
        return Check(name, None, f"The policy of {key_id} cannot be read.", "Allow kms:GetKeyPolicy.")
    needed = ("kms:Decrypt", "kms:GenerateDataKey")
    missing = [action for action in needed if not allows(policy, action, "cloudwatch.amazonaws.com")]
    fix = f"Let cloudwatch.amazonaws.com use kms:Decrypt and kms:GenerateDataKey* in the policy of {key_id}."
    return Check(name, not missing, f"Not allowed: {', '.join(missing)}." if missing else "", fix if missing else "")


def subscription(subscriptions: Sequence[Mapping[str, Any]], function_arn: str) -> Check:
    """Whether the function is subscribed, and the subscription confirmed."""
    name = "the function is subscribed"
    mine = [s for s in subscriptions if s.get("Endpoint") == function_arn]
    if not mine:
        return Check(name, False, f"{function_arn} is not among its subscriptions.", "Deploy the stack again.")
    if all(s.get("SubscriptionArn") in {"PendingConfirmation", "Deleted"} for s in mine):
        return Check(name, False, "The subscription is not confirmed.", "Delete it and deploy the stack again.")
    return Check(name, True)


def may_be_invoked(policy: str, topic_arn: str) -> Check:
    """Whether the function lets the topic invoke it."""
    ok = allows(policy, "lambda:InvokeFunction", "sns.amazonaws.com", topic_arn)
    fix = "" if ok else "Deploy the stack again: it grants this permission."
    return Check("the topic may invoke the function", ok, "" if ok else "The function's policy does not name it.", fix)


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
            "" if ready else "Wait if it is Pending; otherwise deploy the stack again.",
        ),
        Check(
            "its last update succeeded",
            update == "Successful",
            "" if update == "Successful" else f"It is {update}. {update_why}".strip(),
            "" if update == "Successful" else "Wait if it is InProgress; otherwise deploy the stack again.",
        ),
    )


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
            "Deploy the stack again; see ApplicationPattern, DeploymentGroupPattern, and any permissions boundary.",
        )
        for r in denied
    )


def needed_actions(
    group: DeploymentGroup | None, settings: Settings, arn: str, table_arn: str
) -> tuple[tuple[str, str], ...]:
    """(action, resource) of everything that the function does on every platform; `arn` is the function's."""
    partition, account = arn.split(":")[1], arn.split(":")[4]
    region = arn.split(":")[3]
    key = group.key if group else "any/any"
    application = group.application if group else "any"
    base = f"arn:{partition}:codedeploy:{region}:{account}"
    on_group = ("GetDeploymentGroup", "ListDeployments", "GetDeployment", "BatchGetDeployments", "CreateDeployment")
    needed = [(f"codedeploy:{action}", f"{base}:deploymentgroup:{key}") for action in on_group]
    if settings.override_alarms:
        needed.append(("codedeploy:UpdateDeploymentGroup", f"{base}:deploymentgroup:{key}"))
    needed += [
        ("codedeploy:GetApplicationRevision", f"{base}:application:{application}"),
        ("codedeploy:GetDeploymentConfig", f"{base}:deploymentconfig:CodeDeployDefault.AllAtOnce"),
        ("codedeploy:StopDeployment", "*"),
        ("cloudwatch:DescribeAlarms", "*"),
        ("cloudwatch:ListTagsForResource", f"arn:{partition}:cloudwatch:{region}:{account}:alarm:any"),
        *[(f"dynamodb:{action}", table_arn) for action in ("GetItem", "PutItem", "UpdateItem", "Query")],
        ("dynamodb:Query", f"{table_arn}/index/open"),
    ]
    if settings.notification_topic_arn:
        needed.append(("sns:Publish", settings.notification_topic_arn))
    if settings.event_bus:
        needed.append(("events:PutEvents", f"arn:{partition}:events:{region}:{account}:event-bus/{settings.event_bus}"))
    return tuple(needed)


def dead_letters(count: int, queue: str) -> Check:
    """Whether anything lies in the dead-letter queue."""
    fix = f"Read them, mend the cause, redrive {queue}: a stale message then does nothing." if count else ""
    return Check("its dead-letter queue is empty", count == 0, f"{count} events lie there." if count else "", fix)


def recent_errors(datapoints: Sequence[Mapping[str, Any]]) -> Check:
    """Whether the function has failed lately, by Lambda's own metric."""
    count = int(sum(point.get("Sum", 0) for point in datapoints))
    fix = 'Read its logs; invoke it with {"action": "health"}.' if count else ""
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


def table_state(table: Mapping[str, Any]) -> tuple[Check, ...]:
    """The audit table with its indexes, as `DescribeTable` answers."""
    status = table.get("TableStatus", "")
    indexes = {
        index["IndexName"]: index.get("IndexStatus", "ACTIVE") for index in table.get("GlobalSecondaryIndexes", [])
    }
    missing = [name for name in INDEXES if indexes.get(name) != "ACTIVE"]
    protected = bool(table.get("DeletionProtectionEnabled"))
    again = "Deploy the stack again."
    return (
        Check("it is active", status == "ACTIVE", "" if status == "ACTIVE" else f"It is {status}."),
        Check(
            "its indexes are active",
            not missing,
            f"Not active: {', '.join(missing)}." if missing else "",
            again if missing else "",
        ),
        Check(
            "it is protected from deletion",
            protected,
            "" if protected else "A mistake could delete the record.",
            "" if protected else again,
        ),
    )


def table_backups(answer: Mapping[str, Any]) -> Check:
    """Point-in-time recovery."""
    description = answer.get("ContinuousBackupsDescription", {}).get("PointInTimeRecoveryDescription", {})
    ok = description.get("PointInTimeRecoveryStatus") == "ENABLED"
    fix = "" if ok else "Deploy the stack again."
    return Check("it can be restored to a point in time", ok, "" if ok else "Recovery is not enabled.", fix)


def table_expiry(answer: Mapping[str, Any]) -> Check:
    """Time to live."""
    description = answer.get("TimeToLiveDescription", {})
    ok = description.get("TimeToLiveStatus") == "ENABLED" and description.get("AttributeName") == "expires_at"
    fix = "" if ok else "Deploy the stack again."
    return Check("old records expire", ok, "" if ok else "Its time to live does not use expires_at.", fix)


def nothing_overdue(rows: Sequence[Mapping[str, Any]], now: datetime) -> Check:
    """Whether every open rollback is being looked after; `rows` are items of the index `open`."""
    late = [row for row in rows if now - parse_iso(str(row["next_check_at"])) > OVERDUE]
    said = (
        f"{', '.join(str(row['rollback_id']) for row in late[:3])} should have been visited long ago." if late else ""
    )
    fix = "The sweep does not get through: look at the function's logs." if late else ""
    return Check("no open rollback is left alone", not late, said or f"{len(rows)} open.", fix)


# --- pure: the deployment group ---------------------------------------------------------------------------------------

_NOT_WRONG = {Reason.ALREADY_LIVE, Reason.SUSPECT_IS_ROLLBACK, Reason.OBSERVE_MODE, Reason.NEEDS_APPROVAL}
_FIXES: Mapping[str, str] = {
    Reason.GROUP_NOT_FOUND: "Mend the alarm's tags, or LASTGOOD_ROUTES.",
    Reason.NOT_ALLOWED: "Add it to AllowedGroups, or mend the route.",
    Reason.PAUSED: "When it is time: lastgood resume",
    Reason.MODE_OFF: "When it is time: lastgood mode APPLICATION/GROUP auto",
    Reason.KILL_SWITCH: "Deploy with KillSwitch=false.",
    Reason.NO_GOOD_REVISION: "Release twice: the first good revision makes the second one reversible.",
    Reason.BELOW_FLOOR: "Fix forward, or, if the database can go back after all: lastgood floor clear",
    Reason.KNOWN_BAD: "If a revision was marked wrongly: lastgood mark good",
    Reason.LIVE_DIFFERS: "Release through CodeDeploy again, so that live and history agree.",
    Reason.NOT_ATTRIBUTABLE: "Release something: there is nothing yet that could be rolled back.",
    Reason.MANAGED_BY_CLOUDFORMATION: "CloudFormation must roll back its own deployments.",
}


def group_checks(plan: Plan) -> tuple[Check, ...]:
    """A deployment group as a rollback by hand, asked for now, would find it."""
    if plan.decision is None:
        reason = next((a.reason for a in plan.answers if a.verdict is Verdict.NO), "")
        busy = reason == Reason.ALREADY_OPEN
        return (Check("a rollback could begin now", busy or False, plan.explanation, _FIXES.get(reason, "")),)
    by_reasons = {
        str(reason): a for a in plan.answers for g in GUARDS if g.question == a.question for reason in g.reasons
    }
    exists = by_reasons[Reason.GROUP_NOT_FOUND]
    if exists.verdict in {Verdict.NO, Verdict.NO_TOO}:
        return (_from_answer("it exists", exists),)
    good = plan.decision.good
    ready = f"{good.revision.label or good.revision.identity} (from {good.deployment_id})." if good else ""
    checks = [
        Check("it exists", True),
        _from_answer("nothing is paused", by_reasons[Reason.PAUSED]),
        _from_answer("its mode lets lastgood act", by_reasons[Reason.MODE_OFF], f"Mode {plan.mode}."),
    ]
    objection = next(
        (a for a in plan.answers if a.verdict in {Verdict.NO, Verdict.NO_TOO} and _about_revisions(a)), None
    )
    last = "a last good revision exists and can be deployed now"
    checks.append(
        _from_answer(last, objection, ready) if objection else Check(last, True, f"{ready} {plan.then}".strip())
    )
    if plan.floor is not None:
        checks.append(Check("its floor is known", True, f"{plan.floor.deployment_id}: {plan.floor.reason}."))
    return tuple(checks)


def _about_revisions(answer: Answer) -> bool:
    about = set(_FIXES) - {Reason.PAUSED, Reason.MODE_OFF, Reason.KILL_SWITCH}
    return answer.reason in about or answer.reason in _NOT_WRONG


def _from_answer(name: str, answer: Answer, good: str = "") -> Check:
    if answer.verdict in {Verdict.YES, Verdict.NOT_ASKED}:
        return Check(name, True, good)
    ok = answer.reason in _NOT_WRONG
    return Check(name, ok, answer.explanation, "" if ok else _FIXES.get(answer.reason, ""))
