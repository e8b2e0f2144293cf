"""Releases of several groups: what is known of one, and how they are counted in a storm."""

from __future__ import annotations

import pytest

from builders import observation, rollback
from lastgood.judgement.release_sets import left_to_people, release_of, releases_among, the_release
from lastgood.model import Origin, Outcome, ReleaseSet, Rollback

TWO = ReleaseSet(frozenset({"shop/prod", "shop/jobs"}), "the run run-1 of shop", {"shop/jobs": "d-J"})
OTHERS = ReleaseSet(frozenset({"a/x", "a/y"}), "the run run-2 of a")


def test_where_nobody_knows_more_a_release_is_of_its_own_group() -> None:
    assert release_of(rollback(), observation()) == ReleaseSet(frozenset({"shop/prod"}), "", {})
    assert release_of(rollback(), observation(releases=(OTHERS,))).groups == {"shop/prod"}
    assert release_of(rollback(), observation(origin=Origin(groups=frozenset({"shop/x"})))).groups == {"shop/prod"}


def test_a_release_is_put_together_from_the_record_the_runs_and_the_stack() -> None:
    record = rollback(
        release_groups=("shop/prod", "shop/cron"),
        release_joined_by="the run run-1 of shop",
        release_deployments={"shop/cron": "d-C"},
    )
    origin = Origin("shop-stack", groups=frozenset({"shop/web"}))
    found = release_of(record, observation(releases=(OTHERS, TWO), origin=origin))
    assert found.groups == {"shop/prod", "shop/jobs", "shop/cron", "shop/web"}
    assert found.joined_by == "the run run-1 of shop and the stack shop-stack"
    assert found.deployments == {"shop/jobs": "d-J", "shop/cron": "d-C"}


@pytest.mark.parametrize(
    ("groups", "releases", "count", "told"),
    [
        ((), (TWO,), 0, []),
        (("shop/prod",), (), 1, []),
        (("shop/prod", "a/x"), (), 2, []),
        (("shop/prod", "shop/jobs"), (TWO,), 1, ["the 2 of the run run-1 of shop count once"]),
        (("shop/prod", "z/z"), (TWO,), 2, []),
        (
            ("shop/prod", "shop/jobs", "a/x", "a/y", "z/z"),
            (TWO, OTHERS),
            3,
            ["the 2 of the run run-1 of shop count once", "the 2 of the run run-2 of a count once"],
        ),
        (("a/x", "a/y"), (ReleaseSet(frozenset({"a/x", "a/y"}), ""),), 1, ["the 2 of one release count once"]),
        (("a/x", "a/y"), (OTHERS, OTHERS), 1, ["the 2 of the run run-2 of a count once"]),
    ],
)
def test_the_groups_of_one_release_count_once(
    groups: tuple[str, ...], releases: tuple[ReleaseSet, ...], count: int, told: list[str]
) -> None:
    assert releases_among(groups, releases) == (count, told)


def joined(**more: object) -> Rollback:
    return rollback(release_groups=("shop/jobs", "shop/prod"), release_joined_by="the run run-1", **more)


def test_people_are_told_what_else_the_release_changed_and_what_happens_there() -> None:
    assert the_release(rollback(release_groups=("shop/prod",))) == ""
    assert the_release(joined()) == "Release: the run run-1 changed shop/jobs, shop/prod"
    assert (
        the_release(joined(follows="rb-7")) == "Release: the run run-1 changed shop/jobs, shop/prod; this follows rb-7"
    )
    assert the_release(joined(follower_ids=("rb-8", "rb-9"))) == (
        "Release: the run run-1 changed shop/jobs, shop/prod; the others follow: rb-8, rb-9"
    )
    assert the_release(rollback(release_groups=("a/x", "a/y"))) == "Release: it changed a/x, a/y"


@pytest.mark.parametrize(
    ("more", "left"),
    [
        ({}, ["shop/cron", "shop/jobs"]),
        ({"outcome": Outcome.FAILED}, []),
        ({"others_of_release": "follow"}, []),
        ({"others_of_release": "tell"}, ["shop/cron", "shop/jobs"]),
        ({"follows": "rb-7"}, []),
    ],
)
def test_what_does_not_follow_by_itself_is_left_to_people(more: dict[str, object], left: list[str]) -> None:
    made = {"shop/jobs": "d-J", "shop/prod": "d-P", "shop/cron": "d-C"}
    record = rollback(**{"outcome": Outcome.ROLLED_BACK, "release_deployments": made, **more})
    assert left_to_people(record) == left


def test_where_nobody_says_which_pipeline_releases_here_people_are_told_that_nothing_follows() -> None:
    asked = {"outcome": Outcome.ROLLED_BACK, "others_of_release": "follow"}
    assert the_release(rollback(**asked)) == (
        "Release: LASTGOOD_PIPELINES names no pipeline that releases to shop/prod, so what else the same run changed "
        "is not known, and nothing follows"
    )
    assert the_release(rollback(**asked, pipeline="shop")) == ""
    assert the_release(rollback(**asked | {"others_of_release": "tell"})) == ""
    assert the_release(rollback(**asked | {"outcome": Outcome.FAILED})) == ""
