"""The five kinds of places to release to, each as slow as its kind is, and what really serves there.

Seconds are those of public captures and reports: 40 to install on a batch of servers, 380 for a new fleet (220 to
start, 40 to install, 120 to reroute), 4 for a Lambda hook, 110 for a task set to become healthy, 20 for a task.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import boto3

from scene import ALARM, Scene, ServiceScene, scene, service_scene
from simulated_aws import github_revision, s3_revision

WATCHED = {
    "alarms": [ALARM],
    "rollback_events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"],
}
WATCHED_SERVICE = {
    "alarms": {"alarmNames": [ALARM], "enable": True, "rollback": True},
    "deploymentCircuitBreaker": {"enable": True, "rollback": True},
}
NATIVE_BAKE_SECONDS = 300.0
"""ECS keeps a deployment open after its last task while it watches alarms."""


@dataclass(frozen=True)
class Place:
    """A kind of place. `pace` maps "quick", "canary" and "gradual" to a deployment configuration."""

    name: str
    platform: str
    pace: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_service(self) -> bool:
        """Whether ECS itself deploys here."""
        return self.platform == "Service"

    def scene(self, native: bool, settings: Mapping[str, str]) -> AbstractContextManager[Scene]:
        """The place in a simulated AWS; `native`: with AWS's own alarm rollback switched on."""
        if self.is_service:
            watched = WATCHED_SERVICE if native else {}
            return service_scene(settings=dict(settings), **self.options, **watched)
        watched = WATCHED if native else {}
        return scene(
            self.platform, settings=dict(settings), **{**self.options, "config": self.pace["quick"], **watched}
        )

    def at_its_pace(self, it: Scene, native: bool) -> None:
        """From now on things take as long as they do on this kind of place."""
        if isinstance(it, ServiceScene):
            it.owner.timing.task_seconds, it.owner.timing.rollback_task_seconds = 20.0, 20.0
            it.owner.timing.bake_seconds = NATIVE_BAKE_SECONDS if native else 0.0
        else:
            it.sim.timing(it.application, it.group, **self.seconds)

    def release(self, it: Scene, number: int, pace: str, moving: str = "", **request: Any) -> str:
        """Release revision n as a pipeline would, at the pace that the group is set to. Returns the deployment's id.

        `moving`: under which kind of moving name it is released: "key", "versioned key", "branch" or "tag".
        """
        if not self.is_service:
            names = {"applicationName": it.application, "currentDeploymentGroupName": it.group}
            it.sim.codedeploy.update_deployment_group({**names, "deploymentConfigName": self.pace[pace]})
        if not moving:
            return it.release(number, **request)
        revision = under_a_moving_name(it, number, moving)
        if self.is_service:
            return it.sim.release_service(it.application, it.group, str(revision))
        return it.sim.release(it.application, it.group, revision, **request)

    def serving(self, it: Scene) -> dict[str, float]:
        """Each content's share of the traffic, of the instances or of the tasks, whatever it is called.

        Of several functions, those of the first: it is the one that the scenario is about.
        """
        shares = it.sim.serving_by_target(it.application, it.group)
        return next(iter(shares.values())) if shares else {}


IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/web:latest"
REPOSITORY, BRANCH, BUCKET, KEY = "acme/shop", "main", "artifacts", "app/latest.zip"


def under_a_moving_name(it: Scene, number: int, moving: str) -> Any:
    """Let the name point at what revision n holds. Returns what a pipeline would release."""
    if moving == "branch":
        it.sim.push_branch(REPOSITORY, BRANCH, f"{number}" * 40)
        return github_revision(REPOSITORY, BRANCH)
    if moving == "tag":
        it.sim.push_image(IMAGE, f"v{number}")
        box = {"name": "app", "image": IMAGE, "essential": True, "portMappings": [{"containerPort": 80}]}
        return it.sim.register_task_definition("web", containerDefinitions=[box])
    s3 = boto3.client("s3")
    if BUCKET not in {each["Name"] for each in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET)
        if moving == "versioned key":
            s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=f"v{number}".encode())
    return s3_revision(BUCKET, KEY)


SERVERS = Place(
    "servers in place",
    "Server",
    {
        "quick": "CodeDeployDefault.AllAtOnce",
        "canary": "CodeDeployDefault.HalfAtATime",
        "gradual": "CodeDeployDefault.OneAtATime",
    },
    {"install_seconds": 40.0},
    {"instances": 10},
)
NEW_FLEET = Place(
    "servers blue/green",
    "Server",
    dict.fromkeys(("quick", "canary", "gradual"), "CodeDeployDefault.AllAtOnce"),
    {"install_seconds": 380.0},
    {
        "instances": 4,
        "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
        "blueGreenDeploymentConfiguration": {
            "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"},
            "greenFleetProvisioningOption": {"action": "COPY_AUTO_SCALING_GROUP"},
            "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 5},
        },
    },
)
FUNCTION = Place(
    "Lambda",
    "Lambda",
    {
        "quick": "CodeDeployDefault.LambdaAllAtOnce",
        "canary": "CodeDeployDefault.LambdaCanary10Percent10Minutes",
        "gradual": "CodeDeployDefault.LambdaLinear10PercentEvery1Minute",
    },
    {"install_seconds": 4.0},
    {"versions": 6},
)
TASK_SETS = Place(
    "ECS blue/green",
    "ECS",
    {
        "quick": "CodeDeployDefault.ECSAllAtOnce",
        "canary": "CodeDeployDefault.ECSCanary10Percent15Minutes",
        "gradual": "CodeDeployDefault.ECSLinear10PercentEvery1Minutes",
    },
    {"install_seconds": 110.0},
    {
        "task_definitions": 6,
        "blueGreenDeploymentConfiguration": {
            "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"},
            "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 5},
        },
    },
)
ROLLING = Place("ECS rolling", "Service", options={"task_definitions": 6, "desired_count": 6})

PLACES = (SERVERS, NEW_FLEET, FUNCTION, TASK_SETS, ROLLING)
