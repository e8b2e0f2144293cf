"""Alarms of other regions command where a setting names their region; they are known by their ARNs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lastgood.errors import RefusedError
from lastgood.model import AlarmPlace
from scene import ALARM, Scene, scene
from stage.local import ACCOUNT, REGION, alarm_arn, alarm_event, event, group_tags

EDGE = "eu-west-1"
HERE = {"LASTGOOD_ACCOUNT_ID": ACCOUNT, "AWS_REGION": REGION}
NAMED = HERE | {"LASTGOOD_ALARM_REGIONS": f"ap-south-1,{EDGE}"}


def bad_release(it: Scene) -> None:
    it.good_history(1, 2)
    it.release(3, settle=True, rest=300)


def message(it: Scene, region: str = EDGE, tags: dict[str, str] | None = None) -> dict[str, Any]:
    return alarm_event(at=it.now(), alarm=ALARM, tags=it.tags if tags is None else tags, region=region)


def test_an_alarm_of_a_named_region_rolls_back_and_its_recovery_closes_the_loop() -> None:
    with scene("Server", settings=NAMED) as it:
        bad_release(it)
        it.local.alarm(ALARM, region=EDGE)
        it.deliver(message(it))
        head = it.run_to_end()
        assert (head["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), head["explanation"]
        assert head["alarm_arn"] == alarm_arn(ALARM, EDGE)
        it.local.alarm(ALARM, "OK", region=EDGE)
        it.sim.advance(1200)
        it.sweep()
        assert "alarm_recovered_at" in it.head


def test_its_tags_are_read_where_it_is() -> None:
    with scene("Server", settings=NAMED) as it:
        bad_release(it)
        it.local.alarm(ALARM, region=EDGE)
        it.local.alarm(ALARM, tags={"lastgood:application": "other", "lastgood:deployment-group": "prod"})
        it.deliver(message(it, tags={}))
        assert (it.run_to_end()["outcome"], it.head["application"]) == ("ROLLED_BACK", "shop")


@pytest.mark.parametrize(("here", "there", "outcome"), [("ALARM", "OK", "SKIPPED"), ("OK", "ALARM", "ROLLED_BACK")])
def test_a_namesake_in_this_region_neither_confirms_nor_clears_it(here: str, there: str, outcome: str) -> None:
    with scene("Server", settings=NAMED) as it:
        bad_release(it)
        it.local.alarm(ALARM, here)
        it.local.alarm(ALARM, "ALARM", region=EDGE)
        it.local.alarm(ALARM, there, region=EDGE)
        it.deliver(message(it))
        assert it.run_to_end()["outcome"] == outcome, it.head["explanation"]
        assert it.is_live(3 if outcome == "SKIPPED" else 2)


def test_the_recovery_of_a_namesake_in_this_region_is_not_its_own() -> None:
    with scene("Server", settings=NAMED) as it:
        bad_release(it)
        it.local.alarm(ALARM)
        it.local.alarm(ALARM, region=EDGE)
        it.deliver(message(it))
        it.run_to_end()
        it.local.alarm(ALARM, "OK")
        it.sim.advance(1200)
        it.sweep()
        assert "alarm_recovered_at" not in it.head and it.head["not_recovered_at"]


@pytest.mark.parametrize("settings", [HERE, NAMED], ids=["none named", "others named"])
def test_an_alarm_of_a_region_that_is_not_named_is_refused_in_a_sentence_that_names_the_setting(
    settings: dict[str, str],
) -> None:
    with scene("Server", settings=settings) as it:
        bad_release(it)
        it.local.alarm(ALARM, region="eu-north-1")
        (result,) = it.local.handle(message(it, "eu-north-1"))
        assert result["refused"] == "wrong_region"
        assert "eu-north-1" in result["explanation"]
        assert "LASTGOOD_ALARM_REGIONS" in str(result)
        assert it.is_live(3)


def test_another_account_stays_another_account() -> None:
    with scene("Server", settings=NAMED) as it:
        foreign = message(it)
        sns = foreign["Records"][0]["Sns"]
        sns["Message"] = sns["Message"].replace(ACCOUNT, "999999999999")
        (result,) = it.local.handle(foreign)
        assert result["refused"] == "wrong_account"


def test_the_topic_of_a_satellite_is_accepted_and_no_other() -> None:
    topics = {
        "LASTGOOD_ALARM_TOPIC_ARNS": f"arn:aws:sns:{REGION}:{ACCOUNT}:own,arn:aws:sns:*:{ACCOUNT}:lastgood-alarms"
    }
    with scene("Server", settings=NAMED | topics) as it:
        bad_release(it)
        it.local.alarm(ALARM, region=EDGE)
        event = message(it)
        for topic in (f"{ACCOUNT}:other", "999999999999:lastgood-alarms"):
            event["Records"][0]["Sns"]["TopicArn"] = f"arn:aws:sns:{EDGE}:{topic}"
            assert it.local.handle(event)[0]["refused"] == "untrusted_topic"
        event["Records"][0]["Sns"]["TopicArn"] = f"arn:aws:sns:{EDGE}:{ACCOUNT}:lastgood-alarms"
        it.deliver(event)
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"


def test_a_release_that_meets_an_alarm_that_fires_in_a_named_region_is_told() -> None:
    with scene("Server", settings=NAMED) as it:
        it.good_history(1, 2)
        it.local.alarm(ALARM, region=EDGE)
        it.sim.advance(600)
        it.connect_events()
        it.release(3, settle=True, rest=0)
        (told,) = [i for i in it.local.items() if i.get("reason_code") == "RELEASED_IN_ALARM"]
        assert told["alarm_arn"] == alarm_arn(ALARM, EDGE)


def test_clients_of_other_regions_are_made_by_the_first_sweep_or_alarm_and_not_while_the_function_starts() -> None:
    with scene("Server", settings=NAMED) as it:
        clients = it.local.application._parts.notices._clients
        assert not clients._made
        it.sweep()
        assert {key[2] for key in clients._made} == {EDGE, "ap-south-1", ""}
        it.local.restart()
        clients = it.local.application._parts.notices._clients
        it.local.alarm(ALARM, region=EDGE)
        it.deliver(message(it))
        assert {key[2] for key in clients._made} == {EDGE, "ap-south-1", ""}


def test_the_daily_drill_asks_each_named_region_whether_its_alarms_can_be_read() -> None:
    with scene("Server", settings=NAMED) as it:
        clients = it.local.application._parts.notices._clients

        def refuse(**_: Any) -> None:
            raise RefusedError("DescribeAlarms", "AccessDenied", "not here")

        client = clients.cloudwatch_at(AlarmPlace(region=EDGE))
        client.meta.events.register("provide-client-params.cloudwatch.DescribeAlarms", refuse)
        (told,) = it.local.handle({"action": "drill"})
        assert [p for p in told["problems"] if EDGE in p] and not [p for p in told["problems"] if "ap-south-1" in p]


def test_alarms_of_the_regions_that_may_command_count_for_a_storm() -> None:
    with scene("Server", settings=NAMED | {"LASTGOOD_STORM_GROUPS": "2"}) as it:
        bad_release(it)
        for number, region in enumerate((REGION, EDGE, "ap-south-1")):
            it.local.alarm(f"shard-{number}", tags=group_tags("shop", f"shard-{number}"), region=region)
        it.local.alarm(ALARM, region=EDGE)
        it.deliver(message(it))
        assert (it.head["reason_code"], it.is_live(3)) == ("STORM", True)


def test_an_alarm_of_a_region_that_may_not_command_counts_for_no_storm() -> None:
    with scene("Server", settings=NAMED | {"LASTGOOD_STORM_GROUPS": "2"}) as it:
        bad_release(it)
        for number in range(5):
            it.local.alarm(f"shard-{number}", tags=group_tags("shop", f"shard-{number}"), region="eu-north-1")
        it.local.alarm(ALARM, region=EDGE)
        it.deliver(message(it))
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"


@pytest.mark.parametrize("way", ["alarm-eventbridge", "alarm-to-lambda"])
@pytest.mark.parametrize("region", [EDGE, "eu-north-1"], ids=["named", "not named"])
def test_a_rule_on_this_regions_bus_and_an_alarms_own_action_count_by_the_alarms_region(way: str, region: str) -> None:
    with scene("Server", settings=NAMED) as it:
        bad_release(it)
        it.local.alarm(ALARM, region=region, tags=it.tags)
        made = json.loads(json.dumps(event(way)).replace(f"cloudwatch:{REGION}:", f"cloudwatch:{region}:"))
        about = made.get("detail") or made["alarmData"]
        about["state"]["timestamp"] = it.now().isoformat()
        results = it.local.handle(made)
        it.rollback_id = results[0].get("rollback_id", "")
        if region == EDGE:
            assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True), it.head["explanation"]
        else:
            assert (results[0]["refused"], it.is_live(3)) == ("wrong_region", True)
