"""What an alarm's message says, over whichever way it comes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lastgood.model import AlarmState
from lastgood.signals import Home
from reading import TAGS, alarm, in_queue, load, refusal, sns

CONTRIBUTOR = {"id": "6d442278dba546f6", "attributes": {"host": "a"}}


def contributor(way: str, state: str) -> Any:
    """What one time series of an alarm over many sends when it goes into a state."""
    if way.startswith("s"):
        attributes = None if way.endswith("without attributes") else CONTRIBUTOR["attributes"]
        event = sns(NewStateValue=state, AlarmContributorId=CONTRIBUTOR["id"], AlarmContributorAttributes=attributes)
        return in_queue(event["Records"][0]["Sns"]) if way == "sqs" else event
    event = load("alarm-to-lambda" if way == "lambda" else "alarm-eventbridge")
    body = event["alarmData" if way == "lambda" else "detail"]
    body["state"]["value"] = state
    if way == "unnamed":
        return event | {"detail-type": "CloudWatch Alarm Contributor State Change"}
    body["alarmContributor"] = CONTRIBUTOR
    return event


class TestAlarms:
    def test_an_alarm_over_sns_tells_what_changed_where_and_when(self) -> None:
        signal = alarm(load("alarm-in-alarm"))
        assert signal.changed_at == datetime(2026, 3, 2, 10, 4, 12, 345000, tzinfo=UTC)
        assert signal.key == "arn:aws:cloudwatch:us-east-1:123456789012:alarm:shop-prod-error-rate@1772445852345"
        assert signal.message_id == "95df01b4-ee98-5cb9-9903-4c221d41eb5e"

    def test_signals_can_be_kept_in_a_set(self) -> None:
        assert len({alarm(load("alarm-in-alarm")), alarm(load("alarm-in-alarm"))}) == 1

    @pytest.mark.parametrize(
        "time",
        [
            "2026-03-02T10:04:12.345+0000",
            "2026-03-02T10:04:12.345Z",
            "2026-03-02T12:04:12.345+02:00",
            "2026-03-02T10:04:12.345999+00:00",
        ],
    )
    def test_a_time_may_be_written_in_any_iso_way_and_gives_the_same_key(self, time: str) -> None:
        assert alarm(sns(StateChangeTime=time)).key == alarm(load("alarm-in-alarm")).key

    @pytest.mark.parametrize(
        "name",
        [
            "shop/prod: 5xx (p99) > 1 %",
            " a space before, and after ",
            "größe, Größe, e\u0301",
            "<app>-[prod]-*?",
            "\\back\\slash \"quoted\" 'twice'",
            "arn:aws:cloudwatch:us-east-1:123456789012:alarm:another",
            "\U0001f469\u200d\U0001f680 \U0001f1e9\U0001f1ea",
            "\u0634\u062d\u0646\u200f \u05d7\u05e0\u05d5\u05ea\u200e",
            "x" * 255,
        ],
    )
    @pytest.mark.parametrize("way", ["alarm-in-alarm", "alarm-eventbridge", "alarm-to-lambda"])
    def test_a_name_of_any_characters_is_kept_whole_whatever_way_it_comes(self, name: str, way: str) -> None:
        found = alarm(renamed(way, name))
        assert (found.alarm_name, found.alarm_arn.split(":", 6)[6]) == (name, name)

    @pytest.mark.parametrize(
        "name", ["tab\t", "line\n", "\u2028", "\u202eexe", "zero\u200bwidth", "\x7f", "x" * 256, " "]
    )
    @pytest.mark.parametrize("way", ["alarm-in-alarm", "alarm-eventbridge", "alarm-to-lambda"])
    def test_a_name_that_could_deceive_or_that_cloudwatch_does_not_allow_is_refused_in_words(
        self, name: str, way: str
    ) -> None:
        told = refusal(renamed(way, name))
        assert (told.code, told.rejected) == ("bad_field", True) and told.message.startswith("The alarm's name")

    @pytest.mark.parametrize(
        ("partition", "region"),
        [
            ("aws-us-gov", "us-gov-west-1"),
            ("aws-cn", "cn-northwest-1"),
            ("aws-eusc", "eusc-de-east-1"),
            ("aws-iso-b", "us-isob-east-1"),
        ],
    )
    @pytest.mark.parametrize("way", ["alarm-in-alarm", "alarm-eventbridge", "alarm-to-lambda"])
    def test_an_alarm_of_any_partition_is_read_at_home(self, partition: str, region: str, way: str) -> None:
        text = json.dumps(load(way)).replace("arn:aws:", f"arn:{partition}:").replace("us-east-1", region)
        found = alarm(json.loads(text), Home("123456789012", region))
        assert found.alarm_arn.startswith(f"arn:{partition}:cloudwatch:{region}:123456789012:alarm:")

    @pytest.mark.parametrize(
        "tags",
        [
            TAGS,
            [{"Key": key, "Value": value} for key, value in TAGS.items()],
            [{"key": key, "value": value} for key, value in TAGS.items()],
            [{"KEY": key, "VALUE": value} for key, value in TAGS.items()],
        ],
    )
    def test_tags_come_as_a_map_or_as_pairs(self, tags: object) -> None:
        assert alarm(sns(AlarmTags=tags)).tags == TAGS

    def test_no_tags_and_an_empty_list_of_tags_are_two_things(self) -> None:
        assert alarm(sns(AlarmTags=None, AlarmTagsStatus=None)).tags is None
        assert alarm(sns(AlarmTags=[])).tags == {}

    @pytest.mark.parametrize(
        "tags",
        [
            "shop",
            7,
            {"lastgood:application": 7},
            [["a", "b"]],
            [{"Key": "a"}],
            [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}],
        ],
    )
    def test_malformed_tags_count_as_not_sent(self, tags: object) -> None:
        assert alarm(sns(AlarmTags=tags)).tags is None

    def test_tags_that_cloudwatch_could_not_read_in_full_count_as_not_sent(self) -> None:
        assert alarm(sns(AlarmTagsStatus="FAILED")).tags is None

    @pytest.mark.parametrize("place", ["top", "alarmData"])
    def test_a_lambda_action_carries_its_tags_too(self, place: str) -> None:
        event = load("alarm-to-lambda")
        (event if place == "top" else event["alarmData"])["alarmTags"] = TAGS
        assert alarm(event).tags == TAGS

    def test_an_eventbridge_alarm_carries_its_tags_in_the_detail(self) -> None:
        event = load("alarm-eventbridge")
        event["detail"] |= {"alarmTags": TAGS, "alarmTagsStatus": "SUCCESS"}
        assert alarm(event).tags == TAGS

    @pytest.mark.parametrize(
        ("trigger", "seconds"),
        [
            ({"Period": 60, "EvaluationPeriods": 3}, 180),
            ({"Period": 60}, 0),
            ({"Period": "60", "EvaluationPeriods": 3}, 0),
            ({"Period": True, "EvaluationPeriods": 3}, 0),
            ({"Period": -60, "EvaluationPeriods": 3}, 0),
            ({"Period": 999_999_999, "EvaluationPeriods": 999_999_999}, 604_800),
            ({"EvaluationPeriods": 2, "Metrics": [{"MetricStat": {"Period": 300}}, {"Period": 60}]}, 600),
            ({"EvaluationPeriods": 2, "Metrics": [None, {"MetricStat": None}]}, 0),
            ({"EvaluationPeriods": 2, "Metrics": 7}, 0),
            ("trigger", 0),
        ],
    )
    def test_how_far_back_an_alarm_looks_is_read_or_unknown(self, trigger: object, seconds: int) -> None:
        assert alarm(sns(Trigger=trigger)).evaluation_seconds == seconds

    def test_a_reason_is_made_harmless_and_cut(self) -> None:
        reason = alarm(sns(NewStateReason="\x1b[31mred\x1b[0m\r\nline" + "x" * 2000)).state_reason
        assert reason.startswith("\ufffd[31mred\ufffd[0m  line")
        assert len(reason) == 1000 and reason.endswith("…")

    def test_a_suppressed_alarm_that_is_ok_still_tells_that_it_recovered(self) -> None:
        event = load("alarm-eventbridge")
        event["detail"]["state"] |= {"value": "OK", "actionsSuppressedBy": "Alarm"}
        assert alarm(event).state is AlarmState.OK

    def test_one_time_series_of_an_alarm_over_many_counts_as_the_alarm(self) -> None:
        event = load("alarm-eventbridge") | {"detail-type": "CloudWatch Alarm Contributor State Change"}
        event["detail"]["alarmContributor"] = {"id": "6d442278dba546f6", "attributes": {"host": "a"}}
        assert alarm(event).alarm_name == "shop-prod-error-rate"

    @pytest.mark.parametrize("way", ["sns", "sqs", "lambda", "eventbridge"])
    def test_one_time_series_that_fires_is_a_signal_of_its_own_however_it_comes(self, way: str) -> None:
        found = alarm(contributor(way, "ALARM"))
        assert (found.contributor, found.attributes) == (CONTRIBUTOR["id"], CONTRIBUTOR["attributes"])
        assert found.key != replace(found, contributor="").key
        assert found.key != replace(found, contributor="another").key

    def test_attributes_that_could_deceive_a_reader_are_left_out(self) -> None:
        hostile = {"host": "a", "evil": "a\u202eb", "number": 7, "long": "x" * 256}
        assert alarm(sns(AlarmContributorId="1", AlarmContributorAttributes=hostile)).attributes == {"host": "a"}
        assert alarm(sns(AlarmContributorId="1", AlarmContributorAttributes=["host"])).attributes == {}

    @pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA"])
    @pytest.mark.parametrize("way", ["sns", "sns without attributes", "sqs", "lambda", "eventbridge", "unnamed"])
    def test_one_time_series_that_recovers_says_nothing_about_the_others(self, way: str, state: str) -> None:
        found = refusal(contributor(way, state))
        assert (found.code, found.rejected) == ("contributor_recovered", False)

    @pytest.mark.parametrize("nothing", [{"AlarmContributorId": None}, {"AlarmContributorAttributes": None}, {}])
    def test_an_alarm_that_names_no_time_series_recovers_as_a_whole(self, nothing: dict[str, None]) -> None:
        event = load("alarm-ok")
        record = event["Records"][0]["Sns"]
        record["Message"] = json.dumps(json.loads(record["Message"]) | nothing)
        assert alarm(event).state is AlarmState.OK


class TestOnset:
    """When the breach began, from the reason data of the ways that carry them."""

    @pytest.mark.parametrize(("name", "body"), [("alarm-to-lambda", "alarmData"), ("alarm-eventbridge", "detail")])
    def test_a_message_with_datapoints_tells_when_the_breach_began(self, name: str, body: str) -> None:
        event = load(name)
        state = event[body]["state"]
        state["reasonData"] = load("alarm-to-lambda")["alarmData"]["state"]["reasonData"]
        state["timestamp"] = "2026-03-02T10:04:12.345+0000"
        onset = alarm(event).onset
        assert onset is not None
        assert (onset.at, onset.measured) == (datetime(2026, 3, 2, 10, 2, tzinfo=UTC), True)

    def test_datapoints_of_another_time_than_the_change_are_not_believed(self) -> None:
        event = load("alarm-to-lambda")
        event["alarmData"]["state"]["timestamp"] = "2026-03-02T09:04:12.345+0000"
        assert alarm(event).onset is None

    @pytest.mark.parametrize("data", [None, 7, "", "{", '{"version": "1.0", "queryDate": "2026-03-02T10:04:12Z"}'])
    def test_a_message_without_datapoints_tells_no_onset(self, data: object) -> None:
        event = load("alarm-to-lambda")
        event["alarmData"]["state"]["reasonData"] = data
        assert alarm(event).onset is None

    def test_sns_carries_no_datapoints(self) -> None:
        assert alarm(load("alarm-in-alarm")).onset is None


def renamed(way: str, name: str) -> Any:
    """An example of an alarm's message or event, for an alarm of another name."""
    event = load(way)
    if way == "alarm-in-alarm":
        envelope = event["Records"][0]["Sns"]
        body = json.loads(envelope["Message"])
        arn = body["AlarmArn"].rpartition(":")[0]
        envelope["Message"] = json.dumps(body | {"AlarmName": name, "AlarmArn": f"{arn}:{name}"})
        return event
    about = event.get("detail") or event["alarmData"]
    about["alarmName"] = name
    if "resources" in event:
        event["resources"] = [f"{event['resources'][0].rpartition(':')[0]}:{name}"]
    else:
        event["alarmArn"] = f"{event['alarmArn'].rpartition(':')[0]}:{name}"
    return event
