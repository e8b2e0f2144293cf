"""What can be worked out of CodePipeline's answers without asking: commits, requests, commands, what is new."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import at, rollback
from lastgood.pipelines.commands import start_command
from lastgood.pipelines.rules import (
    brings_something_new,
    changed_since,
    commit_page,
    commits,
    overtaken,
    runs_again,
    start_request,
)
from lastgood.pipelines.runs import Definition, Recent, Run, Source, Stage, asks_people, commit_in, hold_reason, holder

GOOD, BAD, FIX = "a1" * 20, "b2" * 20, "c3" * 20
V2 = Definition(3, "V2")
RB = "rb-20260302T100000000Z-0123456789ab"


def run(*sources: Source, version: int = 3, variables: tuple[tuple[str, str], ...] = ()) -> Run:
    return Run("run-1", "Succeeded", version, sources, variables)


def git(revision: str, action: str = "App", provider: str = "CodeCommit") -> Source:
    return Source(action, provider, revision)


# --- commits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "commit"),
    [
        (GOOD, GOOD),
        (f"  {GOOD.upper()}\n", GOOD),
        ("abc1234", "abc1234"),
        (f"release 7 of {GOOD}, by ann", GOOD),
        ("f" * 64, "f" * 64),
        ("", ""),
        ("v1.2.3", ""),
        ("fix abc1234", ""),
        ("20261123", ""),
        (f"{GOOD}0", ""),
        (f"x{GOOD}", ""),
        ("$(rm -rf /)", ""),
    ],
)
def test_a_text_names_a_commit_only_where_it_is_one_or_has_a_whole_hash_in_it(text: str, commit: str) -> None:
    assert commit_in(text) == commit


@given(st.text(max_size=80))
def test_whatever_a_text_says_the_commit_in_it_can_do_nothing_in_a_shell(text: str) -> None:
    found = commit_in(text)
    assert shlex.quote(found or "x") == (found or "x")


def test_the_commit_is_that_of_the_source_in_which_the_two_runs_differ() -> None:
    good = run(git("1" * 40, "Config"), git(GOOD, "App"))
    bad = run(git("1" * 40, "Config"), git(BAD, "App"))
    assert commits(bad, good) == (BAD, GOOD)


def test_an_object_in_s3_names_its_commit_in_its_summary() -> None:
    bad, good = (run(Source("Zip", "S3", f"v-{c[:2]}", f"build of {c}")) for c in (BAD, GOOD))
    assert commits(bad, good) == (BAD, GOOD)


def test_a_digest_is_no_commit() -> None:
    assert commits(run(Source("Image", "ECR", "sha256:" + "a" * 64)), None) == ("", "")


def test_what_is_known_of_one_run_is_told_though_the_other_is_not_known() -> None:
    assert commits(run(git(BAD)), None) == (BAD, "")
    assert commits(None, run(git(GOOD))) == ("", GOOD)
    assert commits(None, None) == ("", "")


# --- the request and the command --------------------------------------------------------------------------------------


def test_every_source_is_given_by_the_type_that_its_provider_takes() -> None:
    good = run(
        git(GOOD, "A"),
        git(BAD, "B", "CodeStarSourceConnection"),
        Source("C", "ECR", "sha256:1"),
        Source("D", "S3", "version-1"),
        variables=(("stage", "prod"),),
    )
    request, problem = start_request("shop", V2, good, RB)
    assert problem == ""
    assert request == {
        "name": "shop",
        "clientRequestToken": RB,
        "sourceRevisions": [
            {"actionName": "A", "revisionType": "COMMIT_ID", "revisionValue": GOOD},
            {"actionName": "B", "revisionType": "COMMIT_ID", "revisionValue": BAD},
            {"actionName": "C", "revisionType": "IMAGE_DIGEST", "revisionValue": "sha256:1"},
            {"actionName": "D", "revisionType": "S3_OBJECT_VERSION_ID", "revisionValue": "version-1"},
        ],
        "variables": [{"name": "stage", "value": "prod"}],
    }


@pytest.mark.parametrize(
    ("definition", "good", "word"),
    [
        (Definition(3, "V1"), run(git(GOOD)), "V1"),
        (V2, run(git(GOOD, provider="GitHub")), "GitHub"),
        (V2, run(git(GOOD), git("", "Config")), "Config"),
        (V2, run(), "run-1"),
    ],
)
def test_what_cannot_be_started_for_a_commit_is_said_and_no_half_of_it_is_tried(
    definition: Definition, good: Run, word: str
) -> None:
    request, problem = start_request("shop", definition, good, RB)
    assert request is None
    assert word in problem


def test_a_pipeline_of_another_version_was_changed_since() -> None:
    assert changed_since(V2, run(version=3)) == ""
    assert "version 2, now 3" in changed_since(V2, run(version=2))


def options(command: str) -> dict[str, str]:
    """The command as a shell splits it."""
    words = shlex.split(command)
    assert words[:3] == ["aws", "codepipeline", "start-pipeline-execution"]
    return dict(word.removeprefix("--").split("=", 1) for word in words[3:])


HOSTILE = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40) | st.sampled_from(
    ["'; rm -rf / #", "$(id)", "`id`", "--profile", "file:///etc/passwd", "\x1b[2J", "\u202egnp", "a b,c=d"]
)


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_whatever_actions_and_revisions_are_called_a_shell_reads_exactly_them(
    action: str, revision: str, name: str, value: str
) -> None:
    good = run(git(revision, action), variables=((name, value),))
    request, _ = start_request("shop", V2, good, RB)
    assert request is not None
    command = start_command(request, "us-east-1")
    found = options(command)
    assert found.pop("source-revisions") == json.dumps(request["sourceRevisions"])
    assert json.loads(found.pop("variables")) == request["variables"]
    assert found == {"region": "us-east-1", "name": "shop", "client-request-token": RB}
    assert command.isascii() and command.isprintable()


# --- what is newer ----------------------------------------------------------------------------------------------------


def recent(execution_id: str, started: float, *revisions: str, status: str = "Succeeded", back: bool = False) -> Recent:
    """A run that started so many minutes after the alarm."""
    return Recent(execution_id, status, at(started), frozenset(revisions), back)


PAST = (recent("bad", -10, BAD), recent("good", -200, GOOD))
ONLY_GOOD = frozenset({GOOD})


@pytest.mark.parametrize(
    ("newer", "overtakes"),
    [
        (recent("fix", 1, FIX, status="InProgress"), True),
        (recent("fix", 1, FIX, status="Succeeded"), True),
        (recent("fix", 1, status="InProgress"), True),
        (recent("fix", 1, FIX, status="Failed"), False),
        (recent("fix", 1, FIX, status="Superseded"), False),
        (recent("again", 1, BAD, status="InProgress"), False),
        (recent("ours", 1, GOOD, status="InProgress"), False),
        (recent("stage rollback", 1, FIX, back=True), False),
        (recent("before", -20, FIX, status="InProgress"), False),
    ],
)
def test_only_a_newer_run_of_another_commit_may_be_the_fix(newer: Recent, overtakes: bool) -> None:
    assert (overtaken((newer, *PAST), "bad", at(-9), ONLY_GOOD) is newer) is overtakes


def test_newer_is_what_began_after_the_suspects_own_run_whenever_that_was_blamed() -> None:
    suspect = recent("bad", 3, BAD)
    between, same = recent("between", 1, FIX), recent("same", 3, FIX)
    assert overtaken((suspect, between), "bad", at(-9), ONLY_GOOD) is None
    assert overtaken((suspect, same), "bad", at(-9), ONLY_GOOD) is None


def test_the_page_of_a_commit_is_that_of_the_source_that_brought_it() -> None:
    bad = replace(git(BAD), page="https://example.com/bad")
    good = replace(git(GOOD), page="https://example.com/good")
    assert commit_page(GOOD, None, run(bad), run(good)) == "https://example.com/good"
    assert commit_page(FIX, run(bad), run(good)) == ""
    assert commit_page("", run(Source("Image", "ECR", "", page="https://example.com/none"))) == ""


@pytest.mark.parametrize(
    ("action", "approval"),
    [
        ({"input": {"actionTypeId": {"category": "Approval"}}}, True),
        ({"input": {"actionTypeId": {"category": "Deploy"}}}, False),
        ({"input": {"actionTypeId": None}}, False),
        ({"input": None}, False),
        ({}, False),
    ],
)
def test_an_action_asks_people_if_it_is_an_approval(action: dict[str, Any], approval: bool) -> None:
    assert asks_people(action) is approval


def test_the_runs_that_bring_the_good_commit_again_are_our_own_and_those_of_the_good_runs_sources() -> None:
    """Runs from before the suspect's release brought nothing back, and other commits are no way back."""
    put_back = rollback(
        good_execution_id="good", good_commit=GOOD, rerun_execution_id="ours", suspect_created_at=at(-10)
    )
    runs = (
        recent("good", -600, GOOD, "image-1"),
        recent("built-again", -300, GOOD, "image-1"),
        recent("by-hand", 5, GOOD, "image-1"),
        recent("ours", 6),
        recent("other-image", 7, GOOD, "image-2"),
        recent("only-the-commit", 8, GOOD),
        recent("bad", 9, BAD, "image-1"),
    )
    assert runs_again(runs, put_back) == ("by-hand", "ours", "only-the-commit")


def test_where_nothing_is_known_of_the_good_run_no_run_brings_it_again() -> None:
    assert runs_again((recent("starting", 5), recent("other", 6, BAD)), rollback()) == ()


def test_where_the_suspects_run_is_not_known_its_deployments_time_stands_in() -> None:
    fix = recent("fix", 1, FIX, status="InProgress")
    assert overtaken((fix,), "", at(-9), ONLY_GOOD) is fix
    assert overtaken((fix,), "", at(2), ONLY_GOOD) is None


@pytest.mark.parametrize(
    ("waiting", "new"),
    [
        (("fix",), True),
        (("again",), False),
        (("old",), False),
        (("early",), False),
        (("unread",), False),
        (("back",), False),
        (("unlisted",), False),
        (("fix", "again"), False),
        ((), False),
    ],
)
def test_the_stage_opens_only_where_all_that_waits_is_newer_than_the_hold(waiting: tuple[str, ...], new: bool) -> None:
    runs = (
        recent("fix", 5, FIX),
        recent("again", 6, BAD),
        recent("old", 7, GOOD),
        recent("unread", 8),
        recent("back", 9, "d4" * 20, back=True),
        recent("early", -1, "e5" * 20),
        *PAST,
    )
    assert brings_something_new(runs, frozenset(waiting), at(0)) is new


# --- holding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rollback_id", [RB, "rb-manual-0123456789ab"])
def test_the_reason_of_a_hold_fits_codepipelines_rule_and_names_its_rollback(rollback_id: str) -> None:

    reason = hold_reason(rollback_id)
    assert re.fullmatch(r"[a-zA-Z0-9!@ \(\)\.\*\?\-]{1,300}", reason)
    assert holder(reason) == rollback_id
    assert Stage(enabled=False, reason=reason).held_by(rollback_id)
    assert not Stage(enabled=True, reason=reason).held_by(rollback_id)


@pytest.mark.parametrize("reason", ["", "freeze", "see lastgood rb-1 ", "lastgood"])
def test_a_reason_that_somebody_else_wrote_names_no_rollback(reason: str) -> None:
    assert holder(reason) == ""
