"""From the stop to the redeployment."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import (
    NOW,
    ROLLBACK_ID,
    at,
    by_operator,
    group,
    native_rollback,
    our_rollback,
    release,
    running,
    seconds,
)
from judging import (
    BACK,
    BAD,
    BAD_RUNNING,
    DEADLINE,
    GOOD,
    READY,
    STOPPED,
    after_stop,
    decide,
    pinned_by_the_stop,
    redeploying,
    refused,
    stopping,
    verifying,
)
from lastgood.judgement.proof import TOLD_AFTER
from lastgood.judgement.steps import Action, Adopt, ClearAlias, Create, Decision, RegisterTaskDefinition, Stop
from lastgood.judgement.stopping import HANGS_AFTER, STOP_AGAIN_AFTER
from lastgood.judgement.wording import clock
from lastgood.model import (
    AlarmHistory,
    ComputePlatform,
    Controls,
    Floor,
    Gate,
    Gone,
    Image,
    LeftOut,
    Live,
    Outcome,
    Pause,
    Phase,
    Policy,
    Reason,
    Rollback,
    SplitAlias,
    Unregistered,
)

# --- after the stop ---------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("native", "decided"),
    [
        (native_rollback("d-3", "v0", 1, of="d-2", status="InProgress"), Action.ADOPT),
        (native_rollback("d-3", "v0", 1, of="d-2"), Action.ADOPT),
        (native_rollback("d-3", "v0", 1, of="d-2", status="Failed"), Action.CLOSE),
    ],
)
def test_where_nothing_can_go_back_the_deployers_own_rollback_is_adopted_unless_it_failed(native, decided):
    alone = stopping(good_deployment_id="", good_revision="", native_rollback_asked=True, explanation="Only floor.")
    assert after_stop(alone, rollback=native).action is decided
    waits = after_stop(alone, later=29)
    assert waits.explanation == "It is stopped; CodeDeploy's own rollback has not shown up yet."
    assert waits.action is Action.WAIT
    assert after_stop(alone, later=30).action is Action.CLOSE


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
    waits = after_stop(rollback=elsewhere, newest=elsewhere)
    assert (waits.action, waits.told_after) == (Action.WAIT, TOLD_AFTER)
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
    waits = after_stop(newest=replace(scaled, status="InProgress"))
    assert (waits.action, waits.told_after) == (Action.WAIT, TOLD_AFTER)


def test_a_revision_that_was_marked_bad_meanwhile_is_not_put_back():
    controls = Controls(known_bad={"v1": "it loses orders"})
    decision = refused(after_stop(controls=controls), Reason.KNOWN_BAD, Outcome.BLOCKED)
    assert "it loses orders" in decision.explanation
    assert decision.needs_human


def test_a_revision_that_was_known_bad_and_has_healed_since_goes_back():
    day = 24 * 60
    good = release("d-1", "v1", -20 * day)
    known = Controls(known_bad={"v1": "it lost orders"}, known_bad_since={"v1": at(-30 * day)})
    quiet = AlarmHistory(known_since=at(-40 * day))
    assert after_stop(good=good, history=(STOPPED, good), controls=known, alarm_history=quiet).action is Action.CREATE


def test_a_revision_below_a_floor_that_was_set_meanwhile_is_not_put_back():
    controls = Controls(floor=Floor("d-2", at(-10), "a column is gone"))
    decision = refused(after_stop(controls=controls), Reason.BELOW_FLOOR, Outcome.BLOCKED)
    assert "a column is gone" in decision.explanation
    assert decision.chosen.floor == "d-2"


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
    decision = after_stop(preparations=(Gone("version 7 is deleted"),))
    assert "version 7 is deleted" in refused(decision, Reason.REDEPLOY_REFUSED, Outcome.FAILED).explanation


def test_a_split_alias_is_cleared_before_anything_is_deployed():
    todo = (Unregistered("x"), SplitAlias())
    assert after_stop(preparations=todo, live=Live("v1", split=True)).action is Action.CLEAR_ALIAS


def test_an_inactive_task_definition_is_registered_again_first():
    decision = after_stop(preparations=(Unregistered("arn:task:6"),))
    assert decision.action is Action.REGISTER_TASK_DEFINITION
    assert "arn:task:6" in decision.explanation


def test_a_good_revision_that_is_live_again_need_not_be_deployed():
    decision = after_stop(live=Live("v1"))
    assert (decision.action, decision.outcome, decision.reason) == (Action.CLOSE, Outcome.ROLLED_BACK, Reason.VERIFIED)


def test_one_name_may_be_live_and_not_be_the_good_revision():
    images = (Image("web", "shop/web:latest", "sha256:1"),)
    good = replace(GOOD, revision=replace(GOOD.revision, images=images))
    by_others, by_the_suspect = (Live("v1", deployment_id=maker, images=images) for maker in ("d-0", "d-2"))
    other_image = replace(by_others, images=(replace(images[0], digest="sha256:2"),))
    unknown = replace(by_others, images=(replace(images[0], digest=""),))
    record = stopping(good_digests=("web=sha256:1",))
    decided = {live: after_stop(record, good=good, live=live).action for live in (by_others, unknown)}
    assert set(decided.values()) == {Action.CLOSE}
    decided = {live: after_stop(record, good=good, live=live).action for live in (by_the_suspect, other_image)}
    assert set(decided.values()) == {Action.CREATE}


def test_servers_are_redeployed_even_if_the_last_success_was_the_good_revision():
    server = group(ComputePlatform.SERVER)
    assert after_stop(group=server, live=Live("v1")).action is Action.CREATE


# --- redeploying ------------------------------------------------------------------------------------------------------


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
        assert held(record.changed(force=True), until=5).action is Action.CREATE


# --- a stop that takes its time ---------------------------------------------------------------------------------------

HANGING = replace(STOPPED, status="InProgress", completed_at=None)


def hangs(later: float, *silent: str, **more: Any) -> Decision:
    """What is decided `later` seconds after CodeDeploy took the stop, while the suspect is still there."""
    answer = {"stop_answer": "Pending", **more}
    return after_stop(stopping(**answer), later, suspect=HANGING, silent=silent)


def test_a_stop_that_was_taken_is_given_a_while():
    for later in (1, HANGS_AFTER.total_seconds() - 1):
        assert hangs(later).explanation == "d-2 is stopping."
        assert hangs(later).told_after is None


@pytest.mark.parametrize(
    ("silent", "who"),
    [
        (
            ("i-1",),
            "for i-1 does not answer. To free it, detach or terminate it, or restart its CodeDeploy agent; the",
        ),
        (
            ("i-1", "i-2"),
            "for i-1, i-2 do not answer. To free it, detach or terminate it, or restart its CodeDeploy agent; the",
        ),
        ((), "for something in it waits. To free it, see what in it is waiting; the"),
    ],
)
def test_a_stop_that_hangs_is_told_with_what_it_waits_for(silent, who):
    found = hangs(HANGS_AFTER.total_seconds(), *silent)
    asked = stopping().progress.stop_requested_at
    assert asked is not None
    assert found.explanation.startswith(
        f"The stop of d-2 hangs: CodeDeploy took it at {clock(asked)} and it is still InProgress, "
    )
    assert f"{who} rollback then goes on by itself." in found.explanation
    assert found.told_after == timedelta(0)


def test_a_stop_that_was_not_taken_is_asked_for_again_after_a_moment():
    soon, later = (hangs(STOP_AGAIN_AFTER.total_seconds() + more, stop_answer="") for more in (-1, 0))
    assert soon.explanation == "d-2 is stopping."
    assert isinstance(later, Stop)
    assert later.explanation == "d-2 is InProgress, so it is (again) asked to stop."


@pytest.mark.parametrize(("hook", "again"), [("hook-1", True), ("", False)])
def test_a_stop_at_a_hook_is_asked_for_again_though_it_was_taken(hook, again):
    """ECS takes a stop at a lifecycle hook, and does not act on it."""
    paused = replace(HANGING, gate=Gate("go on", hook))
    late = STOP_AGAIN_AFTER.total_seconds()
    taken = stopping(stop_answer="Pending")
    assert not isinstance(after_stop(taken, late - 1, suspect=paused), Stop)
    assert isinstance(after_stop(taken, late, suspect=paused), Stop) is again


def test_a_suspect_that_nobody_asked_to_stop_is_asked_at_once():
    found = after_stop(stopping(stop_requested_at=None, native_rollback_asked=True), suspect=HANGING)
    assert isinstance(found, Stop)
    assert (found.deployment, found.native, found.reason) == (HANGING, True, Reason.SUSPECT_ACTIVE)


def test_where_nothing_can_go_back_the_reason_for_that_stays():
    record = stopping(
        stop_requested_at=None, good_deployment_id="", reason_code=Reason.KNOWN_BAD, explanation="All are known bad."
    )
    found = after_stop(record, suspect=HANGING)
    assert isinstance(found, Stop)
    assert (found.reason, found.explanation) == (Reason.KNOWN_BAD, "All are known bad.")
    unsaid = after_stop(record.changed(reason_code=None), suspect=HANGING)
    assert unsaid.reason is Reason.SUSPECT_ACTIVE


@pytest.mark.parametrize(("over", "told"), [({}, " The agent of i-1 is dead."), ({"held_up_ended_at": NOW}, "")])
def test_after_the_deadline_what_held_it_up_is_told_if_it_still_does(over, told):
    record = stopping(held_up_by="The agent of i-1 is dead.", **over)
    active = after_stop(record, DEADLINE + 1, suspect=HANGING)
    assert refused(active, Reason.DEADLINE_PASSED, Outcome.FAILED).explanation == (
        f"d-2 is still InProgress, 2 h after the rollback began.{told}"
    )
    ended = after_stop(record, DEADLINE + 1)
    assert ended.explanation == f"The redeployment could not start within 2 h.{told}"


# --- what people are told of the way back -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("newest", "reason", "told"),
    [
        (native_rollback("d-4", "v1", 0, status="InProgress"), Reason.NATIVE_ROLLBACK, "CodeDeploy's own rollback d-4"),
        (running("d-4", "v1", 0), Reason.ALREADY_ROLLING_BACK, "Somebody's rollback d-4"),
    ],
)
def test_a_deployment_of_the_good_revision_is_adopted_and_its_owner_told(newest, reason, told):
    for status, stack in (
        ("UPDATE_IN_PROGRESS", "Its stack rolls back too: shop."),
        ("UPDATE_COMPLETE", "The stack shop holds it and is UPDATE_COMPLETE."),
    ):
        found = after_stop(stopping(suspect_stack="shop", stack_status=status), newest=newest)
        assert isinstance(found, Adopt)
        assert (found.reason, found.deployment, found.ours) == (reason, newest, False)
        assert found.explanation == f"{told} to v1 is adopted and watched. {stack}"


@pytest.mark.parametrize(
    "newest", [GOOD, our_rollback("d-4", "v1", -5)], ids=["the good one itself", "another rollback, which has ended"]
)
def test_what_deployed_the_good_revision_before_is_not_taken_for_its_return(newest):
    assert after_stop(newest=newest).action is Action.CREATE


def test_our_own_deployment_is_found_by_its_marker():
    ours = our_rollback("d-5", "v1", 1, rollback_id=ROLLBACK_ID, status="InProgress")
    for found in (redeploying(30, rollback=ours), after_stop(newest=ours)):
        assert isinstance(found, Adopt)
        assert (found.reason, found.deployment, found.ours) == (Reason.IN_PROGRESS, ours, True)


@pytest.mark.parametrize(
    ("held", "left"), [({"suspect_stack": "shop-stack"}, "shop-stack"), ({"origin": "unknown"}, "which stack holds it")]
)
def test_what_a_stack_holds_is_not_redeployed_behind_its_back(held, left):
    for todo in ((), (SplitAlias(),), (Unregistered("task:6"),)):
        found = refused(
            after_stop(stopping(**held), preparations=todo), Reason.MANAGED_BY_CLOUDFORMATION, Outcome.BLOCKED
        )
        assert "d-2 is stopped, and CodeDeploy put nothing back by itself." in found.explanation
        assert left in found.explanation
    insisted = stopping(force=True, **held)
    assert isinstance(after_stop(insisted), Create)


def test_what_is_left_out_of_an_appspec_is_told_with_the_redeployment():
    todo = (LeftOut("Its hook is left out."), LeftOut("Its network differs."))
    found = after_stop(preparations=todo)
    assert isinstance(found, Create)
    assert found.explanation == "v1, deployed by d-1, is deployed again. Its hook is left out. Its network differs."
    assert (found.target, found.group, found.live, found.instead_of) == (GOOD, group(), Live("v2"), STOPPED)


def test_what_has_to_be_done_first_is_carried_by_its_step():
    split, pins = SplitAlias(), Unregistered("task:6", (Image("web", "shop/web:latest", "sha256:1"),))
    cleared, registered = after_stop(preparations=(split, pins)), after_stop(preparations=(pins,))
    assert isinstance(cleared, ClearAlias) and isinstance(registered, RegisterTaskDefinition)
    assert (cleared.todo, cleared.target) == (split, GOOD)
    assert (registered.todo, registered.target) == (pins, GOOD)
    assert registered.explanation == (
        "shop/web:latest means another image by now; task:6 is registered again with the digests that served."
    )
    unchanged = after_stop(preparations=(Unregistered("task:6"),))
    assert unchanged.explanation == "task:6 is INACTIVE; it is registered again unchanged."


def test_what_cannot_be_deployed_any_more_is_told_with_its_name():
    gone = after_stop(preparations=(Gone("version 7 is deleted"),))
    assert gone.explanation == "v1 cannot be deployed any more: version 7 is deleted"
    for lost in ({"good": None}, {"group": None}):
        assert "d-1 or its deployment group is gone." in after_stop(**lost).explanation
