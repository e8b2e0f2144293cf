"""A stage of a pipeline: its executions, what is live in it, and RollbackStage.

Facts that shape this module (CodePipeline API reference; user guide, "Configuring stage rollback"; recorded calls):

* RollbackStage runs the stage alone, with the artifacts and variables of an execution that succeeded in it under the
  pipeline's present structure. It has no idempotency token. It refuses a stage that is running, and a target that is a
  rollback itself: then that rollback's own target is used. A stage of sources would read the newest ones.
* A running execution can be stopped only by letting its actions end, or by abandoning them, which does not end what
  they began. So it is stopped the first way, and the stage is rolled back once it is at rest.
* A rollback of a stage asks for the stage's approval again, and nobody would be there to give it.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from lastgood.clients import Clients, call
from lastgood.deployers.protocol import never_asked
from lastgood.deployers.stage import StageDefinition, StageState
from lastgood.deployers.stage_history import AUTOMATIC, MAX_PAGES, StageHistory, back_to
from lastgood.deployers.stage_stacks import StageStacks
from lastgood.errors import GroupBusyError, GroupNotFoundError, PassingError, RefusedError, RetryableError
from lastgood.model import (
    Chore,
    ComputePlatform,
    Deployment,
    DeploymentGroup,
    Evidence,
    GroupFacts,
    Live,
    Note,
    Preparation,
    Reach,
    Revision,
    Rollback,
)
from lastgood.pipelines.adapter import Pipelines
from lastgood.pipelines.rules import start_request

_CLOCK_SKEW = timedelta(minutes=5)
OUTDATED = "PipelineExecutionOutdatedException"
STOP_REASON = "lastgood stops this release, an alarm blames it"


class PipelineStage:
    """One stage, for one look: `live` uses what `facts` or `survey` read."""

    def __init__(
        self,
        group: DeploymentGroup,
        clients: Clients,
        pool: ThreadPoolExecutor,
        *,
        rerun_outdated: bool = False,
        find_stacks: bool = False,
    ) -> None:
        """`rerun_outdated`: where the pipeline was changed since the good execution, it may be rerun from its start.

        `find_stacks`: CloudFormation may be asked about the stacks that the stage updates.
        """
        self._group = group
        self._clients = clients
        self._pool = pool
        self._rerun_outdated, self._find_stacks = rerun_outdated, find_stacks
        self._history = StageHistory(group, clients, pool)

    # --- reading ------------------------------------------------------------------------------------------------------

    def facts(self) -> GroupFacts | None:
        """The stage as it is; None if there is no such pipeline, or it has no such stage."""
        reading, listing = self._pool.submit(self._history.state), self._pool.submit(self._history.succeeded)
        try:
            definition, _ = self._definition, self._asking_stacks
            self._state, self._succeeded = reading.result(), listing.result()
        except GroupNotFoundError:
            return None
        return self._facts(definition) if definition else None

    def survey(self, since: datetime, now: datetime) -> tuple[GroupFacts | None, Iterator[tuple[Deployment, ...]]]:
        """The stage and its deployments, newest first, in batches; older ones are read only when asked for."""
        listing = self._pool.submit(self._history.newest)
        facts = self.facts()
        if facts is None or self._definition is None:
            return None, iter(())
        return facts, self._history.batches(listing.result(), self._definition, self._state)

    def deployment(self, deployment_id: str) -> Deployment | None:
        """One execution as it is in the stage now; None if the pipeline does not know it."""
        reading = self._pool.submit(self._history.state)
        try:
            definition = self._definition
            self._state = reading.result()
        except GroupNotFoundError:
            return None
        return self._history.one(deployment_id, definition, self._state) if definition else None

    def newest(self, facts: GroupFacts) -> Deployment | None:
        """The execution that is in the stage, or was last."""
        return self.deployment(facts.last_attempted_id) if facts.last_attempted_id else None

    def created_by(self, rollback: Rollback, now: datetime) -> Deployment | None:
        """The execution that a rollback began; None if there is none (yet).

        RollbackStage takes nothing that could carry a marker. Ours is recognised by going back to the execution that
        was meant, by hand, and not being older than the attempt. If somebody else began the very same rollback at that
        moment, it is as good as ours. A rerun is found by its source revisions.
        """
        since = (rollback.progress.create_attempted_at or now) - _CLOCK_SKEW
        known = {
            rollback.choice.failed_rollback_id,
            rollback.choice.good_deployment_id,
            rollback.choice.suspect_deployment_id,
        }
        meant = self._target_of(rollback.choice.good_deployment_id)
        for execution in self._history.newest():
            found_id, kind = execution["pipelineExecutionId"], (execution.get("trigger") or {}).get("triggerType")
            if execution["startTime"] < since or found_id in known or kind == AUTOMATIC:
                continue
            again = kind == "StartPipelineExecution" and _sources(execution) == rollback.choice.good_revision
            if again or (meant and back_to(execution) == meant):
                return self.deployment(found_id)
        return None

    def live(self, facts: GroupFacts, revision: Revision) -> Live:
        """What the last execution in the stage deployed, if it succeeded there; split while one is in it."""
        state, definition = self._state, self._definition
        if state.busy:
            return Live(split=True, deployment_id=state.latest_id)
        if definition is None or state.latest_status != "Succeeded":
            return Live()
        if other := self._stacks.updated_by_others(state.changed_at):
            return Live(other, deployment_id=state.latest_id)
        return Live(self._history.revision(state.latest_id, definition).identity, deployment_id=state.latest_id)

    def evidence(self, deployment: Deployment) -> Evidence:
        """Whether the stage can be rolled back to an execution, by what the pipeline is now."""
        return Evidence(deployment.revision, problem=self._problem(deployment))

    def contents(self, deployment: Deployment) -> Revision:
        """The source revisions, which are its name too."""
        return deployment.revision

    def noted(self, deployment: Deployment, note: Note) -> Evidence:
        """Nothing more: source revisions do not change."""
        return Evidence(deployment.revision)

    def before(self, first: Deployment, facts: GroupFacts) -> Deployment | None:
        """None: a pipeline does not know what was live before its first execution."""
        return None

    def renamed(self, good: Revision) -> str:
        """Never: an execution has its artifacts."""
        return ""

    def prepare(self, facts: GroupFacts, good: Revision, live: Live) -> tuple[Preparation, ...]:
        """A stack that is being updated has to come to rest; `evidence` reports what else is in the way."""
        return self._stacks.in_the_way()

    # --- writing ------------------------------------------------------------------------------------------------------

    def stop(self, deployment: Deployment, *, native: bool) -> str:
        """Stop an execution once its running actions have ended. Returns `Accepted`, or `AlreadyCompleted`."""
        try:
            call(
                self._clients.codepipeline,
                "stop_pipeline_execution",
                writes=True,
                pipelineName=self._group.application,
                pipelineExecutionId=deployment.deployment_id,
                abandon=False,
                reason=STOP_REASON,
            )
        except RefusedError as error:
            if error.code == "DuplicatedStopRequestException":
                return "Accepted"
            if error.code == "PipelineExecutionNotStoppableException":
                return "AlreadyCompleted"
            if error.code == "ConflictException":
                raise PassingError(error.operation, error.code, error.message) from error
            raise
        return "Accepted"

    def let_go_on(self, deployment: Deployment) -> None:
        """Nothing: only people can give an approval."""

    def silent(self, deployment_id: str) -> tuple[str, ...]:
        """None: a stop waits for actions, which do answer; they only take their time."""
        return ()

    def reach(self, deployment: Deployment, facts: GroupFacts) -> Reach | None:
        """Unknown: a stage has many actions, and none of them says when it begins to serve users."""
        return None

    def do(self, todo: Chore, good: Revision) -> str:
        """No chore is ever asked for here."""
        never_asked(todo)

    def create(
        self, rollback: Rollback, facts: GroupFacts, good: Deployment, live: Live, suspect: Deployment | None
    ) -> str:
        """Roll the stage back to the good execution, or run the pipeline again for its sources. Returns the id.

        Raises GroupBusyError while another execution is in the stage.
        """
        target = str(good.revision.location.get("execution", ""))
        try:
            answer = call(
                self._clients.codepipeline_writer,
                "rollback_stage",
                writes=True,
                pipelineName=self._group.application,
                stageName=self._group.deployment_group,
                targetPipelineExecutionId=target,
            )
        except RefusedError as error:
            if error.code == OUTDATED and self._rerun_outdated:
                return self._run_again(rollback, target)
            raise self._as_it_is_meant(error) from error
        return str(answer["pipelineExecutionId"])

    def _as_it_is_meant(self, error: RefusedError) -> Exception:
        """The error that is meant: CodePipeline uses one code for a running stage and for an impossible target."""
        if error.code == "ConflictException":
            return PassingError(error.operation, error.code, error.message)
        if error.code == "UnableToRollbackStageException" and self._history.state().busy:
            return GroupBusyError(error.operation, error.code, error.message)
        return error

    def _run_again(self, rollback: Rollback, target: str) -> str:
        """Run the pipeline from its start with the good source revisions. The same token never starts a second run."""
        pipelines, name = Pipelines(self._clients), self._group.application
        request, problem = start_request(
            name, pipelines.definition(name), pipelines.run(name, target), rollback.rollback_id
        )
        if request is None:
            raise RefusedError("start_pipeline_execution", OUTDATED, problem)
        return pipelines.start(request)

    # --- inside -------------------------------------------------------------------------------------------------------

    @cached_property
    def _definition(self) -> StageDefinition | None:
        return self._history.definition()

    @cached_property
    def _state(self) -> StageState:
        return self._history.state()

    @cached_property
    def _asking_stacks(self) -> Future[StageStacks] | None:
        """The stacks of the stage, asked about beside the other reads; None where there are none, or it may not ask."""
        names = self._definition.stacks if self._find_stacks and self._definition else ()
        return self._pool.submit(StageStacks.read, self._clients, names) if names else None

    @property
    def _stacks(self) -> StageStacks:
        return self._asking_stacks.result() if self._asking_stacks else StageStacks()

    @cached_property
    def _succeeded(self) -> tuple[str, ...]:
        return self._history.succeeded()

    @cached_property
    def _ever_succeeded(self) -> tuple[str, ...]:
        return self._history.succeeded(MAX_PAGES)

    def _facts(self, definition: StageDefinition) -> GroupFacts:
        state = self._state
        done = state.latest_id if state.latest_status == "Succeeded" else next(iter(self._succeeded), "")
        return GroupFacts(
            compute_platform=ComputePlatform.PIPELINE,
            last_attempted_id=state.latest_id,
            last_attempted_status=state.latest_status,
            last_successful_id=done,
            alarm_names=definition.alarms,
        )

    def _target_of(self, deployment_id: str) -> str:
        """The execution to name to RollbackStage where this one is the good one."""
        deployment = self.deployment(deployment_id) if deployment_id else None
        return str(deployment.revision.location.get("execution", "")) if deployment else ""

    def _problem(self, deployment: Deployment) -> str:
        definition, stage = self._definition, self._group.deployment_group
        target = str(deployment.revision.location.get("execution", ""))
        if definition is None:
            return f"The pipeline has no stage {stage} (any more)."
        if definition.first:
            return f"{stage} is the stage of the sources: to roll it back would release the newest ones."
        if definition.approvals:
            asks = definition.approvals[0]
            return (
                f"The action {asks} of the stage asks people for approval, and would ask again in a rollback. Put it "
                "into a stage of its own, before this one."
            )
        if definition.pipeline_type != "V2":
            kind = f"{self._group.application} is a {definition.pipeline_type} pipeline"
            return f"{kind}; only stages of V2 pipelines can be rolled back."
        if definition.executes:
            return (
                f"The action {definition.executes} executes a change set that no action of {stage} has made: that of "
                "another execution is gone, and would bring nothing back. Make the change set in the same stage."
            )
        if target in self._succeeded or target in self._ever_succeeded:
            return self._problem_of_stacks()
        return self._outdated(target)

    def _problem_of_stacks(self) -> str:
        """Why a stack keeps the stage from going back. What could not be read is asked for again before the act."""
        try:
            return self._stacks.problem()
        except RetryableError:
            return ""

    def _outdated(self, target: str) -> str:
        name = self._group.application
        why = (
            f"{target} did not succeed in the stage as the pipeline is now: it was changed since, or not all went well."
        )
        if not self._rerun_outdated:
            return f"{why} LASTGOOD_RERUN_OUTDATED_STAGES lets the pipeline run again for its source revisions."
        pipelines = Pipelines(self._clients)
        _, problem = start_request(name, pipelines.definition(name), pipelines.run(name, target), "check")
        return problem


def _sources(execution: dict[str, Any]) -> str:
    return "+".join(sorted(str(source.get("revisionId") or "") for source in execution.get("sourceRevisions") or ()))
