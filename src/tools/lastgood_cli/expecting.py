"""Reads what an incident's length depends on: alarms, past deployments, target groups. `expected` computes it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from botocore.exceptions import ClientError

from lastgood.model import DeploymentGroup
from lastgood_cli.controllers import KNOWN
from lastgood_cli.controllers.known import Described
from lastgood_cli.expected import (
    Expected,
    alarm_advice,
    detection,
    expected,
    redeployment,
)
from lastgood_cli.readonly import ReadOnlySession


class Expecting:
    """How long incidents would take, in one account. What may not be read is left out."""

    def __init__(self, aws: ReadOnlySession, attribution_window: timedelta) -> None:
        self._aws = aws
        self._window = attribution_window

    def of(self, group: DeploymentGroup, alarms: Sequence[Described] = ()) -> Expected:
        """What is to be expected of a group. `alarms` are those that lead to it, in AWS's shape; the slowest counts."""
        slowest = max(alarms, key=lambda alarm: detection(alarm).most, default=None)
        first = [detection(slowest)] if slowest else []
        advice = list(alarm_advice(slowest)) if slowest else []
        with suppress(ClientError):
            past = KNOWN[group.controller].past(self._aws, group, self._window)
            return expected([*first, redeployment(past.seconds, past.back)], [*advice, *past.advice])
        return expected(first, advice)
