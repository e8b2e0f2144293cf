"""Rollbacks that others began: AWS itself, a stack, a person. Watched where they answer, taken over where they fail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import boto3
import pytest

from scene import ALARM, PLATFORMS, Scene, scene, service_scene
from simulated_aws import revisions

STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/shop/7d3"
EVERYWHERE = pytest.mark.parametrize("platform", PLATFORMS)
MID_SHIFT = {"Server": 15, "Lambda": 60, "ECS": 60}
OWN_ALARM: dict[str, Any] = {"alarms": [ALARM], "rollback_events": ["DEPLOYMENT_STOP_ON_ALARM"]}


def options(platform: str, **more: Any) -> dict[str, Any]:
    made = {"Lambda": {"versions": 5, "current": 5}, "ECS": {"task_definitions": 5}}
    return {**made.get(platform, {}), **more}


def alarm_stops_it(it: Scene, platform: str, later: float) -> dict[str, Any]:
    """The group's own alarm stops the release that runs; its message comes so much later. Returns the message."""
    it.good_history(1, 2)
    it.release(3)
    it.sim.advance(MID_SHIFT[platform])
    it.local.alarm(ALARM)
    message = it.alarm_message()
    it.sim.advance(later)
    return message


def assert_back(it: Scene, **head: Any) -> dict[str, Any]:
    found = it.run_to_end()
    assert found["outcome"] == "ROLLED_BACK", found["explanation"]
    assert it.is_live(2), found["explanation"]
    assert {name: found.get(name) for name in head} == head
    return found


# --- AWS's own, which put nothing back --------------------------------------------------------------------------------


@EVERYWHERE
@pytest.mark.parametrize("how", ["fails", "is stopped"])
def test_a_native_rollback_that_put_nothing_back_is_done_by_lastgood(platform: str, how: str) -> None:
    with scene(platform, **options(platform, **OWN_ALARM)) as it:
        it.sim.native_rollbacks(
            fail=("HEALTH_CONSTRAINTS", "too few") if how == "fails" else False, stop=how != "fails"
        )
        message = alarm_stops_it(it, platform, later=120)
        it.deliver(message)
        head = assert_back(it, adopted=False)
        native = head["failed_rollback_id"]
        assert it.sim.deployment(native)["status"] == ("Failed" if how == "fails" else "Stopped")
        code = "HEALTH_CONSTRAINTS" if how == "fails" else "MANUAL_STOP"
        assert native in head["explanation"]
        assert code in head["explanation"]
        assert len(it.calls("CreateDeployment")) <= 1


@EVERYWHERE
def test_a_native_rollback_that_fails_while_it_is_watched_is_taken_over(platform: str) -> None:
    with scene(platform, **options(platform, **OWN_ALARM)) as it:
        it.sim.native_rollbacks(fail=True)
        message = alarm_stops_it(it, platform, later=6)
        it.deliver(message)
        assert it.head["phase"] == "VERIFYING", it.head["explanation"]
        head = assert_back(it, adopted=False)
        assert head["failed_rollback_id"] in head["explanation"]


@pytest.mark.parametrize("platform", ["Lambda", "ECS"])
def test_a_pause_also_holds_what_is_taken_over_after_the_stop_until_somebody_resumes(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        it.release(3)
        it.sim.advance(60)
        it.alarm_fires()
        assert it.head["phase"] == "VERIFYING", it.head["explanation"]
        group = {"application": "shop", "deployment_group": "prod", "requested_by": "alex", "reason": "look first"}
        it.local.handle({"action": "pause", **group})
        it.sim.engine.stop_deployment(it.sim.engine.deployment(it.head["rollback_deployment_id"]), False)
        for _ in range(20):
            it.sim.advance(60)
            it.sweep()
        assert it.calls("CreateDeployment") == []
        it.local.handle({"action": "resume", **group})
        assert_back(it, adopted=False)


def test_a_native_rollback_that_lastgood_asked_for_and_that_fails_is_taken_over() -> None:
    with scene("Lambda", versions=5, current=5) as it:
        it.good_history(1, 2)
        it.sim.native_rollbacks(fail=True)
        it.release(3)
        it.sim.advance(60)
        it.alarm_fires()
        assert_back(it, adopted=False)


def test_a_services_own_rollback_that_failed_is_done_by_lastgood() -> None:
    with service_scene() as it:
        it.good_history(1, 2)
        it.release(3)
        it.sim.advance(20)
        it.sim.service_rollbacks("main", "web", fail=True)
        it.alarm_fires()
        assert_back(it, adopted=False)


# --- AWS's own, which goes somewhere ----------------------------------------------------------------------------------


@EVERYWHERE
def test_a_native_rollback_that_goes_elsewhere_is_waited_for_and_put_right(platform: str) -> None:
    with scene(platform, **options(platform, **OWN_ALARM)) as it:
        it.sim.native_rollbacks("shop", "prod", to=it.revision(1))
        it.deliver(alarm_stops_it(it, platform, later=5))
        assert_back(it, adopted=False)


@EVERYWHERE
def test_a_native_rollback_of_the_fix_is_not_adopted_and_the_fix_is_not_marked_bad(platform: str) -> None:
    """The alarm stops what was released after it began to fire; AWS puts back the revision that the alarm blames."""
    with scene(platform, **options(platform, **OWN_ALARM)) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=300)
        it.local.alarm(ALARM)
        message = it.alarm_message()
        it.sim.advance(5)
        fix = it.release(4)
        it.sim.advance(90)
        it.deliver(message)
        head = assert_back(it)
        assert head["suspect_deployment_id"] != fix
        bad = [i for i in it.local.items() if i["sk"].startswith("BAD#")]
        assert [str(item["revision"]) for item in bad] == [head["suspect_revision"]]


# --- a person, or a pipeline ------------------------------------------------------------------------------------------


def somebody_goes_back(it: Scene, platform: str, suspect: str) -> str:
    it.good_history(1, 2)
    bad = it.release(3, settle=suspect == "succeeded", rest=200)
    if suspect == "cancelled":
        it.sim.advance(MID_SHIFT[platform])
        it.sim.engine.stop_deployment(it.sim.engine.deployment(bad), False)
        it.sim.settle()
    theirs = it.release(2)
    it.sim.advance(5)
    return theirs


@pytest.mark.parametrize(
    ("platform", "suspect"),
    [
        *((platform, "succeeded") for platform in PLATFORMS),
        # On Lambda a cancelled release leaves the alias split, and nothing can be deployed until that is cleared.
        ("Server", "cancelled"),
        ("ECS", "cancelled"),
    ],
)
def test_somebody_who_rolls_back_at_this_moment_is_watched(platform: str, suspect: str) -> None:
    with scene(platform, **options(platform)) as it:
        theirs = somebody_goes_back(it, platform, suspect)
        before = len(it.calls("CreateDeployment"))
        it.alarm_fires()
        assert it.head["reason_code"] == "ALREADY_ROLLING_BACK"
        assert theirs in it.head["explanation"]
        assert_back(it, adopted=True, rollback_deployment_id=theirs)
        assert len(it.calls("CreateDeployment")) == before
        assert "somebody's rollback" in it.head["explanation"]


@pytest.mark.parametrize(
    ("platform", "suspect"), [*((platform, "succeeded") for platform in ("Server", "Lambda")), ("Server", "cancelled")]
)
def test_what_somebody_has_put_back_before_the_message_comes_is_proven_and_its_recovery_is_watched(
    platform: str, suspect: str
) -> None:
    with scene(platform, **options(platform)) as it:
        it.good_history(1, 2)
        it.sim.declare_bad(bad := it.release(3, settle=suspect == "succeeded", rest=200))
        if suspect == "cancelled":
            it.sim.advance(MID_SHIFT[platform])
            it.sim.engine.stop_deployment(it.sim.engine.deployment(bad), False)
            it.sim.settle()
        it.local.alarm(ALARM, tags=it.tags)
        message = it.alarm_message()
        it.sim.advance(20)
        theirs = it.release(2, settle=True, rest=30)
        before = len(it.calls("CreateDeployment"))
        it.deliver(message)
        head = assert_back(it, adopted=True, rollback_deployment_id=theirs, suspect_deployment_id=bad)
        assert head["reason_code"] == "VERIFIED" and "somebody's rollback" in head["explanation"]
        assert len(it.calls("CreateDeployment")) == before
        assert not it.sim.bad_share("shop", "prod")
        it.alarm_recovers()
        for _ in range(20):
            it.sim.advance(60)
            it.sweep()
        assert it.local.head(head["rollback_id"])["alarm_recovered_at"]


def test_what_somebody_put_back_within_the_breach_answers_an_alarm_that_fires_minutes_later() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=300)
        theirs = it.release(2, settle=True, rest=400)
        began = it.now().replace(second=0, microsecond=0) - timedelta(minutes=10)
        it.alarm_fires(breached=[began, began + timedelta(minutes=1)])
        assert_back(it, adopted=True, rollback_deployment_id=theirs)


def test_an_alarm_half_an_hour_after_somebodys_rollback_is_not_answered_by_it() -> None:
    with scene("Lambda", **options("Lambda")) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=300)
        it.release(2, settle=True, rest=1800)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("SKIPPED", "SUSPECT_IS_ROLLBACK"), head["explanation"]
        assert head["needs_human"] is True
        assert it.is_live(2)


def test_an_alarm_days_after_somebodys_rollback_is_about_something_else() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=300)
        it.release(2, settle=True, rest=3 * 86_400)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("SKIPPED", "NOT_ATTRIBUTABLE"), head["explanation"]


def test_a_persons_rollback_that_the_alarm_stopped_after_awss_own_failed_hides_nothing() -> None:
    """CodeDeploy's rollback failed, and the alarm that fires on stopped a person's too: lastgood has the means."""
    with scene("Server", **OWN_ALARM) as it:
        it.sim.native_rollbacks(fail=True)
        message = alarm_stops_it(it, "Server", later=120)
        theirs = it.release(2)
        it.sim.advance(10)
        assert it.sim.deployment(theirs)["status"] == "Stopped"
        it.deliver(message)
        assert_back(it, adopted=False)


@pytest.mark.parametrize("active", [True, False], ids=["under way", "done"])
def test_what_is_live_already_released_again_is_no_fix_and_goes_back_too(active: bool) -> None:
    """The bad code under a new number, after the alarm: nothing in it is new."""
    with scene("Lambda", versions=3, current=1) as it:
        world = it.sim.engine.lambda_world
        (function,) = world.functions
        it.good_history(2)
        it.release(3, settle=True, rest=100)
        it.local.alarm(ALARM, tags=it.tags)
        message = it.alarm_message()
        it.sim.advance(5)
        again = it.sim.publish_version(function, code=world.function(function).versions["3"].code)
        it.release(int(again), settle=not active, rest=10)
        it.deliver(message)
        assert_back(it)
        assert it.sim.live("shop", "prod").shares == {"2": 1.0}


def test_a_key_that_was_written_over_is_no_rollback_though_somebody_deploys_it_again() -> None:
    """Somebody runs the old deployment again, and gets what lies under its name now: the bad bundle."""
    with scene("Server") as it:
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="artifacts")
        bundle = revisions.s3_revision("artifacts", "app.zip")
        for text, rest in (("good", 7200), ("bad", 200)):
            s3.put_object(Bucket="artifacts", Key="app.zip", Body=text.encode())
            it.sim.advance(5)
            bad = it.sim.release("shop", "prod", bundle, settle=True)
            it.sim.advance(rest)
        it.local.alarm(ALARM, tags=it.tags)
        message = it.alarm_message()
        it.sim.advance(10)
        theirs = it.sim.release("shop", "prod", bundle, settle=True)
        it.deliver(message)
        head = it.run_to_end()
        assert (head["outcome"], head["needs_human"]) == ("BLOCKED", True), head["explanation"]
        suspects = {c["deployment_id"] for c in head["candidates"] if c.get("rejection") == "SUSPECT"}
        assert suspects == {bad, theirs}


def test_awss_own_rollback_that_brings_the_suspects_bundle_again_is_never_called_proven() -> None:
    """One key for every release, written over: what was live before is unknown, and traffic can only be moved back."""
    style = {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"}
    with scene("Server", deploymentStyle=style) as it:
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="artifacts")

        def release(text: str, settle: bool) -> str:
            s3.put_object(Bucket="artifacts", Key="latest.zip", Body=text.encode())
            it.sim.advance(5)
            made = it.sim.release("shop", "prod", revisions.s3_revision("artifacts", "latest.zip"), settle=settle)
            it.sim.advance(7200 if settle else 15)
            return made

        release("good", settle=True)
        bad = release("bad", settle=False)
        it.sim.declare_bad(bad)
        it.alarm_fires()
        head = it.run_to_end()
        assert it.sim.bad_share("shop", "prod") == 1
        assert (head["outcome"], head["reason_code"]) == ("FAILED", "LIVE_DIFFERS"), head["explanation"]
        assert head["needs_human"] is True and f"live is what {bad} brought" in head["explanation"]


def test_awss_own_rollback_to_a_branch_is_never_called_proven() -> None:
    """It deploys what the branch names now, which is what was bad."""
    with scene("Server", **OWN_ALARM) as it:
        branch = revisions.github_revision("acme/shop", "main")
        it.sim.push_branch("acme/shop", "main", "1" * 40)
        it.sim.release("shop", "prod", branch, settle=True)
        it.sim.advance(7200)
        it.sim.push_branch("acme/shop", "main", "2" * 40)
        bad = it.sim.release("shop", "prod", branch)
        it.sim.advance(15)
        it.sim.declare_bad(bad)
        it.local.alarm(ALARM, tags=it.tags)
        message = it.alarm_message()
        it.sim.advance(90)
        assert it.sim.bad_share("shop", "prod") == 1
        it.deliver(message)
        head = it.run_to_end()
        assert (head["outcome"], head["needs_human"]) == ("FAILED", True), head["explanation"]
        assert "nobody knows what it put back: main is no full commit id" in head["explanation"]


def test_a_release_that_takes_the_place_of_our_update_is_left_alone() -> None:
    with service_scene(task_definitions=5) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=120)
        it.alarm_fires()
        it.sim.advance(3)
        newer = it.release(4)
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("BLOCKED", "OTHER_DEPLOYMENT"), head["explanation"]
        assert newer in head["explanation"]
        it.sim.settle()
        assert it.is_live(4)


def test_somebodys_rollback_that_fails_is_taken_over() -> None:
    with scene("Server") as it:
        theirs = somebody_goes_back(it, "Server", "succeeded")
        it.alarm_fires()
        it.sim.engine.stop_deployment(it.sim.engine.deployment(theirs), False)
        assert_back(it, adopted=False, failed_rollback_id=theirs)


@EVERYWHERE
def test_somebody_who_is_a_moment_quicker_than_our_redeployment_is_watched(platform: str) -> None:
    with scene(platform, **options(platform)) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=60)
        it.sim.meanwhile("CreateDeployment", lambda: it.release(2))
        it.alarm_fires()
        head = assert_back(it, adopted=True)
        made = [d["deploymentId"] for d in it.sim.deployments("shop", "prod")]
        assert head["rollback_deployment_id"] == made[-1]
        assert not str(it.sim.deployment(made[-1]).get("description") or "").startswith("lastgood")


def test_somebody_who_updates_the_service_back_at_this_moment_is_watched() -> None:
    with service_scene() as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=120)
        theirs = it.release(2)
        it.sim.advance(2)
        before = len(it.calls("UpdateService"))
        it.alarm_fires()
        assert_back(it, adopted=True, rollback_deployment_id=theirs)
        assert len(it.calls("UpdateService")) == before


# --- a stack ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("creator", "external"), [("CloudFormation", STACK), ("user", STACK)])
def test_a_stacks_canary_without_alarms_of_its_own_is_stopped_with_codedeploys_rollback(
    creator: str, external: str
) -> None:
    with scene("Lambda", versions=5, current=5) as it:
        for number in (1, 2):
            it.release(number, settle=True, creator=creator, external_id=external)
        it.release(3, creator=creator, external_id=external)
        it.sim.advance(60)
        before = len(it.calls("CreateDeployment"))
        it.alarm_fires()
        head = assert_back(it, adopted=True)
        assert len(it.calls("CreateDeployment")) == before
        assert not it.calls("UpdateAlias")
        assert STACK in head["explanation"]


def test_a_stacks_canary_that_codedeploy_does_not_roll_back_is_left_to_the_stack() -> None:
    with scene("Lambda", versions=5, current=5) as it:
        for number in (1, 2):
            it.release(number, settle=True, creator="CloudFormation", external_id=STACK)
        it.sim.native_rollbacks(never=True)
        it.release(3, creator="CloudFormation", external_id=STACK)
        it.sim.advance(60)
        before = len(it.calls("CreateDeployment"))
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("BLOCKED", "MANAGED_BY_CLOUDFORMATION")
        assert head["needs_human"]
        assert len(it.calls("CreateDeployment")) == before
        assert not it.calls("UpdateAlias")


@pytest.mark.parametrize("creator", ["CloudFormation", "user"])
@pytest.mark.parametrize("later", [2, 150], ids=["under way", "done"])
def test_the_native_rollback_of_a_stacks_canary_is_watched_and_the_stack_is_named(creator: str, later: int) -> None:
    with scene("Lambda", **options("Lambda", **OWN_ALARM)) as it:
        for number in (1, 2):
            it.release(number, settle=True, creator=creator, external_id=STACK)
        it.release(3, creator=creator, external_id=STACK)
        it.sim.advance(60)
        it.local.alarm(ALARM)
        message = it.alarm_message()
        it.sim.advance(later)
        before = len(it.calls("CreateDeployment"))
        it.deliver(message)
        head = assert_back(it, adopted=True)
        assert "stack rolls back too" in head["explanation"]
        assert len(it.calls("CreateDeployment")) == before


@pytest.mark.parametrize("settle", [False, True], ids=["under way", "done"])
def test_the_rollback_that_a_stack_makes_is_watched(settle: bool) -> None:
    with scene("Lambda", **options("Lambda")) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=120, creator="CloudFormation", external_id=STACK)
        theirs = it.release(2, creator="CloudFormationRollback", external_id=STACK, settle=settle, rest=5)
        it.sim.advance(5)
        it.alarm_fires()
        assert settle or it.head["reason_code"] == "STACK_ROLLING_BACK"
        assert_back(it, adopted=True, rollback_deployment_id=theirs)


# --- attempts on top, and what AWS makes of them ----------------------------------------------------------------------

ON_FAILURE: dict[str, Any] = {"rollback_events": ["DEPLOYMENT_FAILURE"]}


def fails_later(it: Scene, number: int = 3) -> None:
    """A release that serves well for half an hour, and is bad then; what is to be seen is the simulator's own truth."""
    it.good_history(1, 2)
    it.sim.declare_bad(it.release(number, settle=True, rest=1800))


@EVERYWHERE
@pytest.mark.parametrize("native", [False, True], ids=["left there", "rolled back by AWS"])
def test_attempts_that_reached_nobody_are_not_blamed_and_what_serves_is(platform: str, native: bool) -> None:
    with scene(platform, **options(platform, **(ON_FAILURE if native else {}))) as it:
        fails_later(it)
        for _ in range(3):
            it.sim.fail_next(after_seconds=2)
            it.release(4, settle=True, rest=120)
        it.sim.advance(240)
        last = it.now().replace(second=0, microsecond=0)
        it.alarm_fires(breached=[last - timedelta(minutes=2), last - timedelta(minutes=1)])
        assert_back(it)
        assert not it.sim.bad_share("shop", "prod")


@EVERYWHERE
def test_what_somebody_puts_back_while_the_alarm_fires_is_good_although_aws_stops_it(platform: str) -> None:
    with scene(platform, **options(platform, **OWN_ALARM)) as it:
        fails_later(it)
        it.local.alarm(ALARM, tags=it.tags)
        message = it.alarm_message()
        it.sim.advance(5)
        theirs = it.release(2)
        it.sim.advance(60)
        assert it.sim.deployment(theirs)["errorInformation"]["code"] == "ALARM_ACTIVE"
        it.deliver(message)
        assert_back(it)
        assert not it.sim.bad_share("shop", "prod")


@EVERYWHERE
def test_a_release_that_the_alarm_keeps_out_hides_nothing(platform: str) -> None:
    """CodeDeploy stops what comes while the alarm fires; without a rollback of its own it leaves live as it was."""
    with scene(platform, **options(platform, alarms=[ALARM])) as it:
        fails_later(it)
        it.local.alarm(ALARM, tags=it.tags)
        message = it.alarm_message()
        it.sim.advance(5)
        kept_out = it.release(4)
        it.sim.advance(20)
        it.deliver(message)
        head = assert_back(it)
        assert head["suspect_deployment_id"] != kept_out
        assert not it.sim.bad_share("shop", "prod")


@EVERYWHERE
def test_a_rollback_that_answered_an_earlier_breach_is_still_never_rolled_back(platform: str) -> None:
    with scene(platform, **options(platform, **OWN_ALARM)) as it:
        alarm_stops_it(it, platform, later=0)
        it.sim.settle()
        it.local.alarm(ALARM, "OK")
        it.sim.advance(1200)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("SKIPPED", "SUSPECT_IS_ROLLBACK")
        assert it.is_live(2)


@pytest.mark.parametrize("creator", ["user", "autoscaling"])
@pytest.mark.parametrize("platform", ["Server", "Lambda", "ECS"])
def test_people_are_called_where_what_was_blamed_is_deployed_over_the_rollback_at_once(
    platform: str, creator: str
) -> None:
    """By a pipeline that tries again, or for new instances."""
    at_once = {"Lambda": {"versions": 4, "config": "CodeDeployDefault.LambdaAllAtOnce"}}
    at_once["ECS"] = {"config": "CodeDeployDefault.ECSAllAtOnce"}
    with scene(platform, **at_once.get(platform, {})) as it:
        it.good_history(2)
        it.sim.declare_bad(it.release(3, settle=True, rest=120))
        it.alarm_fires()
        it.sim.settle()
        it.release(3, settle=True, rest=1, creator=creator)
        head = it.run_to_end()
        assert it.sim.bad_share(it.application, it.group) == 1
        assert (head["reason_code"], head["needs_human"]) == ("OTHER_DEPLOYMENT", True), head["explanation"]
        assert "which is back" in head["explanation"]
