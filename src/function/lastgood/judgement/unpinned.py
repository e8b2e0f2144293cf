"""Names in a group's releases that do not say what they contain, found by a trial decision before an incident."""

from __future__ import annotations

from lastgood.judgement.steps import Decision
from lastgood.judgement.wording import listed
from lastgood.model import Deployment, Rejection


def unpinned(decision: Decision) -> str:
    """What would get in the way of going back, and what to change in the pipeline, as sentences; empty if nothing."""
    unknown = next((c for c in decision.candidates if c.rejection is Rejection.CONTENT_UNKNOWN), None)
    if unknown is not None:
        return f"{unknown.deployment_id} could not go back: {unknown.explanation}"
    return _moving([d for d in (*decision.suspects, decision.good) if d is not None])


def _moving(deployments: list[Deployment]) -> str:
    """A sentence about image tags that are the same for every release; empty where there is none."""
    named = {i.reference: d.revision.name for d in deployments for i in d.revision.images if i.moves}
    if not named:
        return ""
    by = list(dict.fromkeys(named.values()))
    return (
        f"{listed(by, 3)} names {listed(list(named), 3)}, which is the same for every release: what "
        "it brought is known only from the notebook, or from tasks that still run. Release with a tag of its own, or "
        "by digest."
    )
