"""Whether an alarm reaches lastgood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lastgood.settings import Settings
from lastgood_cli import fixes
from lastgood_cli.alarm_paths import points_here
from lastgood_cli.checks.check import Check


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
            "" if enabled else fixes.enable_alarm_actions(str(alarm.get("AlarmArn", "")), name),
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
