"""Plans as values: what would happen to one deployment group, and to the rest of the release that is blamed."""

from __future__ import annotations

from dataclasses import dataclass

from lastgood.judgement.case import Case
from lastgood.judgement.steps import AskApproval, Close, Decision, Wait
from lastgood.model import Candidate, DeploymentGroup, Floor
from lastgood_cli.questions import Answer


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another group of the release: what would happen to it, and whether it would go back without anybody's doing.

    `deployment_id` is the release's deployment there; empty where that is not known.
    """

    key: str
    deployment_id: str
    goes_back: bool
    told: str


@dataclass(frozen=True, slots=True)
class Rest:
    """What else the release changed; `joined_by` says what shows it: a stack, a run of a pipeline, a commit."""

    joined_by: str
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What would happen to one deployment group; `decision` is None where not even a rollback would be opened.

    `case` is what the decision looked at. `instead` is the plan for the stage that would be rolled back in the group's
    place. `release` says what else the release changed, where that was looked up.
    """

    about: str
    headline: str
    explanation: str
    answers: tuple[Answer, ...] = ()
    group: DeploymentGroup | None = None
    decision: Decision | None = None
    candidates: tuple[Candidate, ...] = ()
    then: str = ""
    mode: str = ""
    floor: Floor | None = None
    suppositions: tuple[str, ...] = ()
    expects: str = ""
    case: Case | None = None
    instead: Plan | None = None
    release: Rest | None = None

    @property
    def acts(self) -> bool:
        """True where something would be stopped, adopted or deployed."""
        if isinstance(self.decision, Close):
            return bool(self.decision.passes_on) and (self.instead is None or self.instead.acts)
        return self.decision is not None and not isinstance(self.decision, Wait | AskApproval)
