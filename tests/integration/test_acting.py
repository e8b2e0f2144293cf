"""What is asked of CodeDeploy, Lambda and ECS to put a revision back, and what happens when the answer is no."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3
import pytest

from lastgood.deployers.codedeploy import CodeDeploy
from lastgood.errors import RetryableError
from scene import PLATFORMS, Scene, scene
from simulated_aws import revisions

EVERYWHERE = pytest.mark.parametrize("platform", PLATFORMS)
FAST = {
    "Server": "CodeDeployDefault.AllAtOnce",
    "Lambda": "CodeDeployDefault.LambdaAllAtOnce",
    "ECS": "CodeDeployDefault.ECSAllAtOnce",
}
MID_SHIFT = {"Server": 15, "Lambda": 60, "ECS": 60}
HOOKS = [{"BeforeAllowTraffic": "check-before"}, {"AfterAllowTraffic": "check-after"}]


@pytest.fixture(autouse=True)
def _no_real_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore waits between its own attempts; nobody has to wait for that here."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))


def bad_release(it: Scene, *history: Any, bad: Any = 3, rest: float = 600) -> str:
    """Good releases, then one that succeeded and is bad. Returns its id."""
    for revision in history or (1, 2):
        it.sim.release("shop", "prod", _revision(it, revision), settle=True)
        it.sim.advance(7200)
    made = it.sim.release("shop", "prod", _revision(it, bad), settle=True)
    it.sim.advance(rest)
    return made


def _revision(it: Scene, revision: Any) -> Any:
    return it.revision(revision) if isinstance(revision, int) else revision


def rolled_back(it: Scene, *, creates: int = 1) -> dict[str, Any]:
    """It ends rolled back with so many calls of CreateDeployment. Returns the parameters of the last."""
    ended(it, "ROLLED_BACK", "VERIFIED", creates=creates)
    return it.calls("CreateDeployment")[-1] if creates else {}


def ended(it: Scene, outcome: str, reason: str, *, creates: int) -> None:
    """It is closed so, and the deployment group is free."""
    head = it.run_to_end()
    assert (head["outcome"], head["reason_code"]) == (outcome, reason), head["explanation"]
    assert len(it.calls("CreateDeployment")) == creates
    assert it.lock() == ""


def fires_until_heard(it: Scene) -> None:
    """The alarm fires; if the invocation fails, AWS delivers the message again, a minute later."""
    it.local.alarm("shop-prod-error-rate")
    message = it.alarm_message()
    for _ in range(3):
        try:
            it.deliver(message)
            return
        except RetryableError:
            it.sim.advance(60)
    raise AssertionError("three deliveries failed")


def content(revision: dict[str, Any]) -> str:
    """The AppSpec that a CreateDeployment carries."""
    return str(revision["revision"]["appSpecContent"]["content"])


def appspec(made: dict[str, Any]) -> dict[str, Any]:
    """A JSON AppSpec's only resource's properties."""
    (resource,) = json.loads(content(made))["Resources"]
    (found,) = resource.values()
    return dict(found["Properties"])


def with_content(text: str) -> dict[str, Any]:
    """An AppSpec text as a revision."""
    return {"revisionType": "AppSpecContent", "appSpecContent": {"content": text}}


def lambda_yaml(current: int, target: int) -> dict[str, Any]:
    """An AppSpec for Lambda as many people write it by hand."""
    return with_content(
        f"""version: 0.0
Resources:
  - shop:
      Type: AWS::Lambda::Function
      Properties:
        name: "shop"
        alias: "live"
        currentversion: "{current}"  # what is live
        targetversion: "{target}"
Hooks:
  - BeforeAllowTraffic: "check-before"
"""
    )


def ecs_yaml(arn: str) -> dict[str, Any]:
    """An AppSpec for ECS in YAML, with hooks."""
    return with_content(
        f"""version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: {arn}
        LoadBalancerInfo:
          ContainerName: "app"
          ContainerPort: 80
Hooks:
  - AfterInstall: "check-install"
"""
    )


def hooked(revision: dict[str, Any]) -> dict[str, Any]:
    """The same AppSpec with validation functions."""
    document = json.loads(revision["appSpecContent"]["content"])
    return with_content(json.dumps({**document, "Hooks": HOOKS}))


def lambda_revision(current: int, target: int) -> dict[str, Any]:
    return revisions.lambda_appspec("shop", "live", str(current), str(target))


def arn_of(number: int) -> str:
    return f"arn:aws:ecs:us-east-1:123456789012:task-definition/web:{number}"


# --- every redeployment -----------------------------------------------------------------------------------------------


@EVERYWHERE
def test_a_redeployment_is_fast_overrides_the_alarms_and_never_rolls_itself_back(platform: str) -> None:
    with scene(platform) as it:
        bad_release(it)
        it.alarm_fires()
        made = rolled_back(it)
        assert made["overrideAlarmConfiguration"] == {"enabled": False, "ignorePollAlarmFailure": True, "alarms": []}
        assert made["autoRollbackConfiguration"] == {"enabled": False}
        assert made["deploymentConfigName"] == FAST[platform]
        assert not made.get("updateOutdatedInstancesOnly")


@EVERYWHERE
def test_its_description_begins_with_the_marker_and_fits(platform: str) -> None:
    with scene(platform) as it:
        bad_release(it)
        it.alarm_fires()
        description = rolled_back(it)["description"]
        assert description.startswith(f"lastgood {it.rollback_id}")
        assert len(description) <= 256


@EVERYWHERE
def test_its_deployment_config_can_be_set(platform: str) -> None:
    chosen = {
        "Server": "CodeDeployDefault.HalfAtATime",
        "Lambda": "CodeDeployDefault.LambdaLinear10PercentEvery1Minute",
        "ECS": "CodeDeployDefault.ECSLinear10PercentEvery1Minutes",
    }[platform]
    with scene(platform, settings={f"LASTGOOD_{platform.upper()}_DEPLOYMENT_CONFIG": chosen}) as it:
        bad_release(it)
        it.alarm_fires()
        assert rolled_back(it)["deploymentConfigName"] == chosen


def test_alarms_are_left_on_where_that_is_set() -> None:
    with scene("Server", settings={"LASTGOOD_OVERRIDE_ALARMS": "false"}) as it:
        bad_release(it)
        it.alarm_fires()
        assert "overrideAlarmConfiguration" not in rolled_back(it)


# --- servers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "good",
    [
        revisions.s3_revision("artifacts", "shop.zip", version="v-2"),
        revisions.s3_revision("artifacts", "shop.zip", etag='"abc123"'),
        revisions.s3_revision("artifacts", "shop.zip", version="v-2", etag="abc123"),
        revisions.github_revision("acme/shop", "a" * 40),
    ],
    ids=["S3 version", "S3 eTag", "S3 version and eTag", "GitHub"],
)
def test_a_servers_revision_is_replayed_exactly(good: dict[str, Any]) -> None:
    bad = (
        revisions.github_revision("acme/shop", "b" * 40)
        if good["revisionType"] == "GitHub"
        else revisions.s3_revision("artifacts", "shop.zip", version="v-3", etag="def456")
    )
    with scene("Server") as it:
        bad_release(it, "v1.zip", good, bad=bad)
        it.alarm_fires()
        assert rolled_back(it)["revision"] == good


def test_servers_overwrite_files_and_survive_the_bad_revisions_stop_script() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.alarm_fires()
        made = rolled_back(it)
        assert (made["fileExistsBehavior"], made["ignoreApplicationStopFailures"]) == ("OVERWRITE", True)


def test_the_settings_for_existing_files_and_stop_failures_go_into_the_deployment() -> None:
    settings = {"LASTGOOD_FILE_EXISTS_BEHAVIOR": "RETAIN", "LASTGOOD_IGNORE_APPLICATION_STOP_FAILURES": "false"}
    with scene("Server", settings=settings) as it:
        bad_release(it)
        it.alarm_fires()
        made = rolled_back(it)
        assert (made["fileExistsBehavior"], made["ignoreApplicationStopFailures"]) == ("RETAIN", False)


@pytest.mark.parametrize("platform", ["Lambda", "ECS"])
def test_options_of_servers_are_not_sent_to_other_platforms(platform: str) -> None:
    with scene(platform) as it:
        bad_release(it)
        it.alarm_fires()
        assert not {"fileExistsBehavior", "ignoreApplicationStopFailures"} & set(rolled_back(it))


def test_a_server_blue_green_release_under_way_is_flipped_back_by_codedeploy() -> None:
    style = {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"}
    with scene("Server", deploymentStyle=style) as it:
        it.good_history(1, 2)
        it.release(3)
        it.sim.advance(15)
        it.alarm_fires()
        rolled_back(it, creates=0)
        assert it.head["adopted"] is True
        assert it.is_live(2)


def test_a_bundle_that_is_gone_and_was_never_pinned_ends_the_search() -> None:
    """Nobody can tell what it was, so nobody can tell what lies between it and anything older."""
    with scene("Server") as it:
        bad_release(it)
        boto3.client("s3").delete_object(Bucket="bundles", Key="v2.zip")
        it.alarm_fires()
        ended(it, "BLOCKED", "NO_GOOD_REVISION", creates=0)
        missing = next(c for c in it.head["candidates"] if c["revision"].endswith("v2.zip"))
        assert missing["rejection"] == "CONTENT_UNKNOWN"
        assert "no longer in S3" in missing["explanation"]
        assert it.is_live(3)


def test_without_the_check_a_missing_bundle_fails_the_rollback_and_says_so() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.sim.engine.objects.put("bundles", "v1.zip")
        it.alarm_fires()
        ended(it, "FAILED", "ROLLBACK_DEPLOYMENT_FAILED", creates=1)
        assert "REVISION_MISSING" in it.head["explanation"]


# --- Lambda -----------------------------------------------------------------------------------------------------------


def test_the_current_version_of_the_new_appspec_is_what_is_live_now() -> None:
    with scene("Lambda") as it:
        bad_release(it)
        it.alarm_fires()
        properties = appspec(rolled_back(it))
        assert (properties["CurrentVersion"], properties["TargetVersion"]) == ("3", "2")
        assert it.is_live(2)


def test_a_split_alias_is_cleared_under_its_revision_id_before_anything_is_deployed() -> None:
    with scene("Lambda", settings={"LASTGOOD_NATIVE_ROLLBACK": "false"}, versions=4, current=4) as it:
        _, also_bad = it.good_history(1, 2)
        named = {"application": "shop", "deployment_group": "prod", "deployment_id": also_bad}
        it.local.handle({"action": "mark_bad", **named, "reason": "slow", "requested_by": "me"})
        it.release(3)
        it.sim.advance(60)
        it.alarm_fires()
        assert appspec(rolled_back(it))["CurrentVersion"] == "2"
        (update,) = it.calls("UpdateAlias")
        assert update["RevisionId"]
        assert it.is_live(1)


def test_an_alias_that_somebody_changes_in_between_is_read_again() -> None:
    with scene("Lambda", settings={"LASTGOOD_NATIVE_ROLLBACK": "false"}) as it:
        it.good_history(1, 2)
        it.release(3)
        it.sim.advance(60)
        it.sim.fail_call("UpdateAlias", "PreconditionFailedException", "The RevisionId does not match.", status=412)
        it.alarm_fires()
        rolled_back(it, creates=0)
        assert len(it.calls("UpdateAlias")) == 2
        assert it.is_live(2)


def test_an_alias_that_somebody_put_back_by_hand_needs_no_deployment() -> None:
    with scene("Lambda") as it:
        bad_release(it)
        it.sim.engine.lambda_world.point("shop", "live", "2")
        it.alarm_fires()
        ended(it, "SKIPPED", "ALREADY_LIVE", creates=0)


def test_an_alias_that_somebody_moved_elsewhere_is_left_to_people() -> None:
    with scene("Lambda", versions=4) as it:
        bad_release(it)
        it.sim.engine.lambda_world.point("shop", "live", "4")
        it.alarm_fires()
        ended(it, "BLOCKED", "LIVE_DIFFERS", creates=0)
        assert it.is_live(4)


def test_a_yaml_appspec_for_lambda_is_understood_and_keeps_what_it_had() -> None:
    with scene("Lambda") as it:
        bad_release(it, lambda_yaml(1, 2), bad=lambda_yaml(2, 3))
        it.alarm_fires()
        text = content(rolled_back(it))
        assert 'currentversion: "3"' in text
        assert 'targetversion: "2"' in text
        assert "check-before" in text
        assert it.is_live(2)


@pytest.mark.parametrize(("setting", "kept"), [("keep", True), ("drop", False)])
def test_validation_functions_are_kept_or_dropped_as_set(setting: str, kept: bool) -> None:
    with scene("Lambda", settings={"LASTGOOD_APPSPEC_HOOKS": setting}) as it:
        bad_release(it, hooked(lambda_revision(1, 2)), bad=3)
        it.alarm_fires()
        document = json.loads(content(rolled_back(it)))
        assert document.get("Hooks") == (HOOKS if kept else None)


@pytest.mark.parametrize(("setting", "kept"), [("keep", True), ("drop", False)])
def test_hooks_of_a_yaml_appspec_are_kept_or_dropped_as_set(setting: str, kept: bool) -> None:
    with scene("Lambda", settings={"LASTGOOD_APPSPEC_HOOKS": setting}) as it:
        bad_release(it, lambda_yaml(1, 2), bad=3)
        it.alarm_fires()
        assert ("check-before" in content(rolled_back(it))) is kept


def test_a_deleted_version_is_passed_over_for_the_next_older_one() -> None:
    with scene("Lambda", versions=4, current=4) as it:
        bad_release(it)
        it.sim.engine.lambda_world.delete_version("shop", "2")
        it.alarm_fires()
        rolled_back(it)
        assert it.is_live(1)
        passed_over = next(c for c in it.head["candidates"] if c["rejection"] == "NOT_DEPLOYABLE")
        assert "no longer exists" in passed_over["explanation"]


# --- ECS --------------------------------------------------------------------------------------------------------------


def test_an_ecs_appspec_is_read_from_its_registration_and_sent_again_unchanged() -> None:
    with scene("ECS") as it:
        good = hooked(revisions.ecs_appspec(arn_of(2), "app", 80))
        bad_release(it, 1, good)
        it.alarm_fires()
        assert json.loads(content(rolled_back(it))) == json.loads(good["appSpecContent"]["content"])
        assert it.calls("GetApplicationRevision")
        assert it.is_live(2)


def test_a_yaml_appspec_for_ecs_is_sent_again_unchanged() -> None:
    with scene("ECS") as it:
        good = ecs_yaml(arn_of(2))
        bad_release(it, 1, good, bad=ecs_yaml(arn_of(3)))
        it.alarm_fires()
        assert content(rolled_back(it)) == good["appSpecContent"]["content"]
        assert it.is_live(2)


def test_hooks_of_an_ecs_appspec_can_be_dropped() -> None:
    with scene("ECS", settings={"LASTGOOD_APPSPEC_HOOKS": "drop"}) as it:
        bad_release(it, 1, ecs_yaml(arn_of(2)))
        it.alarm_fires()
        assert "check-install" not in content(rolled_back(it))


@pytest.mark.parametrize("written_as", ["JSON", "YAML"])
def test_an_inactive_task_definition_is_registered_again_unchanged_with_its_tags(written_as: str) -> None:
    with scene("ECS", task_definitions=1) as it:
        tags = [{"key": "team", "value": "shop"}]
        good = it.sim.register_task_definition("web", tags, taskRoleArn="arn:aws:iam::123456789012:role/shop")
        bad = it.sim.register_task_definition("web")
        wanted = ecs_yaml(good) if written_as == "YAML" else revisions.ecs_appspec(good)
        bad_release(it, 1, wanted, bad=revisions.ecs_appspec(bad))
        before = dict(it.sim.engine.ecs_world.task_definition(good).content)
        it.sim.engine.ecs_world.deregister(good, it.now())
        it.alarm_fires()
        made = rolled_back(it)
        again = it.sim.engine.ecs_world.task_definition("web:4")
        assert again.content == before
        assert again.tags == tags
        assert again.arn in content(made)
        assert good not in content(made)
        assert it.live == again.arn
        assert len(it.calls("RegisterTaskDefinition")) == 1
        assert it.head["good_revision"] == good


def test_a_deleted_task_definition_is_passed_over_for_the_next_older_one() -> None:
    with scene("ECS") as it:
        bad_release(it)
        it.sim.engine.ecs_world.delete_task_definition(arn_of(2))
        it.alarm_fires()
        rolled_back(it)
        assert it.is_live(1)
        passed_over = next(c for c in it.head["candidates"] if c["rejection"] == "NOT_DEPLOYABLE")
        assert "no longer exists" in passed_over["explanation"]


def test_a_task_definition_that_is_deleted_after_the_stop_fails_the_rollback_and_says_so() -> None:
    with scene("ECS", settings={"LASTGOOD_NATIVE_ROLLBACK": "false"}) as it:
        it.good_history(1, 2)
        it.sim.timing("shop", "prod", stop_pending_seconds=90)
        it.release(3)
        it.sim.advance(60)
        it.alarm_fires()
        it.sim.engine.ecs_world.delete_task_definition(arn_of(2))
        ended(it, "FAILED", "REDEPLOY_REFUSED", creates=0)
        assert "no longer exists" in it.head["explanation"]


# --- somebody else is faster ------------------------------------------------------------------------------------------


@EVERYWHERE
def test_a_newer_deployment_that_occupies_the_group_is_left_alone(platform: str) -> None:
    with scene(platform, **({"versions": 5} if platform == "Lambda" else {})) as it:
        if platform == "ECS":
            it.sim.register_task_definition("web")
        bad_release(it)
        create = it.sim.engine.create_deployment
        fixes: list[str] = []

        def somebody_is_faster(given: dict[str, Any], *more: Any) -> Any:
            if not fixes:
                fixes.append("")
                fixes.append(it.release(4))
            return create(given, *more)

        with patch.object(it.sim.engine, "create_deployment", somebody_is_faster):
            it.alarm_fires()
        ended(it, "BLOCKED", "OTHER_DEPLOYMENT", creates=1)
        assert it.sim.calls("CreateDeployment")[0].error == "DeploymentLimitExceededException"
        assert it.calls("StopDeployment") == []
        it.sim.settle()
        assert it.is_live(4)


def test_a_native_rollback_that_occupies_the_group_is_adopted() -> None:
    with scene("Server", rollback_events=["DEPLOYMENT_STOP_ON_REQUEST"]) as it:
        it.sim.engine.flag_false_suppresses_group_rollback = False
        it.good_history(1, 2)
        it.sim.timing("shop", "prod", native_rollback_delay_seconds=2)
        it.release(3)
        it.sim.advance(15)
        create = it.sim.engine.create_deployment

        def native_is_faster(given: dict[str, Any], *more: Any) -> Any:
            it.sim.engine.advance(3)
            return create(given, *more)

        with patch.object(it.sim.engine, "create_deployment", native_is_faster):
            it.alarm_fires()
            rolled_back(it, creates=1)
        assert it.sim.calls("CreateDeployment")[0].error == "DeploymentLimitExceededException"
        assert it.head["adopted"] is True
        assert it.is_live(2)


# --- answers that do not come -----------------------------------------------------------------------------------------


@EVERYWHERE
def test_a_create_whose_answer_got_lost_is_found_by_its_marker(platform: str) -> None:
    with scene(platform) as it:
        bad = bad_release(it)
        it.sim.effect_then_timeout("CreateDeployment")
        it.alarm_fires()
        rolled_back(it, creates=1)
        newer = [
            d for d in it.sim.deployments("shop", "prod") if d["createTime"] > it.sim.deployment(bad)["createTime"]
        ]
        assert [d["deploymentId"] for d in newer] == [it.head["rollback_deployment_id"]]
        assert it.is_live(2)


@EVERYWHERE
def test_a_create_that_never_arrived_is_sent_once_more_later(platform: str) -> None:
    with scene(platform) as it:
        bad_release(it)
        it.sim.timeout_without_effect("CreateDeployment")
        it.alarm_fires()
        rolled_back(it, creates=2)
        first, second = it.sim.calls("CreateDeployment")
        assert (second.at - first.at).total_seconds() >= 60
        assert it.is_live(2)


def test_a_throttled_create_is_sent_once_more_before_anything_is_looked_at_again() -> None:
    with scene("Server") as it:
        bad_release(it)
        it.sim.throttle("CreateDeployment", 1)
        before = len(it.sim.arrivals)
        it.alarm_fires()
        asked = [a.operation for a in it.sim.arrivals[before:] if a.service == "codedeploy"]
        assert asked[-2:] == ["CreateDeployment", "CreateDeployment"]
        rolled_back(it, creates=2)


@pytest.mark.parametrize("times", [1, 3, 12])
def test_a_throttled_create_is_tried_until_it_is_taken(times: int) -> None:
    with scene("Server") as it:
        bad_release(it)
        it.sim.throttle("CreateDeployment", times)
        fires_until_heard(it)
        rolled_back(it, creates=times + 1)
        assert it.is_live(2)


def test_a_stop_whose_answer_got_lost_is_looked_after() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3)
        it.sim.advance(15)
        it.sim.effect_then_timeout("StopDeployment")
        fires_until_heard(it)
        rolled_back(it, creates=1)
        assert it.is_live(2)


def test_a_stop_that_never_arrived_is_asked_for_again() -> None:
    with scene("Lambda") as it:
        it.good_history(1, 2)
        it.release(3)
        it.sim.advance(15)
        it.sim.timeout_without_effect("StopDeployment", count=5)
        fires_until_heard(it)
        rolled_back(it, creates=0)
        assert it.is_live(2)


# --- AWS says no ------------------------------------------------------------------------------------------------------


@EVERYWHERE
def test_a_stop_that_is_not_permitted_fails_and_says_what_is_missing(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        bad = it.release(3)
        it.sim.advance(MID_SHIFT[platform])
        it.sim.fail_call("StopDeployment", "AccessDeniedException", "not authorized: codedeploy:StopDeployment")
        it.alarm_fires()
        ended(it, "FAILED", "PERMISSION_DENIED", creates=0)
        assert "codedeploy:StopDeployment" in it.head["explanation"]
        assert it.head["needs_human"] is True
        assert it.sim.deployment(bad)["status"] == "InProgress"


@EVERYWHERE
def test_a_create_that_is_not_permitted_fails_and_says_what_is_missing(platform: str) -> None:
    with scene(platform) as it:
        bad_release(it)
        it.sim.fail_call(
            "CreateDeployment", "AccessDeniedException", "not authorized: codedeploy:UpdateDeploymentGroup"
        )
        it.alarm_fires()
        ended(it, "FAILED", "PERMISSION_DENIED", creates=1)
        assert "codedeploy:UpdateDeploymentGroup" in it.head["explanation"]
        assert it.is_live(3)


def test_a_stop_that_codedeploy_refuses_fails() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3)
        it.sim.advance(15)
        it.sim.fail_call("StopDeployment", "UnsupportedActionForDeploymentTypeException", "no")
        it.alarm_fires()
        ended(it, "FAILED", "STOP_REFUSED", creates=0)


@EVERYWHERE
def test_a_rollback_deployment_that_fails_is_not_tried_a_second_time(platform: str) -> None:
    with scene(platform) as it:
        bad_release(it)
        it.sim.fail_next("HOOK_EXECUTION_FAILURE", "BeforeAllowTraffic failed.", after_seconds=2)
        it.alarm_fires()
        ended(it, "FAILED", "ROLLBACK_DEPLOYMENT_FAILED", creates=1)
        assert "HOOK_EXECUTION_FAILURE" in it.head["explanation"]
        it.sim.advance(600)
        it.sweep()
        assert len(it.calls("CreateDeployment")) == 1


def test_an_alias_that_does_not_follow_the_deployment_fails_the_rollback() -> None:
    with scene("Lambda", versions=4) as it:
        bad_release(it)
        it.alarm_fires()
        it.sim.settle()
        it.sim.engine.lambda_world.point("shop", "live", "4")
        ended(it, "FAILED", "LIVE_DIFFERS", creates=1)
        assert "live is lambda:shop:live:4" in it.head["explanation"]


def test_a_service_that_does_not_follow_the_deployment_fails_the_rollback() -> None:
    with scene("ECS") as it:
        bad_release(it)
        it.alarm_fires()
        it.sim.settle()
        service = it.sim.engine.ecs_world.services[("main", "web")]
        assert service.primary is not None
        service.primary.task_definition = arn_of(1)
        ended(it, "FAILED", "LIVE_DIFFERS", creates=1)


def test_a_stop_that_was_accepted_without_effect_is_requested_again_and_the_phase_says_so() -> None:
    stop, phases = CodeDeploy.stop, list[str]()
    with scene("Server") as it:
        it.good_history(1, 2)
        it.sim.timing("shop", "prod", install_seconds=600)
        it.release(3)
        it.sim.advance(MID_SHIFT["Server"])

        def first_without_effect(self: CodeDeploy, deployment_id: str, *, native: bool) -> str:
            phases.append(it.local.head(it.lock())["phase"])
            return "Succeeded" if phases == ["STOPPING"] else stop(self, deployment_id, native=native)

        with patch.object(CodeDeploy, "stop", first_without_effect):
            it.alarm_fires()
            phases.append(it.head["phase"])
            it.sim.advance(60)
            it.sweep()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert it.is_live(2)
        assert phases == ["STOPPING", "REDEPLOYING", "STOPPING"]
