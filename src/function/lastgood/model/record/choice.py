"""Which deployments are blamed, and which revision goes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lastgood.model.reasons import Rejection


@dataclass(frozen=True, slots=True)
class Candidate:
    """A deployment that selection looked at. `rejection` is None for the one that was chosen.

    `served_seconds`, `alarms_meanwhile` (how often an alarm of the group fired while it served) and `content_known` are
    None where that is unknown or was not asked. `content_known_by` says in words how the content is known.
    """

    deployment_id: str
    revision: str
    created_at: datetime
    rejection: Rejection | None
    explanation: str = ""
    served_seconds: int | None = None
    alarms_meanwhile: int | None = None
    content_known: bool | None = None
    content_known_by: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """The suspects and the last good revision, fixed with the first decision: later steps do not choose again.

    `suspect_revisions` holds the newest suspect's revision first; `suspect_contents` maps each to its content, where
    that is known (`remembered`); `suspect_created_at` is the oldest suspect's time.
    `release_groups` are the keys of all groups that the same release changed, as far as known; `release_joined_by` says
    what shows that they belong together; `release_deployments` maps a group's key to the release's deployment there.
    """

    suspect_deployment_id: str = ""
    suspect_created_at: datetime | None = None
    suspect_revisions: tuple[str, ...] = ()
    suspect_contents: Mapping[str, str] = field(default_factory=dict)
    good_deployment_id: str = ""
    good_revision: str = ""
    good_digests: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    remark: str = ""
    calls_people: bool = False
    floor_deployment_id: str = ""
    failed_rollback_id: str = ""
    failed_rollback: str = ""
    suspect_stack: str = ""
    origin: str = ""
    stack_status: str = ""
    stack_command: str = ""
    release_groups: tuple[str, ...] = ()
    release_joined_by: str = ""
    release_deployments: Mapping[str, str] = field(default_factory=dict)

    @property
    def suspect_revision(self) -> str:
        """What the newest suspect deployed; empty where nobody is blamed."""
        return self.suspect_revisions[0] if self.suspect_revisions else ""
