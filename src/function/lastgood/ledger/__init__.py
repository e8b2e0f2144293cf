"""The audit table: every rollback, every step, the locks, and what operators and past rollbacks left for the future.

One table, partition key `pk`, sort key `sk`:

| pk | sk | what it is |
|---|---|---|
| `ROLLBACK#<id>` | `META` | the rollback itself, changed only under its `version` |
| `ROLLBACK#<id>` | `STEP#<nnnn>` | one step: an intent, a result, a decision; written once |
| `ROLLBACK#<id>` | `SIGNAL#<key>` | another signal that joined this rollback, with the one it would have opened |
| `GROUP#<group key>` | `LOCK` | which rollback is open; absent attribute: none |
| `GROUP#<group key>` | `PAST#<time>#<id>` | a rollback that acted, for cooldown and limits |
| `GROUP#<group key>` | `BAD#<hash>` | a known-bad revision and its content; `marked_good_at` takes it back |
| `GROUP#<group key>` | `MODE`, `PAUSE`, `FLOOR`, `FLOOR_CLEARED#<deployment>` | what an operator set |
| `GROUP#<group key>` | `RELEASE#<time>#<deployment>` | the notebook: what a release contained and when it served |
| `CONTROL` | `PAUSE` | the pause of everything |
| `CONTROL` | `OPENED#<time>#<group>` | a group in alarm, for the storm brake; not if `unfounded_at` is there |
| `CONTROL` | `DRILL` | when the last drill was, and what it found |
| `CONTROL` | `STORM` | which rollback told people of the storm, and until when no other does |
| `CONTROL` | `RELEASE#<hash>#<kind>` | the same for the release of several groups |
| `CONTROL` | `UNFOUNDED#<number>` | how many notices of signals that led nowhere a storm window had |
| `WATCH` | `<until>#<id>` | an alarm that is looked at again: after a rollback, or after a release that met it firing |

A group's key is `<application>/<group>`, `ecs:<cluster>/<service>` where ECS itself deploys, or
`pipeline:<name>/<stage>`.

`codec` turns a rollback and its steps into items and back, `items` completes them, `closing` is what an end writes,
`controls` what operators left, `notebook` the releases, `watches` the watched alarms, `told` which notices speak for
others; `dynamo` is the only module that calls DynamoDB.

Indexes: `by_deployment_group` (`deployment_group_key`, `opened_at`), `by_day` (`day`, `opened_at`), and `open`
(`open_key`, `next_check_at`), which holds a rollback only while the sweep has something to do for it. Times are
ISO-8601 in UTC with milliseconds and `Z`; `expires_at` alone is in epoch seconds, as DynamoDB's TTL wants it. Nothing
is ever deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lastgood.errors import LostLeaseError
from lastgood.ledger.closing import Closing
from lastgood.ledger.codec import changes, read_rollback, readable, stored_name, to_item
from lastgood.ledger.controls import bad_sk, group_pk, read_common, read_controls, text_of
from lastgood.ledger.dynamo import Table
from lastgood.ledger.items import OPEN_KEY, Items, Kind, Step, rollback_pk
from lastgood.ledger.notebook import RELEASE, Notebook
from lastgood.ledger.told import Told
from lastgood.ledger.watches import WATCH_PK, Watch, read_watches
from lastgood.model import Controls, DeploymentGroup, Rollback, follow_up_due, notices_due, seconds_of
from lastgood.times import iso

__all__ = [
    "LEASE_MARGIN",
    "OPEN_KEY",
    "Busy",
    "Claim",
    "Duplicate",
    "Kind",
    "Ledger",
    "Lock",
    "Opened",
    "Step",
    "Watch",
    "read_rollback",
    "stored_name",
    "to_item",
]

LEASE_MARGIN = timedelta(seconds=30)
"""The clocks of two hosts may differ by this much without a lease being misjudged."""


LONGEST_LEASE = timedelta(minutes=20)
"""An invocation takes at most fifteen minutes (Lambda's quotas)."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The group is claimed for the rollback, which is written."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The rollback was opened before: the same message has come again."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Another rollback holds the group."""

    rollback_id: str


type Claim = Opened | Duplicate | Busy
"""How an attempt to open a rollback ended."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Which rollback holds a deployment group, and which held it last; empty where there is none."""

    open_rollback_id: str = ""
    last_rollback_id: str = ""


class Ledger:
    """The audit table, through one DynamoDB client."""

    def __init__(self, client: Any, table: str, retention: timedelta) -> None:
        self._table = Table(client, table)
        self._items = Items(retention)
        self.notebook = Notebook(self._table, retention)
        self.told = Told(self._table)

    # --- opening ------------------------------------------------------------------------------------------------------

    def open(self, rollback: Rollback, step: Step, *, counts_for_storm: bool) -> Claim:
        """Claim the deployment group for a rollback, atomically: its record, its first step, the group's lock.

        The rollback's id follows from the transition of the alarm that it answers, so a second delivery finds it there.
        """
        opened = iso(rollback.opened_at)
        items = [
            self._table.put(self._items.head(rollback), "attribute_not_exists(pk)"),
            self._table.update(
                group_pk(rollback.group),
                "LOCK",
                "SET open_rollback_id = :id, locked_at = :at",
                "attribute_not_exists(open_rollback_id)",
                {":id": rollback.rollback_id, ":at": opened},
            ),
            self._table.put(self._items.step(rollback.rollback_id, 1, step)),
        ]
        if counts_for_storm:
            items.append(self._table.put(self._items.counted(rollback)))
        reasons = self._table.transact(items)
        if reasons is None:
            return Opened()
        if reasons[0]:
            return Duplicate()
        return Busy(text_of(reasons[1], "open_rollback_id"))

    def freed(self, group: DeploymentGroup, missing_id: str) -> bool:
        """Remove a lock that names a rollback which does not hold it. False if it no longer names that one."""
        change, values = "REMOVE open_rollback_id", {":id": missing_id, ":text": "S"}
        # What is no text names nothing either.
        names_it = "open_rollback_id = :id OR NOT attribute_type(open_rollback_id, :text)"
        held = f"attribute_exists(open_rollback_id) AND ({names_it})"
        return self._table.change(group_pk(group), "LOCK", change, held, values) is not None

    def record(self, rollback: Rollback, step: Step) -> bool:
        """Write a rollback that is closed from the start: it never held the group's lock. False if it is there."""
        head = self._table.put(self._items.head(rollback), "attribute_not_exists(pk)")
        return self._table.transact([head, self._table.put(self._items.step(rollback.rollback_id, 1, step))]) is None

    def join(self, holder: str, key: str, rollback: Rollback, now: datetime) -> None:
        """Note that another signal joined the rollback `holder`, with the rollback that it would have opened."""
        self._table.put_item(self._items.joined(holder, key, rollback, now))

    def joined(self, holder: str) -> list[tuple[str, Rollback]]:
        """The signals that joined a rollback: the key of each, and the rollback that it would have opened."""
        rows = self._table.query(rollback_pk(holder), low="SIGNAL#", high="SIGNAL#~")
        # Items of older versions hold no rollback.
        rollbacks = ((str(row.get("signal_key", "")), readable(row)) for row in rows)
        return [(key, rollback) for key, rollback in rollbacks if rollback]

    # --- advancing ----------------------------------------------------------------------------------------------------

    def load(self, rollback_id: str) -> Rollback | None:
        """A rollback as it is now; None if there is none with that id, or what has it can be no rollback."""
        return readable(self._table.get(rollback_pk(rollback_id), "META"), rollback_id)

    def lease(self, rollback_id: str, owner: str, until: datetime, now: datetime) -> Rollback | None:
        """Take the right to advance a rollback, and load it. None if another invocation holds it.

        The lease outlives its holder's deadline, so nobody acts beside a holder who may still be in a call.
        """
        item = self._table.change(
            rollback_pk(rollback_id),
            "META",
            "SET lease_owner = :owner, lease_until = :until ADD version :one",
            # A lease that no invocation can need so long, or that ends at no time, was not written by us.
            "attribute_type(version, :number) AND (attribute_not_exists(lease_owner) OR lease_owner = :owner "
            "OR lease_owner = :none OR NOT attribute_type(lease_until, :text) OR lease_until < :now "
            "OR lease_until > :longest)",
            {":owner": owner, ":until": iso(until + LEASE_MARGIN), ":one": 1, ":now": iso(now), ":none": ""}
            | {":longest": iso(now + LONGEST_LEASE), ":number": "N", ":text": "S"},
        )
        return readable(item, rollback_id)

    def write(
        self,
        before: Rollback,
        after: Rollback,
        steps: Iterable[Step],
        *,
        next_check_at: datetime | None = None,
        extra: Iterable[dict[str, Any]] = (),
    ) -> Rollback:
        """Write what changed, with its steps, if no one else wrote in between. Raises LostLeaseError otherwise.

        Only changed attributes are set, so attributes that a newer version wrote survive.
        """
        steps = list(steps)
        version, count = before.bookkeeping.version, before.bookkeeping.step_count
        after = after.changed(version=version + 1, step_count=count + len(steps))
        sets, removes = changes(before, after)
        if next_check_at is not None:
            sets |= {"open_key": OPEN_KEY, "next_check_at": iso(next_check_at)}
        elif not after.open and not notices_due(after) and follow_up_due(after) is None:
            removes += ["open_key", "next_check_at"]
        known = seconds_of(before)
        sets |= {f"seconds_to_{name}": span for name, span in seconds_of(after).items() if known.get(name) != span}
        items = [self._table.set(rollback_pk(after.rollback_id), "META", sets, removes, "version = :expected", version)]
        for number, step in enumerate(steps, start=count + 1):
            items.append(self._table.put(self._items.step(after.rollback_id, number, step), "attribute_not_exists(pk)"))
        extra = list(extra)
        reasons = self._table.transact_many([*items, *extra])
        if reasons is None:
            return after
        if not reasons[0] and any(reasons[1 : len(items)]):
            # Somebody else wrote a step under one of these numbers: ours come after it.
            counted = before.changed(step_count=self._last_step(after.rollback_id))
            return self.write(counted, after, steps, next_check_at=next_check_at, extra=extra)
        raise LostLeaseError(f"{after.rollback_id} was advanced by another invocation")

    def _last_step(self, rollback_id: str) -> int:
        numbers = (str(step["sk"]).partition("#")[2] for step in self.steps(rollback_id))
        return max(int(number) for number in numbers if number.isdecimal() and len(number) < 10)

    def note_recovery(self, rollback: Rollback, at: datetime) -> None:
        """Record the recovery without taking the lease: the version stays as it is."""
        recovered = rollback.changed(alarm_recovered_at=at)
        # Nothing is changed where it was noted before, or where there is no such rollback.
        self._table.change(
            rollback_pk(rollback.rollback_id),
            "META",
            "SET alarm_recovered_at = :at, seconds_to_recover = :seconds",
            "attribute_exists(pk) AND attribute_not_exists(alarm_recovered_at)",
            {":at": iso(at), ":seconds": seconds_of(recovered).get("recover", 0)},
        )

    def closing(
        self,
        rollback: Rollback,
        *,
        acted: bool,
        watch_until: datetime | None,
        pauses_group: bool = False,
        unfounded: bool = False,
        holds_lock: bool = True,
    ) -> list[dict[str, Any]]:
        """The writes that go with a rollback's end: its lock is removed, if it holds it, and what it did is remembered.

        An `unfounded` alarm no longer counts towards a storm.
        """
        ends = Closing(self._table, self._items, rollback)
        writes = [ends.lock_goes()] if holds_lock else []
        if acted:
            writes.append(ends.memory())
        if unfounded and rollback.trigger.alarm_name:
            writes.append(ends.uncounted())
        if watch_until is not None:
            writes.append(ends.watched(watch_until))
        if pauses_group:
            writes.append(ends.pause())
        return [*writes, *ends.known_bad()] if acted else writes

    # --- what applies to a deployment group ---------------------------------------------------------------------------

    def controls(self, group: DeploymentGroup, now: datetime) -> Controls:
        """Everything that operators and past rollbacks left for this group. One consistent query of its partition.

        The notebook of its releases is at the end of the partition, and is not read here.
        """
        return read_controls(self._table.query(group_pk(group), low="A", high=RELEASE), now)

    def common(self, now: datetime, storm_window: timedelta) -> Controls:
        """The pause of everything, and which groups an alarm opened a rollback for within the window."""
        low = f"OPENED#{iso(now - storm_window)}"
        return read_common(self._table.query("CONTROL", low=low, high="PAUSE"), now)

    def set_control(self, group: DeploymentGroup | None, name: str, attributes: Mapping[str, Any]) -> None:
        """Write one of an operator's items: `PAUSE`, `MODE`, `FLOOR`, …; the group None stands for everything."""
        pk = group_pk(group) if group else "CONTROL"
        self._table.put_item({"pk": pk, "sk": name, **{k: v for k, v in attributes.items() if v not in (None, "")}})

    def last_drill(self) -> dict[str, Any]:
        """What the last drill noted; empty where there was none."""
        return self._table.get("CONTROL", "DRILL") or {}

    def mark_revision(
        self,
        group: DeploymentGroup,
        identity: str,
        *,
        good: bool,
        by: str,
        why: str,
        now: datetime,
        content: str = "",
    ) -> None:
        """Remember a revision as known bad, with its content where that is known; or take that back."""
        change = (
            "SET revision = :revision, explanation = :why, requested_by = :by, marked_good_at = :at"
            if good
            else "SET revision = :revision, explanation = :why, requested_by = :by, marked_bad_at = :at, "
            "revision_content = :content REMOVE marked_good_at"
        )
        values = {":revision": identity, ":why": why, ":by": by, ":at": iso(now)}
        values |= {} if good else {":content": content}
        self._table.change(group_pk(group), bad_sk(identity), change, None, values)

    def lock(self, group: DeploymentGroup) -> Lock:
        """Which rollback holds the group, and which held it last."""
        item = self._table.get(group_pk(group), "LOCK") or {}
        return Lock(text_of(item, "open_rollback_id"), text_of(item, "last_rollback_id"))

    # --- the sweep's work ---------------------------------------------------------------------------------------------

    def due(self, now: datetime, limit: int = 50) -> list[str]:
        """Open rollbacks (and closed ones with a notice still to send) whose next check has come."""
        condition, values = "open_key = :key AND next_check_at <= :now", {":key": OPEN_KEY, ":now": iso(now)}
        items = self._table.query_index("open", condition, values, limit)
        return [str(item["pk"]).removeprefix(rollback_pk("")) for item in items]

    def put_off(self, rollback_id: str, until: datetime) -> None:
        """Let others have their turn first: a rollback whose visits all fail must not crowd them out."""
        change, values = "SET next_check_at = :until", {":until": iso(until)}
        self._table.change(rollback_pk(rollback_id), "META", change, "attribute_exists(open_key)", values)

    def watch(self, watch: Watch) -> None:
        """Have the sweep look at an alarm. The same watch twice is one, and a settled one stays settled."""
        self._table.transact([self._table.put(self._items.watch(watch), "attribute_not_exists(pk)")])

    def watched(self, now: datetime) -> list[Watch]:
        """The alarms that are watched. Settled ones are left out."""
        return read_watches(self._table.query(WATCH_PK, low=iso(now - timedelta(days=1)), high="9999"))

    def settle(self, watch: Watch, now: datetime) -> None:
        """The watched alarm recovered, or its time is over."""
        self._table.change(WATCH_PK, watch.key, "SET settled_at = :at", None, {":at": iso(now)})

    def steps(self, rollback_id: str) -> list[dict[str, Any]]:
        """A rollback's steps in order, as plain dictionaries."""
        return self._table.query(rollback_pk(rollback_id), low="STEP#", high="STEP#~")
