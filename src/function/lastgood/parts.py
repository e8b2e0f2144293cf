"""What outlives an invocation: settings, adapters, threads and the clock, made once while the function initialises."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from lastgood.alarms import Alarms
from lastgood.deployers.protocol import DeployerFor
from lastgood.ledger import Ledger
from lastgood.notices import Notices
from lastgood.pipelines.adapter import Pipelines
from lastgood.settings import Settings
from lastgood.telemetry import Telemetry


@dataclass(frozen=True)
class Parts:
    """Made in one place (`Application.make`) and handed to whatever works."""

    settings: Settings
    ledger: Ledger
    alarms: Alarms
    pipelines: Pipelines
    notices: Notices
    deployer_for: DeployerFor
    pool: ThreadPoolExecutor
    telemetry: Telemetry
    clock: Callable[[], datetime]
    wait: Callable[[float], None]
