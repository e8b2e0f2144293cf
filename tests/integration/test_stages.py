"""Stages of pipelines: the same story, the same record, the same guards, a third deployer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from scene import ALARM, StageScene, stage_scene
from stage.local import event

STAGE = {"pipeline": "shop", "stage": "Deploy"}
ASKED = {"action": "rollback", **STAGE, "requested_by": "me", "reason": "a test"}
WRITES = ("RollbackStage", "StopPipelineExecution", "StartPipelineExecution")
RERUNS = {"LASTGOOD_RERUN_OUTDATED_STAGES": "true"}


@pytest.fixture(autouse=True)
def _no_real_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore waits between its own attempts; nobody has to wait for that here."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))


def bad_release(it: StageScene, *, rest: float = 300) -> tuple[str, str]:
    """Commits 1 and 2 were released and left in peace; commit 3 is live and bad. Returns the ids of 2 and 3."""
    it.release(1, settle=True)
    return it.release(2, settle=True), it.release(3, settle=True, rest=rest)


def writes(it: StageScene) -> list[str]:
    """The operations that changed something, in their order."""
    return [each.operation for each in it.sim.arrivals if each.operation in WRITES and not each.error]


def ended(it: StageScene, outcome: str, reason: str, *calls: str) -> dict[str, Any]:
    """It is closed so, after these calls, and the stage is free."""
    head = it.run_to_end()
    assert (head["outcome"], head["reason_code"]) == (outcome, reason), head["explanation"]
    assert writes(it) == list(calls)
    assert it.lock() == ""
    return head


def rolled_back_by_hand(target: str) -> str:
    """What a person does in the console. Returns the id of the execution."""
    answer = boto3.client("codepipeline").rollback_stage(
        pipelineName="shop", stageName="Deploy", targetPipelineExecutionId=target
    )
    return str(answer["pipelineExecutionId"])


def waits_for_its_condition(it: StageScene, minutes: int = 20, result: str = "FAIL") -> str:
    """Commit 3 is deployed, and the stage is not over: a condition waits, then asks the alarm. Returns its id."""
    it.pipeline.on_success = {"alarm": ALARM, "minutes": minutes, "result": result}
    made = it.release(3)
    it.sim.advance(120)
    assert it.is_live(3)
    return made


# --- after it succeeded ---


@pytest.mark.parametrize("mode", ["SUPERSEDED", "QUEUED", "PARALLEL"])
def test_a_release_that_succeeded_is_answered_by_rolling_its_stage_back_to_the_last_good_execution(mode: str) -> None:
    with stage_scene(mode=mode) as it:
        good, suspect = bad_release(it)
        it.alarm_fires()
        head = ended(it, "ROLLED_BACK", "VERIFIED", "RollbackStage")
        assert it.calls("RollbackStage") == [
            {"pipelineName": "shop", "stageName": "Deploy", "targetPipelineExecutionId": good}
        ]
        assert (head["suspect_deployment_id"], head["good_deployment_id"]) == (suspect, good)
        assert (head["suspect_revision"], head["good_revision"]) == (it.revision(3), it.revision(2))
        assert (head["suspect_commit"], head["revert_command"]) == (it.revision(3), f"git revert {it.revision(3)}")
        assert (head["controller"], head["compute_platform"], head["adopted"]) == ("PIPELINE", "Pipeline", False)
        assert head["deployment_group_key"] == "pipeline:shop/Deploy"
        assert it.is_live(2)


def test_the_same_commit_under_another_execution_is_no_way_back() -> None:
    """It was run again for the bad commit, which deploys the same: what was live before both goes back."""
    with stage_scene() as it:
        bad_release(it, rest=60)
        it.release(3, settle=True, rest=60)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", "RollbackStage")
        assert it.is_live(2)


def test_a_run_with_another_variable_is_a_release_and_goes_back_to_the_variable_that_served() -> None:
    """The commits are the same; what the stage deployed with is not."""
    with stage_scene(variables={"colour": "blue"}) as it:
        it.release(1, settle=True)
        good = it.release(2, settle=True)
        bad = boto3.client("codepipeline").start_pipeline_execution(
            name="shop", variables=[{"name": "colour", "value": "red"}]
        )["pipelineExecutionId"]
        it.sim.settle()
        it.sim.advance(300)
        it.alarm_fires()
        head = ended(it, "ROLLED_BACK", "VERIFIED", "StartPipelineExecution", "RollbackStage")
        assert (head["suspect_deployment_id"], head["good_deployment_id"]) == (bad, good)
        assert it.execution(head["rollback_deployment_id"]).variables == {"colour": "blue"}


def test_the_target_is_never_a_rollback_itself() -> None:
    """After a rollback to commit 1, and another bad release, commit 1 is good: named is the execution that built it."""
    with stage_scene() as it:
        first = it.release(1, settle=True)
        it.release(2, settle=True)
        rolled_back_by_hand(first)
        it.sim.advance(7200)
        it.release(3, settle=True, rest=300)
        it.sim.arrivals.clear()
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", "RollbackStage")
        assert it.calls("RollbackStage")[0]["targetPipelineExecutionId"] == first
        assert it.is_live(1)


def test_what_was_rolled_away_from_is_known_bad_and_its_release_is_told_of() -> None:
    with stage_scene(tells=True) as it:
        bad_release(it)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", "RollbackStage")
        it.local.alarm(ALARM, "OK", tags=it.tags)
        it.sim.advance(7200)
        it.connect_events()
        again = it.release(3, settle=True)
        told = [item for item in it.local.items() if item.get("reason_code") == "KNOWN_BAD_RELEASED"]
        assert [item["suspect_deployment_id"] for item in told] == [again]


def test_a_failed_execution_and_one_that_never_came_so_far_are_no_candidates() -> None:
    with stage_scene() as it:
        it.release(1, settle=True)
        it.pipeline.transitions["Deploy"].enabled = False
        superseded = it.release(4)
        it.sim.advance(120)
        it.release(2)
        it.sim.advance(120)
        boto3.client("codepipeline").enable_stage_transition(
            pipelineName="shop", stageName="Deploy", transitionType="Inbound"
        )
        it.sim.advance(7200)
        assert it.execution(superseded).status == "Superseded"
        it.release(3, settle=True, rest=300)
        it.alarm_fires()
        head = ended(it, "ROLLED_BACK", "VERIFIED", "RollbackStage")
        assert it.is_live(2)
        assert superseded not in {each["deployment_id"] for each in head["candidates"]}


def test_a_floor_in_a_commits_message_is_not_passed() -> None:
    with stage_scene() as it:
        it.release(1, settle=True)
        it.release(2, settle=True, summary="Drop a column (lastgood:floor)")
        it.release(3, settle=True, rest=60)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", "RollbackStage")
        it.local.alarm(ALARM, "OK", tags=it.tags)
        it.sim.advance(3600)
        it.deliver(ASKED | {"force": True, "reason": "further back"})
        head = ended(it, "BLOCKED", "BELOW_FLOOR", "RollbackStage")
        assert it.is_live(2)
        assert "lastgood:floor" not in head["explanation"]


# --- while it runs ---


def test_a_stage_that_runs_is_stopped_without_abandoning_it_and_rolled_back_once_it_is_at_rest() -> None:
    with stage_scene() as it:
        it.release(1, settle=True)
        good = it.release(2, settle=True)
        suspect = waits_for_its_condition(it)
        it.alarm_fires()
        assert writes(it) == ["StopPipelineExecution"]
        assert it.head["phase"] == "STOPPING"
        (stop,) = it.calls("StopPipelineExecution")
        assert (stop["pipelineExecutionId"], stop["abandon"]) == (suspect, False)
        head = ended(it, "ROLLED_BACK", "VERIFIED", "StopPipelineExecution", "RollbackStage")
        assert (head["suspect_deployment_id"], head["good_deployment_id"]) == (suspect, good)
        assert it.is_live(2)


def test_people_hear_when_what_runs_in_the_stage_takes_its_time() -> None:
    with stage_scene() as it:
        it.release(2, settle=True)
        waits_for_its_condition(it, minutes=30)
        it.alarm_fires()
        for _ in range(15):
            it.sim.advance(60)
            it.sweep()
        assert "hangs" in it.head["held_up_by"]
        ended(it, "ROLLED_BACK", "VERIFIED", "StopPipelineExecution", "RollbackStage")


def test_what_waits_behind_the_suspect_and_comes_in_its_place_is_left_alone() -> None:
    """It may be the fix: a queue goes on when the suspect is stopped."""
    with stage_scene(mode="QUEUED") as it:
        it.release(2, settle=True)
        waits_for_its_condition(it, minutes=10)
        it.release(4)
        it.sim.advance(120)
        it.alarm_fires()
        it.sim.set_alarm(ALARM, "OK")
        head = ended(it, "BLOCKED", "OTHER_DEPLOYMENT", "StopPipelineExecution")
        assert it.is_live(4)
        assert head["needs_human"]


# --- CodePipeline's own rollbacks, and people's ---


def test_a_rollback_that_codepipeline_began_by_its_own_condition_is_adopted() -> None:
    with stage_scene() as it:
        good = it.release(2, settle=True)
        suspect = waits_for_its_condition(it, minutes=5, result="ROLLBACK")
        it.local.alarm(ALARM, tags=it.tags)
        fired = it.now()
        it.sim.set_alarm(ALARM, "ALARM")
        it.sim.advance(400)
        assert it.is_live(2)
        it.deliver(it.alarm_message(at=fired))
        head = ended(it, "ROLLED_BACK", "VERIFIED")
        assert (head["adopted"], head["suspect_deployment_id"]) == (True, suspect)
        assert head["good_revision"] == it.revision(2)
        assert it.execution(head["rollback_deployment_id"]).rolls_back_to == good
        assert "CodePipeline's own rollback" in head["explanation"]


def test_its_own_rollback_that_follows_our_stop_is_adopted_too() -> None:
    with stage_scene() as it:
        it.release(2, settle=True)
        waits_for_its_condition(it, minutes=5, result="ROLLBACK")
        it.sim.set_alarm(ALARM, "ALARM")
        it.alarm_fires()
        head = ended(it, "ROLLED_BACK", "VERIFIED", "StopPipelineExecution")
        assert head["adopted"] and it.is_live(2)


def test_what_a_person_has_rolled_back_already_is_proven_and_nothing_is_done_beside_it() -> None:
    with stage_scene() as it:
        good, _ = bad_release(it)
        rolled_back_by_hand(good)
        it.sim.advance(30)
        it.sim.arrivals.clear()
        it.alarm_fires()
        head = ended(it, "ROLLED_BACK", "VERIFIED")
        assert head["adopted"] and it.is_live(2)
        assert "somebody's rollback" in head["explanation"]


def test_a_person_who_rolls_back_at_this_moment_is_watched() -> None:
    with stage_scene(held_rollbacks_wait=True) as it:
        good, _ = bad_release(it)
        it.sim.meanwhile("RollbackStage", lambda: it.sim.pipelines.stages.roll_back("shop", "Deploy", good, "arn:ann"))
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), head["explanation"]


# --- what cannot be rolled back ---


def not_possible(it: StageScene, word: str) -> None:
    """Nothing was done, and people are told why, with this word."""
    head = ended(it, "BLOCKED", "NO_GOOD_REVISION")
    assert word in head["explanation"], head["explanation"]
    assert head["needs_human"]
    assert it.is_live(3)


def test_a_stage_that_asks_for_approval_would_ask_again_so_people_are_called() -> None:
    with stage_scene() as it:
        bad_release(it)
        it.pipeline.approval = True
        it.alarm_fires()
        not_possible(it, "The action Approve of the stage asks people for approval")


def test_a_pipeline_that_was_changed_since_is_not_rolled_back_and_people_are_told_what_would_be() -> None:
    with stage_scene() as it:
        bad_release(it)
        it.pipeline.version += 1
        it.alarm_fires()
        not_possible(it, "LASTGOOD_RERUN_OUTDATED_STAGES")


def test_a_pipeline_of_the_old_type_is_not_rolled_back() -> None:
    with stage_scene(pipeline_type="V1") as it:
        bad_release(it)
        it.pipeline.version += 1
        it.alarm_fires()
        not_possible(it, "V1 pipeline")


def test_the_stage_of_the_sources_is_never_rolled_back() -> None:
    with stage_scene() as it:
        bad_release(it)
        it.alarm_fires(tags={"lastgood:pipeline": "shop/Source"})
        not_possible(it, "the stage of the sources")


@pytest.mark.parametrize("place", ["shop/Production", "cart/Deploy"])
def test_a_stage_that_does_not_exist_is_told_of(place: str) -> None:
    with stage_scene() as it:
        bad_release(it)
        it.alarm_fires(tags={"lastgood:pipeline": place})
        head = ended(it, "FAILED", "GROUP_NOT_FOUND")
        assert f"CodePipeline has no stage {place}" in head["explanation"]


def test_without_the_permission_it_fails_and_names_it() -> None:
    with stage_scene() as it:
        bad_release(it)
        it.sim.fail_call(
            "RollbackStage", "AccessDeniedException", "not authorized to perform: codepipeline:RollbackStage"
        )
        it.alarm_fires()
        head = ended(it, "FAILED", "PERMISSION_DENIED")
        assert "codepipeline:RollbackStage" in head["explanation"]


# --- an outdated structure, where it may be run again ---


def test_an_outdated_execution_is_run_again_for_its_source_revisions_never_for_the_newest() -> None:
    with stage_scene(settings=RERUNS) as it:
        bad_release(it)
        it.pipeline.version += 1
        it.alarm_fires()
        head = ended(it, "ROLLED_BACK", "VERIFIED", "StartPipelineExecution")
        (start,) = it.calls("StartPipelineExecution")
        assert start["sourceRevisions"] == [
            {"actionName": "Source", "revisionType": "COMMIT_ID", "revisionValue": it.revision(2)}
        ]
        assert start["clientRequestToken"] == it.rollback_id
        assert it.is_live(2)
        assert head["good_revision"] == it.revision(2)


def test_a_source_that_takes_no_revision_is_not_run_again() -> None:
    with stage_scene(settings=RERUNS, providers={"Source": "GitHub"}) as it:
        bad_release(it)
        it.pipeline.version += 1
        it.alarm_fires()
        not_possible(it, "cannot be run for a chosen revision")


def test_a_start_whose_answer_is_lost_is_found_again() -> None:
    with stage_scene(settings=RERUNS) as it:
        bad_release(it)
        it.pipeline.version += 1
        it.sim.effect_then_timeout("StartPipelineExecution", count=5)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), head["explanation"]
        assert len(it.pipeline.runs) == 4, "the token makes every attempt the same run"


# --- held, busy, lost ---


def test_a_stage_that_is_held_is_rolled_back_and_stays_held() -> None:
    with stage_scene() as it:
        bad_release(it)
        it.pipeline.transitions["Deploy"].enabled = False
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", "RollbackStage")
        assert it.is_live(2)
        assert not it.pipeline.transitions["Deploy"].enabled


def test_a_rollback_that_waits_before_a_held_stage_says_whom_it_waits_for() -> None:
    with stage_scene(held_rollbacks_wait=True) as it:
        bad_release(it)
        transition = it.pipeline.transitions["Deploy"]
        transition.enabled, transition.changed_by, transition.reason = False, "arn:aws:iam::1:user/ann", "freeze"
        it.alarm_fires()
        for _ in range(5):
            it.sim.advance(60)
            it.sweep()
        assert "user/ann (freeze) disabled the transition" in it.head["held_up_by"]
        boto3.client("codepipeline").enable_stage_transition(
            pipelineName="shop", stageName="Deploy", transitionType="Inbound"
        )
        ended(it, "ROLLED_BACK", "VERIFIED", "RollbackStage")
        assert it.is_live(2)


def test_a_stage_that_is_taken_at_the_moment_is_waited_for_and_what_took_it_is_judged() -> None:
    with stage_scene() as it:
        bad_release(it)

        def somebody_releases() -> None:
            it.pipeline.on_success = {"alarm": "none", "minutes": 3, "result": "FAIL"}
            run = it.sim.pipelines.push("shop", it.revision(4), 4)
            run.stage = "Deploy"
            it.sim.pipelines.deploy(it.pipeline, run)

        it.sim.meanwhile("RollbackStage", somebody_releases)
        it.alarm_fires()
        ended(it, "BLOCKED", "OTHER_DEPLOYMENT")
        assert it.is_live(4)


def test_a_rollback_whose_answer_is_lost_is_found_by_its_target_and_not_begun_twice() -> None:
    with stage_scene() as it:
        good, _ = bad_release(it)
        it.sim.effect_then_timeout("RollbackStage")
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), head["explanation"]
        assert [run.rolls_back_to for run in it.pipeline.runs if run.rolls_back_to] == [good]
        assert not head["adopted"]


def test_a_rollback_that_never_arrived_is_begun_again_after_a_look() -> None:
    with stage_scene() as it:
        bad_release(it)
        it.sim.timeout_without_effect("RollbackStage")
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), head["explanation"]
        assert len([run for run in it.pipeline.runs if run.rolls_back_to]) == 1


@pytest.mark.parametrize("code", ["ConflictException", "ThrottlingException"])
def test_a_busy_pipeline_is_tried_again(code: str) -> None:
    with stage_scene() as it:
        bad_release(it)
        it.sim.fail_call("RollbackStage", code, "busy", count=2)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", "RollbackStage")


# --- modes, operators, events ---


@pytest.mark.parametrize("settings", [{"LASTGOOD_MODE": "observe"}, {"LASTGOOD_KILL_SWITCH": "true"}])
def test_modes_and_the_kill_switch_hold_for_stages(settings: dict[str, str]) -> None:
    with stage_scene(settings=settings) as it:
        bad_release(it)
        it.alarm_fires()
        it.run_to_end()
        assert (writes(it), it.is_live(3)) == ([], True)


def test_an_operator_asks_for_a_stage_and_names_an_execution() -> None:
    with stage_scene() as it:
        first = it.release(1, settle=True)
        it.release(2, settle=True)
        it.release(3, settle=True)
        it.deliver(ASKED | {"to_deployment_id": first})
        ended(it, "ROLLED_BACK", "VERIFIED", "RollbackStage")
        assert it.is_live(1)


def test_marks_pauses_and_floors_are_kept_for_the_stage_alone() -> None:
    with stage_scene() as it:
        good, _ = bad_release(it)
        marked = event("manual-mark-bad") | STAGE | {"deployment_id": good}
        marked = {k: v for k, v in marked.items() if k not in {"application", "deployment_group"}}
        it.local.handle(marked)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED", "RollbackStage")
        assert it.is_live(1)
        paused = it.local.handle({"action": "pause", **STAGE, "reason": "a test", "requested_by": "me"})[0]
        assert "pipeline:shop/Deploy" in paused["explanation"]
        assert [item["pk"] for item in it.local.items() if item["sk"] == "PAUSE"] == ["GROUP#pipeline:shop/Deploy"]


def test_the_stages_events_advance_the_rollback_without_a_sweep() -> None:
    with stage_scene(tells=True) as it:
        bad_release(it)
        it.connect_events()
        it.alarm_fires()
        it.sim.advance(30)
        assert it.head["outcome"] == "ROLLED_BACK", it.head["explanation"]
