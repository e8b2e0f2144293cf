"""No event, however bad, raises, and a bad one leads to nothing but a Refusal that says why.

The numbers in the names are the rows of the table of bad input in docs/reliability.md. Rows that AWS must answer
(13, 21, 22, 23, 39) and the settings (42) are tested where those are read; 11, 12 and 38 in test_routing.py.
"""

from __future__ import annotations

import copy
import json
import os
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from docs_from_code import fault_figures
from lastgood.model import AlarmState
from lastgood.signals import ACTIONS, AlarmSignal, Home, OperatorRequest, Refusal, Signal, SweepSignal, parse
from lastgood.text import clean, is_plain, without_surrogates

EVENTS = {path.stem: json.loads(path.read_text()) for path in (Path(__file__).parents[3] / "events").glob("*.json")}
NOW = datetime(2026, 3, 2, 10, 12, tzinfo=UTC)
HOME = Home("123456789012", "us-east-1")
TOPIC = "arn:aws:sns:us-east-1:123456789012:lastgood-AlarmTopic"
HOSTILE = "a\r\nb\u2028c\u2029d\x1b[31me\u202ef\u200bg\x00h\x9bi\ufeffj"
GONE = object()


def load(name: str) -> Any:
    return copy.deepcopy(EVENTS[name])


def read(event: object, home: Home = HOME) -> Signal | Refusal:
    (result,) = parse(event, home, NOW)
    return result


def refused(event: object, code: str, *, rejected: bool = True, home: Home = HOME) -> Refusal:
    """The event is refused with this code, and whatever is told of it is harmless."""
    result = read(event, home)
    assert isinstance(result, Refusal), result
    assert (result.code, result.rejected) == (code, rejected), result
    assert all(is_plain(text.replace("\ufffd", "")) for text in (result.code, result.message, result.hint))
    return result


def accepted(event: object, home: Home = HOME) -> AlarmSignal:
    result = read(event, home)
    assert isinstance(result, AlarmSignal), result
    return result


def sns_text(text: object) -> Any:
    event = load("alarm-in-alarm")
    event["Records"][0]["Sns"]["Message"] = text
    return event


def message() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(EVENTS["alarm-in-alarm"]["Records"][0]["Sns"]["Message"])
    return found


def sns(**changes: object) -> Any:
    kept = {name: value for name, value in (message() | changes).items() if value is not GONE}
    return sns_text(json.dumps(kept))


def eventbridge(**changes: object) -> Any:
    event = load("alarm-eventbridge")
    event["detail"]["state"] |= changes
    return event


def largest(first: str, piece: str, last: str) -> str:
    """As many pieces as fit into the largest message; `{n}` in a piece is its number."""
    room = 262_144 - len(first) - len(last)
    if "{n}" not in piece:
        return first + piece * (room // len(piece)) + last + " " * (room % len(piece))
    text, n = [first], 0
    while room >= len(made := piece.replace("{n}", f"{n:x}")):
        text.append(made)
        room, n = room - len(made), n + 1
    return "".join([*text, last]) + " " * room


_ALARM = '{"AlarmName":"a","NewStateValue":"ALARM"'
LARGEST = {
    "many keys, the last one twice": largest("{", '"{n}":0,', '"z":0,"z":0}'),
    "many keys, the first one twice": largest("{", '"{n}":0,', '"0":0}'),
    "many objects, the last with a key twice": largest("[", '{"a":0},', '{"a":0,"a":0}]'),
    "many keys": largest(_ALARM, ',"{n}":0', "}"),
    "many numbers": largest(_ALARM + ',"x":[0', ",0", "]}"),
    "one long number": largest(_ALARM + ',"x":0.', "1", "}"),
    "one long whole number": largest(_ALARM + ',"x":', "1", "}"),
    "nesting": largest(_ALARM + ',"x":', '[{"a":', "0"),
    "many tags": largest(_ALARM + ',"AlarmTags":[{}', ',{"Key":"{n}","Value":""}', "]}"),
    "many metrics": largest(_ALARM + ',"Trigger":{"Metrics":[{}', ',{"Period":60}', "]}}"),
    "many escapes": largest(_ALARM + ',"NewStateReason":"', "\\ud800", '"}'),
    "a long name": largest('{"NewStateValue":"ALARM","AlarmName":"', "\\u202e", '"}'),
    "a long time": largest(_ALARM + ',"StateChangeTime":"', "2026-03-02T10:00:00", '"}'),
    "a long ARN": largest(_ALARM + ',"AlarmArn":"', "arn:aws:cloudwatch:", '"}'),
}


IN_A_LIST = ("0,", '"s",', '{"a":0},', "[0],", '{"Key":"{n}","Value":"{n}"},', '{"Period":60},', "null,")
IN_AN_OBJECT = ('"{n}":0,', '"{n}":{"a":[0]},', '"{n}":"x",', '"{n}":null,')
IN_A_TEXT = (
    "a", " ", "-", "1", "e9", "<", ">", "*", "shop-", "é", "2026-03-02T10:00:00", "arn:aws:cloudwatch:",
    "\\\\", "\\u202e", "\\ud800", "\\n", '\\"', "[", "{", '{\\"startDate\\":', "{n}",
)  # fmt: skip
PLACES = {
    **{f'"{name}":[': ("0]", IN_A_LIST) for name in ("x", "AlarmTags", "AlarmContributors")},
    '"Trigger":{"Metrics":[': ("{}]}", IN_A_LIST),
    **{
        f'"{name}":{{': ('"z":0}', IN_AN_OBJECT) for name in ("x", "AlarmTags", "AlarmContributorAttributes", "Trigger")
    },
    **{f'"{name}":"': ('"', IN_A_TEXT) for name in ("AlarmArn", "NewStateReason", "NewStateReasonData", "Region")},
    **{f'"{name}":"': ('"', IN_A_TEXT) for name in ("StateChangeTime", "AlarmContributorId", "AWSAccountId")},
}
"""Where in a message the fuzz puts what it makes: how the place ends, and what may be in it."""


@st.composite
def full_messages(draw: st.DrawFn) -> str:
    """Valid messages, filled up to what SNS carries with a few pieces again and again."""
    place = draw(st.sampled_from(sorted(PLACES)))
    end, pieces = PLACES[place]
    made = "".join(draw(st.lists(st.sampled_from(pieces), min_size=1, max_size=4)))
    return largest(f"{_ALARM},{place}", made, end + "}")


class TestShapes:
    @pytest.mark.parametrize("event", [None, [], "x", 5, {}, True, 1.5, float("nan"), {"a": 1}, [{}], object()])
    def test_row_1_an_unknown_shape_is_answered_with_those_that_are_known(self, event: object) -> None:
        found = refused(event, "unknown_event_shape")
        assert "events/manual-dry-run.json" in found.hint and "events/alarm-in-alarm.json" in found.hint

    @pytest.mark.parametrize("records", [None, [], {}, "x", 5])
    def test_row_2_records_must_be_a_list_with_something_in_it(self, records: object) -> None:
        refused({"Records": records}, "unknown_event_shape")

    @pytest.mark.parametrize("record", [None, [], "x", 5])
    def test_row_2_a_record_must_be_an_object(self, record: object) -> None:
        refused({"Records": [record]}, "unknown_event_shape")

    def test_row_3_every_record_is_read_by_itself(self) -> None:
        good, hello, ok = sns()["Records"], sns_text("Hello")["Records"], load("alarm-ok")["Records"]
        results = parse({"Records": [*hello, *good, None, *ok]}, HOME, NOW)
        assert [getattr(result, "state", getattr(result, "code", "")) for result in results] == [
            "not_json",
            AlarmState.ALARM,
            "unknown_event_shape",
            AlarmState.OK,
        ]

    @pytest.mark.parametrize("source", ["aws:s3", "aws:kinesis", "", None, 5, GONE])
    def test_row_4_a_record_from_another_source_is_rejected(self, source: object) -> None:
        record = {"s3": {}} if source is GONE else {"s3": {}, "eventSource": source}
        refused({"Records": [record]}, "wrong_source")

    def test_row_4_sns_wrapped_by_sqs_is_accepted(self) -> None:
        assert accepted(load("alarm-sqs-wrapped")).alarm_name == "shop-prod-error-rate"

    def test_row_41_the_hello_world_event_is_answered_in_a_friendly_way(self) -> None:
        found = refused({"key1": "value1", "key2": "value2", "key3": "value3"}, "hello_world_event")
        assert "events/manual-dry-run.json" in found.hint

    def test_row_43_a_failure_record_is_unwrapped(self) -> None:
        record = {"requestContext": {}, "requestPayload": sns(), "responsePayload": {"errorMessage": "x"}}
        assert accepted(record) == accepted(sns())

    @pytest.mark.parametrize("payload", [None, [], "x", {}])
    def test_row_43_an_empty_failure_record_is_refused(self, payload: object) -> None:
        refused({"requestPayload": payload}, "unknown_event_shape")


class TestMessages:
    @pytest.mark.parametrize("text", ["Hello", "", "{", "{'a': 1}", HOSTILE, "\ud800"])
    def test_row_5_text_that_is_no_json_is_rejected_and_shown_harmlessly(self, text: str) -> None:
        assert len(refused(sns_text(text + "x" * 5000), "not_json").message) < 300

    @pytest.mark.parametrize("value", [None, 5, {}, [], {"AlarmName": "x"}])
    def test_row_5_a_message_that_is_no_text_is_rejected(self, value: object) -> None:
        refused(sns_text(value), "not_json")

    @pytest.mark.parametrize("value", [None, 5, "x", [], [{}], json.dumps({"AlarmName": "x"})])
    def test_row_6_json_that_is_no_object_is_rejected(self, value: object) -> None:
        refused(sns_text(json.dumps(value)), "not_object")

    @pytest.mark.parametrize("field", ["AlarmName", "NewStateValue"])
    def test_row_7_an_object_that_is_no_alarm_is_ignored(self, field: str) -> None:
        refused(sns(**{field: GONE}), "not_an_alarm", rejected=False)
        refused(sns_text("{}"), "not_an_alarm", rejected=False)

    def test_row_7_an_operators_request_in_a_topic_is_no_alarm(self) -> None:
        refused(sns_text(json.dumps(EVENTS["manual-rollback"])), "not_an_alarm", rejected=False)

    @pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation", "", None, 5])
    def test_row_26_other_kinds_of_messages_are_ignored(self, kind: object) -> None:
        event = sns()
        event["Records"][0]["Sns"]["Type"] = kind
        refused(event, "not_a_notification", rejected=False)

    def test_row_27_no_url_of_a_message_is_opened(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def forbidden(*_: object, **__: object) -> None:
            raise AssertionError("the network was used")

        monkeypatch.setattr(socket, "socket", forbidden)
        monkeypatch.setattr(socket, "getaddrinfo", forbidden)
        event = sns()
        event["Records"][0]["Sns"] |= {
            "SigningCertUrl": "https://evil.example",
            "UnsubscribeUrl": "file:///etc/passwd",
        }
        accepted(event)
        refused(load("sns-subscription-confirmation"), "not_a_notification", rejected=False)

    def test_row_28_a_message_beyond_what_sns_carries_is_not_even_read(self) -> None:
        refused(sns(NewStateReason="x" * 262_144), "too_large")

    def test_row_28_a_body_beyond_what_sqs_carries_is_not_even_read(self) -> None:
        event = load("alarm-sqs-wrapped")
        event["Records"][0]["body"] = "[" * 1_048_577
        refused(event, "too_large")

    def test_row_28_the_largest_message_is_read(self) -> None:
        text = sns()["Records"][0]["Sns"]["Message"]
        accepted(sns_text(text + " " * (262_144 - len(text))))

    @pytest.mark.parametrize("depth", [51, 1_000, 10_000, 100_000])
    @pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}")])
    def test_row_28_deep_nesting_is_rejected(self, depth: int, pair: tuple[str, str]) -> None:
        text = pair[0] * depth + "0" + pair[1] * depth
        refused(sns_text(text), "too_deep" if len(text) <= 262_144 else "too_large")

    @pytest.mark.parametrize("twice", ['{"NewStateValue":"OK","NewStateValue":"ALARM"}', '{"a":{"b":1,"b":1}}'])
    def test_row_29_a_key_given_twice_is_rejected(self, twice: str) -> None:
        refused(sns_text(twice), "duplicate_key")

    @pytest.mark.parametrize("shape", sorted(LARGEST))
    def test_no_message_that_sns_carries_takes_long_to_read(self, shape: str) -> None:
        """Each would have the function's whole timeout otherwise, three times, while alarms wait behind it."""
        text = LARGEST[shape]
        assert 262_000 < len(text) <= 262_144
        began = process_time()
        result = read(sns_text(text))
        assert process_time() - began < 2
        if "twice" in shape:
            assert isinstance(result, Refusal) and result.code == "duplicate_key"

    @settings(max_examples=100, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))
    @given(full_messages())
    def test_the_work_for_each_byte_is_bounded_whatever_a_message_is_made_of(self, text: str) -> None:
        """Ten microseconds a byte: many times what reading takes, and a small part of what a square of it would."""
        began = process_time()
        read(sns_text(text))
        assert process_time() - began < len(text) * 10e-6

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 19, "9" * 5000])
    def test_row_30_numbers_that_cannot_be_kept_are_rejected(self, number: str) -> None:
        refused(sns_text(f'{{"AlarmName":"a","x":[{number}]}}'), "bad_number")


class TestAlarms:
    @pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA"])
    def test_row_8_an_alarm_that_is_not_in_alarm_is_a_signal_with_that_state(self, state: str) -> None:
        assert accepted(sns(NewStateValue=state)).state == state

    @pytest.mark.parametrize("state", ["alarm", "Alarm", "ALARM ", "", "PANIC", None, 1, True, [], {}, "A\u200bLARM"])
    def test_row_9_an_unknown_state_is_rejected(self, state: object) -> None:
        refused(sns(NewStateValue=state), "bad_state")
        refused(eventbridge(value=state), "bad_state")

    def test_row_10_an_alarm_that_stays_in_its_state_is_accepted(self) -> None:
        assert accepted(sns(OldStateValue="ALARM")).key == accepted(sns()).key

    def test_row_14_a_composite_alarm_is_accepted(self) -> None:
        assert accepted(load("alarm-composite")).evaluation_seconds == 0

    def test_row_15_an_alarm_over_many_series_without_reason_data_is_accepted(self) -> None:
        event = eventbridge() | {"detail-type": "CloudWatch Alarm Contributor State Change"}
        del event["detail"]["state"]["reasonData"], event["detail"]["state"]["reason"]
        del event["detail"]["previousState"], event["detail"]["configuration"]
        event["detail"]["alarmContributor"] = {"id": "6d442278dba546f6", "attributes": {"host": "a"}}
        assert accepted(event).state_reason == ""

    @pytest.mark.parametrize("by", ["Alarm", "WaitPeriod", "ExtensionPeriod"])
    def test_row_16_a_suppressed_alarm_is_ignored(self, by: str) -> None:
        refused(eventbridge(actionsSuppressedBy=by), "suppressed", rejected=False)

    @pytest.mark.parametrize("rule", ["arn:aws:cloudwatch:us-east-1:123456789012:alarm-mute-rule:night", None, 5])
    def test_row_16_a_muted_alarm_is_ignored(self, rule: object) -> None:
        event = eventbridge()
        event["detail"]["muteDetail"] = {"mutedByArn": rule, "muteWindowStart": "x", "muteWindowEnd": "y"}
        refused(event, "suppressed", rejected=False)

    def test_row_16_an_alarm_whose_suppression_has_ended_is_accepted(self) -> None:
        event = load("alarm-to-lambda")
        event["alarmData"]["previousState"] |= {"value": "ALARM", "actionsSuppressedBy": "Alarm"}
        assert accepted(event).state is AlarmState.ALARM

    def test_row_17_an_alarm_of_another_account_is_rejected(self) -> None:
        other = "arn:aws:cloudwatch:us-east-1:999999999999:alarm:shop-prod-error-rate"
        refused(sns(AlarmArn=other, AWSAccountId="999999999999"), "wrong_account")
        refused(sns(AWSAccountId="999999999999"), "wrong_account")
        refused(sns(AlarmArn=other), "wrong_account", home=Home())
        refused(load("codedeploy-state-change") | {"account": "999999999999"}, "wrong_account")
        assert accepted(sns(AlarmArn=other, AWSAccountId="999999999999"), Home()).alarm_arn == other

    @pytest.mark.parametrize(
        ("partition", "region"),
        [("aws", "eu-west-1"), ("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")],
    )
    def test_row_18_an_alarm_of_another_region_is_rejected_unless_that_is_home(
        self, partition: str, region: str
    ) -> None:
        arn = f"arn:{partition}:cloudwatch:{region}:123456789012:alarm:shop-prod-error-rate"
        refused(sns(AlarmArn=arn), "wrong_region")
        assert accepted(sns(AlarmArn=arn), Home("123456789012", region)).alarm_arn == arn

    def test_row_19_an_old_message_without_an_arn_takes_its_place_from_the_topic(self) -> None:
        event = sns(AlarmArn=GONE, AWSAccountId=GONE, Region="EU (Ireland)")
        event["Records"][0]["Sns"]["TopicArn"] = "arn:aws-cn:sns:cn-north-1:123456789012:alarms"
        found = accepted(event, Home("123456789012", "cn-north-1"))
        assert found.alarm_arn == "arn:aws-cn:cloudwatch:cn-north-1:123456789012:alarm:shop-prod-error-rate"

    def test_row_19_a_message_that_nothing_places_is_rejected(self) -> None:
        event = sns(AlarmArn=GONE, AWSAccountId=GONE)
        del event["Records"][0]["Sns"]["TopicArn"]
        refused(event, "missing_field", home=Home())
        assert ":us-east-1:" in accepted(event).alarm_arn, "home's own, as nothing speaks against it"

    @pytest.mark.parametrize("topic", ["arn:aws:sns:us-east-1:123456789012:other", TOPIC + "x", "", None, 5, [TOPIC]])
    def test_row_20_a_topic_off_the_list_is_not_trusted(self, topic: object) -> None:
        home = Home("123456789012", "us-east-1", (TOPIC,))
        accepted(sns(), home)
        event = sns()
        event["Records"][0]["Sns"]["TopicArn"] = topic
        refused(event, "untrusted_topic", home=home)

    def test_row_20_a_queue_with_raw_delivery_is_trusted_where_it_is_on_the_list(self) -> None:
        queue = "arn:aws:sqs:us-east-1:123456789012:lastgood-alarms"
        event = load("alarm-sqs-wrapped")
        event["Records"][0]["body"] = json.dumps(message())
        refused(event, "untrusted_topic", home=Home("123456789012", "us-east-1", (TOPIC,)))
        accepted(event, Home("123456789012", "us-east-1", (TOPIC, queue)))

    def test_row_23_an_old_message_is_read_and_its_age_is_judged_later(self) -> None:
        assert accepted(sns(StateChangeTime="2020-01-01T00:00:00.000+0000")).changed_at.year == 2020

    @pytest.mark.parametrize(
        "time",
        [
            *(
                GONE,
                None,
                "",
                "now",
                5,
                [],
                {},
                "2026-03-02",
                "2026-03-02T10:04:12.345",
                "2026-13-02T10:04:12Z",
            ),
            *(
                "9999-12-31T23:59:59Z",
                "9999-12-31T23:59:59-23:00",
                "0001-01-01T00:00:00+23:00",
                "0001-01-01T00:00:00Z",
                "1970-01-01T00:00:00Z",
                "\ud800",
                HOSTILE,
            ),
            (NOW + timedelta(minutes=5, seconds=1)).isoformat(),
        ],
    )
    def test_row_24_a_time_that_cannot_be_true_is_rejected(self, time: object) -> None:
        refused(sns(StateChangeTime=time), "bad_time")
        refused(eventbridge(timestamp=None if time is GONE else time), "bad_time")

    def test_row_24_a_clock_that_is_a_little_ahead_is_tolerated(self) -> None:
        accepted(sns(StateChangeTime=(NOW + timedelta(minutes=5)).isoformat()))

    def test_row_25_the_time_of_the_change_counts_and_not_that_of_the_message(self) -> None:
        event = sns()
        event["Records"][0]["Sns"]["Timestamp"] = "2031-01-01T00:00:00.000Z"
        assert accepted(event).changed_at == accepted(sns()).changed_at

    @pytest.mark.parametrize("character", [*sorted(set(HOSTILE) - set("abcdefghij[31m")), "�", "�", "\u2066"])
    def test_row_31_a_name_that_could_deceive_a_reader_is_rejected(self, character: str) -> None:
        refused(sns(AlarmName=f"shop{character}prod", AlarmArn=GONE), "bad_field")

    @pytest.mark.parametrize(
        "name", ["\U0001f469\u200d\U0001f680 errors", "\u0646\u200c\u0645", "so\u00adft", "größe/5xx #1?"]
    )
    def test_joiners_and_other_formats_of_a_name_are_kept_as_they_are(self, name: str) -> None:
        found = accepted(sns(AlarmName=name, AlarmArn=f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{name}"))
        assert (found.alarm_name, found.alarm_arn.endswith(name)) == (name, True)

    def test_row_31_a_hostile_reason_is_made_harmless(self) -> None:
        assert (
            accepted(sns(NewStateReason=HOSTILE)).state_reason
            == "a  b c d\ufffd[31me\ufffdf\ufffdg\ufffdh\ufffdi\ufffdj"
        )
        request = read(load("manual-rollback") | {"reason": HOSTILE, "requested_by": HOSTILE})
        assert isinstance(request, OperatorRequest)
        assert "\x1b" not in request.reason + request.requested_by

    def test_row_32_lone_surrogates_are_replaced(self) -> None:
        found = accepted(sns(NewStateReason="a\ud800b", AlarmTags={"k\udfff": "v\ud800"}))
        assert found.state_reason == "a\ufffdb"
        assert found.tags == {"k\ufffd": "v\ufffd"}
        json.dumps(found.tags, ensure_ascii=False).encode()

    @pytest.mark.parametrize(
        "name", ["x" * 255, "a#b/c:d e", "ALARM: shop (prod) 100%", "Fehlerrate größer 5 %", "*[x]?"]
    )
    def test_row_33_long_and_odd_names_are_kept_exactly(self, name: str) -> None:
        found = accepted(sns(AlarmName=name, AlarmArn=f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{name}"))
        assert found.alarm_name == name and found.alarm_arn.endswith(":alarm:" + name)

    @pytest.mark.parametrize("name", ["", "   ", "x" * 256, None, 5, []])
    def test_row_33_a_name_that_no_alarm_has_is_rejected(self, name: object) -> None:
        refused(sns(AlarmName=name), "bad_field")

    @pytest.mark.parametrize(
        "arn",
        [
            *("", "x", 5, [], "arn:aws:cloudwatch:us-east-1:123456789012:alarm:another"),
            "arn:aws:sns:us-east-1:123456789012:alarm:shop-prod-error-rate",
            "arn:aws:cloudwatch:us-east-1::alarm:shop-prod-error-rate",
            "arn:aws\x1b:cloudwatch:us-east-1:123456789012:alarm:shop-prod-error-rate",
        ],
    )
    def test_row_33_an_arn_of_something_else_is_rejected(self, arn: object) -> None:
        refused(sns(AlarmArn=arn), "bad_field")

    @pytest.mark.parametrize("data", [None, [], "x"])
    def test_an_alarm_action_without_its_alarm_is_rejected(self, data: object) -> None:
        refused(load("alarm-to-lambda") | {"alarmData": data}, "unknown_event_shape")
        refused(load("alarm-to-lambda") | {"source": "aws.imitation"}, "unknown_event_shape")


class TestOperators:
    @pytest.mark.parametrize("name", ["", "  ", "x" * 101, None, 5, "a\nb"])
    def test_row_34_an_application_that_codedeploy_cannot_have_is_rejected(self, name: object) -> None:
        refused(load("manual-rollback") | {"application": name}, "missing_field" if name is None else "bad_field")

    @pytest.mark.parametrize("field", ["reason", "requested_by"])
    def test_row_35_who_and_why_are_needed_and_a_correct_event_is_shown(self, field: str) -> None:
        event = load("manual-rollback")
        del event[field]
        example = refused(event, "missing_field").hint.removeprefix("A correct event: ")
        assert isinstance(read(json.loads(example)), OperatorRequest)

    @pytest.mark.parametrize("typo", ["dryrun", "dry-run", "dryRun", "DRY_RUN", "dry_run ", "Dry_Run"])
    def test_row_36_a_typo_in_dry_run_never_becomes_a_rollback(self, typo: str) -> None:
        found = refused(load("manual-rollback") | {typo: True}, "unknown_field")
        assert "application, deployment_group, reason, requested_by, dry_run, to_deployment_id, force" in found.hint
        assert typo == "DRY_RUN" or "Did you mean dry_run?" in found.hint

    @pytest.mark.parametrize("field", ["force", "dry_run"])
    @pytest.mark.parametrize("value", ["false", "true", "yes", "", 0, 1, None, [], {}])
    def test_row_37_only_true_and_false_are_booleans(self, field: str, value: object) -> None:
        assert field in refused(load("manual-rollback") | {field: value}, "bad_field").message

    def test_force_is_never_without_a_reason(self) -> None:
        event = load("manual-rollback") | {"force": True}
        del event["reason"]
        refused(event, "missing_field")

    @pytest.mark.parametrize("value", ["d-1", "D-A1B2C3D4E", "d-A1B2C3D4E\n\n5", "d-A1B2C3D4EF", "", None, 5])
    def test_row_39_a_target_that_is_no_deployment_id_is_rejected(self, value: object) -> None:
        refused(load("manual-rollback") | {"to_deployment_id": value}, "bad_field")


class TestEventBridge:
    @pytest.mark.parametrize(
        "change",
        [
            {"source": "aws.ec2"},
            {"source": None},
            {"source": ["aws.codedeploy"]},
            {"detail-type": "CodeDeploy Instance State-change Notification"},
            {"detail-type": None},
            {"detail-type": {}},
            {"detail-type": HOSTILE},
        ],
    )
    def test_row_40_events_of_another_kind_are_ignored(self, change: dict[str, object]) -> None:
        refused(load("codedeploy-state-change") | change, "other_event", rejected=False)

    @pytest.mark.parametrize(
        ("field", "value", "code"),
        [
            ("deploymentId", None, "bad_field"),
            ("deploymentId", "d-1", "bad_field"),
            ("deploymentId", ["d-A1B2C3D4E"], "bad_field"),
            ("state", "SUCCEEDED", "bad_state"),
            ("state", None, "bad_state"),
            ("state", {}, "bad_state"),
            ("application", None, "bad_field"),
            ("application", "a\nb", "bad_field"),
            ("deploymentGroup", "x" * 101, "bad_field"),
        ],
    )
    def test_row_40_a_malformed_deployment_event_is_ignored(self, field: str, value: object, code: str) -> None:
        event = load("codedeploy-state-change")
        event["detail"][field] = value
        refused(event, code, rejected=False)

    @pytest.mark.parametrize(
        "name",
        [
            "alarm-eventbridge",
            "codedeploy-state-change",
            "ecs-deployment-state-change",
            "codepipeline-stage-state-change",
        ],
    )
    @pytest.mark.parametrize("detail", [None, [], "x", 5])
    def test_row_40_an_event_without_its_detail_is_refused(self, name: str, detail: object) -> None:
        refused(load(name) | {"detail": detail}, "bad_field")

    @pytest.mark.parametrize("place", [{"account": None}, {"region": 5}, {"account": "1"}, {"region": "\x1b[31m"}])
    def test_row_40_an_event_from_nowhere_is_refused(self, place: dict[str, object]) -> None:
        refused(load("codedeploy-state-change") | place, "bad_field")

    @pytest.mark.parametrize("time", ["soon", None, 7, "9999-12-31T23:59:59Z"])
    def test_a_schedule_leads_to_a_sweep_whatever_its_time_says(self, time: object) -> None:
        assert read(load("scheduled-sweep") | {"time": time}) == SweepSignal()


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=20)
) | st.sampled_from(["ALARM", "d-A1B2C3D4E", "aws.cloudwatch", "Notification", "aws:sqs", "2h", "rollback", HOSTILE])
KEYS = st.sampled_from(
    [
        *(
            "Records",
            "Sns",
            "Message",
            "Type",
            "TopicArn",
            "body",
            "eventSource",
            "requestPayload",
            "alarmData",
        ),
        *(
            "source",
            "detail-type",
            "detail",
            "state",
            "value",
            "timestamp",
            "alarmName",
            "resources",
            "account",
        ),
        *("AlarmName", "AlarmArn", "NewStateValue", "StateChangeTime", "Trigger", "AlarmTags", "muteDetail"),
        *("action", "application", "deployment_group", "reason", "requested_by", "until", "force", "mode"),
    ]
) | st.text(max_size=5)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
# The same examples in every run: a failure here must never look like a flake.
SOAK = os.environ.get("LASTGOOD_SOAK") == "1"
FEW = settings(
    max_examples=20_000 if SOAK else 150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


TRIED: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def _tell_how_many() -> Iterator[None]:
    yield
    fault_figures.append("bad_input", **TRIED)


def check(event: object, home: Home = HOME) -> None:
    """Only known types come out, and no text in them can break a writer."""
    TRIED.update(events=1)
    results = parse(event, home, NOW)
    assert results
    for result in results:
        assert isinstance(result, (*get_args(Signal), Refusal)) and is_dataclass(result)
        for spec in fields(result):
            value = getattr(result, spec.name)
            if isinstance(value, str):
                assert value.encode() is not None and is_plain(value.replace("\ufffd", ""))


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to everything in a JSON value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, child in children for found in places(child, (*path, key)))]


def opened(event: Any) -> Any:
    """An event with the JSON texts in it opened, so that mutations reach into them."""
    if isinstance(event, dict):
        return {key: opened(value) for key, value in event.items()}
    if isinstance(event, list):
        return [opened(value) for value in event]
    if isinstance(event, str) and event.startswith("{"):
        return {"__json__": opened(json.loads(event))}
    return event


def closed(event: Any) -> Any:
    if isinstance(event, dict):
        if event.keys() == {"__json__"}:
            return json.dumps(closed(event["__json__"]))
        return {key: closed(value) for key, value in event.items()}
    return [closed(value) for value in event] if isinstance(event, list) else event


def mutated(event: Any, path: tuple[Any, ...], value: object) -> Any:
    """The event with the value at the path replaced, or dropped where it is GONE."""
    if not path:
        return None if value is GONE else value
    event = copy.copy(event)
    if len(path) == 1 and value is GONE:
        del event[path[0]]
    else:
        event[path[0]] = mutated(event[path[0]], path[1:], value)
    return event


@FEW
@given(JSON)
def test_any_json_is_read_without_an_error(event: object) -> None:
    check(event)


@FEW
@given(JSON, st.sampled_from(["sns", "sqs", "failure"]))
def test_any_json_inside_an_envelope_is_read_without_an_error(body: object, envelope: str) -> None:
    text = json.dumps(body)
    if envelope == "sqs":
        check({"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": text}]}, Home())
    elif envelope == "sns":
        check(sns_text(text), Home())
    else:
        check({"requestPayload": body}, Home())


@FEW
@given(st.data())
def test_real_events_with_random_damage_are_read_without_an_error(data: st.DataObject) -> None:
    event = opened(EVENTS[data.draw(st.sampled_from(sorted(EVENTS)))])
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(event)))
        event = mutated(event, path, data.draw(st.just(GONE) | SCALARS | JSON))
    check(closed(event))


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_single_value_of_a_real_event_may_be_missing_or_wrong(name: str) -> None:
    event = opened(EVENTS[name])
    for path in places(event):
        for value in (
            GONE,
            None,
            "",
            HOSTILE,
            "\ud800",
            0,
            -1,
            1e308,
            True,
            [],
            {},
            [[]],
            [None],
            {"a": None},
        ):
            check(closed(mutated(event, path, value)))


@FEW
@given(st.sampled_from(sorted(ACTIONS)), st.dictionaries(KEYS, SCALARS, max_size=6))
def test_a_request_is_done_only_with_fields_that_its_action_knows(action: str, given_fields: dict[str, Any]) -> None:
    event = given_fields | {"action": action}
    result = read(event)
    assert isinstance(result, Refusal) or set(event) <= set(ACTIONS[action].known)


@FEW
@given(st.text(st.characters(codec=None)), st.integers(1, 50))
def test_clean_text_is_short_harmless_and_stays_as_it_is(text: str, limit: int) -> None:
    once = clean(text, limit)
    assert len(once) <= limit
    assert is_plain(once.replace("\ufffd", ""))
    assert clean(once, limit) == once
    without_surrogates(text).encode()
