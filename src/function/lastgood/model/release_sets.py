"""Release sets: the deployment groups that one release changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ReleaseSet:
    """The keys of the groups that one release changed.

    `joined_by` says what shows that they belong together: a stack, a run of a pipeline, a commit. `deployments` maps a
    group's key to the id of the release's deployment there, as far as known.
    """

    groups: frozenset[str]
    joined_by: str
    deployments: Mapping[str, str] = field(default_factory=dict, hash=False)
