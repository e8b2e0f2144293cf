"""The commits behind a rollback, and the run for the good commit, which makes the newest definition right again."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from lastgood.deployers import DeployerFor
from lastgood.errors import LastgoodError, RefusedError
from lastgood.judgement.wording import duration
from lastgood.links import compare
from lastgood.model import AfterRollback, FollowUp, parse_key
from lastgood.pipelines.rules import RUNNING, changed_since, commit_page, commits, overtaken, start_request
from lastgood.pipelines.runs import Run, run_of
from lastgood.pipelines.turn import Turn
from lastgood.pipelines.wording import release_the_revert, what_was_found

RERUN_WATCH = timedelta(hours=24)
STARTING = "Starting"


CLOCKS_DIFFER_BY = timedelta(minutes=1)
"""CodePipeline and ECS may date one moment so differently."""


def release_fields(pipeline: str, run: Run, deployer_for: DeployerFor) -> dict[str, Any]:
    """The fields of a record that say what else the suspect's run released; none where it released nothing else."""
    if len(run.deployed) < 2:
        return {}
    return {
        "release_groups": tuple(key for key, _ in run.deployed),
        "release_joined_by": run_of(pipeline, run.execution_id),
        "release_deployments": {key: by for key, by in run.deployed if by} | _of_services(run, deployer_for),
    }


def _of_services(run: Run, deployer_for: DeployerFor) -> dict[str, str]:
    """The last deployment of each service that a run released to, where it began while the run's action ran."""
    deployments: dict[str, str] = {}
    for key, began, ended in run.between:
        deployer = deployer_for(parse_key(key), None)
        facts = deployer.facts()
        newest = deployer.newest(facts) if facts else None
        if newest and newest.is_release and _within(newest.created_at, began, ended):
            deployments[key] = newest.deployment_id
    return deployments


def _within(moment: datetime, began: datetime, ended: datetime) -> bool:
    return began - CLOCKS_DIFFER_BY <= moment <= ended + CLOCKS_DIFFER_BY


class Rerun:
    """The runs of one pipeline, in one turn."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._pipelines = turn.parts.pipelines

    def find_commits(self) -> None:
        rollback = self._turn.rollback
        trail, choice = rollback.trail, rollback.choice
        wanted = [
            deployment_id
            for deployment_id in (choice.suspect_deployment_id, choice.good_deployment_id)
            if deployment_id
        ]
        runs = self._runs(wanted)
        others = self._by_other_rules(wanted) if choice.suspect_deployment_id not in runs else {}
        trail, every = self._turn.rollback.trail, runs | others
        suspect, good = every.get(choice.suspect_deployment_id), every.get(choice.good_deployment_id)
        bad_commit, good_commit = commits(suspect, good)
        bad_commit = trail.suspect_commit or bad_commit or self._pipelines.bundle_commit(choice.suspect_revision)
        good_commit = trail.good_commit or good_commit or self._pipelines.bundle_commit(choice.good_revision)
        self._turn.change(
            suspect_commit=bad_commit,
            good_commit=good_commit,
            compare_url=rollback.trail.compare_url
            or compare(commit_page(bad_commit, suspect), good_commit, bad_commit),
            suspect_execution_id=suspect.execution_id if suspect else "",
            good_execution_id=good.execution_id if good else "",
            **(release_fields(trail.pipeline, suspect, self._turn.parts.deployer_for) if suspect else {}),
        )
        # A pipeline runs again for its own runs alone.
        self._prepare_rerun((others or runs).get(choice.good_deployment_id))
        self._turn.settle(FollowUp.FIND_COMMITS, what_was_found(self._turn.rollback, every))

    def _runs(self, deployment_ids: list[str]) -> dict[str, Run]:
        """The runs that made these deployments; those of a stage are runs themselves."""
        rollback = self._turn.rollback
        pipeline = rollback.trail.pipeline
        if rollback.group.can().deployments_are_runs:
            return {deployment_id: self._pipelines.run(pipeline, deployment_id) for deployment_id in deployment_ids}
        return self._pipelines.made(pipeline, deployment_ids) if pipeline else {}

    def _by_other_rules(self, deployment_ids: list[str]) -> dict[str, Run]:
        """The runs of another pipeline that releases to the group too, and that made the suspect; empty if none did.

        From here on that is the rollback's pipeline, unless the first one's stage is held: people wait for that.
        """
        rollback = self._turn.rollback
        rules = [] if rollback.trail.hold_stage else self._turn.parts.settings.pipelines_of(rollback.group)
        for rule in rules:
            try:
                runs = self._pipelines.made(rule.pipeline, deployment_ids)
            except RefusedError:
                continue
            if rollback.choice.suspect_deployment_id in runs:
                self._turn.change(pipeline=rule.pipeline, after_rollback=rule.after_rollback)
                return runs
        return {}

    def _prepare_rerun(self, good: Run | None) -> None:
        """What would run the pipeline for the good commit: a request for this function, a command for people."""
        rollback = self._turn.rollback
        trail, choice = rollback.trail, rollback.choice
        if trail.after_rollback not in {AfterRollback.TELL, AfterRollback.RERUN} or not choice.good_deployment_id:
            return
        if good is None:
            self._turn.problem(
                f"No run of {trail.pipeline} is known that made {choice.good_deployment_id}, so it cannot be re-run "
                f"for the good commit. {release_the_revert(rollback)}"
            )
            return
        definition = self._pipelines.definition(trail.pipeline)
        request, problem = start_request(trail.pipeline, definition, good, rollback.rollback_id)
        if request is None:
            self._turn.problem(f"{problem} {release_the_revert(rollback)}")
            return
        changed = changed_since(definition, good)
        self._turn.change(
            rerun_command=self._pipelines.command(request),
            # A pipeline that was changed is not run by itself: people look at it first.
            rerun_request="" if changed else json.dumps(request),
        )
        if changed:
            self._turn.problem(f"{changed} Look at it, then run: {self._turn.rollback.trail.rerun_command}")

    def start(self) -> None:
        rollback = self._turn.rollback
        trail = rollback.trail
        request = json.loads(trail.rerun_request)
        # Once a start may have been sent, only the same start is sent again: its token makes it the same run.
        if trail.rerun_status != STARTING:
            good = frozenset(revision["revisionValue"] for revision in request["sourceRevisions"])
            since = rollback.choice.suspect_created_at or rollback.opened_at
            newer = overtaken(self._pipelines.recent(trail.pipeline), trail.suspect_execution_id, since, good)
            if newer is not None:
                self._turn.give_up(
                    FollowUp.RERUN,
                    f"{newer.execution_id} ({newer.status}) may bring a newer commit, perhaps the fix, which the good "
                    "commit behind it would undo.",
                )
                return
            self._turn.change(rerun_status=STARTING)
            self._turn.save()
        started = self._pipelines.start(request)
        self._turn.settle(
            FollowUp.RERUN,
            f"{trail.pipeline} runs again for {trail.good_commit or 'the good revision'}: {started}.",
            rerun_execution_id=started,
            rerun_status="InProgress",
        )

    def watch(self) -> None:
        rollback = self._turn.rollback
        trail = rollback.trail
        try:
            status = self._pipelines.status(trail.pipeline, trail.rerun_execution_id)
        except LastgoodError as error:
            status = f"unknown: {error}"
        late = self._turn.parts.clock() - (rollback.closed_at or rollback.opened_at) > RERUN_WATCH
        waits = status in RUNNING or status.startswith("unknown")
        if waits and not late:
            self._turn.look_again()
            return
        text = f"The re-run {trail.rerun_execution_id} is {status}."
        if status != "Succeeded":
            text += f" After {duration(RERUN_WATCH)} it is watched no more." * waits
            self._turn.alert(
                f"{text} Look at it in CodePipeline: until a run succeeds, the newest definition is not right."
            )
        self._turn.settle(FollowUp.WATCH_RERUN, text, rerun_status=status)
