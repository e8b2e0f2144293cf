"""What is known bad is recognised by its content, under whatever name it comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from builders import NOW
from lastgood.judgement.stacks import CLOCKS_DIFFER_BY, passed_over
from lastgood.model import Controls, Image, Origin, Revision, is_remembered, remembered

WEB = Image("web", "shop:7", "sha256:aa")
SIDECAR = Image("proxy", "proxy:2", "sha256:bb")
BAD = Revision("web:3", "web:3", digest="sha256:settings", other_parts="config-1", images=(WEB, SIDECAR))


def test_what_is_kept_is_what_aws_recorded_of_the_content_and_no_name() -> None:
    kept = remembered(BAD)
    images = [["web", "shop:7", "sha256:aa"], ["proxy", "proxy:2", "sha256:bb"]]
    assert json.loads(kept) == {"digest": "sha256:settings", "other_parts": "config-1", "images": images}
    assert kept.index("digest") < kept.index("images") < kept.index("other_parts"), "one content, one text"
    assert "web:3" not in kept


def test_without_a_digest_nothing_is_kept_and_nothing_is_recognised() -> None:
    unknown = replace(BAD, digest="")
    assert remembered(unknown) == ""
    assert not is_remembered(remembered(BAD), unknown)
    assert not is_remembered("", BAD)


def test_the_same_content_is_recognised_under_another_name() -> None:
    assert is_remembered(remembered(BAD), replace(BAD, identity="web:9"))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(BAD, digest="sha256:others"), id="other settings"),
        pytest.param(replace(BAD, other_parts="config-2"), id="other parts"),
        pytest.param(
            replace(BAD, images=(replace(WEB, digest="sha256:cc"), SIDECAR)), id="another image by the same tag"
        ),
        pytest.param(replace(BAD, images=(replace(WEB, digest=""), SIDECAR)), id="an image that may be another"),
        pytest.param(replace(BAD, images=(SIDECAR,)), id="without one of the images"),
        pytest.param(replace(BAD, images=(replace(WEB, container="api"), SIDECAR)), id="in another container"),
    ],
)
def test_other_content_is_not_recognised(other: Revision) -> None:
    assert not is_remembered(remembered(BAD), other)


def test_an_image_without_a_digest_is_recognised_by_its_reference_where_that_cannot_move() -> None:
    pinned = replace(BAD, images=(Image("web", "shop@sha256:aa"),))
    assert is_remembered(remembered(pinned), pinned)
    assert not is_remembered(remembered(pinned), replace(pinned, images=(Image("web", "shop@sha256:cc"),)))


@pytest.mark.parametrize(
    "text",
    ["not JSON", "[]", "{}", '{"digest": "sha256:settings"}', '{"digest": "", "other_parts": "", "images": [["web"]]}'],
)
def test_what_somebody_else_wrote_is_nobodys_content(text: str) -> None:
    assert not is_remembered(text, BAD)


def test_known_bad_is_said_by_name_first_then_by_content_unless_people_said_that_it_is_good() -> None:
    again = replace(BAD, identity="web:9")
    kept = {"web:1": remembered(replace(BAD, digest="sha256:others")), "web:3": remembered(BAD)}
    controls = Controls(known_bad={"web:1": "bad", "web:3": "worse"}, known_bad_contents=kept)
    assert (controls.known_bad_as(BAD), controls.known_bad_as(again)) == ("web:3", "web:3")
    assert controls.known_bad_as(replace(again, digest="sha256:good")) == ""
    marked = replace(controls, marked_good=frozenset({"web:9"}))
    assert (marked.known_bad_as(again), marked.known_bad_as(BAD)) == ("", "web:3")


# --- a release past its stack -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "kind"),
    [
        (Origin("stack/shop"), "stack"),
        (Origin("stack/shop", bypassed=True), "bypassed"),
        (Origin(problem="denied"), "unknown"),
        (Origin(), "none"),
    ],
)
def test_whose_a_release_is_has_one_word(origin: Origin, kind: str) -> None:
    assert origin.kind == kind


def test_a_release_was_not_the_stacks_where_that_was_at_rest_and_done_before() -> None:
    at_rest = Origin("stack/shop", "UPDATE_COMPLETE", settled_at=NOW)
    moment = timedelta(seconds=1)
    assert passed_over(at_rest, NOW + CLOCKS_DIFFER_BY + moment)
    assert not passed_over(at_rest, NOW + CLOCKS_DIFFER_BY), "two clocks may date one moment so differently"
    assert not passed_over(at_rest, NOW - moment)
    assert not passed_over(replace(at_rest, status="UPDATE_IN_PROGRESS"), NOW + timedelta(hours=1))
    assert not passed_over(replace(at_rest, settled_at=None), NOW + timedelta(hours=1))
