"""What a revision contains decides what may go back: moving names, images, targets, and what people are told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import release
from judging import choose
from lastgood.judgement.choice import Selection, digests_wanted, good_note
from lastgood.model import Candidate, Deployment, Image, Rejection, Revision


def of(deployment_id: str, revision: Revision, at: float = -10, **more: Any) -> Deployment:
    """A release of this revision."""
    return replace(release(deployment_id, revision.identity, at, **more), revision=revision)


def verdict(selection: Selection, deployment_id: str = "d-1") -> Candidate:
    (found,) = [c for c in selection.candidates if c.deployment_id == deployment_id]
    return found


def judged(good: Revision, bad: Revision, *, active: bool = False, **more: Any) -> Candidate:
    """What is said of `good`, deployed before `bad`, which is blamed."""
    status = {"status": "InProgress"} if active else {}
    return verdict(choose(of("d-1", good, -600), of("d-2", bad, **status), suspects=("d-2",), **more))


def image(reference: str = "shop/web:latest", digest: str = "", container: str = "web") -> Image:
    return Image(container, reference, digest)


def task(identity: str, *images: Image, digest: str = "", kind: str = "TaskDefinition") -> Revision:
    return Revision(kind, identity, digest=digest, images=images)


WEB = image("shop/web@sha256:1", "sha256:1")
"""An image that its name pins."""

# --- names that move --------------------------------------------------------------------------------------------------

MAIN = Revision("AppSpecContent", "main", moves="main is a branch")


def test_a_name_that_moves_is_no_way_back_and_its_cause_is_told() -> None:
    found = judged(MAIN, Revision("AppSpecContent", "v2"))
    assert (found.rejection, found.explanation) == (Rejection.CONTENT_UNKNOWN, "main is a branch.")
    assert judged(MAIN, Revision("AppSpecContent", "v2"), unusable={"d-1": "Gone."}).explanation == (
        "Gone. main is a branch."
    )


def test_until_it_was_looked_for_what_a_name_holds_is_no_objection() -> None:
    bad = Revision("AppSpecContent", "v2")
    assert judged(MAIN, bad, examined=frozenset()).rejection is None
    assert judged(MAIN, bad, examined=frozenset({"d-1"})).rejection is Rejection.CONTENT_UNKNOWN


@pytest.mark.parametrize(
    ("asked", "looked_at"),
    [("", ["d-3", "d-2"]), ("d-1", ["d-3", "d-2", "d-1"])],
    ids=["nobody knows what lies between", "an operator named an older one"],
)
def test_an_unknown_content_ends_the_search(asked: str, looked_at: list[str]) -> None:
    history = (release("d-3", "v3"), of("d-2", MAIN, -100), release("d-1", "v1", -600))
    selection = choose(*history, suspects=("d-3",), to_deployment_id=asked)
    assert [c.deployment_id for c in selection.candidates] == looked_at
    assert bool(selection.good) is bool(asked)
    assert selection.settled is bool(asked)


def test_what_cannot_be_read_says_why_if_that_is_known() -> None:
    bad = Revision("AppSpecContent", "v2")
    assert judged(Revision("AppSpecContent", ""), bad).explanation == "What it deployed could not be read."
    unreadable = Revision("AppSpecContent", "", unreadable="AccessDenied")
    assert judged(unreadable, bad).explanation == "What it deployed could not be read: AccessDenied."


# --- the same under another name --------------------------------------------------------------------------------------


def test_another_name_of_the_suspects_content_is_no_way_back() -> None:
    found = judged(
        Revision("AppSpecContent", "v1", digest="c0"), Revision("AppSpecContent", "v2", label="two", digest="c0")
    )
    assert (found.rejection, found.explanation) == (
        Rejection.SAME_CONTENT,
        "It contains the same as the suspect, two.",
    )


def test_the_same_revision_is_told_as_that() -> None:
    found = judged(Revision("AppSpecContent", "v2"), Revision("AppSpecContent", "v2"))
    assert (found.rejection, found.explanation) == (
        Rejection.SAME_REVISION,
        "It deployed the same revision as the suspect.",
    )


# --- targets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "theirs", "rejected"),
    [("orders", "invoices", True), ("orders", "orders", False), ("orders", "", False), ("", "invoices", False)],
)
def test_what_another_function_was_given_is_no_way_back(mine: str, theirs: str, rejected: bool) -> None:
    found = judged(Revision("AppSpecContent", "v1", target=mine), Revision("AppSpecContent", "v2", target=theirs))
    assert (found.rejection is Rejection.OTHER_TARGET) is rejected
    assert not rejected or found.explanation == "It deployed orders; the suspect deployed invoices."


# --- containers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        pytest.param(task("task:1", image()), task("task:1", image()), id="the same definition"),
        pytest.param(task("task:1", image(), digest="c0"), task("task:2", image(), digest="c0"), id="the same content"),
        pytest.param(task("task:1"), task("task:1", image()), id="only the suspect's images were read"),
        pytest.param(task("task:1", image()), task("task:1"), id="only its own images were read"),
    ],
)
def test_a_tag_that_both_name_would_start_what_it_means_now(good: Revision, bad: Revision) -> None:
    found = judged(good, bad)
    assert found.rejection is Rejection.CONTENT_UNKNOWN
    assert found.explanation.startswith("task:1 names shop/web:latest, as the suspect does: going back to it would")


def test_each_suspect_counts() -> None:
    same, other = of("d-2", task("task:1", image()), -20), of("d-3", task("task:9", WEB))
    found = verdict(choose(of("d-1", task("task:1", image()), -600), same, other, suspects=("d-2", "d-3")))
    assert found.rejection is Rejection.CONTENT_UNKNOWN


def test_only_the_images_that_move_are_named() -> None:
    pinned = image("shop/log@sha256:1", "sha256:1", "log")
    found = judged(task("task:1", image(), pinned), task("task:1", image(), pinned))
    assert "names shop/web:latest, as" in found.explanation


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        pytest.param(
            task("task:1", image(digest="sha256:1")), task("task:1", image(digest="sha256:2")), id="others ran"
        ),
        pytest.param(task("task:1", image()), task("task:2", image()), id="another definition"),
        pytest.param(task("task:1", image(), digest="c0"), task("task:2", image(), digest="c1"), id="another content"),
        pytest.param(task("task:1", image()), task("task:2", image(), digest=""), id="neither content is known"),
        pytest.param(task("task:1", WEB, digest="c0"), task("task:2", WEB, digest="c1"), id="the same images"),
    ],
)
def test_a_definition_that_differs_may_go_back(good: Revision, bad: Revision) -> None:
    assert judged(good, bad).rejection is None


def settings(identity: str, parts: str) -> Revision:
    """A service's definition, deployed with settings of the service."""
    return replace(task(identity, WEB), other_parts=parts)


def test_settings_of_the_service_alone_are_not_put_back_by_a_redeployment() -> None:
    found = judged(settings("task:1", "two subnets"), settings("task:1", "one subnet"))
    assert found.rejection is Rejection.OTHER_SETTINGS
    assert "put them back by hand" in found.explanation


def test_that_ends_the_search() -> None:
    history = (
        of("d-3", settings("task:1", "one subnet")),
        of("d-2", settings("task:1", "two subnets"), -100),
        of("d-1", task("task:0", WEB), -600),
    )
    assert choose(*history, suspects=("d-3",)).good is None


@pytest.mark.parametrize(
    ("more", "rejected"),
    [
        ({"active": True, "native": True}, False),
        ({"active": False, "native": True}, True),
        ({"active": True, "native": False}, True),
        ({"active": True}, True),
        ({"active": True, "native": True, "to_deployment_id": "d-1"}, True),
    ],
)
def test_but_ecs_puts_back_a_running_deployment_whole(more: dict[str, Any], rejected: bool) -> None:
    found = judged(settings("task:1", "two subnets"), settings("task:1", "one subnet"), **more)
    assert (found.rejection is Rejection.OTHER_SETTINGS) is rejected


def test_elsewhere_settings_are_a_part_of_the_revision() -> None:
    good, bad = (replace(settings("task:1", parts), kind="AppSpecContent") for parts in ("two", "one"))
    assert judged(good, bad).rejection is None
    mixed = replace(settings("task:1", "two"), kind="AppSpecContent")
    assert judged(mixed, settings("task:1", "one")).rejection is None


# --- what the containers have to run ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "theirs", "wanted"),
    [
        (image("shop/web:7", "sha256:1"), None, ("web=sha256:1",)),
        (image("shop/web:latest"), None, ("web=",)),
        (image("shop/web:7"), None, ()),
        (image("shop/web:7"), image("shop/web:7"), ("web=",)),
        (image("shop/web:7"), image("shop/web:8"), ()),
        (image("shop/web@sha256:1"), image("shop/web@sha256:1"), ()),
    ],
)
def test_the_digests_that_are_wanted_are_those_that_names_do_not_tell(
    mine: Image, theirs: Image | None, wanted: tuple[str, ...]
) -> None:
    suspects = [of("d-2", task("task:2", theirs))] if theirs else []
    assert digests_wanted(task("task:1", mine), suspects) == wanted


# --- what people are told ---------------------------------------------------------------------------------------------


def note(mine: tuple[Image, ...], *theirs: tuple[Image, ...]) -> str:
    suspects = [of(f"d-{n}", task(f"task:{n}", *images)) for n, images in enumerate(theirs, start=2)]
    return good_note(of("d-1", task("task:1", *mine)), suspects)


LOG = image("shop/log@sha256:5", "sha256:5", "log")


def test_what_runs_the_suspects_own_images_heals_nothing_if_the_code_is_the_cause() -> None:
    told = "task:1 runs the suspect's own images: if the code is the cause, this heals nothing."
    assert note((WEB,), (WEB,)) == told
    assert note((WEB, LOG), (WEB, LOG)) == told
    assert note((image(),), (image(),)) == told, "it may run them"
    assert note((WEB,), (LOG,), (WEB,)) == told, "any suspect counts"


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ((), ()),
        ((), (WEB,)),
        ((WEB,), ()),
        ((WEB,), (LOG,)),
        ((WEB, LOG), (WEB,)),
        ((WEB,), (image("shop/web@sha256:2", "sha256:2"),)),
    ],
)
def test_nothing_is_said_of_images_that_differ_or_of_a_part_of_them(
    mine: tuple[Image, ...], theirs: tuple[Image, ...]
) -> None:
    assert note(mine, theirs) == ""


def test_a_tag_that_both_name_is_told_where_another_image_differs() -> None:
    mine, theirs = (image(), LOG), (image(), image("shop/log@sha256:6", "sha256:6", "log"))
    assert note(mine, theirs) == "shop/web:latest is named by both: it starts whatever image that means now."


def test_a_tag_that_still_names_the_bad_image_is_told_too() -> None:
    mine, theirs = (image(digest="sha256:1"),), (image(digest="sha256:2"),)
    assert note(mine, theirs) == (
        "shop/web:latest still names the image of d-2: what is deployed by that name before a fixed image is pushed "
        "brings it back."
    )
    other = (image("shop/web:9", "sha256:2"),)
    assert note((image("shop/web:8", "sha256:1"),), other) == ""
    assert note((image("shop/web:9", "sha256:1"),), other) == ""


def test_a_container_is_compared_with_the_one_of_its_name() -> None:
    assert note((WEB, LOG), (LOG, WEB)).startswith("task:1 runs the suspect's own images")


# --- how it is known --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("revision", "known_by"),
    [
        (Revision("S3", "s3://b/a.zip?versionId=v", digest="etag:1"), "its version"),
        (Revision("S3", "s3://b/a.zip?etag=1", digest="etag:1"), "its ETag"),
        (Revision("S3", "s3://b/a.zip", moves="one key for all"), "nothing"),
        (Revision("S3", "s3://b/a.zip?versionId=v", noted=True), "the notebook of releases"),
        (Revision("GitHub", "github:a/b@1"), "its commit"),
        (Revision("SourceRevisions", "1+2"), "its source revisions"),
        (Revision("AppSpecContent", "lambda:f:live:2", digest="d"), "the digest of its code"),
        (Revision("AppSpecContent", "lambda:f:live:2"), "its version"),
        (Revision("AppSpecContent", "arn:task:2"), "its task definition"),
        (Revision("TaskDefinition", "arn:task:2", images=(Image("a", "r:v1"),)), "the tags of its images"),
        (
            Revision("TaskDefinition", "arn:task:2", images=(Image("a", "r:x", "sha256:1"),)),
            "the digests of its images",
        ),
        (Revision("TaskDefinition", "arn:task:2", images=(Image("a", "r:x"),)), "its name alone: r:x moves"),
        (Revision("AppSpecContent", "", unreadable="gone"), "nothing"),
    ],
)
def test_a_revision_says_by_what_its_content_is_known(revision: Revision, known_by: str) -> None:
    assert revision.known_by == known_by
