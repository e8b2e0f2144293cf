"""One look at AWS, as wide as the rollback's phase needs and no wider. It only reads.

`survey` is the look before anything is decided, with `search` through the history; `acting` has the looks between the
stop and the redeployment; `proof` is the look at the end. `look` is what they share.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

from lastgood.alarms import Alarms
from lastgood.clients import Clients
from lastgood.deployers import deployers
from lastgood.group_alarms import GroupAlarms
from lastgood.ledger import Ledger
from lastgood.model import Observation, Phase, Policy, Rollback
from lastgood.observe.acting import after_stop, before_create
from lastgood.observe.look import Eyes, Look
from lastgood.observe.proof import verify
from lastgood.observe.survey import survey
from lastgood.pipelines.adapter import Pipelines
from lastgood.release_sets import ReleaseSets
from lastgood.settings import Settings
from lastgood.stacks import Stacks
from lastgood.times import utc_now


class Observer(Eyes):
    """Looks for one invocation."""

    @classmethod
    def make(cls, clients: Clients, settings: Settings, pool: ThreadPoolExecutor) -> Observer:
        """An observer for tools that only read; it reads exactly what the function reads."""
        ledger = Ledger(clients.dynamodb, settings.table, settings.retention)
        alarms = Alarms(clients.cloudwatch, clients.cloudwatch_at, settings.alarm_regions)
        stacks = Stacks(clients, settings)
        lists = GroupAlarms(clients, settings, pool, utc_now)
        deployer_for = deployers(clients, settings, pool)
        sets = ReleaseSets(ledger, deployer_for, stacks, Pipelines(clients), settings)
        return cls(ledger, alarms, lists, deployer_for, stacks, sets, pool, settings)

    def look(
        self, rollback: Rollback, policy: Policy, now: datetime, last: Observation | None
    ) -> tuple[Observation, Policy]:
        """What `decide` needs now, and the policy with what operators set on top of it.

        `last` is what the same invocation saw a step earlier.
        """
        look = Look(self, rollback, policy, now, self.deployer_for(rollback.group, rollback.compute_platform), last)
        match rollback.phase:
            case Phase.CLAIMED | Phase.AWAITING_APPROVAL:
                return survey(look)
            case Phase.STOPPING:
                return after_stop(look), policy
            case Phase.REDEPLOYING:
                return before_create(look), policy
            case _:
                return verify(replace(look, last=None)), policy
