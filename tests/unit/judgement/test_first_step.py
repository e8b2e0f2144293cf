"""The first step of a rollback: the decision table, what is stopped or adopted, and waiting for approval."""

from __future__ import annotations

from dataclasses import replace

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
    release,
    rollback,
    running,
)
from judging import (
    ACTING,
    APPROVE,
    BAD,
    BAD_RUNNING,
    GOOD,
    decide,
    first_step,
    refused,
    waiting,
)
from lastgood.judgement.case import Case
from lastgood.judgement.choice import MAX_CANDIDATES_RECORDED
from lastgood.judgement.first_step import native_flip, stops_for_a_stack
from lastgood.judgement.steps import Action, Adopt, Stop, outcome_of
from lastgood.model import (
    BEFORE,
    AlarmHistory,
    AlarmState,
    ComputePlatform,
    Controller,
    Controls,
    Floor,
    Image,
    Mode,
    Observation,
    Origin,
    Outcome,
    Phase,
    Policy,
    Reason,
    Rejection,
    Revision,
    StopWithoutTarget,
)

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
        Action.STOP,
        Reason.SUSPECT_ACTIVE,
    ),
    (
        "succeeded, CloudFormation's",
        [replace(BAD, creator="CloudFormation"), GOOD],
        Action.CLOSE,
        Reason.MANAGED_BY_CLOUDFORMATION,
    ),
    (
        "stopped, and the rollback deployment failed",
        [native_rollback("d-3", "v1", -3, of="d-2", took=1, status="Failed"), STOPPED_NATIVELY, GOOD],
        Action.PROCEED,
        Reason.SUSPECT_STOPPED,
    ),
    (
        "stopped, and somebody puts the old revision back",
        [running("d-3", "v1", -1), release("d-2", "v2", -5, status="Stopped"), GOOD],
        Action.ADOPT,
        Reason.ALREADY_ROLLING_BACK,
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
def test_the_first_step_is_as_the_decision_table_says(row, history, action, reason):
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
    assert outcome_of(decision) is None
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


def test_so_it_does_where_the_last_success_contains_what_goes_back_under_another_id_or_is_that_itself():
    again = release("d-15", "v1", -90)
    facts = group(last_successful_id="d-15")
    found = first_step(BAD_RUNNING, again, GOOD, group=facts, unusable={"d-15": "its bundle is gone"})
    assert (found.good, found.native) == (GOOD, True)
    moving = Revision("AppSpecContent", "v1", images=(Image("web", "shop/web:latest"),))
    last = replace(GOOD, revision=moving)
    found = first_step(BAD_RUNNING, last, group=group(last_successful_id="d-1"))
    assert (found.good, found.native) == (last, True)


@pytest.mark.parametrize("deployment_id", ["d-1", "d-15"], ids=["itself", "the same under another id"])
def test_what_was_written_over_since_is_not_fetched_again_by_the_deployers_own_rollback(deployment_id):
    good = release(deployment_id, "v1", -600)
    rewritten = replace(good, revision=replace(good.revision, rewritten=True))
    for last, native in ((good, True), (rewritten, False)):
        seen = Case(
            rollback(),
            observation(BAD_RUNNING, last, group=group(last_successful_id=deployment_id)),
            Policy(),
            NOW,
        )
        assert native_flip(seen) is native


@pytest.mark.parametrize(
    ("good", "last", "native"),
    [
        ("d-1", release("d-1", "v1", -600), True),
        (f"d-2{BEFORE}", release("d-1", "", -600), True),
        ("d-1", release("d-0", "v0", -700), False),
    ],
    ids=["the last success", "what the original task set says", "an older one"],
)
def test_where_the_traffic_only_goes_back_to_what_still_stands_that_is_what_has_to_be_chosen(good, last, native):
    chosen = last if last.deployment_id == good else release(good, "v1", -20, took=0)
    facts = group(ComputePlatform.ECS, last_successful_id=last.deployment_id)
    history = dict.fromkeys((BAD_RUNNING, chosen, last))
    seen = Case(rollback(), observation(*history, group=facts), Policy(), NOW)
    assert seen.selection.good == chosen
    assert native_flip(seen) is native


def test_the_deployers_own_rollback_needs_a_group_and_a_revision_to_go_back_to():
    def case(*history, **seen):
        return Case(rollback(), observation(*history, **seen), Policy(), NOW)

    assert native_flip(case(BAD_RUNNING, GOOD, group=group(last_successful_id="d-1")))
    assert stops_for_a_stack(case(BAD_RUNNING, GOOD, group=group(last_successful_id="d-1")))
    for lacking in (case(BAD_RUNNING, GOOD, group=None), case(BAD_RUNNING, group=group(last_successful_id="d-2"))):
        assert not native_flip(lacking)
        assert not stops_for_a_stack(lacking)
    assert not stops_for_a_stack(case(BAD, GOOD, group=group(last_successful_id="d-1")))
    assert not stops_for_a_stack(case(group=group()))


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
    asked_to_stop = pinned.changed(stop_requested_at=NOW)
    assert decide(asked_to_stop, ready, Policy(), NOW).action is Action.WAIT


def test_a_service_is_never_stopped_when_nothing_can_go_back():
    for policy in ("first-deployment", "always"):
        decision = first_step(
            BAD_RUNNING, asked=rollback(**SERVICE), policy=Policy(stop_without_target=StopWithoutTarget(policy))
        )
        assert (decision.action, outcome_of(decision)) == (Action.CLOSE, Outcome.BLOCKED)


def test_a_service_that_is_not_there_is_told_as_a_service():
    decision = first_step(BAD, GOOD, asked=rollback(**SERVICE), group=None)
    assert decision.reason is Reason.GROUP_NOT_FOUND
    assert "ECS has no service main/web" in decision.explanation


def test_a_native_rollback_to_a_known_bad_revision_is_not_adopted():
    back = native_rollback("d-3", "v1.5", -1, of="d-2", status="InProgress")
    history = (back, STOPPED_NATIVELY, release("d-15", "v1.5", -90), GOOD)
    decision = first_step(*history, controls=Controls(known_bad={"v1.5": "bad"}))
    assert (decision.action, decision.good) == (Action.PROCEED, GOOD)
    assert decision.explanation == (
        "d-3, CodeDeploy's own rollback, is rolling back to v1.5, which is not acceptable; once it has ended, "
        "v1 (from d-1) is deployed again."
    )


def test_a_native_rollback_to_a_revision_that_was_known_bad_and_has_healed_is_adopted():
    day = 24 * 60
    back = native_rollback("d-3", "v1", -1, of="d-2", status="InProgress")
    known = Controls(known_bad={"v1": "bad"}, known_bad_since={"v1": at(-30 * day)})
    healed = {"controls": known, "alarm_history": AlarmHistory(known_since=at(-40 * day))}
    assert first_step(back, STOPPED_NATIVELY, release("d-1", "v1", -20 * day), **healed).action is Action.ADOPT
    assert first_step(back, STOPPED_NATIVELY, GOOD, **healed).action not in {Action.ADOPT, *ACTING}


def test_a_native_rollback_to_what_is_blamed_too_is_not_adopted():
    stopped = release("d-3", "v3", -2, took=1, status="Stopped", rollback_deployment_id="d-4")
    back = native_rollback("d-4", "v2", -0.5, of="d-3", status="InProgress")
    found = first_step(back, stopped, release("d-2", "v2", -4, took=1), GOOD)
    assert [d.deployment_id for d in found.suspects] == ["d-3", "d-2"]
    assert (found.action, found.good) == (Action.PROCEED, GOOD)


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
    policy = Policy(stop_without_target=StopWithoutTarget(setting))
    nothing = first_step(BAD_RUNNING, policy=policy)
    below = first_step(BAD_RUNNING, GOOD, policy=policy, controls=Controls(floor=Floor("d-2", at(-1))))
    assert (nothing.action, below.action) == (first, floor)
    for decision in (nothing, below):
        assert outcome_of(decision) is Outcome.BLOCKED
        assert decision.needs_human
        assert not isinstance(decision, Stop) or (decision.calls_people and not decision.native)


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
    policy = Policy(stop_without_target=StopWithoutTarget(setting), native_rollback=False)
    decision = first_step(BAD_RUNNING, release("d-1", "", -600), policy=policy)
    assert (decision.action, decision.reason) == (action, Reason.NO_GOOD_REVISION)
    assert "d-1" in decision.explanation


@pytest.mark.parametrize("platform", [ComputePlatform.LAMBDA, ComputePlatform.ECS])
@pytest.mark.parametrize("mode", list(Mode))
def test_what_cannot_be_read_goes_back_by_the_deployers_own_rollback_while_the_release_runs(platform, mode):
    facts = group(platform, last_successful_id="d-1")
    decision = first_step(BAD_RUNNING, release("d-1", "", -600), group=facts, policy=Policy(mode=mode))
    stops = isinstance(decision, Stop) and decision.native
    assert stops is (mode is Mode.AUTO)
    assert decision.needs_human or mode is not Mode.AUTO


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
    policy = Policy(mode=mode, stop_without_target=StopWithoutTarget.ALWAYS)
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


def test_a_plan_waits_until_somebody_answers():
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


# --- others roll back -------------------------------------------------------------------------------------------------

STACK = Origin("shop-stack", "UPDATE_ROLLBACK_COMPLETE")


def watched(adopt, *history, **more):
    found = first_step(adopt, *history, **more)
    assert isinstance(found, Adopt)
    assert found.deployment == adopt
    return found


@pytest.mark.parametrize(
    ("adopt", "told"),
    [
        (native_rollback("d-3", "v1", -1, of="d-2", status="InProgress"), "is rolling back to v1 already"),
        (native_rollback("d-3", "v1", -1, of="d-2", took=0.5), "has rolled back to v1 already"),
    ],
)
def test_a_rollback_of_others_is_told_as_under_way_or_as_done(adopt, told):
    found = watched(adopt, STOPPED_NATIVELY, GOOD)
    assert found.explanation == f"d-3, CodeDeploy's own rollback, {told}: that is adopted and watched."
    assert found.suspects == (STOPPED_NATIVELY,)
    assert found.good == GOOD


@pytest.mark.parametrize(
    ("origin", "told"),
    [
        (None, " Its stack rolls back too: shop-stack."),
        (STACK, " The stack shop-stack holds it and is UPDATE_ROLLBACK_COMPLETE."),
    ],
)
def test_the_stack_of_the_release_or_of_the_rollback_is_told(origin, told):
    adopt = native_rollback("d-3", "v1", -1, of="d-2", status="InProgress")
    held = replace(STOPPED_NATIVELY, held_by="shop-stack")
    assert watched(adopt, held, GOOD, origin=origin).explanation.endswith(f"adopted and watched.{told}")
    theirs = replace(adopt, held_by="shop-stack")
    assert watched(theirs, STOPPED_NATIVELY, GOOD, origin=origin).explanation.endswith(f"adopted and watched.{told}")


def test_what_a_person_puts_back_is_recorded_as_what_goes_back():
    theirs = running("d-4", "v0", -1)
    found = watched(theirs, BAD, GOOD, release("d-0", "v0", -900))
    assert (found.reason, found.good) == (Reason.ALREADY_ROLLING_BACK, theirs)
    assert watched(running("d-4", "v1", -1), BAD, GOOD).good == GOOD


def test_a_rollback_of_nobody_knows_what_is_told_without_a_stack():
    found = watched(native_rollback("d-3", "v1", -1, of="d-9", status="InProgress"), GOOD)
    assert found.suspects == ()
    assert found.explanation.endswith("is rolling back to v1 already: that is adopted and watched.")


def test_what_is_stopped_is_told_with_its_stack_and_its_state():
    held = replace(BAD_RUNNING, held_by="shop-stack")
    found = first_step(held, GOOD, origin=STACK)
    assert isinstance(found, Stop)
    assert found.explanation.endswith(" The stack shop-stack holds it and is UPDATE_ROLLBACK_COMPLETE.")


@pytest.mark.parametrize(("last_successful", "action"), [("", Action.CANCEL_UPDATE), ("d-1", Action.STOP)])
def test_a_stacks_update_is_cancelled_where_a_stop_alone_would_not_put_back_what_was_live(last_successful, action):
    runs = Origin("arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/1", "UPDATE_IN_PROGRESS")
    named, facts = Policy(cancel_stack_updates="shop"), group(last_successful_id=last_successful)
    found = first_step(BAD_RUNNING, GOOD, origin=runs, policy=named, group=facts)
    assert (found.action, found.suspects, found.good) == (action, (BAD_RUNNING,), GOOD)


def test_a_release_whose_native_rollback_failed_is_told_with_that():
    failed = native_rollback("d-3", "v1", -1, of="d-2", status="Failed")
    found = first_step(failed, STOPPED_NATIVELY, GOOD)
    assert found.explanation == (
        "CodeDeploy's own rollback d-3 is Failed. It did not put back what was live. d-2 (v2) is Stopped: "
        "v1 (from d-1), the last good revision, is deployed again."
    )


def test_a_rollback_of_others_that_failed_is_told_before_what_is_done():
    failed = native_rollback("d-3", "v1", -1, of="d-2", status="Failed", error_code="NO_INSTANCES")
    found = first_step(failed, BAD, GOOD)
    assert found.action is Action.PROCEED
    assert found.explanation.startswith(
        "CodeDeploy's own rollback d-3 is Failed (NO_INSTANCES). It did not put back what was live. d-2 (v2) is Succ"
    )
    assert found.chosen.failed == failed
