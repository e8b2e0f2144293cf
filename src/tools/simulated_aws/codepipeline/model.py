"""Pipelines, their runs and the actions of those. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

STAGES = ("Source", "Build", "Deploy")


@dataclass
class ActionRun:
    """One action of one run. `external_id` is a deployment's id, or a source's revision."""

    id: str
    stage: str
    name: str
    category: str
    provider: str
    started_at: datetime
    updated_at: datetime
    status: str = "InProgress"
    external_id: str = ""
    error: tuple[str, str] | None = None
    configuration: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class Run:
    """One execution. `sources` maps each source action to its revision, `summaries` and `pages` each of these to what
    was said of it and where people see it.

    `artifact` is what it deploys, once that is built; `rolls_back_to` is set for an execution of type ROLLBACK.
    """

    id: str
    started_at: datetime
    version: int
    sources: dict[str, str]
    summaries: dict[str, str]
    trigger: tuple[str, str]
    variables: dict[str, str]
    updated_at: datetime
    status: str = "InProgress"
    stage: str = "Source"
    waiting: bool = False
    rolls_back_to: str = ""
    artifact: dict[str, Any] = field(default_factory=dict)
    actions: list[ActionRun] = field(default_factory=list)
    pages: dict[str, str] = field(default_factory=dict)


@dataclass
class Transition:
    """The way into a stage."""

    enabled: bool = True
    reason: str = ""
    changed_by: str = ""
    changed_at: datetime | None = None


@dataclass
class Pipeline:
    """A pipeline. `providers` are its source actions; `builds` says what each revision of the first one builds.

    `deploys_with` is `CodeDeploy`, `CloudFormation` (then `stack` is named) or another provider, whose content is only
    noted. `stacks` are further stacks that the stage updates to the same. `beside` are other groups of CodeDeploy, or
    services that ECS deploys, to which the stage deploys the same. `last` is the name of one more stage, which copies
    the same to S3; empty for none. `approval`: a person has to approve inside the stage. `on_failure` is `ROLLBACK`
    or empty; `on_success` names an `alarm`, after how many `minutes` it is looked at, and the `result` (ROLLBACK or
    FAIL) if it fires. Nobody has recorded a rollback into a stage whose transition is disabled: `held_rollbacks_wait`
    plays that it waits. `tells`: EventBridge hears of the stage. `fails`: the revisions whose action fails in the
    stage, after what it deploys came live. `change_sets`: a stack is updated by a change set, which is made
    `here` in the stage, or `elsewhere`: then a rollback of the stage finds none any more. `elsewhere`: `another
    region` or `another account` of the declared stack; anything else: its name comes from an earlier action. `lost`:
    the executions whose artifacts are no longer in the bucket.
    """

    name: str
    application: str
    group: str
    created_at: datetime
    pipeline_type: str = "V2"
    mode: str = "SUPERSEDED"
    version: int = 1
    providers: dict[str, str] = field(default_factory=lambda: {"Source": "CodeCommit"})
    variables: dict[str, str] = field(default_factory=dict)
    head: dict[str, str] = field(default_factory=dict)
    summaries: dict[str, str] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    builds: dict[str, Any] = field(default_factory=dict)
    built: set[str] = field(default_factory=set)
    transitions: dict[str, Transition] = field(default_factory=lambda: {s: Transition() for s in STAGES[1:]})
    runs: list[Run] = field(default_factory=list)
    tokens: dict[str, Run] = field(default_factory=dict)
    deploys_with: str = "CodeDeploy"
    stack: str = ""
    beside: tuple[tuple[str, str], ...] = ()
    approval: bool = False
    on_failure: str = ""
    on_success: dict[str, Any] = field(default_factory=dict)
    held_rollbacks_wait: bool = False
    tells: bool = False
    fails: set[str] = field(default_factory=set)
    last: str = ""
    stacks: tuple[str, ...] = ()
    change_sets: str = ""
    elsewhere: str = ""
    lost: set[str] = field(default_factory=set)

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of its stages."""
        return (*STAGES, *([self.last] if self.last else []))

    @property
    def occupied(self) -> bool:
        """Whether a run is in the stage Deploy."""
        there = [run for run in self.runs if run.stage == "Deploy" and not run.waiting]
        return any(run.status in {"InProgress", "Stopping"} for run in there)

    def succeeded(self) -> list[Run]:
        """The runs that succeeded in the stage Deploy under the present version, oldest first."""
        return [run for run in self.runs if run.status == "Succeeded" and run.version == self.version]

    def waiting(self, stage: str = "Deploy") -> list[Run]:
        """The runs that wait before a stage, oldest first."""
        return [run for run in self.runs if run.waiting and run.stage == stage]
