"""Deployments to outdated instances alone: which of them only caught up, and which brought something new. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lastgood.model import SCALE_OUT_CREATORS, Deployment


def told_apart(history: Sequence[Deployment]) -> tuple[Deployment, ...]:
    """The history, newest first, where only those count as such that deployed what had been deployed last.

    To CodeDeploy every instance is outdated that does not run the deployment's revision. So a new revision reaches all
    of them, and is a release like any other.
    """
    return tuple(
        replace(d, outdated_instances_only=False) if d.outdated_instances_only and _is_new(d, history[at + 1 :]) else d
        for at, d in enumerate(history)
    )


def _is_new(deployment: Deployment, older: Sequence[Deployment]) -> bool:
    """Whether another revision was deployed last. CodeDeploy's own updates of instances bring nothing new."""
    if deployment.creator in SCALE_OUT_CREATORS:
        return False
    before = next((d for d in older if d.status == "Succeeded" and d.creator not in SCALE_OUT_CREATORS), None)
    return before is not None and before.revision.identity != deployment.revision.identity
