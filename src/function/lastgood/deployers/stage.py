"""A stage of a pipeline: its definition and its present state, from CodePipeline's answers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

RUNNING = frozenset({"InProgress", "Stopping"})


@dataclass(frozen=True, slots=True)
class StageDefinition:
    """A stage as the pipeline has it now. `first`: it holds the sources; `approvals`: its actions that ask people.

    `later` are the stages behind it; `alarms` those that the stage's own conditions ask.
    """

    version: int
    pipeline_type: str
    first: bool
    later: frozenset[str]
    approvals: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    has_variables: bool = False

    @classmethod
    def of(cls, pipeline: Mapping[str, Any], name: str) -> StageDefinition | None:
        """The stage of a pipeline as `GetPipeline` answers; None if it has none of that name."""
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
        )


@dataclass(frozen=True, slots=True)
class StageState:
    """Which execution is in the stage, or was last, and its status there; which ones wait before it, and why."""

    latest_id: str = ""
    latest_status: str = ""
    waiting: frozenset[str] = frozenset()
    closed_by: str = ""

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
        )

    @property
    def busy(self) -> bool:
        """CodePipeline lets one execution into a stage at a time (except in PARALLEL mode)."""
        return self.latest_status in RUNNING


def _asks_people(action: Mapping[str, Any]) -> bool:
    return (action.get("actionTypeId") or {}).get("category") == "Approval"


def _alarms(stage: Mapping[str, Any]) -> Iterator[str]:
    for when in ("onSuccess", "onFailure"):
        for condition in (stage.get(when) or {}).get("conditions") or ():
            for rule in condition.get("rules") or ():
                if name := (rule.get("configuration") or {}).get("AlarmName"):
                    yield str(name)
