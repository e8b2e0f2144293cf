"""The history of a deployment group, newest first, at the same cost for a hundred deployments and for ten thousand.

`ListDeployments` returns ids only, in an undocumented order. A page that holds everything is complete, so its order
does not matter. A longer list is trusted only while what is read of it really is newest first; otherwise the time range
is narrowed until everything in it fits on one page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from lastgood.clients import call
from lastgood.errors import RefusedError, RetryableError
from lastgood.model import DeploymentGroup

BATCH = 25
"""`BatchGetDeployments` takes at most 25 ids (the API's service model)."""

SUCCESSES_WITHIN = (timedelta(days=30), timedelta(days=365))
NEWEST_OF_ANY_STATUS = 12
MAX_PAGES = 10
DEPTH = 100
"""How many deployments are looked at in each time range before the search ends."""

Info = dict[str, Any]


@dataclass
class History:
    """One reading of a deployment group's history."""

    client: Any
    group: DeploymentGroup
    pool: ThreadPoolExecutor
    _known: dict[str, Info] = field(default_factory=dict)

    def newest(self, since: datetime, now: datetime) -> Newest:
        """The ids of everything created since `since`, whatever its status, and of the newest successes.

        Two lists are read in parallel, so that a pile of failures on top costs no more calls.
        """
        reading = self.pool.submit(self._list, since, ())
        succeeded = self._list(now - SUCCESSES_WITHIN[0], ("Succeeded",))
        return Newest(reading.result(), succeeded)

    def newest_first(self, newest: Newest, now: datetime) -> Iterator[list[Info]]:
        """`DeploymentInfo` dictionaries, newest first by `createTime`, a batch at a time; older ones on demand.

        First what `newest` lists, then older successes.
        """
        recent, succeeded = newest.recent, newest.succeeded
        together = list(dict.fromkeys([*recent.ids[:NEWEST_OF_ANY_STATUS], *succeeded.ids]))[:BATCH]
        self._described(together)
        self._check(recent.ids[:NEWEST_OF_ANY_STATUS])
        of_any_status = self._in_order(recent, NEWEST_OF_ANY_STATUS, now)[:NEWEST_OF_ANY_STATUS]
        # One batch shows the order of the rest well enough; reading more would cost another call.
        room = sum(i in self._known for i in succeeded.ids)
        first = list(dict.fromkeys([*of_any_status, *self._in_order(succeeded, room, now)]))
        yield from self._batches(first)
        older = self._in_order(self._list(now - SUCCESSES_WITHIN[1], ("Succeeded",)), BATCH, now)
        yield from self._batches([i for i in older if i not in set(first[:DEPTH])])

    def created_since(self, since: datetime, now: datetime) -> list[Info]:
        """Every deployment created since then, newest first; meant for short ranges."""
        ids = self._in_order(self._list(since, ()), BATCH, now)
        return [info for batch in self._batches(ids) for info in batch]

    def _list(self, start: datetime, statuses: Sequence[str]) -> _Page:
        """The first page; more of them while they hold less than a batch, for a page may even be empty."""
        only: dict[str, Any] = {"includeOnlyStatuses": list(statuses)} if statuses else {}
        ids: list[str] = []
        token: dict[str, Any] = {}
        for _ in range(MAX_PAGES):
            answer = call(
                self.client,
                "list_deployments",
                applicationName=self.group.application,
                deploymentGroupName=self.group.deployment_group,
                createTimeRange={"start": start},
                **only,
                **token,
            )
            ids += answer.get("deployments", [])
            token = {"nextToken": answer["nextToken"]} if answer.get("nextToken") else {}
            if not token or len(ids) >= BATCH:
                break
        return _Page(start, tuple(statuses), ids, bool(token))

    def _in_order(self, page: _Page, enough: int, now: datetime) -> list[str]:
        """The page's ids with the newest first, or at least with the newest all among the first `enough`."""
        if (len(page.ids) <= enough and not page.more) or self._falling(page.ids[:enough]):
            return page.ids
        while page.more and now - page.start > timedelta(seconds=1):
            page = self._list(page.start + (now - page.start) / 2, page.statuses)
        return [info["deploymentId"] for info in _newest_first(self._described(page.ids))]

    def _falling(self, ids: list[str]) -> bool:
        times = [info["createTime"] for info in self._described(ids)]
        return all(earlier >= later for earlier, later in pairwise(times))

    def _batches(self, ids: list[str]) -> Iterator[list[Info]]:
        for start in range(0, min(len(ids), DEPTH), BATCH):
            yield _newest_first(self._described(ids[start : start + BATCH]))

    def _described(self, ids: list[str]) -> list[Info]:
        """What CodeDeploy says of these deployments. One that is listed may not be described yet: it is asked twice."""
        self._read(ids)
        if any(i not in self._known for i in ids):
            self._read(ids)
        return [self._known[i] for i in ids if i in self._known]

    def _check(self, wanted: list[str]) -> None:
        """The one that is to blame may be the one that is not described. Raises RetryableError, as it may be soon."""
        unknown = next((i for i in wanted if i not in self._known), "")
        if unknown:
            raise RetryableError(f"CodeDeploy lists {unknown}, but does not describe it yet")

    def _read(self, ids: list[str]) -> None:
        missing = [i for i in dict.fromkeys(ids) if i not in self._known]
        for start in range(0, len(missing), BATCH):
            answer = call(self.client, "batch_get_deployments", deploymentIds=missing[start : start + BATCH])
            self._known.update({info["deploymentId"]: _dated(info) for info in answer.get("deploymentsInfo", [])})


def _dated(info: Info) -> Info:
    if not info.get("createTime"):
        raise RefusedError("batch_get_deployments", "NoTime", f"{info['deploymentId']} has no time of creation")
    return info


def _newest_first(infos: list[Info]) -> list[Info]:
    return sorted(infos, key=lambda info: info["createTime"], reverse=True)


@dataclass(frozen=True, slots=True)
class _Page:
    start: datetime
    statuses: tuple[str, ...]
    ids: list[str]
    more: bool


@dataclass(frozen=True, slots=True)
class Newest:
    """Where a reading of the history begins."""

    recent: _Page
    succeeded: _Page
