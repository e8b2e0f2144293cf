"""RollbackStage, stage rollbacks that AWS starts by itself, StopPipelineExecution and RetryStageExecution.

Sources: API models, and recordings on AWS (radkawar/stackd, 2026-10, 204 calls): a rollback runs only its stage with
the target's artifacts and variables; a running stage, a target that is a rollback or did not succeed there are refused
with UnableToRollbackStageException, a target of an older pipeline version with PipelineExecutionOutdatedException; it
works in every mode; the same target again is a new run; a stop with `abandon` does not cancel the provider's work.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from simulated_aws.model import ServiceError

if TYPE_CHECKING:
    from simulated_aws.codepipeline.model import Pipeline, Run
    from simulated_aws.codepipeline.pipelines import Pipelines

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class StageRollbacks:
    """What begins a stage again."""

    def __init__(self, pipelines: Pipelines) -> None:
        self._pipelines = pipelines

    def roll_back(self, name: str, stage: str, target_id: str, by: str) -> Run:
        """RollbackStage. That of the source stage is not simulated: AWS accepts it and takes the newest source."""
        pipeline = self._pipelines.pipeline(name)
        if not _UUID.fullmatch(target_id):
            raise ServiceError("ValidationException", "The targetPipelineExecutionId does not satisfy its pattern.")
        if pipeline.pipeline_type != "V2":
            raise ServiceError("ValidationException", "Stage rollback needs a pipeline of type V2.")
        if stage not in {"Deploy", pipeline.last}:
            raise ServiceError("StageNotFoundException", f"No stage {stage} in the pipeline {name}")
        target = self._pipelines.run_of(name, target_id)
        self._check(pipeline, target)
        trigger = ("ManualRollback", json.dumps({"AwsUserArn": by}))
        if stage == "Deploy":
            return self._start(pipeline, target, trigger)
        run = self._new(pipeline, target, trigger)
        self._pipelines.copy(pipeline, run)
        return run

    def _check(self, pipeline: Pipeline, target: Run) -> None:
        if target.version != pipeline.version:
            message = "The pipeline was changed since the execution ran."
            raise ServiceError("PipelineExecutionOutdatedException", message)
        if target.rolls_back_to or target.status != "Succeeded":
            raise ServiceError("UnableToRollbackStageException", "The execution cannot be rolled back to.")
        if pipeline.occupied:
            raise ServiceError("UnableToRollbackStageException", "The stage is running.")

    def automatic(self, pipeline: Pipeline, failed: Run) -> None:
        """`onFailure` or a condition with the result ROLLBACK: to the most recent success in this version."""
        good = [run for run in pipeline.succeeded() if not run.rolls_back_to and run is not failed]
        if good:
            trigger = ("AutomatedRollback", json.dumps({"FailedPipelineExecutionId": failed.id}))
            self._start(pipeline, good[-1], trigger)

    def _start(self, pipeline: Pipeline, target: Run, trigger: tuple[str, str]) -> Run:
        run = self._new(pipeline, target, trigger)
        self._pipelines.wait_for_stage(pipeline, run)
        return run

    def _new(self, pipeline: Pipeline, target: Run, trigger: tuple[str, str]) -> Run:
        run = self._pipelines.new_run(pipeline, dict(target.sources), trigger, dict(target.variables))
        run.rolls_back_to, run.artifact = target.id, target.artifact
        return run

    def stop(self, name: str, run_id: str, abandon: bool) -> Run:
        """StopPipelineExecution. What the provider does goes on; without `abandon` the run waits for it."""
        pipeline, run = self._pipelines.pipeline(name), self._pipelines.run_of(name, run_id)
        if run.status != "InProgress":
            message = f"The pipeline execution is {run.status}."
            raise ServiceError("PipelineExecutionNotStoppableException", message)
        run.status = "Stopped" if abandon else "Stopping"
        run.waiting = False
        if abandon:
            self._pipelines.tell(pipeline, run, "STOPPED")
        return run

    def retry(self, name: str, stage: str, run_id: str) -> Run:
        """RetryStageExecution, of all actions of a stage that failed or was stopped."""
        pipeline, run = self._pipelines.pipeline(name), self._pipelines.run_of(name, run_id)
        if stage != "Deploy" or run.status not in {"Failed", "Stopped"}:
            raise ServiceError("StageNotRetryableException", "The stage cannot be retried.")
        run.status = "InProgress"
        self._pipelines.wait_for_stage(pipeline, run)
        return run
