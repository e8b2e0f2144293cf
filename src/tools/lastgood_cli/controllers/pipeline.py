"""Stages of pipelines, and the pipelines that release to something else, as the command looks at them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from lastgood.model import AfterRollback, DeploymentGroup
from lastgood.settings import PipelineRule, Settings
from lastgood_cli.controllers.known import Described, Past
from lastgood_cli.readonly import ReadOnlySession

_PIPELINE_READS = (
    "GetPipeline",
    "GetPipelineExecution",
    "GetPipelineState",
    "ListActionExecutions",
    "ListPipelineExecutions",
)


def pipelines(client: Any) -> Iterator[str]:
    """The names of all pipelines."""
    for page in client.get_paginator("list_pipelines").paginate():
        yield from (found["name"] for found in page["pipelines"])


def stages(client: Any, pipeline: str) -> Iterator[str]:
    """The names of a pipeline's stages, in their order."""
    yield from (stage["name"] for stage in client.get_pipeline(name=pipeline)["pipeline"]["stages"])


def needed(group: DeploymentGroup, settings: Settings, here: str) -> Iterator[tuple[str, str]]:
    """What a rollback of a stage asks of CodePipeline."""
    base = f"arn:{here.format('codepipeline')}"
    for action in (*_PIPELINE_READS, "StopPipelineExecution"):
        yield f"codepipeline:{action}", f"{base}:{group.application}"
    yield "codepipeline:RollbackStage", f"{base}:{group.place}"
    if settings.rerun_outdated_stages:
        yield "codepipeline:StartPipelineExecution", f"{base}:{group.application}"


def needed_after(rule: PipelineRule, arn: str) -> Iterator[tuple[str, str]]:
    """What follows a rollback for the pipeline of a rule, whose ARN is given."""
    for action in _PIPELINE_READS:
        yield f"codepipeline:{action}", arn
    if rule.after_rollback is AfterRollback.RERUN:
        yield "codepipeline:StartPipelineExecution", arn
    if rule.hold:
        yield "codepipeline:DisableStageTransition", f"{arn}/{rule.hold}"
        yield "codepipeline:EnableStageTransition", f"{arn}/{rule.hold}"


def past(aws: ReadOnlySession, group: DeploymentGroup, window: timedelta) -> Past:
    """How long the stage took, with all its actions, in the newest executions in which they all succeeded."""
    pipeline, stage = group.application, group.deployment_group
    listed = aws.client("codepipeline").list_action_executions(pipelineName=pipeline, maxResults=100)
    runs: dict[str, list[Described]] = {}
    for action in listed["actionExecutionDetails"]:
        if action["stageName"] == stage:
            runs.setdefault(action["pipelineExecutionId"], []).append(action)
    well = (run for run in runs.values() if all(action["status"] == "Succeeded" for action in run))
    return Past([(max(a["lastUpdateTime"] for a in r) - min(a["startTime"] for a in r)).total_seconds() for r in well])
