"""Deployments and revisions, as the deployers read them from AWS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

TERMINAL_STATUSES = frozenset({"Succeeded", "Failed", "Stopped"})
# CodeDeploy starts these by itself; they bring the revision that is live to more instances and release nothing.
SCALE_OUT_CREATORS = frozenset({"autoscaling", "autoscalingTermination", "CodeDeployAutoUpdate"})
CLOUDFORMATION_ROLLBACK_CREATOR = "CloudFormationRollback"
CLOUDFORMATION_CREATORS = frozenset({"CloudFormation", CLOUDFORMATION_ROLLBACK_CREATOR})
NATIVE_ROLLBACK_CREATOR = "codeDeployRollback"
FLOOR_MARKER = "lastgood:floor"
APPROVAL_MARKER = "lastgood:needs-approval"
BEFORE = "/before"
"""The end of a made-up deployment's id: the one that stands in for what was live before the first deployment."""


@dataclass(frozen=True, slots=True)
class Image:
    """The image of a container: the reference in the task definition, and the digest that ran, where that is known.

    A tag with a digit is taken for the name of one release. One without (`latest`, `main`, no tag at all) is expected
    to be moved to other images. `deployed_at` is when the deployment that ran it had ended, where that was looked at.
    """

    container: str
    reference: str
    digest: str = ""
    deployed_at: datetime | None = field(default=None, compare=False)

    @property
    def pinned(self) -> bool:
        """Whether the definition itself names the digest."""
        return "@" in self.reference

    @property
    def moves(self) -> bool:
        """Whether the reference is expected to be the same for every release."""
        tag = self.reference.rpartition("/")[2].partition(":")[2]
        return not self.pinned and not any(letter.isdigit() for letter in tag)


@dataclass(frozen=True, slots=True)
class Revision:
    """What a deployment deploys.

    `identity` names it: an S3 object's version, a commit, a Lambda version, a task definition ARN; empty while the
    AppSpec could not be read, and `unreadable` says why. `moves`: why the content is unknown, as a sentence for people,
    where the same name can be given to other content, such as a key without a version.
    `digest` is what AWS recorded of the content, where it was read: equal content under two names is one revision.
    `other_parts` are the settings of an AppSpec, or of a service, that are deployed with it. `images` are what its
    containers ran; empty where that was not read. `target` is what is deployed to, where one group deploys to several:
    `function:alias`. `noted`: its content is known from the notebook of releases alone. `rewritten`: the deployer
    recorded it under a name that holds other content by now, which the deployer's own rollback would fetch. `draws`:
    its containers read secrets or files when they start, so deployed again it may bring other settings.
    `deployed_again_as`: the identity that its redeployment will have, where that is another.
    """

    kind: str
    identity: str
    label: str = ""
    commit: str = ""
    location: Mapping[str, object] = field(default_factory=dict, compare=False)
    moves: str = ""
    digest: str = ""
    other_parts: str = ""
    target: str = ""
    unreadable: str = ""
    images: tuple[Image, ...] = ()
    noted: bool = False
    rewritten: bool = False
    draws: bool = False
    deployed_again_as: str = ""

    @property
    def known(self) -> bool:
        """Whether its content is certain."""
        return bool(self.digest or (self.identity and not self.moves))

    @property
    def known_by(self) -> str:
        """How its content is known, in words for people; `nothing` where it is unknown."""
        if not self.known:
            return "nothing"
        if self.noted:
            return "the notebook of releases"
        if self.images:
            return _known_by(self.images)
        if self.kind == "S3":
            return "its version" if "?versionId=" in self.identity else "its ETag"
        if self.identity.startswith("lambda:"):
            return "the digest of its code" if self.digest else "its version"
        names = {"GitHub": "its commit", "SourceRevisions": "its source revisions"}
        return names.get(self.kind, "its task definition")

    @property
    def name(self) -> str:
        """What people call it."""
        return self.label or self.identity or "an unreadable revision"


def _known_by(images: Sequence[Image]) -> str:
    if all(image.pinned or image.digest for image in images):
        return "the digests of its images"
    moving = next((image.reference for image in images if image.moves and not image.digest), "")
    return f"its name alone: {moving} moves" if moving else "the tags of its images"


def same_content(one: Revision, other: Revision) -> bool | None:
    """Whether two revisions have the same content; None where that cannot be known."""
    if one.digest and other.digest:
        alike = one.digest == other.digest
    elif not (one.known and other.known) or one.moves or other.moves:
        return None
    else:
        alike = one.identity == other.identity
    return alike and one.other_parts == other.other_parts and same_images(one.images, other.images)


def same_images(some: Sequence[Image], others: Sequence[Image]) -> bool | None:
    """Whether containers run the same images; None where that cannot be known.

    A container that only one side names counts as equal if its reference cannot move. A digest recorded on one side is
    only compared with a digest on the other.
    """
    mine, theirs = {i.container: i for i in some}, {i.container: i for i in others}
    same = [_same_image(mine.get(name), theirs.get(name)) for name in mine.keys() | theirs.keys()]
    if False in same:
        return False
    return None if None in same else True


def _same_image(one: Image | None, other: Image | None) -> bool | None:
    if one is None or other is None:
        alone = one or other
        return True if alone is None or alone.pinned or not (alone.moves or alone.digest) else None
    if one.digest and other.digest:
        return one.digest == other.digest
    if one.digest or other.digest:
        return None
    return (None if one.moves else True) if one.reference == other.reference else False


@dataclass(frozen=True, slots=True)
class Gate:
    """Where a deployment waits for a go-ahead: at a lifecycle hook of ECS, or in status Ready at CodeDeploy.

    If none comes, AWS takes `otherwise` (ROLLBACK, CONTINUE or empty) at `expires_at`, where it says when that is.
    `command` is the command line that lets the deployment go on.
    """

    command: str
    hook_id: str = ""
    expires_at: datetime | None = None
    otherwise: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a deployment came: `at` is when it began to serve users; None: it has not reached any (yet)."""

    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment, as its deployer describes it.

    `made_by` is the id of our rollback that created it, if one did; `held_by` that of the stack whose template holds
    what it moved, where CloudFormation said so. `floor_on_revision`: it is a floor by a tag or the description of its
    revision, not by its own description. `gate`: the go-ahead that it waits for now, if any; `waits_for`: anything else
    that only people can give it, as a clause.
    `options`: CodeDeploy's options that were set for this deployment alone, in AWS's spelling.
    `reach` is None where that was not asked or cannot be known: then it may have served users since it was created.
    """

    deployment_id: str
    status: str
    created_at: datetime
    revision: Revision
    completed_at: datetime | None = None
    creator: str = "user"
    made_by: str = ""
    external_id: str = ""
    held_by: str = ""
    rollback_deployment_id: str = ""
    rolls_back_deployment_id: str = ""
    error_code: str = ""
    error_message: str = ""
    waits_for: str = ""
    restart: bool = False
    outdated_instances_only: bool = False
    instances_failed: int = 0
    instances_skipped: int = 0
    floor: bool = False
    floor_on_revision: bool = False
    needs_approval: bool = False
    gate: Gate | None = None
    options: Mapping[str, object] = field(default_factory=dict, compare=False)
    reach: Reach | None = None

    @property
    def active(self) -> bool:
        """It occupies the group. An unknown status counts as active, never as a success."""
        return self.status not in TERMINAL_STATUSES

    @property
    def ended_badly(self) -> bool:
        """Failed or stopped."""
        return self.status in {"Failed", "Stopped"}

    @property
    def failed_alone(self) -> bool:
        """It failed or was stopped, and AWS rolled nothing back."""
        return self.ended_badly and not self.rollback_deployment_id

    @property
    def reached_nobody(self) -> bool:
        """It failed or was stopped before it served any user, so it changed nothing."""
        return self.ended_badly and self.reach is not None and self.reach.at is None

    @property
    def stack(self) -> str:
        """The stack that holds what it moved, or that made it, as far as the deployment says.

        A function of SAM's may be deployed by a `user`.
        """
        return self.held_by or self.made_by_stack

    @property
    def made_by_stack(self) -> str:
        """The stack that made it, where the deployment itself says so: CodeDeploy's hook for ECS does."""
        if self.creator in CLOUDFORMATION_CREATORS:
            return self.external_id or "the stack that made it"
        return self.external_id if ":cloudformation:" in self.external_id else ""

    @property
    def is_rollback(self) -> bool:
        """CodeDeploy's own rollback, or one of ours."""
        return self.creator == NATIVE_ROLLBACK_CREATOR or bool(self.made_by)

    @property
    def is_release(self) -> bool:
        """Somebody meant to change what is live."""
        released_nothing = self.restart or self.outdated_instances_only or self.deployment_id.endswith(BEFORE)
        return not (self.is_rollback or self.creator in SCALE_OUT_CREATORS or released_nothing)


@dataclass(frozen=True, slots=True)
class Marks:
    """What a revision says about itself in its tags or its description, wherever its platform keeps them."""

    floor: bool = False
    needs_approval: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a closer look at one deployment's revision showed.

    `revision` is pinned to what the deployment contained, where that can be proven. `problem`: why it cannot be
    deployed any more; empty if it can.
    """

    revision: Revision
    problem: str = ""
    marks: Marks = Marks()


@dataclass(frozen=True, slots=True)
class Live:
    """What is live now. `identity` is empty where it cannot be read; `split`: a second revision may have traffic.

    Where the platform can say: `deployment_id` is the deployment that made it live, `images` are what its containers
    run, and `other_parts` are its network and its capacity as an AppSpec writes them.
    """

    identity: str = ""
    split: bool = False
    deployment_id: str = ""
    images: tuple[Image, ...] = ()
    other_parts: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Gone:
    """The good revision can never be deployed again, whatever is done before. `why`: a sentence for people."""

    why: str


@dataclass(frozen=True, slots=True)
class Occupied:
    """Something has to end before the good revision can go back. `why`: a sentence for people."""

    why: str


@dataclass(frozen=True, slots=True)
class SplitAlias:
    """The alias sends traffic to two versions; until it is cleared, every deployment to it fails."""


@dataclass(frozen=True, slots=True)
class Unregistered:
    """A task definition has to be registered again: it is INACTIVE, or its tags mean something else by now.

    `pins`: the images that the tags stood for; the definition is registered with these digests instead.
    """

    task_definition: str
    pins: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What of the old AppSpec does not go back with it. `told`: a sentence for people; nothing has to be done."""

    told: str


type Chore = SplitAlias | Unregistered
"""What is done in AWS before the last good revision can be deployed again."""

type Preparation = Gone | Occupied | Chore | LeftOut
"""What has to be done before the last good revision is redeployed, or is in its way, as AWS shows it now."""
