"""What CodePipeline knows of a pipeline, as values: its runs and their sources, its stages and who holds them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_GIT = {"CodeCommit", "CodeStarSourceConnection", "GitHub"}
# A whole hash, or a short one with at least one letter: a mere number may be a build number.
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}|(?=.*[a-f])[0-9a-f]{7,39}")
# In a summary written by people, only a whole hash counts as a commit.
_COMMIT_IN_TEXT = re.compile(r"(?<![0-9a-zA-Z])(?:[0-9a-f]{64}|[0-9a-f]{40})(?![0-9a-zA-Z])")
_HELD = re.compile(r"lastgood (rb-[A-Za-z0-9-]+) ")


@dataclass(frozen=True, slots=True)
class Source:
    """What one source action of a run brought: `revision` is a commit, an object's version, an image's digest.

    `page` is the address at which people can see it, as CodePipeline gives it.
    """

    action: str
    provider: str
    revision: str
    summary: str = ""
    page: str = ""

    @property
    def commit(self) -> str:
        """The commit, where the source is git or its summary names one; else empty."""
        if self.provider in _GIT:
            return self.revision if _COMMIT.fullmatch(self.revision) else ""
        return commit_in(self.summary)


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a pipeline. `version` is the version of the pipeline's structure that it ran through.

    `deployed` are the keys of what its deploy actions released to, each with the id of the deployment. What neither
    CodeDeploy nor ECS deploys is known by its stage, whose deployment is the run. The id is empty for an ECS service,
    for which CodePipeline does not say it; `between` is when its action began and ended.
    """

    execution_id: str
    status: str
    version: int = 0
    sources: tuple[Source, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    deployed: tuple[tuple[str, str], ...] = ()
    between: tuple[tuple[str, datetime, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class Recent:
    """One execution as the list of executions describes it: `revisions` are the revision ids of its sources."""

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


def asks_people(action: Mapping[str, Any]) -> bool:
    """Whether an action, as `ListActionExecutions` has it, is an approval."""
    return category_of(action) == "Approval"


def category_of(action: Mapping[str, Any]) -> str:
    """`Source`, `Build`, `Deploy`, `Approval` …"""
    return str(((action.get("input") or {}).get("actionTypeId") or {}).get("category", ""))


def commit_in(text: str) -> str:
    """The commit that a text names: the text is a commit itself, or contains a whole hash; else empty."""
    alone = text.strip().lower()
    if _COMMIT.fullmatch(alone):
        return alone
    match = _COMMIT_IN_TEXT.search(text)
    return match[0] if match else ""


def run_of(pipeline: str, execution_id: str) -> str:
    """A run, in words for people."""
    return f"the run {execution_id} of the pipeline {pipeline}"


def hold_reason(rollback_id: str) -> str:
    """Why the stage is held, in the few characters that CodePipeline allows here (no colon, no slash)."""
    return f"lastgood {rollback_id} rolled this stage back. Release it with lastgood - or enable the transition."


def holder(reason: str) -> str:
    """The rollback that disabled a transition; empty if anyone else did."""
    match = _HELD.match(reason)
    return match[1] if match else ""
