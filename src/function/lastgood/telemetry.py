"""Logs and metrics, through Powertools: a constant event name with fields, one line per step."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from lastgood.judgement.steps import Decision
from lastgood.model import Outcome, Rollback, seconds_of
from lastgood.signals import Refusal, Signal
from lastgood.text import clean

_LONG = {"tags"}
"""Fields of a signal that may be long and that no log line needs."""


class Telemetry:
    """The function's log lines and metrics."""

    def __init__(self, logger: Logger, metrics: Metrics) -> None:
        self.logger = logger
        self.metrics = metrics

    def decided(self, rollback: Rollback, decision: Decision) -> None:
        """One line per decision, including the decision to do nothing."""
        self.logger.info(
            "decided",
            rollback_id=rollback.rollback_id,
            deployment_group=rollback.group.key,
            phase=rollback.phase,
            action=decision.action,
            reason=decision.reason,
            explanation=decision.explanation,
        )

    def closed(self, rollback: Rollback) -> None:
        """A rollback has its outcome: counted, with the times that matter."""
        outcome = str(rollback.outcome or "")
        self.logger.info(
            "closed",
            rollback_id=rollback.rollback_id,
            deployment_group=rollback.group.key,
            outcome=outcome,
            reason=rollback.reason_code,
            explanation=rollback.explanation,
        )
        self._count("Rollback" + outcome.title().replace("_", ""))
        for name, seconds in seconds_of(rollback).items():
            if name != "recover":
                self._seconds(name, seconds)

    def recovered(self, rollback: Rollback) -> None:
        """The alarm of a rollback is OK again."""
        self.logger.info("recovered", rollback_id=rollback.rollback_id, deployment_group=rollback.group.key)
        recover = seconds_of(rollback).get("recover")
        if rollback.outcome is Outcome.ROLLED_BACK and recover is not None:
            self._seconds("recover", recover)

    def followed_up(self, rollback: Rollback, what: str, text: str) -> None:
        """Something for the pipeline is settled, or given up."""
        self.logger.info("followed_up", rollback_id=rollback.rollback_id, action=str(what), explanation=text)

    def received(self, signal: Signal | Refusal) -> None:
        """One line per signal, with its fields that are not empty and the id of the message that brought it."""
        if isinstance(signal, Refusal):
            return self._refused(signal)
        said = {spec.name: getattr(signal, spec.name) for spec in fields(signal) if spec.name not in _LONG}
        shown: dict[str, Any] = {name: clean(v, 1000) if isinstance(v, str) else v for name, v in said.items() if v}
        self.logger.info("received", signal=type(signal).__name__, **shown)

    def _refused(self, refusal: Refusal) -> None:
        """An event that was not taken: bad input, or one that is rightly ignored."""
        rejected, message_id = refusal.rejected, refusal.message_id
        self.logger.warning(
            "refused", code=refusal.code, problem=refusal.message, rejected=rejected, message_id=message_id
        )
        self._count("EventRejected" if rejected else "EventIgnored")
        # A person who asked for something wrong gets the answer; nobody gets that to a message.
        if rejected and message_id:
            self._count("Unheard")

    def notice_failed(self, rollback: Rollback, kind: str, problems: list[str]) -> None:
        """People were not told; the sweep tries again."""
        self.logger.error("notice_failed", rollback_id=rollback.rollback_id, kind=kind, problems=problems)
        self._count("NoticeFailed")
        self._count("Unheard")

    def failed(self, what: str, error: Exception, **fields: Any) -> None:
        """A failure that a retry or the sweep will repair."""
        self.logger.error("failed", what=what, error=f"{type(error).__name__}: {error}", **fields)
        self._count("StepFailed")

    def swept(self, visited: int, failed: int) -> None:
        """The sweep's heartbeat: an alarm fires if it stops."""
        self._count("SweepRan")
        if visited or failed:
            self.logger.info("swept", visited=visited, failed=failed)

    def unanswered(self, problems: list[str]) -> None:
        """Services that did not answer the sweep: a rollback would have to wait for them now."""
        if problems:
            self.logger.error("unanswered", problems=problems)
            self._count("ReadFailed")

    def drilled(self, problems: list[str]) -> None:
        """The daily drill: an alarm fires if it fails."""
        if problems:
            self.logger.error("drill_failed", problems=problems)
            self._count("DrillFailed")
        else:
            self.logger.info("drill_passed")
        self._count("DrillRan")

    def runtime_lacks(self, missing: list[str]) -> None:
        """What the runtime's botocore does not know; the drill and `health` ask."""
        for name in missing:
            self.logger.error("runtime_lacks", missing=name)
            self._count("RuntimeLacks")

    def _seconds(self, name: str, seconds: int) -> None:
        self.metrics.add_metric(name=f"SecondsTo{name.title()}", unit=MetricUnit.Seconds, value=seconds)

    def _count(self, name: str) -> None:
        self.metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
