"""What each compute platform of CodeDeploy answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from lastgood.model import GroupFacts, Live, Marks, Preparation, Revision


class Platform(Protocol):
    """One compute platform of CodeDeploy."""

    @property
    def deployment_config(self) -> str:
        """The configuration of the redeployment; empty for the group's own."""
        ...

    def revision(self, location: Mapping[str, Any]) -> Revision:
        """What a `RevisionLocation` deploys. Its identity is empty where it cannot be read."""
        ...

    def live(self, group: GroupFacts, revision: Revision) -> Live:
        """What is live now, at the place where `revision` is deployed."""
        ...

    def unusable(self, revision: Revision) -> str:
        """Why the revision can no longer be deployed; empty if it can, or if nobody may look."""
        ...

    def marks(self, revision: Revision) -> Marks:
        """Whether the revision's tags or its description make it a floor, or ask for approval."""
        ...

    def prepare(self, group: GroupFacts, revision: Revision, live: Live) -> Preparation:
        """What has to be done before the revision is deployed again."""
        ...

    def do(self, todo: Preparation, revision: Revision) -> str:
        """Do what `prepare` asked for. Returns the revision's new identity, where it gets one."""
        ...

    def redeployable(self, revision: Revision, live: Live, task_definition: str) -> dict[str, Any]:
        """The `RevisionLocation` that deploys the same code again, from where things stand now."""
        ...
