"""The row of one controller, as the command has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from lastgood.model import DeploymentGroup
from lastgood.settings import Settings
from lastgood.vouching import signed
from lastgood_cli.checks import Check
from lastgood_cli.expected import Advice
from lastgood_cli.lookout import Lookout
from lastgood_cli.readonly import ReadOnlySession
from lastgood_cli.replay import GroupHistory

Described = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Past:
    """How many seconds the last deployments took, how many those that were rollbacks, and what would save some."""

    seconds: Sequence[float]
    back: Sequence[float] = ()
    advice: Sequence[Advice] = ()


def listed(eyes: Lookout, group: DeploymentGroup, since: datetime) -> tuple[GroupHistory, str]:
    """The target with what its controller still lists since a time (ECS: 90 days, a pipeline: a year), and no note."""
    facts, parts = eyes.observer.deployer_for(group, None).survey(since, eyes.now)
    if facts is None:
        return gone(group)
    controls = eyes.observer.ledger.controls(group, eyes.now)
    wanted = takewhile(lambda part: not part or part[0].created_at >= since, parts)
    return GroupHistory(facts, tuple(d for part in wanted for d in signed(part, controls))), ""


def gone(group: DeploymentGroup) -> tuple[GroupHistory, str]:
    """The history of what does not exist, and the note that says so."""
    return GroupHistory(None), f"{group.key} does not exist (any more)."


def _nothing_more(aws: ReadOnlySession, group: DeploymentGroup, settings: Settings) -> tuple[Check, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Known:
    """What the command knows of a controller.

    `events`: their source at EventBridge, and the logical id of the stack's rule for them. `needed`: (action, resource)
    of what a rollback needs there; its last argument begins an ARN, up to the account, with braces for the service.
    `past`: how long deployments took; the time span is the attribution window. `history`: what was deployed since a
    time, and a note where that is not all. `checks`: what only this controller has to be asked about a target.
    `service` is boto3's name of it; with its client, `applications` lists what holds its targets, and `groups` what is
    in one of these.
    """

    service: str
    events: tuple[str, str]
    applications: Callable[[Any], Iterator[str]]
    groups: Callable[[Any, str], Iterator[str]]
    needed: Callable[[DeploymentGroup, Settings, str], Iterator[tuple[str, str]]]
    past: Callable[[ReadOnlySession, DeploymentGroup, timedelta], Past]
    history: Callable[[Lookout, DeploymentGroup, datetime], tuple[GroupHistory, str]] = listed
    checks: Callable[[ReadOnlySession, DeploymentGroup, Settings], tuple[Check, ...]] = _nothing_more
