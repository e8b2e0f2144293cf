"""What people can do with a stack in its state, and what follows for a stack that was bypassed."""

from __future__ import annotations

from datetime import datetime, timedelta

from lastgood.model import Origin, Rollback

CLOCKS_DIFFER_BY = timedelta(minutes=1)
"""CloudFormation and whoever deploys may date one moment so differently."""

_DEPLOY = "deploy --stack-name {name} --template-file THE-LAST-GOOD-TEMPLATE"

# Sources: the API's own rules (CancelUpdateStack works in UPDATE_IN_PROGRESS alone, RollbackStack after a failure
# alone, ContinueUpdateRollback for the root stack in UPDATE_ROLLBACK_FAILED alone).
_WAYS: dict[str, tuple[str, str]] = {
    "UPDATE_IN_PROGRESS": (
        "Its update can still be cancelled, which undoes all of it, not only this release",
        "cancel-update-stack --stack-name {root}",
    ),
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": (
        "It cannot be cancelled any more: wait for UPDATE_COMPLETE, then deploy the template of the last good release",
        f"wait stack-update-complete --stack-name {{root}} && aws cloudformation --region {{region}} {_DEPLOY}",
    ),
    "UPDATE_ROLLBACK_IN_PROGRESS": (
        "It rolls back by itself: wait for it",
        "wait stack-rollback-complete --stack-name {root}",
    ),
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": (
        "It has rolled back and cleans up: wait for it",
        "wait stack-rollback-complete --stack-name {root}",
    ),
    "UPDATE_FAILED": (
        "Its update failed and is not undone: roll it back to its last stable state",
        "rollback-stack --stack-name {root}",
    ),
    "UPDATE_ROLLBACK_FAILED": (
        "Its rollback failed: fix what the stack's events name, then let it go on",
        "continue-update-rollback --stack-name {root}",
    ),
}
_COMPLETE = (
    "A complete update can be neither cancelled nor rolled back: deploy the template of the last good release again",
    _DEPLOY,
)
_UNSURE = ("See its state first, which says what is possible", "describe-stacks --stack-name {root}")
_NOTHING = ("In this state CloudFormation offers nothing that puts the earlier release back", "")


_OF_A_STACK_SET = (
    "A stack set deploys it: update that with the earlier template, in the account that administers it",
    "",
)
_AT_REST = frozenset(
    {"UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "CREATE_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
)
_MOVING = frozenset({"UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"})


def _way(status: str, name: str) -> tuple[str, str]:
    if status in _WAYS:
        return _WAYS[status]
    if not status:
        return _UNSURE
    if status not in _AT_REST:
        return _NOTHING
    # CloudFormation names the stacks of a set so.
    return _OF_A_STACK_SET if name.startswith("StackSet-") else _COMPLETE


def passed_over(origin: Origin, released_at: datetime) -> bool:
    """Whether what was released then was not the stack's: it is at rest, and was done with it before.

    Then what it believes in is not live already, and a rollback leaves it no more behind than it is.
    """
    settled = origin.settled_at
    return origin.status in _AT_REST and settled is not None and released_at > settled + CLOCKS_DIFFER_BY


def can_be_updated(status: str) -> bool:
    """A pipeline may deploy to it, now or once its update has ended; so too where its state could not be read.

    One that failed must not be touched: an action that replaces on failure would delete it.
    """
    return not status or status in _AT_REST | _MOVING


def command_for(stack: str, origin: Origin | None) -> str:
    """The command line for the stack in its state; empty where there is none, or where its id is not known."""
    parts = stack.split(":")
    if len(parts) < 6:
        return ""
    state = origin if origin is not None and origin.stack == stack else Origin()
    root = state.root or stack
    _, words = _way(state.status, name_of(root))
    # By its id a stack is found whatever happened to its name; only a deployment wants the name.
    said = words.format(root=root, name=name_of(root), region=parts[3])
    return f"aws cloudformation --region {parts[3]} {said}" if said else ""


def name_of(stack: str) -> str:
    """The name of a stack in its id, `arn:…:stack/<name>/<uuid>`."""
    return stack.split("/")[1] if "/" in stack else stack


def advice(stack: str, origin: Origin | None) -> str:
    """What people can do with the stack, in its state, as a sentence."""
    state = origin if origin is not None and origin.stack == stack else Origin()
    said = f"It is {state.status}. " if state.status else ""
    command = command_for(stack, origin)
    return f"{said}{_way(state.status, name_of(state.root or stack))[0]}{': ' if command else '.'}{command}"


def left_alone(rollback: Rollback) -> bool:
    """Whether a stack holds, or may hold, what would be moved, and no operator insists on moving it."""
    origin = rollback.choice.origin
    held = origin == "unknown" or (bool(rollback.choice.suspect_stack) and origin != "bypassed")
    can = rollback.group.can(rollback.compute_platform)
    # What a cancelled update was to put back is the stack's, whoever releases otherwise.
    free = can.stack_cannot_release and rollback.progress.stack_cancel_requested_at is None
    return held and not free and not rollback.trigger.force


def debt(rollback: Rollback) -> str:
    """What follows for the stack once what it holds was moved without it; empty where no stack holds it."""
    if not rollback.choice.suspect_stack:
        return ""
    can = rollback.group.can(rollback.compute_platform)
    if can.stack_cannot_release:
        return (
            f"The stack {rollback.choice.suspect_stack} holds the service and cannot change its task definition: its "
            f"template was left behind by {can.deployer}'s releases, and by this rollback too. An update that changes "
            "the service fails until the template names what is live."
        )
    stack, released = rollback.choice.suspect_stack, rollback.choice.suspect_revision
    believes = f"The stack {stack} believes in {released}"
    if rollback.choice.origin == "bypassed":
        believes = (
            f"The stack {stack} did not release {released} and believes in what it released last. If that is not what "
            "is live now"
        )
    if can.drift_stops_updates:
        return (
            f"{believes}: its next update that changes the version fails with INVALID_LAMBDA_CONFIGURATION, until the "
            "alias is at that version again or a change set with --deployment-mode REVERT_DRIFT is used."
        )
    return f"{believes}: an update that does not change that leaves this rollback in place, one that does goes over it."
