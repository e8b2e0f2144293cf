"""What never changes in AWS and is kept between visits."""

from __future__ import annotations

from dataclasses import dataclass, field

from lastgood.model import DeploymentGroup, Revision


@dataclass
class Memory:
    """Service revisions with all their digests, and the beginnings of services' ARNs."""

    revisions: dict[str, Revision] = field(default_factory=dict)
    prefixes: dict[DeploymentGroup, str] = field(default_factory=dict)
