"""Every command, once a service that ECS itself deploys was rolled back: what is said of it, and where it is found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.test_cli_services import ALARM, CONSOLE, SERVICE, WHY, live, world
from stage.local import alarm_event, service_tags
from terminal import Terminal


@pytest.fixture(scope="module")
def it() -> Iterator[Terminal]:
    """The world, which the tests only read once the service was rolled back."""
    with world() as made:
        yield made


@pytest.fixture(scope="module")
def rolled_back(it: Terminal) -> str:
    """The alarm fires in approve mode; one plan is rejected, the next approved. Returns its id."""
    assert it.call("mode", SERVICE, "approve", *WHY).code == 0
    refused = fires(it)
    assert it.call("status", refused).code == 21
    assert it.call("reject", refused, *WHY).code == 0
    it.sim.advance(60)
    asked = fires(it)
    ran = it.call("approve", asked, "--as", "jane", "--yes", "--wait", "--timeout", "30m")
    assert (ran.code, live(it)) == (0, "web:2"), ran.err
    return asked


def fires(it: Terminal) -> str:
    it.alarm(ALARM, "OK")
    it.alarm(ALARM, "ALARM")
    message = alarm_event(at=it.sim.clock.now(), alarm=ALARM, tags=service_tags("main", "web"))
    message["Records"][0]["Sns"]["TopicArn"] = it.outputs["AlarmTopicArn"]
    return str(it.handle(message)[0]["rollback_id"])


def test_status_says_how_it_ended_and_leaves_by_that(it: Terminal, rolled_back: str) -> None:
    ran = it.call("-o", "json", "status", rolled_back)
    assert (ran.code, ran.json["outcome"]) == (0, "ROLLED_BACK")


def test_the_gate_is_shut_while_a_rollback_holds_the_pipeline_and_says_how_it_is_opened(
    it: Terminal, rolled_back: str
) -> None:
    ran = it.call("gate", SERVICE, "-o", "json")
    assert (ran.code, ran.json["may_release"]) == (1, False)
    assert ran.json["why_not"] == f"{rolled_back} holds its pipeline: lastgood release {SERVICE} --reason …"


def test_the_story_and_the_reasons_lead_to_the_console_of_ecs(it: Terminal, rolled_back: str) -> None:
    shown = it.call("audit", "show", rolled_back)
    assert shown.code == 0
    assert CONSOLE in shown.out and "codedeploy" not in shown.out.lower()
    assert f"{rolled_back}  ROLLED_BACK (VERIFIED)  {SERVICE}" in shown.out
    assert "{}" not in shown.out
    explained = it.call("-o", "json", "explain", rolled_back).json[0]
    assert (explained["deployment_group_key"], explained["reason"]) == (SERVICE, "")
    assert {each["answer"] for each in explained["questions"]} == {"yes"}


@pytest.mark.parametrize(
    "which", [(), ("-a", "ecs:main"), ("-g", "web"), ("-a", "ecs:main", "-g", "web"), ("-a", "ecs:*")]
)
def test_the_record_is_found_by_cluster_and_service(it: Terminal, rolled_back: str, which: tuple[str, ...]) -> None:
    rows = it.call("-o", "json", "audit", "list", *which).json
    assert rolled_back in [row["rollback_id"] for row in rows]
    assert {row["deployment_group_key"] for row in rows} == {SERVICE}
    assert it.call("-o", "json", "audit", "list", "-a", "main", "-g", "web").json == []


def test_stats_export_and_report_count_the_service(it: Terminal, rolled_back: str, tmp_path: Path) -> None:
    by_service = ("-a", "ecs:main", "-g", "web")
    stats = it.call("audit", "stats", *by_service).out
    assert "ROLLED_BACK" in stats and "APPROVAL_REJECTED" in stats
    exported = [json.loads(line) for line in it.call("audit", "export", *by_service).out.splitlines()]
    assert rolled_back in [head["rollback_id"] for head in exported]
    page = tmp_path / "report.html"
    assert it.call("report", "--since", "7d", "--out", str(page)).code == 0
    told = page.read_text()
    assert SERVICE in told and rolled_back in told and "/ecs/v2/clusters/main/services/web/" in told
