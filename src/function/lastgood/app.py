"""From an event to rollbacks: which signal does what. One `Application` lives as long as the environment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, assert_never

from aws_lambda_powertools import Logger, Metrics

from lastgood.alarms import Alarms
from lastgood.clients import Clients
from lastgood.deployers import deployers
from lastgood.drill import Drill
from lastgood.errors import RefusedError
from lastgood.ledger import Ledger, Watch
from lastgood.model import (
    AlarmState,
    DeploymentGroup,
    Reason,
    Rollback,
)
from lastgood.notices import Notices
from lastgood.observe import Observer
from lastgood.operators import Operators
from lastgood.pipelines import Pipelines
from lastgood.releases import Releases
from lastgood.results import ignored, refusal, result_of
from lastgood.rollback import Parts, Rollbacks, rollback_id
from lastgood.routing import Routing, is_allowed, needs_tags, route, speaks_for
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
from lastgood.telemetry import Telemetry

POOL_SIZE = 8
SWEEP_RESERVE = timedelta(seconds=15)


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


def observer(clients: Clients, settings: Settings, pool: ThreadPoolExecutor) -> Observer:
    """What the application looks with, for tools that only look: `plan` and `doctor` see what the function sees."""
    ledger = Ledger(clients.dynamodb, settings.table, settings.retention)
    return Observer(ledger, Alarms(clients.cloudwatch), deployers(clients, settings, pool), pool)


class Application:
    """The function without Lambda around it: everything is passed in, so that tests run the same code."""

    def __init__(self, parts: Parts, environ: Mapping[str, str]) -> None:
        self._parts = parts
        self._environ = environ
        region = environ.get("AWS_REGION", "") if parts.settings.account_id else ""
        self._home = Home(parts.settings.account_id, region, parts.settings.alarm_topic_arns)

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
        settings = Settings.from_env(environ)
        clients = clients or Clients.make()
        pool = ThreadPoolExecutor(POOL_SIZE)
        parts = Parts(
            settings=settings,
            ledger=Ledger(clients.dynamodb, settings.table, settings.retention),
            alarms=Alarms(clients.cloudwatch),
            pipelines=Pipelines(clients),
            notices=Notices(clients, settings.notification_topic_arn, settings.event_bus, pool),
            deployer_for=deployers(clients, settings, pool),
            pool=pool,
            telemetry=Telemetry(logger, metrics),
            clock=clock,
            wait=wait,
        )
        return cls(parts, environ)

    def close(self) -> None:
        """End the threads. Lambda never calls this: an environment ends as a whole."""
        self._parts.pool.shutdown(wait=False)

    def handle(self, event: object, request_id: str, remaining: timedelta) -> dict[str, Any]:
        """Handle one Lambda event. Raises RetryableError when AWS should deliver it again; nothing is lost then."""
        now = self._parts.clock()
        visit = _Invocation(self._parts, self._environ, request_id, now + remaining)
        results: list[dict[str, Any]] = []
        failures: list[Exception] = []
        for signal in parse(event, self._home, now):
            try:
                results += visit.handle(signal)
            except Exception as error:
                # One record must not keep the others from being handled; what is raised is delivered again.
                self._parts.telemetry.failed(type(signal).__name__, error, request_id=request_id)
                failures.append(error)
        if failures:
            raise failures[0]
        return {"results": results}


class _Invocation:
    """One Lambda invocation: what each kind of signal leads to."""

    def __init__(self, parts: Parts, environ: Mapping[str, str], request_id: str, deadline: datetime) -> None:
        self._parts = parts
        self._environ = environ
        self._deadline = deadline
        self._rollbacks = Rollbacks(parts, request_id, deadline)
        self._releases = Releases(parts, self._rollbacks)
        self._operators = Operators(parts, self._rollbacks, request_id)

    def handle(self, signal: Signal | Refusal) -> list[dict[str, Any]]:
        """One signal, to its results."""
        match signal:
            case AlarmSignal(state=AlarmState.ALARM):
                return self._alarm(signal)
            case AlarmSignal():
                return self._alarm_left(signal)
            case DeploymentSignal():
                return self._deployment(signal)
            case ServiceDeploymentSignal():
                return self._service_deployment(signal)
            case OperatorRequest():
                return [self._operators.handle(signal)]
            case SweepSignal():
                return [self._sweep()]
            case DrillSignal():
                return [Drill(self._parts, self._deadline).run()]
            case HealthRequest():
                return [self._health()]
            case Refusal():
                self._parts.telemetry.refused(signal.code, signal.message, rejected=signal.rejected)
                return [refusal(signal.code, signal.message, signal.hint)]
            case _:
                assert_never(signal)

    # --- alarms -------------------------------------------------------------------------------------------------------

    def _alarm(self, signal: AlarmSignal) -> list[dict[str, Any]]:
        routing = self._route(signal)
        if not routing.groups:
            unrouted = self._rollback(signal, DeploymentGroup("", ""))
            return [result_of(self._rollbacks.record(unrouted, Reason.UNROUTED_ALARM, routing.problem))]
        return [self._open(signal, group) for group in routing.groups]

    def _open(self, signal: AlarmSignal, group: DeploymentGroup) -> dict[str, Any]:
        rollback = self._rollback(signal, group)
        if not is_allowed(group, self._parts.settings):
            why = f"{group.key} is not in LASTGOOD_ALLOWED_GROUPS, so nothing is done to it."
            return result_of(self._rollbacks.record(rollback, Reason.NOT_ALLOWED, why))
        found = self._rollbacks.open(rollback, signal.key)
        return result_of(found, joined=found.rollback_id != rollback.rollback_id)

    def _route(self, signal: AlarmSignal) -> Routing:
        tags = signal.tags
        if needs_tags(signal, self._parts.settings):
            try:
                tags = self._parts.alarms.tags(signal.alarm_arn)
            except RefusedError as error:
                # Its tags may say something else than the default: only what a route says of it by name is believed.
                by_name = speaks_for(signal.alarm_name, {}, self._parts.settings)
                return by_name if by_name.source else Routing(problem=f"The alarm's tags may not be read: {error}")
        return route(signal, tags, self._parts.settings)

    def _rollback(self, signal: AlarmSignal, group: DeploymentGroup) -> Rollback:
        return Rollback(
            rollback_id=rollback_id(signal.key, group, signal.changed_at),
            application=group.application,
            deployment_group=group.deployment_group,
            controller=group.controller,
            trigger_kind=signal.trigger_kind,
            opened_at=self._parts.clock(),
            signal_at=signal.changed_at,
            alarm_name=signal.alarm_name,
            alarm_arn=signal.alarm_arn,
            alarm_changed_at=signal.changed_at,
            evaluation_seconds=signal.evaluation_seconds,
        )

    def _alarm_left(self, signal: AlarmSignal) -> list[dict[str, Any]]:
        """OK closes the loop on a rollback of the same alarm; neither it nor INSUFFICIENT_DATA ever starts one."""
        if signal.state is not AlarmState.OK:
            return [ignored(f"{signal.alarm_name} is {signal.state}: that starts no rollback and ends none.")]
        results = [self._recovered(signal, group) for group in self._route(signal).groups]
        return results or [ignored(f"{signal.alarm_name} is OK; it leads to no deployment group.")]

    def _recovered(self, signal: AlarmSignal, group: DeploymentGroup) -> dict[str, Any]:
        lock = self._parts.ledger.lock(group)
        found = self._parts.ledger.load(lock.open_rollback_id or lock.last_rollback_id)
        ours = found is not None and found.alarm_name == signal.alarm_name and found.opened_at <= signal.changed_at
        if found is None or not ours:
            return ignored(f"{signal.alarm_name} is OK; no rollback of {group.key} waits for that.")
        return result_of(self._rollbacks.alarm_recovered(found.rollback_id, signal.changed_at) or found)

    # --- CodeDeploy and ECS -------------------------------------------------------------------------------------------

    def _deployment(self, signal: DeploymentSignal) -> list[dict[str, Any]]:
        """A deployment moved: take up the group's open rollback, or look at the release. The event is not believed."""
        group = DeploymentGroup(signal.application, signal.deployment_group)
        return self._moved(group, signal.state, signal.deployment_id)

    def _service_deployment(self, signal: ServiceDeploymentSignal) -> list[dict[str, Any]]:
        """The same for a service that ECS itself deploys."""
        if signal.group is None:
            return [ignored(f"{signal.service_arn} does not name its cluster; the sweep goes on with its rollback.")]
        return self._moved(signal.group, signal.state, "")

    def _moved(self, group: DeploymentGroup, state: str, deployment_id: str) -> list[dict[str, Any]]:
        open_id = self._parts.ledger.lock(group).open_rollback_id
        if open_id:
            found = self._rollbacks.resume(open_id)
            return [result_of(found)] if found else []
        told = [result_of(each) for each in self._releases.noticed(group, state, deployment_id)]
        what = deployment_id or "its newest deployment"
        return told or [ignored(f"No rollback of {group.key} is open, and nothing is wrong with {what}.")]

    # --- the sweep ----------------------------------------------------------------------------------------------------

    def _sweep(self) -> dict[str, Any]:
        """Finish what events did not: advance what is open, send what was not told, watch alarms recover."""
        visited = failed = 0
        now, ledger = self._parts.clock(), self._parts.ledger
        work: list[tuple[Callable[[], object], str]] = []
        work += [(partial(self._rollbacks.resume, each), each) for each in ledger.due(now)]
        work += [(partial(self._watch, watch), watch.rollback_id) for watch in ledger.watched(now)]
        for step, each in work:
            if self._deadline - self._parts.clock() < SWEEP_RESERVE:
                break
            failed += not self._attempt(step, each)
            visited += 1
        self._parts.telemetry.swept(visited, failed)
        return {"swept": visited, "failed": failed}

    def _attempt(self, work: Callable[[], object], rollback_id: str) -> bool:
        try:
            work()
        except Exception as error:
            # Whatever is wrong with one rollback, the others are due as well.
            self._parts.telemetry.failed("sweep", error, rollback_id=rollback_id)
            return False
        return True

    def _watch(self, watch: Watch) -> None:
        """Did the rollback heal what the alarm measures? OK within the window is the proof; otherwise people hear."""
        if watch.deployment_id:
            self._releases.after_grace(watch)
            return
        now, ledger = self._parts.clock(), self._parts.ledger
        rollback = ledger.load(watch.rollback_id)
        if rollback is None or rollback.alarm_recovered_at is not None:
            ledger.settle(watch, now)
            return
        alarm = self._parts.alarms.read(rollback.alarm_name)
        if alarm is not None and alarm.state is AlarmState.OK:
            self._rollbacks.alarm_recovered(watch.rollback_id, alarm.changed_at or now)
            ledger.settle(watch, now)
        elif now >= watch.until:
            self._rollbacks.not_recovered(watch.rollback_id)
            ledger.settle(watch, now)

    # --- health -------------------------------------------------------------------------------------------------------

    def _health(self) -> dict[str, Any]:
        return {"healthy": True, "settings_problems": [], "unknown_settings": unknown_variables(self._environ)}
