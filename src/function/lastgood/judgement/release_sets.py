"""Releases of several groups: how many are in alarm at once, and what people are told about the rest of a release."""

from __future__ import annotations

from collections.abc import Iterable

from lastgood.judgement.wording import listed
from lastgood.model import Observation, OthersOfARelease, Outcome, ReleaseSet, Rollback


def release_of(rollback: Rollback, seen: Observation) -> ReleaseSet:
    """The groups that the suspect's release is known to have changed, including this one; only this one if unknown."""
    own, choice, origin = rollback.group.key, rollback.choice, seen.origin
    releases = [release for release in seen.releases if own in release.groups]
    if origin and origin.stack and not origin.bypassed:
        releases = [ReleaseSet(origin.groups, f"the stack {origin.stack}"), *releases]
    if choice.release_groups:
        kept = ReleaseSet(frozenset(choice.release_groups), choice.release_joined_by, choice.release_deployments)
        releases = [kept, *releases]
    joined = " and ".join(dict.fromkeys(release.joined_by for release in releases if release.joined_by))
    deployments = {key: made for release in releases for key, made in release.deployments.items()}
    return ReleaseSet(frozenset({own}).union(*(release.groups for release in releases)), joined, deployments)


def releases_among(groups: Iterable[str], releases: Iterable[ReleaseSet]) -> tuple[int, list[str]]:
    """How many releases these groups amount to, and a clause for each release that changed several of them.

    A group whose release is unknown counts as one.
    """
    left, count, told = set(groups), 0, list[str]()
    for release in releases:
        of_it = left & release.groups
        left -= of_it
        count += bool(of_it)
        if len(of_it) > 1:
            told.append(f"the {len(of_it)} of {release.joined_by or 'one release'} count once")
    return count + len(left), told


def the_release(rollback: Rollback) -> str:
    """What else the release changed, what shows that, and what happens there; empty where it changed only this."""
    choice, followers = rollback.choice, rollback.trail.follower_ids
    if len(choice.release_groups) < 2:
        return _nothing_known(rollback)
    told = f"Release: {choice.release_joined_by or 'it'} changed {listed(choice.release_groups)}"
    if rollback.trigger.follows:
        return f"{told}; this follows {rollback.trigger.follows}"
    return f"{told}; the others follow: {listed(followers)}" if followers else told


def _nothing_known(rollback: Rollback) -> str:
    """Why nothing follows, where the rest of a release is to follow and no rule says what released here."""
    follow = rollback.trail.others_of_release == OthersOfARelease.FOLLOW
    if not follow or rollback.trail.pipeline or rollback.outcome is not Outcome.ROLLED_BACK:
        return ""
    return (
        f"Release: LASTGOOD_PIPELINES names no pipeline that releases to {rollback.group.key}, so what else the same "
        "run changed is not known, and nothing follows"
    )


def left_to_people(rollback: Rollback) -> list[str]:
    """The keys of the other groups of a release that was rolled back here, where they do not follow by themselves."""
    follow = rollback.trail.others_of_release == OthersOfARelease.FOLLOW or rollback.trigger.follows
    if follow or rollback.outcome is not Outcome.ROLLED_BACK:
        return []
    return sorted(rollback.choice.release_deployments.keys() - {rollback.group.key})
