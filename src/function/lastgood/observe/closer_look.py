"""A closer look at single deployments: what each contained, from AWS, or from the notebook where AWS forgot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from lastgood.deployers.protocol import Deployer
from lastgood.ledger import Ledger
from lastgood.model import Deployment, DeploymentGroup, Evidence, Note


@dataclass(frozen=True)
class CloserLook:
    """Looks at deployments of one group."""

    group: DeploymentGroup
    deployer: Deployer
    ledger: Ledger
    pool: ThreadPoolExecutor

    def at(
        self, asked: Sequence[Deployment], among: Iterable[Deployment] = (), *, noted: bool = False
    ) -> dict[str, Evidence]:
        """The evidence for each, by its id; `among` are deployments that were looked at before.

        The notebook is read only where AWS does not say what a deployment contained, or with `noted`.
        """
        read = list(self.pool.map(self.deployer.evidence, asked))
        seen = [replace(d, revision=evidence.revision) for d, evidence in zip(asked, read, strict=True)]
        unsettled = seen if noted else _unsettled(seen, among)
        notes = {note.deployment_id: note for note in self.ledger.notebook.read(self.group)} if unsettled else {}
        added = self.pool.map(lambda d: self._noted(d, notes.get(d.deployment_id)), unsettled)
        more = {d.deployment_id: evidence for d, evidence in zip(unsettled, added, strict=True)}
        return {d.deployment_id: _with(e, more.get(d.deployment_id)) for d, e in zip(asked, read, strict=True)}

    def by_the_notebook(self, deployment: Deployment) -> Evidence:
        """One deployment with what the notebook adds to it."""
        notes = self.ledger.notebook.read(self.group)
        return self._noted(deployment, next((n for n in notes if n.deployment_id == deployment.deployment_id), None))

    def _noted(self, deployment: Deployment, note: Note | None) -> Evidence:
        trusted = note is not None and note.is_of(deployment)
        return self.deployer.noted(deployment, note) if note and trusted else Evidence(deployment.revision)


def _with(evidence: Evidence, noted: Evidence | None) -> Evidence:
    if noted is None:
        return evidence
    return replace(evidence, revision=noted.revision, problem=evidence.problem or noted.problem)


def _unsettled(deployments: Sequence[Deployment], among: Iterable[Deployment]) -> list[Deployment]:
    """Those whose content is not certain: their name moves, or an image's tag moves or is named by two of them."""
    named: dict[str, set[str]] = {}
    for d in (*deployments, *among):
        for image in d.revision.images:
            named.setdefault(image.reference, set()).add(d.revision.identity)
    return [
        d
        for d in deployments
        if d.revision.moves or any(not i.digest and (i.moves or len(named[i.reference]) > 1) for i in d.revision.images)
    ]
