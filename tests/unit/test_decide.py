"""What is done next and why: each guard, their order, each phase, and the decision table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import (
    NOW,
    ROLLBACK_ID,
    alarm,
    at,
    by_operator,
    group,
    minutes,
    native_rollback,
    observation,
    our_rollback,
    past,
    release,
    rollback,
    running,
    seconds,
)
from lastgood import decide as deciding
from lastgood.decide import GUARDS, LIVE_GRACE, STOP_AGAIN_AFTER, Action, Case, Decision
from lastgood.model import (
    AlarmState,
    ComputePlatform,
    Controller,
    Controls,
    Deployment,
    Floor,
    Live,
    Mode,
    Observation,
    Outcome,
    Pause,
    Phase,
    Policy,
    Preparation,
    Reason,
    Rejection,
    Revision,
    Rollback,
)
from lastgood.selection import MAX_CANDIDATES_RECORDED

BAD = release("d-2", "v2", -10)
BAD_RUNNING = running("d-2", "v2", -1)
GOOD = release("d-1", "v1", -600)
ACTING = {Action.STOP, Action.CREATE, Action.CLEAR_ALIAS, Action.REGISTER_TASK_DEFINITION}


def decide(*facts: Any) -> Decision:
    """What is decided: always for a reason, and explained to people."""
    decision = deciding.decide(*facts)
    assert isinstance(decision.reason, Reason)
    assert decision.explanation
    assert "None" not in decision.explanation
    return decision


def first_step(
    *history: Deployment, policy: Policy | None = None, asked: Rollback | None = None, **seen: Any
) -> Decision:
    """What is decided when the rollback is opened."""
    return decide(asked or rollback(), observation(*history, **seen), policy or Policy(), NOW)


def objection(
    reason: Reason, *history: Deployment, policy: Policy | None = None, asked: Rollback | None = None, **seen: Any
) -> Decision | None:
    """What the guard that owns this reason says, and no other guard."""
    (guard,) = [g for g in GUARDS if reason in g.reasons and g.check.__name__ != "_live_as_expected"]
    return guard.check(Case(asked or rollback(), observation(*history, **seen), policy or Policy(), NOW))


def refused(decision: Decision | None, reason: Reason, outcome: Outcome = Outcome.SKIPPED) -> Decision:
    """The decision closes the rollback for this reason and touches nothing."""
    assert decision is not None
    assert (decision.action, decision.reason, decision.outcome) == (Action.CLOSE, reason, outcome)
    assert decision.deployment is None
    assert decision.explanation
    return decision


# --- the guards, one by one -------------------------------------------------------------------------------------------


def test_the_kill_switch_refuses_even_a_forced_request():
    policy = Policy(kill_switch=True)
    refused(objection(Reason.KILL_SWITCH, BAD, GOOD, policy=policy), Reason.KILL_SWITCH)
    refused(objection(Reason.KILL_SWITCH, BAD, GOOD, policy=policy, asked=by_operator(force=True)), Reason.KILL_SWITCH)
    assert objection(Reason.KILL_SWITCH, BAD, GOOD) is None


def test_a_pause_of_everything_or_of_the_group_refuses_and_says_who_paused_and_why():
    pause = Pause("database migration", "bob")
    for controls in (Controls(pause_all=pause), Controls(pause_group=pause)):
        decision = refused(objection(Reason.PAUSED, BAD, GOOD, controls=controls), Reason.PAUSED)
        assert "bob" in decision.explanation
        assert "database migration" in decision.explanation
        assert decision.needs_human


def test_a_refusal_says_what_is_paused_and_until_when():
    everything = Controls(pause_all=Pause("migration", "bob"))
    group_until = Controls(pause_group=Pause("migration", "bob", at(90)))
    assert first_step(BAD, GOOD, controls=everything).explanation == (
        "bob paused everything until it is resumed: migration"
    )
    assert first_step(BAD, GOOD, controls=group_until).explanation == (
        "bob paused this deployment group until 2026-03-02 11:30Z: migration"
    )


def test_a_switch_that_people_set_themselves_calls_nobody():
    assert not first_step(BAD, GOOD, policy=Policy(kill_switch=True)).needs_human
    assert not first_step(BAD, GOOD, policy=Policy(mode=Mode.OFF)).needs_human


def test_a_refusal_keeps_whom_the_alarm_blames_and_what_would_have_gone_back():
    decision = refused(first_step(BAD, GOOD, controls=Controls(past=(past(-1),))), Reason.COOLDOWN)
    assert decision.suspects == (BAD,)
    assert [(c.deployment_id, c.rejection) for c in decision.candidates] == [("d-2", Rejection.SUSPECT), ("d-1", None)]


def test_nothing_was_a_candidate_where_nobody_is_blamed():
    decision = refused(first_step(release("d-2", "v2", -600), release("d-1", "v1", -900)), Reason.NOT_ATTRIBUTABLE)
    assert (decision.suspects, decision.candidates) == ((), ())


def test_a_pause_holds_until_its_end_and_no_longer():
    def pause(until: float) -> Controls:
        return Controls(pause_group=Pause("x", "bob", at(until)))

    refused(objection(Reason.PAUSED, BAD, GOOD, controls=pause(1.1)), Reason.PAUSED)
    assert objection(Reason.PAUSED, BAD, GOOD, controls=pause(1)) is None
    assert objection(Reason.PAUSED, BAD, GOOD, controls=pause(-5)) is None


def test_a_pause_that_ended_does_not_hide_one_that_holds():
    controls = Controls(pause_all=Pause("old", "bob", at(-5)), pause_group=Pause("new", "ann"))
    assert "ann" in refused(objection(Reason.PAUSED, BAD, GOOD, controls=controls), Reason.PAUSED).explanation


def test_only_force_passes_a_pause_and_mode_off():
    paused = Controls(pause_group=Pause("x", "bob"))
    refused(objection(Reason.PAUSED, BAD, GOOD, controls=paused, asked=by_operator()), Reason.PAUSED)
    assert objection(Reason.PAUSED, BAD, GOOD, controls=paused, asked=by_operator(force=True)) is None
    off = Policy(mode=Mode.OFF)
    refused(objection(Reason.MODE_OFF, BAD, GOOD, policy=off), Reason.MODE_OFF)
    refused(objection(Reason.MODE_OFF, BAD, GOOD, policy=off, asked=by_operator()), Reason.MODE_OFF)
    assert objection(Reason.MODE_OFF, BAD, GOOD, policy=off, asked=by_operator(force=True)) is None


def test_an_alarm_cannot_force_anything():
    refused(objection(Reason.MODE_OFF, BAD, policy=Policy(mode=Mode.OFF), asked=rollback(force=True)), Reason.MODE_OFF)


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.APPROVE, Mode.OBSERVE])
def test_no_other_mode_is_off(mode):
    assert objection(Reason.MODE_OFF, BAD, GOOD, policy=Policy(mode=mode)) is None


def test_a_message_that_lay_in_a_dead_letter_queue_over_night_is_stale():
    stale = rollback(alarm_changed_at=at(-15), opened_at=at(0.02))
    assert refused(objection(Reason.STALE_SIGNAL, BAD, GOOD, asked=stale), Reason.STALE_SIGNAL).needs_human


def test_the_age_that_counts_is_the_age_at_which_the_message_came():
    in_time = rollback(alarm_changed_at=at(-15), opened_at=at(0))
    assert objection(Reason.STALE_SIGNAL, BAD, GOOD, asked=in_time) is None
    retried = rollback(alarm_changed_at=at(-100), opened_at=at(-99))
    assert objection(Reason.STALE_SIGNAL, BAD, GOOD, asked=retried) is None


def test_an_operators_request_is_never_stale():
    assert objection(Reason.STALE_SIGNAL, BAD, GOOD, asked=by_operator(alarm_changed_at=at(-900))) is None


def test_a_plan_that_somebody_approved_late_is_not_stale():
    asked = rollback(Phase.AWAITING_APPROVAL, alarm_changed_at=at(-15), opened_at=at(0.5), approved_by="ann")
    decision = decide(asked, observation(BAD, GOOD), Policy(mode=Mode.APPROVE), NOW)
    assert decision.reason is not Reason.STALE_SIGNAL


def test_an_alarm_that_cloudwatch_does_not_know_starts_nothing():
    refused(objection(Reason.ALARM_NOT_CONFIRMED, BAD, GOOD, alarm=None), Reason.ALARM_NOT_CONFIRMED)


def test_a_forged_message_about_an_alarm_that_has_been_ok_for_long_is_not_confirmed():
    quiet = alarm(AlarmState.OK, changed=-300)
    refused(objection(Reason.ALARM_NOT_CONFIRMED, BAD, GOOD, alarm=quiet), Reason.ALARM_NOT_CONFIRMED)
    lenient = Policy(require_still_in_alarm=False)
    refused(objection(Reason.ALARM_NOT_CONFIRMED, BAD, GOOD, alarm=quiet, policy=lenient), Reason.ALARM_NOT_CONFIRMED)


def test_an_alarm_that_recovered_meanwhile_starts_nothing_unless_the_policy_says_so():
    recovered = alarm(AlarmState.OK, changed=0.5)
    refused(objection(Reason.ALARM_RECOVERED, BAD, GOOD, alarm=recovered), Reason.ALARM_RECOVERED)
    lenient = Policy(require_still_in_alarm=False)
    assert objection(Reason.ALARM_RECOVERED, BAD, GOOD, alarm=recovered, policy=lenient) is None


def test_an_alarm_that_was_ok_before_its_message_was_never_confirmed_but_clocks_may_differ_by_a_second():
    def said(seconds_before: float) -> Decision:
        return first_step(BAD, GOOD, alarm=alarm(AlarmState.OK, changed=-seconds_before / 60))

    refused(said(1), Reason.ALARM_RECOVERED)
    refused(said(1.5), Reason.ALARM_NOT_CONFIRMED)
    refused(said(0), Reason.ALARM_RECOVERED)


def test_an_alarm_that_measures_nothing_any_more_is_for_people_unless_the_policy_says_so():
    silent = alarm(AlarmState.INSUFFICIENT_DATA, changed=0.5)
    assert refused(first_step(BAD, GOOD, alarm=silent), Reason.ALARM_NOT_CONFIRMED).needs_human
    lenient = Policy(require_still_in_alarm=False)
    assert first_step(BAD, GOOD, alarm=silent, policy=lenient).action is Action.PROCEED


def test_a_suppressed_alarm_starts_nothing():
    suppressed = alarm(suppressed_by="maintenance-window")
    decision = refused(objection(Reason.ALARM_SUPPRESSED, BAD, GOOD, alarm=suppressed), Reason.ALARM_SUPPRESSED)
    assert "maintenance-window" in decision.explanation


def test_an_alarm_that_still_fires_is_confirmed():
    assert objection(Reason.ALARM_RECOVERED, BAD, GOOD) is None


def test_nobody_asks_cloudwatch_about_an_operators_request():
    recovered = alarm(AlarmState.OK, changed=0.5)
    assert objection(Reason.ALARM_RECOVERED, BAD, GOOD, alarm=recovered, asked=by_operator()) is None


def test_a_deployment_group_that_does_not_exist_is_a_failure_for_people():
    decision = objection(Reason.GROUP_NOT_FOUND, group=None)
    assert refused(decision, Reason.GROUP_NOT_FOUND, Outcome.FAILED).needs_human
    assert objection(Reason.GROUP_NOT_FOUND, BAD, GOOD) is None


def test_an_alarm_that_no_release_explains_is_refused():
    old = release("d-2", "v2", -600)
    decision = refused(objection(Reason.NOT_ATTRIBUTABLE, old, GOOD), Reason.NOT_ATTRIBUTABLE)
    assert not decision.needs_human
    assert objection(Reason.NOT_ATTRIBUTABLE, BAD, GOOD) is None


def test_a_release_newer_than_the_alarm_is_left_alone_and_people_are_called():
    newer = running("d-3", "v3", 0.5)
    assert refused(objection(Reason.NEWER_DEPLOYMENT, newer, BAD, GOOD), Reason.NEWER_DEPLOYMENT).needs_human


def test_an_alarm_on_top_of_a_rollback_calls_people():
    back = our_rollback("d-3", "v1", -20)
    assert refused(objection(Reason.SUSPECT_IS_ROLLBACK, back, GOOD), Reason.SUSPECT_IS_ROLLBACK).needs_human


# v2 failed, CodeDeploy put v1 back, somebody released v1 once more: nothing here changed what is live.
UNCHANGED = (
    release("d-4", "v1", -20),
    native_rollback("d-3", "v1", -30, of="d-2"),
    release("d-2", "v2", -40, status="Stopped", rollback_deployment_id="d-3"),
)


def test_only_an_operator_who_forces_a_deployment_needs_nobody_to_blame():
    forced = first_step(*UNCHANGED, asked=by_operator(force=True, to_deployment_id="d-3"), live=Live("v77"))
    assert (forced.action, forced.reason) == (Action.PROCEED, Reason.SUSPECT_SUCCEEDED)
    assert forced.explanation.startswith("No deployment is running: v1 (from d-3)")
    for asked in (by_operator(to_deployment_id="d-3"), by_operator(force=True), rollback()):
        refused(first_step(*UNCHANGED, asked=asked), Reason.NOT_ATTRIBUTABLE)


@pytest.mark.parametrize("creator", ["CloudFormation", "CloudFormationRollback"])
def test_a_deployment_that_cloudformation_made_is_cloudformations(creator):
    theirs = replace(BAD, creator=creator, external_id="arn:aws:cloudformation:eu-west-1:1:stack/shop")
    decision = objection(Reason.MANAGED_BY_CLOUDFORMATION, theirs, GOOD)
    refused(decision, Reason.MANAGED_BY_CLOUDFORMATION, Outcome.BLOCKED)
    assert decision is not None
    assert "stack/shop" in decision.explanation
    assert objection(Reason.MANAGED_BY_CLOUDFORMATION, BAD, GOOD) is None


def test_not_even_force_moves_what_cloudformation_made():
    theirs = replace(BAD_RUNNING, creator="CloudFormation")
    decision = first_step(theirs, GOOD, asked=by_operator(force=True))
    refused(decision, Reason.MANAGED_BY_CLOUDFORMATION, Outcome.BLOCKED)


def test_one_cloudformation_suspect_among_several_is_enough_to_refuse():
    history = (release("d-3", "v3", -2, took=1), replace(release("d-2", "v2", -4, took=1), creator="CloudFormation"))
    decision = objection(Reason.MANAGED_BY_CLOUDFORMATION, *history, GOOD)
    refused(decision, Reason.MANAGED_BY_CLOUDFORMATION, Outcome.BLOCKED)


def test_a_rollback_a_moment_ago_leaves_the_next_step_to_people():
    recently = Controls(past=(past(-28), past(-500)))
    assert refused(objection(Reason.COOLDOWN, BAD, GOOD, controls=recently), Reason.COOLDOWN).needs_human
    assert objection(Reason.COOLDOWN, BAD, GOOD, controls=Controls(past=(past(-29), past(-500)))) is None
    assert objection(Reason.COOLDOWN, BAD, GOOD) is None


def test_the_newest_rollback_counts_for_the_cooldown_in_whatever_order_they_come():
    controls = Controls(past=(past(-500), past(-5), past(-400)))
    refused(objection(Reason.COOLDOWN, BAD, GOOD, controls=controls), Reason.COOLDOWN)


def test_too_many_rollbacks_in_the_window_break_the_loop():
    three = Controls(past=(past(-60), past(-120), past(-180)))
    decision = objection(Reason.TOO_MANY_ROLLBACKS, BAD, GOOD, controls=three)
    assert refused(decision, Reason.TOO_MANY_ROLLBACKS, Outcome.BLOCKED).pauses_group
    two = Controls(past=(past(-60), past(-120), past(-60 * 25)))
    assert objection(Reason.TOO_MANY_ROLLBACKS, BAD, GOOD, controls=two) is None


def test_a_rollback_is_forgotten_when_the_window_is_over():
    controls = Controls(past=(past(-60), past(-120), past(1 - 24 * 60)))
    assert first_step(BAD, GOOD, controls=controls).action is Action.PROCEED


def test_only_what_acts_pauses_a_group_that_had_too_many_rollbacks():
    three = Controls(past=(past(-60), past(-120), past(-180)))
    looked = first_step(BAD, GOOD, controls=three, policy=Policy(mode=Mode.OBSERVE))
    tried = first_step(BAD, GOOD, controls=three, asked=rollback(dry_run=True))
    for decision in (looked, tried):
        assert refused(decision, Reason.TOO_MANY_ROLLBACKS, Outcome.BLOCKED).pauses_group is False


def test_a_limit_of_zero_is_no_limit():
    pile = Controls(past=tuple(past(-40 - i) for i in range(20)))
    assert objection(Reason.COOLDOWN, BAD, GOOD, controls=pile, policy=Policy(max_rollbacks=0)) is None


def test_an_operator_is_neither_cooled_down_nor_limited():
    controls = Controls(past=(past(-1), past(-2), past(-3)))
    assert objection(Reason.COOLDOWN, BAD, GOOD, controls=controls, asked=by_operator()) is None


def test_more_groups_in_alarm_than_the_limit_are_a_storm():
    others = frozenset({"a/x", "b/x", "c/x", "d/x"})
    assert objection(Reason.STORM, BAD, GOOD, controls=Controls(groups_in_alarm=others)) is None
    assert objection(Reason.STORM, BAD, GOOD, controls=Controls(groups_in_alarm=others | {"shop/prod"})) is None
    storm = Controls(groups_in_alarm=others | {"e/x"})
    refused(objection(Reason.STORM, BAD, GOOD, controls=storm), Reason.STORM, Outcome.BLOCKED)
    assert objection(Reason.STORM, BAD, GOOD, controls=storm, policy=Policy(storm_groups=0)) is None
    assert objection(Reason.STORM, BAD, GOOD, controls=storm, asked=by_operator()) is None


@pytest.mark.parametrize(
    ("others", "told"),
    [
        (7, "In alarm: g0/x, g1/x, g2/x, g3/x, g4/x, g5/x, g6/x, shop/prod."),
        (9, "In alarm: g0/x, g1/x, g2/x, g3/x, g4/x, g5/x, g6/x, g7/x and 2 more."),
    ],
)
def test_a_storm_names_eight_groups_and_counts_the_rest(others, told):
    storm = Controls(groups_in_alarm=frozenset(f"g{n}/x" for n in range(others)))
    assert told in first_step(BAD, GOOD, controls=storm).explanation


def test_neither_cooldown_nor_storm_keeps_a_native_rollback_from_being_watched():
    back = native_rollback("d-3", "v1", -1, of="d-2", status="InProgress")
    stopped = release("d-2", "v2", -5, status="Stopped", rollback_deployment_id="d-3")
    controls = Controls(past=(past(-1),), groups_in_alarm=frozenset({"a", "b", "c", "d", "e", "f"}))
    assert first_step(back, stopped, GOOD, controls=controls).action is Action.ADOPT


def test_without_an_earlier_revision_nothing_can_go_back():
    decision = objection(Reason.NO_GOOD_REVISION, BAD)
    assert refused(decision, Reason.NO_GOOD_REVISION, Outcome.BLOCKED).needs_human
    assert objection(Reason.NO_GOOD_REVISION, BAD, GOOD) is None


def test_only_revisions_below_the_floor_is_said_as_such():
    decision = objection(Reason.BELOW_FLOOR, replace(BAD, floor=True), GOOD)
    assert "d-1" in refused(decision, Reason.BELOW_FLOOR, Outcome.BLOCKED).explanation


def test_only_known_bad_revisions_is_said_as_such():
    decision = objection(Reason.KNOWN_BAD, BAD, GOOD, controls=Controls(known_bad={"v1": "leaks memory"}))
    assert "leaks memory" in refused(decision, Reason.KNOWN_BAD, Outcome.BLOCKED).explanation


def test_a_revision_that_is_gone_is_said_as_such():
    decision = objection(Reason.NO_GOOD_REVISION, BAD, GOOD, unusable={"d-1": "its bundle is gone from S3"})
    assert "gone from S3" in refused(decision, Reason.NO_GOOD_REVISION, Outcome.BLOCKED).explanation


def test_a_good_revision_that_is_live_already_needs_no_rollback():
    decision = refused(first_step(BAD, GOOD, live=Live("v1")), Reason.ALREADY_LIVE)
    assert "v1 (from d-1)" in decision.explanation


def test_live_that_is_neither_suspect_nor_good_was_changed_by_somebody_and_is_left_alone():
    decision = refused(first_step(BAD, GOOD, live=Live("v77")), Reason.LIVE_DIFFERS, Outcome.BLOCKED)
    assert "v77" in decision.explanation


def test_a_good_revision_that_is_live_while_the_suspect_still_runs_does_not_keep_it_from_being_stopped():
    """Traffic shifts last: until then the old revision is the live one."""
    assert first_step(BAD_RUNNING, GOOD, live=Live("v1")).action is Action.STOP


@pytest.mark.parametrize("live", [Live("v2"), Live(""), Live("v77", split=True)])
def test_live_that_is_the_suspect_or_unknown_or_split_is_no_reason_to_refuse(live):
    assert first_step(BAD, GOOD, live=live).action is Action.PROCEED


def test_live_beside_a_failed_suspect_may_be_anything():
    failed = release("d-2", "v2", -10, status="Failed")
    assert first_step(failed, GOOD, live=Live("v77")).action is Action.PROCEED


def test_observe_mode_says_what_it_would_have_done():
    decision = first_step(BAD_RUNNING, GOOD, policy=Policy(mode=Mode.OBSERVE))
    refused(decision, Reason.OBSERVE_MODE, Outcome.DRY_RUN)
    assert decision.explanation.startswith("Observe mode: nothing was done.")
    assert "d-2" in decision.explanation
    assert decision.good == GOOD
    assert [s.deployment_id for s in decision.suspects] == ["d-2"]


def test_force_acts_in_observe_mode():
    decision = first_step(BAD_RUNNING, GOOD, policy=Policy(mode=Mode.OBSERVE), asked=by_operator(force=True))
    assert decision.action is Action.STOP


@pytest.mark.parametrize("asked", [by_operator(dry_run=True), by_operator(dry_run=True, force=True)])
def test_a_dry_run_decides_the_same_and_touches_nothing(asked):
    real = first_step(BAD_RUNNING, GOOD, asked=replace(asked, dry_run=False))
    dry = first_step(BAD_RUNNING, GOOD, asked=asked)
    assert (dry.action, dry.outcome, dry.deployment) == (Action.CLOSE, Outcome.DRY_RUN, None)
    assert (dry.reason, dry.good, dry.suspects, dry.candidates) == (
        real.reason,
        real.good,
        real.suspects,
        real.candidates,
    )
    assert dry.explanation == f"Dry run: nothing was done. It would have been this: {real.explanation}"


def test_a_dry_run_is_refused_by_the_same_guards():
    refused(
        first_step(release("d-2", "v2", -10), asked=by_operator(dry_run=True)), Reason.NO_GOOD_REVISION, Outcome.BLOCKED
    )


def test_a_dry_run_without_a_target_does_not_stop_what_is_running():
    decision = first_step(BAD_RUNNING, asked=by_operator(dry_run=True), policy=Policy(stop_without_target="always"))
    assert decision.action is Action.CLOSE


def test_approve_mode_asks_before_it_touches_anything():
    decision = first_step(BAD_RUNNING, GOOD, policy=Policy(mode=Mode.APPROVE))
    assert (decision.action, decision.reason) == (Action.ASK_APPROVAL, Reason.NEEDS_APPROVAL)
    assert (decision.outcome, decision.deployment, decision.needs_human) == (None, None, True)
    assert decision.explanation.startswith("This deployment group is in approve mode. The plan: d-2")
    assert decision.good == GOOD


def test_a_release_that_asks_for_approval_gets_it_in_auto_mode_too():
    decision = first_step(replace(BAD, needs_approval=True), GOOD)
    assert decision.action is Action.ASK_APPROVAL
    assert decision.explanation.startswith("d-2 asks for approval. The plan: ")


def test_a_marker_between_the_suspect_and_the_target_asks_for_approval():
    between = release("d-15", "v1.5", -90, status="Failed", needs_approval=True)
    assert first_step(BAD, between, GOOD).action is Action.ASK_APPROVAL


def test_a_marker_on_the_target_or_below_does_not_matter():
    assert first_step(BAD, replace(GOOD, needs_approval=True)).action is Action.PROCEED


def test_nobody_is_asked_about_a_native_rollback_that_is_running_already():
    back = native_rollback("d-3", "v1", -1, of="d-2", status="InProgress")
    stopped = release("d-2", "v2", -5, status="Stopped", rollback_deployment_id="d-3")
    assert first_step(back, stopped, GOOD, policy=Policy(mode=Mode.APPROVE)).action is Action.ADOPT


def test_an_operator_who_forces_need_not_ask():
    asked = by_operator(force=True)
    assert first_step(BAD_RUNNING, GOOD, policy=Policy(mode=Mode.APPROVE), asked=asked).action is Action.STOP
    unforced = by_operator()
    assert first_step(BAD, GOOD, policy=Policy(mode=Mode.APPROVE), asked=unforced).action is Action.ASK_APPROVAL


# --- a person was faster ----------------------------------------------------------------------------------------------


def test_a_person_who_put_the_old_revision_back_has_done_the_work():
    back = release("d-3", "v1", -1, took=0.5)
    bad = release("d-2", "v2", -6)
    refused(first_step(back, bad, GOOD), Reason.ALREADY_LIVE)


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_person_who_released_the_old_revision_over_one_that_did_not_succeed_has_done_the_work(status):
    bad = release("d-2", "v2", -6, status=status)
    decision = refused(first_step(release("d-3", "v1", -1, took=0.5), bad, GOOD), Reason.ALREADY_LIVE)
    assert decision.explanation.startswith("d-3 already put v1 back")
    asked = first_step(release("d-3", "v1", -1, took=0.5), bad, GOOD, asked=by_operator())
    assert asked.reason is not Reason.ALREADY_LIVE


def test_the_alarm_that_fires_late_does_not_undo_what_a_person_put_back():
    back = release("d-3", "v1", -8, took=1)
    decision = refused(first_step(back, release("d-2", "v2", -20), GOOD), Reason.ALREADY_LIVE)
    assert "somebody has rolled back by hand" in decision.explanation
    assert decision.good is None


def test_a_person_who_is_putting_the_old_revision_back_is_not_stopped():
    back = running("d-3", "v1", -0.5)
    for bad in (release("d-2", "v2", -6), release("d-2", "v2", -20)):
        decision = refused(first_step(back, bad, GOOD), Reason.SUSPECT_IS_ROLLBACK)
        assert "d-3 goes back to v1" in decision.explanation
        assert "somebody is rolling back by hand" in decision.explanation


def test_a_bad_revision_that_the_pipeline_releases_again_over_our_rollback_is_rolled_back_again():
    again, ours = release("d-4", "v2", -10), our_rollback("d-3", "v1", -100)
    decision = first_step(again, ours, release("d-2", "v2", -110), GOOD, controls=Controls(known_bad={"v2": "bad"}))
    assert [s.deployment_id for s in decision.suspects] == ["d-4"]
    assert decision.good == ours


def test_a_bad_revision_that_is_released_again_over_a_persons_rollback_is_rolled_back():
    again, persons = release("d-4", "v2", -10), release("d-3", "v1", -100)
    decision = first_step(again, persons, release("d-2", "v2", -110), GOOD)
    assert [s.deployment_id for s in decision.suspects] == ["d-4"]
    assert decision.good == persons


# --- the order of the guards ------------------------------------------------------------------------------------------


def test_the_guards_are_tried_in_the_documented_order():
    assert [reason for guard in GUARDS for reason in guard.reasons] == [
        Reason.KILL_SWITCH,
        Reason.PAUSED,
        Reason.MODE_OFF,
        Reason.STALE_SIGNAL,
        Reason.ALARM_NOT_CONFIRMED,
        Reason.ALARM_SUPPRESSED,
        Reason.ALARM_RECOVERED,
        Reason.GROUP_NOT_FOUND,
        Reason.NOT_ATTRIBUTABLE,
        Reason.NEWER_DEPLOYMENT,
        Reason.SUSPECT_IS_ROLLBACK,
        Reason.ALREADY_LIVE,
        Reason.MANAGED_BY_CLOUDFORMATION,
        Reason.ALREADY_LIVE,
        Reason.COOLDOWN,
        Reason.TOO_MANY_ROLLBACKS,
        Reason.STORM,
        Reason.NO_GOOD_REVISION,
        Reason.BELOW_FLOOR,
        Reason.KNOWN_BAD,
        Reason.ALREADY_LIVE,
        Reason.LIVE_DIFFERS,
        Reason.OBSERVE_MODE,
        Reason.NEEDS_APPROVAL,
    ]


def test_each_guard_wins_over_every_later_one():
    """Given everything that can be wrong at once, mending one thing after the other lets the next guard speak."""
    storm = frozenset("abcdefgh")
    asked = rollback(alarm_changed_at=at(-60))
    seen = observation(
        replace(BAD, creator="CloudFormation", needs_approval=True),
        alarm=None,
        group=None,
        controls=Controls(pause_all=Pause("x", "bob"), past=(past(-1),), groups_in_alarm=storm),
    )
    policy = Policy(kill_switch=True, mode=Mode.OFF)
    spoken: list[Reason] = []

    def ask() -> None:
        spoken.append(decide(asked, seen, policy, NOW).reason)

    ask()
    policy = replace(policy, kill_switch=False)
    ask()
    seen = replace(seen, controls=replace(seen.controls, pause_all=None))
    ask()
    policy = replace(policy, mode=Mode.APPROVE)
    ask()
    asked = rollback()
    ask()
    seen = replace(seen, alarm=alarm())
    ask()
    seen = replace(seen, group=group())
    ask()
    seen = replace(seen, history=(replace(BAD, needs_approval=True),))
    ask()
    seen = replace(seen, controls=Controls(groups_in_alarm=storm))
    ask()
    seen = replace(seen, controls=Controls())
    ask()
    seen = replace(seen, history=(*seen.history, GOOD), live=Live("v77"))
    ask()
    seen = replace(seen, live=Live("v2"))
    ask()
    policy, seen = Policy(), replace(seen, history=(BAD, GOOD))
    ask()
    assert spoken == [
        Reason.KILL_SWITCH,
        Reason.PAUSED,
        Reason.MODE_OFF,
        Reason.STALE_SIGNAL,
        Reason.ALARM_NOT_CONFIRMED,
        Reason.GROUP_NOT_FOUND,
        Reason.MANAGED_BY_CLOUDFORMATION,
        Reason.COOLDOWN,
        Reason.STORM,
        Reason.NO_GOOD_REVISION,
        Reason.LIVE_DIFFERS,
        Reason.NEEDS_APPROVAL,
        Reason.SUSPECT_SUCCEEDED,
    ]


# --- the decision table (reference: CodeDeploy semantics, section 11) -------------------------------------------------

STOPPED_NATIVELY = release("d-2", "v2", -5, status="Stopped", rollback_deployment_id="d-3")
TABLE = [
    ("active, its native target is good", [BAD_RUNNING, GOOD], Action.STOP, Reason.SUSPECT_ACTIVE),
    (
        "active, creator codeDeployRollback",
        [native_rollback("d-3", "v1", -1, of="d-2", status="InProgress"), STOPPED_NATIVELY, GOOD],
        Action.ADOPT,
        Reason.NATIVE_ROLLBACK,
    ),
    (
        "active, CloudFormation's",
        [replace(BAD_RUNNING, creator="CloudFormation"), GOOD],
        Action.CLOSE,
        Reason.MANAGED_BY_CLOUDFORMATION,
    ),
    ("active, newer than the alarm", [running("d-3", "v3", 0.5), BAD, GOOD], Action.CLOSE, Reason.NEWER_DEPLOYMENT),
    (
        "stopped, with a rollback deployment",
        [native_rollback("d-3", "v1", -3, of="d-2", took=1), STOPPED_NATIVELY, GOOD],
        Action.ADOPT,
        Reason.NATIVE_ROLLBACK,
    ),
    (
        "stopped, without one",
        [release("d-2", "v2", -5, status="Stopped"), GOOD],
        Action.PROCEED,
        Reason.SUSPECT_STOPPED,
    ),
    (
        "failed, without one",
        [release("d-2", "v2", -5, status="Failed"), GOOD],
        Action.PROCEED,
        Reason.SUSPECT_STOPPED,
    ),
    ("succeeded within the window", [BAD, GOOD], Action.PROCEED, Reason.SUSPECT_SUCCEEDED),
    (
        "succeeded by a native rollback, alarm again",
        [native_rollback("d-3", "v1", -30, of="d-2"), replace(STOPPED_NATIVELY, created_at=at(-40)), GOOD],
        Action.CLOSE,
        Reason.SUSPECT_IS_ROLLBACK,
    ),
    (
        "succeeded by our rollback, alarm again",
        [our_rollback("d-3", "v1", -3), BAD, GOOD],
        Action.CLOSE,
        Reason.SUSPECT_IS_ROLLBACK,
    ),
    (
        "succeeded outside the window",
        [release("d-2", "v2", -600), release("d-1", "v1", -900)],
        Action.CLOSE,
        Reason.NOT_ATTRIBUTABLE,
    ),
    ("active, no earlier good candidate", [BAD_RUNNING], Action.STOP, Reason.NO_GOOD_REVISION),
    ("succeeded, no earlier good candidate", [BAD], Action.CLOSE, Reason.NO_GOOD_REVISION),
]


@pytest.mark.parametrize(("row", "history", "action", "reason"), TABLE, ids=[row[0] for row in TABLE])
def test_the_decision_table(row, history, action, reason):
    decision = first_step(*history)
    assert (decision.action, decision.reason) == (action, reason), row


def test_our_own_rollback_that_is_running_is_adopted():
    """Its deployment names no deployment that it rolls back, as CodeDeploy's own does; the bad release stays bad."""
    decision = first_step(our_rollback("d-3", "v1", -3, status="InProgress"), BAD, GOOD)
    assert decision.good is not None
    assert decision.good.revision.identity == "v1"
    assert (decision.action, decision.deployment) == (Action.ADOPT, our_rollback("d-3", "v1", -3, status="InProgress"))


def test_a_native_rollback_that_is_not_listed_yet_is_awaited_and_no_innocent_release_is_blamed():
    stopped = release("d-3", "v3", -2, took=1, status="Stopped", rollback_deployment_id="d-4")
    decision = first_step(stopped, release("d-2", "v2", -30), GOOD)
    assert [s.deployment_id for s in decision.suspects] == ["d-3"]
    assert (decision.action, decision.reason) == (Action.PROCEED, Reason.SUSPECT_STOPPED)


# --- the first act ----------------------------------------------------------------------------------------------------


def test_what_goes_back_is_fixed_with_the_stop():
    decision = first_step(BAD_RUNNING, GOOD)
    assert decision.deployment == BAD_RUNNING
    assert decision.good == GOOD
    assert decision.outcome is None
    assert [(c.deployment_id, c.rejection) for c in decision.candidates] == [("d-2", Rejection.SUSPECT), ("d-1", None)]


@pytest.mark.parametrize(
    ("suspect", "last_successful", "explanation"),
    [
        (BAD_RUNNING, "", "d-2 (v2) is InProgress: it is stopped, then v1 (from d-1) is deployed again."),
        (BAD_RUNNING, "d-1", "d-2 (v2) is InProgress: it is stopped, CodeDeploy flips the traffic back by itself."),
        (BAD, "d-2", "d-2 (v2) is Succeeded: v1 (from d-1), the last good revision, is deployed again."),
        (
            release("d-2", "v2", -5, status="Stopped", rollback_deployment_id="d-3"),
            "d-1",
            "CodeDeploy stopped d-2 and started d-3.",
        ),
    ],
)
def test_the_first_step_is_told_with_what_is_live_and_what_goes_back(suspect, last_successful, explanation):
    assert first_step(suspect, GOOD, group=group(last_successful_id=last_successful)).explanation == explanation


@pytest.mark.parametrize(
    ("revision", "name"),
    [
        (Revision("AppSpecContent", "arn:task:7", label="task:7"), "task:7"),
        (Revision("AppSpecContent", "arn:task:7"), "arn:task:7"),
        (Revision("AppSpecContent", ""), "an unreadable revision"),
    ],
)
def test_a_revision_is_called_by_its_label_or_by_what_it_is(revision, name):
    assert first_step(replace(BAD_RUNNING, revision=revision), GOOD).explanation.startswith(f"d-2 ({name}) is ")


@pytest.mark.parametrize(
    ("facts", "native"),
    [
        (group(ComputePlatform.LAMBDA, last_successful_id="d-1"), True),
        (group(ComputePlatform.ECS, last_successful_id="d-1"), True),
        (group(ComputePlatform.SERVER, blue_green=True, last_successful_id="d-1"), True),
        (group(ComputePlatform.SERVER, last_successful_id="d-1"), False),
        (group(ComputePlatform.LAMBDA, last_successful_id="d-other"), False),
        (group(ComputePlatform.LAMBDA, last_successful_id=""), False),
    ],
)
def test_codedeploy_rolls_back_itself_where_that_only_moves_traffic_to_the_same_revision(facts, native):
    assert first_step(BAD_RUNNING, GOOD, group=facts).native is native


def test_codedeploy_does_not_roll_back_itself_to_a_known_bad_revision():
    history = (BAD_RUNNING, release("d-15", "v1.5", -90), GOOD)
    decision = first_step(*history, controls=Controls(known_bad={"v1.5": "bad"}))
    assert (decision.action, decision.native, decision.good) == (Action.STOP, False, GOOD)


def test_codedeploy_does_not_roll_back_itself_when_switched_off_or_when_an_operator_chose():
    assert first_step(BAD_RUNNING, GOOD, policy=Policy(native_rollback=False)).native is False
    assert first_step(BAD_RUNNING, GOOD, asked=by_operator(to_deployment_id="d-1")).native is False


SERVICE = {"controller": Controller.ECS, "application": "main", "deployment_group": "web"}


def test_a_service_whose_own_rollback_goes_to_the_good_revision_is_stopped():
    decision = first_step(BAD_RUNNING, GOOD, asked=rollback(**SERVICE))
    assert (decision.action, decision.native) == (Action.STOP, True)
    assert "ECS puts the revision before it back" in decision.explanation


def test_a_running_deployment_of_a_service_is_replaced_where_a_stop_would_bring_back_something_else():
    """ECS has no stop without a rollback."""
    decision = first_step(BAD_RUNNING, GOOD, asked=rollback(**SERVICE), policy=Policy(native_rollback=False))
    assert (decision.action, decision.good, decision.suspects) == (Action.PROCEED, GOOD, (BAD_RUNNING,))
    assert decision.reason is Reason.SUSPECT_ACTIVE
    assert decision.explanation.startswith("d-2 (v2) is InProgress. A stop would bring back what was before it")
    assert "v1 (from d-1) is deployed in its place" in decision.explanation
    pinned = rollback(
        Phase.STOPPING,
        **SERVICE,
        suspect_deployment_id=BAD_RUNNING.deployment_id,
        good_deployment_id=GOOD.deployment_id,
        good_revision=GOOD.revision.identity,
    )
    ready = Observation(suspect=BAD_RUNNING, newest=BAD_RUNNING, good=GOOD, group=group(ComputePlatform.ECS))
    assert decide(pinned, ready, Policy(), NOW).action is Action.CREATE
    asked_to_stop = replace(pinned, stop_requested_at=NOW)
    assert decide(asked_to_stop, ready, Policy(), NOW).action is Action.WAIT


def test_a_service_is_never_stopped_when_nothing_can_go_back():
    for policy in ("first-deployment", "always"):
        decision = first_step(BAD_RUNNING, asked=rollback(**SERVICE), policy=Policy(stop_without_target=policy))
        assert (decision.action, decision.outcome) == (Action.CLOSE, Outcome.BLOCKED)


def test_a_service_that_is_not_there_is_told_as_a_service():
    decision = first_step(BAD, GOOD, asked=rollback(**SERVICE), group=None)
    assert decision.reason is Reason.GROUP_NOT_FOUND
    assert "ECS has no service main/web" in decision.explanation


def test_a_native_rollback_to_a_known_bad_revision_is_not_adopted():
    back = native_rollback("d-3", "v1.5", -1, of="d-2", status="InProgress")
    history = (back, STOPPED_NATIVELY, release("d-15", "v1.5", -90), GOOD)
    decision = first_step(*history, controls=Controls(known_bad={"v1.5": "bad"}))
    assert (decision.action, decision.good, decision.deployment) == (Action.PROCEED, GOOD, None)
    assert decision.explanation == (
        "CodeDeploy is rolling back to v1.5, which is not acceptable; once d-3 has ended, v1 (from d-1) is deployed."
    )


def test_a_native_rollback_past_the_last_good_revision_is_not_adopted():
    back = native_rollback("d-3", "v0", -1, of="d-2", status="InProgress")
    decision = first_step(back, STOPPED_NATIVELY, GOOD, release("d-0", "v0", -900))
    assert (decision.action, decision.good) == (Action.PROCEED, GOOD)


def test_what_is_adopted_is_recorded_with_whom_it_rolls_back_and_what_was_looked_at():
    back = native_rollback("d-3", "v1", -1, of="d-2", status="InProgress")
    decision = first_step(back, STOPPED_NATIVELY, GOOD)
    assert decision.suspects == (STOPPED_NATIVELY,)
    assert [c.deployment_id for c in decision.candidates] == ["d-3", "d-2", "d-1"]


def test_a_native_rollback_to_a_known_bad_revision_is_no_target_when_nothing_else_is_left():
    back = native_rollback("d-3", "v1", -1, of="d-2", status="InProgress")
    decision = first_step(back, STOPPED_NATIVELY, GOOD, controls=Controls(known_bad={"v1": "bad"}))
    assert decision.good is None
    assert decision.action not in ACTING


@pytest.mark.parametrize(
    ("setting", "first", "floor"),
    [
        ("never", Action.CLOSE, Action.CLOSE),
        ("first-deployment", Action.STOP, Action.CLOSE),
        ("always", Action.STOP, Action.STOP),
    ],
)
def test_whether_stopping_alone_is_better_than_going_on_is_the_policys_choice(setting, first, floor):
    policy = Policy(stop_without_target=setting)
    nothing = first_step(BAD_RUNNING, policy=policy)
    below = first_step(BAD_RUNNING, GOOD, policy=policy, controls=Controls(floor=Floor("d-2", at(-1))))
    assert (nothing.action, below.action) == (first, floor)
    for decision in (nothing, below):
        assert decision.outcome is Outcome.BLOCKED
        assert decision.needs_human
        assert not decision.native


def test_what_is_stopped_without_a_target_is_recorded_with_all_that_was_looked_at():
    decision = first_step(BAD_RUNNING, release("d-1", "v1", -90, status="Failed"))
    assert (decision.action, decision.deployment, decision.suspects) == (Action.STOP, BAD_RUNNING, (BAD_RUNNING,))
    assert [c.deployment_id for c in decision.candidates] == ["d-2", "d-1"]
    assert "d-2 is still running and is stopped" in decision.explanation


def test_only_for_lambda_an_alias_may_stay_split_when_nothing_goes_back():
    for platform in ComputePlatform:
        explanation = first_step(BAD_RUNNING, group=group(platform)).explanation
        assert ("clear that by hand" in explanation) is (platform is ComputePlatform.LAMBDA)
        assert explanation.endswith("fail." if platform is ComputePlatform.LAMBDA else "goes no further.")


@pytest.mark.parametrize(
    ("setting", "action"), [("never", Action.CLOSE), ("first-deployment", Action.CLOSE), ("always", Action.STOP)]
)
def test_what_cannot_be_read_may_be_good_so_it_is_not_taken_for_a_first_deployment(setting, action):
    decision = first_step(BAD_RUNNING, release("d-1", "", -600), policy=Policy(stop_without_target=setting))
    assert (decision.action, decision.reason) == (action, Reason.NO_GOOD_REVISION)
    assert "d-1" in decision.explanation


def test_a_long_history_is_recorded_in_part_but_decided_upon_as_a_whole():
    """The audit item keeps 25 candidates. The one below the floor is none of them, and is the reason all the same."""
    pile = [release(f"d-f{n}", "v9", -20 - n, status="Failed") for n in range(30)]
    more = [release(f"d-e{n}", "v9", -700 - n, status="Failed") for n in range(5)]
    floor = Controls(floor=Floor("d-2", at(-10)))
    decision = refused(first_step(BAD, *pile, GOOD, *more, controls=floor), Reason.BELOW_FLOOR, Outcome.BLOCKED)
    assert len(decision.candidates) == MAX_CANDIDATES_RECORDED
    asked = by_operator(to_deployment_id="d-1")
    decision = refused(
        first_step(BAD, *pile, GOOD, *more, controls=floor, asked=asked), Reason.BELOW_FLOOR, Outcome.BLOCKED
    )
    assert "d-1 cannot be put back" in decision.explanation


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.OFF])
def test_nothing_is_stopped_without_a_target_where_lastgood_may_only_look(mode):
    policy = Policy(mode=mode, stop_without_target="always")
    assert first_step(BAD_RUNNING, policy=policy).action is Action.CLOSE


def test_a_mistyped_deployment_id_does_not_stop_the_release_that_is_running():
    decision = first_step(BAD_RUNNING, GOOD, asked=by_operator(to_deployment_id="d-TYPO"))
    refused(decision, Reason.NO_GOOD_REVISION, Outcome.BLOCKED)
    assert decision.explanation == "d-TYPO is not in the recent history of shop/prod."


def test_the_explanation_of_a_choice_that_cannot_be_deployed_does_not_deny_the_other_good_ones():
    failed = release("d-15", "v1.5", -90, status="Failed")
    decision = first_step(BAD, failed, GOOD, asked=by_operator(to_deployment_id="d-15"))
    refused(decision, Reason.NO_GOOD_REVISION, Outcome.BLOCKED)
    assert decision.explanation == "d-15 cannot be put back: It is Failed."


def test_a_choice_that_is_known_bad_is_refused_as_such():
    asked, memory = by_operator(to_deployment_id="d-1"), Controls(known_bad={"v1": "leaks memory"})
    decision = refused(first_step(BAD, GOOD, asked=asked, controls=memory), Reason.KNOWN_BAD, Outcome.BLOCKED)
    assert "leaks memory" in decision.explanation


def test_an_operators_forced_choice_passes_floor_and_memory_and_is_pinned():
    controls = Controls(known_bad={"v1": "bad"}, floor=Floor("d-2", at(-10)))
    asked = by_operator(to_deployment_id="d-1", force=True)
    assert first_step(BAD, GOOD, controls=controls, asked=asked).good == GOOD
    unforced = first_step(BAD, GOOD, controls=controls, asked=by_operator(to_deployment_id="d-1"))
    refused(unforced, Reason.BELOW_FLOOR, Outcome.BLOCKED)


def test_an_operator_may_ask_for_a_release_that_no_alarm_would_blame():
    old = release("d-2", "v2", -6000)
    assert first_step(old, release("d-1", "v1", -9000), asked=by_operator()).action is Action.PROCEED


def test_every_suspect_is_told_so_that_all_become_known_bad():
    history = (running("d-3", "v3", -1), release("d-2", "v2", -4, took=1), GOOD)
    assert [s.deployment_id for s in first_step(*history).suspects] == ["d-3", "d-2"]


def test_the_alarms_own_evaluation_window_counts_before_the_policys():
    history = (release("d-3", "v3", -3, took=1), release("d-2", "v2", -12, took=1), GOOD)
    wide = rollback(evaluation_seconds=900)
    assert [s.deployment_id for s in first_step(*history).suspects] == ["d-3"]
    assert [s.deployment_id for s in first_step(*history, asked=wide).suspects] == ["d-3", "d-2"]


# --- waiting for approval ---------------------------------------------------------------------------------------------


def waiting(**more: Any) -> Rollback:
    return rollback(Phase.AWAITING_APPROVAL, **more)


APPROVE = Policy(mode=Mode.APPROVE)


def test_it_waits_until_somebody_answers():
    decision = decide(waiting(), observation(BAD, GOOD), APPROVE, NOW + minutes(30))
    assert (decision.action, decision.reason) == (Action.WAIT, Reason.NEEDS_APPROVAL)


def test_a_plan_that_nobody_approves_expires_and_calls_people():
    decision = decide(waiting(), observation(BAD, GOOD), APPROVE, NOW + minutes(30.1))
    assert refused(decision, Reason.APPROVAL_EXPIRED).needs_human


def test_a_rejected_plan_is_closed_with_the_name_of_who_rejected_it():
    decision = decide(waiting(rejected_by="bob"), observation(BAD, GOOD), APPROVE, NOW)
    assert "bob" in refused(decision, Reason.APPROVAL_REJECTED).explanation


def test_a_rejection_wins_over_an_approval():
    decision = decide(waiting(rejected_by="bob", approved_by="ann"), observation(BAD, GOOD), APPROVE, NOW)
    refused(decision, Reason.APPROVAL_REJECTED)


def test_an_approved_plan_acts_on_what_is_true_now():
    approved = waiting(approved_by="ann")
    assert decide(approved, observation(BAD_RUNNING, GOOD), APPROVE, NOW).action is Action.STOP
    fixed = observation(running("d-3", "v3", 0.5), BAD, GOOD)
    refused(decide(approved, fixed, APPROVE, NOW), Reason.NEWER_DEPLOYMENT)
    recovered = observation(BAD, GOOD, alarm=alarm(AlarmState.OK, changed=0.5))
    refused(decide(approved, recovered, APPROVE, NOW), Reason.ALARM_RECOVERED)
    refused(decide(approved, observation(BAD, GOOD), replace(APPROVE, kill_switch=True), NOW), Reason.KILL_SWITCH)


def test_an_approved_plan_is_not_asked_about_twice_although_the_release_asks():
    marked = replace(BAD_RUNNING, needs_approval=True)
    assert decide(waiting(approved_by="ann"), observation(marked, GOOD), Policy(), NOW).action is Action.STOP


# --- after the stop ---------------------------------------------------------------------------------------------------


def pinned_by_the_stop() -> dict[str, Any]:
    return {
        "suspect_deployment_id": "d-2",
        "suspect_revision": "v2",
        "suspect_revisions": ("v2",),
        "good_deployment_id": "d-1",
        "good_revision": "v1",
        "reason_code": Reason.SUSPECT_ACTIVE,
        "explanation": "d-2 (v2) is InProgress: it is stopped.",
        "stop_requested_at": NOW,
    }


def stopping(**more: Any) -> Rollback:
    return rollback(Phase.STOPPING, **{**pinned_by_the_stop(), **more})


STOPPED = release("d-2", "v2", -1, took=2, status="Stopped")
READY = Observation(group=group(), suspect=STOPPED, good=GOOD, live=Live("v2"))
DEADLINE = Policy().deadline.total_seconds()


def after_stop(record: Rollback | None = None, later: float = 5, policy: Policy | None = None, **seen: Any) -> Decision:
    """What is decided `later` seconds after the stop was asked for."""
    return decide(record or stopping(), replace(READY, **seen), policy or Policy(), NOW + seconds(later))


def test_a_stop_that_takes_effect_slowly_is_waited_for():
    assert after_stop(suspect=BAD_RUNNING, later=29).action is Action.WAIT


def test_a_stop_that_had_no_effect_is_asked_for_again_in_the_same_way():
    for native in (True, False):
        decision = after_stop(stopping(native_rollback_asked=native), suspect=BAD_RUNNING, later=30)
        assert (decision.action, decision.deployment, decision.native) == (Action.STOP, BAD_RUNNING, native)
    assert seconds(30) == STOP_AGAIN_AFTER


def test_a_stop_of_which_no_intent_was_kept_is_asked_for():
    assert after_stop(stopping(stop_requested_at=None), suspect=BAD_RUNNING).action is Action.STOP


def test_a_deployment_that_cannot_be_stopped_in_time_is_a_failure():
    decision = after_stop(suspect=BAD_RUNNING, later=DEADLINE + 1)
    assert refused(decision, Reason.DEADLINE_PASSED, Outcome.FAILED).needs_human


def test_up_to_the_deadline_everything_is_still_tried():
    assert after_stop(suspect=BAD_RUNNING, later=DEADLINE).action is Action.STOP
    assert after_stop(later=DEADLINE).action is Action.CREATE
    assert redeploying(later=DEADLINE).action is Action.CREATE
    watched = verifying(replace(BACK, status="InProgress", completed_at=None), later=1 + DEADLINE / 60)
    assert watched.action is Action.WAIT


def test_when_it_is_stopped_the_good_revision_goes_back():
    decision = after_stop()
    assert decision.action is Action.CREATE
    assert "v1" in decision.explanation


def test_a_stop_without_a_target_ends_blocked_for_the_reason_it_began_with():
    alone = stopping(good_deployment_id="", good_revision="", reason_code=Reason.BELOW_FLOOR, explanation="Only floor.")
    decision = refused(after_stop(alone), Reason.BELOW_FLOOR, Outcome.BLOCKED)
    assert decision.explanation == "Only floor."
    assert decision.needs_human


def test_stopping_again_does_not_forget_why_nothing_can_go_back():
    alone = stopping(good_deployment_id="", good_revision="", reason_code=Reason.BELOW_FLOOR, explanation="Only floor.")
    again = after_stop(alone, suspect=BAD_RUNNING, later=40)
    assert (again.action, again.explanation) == (Action.STOP, "Only floor.")
    recorded = replace(alone, reason_code=again.reason, explanation=again.explanation)
    assert after_stop(recorded, later=50).reason is Reason.BELOW_FLOOR


def test_a_native_rollback_to_the_good_revision_is_adopted_though_it_ended_already():
    for status in ("InProgress", "Succeeded"):
        back = native_rollback("d-3", "v1", 1, of="d-2", status=status)
        decision = after_stop(stopping(native_rollback_asked=True), rollback=back)
        assert (decision.action, decision.deployment) == (Action.ADOPT, back)


def test_a_native_rollback_that_was_asked_for_gets_time_to_show_up():
    asked = stopping(native_rollback_asked=True)
    assert after_stop(asked, later=29).action is Action.WAIT
    assert after_stop(asked, later=30).action is Action.CREATE
    assert after_stop(asked, later=10, policy=Policy(native_rollback_grace=seconds(10))).action is Action.CREATE


def test_no_native_rollback_is_awaited_where_none_was_asked_for_or_the_release_had_succeeded():
    assert after_stop(stopping(native_rollback_asked=False), later=1).action is Action.CREATE
    assert after_stop(stopping(native_rollback_asked=True), later=1, suspect=BAD).action is Action.CREATE


def test_a_native_rollback_to_an_unacceptable_revision_has_to_end_first():
    elsewhere = native_rollback("d-3", "v0", 1, of="d-2", status="InProgress")
    assert after_stop(rollback=elsewhere, newest=elsewhere).action is Action.WAIT
    ended = native_rollback("d-3", "v0", 1, of="d-2")
    assert after_stop(stopping(native_rollback_asked=True), rollback=ended).action is Action.CREATE


def test_a_native_rollback_elsewhere_that_never_ends_runs_into_the_deadline():
    elsewhere = native_rollback("d-3", "v0", 1, of="d-2", status="InProgress")
    decision = after_stop(rollback=elsewhere, newest=elsewhere, later=DEADLINE + 1)
    refused(decision, Reason.DEADLINE_PASSED, Outcome.FAILED)


def test_after_the_deadline_what_is_done_already_is_still_told_as_it_is():
    late = DEADLINE + 1
    alone = stopping(good_deployment_id="", good_revision="", reason_code=Reason.BELOW_FLOOR, explanation="Only floor.")
    refused(after_stop(alone, later=late), Reason.BELOW_FLOOR, Outcome.BLOCKED)
    back = native_rollback("d-3", "v1", 1, of="d-2")
    assert after_stop(stopping(native_rollback_asked=True), rollback=back, later=late).action is Action.ADOPT


def test_another_deployment_that_occupies_the_group_may_be_the_fix_and_is_left_alone():
    fix = running("d-9", "v3", 2)
    decision = refused(after_stop(newest=fix), Reason.OTHER_DEPLOYMENT, Outcome.BLOCKED)
    assert "d-9" in decision.explanation
    assert decision.needs_human


@pytest.mark.parametrize("status", ["Succeeded", "Failed", "Stopped"])
def test_a_release_that_came_and_ended_meanwhile_is_left_alone_too(status):
    fix = release("d-9", "v3", 2, took=1, status=status)
    decision = refused(after_stop(newest=fix), Reason.OTHER_DEPLOYMENT, Outcome.BLOCKED)
    assert f"is {status}" in decision.explanation


def test_what_was_there_before_the_alarm_does_not_hold_the_redeployment_up():
    for before in (-1, 0):
        again = release("d-3", "v2", before, took=0.5)
        assert after_stop(newest=again).action is Action.CREATE


def test_a_release_between_the_alarm_and_its_message_may_be_the_fix():
    late = stopping(signal_at=at(5), opened_at=at(5))
    fix = release("d-9", "v3", 2, took=1)
    refused(decide(late, replace(READY, newest=fix), Policy(), at(6)), Reason.OTHER_DEPLOYMENT, Outcome.BLOCKED)


def test_for_an_operator_the_request_divides_what_is_judged_from_what_came_meanwhile():
    asked = by_operator(**{**pinned_by_the_stop(), "phase": Phase.STOPPING, "signal_at": at(1)})
    seen_by_them, meanwhile = (release("d-9", "v3", when, took=0.1) for when in (0.5, 1.5))
    assert decide(asked, replace(READY, newest=seen_by_them), Policy(), at(2)).action is Action.CREATE
    refused(decide(asked, replace(READY, newest=meanwhile), Policy(), at(2)), Reason.OTHER_DEPLOYMENT, Outcome.BLOCKED)


def test_a_scale_out_that_has_ended_does_not_hold_the_redeployment_up():
    scaled = release("d-9", "v2", 2, took=1, creator="autoscaling")
    assert after_stop(newest=scaled).action is Action.CREATE
    assert after_stop(newest=replace(scaled, status="InProgress")).action is Action.WAIT


def test_a_revision_that_was_marked_bad_meanwhile_is_not_put_back():
    controls = Controls(known_bad={"v1": "it loses orders"})
    decision = refused(after_stop(controls=controls), Reason.KNOWN_BAD, Outcome.BLOCKED)
    assert "it loses orders" in decision.explanation
    assert decision.needs_human


def test_a_revision_below_a_floor_that_was_set_meanwhile_is_not_put_back():
    controls = Controls(floor=Floor("d-2", at(-10), "a column is gone"))
    decision = refused(after_stop(controls=controls), Reason.BELOW_FLOOR, Outcome.BLOCKED)
    assert "a column is gone" in decision.explanation


def test_the_floor_itself_may_be_put_back_though_it_was_set_meanwhile():
    assert after_stop(controls=Controls(floor=Floor("d-1", GOOD.created_at))).action is Action.CREATE


@pytest.mark.parametrize("half", [{"force": True}, {"to_deployment_id": "d-1"}])
def test_neither_force_nor_a_choice_alone_passes_what_was_marked_meanwhile(half):
    controls = Controls(known_bad={"v1": "it loses orders"})
    refused(after_stop(stopping(**half), controls=controls), Reason.KNOWN_BAD, Outcome.BLOCKED)


def test_an_operator_who_forces_a_deployment_passes_what_was_marked_meanwhile():
    controls = Controls(known_bad={"v1": "it loses orders"}, floor=Floor("d-2", at(-10)))
    pinned = stopping(force=True, to_deployment_id="d-1")
    assert after_stop(pinned, controls=controls).action is Action.CREATE


def test_a_native_rollback_that_occupies_the_group_is_adopted_or_awaited():
    good = native_rollback("d-3", "v1", 1, status="InProgress")
    assert after_stop(newest=good).action is Action.ADOPT
    assert after_stop(newest=replace(good, revision=BAD.revision)).action is Action.WAIT


def test_the_suspect_that_still_occupies_the_group_is_stopped_not_taken_for_a_fix():
    record = stopping(stop_requested_at=None)
    decision = decide(replace(record, phase=Phase.REDEPLOYING), replace(READY, newest=BAD_RUNNING), Policy(), NOW)
    assert (decision.action, decision.deployment) == (Action.STOP, BAD_RUNNING)
    assert after_stop(record, suspect=None, newest=BAD_RUNNING).action is Action.STOP


def test_the_redeployment_does_not_begin_after_the_deadline():
    for late in (after_stop(later=DEADLINE + 1), redeploying(later=DEADLINE + 1)):
        assert "within 2 h" in refused(late, Reason.DEADLINE_PASSED, Outcome.FAILED).explanation


def test_a_target_that_can_no_longer_be_deployed_is_a_failure_with_the_cause():
    decision = after_stop(preparation=Preparation(problem="version 7 is deleted"))
    assert "version 7 is deleted" in refused(decision, Reason.REDEPLOY_REFUSED, Outcome.FAILED).explanation


def test_a_split_alias_is_cleared_before_anything_is_deployed():
    todo = Preparation(alias_split=True, register_task_definition="x")
    assert after_stop(preparation=todo, live=Live("v1", split=True)).action is Action.CLEAR_ALIAS


def test_an_inactive_task_definition_is_registered_again_first():
    todo = Preparation(register_task_definition="arn:task:6")
    decision = after_stop(preparation=todo)
    assert decision.action is Action.REGISTER_TASK_DEFINITION
    assert "arn:task:6" in decision.explanation


def test_a_good_revision_that_is_live_again_need_not_be_deployed():
    decision = after_stop(live=Live("v1"))
    assert (decision.action, decision.outcome, decision.reason) == (Action.CLOSE, Outcome.ROLLED_BACK, Reason.VERIFIED)


def test_servers_are_redeployed_even_if_the_last_success_was_the_good_revision():
    server = group(ComputePlatform.SERVER)
    assert after_stop(group=server, live=Live("v1")).action is Action.CREATE


# --- redeploying ------------------------------------------------------------------------------------------------------


def redeploying(later: float = 5, *, record: Rollback | None = None, **seen: Any) -> Decision:
    """What is decided `later` seconds after CreateDeployment was attempted."""
    attempted = replace(record or stopping(), phase=Phase.REDEPLOYING, create_attempted_at=NOW)
    return decide(attempted, replace(READY, **seen), Policy(), NOW + seconds(later))


def test_a_deployment_that_was_created_without_an_answer_is_found_by_its_marker():
    ours = our_rollback("d-5", "v1", 1, rollback_id=ROLLBACK_ID, status="InProgress")
    decision = redeploying(rollback=ours)
    assert (decision.action, decision.deployment) == (Action.ADOPT, ours)


def test_nothing_is_created_again_until_the_list_of_deployments_has_settled():
    assert redeploying(later=59).action is Action.WAIT
    assert redeploying(later=60).action is Action.CREATE


def test_a_create_that_was_never_attempted_is_attempted():
    decision = decide(replace(stopping(), phase=Phase.REDEPLOYING), READY, Policy(), NOW)
    assert decision.action is Action.CREATE


def test_our_own_deployment_that_occupies_the_group_is_adopted_not_taken_for_a_fix():
    ours = our_rollback("d-5", "v1", 1, rollback_id=ROLLBACK_ID, status="InProgress")
    decision = decide(replace(stopping(), phase=Phase.REDEPLOYING), replace(READY, newest=ours), Policy(), NOW)
    assert (decision.action, decision.deployment) == (Action.ADOPT, ours)


def test_the_kill_switch_also_holds_a_rollback_that_is_under_way():
    for decision in (
        decide(stopping(), READY, Policy(kill_switch=True), NOW),
        decide(stopping(stop_requested_at=None), replace(READY, suspect=BAD_RUNNING), Policy(kill_switch=True), NOW),
        decide(replace(stopping(), phase=Phase.REDEPLOYING), READY, Policy(kill_switch=True), NOW),
    ):
        assert decision.action is Action.WAIT


def test_a_pause_holds_what_is_under_way_until_it_ends_and_force_passes_it():
    def held(record: Rollback, until: float) -> Decision:
        paused = replace(READY, controls=Controls(pause_group=Pause("migration", "ann", at(until))))
        return decide(record, paused, Policy(), NOW)

    for record in (stopping(), replace(stopping(), phase=Phase.REDEPLOYING)):
        assert held(record, until=5).action is Action.WAIT
        assert held(record, until=5).explanation == "ann paused rollbacks: migration"
        assert held(record, until=0.5).action is Action.CREATE
        assert held(replace(record, force=True), until=5).action is Action.CREATE


# --- proof ------------------------------------------------------------------------------------------------------------


BACK = our_rollback("d-5", "v1", 1, rollback_id=ROLLBACK_ID, took=1)


def verifying(running: Deployment | None = BACK, later: float = 3, **seen: Any) -> Decision:
    """What is decided `later` minutes after the alarm."""
    facts: dict[str, Any] = {"group": group(), "rollback": running, **seen}
    record = replace(
        stopping(), phase=Phase.VERIFYING, rollback_deployment_id="d-5", redeployed_revision="v1", redeployed_at=at(1)
    )
    return decide(record, Observation(**facts), Policy(), at(later))


def test_a_success_whose_revision_is_live_is_proof():
    decision = verifying(live=Live("v1"))
    assert (decision.action, decision.outcome, decision.reason) == (Action.CLOSE, Outcome.ROLLED_BACK, Reason.VERIFIED)
    assert decision.explanation == "d-5 succeeded and v1 is live."
    assert not decision.needs_human


def test_a_success_on_a_part_of_the_instances_is_proof_with_a_call_for_people():
    for part in ({"instances_failed": 2}, {"instances_skipped": 2}, {"instances_failed": 1, "instances_skipped": 1}):
        decision = verifying(replace(BACK, **part), live=Live("v1"))
        assert decision.outcome is Outcome.ROLLED_BACK
        assert decision.needs_human
        assert "2 instances" in decision.explanation


def test_a_success_is_given_a_moment_to_show_in_what_is_live():
    assert verifying(live=Live("v2"), later=6.9).action is Action.WAIT
    decision = refused(verifying(live=Live("v2"), later=7), Reason.LIVE_DIFFERS, Outcome.FAILED)
    assert "live is v2 and not v1" in decision.explanation
    assert minutes(5) == LIVE_GRACE


@pytest.mark.parametrize("seen", [{"group": group(last_attempted_id="d-5")}, {"group": None}])
def test_where_nothing_is_known_to_have_followed_what_is_not_live_is_waited_for(seen):
    assert verifying(live=Live("v2"), **seen).action is Action.WAIT


def test_a_success_that_another_deployment_followed_is_a_success_without_a_proof():
    followed = group(last_attempted_id="d-6")
    decision = verifying(live=Live("v3"), group=followed)
    assert (decision.action, decision.outcome, decision.reason) == (
        Action.CLOSE,
        Outcome.ROLLED_BACK,
        Reason.OTHER_DEPLOYMENT,
    )
    assert "d-6" in decision.explanation
    assert verifying(live=Live("v1"), group=followed).reason is Reason.VERIFIED


def test_a_split_alias_is_no_proof_though_its_main_version_is_the_good_one():
    decision = refused(verifying(live=Live("v1", split=True), later=7), Reason.LIVE_DIFFERS, Outcome.FAILED)
    assert "two versions" in decision.explanation


def test_what_cannot_be_read_is_no_proof():
    refused(verifying(live=Live(), later=7), Reason.LIVE_DIFFERS, Outcome.FAILED)


def test_a_task_definition_that_was_registered_again_is_proof_under_its_new_name():
    record = replace(stopping(), phase=Phase.VERIFYING, rollback_deployment_id="d-5", redeployed_revision="task:8")
    seen = Observation(group=group(), rollback=BACK, live=Live("task:8"))
    assert decide(record, seen, Policy(), at(3)).outcome is Outcome.ROLLED_BACK
    old = replace(seen, live=Live("v1"))
    assert decide(record, old, Policy(), at(8)).reason is Reason.LIVE_DIFFERS


def test_a_rollback_deployment_that_runs_is_watched():
    decision = verifying(replace(BACK, status="InProgress", completed_at=None))
    assert decision.action is Action.WAIT


def test_after_the_deadline_a_rollback_that_is_live_and_only_waits_to_end_is_proof():
    """ECS blue/green stays InProgress until the old task set is terminated, up to two days."""
    late = verifying(
        replace(BACK, status="InProgress", completed_at=None), later=122, live=Live("v1", deployment_id="d-5")
    )
    assert (late.action, late.outcome, late.reason) == (Action.CLOSE, Outcome.ROLLED_BACK, Reason.VERIFIED)


@pytest.mark.parametrize("live", [Live("v2"), Live("v2", deployment_id="d-5"), Live("v1", deployment_id="d-1")])
def test_after_the_deadline_a_rollback_that_is_not_live_has_failed(live):
    late = verifying(replace(BACK, status="InProgress", completed_at=None), later=122, live=live)
    refused(late, Reason.DEADLINE_PASSED, Outcome.FAILED)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("ALARM_ACTIVE", "alarm"),
        ("INVALID_LAMBDA_CONFIGURATION", "alias"),
        ("REVISION_MISSING", "S3"),
        ("MANUAL_STOP", "somebody stopped it"),
        ("SOMETHING_NEW", "the message of CodeDeploy"),
        ("", "the message of CodeDeploy"),
    ],
)
def test_a_rollback_deployment_that_failed_is_explained_and_not_tried_again(code, advice):
    for status in ("Failed", "Stopped"):
        failed = replace(BACK, status=status, error_code=code, error_message="the message of CodeDeploy")
        decision = refused(verifying(failed), Reason.ROLLBACK_DEPLOYMENT_FAILED, Outcome.FAILED)
        assert advice in decision.explanation
        assert (f"d-5 is {status} ({code}): " if code else f"d-5 is {status}: ") in decision.explanation
        assert decision.needs_human


def test_a_rollback_deployment_that_vanished_is_a_failure():
    refused(verifying(None), Reason.ROLLBACK_DEPLOYMENT_FAILED, Outcome.FAILED)


def test_a_closed_rollback_stays_closed():
    for outcome, reason in ((Outcome.ROLLED_BACK, Reason.VERIFIED), (Outcome.SKIPPED, Reason.COOLDOWN)):
        closed = rollback(Phase.CLOSED, outcome=outcome, reason_code=reason)
        decision = decide(closed, observation(BAD_RUNNING, GOOD), Policy(), NOW)
        assert (decision.action, decision.reason) == (Action.WAIT, reason)
