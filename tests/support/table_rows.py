"""Rollbacks in an audit table for tests of the ledger: opened, closed, whole, and rewritten by another version."""

from __future__ import annotations

from typing import Any

from builders import ROLLBACK_ID, at, rollback
from lastgood.ledger import Kind, Ledger, Opened, Step
from lastgood.model import (
    Candidate,
    ComputePlatform,
    Controller,
    DeploymentGroup,
    Outcome,
    Phase,
    Reason,
    Rejection,
    Rollback,
)

SHOP = DeploymentGroup("shop", "prod")


def step(text: str = "because", kind: Kind = Kind.NOTE, occurred: float = 1) -> Step:
    return Step(kind, "OPEN", text, at(occurred))


def opened(ledger: Ledger, record: Rollback | None = None, *, storm: bool = True) -> Rollback:
    """A rollback that is in the table, as its opener holds it."""
    record = (record or rollback()).changed(step_count=1)
    assert ledger.open(record, step(), counts_for_storm=storm) == Opened()
    return record


def close(ledger: Ledger, record: Rollback, outcome: Outcome = Outcome.ROLLED_BACK, **more: Any) -> Rollback:
    """End it as the story does, with its notices still to be sent."""
    closed = record.changed(phase=Phase.CLOSED, outcome=outcome, closed_at=at(5), **more)
    extra = ledger.closing(closed, acted=True, watch_until=None)
    return ledger.write(record, closed, [step("done")], next_check_at=at(6), extra=extra)


def head_of(table: Any, rollback_id: str = ROLLBACK_ID) -> dict[str, Any]:
    return table.get_item(Key={"pk": f"ROLLBACK#{rollback_id}", "sk": "META"})["Item"]


def full() -> Rollback:
    """Every field has a value."""
    return rollback(
        Phase.CLOSED,
        outcome=Outcome.ROLLED_BACK,
        reason_code=Reason.VERIFIED,
        explanation="v1 is live",
        compute_platform=ComputePlatform.ECS,
        controller=Controller.ECS,
        alarm_arn="arn:aws:cloudwatch:eu-west-1:123456789012:alarm:shop-errors",
        released_in_alarm="d-2",
        brought_back={"d-2": "rb-before"},
        evaluation_seconds=300,
        onset_at=at(-2),
        onset_margin_seconds=60,
        onset_measured=True,
        routed_by="alarm tags",
        remark="It is not proven.",
        calls_people=True,
        floor_deployment_id="d-FLOOR",
        compare_url="https://github.com/acme/shop/compare/a...b",
        took_lock_of="rb-none",
        alarm_contributor="2868f7dcc58a8caf",
        alarm_attributes={"FunctionName": "checkout"},
        requested_by="ann",
        request_reason="errors",
        dry_run=True,
        force=True,
        to_deployment_id="d-1",
        approved_by="bob",
        rejected_by="eve",
        suspect_deployment_id="d-2",
        suspect_created_at=at(-10),
        suspect_revisions=("v2", "v3"),
        suspect_contents={"v2": "{}"},
        good_deployment_id="d-1",
        good_revision="v1",
        good_digests=("app=sha256:1f", "proxy=sha256:2e"),
        redeployed_revision="v1",
        rollback_deployment_id="d-3",
        adopted=True,
        suspect_stack="arn:aws:cloudformation:us-east-1:123456789012:stack/shop/1",
        origin="stack",
        stack_status="UPDATE_COMPLETE",
        stack_command="aws cloudformation describe-stacks",
        stack_cancel_requested_at=at(1),
        stack_debt="The stack believes in version 2.",
        release_groups=("shop/prod", "shop/jobs"),
        release_joined_by="the run e-3 of the pipeline shop",
        release_deployments={"shop/jobs": "d-5"},
        others_of_release="follow",
        follower_ids=("rb-20260302T100400000Z-follower0000",),
        follows="rb-20260302T100300000Z-followed0000",
        only_deployment_id="d-2",
        passed_on_to="pipeline:shop/Deploy",
        passed_on_run="5d1e3a5c-7f0e-4b0a-8c39-6f1b6a1c2d3e",
        passed_on_id="rb-20260302T100400000Z-passedon0000",
        failed_rollback_id="d-4",
        failed_rollback="CodeDeploy's own rollback d-4 is Failed.",
        native_rollback_asked=True,
        candidates=(
            Candidate("d-2", "v2", at(-10), Rejection.SUSPECT, "The alarm blames it."),
            Candidate("d-1", "v1", at(-600), None, "Good."),
        ),
        stop_requested_at=at(1),
        stopped_at=at(2),
        create_attempted_at=at(3),
        redeployed_at=at(4),
        closed_at=at(6),
        alarm_recovered_at=at(7),
        not_recovered_at=at(9),
        not_recovered_state="ALARM",
        not_recovered_alarm="shop-latency",
        next_good_deployment_id="d-0",
        next_good_revision="v0",
        stop_answer="Pending",
        held_up_since=at(2),
        held_up_by="The stop hangs.",
        held_up_ended_at=at(3),
        looks_for_commits=True,
        pipeline="shop",
        after_rollback="rerun",
        hold_stage="Deploy",
        suspect_commit="b2" * 20,
        good_commit="a1" * 20,
        suspect_execution_id="run-2",
        good_execution_id="run-1",
        rerun_request="{}",
        rerun_command="aws codepipeline start-pipeline-execution",
        rerun_execution_id="run-3",
        rerun_status="InProgress",
        held_at=at(5),
        release_requested_by="ann",
        released_at=at(10),
        pipeline_problem="No run is known.",
        pipeline_alert="The re-run failed.",
        followed_up=("HOLD",),
        follow_up_attempts=1,
        follow_up_at=at(11),
        notified=("opened",),
        version=3,
        step_count=1,
        lease_owner="me",
        lease_until=at(8),
    )


def rewrite(table: Any, **changes: Any) -> None:
    item = {**head_of(table), **changes}
    table.put_item(Item={k: v for k, v in item.items() if v is not None})
