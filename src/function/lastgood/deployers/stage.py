"""A stage of a pipeline: its definition and its present state, from CodePipeline's answers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

RUNNING = frozenset({"InProgress", "Stopping"})


@dataclass(frozen=True, slots=True)
class StageDefinition:
    """A stage as the pipeline has it now. `first`: it holds the sources; `approvals`: its actions that ask people.

    `later` are the stages behind it; `alarms` those that the stage's own conditions ask. `stacks` are the stacks of the
    pipeline's own account and region that its actions update. `executes` is its action that executes a change set which
    no action of the stage has made; empty if it has none.
    """

    version: int
    pipeline_type: str
    first: bool
    later: frozenset[str]
    approvals: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    has_variables: bool = False
    stacks: tuple[str, ...] = ()
    executes: str = ""

    @classmethod
    def of(cls, pipeline: Mapping[str, Any], name: str, arn: str = "") -> StageDefinition | None:
        """The stage of a pipeline as `GetPipeline` answers, with its ARN; None if it has none of that name."""
        names = [str(stage.get("name", "")) for stage in pipeline.get("stages") or ()]
        if name not in names:
            return None
        at = names.index(name)
        stage = pipeline["stages"][at]
        return cls(
            version=int(pipeline.get("version", 0)),
            pipeline_type=str(pipeline.get("pipelineType") or "V1"),
            first=at == 0,
            later=frozenset(names[at + 1 :]),
            approvals=tuple(action["name"] for action in stage.get("actions") or () if _asks_people(action)),
            alarms=tuple(_alarms(stage)),
            has_variables=bool(pipeline.get("variables")),
            stacks=tuple(dict.fromkeys(_stacks(stage, arn))),
            executes=_executes(stage),
        )


@dataclass(frozen=True, slots=True)
class StageState:
    """Which execution is in the stage, or was last, and its status there; which ones wait before it, and why.

    `changed_at`: when the newest of the stage's actions last changed its status, as far as that is known.
    """

    latest_id: str = ""
    latest_status: str = ""
    waiting: frozenset[str] = frozenset()
    closed_by: str = ""
    changed_at: datetime | None = None

    @classmethod
    def of(cls, answer: Mapping[str, Any], name: str) -> StageState:
        """The stage as `GetPipelineState` answers; empty where it has none of that name."""
        stages: list[dict[str, Any]] = answer.get("stageStates") or []
        stage = next((stage for stage in stages if stage.get("stageName") == name), {})
        latest, way = stage.get("latestExecution") or {}, stage.get("inboundTransitionState") or {}
        waiting = [*(stage.get("inboundExecutions") or ()), stage.get("inboundExecution") or {}]
        closed = not way.get("enabled", True)
        who = f"{way.get('lastChangedBy') or 'somebody'} ({way.get('disabledReason') or 'no reason is given'})"
        return cls(
            latest_id=str(latest.get("pipelineExecutionId", "")),
            latest_status=str(latest.get("status", "")),
            waiting=frozenset(inbound["pipelineExecutionId"] for inbound in waiting if inbound),
            closed_by=who if closed else "",
            changed_at=max(_changes(stage), default=None),
        )

    @property
    def busy(self) -> bool:
        """CodePipeline lets one execution into a stage at a time (except in PARALLEL mode)."""
        return self.latest_status in RUNNING


def _changes(stage: Mapping[str, Any]) -> Iterator[datetime]:
    """When each action of a stage, as `GetPipelineState` has it, last changed its status."""
    for action in stage.get("actionStates") or ():
        if changed := (action.get("latestExecution") or {}).get("lastStatusChange"):
            yield changed


def _of_stacks(stage: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    """The actions of a stage that work on a stack, each with its configuration."""
    for action in stage.get("actions") or ():
        if (action.get("actionTypeId") or {}).get("provider") == "CloudFormation":
            yield action, action.get("configuration") or {}


def _stacks(stage: Mapping[str, Any], arn: str) -> Iterator[str]:
    """The stacks that a stage updates, where the pipeline itself is. A name that an earlier action gives is unknown."""
    region, account = [*arn.split(":"), "", "", "", "", ""][3:5]
    for action, given in _of_stacks(stage):
        name, role = str(given.get("StackName") or ""), [*str(action.get("roleArn") or "").split(":"), "", "", "", ""]
        here = (action.get("region") or region) == region and (role[4] or account) == account
        if name and "#{" not in name and here:
            yield name


def _executes(stage: Mapping[str, Any]) -> str:
    """The first action that executes a change set which no action of the same stage makes."""
    by_mode: dict[str, dict[tuple[Any, Any], str]] = {}
    for action, given in _of_stacks(stage):
        which = (given.get("StackName"), given.get("ChangeSetName"))
        by_mode.setdefault(str(given.get("ActionMode")), {}).setdefault(which, str(action.get("name")))
    made = by_mode.get("CHANGE_SET_REPLACE", {})
    return next((name for which, name in by_mode.get("CHANGE_SET_EXECUTE", {}).items() if which not in made), "")


def _asks_people(action: Mapping[str, Any]) -> bool:
    return (action.get("actionTypeId") or {}).get("category") == "Approval"


def _alarms(stage: Mapping[str, Any]) -> Iterator[str]:
    for when in ("onSuccess", "onFailure"):
        for condition in (stage.get(when) or {}).get("conditions") or ():
            for rule in condition.get("rules") or ():
                if name := (rule.get("configuration") or {}).get("AlarmName"):
                    yield str(name)
