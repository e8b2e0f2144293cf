"""When a rollback is called verified, and when it has failed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import (
    NOW,
    at,
    group,
    minutes,
    native_rollback,
    observation,
    release,
    rollback,
)
from judging import (
    BACK,
    BAD_RUNNING,
    GOOD,
    decide,
    refused,
    stopping,
    verifying,
)
from lastgood.judgement.proof import LIVE_GRACE, is_live
from lastgood.judgement.steps import Action, Close, Decision, LetGoOn, TakeOver, Wait
from lastgood.model import (
    Deployment,
    Gate,
    Image,
    Live,
    Observation,
    Outcome,
    Phase,
    Policy,
    Reason,
    Revision,
    RollbackPauses,
)

# --- proof ------------------------------------------------------------------------------------------------------------


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
    record = stopping().changed(phase=Phase.VERIFYING, rollback_deployment_id="d-5", redeployed_revision="task:8")
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


def test_in_awss_words_it_is_told_without_their_full_stop():
    failed = replace(BACK, status="Failed", error_code="SOMETHING_NEW", error_message="too few answered.")
    assert verifying(failed).explanation == (
        "The rollback deployment d-5 is Failed (SOMETHING_NEW): too few answered. lastgood does not try a second time "
        "by itself."
    )


def test_a_rollback_that_a_newer_release_took_the_place_of_is_left_to_it():
    """An update of a service replaces the one that runs."""
    stopped = replace(BACK, status="Stopped")
    newer = release("d-6", "v3", 2, status="InProgress")
    found = refused(verifying(stopped, newest=newer), Reason.OTHER_DEPLOYMENT, Outcome.BLOCKED)
    assert found.explanation == (
        "The rollback deployment d-5 is Stopped, and d-6 (v3), which came after it, is InProgress. It may be the fix, "
        "so it is left alone."
    )
    scaled, same_time = replace(newer, creator="autoscaling"), replace(newer, created_at=BACK.created_at)
    for no_release in (None, scaled, same_time, GOOD):
        refused(verifying(stopped, newest=no_release), Reason.ROLLBACK_DEPLOYMENT_FAILED, Outcome.FAILED)


def test_a_rollback_deployment_that_vanished_is_a_failure():
    refused(verifying(None, later=7), Reason.ROLLBACK_DEPLOYMENT_FAILED, Outcome.FAILED)


def test_a_closed_rollback_stays_closed():
    for outcome, reason in ((Outcome.ROLLED_BACK, Reason.VERIFIED), (Outcome.SKIPPED, Reason.COOLDOWN)):
        closed = rollback(Phase.CLOSED, outcome=outcome, reason_code=reason)
        decision = decide(closed, observation(BAD_RUNNING, GOOD), Policy(), NOW)
        assert (decision.action, decision.reason) == (Action.WAIT, reason)


# --- rollbacks of others ----------------------------------------------------------------------------------------------


def ended(running: Deployment | None = BACK, later: float = 3, policy: Policy | None = None, **more: Any) -> Decision:
    """What is decided of a rollback deployment, `later` minutes after the alarm, with more on the record."""
    seen = {name: more.pop(name) for name in ("live", "group") if name in more}
    facts: dict[str, Any] = {"group": group(), "live": Live("v1"), "rollback": running, **seen}
    about = {
        "phase": Phase.VERIFYING,
        "rollback_deployment_id": "d-5",
        "redeployed_revision": "v1",
        "redeployed_at": at(1),
        **more,
    }
    return decide(stopping().changed(**about), Observation(**facts), policy or Policy(), at(later))


def test_a_rollback_that_vanished_is_named_with_who_forgot_it():
    assert ended(None, 7).explanation == "CodeDeploy no longer knows d-5."


def test_a_rollback_deployment_that_was_just_created_and_is_not_found_is_waited_for() -> None:
    assert ended(None, 5).action is Action.WAIT
    assert ended(None, 7).action is Action.CLOSE


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_rollback_of_others_that_put_nothing_back_is_taken_over(status):
    failed = native_rollback("d-5", at=1, status=status, error_code="HEALTH_CONSTRAINTS", error_message="too few.")
    decision = ended(failed, adopted=True)
    assert isinstance(decision, TakeOver)
    assert (decision.reason, decision.deployment, decision.chosen.failed) == (Reason.SUSPECT_STOPPED, failed, failed)
    assert decision.explanation == (
        f"CodeDeploy's own rollback d-5 is {status} (HEALTH_CONSTRAINTS): too few. It did not put back what was live: "
        "lastgood goes on."
    )


def test_a_rollback_of_others_that_worked_is_said_to_be_theirs():
    decision = ended(native_rollback("d-5", at=1), adopted=True, failed_rollback="The rollback of ann failed")
    assert decision.explanation == (
        "d-5 succeeded and v1 is live. It was CodeDeploy's own rollback. The rollback of ann failed."
    )
    assert ended(failed_rollback="Ann's failed").explanation == "d-5 succeeded and v1 is live. Ann's failed."


# --- while it runs ----------------------------------------------------------------------------------------------------

GOING = replace(BACK, status="InProgress", completed_at=None)


def test_what_it_waits_for_is_told_to_people_if_it_lasts():
    waits = ended(replace(GOING, waits_for="i-1 does not answer"))
    assert isinstance(waits, Wait)
    assert (waits.explanation, waits.told_after) == ("d-5 is InProgress: i-1 does not answer.", minutes(3))
    plain = ended(GOING)
    assert isinstance(plain, Wait)
    assert (plain.explanation, plain.told_after) == ("d-5 is InProgress.", None)


def test_the_deadline_counts_from_the_opening_or_from_when_it_went_on():
    late = Policy().deadline.total_seconds() / 60 + 1  # the rollback is opened a minute after the alarm
    assert isinstance(ended(GOING, later=late, live=Live("v2")), Wait)
    over = refused(ended(GOING, later=late + 0.1, live=Live("v2")), Reason.DEADLINE_PASSED, Outcome.FAILED)
    assert over.explanation == "d-5 is still InProgress after 2 h."
    assert isinstance(ended(GOING, later=late + 0.1, held_up_ended_at=at(2), live=Live("v2")), Wait)
    assert refused(
        ended(GOING, later=late + 1.1, held_up_ended_at=at(2), live=Live("v2")), Reason.DEADLINE_PASSED, Outcome.FAILED
    )
    assert refused(
        ended(GOING, later=late + 0.1, held_up_ended_at=at(-90), live=Live("v2")),
        Reason.DEADLINE_PASSED,
        Outcome.FAILED,
    )


def test_what_only_waits_to_end_is_proof_by_the_name_that_it_was_registered_with():
    late = ended(GOING, later=130, live=Live("task:8", deployment_id="d-5"), redeployed_revision="task:8")
    assert late.explanation == "task:8 is live; d-5 is only waiting to end."
    old = ended(GOING, later=130, live=Live("v1", deployment_id="d-5"), redeployed_revision="task:8")
    refused(old, Reason.DEADLINE_PASSED, Outcome.FAILED)


# --- at a gate --------------------------------------------------------------------------------------------------------

READY = replace(GOING, status="Ready", gate=Gate("aws deploy continue-deployment --deployment-id d-5"))
HOOK = replace(GOING, gate=Gate("aws ecs continue", "hook-1", at(600), "ROLLBACK"))
CONTINUE = Policy(rollback_pauses=RollbackPauses.CONTINUE)


@pytest.mark.parametrize(
    ("running", "told"),
    [
        (READY, "d-5 is Ready, waiting for a go-ahead"),
        (
            HOOK,
            "d-5 is InProgress, paused at a lifecycle hook until 2026-03-02 20:00Z, when ECS takes ROLLBACK",
        ),
    ],
)
def test_a_rollback_that_waits_for_a_word_gets_it_or_people_are_told(running, told):
    goes = ended(running, policy=CONTINUE)
    assert isinstance(goes, LetGoOn)
    assert (goes.reason, goes.deployment) == (Reason.IN_PROGRESS, running)
    assert goes.explanation == f"{told}: it is told to go on."
    for waits in (ended(running), ended(running, policy=CONTINUE, adopted=True)):
        assert isinstance(waits, Wait)
        assert waits.told_after == minutes(0)
        assert waits.explanation == (
            f"{told}, so the good revision is not back yet. To let it go on: {running.gate.command}"
        )


def test_a_gate_is_waited_at_for_as_long_as_it_stands_open():
    assert isinstance(ended(HOOK, later=599), Wait)
    refused(ended(HOOK, later=600), Reason.DEADLINE_PASSED, Outcome.FAILED)
    refused(ended(READY, later=130), Reason.DEADLINE_PASSED, Outcome.FAILED)


# --- what the containers run ------------------------------------------------------------------------------------------


def runs(**digests: str) -> Live:
    return Live("v1", images=tuple(Image(name, f"shop/{name}:latest", digest) for name, digest in digests.items()))


def test_the_digests_that_served_are_proof():
    decision = ended(live=runs(web="sha256:1", log="sha256:2"), good_digests=("web=sha256:1", "log=sha256:2"))
    assert decision.reason is Reason.VERIFIED


@pytest.mark.parametrize("log", ["sha256:2", ""])
def test_one_other_image_is_what_is_not_wanted(log):
    live = runs(web="sha256:9", log=log)
    digests = ("web=sha256:1", "log=sha256:2")
    assert isinstance(ended(live=live, good_digests=digests), Wait)
    wrong = refused(ended(live=live, good_digests=digests, later=8), Reason.LIVE_DIFFERS, Outcome.FAILED)
    assert wrong.explanation == "d-5 succeeded, yet live is v1 with other images and not v1."
    elsewhere = ended(live=replace(live, identity="v2"), good_digests=digests, later=8)
    assert elsewhere.explanation == "d-5 succeeded, yet live is v2 and not v1."


def test_a_digest_with_an_equals_sign_in_it_is_compared_whole():
    assert ended(live=runs(web="sha256:1=2"), good_digests=("web=sha256:1=2",)).reason is Reason.VERIFIED


@pytest.mark.parametrize(
    ("live", "digests"),
    [
        pytest.param(runs(web=""), ("web=sha256:1",), id="nobody knows what runs"),
        pytest.param(runs(web="sha256:1"), ("web=",), id="nobody knows what served"),
        pytest.param(runs(), ("web=sha256:1",), id="it is not among what runs"),
        pytest.param(runs(web="sha256:1", log="sha256:2"), ("web=sha256:1", "log="), id="one of two is not known"),
        pytest.param(runs(web="sha256:1"), (), id="none was recorded of what runs images"),
    ],
)
def test_a_name_alone_is_no_proof_where_images_run(live, digests):
    part = replace(BACK, instances_failed=1)
    for running, note in ((BACK, ""), (part, " 1 instances were failed or skipped: look at them.")):
        decision = ended(running, live=live, good_digests=digests)
        assert isinstance(decision, Close)
        assert (decision.reason, decision.outcome) == (Reason.CONTENT_UNKNOWN, Outcome.ROLLED_BACK)
        assert decision.needs_human
        assert decision.explanation == (
            "d-5 succeeded and v1 is live by its name; whether its images are those that served is not recorded. Look "
            f"at it.{note}"
        )


def test_where_no_image_has_a_digest_the_name_says_enough():
    assert ended(live=runs(web="")).reason is Reason.VERIFIED


def test_what_the_suspect_made_live_is_not_the_good_revision_though_it_has_its_name():
    wrong = ended(live=Live("v1", deployment_id="d-2"), later=8)
    assert refused(wrong, Reason.LIVE_DIFFERS, Outcome.FAILED)


def test_how_long_it_takes_to_show_is_counted_from_its_end():
    unfinished = replace(BACK, completed_at=None)
    assert isinstance(ended(unfinished, live=Live("v2"), later=60), Wait)
    said = ended(live=Live(), later=8)
    assert said.explanation == "d-5 succeeded, yet live is something that cannot be read and not v1."
    assert ended(live=Live("v2")).explanation == "d-5 succeeded; live is still v2."


def test_what_came_after_it_is_named_and_answered_for_by_nobody():
    decision = ended(live=Live("v3"), group=group(last_attempted_id="d-6"))
    assert decision.explanation == (
        "d-5 succeeded. d-6 came after it, so what is live now is no longer this rollback's doing."
    )


# --- what nobody knows ------------------------------------------------------------------------------------------------

NOTHING_CHOSEN = {"good_deployment_id": "", "good_revision": "", "redeployed_revision": ""}


@pytest.mark.parametrize("live", [Live("v1"), Live("v0")])
def test_what_the_deployer_put_back_without_a_choice_is_left_to_people(live):
    decision = ended(live=live, **NOTHING_CHOSEN)
    assert isinstance(decision, Close)
    assert (decision.reason, decision.outcome) == (Reason.CONTENT_UNKNOWN, Outcome.ROLLED_BACK)
    assert decision.explanation == (
        f"d-5 succeeded: CodeDeploy put back what was live before the suspect, {live.identity}. What that contains is "
        "not known, so people have to look at it."
    )


@pytest.mark.parametrize(
    ("live", "of"),
    [
        (Live(""), BACK),
        (Live("v1", split=True), BACK),
        (Live("v1", deployment_id="d-2"), BACK),
        (Live("v2"), BACK),
    ],
    ids=["unreadable", "split", "the suspect made it", "the suspect's revision"],
)
def test_what_is_still_the_suspects_was_not_put_back(live, of):
    assert ended(of, live=live, **NOTHING_CHOSEN).reason is not Reason.CONTENT_UNKNOWN


def test_a_name_that_the_suspect_shares_is_put_back_only_if_it_is_known_who_brought_it():
    same_name = replace(BACK, revision=Revision("AppSpecContent", "v2"))
    assert ended(same_name, live=Live("v2", deployment_id="d-1"), **NOTHING_CHOSEN).reason is Reason.CONTENT_UNKNOWN
    assert ended(same_name, live=Live("v2"), **NOTHING_CHOSEN).reason is not Reason.CONTENT_UNKNOWN


@pytest.mark.parametrize(("digest", "put_back"), [("sha256:1", True), ("sha256:2", False), ("", False)])
def test_or_if_its_containers_run_the_images_that_the_rollback_deployed(digest, put_back):
    live = replace(runs(web="sha256:1"), identity="v2")
    images = (Image("web", "shop/web:latest", digest),)
    same_name = replace(BACK, revision=Revision("TaskDefinition", "v2", images=images))
    assert (ended(same_name, live=live, **NOTHING_CHOSEN).reason is Reason.CONTENT_UNKNOWN) is put_back


def test_what_was_put_back_by_a_name_that_moves_and_cannot_be_read_is_told_as_unknown():
    moving = replace(BACK, revision=Revision("S3", "main.zip", moves="main.zip has no version"))
    unread = refused(ended(moving, live=Live(), later=8), Reason.LIVE_DIFFERS, Outcome.FAILED)
    assert unread.explanation == "d-5 succeeded, and nobody knows what it put back: main.zip has no version."
    read = refused(ended(moving, live=Live("v2"), later=8), Reason.LIVE_DIFFERS, Outcome.FAILED)
    assert read.explanation == "d-5 succeeded, yet live is v2 and not v1."


@pytest.mark.parametrize(
    ("live", "suspects", "found"),
    [
        (Live("v1"), (BAD_RUNNING,), True),
        (Live("v1", deployment_id="d-2"), (BAD_RUNNING,), False),
        (Live("v1", deployment_id="d-1"), (BAD_RUNNING,), True),
        (runs(web="sha256:1"), (), True),
        (runs(web="sha256:2"), (), False),
        (runs(web=""), (), False),
    ],
)
def test_a_name_is_live_if_no_suspect_made_it_so_and_its_images_are_the_same(live, suspects, found):
    images = (Image("web", "shop/web:latest", "sha256:1"),) if live.images else ()
    assert is_live(Revision("AppSpecContent", "v1", images=images), live, suspects) is found
