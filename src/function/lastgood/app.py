"""From an event to rollbacks: which signal does what. One `Application` lives as long as the environment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from aws_lambda_powertools import Logger, Metrics

from lastgood import __version__
from lastgood.alarm_changes import AlarmChanges
from lastgood.clients import Clients
from lastgood.drill import Drill
from lastgood.operators import Operators
from lastgood.parts import Parts
from lastgood.releases import Releases
from lastgood.results import refusal
from lastgood.rollbacks import Rollbacks
from lastgood.rollbacks.notes import Notes
from lastgood.settings import Settings, unknown_variables
from lastgood.signals import (
    AlarmSignal,
    DeploymentSignal,
    DrillSignal,
    HealthRequest,
    Home,
    OperatorRequest,
    Refusal,
    ServiceDeploymentSignal,
    Signal,
    SweepSignal,
    parse,
)
from lastgood.sweeping import Sweep
from lastgood.telemetry import Telemetry


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


class Application:
    """The function without Lambda around it: everything is passed in, so that tests run the same code."""

    def __init__(self, parts: Parts, environ: Mapping[str, str]) -> None:
        self._parts = parts
        self._environ = environ
        settings = parts.settings
        region = environ.get("AWS_REGION", "") if settings.account_id else ""
        self._home = Home(settings.account_id, region, settings.alarm_topic_arns, settings.alarm_regions)

    @classmethod
    def make(
        cls,
        environ: Mapping[str, str],
        logger: Logger,
        metrics: Metrics,
        *,
        clients: Clients | None = None,
        clock: Callable[[], datetime] = utc_now,
        wait: Callable[[float], None] = time.sleep,
    ) -> Application:
        """Read the settings and make the clients. Raises SettingsError with everything that is wrong."""
        settings, telemetry = Settings.from_env(environ), Telemetry(logger, metrics)
        return cls(Parts.make(settings, clients or Clients.make(), telemetry, clock, wait), environ)

    def close(self) -> None:
        """End the threads. Lambda never calls this: an environment ends as a whole."""
        self._parts.pool.shutdown(wait=False)

    def handle(self, event: object, request_id: str, remaining: timedelta, door: str = "") -> dict[str, Any]:
        """Handle one Lambda event. Raises RetryableError when AWS should deliver it again; nothing is lost then.

        `door`: the alias through which it came; empty for the function itself.
        """
        now = self._parts.clock()
        deadline = now + remaining
        rollbacks = Rollbacks(self._parts, request_id, deadline)
        results: list[dict[str, Any]] = []
        failures: list[Exception] = []
        for signal in parse(event, self._home, now):
            try:
                self._parts.telemetry.received(signal)
                results += self._dispatch(signal, rollbacks, request_id, deadline, door)
            except Exception as error:
                # One record must not keep the others from being handled; what is raised is delivered again.
                self._parts.telemetry.failed(type(signal).__name__, error, request_id=request_id)
                failures.append(error)
        if failures:
            raise failures[0]
        return {"results": results}

    def _dispatch(
        self, signal: Signal | Refusal, rollbacks: Rollbacks, request_id: str, deadline: datetime, door: str
    ) -> list[dict[str, Any]]:
        """What each kind of signal leads to."""
        parts, notes = self._parts, Notes(self._parts, rollbacks)
        match signal:
            case AlarmSignal():
                return AlarmChanges(parts, rollbacks, notes).handle(signal)
            case DeploymentSignal() | ServiceDeploymentSignal():
                return Releases(parts, rollbacks).handle(signal)
            case OperatorRequest():
                return [Operators(parts, rollbacks, notes, request_id, door).handle(signal)]
            case SweepSignal():
                return [Sweep(parts, rollbacks, notes, Releases(parts, rollbacks), deadline).run()]
            case DrillSignal():
                return [Drill(parts, deadline).run()]
            case HealthRequest():
                return [self._health()]
            case Refusal():
                return [refusal(signal.code, signal.message, signal.hint)]
            case _:
                assert_never(signal)

    def _health(self) -> dict[str, Any]:
        lacking = self._parts.missing_models()
        self._parts.telemetry.runtime_lacks(lacking)
        return {
            "healthy": not lacking,
            "version": __version__,
            "settings_problems": [],
            "unknown_settings": unknown_variables(self._environ),
            "runtime_lacks": lacking,
        }


def alias_of(function_arn: str) -> str:
    """The alias or version in an invoked ARN; empty where the function itself was invoked."""
    parts = function_arn.split(":")
    return parts[7] if len(parts) == 8 else ""
