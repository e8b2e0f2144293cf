"""The checks of the chain from an alarm to the audit table, each a small function over what AWS answered. Pure."""

from __future__ import annotations

from lastgood_cli.checks.alarm import alarm_actions, alarm_muted, alarm_suppressed
from lastgood_cli.checks.check import Check, Part, healthy
from lastgood_cli.checks.function import (
    alarms_may_invoke,
    dead_letters,
    function_state,
    may_be_invoked,
    not_throttled,
    of_the_stack,
    permissions,
    recent_errors,
    release_in_alarm,
    release_set,
    rule_may_invoke,
    settings_valid,
    switched_on,
    version,
)
from lastgood_cli.checks.policies import allows
from lastgood_cli.checks.schedule import drill, enabled, events_heard, sweep_ran, sweep_scheduled
from lastgood_cli.checks.table import nothing_overdue, table_backups, table_expiry, table_state
from lastgood_cli.checks.topic import people_listen, subscription, topic_key, topic_policy, unfiltered

__all__ = [
    "Check",
    "Part",
    "alarm_actions",
    "alarm_muted",
    "alarm_suppressed",
    "alarms_may_invoke",
    "allows",
    "dead_letters",
    "drill",
    "enabled",
    "events_heard",
    "function_state",
    "healthy",
    "may_be_invoked",
    "not_throttled",
    "nothing_overdue",
    "of_the_stack",
    "people_listen",
    "permissions",
    "recent_errors",
    "release_in_alarm",
    "release_set",
    "rule_may_invoke",
    "settings_valid",
    "subscription",
    "sweep_ran",
    "sweep_scheduled",
    "switched_on",
    "table_backups",
    "table_expiry",
    "table_state",
    "topic_key",
    "topic_policy",
    "unfiltered",
    "version",
]
