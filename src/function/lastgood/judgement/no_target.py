"""What is done when no revision can go back, and how that is explained."""

from __future__ import annotations

from lastgood.judgement.case import Case
from lastgood.judgement.first_step import adoptable
from lastgood.judgement.steps import Decision, Stop
from lastgood.model import Candidate, Mode, Outcome, Reason, Rejection, StopWithoutTarget


def good_revision(case: Case) -> Decision | None:
    if case.selection.good or adoptable(case):
        return None
    reason, explanation = _why_none(case)
    suspect = case.attribution.suspect
    if suspect and suspect.active and not case.rollback.trigger.dry_run and _native_goes_to_what_was_live(case, reason):
        return Stop(
            reason,
            f"{explanation} {suspect.deployment_id} is still running: it is stopped, "
            f"{case.rollback.group.can().rolls_back_by_itself}, whatever that is. Look at what is live then.",
            suspect,
            native=True,
            chosen=case.chosen,
        )
    if suspect and suspect.active and _stops_without_target(case, reason) and not case.rollback.trigger.dry_run:
        return Stop(
            reason,
            f"{explanation} {suspect.deployment_id} is still running and is stopped, so that it goes no further."
            f"{_split_alias_stays(case)}",
            suspect,
            then=Outcome.BLOCKED,
            chosen=case.chosen,
            calls_people=True,
        )
    return case.block(reason, explanation)


def _split_alias_stays(case: Case) -> str:
    group = case.seen.group
    if group is None or not case.rollback.group.can(group.compute_platform).alias_may_split:
        return ""
    return " If its alias sends traffic to two versions, clear that by hand: every later deployment would fail."


def _why_none(case: Case) -> tuple[Reason, str]:
    if case.rollback.trigger.to_deployment_id:
        return _why_not_requested(case)
    below = case.selection.rejected_for(Rejection.BELOW_FLOOR)
    if below:
        return (
            Reason.BELOW_FLOOR,
            f"Only revisions below the floor are left ({below.deployment_id}: {below.explanation}) {_source(case)} Fix "
            "forward, or revert the commit and release it.",
        )
    bad = case.selection.rejected_for(Rejection.KNOWN_BAD)
    if bad:
        return Reason.KNOWN_BAD, f"Every earlier revision is known bad ({bad.deployment_id}: {bad.explanation})"
    unknown = case.selection.rejected_for(Rejection.CONTENT_UNKNOWN)
    if unknown:
        return (
            Reason.NO_GOOD_REVISION,
            f"Nobody knows what {unknown.deployment_id} deployed, which was live before: {unknown.explanation}",
        )
    settings = case.selection.rejected_for(Rejection.OTHER_SETTINGS)
    if settings:
        return Reason.NO_GOOD_REVISION, f"{settings.deployment_id} was live before: {settings.explanation}"
    unreadable = case.selection.rejected_for(Rejection.UNREADABLE_REVISION)
    if unreadable:
        return Reason.NO_GOOD_REVISION, f"{unreadable.deployment_id}: {unreadable.explanation}"
    unusable = case.selection.rejected_for(Rejection.NOT_DEPLOYABLE)
    if unusable:
        return Reason.NO_GOOD_REVISION, f"No earlier revision can be deployed any more: {unusable.explanation}"
    return Reason.NO_GOOD_REVISION, "No earlier good revision was ever deployed here: there is nothing to go back to."


def _why_not_requested(case: Case) -> tuple[Reason, str]:
    wanted = case.rollback.trigger.to_deployment_id
    asked = next((c for c in case.selection.candidates if c.deployment_id == wanted), None)
    if asked is None:
        return Reason.NO_GOOD_REVISION, f"{wanted} is not in the recent history of {case.rollback.group.key}."
    reasons: dict[Rejection | None, Reason] = {
        Rejection.BELOW_FLOOR: Reason.BELOW_FLOOR,
        Rejection.KNOWN_BAD: Reason.KNOWN_BAD,
    }
    source = f" {_source(case)}" if asked.rejection is Rejection.BELOW_FLOOR else ""
    why = f"{wanted} cannot be put back: {asked.explanation}{source}"
    return reasons.get(asked.rejection, Reason.NO_GOOD_REVISION), why


def _source(case: Case) -> str:
    """Where the floor comes from: the first question of a person who reads that nothing older may go back."""
    return f"The floor comes from {case.floor.source}." if case.floor else ""


def _native_goes_to_what_was_live(case: Case, reason: Reason) -> bool:
    """Whether the deployer's own rollback may be used though nobody knows what it puts back.

    It only moves traffic, and goes to whatever was live before. It is not used where that may be below the floor, or is
    known bad by its name.
    """
    group, last = case.seen.group, _unknown_before(case)
    if group is None or last is None or reason is not Reason.NO_GOOD_REVISION:
        return False
    policy, floor = case.policy, case.floor
    if (
        policy.mode is not Mode.AUTO
        or not policy.native_rollback
        or policy.stop_without_target is StopWithoutTarget.NEVER
    ):
        return False
    if case.rollback.trigger.to_deployment_id or last.deployment_id != group.last_successful_id:
        return False
    if last.revision in case.seen.controls.known_bad or (floor and last.created_at < floor.created_at):
        return False
    return case.rollback.group.moves_traffic(group)


def _unknown_before(case: Case) -> Candidate | None:
    unknown = case.selection.rejected_for(Rejection.CONTENT_UNKNOWN)
    return unknown or case.selection.rejected_for(Rejection.UNREADABLE_REVISION)


def _stops_without_target(case: Case, reason: Reason) -> bool:
    if case.policy.mode is not Mode.AUTO or case.rollback.trigger.to_deployment_id:
        return False
    if case.rollback.group.can().stop_restores_previous:
        # The only way to stop it puts the previous revision back, and that one was just refused.
        return False
    if case.policy.stop_without_target is StopWithoutTarget.FIRST_DEPLOYMENT:
        # What could not be read may well be a good revision.
        unread = case.selection.rejected_for(Rejection.UNREADABLE_REVISION)
        return reason is Reason.NO_GOOD_REVISION and unread is None
    return case.policy.stop_without_target is StopWithoutTarget.ALWAYS
