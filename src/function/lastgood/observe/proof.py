"""The look that proves the end: the rollback deployment, and what is live once it has ended."""

from __future__ import annotations

from dataclasses import replace

from lastgood.model import Deployment, Image, Observation, Revision
from lastgood.observe.acting import held
from lastgood.observe.look import Look


def verify(look: Look) -> Observation:
    """The rollback deployment; what is live is read once it has ended, or should have."""
    rollback, deployer = look.rollback, look.deployer
    running = deployer.deployment(rollback.progress.rollback_deployment_id)
    seen = Observation(rollback=running)
    late = look.now - rollback.opened_at > look.policy.deadline
    if running is not None and running.gate is not None:
        return held(look, seen)
    if running is None or (running.active and not late) or running.status in {"Failed", "Stopped"}:
        return seen
    facts = deployer.facts()
    if facts is None:
        return seen
    return replace(seen, group=facts, live=deployer.live(facts, _where(look, running)))


def _where(look: Look, running: Deployment) -> Revision:
    """What says where to look, and at what: the running deployment's revision."""
    revision, choice = running.revision, look.rollback.choice
    if not revision.identity and choice.suspect_deployment_id:
        # Where it was deployed to, the suspect says too.
        suspect = look.deployer.deployment(choice.suspect_deployment_id)
        revision = suspect.revision if suspect else revision
    if choice.good_digests:
        # What the containers run is read only where it is known to matter.
        revision = replace(revision, images=_images(choice.good_digests))
    return revision


def _images(digests: tuple[str, ...]) -> tuple[Image, ...]:
    """The images that a record says are wanted, without the names by which they were deployed."""
    pairs = (text.split("=", 1) for text in digests)
    return tuple(Image(container, "", digest) for container, digest in pairs)
