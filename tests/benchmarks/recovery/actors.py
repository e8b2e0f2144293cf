"""Who answers an alarm: each reads and acts through AWS's own API, as its real counterpart does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import boto3
from botocore.exceptions import ClientError, HTTPClientError

from benchmarks.recovery.incident import Incident
from benchmarks.yardsticks import naive
from stage.local import TABLE

PERSON_COMES_AFTER = timedelta(minutes=10)
_ACTIVE = ("Created", "Queued", "InProgress", "Ready")


class Nobody:
    """AWS alone: what CodeDeploy and ECS do by themselves in a group or service that is set up for it."""

    is_function = False
    """Whether it runs where it can crash."""

    def __init__(self, incident: Incident) -> None:
        self.incident = incident

    def hears(self, message: dict[str, Any], request_id: str) -> None:
        """The alarm's message arrives."""

    def minute(self) -> None:
        """A minute has passed."""

    def paused(self) -> None:
        """People announce maintenance; what has a switch is switched off."""

    def called_people(self) -> bool:
        """Whether people know that this incident needs them."""
        return False

    def said(self) -> tuple[str, ...]:
        """What the actor itself says of it. Nothing is judged by that; it helps to find out why."""
        return ()


class Sample(Nobody):
    """What public samples do: the alarm invokes a function that stops what runs and deploys the success before it."""

    is_function = True

    def hears(self, message: dict[str, Any], request_id: str) -> None:
        """Every message that says ALARM about its own group is obeyed."""
        it = self.incident.it
        told = json.loads(message["Records"][0]["Sns"]["Message"])
        if told["NewStateValue"] != "ALARM" or told["AlarmTags"] != it.tags:
            return
        if self.incident.place.is_service:
            update_to_the_one_before(it.application, it.group)
            return
        environment = {"LASTGOOD_TABLE": TABLE, "LASTGOOD_NOTIFICATION_TOPIC_ARN": it.local.topic_arn}
        with patch.dict(os.environ, environment):
            naive.handler({"group": it.group}, None)


class Person(Nobody):
    """Somebody who comes ten minutes after the alarm and follows the procedure by the letter, once.

    Nothing if the alarm is OK by then. Else: stop what runs; deploy again what was deployed before it.
    """

    def __init__(self, incident: Incident) -> None:
        super().__init__(incident)
        self._seen = self._told_of_maintenance = False

    def minute(self) -> None:
        """Come when it is time."""
        fired_at = self.incident.fired_at
        if self._seen or fired_at is None or self.incident.now() < fired_at + PERSON_COMES_AFTER:
            return
        self._seen = True
        if self.incident.firing and not self._told_of_maintenance:
            # Whatever AWS refuses, the procedure has no further step.
            with suppress(ClientError, HTTPClientError):
                self._follow_the_procedure()

    def paused(self) -> None:
        """Nobody follows the procedure in announced maintenance."""
        self._told_of_maintenance = True

    def called_people(self) -> bool:
        """Who is there needs no call: the alarm's own state says whether it helped."""
        return self._seen

    def _follow_the_procedure(self) -> None:
        it = self.incident.it
        if self.incident.place.is_service:
            update_to_the_one_before(it.application, it.group)
            return
        codedeploy = boto3.client("codedeploy")
        names = {"applicationName": it.application, "deploymentGroupName": it.group}
        ids = codedeploy.list_deployments(**names)["deployments"]
        history = codedeploy.batch_get_deployments(deploymentIds=ids)["deploymentsInfo"]
        newest, *older = sorted(history, key=lambda each: each["createTime"], reverse=True)
        if newest["status"] in _ACTIVE:
            codedeploy.stop_deployment(deploymentId=newest["deploymentId"])
        before = next((each for each in older if each["status"] == "Succeeded"), None)
        if before:
            codedeploy.create_deployment(**names, revision=before["revision"])


class Lastgood(Nobody):
    """The real application with its default settings, its sweep each minute, and CodeDeploy's events."""

    is_function = True

    def __init__(self, incident: Incident) -> None:
        super().__init__(incident)
        if not incident.scenario.events_are_lost:
            incident.it.connect_events()

    def hears(self, message: dict[str, Any], request_id: str) -> None:
        """The alarm topic invokes the function."""
        self.incident.it.local.handle(message, request_id)

    def minute(self) -> None:
        """The sweep."""
        self.incident.it.sweep()

    def paused(self) -> None:
        """An operator pauses the group."""
        it = self.incident.it
        address = {"application": it.application, "deployment_group": it.group}
        if self.incident.place.is_service:
            address = {"ecs_service": f"{it.application}/{it.group}"}
        asked = {"action": "pause", "until": "2h", "requested_by": "ann", "reason": "maintenance"}
        it.local.handle({**asked, **address})

    def called_people(self) -> bool:
        """Whether a rollback is marked for people and a notice of it went out."""
        return any(head.get("needs_human") for head in self._heads()) and bool(self.incident.it.local.notices())

    def said(self) -> tuple[str, ...]:
        """Each rollback's outcome, reason and explanation."""
        key = f"{self.incident.it.application}/{self.incident.it.group}"
        heads = [head for head in self._heads() if str(head.get("deployment_group_key", "")).endswith(key)]
        return tuple(
            f"{head.get('outcome') or head.get('phase')}/{head.get('reason_code', '')}: {head.get('explanation', '')}"
            for head in sorted(heads, key=lambda head: str(head["opened_at"]))
        )

    def _heads(self) -> list[dict[str, Any]]:
        return [item for item in self.incident.it.local.items() if item["sk"] == "META"]


def update_to_the_one_before(cluster: str, service: str) -> None:
    """Update a service to the task definition with the number before: what samples and procedures do."""
    ecs = boto3.client("ecs")
    found = ecs.describe_services(cluster=cluster, services=[service])["services"][0]["taskDefinition"]
    family, _, number = found.rpartition("/")[2].rpartition(":")
    ecs.update_service(cluster=cluster, service=service, taskDefinition=f"{family}:{int(number) - 1}")


@dataclass(frozen=True)
class Actor:
    """One row of the table. `native`: in groups and services that have AWS's own alarm rollback switched on."""

    name: str
    make: Callable[[Incident], Nobody]
    native: bool = False
    services_only: bool = False
    codedeploy_only: bool = False

    @property
    def is_aws(self) -> bool:
        """AWS alone: all that happens is its own doing."""
        return self.make is Nobody


NATIVE = Actor("CodeDeploy's own alarm rollback", Nobody, native=True, codedeploy_only=True)
ECS = Actor("ECS's own circuit breaker and alarms", Nobody, native=True, services_only=True)
SAMPLE = Actor("a public sample", Sample)
SAMPLE_NATIVE = Actor("the sample, and AWS's own", Sample, native=True)
PERSON = Actor("a person with the procedure", Person)
LASTGOOD = Actor("**lastgood**", Lastgood)
LASTGOOD_NATIVE = Actor("**lastgood, and AWS's own**", Lastgood, native=True)

ACTORS: Mapping[str, Actor] = {
    "native": NATIVE,
    "ecs": ECS,
    "sample": SAMPLE,
    "sample+native": SAMPLE_NATIVE,
    "person": PERSON,
    "lastgood": LASTGOOD,
    "lastgood+native": LASTGOOD_NATIVE,
}
