"""What every deployer promises, whatever it deploys with: one set of tests over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from builders import rollback
from lastgood.clients import Clients
from lastgood.deployers import Deployer, DeployerFor, deployers
from lastgood.errors import AmbiguousError, GroupBusyError, RetryableError
from lastgood.model import Controller, Deployment, DeploymentGroup, GroupFacts, Rollback
from lastgood.settings import Settings
from scene import Scene, scene, service_scene, stage_scene


@dataclass(frozen=True)
class Kind:
    """One deployer on one platform: its scene, and what its writing and its first reading call are named."""

    controller: Controller
    made: Callable[[], AbstractContextManager[Scene]]
    creates: str = "CreateDeployment"
    reads: str = "GetDeploymentGroup"


KINDS = {
    "Server": Kind(Controller.CODE_DEPLOY, lambda: scene("Server")),
    "Lambda": Kind(Controller.CODE_DEPLOY, lambda: scene("Lambda", versions=4)),
    "ECS": Kind(Controller.CODE_DEPLOY, lambda: scene("ECS", task_definitions=4)),
    "service": Kind(Controller.ECS, lambda: service_scene(task_definitions=4), "UpdateService", "DescribeServices"),
    "stage": Kind(Controller.PIPELINE, stage_scene, "RollbackStage", "GetPipelineState"),
}
UNKNOWN = "00000000-0000-0000-0000-000000000000"
MANY = 50
"""More calls than a client makes before it gives up."""


@dataclass
class Place:
    """A place where 2 and 3 were released well and 4 is live; `ids` are those deployments'."""

    kind: Kind
    it: Scene
    find: DeployerFor
    ids: list[str]

    @property
    def group(self) -> DeploymentGroup:
        return DeploymentGroup(self.it.application, self.it.group, self.kind.controller)

    @property
    def deployer(self) -> Deployer:
        """A fresh one, as each look has it."""
        return self.find(self.group, None)

    def read(self) -> tuple[Deployer, GroupFacts, dict[str, Deployment]]:
        """A deployer with what it read: the facts, and every deployment by its id, newest first."""
        deployer = self.deployer
        facts, parts = deployer.survey(self.it.now() - timedelta(days=30), self.it.now())
        assert facts is not None
        return deployer, facts, {d.deployment_id: d for part in parts for d in part}

    def record(self, good: Deployment) -> Rollback:
        """The record of a rollback from 4 to `good`, about to create."""
        return rollback(
            application=self.it.application,
            deployment_group=self.it.group,
            controller=self.kind.controller,
            suspect_deployment_id=self.ids[-1],
            good_deployment_id=good.deployment_id,
            good_revision=good.revision.identity,
            create_attempted_at=self.it.now(),
        )

    def put_back(self) -> tuple[str, Rollback]:
        """Put 3 back, as the story does. Returns the id and the record."""
        deployer, facts, found = self.read()
        good = found[self.ids[1]]
        record = self.record(replace(good, revision=deployer.evidence(good).revision))
        live = deployer.live(facts, good.revision)
        return deployer.create(record, facts, good, live, found[self.ids[-1]]), record


@contextmanager
def _place(kind: Kind, *, settled: bool = True) -> Iterator[Place]:
    with kind.made() as it, ThreadPoolExecutor(4) as pool:
        ids = it.good_history(2, 3)
        ids.append(it.release(4, settle=settled, rest=600))
        if not settled:
            it.sim.advance(5)
        settings = Settings.from_env(it.local.environment | {"LASTGOOD_TABLE": "audit"})
        yield Place(kind, it, deployers(Clients.make(), settings, pool), ids)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with _place(KINDS[request.param]) as made:
        yield made


def _name(deployment: Deployment) -> str:
    """What it deployed, without the bytes that a closer look finds under a bundle's name."""
    return deployment.revision.identity.partition("?")[0]


# --- reading ----------------------------------------------------------------------------------------------------------


def test_what_does_not_exist_has_no_facts_and_no_deployments(place: Place) -> None:
    nowhere = place.find(replace(place.group, application="nobody"), None)
    assert nowhere.facts() is None
    facts, parts = nowhere.survey(place.it.now(), place.it.now())
    assert (facts, [d for part in parts for d in part]) == (None, [])


def test_the_history_comes_newest_first_and_one_by_one_it_is_the_same(place: Place) -> None:
    deployer, facts, found = place.read()
    known = [name for name in found if name in place.ids]
    assert known == [*reversed(place.ids)][: len(known)]
    assert place.ids[-1] in known and place.ids[1] in known
    assert facts.last_attempted_id == facts.last_successful_id == place.ids[-1]
    pattern = place.group.can().deployment_ids
    for name in known:
        alone = place.deployer.deployment(name)
        assert alone is not None and pattern is not None and pattern.fullmatch(name)
        listed = found[name]
        assert (alone.status, alone.created_at, _name(alone)) == (listed.status, listed.created_at, _name(listed))
        assert alone.status == "Succeeded" and not alone.active and alone.completed_at
    newest = deployer.newest(facts)
    assert newest and newest.deployment_id == place.ids[-1]


def test_what_was_never_deployed_there_is_no_deployment(place: Place) -> None:
    unknown = "d-NOBODY123" if place.kind.controller is Controller.CODE_DEPLOY else UNKNOWN
    assert place.deployer.deployment(unknown) is None


def test_what_can_go_back_has_no_problem_and_what_is_live_is_the_newest(place: Place) -> None:
    deployer, facts, found = place.read()
    good, newest = found[place.ids[1]], found[place.ids[-1]]
    evidence = deployer.evidence(good)
    assert (evidence.problem, evidence.revision.identity.partition("?")[0]) == ("", _name(good))
    live = deployer.live(facts, good.revision)
    assert (live.split, live.identity.partition("?")[0]) == (False, _name(newest))
    assert deployer.prepare(facts, evidence.revision, live) == ()


def test_a_read_that_gets_no_answer_may_be_tried_again(place: Place) -> None:
    place.it.sim.throttle(place.kind.reads, MANY)
    with pytest.raises(RetryableError):
        place.deployer.facts()


# --- writing ----------------------------------------------------------------------------------------------------------


def test_what_is_put_back_serves_and_is_found_by_its_record_and_by_no_other(place: Place) -> None:
    _, _, found = place.read()
    good = found[place.ids[1]]
    assert place.deployer.created_by(place.record(good), place.it.now()) is None, "nothing was created yet"
    made, record = place.put_back()
    ours = place.deployer.created_by(record, place.it.now())
    assert ours is not None and ours.deployment_id == made
    assert _name(ours) == _name(good)
    place.it.sim.advance(60)
    place.it.sim.settle()
    assert place.it.is_live(3)
    ended = place.deployer.deployment(made)
    assert ended is not None and ended.status == "Succeeded"
    elsewhere = place.record(found[place.ids[0]]).changed(rollback_id="rb-another")
    assert place.deployer.created_by(elsewhere, place.it.now()) is None, "it goes back to another one"


def test_a_lost_answer_is_ambiguous_and_what_was_created_is_found(place: Place) -> None:
    _, _, found = place.read()
    record = place.record(found[place.ids[1]])
    place.it.sim.effect_then_timeout(place.kind.creates)
    with pytest.raises(AmbiguousError):
        place.put_back()
    assert len(place.it.calls(place.kind.creates)) == 1, "it is sent once and no more"
    assert place.deployer.created_by(record, place.it.now()) is not None


def test_a_throttled_creation_has_no_effect_and_may_be_tried_again(place: Place) -> None:
    _, _, found = place.read()
    place.it.sim.throttle(place.kind.creates)
    with pytest.raises(RetryableError) as caught:
        place.put_back()
    assert not isinstance(caught.value, AmbiguousError)
    assert place.deployer.created_by(place.record(found[place.ids[1]]), place.it.now()) is None
    place.put_back()
    place.it.sim.settle()
    assert place.it.is_live(3)


def test_what_has_ended_is_not_stopped(place: Place) -> None:
    deployer, _, found = place.read()
    assert deployer.stop(found[place.ids[-1]], native=True) == "AlreadyCompleted"
    assert place.it.is_live(4)


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_put_back_beside_what_still_runs_unless_it_replaces_that(name: str) -> None:
    with _place(KINDS[name], settled=False) as place:
        if name == "stage":
            place.it.pipeline.on_success = {"alarm": "shop", "minutes": 20}  # type: ignore[attr-defined]
            place.it.sim.advance(120)
        deployer, facts, found = place.read()
        running, can = found[place.ids[-1]], place.group.can(facts.compute_platform)
        assert running.active and facts.last_attempted_id == running.deployment_id
        if can.replaces_running:
            place.put_back()
        else:
            with pytest.raises(GroupBusyError):
                place.put_back()
        if not can.stop_restores_previous:
            assert deployer.stop(running, native=False) in {"Pending", "Succeeded", "Accepted"}
        place.it.sim.advance(3600)
        place.it.sim.settle()
        ended = place.deployer.deployment(running.deployment_id)
        assert ended is not None and not ended.active and ended.status != "Succeeded"
