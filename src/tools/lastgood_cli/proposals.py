"""What would be done, said before it is asked for: a rollback's plan, what an approval is about, what is misspelt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lastgood.errors import LastgoodError
from lastgood.judgement.wording import ago
from lastgood.ledger.controls import read_controls
from lastgood.model import Deployment, DeploymentGroup
from lastgood.signals import Act, OperatorRequest
from lastgood_cli.context import Session
from lastgood_cli.lookout import Lookout
from lastgood_cli.misspelt import no_such_group
from lastgood_cli.output import brief, show_one
from lastgood_cli.plan import lookout
from lastgood_cli.planned import Plan
from lastgood_cli.problems import Exit, Problem

LOOKED_AT = frozenset({"rollback", "pause", "resume", "set_mode", "clear_floor"})
"""Actions that name a deployment group, and would take any name: whether there is one is looked at first."""


def of_request(session: Session, act: Act, given: Mapping[str, Any]) -> Plan | None:
    """The plan of a rollback; None for other actions, or where AWS may not be asked.

    Raises Problem for a deployment group or a deployment that does not exist.
    """
    group: DeploymentGroup | None = given.get("group")
    if group is None:
        return None
    try:
        with lookout(session) as eyes:
            if eyes.exists(group) is False:
                raise no_such_group(session, group)
            if act.name != "rollback":
                return None
            _check_target(eyes, group, given["to_deployment_id"])
            return eyes.for_request(_request(group, given))
    except (BotoCoreError, ClientError, LastgoodError):
        # Only a help: the function looks for itself.
        return None


def _request(group: DeploymentGroup, given: Mapping[str, Any]) -> OperatorRequest:
    return OperatorRequest(
        "rollback",
        group.application,
        group.deployment_group,
        reason=given.get("reason") or "a plan",
        requested_by=given.get("who") or "the operator",
        controller=group.controller,
        force=bool(given.get("force")),
        to_deployment_id=given.get("to_deployment_id") or "",
    )


def must_exist(session: Session, group: DeploymentGroup) -> None:
    """Raises Problem where AWS says that there is no such group. Where it may not be asked, nothing is said."""
    try:
        with lookout(session) as eyes:
            exists = eyes.exists(group)
    except (BotoCoreError, ClientError, LastgoodError):
        return
    if exists is False:
        raise no_such_group(session, group)


def _check_target(eyes: Lookout, group: DeploymentGroup, to: str) -> None:
    if to and eyes.observer.deployer_for(group, None).deployment(to) is None:
        told = f"{group.key} has no deployment {to}"
        raise Problem(told, f"lastgood plan --group {group.key}", Exit.NOT_FOUND)


# --- in words ---


def in_words(session: Session, act: Act, given: Mapping[str, Any], plan: Plan | None) -> str:
    """What is said before the question: where, from what to what, and why not."""
    if plan is not None:
        return _planned(session, plan)
    if "rollback_id" in given:
        head = session.records.story(given["rollback_id"]).head
        what = " → ".join(_recorded(head, who) for who in ("suspect", "good"))
        key, why = head.get("deployment_group_key", ""), head.get("explanation", "")
        return _lines(f"{key} in {_where(session)}: {what}", f"Why: {why}")
    return ""


def _where(session: Session) -> str:
    profile = f" ({session.profile})" if session.profile else ""
    return f"{session.account}{profile}, {session.region}"


def _planned(session: Session, plan: Plan) -> str:
    decision = plan.decision
    if decision is None or not plan.acts or decision.good is None:
        return _lines(f"{plan.headline}: {plan.explanation}")
    suspect = _deployed(decision.suspects[0], session) if decision.suspects else "what is live"
    key = plan.group.key if plan.group else ""
    return _lines(f"{key} in {_where(session)}: {suspect} → {_deployed(decision.good)}")


def _lines(*said: str) -> str:
    """One line for each, whatever the texts of strangers in it hold."""
    return "".join(f"{brief(each)}\n" for each in said)


def _deployed(deployment: Deployment, session: Session | None = None) -> str:
    label = deployment.revision.label or deployment.revision.identity
    age = f", {ago(session.now, deployment.created_at)} old" if session else ""
    return f"{label} ({deployment.deployment_id}{age})"


def _recorded(head: Mapping[str, Any], who: str) -> str:
    return f"{head.get(f'{who}_revision') or 'unknown'} ({head.get(f'{who}_deployment_id') or 'no deployment'})"


def way_on(session: Session, group: DeploymentGroup) -> str:
    """What to type after "a rollback is never rolled back": the next candidate, by name."""
    with lookout(session) as eyes:
        plan = eyes.for_request(_request(group, {"force": True}))
    good = plan.decision.good.deployment_id if plan.decision and plan.decision.good else "DEPLOYMENT-ID"
    return (
        "The live revision is itself a rollback. To go back further all the same: "
        f"lastgood rollback {group.key} --to {good} --force --reason …"
    )


def show_mode(session: Session, group: DeploymentGroup) -> Exit:
    """Print the mode that holds for a group now, and by what."""
    must_exist(session, group)
    controls = read_controls(session.records.remembered(group), session.now)
    own = str(controls.mode or "")
    by = "an operator" if own else "the stack's parameter Mode"
    show_one(session.out, session.output, {"group": group.key, "mode": own or str(session.settings.mode), "by": by})
    return Exit.DONE
