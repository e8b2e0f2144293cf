"""Every command, once a stage of a pipeline was rolled back: what is said of it, and where it is found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.test_cli_stages import ALARM, CONSOLE, STAGE, TAGS, live, world
from stage.local import alarm_event
from terminal import Terminal


@pytest.fixture(scope="module")
def it() -> Iterator[Terminal]:
    """The world, which the tests only read once the stage was rolled back."""
    with world() as made:
        yield made


@pytest.fixture(scope="module")
def rolled_back(it: Terminal) -> str:
    """The alarm fires, and the stage goes back. Returns the rollback's id."""
    it.alarm(ALARM, "ALARM")
    message = alarm_event(at=it.sim.clock.now(), alarm=ALARM, tags=TAGS)
    message["Records"][0]["Sns"]["TopicArn"] = it.outputs["AlarmTopicArn"]
    found = str(it.handle(message)[0]["rollback_id"])
    it.sim.advance(60)
    it.handle({"action": "sweep"})
    assert live(it) == {"second": 1.0}
    return found


def test_the_story_and_the_reasons_lead_to_the_console_of_codepipeline(it: Terminal, rolled_back: str) -> None:
    shown = it.call("audit", "show", rolled_back)
    assert shown.code == 0
    assert CONSOLE in shown.out
    assert f"{rolled_back}  ROLLED_BACK (VERIFIED)  {STAGE}" in shown.out
    explained = it.call("-o", "json", "explain", rolled_back).json[0]
    assert (explained["deployment_group_key"], explained["reason"]) == (STAGE, "")
    assert {each["answer"] for each in explained["questions"]} == {"yes"}


def test_the_record_is_found_and_counted(it: Terminal, rolled_back: str, tmp_path: Path) -> None:
    which = ("-a", "pipeline:shop", "-g", "Deploy")
    rows = it.call("-o", "json", "audit", "list", *which).json
    assert {row["deployment_group_key"] for row in rows} == {STAGE}
    assert rolled_back in [row["rollback_id"] for row in rows]
    exported = [json.loads(line) for line in it.call("audit", "export", *which).out.splitlines()]
    assert rolled_back in [head["rollback_id"] for head in exported]
    page = tmp_path / "report.html"
    assert it.call("report", "--since", "7d", "--out", str(page)).code == 0
    told = page.read_text()
    assert STAGE in told and rolled_back in told and "/codepipeline/pipelines/shop/" in told
