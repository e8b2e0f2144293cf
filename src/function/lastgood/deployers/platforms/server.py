"""EC2 and on-premises servers under CodeDeploy: bundles in S3, commits on GitHub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lastgood.clients import Clients, call
from lastgood.deployers.bundles import overwritten, s3_identity, s3_label, s3_object
from lastgood.deployers.marks import marks_in, unless_denied
from lastgood.errors import RefusedError
from lastgood.model import GroupFacts, Live, Marks, Preparation, Revision
from lastgood.settings import Settings


@dataclass(frozen=True)
class ServerPlatform:
    """EC2 and on-premises: bundles in S3 or commits on GitHub, replayed as they were."""

    clients: Clients
    settings: Settings

    @property
    def deployment_config(self) -> str:
        """The configuration of the redeployment; empty for the group's own."""
        return self.settings.server_deployment_config

    def revision(self, location: Mapping[str, Any]) -> Revision:
        """S3 objects are told apart by version or ETag: the same key may have been overwritten."""
        kind = location.get("revisionType", "")
        if kind == "GitHub":
            hub = location.get("gitHubLocation", {})
            repository, commit = hub.get("repository", ""), hub.get("commitId", "")
            return Revision(kind, f"github:{repository}@{commit}", f"{repository}@{commit[:12]}", commit, location)
        if kind == "S3":
            return Revision(kind, s3_identity(location), s3_label(location), "", location)
        return Revision(kind or "unknown", "", "", "", location)

    def live(self, group: GroupFacts, revision: Revision) -> Live:
        """CodeDeploy has no call that tells what runs on the instances: the group's last success stands for it."""
        return Live()

    def unusable(self, revision: Revision) -> str:
        """Looks at the bundle, where the function's role may read it."""
        if revision.kind != "S3" or not self.settings.check_bundles:
            return ""
        wanted = s3_object(revision.location)
        where = s3_label(revision.location)
        try:
            head = call(self.clients.s3, "head_object", **wanted)
        except RefusedError as error:
            gone = error.code in {"404", "NoSuchKey", "NoSuchVersion", "NotFound", "NoSuchBucket"}
            return f"{where} is no longer in S3." if gone else ""
        return overwritten(revision.location, head, where)

    def marks(self, revision: Revision) -> Marks:
        """The tags of the bundle, where the function's role may read it."""
        if revision.kind != "S3" or not self.settings.check_bundles:
            return Marks()
        try:
            answer = call(self.clients.s3, "get_object_tagging", **s3_object(revision.location))
        except RefusedError as error:
            return unless_denied(error)
        return marks_in([tag.get("Key", "") for tag in answer.get("TagSet", [])])

    def prepare(self, group: GroupFacts, revision: Revision, live: Live) -> Preparation:
        """Nothing: CodeDeploy replays a bundle wherever things stand."""
        return Preparation()

    def do(self, todo: Preparation, revision: Revision) -> str:
        """Nothing is ever asked for."""
        return ""

    def redeployable(self, revision: Revision, live: Live, task_definition: str) -> dict[str, Any]:
        """The location exactly as it was deployed, with its version and ETag."""
        return dict(revision.location)
