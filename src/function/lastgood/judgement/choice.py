"""Which revision goes back, and why the others do not: pure, over a history that is newest first.

The difference between "last successful" and "last good" is the project's central rule.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lastgood.judgement.service import Lives
from lastgood.judgement.theirs import met_the_alarm
from lastgood.judgement.wording import duration, listed
from lastgood.model import (
    SCALE_OUT_CREATORS,
    Candidate,
    Controls,
    Deployment,
    Floor,
    Rejection,
    Revision,
    same_content,
    same_images,
)

MAX_CANDIDATES_RECORDED = 25
MAX_UNPROVEN = 5
"""After this many unproven revisions the search for a proven one ends."""

SERVICE_REVISION = "TaskDefinition"
"""The kind of a revision of a service that ECS itself deploys."""

_ENDS_THE_SEARCH = {Rejection.CONTENT_UNKNOWN, Rejection.UNREADABLE_REVISION, Rejection.OTHER_SETTINGS}


@dataclass(frozen=True, slots=True)
class Selection:
    """The last good deployment, or None; and every deployment that was looked at, with the reason against it.

    `doubt`: why the chosen one is not proven, where no proven one was found. `settled`: reading further back would not
    change the choice.
    """

    good: Deployment | None
    candidates: tuple[Candidate, ...]
    doubt: str = ""
    settled: bool = False

    @property
    def recorded(self) -> tuple[Candidate, ...]:
        """The candidates that the audit item keeps: at most 25, always with the chosen one and the last."""
        most = MAX_CANDIDATES_RECORDED - 1
        chosen = tuple(c for c in self.candidates[most:-1] if c.rejection is None)
        return self.candidates[: most - len(chosen)] + chosen + self.candidates[most:][-1:]

    def rejected_for(self, rejection: Rejection) -> Candidate | None:
        """The newest candidate that was rejected for this reason; None if none was."""
        return next((c for c in self.candidates if c.rejection is rejection), None)


def select(
    history: Sequence[Deployment],
    suspects: Sequence[Deployment],
    *,
    controls: Controls,
    unusable: Mapping[str, str],
    to_deployment_id: str = "",
    force: bool = False,
    examined: Container[str] | None = None,
    lives: Lives | None = None,
    cleared: Container[str] = (),
    native: bool = False,
) -> Selection:
    """Choose the newest deployment before the suspects whose revision is good, and say why no other was chosen.

    `unusable` maps deployment ids to why they cannot be deployed now. `force` lets the deployment that an operator
    named (`to_deployment_id`) pass the floor and the known-bad memory, nothing else. `examined` are the deployments for
    which evidence was looked for (None: all); for the others, unknown content is no objection yet.
    A release that succeeded with unknown content ends the search: what was live from then on cannot be known, so
    nothing older can be trusted. So does a service's definition that the suspect deployed with other settings: an older
    definition would run with those settings too.
    `lives` says which revisions are proven. An unproven one is passed over for an older one that is proven; if there is
    none, the newest quiet one goes back. What an operator asks for needs no proof; without `lives` nothing does.
    `cleared` are deployments that came after the breach had begun: that AWS rolled one back says nothing against it.
    `native`: the deployer may put back by itself what was live before a running deployment, with all its settings.
    """
    override = force and bool(to_deployment_id)
    case = _Case(history, suspects, controls, unusable, to_deployment_id, override, examined, lives, cleared, native)
    return case.newest_good()


@dataclass(frozen=True, slots=True)
class _Case:
    history: Sequence[Deployment]
    suspects: Sequence[Deployment]
    controls: Controls
    unusable: Mapping[str, str]
    to_deployment_id: str
    override: bool
    examined: Container[str] | None
    lives: Lives | None
    cleared: Container[str]
    native: bool

    def newest_good(self) -> Selection:
        """Look at the history, newest first, until a deployment has nothing against it."""
        candidates: list[Candidate] = []
        unproven: list[Deployment] = []
        for deployment in self.history:
            verdict = self.reject(deployment)
            candidates.append(self.candidate(deployment, verdict))
            if verdict is None:
                return Selection(deployment, tuple(candidates), settled=True)
            unproven += [deployment] if verdict[0] is Rejection.UNPROVEN else []
            ends = verdict[0] in _ENDS_THE_SEARCH and not self.to_deployment_id
            if ends or len(unproven) == MAX_UNPROVEN:
                return self.unproven_choice(unproven, candidates, ended=True)
        return self.unproven_choice(unproven, candidates, ended=False)

    def candidate(self, d: Deployment, verdict: tuple[Rejection, str] | None) -> Candidate:
        """The deployment with what was found against it, and what is known of how it served."""
        rejection, why = verdict or (None, "The newest revision before the suspect with nothing against it.")
        life = self.lives.served(d) if self.lives else None
        return Candidate(
            d.deployment_id,
            d.revision.identity,
            d.created_at,
            rejection,
            why,
            served_seconds=round(life.span.total_seconds()) if life else None,
            alarms_meanwhile=life.firings if life else None,
            content_known=d.revision.known,
            content_known_by=d.revision.known_by,
        )

    def unproven_choice(
        self, unproven: Sequence[Deployment], candidates: Sequence[Candidate], *, ended: bool
    ) -> Selection:
        """None is proven: choose the newest during which no alarm fired, or else the newest of all."""
        fired = {c.deployment_id for c in candidates if c.alarms_meanwhile}
        quiet = [d for d in unproven if d.deployment_id not in fired]
        good = next(iter([*quiet, *unproven]), None)
        if good is None:
            return Selection(None, tuple(candidates))
        doubt = next(c.explanation for c in candidates if c.deployment_id == good.deployment_id)
        chosen = f"Not proven, but no older revision is. {doubt}"
        marked = (
            replace(c, rejection=None, explanation=chosen) if c.deployment_id == good.deployment_id else c
            for c in candidates
        )
        return Selection(good, tuple(marked), doubt, settled=ended)

    def reject(self, deployment: Deployment) -> tuple[Rejection, str] | None:
        """Why this deployment is not chosen; None if nothing is against it.

        The checks go from its age and kind over its content to how it served.
        """
        return (
            self._by_place(deployment)
            or self._by_kind(deployment)
            or self._by_revision(deployment)
            or self._by_proof(deployment)
        )

    def _by_proof(self, d: Deployment) -> tuple[Rejection, str] | None:
        doubt = self.lives.doubt(d) if self.lives and not self.to_deployment_id else ""
        return (Rejection.UNPROVEN, doubt) if doubt else None

    def _by_place(self, d: Deployment) -> tuple[Rejection, str] | None:
        if any(d.deployment_id == s.deployment_id for s in self.suspects):
            return Rejection.SUSPECT, "The alarm blames it."
        if self.suspects and d.created_at >= self.suspects[-1].created_at:
            return Rejection.NOT_BEFORE_SUSPECT, f"It is not older than the suspect {self.suspects[-1].deployment_id}."
        if self.to_deployment_id and d.deployment_id != self.to_deployment_id:
            return Rejection.NOT_REQUESTED, f"{self.to_deployment_id} was asked for."
        wanted = next((s.revision.target for s in self.suspects if s.revision.target), "")
        if wanted and d.revision.target and d.revision.target != wanted:
            return Rejection.OTHER_TARGET, f"It deployed {d.revision.target}; the suspect deployed {wanted}."
        return None

    def _by_kind(self, d: Deployment) -> tuple[Rejection, str] | None:
        if d.status != "Succeeded":
            return Rejection.NOT_SUCCEEDED, f"It is {d.status}."
        if d.restart:
            return Rejection.RESTART, "It restarted what was live and released nothing."
        if d.creator in SCALE_OUT_CREATORS:
            return Rejection.SCALE_OUT, f"{d.creator} created it for new instances; it released nothing."
        if d.outdated_instances_only:
            return Rejection.OUTDATED_INSTANCES_ONLY, "It only updated outdated instances."
        return None

    def _by_revision(self, d: Deployment) -> tuple[Rejection, str] | None:
        identity = d.revision.identity
        if not identity:
            why = f": {d.revision.unreadable}" if d.revision.unreadable else ""
            return Rejection.UNREADABLE_REVISION, f"What it deployed could not be read{why}."
        same = next((s for s in self.suspects if same_content(d.revision, s.revision)), None)
        if same and same.revision.identity == identity:
            return Rejection.SAME_REVISION, "It deployed the same revision as the suspect."
        if same:
            return Rejection.SAME_CONTENT, f"It contains the same as the suspect, {same.revision.name}."
        floor = effective_floor(self.history, self.controls)
        if floor and d.created_at < floor.created_at and not self.override:
            return (
                Rejection.BELOW_FLOOR,
                f"It is older than the floor {floor.deployment_id}: a database change since then cannot go back.",
            )
        if d.revision.moves and (self.examined is None or d.deployment_id in self.examined):
            return Rejection.CONTENT_UNKNOWN, f"{self.unusable.get(d.deployment_id, '')} {d.revision.moves}.".strip()
        return self._by_containers(d) or self._by_memory(d, identity)

    def _by_containers(self, d: Deployment) -> tuple[Rejection, str] | None:
        """Against a definition that differs from a suspect's in nothing that this rollback could put back."""
        alike = (self._by_images(s, d.revision) for s in self.suspects if _one_definition(s.revision, d.revision))
        return next(filter(None, alike), None)

    def _by_images(self, suspect: Deployment, mine: Revision) -> tuple[Rejection, str] | None:
        theirs = suspect.revision
        if same_content(theirs, mine) is None:
            moving = listed([i.reference for i in mine.images or theirs.images if not i.pinned])
            return (
                Rejection.CONTENT_UNKNOWN,
                f"{mine.name} names {moving}, as the suspect does: going back to it would start the image "
                "that the name means now. Release with a tag of its own, or by digest.",
            )
        service = theirs.kind == mine.kind == SERVICE_REVISION
        put_back_whole = suspect.active and self.native and not self.to_deployment_id
        if service and not put_back_whole and same_images(theirs.images, mine.images):
            return (
                Rejection.OTHER_SETTINGS,
                "It differs from the suspect in the service's own settings alone (network, capacity, load "
                "balancers, Service Connect, volumes), which are not put back by a redeployment: put them back by "
                "hand.",
            )
        return None

    def _by_memory(self, d: Deployment, identity: str) -> tuple[Rejection, str] | None:
        bad = self.controls.known_bad_as(d.revision)
        if bad and not self.override and not (self.lives and self.lives.healed(d)):
            name = "" if bad == identity else f" as {bad}, which contains the same"
            return Rejection.KNOWN_BAD, f"Known bad{name}: {self.controls.known_bad[bad]}.{self._since_known_bad(d)}"
        undone = self._undone_later(d)
        if undone and identity not in self.controls.marked_good and not self.override:
            return (
                Rejection.ROLLED_BACK_BY_CODEDEPLOY,
                f"AWS itself rolled the same revision back later ({undone.deployment_id}).",
            )
        if d.deployment_id in self.unusable:
            return Rejection.NOT_DEPLOYABLE, self.unusable[d.deployment_id]
        return None

    def _since_known_bad(self, d: Deployment) -> str:
        life = self.lives.since_known_bad(d) if self.lives else None
        if life is None or self.lives is None:
            return ""
        quiet = duration(life.quiet) + (" quietly" if life.firings is not None else ", whether quietly is not known")
        return (
            f" Released again since, it served {quiet}; it counts as good again after "
            f"{duration(self.lives.heals_after)}."
        )

    def _undone_later(self, d: Deployment) -> Deployment | None:
        return next(
            (
                other
                for other in self.history
                if other.rollback_deployment_id
                and other.deployment_id not in self.cleared
                and not (met_the_alarm(other) or other.reached_nobody)
                and same_content(other.revision, d.revision)
                and other.created_at > d.created_at
            ),
            None,
        )


def _one_definition(one: Revision, other: Revision) -> bool:
    """Whether containers run by the same definition, under one name or under two."""
    same = one.identity == other.identity or (bool(one.digest) and one.digest == other.digest)
    return same and bool(one.images or other.images)


def effective_floor(history: Iterable[Deployment], controls: Controls) -> Floor | None:
    """The newest floor, set by an operator or by a release's own marker; None where there is none."""
    floors = [controls.floor] if controls.floor else []
    floors += [
        Floor(d.deployment_id, d.created_at, floor_source(d))
        for d in history
        if d.floor and not d.is_rollback and d.deployment_id not in controls.cleared_floors
    ]
    return max(floors, key=lambda floor: floor.created_at, default=None)


def floor_source(deployment: Deployment) -> str:
    """What makes a release a floor, where no operator did."""
    where = "a mark on the revision" if deployment.floor_on_revision else "the description"
    return f"{where} of {deployment.deployment_id}"


def digests_wanted(good: Revision, suspects: Iterable[Deployment]) -> tuple[str, ...]:
    """What the good revision's containers have to run, as `container=digest`.

    The digest is empty where it is unknown and the name does not settle it: a tag that moves, or that a suspect names
    too. Containers whose name settles it are left out.
    """
    theirs = {image.reference for suspect in suspects for image in suspect.revision.images}
    doubtful = (i for i in good.images if i.digest or i.moves or (i.reference in theirs and not i.pinned))
    return tuple(f"{image.container}={image.digest}" for image in doubtful)


def good_note(good: Deployment, suspects: Iterable[Deployment]) -> str:
    """A warning for people if the good revision's containers run, or may run, a suspect's images; else empty."""
    return next(filter(None, (_shared_with(suspect, good) for suspect in suspects)), "")


def _shared_with(suspect: Deployment, good: Deployment) -> str:
    mine, theirs = good.revision.images, {i.container: i for i in suspect.revision.images}
    pairs = [(image, theirs[image.container]) for image in mine if image.container in theirs]
    alike = (a.reference == b.reference or same_images([a], [b]) for a, b in pairs)
    differs = any(same_images([a], [b]) is False for a, b in pairs)
    if len(pairs) == len(mine) > 0 and all(alike) and not differs:
        return f"{good.revision.name} runs the suspect's own images: if the code is the cause, this heals nothing."
    named_by_both = [(a, same_images([a], [b])) for a, b in pairs if a.reference == b.reference]
    if doubtful := [image.reference for image, same in named_by_both if same is None]:
        return f"{listed(doubtful)} is named by both: it starts whatever image that means now."
    if moved := [image.reference for image, _ in named_by_both if image.moves]:
        return (
            f"{listed(moved)} still names the image of {suspect.deployment_id}: what is deployed by that name "
            "before a fixed image is pushed brings it back."
        )
    return ""
