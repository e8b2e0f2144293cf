"""A name is not what is under it: releases under one key or branch, overwritten AppSpecs, several functions in a group.

The judge is what really serves in the simulated AWS, and whether people were called.
"""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from scene import Scene, scene
from simulated_aws import revisions

BUNDLE = revisions.s3_revision("artifacts", "app/latest.zip")
BRANCH = revisions.github_revision("acme/shop", "main")


def bucket(versioned: bool = False) -> Any:
    """The bucket `artifacts`, empty."""
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="artifacts")
    if versioned:
        s3.put_bucket_versioning(Bucket="artifacts", VersioningConfiguration={"Status": "Enabled"})
    return s3


def deploy(it: Scene, revision: dict[str, Any], *, settle: bool = True, rest: float = 7200) -> str:
    made = it.sim.release(it.application, it.group, revision, settle=settle)
    it.sim.advance(rest)
    return made


def upload_and_deploy(it: Scene, s3: Any, text: str, *, rest: float = 7200) -> str:
    s3.put_object(Bucket="artifacts", Key="app/latest.zip", Body=text.encode())
    it.sim.advance(5)
    return deploy(it, BUNDLE, rest=rest)


def calls_people(it: Scene) -> dict[str, Any]:
    """The rollback's end, in which nothing went back and people were called."""
    head = it.run_to_end()
    assert (head["outcome"], head["reason_code"]) == ("BLOCKED", "NO_GOOD_REVISION"), head["explanation"]
    assert head["needs_human"] is True
    assert not it.calls("CreateDeployment")[3:]
    return head


@pytest.mark.parametrize("revision", [BUNDLE, BRANCH], ids=["key", "branch"])
def test_the_newest_release_under_one_name_is_blamed_and_nothing_is_called_good_that_nobody_can_tell(
    revision: dict[str, Any],
) -> None:
    with scene("Server") as it:
        deploy(it, revision)
        deploy(it, revision)
        bad = deploy(it, revision, rest=90)
        it.alarm_fires()
        head = calls_people(it)
        assert head["suspect_deployment_id"] == bad
        assert "CONTENT_UNKNOWN" in {c.get("rejection") for c in head["candidates"]}


def test_one_commit_written_in_capitals_is_the_same_commit() -> None:
    with scene("Server") as it:
        deploy(it, revisions.github_revision("acme/shop", "a" * 40), rest=86_400)
        deploy(it, revisions.github_revision("acme/shop", "A" * 40), rest=90)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("SKIPPED", "NOT_ATTRIBUTABLE"), head["explanation"]


def test_a_release_of_a_branch_that_still_runs_is_stopped_though_nothing_can_go_back() -> None:
    with scene("Server") as it:
        deploy(it, BRANCH)
        bad = deploy(it, BRANCH, settle=False, rest=15)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["suspect_deployment_id"]) == ("BLOCKED", bad), head["explanation"]
        assert it.sim.deployment(bad)["status"] == "Stopped"


def test_nothing_goes_back_past_a_release_that_nobody_can_tell() -> None:
    """A bundle of its own long ago, then one key again and again."""
    with scene("Server") as it:
        it.release(1, settle=True)
        deploy(it, BUNDLE)
        newest = deploy(it, BUNDLE, rest=90)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["suspect_deployment_id"] == newest
        assert head["outcome"] == "BLOCKED", head["explanation"]


def test_the_object_version_that_was_current_then_goes_back() -> None:
    """The bucket keeps versions: which of them the good deployment fetched is known, and is named."""
    with scene("Server") as it:
        s3 = bucket(versioned=True)
        good = upload_and_deploy(it, s3, "good")
        wanted = s3.head_object(Bucket="artifacts", Key="app/latest.zip")["VersionId"]
        upload_and_deploy(it, s3, "bad", rest=90)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["good_deployment_id"]) == ("ROLLED_BACK", good), head["explanation"]
        (made,) = it.calls("CreateDeployment")[-1:]
        assert made["revision"]["s3Location"]["version"] == wanted
        assert head["reason_code"] == "VERIFIED"


def test_without_versions_an_overwritten_bundle_does_not_go_back() -> None:
    with scene("Server") as it:
        s3 = bucket()
        upload_and_deploy(it, s3, "good")
        bad = upload_and_deploy(it, s3, "bad", rest=90)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["suspect_deployment_id"]) == ("BLOCKED", bad), head["explanation"]
        assert "overwritten" in head["explanation"]


def test_a_bundle_that_was_never_overwritten_goes_back_pinned_by_its_etag() -> None:
    """So that what is overwritten between the look and the redeployment fails there, loudly."""
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=90)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head["explanation"]
        assert it.is_live(2)
        assert it.calls("CreateDeployment")[-1]["revision"]["s3Location"]["eTag"]


def test_a_key_that_was_deleted_still_has_the_version_that_served() -> None:
    with scene("Server") as it:
        s3 = bucket(versioned=True)
        good = upload_and_deploy(it, s3, "good")
        serves = it.sim.serving(it.application, it.group)
        upload_and_deploy(it, s3, "bad", rest=90)
        s3.delete_object(Bucket="artifacts", Key="app/latest.zip")
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["good_deployment_id"]) == ("ROLLED_BACK", good), head["explanation"]
        assert it.sim.serving(it.application, it.group) == serves


@pytest.mark.parametrize("lost", ["the version", "the key", "the content"])
@pytest.mark.parametrize("settle", [False, True], ids=["active", "succeeded"])
def test_a_bundle_named_exactly_that_is_gone_is_passed_over_before_anything_is_touched(lost: str, settle: bool) -> None:
    """Named by its version or its ETag: S3 is asked whether it is still there."""
    with scene("Server", settings={"LASTGOOD_CHECK_BUNDLES": "present"}) as it:
        s3, made = bucket(versioned=lost == "the version"), []
        for number in (1, 2, 3):
            put = s3.put_object(Bucket="artifacts", Key=f"{number}.zip", Body=f"v{number}".encode())
            it.sim.advance(5)
            place = {"bucket": "artifacts", "key": f"{number}.zip", "bundleType": "zip"}
            place |= {"version": put["VersionId"]} if lost == "the version" else {"eTag": put["ETag"].strip('"')}
            wanted = {"revisionType": "S3", "s3Location": place}
            made.append(deploy(it, wanted, settle=settle or number < 3, rest=7200 if number < 3 else 15))
        match lost:
            case "the version":
                version = s3.head_object(Bucket="artifacts", Key="2.zip")["VersionId"]
                s3.delete_object(Bucket="artifacts", Key="2.zip", VersionId=version)
            case "the key":
                s3.delete_object(Bucket="artifacts", Key="2.zip")
            case _:
                s3.put_object(Bucket="artifacts", Key="2.zip", Body=b"a later build")
        it.sim.declare_bad(made[2])
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["good_deployment_id"]) == ("ROLLED_BACK", made[0]), head["explanation"]
        assert it.sim.bad_share(it.application, it.group) == 0
        assert "NOT_DEPLOYABLE" in {c.get("rejection") for c in head["candidates"]}


def test_the_suspects_bundle_under_another_key_is_no_good_revision() -> None:
    """The same bytes were deployed as `b.zip` twenty minutes ago: going back to that would change nothing."""
    with scene("Server") as it:
        s3 = bucket()

        def release(key: str, text: str, rest: float) -> str:
            s3.put_object(Bucket="artifacts", Key=key, Body=text.encode())
            it.sim.advance(5)
            return deploy(it, revisions.s3_revision("artifacts", key), rest=rest)

        good = release("a.zip", "good", 7200)
        serves = it.sim.serving(it.application, it.group)
        release("b.zip", "bad", 1200)
        release("c.zip", "bad", 90)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["good_deployment_id"]) == ("ROLLED_BACK", good), head["explanation"]
        assert it.sim.serving(it.application, it.group) == serves


def appspec(it: Scene, version: int) -> bytes:
    return revisions.lambda_appspec("checkout", "live", "1", str(version))["appSpecContent"]["content"].encode()


def test_what_lies_under_an_appspecs_key_today_is_not_what_an_old_deployment_deployed() -> None:
    """Going back by that key would go forward, to a version that nobody ever deployed.

    What was live before the suspect its own AppSpec names, and people hear that nothing else tells it.
    """
    with scene("Lambda", versions=5) as it:
        s3 = bucket()
        release_appspec(it, s3, "a.json", 2, 7200)
        bad = release_appspec(it, s3, "b.json", 3, 60)
        s3.put_object(Bucket="artifacts", Key="a.json", Body=appspec(it, 4))
        it.sim.advance(30)
        it.alarm_fires()
        named_by_the_suspect(it, bad)


def release_appspec(it: Scene, s3: Any, key: str, version: int, rest: float, *, settle: bool = True) -> str:
    """A release of the function's version by an AppSpec that is uploaded for it."""
    world = it.sim.engine.lambda_world
    (function,) = world.functions
    spec = revisions.lambda_appspec(function, "live", world.alias(function, "live").version, str(version))
    s3.put_object(Bucket="artifacts", Key=key, Body=spec["appSpecContent"]["content"].encode())
    it.sim.advance(5)
    place = {"bucket": "artifacts", "key": key, "bundleType": "JSON"}
    return deploy(it, {"revisionType": "S3", "s3Location": place}, settle=settle, rest=rest)


def named_by_the_suspect(it: Scene, bad: str) -> dict[str, Any]:
    """Version 2 went back, by the AppSpec of the suspect, and people were called."""
    head = it.run_to_end()
    assert (head["outcome"], head["suspect_deployment_id"]) == ("ROLLED_BACK", bad), head["explanation"]
    assert it.sim.live(it.application, it.group).shares == {"2": 1.0}
    assert head["needs_human"] is True and f"{bad} names what was live before it" in head["explanation"]
    return head


@pytest.mark.parametrize("settle", [False, True], ids=["active", "succeeded"])
def test_one_key_for_every_appspec_leads_to_what_the_suspect_found_live(settle: bool) -> None:
    """CodeDeploy's own rollback would read the key again, and find the suspect's version there."""
    with scene("Lambda", versions=5) as it:
        s3 = bucket()
        release_appspec(it, s3, "appspec.json", 2, 7200)
        bad = release_appspec(it, s3, "appspec.json", 3, 90, settle=settle)
        it.alarm_fires()
        named_by_the_suspect(it, bad)


@pytest.mark.parametrize(("setting", "asked"), [("false", False), ("present", True), ("true", True)])
def test_s3_is_asked_about_bundles_named_exactly_as_the_setting_says(setting: str, asked: bool) -> None:
    with scene("Server", settings={"LASTGOOD_CHECK_BUNDLES": setting}) as it:
        s3, reads = bucket(), []
        for number in (1, 2):
            put = s3.put_object(Bucket="artifacts", Key=f"{number}.zip", Body=f"v{number}".encode())
            place = {"bucket": "artifacts", "key": f"{number}.zip", "bundleType": "zip", "eTag": put["ETag"].strip('"')}
            it.sim.advance(5)
            deploy(it, {"revisionType": "S3", "s3Location": place}, rest=7200 if number == 1 else 15)
        asks = it.local.application._parts.readiness._clients.s3.meta.events
        asks.register("before-call.s3.HeadObject", lambda params, **_: reads.append(params["url_path"]))
        it.alarm_fires()
        assert bool(reads) is asked
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"


@pytest.mark.parametrize("settle", [False, True], ids=["active", "succeeded"])
def test_the_version_of_an_appspec_that_was_current_then_is_read_where_the_bucket_keeps_it(settle: bool) -> None:
    """CodeDeploy's own rollback would read the key as it is now, so it is not asked for one."""
    with scene("Lambda", versions=5) as it:
        s3 = bucket(versioned=True)
        good = release_appspec(it, s3, "appspec.json", 2, 7200)
        bad = release_appspec(it, s3, "appspec.json", 3, 90, settle=settle)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head["explanation"]
        assert (head["suspect_deployment_id"], head["good_deployment_id"]) == (bad, good)
        assert it.sim.live(it.application, it.group).shares == {"2": 1.0} and not head["needs_human"]
        assert not any(call["autoRollbackEnabled"] for call in it.calls("StopDeployment"))


def test_a_version_of_an_appspec_that_came_while_it_may_have_been_read_settles_nothing() -> None:
    with scene("Lambda", versions=5, config="CodeDeployDefault.LambdaAllAtOnce") as it:
        s3 = bucket(versioned=True)
        release_appspec(it, s3, "appspec.json", 2, 60)
        s3.put_object(Bucket="artifacts", Key="appspec.json", Body=appspec(it, 4))
        it.sim.advance(7200)
        bad = release_appspec(it, s3, "appspec.json", 3, 90)
        it.alarm_fires()
        named_by_the_suspect(it, bad)


def test_a_suspect_whose_own_appspec_was_written_over_names_nothing() -> None:
    """Its key holds the next release's AppSpec, which names the suspect itself as what was live before."""
    with scene("Lambda", versions=5, config="CodeDeployDefault.LambdaAllAtOnce") as it:
        s3 = bucket()
        release_appspec(it, s3, "appspec.json", 2, 7200)
        bad = [release_appspec(it, s3, "appspec.json", version, 40) for version in (3, 4)]
        it.alarm_fires()
        head = calls_people(it)
        assert head["suspect_deployment_id"] == bad[1]
        assert it.sim.live(it.application, it.group).shares == {"4": 1.0}


def test_what_the_suspect_names_is_not_put_back_below_a_floor() -> None:
    with scene("Lambda", versions=5) as it:
        s3 = bucket()
        release_appspec(it, s3, "appspec.json", 2, 7200)
        bad = release_appspec(it, s3, "appspec.json", 3, 90)
        floor = {"application": it.application, "deployment_group": it.group, "deployment_id": bad}
        it.deliver({"action": "set_floor", **floor, "requested_by": "ann", "reason": "the schema changed"})
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("BLOCKED", "BELOW_FLOOR"), head["explanation"]
        assert it.sim.live(it.application, it.group).shares == {"3": 1.0}


def test_a_version_that_served_for_minutes_before_a_suspect_that_names_it_is_not_proven() -> None:
    with scene("Lambda", versions=5) as it:
        s3 = bucket()
        release_appspec(it, s3, "appspec.json", 2, 300)
        bad = release_appspec(it, s3, "appspec.json", 3, 60)
        it.alarm_fires(breached=[it.now().replace(second=0, microsecond=0)])
        named_by_the_suspect(it, bad)
        assert "is not proven" in it.head["explanation"]


def two_functions(it: Scene) -> Any:
    world = it.sim.engine.lambda_world
    world.create_function("cart", 6)
    world.create_alias("cart", "live", "1")
    return world


def release_function(it: Scene, world: Any, function: str, version: int, rest: float) -> str:
    current = world.alias(function, "live").version
    return deploy(it, revisions.lambda_appspec(function, "live", current, str(version)), rest=rest)


def test_only_the_suspects_own_function_goes_back_in_a_group_of_several() -> None:
    with scene("Lambda", versions=6) as it:
        world = two_functions(it)
        (shop,) = set(world.functions) - {"cart"}
        good = release_function(it, world, shop, 2, 86_400)
        release_function(it, world, "cart", 2, 86_400)
        bad = release_function(it, world, shop, 3, 90)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["suspect_deployment_id"], head["good_deployment_id"]) == (bad, good), head["explanation"]
        assert (world.alias(shop, "live").version, world.alias("cart", "live").version) == ("2", "2")


@pytest.mark.parametrize("settle", [False, True], ids=["active", "succeeded"])
def test_the_version_before_a_functions_first_deployment_goes_back_in_a_group_of_several(settle: bool) -> None:
    """The group has a history, of another function."""
    with scene("Lambda", versions=6) as it:
        world = two_functions(it)
        (shop,) = set(world.functions) - {"cart"}
        release_function(it, world, shop, 2, 86_400)
        bad = deploy(it, revisions.lambda_appspec("cart", "live", "1", "2"), settle=settle, rest=60)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["suspect_deployment_id"]) == ("ROLLED_BACK", bad), head["explanation"]
        cart = world.alias("cart", "live")
        assert (cart.version, cart.weights, world.alias(shop, "live").version) == ("1", {}, "2")


def test_two_functions_that_were_released_at_once_cannot_be_told_apart() -> None:
    with scene("Lambda", versions=6, config="CodeDeployDefault.LambdaAllAtOnce") as it:
        world = two_functions(it)
        (shop,) = set(world.functions) - {"cart"}
        for function in (shop, "cart"):
            release_function(it, world, function, 2, 86_400)
        for function in (shop, "cart"):
            release_function(it, world, function, 3, 20)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["outcome"] in {"SKIPPED", "BLOCKED"} and head["needs_human"] is True, head["explanation"]
        assert (world.alias(shop, "live").version, world.alias("cart", "live").version) == ("3", "3")


@pytest.mark.parametrize("settle", [False, True], ids=["active", "succeeded"])
def test_the_version_before_the_first_deployment_goes_back(settle: bool) -> None:
    """CodeDeploy never deployed it; the suspect's own AppSpec names it."""
    with scene("Lambda", versions=6, current=5) as it:
        it.release(6, settle=settle, rest=60)
        if not settle:
            it.sim.advance(60)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["outcome"] == "ROLLED_BACK", head["explanation"]
        assert it.sim.live(it.application, it.group).shares == {"5": 1.0}


@pytest.mark.parametrize("settle", [False, True], ids=["active", "succeeded"])
def test_a_version_that_somebody_set_by_hand_and_that_served_since_is_what_goes_back(settle: bool) -> None:
    """No deployment made it live; the suspect's AppSpec names it, and CodeDeploy checked that."""
    with scene("Lambda", versions=6) as it:
        world = it.sim.engine.lambda_world
        (function,) = world.functions
        it.good_history(2, 3)
        world.point(function, "live", "5")
        it.sim.advance(3 * 86_400)
        bad = it.release(6, settle=settle, rest=60)
        it.sim.advance(0 if settle else 60)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["suspect_deployment_id"]) == ("ROLLED_BACK", bad), head["explanation"]
        assert it.sim.live(it.application, it.group).shares == {"5": 1.0}
        assert head["needs_human"] is True and "somebody set it by hand" in head["explanation"]


def test_what_a_deployment_left_live_that_failed_is_not_put_back_though_the_next_one_names_it() -> None:
    """Its last hook failed when all traffic had moved, and nothing rolled it back."""
    with scene("Lambda", versions=6, config="CodeDeployDefault.LambdaAllAtOnce") as it:
        it.good_history(2)
        it.sim.fail_next(after_seconds=3)
        it.release(3)
        it.sim.settle()
        it.sim.engine.lambda_world.point("shop", "live", "3")
        it.sim.advance(7200)
        it.release(4, settle=True, rest=60)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK", it.head["explanation"]
        assert it.sim.live(it.application, it.group).shares == {"2": 1.0}


def test_an_alias_that_stood_at_no_published_version_is_not_put_back_there() -> None:
    """`$LATEST` is what was uploaded last: the suspect's own code, as a rule."""
    with scene("Lambda", versions=6) as it:
        world = it.sim.engine.lambda_world
        (function,) = world.functions
        world.point(function, "live", "$LATEST")
        bad = deploy(it, revisions.lambda_appspec(function, "live", "$LATEST", "2"), rest=60)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["suspect_deployment_id"]) == ("BLOCKED", bad), head["explanation"]
        assert head["needs_human"] is True and "Publish versions" in head["explanation"]
        assert not it.calls("CreateDeployment")[1:]


def test_the_suspects_code_under_another_version_number_is_no_good_revision() -> None:
    """Version 3 was published again as 4: going back from 4 to 3 would change nothing."""
    with scene("Lambda", versions=3) as it:
        world = it.sim.engine.lambda_world
        (function,) = world.functions
        good = it.release(2, settle=True)
        it.release(3, settle=True, rest=600)
        same = it.sim.publish_version(function, code=world.function(function).versions["3"].code)
        it.release(int(same), settle=True, rest=60)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["good_deployment_id"] == good, head["explanation"]
        assert head["outcome"] == "ROLLED_BACK"
        assert world.alias(function, "live").version == "2"


FLOW = (
    "version: 0.0\nResources: [{fn: {Type: 'AWS::Lambda::Function', Properties: {Name: %s, Alias: live, "
    "CurrentVersion: '%s', TargetVersion: '%s'}}}]  # one line\n"
)


def deploy_text(it: Scene, text: str, **more: Any) -> str:
    return deploy(it, {"revisionType": "AppSpecContent", "appSpecContent": {"content": text}}, **more)


@pytest.mark.parametrize("settle", [False, True], ids=["active", "succeeded"])
def test_an_appspec_in_flow_style_is_read_stopped_and_put_back(settle: bool) -> None:
    with scene("Lambda", versions=4) as it:
        (function,) = it.sim.engine.lambda_world.functions
        deploy_text(it, FLOW % (function, 1, 2))
        bad = deploy_text(it, FLOW % (function, 2, 3), settle=settle, rest=90)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["suspect_deployment_id"]) == ("ROLLED_BACK", bad), head["explanation"]
        assert it.sim.live(it.application, it.group).shares == {"2": 1.0}


def test_an_appspec_that_cannot_be_parsed_is_called_that_and_not_missing() -> None:
    with scene("Lambda", versions=4) as it:
        (function,) = it.sim.engine.lambda_world.functions
        deploy_text(it, (FLOW % (function, 1, 2)).replace("Name: ", "? Name : "))
        bad = deploy_text(it, FLOW % (function, 2, 3), rest=90)
        it.alarm_fires()
        head = named_by_the_suspect(it, bad)
        assert "lastgood cannot parse this AppSpec" in head["explanation"]
        assert "no longer" not in head["explanation"]
