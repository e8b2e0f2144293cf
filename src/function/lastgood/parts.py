"""What outlives an invocation: settings, adapters, threads and the clock, made once while the function initialises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from lastgood.alarms import Alarms
from lastgood.aws_models import missing, unseen
from lastgood.clients import Clients
from lastgood.deployers import DeployerFor, deployers
from lastgood.group_alarms import GroupAlarms
from lastgood.ledger import Ledger
from lastgood.model import CheckBundles
from lastgood.notice_text import Place
from lastgood.notices import Notices
from lastgood.observe import Observer
from lastgood.pipelines.adapter import Pipelines
from lastgood.readiness import Readiness
from lastgood.release_sets import ReleaseSets
from lastgood.settings import Settings
from lastgood.stacks import Stacks
from lastgood.telemetry import Telemetry

NAME = "AWS_LAMBDA_FUNCTION_NAME"
"""Where Lambda says which function this is."""
POOL_SIZE = 8


@dataclass(frozen=True)
class Parts:
    """The function's parts, made once and passed to everything that works with them."""

    settings: Settings
    ledger: Ledger
    alarms: Alarms
    group_alarms: GroupAlarms
    pipelines: Pipelines
    notices: Notices
    readiness: Readiness
    deployer_for: DeployerFor
    stacks: Stacks
    pool: ThreadPoolExecutor
    telemetry: Telemetry
    clock: Callable[[], datetime]
    wait: Callable[[float], None]
    missing_models: Callable[[], list[str]]
    unseen_features: Callable[[], list[str]]

    @property
    def observer(self) -> Observer:
        """The observer, which looks at AWS and at the table."""
        return Observer(
            self.ledger,
            self.alarms,
            self.group_alarms,
            self.deployer_for,
            self.stacks,
            ReleaseSets(self.ledger, self.deployer_for, self.stacks, self.pipelines, self.settings),
            self.pool,
            self.settings,
        )

    @classmethod
    def make(
        cls,
        settings: Settings,
        clients: Clients,
        telemetry: Telemetry,
        clock: Callable[[], datetime],
        wait: Callable[[float], None],
        environ: Mapping[str, str] | None = None,
    ) -> Parts:
        """The adapters, over these clients. Of `environ` only the function's name is read, for those who are told."""
        pool = ThreadPoolExecutor(POOL_SIZE)
        stack = str(telemetry.metrics.service or "")
        place = Place(
            account_name=settings.account_name,
            stack=stack,
            function=(environ or {}).get(NAME, ""),
            table=settings.table,
            approval_expiry=settings.approval_expiry,
        )
        return cls(
            settings=settings,
            ledger=Ledger(clients.dynamodb, settings.table, settings.retention),
            alarms=Alarms(clients.cloudwatch, clients.cloudwatch_at, settings.alarm_regions),
            group_alarms=GroupAlarms(clients, settings, pool, clock),
            pipelines=Pipelines(clients),
            notices=Notices(clients, settings.notification_topic_arn, settings.event_bus, pool, place),
            readiness=Readiness(
                clients, pool, settings.alarm_regions, bundles=settings.check_bundles is not CheckBundles.NO
            ),
            deployer_for=deployers(clients, settings, pool),
            stacks=Stacks(clients, settings),
            pool=pool,
            telemetry=telemetry,
            clock=clock,
            wait=wait,
            missing_models=partial(missing, clients),
            unseen_features=partial(unseen, clients),
        )
