"""What images ECS under CodeDeploy really runs: tags that move, tasks' digests, and what is called proven.

The judge is which content serves in the simulated AWS.
"""

from __future__ import annotations

import boto3
import pytest

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


def test_one_key_for_every_appspec_goes_back_to_the_task_set_that_is_still_there() -> None:
    """Nobody can read what was deployed before; CodeDeploy's own rollback reroutes to the original tasks."""
    with scene("ECS") as it:
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="artifacts")
        place = {"bucket": "artifacts", "key": "appspec.json", "bundleType": "JSON"}
        for number, settle in ((2, True), (3, False)):
            arn = it.sim.engine.ecs_world.arn(f"task-definition/web:{number}")
            text = revisions.ecs_appspec(arn)["appSpecContent"]["content"]
            s3.put_object(Bucket="artifacts", Key="appspec.json", Body=text.encode())
            it.sim.advance(5)
            it.sim.release("shop", "prod", {"revisionType": "S3", "s3Location": place}, settle=settle)
            it.sim.advance(7200 if settle else 90)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "CONTENT_UNKNOWN"), head["explanation"]
        assert head["needs_human"] is True and it.is_live(2)
