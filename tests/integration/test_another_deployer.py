"""A deployer that lastgood does not know is added by one adapter, one event reader, one row and one factory line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import Any

import pytest

from lastgood import deployers, links
from lastgood.deployers.protocol import never_asked
from lastgood.errors import RetryableError
from lastgood.model import (
    CAPABILITIES,
    Capabilities,
    Chore,
    ComputePlatform,
    Controller,
    Deployment,
    DeploymentGroup,
    Evidence,
    GroupFacts,
    Live,
    Note,
    Preparation,
    Revision,
    Rollback,
    parse_place,
)
from lastgood.setting_rules import parse_pipelines
from lastgood.signals import DeploymentSignal, eventbridge
from scene import ALARM, Scene, world
from simulated_aws import Simulator
from stage.local import Local

TAKES = timedelta(minutes=5)


# --- the world: a depot that puts boxes on shelves, and knows nothing of lastgood -------------------------------------


@dataclass
class Depot:
    """One shelf. A box takes five minutes; until then, as when it is stopped, the box before it is on the shelf."""

    clock: Any
    boxes: list[Deployment] = field(default_factory=list)

    def put(self, content: str, note: str = "") -> Deployment:
        """Begin to put a box on the shelf."""
        revision = Revision("Box", content)
        made = Deployment(f"box-{len(self.boxes) + 1}", "InProgress", self.clock.now(), revision, made_by=note)
        self.boxes.append(made)
        return made

    def told(self) -> list[Deployment]:
        """Every box as it is now, oldest first."""
        now = self.clock.now()
        done = {b.deployment_id for b in self.boxes if b.status == "InProgress" and now - b.created_at >= TAKES}
        self.boxes = [
            replace(b, status="Succeeded", completed_at=b.created_at + TAKES) if b.deployment_id in done else b
            for b in self.boxes
        ]
        return self.boxes

    def stop(self, deployment_id: str) -> None:
        """Take a box back that is not there yet."""
        self.boxes = [
            replace(b, status="Stopped", completed_at=self.clock.now()) if b.deployment_id == deployment_id else b
            for b in self.told()
        ]

    @property
    def on_the_shelf(self) -> str:
        """What serves."""
        return next((b.revision.identity for b in reversed(self.told()) if b.status == "Succeeded"), "")


# --- the adapter ------------------------------------------------------------------------------------------------------


class DepotShelf:
    """One shelf, as every deployer is seen and moved."""

    def __init__(self, depot: Depot) -> None:
        self._depot = depot

    def facts(self) -> GroupFacts | None:
        """The shelf as it is."""
        boxes = self._depot.told()
        done = [b.deployment_id for b in boxes if b.status == "Succeeded"]
        last = boxes[-1]
        return GroupFacts(ComputePlatform.SERVER, last.deployment_id, last.status, done[-1] if done else "")

    def survey(self, since: datetime, now: datetime) -> tuple[GroupFacts | None, Iterator[tuple[Deployment, ...]]]:
        """The shelf, and all its boxes, newest first."""
        return self.facts(), iter([tuple(reversed(self._depot.told()))])

    def deployment(self, deployment_id: str) -> Deployment | None:
        """One box."""
        return next((b for b in self._depot.told() if b.deployment_id == deployment_id), None)

    def newest(self, facts: GroupFacts) -> Deployment | None:
        """The box that came last."""
        return self.deployment(facts.last_attempted_id)

    def created_by(self, rollback: Rollback, now: datetime) -> Deployment | None:
        """The box that a rollback put there."""
        return next((b for b in self._depot.told() if b.made_by == rollback.rollback_id), None)

    def live(self, facts: GroupFacts, revision: Revision) -> Live:
        """What is on the shelf."""
        return Live(self._depot.on_the_shelf)

    def evidence(self, deployment: Deployment) -> Evidence:
        """A box keeps."""
        return Evidence(deployment.revision)

    def contents(self, deployment: Deployment) -> Revision:
        """Its name says what is in it."""
        return deployment.revision

    def noted(self, deployment: Deployment, note: Note) -> Evidence:
        """Nothing more."""
        return Evidence(deployment.revision)

    def renamed(self, good: Revision) -> str:
        """Never."""
        return ""

    def before(self, first: Deployment, facts: GroupFacts) -> Deployment | None:
        """An empty shelf."""
        return None

    def prepare(self, facts: GroupFacts, good: Revision, live: Live) -> tuple[Preparation, ...]:
        """Nothing."""
        return ()

    def stop(self, deployment: Deployment, *, native: bool) -> str:
        """Take it back."""
        self._depot.stop(deployment.deployment_id)
        return "Succeeded"

    def let_go_on(self, deployment: Deployment) -> None:
        """A depot asks nobody."""

    def silent(self, deployment_id: str) -> tuple[str, ...]:
        """Nobody."""
        return ()

    def do(self, todo: Chore, good: Revision) -> str:
        """No chore is ever asked for here."""
        never_asked(todo)

    def create(
        self, rollback: Rollback, facts: GroupFacts, good: Deployment, live: Live, suspect: Deployment | None
    ) -> str:
        """Put a box of the same content on the shelf."""
        return self._depot.put(good.revision.identity, rollback.rollback_id).deployment_id


# --- what is added to lastgood ----------------------------------------------------------------------------------------


def a_member(monkeypatch: pytest.MonkeyPatch, kind: type[StrEnum], name: str) -> Any:
    """A new member of an enum, for one test."""
    made = str.__new__(kind, name)
    made._name_ = made._value_ = name
    monkeypatch.setitem(kind._value2member_map_, name, made)
    monkeypatch.setitem(kind._member_map_, name, made)
    return made


class DepotScene(Scene):
    """The shelf `north/7` of a depot."""

    def __init__(self, sim: Simulator, local: Local, depot: Depot) -> None:
        self.platform, self.sim, self.local, self.depot = "Depot", sim, local, depot
        self.rollback_id = ""
        self.application, self.group = "north", "7"
        local.tags[ALARM] = self.tags

    @property
    def tags(self) -> dict[str, str]:
        """The tag of an alarm that watches this shelf."""
        return {"lastgood:shelf": "north/7"}

    def release(self, number: int, *, settle: bool = False, rest: float = 7200, **request: Any) -> str:
        """Put content n on the shelf. Settled releases get two hours of peace afterwards."""
        made = self.depot.put(f"content-{number}")
        if settle:
            self.sim.advance(TAKES.total_seconds() + rest)
        return made.deployment_id

    def moved(self, deployment_id: str, state: str) -> dict[str, Any]:
        """The event of the depot that a box changed its state."""
        detail = {"depot": "north", "shelf": "7", "box": deployment_id, "state": state}
        return {"source": "acme.depot", "detail-type": "Box State Change", "detail": detail}


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch) -> Iterator[DepotScene]:
    """The row, the factory line and the event reader."""
    controller = a_member(monkeypatch, Controller, "DEPOT")

    def read(event: dict[str, Any], delivery: object) -> tuple[DeploymentSignal, ...]:
        detail = event["detail"]
        return (DeploymentSignal(detail["depot"], detail["shelf"], detail["box"], detail["state"], controller),)

    row = Capabilities(
        deployer="The depot",
        rolls_back_by_itself="The depot never does that",
        no_such_group="The depot has no shelf {place}",
        called="shelf",
        address=("shelf",),
        key_prefix="depot:",
        tags=("lastgood:shelf",),
        names=re.compile(r"([a-z]+)/([0-9]+)"),
        written="depot/shelf",
        deployment_ids=re.compile(r"box-\d+"),
        deployment_id_is="the number on a box, such as box-7",
        page=("shelf", "depots/{application}/shelves/{deployment_group}"),
        deployment_page=("box", "depots/{application}/boxes/{id}"),
    )
    with world({"LASTGOOD_ROUTES": "[]"}) as (sim, local):
        depot = Depot(sim.clock)
        monkeypatch.setitem(CAPABILITIES, (controller, None), row)
        monkeypatch.setitem(deployers.FACTORIES, controller, lambda shared, group, platform: DepotShelf(depot))
        monkeypatch.setitem(eventbridge.READERS, ("acme.depot", "Box State Change"), read)
        yield DepotScene(sim, local, depot)


def test_a_bad_release_goes_back_to_the_last_good_one(it: DepotScene) -> None:
    it.release(1, settle=True)
    good = it.release(2, settle=True)
    bad = it.release(3)
    it.sim.advance(400)
    assert it.depot.on_the_shelf == "content-3"
    it.alarm_fires()
    head = it.run_to_end()
    assert (head["outcome"], head["reason_code"]) == ("ROLLED_BACK", "VERIFIED"), head["explanation"]
    assert it.depot.on_the_shelf == "content-2"
    assert (head["suspect_deployment_id"], head["good_deployment_id"]) == (bad, good)
    assert (head["controller"], head["deployment_group_key"]) == ("DEPOT", "depot:north/7")


def test_a_release_that_still_runs_is_stopped_first(it: DepotScene) -> None:
    it.release(1, settle=True)
    it.release(2, settle=True)
    bad = it.release(3)
    it.sim.advance(60)
    it.alarm_fires()
    head = it.run_to_end()
    assert head["outcome"] == "ROLLED_BACK", head["explanation"]
    assert [b.status for b in it.depot.told() if b.deployment_id == bad] == ["Stopped"]
    assert it.depot.on_the_shelf == "content-2"
    assert any("The depot answers Succeeded." in step["explanation"] for step in it.steps)


def test_a_part_of_the_history_in_which_nothing_reached_the_group_stops_no_later_visit(
    it: DepotScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipeline's newest runs may all have failed before the stage; a later visit reads the history again."""
    whole, create = DepotShelf.survey, DepotShelf.create
    it.release(1, settle=True)
    it.release(2, settle=True)
    it.release(3)
    it.sim.advance(400)

    def survey(shelf: DepotShelf, since: datetime, now: datetime) -> Any:
        facts, batches = whole(shelf, since, now)
        return facts, chain([()], batches)

    def busy(*_: Any) -> str:
        raise RetryableError("the depot is busy")

    monkeypatch.setattr(DepotShelf, "survey", survey)
    monkeypatch.setattr(DepotShelf, "create", busy)
    with pytest.raises(RetryableError):
        it.alarm_fires()
    monkeypatch.setattr(DepotShelf, "create", create)
    it.deliver(it.alarm_message())
    assert it.run_to_end(minutes=10)["outcome"] == "ROLLED_BACK"
    assert it.depot.on_the_shelf == "content-2"


def test_its_events_let_a_rollback_go_on_before_the_sweep(it: DepotScene) -> None:
    it.release(1, settle=True)
    it.release(2, settle=True)
    it.release(3)
    it.sim.advance(400)
    it.alarm_fires()
    assert it.head["phase"] == "VERIFYING"
    it.sim.advance(TAKES.total_seconds())
    it.local.handle(it.moved(it.head["rollback_deployment_id"], "SUCCESS"))
    assert it.head["outcome"] == "ROLLED_BACK"


def test_a_route_leads_to_it_by_the_members_of_its_row(it: DepotScene) -> None:
    it.local.tags[ALARM] = {}
    it.local.restart(LASTGOOD_ROUTES='[{"alarm": "shop-*", "shelf": "north/7"}]')
    it.release(1, settle=True)
    it.release(2, settle=True)
    it.release(3)
    it.sim.advance(400)
    it.alarm_fires(tags={})
    assert it.run_to_end()["outcome"] == "ROLLED_BACK"
    assert it.depot.on_the_shelf == "content-2"


def test_an_operator_names_it_by_the_members_of_its_row(it: DepotScene) -> None:
    it.release(1, settle=True)
    good = it.release(2, settle=True)
    it.release(3, settle=True)
    asked = {"action": "rollback", "shelf": "north/7", "requested_by": "me", "reason": "a test"}
    assert it.deliver({**asked, "to_deployment_id": good})["deployment_group"] == "7"
    assert it.run_to_end()["outcome"] == "ROLLED_BACK"
    assert it.depot.on_the_shelf == "content-2"
    refused = it.local.handle({**asked, "shelf": "north"})[0]
    assert (refused["refused"], "shelf must be depot/shelf" in refused["explanation"]) == ("bad_field", True)


def test_the_ids_of_its_deployments_are_those_of_its_row(it: DepotScene) -> None:
    asked = {"action": "rollback", "shelf": "north/7", "requested_by": "me", "reason": "a test"}
    refused = it.local.handle({**asked, "to_deployment_id": "d-A1B2C3D4E"})[0]
    assert "to_deployment_id must be the number on a box, such as box-7." in refused["explanation"]


def test_a_record_of_it_is_linked_to_the_pages_of_its_row(it: DepotScene) -> None:
    it.release(1, settle=True)
    good = it.release(2, settle=True)
    it.release(3)
    it.sim.advance(400)
    it.alarm_fires()
    found = links.of_record("eu-west-1", "T", it.run_to_end())
    assert found["shelf"] == "https://eu-west-1.console.aws.amazon.com/depots/north/shelves/7?region=eu-west-1"
    assert f"/depots/north/boxes/{good}?" in found["good box"]


def test_a_pipeline_that_releases_to_it_is_named_by_the_members_of_its_row(it: DepotScene) -> None:
    (rule,) = parse_pipelines('[{"shelf": "north/*", "pipeline": "boxes"}]')
    assert rule.covers(parse_place(Controller("DEPOT"), "north/7"))
    assert not rule.covers(DeploymentGroup("north", "7"))
    with pytest.raises(ValueError, match='or "ecs_service" or "shelf", may have'):
        parse_pipelines('[{"box": "north/7", "pipeline": "boxes"}]')
    with pytest.raises(ValueError, match='"shelf" of a pipeline must be depot/shelf'):
        parse_pipelines('[{"shelf": "north", "pipeline": "boxes"}]')


def test_its_groups_have_keys_that_nothing_of_codedeploys_can_have(it: DepotScene) -> None:
    group = parse_place(Controller("DEPOT"), "north/7")
    assert (group.key, group.address, group.tags) == (
        "depot:north/7",
        {"shelf": "north/7"},
        {"lastgood:shelf": "north/7"},
    )
    asked = {"action": "rollback", "application": "depot:north", "deployment_group": "7", "dry_run": True}
    refused = it.local.handle({**asked, "requested_by": "me", "reason": "a test"})[0]
    assert refused["refused"] == "bad_field"
    assert DeploymentGroup("north", "7").key == "north/7"
