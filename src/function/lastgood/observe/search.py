"""The search through the history, as far back and as closely as it takes to settle the blame and the choice.

It asks the judgement after each read, so it reads nothing that could not change the decision.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from lastgood.judgement.case import Case
from lastgood.judgement.first_step import native_flip, stops_for_a_stack
from lastgood.judgement.outdated import told_apart
from lastgood.judgement.service import with_others
from lastgood.judgement.theirs import attempts_to_compare, deployed_before, perhaps_nothing_new, to_compare
from lastgood.model import (
    BEFORE,
    Deployment,
    Evidence,
    Marks,
    Observation,
    Reason,
    Revision,
    same_content,
)
from lastgood.observe.look import Look, in_time
from lastgood.observe.releases import with_releases
from lastgood.stacks import held_by_a_stack

MAX_UNUSABLE = 5
"""After this many revisions that can no longer be deployed, the search ends: something else is wrong."""

type Batches = Iterator[tuple[Deployment, ...]]
"""The history, newest first, in the batches in which it is read."""


def search(look: Look, seen: Observation, batches: Batches) -> Observation:
    """Read back until a last good revision is found that can be deployed, or it is clear that none is needed."""
    case = _case(look, seen)
    for batch in batches:
        case = _case(look, _with_batch(look, case.seen, batch))
        if _searched_enough(case):
            break
    case = _with_unlisted(look, case)
    if case.attribution.reason or case.attribution.suspect is None or case.seen.group is None:
        return _examined(look, case, batches).seen
    asking = look.eyes.pool.submit(look.eyes.stacks.origin, look.rollback, case.seen.group, case.attribution.suspect)
    case = _examined(look, case, batches)
    origin = asking.result()
    if origin is not None and origin.stage and not stops_for_a_stack(case):
        origin = look.eyes.stacks.with_run(origin, case.selection.good)
    seen = held_by_a_stack(look.rollback, case.seen, look.policy, look.now, origin)
    return with_releases(look, seen)


def _with_unlisted(look: Look, case: Case) -> Case:
    """Where nothing that is listed can be blamed, add what the group itself names as its last deployment."""
    seen, nobody = case.seen, case.attribution.reason is Reason.NOT_ATTRIBUTABLE
    facts = look.deployer.facts() if nobody and seen.group and seen.group.by_list else None
    if facts is None or any(d.deployment_id == facts.last_attempted_id for d in seen.history):
        return case
    newest = look.deployer.newest(facts)
    listed = replace(seen, group=facts, history=())
    return _case(look, _with_batch(look, listed, (newest, *seen.history))) if newest else case


def _with_batch(look: Look, seen: Observation, batch: tuple[Deployment, ...]) -> Observation:
    return replace(seen, history=told_apart(seen.history + look.signed(batch, seen.controls)))


def _case(look: Look, seen: Observation) -> Case:
    return Case(look.rollback, seen, look.policy, look.now, searching=True)


def _searched_enough(case: Case) -> bool:
    blame = case.attribution
    if blame.reason is Reason.NOT_ATTRIBUTABLE:
        # Attempts that failed, and AWS's rollbacks of them, say nothing about what is live.
        return any(d.is_release and d.status == "Succeeded" for d in case.seen.history)
    return bool(blame.reason or blame.adopt or case.selection.settled)


def _examined(look: Look, case: Case, batches: Batches) -> Case:
    """Look closely at the suspects, at what would go back and at what is between, until the choice is settled."""
    while len(case.seen.unusable) < MAX_UNUSABLE:
        seen = case.seen
        unread = _to_examine(case) if not case.attribution.reason else _unsure(case)
        if case.attribution.reason and not unread:
            return case
        if unread:
            reading = look.reading_other_alarms(seen) if not seen.examined else ()
            seen = with_evidence(look, seen, unread, case.doubtful)
            pasts = [past for history in reading if (past := in_time(history))]
            seen = replace(seen, alarm_history=with_others(seen.alarm_history, pasts))
        elif not case.selection.settled and (more := next(batches, ())):
            seen = _with_batch(look, seen, more)
        elif (good := case.selection.good) is not None:
            seen, accepted = _last_look(look, case, good)
            if accepted:
                return case if seen is case.seen else _case(look, seen)
        else:
            before = _before_the_first(look, case)
            if before is None:
                return case
            seen = _with_one(seen, before)
        case = _case(look, seen)
    return case


def _last_look(look: Look, case: Case, good: Deployment) -> tuple[Observation, bool]:
    """Whether nothing more speaks against what was chosen; and what is live, or else what speaks for another one."""
    if before := _set_by_hand(look, case):
        return _with_one(case.seen, before), False
    seen, renamed = _with_live(look, case, good)
    if renamed:
        return _by_the_notebook(look, seen, good, renamed), False
    return seen, True


def _with_one(seen: Observation, deployment: Deployment) -> Observation:
    """The history with one that no deployment made, in its place."""
    return replace(seen, history=tuple(sorted((*seen.history, deployment), key=lambda d: d.created_at, reverse=True)))


def _to_examine(case: Case) -> list[Deployment]:
    """The suspects, the deployment that would go back, and those that succeeded in between, for their marks."""
    suspects, good = case.attribution.suspects, case.selection.good
    adopt = case.attribution.adopt if _runs_images(case) else None
    events = [d for d in case.seen.history if d.is_release or d.is_rollback]
    ours = {d.deployment_id for d in (*suspects, good, adopt, *to_compare(events), *case.doubtful) if d}
    since = good.created_at if good else case.now
    return [
        d
        for d in case.seen.history
        if d.deployment_id not in case.seen.examined
        and (d.deployment_id in ours or (d.created_at > since and d.status == "Succeeded"))
    ]


def _unsure(case: Case) -> list[Deployment]:
    """The deployments to look at although nothing is blamed so far."""
    return _perhaps_a_release(case) + _perhaps_attempts(case) + _perhaps_somebodys_rollback(case)


def _perhaps_somebodys_rollback(case: Case) -> list[Deployment]:
    """Deployments that may be no fix but what was live before, where their names alone do not show it."""
    if case.attribution.reason is not Reason.NEWER_DEPLOYMENT:
        return []
    events = [d for d in case.seen.history if d.is_release or d.is_rollback]
    unsure = (*perhaps_nothing_new(events), *to_compare(events))
    return [d for d in dict.fromkeys(unsure) if d.deployment_id not in case.seen.examined]


def _perhaps_attempts(case: Case) -> list[Deployment]:
    """The deployments that show whether AWS's rollback on top only put back what was live before a failed attempt.

    If it did, something else is to blame. They are compared where their names do not settle it.
    """
    if case.attribution.reason is not Reason.SUSPECT_IS_ROLLBACK or case.onset is None:
        return []
    events = [d for d in case.seen.history if d.is_release or d.is_rollback]
    unsure = {d.deployment_id: d for d in attempts_to_compare(events, case.onset.at)}
    return [d for name, d in unsure.items() if name not in case.seen.examined]


def _perhaps_a_release(case: Case) -> list[Deployment]:
    """A redeployment of the same task definition, and the deployment before it, while they were not looked at closely.

    It is a release only if a tag in the definition moved; and its containers may read other secrets.
    """
    newest = next((d for d in case.seen.history if d.is_release), None)
    unsure = case.attribution.reason is Reason.NOT_ATTRIBUTABLE and _runs_images(case)
    if newest is None or not unsure:
        return []
    read = newest.deployment_id in case.seen.examined or not newest.revision.identity
    before = next((d for d in case.seen.history if d.created_at < newest.created_at and d.status == "Succeeded"), None)
    again = before is not None and same_content(before.revision, newest.revision)
    return (
        [d for d in (newest, before) if d is not None and d.deployment_id not in case.seen.examined]
        if again and not read
        else []
    )


def _runs_images(case: Case) -> bool:
    group = case.seen.group
    return group is not None and case.rollback.group.can(group.compute_platform).runs_images


def with_evidence(
    look: Look, seen: Observation, unread: Sequence[Deployment], doubtful: Collection[Deployment] = ()
) -> Observation:
    """Add a closer look at these deployments of the history, and when the doubtful ones began to serve users."""
    asked, facts = [d for d in unread if d in doubtful], seen.group
    reading = {d.deployment_id: look.eyes.pool.submit(look.deployer.reach, d, facts) for d in asked if facts}
    read = look.closer().at(unread, seen.history)
    reached = {name: reach.result() for name, reach in reading.items()}
    problems = {name: evidence.problem for name, evidence in read.items() if evidence.problem}
    return replace(
        seen,
        history=tuple(
            look.as_counts(
                replace(_as_found(d, read.get(d.deployment_id)), reach=reached.get(d.deployment_id, d.reach))
            )
            for d in seen.history
        ),
        unusable={**seen.unusable, **problems},
        examined=seen.examined | read.keys(),
    )


def _as_found(deployment: Deployment, evidence: Evidence | None) -> Deployment:
    """A deployment with what a closer look showed. The marks of a rollback's revision do not count again."""
    if evidence is None:
        return deployment
    marks = Marks() if deployment.is_rollback else evidence.marks
    return replace(
        deployment,
        revision=evidence.revision,
        floor=deployment.floor or marks.floor,
        floor_on_revision=marks.floor and not deployment.floor,
        needs_approval=deployment.needs_approval or marks.needs_approval,
    )


def _set_by_hand(look: Look, case: Case) -> Deployment | None:
    """What the oldest suspect names as live before it, where that is not what was deployed last: somebody set it."""
    first, group = next(iter(case.attribution.suspects[::-1]), None), case.seen.group
    if first is None or group is None or not case.rollback.group.can(group.compute_platform).names_before:
        return None
    last = deployed_before(first, case.seen.history)
    known = {d.deployment_id for d in case.seen.history}
    if last is None or not last.revision.identity or first.deployment_id + BEFORE in known:
        return None
    before = look.deployer.before(first, group)
    if before is None or before.revision.identity == last.revision.identity:
        return None
    return None if _deployed_since(look, last, before.revision.identity) else before


def _deployed_since(look: Look, last: Deployment, identity: str) -> bool:
    """Whether a deployment brought this since the last success, though it failed: the history alone lists successes."""
    for batch in look.deployer.survey(last.created_at, look.now)[1]:
        if any(d.revision.identity == identity for d in batch if d.created_at >= last.created_at):
            return True
        if batch and batch[-1].created_at <= last.created_at:
            break
    return False


def _before_the_first(look: Look, case: Case) -> Deployment | None:
    """What was live before the oldest suspect, by that itself: where nothing older was ever deployed to its target.

    Or where nobody can read what was.
    """
    first, group = next(iter(case.attribution.suspects[::-1]), None), case.seen.group
    if (
        first is None
        or group is None
        or any(d.deployment_id == first.deployment_id + BEFORE for d in case.seen.history)
    ):
        return None
    last = deployed_before(first, case.seen.history)
    if last is not None and last.revision.identity:
        return None
    before = look.deployer.before(first, group)
    return replace(before, completed_at=last.completed_at) if before and last else before


def _with_live(look: Look, case: Case, good: Deployment) -> tuple[Observation, str]:
    """Add what is live; and say whether a tag of the good revision means another image by now, which ECS would start.

    A suspect that still runs is stopped first, and what was there before it may still be running: then what is live
    says nothing yet, and no tag is asked for where the deployer only moves the traffic back to it.
    """
    suspect, facts = case.attribution.suspect, case.seen.group
    readable = facts is not None and case.rollback.group.can(facts.compute_platform).reads_live
    if suspect is None or facts is None or not readable:
        return case.seen, ""
    if suspect.active:
        return case.seen, "" if native_flip(case) else look.deployer.renamed(good.revision)
    asking = look.eyes.pool.submit(look.deployer.renamed, good.revision)
    seen = replace(case.seen, live=look.deployer.live(facts, good.revision))
    if renamed := asking.result():
        return seen, renamed
    # Nobody needs to ask for its tags again.
    images = tuple(replace(image, deployed_at=None) for image in good.revision.images)
    return _with_revision(seen, good, replace(good.revision, images=images)), ""


def _with_revision(seen: Observation, deployment: Deployment, revision: Revision) -> Observation:
    known = (replace(d, revision=revision) if d.deployment_id == deployment.deployment_id else d for d in seen.history)
    return replace(seen, history=tuple(known))


def _by_the_notebook(look: Look, seen: Observation, good: Deployment, renamed: str) -> Observation:
    """Add the digests that the notebook has of the good revision; without them it cannot be deployed any more."""
    evidence = look.closer().by_the_notebook(good)
    if evidence.problem or evidence.revision == good.revision:
        return replace(seen, unusable={**seen.unusable, good.deployment_id: evidence.problem or renamed})
    return _with_revision(seen, good, evidence.revision)
