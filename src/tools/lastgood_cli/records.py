"""What the audit table holds, read by its keys and indexes; never by a scan. Only reads.

Records are plain dictionaries as they are stored, so that attributes of a newer version are shown too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from lastgood.clients import call
from lastgood.errors import RefusedError
from lastgood.ledger import OPEN_KEY
from lastgood.model import DeploymentGroup
from lastgood.times import iso
from lastgood_cli.names import parse_group
from lastgood_cli.near import ID_PREFIX, nearest_id, there_is
from lastgood_cli.problems import Exit, Problem

Record = Mapping[str, Any]
LOOKS_BACK = timedelta(days=30)
"""How far back `last` and the ending of an id are looked for."""
_encode = TypeSerializer().serialize
_decode = TypeDeserializer().deserialize


@dataclass(frozen=True)
class Story:
    """One rollback, whole: its head, its steps in order, the other messages that joined it."""

    head: Record
    steps: tuple[Record, ...] = ()
    signals: tuple[Record, ...] = ()

    @property
    def open(self) -> bool:
        """True until it has an outcome."""
        return not self.head.get("outcome")


@dataclass(frozen=True)
class Wanted:
    """Which rollbacks are asked for. What is empty is not asked. Names may be globs."""

    application: str = ""
    deployment_group: str = ""
    outcomes: frozenset[str] = field(default_factory=frozenset)
    alarm: str = ""
    open_only: bool = False

    @property
    def group(self) -> DeploymentGroup | None:
        """The one deployment group that is asked for, where that is so. Of an ECS service: `ecs:cluster`, service."""
        names = (self.application, self.deployment_group)
        if not all(names) or any(set(name) & set("*?[") for name in names):
            return None
        try:
            return parse_group("/".join(names))
        except ValueError:
            return None

    def takes(self, head: Record) -> bool:
        """True where a rollback is one of them."""
        application, _, group = str(head.get("deployment_group_key", "")).rpartition("/")
        return (
            (not self.application or fnmatchcase(application, self.application))
            and (not self.deployment_group or fnmatchcase(group, self.deployment_group))
            and (not self.alarm or fnmatchcase(str(head.get("alarm_name", "")), self.alarm))
            and (not self.outcomes or str(head.get("outcome", "")) in self.outcomes)
            and (not self.open_only or not head.get("outcome"))
        )


class Records:
    """Reads the audit table through one DynamoDB client."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def rollbacks(
        self,
        since: datetime,
        until: datetime,
        wanted: Wanted = Wanted(),
        looking: Callable[[str], object] = lambda _: None,
    ) -> Iterator[Record]:
        """The heads of the rollbacks opened in a time, newest first. `looking` is called with what is read now.

        One deployment group is one query of `by_deployment_group`; otherwise each day is one of `by_day`.
        """
        if wanted.group is not None:
            looking(wanted.group.key)
            keys = {"IndexName": "by_deployment_group", "name": "deployment_group_key"}
            found = self._between(wanted.group.key, since, until, **keys)
        else:
            found = self._by_day(since, until, looking)
        return (head for head in found if wanted.takes(head))

    def _by_day(self, since: datetime, until: datetime, looking: Callable[[str], object]) -> Iterator[Record]:
        day = until.date()
        while day >= since.date():
            looking(day.isoformat())
            yield from self._between(day.isoformat(), since, until, IndexName="by_day", name="day")
            day -= timedelta(days=1)

    def _between(self, key: str, since: datetime, until: datetime, *, IndexName: str, name: str) -> Iterator[Record]:
        return self._query(
            IndexName=IndexName,
            KeyConditionExpression="#key = :key AND opened_at BETWEEN :since AND :until",
            ExpressionAttributeNames={"#key": name},
            ExpressionAttributeValues=_values({":key": key, ":since": iso(since), ":until": iso(until)}),
            ScanIndexForward=False,
        )

    def open(self) -> list[Record]:
        """The heads of the rollbacks that are open now."""
        found = self._query(
            IndexName="open",
            KeyConditionExpression="open_key = :key",
            ExpressionAttributeValues=_values({":key": OPEN_KEY}),
        )
        return [head for head in found if not head.get("outcome")]

    def story(self, rollback_id: str) -> Story:
        """One rollback. Raises Problem where there is none of that id."""
        rows = list(self._partition(f"ROLLBACK#{rollback_id}"))
        by_kind: dict[str, list[Record]] = {}
        for row in rows:
            by_kind.setdefault(str(row["sk"]).split("#", 1)[0], []).append(row)
        if "META" not in by_kind:
            raise self._no_such(rollback_id)
        return Story(by_kind["META"][0], tuple(by_kind.get("STEP", ())), tuple(by_kind.get("SIGNAL", ())))

    def named(self, wanted: str, now: datetime) -> str:
        """The id of a rollback that is meant by `last`, by the unique ending of an id, or by a whole id.

        Raises Problem where there is none, with those of the last month that are spelt alike, or more than one.
        """
        if wanted.startswith(ID_PREFIX) and next(self._partition(f"ROLLBACK#{wanted}"), None):
            return wanted
        ids = [
            str(head["rollback_id"])
            for head in islice(self.rollbacks(now - LOOKS_BACK, now), 1 if wanted == "last" else None)
        ]
        found = [each for each in ids if wanted == "last" or each.endswith(wanted)]
        if not found:
            raise self._no_such(wanted, nearest_id(wanted, ids))
        if len(found) > 1:
            told = f"More than one rollback ends with {wanted}: {found[0]} and {found[1]}"
            raise Problem(told, "more of its id", Exit.USAGE)
        return found[0]

    def _no_such(self, rollback_id: str, near: Sequence[str] = ()) -> Problem:
        which = f"rollback of the last {LOOKS_BACK.days} days" if rollback_id == "last" else f"rollback {rollback_id}"
        told = f"There is no {which} in the table {self._table}{there_is(near)}"
        since = "400d" if rollback_id == "last" else "7d"
        return Problem(told, f"lastgood audit list --since {since}", Exit.NOT_FOUND)

    def remembered(self, group: DeploymentGroup | None) -> list[Record]:
        """What operators and past rollbacks left for a deployment group; None is for everything."""
        return list(self._partition(f"GROUP#{group.key}" if group else "CONTROL"))

    def _partition(self, pk: str) -> Iterator[Record]:
        return self._query(
            KeyConditionExpression="pk = :pk", ExpressionAttributeValues=_values({":pk": pk}), ConsistentRead=True
        )

    def _query(self, **parameters: Any) -> Iterator[Record]:
        start: dict[str, Any] = {}
        while True:
            answer = self._call(**parameters, **start)
            for item in answer.get("Items", []):
                yield {name: _decode(value) for name, value in item.items()}
            if not answer.get("LastEvaluatedKey"):
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _call(self, **parameters: Any) -> dict[str, Any]:
        try:
            return call(self._client, "query", TableName=self._table, **parameters)
        except RefusedError as error:
            region = self._client.meta.region_name
            if error.code == "ResourceNotFoundException":
                told = f"There is no audit table {self._table} in {region}"
                raise Problem(told, "lastgood --stack NAME --region REGION …", Exit.NOT_FOUND) from error
            if error.code == "ValidationException":
                told = f"The table {self._table} in {region} is not lastgood's audit table: {error.message}"
                raise Problem(told, "lastgood --stack NAME …", Exit.NOT_FOUND) from error
            raise


def _values(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _encode(value) for name, value in plain.items()}
