"""The interface of CodeDeploy's compute platforms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from lastgood.model import Chore, Deployment, Evidence, GroupFacts, Live, Note, Preparation, Revision


class Platform(Protocol):
    """One compute platform of CodeDeploy."""

    @property
    def deployment_config(self) -> str:
        """The configuration of the redeployment; empty for the group's own."""
        ...

    def revision(self, location: Mapping[str, Any], made_at: datetime) -> Revision:
        """What a `RevisionLocation` deployed then. Its identity is empty where it cannot be read."""
        ...

    def live(self, group: GroupFacts, revision: Revision) -> Live:
        """What is live now, at the place where `revision` is deployed."""
        ...

    def evidence(self, deployment: Deployment) -> Evidence:
        """What a closer look at the deployment's revision shows: content, marks, and whether it can be deployed."""
        ...

    def contents(self, deployment: Deployment) -> Revision:
        """What a deployment that has just ended contains, as exactly as AWS knows it."""
        ...

    def noted(self, deployment: Deployment, note: Note) -> Evidence:
        """What the notebook adds to what is known of a deployment's revision, where AWS does not contradict it."""
        ...

    def renamed(self, good: Revision) -> str:
        """A sentence if a tag of it means another image than the one that was deployed; empty where none is known."""
        ...

    def before(self, first: Deployment, group: GroupFacts) -> Revision | None:
        """What was live before the group's first deployment, where that can still be read."""
        ...

    def prepare(self, group: GroupFacts, revision: Revision, live: Live) -> tuple[Preparation, ...]:
        """What must be done before the revision is redeployed, and what is in the way."""
        ...

    def do(self, todo: Chore, revision: Revision) -> str:
        """Do what `prepare` asked for. Returns the revision's new identity, where it gets one."""
        ...

    def redeployable(self, revision: Revision, live: Live, task_definition: str) -> dict[str, Any]:
        """The `RevisionLocation` that deploys the same code again, starting from what is live now."""
        ...
