"""The executions of a pipeline in one of its stages, as deployments.

* CodePipeline lists executions of the whole pipeline. How one fared in a stage is in its actions there; for the one
  that is in the stage now, in the pipeline's state: a stage is not over while one of its conditions is still waiting.
* What an execution deploys is its source revisions. A stage rollback is an execution of its own, of the type ROLLBACK,
  with the sources and artifacts of its target; CodePipeline's own are triggered by `AutomatedRollback`.
* Executions are listed for a year; those that succeeded in the stage under the pipeline's present structure can be
  listed by themselves, and only to those can the stage be rolled back (API reference, RollbackStage).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import batched
from typing import Any

from lastgood.clients import Clients, call
from lastgood.deployers.stage import RUNNING, StageDefinition, StageState
from lastgood.errors import RefusedError
from lastgood.model import (
    APPROVAL_MARKER,
    FLOOR_MARKER,
    NATIVE_ROLLBACK_CREATOR,
    TERMINAL_STATUSES,
    Deployment,
    DeploymentGroup,
    Revision,
)
from lastgood.pipelines.runs import asks_people, commit_in

PAGE = 100
MAX_PAGES = 10
AT_A_TIME = 6
"""The actions of this many executions are read in parallel; the last good one is mostly among the newest few."""

KIND = "SourceRevisions"
AUTOMATIC = "AutomatedRollback"
SHORT = 12
"""This many characters of a commit are enough for people."""

Raw = dict[str, Any]


class StageHistory:
    """The executions of one pipeline in one stage. What was listed once is not listed again."""

    def __init__(self, group: DeploymentGroup, clients: Clients, pool: ThreadPoolExecutor) -> None:
        self._pipeline, self._stage = group.application, group.deployment_group
        self._clients = clients
        self._pool = pool
        self._listed: dict[str, Raw] = {}
        self._token: str | None = ""

    # --- reading ------------------------------------------------------------------------------------------------------

    def definition(self) -> StageDefinition | None:
        """The stage as it is defined; None if the pipeline has none of that name. Raises GroupNotFoundError."""
        answer = call(self._clients.codepipeline, "get_pipeline", name=self._pipeline)
        arn = str((answer.get("metadata") or {}).get("pipelineArn", ""))
        return StageDefinition.of(answer["pipeline"], self._stage, arn)

    def state(self) -> StageState:
        """The stage's present state."""
        answer = call(self._clients.codepipeline, "get_pipeline_state", name=self._pipeline)
        return StageState.of(answer, self._stage)

    def succeeded(self, pages: int = 1) -> tuple[str, ...]:
        """The executions that succeeded in the stage under the pipeline's present structure, newest first."""
        execution_ids: list[str] = []
        more: dict[str, Any] = {}
        for _ in range(pages):
            answer = self._list(filter={"succeededInStage": {"stageName": self._stage}}, **more)
            execution_ids += (execution["pipelineExecutionId"] for execution in self._noted(answer))
            if not answer.get("nextToken"):
                break
            more = {"nextToken": answer["nextToken"]}
        return tuple(execution_ids)

    def newest(self) -> list[Raw]:
        """The newest executions as CodePipeline lists them, read anew."""
        return self._page()

    def batches(
        self, page: list[Raw], definition: StageDefinition, state: StageState
    ) -> Iterator[tuple[Deployment, ...]]:
        """The deployments of the stage, newest first; each part costs the calls for its executions' actions.

        The last to enter the stage comes first, however long it had waited before it.
        """
        page = sorted(page, key=lambda execution: execution["pipelineExecutionId"] != state.latest_id)
        for _ in range(MAX_PAGES):
            for some in batched(page, AT_A_TIME, strict=False):
                read = self._pool.map(self._actions, [execution["pipelineExecutionId"] for execution in some])
                deployments = (self._reached(e, a, definition, state) for e, a in zip(some, read, strict=True))
                yield tuple(sorted((d for d in deployments if d), key=lambda d: d.created_at, reverse=True))
            if self._token is None:
                return
            page = self._page(nextToken=self._token)

    def one(self, execution_id: str, definition: StageDefinition, state: StageState) -> Deployment | None:
        """One execution as it is now, also before it has reached the stage; None if the pipeline does not know it."""
        execution = self._find(execution_id)
        if execution is None:
            return None
        actions = self._actions(execution_id)
        reached = self._reached(execution, actions, definition, state)
        return reached or self._on_its_way(execution, definition, state)

    def revision(self, execution_id: str, definition: StageDefinition) -> Revision:
        """What an execution deploys; without identity where it is no longer listed."""
        execution = self._listed.get(execution_id) or self._find(execution_id)
        return self._revision(execution, definition) if execution else Revision(KIND, "")

    # --- inside: lists ------------------------------------------------------------------------------------------------

    def _list(self, **more: Any) -> Raw:
        return call(
            self._clients.codepipeline,
            "list_pipeline_executions",
            pipelineName=self._pipeline,
            maxResults=PAGE,
            **more,
        )

    def _page(self, **more: Any) -> list[Raw]:
        """The next page that holds anything: one may be empty and have a token all the same."""
        for _ in range(MAX_PAGES):
            answer = self._list(**more)
            self._token = answer.get("nextToken") or None
            page = self._noted(answer)
            if page or self._token is None:
                break
            more = {"nextToken": self._token}
        return page

    def _noted(self, answer: Raw) -> list[Raw]:
        page: list[Raw] = answer.get("pipelineExecutionSummaries") or []
        self._listed |= {execution["pipelineExecutionId"]: execution for execution in page}
        return page

    def _find(self, execution_id: str) -> Raw | None:
        """An execution, listed anew: its state may have changed since it was listed."""
        self.newest()
        for _ in range(MAX_PAGES):
            if execution_id in self._listed or self._token is None:
                break
            self._page(nextToken=self._token)
        return self._listed.get(execution_id)

    def _actions(self, execution_id: str) -> list[Raw]:
        """Every action of an execution, newest first."""
        actions: list[Raw] = []
        more: dict[str, Any] = {}
        for _ in range(MAX_PAGES):
            answer = call(
                self._clients.codepipeline,
                "list_action_executions",
                pipelineName=self._pipeline,
                filter={"pipelineExecutionId": execution_id},
                maxResults=PAGE,
                **more,
            )
            actions += answer.get("actionExecutionDetails") or ()
            if not answer.get("nextToken"):
                break
            more = {"nextToken": answer["nextToken"]}
        return sorted(actions, key=lambda action: _utc(action["startTime"]), reverse=True)

    # --- inside: one execution as a deployment ------------------------------------------------------------------------

    def _reached(
        self, execution: Raw, actions: list[Raw], definition: StageDefinition, state: StageState
    ) -> Deployment | None:
        """The execution in this stage; None where it has not got that far."""
        here = [action for action in actions if action.get("stageName") == self._stage]
        if not here:
            return None
        latest = list({action["actionName"]: action for action in reversed(here)}.values())
        passed = any(action.get("stageName") in definition.later for action in actions)
        status = _status(execution, latest, state, passed=passed)
        failed = next((action for action in latest if action.get("status") == "Failed"), {})
        error = ((failed.get("output") or {}).get("executionResult") or {}).get("errorDetails") or {}
        asks = next((action["actionName"] for action in latest if _waits_for_people(action)), "")
        made = self._deployment(execution, status, min(_utc(action["startTime"]) for action in here), definition)
        return replace(
            made,
            completed_at=_ended(execution, latest, status),
            error_code=str(error.get("code", "")),
            error_message=_why(execution, error),
            waits_for=f"its action {asks} waits for somebody to approve it" if asks else "",
        )

    def _on_its_way(self, execution: Raw, definition: StageDefinition, state: StageState) -> Deployment:
        """An execution that has not reached the stage: it is on its way, waits before it, or will never come."""
        status = execution.get("status", "")
        known = status if status in RUNNING | {"Failed"} else "Stopped"
        made = self._deployment(execution, known, _utc(execution["startTime"]), definition)
        ended = None if made.active else _utc(execution["lastUpdateTime"])
        superseded = execution.get("status") == "Superseded"
        why = "a newer execution superseded it before it reached the stage" if superseded else _why(execution, {})
        held = state.closed_by and execution["pipelineExecutionId"] in state.waiting
        waits = f"it waits before {self._stage}, for {state.closed_by} disabled the transition: enable it"
        return replace(made, completed_at=ended, error_message=why, waits_for=waits if held else "")

    def _deployment(self, execution: Raw, status: str, began: datetime, definition: StageDefinition) -> Deployment:
        trigger = execution.get("trigger") or {}
        own = trigger.get("triggerType") == AUTOMATIC
        goes_back = bool(back_to(execution))
        text = " ".join(str(source.get("revisionSummary") or "") for source in execution.get("sourceRevisions") or ())
        return Deployment(
            deployment_id=execution["pipelineExecutionId"],
            status=status,
            created_at=began,
            revision=self._revision(execution, definition),
            creator=NATIVE_ROLLBACK_CREATOR if own else "user",
            rolls_back_deployment_id=_failed_one(trigger) if own else "",
            rollback_deployment_id=self._undone_by(execution["pipelineExecutionId"]),
            # The marks belong to the target: a rollback to it does not set them again.
            floor=FLOOR_MARKER in text and not goes_back,
            needs_approval=APPROVAL_MARKER in text and not goes_back,
        )

    def _undone_by(self, execution_id: str) -> str:
        """CodePipeline's own rollback of an execution, as far as it was listed; newer ones are listed first."""
        return next(
            (
                execution["pipelineExecutionId"]
                for execution in self._listed.values()
                if (trigger := execution.get("trigger") or {}).get("triggerType") == AUTOMATIC
                and _failed_one(trigger) == execution_id
            ),
            "",
        )

    def _revision(self, execution: Raw, definition: StageDefinition) -> Revision:
        """What an execution deploys. `location` names the execution that a rollback of the stage would go back to."""
        source_id = back_to(execution) or execution["pipelineExecutionId"]
        sources = execution.get("sourceRevisions") or (self._listed.get(source_id) or {}).get("sourceRevisions")
        details = {} if sources and not definition.has_variables else self._details(source_id)
        sources = sources or details.get("artifactRevisions") or ()
        revisions = sorted(str(source.get("revisionId") or "") for source in sources)
        if not revisions or not all(revisions):
            unknown = f"CodePipeline does not say which source revisions {source_id} has"
            return Revision(KIND, "", unreadable=unknown, location={"execution": source_id})
        return Revision(
            KIND,
            "+".join(revisions),
            "+".join(map(_short, revisions)),
            commit=_commit(sources),
            location={"execution": source_id},
            other_parts=_variables(details),
        )

    def _details(self, execution_id: str) -> Raw:
        try:
            answer = call(
                self._clients.codepipeline,
                "get_pipeline_execution",
                pipelineName=self._pipeline,
                pipelineExecutionId=execution_id,
            )
        except RefusedError as error:
            if error.permission_denied:
                raise
            return {}
        execution: Raw = answer["pipelineExecution"]
        return execution


def back_to(execution: Mapping[str, Any]) -> str:
    """The execution to which a stage rollback goes back; empty for any other execution."""
    return str((execution.get("rollbackMetadata") or {}).get("rollbackTargetPipelineExecutionId", ""))


def _failed_one(trigger: Mapping[str, Any]) -> str:
    """The execution that CodePipeline's own rollback answers: `{"FailedPipelineExecutionId": …}` in the trigger."""
    try:
        detail = json.loads(str(trigger.get("triggerDetail", "")))
    except ValueError:
        return ""
    return str(detail.get("FailedPipelineExecutionId", "")) if isinstance(detail, dict) else ""


def _status(execution: Raw, latest: Iterable[Raw], state: StageState, *, passed: bool) -> str:
    """An execution's status in the stage, in CodeDeploy's words; one that reached the next stage succeeded here."""
    if execution["pipelineExecutionId"] == state.latest_id and state.latest_status:
        return state.latest_status if state.latest_status in TERMINAL_STATUSES | RUNNING else "Stopped"
    whole, actions = str(execution.get("status", "")), {action.get("status", "") for action in latest}
    if passed or whole in {"Succeeded", "Superseded"}:
        return "Succeeded"
    if "Failed" in actions or whole == "Failed":
        return "Failed"
    return whole if whole in RUNNING else "Stopped"


def _ended(execution: Raw, latest: Iterable[Raw], status: str) -> datetime | None:
    if status not in TERMINAL_STATUSES:
        return None
    last = max(_utc(action["lastUpdateTime"]) for action in latest)
    # A condition may have ended the stage well after its last action.
    return last if status == "Succeeded" else max(last, _utc(execution["lastUpdateTime"]))


def _why(execution: Raw, error: Mapping[str, Any]) -> str:
    stopped = (execution.get("stopTrigger") or {}).get("reason")
    told = error.get("message") or execution.get("statusSummary") or (f"it was stopped: {stopped}" if stopped else "")
    return str(told)


def _short(revision: str) -> str:
    return revision[:SHORT] if commit_in(revision) == revision else revision


def _commit(sources: Iterable[Raw]) -> str:
    """The first commit that a source names by its id or in its summary; empty where none does."""
    texts = (str(source.get(name) or "") for source in sources for name in ("revisionId", "revisionSummary"))
    return next(filter(None, map(commit_in, texts)), "")


def _variables(details: Raw) -> str:
    """The variables that an execution ran with, as JSON; empty where it had none."""
    values = {v["name"]: v.get("resolvedValue", "") for v in details.get("variables") or () if v.get("name")}
    return json.dumps(values, sort_keys=True) if values else ""


def _waits_for_people(action: Mapping[str, Any]) -> bool:
    return action.get("status") == "InProgress" and asks_people(action)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
