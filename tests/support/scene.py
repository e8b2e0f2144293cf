"""A deployment group with a history, an alarm and the real application, in a simulated AWS: what most tests begin with.

with scene("Lambda") as it:
    it.release(2, settle=True)
    bad = it.release(3)              # canary, still running
    it.alarm_fires()
    it.run_to_end()
    assert it.head["outcome"] == "ROLLED_BACK"
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from simulated_aws import Simulator, simulated_aws
from simulated_aws.codepipeline.model import Run
from stage.local import Local, alarm_event, group_tags, service_tags

ALARM = "shop-prod-error-rate"
PLATFORMS = ("Server", "Lambda", "ECS")
SLOW = {
    "Server": {"config": "CodeDeployDefault.OneAtATime"},
    "Lambda": {"config": "CodeDeployDefault.LambdaCanary10Percent10Minutes"},
    "ECS": {"config": "CodeDeployDefault.ECSCanary10Percent15Minutes"},
}


class Scene:
    """One deployment group `shop/prod` on one platform. `local` is the application, `sim` is CodeDeploy."""

    def __init__(self, platform: str, sim: Simulator, local: Local, **options: Any) -> None:
        self.platform, self.sim, self.local = platform, sim, local
        self.rollback_id = ""
        self.application, self.group = "shop", "prod"
        local.tags[ALARM] = self.tags
        make = {"Server": sim.server_group, "Lambda": sim.lambda_group, "ECS": sim.ecs_group}[platform]
        # Slow enough that a release can be met while it is active.
        make(self.application, self.group, **{**SLOW[platform], **options})  # type: ignore[operator]

    # --- releasing ---

    def revision(self, number: int) -> int | str:
        """The n-th revision of this platform: a Lambda version, a task definition's number, a bundle's key."""
        return f"v{number}.zip" if self.platform == "Server" else number

    def release(self, number: int, *, settle: bool = False, rest: float = 7200, **request: Any) -> str:
        """Release revision n. Settled releases get two hours of peace afterwards."""
        made = self.sim.release(self.application, self.group, self.revision(number), settle=settle, **request)
        if settle:
            self.sim.advance(rest)
        return made

    def good_history(self, *numbers: int) -> list[str]:
        """Releases that succeeded and were left in peace."""
        return [self.release(number, settle=True) for number in numbers]

    # --- signals ---

    @property
    def tags(self) -> dict[str, str]:
        """The tags of an alarm that watches this group."""
        return group_tags(self.application, self.group)

    def now(self) -> datetime:
        """The simulated time."""
        return self.sim.clock.now()

    def alarm_message(self, *, at: datetime | None = None, alarm: str = ALARM, **more: Any) -> dict[str, Any]:
        """CloudWatch's message for an alarm that went into ALARM now (or at another time)."""
        tags = more.pop("tags", self.tags)
        return alarm_event(at=at or self.now(), alarm=alarm, tags=tags, **more)

    def alarm_fires(self, *, alarm: str = ALARM, breached: Sequence[datetime] = (), **more: Any) -> dict[str, Any]:
        """The alarm goes into ALARM and its message reaches the function. Returns the first result.

        In CloudWatch it has the tags that its message carries, as a real one. `breached` are the minutes whose
        datapoints CloudWatch found above the threshold, where a test is about that.
        """
        self.local.alarm(alarm, breached=breached, tags=more.get("tags", self.tags))
        return self.deliver(self.alarm_message(alarm=alarm, **more))

    def alarm_recovers(self, alarm: str = ALARM) -> dict[str, Any]:
        """The alarm is OK again and its message reaches the function."""
        self.local.alarm(alarm, "OK")
        return self.deliver(self.alarm_message(alarm=alarm, name="alarm-ok"))

    def deliver(self, event: object, request_id: str = "") -> dict[str, Any]:
        """Hand an event to the function. Returns the first result and remembers its rollback."""
        result = self.local.handle(event, request_id)[0]
        self.rollback_id = result.get("rollback_id") or self.rollback_id
        return result

    def sweep(self) -> dict[str, Any]:
        """The minute's sweep."""
        return self.local.handle({"action": "sweep"})[0]

    def connect_events(self) -> None:
        """From now on CodeDeploy's state changes reach the function."""
        self.sim.listen(lambda event: self.local.handle(event))

    def run_to_end(self, minutes: int = 240) -> dict[str, Any]:
        """Let minutes pass, each with its sweep, until the rollback is closed. Returns its head."""
        for _ in range(minutes):
            if self.head.get("outcome"):
                return self.head
            self.sim.advance(60)
            self.sweep()
        raise AssertionError(f"not closed after {minutes} minutes: {self.head}")

    # --- what there is to see ---

    @property
    def head(self) -> dict[str, Any]:
        """The head item of the rollback that the last result named."""
        return self.local.head(self.rollback_id)

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Its steps in order."""
        return self.local.steps(self.rollback_id)

    def calls(self, operation: str) -> list[dict[str, Any]]:
        """The parameters of every call of an operation that reached CodeDeploy, Lambda or ECS."""
        return [arrival.parameters for arrival in self.sim.calls(operation)]

    @property
    def live(self) -> str:
        """What is live: a version number, a task definition ARN, a bundle's key; empty while traffic is split."""
        target = self.sim.live(self.application, self.group).target
        return target.split("|")[1] if target.startswith("S3:") else target

    def lock(self) -> str:
        """The rollback that holds the deployment group; empty if none does."""
        item = next((i for i in self.local.items() if i["sk"] == "LOCK"), {})
        return str(item.get("open_rollback_id", ""))

    def is_live(self, number: int) -> bool:
        """Whether revision n has all the traffic."""
        wanted = str(self.revision(number))
        return self.live == wanted or self.live.endswith(f":{wanted}")


class ServiceScene(Scene):
    """The service `main/web`, which ECS itself deploys; it was created with `web:1` a day ago."""

    def __init__(self, sim: Simulator, local: Local, **options: Any) -> None:
        self.platform, self.sim, self.local = "Service", sim, local
        self.rollback_id = ""
        self.application, self.group = "main", "web"
        local.tags[ALARM] = self.tags
        self.owner = sim.rolling_service(self.application, self.group, **options)

    @property
    def tags(self) -> dict[str, str]:
        """The tag of an alarm that watches this service."""
        return service_tags(self.application, self.group)

    def release(self, number: int, *, settle: bool = False, rest: float = 7200, **request: Any) -> str:
        """Update the service to `web:n`. Settled releases get two hours of peace afterwards."""
        made = self.sim.release_service(self.application, self.group, f"web:{number}", settle=settle, **request)
        if settle:
            self.sim.advance(rest)
        return made

    @property
    def live(self) -> str:
        """The task definition that all tasks run; empty while there are two."""
        return self.sim.service_live(self.application, self.group).target

    def status(self, deployment_id: str) -> str:
        """The status of a service deployment."""
        return self.sim.service_deployments(self.application, self.group)[deployment_id]


class StageScene(Scene):
    """The stage `Deploy` of the pipeline `shop`, which copies what it builds to S3."""

    def __init__(self, sim: Simulator, local: Local, **options: Any) -> None:
        self.platform, self.sim, self.local = "Pipeline", sim, local
        self.rollback_id = ""
        self.application, self.group = "shop", "Deploy"
        local.tags[ALARM] = self.tags
        self.pipeline = sim.pipeline("shop", "shop", "prod", **{"deploys_with": "S3", **options})

    @property
    def tags(self) -> dict[str, str]:
        """The tag of an alarm that watches this stage."""
        return {"lastgood:pipeline": "shop/Deploy"}

    def revision(self, number: int) -> str:
        """The n-th commit."""
        return f"{number:x}" * 40

    def release(self, number: int, *, settle: bool = False, rest: float = 7200, **request: Any) -> str:
        """Push the n-th commit. Settled releases get two hours of peace afterwards. Returns the execution's id."""
        made = self.sim.push("shop", self.revision(number), number, settle=settle, **request)
        if settle:
            self.sim.advance(rest)
        return made

    @property
    def live(self) -> str:
        """The content that serves."""
        shares = self.sim.serving("pipeline:shop", "Deploy")
        return next(iter(shares)) if len(shares) == 1 else ""

    def is_live(self, number: int) -> bool:
        """Whether what the n-th commit builds has all the traffic."""
        return self.live == str(number)

    def execution(self, execution_id: str) -> Run:
        """An execution as CodePipeline has it."""
        return self.sim.pipelines.run_of("shop", execution_id)


def number_of(revision: str) -> int:
    """The n of `…:n` and `vn.zip`, as the simulator or the record names them; -1 where there is none.

    A bundle that a pipeline built once more, `vn.zip.m`, is a revision of its own.
    """
    named = revision.split("|")[1] if revision.startswith("S3:") else revision
    found = re.search(r"(\d+)(?:\.zip(?:\.(\d+))?)?(\?.*)?$", named)
    return int(found[1]) + 1000 * int(found[2] or 0) if found else -1


@contextmanager
def service_scene(*, settings: dict[str, str] | None = None, **options: Any) -> Iterator[ServiceScene]:
    """A scene with a service. `settings` are the function's variables, `options` the service's."""
    with world(settings) as (sim, local):
        yield ServiceScene(sim, local, **options)


@contextmanager
def stage_scene(*, settings: dict[str, str] | None = None, **options: Any) -> Iterator[StageScene]:
    """A scene with a stage of a pipeline. `settings` are the function's variables, `options` the pipeline's."""
    with world(settings) as (sim, local):
        yield StageScene(sim, local, **options)


@contextmanager
def scene(platform: str = "Server", *, settings: dict[str, str] | None = None, **options: Any) -> Iterator[Scene]:
    """A scene on one platform. `settings` are the function's variables, `options` the deployment group's."""
    with world(settings) as (sim, local):
        yield Scene(platform, sim, local, **options)


@contextmanager
def world(settings: dict[str, str] | None) -> Iterator[tuple[Simulator, Local]]:
    # moto stamps alarms with the machine's time; here everything lives by the simulated clock.
    with (
        simulated_aws() as sim,
        patch("moto.cloudwatch.models.utcnow", lambda: sim.clock.now().replace(tzinfo=None)),
        # What botocore waits between its attempts would be as real as anything.
        patch("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None)),
    ):
        local = Local(sim.clock, sim.advance, environment=dict(settings or {}))
        try:
            yield sim, local
        finally:
            local.close()
