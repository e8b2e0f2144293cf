"""The audit table: every rollback, every step, the locks, and what operators and past rollbacks left for the future.

One table, partition key `pk`, sort key `sk`:

| pk | sk | what it is |
|---|---|---|
| `ROLLBACK#<id>` | `META` | the rollback itself, changed only under its `version` |
| `ROLLBACK#<id>` | `STEP#<nnnn>` | one step: an intent, a result, a decision; written once |
| `ROLLBACK#<id>` | `SIGNAL#<key>` | another message that joined this rollback |
| `GROUP#<group key>` | `LOCK` | which rollback is open; absent attribute: none |
| `GROUP#<group key>` | `PAST#<time>#<id>` | a rollback that acted, for cooldown and limits |
| `GROUP#<group key>` | `BAD#<hash>` | a known-bad revision; `marked_good_at` takes it back |
| `GROUP#<group key>` | `MODE`, `PAUSE`, `FLOOR`, `FLOOR_CLEARED#<deployment>` | what an operator set |
| `CONTROL` | `PAUSE`, `OPENED#<time>#<group>` | the pause of everything; groups in alarm, for the storm brake |
| `CONTROL` | `DRILL` | when the last drill was, and what it found |
| `CONTROL` | `STORM` | which rollback told of the storm, and until when that is enough |
| `WATCH` | `<until>#<id>` | an alarm that is looked at again: after a rollback, or after a release that met it firing |

A group's key is `<application>/<group>`, or `ecs:<cluster>/<service>` where ECS itself deploys.

Indexes: `by_deployment_group` (`deployment_group_key`, `opened_at`), `by_day` (`day`, `opened_at`), and `open`
(`open_key`, `next_check_at`), which holds a rollback only while the sweep has something to do for it. Times are
ISO-8601 in UTC with milliseconds and `Z`; `expires_at` alone is in epoch seconds, as DynamoDB's TTL wants it. Nothing
is ever deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, get_type_hints

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from lastgood.clients import call
from lastgood.errors import LostLeaseError, RefusedError, RetryableError
from lastgood.model import (
    Candidate,
    ComputePlatform,
    Controller,
    Controls,
    DeploymentGroup,
    Floor,
    Mode,
    Outcome,
    PastRollback,
    Pause,
    Phase,
    Reason,
    Rejection,
    Rollback,
    TriggerKind,
)

SCHEMA_VERSION = 1
OPEN_KEY = "open"
TRANSACTION_ATTEMPTS = 3
LEASE_MARGIN = timedelta(seconds=30)
"""Clocks of two hosts may differ by this much before a lease could be misjudged."""

_encode = TypeSerializer().serialize
_decode = TypeDeserializer().deserialize


class Kind(StrEnum):
    """What a step records."""

    DECISION = "decision"
    INTENT = "intent"
    RESULT = "result"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a rollback's story."""

    kind: Kind
    action: str
    explanation: str
    occurred_at: datetime
    deployment_id: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """How an attempt to open a rollback ended: `opened`, `duplicate` of itself, or `busy` with another one."""

    kind: str
    rollback_id: str


@dataclass(frozen=True, slots=True)
class Watch:
    """An alarm that the sweep looks at until a time. With a `deployment_id` it was firing when that was released."""

    rollback_id: str
    until: datetime
    alarm_name: str = ""
    deployment_id: str = ""

    @property
    def key(self) -> str:
        """Its sort key: in the order in which watches end."""
        return f"{iso(self.until)}#{self.rollback_id}"


@dataclass(frozen=True, slots=True)
class Lock:
    """Who holds a deployment group: empty where nobody does or did."""

    open_rollback_id: str = ""
    last_rollback_id: str = ""


def iso(moment: datetime) -> str:
    """`2026-11-23T10:04:12.345Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def parse_iso(text: str) -> datetime:
    """The reverse of `iso`."""
    return datetime.fromisoformat(text).astimezone(UTC)


class Ledger:
    """The audit table, through one DynamoDB client."""

    def __init__(self, client: Any, table: str, retention: timedelta) -> None:
        self._client = client
        self._table = table
        self._retention = retention

    # --- opening ------------------------------------------------------------------------------------------------------

    def open(self, rollback: Rollback, step: Step, *, counts_for_storm: bool) -> Claim:
        """Claim the deployment group for a rollback, atomically: its record, its first step, the group's lock.

        The rollback's id says which transition of which alarm it answers, so a second delivery finds it there.
        """
        opened = iso(rollback.opened_at)
        items = [
            self._put(self._head(rollback), "attribute_not_exists(pk)"),
            self._update(
                _group_pk(rollback.group),
                "LOCK",
                "SET open_rollback_id = :id, locked_at = :at",
                "attribute_not_exists(open_rollback_id)",
                {":id": rollback.rollback_id, ":at": opened},
            ),
            self._put(self._step_item(rollback.rollback_id, 1, step)),
        ]
        if counts_for_storm:
            sk = f"OPENED#{opened}#{rollback.group.key}"
            items.append(self._put(self._expiring({"pk": "CONTROL", "sk": sk}, rollback.opened_at, days=2)))
        reasons = self._transact(items)
        if reasons is None:
            return Claim("opened", rollback.rollback_id)
        if reasons[0]:
            return Claim("duplicate", rollback.rollback_id)
        return Claim("busy", str(reasons[1].get("open_rollback_id", "")))

    def record(self, rollback: Rollback, step: Step) -> None:
        """Write a rollback that is closed from the start: it never held the group's lock. Writing it twice is fine."""
        self._transact(
            [
                self._put(self._head(rollback), "attribute_not_exists(pk)"),
                self._put(self._step_item(rollback.rollback_id, 1, step)),
            ]
        )

    def join(self, rollback_id: str, key: str, attributes: Mapping[str, Any], now: datetime) -> None:
        """Note that another message belongs to this rollback, so that no message goes unaccounted."""
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        item = {"pk": _pk(rollback_id), "sk": f"SIGNAL#{digest}", "signal_key": key[:500], "occurred_at": iso(now)}
        self._put_item(self._expiring({**item, **attributes}, now))

    # --- advancing ----------------------------------------------------------------------------------------------------

    def load(self, rollback_id: str) -> Rollback | None:
        """A rollback as it is now; None if there is none of that id."""
        answer = call(
            self._client,
            "get_item",
            TableName=self._table,
            Key=_marshal({"pk": _pk(rollback_id), "sk": "META"}),
            ConsistentRead=True,
        )
        item = answer.get("Item")
        return read_rollback(_unmarshal(item)) if item else None

    def lease(self, rollback_id: str, owner: str, until: datetime, now: datetime) -> Rollback | None:
        """Take the right to advance a rollback, and load it. None if another invocation holds it.

        The lease outlives its holder's deadline, so nobody acts beside a holder who may still be in a call.
        """
        try:
            answer = self._call_update(
                _pk(rollback_id),
                "META",
                "SET lease_owner = :owner, lease_until = :until ADD version :one",
                "attribute_exists(pk) AND (attribute_not_exists(lease_owner) OR lease_owner = :owner "
                "OR lease_owner = :none OR lease_until < :now)",
                {":owner": owner, ":until": iso(until + LEASE_MARGIN), ":one": 1, ":now": iso(now), ":none": ""},
            )
        except RefusedError as error:
            if error.code == "ConditionalCheckFailedException":
                return None
            raise
        return read_rollback(_unmarshal(answer["Attributes"]))

    def write(
        self,
        before: Rollback,
        after: Rollback,
        steps: Iterable[Step],
        *,
        next_check_at: datetime | None = None,
        extra: Iterable[dict[str, Any]] = (),
    ) -> Rollback:
        """Write what changed, with its steps, if nobody wrote in between. Raises LostLeaseError otherwise.

        Only changed attributes are set, so attributes that a newer version wrote survive.
        """
        steps = list(steps)
        after = replace(after, version=before.version + 1, step_count=before.step_count + len(steps))
        sets, removes = _changes(before, after)
        if next_check_at is not None:
            sets |= {"open_key": OPEN_KEY, "next_check_at": iso(next_check_at)}
        elif not after.open and not after.notices_due and after.follow_up is None:
            removes += ["open_key", "next_check_at"]
        sets |= {f"seconds_to_{name}": span for name, span in after.seconds.items() if before.seconds.get(name) != span}
        items = [self._set(_pk(after.rollback_id), "META", sets, removes, "version = :expected", before.version)]
        for number, step in enumerate(steps, start=before.step_count + 1):
            items.append(self._put(self._step_item(after.rollback_id, number, step), "attribute_not_exists(pk)"))
        if self._transact([*items, *extra]) is not None:
            raise LostLeaseError(f"{after.rollback_id} was advanced by another invocation")
        return after

    def note_recovery(self, rollback: Rollback, at: datetime) -> None:
        """Note that the alarm is OK again, beside whoever holds the lease: the version stays as it is."""
        recovered = replace(rollback, alarm_recovered_at=at)
        try:
            self._call_update(
                _pk(rollback.rollback_id),
                "META",
                "SET alarm_recovered_at = :at, seconds_to_recover = :seconds",
                "attribute_exists(pk) AND attribute_not_exists(alarm_recovered_at)",
                {":at": iso(at), ":seconds": recovered.seconds.get("recover", 0)},
            )
        except RefusedError as error:
            # It was noted before, or there is no such rollback.
            if error.code != "ConditionalCheckFailedException":
                raise

    def closing(
        self, rollback: Rollback, *, acted: bool, watch_until: datetime | None, pauses_group: bool = False
    ) -> list[dict[str, Any]]:
        """What is written together with a rollback's end: the lock goes, the memory stays."""
        closed = rollback.closed_at or rollback.opened_at
        pk = _group_pk(rollback.group)
        items = [
            self._update(
                pk,
                "LOCK",
                "REMOVE open_rollback_id SET last_rollback_id = :id, last_closed_at = :at",
                "open_rollback_id = :id",
                {":id": rollback.rollback_id, ":at": iso(closed)},
            )
        ]
        if acted:
            past = {"pk": pk, "sk": f"PAST#{iso(closed)}#{rollback.rollback_id}", "outcome": str(rollback.outcome)}
            past |= {"rollback_id": rollback.rollback_id, "rollback_deployment_id": rollback.rollback_deployment_id}
            items.append(self._put(self._expiring(past, closed, days=30)))
            items += [self._bad_item(rollback, identity, closed) for identity in _rolled_away(rollback)]
        if watch_until is not None:
            watch = Watch(rollback.rollback_id, watch_until, rollback.alarm_name)
            items.append(self._put(self._watch_item(watch)))
        if pauses_group:
            why = {"requested_by": "lastgood", "explanation": rollback.explanation, "occurred_at": iso(closed)}
            items.append(self._put({"pk": pk, "sk": "PAUSE", **why}))
        return items

    def _watch_item(self, watch: Watch) -> dict[str, Any]:
        about = {"alarm_name": watch.alarm_name, "deployment_id": watch.deployment_id}
        item = {"pk": "WATCH", "sk": watch.key, "rollback_id": watch.rollback_id, **about}
        return self._expiring(item, watch.until, days=2)

    def _bad_item(self, rollback: Rollback, identity: str, closed: datetime) -> dict[str, Any]:
        return self._update(
            _group_pk(rollback.group),
            _bad_sk(identity),
            "SET revision = :revision, explanation = :why, marked_bad_at = :at REMOVE marked_good_at",
            None,
            {":revision": identity, ":why": f"rolled away from by {rollback.rollback_id}", ":at": iso(closed)},
        )

    # --- what applies to a deployment group ---------------------------------------------------------------------------

    def controls(self, group: DeploymentGroup, now: datetime) -> Controls:
        """Everything that operators and past rollbacks left for this group. One consistent query of its partition."""
        return read_controls(self._query(_group_pk(group)), now)

    def alarmed_groups(self, now: datetime, storm_window: timedelta) -> tuple[Pause | None, frozenset[str]]:
        """The pause of everything, and which groups an alarm opened a rollback for within the window.

        Whoever resumes everything has looked: what fired before that counts no more.
        """
        rows = self._query("CONTROL", low=f"OPENED#{iso(now - storm_window)}", high="PAUSE")
        said = next((row for row in rows if row["sk"] == "PAUSE"), {})
        since = f"OPENED#{said.get('resumed_at', '')}"
        groups = {row["sk"].split("#", 2)[2] for row in rows if row["sk"].startswith("OPENED#") and row["sk"] > since}
        return _pause(said) if said else None, frozenset(groups)

    def tells_of_storm(self, rollback_id: str, now: datetime, storm_window: timedelta) -> bool:
        """True for the one rollback that tells people of a storm; the others are recorded in silence."""
        try:
            self._call_update(
                "CONTROL",
                "STORM",
                "SET told_by = :id, silent_until = :until",
                "attribute_not_exists(pk) OR silent_until <= :now OR told_by = :id",
                {":id": rollback_id, ":until": iso(now + storm_window), ":now": iso(now)},
            )
        except RefusedError as error:
            if error.code == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def set_control(self, group: DeploymentGroup | None, name: str, attributes: Mapping[str, Any]) -> None:
        """Write one of an operator's items: `PAUSE`, `MODE`, `FLOOR`, …; None is for everything."""
        pk = _group_pk(group) if group else "CONTROL"
        self._put_item({"pk": pk, "sk": name, **{k: v for k, v in attributes.items() if v not in (None, "")}})

    def mark(self, group: DeploymentGroup, identity: str, *, good: bool, by: str, why: str, now: datetime) -> None:
        """Remember a revision as known bad, or take that back."""
        change = (
            "SET revision = :revision, explanation = :why, requested_by = :by, marked_good_at = :at"
            if good
            else "SET revision = :revision, explanation = :why, requested_by = :by, marked_bad_at = :at "
            "REMOVE marked_good_at"
        )
        values = {":revision": identity, ":why": why, ":by": by, ":at": iso(now)}
        self._call_update(_group_pk(group), _bad_sk(identity), change, None, values)

    def lock(self, group: DeploymentGroup) -> Lock:
        """Which rollback holds the group, and which held it last."""
        answer = call(
            self._client,
            "get_item",
            TableName=self._table,
            Key=_marshal({"pk": _group_pk(group), "sk": "LOCK"}),
            ConsistentRead=True,
        )
        item = _unmarshal(answer.get("Item") or {})
        return Lock(str(item.get("open_rollback_id", "")), str(item.get("last_rollback_id", "")))

    # --- the sweep's work ---------------------------------------------------------------------------------------------

    def due(self, now: datetime, limit: int = 50) -> list[str]:
        """Open rollbacks (and closed ones with a notice still to send) whose next check has come."""
        answer = call(
            self._client,
            "query",
            TableName=self._table,
            IndexName="open",
            KeyConditionExpression="open_key = :key AND next_check_at <= :now",
            ExpressionAttributeValues=_marshal({":key": OPEN_KEY, ":now": iso(now)}),
            Limit=limit,
        )
        return [_unmarshal(item)["rollback_id"] for item in answer.get("Items", [])]

    def watch(self, watch: Watch) -> None:
        """Have the sweep look at an alarm. The same watch twice is one, and a settled one stays settled."""
        self._transact([self._put(self._watch_item(watch), "attribute_not_exists(pk)")])

    def watched(self, now: datetime) -> list[Watch]:
        """The alarms that are watched. Settled ones are left out."""
        rows = self._query("WATCH", low=iso(now - timedelta(days=1)), high="9999")
        return [
            Watch(
                row["rollback_id"],
                parse_iso(row["sk"].split("#", 1)[0]),
                row.get("alarm_name", ""),
                row.get("deployment_id", ""),
            )
            for row in rows
            if not row.get("settled_at")
        ]

    def settle(self, watch: Watch, now: datetime) -> None:
        """The watched alarm recovered, or its time is over."""
        self._call_update("WATCH", watch.key, "SET settled_at = :at", None, {":at": iso(now)})

    def steps(self, rollback_id: str) -> list[dict[str, Any]]:
        """A rollback's steps in order, as plain dictionaries."""
        return self._query(_pk(rollback_id), low="STEP#", high="STEP#~")

    # --- items --------------------------------------------------------------------------------------------------------

    def _head(self, rollback: Rollback) -> dict[str, Any]:
        opened = iso(rollback.opened_at)
        item = {
            **to_item(rollback),
            "pk": _pk(rollback.rollback_id),
            "sk": "META",
            "deployment_group_key": rollback.group.key,
            "day": opened[:10],
            "open_key": OPEN_KEY,
            "next_check_at": opened,
            "schema_version": SCHEMA_VERSION,
        }
        return self._expiring(item, rollback.opened_at)

    def _step_item(self, rollback_id: str, number: int, step: Step) -> dict[str, Any]:
        item = {"pk": _pk(rollback_id), "sk": f"STEP#{number:04d}", "rollback_id": rollback_id, **to_item(step)}
        return self._expiring(item, step.occurred_at)

    def _expiring(self, item: dict[str, Any], since: datetime, days: int = 0) -> dict[str, Any]:
        keep = timedelta(days=days) if days else self._retention
        return {**item, "expires_at": int((since + keep).timestamp())}

    # --- DynamoDB -----------------------------------------------------------------------------------------------------

    def _put(self, item: Mapping[str, Any], condition: str | None = None) -> dict[str, Any]:
        put: dict[str, Any] = {"TableName": self._table, "Item": _marshal(item)}
        return {"Put": {**put, **_conditional(condition)}}

    def _update(
        self, pk: str, sk: str, change: str, condition: str | None, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        update: dict[str, Any] = {
            "TableName": self._table,
            "Key": _marshal({"pk": pk, "sk": sk}),
            "UpdateExpression": change,
            "ExpressionAttributeValues": _marshal(values),
        }
        return {"Update": {**update, **_conditional(condition)}}

    def _set(
        self, pk: str, sk: str, sets: Mapping[str, Any], removes: Iterable[str], condition: str, expected: int
    ) -> dict[str, Any]:
        # Placeholders throughout: no attribute name has to be checked against DynamoDB's reserved words.
        names = {f"#{i}": name for i, name in enumerate([*sets, *removes])}
        slots = {name: slot for slot, name in names.items()}
        change = "SET " + ", ".join(f"{slots[name]} = :v{slots[name][1:]}" for name in sets)
        removes = list(removes)
        if removes:
            change += " REMOVE " + ", ".join(slots[name] for name in removes)
        values = {f":v{slots[name][1:]}": value for name, value in sets.items()} | {":expected": expected}
        update = self._update(pk, sk, change, condition, values)
        update["Update"]["ExpressionAttributeNames"] = names
        return update

    def _transact(self, items: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
        """None when it was done; otherwise, for each item, what stood in its way ({} if nothing).

        botocore gives the transaction a request token, so its own retries cannot write twice.
        """
        for _ in range(TRANSACTION_ATTEMPTS):
            try:
                call(self._client, "transact_write_items", TransactItems=items)
            except RefusedError as error:
                if error.code != "TransactionCanceledException":
                    raise
                reasons = error.response.get("CancellationReasons") or []
                if any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons):
                    return [_unmarshal(reason.get("Item") or {}) for reason in reasons]
            else:
                return None
        raise RetryableError("the audit table is contended: another transaction touches the same items")

    def _put_item(self, item: Mapping[str, Any]) -> None:
        call(self._client, "put_item", TableName=self._table, Item=_marshal(item))

    def _call_update(
        self, pk: str, sk: str, change: str, condition: str | None, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        update = self._update(pk, sk, change, condition, values)["Update"]
        update.pop("ReturnValuesOnConditionCheckFailure", None)
        return call(self._client, "update_item", ReturnValues="ALL_NEW", **update)

    def _query(self, pk: str, low: str = "", high: str = "") -> list[dict[str, Any]]:
        keys, values = "pk = :pk", {":pk": pk}
        if low:
            keys, values = keys + " AND sk BETWEEN :low AND :high", values | {":low": low, ":high": high}
        rows: list[dict[str, Any]] = []
        start: dict[str, Any] = {}
        while True:
            answer = call(
                self._client,
                "query",
                TableName=self._table,
                KeyConditionExpression=keys,
                ExpressionAttributeValues=_marshal(values),
                ConsistentRead=True,
                **start,
            )
            rows += [_unmarshal(item) for item in answer.get("Items", [])]
            if not answer.get("LastEvaluatedKey"):
                return rows
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


# --- items and values -------------------------------------------------------------------------------------------------


_RESERVED = {"force": "forced", "action": "step_name"}


def stored_name(name: str) -> str:
    """An attribute's name in the table: two of ours are reserved words, which the console's filters choke on."""
    return _RESERVED.get(name, name)


def to_item(value: Any) -> dict[str, Any]:
    """A dataclass as a plain item: enums as their text, times as ISO text, None left out."""
    pairs = ((stored_name(spec.name), _plain(getattr(value, spec.name))) for spec in fields(value))
    return {name: plain for name, plain in pairs if plain is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return to_item(value) if is_dataclass(value) else value


def read_rollback(item: Mapping[str, Any]) -> Rollback:
    """An item as a Rollback. Tolerant: unknown attributes are ignored, unknown values read as absent."""
    # A phase of a newer version is not taken for a fresh start: it is only watched.
    values: dict[str, Any] = {"phase": Phase.VERIFYING, "trigger_kind": TriggerKind.SNS}
    for name, read in _READERS.items():
        found = item.get(stored_name(name))
        if found is None:
            continue
        try:
            values[name] = read(found)
        except (ValueError, TypeError, KeyError):
            continue
    # A signal came, at the latest, when it opened the rollback.
    values.setdefault("signal_at", values.get("opened_at"))
    return Rollback(**values)


def _read_candidates(rows: list[Mapping[str, Any]]) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(
            row["deployment_id"],
            row.get("revision", ""),
            parse_iso(row["created_at"]),
            Rejection(row["rejection"]) if row.get("rejection") else None,
            row.get("explanation", ""),
        )
        for row in rows
    )


_BY_TYPE: dict[Any, Callable[[Any], Any]] = {
    str: str,
    bool: bool,
    int: int,
    datetime: parse_iso,
    datetime | None: parse_iso,
    Phase: Phase,
    Outcome | None: Outcome,
    Reason | None: Reason,
    ComputePlatform | None: ComputePlatform,
    TriggerKind: TriggerKind,
    Controller: Controller,
    tuple[str, ...]: tuple,
    Mapping[str, str]: dict,
    tuple[Candidate, ...]: _read_candidates,
}
_READERS = {name: _BY_TYPE[kind] for name, kind in get_type_hints(Rollback).items()}


def read_controls(rows: Iterable[Mapping[str, Any]], now: datetime) -> Controls:
    """A deployment group's partition as Controls."""
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_kind.setdefault(str(row["sk"]).split("#", 1)[0], []).append(row)
    bad = by_kind.get("BAD", [])
    return Controls(
        pause_group=next((_pause(row) for row in by_kind.get("PAUSE", [])), None),
        mode=next((_mode(row, now) for row in by_kind.get("MODE", [])), None),
        floor=next((_floor(row) for row in by_kind.get("FLOOR", [])), None),
        cleared_floors=frozenset(str(row["sk"]).split("#", 1)[1] for row in by_kind.get("FLOOR_CLEARED", [])),
        known_bad={row["revision"]: row.get("explanation", "") for row in bad if not row.get("marked_good_at")},
        known_bad_since={row["revision"]: parse_iso(row["marked_bad_at"]) for row in bad if row.get("marked_bad_at")},
        marked_good=frozenset(row["revision"] for row in bad if row.get("marked_good_at")),
        past=tuple(_past(row) for row in by_kind.get("PAST", [])),
    )


def _pause(row: Mapping[str, Any]) -> Pause | None:
    if row.get("resumed_at"):
        return None
    until = parse_iso(row["until"]) if row.get("until") else None
    return Pause(row.get("explanation", ""), row.get("requested_by", ""), until)


def _mode(row: Mapping[str, Any], now: datetime) -> Mode | None:
    if row.get("until") and parse_iso(row["until"]) <= now:
        return None
    # A mode that this version does not know must not be read as acting by itself.
    return Mode(row["mode"]) if row.get("mode") in set(Mode) else Mode.OBSERVE


def _floor(row: Mapping[str, Any]) -> Floor | None:
    if row.get("cleared_at"):
        return None
    return Floor(row["deployment_id"], parse_iso(row["created_at"]), row.get("explanation", ""))


def _past(row: Mapping[str, Any]) -> PastRollback:
    closed = parse_iso(str(row["sk"]).split("#", 2)[1])
    outcome = Outcome(row["outcome"]) if row.get("outcome") in set(Outcome) else Outcome.FAILED
    return PastRollback(row.get("rollback_id", ""), closed, outcome, row.get("rollback_deployment_id", ""))


def _rolled_away(rollback: Rollback) -> tuple[str, ...]:
    if rollback.outcome not in {Outcome.ROLLED_BACK, Outcome.FAILED}:
        return ()
    return tuple(i for i in rollback.suspect_revisions if i and i != rollback.good_revision)


def _changes(before: Rollback, after: Rollback) -> tuple[dict[str, Any], list[str]]:
    old, new = to_item(before), to_item(after)
    return {k: v for k, v in new.items() if old.get(k) != v}, [k for k in old if k not in new]


def _pk(rollback_id: str) -> str:
    return f"ROLLBACK#{rollback_id}"


def _group_pk(group: DeploymentGroup) -> str:
    return f"GROUP#{group.key}"


def _bad_sk(identity: str) -> str:
    return "BAD#" + hashlib.sha256(identity.encode()).hexdigest()[:32]


def _conditional(condition: str | None) -> dict[str, str]:
    if condition is None:
        return {}
    return {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def _marshal(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _encode(value) for name, value in item.items()}


def _unmarshal(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _decode(value) for name, value in item.items()}
