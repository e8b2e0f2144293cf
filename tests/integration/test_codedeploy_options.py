"""What CodeDeploy takes with each single deployment to servers: a rollback needs it as much as a release does."""

from __future__ import annotations

from typing import Any

import pytest

from scene import Scene, scene
from simulated_aws import github_revision

SUSPENDED = {"autoScalingGroupProcessesToSuspend": ["Terminate", "AZRebalance"]}


def discover(after: str, **more: Any) -> dict[str, Any]:
    """Blue/green to instances that are there; the ones from which traffic moved are kept or terminated."""
    return {
        "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
        "blueGreenDeploymentConfiguration": {
            "greenFleetProvisioningOption": {"action": "DISCOVER_EXISTING"},
            "terminateBlueInstancesOnDeploymentSuccess": {"action": after},
        },
        **more,
    }


def colour(name: str) -> dict[str, Any]:
    return {"targetInstances": {"tagFilters": [{"Key": "colour", "Value": name, "Type": "KEY_AND_VALUE"}]}}


def created(it: Scene) -> dict[str, Any]:
    """What the rollback asked CodeDeploy for."""
    return it.calls("CreateDeployment")[-1]


def released_without_names(it: Scene) -> None:
    """Two releases of which CodeDeploy no longer tells what they named."""
    group = it.sim.engine.group("shop", "prod")
    for digit in "12":
        it.sim.engine.seed_deployment(group, github_revision("acme/shop", digit * 40), it.now())
        it.sim.advance(4200 if digit == "1" else 600)


def rolled_back(it: Scene) -> dict[str, Any]:
    it.alarm_fires()
    head = it.run_to_end()
    assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head["explanation"]
    assert it.is_live(1)
    return head


# --- instances that have to be named ---


def test_the_instances_that_were_kept_with_the_good_revision_are_named() -> None:
    with scene("Server", **discover("KEEP_ALIVE")) as it:
        it.release(1, settle=True, **colour("blue"))
        it.release(2, settle=True, rest=600, **colour("green"))
        rolled_back(it)
        assert created(it)["targetInstances"] == colour("blue")["targetInstances"]


def test_where_they_were_terminated_the_suspects_own_are_named() -> None:
    with scene("Server", **discover("TERMINATE")) as it:
        it.release(1, settle=True, **colour("blue"))
        it.release(2, settle=True, rest=600, **colour("green"))
        rolled_back(it)
        assert created(it)["targetInstances"] == colour("green")["targetInstances"]


@pytest.mark.parametrize(
    "named",
    [
        {"tagFilters": [{"Key": "role", "Value": "web", "Type": "KEY_AND_VALUE"}]},
        {"autoScalingGroups": ["green"]},
        {"ec2TagSet": {"ec2TagSetList": [[{"Key": "role", "Value": "web", "Type": "KEY_AND_VALUE"}]]}},
    ],
)
def test_every_way_to_name_instances_goes_back_as_it_was(named: dict[str, Any]) -> None:
    with scene("Server", **discover("KEEP_ALIVE")) as it:
        for number in (1, 2):
            it.release(number, settle=True, rest=600 if number == 2 else 7200, targetInstances=named)
        rolled_back(it)
        assert created(it)["targetInstances"] == named


def test_a_deployment_that_is_stopped_before_it_moved_needs_the_original_instances_too() -> None:
    """CodeDeploy's own rollback is switched off here, so lastgood deploys itself."""
    with scene("Server", settings={"LASTGOOD_NATIVE_ROLLBACK": "false"}, **discover("KEEP_ALIVE")) as it:
        it.release(1, settle=True, **colour("blue"))
        it.release(2, **colour("green"))
        it.sim.advance(5)
        rolled_back(it)
        assert created(it)["targetInstances"] == colour("blue")["targetInstances"]


def test_at_a_later_visit_they_are_known_as_well() -> None:
    with scene("Server", **discover("TERMINATE")) as it:
        it.release(1, settle=True, **colour("blue"))
        it.release(2, settle=True, rest=600, **colour("green"))
        it.sim.fail_call("CreateDeployment", "DeploymentLimitExceededException", "busy", 4)
        rolled_back(it)
        assert created(it)["targetInstances"] == colour("green")["targetInstances"]


def test_instances_that_nobody_ever_named_are_asked_for_in_words() -> None:
    """Names that a person gave in the console long ago, for deployments that are no longer listed."""
    with scene("Server", **discover("KEEP_ALIVE")) as it:
        released_without_names(it)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("FAILED", "REDEPLOY_REFUSED"), head["explanation"]
        assert "--target-instances" in head["explanation"] and it.calls("CreateDeployment") == []


def test_without_named_instances_the_groups_own_tags_name_them() -> None:
    tags = [{"Key": "role", "Value": "web", "Type": "KEY_AND_VALUE"}]
    with scene("Server", **discover("KEEP_ALIVE", ec2TagFilters=tags, autoScalingGroups=["web"])) as it:
        released_without_names(it)
        it.alarm_fires()
        it.run_to_end()
        assert created(it)["targetInstances"] == {"tagFilters": tags, "autoScalingGroups": ["web"]}


# --- other options ---


@pytest.mark.parametrize("had", [(1, 2), (1,), (2,)])
def test_auto_scaling_processes_that_a_release_suspends_are_suspended_for_the_rollback(had: tuple[int, ...]) -> None:
    with scene("Server", autoScalingGroups=["web"]) as it:
        for number in (1, 2):
            options = {"ec2DeploymentOptions": SUSPENDED} if number in had else {}
            it.release(number, settle=True, rest=600 if number == 2 else 7200, **options)
        rolled_back(it)
        assert created(it)["ec2DeploymentOptions"] == SUSPENDED


def test_what_only_a_release_wants_is_not_taken_over() -> None:
    """A rollback goes to all instances, overwrites what a half-done release left, and is undone by nobody."""
    events = {"enabled": True, "events": ["DEPLOYMENT_FAILURE"]}
    with scene("Server") as it:
        for number in (1, 2):
            it.release(number, settle=True, rest=600 if number == 2 else 7200, fileExistsBehavior="RETAIN",
                       autoRollbackConfiguration=events)  # fmt: skip
        rolled_back(it)
        asked = created(it)
        assert "updateOutdatedInstancesOnly" not in asked and "targetInstances" not in asked
        assert (asked["fileExistsBehavior"], asked["autoRollbackConfiguration"]) == ("OVERWRITE", {"enabled": False})


@pytest.mark.parametrize("platform", ["Lambda", "ECS"])
def test_options_of_servers_are_never_sent_elsewhere(platform: str) -> None:
    """CodeDeploy refuses them there."""
    with scene(platform) as it:
        it.good_history(2)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK" and it.is_live(2)
        unfit = {"fileExistsBehavior", "targetInstances", "ec2DeploymentOptions", "ignoreApplicationStopFailures"}
        assert not unfit & set(created(it))


def test_on_premises_instances_go_back_like_others() -> None:
    tags = [{"Key": "rack", "Value": "7", "Type": "KEY_AND_VALUE"}]
    with scene("Server", onPremisesInstanceTagFilters=tags) as it:
        it.good_history(1)
        it.release(2, settle=True, rest=600)
        rolled_back(it)


# --- to outdated instances alone ---

OUTDATED = {"updateOutdatedInstancesOnly": True}


def test_a_new_revision_for_outdated_instances_alone_reaches_all_of_them_and_is_blamed() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        bad = it.release(3, settle=True, rest=120, **OUTDATED)
        it.sim.declare_bad(bad)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["suspect_deployment_id"]) == ("ROLLED_BACK", bad), head["explanation"]
        assert it.is_live(2) and it.sim.bad_share("shop", "prod") == 0


def test_what_was_live_is_not_skipped_because_it_went_to_outdated_instances_alone() -> None:
    with scene("Server") as it:
        it.good_history(1)
        good = it.release(2, settle=True, **OUTDATED)
        it.release(3, settle=True, rest=120)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["good_deployment_id"]) == ("ROLLED_BACK", good), head["explanation"]
        assert it.is_live(2)


@pytest.mark.parametrize("by", ["user", "CodeDeployAutoUpdate"])
def test_instances_that_only_catch_up_with_the_suspect_are_no_release(by: str) -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        bad = it.release(3, settle=True, rest=60)
        it.release(3, settle=True, rest=60, creator=by, **OUTDATED)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["suspect_deployment_id"]) == ("ROLLED_BACK", bad), head["explanation"]
        assert it.is_live(2)
