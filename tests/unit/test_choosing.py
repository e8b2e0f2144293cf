"""What a record keeps of a decision, so that no later step chooses again."""

from __future__ import annotations

from dataclasses import replace

from builders import NOW, at, observation, release, rollback
from lastgood.judgement import decide
from lastgood.model import Policy
from lastgood.rollbacks.choosing import chosen_by

GOOD, BAD = "a1" * 20, "b2" * 20


def chosen(*history, **more):
    return chosen_by(decide(rollback(), observation(*history), Policy(), NOW), "CodeDeploy", None)


def of_commit(made, commit):
    return replace(made, revision=replace(made.revision, identity=f"github:acme/shop@{commit}", commit=commit))


def test_the_suspect_and_what_goes_back_are_kept_with_their_commits_and_what_lies_between_them():
    found = chosen(of_commit(release("d-2", "v2", -10), BAD), of_commit(release("d-1", "v1", -600), GOOD))
    record = rollback().changed(**found)
    assert (record.choice.suspect_deployment_id, record.choice.good_deployment_id) == ("d-2", "d-1")
    assert (record.trail.suspect_commit, record.trail.good_commit) == (BAD, GOOD)
    assert record.trail.revert_command == f"git revert {BAD}"
    assert record.trail.compare_url == f"https://github.com/acme/shop/compare/{GOOD}...{BAD}"


def test_where_nothing_can_go_back_the_suspect_is_kept_all_the_same():
    found = chosen(release("d-2", "v2", -10))
    record = rollback().changed(**found)
    assert (record.choice.suspect_revision, record.choice.suspect_created_at) == ("v2", at(-10))
    assert (record.choice.good_deployment_id, record.trail.compare_url) == ("", "")


def test_a_decision_without_a_suspect_changes_nothing_that_was_chosen_before():
    record = rollback(suspect_deployment_id="d-2", suspect_revisions=("v2",), good_deployment_id="d-1")
    later = record.changed(**chosen())
    assert later.choice.suspect_deployment_id == "d-2"
    assert later.choice.good_deployment_id == "d-1"
