"""The guards, one by one and in their order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import (
    NOW,
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
from judging import (
    BAD,
    BAD_RUNNING,
    GOOD,
    decide,
    first_step,
    objection,
    refused,
)
from lastgood.judgement.guards import GUARDS
from lastgood.judgement.steps import Action, Close, Decision, Wait
from lastgood.judgement.wording import clock
from lastgood.model import (
    AlarmFacts,
    AlarmState,
    Controls,
    Live,
    Mode,
    Origin,
    Outcome,
    Pause,
    Phase,
    Policy,
    Reach,
    Reason,
    Rejection,
    Rollback,
    StopWithoutTarget,
    TriggerKind,
)

# --- the guards, one by one -------------------------------------------------------------------------------------------

STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/1"


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
def test_no_mode_but_off_is_refused_as_off(mode):
    assert objection(Reason.MODE_OFF, BAD, GOOD, policy=Policy(mode=mode)) is None


def test_a_message_that_lay_in_a_dead_letter_queue_over_night_is_stale():
    stale = rollback(alarm_changed_at=at(-15), opened_at=at(0.02))
    assert refused(objection(Reason.STALE_SIGNAL, BAD, GOOD, asked=stale), Reason.STALE_SIGNAL).needs_human


@pytest.mark.parametrize(("acted", "held"), [(-5, True), (-20, False)])
def test_a_message_that_cloudwatch_held_back_until_a_moment_ago_is_not_stale(acted, held):
    late = rollback(alarm_changed_at=at(-60), opened_at=at(0))
    found = objection(Reason.STALE_SIGNAL, BAD, GOOD, asked=late, acted_at=at(acted))
    assert found is None if held else refused(found, Reason.STALE_SIGNAL)


def test_cloudwatch_has_a_moment_to_know_that_it_took_the_actions_of_a_late_message():
    late = rollback(alarm_changed_at=at(-60), opened_at=NOW)
    found = objection(Reason.STALE_SIGNAL, BAD, GOOD, asked=late)
    assert isinstance(found, Wait) and found.a_moment
    assert found.reason is Reason.STALE_SIGNAL
    assert found.explanation.startswith("It may not know yet that it took the alarm's action just now.")


SAID = at(0.5)
"""Half a minute before the message came."""


@pytest.mark.parametrize("state", [AlarmState.OK, AlarmState.ALARM])
@pytest.mark.parametrize(
    ("opened", "said", "waits"),
    [
        pytest.param(NOW, SAID, True, id="it just came"),
        pytest.param(NOW - seconds(2.9), SAID, True, id="seconds ago"),
        pytest.param(NOW - seconds(3), SAID, False, id="three seconds ago"),
        pytest.param(NOW, NOW - seconds(59.9), True, id="after nearly a minute on its way"),
        pytest.param(NOW, NOW - seconds(60), False, id="after a minute on its way"),
    ],
)
def test_cloudwatch_has_a_moment_to_know_of_a_change_that_just_happened(state, opened, said, waits):
    """What it says is from before the message: it has not recovered since, or went into ALARM at another time."""
    earlier = replace(alarm(state), changed_at=said - minutes(5))
    asked = rollback(opened_at=opened, alarm_changed_at=said)
    found = objection(Reason.ALARM_NOT_CONFIRMED, BAD, GOOD, asked=asked, alarm=earlier)
    if waits:
        assert isinstance(found, Wait) and found.a_moment
        assert found.reason is Reason.ALARM_NOT_CONFIRMED
        told = (
            f"the alarm is OK since {clock(said - minutes(5))}, before this message; it may not know of the change yet."
        )
        if state is AlarmState.ALARM:
            told = f"the alarm in ALARM since {clock(said - minutes(5))}; it may not know of the newest change yet."
        assert found.explanation.endswith(f"{told} CloudWatch is asked again.")
    else:
        refused(found, Reason.ALARM_NOT_CONFIRMED)


@pytest.mark.parametrize(
    ("policy", "more"),
    [(Policy(mode=Mode.OBSERVE), {}), (Policy(), {"dry_run": True})],
    ids=["in observe mode", "in a dry run"],
)
def test_it_has_none_where_the_answer_is_wanted_at_once(policy, more):
    asked = rollback(alarm_changed_at=SAID, **more)
    found = objection(Reason.ALARM_NOT_CONFIRMED, BAD, GOOD, asked=asked, policy=policy, alarm=alarm(AlarmState.OK))
    refused(found, Reason.ALARM_NOT_CONFIRMED)


def test_the_metric_of_an_alarm_has_a_moment_to_show_what_set_it_off():
    evident, doubted = Policy(require_evidence=True), replace(alarm(changed=0.5), doubt="0 of 2 datapoints breached.")
    for opened, waits in ((NOW, True), (NOW - seconds(3), False)):
        asked = rollback(opened_at=opened, alarm_changed_at=SAID)
        found = objection(Reason.ALARM_NOT_CONFIRMED, BAD, GOOD, asked=asked, policy=evident, alarm=doubted)
        assert isinstance(found, Wait) is waits
        assert found is not None and found.reason is Reason.ALARM_NOT_CONFIRMED
        assert "0 of 2 datapoints breached." in found.explanation


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


def test_people_hear_of_an_alarm_that_has_just_sent_a_message_and_is_not_there():
    assert first_step(BAD, GOOD, alarm=None).needs_human


def test_an_alarm_that_fires_since_well_before_its_message_is_not_what_the_message_says():
    def dated(seconds_before: float, **more) -> Decision:
        return first_step(BAD, GOOD, alarm=alarm(changed=-seconds_before / 60), **more)

    assert dated(60).action is Action.PROCEED
    said = refused(dated(61), Reason.ALARM_NOT_CONFIRMED)
    assert said.needs_human and said.unfounded
    assert "10:00:00Z" in said.explanation and "09:58:59Z" in said.explanation


def test_a_release_that_met_its_alarm_firing_is_judged_by_that_alarm_however_long_it_fires():
    asked = rollback(trigger_kind=TriggerKind.RELEASE, released_in_alarm="d-2", alarm_changed_at=at(0))
    assert objection(Reason.ALARM_NOT_CONFIRMED, BAD, GOOD, alarm=alarm(changed=-30), asked=asked) is None


def test_what_cloudwatch_contradicts_leads_nowhere_and_counts_for_no_storm():
    said = refused(first_step(BAD, GOOD, contradiction="the tags are not there"), Reason.UNROUTED_ALARM)
    assert (said.explanation, said.needs_human, said.unfounded) == ("the tags are not there", True, True)


def test_an_alarm_that_measures_nothing_any_more_may_be_the_releases_doing_and_counts_for_the_storm():
    silent = alarm(AlarmState.INSUFFICIENT_DATA, changed=0.5)
    assert not refused(first_step(BAD, GOOD, alarm=silent), Reason.ALARM_NOT_CONFIRMED).unfounded
    assert refused(first_step(BAD, GOOD, alarm=None), Reason.ALARM_NOT_CONFIRMED).unfounded
    gone = first_step(BAD, GOOD, group=None)
    assert isinstance(gone, Close) and gone.unfounded


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
    assert not decision.needs_human
    passed_on = objection(Reason.NOT_ATTRIBUTABLE, old, GOOD, asked=rollback(routed_by="passed on by rb-1"))
    assert passed_on is not None and passed_on.needs_human, "the group that passed it on told nobody"
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


@pytest.mark.parametrize("held", [{"creator": "CloudFormation"}, {"held_by": STACK}])
def test_only_an_operators_force_moves_what_a_stack_holds(held):
    theirs = replace(BAD, **held)
    refused(first_step(theirs, GOOD, asked=by_operator()), Reason.MANAGED_BY_CLOUDFORMATION, Outcome.BLOCKED)
    assert first_step(theirs, GOOD, asked=by_operator(force=True)).action is Action.PROCEED


def test_what_perhaps_a_stack_holds_is_moved_with_force_alone():
    unsure = Origin(problem="AccessDenied")
    decision = first_step(BAD, GOOD, origin=unsure)
    assert "AccessDenied" in refused(decision, Reason.MANAGED_BY_CLOUDFORMATION, Outcome.BLOCKED).explanation
    assert first_step(BAD, GOOD, origin=unsure, asked=by_operator(force=True)).action is Action.PROCEED
    assert first_step(BAD_RUNNING, GOOD, origin=unsure).action is Action.STOP
    assert first_step(BAD, GOOD, origin=Origin()).action is Action.PROCEED


def test_a_stack_that_rolls_back_is_waited_for_until_the_deadline_and_never_in_a_dry_run():
    theirs, rolling = replace(BAD, held_by=STACK), Origin(STACK, "UPDATE_ROLLBACK_IN_PROGRESS")
    decision = first_step(theirs, GOOD, origin=rolling)
    assert (decision.action, decision.reason) == (Action.WAIT, Reason.STACK_ROLLING_BACK)
    dry = by_operator(dry_run=True)
    for given in ({"asked": dry}, {"policy": Policy(mode=Mode.OBSERVE)}, {"policy": Policy(deadline=-minutes(1))}):
        decided = objection(Reason.MANAGED_BY_CLOUDFORMATION, theirs, GOOD, origin=rolling, **given)
        assert (
            "wait stack-rollback-complete"
            in refused(decided, Reason.MANAGED_BY_CLOUDFORMATION, Outcome.BLOCKED).explanation
        )


def test_a_stacks_release_that_runs_is_stopped_where_codedeploy_then_rolls_back_itself():
    theirs = replace(BAD_RUNNING, creator="CloudFormation", external_id="arn:aws:cloudformation:eu-west-1:1:stack/shop")
    decision = first_step(theirs, GOOD)
    assert (decision.action, decision.native) == (Action.STOP, True)
    assert "Its stack rolls back too" in decision.explanation
    for policy in (Policy(native_rollback=False), Policy(mode=Mode.AUTO, native_rollback=False)):
        refused(first_step(theirs, GOOD, policy=policy), Reason.MANAGED_BY_CLOUDFORMATION, Outcome.BLOCKED)


def test_a_stack_that_deploys_as_a_user_is_known_by_what_it_deploys_for():
    theirs = replace(BAD, external_id="arn:aws:cloudformation:eu-west-1:1:stack/shop")
    refused(first_step(theirs, GOOD), Reason.MANAGED_BY_CLOUDFORMATION, Outcome.BLOCKED)


def test_the_native_rollback_of_a_stacks_release_is_watched():
    bad = replace(BAD, creator="CloudFormation", status="Stopped", rollback_deployment_id="d-3")
    decision = first_step(native_rollback("d-3", "v1", -1, of="d-2", status="InProgress"), bad, GOOD)
    assert (decision.action, decision.reason) == (Action.ADOPT, Reason.STACK_ROLLING_BACK)


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


ONE_RELEASE = frozenset(f"shop/function-{number}" for number in range(29))
OF_A_STACK = Origin("arn:aws:cloudformation:us-east-1:123456789012:stack/app/1", "UPDATE_COMPLETE", groups=ONE_RELEASE)


def test_the_groups_that_one_release_changed_count_once():
    everywhere = Controls(groups_in_alarm=ONE_RELEASE)
    refused(objection(Reason.STORM, BAD, GOOD, controls=everywhere), Reason.STORM, Outcome.BLOCKED)
    assert objection(Reason.STORM, BAD, GOOD, controls=everywhere, origin=OF_A_STACK) is None
    passed_on = rollback(release_groups=tuple(ONE_RELEASE))
    assert objection(Reason.STORM, BAD, GOOD, controls=everywhere, asked=passed_on) is None


def test_beside_a_release_of_many_groups_unrelated_ones_count_singly():
    others = frozenset({"a/x", "b/x", "c/x", "d/x"})
    few = Controls(groups_in_alarm=ONE_RELEASE | others)
    assert objection(Reason.STORM, BAD, GOOD, controls=few, origin=OF_A_STACK) is None
    many = Controls(groups_in_alarm=ONE_RELEASE | others | {"e/x"})
    storm = refused(objection(Reason.STORM, BAD, GOOD, controls=many, origin=OF_A_STACK), Reason.STORM, Outcome.BLOCKED)
    assert storm.explanation.startswith("6 deployment groups went into alarm")
    assert f"(the 30 of the stack {OF_A_STACK.stack} count once)" in storm.explanation


@pytest.mark.parametrize(
    ("others", "told"),
    [
        (7, "In alarm: g0/x, g1/x, g2/x, g3/x, g4/x, g5/x, g6/x, shop/prod."),
        (9, "In alarm: g0/x, g1/x, g2/x, g3/x, g4/x, g5/x, g6/x, g7/x and 2 more."),
    ],
)
def test_a_storm_names_eight_groups_and_counts_the_rest(others, told):
    storm = Controls(groups_in_alarm=frozenset(f"g{n}/x" for n in range(others)))
    found = first_step(BAD, GOOD, controls=storm).explanation
    assert told in found
    assert found.startswith(f"{others + 1} deployment groups went into alarm within 10 min; more than 5 at once means")


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
    real = first_step(BAD_RUNNING, GOOD, asked=asked.changed(dry_run=False))
    dry = first_step(BAD_RUNNING, GOOD, asked=asked)
    assert (dry.action, dry.outcome) == (Action.CLOSE, Outcome.DRY_RUN)
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
    decision = first_step(
        BAD_RUNNING, asked=by_operator(dry_run=True), policy=Policy(stop_without_target=StopWithoutTarget.ALWAYS)
    )
    assert decision.action is Action.CLOSE


def test_approve_mode_asks_before_it_touches_anything():
    decision = first_step(BAD_RUNNING, GOOD, policy=Policy(mode=Mode.APPROVE))
    assert (decision.action, decision.reason) == (Action.ASK_APPROVAL, Reason.NEEDS_APPROVAL)
    assert decision.needs_human
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


@pytest.mark.parametrize("status", ["Succeeded", "Failed", "Stopped"])
def test_what_a_person_put_back_already_is_adopted_and_proven(status):
    back = release("d-3", "v1", -1, took=0.5)
    bad = release("d-2", "v2", -6, status=status)
    decision = first_step(back, bad, GOOD)
    assert (decision.action, decision.reason) == (Action.ADOPT, Reason.ALREADY_ROLLING_BACK)
    assert decision.explanation.startswith("d-3, somebody's rollback, has rolled back to v1 already")
    assert [d.deployment_id for d in decision.suspects] == ["d-2"]
    refused(first_step(back, bad, GOOD, asked=by_operator()), Reason.ALREADY_LIVE)


@pytest.mark.parametrize(
    ("ended", "reason"), [(-8, Reason.SUSPECT_IS_ROLLBACK), (-3 * 24 * 60, Reason.NOT_ATTRIBUTABLE)]
)
def test_an_alarm_long_after_a_persons_rollback_is_not_answered_by_it(ended, reason):
    back = release("d-3", "v1", ended, took=1)
    decision = refused(first_step(back, release("d-2", "v2", ended - 12), GOOD), reason)
    assert "d-3" in decision.explanation
    assert decision.good is None


def test_a_person_who_is_putting_the_old_revision_back_is_not_stopped():
    back = running("d-3", "v1", -0.5)
    for bad in (release("d-2", "v2", -6), release("d-2", "v2", -20)):
        decision = first_step(back, bad, GOOD)
        assert (decision.action, decision.reason) == (Action.ADOPT, Reason.ALREADY_ROLLING_BACK)
        assert decision.explanation.startswith("d-3, somebody's rollback, is rolling back to v1 already")


def test_a_person_who_goes_back_to_a_known_bad_revision_is_left_to_people():
    back = running("d-3", "v1", -0.5)
    decision = first_step(back, release("d-2", "v2", -6), GOOD, controls=Controls(known_bad={"v1": "bad"}))
    refused(decision, Reason.ALREADY_ROLLING_BACK, Outcome.BLOCKED)


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


def test_what_is_live_again_after_several_releases_at_once_needs_no_rollback():
    first, undone = release("d-2", "v2", -4, took=1), native_rollback("d-3", "v0", -2.5, took=0.5)
    back = release("d-4", "v1", -1.5, took=0.5)
    found = refused(objection(Reason.ALREADY_ROLLING_BACK, back, undone, first, GOOD), Reason.ALREADY_LIVE)
    assert found.explanation == "d-4 already put v1 back, which was live before."


def test_an_operator_who_insists_is_not_told_that_it_is_live_already():
    history = (release("d-3", "v1", -1, took=0.5), release("d-2", "v2", -6, status="Failed"), GOOD)
    assert objection(Reason.ALREADY_ROLLING_BACK, *history, asked=by_operator(force=True)) is None


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
        Reason.UNROUTED_ALARM,
        Reason.GROUP_NOT_FOUND,
        Reason.NOT_ATTRIBUTABLE,
        Reason.NEWER_DEPLOYMENT,
        Reason.SUSPECT_IS_ROLLBACK,
        Reason.ALREADY_LIVE,
        Reason.MANAGED_BY_CLOUDFORMATION,
        Reason.RELEASED_BY_PIPELINE,
        Reason.ALREADY_LIVE,
        Reason.ALREADY_ROLLING_BACK,
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


# --- the alarm's own word ---------------------------------------------------------------------------------------------


def confirmed(policy: Policy | None = None, asked: Rollback | None = None, **about: Any) -> Decision | None:
    facts = {"state": AlarmState.ALARM, "changed_at": at(0), "suppressed_by": "", **about}
    return objection(
        Reason.ALARM_NOT_CONFIRMED, BAD, GOOD, policy=policy, asked=asked, alarm=AlarmFacts("shop-errors", **facts)
    )


@pytest.mark.parametrize(
    ("asks", "doubt", "refuses"),
    [(True, "Nothing breaches.", True), (True, "", False), (False, "Nothing breaches.", False)],
)
def test_evidence_is_asked_for_where_the_settings_say_so(asks, doubt, refuses):
    found = confirmed(Policy(require_evidence=asks), doubt=doubt)
    assert bool(found) is refuses
    if refuses:
        said = refused(found, Reason.ALARM_NOT_CONFIRMED)
        assert said.unfounded
        assert said.explanation == (
            "LASTGOOD_REQUIRE_EVIDENCE asks for the alarm's metric, which does not confirm it. Nothing breaches."
        )


def test_an_alarm_that_was_ok_before_its_message_was_never_in_alarm():
    for state in (AlarmState.OK, AlarmState.INSUFFICIENT_DATA):
        said = refused(confirmed(state=state, changed_at=at(-1)), Reason.ALARM_NOT_CONFIRMED)
        assert (said.unfounded, said.needs_human) == (True, False)
        assert said.explanation == (
            f"CloudWatch says that the alarm is {state} since 09:59:00Z, before this message: it was not in ALARM then."
        )
    for rounded in (at(0) - seconds(1), None):
        recovered = confirmed(state=AlarmState.OK, changed_at=rounded)
        assert refused(recovered, Reason.ALARM_RECOVERED).explanation == (
            "The alarm is OK again; nothing has to be rolled back."
        )


@pytest.mark.parametrize(("failed", "called"), [("", False), ("d-7", True)])
def test_an_alarm_that_recovers_after_a_rollback_of_others_failed_calls_people(failed, called):
    found = confirmed(state=AlarmState.OK, changed_at=at(0.5), asked=rollback(failed_rollback_id=failed))
    assert refused(found, Reason.ALARM_RECOVERED).needs_human is called


def test_what_may_be_the_fix_is_waited_for_while_there_is_time():
    met = release("d-3", "v3", 0.5, took=0.2, reach=Reach(at(0.9)))
    found = objection(Reason.NOT_ATTRIBUTABLE, met, BAD, GOOD)
    assert isinstance(found, Wait)
    assert found.reason is Reason.NEWER_DEPLOYMENT
    assert found.explanation.endswith("If the alarm fires on, it was none, and goes back too.")
    late = objection(Reason.NOT_ATTRIBUTABLE, met, BAD, GOOD, asked=rollback(dry_run=True))
    assert isinstance(late, Close)
