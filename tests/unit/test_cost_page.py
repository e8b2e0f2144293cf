"""The page about cost: its sums are those of its rows, and what it counts is in the template."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from samcli.yamlhelper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "cost.md").read_text()
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())
SWEEPS = 43_830


def rows(heading: str) -> dict[str, str]:
    """What each row of the section's table costs."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| (.+?) \|.*\| ([\d.*]+) \|$", section, flags=re.MULTILINE)
    return {what: dollars.strip("*") for what, dollars in found}


@pytest.mark.parametrize(("heading", "accuracy"), [("Idle, a month", 0.001), ("One rollback", 0.0001)])
def test_the_sum_is_that_of_the_rows(heading: str, accuracy: float) -> None:
    found = rows(heading)
    total = float(found.pop("**sum**"))
    assert len(found) >= 4 and sum(map(float, found.values())) == pytest.approx(total, abs=accuracy)


def test_what_is_computed_from_sweeps_and_prices_is_what_they_give() -> None:
    found = {what: float(dollars) for what, dollars in rows("Idle, a month").items()}
    assert found["the sweep's time"] == pytest.approx(SWEEPS * 0.06 * 0.0000133334, abs=0.001)
    assert found["the sweep's invocations"] == pytest.approx(SWEEPS * 0.20 / 1e6, abs=0.001)
    assert found["the sweep's two queries, one of them consistent"] == pytest.approx(
        SWEEPS * 1.5 * 0.125 / 1e6, abs=0.001
    )
    assert found["the sweep's look at CloudWatch"] == pytest.approx(SWEEPS * 0.01 / 1000, abs=0.001)
    assert found["logs"] == pytest.approx(SWEEPS * 1e-6 * 0.50, abs=0.001)


def test_every_alarm_of_the_stack_is_counted_and_the_dashboard_is_off_by_default() -> None:
    alarms = [name for name, made in TEMPLATE["Resources"].items() if made["Type"] == "AWS::CloudWatch::Alarm"]
    assert float(rows("Idle, a month")["the stack's alarms"]) == pytest.approx(len(alarms) * 0.10)
    assert TEMPLATE["Parameters"]["EnableDashboard"]["Default"] == "false"


def test_the_sweep_comes_every_minute_at_the_memory_that_is_computed_with() -> None:
    assert "rate(1 minute)" in (ROOT / "template.yaml").read_text()
    assert int(TEMPLATE["Parameters"]["MemorySize"]["Default"]) == 1024
