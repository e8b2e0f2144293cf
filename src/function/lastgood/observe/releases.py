"""Whether many groups in alarm are one bad release or a shared fault: it reads what released to them."""

from __future__ import annotations

from dataclasses import replace

from lastgood.judgement.case import Case
from lastgood.judgement.release_sets import releases_among
from lastgood.model import Observation, ReleaseSet
from lastgood.observe.look import Look


def with_releases(look: Look, seen: Observation) -> Observation:
    """Add the releases of the groups in alarm, as many as it takes to distinguish a storm from one release."""
    sets, suspect = look.eyes.release_sets, Case(look.rollback, seen, look.policy, look.now).attribution.suspect
    if suspect is None or not _is_storm(look, seen):
        return seen
    seen = _with(seen, sets.by_run(look.rollback.group, suspect))
    own, commit = look.rollback.group.key, suspect.revision.commit
    if commit and _is_storm(look, seen):
        seen = _with(seen, sets.by_commit(commit, own, _unknown(look, seen)))
    for _ in range(look.policy.storm_groups):
        if not (_is_storm(look, seen) and (left := _unknown(look, seen))):
            break
        key = min(left)
        seen = _with(seen, sets.of(key, look.rollback) or ReleaseSet(frozenset({key}), ""))
    return seen


def _with(seen: Observation, release: ReleaseSet | None) -> Observation:
    return replace(seen, releases=(*seen.releases, release)) if release else seen


def _unknown(look: Look, seen: Observation) -> set[str]:
    """The groups in alarm whose release is not known yet."""
    case = Case(look.rollback, seen, look.policy, look.now)
    return set(case.groups_in_alarm).difference(*(release.groups for release in case.releases))


def _is_storm(look: Look, seen: Observation) -> bool:
    limit, by_alarm = look.policy.storm_groups, bool(look.rollback.trigger.alarm_name)
    case = Case(look.rollback, seen, look.policy, look.now)
    return bool(limit) and by_alarm and releases_among(case.groups_in_alarm, case.releases)[0] > limit
