"""A note in the notebook of releases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lastgood.model.deployments import Deployment, Image

_SAME_TIME = timedelta(milliseconds=2)
"""The table keeps times in milliseconds."""


@dataclass(frozen=True, slots=True)
class Note:
    """A release as it was noted when it had ended: what it contained, and when it served.

    `revision` is the identity of what was deployed; `content` is what that name contained then: an object with its
    version or ETag, or a digest of code or definition; empty where that could not be read. `replaced` is the deployment
    that was live before, as far as the notebook knows.
    """

    deployment_id: str
    created_at: datetime
    revision: str
    content: str = ""
    images: tuple[Image, ...] = ()
    served_from: datetime | None = None
    served_until: datetime | None = None
    replaced: str = ""
    replaced_by: str = ""

    def is_of(self, deployment: Deployment) -> bool:
        """AWS confirms id, revision and time, so the note is about this deployment, no matter who wrote it."""
        same = self.deployment_id == deployment.deployment_id and _name(self.revision) == _name(
            deployment.revision.identity
        )
        return same and abs(self.created_at - deployment.created_at) <= _SAME_TIME


def _name(identity: str) -> str:
    """An object's name without its version or ETag: those are its content."""
    return identity.partition("?")[0]


def around(notes: Sequence[Note], created_at: datetime) -> tuple[Note | None, Note | None]:
    """The notes of the releases just before and just after one created then. `notes` are newest first."""
    older = next((note for note in notes if note.created_at < created_at), None)
    newer = next((note for note in reversed(notes) if note.created_at > created_at), None)
    return older, newer
