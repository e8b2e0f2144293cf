"""What IAM answers for a request: identity policies and a resource's own policy together, as AWS documents it.

Within one account either may allow, and a Deny in any of them is final. Only what the project's policies use is known;
anything else raises, so that no condition is passed over silently.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """One call. `principal` is an ARN, or a service such as `sns.amazonaws.com`; `context` holds condition keys.

    A service that acts for a resource names it in `aws:SourceArn`; in a direct call that key is absent and cannot be
    set.
    """

    action: str
    resource: str
    principal: str
    context: Mapping[str, str | list[str]] = field(default_factory=dict)

    @property
    def keys(self) -> dict[str, str | list[str]]:
        """Every condition key of the request, in lower case, for keys have no case."""
        service = self.principal.endswith(".amazonaws.com")
        known: dict[str, str | list[str]] = {
            "aws:SecureTransport": "true",
            "aws:PrincipalIsAWSService": str(service).lower(),
        }
        if not service:
            known["aws:PrincipalArn"] = self.principal
        return {name.lower(): value for name, value in {**known, **self.context}.items()}


def allowed(
    request: Request, resource_policy: Iterable[dict[str, Any]], identity_policy: Iterable[dict[str, Any]] = ()
) -> bool:
    """Whether the call goes through. The statements of an identity policy name no principal."""
    statements = [*(s for s in resource_policy if _names(s["Principal"], request.principal)), *identity_policy]
    effects = {s["Effect"] for s in statements if applies(s, request)}
    return "Allow" in effects and "Deny" not in effects


def applies(statement: Mapping[str, Any], request: Request) -> bool:
    """Whether action, resource and conditions of a statement fit the request."""
    actions = any(_like(action.lower(), request.action.lower()) for action in listed(statement["Action"]))
    resources = any(_like(resource, request.resource) for resource in listed(statement["Resource"]))
    return actions and resources and _conditions(statement.get("Condition", {}), request.keys)


def listed(value: Any) -> list[Any]:
    """What JSON policies write as one value or as a list."""
    return value if isinstance(value, list) else [value]


def _names(principal: Any, who: str) -> bool:
    if principal == "*":
        return True
    (kind,) = principal
    assert kind in {"AWS", "Service"}, f"unknown kind of principal: {kind}"
    return any(named in ("*", who) for named in listed(principal[kind]))


def _conditions(block: Mapping[str, Mapping[str, Any]], keys: Mapping[str, str | list[str]]) -> bool:
    return all(
        _condition(operator, listed(wanted), keys.get(key.lower()))
        for operator, tests in block.items()
        for key, wanted in tests.items()
    )


def _condition(operator: str, wanted: list[str], found: str | list[str] | None) -> bool:
    """One operator on one key. Where the key is absent, a negated operator matches and any other does not."""
    if operator == "Null":
        return [str(found is None).lower()] == wanted
    operator, several = operator.removeprefix("ForAnyValue:"), operator.startswith("ForAnyValue:")
    plain = operator.removesuffix("IfExists")
    negated = "Not" in plain
    matches = _OPERATORS[plain.replace("Not", "")]
    if found is None:
        return (negated and not several) or plain != operator
    assert several == isinstance(found, list), f"{operator} is for {'several values' if several else 'one value'}"
    return any(negated != any(matches(value, each) for value in wanted) for each in listed(found))


def _like(pattern: str, text: str) -> bool:
    """IAM's wildcards: `*` for anything, `?` for one character."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, flags=re.DOTALL) is not None


def _arn_like(pattern: str, arn: str) -> bool:
    """Each of an ARN's six parts is compared by itself: a wildcard does not reach over a colon of the first five."""
    parts = list(zip(pattern.split(":", 5), arn.split(":", 5), strict=False))
    return len(parts) == 6 and all(_like(*each) for each in parts)


def _equal(wanted: str, found: str) -> bool:
    return wanted == found


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": _equal,
    "Bool": _equal,
    "StringLike": _like,
    "ArnLike": _arn_like,
    "ArnEquals": _arn_like,
}
