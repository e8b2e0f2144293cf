"""The look that proves the end: the rollback deployment, and what is live once it has ended."""

from __future__ import annotations

from dataclasses import replace

from lastgood.model import Deployment, Image, Observation, Revision
from lastgood.observe.acting import held
from lastgood.observe.look import Look


def verify(look: Look) -> Observation:
    """The rollback deployment; and what is live, once the deployment has ended or the deadline has passed."""
    rollback, deployer = look.rollback, look.deployer
    running = deployer.deployment(rollback.progress.rollback_deployment_id)
    seen = Observation(rollback=running)
    late = look.now - rollback.opened_at > look.policy.deadline
    if running is not None and running.gate is not None:
        return held(look, seen)
    if running is None or (running.active and not late):
        return seen
    if running.ended_badly:
        return seen if rollback.progress.adopted else replace(seen, newest=_newest(look))
    facts = deployer.facts()
    if facts is None:
        return seen
    return replace(seen, group=facts, live=deployer.live(facts, _where(look, running)))


def _newest(look: Look) -> Deployment | None:
    """The deployments that somebody may have released meanwhile."""
    facts = look.deployer.facts()
    return look.deployer.newest(facts) if facts else None


def _where(look: Look, running: Deployment) -> Revision:
    """The revision that says where to look for what is live, and which images to read."""
    revision, choice = running.revision, look.rollback.choice
    if not revision.identity and choice.suspect_deployment_id:
        # The suspect was deployed to the same place.
        suspect = look.deployer.deployment(choice.suspect_deployment_id)
        revision = suspect.revision if suspect else revision
    if choice.good_digests:
        # What the containers run is read only where it is known to matter.
        revision = replace(revision, images=_images(choice.good_digests))
    return revision


def _images(digests: tuple[str, ...]) -> tuple[Image, ...]:
    """The images that a record wants, by container and digest; the references are not recorded."""
    pairs = (text.split("=", 1) for text in digests)
    return tuple(Image(container, "", digest) for container, digest in pairs)
