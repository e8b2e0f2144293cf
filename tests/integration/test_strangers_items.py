"""What one item in the audit table can do that somebody else wrote: it deploys nothing, and it silences nobody."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from boto3.dynamodb.types import TypeSerializer

from scene import ALARM, PLATFORMS, Scene, scene, stage_scene
from stage.local import TABLE, group_tags

EFFECTS = ("StopDeployment", "CreateDeployment", "UpdateAlias", "RegisterTaskDefinition")


def put_item(it: Scene, **item: Any) -> None:
    """One PutItem on the audit table."""
    encode = TypeSerializer().serialize
    it.local.dynamodb.put_item(TableName=TABLE, Item={name: encode(value) for name, value in item.items()})


def forged_head(it: Scene, rollback_id: str, **more: Any) -> None:
    """A rollback that was never opened, due now."""
    now = it.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    head = {
        "application": "shop",
        "deployment_group": "prod",
        "deployment_group_key": "shop/prod",
        "compute_platform": it.platform,
        "phase": "REDEPLOYING",
        "trigger_kind": "MANUAL",
        "requested_by": "alice",
        "opened_at": now,
        "signal_at": now,
        "day": now[:10],
        "open_key": "open",
        "next_check_at": now,
        "version": 1,
        "step_count": 0,
        "schema_version": 1,
    }
    put_item(it, pk=f"ROLLBACK#{rollback_id}", sk="META", rollback_id=rollback_id, **{**head, **more})
    it.rollback_id = rollback_id


def effects(it: Scene) -> list[int]:
    """How many calls of each kind that changes something have been made."""
    return [len(it.calls(operation)) for operation in EFFECTS]


def told(it: Scene) -> str:
    """All that people were told since the last look."""
    return json.dumps(it.local.notices(), ensure_ascii=False)


def heads(it: Scene) -> list[dict[str, Any]]:
    """Every rollback's head item."""
    return [item for item in it.local.items() if item["sk"] == "META"]


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("phase", ["CLAIMED", "STOPPING", "REDEPLOYING", "AWAITING_APPROVAL"])
def test_a_head_without_its_lock_deploys_nothing_is_closed_and_told(platform: str, phase: str) -> None:
    with scene(platform) as it:
        first, *_ = it.good_history(1, 2)
        suspect = it.release(3, settle=True, rest=300)
        before, _ = effects(it), told(it)
        forged_head(it, "rb-forged", phase=phase, good_deployment_id=first, suspect_deployment_id=suspect)
        it.sweep()
        assert effects(it) == before
        assert (it.head["outcome"], it.head["reason_code"]) == ("BLOCKED", "RECORD_CONTRADICTED")
        assert "rb-forged" in told(it)
        assert (it.is_live(3), it.lock()) == (True, "")


def test_a_forged_head_leaves_the_lock_of_a_real_rollback_alone() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3)
        it.alarm_fires()
        real = it.rollback_id
        forged_head(it, "rb-forged", good_deployment_id="d-000000001")
        it.sweep()
        assert it.head["reason_code"] == "RECORD_CONTRADICTED"
        assert it.lock() in {real, ""}
        it.rollback_id = real
        assert (it.run_to_end()["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


@pytest.mark.parametrize(
    ("chosen", "more"),
    [("failed", {}), ("newer than the suspect", {}), ("good", {"suspect_deployment_id": ""})],
)
def test_with_a_forged_lock_too_only_what_could_have_been_chosen_is_deployed(chosen: str, more: dict[str, str]) -> None:
    with scene("Server") as it:
        it.good_history(1)
        it.sim.fail_next("HOOK_EXECUTION_FAILURE", "simulated")
        failed = it.release(2, settle=True)
        good = it.release(3, settle=True)
        suspect = it.release(4, settle=True, rest=300)
        newest = it.release(5, settle=True, rest=300)
        target = {"failed": failed, "newer than the suspect": newest, "good": good}[chosen]
        before = effects(it)
        made = it.sim.deployment(suspect)["createTime"].strftime("%Y-%m-%dT%H:%M:%S.000Z")
        about = {"good_deployment_id": target, "suspect_deployment_id": suspect, "suspect_created_at": made}
        forged_head(it, "rb-forged", **{**about, **more})
        put_item(it, pk="GROUP#shop/prod", sk="LOCK", open_rollback_id="rb-forged")
        it.sweep()
        assert it.head["reason_code"] == "RECORD_CONTRADICTED", it.head["explanation"]
        assert effects(it) == before
        assert it.lock() == ""


@pytest.mark.parametrize("named", ["nothing", "a closed one", "another group's"])
def test_a_lock_that_names_no_open_rollback_of_its_group_silences_no_alarm(named: str) -> None:
    with scene("Lambda") as it:
        it.good_history(1, 2)
        if named == "a closed one":
            it.alarm_fires(tags={"lastgood:application": "gone", "lastgood:deployment-group": "x"}, alarm="other")
        elif named == "another group's":
            forged_head(it, "rb-other", deployment_group="staging", deployment_group_key="shop/staging")
        holder = it.rollback_id or "rb-none"
        it.release(3, settle=True, rest=300)
        put_item(it, pk="GROUP#shop/prod", sk="LOCK", open_rollback_id=holder)
        _ = told(it)
        it.alarm_fires()
        head = it.run_to_end()
        assert (head["outcome"], head["alarm_name"], head["took_lock_of"]) == ("ROLLED_BACK", ALARM, holder)
        assert it.is_live(2)
        assert holder in told(it)


def test_a_lock_without_a_rollback_hides_no_release() -> None:
    with scene("Lambda") as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=300)
        it.alarm_fires()
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        put_item(it, pk="GROUP#shop/prod", sk="LOCK", open_rollback_id="rb-none")
        it.connect_events()
        it.release(3)
        it.sim.advance(60)
        assert "RELEASED_IN_ALARM" in {head.get("reason_code") for head in heads(it)}


# --- the choice is held against the history again ---------------------------------------------------------------------


def forged(it: Scene, suspect: str, good: str, **more: Any) -> None:
    """A record and its lock, as somebody wrote them who knows all about them."""
    made = it.sim.deployment(suspect)["createTime"].strftime("%Y-%m-%dT%H:%M:%S.000Z")
    about = {"good_deployment_id": good, "suspect_deployment_id": suspect, "suspect_created_at": made, **more}
    forged_head(it, "rb-forged", **about)
    put_item(it, pk="GROUP#shop/prod", sk="LOCK", open_rollback_id="rb-forged")


def good_revision(it: Scene, deployment_id: str) -> str:
    """The identity of what a deployment on servers deployed."""
    location = it.sim.deployment(deployment_id)["revision"]["s3Location"]
    etag = boto3.client("s3").head_object(Bucket=location["bucket"], Key=location["key"])["ETag"].strip('"')
    return f"s3://{location['bucket']}/{location['key']}?etag={etag}"


@pytest.mark.parametrize("phase", ["STOPPING", "REDEPLOYING"])
def test_with_a_forged_lock_too_nothing_older_goes_back_than_what_would_be_chosen(phase: str) -> None:
    with scene("Server") as it:
        older, _ = it.good_history(1, 2)
        suspect = it.release(3, settle=True, rest=300)
        before = effects(it)
        forged(it, suspect, older, phase=phase, good_revision=good_revision(it, older))
        it.sweep()
        assert (it.head["reason_code"], it.lock()) == ("RECORD_CONTRADICTED", ""), it.head["explanation"]
        assert effects(it) == before


def test_with_a_forged_lock_too_nothing_below_a_floor_that_a_release_brought_goes_back() -> None:
    with scene("Server") as it:
        older, _ = it.good_history(1, 2)
        it.release(3, settle=True, rest=7200, description="lastgood:floor")
        suspect = it.release(4, settle=True, rest=300)
        before = effects(it)
        forged(it, suspect, older, good_revision=good_revision(it, older), to_deployment_id=older)
        it.sweep()
        assert it.head["reason_code"] == "RECORD_CONTRADICTED", it.head["explanation"]
        assert "floor" in it.head["explanation"]
        assert effects(it) == before


def test_with_a_forged_lock_too_no_deployment_of_another_group_goes_back() -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        it.sim.server_group("shop", "staging")
        elsewhere = it.sim.release("shop", "staging", "other.zip", settle=True)
        suspect = it.release(3, settle=True, rest=300)
        before = effects(it)
        forged(it, suspect, elsewhere, good_revision=good_revision(it, elsewhere))
        it.sweep()
        assert (it.head["outcome"], it.head["needs_human"]) == ("FAILED", True), it.head["explanation"]
        assert effects(it) == before


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_later_visit_reads_the_history_again_before_it_deploys(platform: str) -> None:
    """A group that is occupied for minutes: what goes back was chosen long ago."""
    with scene(platform) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=300)
        it.sim.fail_call("CreateDeployment", "DeploymentLimitExceededException", "occupied", count=20)
        it.alarm_fires()
        assert it.head["phase"] == "REDEPLOYING"
        before = len(it.calls("ListDeployments"))
        assert it.run_to_end()["outcome"] == "ROLLED_BACK"
        assert len(it.calls("ListDeployments")) > before
        assert it.is_live(2)


# --- what follows a rollback, and what tells of one -------------------------------------------------------------------

RULE = {"application": "shop", "deployment_group": "prod", "pipeline": "shop", "after_rollback": "rerun"}
OLDEST = {"actionName": "Source", "revisionType": "COMMIT_ID", "revisionValue": "1" * 40}
RERUN = {
    "after_rollback": "rerun",
    "rerun_request": json.dumps({"name": "shop", "clientRequestToken": "rb-forged", "sourceRevisions": [OLDEST]}),
}


@pytest.mark.parametrize(
    "follows",
    [RERUN, {**RERUN, "rerun_status": "Starting"}, {"hold_stage": "Deploy"}],
    ids=["a re-run", "a re-run as if it was begun", "a hold"],
)
def test_a_closed_record_that_its_group_knows_nothing_of_neither_runs_nor_holds_a_pipeline(
    follows: dict[str, str],
) -> None:
    """One PutItem would otherwise choose the commit that a pipeline releases."""
    with scene("Lambda", settings={"LASTGOOD_PIPELINES": json.dumps([RULE])}) as it:
        it.sim.pipeline("shop", application="shop", group="prod")
        for number in (1, 2, 3):
            it.sim.push("shop", f"{number:x}" * 40, number, settle=True)
            it.sim.advance(7200)
        forged_head(
            it,
            "rb-forged",
            phase="CLOSED",
            outcome="ROLLED_BACK",
            reason_code="VERIFIED",
            closed_at=iso(it),
            pipeline="shop",
            rollback_deployment_id="d-000000009",
            notified=["closed"],
            followed_up=["FIND_COMMITS"],
            **follows,
        )
        minutes(it, 5)
        assert it.calls("StartPipelineExecution") == it.calls("DisableStageTransition") == []
        assert len(it.sim.pipelines.pipeline("shop").runs) == 3
        assert "know nothing of this rollback" in it.head["pipeline_problem"]


def test_a_watch_that_somebody_wrote_rolls_nothing_back_where_releases_in_alarm_are_only_told() -> None:
    with scene("Lambda") as it:
        it.good_history(1, 2)
        it.connect_events()
        it.local.alarm(ALARM, tags=it.tags)
        it.sim.advance(3600)
        made = it.release(3, settle=True, rest=300)
        (told_by,) = [h["rollback_id"] for h in heads(it) if h["reason_code"] == "RELEASED_IN_ALARM"]
        before, watch = effects(it), {"alarm_name": ALARM, "deployment_id": made}
        put_item(it, pk="WATCH", sk=f"{iso(it)}#{told_by}", rollback_id=told_by, **watch)
        minutes(it, 5)
        assert effects(it) == before
        assert it.is_live(3)


def test_a_silence_that_somebody_wrote_keeps_no_storm_from_being_told() -> None:
    with scene("Server", settings={"LASTGOOD_STORM_GROUPS": "2"}) as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=300)
        for group in ("a", "b", "c"):
            it.local.alarm(group, tags=group_tags("shop", group))
        put_item(it, pk="CONTROL", sk="STORM", told_by="rb-none", silent_until="2999-01-01T00:00:00.000Z")
        it.alarm_fires()
        assert it.head["reason_code"] == "STORM", it.head
        assert "Too many deployment groups" in told(it)


def iso(it: Scene) -> str:
    """Now, as the table writes it."""
    return it.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")


def minutes(it: Scene, number: int) -> None:
    """So many minutes pass, each with its sweep."""
    for _ in range(number):
        it.sim.advance(60)
        it.sweep()


def closed_head(it: Scene, rollback_id: str, **more: Any) -> None:
    """A rollback that ended without acting, and that has something left to do."""
    about = {"phase": "CLOSED", "outcome": "SKIPPED", "reason_code": "RELEASED_BY_PIPELINE", "closed_at": iso(it)}
    forged_head(it, rollback_id, **{**about, "explanation": "x", "notified": ["closed"], **more})


def test_a_closed_record_that_its_group_knows_nothing_of_passes_nothing_on() -> None:
    """One PutItem would otherwise roll a pipeline's stage back, with force and to any execution."""
    with stage_scene() as it:
        for number in (1, 2, 3):
            it.release(number, settle=True)
        asked = {"trigger_kind": "manual", "requested_by": "alice", "forced": True}
        closed_head(it, "rb-forged", passed_on_to="pipeline:shop/Deploy", **asked)
        minutes(it, 5)
        assert it.is_live(3)
        assert it.calls("RollbackStage") == []
        assert [head["rollback_id"] for head in heads(it)] == ["rb-forged"]
        assert "know nothing of this rollback" in told(it)


@pytest.mark.parametrize("kind", ["manual", "sns"])
def test_a_signal_that_somebody_wrote_to_a_rollback_commands_nothing_that_nobody_confirms(kind: str) -> None:
    """What joined a rollback that did not answer it is opened by itself, if it is an alarm: that is confirmed first."""
    with scene("Server") as it:
        it.good_history(1, 2)
        it.release(3, settle=True, rest=300)
        closed_head(it, "rb-forged", reason_code="ALARM_NOT_CONFIRMED")
        signal = {"trigger_kind": kind, "rollback_id": "rb-second", "opened_at": iso(it), "signal_at": iso(it)}
        alarm = {} if kind == "manual" else {"alarm_name": ALARM, "alarm_changed_at": iso(it)}
        where = {"application": "shop", "deployment_group": "prod"}
        put_item(
            it, pk="ROLLBACK#rb-forged", sk="SIGNAL#1", signal_key="x", phase="CLAIMED", **signal, **alarm, **where
        )
        before = effects(it)
        minutes(it, 5)
        assert effects(it) == before
        assert it.is_live(3)


# --- the record of a rollback that is under way -----------------------------------------------------------------------


def change_head(it: Scene, **attributes: Any) -> None:
    """One UpdateItem on the head of the rollback that is under way."""
    encode = TypeSerializer().serialize
    names = {f"#{n}": name for n, name in enumerate(attributes)}
    it.local.dynamodb.update_item(
        TableName=TABLE,
        Key={"pk": encode(f"ROLLBACK#{it.rollback_id}"), "sk": encode("META")},
        UpdateExpression="SET " + ", ".join(f"{name} = :{name[1:]}" for name in names),
        ExpressionAttributeNames=names,
        ExpressionAttributeValues={f":{n}": encode(value) for n, value in enumerate(attributes.values())},
    )


def held_up(it: Scene) -> None:
    """A rollback whose redeployment is refused for a while, so that it waits for its next visit."""
    it.good_history(1, 2)
    it.release(3, settle=True, rest=300)
    it.sim.fail_call("CreateDeployment", "DeploymentLimitExceededException", "occupied", count=4)
    it.alarm_fires()
    assert it.head["phase"] == "REDEPLOYING"


FAR = "2999-01-01T00:00:00.000Z"
NO_TIME = "0001-01-01T00:00:00.000Z"


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    "change",
    [
        {"lease_owner": "stranger", "lease_until": FAR},
        {"lease_owner": "stranger", "lease_until": 5},
        {"step_count": 0},
        {"step_count": "x"},
        {"create_attempted_at": NO_TIME},
        {"signal_at": NO_TIME},
    ],
    ids=lambda change: "-".join(f"{name}-{value}" for name, value in change.items())[:40],
)
def test_what_somebody_writes_into_a_record_keeps_no_visit_from_finishing_it(
    platform: str, change: dict[str, Any]
) -> None:
    with scene(platform) as it:
        held_up(it)
        change_head(it, **change)
        assert (it.run_to_end(15)["outcome"], it.is_live(2), it.lock()) == ("ROLLED_BACK", True, "")


def test_a_step_that_somebody_wrote_ahead_keeps_no_visit_from_finishing_the_record() -> None:
    with scene("Lambda") as it:
        held_up(it)
        following = len(it.steps) + 1
        for number in (following, following + 1, 10**20):
            put_item(it, pk=f"ROLLBACK#{it.rollback_id}", sk=f"STEP#{number:04d}", explanation="a stranger's")
        put_item(it, pk=f"ROLLBACK#{it.rollback_id}", sk="STEP#x", explanation="a stranger's")
        assert (it.run_to_end(15)["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)
        own = [step for step in it.steps if step["explanation"] != "a stranger's"]
        assert own[-1]["step_name"] == "CLOSE", own


@pytest.mark.parametrize("change", [{"next_check_at": FAR}, {"open_key": "shut"}], ids=["put off", "hidden"])
def test_a_record_that_the_sweep_no_longer_finds_is_finished_by_the_next_alarm(change: dict[str, Any]) -> None:
    with scene("Lambda") as it:
        held_up(it)
        change_head(it, **change)
        minutes(it, 10)
        assert not it.head.get("outcome")
        first = it.rollback_id
        it.alarm_fires(alarm="shop-prod-latency")
        it.rollback_id = first
        assert (it.run_to_end(15)["outcome"], it.is_live(2)) == ("ROLLED_BACK", True)


@pytest.mark.parametrize("change", [{"version": "x"}, {"version": [1]}, {"rollback_id": "rb-other"}], ids=str)
def test_a_record_that_can_no_longer_be_written_holds_its_group_against_no_alarm(change: dict[str, Any]) -> None:
    with scene("Lambda") as it:
        held_up(it)
        first = it.rollback_id
        change_head(it, **change)
        minutes(it, 3)
        it.alarm_fires(alarm="shop-prod-latency")
        head = it.run_to_end(15)
        assert (head["outcome"], head["took_lock_of"], it.is_live(2)) == ("ROLLED_BACK", first, True)
        assert first in told(it)
