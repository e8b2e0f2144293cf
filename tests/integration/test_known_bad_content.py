"""What is known bad stays so under another name: a version, a bundle or a definition with the same content.

The judge is what really serves in the simulated AWS.
"""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from lastgood.deployers.codedeploy import CodeDeploy
from lastgood.errors import RetryableError
from scene import Scene, scene, service_scene
from stage.local import TABLE

FORTNIGHT = 14 * 86_400
BY_ANN = {"application": "shop", "deployment_group": "prod", "requested_by": "ann", "reason": "it leaks"}


def world(platform: str) -> Any:
    if platform == "Service":
        return service_scene(task_definitions=3)
    return scene(platform, **{"Lambda": {"versions": 3}, "ECS": {"task_definitions": 3}}.get(platform, {}))


def release(it: Scene, number: int, rest: float = 7200) -> str:
    """Release what the number stands for; on servers a bundle under a key of its own, by its ETag."""
    if it.platform != "Server":
        return it.release(number, settle=True, rest=rest)
    s3 = boto3.client("s3", region_name="us-east-1")
    if number == 2:
        s3.create_bucket(Bucket="artifacts")
    body = {4: "3"}.get(number, str(number)).encode()
    etag = s3.put_object(Bucket="artifacts", Key=f"{number}.zip", Body=body)["ETag"].strip('"')
    it.sim.advance(5)
    place = {"bucket": "artifacts", "key": f"{number}.zip", "bundleType": "zip", "eTag": etag}
    made = it.sim.release(it.application, it.group, {"revisionType": "S3", "s3Location": place}, settle=True)
    it.sim.advance(rest)
    return made


def make(it: Scene, *, like_the_third: bool, **configuration: Any) -> None:
    """The next revision exists: with what the third contains, or with something of its own."""
    if it.platform == "Lambda":
        it.sim.publish_version("shop", code="shop 3" if like_the_third else "", **configuration)
    elif it.platform != "Server":
        third = it.sim.engine.ecs_world.described("web:3")
        same = {name: third[name] for name in ("containerDefinitions", "cpu", "memory")}
        it.sim.register_task_definition("web", **(same if like_the_third else {}))


def third_was_bad(it: Scene, **configuration: Any) -> None:
    """The second is good; the third is rolled back; a day later there is a fourth with the third's code."""
    release(it, 2)
    it.sim.declare_bad(release(it, 3, rest=120))
    it.alarm_fires()
    assert it.run_to_end()["reason_code"] == "VERIFIED", it.head["explanation"]
    it.alarm_recovers()
    it.sim.advance(86_400)
    make(it, like_the_third=True, **configuration)


def fifth_is_bad(it: Scene) -> dict[str, Any]:
    make(it, like_the_third=False)
    it.sim.declare_bad(release(it, 5, rest=120))
    it.alarm_fires()
    return it.run_to_end()


@pytest.mark.parametrize("platform", ["Server", "Lambda", "ECS", "Service"])
def test_known_bad_content_does_not_go_back_under_another_name(platform: str) -> None:
    with world(platform) as it:
        third_was_bad(it)
        again = release(it, 4)
        head = fifth_is_bad(it)
        assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head["explanation"]
        assert it.sim.bad_share(it.application, it.group) == 0
        (passed_over,) = [c for c in head["candidates"] if c["deployment_id"] == again]
        assert passed_over["rejection"] == "KNOWN_BAD" and "contains the same" in passed_over["explanation"]
        assert head["needs_human"] is True and "was passed over" in head["explanation"]


@pytest.mark.parametrize("platform", ["Server", "Lambda", "ECS", "Service"])
def test_known_bad_content_heals_under_its_new_name(platform: str) -> None:
    with world(platform) as it:
        third_was_bad(it)
        again = release(it, 4, rest=FORTNIGHT)
        assert fifth_is_bad(it)["good_deployment_id"] == again, it.head["explanation"]


def test_its_new_name_may_be_marked_good() -> None:
    with world("Lambda") as it:
        third_was_bad(it)
        again = release(it, 4)
        it.local.handle({"action": "mark_good", "deployment_id": again, **BY_ANN})
        assert fifth_is_bad(it)["good_deployment_id"] == again, it.head["explanation"]


def test_what_an_operator_marks_bad_is_bad_under_another_name_too() -> None:
    with world("Lambda") as it:
        good = release(it, 2)
        it.local.handle({"action": "mark_bad", "deployment_id": release(it, 3), **BY_ANN})
        make(it, like_the_third=True)
        release(it, 4)
        assert fifth_is_bad(it)["good_deployment_id"] == good, it.head["explanation"]


def test_a_version_with_the_same_code_and_more_memory_is_not_known_bad() -> None:
    """The memory may be the fix."""
    with world("Lambda") as it:
        third_was_bad(it, MemorySize=2048)
        again = release(it, 4)
        assert fifth_is_bad(it)["good_deployment_id"] == again, it.head["explanation"]


@pytest.mark.parametrize("readable", [True, False], ids=["readable", "not readable"])
def test_people_hear_at_once_of_a_release_of_known_bad_content(readable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its content cannot be read at this moment, nothing fails for that."""

    def evidence(*_: object) -> None:
        raise RetryableError("throttled")

    with world("Lambda") as it:
        third_was_bad(it)
        if not readable:
            monkeypatch.setattr(CodeDeploy, "evidence", evidence)
        it.local.notices()
        it.connect_events()
        it.release(4)
        it.sim.advance(5)
        told = [notice["content"]["description"] for notice in it.local.notices()]
        assert any("known bad as lambda:shop:live:3" in text for text in told) is readable


def test_a_content_in_the_table_that_nobody_can_read_matches_nothing() -> None:
    with world("Lambda") as it:
        third_was_bad(it)
        (bad,) = [item for item in it.local.items() if item["sk"].startswith("BAD#")]
        item = bad | {"revision_content": '{"digest": 7, "images": "no"}'}
        boto3.resource("dynamodb", region_name="us-east-1").Table(TABLE).put_item(Item=item)
        again = release(it, 4)
        assert fifth_is_bad(it)["good_deployment_id"] == again, it.head["explanation"]
