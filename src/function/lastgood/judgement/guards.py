"""The guards, in the order in which they are tried, and the explanation of each objection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from lastgood.judgement.alarm_guards import confirmed, fresh, led_here
from lastgood.judgement.case import Case
from lastgood.judgement.first_step import adoptable, first_step
from lastgood.judgement.live import live_as_expected
from lastgood.judgement.managed import not_cloudformation
from lastgood.judgement.no_target import good_revision
from lastgood.judgement.release_sets import releases_among
from lastgood.judgement.steps import AskApproval, Close, Decision, Wait
from lastgood.judgement.theirs import put_back_already, whose
from lastgood.judgement.wording import ago, duration, listed
from lastgood.model import (
    Deployment,
    Mode,
    Outcome,
    Reason,
)


@dataclass(frozen=True, slots=True)
class Guard:
    """One question that is asked before anything is touched, and the reasons it can object with."""

    question: str
    check: Callable[[Case], Decision | None]
    reasons: tuple[Reason, ...]


def _kill_switch(case: Case) -> Decision | None:
    controls = case.seen.controls
    if case.policy.kill_switch:
        return case.refuse(Reason.KILL_SWITCH, "LASTGOOD_KILL_SWITCH is on: every rollback is switched off.")
    for pause, what in ((controls.pause_all, "everything"), (controls.pause_group, "this deployment group")):
        if pause and pause.holds(case.now) and not case.forced:
            until = f"until {pause.until:%Y-%m-%d %H:%MZ}" if pause.until else "until it is resumed"
            return case.refuse(Reason.PAUSED, f"{pause.requested_by} paused {what} {until}: {pause.reason}")
    return None


def _mode_off(case: Case) -> Decision | None:
    if case.policy.mode is Mode.OFF and not case.forced:
        return case.refuse(Reason.MODE_OFF, "Rollbacks are switched off for this deployment group (mode off).")
    return None


def _group_exists(case: Case) -> Decision | None:
    if case.seen.group is not None:
        return None
    group = case.rollback.group
    return case.unfounded(
        Reason.GROUP_NOT_FOUND,
        f"{group.can().no_such_group.format(place=group.place)}. Correct the alarm's tags or LASTGOOD_ROUTES.",
        Outcome.FAILED,
    )


def _attributable(case: Case) -> Decision | None:
    blame = case.attribution
    if blame.reason is None:
        return None
    if case.forced and case.rollback.trigger.to_deployment_id:
        return None
    if blame.seen_soon and case.has_time:
        return Wait(blame.reason, f"{blame.explanation} If the alarm fires on, it was none, and goes back too.")
    people = blame.undecided or case.rollback.trigger.passed_on
    return case.refuse(blame.reason, blame.explanation, calls_people=True if people else None)


def _put_back_by_somebody(case: Case) -> Decision | None:
    adopt = case.attribution.adopt
    if adopt and not adopt.is_rollback and not adoptable(case):
        return case.block(
            Reason.ALREADY_ROLLING_BACK,
            f"{adopt.deployment_id}, {whose(adopt, case.rollback.group.deployer)}, goes back to {adopt.revision.name}, "
            "which is blamed or known bad. It is left alone: settle it with the person who began it.",
        )
    back = put_back_already(case.seen.history, case.attribution.suspects)
    if back is None or adopt or not case.by_alarm:
        return None
    return case.refuse(
        Reason.ALREADY_LIVE,
        f"{back.deployment_id} already put {back.revision.name} back, which was live before.",
    )


def _cooled_down(case: Case) -> Decision | None:
    past = case.seen.controls.past
    if not case.by_alarm or not past or adoptable(case):
        return None
    last = max(past, key=lambda p: p.closed_at)
    if case.now - last.closed_at < case.policy.cooldown:
        return case.refuse(
            Reason.COOLDOWN,
            f"{last.rollback_id} ended {ago(case.now, last.closed_at)} ago; for {duration(case.policy.cooldown)} after "
            "a rollback people decide what comes next.",
        )
    recent = [p for p in past if case.now - p.closed_at < case.policy.rollback_window]
    if case.policy.max_rollbacks and len(recent) >= case.policy.max_rollbacks:
        blocked = case.block(
            Reason.TOO_MANY_ROLLBACKS,
            f"{len(recent)} rollbacks in {duration(case.policy.rollback_window)} are the limit for a deployment group: "
            "something else is wrong here. The group is paused until somebody resumes it.",
        )
        return replace(blocked, pauses_group=not case.rollback.trigger.dry_run and case.policy.mode is not Mode.OBSERVE)
    return None


def _no_storm(case: Case) -> Decision | None:
    limit = case.policy.storm_groups
    count, sets = releases_among(case.groups_in_alarm, case.releases)
    if not case.by_alarm or not limit or count <= limit or adoptable(case):
        return None
    return case.block(
        Reason.STORM,
        f"{count} deployment groups went into alarm within {duration(case.policy.storm_window)}"
        f"{f' ({listed(sets)})' if sets else ''}; more than {limit} at once means a shared fault, not so many bad "
        f"releases. In alarm: {listed(sorted(case.groups_in_alarm))}. "
        "Rollbacks go on by themselves when fewer groups fire, or when somebody resumes everything.",
    )


def _observe_only(case: Case) -> Decision | None:
    if not case.rollback.trigger.dry_run and (case.policy.mode is not Mode.OBSERVE or case.forced):
        return None
    would = first_step(case)
    reason = would.reason if case.rollback.trigger.dry_run else Reason.OBSERVE_MODE
    why = "Dry run" if case.rollback.trigger.dry_run else "Observe mode"
    told = f"{why}: nothing was done. It would have been this: {would.explanation}"
    return Close(reason, told, Outcome.DRY_RUN, chosen=would.chosen)


def _needs_approval(case: Case) -> Decision | None:
    if case.approved or adoptable(case) or case.forced:
        return None
    marked = _marked_for_approval(case)
    if case.policy.mode is not Mode.APPROVE and marked is None:
        return None
    would = first_step(case)
    why = f"{marked.deployment_id} asks for approval" if marked else "This deployment group is in approve mode"
    plan = f"{why}. The plan: {would.explanation}"
    return AskApproval(Reason.NEEDS_APPROVAL, plan, chosen=would.chosen)


def _marked_for_approval(case: Case) -> Deployment | None:
    good = case.selection.good
    return next(
        (
            d
            for d in case.seen.history
            if d.needs_approval and not d.is_rollback and (good is None or d.created_at > good.created_at)
        ),
        None,
    )


GUARDS: tuple[Guard, ...] = (
    Guard("Is nothing switched off or paused?", _kill_switch, (Reason.KILL_SWITCH, Reason.PAUSED)),
    Guard("Is the group's mode not off?", _mode_off, (Reason.MODE_OFF,)),
    Guard("Is the signal fresh?", fresh, (Reason.STALE_SIGNAL,)),
    Guard(
        "Does CloudWatch itself say that the alarm is firing?",
        confirmed,
        (Reason.ALARM_NOT_CONFIRMED, Reason.ALARM_SUPPRESSED, Reason.ALARM_RECOVERED),
    ),
    Guard("Does CloudWatch have the tags that the message names?", led_here, (Reason.UNROUTED_ALARM,)),
    Guard("Does the deployment group exist?", _group_exists, (Reason.GROUP_NOT_FOUND,)),
    Guard(
        "Did a release change what is live, before the breach began and within the window?",
        _attributable,
        (Reason.NOT_ATTRIBUTABLE, Reason.NEWER_DEPLOYMENT, Reason.SUSPECT_IS_ROLLBACK, Reason.ALREADY_LIVE),
    ),
    Guard(
        "Is it ours to move, not CloudFormation's?",
        not_cloudformation,
        (Reason.MANAGED_BY_CLOUDFORMATION, Reason.RELEASED_BY_PIPELINE),
    ),
    Guard(
        "Is nobody putting a revision back already?",
        _put_back_by_somebody,
        (Reason.ALREADY_LIVE, Reason.ALREADY_ROLLING_BACK),
    ),
    Guard("Was there no rollback a moment ago?", _cooled_down, (Reason.COOLDOWN, Reason.TOO_MANY_ROLLBACKS)),
    Guard("Are few enough groups in alarm for it to be one release?", _no_storm, (Reason.STORM,)),
    Guard(
        "Is there a good revision before it, above the floor, that can still be deployed?",
        good_revision,
        (Reason.NO_GOOD_REVISION, Reason.BELOW_FLOOR, Reason.KNOWN_BAD),
    ),
    Guard("Does what is live match the history?", live_as_expected, (Reason.ALREADY_LIVE, Reason.LIVE_DIFFERS)),
    Guard("May it act, not only observe?", _observe_only, (Reason.OBSERVE_MODE,)),
    Guard("May it act without asking first?", _needs_approval, (Reason.NEEDS_APPROVAL,)),
)
"""The guards, in the order in which they are tried. The first objection decides."""
