"""When two revisions are the same, and when nobody can know."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lastgood.model import Image, Revision, same_content, same_images

PINNED = Image("web", "shop/web@sha256:1", "sha256:1")
TAGGED = Image("web", "shop/web:v7")
LATEST = Image("web", "shop/web:latest")


def ran(image: Image, digest: str) -> Image:
    return replace(image, digest=digest)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param((), (), True, id="none run"),
        pytest.param((PINNED,), (PINNED,), True, id="the same digest"),
        pytest.param((ran(TAGGED, "sha256:1"),), (PINNED,), True, id="the same digest under two names"),
        pytest.param((ran(LATEST, "sha256:1"),), (ran(LATEST, "sha256:2"),), False, id="other digests, one name"),
        pytest.param((TAGGED,), (TAGGED,), True, id="a tag of one release"),
        pytest.param((TAGGED,), (replace(TAGGED, reference="shop/web:v8"),), False, id="tags of two releases"),
        pytest.param((LATEST,), (LATEST,), None, id="a tag that moves"),
        pytest.param((LATEST,), (TAGGED,), False, id="two tags"),
        pytest.param((ran(TAGGED, "sha256:1"),), (TAGGED,), None, id="only one digest is known"),
        pytest.param((PINNED,), (), True, id="one side alone names a digest"),
        pytest.param((TAGGED,), (), True, id="one side alone names a tag of one release"),
        pytest.param((ran(TAGGED, "sha256:1"),), (), None, id="one side alone names what ran by a tag"),
        pytest.param((LATEST,), (), None, id="one side alone names a tag that moves"),
        pytest.param(
            (LATEST, Image("log", "log:1")), (LATEST, Image("log", "log:2")), False, id="a difference decides"
        ),
        pytest.param((TAGGED, Image("log", "log:1")), (Image("log", "log:1"), TAGGED), True, id="in any order"),
    ],
)
def test_containers_run_the_same_images_or_others_or_nobody_knows(
    one: tuple[Image, ...], other: tuple[Image, ...], same: bool | None
) -> None:
    assert same_images(one, other) is same
    assert same_images(other, one) is same


@pytest.mark.parametrize(
    ("reference", "moves"),
    [
        ("shop/web:v7", False),
        ("shop/web:latest", True),
        ("shop/web", True),
        ("web", True),
        ("shop/web2", True),
        ("registry.example:5000/shop/web", True),
        ("registry.example:5000/shop/web:v7", False),
        ("shop/web:latest@sha256:1", False),
    ],
)
def test_a_reference_moves_unless_its_tag_has_a_digit_or_it_names_a_digest(reference: str, moves: bool) -> None:
    assert Image("web", reference).moves is moves


def of(
    identity: str = "v1", digest: str = "", *, moves: str = "", other_parts: str = "", image: Image | None = None
) -> Revision:
    images = (image,) if image else ()
    return Revision("AppSpecContent", identity, digest=digest, moves=moves, other_parts=other_parts, images=images)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(of(), of(), True, id="one name"),
        pytest.param(of(), of("v2"), False, id="two names"),
        pytest.param(of("v1", "c0"), of("v2", "c0"), True, id="one digest under two names"),
        pytest.param(of("v1", "c0"), of("v1", "c1"), False, id="two digests under one name"),
        pytest.param(of("v1", "c0"), of("v1"), True, id="one name, and one digest alone is known"),
        pytest.param(of(""), of(""), None, id="neither could be read"),
        pytest.param(of(), of(""), None, id="one could not be read"),
        pytest.param(of(moves="main moves"), of(moves="main moves"), None, id="a name that moves"),
        pytest.param(
            of("v1", "c0", moves="main moves"), of(), None, id="a name that moves against another kind of name"
        ),
        pytest.param(of("v1", "c0", moves="main moves"), of("v1", "c0"), True, id="a name that moves, with a digest"),
        pytest.param(of(), of(other_parts="two subnets"), False, id="other settings"),
        pytest.param(of(image=TAGGED), of(image=replace(TAGGED, reference="shop/web:v8")), False, id="other images"),
        pytest.param(of(image=LATEST), of(image=LATEST), None, id="images that nobody knows"),
        pytest.param(of("v2", image=LATEST), of(image=LATEST), False, id="another name, whatever runs"),
    ],
)
def test_two_revisions_contain_the_same_or_not_or_nobody_knows(
    one: Revision, other: Revision, same: bool | None
) -> None:
    assert same_content(one, other) is same
    assert same_content(other, one) is same
