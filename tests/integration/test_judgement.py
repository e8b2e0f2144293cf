"""Incidents in which the right thing is not the obvious one.

Floors in tags, bad revisions again, limits, storms, alarms that fire already, and AWS that lets nobody look.
"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from threading import Event
from typing import Any
from unittest.mock import patch

import boto3
import pytest

from lastgood.alarms import Alarms
from lastgood.errors import LastgoodError, RefusedError, RetryableError
from lastgood.ledger import Ledger
from lastgood.model import Rollback
from lastgood.notices import Notices
from scene import ALARM, PLATFORMS, Scene, scene
from stage.local import event, group_tags

EVERYWHERE = pytest.mark.parametrize("platform", PLATFORMS)
GROUP = {"application": "shop", "deployment_group": "prod"}
WHO_AND_WHY = {"requested_by": "me", "reason": "because"}
SIX: dict[str, dict[str, Any]] = {
    "Server": {},
    "Lambda": {"versions": 6, "current": 6},
    "ECS": {"task_definitions": 6, "current": 6},
}


def ended(it: Scene, outcome: str, reason: str) -> dict[str, Any]:
    head = it.run_to_end()
    assert (head["outcome"], head["reason_code"]) == (outcome, reason), head["explanation"]
    assert it.lock() == ""
    return head


def closed_with(it: Scene, reason: str) -> list[dict[str, Any]]:
    """The heads that carry this reason."""
    return [i for i in it.local.items() if i["sk"] == "META" and i.get("reason_code") == reason]


def told(it: Scene) -> list[str]:
    """The titles of the notices since the last look."""
    return [notice["content"]["title"] for notice in it.local.notices()]


def ask(it: Scene, action: str, **more: Any) -> dict[str, Any]:
    return it.local.handle({"action": action, **GROUP, **WHO_AND_WHY, **more})[0]


# --- the floor, where the platform keeps tags -------------------------------------------------------------------------


def marked_release(it: Scene, marker: str) -> None:
    """Releases 1 and 2, then one whose revision carries the marker in its own tags or description."""
    it.good_history(1, 2)
    match it.platform:
        case "Lambda":
            number = int(it.sim.publish_version("shop", f"Drops a column. {marker}"))
        case "ECS":
            arn = it.sim.register_task_definition("web", tags=[{"key": marker, "value": "PAY-7"}])
            number = int(arn.rsplit(":", 1)[1])
        case _:
            number = 3
            s3 = boto3.client("s3")
            s3.put_object(Bucket="bundles", Key="v3.zip", Body=b"zip", Tagging=f"{marker}=PAY-7")
    it.release(number, settle=True, rest=600)


CHECKED = {"LASTGOOD_CHECK_BUNDLES": "true"}


@EVERYWHERE
def test_a_floor_in_the_revisions_own_tags_is_not_crossed(platform: str) -> None:
    with scene(platform, settings=CHECKED) as it:
        marked_release(it, "lastgood:floor")
        it.alarm_fires()
        head = ended(it, "BLOCKED", "BELOW_FLOOR")
        assert "Fix forward" in head["explanation"]
        assert not it.calls("CreateDeployment")


@EVERYWHERE
def test_a_revision_that_asks_for_approval_in_its_own_tags_gets_it(platform: str) -> None:
    with scene(platform, settings=CHECKED) as it:
        marked_release(it, "lastgood:needs-approval")
        it.alarm_fires()
        assert it.head["phase"] == "AWAITING_APPROVAL"
        assert not it.calls("CreateDeployment")


@pytest.mark.parametrize("platform", ["Lambda", "ECS"])
def test_tags_that_may_not_be_read_could_be_a_floor_and_nothing_is_done(platform: str) -> None:
    operation = {"Lambda": "GetFunctionConfiguration", "ECS": "DescribeTaskDefinition"}[platform]
    with scene(platform) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.sim.fail_call(operation, "AccessDeniedException", f"not authorized: {operation}", count=20)
        it.alarm_fires()
        head = ended(it, "FAILED", "PERMISSION_DENIED")
        assert "not authorized" in head["explanation"]
        assert not it.calls("CreateDeployment")


# --- AWS that lets nobody look ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "notices"),
    # What only the proof at the end asks for keeps nothing from being put back.
    [("ListDeployments", 1), ("BatchGetDeployments", 1), ("GetDeploymentGroup", 2)],
)
def test_a_read_that_is_denied_is_told_and_does_not_hold_the_group(operation: str, notices: int) -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.sim.fail_call(operation, "AccessDeniedException", f"not authorized: codedeploy:{operation}", count=20)
        it.alarm_fires()
        head = ended(it, "FAILED", "PERMISSION_DENIED")
        assert operation in head["explanation"]
        assert len(told(it)) == notices
        assert len(it.calls("CreateDeployment")) == notices - 1


def test_what_fails_at_every_visit_is_given_up_long_after_the_deadline_and_told() -> None:
    with scene("Server", settings={"LASTGOOD_DEADLINE": "10m"}) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.sim.throttle("ListDeployments", 100_000)
        with pytest.raises(Exception, match="throttled"):
            it.alarm_fires()
        it.rollback_id = next(i["rollback_id"] for i in it.local.items() if i["sk"] == "META")
        for _ in range(39):
            it.sim.advance(60)
            it.sweep()
        assert not it.head.get("outcome")
        head = ended(it, "FAILED", "DEADLINE_PASSED")
        assert "throttled" in head["explanation"]
        assert len(told(it)) == 1


def test_one_rollback_that_breaks_the_code_does_not_keep_the_sweep_from_the_others(monkeypatch: Any) -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.sim.server_group("pay", "prod")
        it.sim.seed_history("pay", "prod", 3, every_seconds=1200)
        it.alarm_fires(alarm="pay-errors", tags=group_tags("pay", "prod"))
        broken = it.rollback_id
        it.alarm_fires()
        deployer_for = it.local.application._parts.deployer_for

        def breaks_for_pay(group: Any, platform: Any) -> Any:
            if group.application == "pay":
                raise KeyError("what nobody thought of")
            return deployer_for(group, platform)

        object.__setattr__(it.local.application._parts, "deployer_for", breaks_for_pay)
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert it.local.head(broken)["phase"] == "VERIFYING"


# --- a bad revision again ---------------------------------------------------------------------------------------------


@EVERYWHERE
def test_people_are_told_at_once_when_a_known_bad_revision_is_released_again(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED")
        told(it)
        it.connect_events()
        it.sim.advance(60)
        again = it.release(3)
        it.sim.advance(1)
        (head,) = closed_with(it, "KNOWN_BAD_RELEASED")
        assert (head["outcome"], head["suspect_deployment_id"], head["needs_human"]) == ("SKIPPED", again, True)
        assert f"rolled away from by {it.rollback_id}" in head["explanation"]
        # Its alarm has not recovered yet, so the release meets it too: that is told with it, once.
        it.sim.settle()
        assert told(it) == ["⚠️ A known-bad revision is being released to shop/prod"]
        assert f"The alarm {ALARM} fires since" in head["explanation"]
        assert len(closed_with(it, "RELEASED_IN_ALARM")) == 1


def test_nobody_is_told_twice_of_the_same_bad_release_and_never_of_a_rollback_to_it() -> None:
    with scene("Server") as it:
        *_, found_bad = it.good_history(1, 2, 3)
        it.deliver(event("manual-mark-bad") | GROUP | {"deployment_id": found_bad})
        it.sim.advance(60)
        bad = it.release(3)
        started = event("codedeploy-state-change")
        started["detail"] |= {"deploymentId": bad, "state": "START"}
        it.deliver(started)
        it.deliver(started)
        assert len(closed_with(it, "KNOWN_BAD_RELEASED")) == len(told(it)) == 1


# --- limits -----------------------------------------------------------------------------------------------------------


def test_a_group_at_its_limit_is_paused_until_somebody_resumes_it() -> None:
    with scene("Server", settings={"LASTGOOD_MAX_ROLLBACKS": "1"}) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED")
        it.sim.advance(3600)
        it.release(4, settle=True, rest=600)
        it.alarm_fires()
        told(it)
        head = ended(it, "BLOCKED", "TOO_MANY_ROLLBACKS")
        assert "paused until somebody resumes it" in head["explanation"]
        it.sim.advance(2 * 86_400)
        it.release(5, settle=True, rest=600)
        it.alarm_fires()
        assert "lastgood paused this deployment group" in ended(it, "SKIPPED", "PAUSED")["explanation"]
        ask(it, "resume")
        it.sim.advance(60)
        it.alarm_fires()
        ended(it, "ROLLED_BACK", "VERIFIED")


def test_the_notice_of_a_limit_says_how_to_resume() -> None:
    with scene("Server", settings={"LASTGOOD_MAX_ROLLBACKS": "1"}) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        it.run_to_end()
        it.sim.advance(3600)
        it.release(4, settle=True, rest=600)
        it.local.notices()
        it.alarm_fires()
        (notice,) = it.local.notices()
        assert notice["content"]["title"] == "⛔ shop/prod has had its limit of rollbacks and is paused"
        assert '"action": "resume", "application": "shop", "deployment_group": "prod"' in str(
            notice["content"]["nextSteps"]
        )


def test_in_observe_mode_reaching_the_limit_pauses_nothing() -> None:
    with scene("Server", settings={"LASTGOOD_MAX_ROLLBACKS": "1"}) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        it.run_to_end()
        it.local.restart(LASTGOOD_MODE="observe")
        it.sim.advance(3600)
        it.release(4, settle=True, rest=600)
        it.alarm_fires()
        ended(it, "BLOCKED", "TOO_MANY_ROLLBACKS")
        assert not [i for i in it.local.items() if i["sk"] == "PAUSE"]


# --- storms -----------------------------------------------------------------------------------------------------------


def shards(it: Scene, count: int) -> list[str]:
    groups = [f"shard-{number}" for number in range(count)]
    for group in groups:
        it.sim.server_group("shop", group)
        it.sim.seed_history("shop", group, 3, every_seconds=1200)
    return groups


def fires(it: Scene, group: str) -> dict[str, Any]:
    return it.alarm_fires(alarm=group, tags=group_tags("shop", group))


def test_a_storm_is_told_once_and_every_group_of_it_is_recorded() -> None:
    with scene("Server", settings={"LASTGOOD_STORM_GROUPS": "2"}) as it:
        for group in shards(it, 6):
            fires(it, group)
        storms = closed_with(it, "STORM")
        assert len(storms) == 4
        assert all(s["outcome"] == "BLOCKED" and "open_key" not in s for s in storms)
        assert [title for title in told(it) if "Too many" in title] == [
            "⛈️ Too many deployment groups are in alarm at once: rollbacks rest"
        ]
        assert "shop/shard-0, shop/shard-1, shop/shard-2" in storms[0]["explanation"]


def fire_in_cloudwatch(it: Scene, *groups: str) -> None:
    """Their alarms fire; no message of it has come yet."""
    for group in groups:
        it.local.alarm(group, tags=group_tags("shop", group))


def test_a_storm_is_seen_when_the_first_of_its_messages_comes() -> None:
    with scene("Server") as it:
        first, *others = shards(it, 6)
        fire_in_cloudwatch(it, *others)
        fires(it, first)
        ended(it, "BLOCKED", "STORM")
        assert "6 deployment groups went into alarm within 10 min" in it.head["explanation"]
        assert not it.calls("CreateDeployment") and not it.calls("StopDeployment")
        assert len([title for title in told(it) if "Too many" in title]) == 1


def test_what_has_come_and_what_fires_beside_it_are_counted_together() -> None:
    with scene("Server", settings={"LASTGOOD_STORM_GROUPS": "3"}) as it:
        first, second, third, last = shards(it, 4)
        for group in (first, second):
            fires(it, group)
            it.local.alarm(group, "OK")
        fire_in_cloudwatch(it, third)
        assert fires(it, last)["reason"] == "STORM"


@pytest.mark.parametrize("why", ["one service's", "nobody's", "old", "looked at", "hidden"])
def test_alarms_that_fire_beside_a_bad_release_are_no_storm_where_they_are(why: str) -> None:
    with scene("Server", settings={"LASTGOOD_STORM_GROUPS": "2"}) as it:
        first, *others = shards(it, 6)
        tags = {"one service's": group_tags("shop", first), "nobody's": {"team": "shop"}}
        for group in others:
            it.local.alarm(group, tags=tags.get(why, group_tags("shop", group)))
        if why == "old":
            it.sim.advance(601)
        if why == "looked at":
            it.sim.advance(1)
            it.deliver({"action": "resume", **WHO_AND_WHY})
            it.sim.advance(1)
        refused = RefusedError("describe_alarms", "AccessDenied", "no")
        looking = patch.object(Alarms, "_firing", side_effect=refused) if why == "hidden" else nullcontext()
        with looking:
            fires(it, first)
        ended(it, "ROLLED_BACK", "VERIFIED")


def test_rollbacks_go_on_when_somebody_resumes_everything_in_a_storm() -> None:
    with scene("Server", settings={"LASTGOOD_STORM_GROUPS": "2"}) as it:
        *earlier, last = shards(it, 4)
        for group in earlier:
            fires(it, group)
        assert fires(it, earlier[2])["reason"] == "STORM"
        it.sim.advance(1)
        it.deliver({"action": "resume", **WHO_AND_WHY})
        it.sim.advance(1)
        fires(it, last)
        ended(it, "ROLLED_BACK", "VERIFIED")


# --- a release that meets an alarm ------------------------------------------------------------------------------------


def alarm_fires_already(it: Scene) -> None:
    """An alarm that fires since before the release, and whose message was answered long ago."""
    it.local.alarm(ALARM)
    arn = f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{ALARM}"
    tags = [{"Key": key, "Value": value} for key, value in group_tags("shop", "prod").items()]
    it.local.cloudwatch.tag_resource(ResourceARN=arn, Tags=tags)
    it.sim.advance(3 * 3600)


@EVERYWHERE
def test_people_are_told_of_a_release_that_meets_a_firing_alarm(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        alarm_fires_already(it)
        it.connect_events()
        released = it.release(3, settle=True, rest=3600)
        (head,) = closed_with(it, "RELEASED_IN_ALARM")
        assert (head["outcome"], head["suspect_deployment_id"], head["alarm_name"]) == ("SKIPPED", released, ALARM)
        assert "CloudWatch sends no message" in head["explanation"]
        assert told(it) == ["⚠️ A release to shop/prod meets an alarm that fires already"]
        it.sweep()
        assert it.is_live(3)


def test_an_alarm_of_another_group_or_one_that_began_later_is_not_told() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.local.alarm("somebody-elses")
        it.sim.advance(60)
        it.release(3)
        alarm_fires_already(it)
        for each in it.sim.read_events():
            it.local.handle(each)
        assert not closed_with(it, "RELEASED_IN_ALARM")


def test_nobody_is_told_where_that_is_switched_off() -> None:
    with scene("Server", settings={"LASTGOOD_RELEASE_IN_ALARM": "ignore"}) as it:
        it.good_history(1, 2)
        alarm_fires_already(it)
        it.connect_events()
        it.release(3, settle=True)
        assert not closed_with(it, "RELEASED_IN_ALARM")


ROLLS_BACK = {"LASTGOOD_RELEASE_IN_ALARM": "rollback", "LASTGOOD_RELEASE_IN_ALARM_GRACE": "10m"}


def minutes_pass(it: Scene, count: int) -> None:
    for _ in range(count):
        it.sim.advance(60)
        it.sweep()


@EVERYWHERE
def test_a_release_in_a_firing_alarm_is_rolled_back_after_the_grace_period_where_that_is_set(platform: str) -> None:
    with scene(platform, settings=ROLLS_BACK, **SIX[platform]) as it:
        it.good_history(1, 2)
        alarm_fires_already(it)
        it.connect_events()
        released = it.release(3, settle=True, rest=0)
        minutes_pass(it, 9)
        assert it.is_live(3)
        minutes_pass(it, 30)
        # The alarm began to fire under the second revision: the first one served quietly.
        assert it.is_live(1)
        head = next(h for h in it.local.items() if h["sk"] == "META" and h.get("outcome") == "ROLLED_BACK")
        assert (head["suspect_deployment_id"], head["trigger_kind"]) == (released, "release")
        assert head["seconds_to_redeploy"] < 60


def test_a_release_whose_alarm_recovers_in_the_grace_period_stays() -> None:
    with scene("Server", settings=ROLLS_BACK) as it:
        it.good_history(1, 2)
        alarm_fires_already(it)
        it.connect_events()
        it.release(3, settle=True, rest=60)
        it.local.alarm(ALARM, "OK")
        minutes_pass(it, 30)
        assert it.is_live(3)
        assert not it.calls("StopDeployment")


def test_a_fix_that_does_not_heal_at_once_never_leads_back_to_the_release_that_it_fixes() -> None:
    """v3 is bad and its alarm was left to people; v4 is their fix. If v4 does not help, v2 is the last good one."""
    with scene("Server", settings=ROLLS_BACK) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.local.alarm(ALARM)
        arn = f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{ALARM}"
        tags = [{"Key": key, "Value": value} for key, value in group_tags("shop", "prod").items()]
        it.local.cloudwatch.tag_resource(ResourceARN=arn, Tags=tags)
        it.sim.advance(1800)
        it.connect_events()
        it.release(4, settle=True, rest=0)
        minutes_pass(it, 40)
        assert it.is_live(2)


def test_a_rollback_by_hand_into_a_firing_alarm_is_left_alone() -> None:
    with scene("Server", settings=ROLLS_BACK) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        alarm_fires_already(it)
        it.connect_events()
        it.release(2, settle=True, rest=0)
        minutes_pass(it, 40)
        assert it.is_live(2)
        assert not [i for i in it.local.items() if i["sk"] == "META" and i.get("outcome") == "ROLLED_BACK"]


# --- proof of recovery ------------------------------------------------------------------------------------------------


@EVERYWHERE
def test_the_times_that_matter_stand_in_the_record(platform: str) -> None:
    with scene(platform) as it:
        it.good_history(1, 2)
        it.release(3)
        it.sim.advance(300 if platform != "Server" else 15)
        it.alarm_fires()
        it.run_to_end()
        it.sim.advance(120)
        it.alarm_recovers()
        minutes_pass(it, 15)
        head = it.head
        spans = {name: int(head[f"seconds_to_{name}"]) for name in ("detect", "stop", "redeploy", "verify", "recover")}
        assert spans["detect"] == (15 if platform == "Server" else 300)
        assert 0 <= spans["stop"] <= spans["redeploy"] <= spans["verify"] < spans["recover"]


def test_a_rollback_that_heals_nothing_says_so_in_its_record() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        it.run_to_end()
        minutes_pass(it, 20)
        head = it.head
        assert (head["outcome"], head["needs_human"]) == ("ROLLED_BACK", True)
        assert head["not_recovered_at"] > head["closed_at"]
        assert it.steps[-1]["step_name"] == "NOT_RECOVERED"
        assert "open_key" not in head


def test_a_notice_of_not_healing_that_cannot_be_sent_is_sent_by_a_later_sweep() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        it.run_to_end()
        it.local.notices()
        it.local.restart(LASTGOOD_NOTIFICATION_TOPIC_ARN="arn:aws:sns:us-east-1:123456789012:gone")
        minutes_pass(it, 20)
        it.local.restart(LASTGOOD_NOTIFICATION_TOPIC_ARN=it.local.topic_arn)
        minutes_pass(it, 3)
        assert told(it) == ["⚠️ shop/prod was rolled back, and the alarm is still firing"]


# --- telling ----------------------------------------------------------------------------------------------------------


def bus_refuses(*_: Any) -> None:
    raise LastgoodError("put_events was refused")


def test_people_are_told_once_though_the_event_bus_refuses_again_and_again() -> None:
    with scene("Server") as it, patch.object(Notices, "_put_event", bus_refuses):
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        it.run_to_end()
        minutes_pass(it, 30)
        assert [title[:1] for title in told(it)] == ["⏪", "✅", "⚠"]
        assert "open_key" in it.head


def test_people_hear_of_a_rollback_again_under_the_same_id_where_what_it_did_could_not_be_written() -> None:
    written, lost = Ledger.write, []

    def refuses_once(ledger: Ledger, before: Rollback, after: Rollback, *rest: Any, **more: Any) -> Rollback:
        if after.progress.redeployed_at and not lost:
            lost.append(after)
            raise RetryableError("the table does not answer")
        return written(ledger, before, after, *rest, **more)

    with scene("Server") as it, patch.object(Ledger, "write", refuses_once):
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        before = len(it.sim.calls("CreateDeployment"))
        with pytest.raises(RetryableError):
            it.alarm_fires()
        it.rollback_id = next(i["rollback_id"] for i in it.local.items() if i["sk"] == "META")
        it.sweep()
        it.run_to_end()
        opened = [n["id"] for n in it.local.notices() if n["metadata"]["eventType"] == "lastgood.opened"]
        assert len(opened) == 2 and len({*opened}) == 1
        assert len(it.sim.calls("CreateDeployment")) == before + 1
        assert it.is_live(2)


def redeployments_written(written: Event | None = None) -> tuple[list[tuple[str, ...]], Any]:
    """Who had been told by each write of a rollback whose redeployment is under way, and the patch that listens."""
    write, told_by_then = Ledger.write, []

    def listening(ledger: Ledger, before: Rollback, after: Rollback, *rest: Any, **more: Any) -> Rollback:
        kept = write(ledger, before, after, *rest, **more)
        if after.progress.redeployed_at and after.open:
            told_by_then.append(after.bookkeeping.notified)
            (written or Event()).set()
        return kept

    return told_by_then, patch.object(Ledger, "write", listening)


def test_one_write_says_what_was_redeployed_and_that_people_were_told() -> None:
    told_by_then, listening = redeployments_written()
    with scene("Server") as it, listening:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        assert told_by_then == [("opened",)]


def test_a_topic_that_does_not_answer_keeps_the_record_of_the_redeployment_waiting_only_for_a_moment() -> None:
    """Here it answers only once the record is written: if the record waited for it for ever, neither would come."""
    written, publish = Event(), Notices._publish
    told_by_then, listening = redeployments_written(written)

    def hangs(notices: Notices, *notice: Any) -> None:
        assert written.wait(60), "the record waits for the topic"
        publish(notices, *notice)

    slow, at_once = patch.object(Notices, "_publish", hangs), patch("lastgood.rollbacks.telling.PATIENCE", timedelta(0))
    with scene("Server") as it, listening, slow, at_once:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        assert told_by_then == [(), ("opened",)]
        assert [title[:1] for title in told(it)] == ["⏪"]


def test_a_bus_that_hears_again_is_told_what_it_missed_and_people_are_not() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        with patch.object(Notices, "_put_event", bus_refuses):
            it.alarm_fires()
            it.run_to_end()
        told(it)
        minutes_pass(it, 2)
        assert told(it) == []
        assert "open_key" not in it.head


def test_a_notice_that_nobody_can_hear_is_given_up_after_a_day_and_the_record_says_so() -> None:
    with scene("Server") as it, patch.object(Notices, "_put_event", bus_refuses):
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.alarm_fires()
        it.run_to_end()
        it.alarm_recovers()
        it.sim.advance(86_500)
        it.sweep()
        assert "NOTICE_GIVEN_UP" in {step["step_name"] for step in it.steps}
        assert "open_key" not in it.head


def no_tags(*_: Any) -> None:
    raise RefusedError("list_tags_for_resource", "AccessDeniedException", "not authorized")


def test_tags_that_may_not_be_read_are_told_and_never_replaced_by_the_default() -> None:
    default = {"LASTGOOD_DEFAULT_APPLICATION": "shop", "LASTGOOD_DEFAULT_DEPLOYMENT_GROUP": "prod"}
    with scene("Server", settings=default) as it, patch.object(Alarms, "tags", no_tags):
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.alarm_fires(tags={})
        head = ended(it, "SKIPPED", "UNROUTED_ALARM")
        assert "not authorized" in head["explanation"]


def test_tags_that_may_not_be_read_do_not_stand_against_a_route() -> None:
    routes = '[{"alarm": "shop-*", "application": "shop", "deployment_group": "prod"}]'
    with scene("Server", settings={"LASTGOOD_ROUTES": routes}) as it, patch.object(Alarms, "tags", no_tags):
        it.good_history(1, 2)
        it.release(3, settle=True, rest=600)
        it.alarm_fires(tags={})
        ended(it, "ROLLED_BACK", "VERIFIED")
