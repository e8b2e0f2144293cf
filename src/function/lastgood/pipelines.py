"""CodePipeline: which run of a pipeline made a deployment, from which commit, and how to run or hold the pipeline.

The adapter comes first; below it is what can be worked out without asking anybody. Raw dictionaries stop here.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lastgood.clients import Clients, call
from lastgood.errors import RefusedError, RetryableError
from lastgood.model import Rollback
from lastgood.text import clean

PAGES = 10
"""CodePipeline keeps actions for a year and has no index by deployment: so many pages of a hundred are searched."""

# The source providers whose revision StartPipelineExecution takes, and as what (CodePipeline User Guide, "Start a
# pipeline with a source revision override").
REVISION_TYPES = {
    "CodeCommit": "COMMIT_ID",
    "CodeStarSourceConnection": "COMMIT_ID",
    "ECR": "IMAGE_DIGEST",
    "S3": "S3_OBJECT_VERSION_ID",
}
_GIT = {"CodeCommit", "CodeStarSourceConnection", "GitHub"}
_BUSY = {"ConflictException", "ConcurrentPipelineExecutionsLimitExceededException"}
RUNNING = frozenset({"InProgress", "Stopping"})
# A whole hash, or a short one that is no mere number: builds have numbers too.
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}|(?=.*[a-f])[0-9a-f]{7,39}")
# In a summary that somebody wrote, only a whole hash is taken for one.
_COMMIT_IN_TEXT = re.compile(r"(?<![0-9a-zA-Z])(?:[0-9a-f]{64}|[0-9a-f]{40})(?![0-9a-zA-Z])")
_S3_IDENTITY = re.compile(r"s3://([^/]+)/(.+?)(?:\?versionId=([^?]+)|\?etag=[^?]*)?")
_SUMMARY_KEYS = ("commit", "codepipeline-artifact-revision-summary")


@dataclass(frozen=True, slots=True)
class Source:
    """What one source action of a run brought: `revision` is a commit, an object's version, an image's digest."""

    action: str
    provider: str
    revision: str
    summary: str = ""

    @property
    def commit(self) -> str:
        """The commit, where the source is git or its summary names one; else empty."""
        if self.provider in _GIT:
            return self.revision if _COMMIT.fullmatch(self.revision) else ""
        return commit_in(self.summary)


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a pipeline. `version` is the pipeline's structure that it ran through."""

    execution_id: str
    status: str
    version: int = 0
    sources: tuple[Source, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Recent:
    """One execution as the list of them tells it: `revisions` holds what its sources brought."""

    execution_id: str
    status: str
    started_at: datetime
    revisions: frozenset[str] = frozenset()
    rollback: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """The pipeline as it is now."""

    version: int
    pipeline_type: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage's inbound transition, and the executions that wait before it."""

    enabled: bool
    reason: str = ""
    changed_by: str = ""
    changed_at: datetime | None = None
    waiting: frozenset[str] = frozenset()

    def held_by(self, rollback_id: str) -> bool:
        """True where this rollback disabled the transition."""
        return not self.enabled and holder(self.reason) == rollback_id


class Pipelines:
    """CodePipeline through one client, made on first use.

    Its writing calls may be repeated after a lost answer: a start carries a token, and a transition that is enabled
    or disabled already stays so. All methods raise RetryableError or RefusedError.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def made(self, pipeline: str, deployment_ids: Iterable[str]) -> dict[str, Run]:
        """The run that made each deployment; those that no run is known for are left out."""
        wanted, found = set(deployment_ids), dict[str, str]()
        for action in self._actions(pipeline):
            made = _result(action).get("externalExecutionId", "")
            if made in wanted:
                found.setdefault(made, action.get("pipelineExecutionId", ""))
            if found.keys() == wanted:
                break
        return {made: self.run(pipeline, execution_id) for made, execution_id in found.items()}

    def run(self, pipeline: str, execution_id: str) -> Run:
        """One run with its sources. A stage rollback has none of its own: those of the run it went back to count."""
        run, back_to = self._run(pipeline, execution_id)
        if run.sources or not back_to:
            return run
        target, _ = self._run(pipeline, back_to)
        return Run(execution_id, run.status, target.version, target.sources, target.variables)

    def _run(self, pipeline: str, execution_id: str) -> tuple[Run, str]:
        answer = self._execution(pipeline, execution_id)
        artifacts = {each.get("name", ""): each for each in answer.get("artifactRevisions") or ()}
        found = self._actions(pipeline, filter={"pipelineExecutionId": execution_id})
        sources = {each["actionName"]: _source(each, artifacts) for each in found if _provider(each)}
        variables = ((v.get("name", ""), v.get("resolvedValue", "")) for v in answer.get("variables") or ())
        run = Run(
            execution_id,
            answer.get("status", ""),
            answer.get("pipelineVersion", 0),
            tuple(sources[name] for name in sorted(sources)),
            tuple((name, value) for name, value in variables if name and value),
        )
        return run, (answer.get("rollbackMetadata") or {}).get("rollbackTargetPipelineExecutionId", "")

    def _actions(self, pipeline: str, **narrowed: Any) -> Iterator[dict[str, Any]]:
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
        actions = self._actions(pipeline, filter={"pipelineExecutionId": execution_id})
        made = (_result(each).get("externalExecutionId", "") for each in actions if _category(each) == "Deploy")
        return frozenset(each for each in made if each)

    def status(self, pipeline: str, execution_id: str) -> str:
        """How a run stands: InProgress, Succeeded, Failed, Stopped, Superseded, Cancelled …"""
        return str(self._execution(pipeline, execution_id).get("status", ""))

    def _execution(self, pipeline: str, execution_id: str) -> dict[str, Any]:
        answer = call(self._client, "get_pipeline_execution", pipelineName=pipeline, pipelineExecutionId=execution_id)
        found: dict[str, Any] = answer["pipelineExecution"]
        return found

    def recent(self, pipeline: str) -> tuple[Recent, ...]:
        """The hundred newest runs."""
        answer = call(self._client, "list_pipeline_executions", pipelineName=pipeline, maxResults=100)
        return tuple(
            Recent(
                each["pipelineExecutionId"],
                each.get("status", ""),
                each["startTime"],
                frozenset(s["revisionId"] for s in each.get("sourceRevisions") or () if s.get("revisionId")),
                each.get("executionType") == "ROLLBACK",
            )
            for each in answer.get("pipelineExecutionSummaries") or ()
        )

    def definition(self, pipeline: str) -> Definition:
        """The pipeline as it is now. One that was made before there were types is V1."""
        found = call(self._client, "get_pipeline", name=pipeline)["pipeline"]
        return Definition(found.get("version", 0), found.get("pipelineType") or "V1")

    def stage(self, pipeline: str, stage: str) -> Stage | None:
        """A stage's inbound transition; None if the pipeline has no such stage."""
        answer = call(self._client, "get_pipeline_state", name=pipeline)
        found = next((each for each in answer.get("stageStates") or () if each.get("stageName") == stage), None)
        if found is None:
            return None
        transition = found.get("inboundTransitionState") or {}
        waiting = [*(found.get("inboundExecutions") or ()), found.get("inboundExecution") or {}]
        return Stage(
            transition.get("enabled", True),
            transition.get("disabledReason", ""),
            transition.get("lastChangedBy", ""),
            transition.get("lastChangedAt"),
            frozenset(each["pipelineExecutionId"] for each in waiting if each),
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
        """Let executions into the stage again; what waits goes on at once."""
        call(self._client, "enable_stage_transition", **_inbound(pipeline, stage))

    def bundle_commit(self, identity: str) -> str:
        """The commit in a bundle's own metadata; empty if there is none, or nobody may look.

        `identity` is a revision's: `s3://bucket/key`, with `?versionId=` where one was recorded.
        """
        wanted = _s3_object(identity)
        if not wanted:
            return ""
        try:
            metadata = call(self._clients.s3, "head_object", **wanted).get("Metadata") or {}
        except RefusedError:
            return ""
        return next((found for key in _SUMMARY_KEYS if (found := commit_in(metadata.get(key, "")))), "")

    def command(self, request: Mapping[str, Any]) -> str:
        """The command that starts the same run from a terminal, in the region of the pipeline."""
        return start_command(request, self._client.meta.region_name)

    def enable_command(self, pipeline: str, stage: str) -> str:
        """The command that enables a stage's inbound transition from a terminal."""
        options = {"pipeline-name": pipeline, "stage-name": stage, "transition-type": "Inbound"}
        return _command("enable-stage-transition", {"region": self._client.meta.region_name, **options})

    @property
    def _client(self) -> Any:
        return self._clients.codepipeline


def _kind(action: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (action.get("input") or {}).get("actionTypeId") or {}
    return found


def _category(action: Mapping[str, Any]) -> str:
    return str(_kind(action).get("category", ""))


def _provider(action: Mapping[str, Any]) -> str:
    """The provider of a source action; empty for any other action."""
    return str(_kind(action).get("provider", "")) if _category(action) == "Source" else ""


def _result(action: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (action.get("output") or {}).get("executionResult") or {}
    return found


def _source(action: Mapping[str, Any], artifacts: Mapping[str, Mapping[str, Any]]) -> Source:
    names = [each.get("name", "") for each in (action.get("output") or {}).get("outputArtifacts") or ()]
    artifact = next((artifacts[name] for name in names if name in artifacts), {})
    revision = artifact.get("revisionId") or _result(action).get("externalExecutionId", "")
    return Source(action["actionName"], _provider(action), revision, artifact.get("revisionSummary", ""))


def _inbound(pipeline: str, stage: str) -> dict[str, Any]:
    return {"pipelineName": pipeline, "stageName": stage, "transitionType": "Inbound"}


def _s3_object(identity: str) -> dict[str, Any]:
    match = _S3_IDENTITY.fullmatch(identity)
    if match is None:
        return {}
    bucket, key, version = match.groups()
    return {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}


# --- pure -------------------------------------------------------------------------------------------------------------


def commit_in(text: str) -> str:
    """The commit that a text names: the text is one, or has a whole hash in it; else empty."""
    alone = text.strip().lower()
    if _COMMIT.fullmatch(alone):
        return alone
    found = _COMMIT_IN_TEXT.search(text)
    return found[0] if found else ""


def commits(suspect: Run | None, good: Run | None) -> tuple[str, str]:
    """The commit of each run. Of several sources the one counts in which the two differ, else the first with one."""
    before = {source.action: source.revision for source in good.sources} if good else {}
    named = [source for source in (suspect or good or Run("", "")).sources if source.commit]
    changed = [source for source in named if before.get(source.action) != source.revision]
    action = next((source.action for source in [*changed, *named]), "")
    bad_commit, good_commit = (
        next((s.commit for s in run.sources if s.action == action), "") if run else "" for run in (suspect, good)
    )
    return bad_commit, good_commit


def start_request(pipeline: str, definition: Definition, good: Run, token: str) -> tuple[dict[str, Any] | None, str]:
    """What StartPipelineExecution needs to run the pipeline for the sources of `good`, or None and why it cannot be.

    `token` is the rollback's id: CodePipeline starts no second run for it.
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
    """Why a pipeline that was changed since the good run must not be re-run unseen; empty if it was not."""
    if definition.version == good.version:
        return ""
    return f"The pipeline was changed since that run (version {good.version}, now {definition.version})."


def overtaken(
    recent: Iterable[Recent], suspect_id: str, suspect_at: datetime, good_revisions: frozenset[str]
) -> Recent | None:
    """A newer run that may bring the fix: the good commit, released behind it, would undo that.

    Runs of the suspect's and of the good revisions are none. `suspect_at` stands in where the suspect's own run is
    not among the `recent`.
    """
    recent = tuple(recent)
    suspect = next((each for each in recent if each.execution_id == suspect_id), None)
    since = suspect.started_at if suspect else suspect_at
    # A run whose sources are not known yet may bring anything.
    harmless = {good_revisions, suspect.revisions if suspect else good_revisions} - {frozenset[str]()}
    return next(
        (
            each
            for each in recent
            if each.started_at > since
            and each.status in {*RUNNING, "Succeeded"}
            and not each.rollback
            and each.revisions not in harmless
        ),
        None,
    )


def runs_again(recent: Iterable[Recent], rollback: Rollback) -> tuple[str, ...]:
    """The runs since the suspect's release that bring the good commit again: our own re-run, or one that people began.

    They are told by the good run's sources where that is among the `recent`, else by the good commit alone.
    """
    recent = tuple(recent)
    good = next((each.revisions for each in recent if each.execution_id == rollback.good_execution_id), frozenset())
    wanted = {good, frozenset({rollback.good_commit})} - {frozenset(), frozenset({""})}
    since = rollback.suspect_created_at or rollback.opened_at
    return tuple(
        each.execution_id
        for each in recent
        if each.execution_id == rollback.rerun_execution_id or (each.started_at > since and each.revisions in wanted)
    )


def brings_something_new(recent: Iterable[Recent], waiting: frozenset[str], held_at: datetime) -> bool:
    """True where every run that waits before the held stage brings what the pipeline had not seen before the hold.

    CodePipeline does not know which commit follows which. So new is what started after the hold, is no stage rollback,
    and whose revisions no earlier run among the `recent` had: neither the bad commit again nor an older one.
    """
    recent = tuple(recent)
    seen = {each.revisions for each in recent if each.started_at <= held_at}
    new = {
        each.execution_id
        for each in recent
        if each.started_at > held_at and not each.rollback and each.revisions and each.revisions not in seen
    }
    return bool(waiting) and waiting <= new


_HELD = re.compile(r"lastgood (rb-[A-Za-z0-9-]+) ")


def hold_reason(rollback_id: str) -> str:
    """Why the stage is held, in the few characters that CodePipeline allows here (no colon, no slash)."""
    return f"lastgood {rollback_id} rolled this stage back. Release it with lastgood - or enable the transition."


def holder(reason: str) -> str:
    """The rollback that disabled a transition; empty if anyone else did."""
    match = _HELD.match(reason)
    return match[1] if match else ""


def start_command(request: Mapping[str, Any], region: str) -> str:
    """`aws codepipeline start-pipeline-execution …`, quoted for a shell: nothing in it can do anything else."""
    options = {"region": region, "name": request["name"], "client-request-token": request["clientRequestToken"]}
    options["source-revisions"] = json.dumps(request["sourceRevisions"])
    if request.get("variables"):
        options["variables"] = json.dumps(request["variables"])
    return _command("start-pipeline-execution", options)


def _command(name: str, options: Mapping[str, str]) -> str:
    # `--name=value`: a value that begins with a dash is no option of its own.
    return " ".join(["aws", "codepipeline", name, *(f"--{key}={shlex.quote(value)}" for key, value in options.items())])
