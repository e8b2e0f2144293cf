"""Whether an alarm reaches lastgood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lastgood.model import DeploymentGroup
from lastgood.settings import Settings
from lastgood_cli import by_hand, fixes
from lastgood_cli.alarm_paths import at_home, points_here
from lastgood_cli.checks.check import Check
from lastgood_cli.fix import NOTHING, Fix


def alarm_actions(
    alarm: Mapping[str, Any], settings: Settings, function_arn: str, groups: Sequence[DeploymentGroup] = ()
) -> tuple[Check, ...]:
    """Whether the alarm's change reaches the function; `groups` are those that it leads to."""
    enabled = bool(alarm.get("ActionsEnabled", True))
    name = alarm["AlarmName"]
    reaches = points_here(alarm, settings, function_arn) if settings.alarm_topic_arns else bool(alarm["AlarmActions"])
    says_ok = points_here({"AlarmActions": alarm.get("OKActions")}, settings, function_arn)
    return (
        Check(
            "its actions are enabled",
            enabled,
            "" if enabled else "The alarm changes its state and tells nobody.",
            NOTHING if enabled else fixes.enable_alarm_actions(str(alarm.get("AlarmArn", "")), name),
        ),
        Check(
            "going into ALARM reaches lastgood",
            reaches,
            "" if reaches else "None of its ALARM actions is the alarm topic or the function.",
            NOTHING if reaches else _reach(alarm, settings, function_arn, groups),
        ),
        Check(
            "its recovery reaches lastgood",
            True,
            "" if says_ok else "Not by an OK action; the sweep finds it out within a minute.",
        ),
    )


def _reach(alarm: Mapping[str, Any], settings: Settings, function_arn: str, groups: Sequence[DeploymentGroup]) -> Fix:
    if len(groups) > 1:
        return by_hand.add_actions(", ".join(settings.alarm_topic_arns) or "the stack's AlarmTopic")
    arn = str(alarm.get("AlarmArn", ""))
    name = arn if arn and not at_home(arn, function_arn) else str(alarm["AlarmName"])
    return fixes.connect(function_arn, name, groups[0].key if groups else "")


def alarm_suppressed(alarm: Mapping[str, Any]) -> Check:
    """Whether a composite alarm's actions are suppressed right now."""
    by = alarm.get("ActionsSuppressedBy", "")
    suppressor = str(alarm.get("ActionsSuppressor") or "").rpartition(":")[2]
    fix = by_hand.suppressed(str(alarm.get("AlarmArn", "")), suppressor) if by else NOTHING
    return Check("its actions are not suppressed", not by, f"Suppressed by {by}." if by else "", fix)


def alarm_muted(rules: Sequence[Mapping[str, Any]], alarm_arn: str) -> Check:
    """Whether mute rules keep the alarm silent now."""
    names = [str(rule.get("AlarmMuteRuleArn", "")).rpartition(":")[2] for rule in rules]
    said = f"Muted by {', '.join(names)}, until that ends or is deleted." if names else ""
    return Check("it is not muted", not names, said, fixes.unmute(alarm_arn, names[0]) if names else NOTHING)
