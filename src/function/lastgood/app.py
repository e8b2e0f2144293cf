"""From an event to rollbacks: which signal leads to what. One `Application` lives as long as the environment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, assert_never

from aws_lambda_powertools import Logger, Metrics

from lastgood import signals
from lastgood.alarm_changes import AlarmChanges
from lastgood.clients import Clients
from lastgood.parts import Parts
from lastgood.releases import Releases
from lastgood.results import refusal
from lastgood.rollbacks import Rollbacks
from lastgood.rollbacks.notes import Notes
from lastgood.settings import Settings
from lastgood.telemetry import Telemetry
from lastgood.times import utc_now


class Application:
    """The function without Lambda: everything is passed in, so that tests run the same code."""

    def __init__(self, parts: Parts, environ: Mapping[str, str]) -> None:
        self._parts = parts
        self._environ = environ
        settings = parts.settings
        region = environ.get("AWS_REGION", "") if settings.account_id else ""
        self._home = signals.Home(settings.account_id, region, settings.alarm_topic_arns, settings.alarm_regions)

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
        """Read the settings and make the clients. Raises SettingsError with every problem."""
        settings, telemetry = Settings.from_env(environ), Telemetry(logger, metrics)
        return cls(Parts.make(settings, clients or Clients.make(), telemetry, clock, wait, environ), environ)

    def close(self) -> None:
        """End the threads. On Lambda nobody calls this: an environment ends as a whole."""
        self._parts.pool.shutdown(wait=False)

    def handle(self, event: object, request_id: str, remaining: timedelta, door: str = "") -> dict[str, Any]:
        """Handle one Lambda event. Raises RetryableError when AWS should deliver it again; nothing is lost then.

        `door`: the alias through which it came; empty for the function itself.
        """
        now = self._parts.clock()
        rollbacks = Rollbacks(self._parts, request_id, now + remaining)
        results: list[dict[str, Any]] = []
        failures: list[Exception] = []
        for signal in signals.parse(event, self._home, now):
            try:
                self._parts.telemetry.received(signal)
                results += self._dispatch(signal, rollbacks, door)
            except Exception as error:
                # One record must not keep the others from being handled; raising has it delivered again.
                self._parts.telemetry.failed(type(signal).__name__, error, request_id=request_id)
                failures.append(error)
        if failures:
            raise failures[0]
        return {"results": results}

    def _dispatch(
        self, signal: signals.Signal | signals.Refusal, rollbacks: Rollbacks, door: str
    ) -> list[dict[str, Any]]:
        """What each kind of signal leads to."""
        parts, notes = self._parts, Notes(self._parts, rollbacks)
        match signal:
            case signals.AlarmSignal():
                return AlarmChanges(parts, rollbacks, notes).handle(signal)
            case signals.DeploymentSignal() | signals.ServiceDeploymentSignal():
                return Releases(parts, rollbacks).handle(signal)
            case signals.OperatorRequest() | signals.SweepSignal() | signals.DrillSignal() | signals.HealthRequest():
                # Imported on first use: a cold start is for an alarm, and should not wait for these.
                from lastgood import unhurried

                return [unhurried.handle(signal, parts, rollbacks, notes, door, self._environ)]
            case signals.Refusal():
                return [refusal(signal.code, signal.message, signal.hint)]
            case _:
                assert_never(signal)
