"""After the rollback: which commit it was, the pipeline run again or held, and the way back in git."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3
import pytest

from lastgood.errors import RefusedError
from lastgood.pipelines.adapter import Pipelines
from lastgood.pipelines.follow_ups import FollowUps
from scene import ALARM, PLATFORMS, Scene, scene
from simulated_aws import github_revision
from simulated_aws.codepipeline.model import Run

EVERYWHERE = pytest.mark.parametrize("platform", PLATFORMS)
GOOD, BAD, FIX = "a1" * 20, "b2" * 20, "c3" * 20
GROUP = {"application": "shop", "deployment_group": "prod"}
WHO_AND_WHY = {"requested_by": "ann", "reason": "the fix is ready"}
DEPLOY = {"pipelineName": "shop", "stageName": "Deploy", "transitionType": "Inbound"}


@pytest.fixture(autouse=True)
def _no_real_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore waits between its own attempts; nobody has to wait for that here."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))


@contextmanager
def released(
    platform: str = "ECS",
    *,
    rule: dict[str, str] | None = None,
    settle: bool = True,
    settings: dict[str, str] | None = None,
    **pipeline: Any,
) -> Iterator[Scene]:
    """A pipeline released a good commit, two hours later a bad one (`settle`: to its end), ten minutes ago."""
    rules = json.dumps([{**GROUP, "pipeline": "shop", **(rule or {})}])
    with scene(platform, settings={"LASTGOOD_PIPELINES": rules, **(settings or {})}) as it:
        it.sim.pipeline("shop", **GROUP_OF, **pipeline)
        for commit, number in ((GOOD, 2), (BAD, 3)):
            it.sim.push("shop", commit, it.revision(number), settle=settle or commit == GOOD)
            it.sim.advance(7200 if commit == GOOD else 600 if settle else 90)
        yield it


GROUP_OF = {"application": "shop", "group": "prod"}


def rolled_back(it: Scene) -> dict[str, Any]:
    """The alarm fires, and everything takes its course until the closing notice was sent. Returns the head."""
    it.alarm_fires()
    it.run_to_end()
    for _ in range(10):
        if "closed" in it.head["notified"]:
            break
        it.sim.advance(60)
        it.sweep()
    assert it.head["outcome"] == "ROLLED_BACK", it.head["explanation"]
    assert it.is_live(2)
    assert len(it.calls("CreateDeployment")) <= 1
    return it.head


def runs(it: Scene) -> list[Run]:
    return it.sim.pipelines.pipeline("shop").runs


def transition(it: Scene) -> Any:
    return it.sim.pipelines.transition("shop", "Deploy")


def closing_notice(it: Scene) -> str:
    """All the words of the closing notice."""
    (found,) = [n for n in it.local.notices() if n["metadata"]["eventType"] == "lastgood.closed"]
    return json.dumps(found)


def starts(it: Scene) -> list[dict[str, Any]]:
    return it.calls("StartPipelineExecution")


def ask_release(it: Scene) -> dict[str, Any]:
    return it.local.handle({"action": "release", **GROUP, **WHO_AND_WHY})[0]


# --- from deployment to commit ----------------------------------------------------------------------------------------


@EVERYWHERE
@pytest.mark.parametrize("settle", [True, False], ids=["after it succeeded", "in flight"])
def test_the_record_names_both_commits_and_the_runs_that_made_the_deployments(platform: str, settle: bool) -> None:
    with released(platform, settle=settle) as it:
        head = rolled_back(it)
        assert (head["suspect_commit"], head["good_commit"]) == (BAD, GOOD)
        assert (head["suspect_execution_id"], head["good_execution_id"]) == (runs(it)[1].id, runs(it)[0].id)
        assert head["revert_command"] == f"git revert {BAD}"
        assert head["pipeline"] == "shop"
        assert head.get("pipeline_problem", "") == ""


def test_notices_and_status_answers_name_the_commits_and_the_way_back_in_git() -> None:
    with released() as it:
        rolled_back(it)
        told = closing_notice(it)
        assert BAD in told and GOOD in told and f"git revert {BAD}" in told
        status = it.local.handle({"action": "status", "rollback_id": it.rollback_id})[0]
        assert (status["suspect_commit"], status["good_commit"]) == (BAD, GOOD)
        assert status["revert_command"] == f"git revert {BAD}"


def test_nothing_is_asked_of_codepipeline_where_no_rule_fits_the_group() -> None:
    with released(rule={"deployment_group": "staging-*"}) as it:
        rolled_back(it)
        assert not [a for a in it.sim.arrivals if a.service == "codepipeline"]


def test_codepipeline_is_asked_only_after_the_redeployment_was_created() -> None:
    with released(rule={"hold": "Deploy"}) as it:
        rolled_back(it)
        order = [
            a.operation for a in it.sim.arrivals if a.service == "codepipeline" or a.operation.startswith("Create")
        ]
        assert order[0] == "CreateDeployment"


def test_a_refusal_names_the_commit_to_revert_too() -> None:
    with released() as it:
        it.local.handle({"action": "mark_bad", **GROUP, **WHO_AND_WHY, "deployment_id": first_deployment(it)})
        it.alarm_fires()
        assert it.head["outcome"] == "BLOCKED"
        assert it.head["revert_command"] == f"git revert {BAD}"
        assert f"git revert {BAD}" in closing_notice(it)
        assert it.head.get("rerun_command", "") == ""


def first_deployment(it: Scene) -> str:
    return str(it.sim.deployments("shop", "prod")[0]["deploymentId"])


def test_a_github_revision_names_its_commit_without_any_pipeline() -> None:
    with scene("Server") as it:
        for commit in (GOOD, BAD):
            it.sim.release("shop", "prod", github_revision("acme/shop", commit), settle=True)
            it.sim.advance(7200 if commit == GOOD else 600)
        it.alarm_fires()
        it.run_to_end()
        assert (it.head["suspect_commit"], it.head["good_commit"]) == (BAD, GOOD)
        assert it.head["revert_command"] == f"git revert {BAD}"
        assert f"https://github.com/acme/shop/compare/{GOOD}...{BAD}" in closing_notice(it)


@pytest.mark.parametrize(
    ("page", "compared"),
    [
        ("https://github.com/acme/shop/commit/{}", f"https://github.com/acme/shop/compare/{GOOD}...{BAD}"),
        ("https://gitlab.com/a/b/shop/-/commit/{}", f"https://gitlab.com/a/b/shop/-/compare/{GOOD}...{BAD}"),
        (
            "https://bitbucket.org/acme/shop/commits/{}",
            f"https://bitbucket.org/acme/shop/branches/compare/{BAD}%0D{GOOD}",
        ),
        ("https://git.acme.example/x/shop/commit/{}", f"https://git.acme.example/x/shop/compare/{GOOD}...{BAD}"),
    ],
)
def test_where_the_repository_is_known_people_get_the_address_of_what_the_bad_commit_brought(
    page: str, compared: str
) -> None:
    with released() as it:
        it.sim.pipelines.pipeline("shop").pages.update({commit: page.format(commit) for commit in (GOOD, BAD)})
        assert rolled_back(it)["compare_url"] == compared
        assert f"commits: {compared}" in closing_notice(it)


@pytest.mark.parametrize(
    "page",
    [
        "",
        "javascript:alert(1)//commit/{}",
        "https://user:secret@evil.example/a/commit/{}",
        "https://console.aws.amazon.com/codesuite/settings/connections/redirect?Commit={}",
    ],
)
def test_what_is_no_page_of_a_commit_leads_to_no_link(page: str) -> None:
    with released() as it:
        it.sim.pipelines.pipeline("shop").pages.update({commit: page.format(commit) for commit in (GOOD, BAD)})
        assert rolled_back(it).get("compare_url", "") == ""
        assert "/compare/" not in closing_notice(it)


@pytest.mark.parametrize("key", ["codepipeline-artifact-revision-summary", "commit"])
def test_a_bundles_metadata_names_its_commit_where_bundles_may_be_read(key: str) -> None:
    with scene("Server", settings={"LASTGOOD_CHECK_BUNDLES": "true"}) as it:
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="bundles")
        for commit, name in ((GOOD, "v2.zip"), (BAD, "v3.zip")):
            s3.put_object(Bucket="bundles", Key=name, Body=commit.encode(), Metadata={key: commit})
        it.good_history(2)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        it.run_to_end()
        assert (it.head["suspect_commit"], it.head["good_commit"]) == (BAD, GOOD)


def test_a_commit_that_no_run_knows_is_said_plainly_and_harms_nothing() -> None:
    with released() as it:
        it.sim.advance(7200)
        it.release(2, settle=True)
        it.release(3, settle=True, rest=600)
        head = rolled_back(it)
        assert (head["suspect_commit"], head["good_commit"], head["rerun_command"]) == ("", "", "")
        assert head["good_deployment_id"] in head["pipeline_problem"]
        assert "By hand" in head["pipeline_problem"]
        assert head["pipeline_problem"].split(".")[0] in closing_notice(it)


# --- telling how to run the pipeline again ----------------------------------------------------------------------------


def test_tell_gives_the_exact_command_and_starts_nothing() -> None:
    with released() as it:
        head = rolled_back(it)
        command = shlex.split(head["rerun_command"])
        assert command[:3] == ["aws", "codepipeline", "start-pipeline-execution"]
        options = dict(part.removeprefix("--").split("=", 1) for part in command[3:])
        revisions = json.loads(options.pop("source-revisions"))
        assert options == {"region": "us-east-1", "name": "shop", "client-request-token": it.rollback_id}
        assert revisions == [{"actionName": "Source", "revisionType": "COMMIT_ID", "revisionValue": GOOD}]
        assert shlex.quote(options["name"]) in closing_notice(it)
        assert not starts(it)


def test_none_names_the_commits_and_no_command() -> None:
    with released(rule={"after_rollback": "none"}) as it:
        head = rolled_back(it)
        assert (head["suspect_commit"], head["rerun_command"]) == (BAD, "")
        assert not starts(it)


# --- running the pipeline again ---------------------------------------------------------------------------------------

RERUN = {"after_rollback": "rerun"}


@EVERYWHERE
def test_the_pipeline_runs_again_for_the_good_commit_once_the_rollback_is_proven(platform: str) -> None:
    with released(platform, rule=RERUN) as it:
        head = rolled_back(it)
        (started,) = starts(it)
        assert started["clientRequestToken"] == it.rollback_id
        again = runs(it)[-1]
        assert (again.sources, head["rerun_execution_id"]) == ({"Source": GOOD}, again.id)
        assert head["rerun_status"] == "InProgress"
        assert again.id in closing_notice(it)
        until(it, lambda: it.head["rerun_status"] == "Succeeded")
        assert "open_key" not in it.head


def until(it: Scene, done: Any, minutes: int = 60) -> None:
    """Let minutes pass, each with its sweep, until something is so."""
    for _ in range(minutes):
        if done():
            return
        it.sim.advance(60)
        it.sweep()
    raise AssertionError(f"not within {minutes} minutes: {it.head}")


def test_afterwards_the_newest_task_definition_is_right_again() -> None:
    with released("ECS", rule=RERUN) as it:
        rolled_back(it)
        until(it, lambda: it.head["rerun_status"] == "Succeeded")
        image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/web:2"
        newest = it.sim.engine.ecs_world.task_definition("web")
        assert newest.revision > 3
        assert newest.content["containerDefinitions"][0]["image"] == image
        assert it.live == newest.arn


def test_a_rerun_that_fails_calls_people() -> None:
    with released(rule=RERUN) as it:
        rolled_back(it)
        it.local.notices()
        it.sim.fail_next()
        until(it, lambda: it.head["rerun_status"] == "Failed")
        (notice,) = it.local.notices()
        assert notice["metadata"]["eventType"] == "lastgood.pipeline"
        assert it.head["rerun_execution_id"] in json.dumps(notice)


def test_the_variables_of_the_good_run_are_given_again() -> None:
    with released(rule=RERUN, variables={"stage": "prod"}) as it:
        rolled_back(it)
        assert starts(it)[0]["variables"] == [{"name": "stage", "value": "prod"}]


def test_every_source_of_the_good_run_is_given_again() -> None:
    sources = {"App": "CodeStarSourceConnection", "Base": "ECR"}
    head = {"Base": "sha256:" + "0" * 64}
    with released(rule=RERUN, providers=sources, head=head) as it:
        rolled_back(it)
        assert {(r["actionName"], r["revisionType"]) for r in starts(it)[0]["sourceRevisions"]} == {
            ("App", "COMMIT_ID"),
            ("Base", "IMAGE_DIGEST"),
        }
        assert (it.head["suspect_commit"], it.head["good_commit"]) == (BAD, GOOD)


@pytest.mark.parametrize(
    ("pipeline", "word"),
    [
        ({"pipeline_type": "V1"}, "V1"),
        ({"providers": {"Source": "GitHub"}}, "GitHub"),
        ({"providers": {"Source": "Custom"}}, "Custom"),
    ],
)
def test_a_pipeline_that_takes_no_commit_is_not_started_and_people_hear_what_to_do(
    pipeline: dict[str, Any], word: str
) -> None:
    with released(rule=RERUN, **pipeline) as it:
        head = rolled_back(it)
        assert word in head["pipeline_problem"] and "By hand: " in head["pipeline_problem"]
        assert not starts(it)


def test_a_pipeline_that_was_changed_since_is_not_run_unseen() -> None:
    with released(rule=RERUN) as it:
        it.sim.pipelines.pipeline("shop").version = 2
        head = rolled_back(it)
        assert "version 1, now 2" in head["pipeline_problem"]
        assert head["rerun_command"] in head["pipeline_problem"]
        assert not starts(it)


def test_a_newer_commit_that_is_already_running_is_not_overtaken_by_the_old_one() -> None:
    with released(rule=RERUN) as it:
        it.alarm_fires()
        it.sim.push("shop", FIX, it.revision(1))
        it.run_to_end()
        assert not starts(it)
        assert runs(it)[-1].id in it.head["pipeline_problem"]
        assert it.head["rerun_command"] in it.head["pipeline_problem"]


def test_the_bad_commit_running_once_more_does_not_keep_the_good_one_from_running_behind_it() -> None:
    with released(rule=RERUN) as it:
        it.alarm_fires()
        it.sim.push("shop", BAD, it.revision(3))
        it.sim.advance(10)
        it.run_to_end()
        assert len(starts(it)) == 1


def test_the_kill_switch_and_pauses_hold_the_pipelines_follow_ups_too() -> None:
    with released(rule=RERUN) as it:
        it.alarm_fires()
        it.local.handle({"action": "pause", **GROUP, **WHO_AND_WHY})
        it.run_to_end()
        assert not starts(it)
        assert "ann paused rollbacks" in it.head["pipeline_problem"]
        assert it.head["rerun_command"] in it.head["pipeline_problem"]


# --- what the re-run releases while the alarm still fires -------------------------------------------------------------

# The cooldown would hide for half an hour what this is about.
NEVER_HEALS = {
    "LASTGOOD_RELEASE_IN_ALARM": "rollback",
    "LASTGOOD_RELEASE_IN_ALARM_GRACE": "10m",
    "LASTGOOD_COOLDOWN": "0s",
}


def alarm_never_recovers(it: Scene, minutes: int = 90) -> dict[str, Any]:
    """The alarm fires and goes on firing; the rollback, its re-run, and minutes of sweeps and events follow."""
    it.local.alarm(ALARM)
    it.local.cloudwatch.tag_resource(
        ResourceARN=f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{ALARM}",
        Tags=[{"Key": key, "Value": value} for key, value in it.tags.items()],
    )
    it.connect_events()
    it.deliver(it.alarm_message())
    minutes_pass(it, minutes)
    assert it.head["outcome"] == "ROLLED_BACK", it.head["explanation"]
    return it.head


def minutes_pass(it: Scene, count: int) -> None:
    for _ in range(count):
        it.sim.advance(60)
        it.sweep()


def others(it: Scene, first: str) -> list[dict[str, Any]]:
    """Every other record, oldest first."""
    heads = [item for item in it.local.items() if item["sk"] == "META" and item["rollback_id"] != first]
    return sorted(heads, key=lambda head: str(head["opened_at"]))


@EVERYWHERE
def test_what_our_own_rerun_releases_is_never_rolled_back_because_the_alarm_still_fires(platform: str) -> None:
    with released(platform, rule=RERUN, settings=NEVER_HEALS) as it:
        head = alarm_never_recovers(it)
        assert head["rerun_status"] == "Succeeded"
        assert len(it.calls("CreateDeployment")) == 1
        (told,) = others(it, head["rollback_id"])
        assert (told["reason_code"], told["outcome"]) == ("RELEASED_IN_ALARM", "SKIPPED")
        assert head["rollback_id"] in told["explanation"] and "it is not rolled back" in told["explanation"]


def test_a_rerun_whose_start_was_never_answered_is_known_by_the_good_runs_sources() -> None:
    """An image has no commit: what the run brought is all there is to know it by."""
    sources = {"image": "ECR"}
    with released(rule=RERUN, settings=NEVER_HEALS, providers=sources) as it:
        it.sim.effect_then_timeout("StartPipelineExecution", 1000)
        head = alarm_never_recovers(it, minutes=60)
        assert (head["rerun_execution_id"], head["good_commit"], len(runs(it))) == ("", "", 3)
        (told,) = others(it, head["rollback_id"])
        assert "it is not rolled back" in told["explanation"]


def test_what_people_release_with_our_command_is_never_rolled_back_because_the_alarm_still_fires() -> None:
    with released(rule={"after_rollback": "tell"}, settings=NEVER_HEALS) as it:
        head = alarm_never_recovers(it, minutes=5)
        it.sim.push("shop", GOOD, it.revision(2))
        minutes_pass(it, 60)
        assert not starts(it)
        assert it.live.endswith(f":{it.sim.engine.ecs_world.task_definition('web').revision}")
        assert [each["reason_code"] for each in others(it, head["rollback_id"])] == ["RELEASED_IN_ALARM"]


def test_the_bad_commit_that_people_release_once_more_is_rolled_back_all_the_same() -> None:
    with released(rule={"after_rollback": "tell"}, settings=NEVER_HEALS) as it:
        head = alarm_never_recovers(it, minutes=5)
        it.sim.push("shop", BAD, it.revision(3))
        minutes_pass(it, 60)
        reasons = {each["reason_code"] for each in others(it, head["rollback_id"])}
        assert reasons == {"KNOWN_BAD_RELEASED", "RELEASED_IN_ALARM", "VERIFIED"}
        assert it.is_live(2)


def test_what_a_rollback_put_back_days_ago_is_released_like_anything_else() -> None:
    """A bundle that is built again is another bundle; a version of the same content would change nothing."""
    with released("Server", rule={"after_rollback": "tell"}, settings=NEVER_HEALS) as it:
        head = alarm_never_recovers(it, minutes=5)
        it.sim.advance(25 * 3600)
        it.sim.push("shop", GOOD, it.revision(2))
        minutes_pass(it, 40)
        (told, after_grace) = others(it, head["rollback_id"])
        assert "it is rolled back, unless" in told["explanation"]
        assert after_grace["outcome"] == "ROLLED_BACK"


def test_a_release_behind_what_was_brought_back_is_rolled_back_and_the_good_commit_is_not_blamed_with_it() -> None:
    with released(rule={"after_rollback": "tell"}, settings=NEVER_HEALS) as it:
        head = alarm_never_recovers(it, minutes=5)
        it.sim.push("shop", GOOD, it.revision(2))
        minutes_pass(it, 40)
        brought_back = it.live
        it.sim.push("shop", FIX, it.revision(1))
        minutes_pass(it, 40)
        (last,) = [each for each in others(it, head["rollback_id"]) if each["outcome"] == "ROLLED_BACK"]
        assert set(last["brought_back"].values()) == {head["rollback_id"]}
        assert head["suspect_revision"] in last["suspect_revisions"]
        assert brought_back not in last["suspect_revisions"]
        assert it.is_live(2)


def test_what_codepipeline_did_not_say_when_the_release_came_is_asked_again_before_anything_is_rolled_back() -> None:
    with released(rule=RERUN, settings=NEVER_HEALS) as it:
        with patch.object(Pipelines, "deployments", return_value=frozenset()):
            head = alarm_never_recovers(it, minutes=20)
        minutes_pass(it, 20)
        told, left_alone = others(it, head["rollback_id"])
        assert "it is rolled back, unless" in told["explanation"]
        assert (left_alone["outcome"], left_alone["reason_code"]) == ("SKIPPED", "SUSPECT_IS_ROLLBACK")
        assert left_alone["needs_human"]
        assert f"only brings back what {head['rollback_id']} had put back" in left_alone["explanation"]
        assert len(it.calls("CreateDeployment")) == 1


def test_nothing_is_rolled_back_while_codepipeline_may_not_be_asked_and_people_hear_of_the_release() -> None:
    with released(rule=RERUN, settings=NEVER_HEALS) as it:
        denied = RefusedError("ListActionExecutions", "AccessDeniedException", "not authorized")
        with patch.object(Pipelines, "deployments", side_effect=denied):
            head = alarm_never_recovers(it, minutes=60)
            (told,) = others(it, head["rollback_id"])
            assert told["reason_code"] == "RELEASED_IN_ALARM"
        assert len(it.calls("CreateDeployment")) == 1


@pytest.mark.parametrize(("platform", "settle"), [("Server", True), ("Lambda", False), ("ECS", True)])
def test_a_rollback_is_never_rolled_back_because_the_alarm_still_fires(platform: str, settle: bool) -> None:
    with released(platform, settings=NEVER_HEALS, settle=settle) as it:
        alarm_never_recovers(it, minutes=5)
        for event in it.sim.read_events():
            it.local.handle(event)
        minutes_pass(it, 30)
        assert not others(it, it.rollback_id)
        assert it.is_live(2)


# --- holding the pipeline ---------------------------------------------------------------------------------------------

HOLD = {"hold": "Deploy"}


@EVERYWHERE
def test_the_stage_is_held_as_soon_as_the_redeployment_runs_with_the_rollbacks_name(platform: str) -> None:
    with released(platform, rule=HOLD) as it:
        it.alarm_fires()
        assert it.head["phase"] == "VERIFYING"
        assert not transition(it).enabled
        assert it.rollback_id in transition(it).reason
        assert it.head["held_at"]


def test_a_held_pipeline_does_not_put_the_bad_commit_back() -> None:
    with released(rule=HOLD) as it:
        rolled_back(it)
        it.sim.push("shop", BAD, it.revision(3), settle=True)
        for _ in range(30):
            it.sim.advance(60)
            it.sweep()
        assert not transition(it).enabled
        assert it.is_live(2)
        assert '"action": "release"' in closing_notice(it).replace('\\"', '"')


def test_a_newer_commit_opens_the_stage_by_itself_and_people_hear() -> None:
    with released(rule=HOLD) as it:
        rolled_back(it)
        it.local.notices()
        it.sim.push("shop", FIX, it.revision(1), settle=True)
        until(it, lambda: transition(it).enabled)
        assert it.head["released_at"] and "open_key" not in it.head
        (notice,) = it.local.notices()
        assert runs(it)[-1].id in json.dumps(notice)
        it.sim.advance(1200)
        assert it.is_live(1)


def test_an_older_commit_does_not_open_the_stage() -> None:
    with released(rule=HOLD) as it:
        rolled_back(it)
        it.sim.push("shop", GOOD, it.revision(2), settle=True)
        for _ in range(15):
            it.sim.advance(60)
            it.sweep()
        assert not transition(it).enabled


def test_a_bad_commit_that_waits_first_keeps_the_stage_closed_for_the_newer_one_behind_it() -> None:
    with released(rule=HOLD, mode="QUEUED") as it:
        rolled_back(it)
        it.sim.push("shop", BAD, it.revision(3), settle=True)
        it.sim.push("shop", FIX, it.revision(1), settle=True)
        for _ in range(15):
            it.sim.advance(60)
            it.sweep()
        assert not transition(it).enabled


def test_an_operator_opens_the_stage() -> None:
    with released(rule=HOLD) as it:
        rolled_back(it)
        assert ask_release(it)["action"] == "release"
        assert transition(it).enabled
        assert it.head["release_requested_by"] == "ann"
        assert "the fix is ready" in json.dumps([s["explanation"] for s in it.steps])
        assert ask_release(it)["refused"] == "not_held"


def by_hand(it: Scene, *, enabled: bool, reason: str = "freeze") -> None:
    it.sim.pipelines.set_transition("shop", "Deploy", enabled=enabled, by="arn:bob", reason=reason)


def test_a_transition_that_somebody_else_disabled_is_left_alone() -> None:
    with released(rule=HOLD) as it:
        by_hand(it, enabled=False)
        rolled_back(it)
        it.sim.push("shop", FIX, it.revision(1), settle=True)
        for _ in range(15):
            it.sim.advance(60)
            it.sweep()
        assert ask_release(it)["refused"] == "not_held"
        assert (transition(it).enabled, transition(it).reason) == (False, "freeze")
        assert not it.calls("DisableStageTransition") and not it.calls("EnableStageTransition")


@pytest.mark.parametrize("enabled", [True, False], ids=["opened", "closed with a reason of their own"])
def test_a_hold_that_somebody_else_changed_is_theirs(enabled: bool) -> None:
    with released(rule=HOLD) as it:
        rolled_back(it)
        by_hand(it, enabled=enabled)
        until(it, lambda: "open_key" not in it.head)
        it.sim.push("shop", FIX, it.revision(1), settle=True)
        it.sim.advance(600)
        it.sweep()
        assert not it.calls("EnableStageTransition")
        assert transition(it).enabled is enabled


def test_a_hold_of_thirty_days_calls_people_and_is_watched_no_more() -> None:
    with released(rule=HOLD) as it:
        rolled_back(it)
        it.local.notices()
        it.sim.advance(31 * 86_400)
        it.sweep()
        it.sweep()
        (notice,) = it.local.notices()
        assert "enable-stage-transition" in json.dumps(notice)
        assert "open_key" not in it.head
        assert not transition(it).enabled
        assert ask_release(it)["action"] == "release"
        assert transition(it).enabled


def test_a_held_stage_costs_a_look_every_five_minutes_and_nothing_else() -> None:
    with released(rule=HOLD) as it:
        rolled_back(it)
        steps, before = len(it.steps), len(it.calls("GetPipelineState"))
        for _ in range(60):
            it.sim.advance(60)
            it.sweep()
        assert len(it.calls("GetPipelineState")) - before <= 13
        assert len(it.steps) <= steps + 1


def test_a_dry_run_names_the_commits_and_touches_no_pipeline() -> None:
    with released(rule={**HOLD, "after_rollback": "tell"}) as it:
        it.deliver({"action": "rollback", **GROUP, **WHO_AND_WHY, "dry_run": True})
        assert it.head["outcome"] == "DRY_RUN"
        assert (it.head["suspect_commit"], it.head["good_commit"]) == (BAD, GOOD)
        assert transition(it).enabled and not it.calls("DisableStageTransition")


def test_a_rule_that_is_changed_changes_nothing_under_way() -> None:
    with released(rule=HOLD) as it:
        it.alarm_fires()
        it.local.restart(LASTGOOD_PIPELINES="[]")
        it.run_to_end()
        it.sim.push("shop", FIX, it.revision(1), settle=True)
        until(it, lambda: transition(it).enabled)
        assert it.head["released_at"]


@pytest.mark.parametrize("rules", ["[]", "no hold"])
def test_where_no_rule_holds_a_stage_there_is_none_to_release(rules: str) -> None:
    with released() as it:
        if rules == "[]":
            it.local.restart(LASTGOOD_PIPELINES=rules)
        assert ask_release(it)["refused"] == "not_held"


def test_a_release_that_is_denied_says_so_and_can_be_asked_for_again() -> None:
    with released(rule=HOLD) as it:
        rolled_back(it)
        it.sim.fail_call("EnableStageTransition", "AccessDeniedException", "not authorized")
        answer = ask_release(it)
        assert answer["refused"] == "not_released"
        assert "AccessDeniedException" in answer["explanation"] and "enable-stage-transition" in answer["explanation"]
        assert ask_release(it)["action"] == "release"
        assert transition(it).enabled


# --- what goes wrong --------------------------------------------------------------------------------------------------

OPERATIONS = (
    "ListActionExecutions",
    "GetPipelineExecution",
    "GetPipeline",
    "ListPipelineExecutions",
    "StartPipelineExecution",
)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_denied_permission_is_on_record_with_what_to_do_and_the_rollback_stands(operation: str) -> None:
    with released(rule=RERUN) as it:
        it.sim.fail_call(operation, "AccessDeniedException", "not authorized", count=1000)
        head = rolled_back(it)
        assert "AccessDeniedException" in head["pipeline_problem"]
        assert "y hand" in head["pipeline_problem"] or "Look for" in head["pipeline_problem"]
        assert len(it.calls(operation)) == 1
        assert head["reason_code"] == "VERIFIED"


@pytest.mark.parametrize("operation", ["GetPipelineState", "DisableStageTransition"])
def test_a_hold_that_is_denied_is_on_record_and_the_rollback_stands(operation: str) -> None:
    with released(rule=HOLD) as it:
        it.sim.fail_call(operation, "AccessDeniedException", "not authorized", count=1000)
        head = rolled_back(it)
        assert "AccessDeniedException" in head["pipeline_problem"] and "by hand" in head["pipeline_problem"]
        assert transition(it).enabled


@pytest.mark.parametrize("rule", [RERUN, HOLD], ids=["rerun", "hold"])
def test_an_unknown_pipeline_is_on_record_and_the_rollback_stands(rule: dict[str, str]) -> None:
    with released(rule=rule) as it:
        del it.sim.pipelines.pipelines["shop"]
        head = rolled_back(it)
        assert "PipelineNotFoundException" in head["pipeline_problem"]


def test_an_unknown_stage_is_on_record_and_the_rollback_stands() -> None:
    with released(rule={"hold": "Production"}) as it:
        assert "has no stage Production" in rolled_back(it)["pipeline_problem"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_throttling_that_ends_only_delays_the_pipelines_part(operation: str) -> None:
    with released(rule=RERUN) as it:
        it.sim.throttle(operation, 8)
        head = rolled_back(it)
        assert head.get("pipeline_problem", "") == ""
        assert len({call["clientRequestToken"] for call in starts(it)}) == 1
        assert len(runs(it)) == 3


@pytest.mark.parametrize("operation", OPERATIONS)
def test_throttling_without_end_is_given_up_after_three_attempts(operation: str) -> None:
    with released(rule=RERUN) as it:
        it.sim.throttle(operation, 1000)
        head = rolled_back(it)
        assert "3 attempts" in head["pipeline_problem"]


@pytest.mark.parametrize("code", ["ConflictException", "ConcurrentPipelineExecutionsLimitExceededException"])
def test_a_busy_pipeline_is_asked_again(code: str) -> None:
    with released(rule=RERUN) as it:
        it.sim.fail_call("StartPipelineExecution", code, count=2)
        rolled_back(it)
        assert len(runs(it)) == 3


@pytest.mark.parametrize("rounds", [1, 6])
def test_a_start_whose_answer_was_lost_is_the_same_run(rounds: int) -> None:
    with released(rule=RERUN) as it:
        it.sim.effect_then_timeout("StartPipelineExecution", rounds)
        head = rolled_back(it)
        assert len(runs(it)) == 3
        assert head["rerun_execution_id"] == runs(it)[-1].id


def test_a_hold_whose_answer_was_lost_is_known_as_ours() -> None:
    with released(rule=HOLD) as it:
        it.sim.effect_then_timeout("DisableStageTransition", 6)
        rolled_back(it)
        assert it.head["held_at"] and it.head.get("pipeline_problem", "") == ""
        assert ask_release(it)["action"] == "release"


@pytest.mark.parametrize("made", [True, False], ids=["made", "not made"])
def test_a_hold_that_was_given_up_without_an_answer_is_released_like_any_other_if_it_was_made(made: bool) -> None:
    with released(rule=HOLD) as it:
        lose = it.sim.effect_then_timeout if made else it.sim.timeout_without_effect
        lose("DisableStageTransition", 5)
        it.alarm_fires()
        it.sim.throttle("GetPipelineState", 1000)
        it.sim.advance(1)
        it.sim.push("shop", FIX, it.revision(1))
        head = it.run_to_end()
        until(it, lambda: "3 attempts" in it.head["pipeline_problem"])
        assert transition(it).enabled is not made
        it.sim.faults.clear()
        until(it, lambda: "open_key" not in it.head)
        assert transition(it).enabled
        assert len(it.calls("EnableStageTransition")) == made
        assert head["outcome"] == "ROLLED_BACK"


def test_a_second_delivery_of_the_alarm_starts_nothing_twice() -> None:
    with released(rule=RERUN) as it:
        message = it.alarm_message()
        rolled_back(it)
        for _ in range(3):
            it.deliver(message)
        assert len(starts(it)) == 1
        assert len(runs(it)) == 3


def test_a_mistake_in_the_follow_ups_fails_neither_the_rollback_nor_its_notice() -> None:
    with released(rule=RERUN) as it, patch.object(FollowUps, "_held_back", side_effect=ZeroDivisionError):
        head = rolled_back(it)
        assert "closed" in head["notified"]
        assert "3 attempts" in head["pipeline_problem"]
