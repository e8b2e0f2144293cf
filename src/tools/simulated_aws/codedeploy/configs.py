"""The predefined deployment configurations, and how each one moves traffic."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_SERVER = {
    "CodeDeployDefault.OneAtATime": ("HOST_COUNT", 1),
    "CodeDeployDefault.HalfAtATime": ("FLEET_PERCENT", 50),
    "CodeDeployDefault.AllAtOnce": ("HOST_COUNT", 0),
}
_LAMBDA_SHIFTS = (
    "AllAtOnce",
    "Canary10Percent5Minutes",
    "Canary10Percent10Minutes",
    "Canary10Percent15Minutes",
    "Canary10Percent30Minutes",
    "Linear10PercentEvery1Minute",
    "Linear10PercentEvery2Minutes",
    "Linear10PercentEvery3Minutes",
    "Linear10PercentEvery10Minutes",
)
_ECS_SHIFTS = (
    "AllAtOnce",
    "Canary10Percent5Minutes",
    "Canary10Percent15Minutes",
    "Linear10PercentEvery1Minutes",
    "Linear10PercentEvery3Minutes",
)


@dataclass(frozen=True)
class TrafficStep:
    """After so many seconds, so much of the traffic is on the new revision."""

    after_seconds: float
    percent: int


@dataclass(frozen=True)
class DeploymentConfig:
    """A deployment configuration. `kind` is `AllAtOnce`, `TimeBasedCanary` or `TimeBasedLinear`."""

    name: str
    platform: str
    kind: str = "AllAtOnce"
    percent: int = 100
    interval_minutes: int = 0
    healthy_hosts: tuple[str, int] | None = None

    def steps(self) -> list[TrafficStep]:
        """How traffic moves, counted from the moment when the new revision is ready."""
        minute = 60.0 * self.interval_minutes
        if self.kind == "TimeBasedCanary":
            return [TrafficStep(0, self.percent), TrafficStep(minute, 100)]
        if self.kind == "TimeBasedLinear":
            count = -(-100 // self.percent)
            return [TrafficStep(minute * n, min(100, self.percent * (n + 1))) for n in range(count)]
        return [TrafficStep(0, 100)]

    def routing(self) -> dict[str, Any]:
        """The `trafficRoutingConfig` of GetDeploymentConfig."""
        if self.kind == "AllAtOnce":
            return {"type": "AllAtOnce"}
        shift, key = ("canary", "timeBasedCanary") if self.kind == "TimeBasedCanary" else ("linear", "timeBasedLinear")
        return {
            "type": self.kind,
            key: {f"{shift}Percentage": self.percent, f"{shift}Interval": self.interval_minutes},
        }


def parse(name: str, platform: str) -> DeploymentConfig:
    """A configuration from a name such as `CodeDeployDefault.LambdaCanary10Percent5Minutes`."""
    found = re.search(r"(Canary|Linear)(\d+)Percent(?:Every)?(\d+)Minutes?$", name)
    if not found:
        return DeploymentConfig(name, platform)
    return DeploymentConfig(name, platform, f"TimeBased{found[1]}", int(found[2]), int(found[3]))


def predefined() -> dict[str, DeploymentConfig]:
    """Every configuration that AWS ships, by name."""
    server = [DeploymentConfig(name, "Server", healthy_hosts=hosts) for name, hosts in _SERVER.items()]
    functions = [parse(f"CodeDeployDefault.Lambda{shift}", "Lambda") for shift in _LAMBDA_SHIFTS]
    services = [parse(f"CodeDeployDefault.ECS{shift}", "ECS") for shift in _ECS_SHIFTS]
    return {config.name: config for config in (*server, *functions, *services)}
