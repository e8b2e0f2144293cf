"""Whether the rollback worked: its deployment succeeded, and the good revision is what is live."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from lastgood.judgement.case import Case
from lastgood.judgement.steps import Chosen, Close, Decision, LetGoOn, TakeOver, block, fail, wait
from lastgood.judgement.theirs import beside, whose, why_it_failed
from lastgood.judgement.wording import at_a_gate, duration
from lastgood.model import (
    Deployment,
    Gate,
    GroupFacts,
    Live,
    Outcome,
    Reason,
    Revision,
    Rollback,
    RollbackPauses,
    same_images,
)

TOLD_AFTER = timedelta(minutes=3)
"""People are told of a delay that ends by itself, such as another deployment in the group, if it lasts this long."""

# CodeDeploy reports Succeeded a moment before the alias or the service shows it.
LIVE_GRACE = timedelta(minutes=5)
KNOWN_WITHIN = timedelta(minutes=5)
"""AWS's reads are eventually consistent: what was just created is known this soon."""
NOW = timedelta(0)


def verify(case: Case) -> Decision:
    """Watch the rollback deployment until it has ended, and then compare what is live with what is wanted."""
    rollback, running = case.rollback, case.seen.rollback
    if running is None:
        return _not_known(case)
    if running.active:
        return _still_running(case, running)
    if running.ended_badly and rollback.progress.adopted:
        why = f"{why_it_failed(running, rollback.group.deployer)}. It did not put back what was live: lastgood goes on."
        return TakeOver(Reason.SUSPECT_STOPPED, why, running, chosen=Chosen(failed=running))
    if running.status != "Succeeded":
        return _taken_away(case, running) or fail(Reason.ROLLBACK_DEPLOYMENT_FAILED, _why_it_failed(running))
    return _prove_live(case, running)


def _not_known(case: Case) -> Decision:
    """A read just after the creation may not find it yet; later it is gone."""
    progress, deployer = case.rollback.progress, case.rollback.group.deployer
    made = progress.redeployed_at
    if made is not None and case.now - made < KNOWN_WITHIN:
        return wait(f"{deployer} does not know {progress.rollback_deployment_id} yet.")
    return fail(Reason.ROLLBACK_DEPLOYMENT_FAILED, f"{deployer} no longer knows {progress.rollback_deployment_id}.")


def _taken_away(case: Case, running: Deployment) -> Decision | None:
    """Somebody released while the rollback ran: an update of a service replaces the one before it."""
    newest = case.seen.newest
    if newest is None or not newest.is_release or newest.created_at <= running.created_at:
        return None
    return block(
        Reason.OTHER_DEPLOYMENT,
        f"The rollback deployment {running.deployment_id} is {running.status}, and {newest.deployment_id} "
        f"({newest.revision.name}), which came after it, is {newest.status}. It may be the fix, so it is left alone.",
    )


def _still_running(case: Case, running: Deployment) -> Decision:
    rollback, live = case.rollback, case.seen.live
    gate = running.gate
    if gate is not None and (not _late(case) or (gate.expires_at is not None and case.now < gate.expires_at)):
        return _at_its_gate(case, running, gate)
    if not _late(case):
        waits = f": {running.waits_for}" if running.waits_for else ""
        return wait(f"{running.deployment_id} is {running.status}{waits}.", told_after=TOLD_AFTER if waits else None)
    # Mid-shift the old task set is still the primary one, and it may run the same task definition.
    if live.deployment_id == running.deployment_id and live.identity == _wanted(rollback):
        # ECS blue/green stays InProgress until the old task set is terminated, which may take two days.
        proven = f"{rollback.progress.redeployed_revision} is live; {running.deployment_id} is only waiting to end."
        return Close(Reason.VERIFIED, proven, Outcome.ROLLED_BACK)
    after = duration(case.policy.deadline)
    return fail(Reason.DEADLINE_PASSED, f"{running.deployment_id} is still {running.status} after {after}.")


def _late(case: Case) -> bool:
    """Whether the deadline has passed, counted from the end of the last delay: a hook may wait longer than that."""
    began = max(case.rollback.opened_at, case.rollback.progress.held_up_ended_at or case.rollback.opened_at)
    return case.now - began > case.policy.deadline


def _at_its_gate(case: Case, running: Deployment, gate: Gate) -> Decision:
    """The service's own hook, or the group's own setting, holds the good revision back as it would any release."""
    waits = f"{running.deployment_id} is {running.status}{at_a_gate(running)}"
    if case.policy.rollback_pauses is RollbackPauses.CONTINUE and not case.rollback.progress.adopted:
        return LetGoOn(Reason.IN_PROGRESS, f"{waits}: it is told to go on.", running)
    return wait(f"{waits}, so the good revision is not back yet. To let it go on: {gate.command}", told_after=NOW)


def _wanted(rollback: Rollback) -> str:
    return rollback.progress.redeployed_revision or rollback.choice.good_revision


def _prove_live(case: Case, running: Deployment) -> Decision:
    if not case.rollback.choice.good_deployment_id and _away_from_the_suspect(case.rollback, running, case.seen.live):
        return _put_back_unknown(case, running)
    wanted, live = _wanted(case.rollback), case.seen.live
    same = _digests_as_wanted(case.rollback, live)
    if live.identity == wanted and not live.split and same is not False and not _suspects_own(case.rollback, live):
        return _proven(case.rollback, running, wanted, certain=same is True)
    after = _attempted_after(running, case.seen.group)
    if after:
        back_again = _suspects_own(case.rollback, live) or live.identity in case.rollback.choice.suspect_revisions
        return Close(
            Reason.OTHER_DEPLOYMENT,
            f"{running.deployment_id} succeeded. {after} came after it, so what is live now is "
            f"no longer this rollback's doing.{_BLAMED_AGAIN if back_again else ''}",
            Outcome.ROLLED_BACK,
            calls_people=True if back_again else None,
        )
    ended = running.completed_at or case.now
    serving = _found(case.rollback, live)
    if live.identity == wanted and same is False:
        serving += " with other images"
    if case.now - ended < LIVE_GRACE:
        return wait(f"{running.deployment_id} succeeded; live is still {serving}.")
    if not live.identity and running.revision.moves:
        unknown = f"{running.deployment_id} succeeded, and nobody knows what it put back: {running.revision.moves}."
        return fail(Reason.LIVE_DIFFERS, unknown)
    meant = "what was there before the suspect" if not wanted or _suspects_own(case.rollback, live) else wanted
    return fail(Reason.LIVE_DIFFERS, f"{running.deployment_id} succeeded, yet live is {serving} and not {meant}.")


_BLAMED_AGAIN = " It is what was blamed, which is back: settle it with the person, or the process, that deployed it."


def _found(rollback: Rollback, live: Live) -> str:
    """What is live, as far as it is known."""
    if live.split:
        return "two versions"
    if _suspects_own(rollback, live):
        return f"what {rollback.choice.suspect_deployment_id} brought"
    return live.identity or "something that cannot be read"


def _suspects_own(rollback: Rollback, live: Live) -> bool:
    """Whether what is live is what the suspect brought, as far as can be seen; a good revision may have its name."""
    chosen = bool(rollback.choice.good_deployment_id)
    return by_the_suspect(rollback, live) or (not chosen and live.identity in rollback.choice.suspect_revisions)


def _whose_doing(rollback: Rollback, running: Deployment) -> str:
    """Sentences on the part that others had in it; empty where they had none."""
    who = f" It was {whose(running, rollback.group.deployer)}." if rollback.progress.adopted else ""
    return f"{who}{beside(rollback)}"


def _away_from_the_suspect(rollback: Rollback, running: Deployment, live: Live) -> bool:
    if not live.identity or live.split or by_the_suspect(rollback, live):
        return False
    if live.identity not in rollback.choice.suspect_revisions:
        return True
    # The suspect's own name can be other content only where the platform says who deployed it, or which images run.
    return bool(live.deployment_id or (live.images and same_images(live.images, running.revision.images)))


def _put_back_unknown(case: Case, running: Deployment) -> Close:
    """The deployer put back what was live before, and nobody knows what that is: so no more than that is claimed."""
    deployer = case.rollback.group.deployer
    told = (
        f"{running.deployment_id} succeeded: {deployer} put back what was live before the suspect, "
        f"{case.seen.live.identity}. What that contains is not known, so people have to look at it."
    )
    return Close(Reason.CONTENT_UNKNOWN, told, Outcome.ROLLED_BACK)


def _proven(rollback: Rollback, running: Deployment, wanted: str, *, certain: bool) -> Close:
    """The end of a rollback that worked. Where only the name of what is live is known, people are asked to look."""
    gaps = running.instances_failed + running.instances_skipped
    note = f" {gaps} instances were failed or skipped: look at them." if gaps else ""
    if certain:
        proven = f"{running.deployment_id} succeeded and {wanted} is live.{note}{_whose_doing(rollback, running)}"
        return Close(Reason.VERIFIED, proven, Outcome.ROLLED_BACK, calls_people=bool(gaps))
    named = (
        f"{running.deployment_id} succeeded and {wanted} is live by its name; whether its images are those that served "
        f"is not recorded. Look at it.{note}"
    )
    return Close(Reason.CONTENT_UNKNOWN, named, Outcome.ROLLED_BACK)


def _digests_as_wanted(rollback: Rollback, live: Live) -> bool | None:
    """Whether the containers run the digests that served; None where that is unknown, True where a name settles it."""
    wanted = dict(text.split("=", 1) for text in rollback.choice.good_digests)
    running = {image.container: image.digest for image in live.images}
    if not wanted:
        return None if any(running.values()) else True
    pairs = [(digest, running.get(container)) for container, digest in wanted.items()]
    if any(good and runs and good != runs for good, runs in pairs):
        return False
    return True if all(good and runs for good, runs in pairs) else None


def by_the_suspect(rollback: Rollback, live: Live) -> bool:
    """Whether the suspect itself made live what is live, whatever its name."""
    return bool(live.deployment_id) and live.deployment_id == rollback.choice.suspect_deployment_id


def is_live(good: Revision, live: Live, suspects: Sequence[Deployment]) -> bool:
    """Whether what is live under the good revision's name is that revision: one name may have several contents."""
    if any(live.deployment_id == suspect.deployment_id for suspect in suspects):
        return False
    return bool(same_images(live.images, good.images))


def _attempted_after(running: Deployment, group: GroupFacts | None) -> str:
    attempted = group.last_attempted_id if group else ""
    return "" if attempted == running.deployment_id else attempted


_ADVICE = {
    "ALARM_ACTIVE": "an alarm of the deployment group stopped it; lastgood may not override alarms here",
    "INVALID_LAMBDA_CONFIGURATION": "the alias does not point where the AppSpec says",
    "INVALID_LAMBDA_FUNCTION": "the Lambda version or its alias is gone",
    "ECS_UPDATE_ERROR": "ECS refused the task set; see whether the task definition is still active",
    "INVALID_ECS_SERVICE": "the ECS service is gone or has another deployment controller",
    "REVISION_MISSING": "the revision's bundle is gone from S3",
    "MISSING_GITHUB_TOKEN": "CodeDeploy lost its connection to GitHub",
    "HOOK_EXECUTION_FAILURE": "a validation function of the AppSpec failed",
    "HEALTH_CONSTRAINTS": "too few instances stayed healthy",
    "NO_INSTANCES": "the deployment group has no instances",
    "MANUAL_STOP": "somebody stopped it",
    "IAM_ROLE_PERMISSIONS": "the deployment group's service role lacks a permission",
}


def _why_it_failed(deployment: Deployment) -> str:
    advice = _ADVICE.get(deployment.error_code, deployment.error_message or "no reason is given").rstrip(".")
    code = f" ({deployment.error_code})" if deployment.error_code else ""
    return (
        f"The rollback deployment {deployment.deployment_id} is {deployment.status}{code}: {advice}. lastgood does not "
        "try a second time by itself."
    )
