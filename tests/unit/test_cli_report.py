"""The report's page: its figures are right, it loads and runs nothing, no text of strangers becomes markup."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import ALARM_AT, at, rollback, seconds
from lastgood.model import Candidate, Outcome, Phase, Reason, Rejection, Rollback
from lastgood_cli.records import Story
from lastgood_cli.report import (
    KINDS,
    MOST_LANES,
    MOST_STORIES,
    Chapter,
    chain,
    chapter,
    days,
    gist,
    lanes,
    outcomes,
    page,
    reasons,
    spreads,
    ticks,
)
from stage.local import ROOT

SINCE, UNTIL = ALARM_AT - timedelta(days=10), ALARM_AT + timedelta(days=20)
TEMPLATE = (ROOT / "src/tools/lastgood_cli/report.html.jinja").read_text()
VOID = {"meta", "br", "link", "img", "input", "hr", "base", "embed"}


def closed(outcome: Outcome = Outcome.ROLLED_BACK, reason: Reason = Reason.VERIFIED, **more: Any) -> Rollback:
    """A rollback that ended; one that worked took 30 s to stop, 35 s to redeploy, 95 s to be live, 4 min to heal."""
    worked = {
        "stopped_at": at(0.5),
        "redeployed_at": ALARM_AT + seconds(35),
        "closed_at": ALARM_AT + seconds(95),
        "alarm_recovered_at": at(4),
        "suspect_revision": "v2",
        "good_revision": "v1",
    }
    facts = {**(worked if outcome is Outcome.ROLLED_BACK else {}), "outcome": outcome, "reason_code": reason, **more}
    return rollback(Phase.CLOSED, **facts)


def told(*rollbacks: Rollback) -> list[Chapter]:
    return [Chapter(each) for each in rollbacks]


def made(*chapters: Chapter, since: datetime = SINCE, until: datetime = UNTIL, **more: Any) -> str:
    return page(chapters, since, until, made_at=UNTIL, **more)


class Reader(HTMLParser):
    """Every element with its attributes, the text, and whether each element is closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data


# --- figures ---


def test_times_count_from_the_alarm_and_only_for_rollbacks_that_worked() -> None:
    slow = closed(closed_at=ALARM_AT + seconds(300))
    failed = closed(Outcome.FAILED, Reason.ROLLBACK_DEPLOYMENT_FAILED, redeployed_at=at(60))
    found = {s.name: s for s in spreads(told(closed(), slow, failed))}
    assert found["Live"].marks == (("median", 95.0), ("p90", 300.0), ("worst", 300.0))
    assert found["Redeploy"].values == (35.0, 35.0)
    assert found["Recover"].place(240) == 80.0


def test_times_that_the_record_holds_are_believed_before_they_are_worked_out() -> None:
    """A release that landed in an alarm counts from the release, which only the record knows."""
    landed = Chapter(closed(), recorded={"verify": 40.0})
    found = {s.name: s.values for s in spreads([landed])}
    assert (found["Live"], found["Stop"]) == ((40.0,), (30.0,))
    assert "proven live 40 s after" in gist(landed)


def test_a_period_without_rollbacks_has_no_times_and_no_axis() -> None:
    assert all(not s.marks and s.place(1) == 0.0 for s in spreads([]))
    assert ticks(0) == ()


@given(st.floats(min_value=0.001, max_value=10_000_000))
def test_an_axis_has_a_handful_of_ticks_and_none_outside(longest: float) -> None:
    places = [place for place, _ in ticks(longest)]
    assert 1 <= len(places) <= 7
    assert places[0] == 0 and all(0 <= place <= 100 for place in places)


@given(st.integers(min_value=0, max_value=400 * 86_400))
def test_day_ticks_are_few_and_inside_the_period(length: int) -> None:
    found = days(SINCE, SINCE + timedelta(seconds=length))
    assert len(found) <= 8
    assert all(0 <= place <= 100 for place, _ in found)


def test_outcomes_and_reasons_are_counted_and_an_open_rollback_is_its_own_kind() -> None:
    skipped = closed(Outcome.SKIPPED, Reason.COOLDOWN)
    chapters = told(closed(), skipped, skipped, closed(Outcome.BLOCKED, Reason.BELOW_FLOOR), rollback(Phase.VERIFYING))
    assert [(kind, count) for kind, _, count, _ in outcomes(chapters)] == [
        ("ROLLED_BACK", 1),
        ("BLOCKED", 1),
        ("SKIPPED", 2),
        ("OPEN", 1),
    ]
    assert reasons(chapters) == (("COOLDOWN", "SKIPPED", 2), ("BELOW_FLOOR", "BLOCKED", 1))


def test_every_outcome_has_its_word_its_mark_and_its_colour_in_each_scheme() -> None:
    assert {str(outcome) for outcome in Outcome} < set(KINDS)
    for kind in KINDS:
        assert f'id="m-{kind}"' in TEMPLATE
        assert TEMPLATE.count(f"--{kind}:") == 3


def test_the_busiest_groups_have_their_lanes_and_the_rest_share_one() -> None:
    names = [f"app{number:02}" for number in range(MOST_LANES + 3)]
    chapters = told(closed(application="busy"), closed(application="busy"), *(closed(application=n) for n in names))
    found = lanes(chapters, SINCE, UNTIL)
    assert (found[0][0], len(found[0][1])) == ("busy/prod", 2)
    assert found[-1][0] == "4 other groups" and len(found[-1][1]) == 4
    assert sum(len(marks) for _, marks in found) == len(chapters)


def test_a_mark_stands_where_its_time_is_and_never_outside() -> None:
    inside, before = closed(opened_at=ALARM_AT), closed(opened_at=SINCE - timedelta(days=3))
    ((_, marks),) = lanes(told(inside, before), SINCE, UNTIL)
    assert [mark.place for mark in marks] == [33.33, 0.0]


def test_the_gist_of_a_rollback_is_from_what_to_what_and_how_fast() -> None:
    assert (
        gist(Chapter(closed()))
        == "v2 went back to v1, proven live 1 min 35 s after the alarm; the alarm was OK after 4 min."
    )
    assert gist(Chapter(closed(Outcome.SKIPPED, Reason.COOLDOWN, explanation="A rest."))) == "A rest."


def test_the_moments_of_a_rollback_are_told_in_order_with_the_time_since_it_began() -> None:
    assert [(name, after) for name, _, after in chain(closed(stop_requested_at=at(0.1)))] == [
        ("alarm", "+0 s"),
        ("stop asked", "+6 s"),
        ("stopped", "+30 s"),
        ("redeployed", "+35 s"),
        ("opened", "+1 min"),
        ("proven live", "+1 min 35 s"),
        ("alarm OK", "+4 min"),
    ]


def test_commits_links_and_times_come_from_the_record() -> None:
    head = {"rollback_id": "rb-1", "application": "shop", "deployment_group": "prod", "suspect_commit": "abc123"}
    times = {"opened_at": "2026-03-02T10:00:00.000Z", "signal_at": "2026-03-02T10:00:00.000Z"}
    found = chapter(Story({**head, **times, "seconds_to_stop": Decimal(7)}), "eu-central-1", "AuditTable")
    assert found.suspect_commit == "abc123"
    assert found.recorded == {"stop": 7.0}
    assert found.links["record"].startswith("https://eu-central-1.console.aws.amazon.com/")
    assert "abc123" in made(replace(found, rollback=closed(suspect_deployment_id="d-2")))


# --- the page ---


def test_the_page_is_well_formed_and_tells_every_story_once() -> None:
    chapters = told(closed(rollback_id="rb-1"), closed(rollback_id="rb-2"), rollback(rollback_id="rb-3"))
    read = Reader(made(*chapters))
    assert read.open == []
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"rb-1", "rb-2", "rb-3"} < set(ids)
    assert sum(tag == "details" for tag, _ in read.elements) == 3


def test_every_mark_of_the_timeline_leads_to_a_story() -> None:
    read = Reader(made(*told(closed(rollback_id="rb-1"), closed(rollback_id="rb-2", application="pay"))))
    ids = {attributes.get("id") for _, attributes in read.elements}
    leads = {str(a["href"])[1:] for tag, a in read.elements if tag == "a" and str(a.get("href")).startswith("#")}
    assert leads == {"rb-1", "rb-2"} <= ids


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    html = made(*told(closed()), source="a table")
    read = Reader(html)
    tags = {tag for tag, _ in read.elements}
    assert not tags & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "audio",
        "video",
        "foreignobject",
    }
    assert not any(name.startswith("on") or name in {"src", "srcset"} for _, a in read.elements for name in a)
    assert "url(" not in html and "@import" not in html
    policy = next(a["content"] for _, a in read.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_a_phone_may_show_the_page_at_its_own_width() -> None:
    read = Reader(made())
    viewport = next(a["content"] for _, a in read.elements if a.get("name") == "viewport")
    assert viewport == "width=device-width, initial-scale=1"


def test_an_empty_period_says_so_and_what_to_try() -> None:
    text = Reader(made()).text
    assert "Nothing happened" in text and "lastgood doctor" in text


def test_a_very_long_period_tells_the_newest_stories_and_says_what_is_left_out() -> None:
    chapters = [Chapter(closed(rollback_id=f"rb-{n}", opened_at=at(-n))) for n in range(MOST_STORIES + 7)]
    read = Reader(made(*chapters))
    assert sum(tag == "details" for tag, _ in read.elements) == MOST_STORIES
    assert "7 older ones are only counted above" in read.text


HOSTILE = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></style></details><h1>owned</h1>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "\x1b[31mred\x1b[0m\x00\u202eevil\u2066",
    "&lt;b&gt;",
    "\ud800lone",
    "A" * 5000,
)
PLACES = (
    "rollback_id application deployment_group alarm_name explanation requested_by request_reason approved_by "
    "rejected_by suspect_deployment_id suspect_revision good_deployment_id good_revision rollback_deployment_id"
)


def filled(text: str) -> str:
    """A page with one text in every place that a stranger can reach."""
    where = dict.fromkeys(PLACES.split(), text)
    candidates = tuple(Candidate(text, text, ALARM_AT, why, text) for why in (Rejection.KNOWN_BAD, None))
    good, bad = closed(**where, candidates=candidates), closed(Outcome.SKIPPED, Reason.COOLDOWN, **where)
    steps = [{"occurred_at": text, "kind": text, "step_name": text, "explanation": text}, {"occurred_at": ""}]
    links = {text: "https://example.com/?" + text}
    return made(*(Chapter(each, steps, links, text, text) for each in (good, bad)), source=text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_wherever_it_stands(text: str) -> None:
    html = filled(text)
    read = Reader(html)
    assert read.open == []
    assert [tag for tag, _ in read.elements] == [tag for tag, _ in Reader(filled("x")).elements]
    assert not any(name.startswith("on") for _, attributes in read.elements for name in attributes)
    assert not re.search("[\x00-\x08\x1b\u202a-\u202e\u2066-\u2069]", html)
    html.encode()


def test_a_text_that_looks_like_a_template_is_not_worked_out() -> None:
    assert Reader(filled("{{ 7 * 7 }}")).text.count("{{ 7 * 7 }}") > 10


@given(st.text(), st.text())
def test_no_text_whatever_changes_the_pages_elements(name: str, why: str) -> None:
    plain = [tag for tag, _ in Reader(made(*told(closed(Outcome.SKIPPED, Reason.STORM, explanation="x")))).elements]
    evil = closed(Outcome.SKIPPED, Reason.STORM, explanation=why or "x", alarm_name=name or "x")
    assert [tag for tag, _ in Reader(made(*told(evil))).elements] == plain


# --- it can be read ---


def schemes() -> list[dict[str, str]]:
    """The colours of the light scheme, the dark one, and paper."""
    found = re.findall(r":root \{(.*?)\}", TEMPLATE, re.DOTALL)
    return [dict(re.findall(r"--(\w+): (#[0-9a-f]+)", block)) for block in found]


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2."""
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio by WCAG 2."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", schemes(), ids=["light", "dark", "paper"])
def test_every_text_colour_can_be_read_on_every_ground(scheme: dict[str, str]) -> None:
    for name in ("ink", "soft", "accent", *KINDS):
        for ground in ("paper", "card"):
            assert contrast(scheme[name], scheme[ground]) >= 4.5, (name, ground)
