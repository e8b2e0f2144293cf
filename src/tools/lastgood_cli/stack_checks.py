"""Whether a stack and what it holds still agree, from what CloudFormation says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lastgood.model import Origin
from lastgood_cli import by_hand
from lastgood_cli.checks import Check

NAME = "the stack that holds it agrees with what is live"
_MOVED = {"AWS::Lambda::Alias": "/FunctionVersion", "AWS::ECS::Service": "/TaskDefinition"}
"""What a redeployment changes of each kind of resource."""
_FOLLOWS = {
    "AWS::Lambda::Alias": "its next update that changes the version fails with INVALID_LAMBDA_CONFIGURATION",
    "AWS::ECS::Service": "its next update that changes the task definition goes over what is live",
}


def held(origin: Origin | None, *, releases: bool = True) -> Check | None:
    """What can be said without asking about drift; None where that has to be asked.

    `releases`: a stack that holds it can release to it too. Where only the deployer can, each release is a drift.
    """
    if origin is None or origin.problem:
        return Check(NAME, None, origin.problem, by_hand.look_at_function()) if origin else None
    if not origin.stack:
        return Check(NAME, True, "No stack holds it.")
    if not releases:
        return Check(NAME, True, f"{origin.stack} holds the service; only CodeDeploy changes its task definition.")
    if origin.status.endswith("_IN_PROGRESS"):
        return Check(NAME, True, f"{origin.stack} is {origin.status}: look again when it is at rest.")
    return None


def drift(origin: Origin, told: Mapping[str, Any]) -> Check:
    """Whether somebody moved what the stack holds without it; `told` is a `StackResourceDrift`."""
    kind = str(told.get("ResourceType", ""))
    moved = (d for d in told.get("PropertyDifferences") or () if d.get("PropertyPath") == _MOVED.get(kind))
    found = next(moved, None)
    if found is None:
        return Check(NAME, True, f"{origin.stack} holds it.")
    said = f"{origin.stack} believes in {found['ExpectedValue']}, and live is {found['ActualValue']}"
    return Check(NAME, False, f"{said}: {_FOLLOWS[kind]}.", by_hand.agree_with_stack(origin.stack, origin.acted_on))
