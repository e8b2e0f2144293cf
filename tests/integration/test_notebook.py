"""The notebook of releases: what each one contained is noted when it has ended, and helps where AWS forgets.

The judge is which content serves in the simulated AWS, and whether people were called.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import boto3
import pytest

from lastgood.clients import call
from lastgood.errors import RefusedError
from scene import PLATFORMS, Scene, scene, service_scene
from stage.local import TABLE

SHOP = "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop"
DEFAULT = {"LASTGOOD_DEFAULT_APPLICATION": "shop", "LASTGOOD_DEFAULT_DEPLOYMENT_GROUP": "prod"}


def notes(it: Scene) -> list[dict[str, Any]]:
    """The notes of the scene's group, oldest first."""
    return sorted((i for i in it.local.items() if i["sk"].startswith("RELEASE#")), key=lambda item: item["sk"])


def define(it: Scene, memory: int = 512) -> int:
    """Register the next revision of `web`, with an image under `latest`. Returns its number."""
    box = {
        "name": "app",
        "image": f"{SHOP}:latest",
        "essential": True,
        "memory": memory,
        "portMappings": [{"containerPort": 80}],
    }
    return int(it.sim.register_task_definition("web", containerDefinitions=[box]).rpartition(":")[2])


def latest_twice(it: Scene, *, again: bool = False) -> tuple[str, str]:
    """A good image and then a bad one under `latest`, in one definition or in two. Returns both deployments."""
    number = define(it, 256)
    it.sim.push_image(f"{SHOP}:latest", "good")
    good = it.release(number, settle=True, rest=86_400)
    it.sim.push_image(f"{SHOP}:latest", "bad")
    bad = it.release(number if again else define(it, 512), settle=True, rest=120)
    it.sim.declare_bad(bad)
    return good, bad


@pytest.mark.parametrize("platform", PLATFORMS)
def test_each_release_is_noted_once_with_what_it_contained_and_when_it_served(platform: str) -> None:
    with scene(platform) as it:
        it.connect_events()
        first, second = it.good_history(2, 3)
        for event in it.sim.read_events():
            it.local.handle(event)
        one, two = notes(it)
        assert (one["deployment_id"], two["deployment_id"]) == (first, second)
        assert one["content"] and two["content"] and one["content"] != two["content"]
        assert (one["replaced_by"], two["replaced"]) == (second, first)
        assert one["served_from"] < one["served_until"] < two["served_from"]
        assert "served_until" not in two
        # As long as the records of the group's rollbacks.
        assert two["expires_at"] > it.now().timestamp() + 30 * 86_400


def test_releases_of_a_service_are_noted_with_their_digests() -> None:
    with service_scene(task_definitions=1) as it:
        it.connect_events()
        latest_twice(it)
        images = [each["images"][0]["digest"] for each in notes(it)]
        assert len(set(images)) == 2 and all(digest.startswith("sha256:") for digest in images)


@pytest.mark.parametrize("again", [False, True], ids=["two definitions", "one definition, forced"])
def test_the_image_that_served_goes_back_by_the_digest_that_was_noted(again: bool) -> None:
    """Under CodeDeploy nobody can look it up once its tasks are gone."""
    with scene("ECS") as it:
        it.connect_events()
        good, bad = latest_twice(it, again=again)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["suspect_deployment_id"], head["good_deployment_id"]) == (bad, good), head["explanation"]
        assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head["explanation"]
        assert it.sim.bad_share("shop", "prod") == 0
        assert head["needs_human"] is True and "notebook" in head["explanation"]


def test_an_image_that_the_registry_no_longer_has_is_not_put_back() -> None:
    with scene("ECS") as it:
        it.connect_events()
        latest_twice(it)
        it.sim.delete_image(f"{SHOP}@{notes(it)[0]['images'][0]['digest']}")
        it.alarm_fires()
        head = it.run_to_end()
        assert head["outcome"] == "BLOCKED" and head["needs_human"] is True, head["explanation"]
        assert not it.calls("CreateDeployment") and not it.calls("RegisterTaskDefinition")


def test_a_registry_that_may_not_be_read_is_no_objection() -> None:
    with scene("ECS") as it:
        it.connect_events()
        latest_twice(it)
        it.sim.fail_call("DescribeImages", "AccessDeniedException", "not allowed", count=20)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["reason_code"] == "VERIFIED" and it.sim.bad_share("shop", "prod") == 0, head["explanation"]


def test_a_release_whose_event_got_lost_is_noted_by_the_sweep() -> None:
    with scene("ECS", settings=DEFAULT) as it:
        made = []
        for number in (2, 3):
            made.append(it.release(number, settle=True, rest=0))
            for _ in range(10):
                it.sim.advance(60)
                it.sweep()
        assert [note["deployment_id"] for note in notes(it)] == made
        assert notes(it)[0]["replaced_by"] == made[1]


def test_what_keeps_a_note_from_being_written_keeps_nothing_else_from_being_done() -> None:
    with scene("Lambda") as it:
        it.connect_events()
        it.good_history(1, 2)
        it.release(3)
        it.sim.advance(60)
        with patch("lastgood.ledger.notebook.Notebook.write", side_effect=RuntimeError("the table is full")):
            it.alarm_fires()
            head = it.run_to_end()
        assert head["reason_code"] == "VERIFIED" and it.is_live(2)


# --- nobody is believed against AWS -----------------------------------------------------------------------------------


def forge(it: Scene, note: dict[str, Any], **changed: Any) -> None:
    """A stranger writes a note over."""
    boto3.resource("dynamodb").Table(TABLE).put_item(Item={**note, **changed})


def with_digest(note: dict[str, Any], digest: str) -> dict[str, Any]:
    return {"images": [{**note["images"][0], "digest": digest}]}


def test_a_noted_digest_that_came_to_the_registry_later_is_not_believed() -> None:
    """Whoever may write into the table does not choose what is deployed."""
    with scene("ECS") as it:
        it.connect_events()
        _, bad = latest_twice(it)
        evil = it.sim.push_image(f"{SHOP}:evil", "evil")
        forge(it, notes(it)[0], **with_digest(notes(it)[0], evil))
        it.alarm_fires()
        head = it.run_to_end()
        assert head["suspect_deployment_id"] == bad
        assert head["reason_code"] != "VERIFIED" and head["needs_human"] is True, head["explanation"]
        assert not [each for each in it.calls("RegisterTaskDefinition") if evil in str(each)]


@pytest.mark.parametrize(
    "changed",
    [
        {"revision": "arn:aws:ecs:us-east-1:123456789012:task-definition/web:1"},
        {"created_at": "2020-01-01T00:00:00.000Z"},
    ],
    ids=["of another definition", "of another time"],
)
def test_a_note_that_is_not_about_the_deployment_that_aws_knows_is_not_believed(changed: dict[str, str]) -> None:
    with scene("ECS") as it:
        it.connect_events()
        latest_twice(it)
        forge(it, notes(it)[0], **changed)
        it.alarm_fires()
        head = it.run_to_end()
        assert head["reason_code"] != "VERIFIED" and head["needs_human"] is True, head["explanation"]


def test_a_note_that_says_the_suspects_own_image_leads_to_no_success() -> None:
    with scene("ECS") as it:
        it.connect_events()
        latest_twice(it)
        one, two = notes(it)
        forge(it, one, **with_digest(one, two["images"][0]["digest"]))
        it.alarm_fires()
        head = it.run_to_end()
        assert head["reason_code"] != "VERIFIED" or not it.sim.bad_share("shop", "prod"), head["explanation"]
        assert head["needs_human"] is True


# --- bundles ----------------------------------------------------------------------------------------------------------


def bundle(content: bytes) -> dict[str, Any]:
    """Upload the bundle of every release under its one name, and return what the release names."""
    boto3.client("s3").put_object(Bucket="artifacts", Key="app/latest.zip", Body=content)
    place = {"bucket": "artifacts", "key": "app/latest.zip", "bundleType": "zip"}
    return {"revisionType": "S3", "s3Location": place}


def versions_not_listed(client: Any, operation: str, **parameters: Any) -> dict[str, Any]:
    if operation == "list_object_versions":
        raise RefusedError(operation, "AccessDenied", "not allowed")
    return call(client, operation, **parameters)


def test_where_versions_may_not_be_listed_the_noted_one_goes_back_and_people_are_told() -> None:
    with scene("Server") as it:
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="artifacts")
        enabled = {"Status": "Enabled"}
        s3.put_bucket_versioning(Bucket="artifacts", VersioningConfiguration=enabled)
        it.connect_events()
        good = it.sim.release("shop", "prod", bundle(b"good"), settle=True)
        it.sim.advance(86_400)
        bad = it.sim.release("shop", "prod", bundle(b"bad"), settle=True)
        it.sim.declare_bad(bad)
        it.sim.advance(120)
        with patch("lastgood.deployers.bundles.call", versions_not_listed):
            it.alarm_fires()
            head = it.run_to_end()
        assert (head["outcome"], head["good_deployment_id"]) == ("ROLLED_BACK", good), head["explanation"]
        assert it.sim.bad_share("shop", "prod") == 0 and head["needs_human"] is True
