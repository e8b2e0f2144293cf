"""What a record keeps of a decision: what is blamed and what goes back."""

from __future__ import annotations

from typing import Any

from lastgood.judgement.choice import digests_wanted
from lastgood.judgement.stacks import command_for
from lastgood.judgement.steps import Decision
from lastgood.judgement.theirs import why_it_failed
from lastgood.links import compare
from lastgood.model import Origin, remembered
from lastgood.pipelines.runs import commit_in


def chosen_by(decision: Decision, deployer: str, origin: Origin | None) -> dict[str, Any]:
    """The fields of the record that a decision fixes. Only the first names suspects: later steps do not choose again.

    `deployer` is its name for people; `origin` is the stack that holds what would be moved, where that was looked up.
    """
    chosen = _blamed(decision, origin) | _going_back(decision)
    if failed := decision.chosen.failed:
        chosen["failed_rollback_id"] = failed.deployment_id
        chosen["failed_rollback"] = why_it_failed(failed, deployer)
    if decision.chosen.floor:
        chosen["floor_deployment_id"] = decision.chosen.floor
    if decision.candidates:
        chosen["candidates"] = decision.candidates
    return chosen


def _blamed(decision: Decision, origin: Origin | None) -> dict[str, Any]:
    if not decision.suspects:
        return {}
    newest, oldest = decision.suspects[0], decision.suspects[-1]
    # A stage's rollback that was passed on keeps the command for the stack which the group's rollback had found.
    asked = newest.stack or origin is not None
    holder = newest.stack or (origin.stack if origin and origin.bypassed else "")
    stack = {"suspect_stack": holder, "stack_command": command_for(holder, origin)} if asked else {}
    contents = {suspect.revision.identity: remembered(suspect.revision) for suspect in decision.suspects}
    return stack | {
        "suspect_deployment_id": newest.deployment_id,
        "suspect_revisions": tuple(dict.fromkeys(s.revision.identity for s in decision.suspects)),
        "suspect_contents": {identity: content for identity, content in contents.items() if content},
        "suspect_created_at": oldest.created_at,
        "suspect_commit": commit_in(newest.revision.commit),
        "remark": decision.chosen.remark,
        "calls_people": decision.chosen.calls_people,
    }


def _going_back(decision: Decision) -> dict[str, Any]:
    good = decision.good
    if good is None:
        return {}
    commit, suspects = commit_in(good.revision.commit), decision.suspects
    blamed = suspects[0].revision if suspects else None
    return {
        "good_deployment_id": good.deployment_id,
        "good_revision": good.revision.identity,
        "good_digests": digests_wanted(good.revision, suspects),
        "good_commit": commit,
        "compare_url": compare(blamed.identity, commit, commit_in(blamed.commit)) if blamed else "",
    }
