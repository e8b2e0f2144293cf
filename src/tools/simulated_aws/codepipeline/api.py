"""CodePipeline's operations: parameters in, answer out, both in AWS's spelling with times as datetimes."""

from __future__ import annotations

import re
from typing import Any

from simulated_aws.codepipeline.model import ActionRun, Pipeline, Run
from simulated_aws.codepipeline.pipelines import Pipelines
from simulated_aws.model import ServiceError

Parameters = dict[str, Any]
Answer = dict[str, Any]

PAGE_SIZE = 100
_REASON = re.compile(r"[a-zA-Z0-9!@ ().*?\-]{1,300}")
_TOKEN = re.compile(r"[a-zA-Z0-9-]{1,128}")
_OWNERS = {"CodeStarSourceConnection": "AWS", "GitHub": "ThirdParty"}


class PipelinesApi:
    """The operations, by their names in Python style. `caller` is whom CodePipeline sees calling."""

    def __init__(self, pipelines: Pipelines, region: str, account: str) -> None:
        self._pipelines, self.region, self.account = pipelines, region, account
        self.caller = f"arn:aws:sts::{account}:assumed-role/lastgood/RollbackFunction"
        self.page_size = PAGE_SIZE

    def get_pipeline(self, given: Parameters) -> Answer:
        """GetPipeline."""
        found = self._pipelines.pipeline(given["name"])
        declared = [{"name": name, "defaultValue": value} for name, value in found.variables.items()]
        return {
            "pipeline": {
                "name": found.name,
                "roleArn": "arn:aws:iam::123456789012:role/CodePipeline",
                "artifactStore": {"type": "S3", "location": "artifacts"},
                "stages": [
                    {"name": stage, "actions": _declared(found, stage), **_conditions(found, stage)}
                    for stage in found.stages
                ],
                "version": found.version,
                "executionMode": found.mode,
                "pipelineType": found.pipeline_type,
                **({"variables": declared} if declared else {}),
            },
            "metadata": {
                "pipelineArn": f"arn:aws:codepipeline:{self.region}:{self.account}:{found.name}",
                "created": found.created_at,
                "updated": found.created_at,
            },
        }

    def list_pipelines(self, given: Parameters) -> Answer:
        """ListPipelines."""
        found = [
            {"name": each.name, "version": each.version, "pipelineType": each.pipeline_type, "executionMode": each.mode}
            for each in self._pipelines.pipelines.values()
        ]
        pipelines, more = self._page(found, given)
        return _present(pipelines=pipelines, nextToken=more)

    def get_pipeline_state(self, given: Parameters) -> Answer:
        """GetPipelineState."""
        found = self._pipelines.pipeline(given["name"])
        return {
            "pipelineName": found.name,
            "pipelineVersion": found.version,
            "stageStates": [_stage_state(found, stage) for stage in found.stages],
            "created": found.created_at,
            "updated": found.created_at,
        }

    def get_pipeline_execution(self, given: Parameters) -> Answer:
        """GetPipelineExecution."""
        pipeline = self._pipelines.pipeline(given["pipelineName"])
        run = self._pipelines.run_of(pipeline.name, given["pipelineExecutionId"])
        return {
            "pipelineExecution": _present(
                pipelineName=pipeline.name,
                pipelineVersion=run.version,
                pipelineExecutionId=run.id,
                status=run.status,
                artifactRevisions=[_artifact(run, action) for action in _sourced(run)],
                variables=[{"name": name, "resolvedValue": value} for name, value in run.variables.items()],
                trigger={"triggerType": run.trigger[0], "triggerDetail": run.trigger[1]},
                executionMode=pipeline.mode,
                **_kind(run),
            )
        }

    def list_pipeline_executions(self, given: Parameters) -> Answer:
        """ListPipelineExecutions, newest first."""
        pipeline = self._pipelines.pipeline(given["pipelineName"])
        within = ((given.get("filter") or {}).get("succeededInStage") or {}).get("stageName")
        found = pipeline.succeeded() if within else pipeline.runs  # of the present version only
        runs, more = self._page(list(reversed(found)), given)
        return _present(pipelineExecutionSummaries=[_summary(pipeline, run) for run in runs], nextToken=more)

    def list_action_executions(self, given: Parameters) -> Answer:
        """ListActionExecutions, newest first."""
        pipeline = self._pipelines.pipeline(given["pipelineName"])
        wanted = (given.get("filter") or {}).get("pipelineExecutionId")
        runs = [self._pipelines.run_of(pipeline.name, wanted)] if wanted else list(reversed(pipeline.runs))
        every = [(run, action) for run in runs for action in reversed(run.actions)]
        page, more = self._page(every, given)
        return _present(actionExecutionDetails=[_detail(*each) for each in page], nextToken=more)

    def start_pipeline_execution(self, given: Parameters) -> Answer:
        """StartPipelineExecution."""
        if not _TOKEN.fullmatch(given.get("clientRequestToken") or "token"):
            raise ServiceError("ValidationException", "The clientRequestToken does not satisfy its pattern.")
        return {"pipelineExecutionId": self._pipelines.started(given["name"], given, self.caller).id}

    def rollback_stage(self, given: Parameters) -> Answer:
        """RollbackStage. There is no token: a second call is a second rollback."""
        names = (given["pipelineName"], given["stageName"], given["targetPipelineExecutionId"])
        return {"pipelineExecutionId": self._pipelines.stages.roll_back(*names, self.caller).id}

    def stop_pipeline_execution(self, given: Parameters) -> Answer:
        """StopPipelineExecution."""
        names = (given["pipelineName"], given["pipelineExecutionId"])
        return {"pipelineExecutionId": self._pipelines.stages.stop(*names, bool(given.get("abandon"))).id}

    def retry_stage_execution(self, given: Parameters) -> Answer:
        """RetryStageExecution."""
        names = (given["pipelineName"], given["stageName"], given["pipelineExecutionId"])
        return {"pipelineExecutionId": self._pipelines.stages.retry(*names).id}

    def disable_stage_transition(self, given: Parameters) -> Answer:
        """DisableStageTransition."""
        if not _REASON.fullmatch(given["reason"]):
            raise ServiceError("ValidationException", "The reason does not satisfy its pattern.")
        self._set_transition(given, enabled=False)
        return {}

    def enable_stage_transition(self, given: Parameters) -> Answer:
        """EnableStageTransition."""
        self._set_transition(given, enabled=True)
        return {}

    def _set_transition(self, given: Parameters, *, enabled: bool) -> None:
        if given["transitionType"] != "Inbound":
            raise ServiceError("ValidationException", "Only inbound transitions are simulated.")
        self._pipelines.set_transition(
            given["pipelineName"], given["stageName"], enabled=enabled, by=self.caller, reason=given.get("reason", "")
        )

    def _page(self, every: list[Any], given: Parameters) -> tuple[list[Any], str | None]:
        start = int(given.get("nextToken") or 0)
        end = start + min(int(given.get("maxResults") or PAGE_SIZE), self.page_size)
        return every[start:end], str(end) if end < len(every) else None


# --- answers ------------------------------------------------------------------------------------------------


def _present(**members: Any) -> Answer:
    return {name: value for name, value in members.items() if value is not None}


def _type_id(category: str, provider: str) -> Answer:
    return {"category": category, "owner": _OWNERS.get(provider, "AWS"), "provider": provider, "version": "1"}


def _conditions(pipeline: Pipeline, stage: str) -> Answer:
    if stage != "Deploy":
        return {}
    failure = {"onFailure": {"result": pipeline.on_failure}} if pipeline.on_failure else {}
    if not pipeline.on_success:
        return failure
    rule = {
        "name": "quiet",
        "ruleTypeId": {"category": "Rule", "owner": "AWS", "provider": "CloudWatchAlarm", "version": "1"},
        "configuration": {"AlarmName": pipeline.on_success["alarm"]},
    }
    condition = {"result": pipeline.on_success.get("result", "ROLLBACK"), "rules": [rule]}
    return failure | {"onSuccess": {"conditions": [condition]}}


def _stage_status(run: Run, action: ActionRun) -> str:
    """A stage is over when its run is; a run that has gone on was well in this stage."""
    return run.status if run.stage == action.stage and run.status != "Superseded" else action.status


def _action_states(there: list[tuple[Run, ActionRun]]) -> list[Answer]:
    """The latest execution of each action of a stage."""
    latest = {action.name: action for _, action in there}
    return [
        {
            "actionName": name,
            "latestExecution": _present(
                actionExecutionId=action.id,
                status=action.status,
                lastStatusChange=action.updated_at,
                externalExecutionId=action.external_id or None,
            ),
        }
        for name, action in latest.items()
    ]


def _declared(pipeline: Pipeline, stage: str) -> list[Answer]:
    if stage == pipeline.last:
        return [{"name": "Copy", "actionTypeId": _type_id("Deploy", "S3")}]
    if stage == "Deploy" and pipeline.deploys_with == "CloudFormation":
        return _approval(pipeline) + [
            action for name in (pipeline.stack, *pipeline.stacks) for action in _updates(pipeline, name)
        ]
    named = {"Source": pipeline.providers, "Build": {"Build": "CodeBuild"}, "Deploy": {"Deploy": pipeline.deploys_with}}
    before = _approval(pipeline) if stage == "Deploy" else []
    own = [{"name": name, "actionTypeId": _type_id(stage, provider)} for name, provider in named[stage].items()]
    return before + own


def _approval(pipeline: Pipeline) -> list[Answer]:
    return [{"name": "Approve", "actionTypeId": _type_id("Approval", "Manual")}] if pipeline.approval else []


def _updates(pipeline: Pipeline, stack: str) -> list[Answer]:
    """The declared actions that update a stack: at once, or by a change set that is made here or elsewhere."""
    name, kind = "Deploy" if stack == pipeline.stack else f"Deploy-{stack}", _type_id("Deploy", "CloudFormation")
    mode = "CHANGE_SET_EXECUTE" if pipeline.change_sets else "CREATE_UPDATE"
    which = {"StackName": stack, **({"ChangeSetName": "release"} if pipeline.change_sets else {})}
    there = {
        "another region": {"region": "eu-south-2"},
        "another account": {"roleArn": "arn:aws:iam::999999999999:role/deploys"},
    }.get(pipeline.elsewhere, {})
    if pipeline.elsewhere and not there:
        which["StackName"] = "#{BuildVariables.STACK}"
    prepares = {"ActionMode": "CHANGE_SET_REPLACE", **which}
    before = [{"name": f"Prepare-{stack}", "actionTypeId": kind, "configuration": prepares, **there}]
    act = {"name": name, "actionTypeId": kind, "configuration": {"ActionMode": mode, **which}, **there}
    return [*(before if pipeline.change_sets == "here" else []), act]


def _stage_state(pipeline: Pipeline, stage: str) -> Answer:
    waiting = [{"pipelineExecutionId": run.id, "status": "InProgress"} for run in pipeline.waiting(stage)]
    there = [(run, action) for run in pipeline.runs for action in run.actions if action.stage == stage]
    latest = there[-1] if there else None
    transition = pipeline.transitions.get(stage)
    return _present(
        stageName=stage,
        inboundExecution=waiting[0] if waiting else None,
        inboundExecutions=waiting,
        inboundTransitionState=_present(
            enabled=transition.enabled,
            disabledReason=transition.reason or None,
            lastChangedBy=transition.changed_by or None,
            lastChangedAt=transition.changed_at,
        )
        if transition
        else None,
        actionStates=_action_states(there),
        latestExecution={
            "pipelineExecutionId": latest[0].id,
            "status": _stage_status(*latest),
            "type": _kind(latest[0])["executionType"],
        }
        if latest
        else None,
    )


def _kind(run: Run) -> Answer:
    if not run.rolls_back_to:
        return {"executionType": "STANDARD"}
    return {
        "executionType": "ROLLBACK",
        "rollbackMetadata": {"rollbackTargetPipelineExecutionId": run.rolls_back_to},
    }


def _sourced(run: Run) -> list[ActionRun]:
    """The source actions whose revisions are known already."""
    return [action for action in run.actions if action.category == "Source" and action.status == "Succeeded"]


def _artifact(run: Run, action: ActionRun) -> Answer:
    return _present(
        name=f"{action.name}Output",
        revisionId=action.external_id,
        revisionSummary=run.summaries.get(action.external_id) or None,
        revisionUrl=run.pages.get(action.external_id) or None,
        created=run.started_at,
    )


def _summary(pipeline: Pipeline, run: Run) -> Answer:
    return {
        "pipelineExecutionId": run.id,
        "status": run.status,
        "startTime": run.started_at,
        "lastUpdateTime": run.updated_at,
        "sourceRevisions": [
            _present(
                actionName=action.name,
                revisionId=action.external_id,
                revisionSummary=run.summaries.get(action.external_id) or None,
            )
            for action in _sourced(run)
        ],
        "trigger": {"triggerType": run.trigger[0], "triggerDetail": run.trigger[1]},
        "executionMode": pipeline.mode,
        **_kind(run),
    }


def _detail(run: Run, action: ActionRun) -> Answer:
    error = {"code": action.error[0], "message": action.error[1]} if action.error else None
    result = _present(externalExecutionId=action.external_id or None, errorDetails=error)
    artifacts = [{"name": f"{action.name}Output"}] if action.category in {"Source", "Build"} else []
    return {
        "pipelineExecutionId": run.id,
        "actionExecutionId": action.id,
        "pipelineVersion": run.version,
        "stageName": action.stage,
        "actionName": action.name,
        "startTime": action.started_at,
        "lastUpdateTime": action.updated_at,
        "status": action.status,
        "input": {"actionTypeId": _type_id(action.category, action.provider), "configuration": action.configuration},
        "output": {"outputArtifacts": artifacts, "executionResult": result},
    }
