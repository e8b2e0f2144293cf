"""EC2 and on-premises servers under CodeDeploy: bundles in S3, commits on GitHub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lastgood.clients import Clients, call
from lastgood.deployers.bundles import as_deployed, as_noted, s3_object, s3_revision
from lastgood.deployers.marks import marks_in, unless_denied
from lastgood.deployers.protocol import never_asked
from lastgood.errors import RefusedError
from lastgood.model import CheckBundles, Chore, Deployment, Evidence, GroupFacts, Live, Note, Preparation, Revision
from lastgood.settings import Settings

_FULL_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.IGNORECASE)
_BRANCH = (
    "{name} is no full commit id: deployed again, it would be whatever it names then. Release by the full commit id"
)


@dataclass(frozen=True)
class ServerPlatform:
    """EC2 and on-premises: bundles in S3 or commits on GitHub, replayed as they were."""

    clients: Clients
    settings: Settings

    @property
    def deployment_config(self) -> str:
        """The configuration of the redeployment; empty for the group's own."""
        return self.settings.server_deployment_config

    def revision(self, location: Mapping[str, Any], made_at: datetime) -> Revision:
        """The bundle or the commit. S3 objects are identified by version or ETag: a key may have been overwritten."""
        kind = location.get("revisionType", "")
        if kind == "GitHub":
            hub = location.get("gitHubLocation", {})
            repository, commit = hub.get("repository", ""), hub.get("commitId", "")
            full = bool(_FULL_COMMIT.fullmatch(commit))
            commit = commit.lower() if full else commit
            return Revision(
                kind,
                f"github:{repository}@{commit}",
                f"{repository}@{commit[:12]}",
                commit,
                location,
                moves="" if full else _BRANCH.format(name=commit),
            )
        if kind == "S3":
            return s3_revision(location)
        return Revision(kind or "unknown", "", "", "", location)

    def live(self, group: GroupFacts, revision: Revision) -> Live:
        """The group's last success: CodeDeploy has no call that says what runs on the instances."""
        return Live()

    def evidence(self, deployment: Deployment) -> Evidence:
        """Whether the bundle exists, what a bare key held when it was deployed, and where wanted what its tags say.

        A bundle that may not be read may be there: it is deployed, and CodeDeploy says if it is gone.
        """
        revision, asked = deployment.revision, self.settings.check_bundles
        if revision.kind != "S3" or (asked is CheckBundles.NO and not revision.moves):
            return Evidence(revision)
        revision, problem = as_deployed(self.clients, deployment)
        if problem or asked is not CheckBundles.TAGS:
            return Evidence(revision, problem)
        try:
            answer = call(self.clients.s3, "get_object_tagging", **s3_object(revision.location))
        except RefusedError as error:
            return Evidence(revision, "", unless_denied(error))
        return Evidence(revision, "", marks_in([tag.get("Key", "") for tag in answer.get("TagSet", [])]))

    def contents(self, deployment: Deployment) -> Revision:
        """The bundle's version and ETag, where S3 proves them."""
        return as_deployed(self.clients, deployment)[0] if deployment.revision.kind == "S3" else deployment.revision

    def noted(self, deployment: Deployment, note: Note) -> Evidence:
        """The bundle's version from the notebook: CodeDeploy records none that the caller did not give."""
        revision = deployment.revision
        return Evidence(as_noted(self.clients, deployment, note) if revision.kind == "S3" else revision)

    def renamed(self, good: Revision) -> str:
        """Never: no tags are deployed here."""
        return ""

    def before(self, first: Deployment, group: GroupFacts) -> Revision | None:
        """None: nobody knows what was on the servers before CodeDeploy."""
        return None

    def prepare(self, group: GroupFacts, revision: Revision, live: Live) -> tuple[Preparation, ...]:
        """Nothing: CodeDeploy deploys a bundle again whatever is live."""
        return ()

    def do(self, todo: Chore, revision: Revision) -> str:
        """No chore is ever asked for here."""
        never_asked(todo)

    def redeployable(self, revision: Revision, live: Live, task_definition: str) -> dict[str, Any]:
        """The location exactly as it was deployed, with its version and ETag."""
        return dict(revision.location)
