"""Sentences about a rollback's follow-ups for its pipeline."""

from __future__ import annotations

from collections.abc import Mapping

from lastgood.judgement.wording import listed
from lastgood.model import FollowUp, Rollback
from lastgood.pipelines.runs import Run

PURPOSE = {
    FollowUp.HOLD: "Holding the pipeline",
    FollowUp.FIND_COMMITS: "Finding the commits",
    FollowUp.RERUN: "Re-running the pipeline",
    FollowUp.WATCH_RERUN: "Watching the re-run",
    FollowUp.RELEASE: "Releasing the pipeline",
    FollowUp.BRING_OTHERS: "Rolling the rest of the release back",
}


def by_hand(due: FollowUp, rollback: Rollback, enable_command: str) -> str:
    """What people can do by hand where a follow-up was given up."""
    match due:
        case FollowUp.HOLD:
            return (
                f"Until the bad commit is reverted, the next run of {rollback.trail.pipeline} puts it back: disable "
                f"the transition into {rollback.trail.hold_stage} by hand."
            )
        case FollowUp.FIND_COMMITS:
            where = rollback.trail.pipeline or "what releases it"
            return f"Look for {rollback.choice.suspect_deployment_id} in the history of {where}."
        case FollowUp.BRING_OTHERS:
            others = listed(sorted(rollback.choice.release_deployments.keys() - {rollback.group.key}))
            return f"Look whether they should go back as well: {others}."
        case FollowUp.RERUN:
            return f"By hand: {rollback.trail.rerun_command}"
        case _:
            return f"By hand: {enable_command}"


def release_the_revert(rollback: Rollback) -> str:
    """What people can do where the pipeline cannot be run for the good commit."""
    what = rollback.trail.revert_command or "revert the bad commit"
    return f"By hand: {what}, and release that."


def what_was_found(rollback: Rollback, runs: Mapping[str, Run]) -> str:
    """One sentence for each deployment: the commit, and the run that made it, or what is not known."""
    told = []
    for deployment_id, commit in (
        (rollback.choice.suspect_deployment_id, rollback.trail.suspect_commit),
        (rollback.choice.good_deployment_id, rollback.trail.good_commit),
    ):
        if not deployment_id:
            continue
        run = runs.get(deployment_id)
        where = f"the run {run.execution_id}" if run else f"no known run of {rollback.trail.pipeline or 'a pipeline'}"
        told.append(f"{deployment_id} comes from {f'commit {commit}' if commit else 'an unknown commit'}, {where}.")
    return " ".join(told)
