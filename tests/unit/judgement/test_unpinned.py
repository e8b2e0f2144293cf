"""Names that do not tell what they hold are found before an incident needs them."""

from __future__ import annotations

from dataclasses import replace

from builders import at, release
from judging import BAD, GOOD
from lastgood.judgement.steps import Chosen, Proceed
from lastgood.judgement.unpinned import unpinned
from lastgood.model import Candidate, Deployment, Image, Reason, Rejection


def told(*suspects: Deployment, good: Deployment | None = None, candidates: tuple[Candidate, ...] = ()) -> str:
    return unpinned(Proceed(Reason.IN_PROGRESS, "go", chosen=Chosen(suspects, good, candidates)))


def running(deployment: Deployment, *images: Image) -> Deployment:
    return replace(deployment, revision=replace(deployment.revision, images=images))


LATEST = Image("web", "shop/web:latest", "sha256:1")
TAGGED = Image("web", "shop/web:v7", "sha256:1")
PINNED = Image("web", "shop/web@sha256:1", "sha256:1")


def test_nothing_is_said_of_names_that_tell() -> None:
    assert told() == ""
    assert told(BAD, good=GOOD) == ""
    assert told(running(BAD, TAGGED), good=running(GOOD, PINNED)) == ""


def test_a_candidate_of_unknown_content_is_told_with_its_cause() -> None:
    def candidate(rejection: Rejection) -> Candidate:
        return Candidate(f"d-{rejection}", "main", at(-5), rejection, "main moves.")

    found = told(candidates=(candidate(Rejection.KNOWN_BAD), candidate(Rejection.CONTENT_UNKNOWN)))
    assert found == "d-CONTENT_UNKNOWN could not go back: main moves."
    assert told(candidates=(candidate(Rejection.KNOWN_BAD),)) == ""


def test_a_tag_that_is_the_same_for_every_release_is_told_with_who_names_it() -> None:
    found = told(running(BAD, LATEST), good=GOOD)
    assert found.startswith("v2 names shop/web:latest, which is the same for every release: what it brought is known")
    assert told(BAD, good=running(GOOD, LATEST)).startswith("v1 names shop/web:latest")


def test_of_many_such_tags_three_are_named_and_each_revision_once() -> None:
    many = [Image(f"c{n}", f"shop/c{n}:latest", "") for n in range(5)]
    assert told(running(BAD, *many)).startswith(
        "v2 names shop/c0:latest, shop/c1:latest, shop/c2:latest and 2 more, which is the same for every release"
    )


def test_of_many_revisions_with_such_tags_three_are_named() -> None:
    suspects = [running(release(f"d-{n}", f"v{n}"), Image("web", f"shop/web{n}:latest")) for n in range(5, 1, -1)]
    assert told(*suspects).startswith("v5, v4, v3 and 1 more names shop/web5:latest")


def test_what_cannot_go_back_is_told_before_what_moves() -> None:
    unknown = Candidate("d-1", "main", at(-5), Rejection.CONTENT_UNKNOWN, "main moves.")
    assert told(running(BAD, LATEST), candidates=(unknown,)) == "d-1 could not go back: main moves."
