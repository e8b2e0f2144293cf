"""What images ECS under CodeDeploy really runs: tags that move, tasks' digests, and what is called proven.

The judge is which content serves in the simulated AWS.
"""

from __future__ import annotations

import boto3
import pytest

from lastgood.errors import RetryableError
from scene import Scene, scene
from simulated_aws import revisions

SHOP = "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop"


def define(it: Scene, image: str, memory: int = 512) -> int:
    """Register the next revision of `web`. Returns its number."""
    box = {"name": "app", "image": image, "essential": True, "memory": memory, "portMappings": [{"containerPort": 80}]}
    return int(it.sim.register_task_definition("web", containerDefinitions=[box]).rpartition(":")[2])


def release_pushed(it: Scene, tag: str, content: str, memory: int = 512, **more: object) -> str:
    """A pipeline's release: push the image, register a definition, deploy it."""
    it.sim.push_image(f"{SHOP}:{tag}", content)
    return it.release(define(it, f"{SHOP}:{tag}", memory), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("tag", ["latest", "v1"], ids=["moves by its name", "names a release, and is used again"])
def test_two_definitions_with_one_tag_are_never_called_verified_while_nobody_knows_the_image(tag: str) -> None:
    """The tag brings the suspect's image under the good definition's name."""
    with scene("ECS") as it:
        release_pushed(it, tag, "good", memory=256, settle=True, rest=86_400)
        bad = release_pushed(it, tag, "bad", memory=512, settle=True, rest=120)
        it.sim.declare_bad(bad)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["suspect_deployment_id"] == bad
        assert head["reason_code"] != "VERIFIED", head["explanation"]
        assert head["needs_human"] is True


def test_one_moving_image_beside_the_code_is_told_as_that() -> None:
    """The code goes back; what the sidecar's tag brings nobody knows."""
    with scene("ECS") as it:
        it.sim.push_image(f"{SHOP}-proxy:latest", "proxy")

        def define_two(tag: str) -> int:
            it.sim.push_image(f"{SHOP}:{tag}", tag)
            app = {"name": "app", "image": f"{SHOP}:{tag}", "essential": True, "portMappings": [{"containerPort": 80}]}
            side = {"name": "side", "image": f"{SHOP}-proxy:latest"}
            boxes = [{**box, "memory": 128} for box in (app, side)]
            return int(it.sim.register_task_definition("web", containerDefinitions=boxes).rpartition(":")[2])

        it.release(define_two("v7"), settle=True)
        serves = it.sim.serving(it.application, it.group)
        it.release(define_two("v8"), settle=True, rest=60)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["needs_human"]) == ("ROLLED_BACK", True), head["explanation"]
        assert it.sim.serving(it.application, it.group) == serves
        assert "proxy:latest is named by both" in head["explanation"]
        assert "own images" not in head["explanation"]


@pytest.mark.parametrize("active", [True, False], ids=["active", "succeeded"])
def test_a_family_of_definitions_without_a_number_may_be_any_of_them(active: bool) -> None:
    """Each release registers the next definition and deploys the family."""
    with scene("ECS", task_definitions=2) as it:
        it.sim.release("shop", "prod", revisions.ecs_appspec("web"), settle=True)
        it.sim.advance(7200)
        it.sim.register_task_definition("web")
        bad = it.sim.release("shop", "prod", revisions.ecs_appspec("web"), settle=not active)
        it.sim.advance(90)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["suspect_deployment_id"] == bad, head["explanation"]
        assert head["reason_code"] != "VERIFIED" and head["needs_human"] is True


def released_by_one_key(it: Scene, *, versioned: bool = False, settle: bool = True) -> tuple[str, str]:
    """Two releases by one key, which the second overwrites. Returns their ids; the second is bad."""
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="artifacts")
    if versioned:
        s3.put_bucket_versioning(Bucket="artifacts", VersioningConfiguration={"Status": "Enabled"})
    place, made = {"bucket": "artifacts", "key": "appspec.json", "bundleType": "JSON"}, []
    for number in (2, 3):
        arn = it.sim.engine.ecs_world.arn(f"task-definition/web:{number}")
        text = revisions.ecs_appspec(arn)["appSpecContent"]["content"]
        s3.put_object(Bucket="artifacts", Key="appspec.json", Body=text.encode())
        it.sim.advance(5)
        wanted = {"revisionType": "S3", "s3Location": place}
        made.append(it.sim.release("shop", "prod", wanted, settle=settle or number == 2))
        it.sim.advance(7200 if number == 2 else 90)
    it.sim.declare_bad(made[1])
    return made[0], made[1]


def test_one_key_for_every_appspec_goes_back_to_the_task_set_that_is_still_there() -> None:
    """Nobody can read what was deployed before; the original tasks say which definition that was, and people look."""
    with scene("ECS") as it:
        _, bad = released_by_one_key(it, settle=False)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head["explanation"]
        assert head["suspect_deployment_id"] == bad and head["needs_human"] is True
        assert it.is_live(2) and it.sim.bad_share("shop", "prod") == 0


def test_one_key_for_every_appspec_leaves_nothing_to_go_back_to_once_the_tasks_are_gone() -> None:
    with scene("ECS") as it:
        _, bad = released_by_one_key(it)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("BLOCKED", "NO_GOOD_REVISION"), head["explanation"]
        assert head["suspect_deployment_id"] == bad and head["needs_human"] is True
        assert "written over later" in head["explanation"]


@pytest.mark.parametrize("settle", [False, True], ids=["active", "succeeded"])
def test_the_version_of_an_appspec_that_was_current_then_is_read_where_the_bucket_keeps_it(settle: bool) -> None:
    with scene("ECS") as it:
        good, bad = released_by_one_key(it, versioned=True, settle=settle)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head["explanation"]
        assert (head["suspect_deployment_id"], head["good_deployment_id"]) == (bad, good)
        assert it.is_live(2) and it.sim.bad_share("shop", "prod") == 0


def fires(it: Scene, *, later: bool) -> None:
    """The alarm's message comes; where the redeployment is throttled, a later visit begins it."""
    if not later:
        it.alarm_fires()
        return
    it.sim.throttle("CreateDeployment", 20)
    with pytest.raises(RetryableError):
        it.alarm_fires()
    it.sim.faults.clear()
    it.rollback_id = it.lock()


@pytest.mark.parametrize("why", ["pushed again", "deleted"])
def test_a_releases_tag_that_means_another_image_by_now_is_not_deployed_under_the_good_ones_name(why: str) -> None:
    """The task set that ran it is gone, and nothing recorded its digest; the registry knows when it was pushed."""
    with scene("ECS") as it:
        older = release_pushed(it, "v0", "older", settle=True)
        serves = it.sim.serving("shop", "prod")
        good = release_pushed(it, "v1", "good", settle=True)
        release_pushed(it, "v2", "bad", settle=True, rest=90)
        if why == "deleted":
            it.sim.delete_image(f"{SHOP}:v1")
        else:
            it.sim.push_image(f"{SHOP}:v1", "something else")
        fires(it, later=True)
        head = it.run_to_end()
        assert (head["outcome"], head["good_deployment_id"]) == ("ROLLED_BACK", older), head["explanation"]
        assert it.sim.serving("shop", "prod") == serves
        (passed_over,) = [c for c in head["candidates"] if c["deployment_id"] == good]
        assert passed_over["rejection"] == "NOT_DEPLOYABLE" and f"{SHOP}:v1" in passed_over["explanation"]


@pytest.mark.parametrize("later", [False, True], ids=["at once", "at a later visit"])
def test_a_tag_that_was_pushed_again_goes_back_by_the_digest_in_the_notebook(later: bool) -> None:
    with scene("ECS") as it:
        it.connect_events()
        good = release_pushed(it, "v1", "good", settle=True)
        serves = it.sim.serving("shop", "prod")
        release_pushed(it, "v2", "bad", settle=True, rest=90)
        it.sim.push_image(f"{SHOP}:v1", "something else")
        fires(it, later=later)
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head["explanation"]
        assert head["good_deployment_id"] == good and head["needs_human"] is True
        assert it.sim.serving("shop", "prod") == serves


NOT_NATIVE = {"LASTGOOD_NATIVE_ROLLBACK": "false"}


@pytest.mark.parametrize("why", ["pushed again", "deleted"])
def test_for_a_release_that_still_runs_the_good_ones_tag_is_asked_for_before_it_is_chosen(why: str) -> None:
    with scene("ECS", settings=NOT_NATIVE) as it:
        older = release_pushed(it, "v0", "older", settle=True)
        serves = it.sim.serving("shop", "prod")
        release_pushed(it, "v1", "good", settle=True)
        it.sim.declare_bad(release_pushed(it, "v2", "bad"))
        it.sim.advance(90)
        if why == "deleted":
            it.sim.delete_image(f"{SHOP}:v1")
        else:
            it.sim.push_image(f"{SHOP}:v1", "something else")
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["good_deployment_id"]) == ("ROLLED_BACK", older), head["explanation"]
        assert it.sim.serving("shop", "prod") == serves


def test_where_codedeploy_moves_the_traffic_back_no_tag_is_asked_for() -> None:
    """The tasks of the good one still run, whatever its tag means by now."""
    with scene("ECS") as it:
        good = release_pushed(it, "v1", "good", settle=True)
        serves = it.sim.serving("shop", "prod")
        release_pushed(it, "v2", "bad")
        it.sim.advance(90)
        it.sim.push_image(f"{SHOP}:v1", "something else")
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["good_deployment_id"]) == ("ROLLED_BACK", good), head["explanation"]
        assert it.sim.serving("shop", "prod") == serves and not it.calls("DescribeImages")


def test_a_release_that_still_runs_is_stopped_though_the_only_good_ones_tag_means_something_else() -> None:
    with scene("ECS", settings=NOT_NATIVE) as it:
        release_pushed(it, "v1", "good", settle=True)
        bad = release_pushed(it, "v2", "bad")
        it.sim.advance(90)
        it.sim.push_image(f"{SHOP}:v1", "something else")
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("BLOCKED", "NO_GOOD_REVISION"), head["explanation"]
        assert head["needs_human"] is True and f"{SHOP}:v1" in head["explanation"]
        assert it.sim.deployment(bad)["status"] == "Stopped" and not it.calls("CreateDeployment")


def test_where_the_registry_may_not_be_read_a_releases_tag_is_taken_at_its_word() -> None:
    with scene("ECS") as it:
        release_pushed(it, "v1", "good", settle=True)
        serves = it.sim.serving("shop", "prod")
        release_pushed(it, "v2", "bad", settle=True, rest=90)
        it.sim.fail_call("DescribeImages", "AccessDeniedException", "no", count=99)
        it.alarm_fires()
        assert it.run_to_end()["reason_code"] == "VERIFIED", it.head["explanation"]
        assert it.sim.serving("shop", "prod") == serves
