"""A stage of a pipeline, and a group whose alias a stack holds, as the people around them see them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from faults.places import COMMIT_SECONDS, FLOOR, CodeDeployGroup, Config, Place, Seen, commit
from scene import number_of
from simulated_aws import ServiceError, Simulator
from simulated_aws.codepipeline.model import Run
from stage.local import ACCOUNT

PIPELINE, STAGE, STACK = "shop", "Deploy", "app"
GOING = ("InProgress", "Stopping")


class StageOfAPipeline(Place):
    """The stage `Deploy` of the pipeline `shop`, which copies to S3 what it builds, or updates a stack."""

    names: ClassVar = {"pipeline": PIPELINE, "stage": STAGE}
    key = f"pipeline:{PIPELINE}/{STAGE}"
    release_takes = COMMIT_SECONDS

    def __init__(self, sim: Simulator, config: Config, **options: Any) -> None:
        super().__init__(sim, config)
        self.pipeline = sim.pipeline(PIPELINE, "shop", "prod", **{"deploys_with": "S3", **config.stage, **options})
        self._ours: dict[str, str] = {}

    def number(self, revision: str) -> int:
        """A commit's number, or that of what it builds."""
        return int(revision, 16) if len(revision) == len(commit(0)) else number_of(revision)

    @property
    def _runs(self) -> list[Run]:
        """Those that reached the stage, in the order in which they entered it."""
        there = [run for run in self.pipeline.runs if run.rolls_back_to or _inside(run)]
        return sorted(there, key=_entered)

    @property
    def deployments(self) -> list[Seen]:
        runs = self._runs
        return [self._seen(run, runs) for run in runs]

    def _seen(self, run: Run, runs: list[Run]) -> Seen:
        by = self._ours.get(run.id, "")
        released = not by and not run.rolls_back_to
        return Seen(
            run.id,
            self.number(run.sources["Source"]),
            _entered(run),
            run.status,
            run.status not in GOING,
            by,
            native=run.trigger[0] == "AutomatedRollback",
            undone=any(run.id in each.trigger[1] for each in runs if each.trigger[0] == "AutomatedRollback"),
            floor=FLOOR in run.summaries.get(run.sources["Source"], "") and released,
        )

    @property
    def newest(self) -> str:
        return self.deployments[-1].id if self._runs else ""

    @property
    def live(self) -> str:
        if self.pipeline.stack:
            return self.sim.stacks.live(self.sim.stacks.stack(self.pipeline.stack))
        shares = self.sim.serving(f"pipeline:{PIPELINE}", STAGE)
        return next(iter(shares), "")

    def release(self, number: int, *, floor: bool = False, failing: bool = False) -> str:
        if failing:
            self.pipeline.fails.add(commit(number))
        return self.sim.push(PIPELINE, commit(number), number, summary=f"{FLOOR} for the migration" * floor)

    def stop(self) -> None:
        """Somebody stops what is in the stage, and lets its actions end."""
        going = next((each for each in self.deployments if not each.ended), None)
        if going is not None and going.status == "InProgress":
            self.sim.pipelines.stages.stop(PIPELINE, going.id, abandon=False)

    def goes_back(self, number: int) -> None:
        """Somebody rolls the stage back to the last execution that released revision n."""
        there = [run for run in self._runs if self.number(run.sources["Source"]) == number and not run.rolls_back_to]
        try:
            self.sim.pipelines.stages.roll_back(PIPELINE, STAGE, there[-1].id if there else "", "arn:ann")
        except ServiceError:
            return

    def let_in(self, *, enabled: bool) -> None:
        """Somebody opens or closes the way into the stage."""
        self.sim.pipelines.set_transition(PIPELINE, STAGE, enabled=enabled, by="arn:ann", reason="a launch")

    def goes_to(self, stopped: str) -> int | None:
        return None

    def note(self, deployment_id: str, rollback_id: str) -> None:
        self._ours[deployment_id] = rollback_id


class GroupOfAStack(CodeDeployGroup):
    """The group `shop/prod`, whose alias the stack `app` holds; a pipeline updates the stack, or somebody does."""

    def __init__(self, sim: Simulator, config: Config) -> None:
        super().__init__(sim, replace(config, platform="Lambda"))
        self._options = {**config.stack}
        self.cancels, by_pipeline = self._options.pop("cancels"), self._options.pop("by_pipeline")
        self.stack = sim.stack(STACK, "shop", "prod", **self._options)
        if by_pipeline:
            self.stage = StageOfAPipeline(sim, config, deploys_with="CloudFormation", stack=STACK)
            self.release_takes = COMMIT_SECONDS  # type: ignore[misc]

    @property
    def settings(self) -> dict[str, str]:
        rule = [{**self.names, "pipeline": PIPELINE, "stage": STAGE}] if self.stage else []
        return {
            **super().settings,
            "LASTGOOD_FIND_STACKS": "true",
            "LASTGOOD_ACCOUNT_ID": ACCOUNT,
            "LASTGOOD_PIPELINES": json.dumps(rule),
            "LASTGOOD_CANCEL_STACK_UPDATES": STACK * self.cancels,
        }

    def _seen(self, made: Any) -> Seen:
        """What the stack deploys to go back, or because its stage does, nobody has released."""
        goes_back = made.creator == "CloudFormationRollback" or made.id in self._deployed_to_go_back
        return replace(super()._seen(made), native=goes_back or made.native_rollback)

    @property
    def _deployed_to_go_back(self) -> set[str]:
        """What was deployed while a rollback was in the stage."""
        if not isinstance(self.stage, StageOfAPipeline):
            return set()
        back = [run for run in self.stage.pipeline.runs if run.rolls_back_to]
        spans = [(_entered(run), None if run.status in GOING else run.updated_at) for run in back]
        return {
            made.id
            for made in self._group.deployments
            if any(began <= made.created_at and (ended is None or made.created_at <= ended) for began, ended in spans)
        }

    def release(self, number: int, *, floor: bool = False, failing: bool = False) -> str:
        while number > self.highest:
            self.highest += 1
            self.sim.publish_version("shop")
        if failing:
            if self.active:
                return ""
            self.sim.fail_next("HOOK_EXECUTION_FAILURE", "simulated")
        if self.stage:
            return self.stage.release(number, floor=floor)
        try:
            return self.sim.update_stack(STACK, number)
        except ServiceError:
            return ""

    def cancel(self) -> None:
        """Somebody cancels the stack's update."""
        try:
            self.sim.stacks.cancel(self.stack, "")
        except ServiceError:
            return

    def mend(self) -> None:
        """Somebody clears the alias, and lets a stack that failed go back."""
        if self.stack.status == "UPDATE_ROLLBACK_FAILED" and not self.active:
            function, alias = self._group.alias or ("", "")
            self.sim.engine.lambda_world.alias(function, alias).weights.clear()
            self.sim.stacks.continue_rollback(self.stack, "")

    @property
    def agrees(self) -> bool:
        """Whether the stack believes in what is live, where it is at rest and has not failed."""
        at_rest = not self.stack.going and not self.stack.status.endswith("FAILED") and not self.active
        return not at_rest or self.sim.stacks.live(self.stack) == self.stack.believes


def _inside(run: Run) -> bool:
    return any(action.stage == STAGE for action in run.actions)


def _entered(run: Run) -> datetime:
    return min((action.started_at for action in run.actions if action.stage == STAGE), default=run.started_at)
