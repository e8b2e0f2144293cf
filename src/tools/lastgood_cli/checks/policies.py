"""What a resource policy allows, as far as it can be worked out without asking IAM."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any


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


def without_what_shuts_cloudwatch_out(policy: str) -> list[dict[str, Any]]:
    """The statements of a topic's policy that may stay: all but what denies CloudWatch everything."""
    try:
        told = json.loads(policy or "{}").get("Statement", [])
    except (ValueError, AttributeError):
        return []
    statements = [s for s in (told if isinstance(told, list) else [told]) if isinstance(s, dict)]
    shut = ("sns:Publish", "cloudwatch.amazonaws.com")
    return [s for s in statements if not (s.get("Effect") == "Deny" and not s.get("Condition") and _names(s, *shut))]
