"""What follows from a pipeline's runs: commits, re-runs, whether a newer commit waits. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from lastgood.model import Rollback
from lastgood.pipelines.runs import Definition, Recent, Run
from lastgood.text import clean

# The source providers whose revision StartPipelineExecution takes, and as what (CodePipeline User Guide, "Start a
# pipeline with a source revision override").
REVISION_TYPES = {
    "CodeCommit": "COMMIT_ID",
    "CodeStarSourceConnection": "COMMIT_ID",
    "ECR": "IMAGE_DIGEST",
    "S3": "S3_OBJECT_VERSION_ID",
}
RUNNING = frozenset({"InProgress", "Stopping"})


def commits(suspect: Run | None, good: Run | None) -> tuple[str, str]:
    """The commit of each run; empty where unknown. Of several sources, the one in which the two runs differ counts."""
    before = {source.action: source.revision for source in good.sources} if good else {}
    named = [source for source in (suspect or good or Run("", "")).sources if source.commit]
    changed = [source for source in named if before.get(source.action) != source.revision]
    action = next((source.action for source in [*changed, *named]), "")
    bad_commit, good_commit = (
        next((s.commit for s in run.sources if s.action == action), "") if run else "" for run in (suspect, good)
    )
    return bad_commit, good_commit


def commit_page(commit: str, *runs: Run | None) -> str:
    """The page on which people can see a commit; empty where no run's source names one."""
    sources = (source for run in runs if run for source in run.sources)
    return next((source.page for source in sources if commit and source.commit == commit), "")


def start_request(pipeline: str, definition: Definition, good: Run, token: str) -> tuple[dict[str, Any] | None, str]:
    """What StartPipelineExecution needs to run the pipeline for the sources of `good`; or None, and why it cannot.

    `token` is the rollback's id: CodePipeline starts no second run for the same token.
    """
    if definition.pipeline_type != "V2":
        return None, f"{pipeline} is a {definition.pipeline_type} pipeline, which cannot be run for a chosen commit."
    odd = next(
        (source for source in good.sources if source.provider not in REVISION_TYPES or not source.revision), None
    )
    if odd is not None or not good.sources:
        what = f"the source {odd.action} ({odd.provider})" if odd else f"the execution {good.execution_id}"
        return None, f"{pipeline} cannot be run for a chosen revision: {clean(what, 200)} does not allow it."
    revisions = [
        {"actionName": s.action, "revisionType": REVISION_TYPES[s.provider], "revisionValue": s.revision}
        for s in good.sources
    ]
    request: dict[str, Any] = {"name": pipeline, "clientRequestToken": token, "sourceRevisions": revisions}
    if good.variables:
        request["variables"] = [{"name": name, "value": value} for name, value in good.variables]
    return request, ""


def changed_since(definition: Definition, good: Run) -> str:
    """A sentence if the pipeline was changed since the good run, so people must look before a re-run; else empty."""
    if definition.version == good.version:
        return ""
    return f"The pipeline was changed since that run (version {good.version}, now {definition.version})."


def overtaken(
    recent: Iterable[Recent], suspect_id: str, suspect_at: datetime, good_revisions: frozenset[str]
) -> Recent | None:
    """A newer run that may bring the fix, which a re-run of the good commit would undo; None if there is none.

    Runs of the suspect's and of the good revisions do not count. `suspect_at` is used where the suspect's own run is
    not among the `recent`.
    """
    recent = tuple(recent)
    suspect = next((run for run in recent if run.execution_id == suspect_id), None)
    since = suspect.started_at if suspect else suspect_at
    # A run whose sources are not known yet may bring anything.
    harmless = {good_revisions, suspect.revisions if suspect else good_revisions} - {frozenset[str]()}
    return next(
        (
            run
            for run in recent
            if run.started_at > since
            and run.status in {*RUNNING, "Succeeded"}
            and not run.rollback
            and run.revisions not in harmless
        ),
        None,
    )


def runs_again(recent: Iterable[Recent], rollback: Rollback) -> tuple[str, ...]:
    """The runs since the suspect's release that bring the good commit again: our own re-run, or one that people began.

    They are recognised by the good run's sources if it is among the `recent`, else by the good commit alone.
    """
    recent = tuple(recent)
    good = next((run.revisions for run in recent if run.execution_id == rollback.trail.good_execution_id), frozenset())
    wanted = {good, frozenset({rollback.trail.good_commit})} - {frozenset(), frozenset({""})}
    since = rollback.choice.suspect_created_at or rollback.opened_at
    return tuple(
        run.execution_id
        for run in recent
        if run.execution_id == rollback.trail.rerun_execution_id or (run.started_at > since and run.revisions in wanted)
    )


def brings_something_new(recent: Iterable[Recent], waiting: frozenset[str], held_at: datetime) -> bool:
    """True where every run that waits before the held stage brings something that no run had before the hold.

    CodePipeline does not know the order of commits. So a run is new if it started after the hold, is no stage rollback,
    and has revisions that no earlier run among the `recent` had: neither the bad commit again nor an older one.
    """
    recent = tuple(recent)
    seen = {run.revisions for run in recent if run.started_at <= held_at}
    new = {
        run.execution_id
        for run in recent
        if run.started_at > held_at and not run.rollback and run.revisions and run.revisions not in seen
    }
    return bool(waiting) and waiting <= new
