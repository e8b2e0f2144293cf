"""How groups, alarms and notes are named, and which names are of the same thing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import at, release
from lastgood.model import (
    AlarmPlace,
    ComputePlatform,
    Controller,
    DeploymentGroup,
    Note,
    around,
    controller_of,
    controllers,
    goes_back_by_itself,
    name_of,
    parse_key,
    parse_place,
    parse_prefixed,
    parse_stage,
    platforms_of,
    prefix_of,
)

SHOP = DeploymentGroup("shop", "prod")
SERVICE = DeploymentGroup("main", "web", Controller.ECS)
STAGE = DeploymentGroup("shop-pipeline", "Prod", Controller.PIPELINE)


@pytest.mark.parametrize(
    ("group", "key", "prefix"),
    [(SHOP, "shop/prod", ""), (SERVICE, "ecs:main/web", "ecs:"), (STAGE, "pipeline:shop-pipeline/Prod", "pipeline:")],
)
def test_a_key_names_a_group_and_says_who_deploys_there(group: DeploymentGroup, key: str, prefix: str) -> None:
    assert group.key == key
    assert parse_key(key) == group
    assert (controller_of(key), prefix_of(key)) == (group.controller, prefix)
    assert parse_prefixed(key) == (group if prefix else None)


@pytest.mark.parametrize(
    ("group", "address", "tags"),
    [
        (
            SHOP,
            {"application": "shop", "deployment_group": "prod"},
            {"lastgood:application": "shop", "lastgood:deployment-group": "prod"},
        ),
        (SERVICE, {"ecs_service": "main/web"}, {"lastgood:ecs-service": "main/web"}),
        (STAGE, {"pipeline": "shop-pipeline", "stage": "Prod"}, {"lastgood:pipeline": "shop-pipeline/Prod"}),
    ],
)
def test_a_request_and_an_alarms_tags_name_a_group_in_the_words_of_its_deployer(
    group: DeploymentGroup, address: dict[str, str], tags: dict[str, str]
) -> None:
    assert group.address == address
    assert group.tags == tags


def test_each_controller_is_described_before_the_platform_is_known() -> None:
    assert controllers().keys() == set(Controller)
    assert [can.reads_live for can in controllers().values()] == [False, True, True], "nothing is taken for granted"


@pytest.mark.parametrize("text", ["", "shop", "shop/", "/prod", "a/b/c", "ecs:main", "ecs:ma in/web", "pipeline:a/b/c"])
def test_what_is_not_two_names_with_a_slash_between_names_nothing(text: str) -> None:
    with pytest.raises(ValueError, match="the two names with a slash between"):
        parse_key(text)


def test_the_form_that_is_asked_for_is_that_of_the_deployer() -> None:
    assert parse_place(Controller.ECS, " main/web ") == SERVICE
    assert parse_stage("shop-pipeline/Prod") == STAGE
    with pytest.raises(ValueError, match="must be cluster/service"):
        parse_place(Controller.ECS, "main")


@pytest.mark.parametrize(
    ("controller", "platforms"),
    [
        (Controller.CODE_DEPLOY, {ComputePlatform.SERVER, ComputePlatform.LAMBDA, ComputePlatform.ECS}),
        (Controller.ECS, {ComputePlatform.ECS}),
        (Controller.PIPELINE, {ComputePlatform.PIPELINE}),
    ],
)
def test_each_deployer_has_its_platforms(controller: Controller, platforms: set[ComputePlatform]) -> None:
    assert platforms_of(controller) == platforms


# --- alarms -----------------------------------------------------------------------------------------------------------

ARN = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:shop:errors"


@pytest.mark.parametrize(
    ("alarm", "place", "name"),
    [
        (ARN, AlarmPlace("123456789012", "eu-west-1"), "shop:errors"),
        ("shop-errors", AlarmPlace(), "shop-errors"),
        ("a:b:c:d:e:alarm:g", AlarmPlace(), "a:b:c:d:e:alarm:g"),
        (ARN.replace(":alarm:", ":dashboard:"), AlarmPlace(), ARN.replace(":alarm:", ":dashboard:")),
        ("arn:aws:cloudwatch:eu-west-1:1:alarm", AlarmPlace(), "arn:aws:cloudwatch:eu-west-1:1:alarm"),
    ],
)
def test_an_arn_says_where_an_alarm_is_and_a_bare_name_is_of_here(alarm: str, place: AlarmPlace, name: str) -> None:
    assert AlarmPlace.of(alarm) == place
    assert name_of(alarm) == name


# --- notes ------------------------------------------------------------------------------------------------------------

NOTE = Note("d-1", at(-10), "s3://bucket/shop.zip?versionId=1")


@pytest.mark.parametrize(
    ("note", "of"),
    [
        pytest.param(NOTE, True, id="the same in every way"),
        pytest.param(replace(NOTE, revision="s3://bucket/shop.zip?etag=2"), True, id="another content of the name"),
        pytest.param(replace(NOTE, created_at=at(-10) + timedelta(milliseconds=2)), True, id="a time cut short"),
        pytest.param(replace(NOTE, created_at=at(-10) - timedelta(milliseconds=3)), False, id="another time"),
        pytest.param(replace(NOTE, revision="s3://bucket/other.zip"), False, id="another revision"),
        pytest.param(replace(NOTE, deployment_id="d-2"), False, id="another deployment"),
    ],
)
def test_a_note_is_of_a_deployment_whose_id_revision_and_time_it_has(note: Note, of: bool) -> None:
    assert note.is_of(release("d-1", "s3://bucket/shop.zip?versionId=1")) is of


def test_a_name_that_carries_no_version_is_compared_as_a_whole() -> None:
    note = replace(NOTE, revision="lambda:shop:1")
    assert note.is_of(release("d-1", "lambda:shop:1"))
    assert not note.is_of(release("d-1", "lambda:shop:2"))


def test_around_a_time_are_the_notes_just_before_and_just_after_it() -> None:
    newest, newer, older, oldest = (replace(NOTE, created_at=at(minute)) for minute in (-1, -5, -20, -30))
    notes = (newest, newer, older, oldest)
    assert around(notes, at(-10)) == (older, newer)
    assert around(notes, at(-5)) == (older, newest)
    assert around(notes, at(0)) == (newest, None)
    assert around(notes, at(-40)) == (None, oldest)


@pytest.mark.parametrize(
    ("status", "goes_back"),
    [
        ("UPDATE_ROLLBACK_IN_PROGRESS", True),
        ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", True),
        ("ROLLBACK_IN_PROGRESS", True),
        ("UPDATE_ROLLBACK_COMPLETE", False),
        ("UPDATE_IN_PROGRESS", False),
    ],
)
def test_a_stack_goes_back_by_itself_while_it_rolls_back(status: str, goes_back: bool) -> None:
    assert goes_back_by_itself(status) is goes_back
