"""Signals that are not urgent: operators' requests, the sweep, the drill and health. Imported when one comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from lastgood.drill import Drill
from lastgood.health import health
from lastgood.operators import Operators
from lastgood.parts import Parts
from lastgood.releases import Releases
from lastgood.rollbacks import Rollbacks
from lastgood.rollbacks.notes import Notes
from lastgood.signals import DrillSignal, HealthRequest, OperatorRequest, SweepSignal
from lastgood.sweeping import Sweep


def handle(
    signal: OperatorRequest | SweepSignal | DrillSignal | HealthRequest,
    parts: Parts,
    rollbacks: Rollbacks,
    notes: Notes,
    door: str,
    environ: Mapping[str, str],
) -> dict[str, Any]:
    """The result of one such signal. `door` is the alias through which it came, `environ` the function's variables."""
    match signal:
        case OperatorRequest():
            return Operators(parts, rollbacks, notes, door).handle(signal)
        case SweepSignal():
            return Sweep(parts, rollbacks, notes, Releases(parts, rollbacks)).run()
        case DrillSignal():
            return Drill(parts, rollbacks.deadline).run()
        case HealthRequest():
            return health(parts, environ)
        case _:
            assert_never(signal)
