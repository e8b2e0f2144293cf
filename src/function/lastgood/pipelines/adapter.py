"""CodePipeline through its client: runs, stages, transitions. Raw dictionaries stop here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lastgood.clients import Clients, call
from lastgood.errors import RefusedError, RetryableError
from lastgood.model import Controller, DeploymentGroup, parse_stage
from lastgood.pipelines.commands import enable_command, start_command
from lastgood.pipelines.runs import Definition, Recent, Run, Source, Stage, category_of, commit_in

PAGES = 10
"""CodePipeline keeps actions for a year and has no index by deployment: this many pages of a hundred are searched."""

_BUSY = {"ConflictException", "ConcurrentPipelineExecutionsLimitExceededException"}
_S3_IDENTITY = re.compile(r"s3://([^/]+)/(.+?)(?:\?versionId=([^?]+)|\?etag=[^?]*)?")
_SUMMARY_KEYS = ("commit", "codepipeline-artifact-revision-summary")


class Pipelines:
    """CodePipeline through one client, made on first use.

    Its writing calls may be repeated after a lost answer: a start carries a token, and a transition that is enabled
    or disabled already stays so. All methods raise RetryableError or RefusedError.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def made(self, pipeline: str, deployment_ids: Iterable[str]) -> dict[str, Run]:
        """The run that made each deployment; deployments without a known run are left out."""
        wanted, execution_ids = set(deployment_ids), dict[str, str]()
        for action in self.actions(pipeline):
            made = _result(action).get("externalExecutionId", "")
            if made in wanted:
                execution_ids.setdefault(made, action.get("pipelineExecutionId", ""))
            if execution_ids.keys() == wanted:
                break
        return {made: self.run(pipeline, execution_id) for made, execution_id in execution_ids.items()}

    def run(self, pipeline: str, execution_id: str) -> Run:
        """One run with its sources. A stage rollback has none of its own: it gets those of the run it went back to."""
        run, back_to = self._run(pipeline, execution_id)
        if run.sources or not back_to:
            return run
        target, _ = self._run(pipeline, back_to)
        return replace(run, version=target.version, sources=target.sources, variables=target.variables)

    def _run(self, pipeline: str, execution_id: str) -> tuple[Run, str]:
        answer = self._execution(pipeline, execution_id)
        artifacts = {artifact.get("name", ""): artifact for artifact in answer.get("artifactRevisions") or ()}
        actions = list(self.actions(pipeline, filter={"pipelineExecutionId": execution_id}))
        sources = {action["actionName"]: _source(action, artifacts) for action in actions if _provider(action)}
        variables = ((v.get("name", ""), v.get("resolvedValue", "")) for v in answer.get("variables") or ())
        run = Run(
            execution_id,
            answer.get("status", ""),
            answer.get("pipelineVersion", 0),
            tuple(sources[name] for name in sorted(sources)),
            tuple((name, value) for name, value in variables if name and value),
            tuple(sorted(_released(pipeline, actions).items())),
            tuple(
                (key, action["startTime"], action["lastUpdateTime"]) for action in actions for key in _services(action)
            ),
        )
        return run, (answer.get("rollbackMetadata") or {}).get("rollbackTargetPipelineExecutionId", "")

    def actions(self, pipeline: str, **narrowed: Any) -> Iterator[dict[str, Any]]:
        """The actions of a pipeline as CodePipeline lists them, newest first, read as far as they are asked for."""
        more: dict[str, Any] = {}
        for _ in range(PAGES):
            answer = call(
                self._client, "list_action_executions", pipelineName=pipeline, maxResults=100, **narrowed, **more
            )
            yield from answer.get("actionExecutionDetails") or ()
            if not answer.get("nextToken"):
                return
            more = {"nextToken": answer["nextToken"]}

    def deployments(self, pipeline: str, execution_id: str) -> frozenset[str]:
        """The ids of the deployments that a run made, as far as its deploy actions have begun."""
        actions = self.actions(pipeline, filter={"pipelineExecutionId": execution_id})
        made = (_result(action).get("externalExecutionId", "") for action in actions if category_of(action) == "Deploy")
        return frozenset(name for name in made if name)

    def status(self, pipeline: str, execution_id: str) -> str:
        """A run's status: InProgress, Succeeded, Failed, Stopped, Superseded, Cancelled …"""
        return str(self._execution(pipeline, execution_id).get("status", ""))

    def _execution(self, pipeline: str, execution_id: str) -> dict[str, Any]:
        answer = call(self._client, "get_pipeline_execution", pipelineName=pipeline, pipelineExecutionId=execution_id)
        execution: dict[str, Any] = answer["pipelineExecution"]
        return execution

    def recent(self, pipeline: str) -> tuple[Recent, ...]:
        """The hundred newest runs: the first page that holds any, for one may be empty and have a token."""
        more: dict[str, Any] = {}
        for _ in range(PAGES):
            answer = call(self._client, "list_pipeline_executions", pipelineName=pipeline, maxResults=100, **more)
            if answer.get("pipelineExecutionSummaries") or not answer.get("nextToken"):
                break
            more = {"nextToken": answer["nextToken"]}
        return tuple(
            Recent(
                execution["pipelineExecutionId"],
                execution.get("status", ""),
                execution["startTime"],
                frozenset(s["revisionId"] for s in execution.get("sourceRevisions") or () if s.get("revisionId")),
                execution.get("executionType") == "ROLLBACK",
            )
            for execution in answer.get("pipelineExecutionSummaries") or ()
        )

    def definition(self, pipeline: str) -> Definition:
        """The pipeline as it is now. One that was created before there were types is V1."""
        declaration = call(self._client, "get_pipeline", name=pipeline)["pipeline"]
        return Definition(declaration.get("version", 0), declaration.get("pipelineType") or "V1")

    def stage(self, pipeline: str, stage: str) -> Stage | None:
        """A stage's inbound transition; None if the pipeline has no such stage."""
        answer = call(self._client, "get_pipeline_state", name=pipeline)
        state = next((state for state in answer.get("stageStates") or () if state.get("stageName") == stage), None)
        if state is None:
            return None
        transition = state.get("inboundTransitionState") or {}
        waiting = [*(state.get("inboundExecutions") or ()), state.get("inboundExecution") or {}]
        return Stage(
            transition.get("enabled", True),
            transition.get("disabledReason", ""),
            transition.get("lastChangedBy", ""),
            transition.get("lastChangedAt"),
            frozenset(inbound["pipelineExecutionId"] for inbound in waiting if inbound),
        )

    def start(self, request: Mapping[str, Any]) -> str:
        """Start a run; with the same `clientRequestToken` it is the same run. Returns its id."""
        try:
            answer = call(self._client, "start_pipeline_execution", **request)
        except RefusedError as error:
            if error.code in _BUSY:
                raise RetryableError(f"the pipeline is busy: {error}") from error
            raise
        return str(answer["pipelineExecutionId"])

    def disable(self, pipeline: str, stage: str, reason: str) -> None:
        """Let nothing into the stage any more."""
        call(self._client, "disable_stage_transition", **_inbound(pipeline, stage), reason=reason)

    def enable(self, pipeline: str, stage: str) -> None:
        """Let executions into the stage again; those that wait continue at once."""
        call(self._client, "enable_stage_transition", **_inbound(pipeline, stage))

    def bundle_commit(self, identity: str) -> str:
        """The commit in a bundle's own metadata; empty if there is none, or it may not be read.

        `identity` is a revision's: `s3://bucket/key`, with `?versionId=` where one was recorded.
        """
        wanted = _s3_object(identity)
        if not wanted:
            return ""
        try:
            metadata = call(self._clients.s3, "head_object", **wanted).get("Metadata") or {}
        except RefusedError:
            return ""
        return next((commit for key in _SUMMARY_KEYS if (commit := commit_in(metadata.get(key, "")))), "")

    def command(self, request: Mapping[str, Any]) -> str:
        """The command that starts the same run from a terminal, in the region of the pipeline."""
        return start_command(request, self._client.meta.region_name)

    def enable_command(self, pipeline: str, stage: str) -> str:
        """The command that enables a stage's inbound transition from a terminal."""
        return enable_command(pipeline, stage, self._client.meta.region_name)

    @property
    def _client(self) -> Any:
        return self._clients.codepipeline


def _kind(action: Mapping[str, Any]) -> Mapping[str, Any]:
    kind: Mapping[str, Any] = (action.get("input") or {}).get("actionTypeId") or {}
    return kind


def _provider(action: Mapping[str, Any]) -> str:
    """The provider of a source action; empty for any other action."""
    return str(_kind(action).get("provider", "")) if category_of(action) == "Source" else ""


def _result(action: Mapping[str, Any]) -> Mapping[str, Any]:
    result: Mapping[str, Any] = (action.get("output") or {}).get("executionResult") or {}
    return result


def _deployed(action: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a deploy action released to (a CodeDeploy group, or a service that ECS deploys), and by which deployment.

    Only both names together are such a place: an application is Elastic Beanstalk's too, and a cluster EKS's.
    """
    told = action.get("input") or {}
    names = {**(told.get("configuration") or {}), **(told.get("resolvedConfiguration") or {})}
    if (application := names.get("ApplicationName")) and (group := names.get("DeploymentGroupName")):
        yield DeploymentGroup(application, group).key, str(_result(action).get("externalExecutionId", ""))
    elif (cluster := names.get("ClusterName")) and (service := names.get("ServiceName")):
        yield DeploymentGroup(cluster, service, Controller.ECS).key, ""


def _services(action: Mapping[str, Any]) -> list[str]:
    """The services that an action released to and does not say by which deployment."""
    return [key for key, made in _deployed(action) if not made]


def _released(pipeline: str, actions: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What a run released to, and by which deployment: groups, services, and stages of other deploy actions alone.

    A stage that also deploys to a group or a service is left out: those go back by themselves, and it would go over
    them.
    """
    deployments = {key: made for action in actions for key, made in _deployed(action)}
    direct = {action.get("stageName") for action in actions if any(_deployed(action))}
    others = (action for action in actions if category_of(action) == "Deploy" and action.get("stageName") not in direct)
    stages = {parse_stage(f"{pipeline}/{action['stageName']}").key: action["pipelineExecutionId"] for action in others}
    return stages | deployments


def _source(action: Mapping[str, Any], artifacts: Mapping[str, Mapping[str, Any]]) -> Source:
    names = [output.get("name", "") for output in (action.get("output") or {}).get("outputArtifacts") or ()]
    artifact = next((artifacts[name] for name in names if name in artifacts), {})
    revision = artifact.get("revisionId") or _result(action).get("externalExecutionId", "")
    return Source(
        action["actionName"],
        _provider(action),
        revision,
        artifact.get("revisionSummary", ""),
        artifact.get("revisionUrl", ""),
    )


def _inbound(pipeline: str, stage: str) -> dict[str, Any]:
    return {"pipelineName": pipeline, "stageName": stage, "transitionType": "Inbound"}


def _s3_object(identity: str) -> dict[str, Any]:
    match = _S3_IDENTITY.fullmatch(identity)
    if match is None:
        return {}
    bucket, key, version = match.groups()
    return {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
