"""Which groups one release changed: a stack, a run of a pipeline or a commit joins them. Reads only.

It is asked only where so many groups are in alarm that, counted one by one, they would be a storm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lastgood.deployers.protocol import Deployer, DeployerFor
from lastgood.errors import LastgoodError
from lastgood.ledger import Ledger
from lastgood.model import (
    Deployment,
    DeploymentGroup,
    GroupFacts,
    ReleaseSet,
    Rollback,
    parse_key,
)
from lastgood.pipelines.adapter import Pipelines
from lastgood.pipelines.runs import Run, run_of
from lastgood.settings import Settings
from lastgood.stacks import Stacks

AT_A_TIME = 8
MOST_READ = 40
"""At most this many groups are asked for their last commit: a storm of more is rarely one release."""


@dataclass(frozen=True)
class ReleaseSets:
    """Finds what else was released together with a group's release. What is unknown joins nothing."""

    ledger: Ledger
    deployer_for: DeployerFor
    stacks: Stacks
    pipelines: Pipelines
    settings: Settings

    def of(self, key: str, asking: Rollback) -> ReleaseSet | None:
        """What the last release to another group changed."""
        group = parse_key(key)
        last = self._last(group)
        if last is None:
            return None
        facts, newest = last
        probe = Rollback.opened(asking.rollback_id, group, asking.trigger, asking.opened_at)
        try:
            origin = self.stacks.origin(probe, facts, newest)
        except LastgoodError:
            origin = None
        if origin and origin.stack and not origin.bypassed:
            return ReleaseSet(origin.groups | {key}, f"the stack {origin.stack}")
        return self.by_run(group, newest)

    def by_commit(self, commit: str, own: str, others: Collection[str]) -> ReleaseSet | None:
        """The group itself and the others whose last release has the same commit."""
        asked = sorted(others)[:MOST_READ]
        # Not in the function's own pool: an adapter may use that pool itself, and the two could wait for each other.
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            read = list(pool.map(lambda key: self._last(parse_key(key)), asked))
        same = [key for key, last in zip(asked, read, strict=True) if last and last[1].revision.commit == commit]
        return ReleaseSet(frozenset({own, *same}), f"the commit {commit}") if same else None

    def _last(self, group: DeploymentGroup) -> tuple[GroupFacts, Deployment] | None:
        deployer = self.deployer_for(group, None)
        try:
            facts = deployer.facts()
            newest = deployer.newest(facts) if facts else None
            released = self._undone_by(deployer, newest) if newest else None
        except LastgoodError:
            return None
        return (facts, released) if facts and released else None

    def _undone_by(self, deployer: Deployer, newest: Deployment) -> Deployment | None:
        """The release that the newest deployment undid, if it is a rollback: other groups may have been quicker."""
        record = self.ledger.load(newest.made_by) if newest.made_by else None
        undone = newest.rolls_back_deployment_id or (record.choice.suspect_deployment_id if record else "")
        return deployer.deployment(undone) if undone else newest

    def by_run(self, group: DeploymentGroup, deployment: Deployment) -> ReleaseSet | None:
        """What the run that made a deployment released to; None where no run is known."""
        named = self.run_that_made(group, deployment)
        if named is None:
            return None
        pipeline, run = named
        return ReleaseSet(
            frozenset({group.key, *(key for key, _ in run.deployed)}),
            run_of(pipeline, run.execution_id),
            {key: made for key, made in run.deployed if made},
        )

    def run_that_made(self, group: DeploymentGroup, deployment: Deployment) -> tuple[str, Run] | None:
        """The pipeline that made a deployment, and its run; None where neither is known."""
        try:
            return next(self._run(group, deployment), None)
        except LastgoodError:
            return None

    def _run(self, group: DeploymentGroup, deployment: Deployment) -> Iterator[tuple[str, Run]]:
        if group.can().deployments_are_runs:
            yield group.application, self.pipelines.run(group.application, deployment.deployment_id)
            return
        for rule in self.settings.pipelines_of(group):
            made = self.pipelines.made(rule.pipeline, [deployment.deployment_id])
            yield from ((rule.pipeline, run) for run in made.values())
