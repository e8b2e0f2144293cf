"""The report as a browser shows it: on a phone, in the dark, on paper.

Skipped where no Chromium is on the PATH; with LASTGOOD_NEEDS_CHROMIUM, as in CI, that is a failure.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from builders import ALARM_AT, at, rollback
from lastgood.model import Candidate, Outcome, Phase, Reason, Rejection, Rollback
from lastgood_cli.report import Chapter, page

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
NEEDED = bool(os.environ.get("LASTGOOD_NEEDS_CHROMIUM"))
pytestmark = pytest.mark.skipif(
    not CHROMIUM and not NEEDED, reason="no chromium, chromium-browser or google-chrome on the PATH"
)

SINCE, UNTIL = ALARM_AT - timedelta(days=10), ALARM_AT + timedelta(days=20)
PROBE = """
<iframe id="page" style="width:{width}px;height:800px;border:0" srcdoc="{page}"></iframe><pre id="seen"></pre>
<script>onload = () => {{
  const page = document.getElementById("page").contentDocument, root = page.documentElement;
  if ({open}) page.querySelectorAll("details").forEach(d => d.open = true);
  const wide = [...page.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > root.clientWidth + 1);
  document.getElementById("seen").textContent = JSON.stringify({{
    title: page.title, width: root.clientWidth, needed: root.scrollWidth, wide: wide.map(e => e.className || e.tagName),
    tall: root.scrollHeight, ground: getComputedStyle(page.body).backgroundColor, images: page.images.length,
    text: page.body.innerText.length, marks: page.querySelectorAll(".lane use").length,
    visible: [...page.querySelectorAll(".lane use")].filter(e => e.getBoundingClientRect().width > 4).length,
  }});
}}</script>
"""


def closed(number: int, **more: Any) -> Rollback:
    """A rollback that worked, with everything that a record can hold."""
    candidates = (
        Candidate(
            "d-YQDPV68R5", "arn:aws:ecs:eu-central-1:123456789012:task-definition/web:3", at(-9), Rejection.SUSPECT
        ),
        Candidate("d-6SK1WJ693", "arn:aws:ecs:eu-central-1:123456789012:task-definition/web:2", at(-99), None, "Good."),
    )
    facts = {
        "rollback_id": f"rb-20260302T100000000Z-{number:012x}",
        "opened_at": at(number * 60),
        "outcome": Outcome.ROLLED_BACK,
        "reason_code": Reason.VERIFIED,
        "stopped_at": at(1),
        "redeployed_at": at(2),
        "closed_at": at(5),
        "alarm_recovered_at": at(9),
        "suspect_deployment_id": "d-YQDPV68R5",
        "suspect_revision": candidates[0].revision,
        "good_deployment_id": "d-6SK1WJ693",
        "good_revision": candidates[1].revision,
        "candidates": candidates,
    }
    return rollback(Phase.CLOSED, **{**facts, **more})


def sample(count: int = 12, text: str = "") -> str:
    """A page of some stories; `text` stands in every place that a stranger can reach."""
    kinds = (Outcome.ROLLED_BACK, Outcome.BLOCKED, Outcome.SKIPPED, Outcome.FAILED)
    steps = [
        {
            "occurred_at": "2026-03-02T10:00:00.000Z",
            "kind": "note",
            "step_name": "OPEN",
            "explanation": text or "It began.",
        }
    ]
    stories = [closed(number, outcome=kinds[number % 4]) for number in range(count)]
    if text:
        stories = [each.changed(explanation=text, alarm_name=text, good_revision=text) for each in stories]
    return page([Chapter(each, steps) for each in stories], SINCE, UNTIL, made_at=UNTIL)


def chromium(folder: Path, html_text: str, *options: str) -> str:
    """Open a page in a headless browser; what it prints."""
    source = folder / "page.html"
    source.write_text(html_text, encoding="utf-8")
    fixed = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}",
    )
    done = subprocess.run(
        [CHROMIUM, *fixed, *options, source.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


def seen(folder: Path, page_text: str, *options: str, width: int = 390, opened: bool = False) -> dict[str, Any]:
    """What a browser sees of a page in a window of that width."""
    probe = PROBE.format(width=width, open=str(opened).lower(), page=html.escape(page_text))
    found = re.search(r'<pre id="seen">(.*?)</pre>', chromium(folder, probe, "--dump-dom", *options), re.DOTALL)
    assert found is not None
    told: dict[str, Any] = json.loads(html.unescape(found[1]))
    return told


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_sticks_out_of_the_page_at_any_width_even_with_every_story_open(tmp_path: Path, width: int) -> None:
    looked = seen(tmp_path, sample(), width=width, opened=True)
    assert looked["wide"] == []
    assert looked["needed"] <= looked["width"]


def test_every_mark_of_the_timeline_can_be_seen(tmp_path: Path) -> None:
    looked = seen(tmp_path, sample())
    assert looked["visible"] == looked["marks"] == 12


def test_the_page_is_dark_for_those_who_like_it_dark(tmp_path: Path) -> None:
    light = seen(tmp_path, sample(2))["ground"]
    dark = seen(tmp_path, sample(2), "--blink-settings=preferredColorScheme=0")["ground"]
    assert (light, dark) == ("rgb(246, 247, 249)", "rgb(15, 20, 26)")


def test_on_paper_every_story_is_open(tmp_path: Path) -> None:
    """A closed story takes one line, an open one half a page: paper must have room for them all."""
    pages = []
    for count in (1, 25):
        chromium(tmp_path, sample(count), f"--print-to-pdf={tmp_path / 'page.pdf'}", "--no-pdf-header-footer")
        pages.append(len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "page.pdf").read_bytes())))
    assert pages[0] <= 3
    assert pages[1] - pages[0] >= 6


def test_hostile_text_does_nothing_in_a_browser(tmp_path: Path) -> None:
    evil = (
        "</style></title><script>document.title='owned'</script><img src=x onerror=\"parent.document.title='owned'\">"
    )
    looked = seen(tmp_path, sample(4, evil), opened=True)
    assert looked["title"].startswith("lastgood: ")
    assert looked["images"] == 0
    assert seen(tmp_path, sample(4, "W" * 3000), opened=True)["wide"] == []
