"""CloudWatch alarms: what their state is now, and where their tags lead. A message's own words are never enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lastgood import evidence
from lastgood.alarm_facts import changed_at_of, facts_of, silenced_by
from lastgood.alarm_history import history_of, rested_without_data, still_means_the_same, was_taken
from lastgood.clients import call
from lastgood.errors import LastgoodError, RefusedError
from lastgood.model import AlarmFacts, AlarmHistory, AlarmPlace, AlarmState, Onset, name_of
from lastgood.reason_data import parse_reason_data, triggering_alarms

MOST_CHILDREN = 100
"""DescribeAlarms takes this many names in one call."""

DEFAULT_PAGE = 50
"""As many alarms DescribeAlarms returns where it is not asked for more (API reference, `MaxRecords`)."""

CHILD_AFTER = timedelta(minutes=1)
"""A composite alarm changes with the alarm that makes it fire; their times may differ by this much either way."""

HISTORY_KEPT = timedelta(days=30)
"""CloudWatch keeps an alarm's history for about this long."""

MOST_HISTORY_PAGES = 2
"""If an alarm changed more than 200 times, older changes are not read."""

MOST_FIRING_PAGES = 5
"""At most 500 firing alarms are searched for those that began a moment ago."""

MOST_PAGES = 10
"""At most this many pages are read until one holds an alarm."""

MOST_FIRING = 50
"""When a release comes, at most this many firing alarms are looked at."""


@dataclass(frozen=True, slots=True)
class FiringAlarm:
    """An alarm that is in ALARM now, and since when; for an alarm over many time series, one of its firing series."""

    name: str
    arn: str
    changed_at: datetime
    contributor: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def alarm_name(self) -> str:
        """Its name, as a signal has it."""
        return self.name

    @property
    def alarm_arn(self) -> str:
        """Its ARN, as a signal has it."""
        return self.arn


class Alarms:
    """CloudWatch, read only. An alarm is given by its ARN; a bare name is one of the function's own region."""

    def __init__(
        self, client: Any, elsewhere: Callable[[AlarmPlace], Any] | None = None, regions: Iterable[str] = ()
    ) -> None:
        """`client` is for the function's own region, `elsewhere` finds the clients for the other `regions`."""
        self._client = client
        self._elsewhere = elsewhere
        self.regions = ("", *regions)
        """The regions whose alarms are accepted; the empty name is the function's own."""

    def _at(self, alarm: str) -> Any:
        """The client for the alarm's region: an alarm of the same name in another region is another alarm."""
        return self._client_at(AlarmPlace.of(alarm))

    def _client_at(self, place: AlarmPlace) -> Any:
        return self._elsewhere(place) if self._elsewhere else self._client

    def read(self, alarm: str, evidence_at: datetime | None = None, contributor: str = "") -> AlarmFacts | None:
        """An alarm of any type as it is now; None if there is none of that name.

        With `evidence_at` (the time now) the metric of an alarm that is not OK is read as well. For an alarm over many
        time series, `contributor` is the series that is meant.
        """
        client = self._at(alarm)
        raw_alarms = described(client, [name_of(alarm)])
        if not raw_alarms:
            return None
        facts = facts_of(raw_alarms[0])
        if contributor and facts.state is AlarmState.ALARM:
            facts = self._of_one(alarm, facts, contributor)
        if evidence_at is not None and facts.state is not AlarmState.OK:
            facts = replace(facts, doubt=evidence.doubt(client, raw_alarms[0], evidence_at))
        children = triggering_alarms(parse_reason_data(raw_alarms[0].get("StateReasonData")))
        if children and facts.state is AlarmState.ALARM:
            return replace(facts, onset=_onset_of_children(client, children, facts.changed_at))
        return facts

    def _of_one(self, alarm: str, facts: AlarmFacts, contributor: str) -> AlarmFacts:
        """The alarm with the state, the time and the attributes of one contributor.

        Where these cannot be read, by permission or by this botocore, the alarm's own time is used. Reason data exist
        for the alarm as a whole only, so a contributor's onset is counted back from when it fired.
        """
        listed_now = self.contributors(alarm)
        if listed_now is None:
            return facts
        series = next((firing for firing in listed_now if firing.contributor == contributor), None)
        if series is None:
            return replace(facts, state=AlarmState.OK, changed_at=None, onset=None, attributes={})
        return replace(facts, changed_at=series.changed_at, onset=None, attributes=series.attributes)

    def contributors(self, alarm: str) -> list[FiringAlarm] | None:
        """The time series in ALARM of an alarm over many; None where they may not or cannot be read."""
        client, name = self._at(alarm), name_of(alarm)
        if not hasattr(client, "describe_alarm_contributors"):
            return None
        firing: list[FiringAlarm] = []
        more: dict[str, Any] = {}
        while True:
            try:
                answer = call(client, "describe_alarm_contributors", AlarmName=name, **more)
            except RefusedError:
                return None
            for contributor in answer.get("AlarmContributors", []):
                changed, attributes = changed_at_of(contributor), contributor.get("ContributorAttributes") or {}
                if changed is not None:
                    firing.append(FiringAlarm(name, alarm, changed, contributor["ContributorId"], attributes))
            if not answer.get("NextToken"):
                return firing
            more = {"NextToken": answer["NextToken"]}

    def history(self, alarm: str, since: datetime, now: datetime, contributor: str = "") -> AlarmHistory:
        """When an alarm (or its time series `contributor`) fired since then.

        Where that may not, or cannot be read right now, it is unknown; no error is raised.
        """
        items = self._history_items("StateUpdate", alarm, since, now, contributor)
        return AlarmHistory() if items is None else history_of(name_of(alarm), items)

    def acted_at(self, alarm: str, since: datetime, now: datetime, contributor: str = "") -> datetime | None:
        """When CloudWatch last took an action of the alarm since then; None where it took none, or that is unknown."""
        items = self._history_items("Action", alarm, since, now, contributor) or []
        return max((item["Timestamp"].astimezone(UTC) for item in items if was_taken(item)), default=None)

    def rested_without_data(self, alarm: str, fired: datetime, now: datetime, contributor: str = "") -> bool:
        """Whether an alarm that `fired` was OK without any datapoint before that, as one that counts errors mostly is.

        False where its history does not say so, or cannot be read.
        """
        items = self._history_items("StateUpdate", alarm, fired - HISTORY_KEPT, now, contributor) or []
        return rested_without_data(items, fired)

    def still_means_the_same(self, alarm: str, since: datetime, edited_at: datetime, now: datetime) -> bool:
        """Whether what was edited of an alarm since then left alone what OK means; False where that is unknown."""
        items = self._history_items("ConfigurationUpdate", alarm, since, now, "")
        return still_means_the_same(items or [], edited_at)

    def _history_items(
        self, kind: str, alarm: str, since: datetime, now: datetime, contributor: str
    ) -> list[Mapping[str, Any]] | None:
        """The items of one kind that DescribeAlarmHistory lists, newest first; None where that is unknown."""
        client, name = self._at(alarm), name_of(alarm)
        if contributor and not _knows_contributors(client):
            return None
        one: dict[str, Any] = {"AlarmContributorId": contributor} if contributor else {}
        items: list[Mapping[str, Any]] = []
        token: dict[str, Any] = {}
        try:
            for _ in range(MOST_HISTORY_PAGES):
                answer = call(
                    client,
                    "describe_alarm_history",
                    AlarmName=name,
                    AlarmTypes=types(client),
                    HistoryItemType=kind,
                    StartDate=since,
                    EndDate=now,
                    ScanBy="TimestampDescending",
                    MaxRecords=100,
                    **one,
                    **token,
                )
                items += (item for item in answer.get("AlarmHistoryItems", []) if item.get("Timestamp"))
                token = {"NextToken": answer["NextToken"]} if answer.get("NextToken") else {}
                if not token:
                    break
        except LastgoodError:
            return None
        return items

    def firing(self) -> list[FiringAlarm]:
        """The alarms that are in ALARM now and whose actions are not suppressed, in each accepted region."""
        firing = self._firing(self._client, MaxRecords=MOST_FIRING)[0]
        for region in self.regions[1:]:
            # A region that cannot be read must not hide the alarms of this one; the daily drill reports it.
            with suppress(LastgoodError):
                firing += self._firing(self._client_at(AlarmPlace(region=region)), MaxRecords=MOST_FIRING)[0]
        return firing

    def _firing(self, client: Any, **asked: Any) -> tuple[list[FiringAlarm], dict[str, Any]]:
        """A page of the alarms in ALARM, and the parameters that ask for the next page."""
        found, token = _page(client, 1, StateValue="ALARM", **asked)
        alarms = [
            FiringAlarm(name_of(alarm["AlarmArn"]), alarm["AlarmArn"], changed)
            for alarm in found
            if (changed := changed_at_of(alarm)) and alarm.get("AlarmArn") and not silenced_by(alarm)
        ]
        return alarms, token

    def fired_since(self, since: datetime, region: str = "") -> list[FiringAlarm]:
        """A region's alarms that went into ALARM since then; none where they may not, or cannot be read right now."""
        firing: list[FiringAlarm] = []
        token: dict[str, Any] = {}
        try:
            for _ in range(MOST_FIRING_PAGES):
                alarms, token = self._firing(self._client_at(AlarmPlace(region=region)), MaxRecords=100, **token)
                firing += [alarm for alarm in alarms if alarm.changed_at >= since]
                if not token:
                    break
        except LastgoodError:
            return firing
        return firing

    def tags(self, alarm_arn: str) -> dict[str, str]:
        """The alarm's tags, for routing; none if it is gone. Raises RefusedError where they may not be read."""
        try:
            answer = call(self._at(alarm_arn), "list_tags_for_resource", ResourceARN=alarm_arn)
        except RefusedError as error:
            if error.permission_denied:
                raise
            return {}
        return {tag["Key"]: tag["Value"] for tag in answer.get("Tags", [])}

    def known_tags(self, alarm_arn: str) -> dict[str, str]:
        """The alarm's tags; none where they may not be read: then only the routes say which group it is for."""
        try:
            return self.tags(alarm_arn)
        except RefusedError:
            return {}


def described(client: Any, names: list[str]) -> list[dict[str, Any]]:
    """Alarms of any type, as CloudWatch describes them."""
    # CloudWatch returns fifty unless it is asked for more, and any number of names gets one page.
    many: dict[str, Any] = {"MaxRecords": len(names)} if len(names) > DEFAULT_PAGE else {}
    return _page(client, len(names), AlarmNames=names, **many)[0]


def _page(client: Any, enough: int, **asked: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The alarms of a page, and the parameters that ask for the next one.

    A page may hold less than it could, or nothing, and have a token: then more are read until there are `enough`.
    """
    found: list[dict[str, Any]] = []
    token: dict[str, Any] = {}
    for _ in range(MOST_PAGES):
        answer = call(client, "describe_alarms", AlarmTypes=types(client), **{**asked, **token})
        found += listed(answer)
        token = {"NextToken": answer["NextToken"]} if answer.get("NextToken") else {}
        if not token or len(found) >= enough:
            break
    return found, token


def _knows_contributors(client: Any) -> bool:
    """Whether this botocore can ask for the history of one time series."""
    shape = client.meta.service_model.operation_model("DescribeAlarmHistory").input_shape
    return "AlarmContributorId" in shape.members


def _onset_of_children(client: Any, arns: Iterable[str], fired: datetime | None) -> Onset | None:
    """The onset of the alarm that made a composite one fire: the one that changed last before it.

    None if it cannot be read, is another composite alarm, or has changed again since.
    """
    names = sorted({arn.partition(":alarm:")[2] for arn in arns} - {""})[:MOST_CHILDREN]
    try:
        children = [facts_of(raw) for raw in described(client, names)] if names else []
    except LastgoodError:
        return None
    changes = [
        (child.changed_at, child)
        for child in children
        if child.state is AlarmState.ALARM
        and child.changed_at
        and (fired is None or child.changed_at <= fired + CHILD_AFTER)
    ]
    if not changes:
        return None
    changed, last = max(changes, key=lambda change: change[0])
    estimated = Onset.estimated(changed, last.period, last.datapoints) if last.period else None
    return last.onset or estimated


def types(client: Any) -> list[str]:
    """Every type of alarm that this botocore knows: CloudWatch returns only the types that are asked for."""
    return list(client.meta.service_model.shape_for("AlarmType").enum)


def listed(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The alarms of all types in an answer."""
    return [alarm for name, alarms in answer.items() if name.endswith("Alarms") for alarm in alarms]
