"""Whether the function can run, may be invoked, and may do what it must."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from lastgood.errors import SettingsError
from lastgood.judgement.wording import duration
from lastgood.model import OthersOfARelease, ReleaseInAlarm
from lastgood.settings import Settings, unknown_variables
from lastgood_cli import by_hand, fixes
from lastgood_cli.checks.check import Check
from lastgood_cli.checks.policies import allows
from lastgood_cli.fix import NOTHING, Fix

type SetRight = Callable[[str, str], Fix]
"""From a variable and the value that it should have to the command that sets it."""
A_DATAPOINT = timedelta(minutes=1)
"""An alarm needs one more beyond what it looks back on, to recover."""


def function_state(configuration: Mapping[str, Any]) -> tuple[Check, ...]:
    """Whether the function can run, and runs what was deployed last."""
    state, update = configuration.get("State", "Active"), configuration.get("LastUpdateStatus", "Successful")
    why, update_why = configuration.get("StateReason", ""), configuration.get("LastUpdateStatusReason", "")
    ready = state in {"Active", "Inactive"}
    not_ready = by_hand.not_ready(str(configuration.get("FunctionArn", "")))
    return (
        Check(
            "it is active",
            ready,
            f"It is {state}. {why}".strip() if state != "Active" else "",
            NOTHING if ready else not_ready,
        ),
        Check(
            "its last update succeeded",
            update == "Successful",
            "" if update == "Successful" else f"It is {update}. {update_why}".strip(),
            NOTHING if update == "Successful" else not_ready,
        ),
    )


def version(deployed: str, own: str) -> Check:
    """Whether the command is of the function's version: only then is what it plans what the function would do."""
    name = "it is this command's version"
    if deployed == own:
        return Check(name, True, f"{own}.")
    said = f"It is {deployed or 'of an unknown version'}; this command is {own}."
    newer = _numbers(deployed) > _numbers(own)
    return Check(name, False, said, by_hand.update_command(deployed) if newer else fixes.deploy())


def _numbers(version: str) -> tuple[int, ...]:
    """`0.10.2` → (0, 10, 2); an unknown version is older than any."""
    return tuple(int(each) for each in version.split(".") if each.isdecimal())


def not_throttled(concurrency: Mapping[str, Any], function_arn: str) -> Check:
    """Whether the function may run at all: the console's button Throttle reserves no concurrency for it."""
    reserved = concurrency.get("ReservedConcurrentExecutions")
    ok = reserved is None or reserved > 0
    said = "" if ok else "Its reserved concurrency is 0: it is never invoked."
    return Check("it may run", ok, said, NOTHING if ok else fixes.free_concurrency(function_arn))


def of_the_stack(
    name: str, variable: str, given: str, stacks: str, function_arn: str, environ: Mapping[str, str]
) -> Check:
    """Whether a setting names the stack's own resource. `stacks` is empty where the stack could not be read."""
    if not stacks or given == stacks:
        return Check(name, True, given)
    said = f"{variable} is {given or 'empty'}, and the stack's is {stacks}."
    return Check(name, False, said, fixes.set_variables(function_arn, environ, **{variable: stacks}))


def settings_valid(
    environ: Mapping[str, str], parameters: Mapping[str, str] = MappingProxyType({}), function_arn: str = ""
) -> tuple[Check, ...]:
    """Every problem of the settings on its own line, and variables that mean nothing. `parameters` are the stack's."""
    try:
        Settings.from_env(environ)
        checks = [Check("its settings are valid", True)]
    except SettingsError as error:
        checks = [
            Check("its settings are valid", False, each, _set_right(each, environ, parameters, function_arn))
            for each in error.problems
        ]
    said = "It is no setting: misspelt, it changes nothing."
    checks += [
        Check(f"{name} is known", False, said, fixes.remove_variable(function_arn, environ, name))
        for name in unknown_variables(environ)
    ]
    return tuple(checks)


def _set_right(problem: str, environ: Mapping[str, str], parameters: Mapping[str, str], function_arn: str) -> Fix:
    """The fix of a problem, which begins with the setting's name."""
    return fixes.set_right(function_arn, environ, parameters, problem.partition(" ")[0].rstrip(":"))


def switched_on(settings: Settings, set_right: SetRight) -> Check:
    """The kill switch, and the mode that holds where no group has its own."""
    name = "it is switched on"
    if settings.kill_switch:
        said = "LASTGOOD_KILL_SWITCH is on: nothing is ever rolled back."
        return Check(name, False, said, set_right("LASTGOOD_KILL_SWITCH", "false"))
    meaning = {"off": "nothing is rolled back", "observe": "it records and does nothing", "approve": "it asks first"}
    told = f"Mode {settings.mode}: {meaning.get(settings.mode, 'it acts by itself')}."
    ok = settings.mode != "off"
    return Check(name, ok, told, NOTHING if ok else set_right("LASTGOOD_MODE", "observe"))


def permissions(results: Sequence[Mapping[str, Any]], role: str, function_arn: str) -> tuple[Check, ...]:
    """IAM's simulation of what the function does, as `SimulatePrincipalPolicy` answers for its role."""
    denied = [r for r in results if r.get("EvalDecision") != "allowed"]
    if not denied:
        return (Check("it may do what it must", True, f"{len(results)} actions were simulated."),)
    return tuple(
        Check(
            f"it may {r['EvalActionName']}",
            False,
            f"{r.get('EvalDecision')} on {r.get('EvalResourceName', '*')}. {_why_denied(r)}",
            _grant(r, role, function_arn),
        )
        for r in denied
    )


def _is_kept_away(result: Mapping[str, Any]) -> bool:
    """True where a denial, a boundary or the organization's policies forbid it: no grant would help."""
    bounds = ("PermissionsBoundaryDecisionDetail", "AllowedByPermissionsBoundary")
    above = ("OrganizationsDecisionDetail", "AllowedByOrganizations")
    forbidden = any(not result[detail].get(allowed, True) for detail, allowed in (bounds, above) if detail in result)
    return forbidden or result.get("EvalDecision") == "explicitDeny"


def _why_denied(result: Mapping[str, Any]) -> str:
    if _is_kept_away(result):
        return "A denial or a boundary keeps it away, which no grant overrules."
    return (
        "The parameters that grant it for good: ApplicationPattern, DeploymentGroupPattern, EcsServices, TaskRoleArns, "
        "ArtifactBucketArns, ImageRepositoryArns, PipelinePattern."
    )


def _grant(result: Mapping[str, Any], role: str, function_arn: str) -> Fix:
    if _is_kept_away(result):
        return by_hand.allow_again(result, role)
    action, resource = str(result["EvalActionName"]), str(result.get("EvalResourceName", "*"))
    return fixes.grant(function_arn, role, action, resource)


def release_in_alarm(settings: Settings, set_right: SetRight) -> Check:
    """What becomes of a release that meets a firing alarm, and whether the alarm has time to recover first."""
    name = "a release in a firing alarm is dealt with"
    grace, looks_back = settings.release_in_alarm_grace, settings.evaluation_window
    if settings.release_in_alarm is ReleaseInAlarm.ROLLBACK and grace < looks_back:
        said = (
            f"It is rolled back after {duration(grace)}; an alarm looks back {duration(looks_back)} and cannot recover."
        )
        longer = f"{int((looks_back + A_DATAPOINT).total_seconds())}s"
        return Check(name, False, said, set_right("LASTGOOD_RELEASE_IN_ALARM_GRACE", longer))
    meaning = {
        ReleaseInAlarm.TELL: "People are told.",
        ReleaseInAlarm.IGNORE: "Nobody is told: ReleaseInAlarm is ignore.",
    }
    rolled_back = f"It is rolled back if the alarm still fires {duration(grace)} later."
    return Check(name, True, meaning.get(settings.release_in_alarm, rolled_back))


def release_set(settings: Settings, set_right: SetRight) -> Check:
    """What becomes of the other groups of a release, and whether it can be known which they are."""
    name = "the rest of a release is dealt with"
    if settings.release_set is OthersOfARelease.TELL:
        return Check(name, True, "People are told how the other groups of a release go back too.")
    if settings.pipelines:
        return Check(name, True, "The other groups that one run of a pipeline released to follow.")
    said = "ReleaseSet is follow, and Pipelines names none whose runs would say which groups belong together."
    return Check(name, False, said, set_right("LASTGOOD_RELEASE_SET", OthersOfARelease.TELL))


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
    fix = NOTHING if ok else fixes.add_permission(function_arn, service, source_arn)
    return Check(name, ok, "" if ok else "The function's policy does not allow it.", fix)


def dead_letters(count: int, function_arn: str, url: str) -> Check:
    """Whether anything waits in the dead-letter queue."""
    name = "its dead-letter queue is empty"
    if not count:
        return Check(name, True)
    said = "1 event waits there." if count == 1 else f"{count} events wait there."
    return Check(name, False, said, by_hand.read_dead_letters(function_arn, url))


def recent_errors(datapoints: Sequence[Mapping[str, Any]], function_arn: str) -> Check:
    """Whether the function has failed lately, by Lambda's own metric."""
    count = int(sum(point.get("Sum", 0) for point in datapoints))
    fix = by_hand.read_logs(function_arn) if count else NOTHING
    return Check("it has not failed in the last hour", not count, f"It failed {count} times." if count else "", fix)
