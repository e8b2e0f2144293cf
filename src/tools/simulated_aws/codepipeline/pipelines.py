"""Pipelines that move: a run takes its sources, builds them and deploys them with CodeDeploy or through a stack.

Each pipeline has the stages Source, Build and Deploy, and may have one more. One run at a time is in Deploy; what comes
behind it, or finds the transition disabled, waits before the stage (in SUPERSEDED mode the newest alone). A stage that
fails ends its run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from simulated_aws.cloudformation.stacks import Stack, Stacks
from simulated_aws.codedeploy.engine import Engine
from simulated_aws.codedeploy.model import Deployment
from simulated_aws.codepipeline.model import ActionRun, Pipeline, Run, Transition
from simulated_aws.codepipeline.stage_rollbacks import StageRollbacks
from simulated_aws.ecs.service_model import RollingService, ServiceDeployment
from simulated_aws.model import ServiceError

SOURCE_SECONDS = 5.0
BUILD_SECONDS = 60.0
# Which kind of revision each provider's source action may be started with.
REVISION_TYPES = {
    "CodeCommit": {"COMMIT_ID"},
    "CodeStarSourceConnection": {"COMMIT_ID"},
    "ECR": {"IMAGE_DIGEST"},
    "S3": {"S3_OBJECT_VERSION_ID", "S3_OBJECT_KEY"},
}


class Pipelines:
    """Every pipeline, on the engine's clock."""

    def __init__(
        self, engine: Engine, rebuild: Callable[[str, str, Any, bool], dict[str, Any]], stacks: Stacks
    ) -> None:
        """`rebuild(application, group, revision, again)` is what a build gives: new, if it is built `again`."""
        self.engine, self.stacks = engine, stacks
        self.deployed: dict[str, str] = {}
        self.stages = StageRollbacks(self)
        self.pipelines: dict[str, Pipeline] = {}
        self._rebuild = rebuild
        self._of_services: dict[str, ActionRun] = {}
        engine.ended.append(self._deployment_ended)
        engine.services_ended.append(self._service_ended)
        stacks.ends.append(self._stack_ended)

    def create(self, name: str, application: str, group: str, **options: Any) -> Pipeline:
        """A pipeline that deploys to a group. `options` are fields of `Pipeline`."""
        made = Pipeline(name, application, group, self.engine.now(), **options)
        self.pipelines[name] = made
        return made

    def pipeline(self, name: str) -> Pipeline:
        """Raises PipelineNotFoundException."""
        if name not in self.pipelines:
            raise ServiceError("PipelineNotFoundException", f"Account does not have a pipeline with name '{name}'")
        return self.pipelines[name]

    def run_of(self, name: str, run_id: str) -> Run:
        """Raises PipelineExecutionNotFoundException."""
        found = next((run for run in self.pipeline(name).runs if run.id == run_id), None)
        if found is None:
            raise ServiceError("PipelineExecutionNotFoundException", f"No execution {run_id} in the pipeline {name}")
        return found

    # --- running --------------------------------------------------------------------------------------------

    def push(self, name: str, revision: str, builds: Any, summary: str = "", action: str = "") -> Run:
        """A source changes: the pipeline runs. `builds` is what it builds, in the short forms of `release`."""
        pipeline = self.pipeline(name)
        action = action or next(iter(pipeline.providers))
        pipeline.head[action], pipeline.summaries[revision] = revision, summary
        pipeline.builds[revision] = builds
        return self.start(pipeline, dict(pipeline.head), ("CloudWatchEvent", f"push to {action}"))

    def start(
        self,
        pipeline: Pipeline,
        sources: dict[str, str],
        trigger: tuple[str, str],
        variables: dict[str, str] | None = None,
    ) -> Run:
        """Begin a run for these sources."""
        run = self.new_run(pipeline, sources, trigger, {**pipeline.variables, **(variables or {})})
        for action, provider in pipeline.providers.items():
            self._action(run, action, "Source", provider)
        self.engine.later(SOURCE_SECONDS, lambda: self._sourced(pipeline, run))
        return run

    def new_run(
        self, pipeline: Pipeline, sources: dict[str, str], trigger: tuple[str, str], variables: dict[str, str]
    ) -> Run:
        """A run that has not begun with any stage yet."""
        now = self.engine.now()
        run = Run(self.engine.new_uuid(), now, pipeline.version, sources, pipeline.summaries, trigger, variables, now)
        run.pages = pipeline.pages
        pipeline.runs.append(run)
        return run

    def started(self, name: str, given: dict[str, Any], by: str) -> Run:
        """StartPipelineExecution: what it refuses, and the same run for the same token."""
        pipeline, token = self.pipeline(name), given.get("clientRequestToken", "")
        if token and token in pipeline.tokens:
            return pipeline.tokens[token]
        sources = dict(pipeline.head)
        for override in given.get("sourceRevisions") or ():
            provider = pipeline.providers.get(override["actionName"], "")
            if pipeline.pipeline_type != "V2":
                raise ServiceError("ValidationException", "Source revisions need a pipeline of type V2.")
            if override["revisionType"] not in REVISION_TYPES.get(provider, set()):
                what = f"{override['actionName']} takes no {override['revisionType']}"
                raise ServiceError("ValidationException", f"The source revision is not valid: {what}")
            sources[override["actionName"]] = override["revisionValue"]
        variables = {each["name"]: each["value"] for each in given.get("variables") or ()}
        run = self.start(pipeline, sources, ("StartPipelineExecution", by), variables)
        if token:
            pipeline.tokens[token] = run
        return run

    def _sourced(self, pipeline: Pipeline, run: Run) -> None:
        for action in run.actions:
            action.external_id = run.sources.get(action.name, "")
            self._over(run, action, "Succeeded")
        run.stage = "Build"
        build = self._action(run, "Build", "Build", "CodeBuild")
        build.external_id = f"build:{run.id}"
        self.engine.later(BUILD_SECONDS, lambda: self._built(pipeline, run, build))

    def _built(self, pipeline: Pipeline, run: Run, build: ActionRun) -> None:
        self._over(run, build, "Succeeded")
        run.stage, run.waiting = "Deploy", True
        if pipeline.mode == "SUPERSEDED":
            for older in pipeline.waiting()[:-1]:
                older.waiting, older.status, older.updated_at = False, "Superseded", self.engine.now()
        self._enter(pipeline)

    def _enter(self, pipeline: Pipeline) -> None:
        """The first that waits enters the stage, if it is open and free."""
        waiting = pipeline.waiting()
        busy = pipeline.mode != "PARALLEL" and pipeline.occupied
        if not waiting or busy or not pipeline.transitions["Deploy"].enabled:
            return
        run = waiting[0]
        run.waiting = False
        self.tell(pipeline, run, "STARTED")
        if pipeline.approval:
            self._action(run, "Approve", "Approval", "Manual")
        else:
            self.deploy(pipeline, run)

    def deploy(self, pipeline: Pipeline, run: Run) -> None:
        """The deploy action of the stage begins."""
        deploy = self._action(run, "Deploy", "Deploy", pipeline.deploys_with)
        try:
            deploy.external_id = self._deployed_by(pipeline, run, deploy)
        except ServiceError as error:
            deploy.error = (error.code, error.message)
            self._ended(pipeline, run, deploy, "Failed")

    def _deployed_by(self, pipeline: Pipeline, run: Run, deploy: ActionRun) -> str:
        if run.rolls_back_to in pipeline.lost:
            raise ServiceError("PermissionError", "The object with key shop/BuildArtif/x does not exist in the bucket.")
        run.artifact = run.artifact or self._built_artifact(pipeline, run)
        if pipeline.deploys_with == "CodeDeploy":
            self._deploy_beside(pipeline, run)
            deploy.configuration = _named(pipeline.application, pipeline.group)
            return self._created(pipeline.application, pipeline.group, run.artifact["revision"])
        if pipeline.deploys_with == "CloudFormation":
            further = [
                (name, self._action(run, f"Deploy-{name}", "Deploy", "CloudFormation")) for name in pipeline.stacks
            ]
            for name, action in ((pipeline.stack, deploy), *further):
                stack = self.stacks.stack(name)
                if run.rolls_back_to and pipeline.change_sets == "elsewhere":
                    raise ServiceError("ChangeSetNotFoundException", "ChangeSet [release] does not exist")
                action.external_id = stack.id
                self.stacks.update_stack(stack, str(run.artifact["builds"]))
            return deploy.external_id
        self.deployed[pipeline.name] = str(run.artifact["builds"])
        outcome = "Failed" if pipeline.fails & {*run.sources.values()} else "Succeeded"
        self.engine.later(1.0, lambda: self._ended(pipeline, run, deploy, outcome))
        return ""

    def copy(self, pipeline: Pipeline, run: Run) -> None:
        """The last stage copies what the run built."""
        run.stage, run.waiting = pipeline.last, False
        action = self._action(run, "Copy", "Deploy", "S3")
        self.deployed[f"{pipeline.name}/{pipeline.last}"] = str(run.artifact["builds"])
        self.engine.later(1.0, lambda: self._ended(pipeline, run, action, "Succeeded"))

    def _deploy_beside(self, pipeline: Pipeline, run: Run) -> None:
        for application, group in pipeline.beside:
            if service := self.engine.service_deployments.services.get((application, group)):
                self._update_service(run, service)
                continue
            action = self._action(run, f"Deploy-{application}-{group}", "Deploy", "CodeDeploy")
            action.configuration = _named(application, group)
            built = self._rebuild(application, group, run.artifact["builds"], False)
            action.external_id = self._created(application, group, built)

    def _update_service(self, run: Run, service: RollingService) -> None:
        """ECS's own action, which does not name the deployment that it makes."""
        action = self._action(run, f"Deploy-{service.service.name}", "Deploy", "ECS")
        action.configuration = {"ClusterName": service.service.cluster, "ServiceName": service.service.name}
        number = re.search(r"\d+", str(run.artifact["builds"]))
        family = str(service.primary.task_definition if service.primary else "").rpartition(":")[0]
        made = self.engine.service_deployments.update(service, f"{family}:{number[0] if number else 1}")
        self._of_services[made.id if made else ""] = action

    def _service_ended(self, deployment: ServiceDeployment) -> None:
        if action := self._of_services.get(deployment.id):
            outcome = "Succeeded" if deployment.status == "SUCCESSFUL" else "Failed"
            pipeline, run = next((p, r) for p in self.pipelines.values() for r in p.runs if action in r.actions)
            self._ended(pipeline, run, action, outcome)

    def _created(self, application: str, group: str, revision: dict[str, Any]) -> str:
        names = {"applicationName": application, "deploymentGroupName": group}
        return self.engine.create_deployment({**names, "revision": revision}).id

    def approve(self, name: str, approved: bool = True) -> None:
        """A person answers the approval inside the stage."""
        pipeline = self.pipeline(name)
        for run in pipeline.runs:
            for action in list(run.actions):
                if action.category == "Approval" and action.status == "InProgress":
                    if approved:
                        self._over(run, action, "Succeeded")
                        self.deploy(pipeline, run)
                    else:
                        self._ended(pipeline, run, action, "Failed")

    def _built_artifact(self, pipeline: Pipeline, run: Run) -> dict[str, Any]:
        commit = run.sources[next(iter(pipeline.providers))]
        builds = pipeline.builds[commit]
        if pipeline.deploys_with != "CodeDeploy":
            return {"builds": builds}
        built = self._rebuild(pipeline.application, pipeline.group, builds, commit in pipeline.built)
        pipeline.built.add(commit)
        return {"builds": builds, "revision": built}

    def _deployment_ended(self, deployment: Deployment) -> None:
        for pipeline in self.pipelines.values():
            for run in list(pipeline.runs):
                for action in run.actions:
                    if action.external_id == deployment.id and action.status == "InProgress":
                        outcome = "Succeeded" if deployment.status == "Succeeded" else "Failed"
                        action.error = None if outcome == "Succeeded" else ("JobFailed", f"It is {deployment.status}.")
                        self._ended(pipeline, run, action, outcome)

    def _stack_ended(self, stack: Stack) -> None:
        for pipeline in self.pipelines.values():
            for run in list(pipeline.runs):
                for action in run.actions:
                    if action.external_id == stack.id and action.status == "InProgress":
                        outcome = "Succeeded" if stack.status == "UPDATE_COMPLETE" else "Failed"
                        action.error = None if outcome == "Succeeded" else ("JobFailed", f"It is {stack.status}.")
                        self._ended(pipeline, run, action, outcome)

    def _ended(self, pipeline: Pipeline, run: Run, action: ActionRun, outcome: str) -> None:
        self._over(run, action, outcome)
        if run.status not in {"InProgress", "Stopping"}:
            return  # it was abandoned
        latest = {each.name: each.status for each in run.actions}.values()
        if "InProgress" in latest:
            return  # the stage has other actions
        outcome = "Failed" if "Failed" in latest else outcome
        if run.status == "Stopping":
            outcome = "Stopped"
        if outcome == "Succeeded" and pipeline.on_success and run.stage == "Deploy" and not run.rolls_back_to:
            # The stage is not over while its condition waits.
            seconds = 60.0 * pipeline.on_success.get("minutes", 0)
            self.engine.later(seconds, lambda: self._judge(pipeline, run))
            return
        self._close(pipeline, run, outcome)

    def _judge(self, pipeline: Pipeline, run: Run) -> None:
        if self.engine.firing(pipeline.on_success["alarm"]):
            self._close(pipeline, run, "Failed", pipeline.on_success.get("result", "ROLLBACK"))
        else:
            self._close(pipeline, run, "Stopped" if run.status == "Stopping" else "Succeeded")

    def _close(self, pipeline: Pipeline, run: Run, outcome: str, result: str = "") -> None:
        if outcome == "Succeeded" and pipeline.last and run.stage == "Deploy" and not run.rolls_back_to:
            self.copy(pipeline, run)
            self.engine.later(1.0, lambda: self._enter(pipeline))
            return
        run.status, run.updated_at = outcome, self.engine.now()
        self.tell(pipeline, run, "SUCCEEDED" if outcome == "Succeeded" else "FAILED")
        wanted = result or (pipeline.on_failure if outcome == "Failed" else "")
        if wanted == "ROLLBACK" and not run.rolls_back_to:
            self.stages.automatic(pipeline, run)
        self.engine.later(1.0, lambda: self._enter(pipeline))

    def tell(self, pipeline: Pipeline, run: Run, state: str) -> None:
        """EventBridge hears of the stage, if it is to."""
        if pipeline.tells:
            self.engine.events.tell_stage(
                pipeline.name, run.id, "Deploy", state, self.engine.now(), self.engine.new_uuid()
            )

    def wait_for_stage(self, pipeline: Pipeline, run: Run) -> None:
        """A run that begins with the stage stands before it; unless the stage is held, it goes in at once."""
        run.stage, run.waiting = "Deploy", True
        if pipeline.transitions["Deploy"].enabled or pipeline.held_rollbacks_wait:
            self._enter(pipeline)
            return
        run.waiting = False
        self.tell(pipeline, run, "STARTED")
        self.deploy(pipeline, run)

    def _action(self, run: Run, name: str, category: str, provider: str) -> ActionRun:
        now = self.engine.now()
        made = ActionRun(self.engine.new_uuid(), run.stage, name, category, provider, now, now)
        run.actions.append(made)
        run.updated_at = now
        return made

    def _over(self, run: Run, action: ActionRun, status: str) -> None:
        action.status, action.updated_at = status, self.engine.now()
        run.updated_at = action.updated_at

    # --- transitions ----------------------------------------------------------------------------------------

    def transition(self, name: str, stage: str) -> Transition:
        """Raises StageNotFoundException."""
        found = self.pipeline(name).transitions.get(stage)
        if found is None:
            raise ServiceError("StageNotFoundException", f"No stage {stage} in the pipeline {name}")
        return found

    def set_transition(self, name: str, stage: str, *, enabled: bool, by: str, reason: str = "") -> None:
        """Open or close the way into a stage; what waits goes on."""
        found, pipeline = self.transition(name, stage), self.pipeline(name)
        found.enabled, found.reason = enabled, "" if enabled else reason
        found.changed_by, found.changed_at = by, self.engine.now()
        if enabled:
            self.engine.later(0.5, lambda: self._enter(pipeline))


def _named(application: str, group: str) -> dict[str, str]:
    return {"ApplicationName": application, "DeploymentGroupName": group}
