"""`lastgood audit` and `lastgood status`: what happened last night, and why that revision."""

from __future__ import annotations

import csv
import io
import json
import signal
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from lastgood_cli.context import Session
from terminal import Terminal, terminal

HOSTILE = '\x1b[2J\x1b]0;owned\x07[bold red]=HYPERLINK("http://x")[/] \u202egnp.exe\u202c\nline two'


@pytest.fixture(scope="module")
def it() -> Iterator[Terminal]:
    """Last night: a rollback on servers, one refused for the floor, a dry run, a hostile record, and one under way."""
    with terminal() as made:
        sim = made.sim
        sim.server_group("shop", "prod")
        sim.release("shop", "prod", "v1.zip", settle=True)
        sim.advance(86_400)
        sim.release("shop", "prod", "v2.zip", settle=True)
        sim.advance(300)
        request = {"action": "rollback", "application": "shop", "deployment_group": "prod", "dry_run": True}
        made.ids["tried"] = made.handle({**request, "reason": "try", "requested_by": "jane"})[0]["rollback_id"]
        sim.advance(60)
        made.ids["done"] = made.alarm_fires()
        made.minutes(5)
        made.alarm("shop-prod-error-rate", "OK")
        made.minutes(16)
        sim.server_group("payments", "prod")
        sim.release("payments", "prod", "p1.zip", settle=True)
        sim.advance(3_600)
        sim.release("payments", "prod", "p2.zip", settle=True, description="drops a column, lastgood:floor")
        sim.advance(300)
        made.ids["refused"] = made.alarm_fires("payments")
        made.put(**hostile_head())
        made.put(**hostile_step())
        sim.server_group("slow", "prod", config="CodeDeployDefault.OneAtATime", instances=9)
        sim.release("slow", "prod", "s1.zip", settle=True)
        sim.advance(7_200)
        sim.release("slow", "prod", "s2.zip", settle=True)
        sim.advance(300)
        made.ids["under_way"] = made.alarm_fires("slow")
        yield made


def hostile_head() -> dict[str, Any]:
    """A rollback in which every text is hostile, as another writer of the table could leave it."""
    return {
        "pk": "ROLLBACK#rb-hostile",
        "sk": "META",
        "rollback_id": "rb-hostile",
        "day": "2025-03-04",
        "opened_at": "2025-03-04T01:00:00.000Z",
        "application": "evil",
        "deployment_group": "prod",
        "deployment_group_key": "evil/prod",
        "outcome": "SKIPPED",
        "reason_code": "NOT_ATTRIBUTABLE",
        "phase": "CLOSED",
        "trigger_kind": "sns",
        "explanation": HOSTILE,
        "alarm_name": HOSTILE,
        "suspect_deployment_id": '=cmd|" /C calc"!A0',
        "suspect_revision": "+1+1",
        "requested_by": "@SUM(A1)",
        "suspect_commit": HOSTILE,
        "of_a_newer_version": {"nested": HOSTILE},
        "candidates": [{"deployment_id": HOSTILE, "rejection": "[blink]", "explanation": HOSTILE}],
    }


def hostile_step() -> dict[str, Any]:
    """A step of it."""
    step = {"kind": HOSTILE, "step_name": HOSTILE, "explanation": HOSTILE, "occurred_at": "2025-03-04T01:00:00.000Z"}
    return {"pk": "ROLLBACK#rb-hostile", "sk": "STEP#0001", **step}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# --- list ---


def test_a_person_sees_what_happened_last_night_newest_first(it: Terminal) -> None:
    ran = it.run("audit", "list", *it.when)
    assert ran.code == 0 and ran.err == ""
    lines = ran.out.splitlines()
    assert lines[0].split()[:2] == ["opened", "at"]
    order = [next(i for i, line in enumerate(lines) if key in line) for key in ("slow/prod", "payments/prod", "evil/")]
    assert order == sorted(order)
    assert "ROLLED_BACK" in ran.out and "BLOCKED" in ran.out and "BELOW_FLOOR" in ran.out
    assert it.ids["done"] in ran.out


def test_without_times_the_last_day_is_listed(it: Terminal) -> None:
    ran = it.call("audit", "list")
    assert "slow/prod" in ran.out and "payments/prod" in ran.out


@pytest.mark.parametrize(
    ("options", "groups"),
    [
        (("--application", "shop", "--deployment-group", "prod"), {"shop/prod"}),
        (("--application", "pay*"), {"payments/prod"}),
        (("--outcome", "blocked"), {"payments/prod"}),
        (("--outcome", "BLOCKED", "--outcome", "ROLLED_BACK"), {"payments/prod", "shop/prod"}),
        (("--alarm", "slow-*"), {"slow/prod"}),
        (("--open",), {"slow/prod"}),
        (("--application", "nobody"), set()),
    ],
)
def test_a_list_is_narrowed(it: Terminal, options: tuple[str, ...], groups: set[str]) -> None:
    found = it.call("-o", "json", "audit", "list", *it.when, *options).json
    assert {row["deployment_group_key"] for row in found} == groups


def test_one_deployment_group_is_one_query_of_its_index_and_many_are_one_for_each_day(it: Terminal) -> None:
    queries: list[dict[str, Any]] = []

    def session() -> Session:
        made = Session(clock=it.sim.clock.now, endpoint_url=it.server.url, table_option=it.table)
        client = made.client("dynamodb")
        client.meta.events.register(
            "before-parameter-build.dynamodb.*", lambda params, model, **_: queries.append({"is": model.name, **params})
        )
        made.__dict__["records"] = type(made.records)(client, it.table)
        return made

    looked = session()
    list(looked.records.rollbacks(it.sim.clock.now(), it.sim.clock.now()))
    assert [(q["is"], q["IndexName"]) for q in queries] == [("Query", "by_day")]
    queries.clear()
    from datetime import timedelta

    from lastgood_cli.records import Wanted

    since = it.sim.clock.now() - timedelta(days=3)
    list(session().records.rollbacks(since, it.sim.clock.now(), Wanted("shop", "prod")))
    assert [(q["is"], q["IndexName"]) for q in queries] == [("Query", "by_deployment_group")]
    queries.clear()
    list(session().records.rollbacks(since, it.sim.clock.now(), Wanted("shop")))
    assert [(q["is"], q["IndexName"]) for q in queries] == [("Query", "by_day")] * 4


def test_a_list_that_is_cut_says_so(it: Terminal) -> None:
    ran = it.call("audit", "list", *it.when, "--limit", "2")
    assert len(ran.out.splitlines()) == 3
    assert "more than 2" in ran.err


def test_an_empty_list_says_where_to_look_instead(it: Terminal) -> None:
    ran = it.call("audit", "list", "--since", "2025-01-01", "--until", "2025-01-02")
    assert ran.code == 0
    assert ran.out.startswith("No rollback from 2025-01-01") and "--since 7d" in ran.out
    assert it.call("-o", "json", "audit", "list", "--since", "2025-01-01", "--until", "2025-01-02").json == []


def test_a_watched_list_prints_what_is_new_and_ends_cleanly_with_ctrl_c(it: Terminal) -> None:
    process = it.start(
        "-o", "json", "audit", "list", "--since", "2025-03-03", "-g", "new", "-a", "watched", "--watch", "--every", "1s"
    )
    head = {
        **hostile_head(),
        "application": "watched",
        "deployment_group": "new",
        "deployment_group_key": "watched/new",
    }
    try:
        for number in (1, 2):
            it.put(**{**head, "pk": f"ROLLBACK#rb-{number}", "rollback_id": f"rb-{number}"})
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["rollback_id"] == f"rb-{number}"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, "")
    assert err == "Stopped watching.\n"


# --- show ---


def test_a_rollback_is_told_as_a_story(it: Terminal) -> None:
    ran = it.call("audit", "show", it.ids["done"])
    assert ran.code == 0
    for words in ("What happened", "Why that revision", "Look further", "alarm OK again +", "SUSPECT", "CHOSEN"):
        assert words in ran.out, words
    assert "s3://bundles/v1.zip" in ran.out and "went into ALARM" in ran.out
    assert "https://us-east-1.console.aws.amazon.com/codesuite/codedeploy/deployments/d-" in ran.out
    assert f"pk=ROLLBACK%23{it.ids['done']}" in ran.out


def test_a_storys_timeline_is_in_order_and_counts_from_the_alarm(it: Terminal) -> None:
    story = it.call("-o", "json", "audit", "show", it.ids["done"]).json
    after = [line["after_seconds"] for line in story["timeline"]]
    assert after == sorted(after) and after[0] == 0 and after[-1] > 60
    assert story["outcome"] == "ROLLED_BACK"
    assert {"alarm", "suspect deployment", "good deployment", "rollback deployment", "record"} <= set(story["links"])


def test_a_story_says_why_the_others_were_not_chosen(it: Terminal) -> None:
    ran = it.call("audit", "show", it.ids["refused"])
    assert "BELOW_FLOOR" in ran.out and "people must act" in ran.out


def test_who_asked_and_why_stands_in_the_story(it: Terminal) -> None:
    ran = it.call("audit", "show", it.ids["tried"])
    assert "jane" in ran.out and "nothing was touched" in ran.out


def test_a_story_as_csv_is_its_timeline(it: Terminal) -> None:
    found = rows(it.call("-o", "csv", "audit", "show", it.ids["done"]).out)
    assert found[0]["who"] == "alarm" and len(found) > 4


def test_attributes_of_a_newer_version_are_shown_too(it: Terminal) -> None:
    ran = it.call("audit", "show", "rb-hostile")
    assert "of a newer version" in ran.out


# --- hostile text ---


@pytest.mark.parametrize(
    "command", [("list", "-a", "evil", "--since", "2025-03-04"), ("show", "rb-hostile"), ("stats",)]
)
@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_hostile_text_cannot_steer_the_terminal(it: Terminal, command: tuple[str, ...], form: str) -> None:
    when = it.when[2:] if "--since" in command else it.when if command != ("show", "rb-hostile") else ()
    ran = it.call("-o", form, "audit", *command, *when)
    assert ran.code == 0
    assert not set(ran.out) & {"\x1b", "\x07", "\u202e", "\u202c", "\r"}
    assert "owned" in ran.out or command[0] == "stats"


def test_hostile_text_is_no_markup_on_a_real_terminal(it: Terminal) -> None:
    ran = it.at_terminal("audit", "show", "rb-hostile")
    assert ran.code == 0
    assert "[bold red]" in ran.out and "[blink]" in ran.out
    assert "\x1b]0;" not in ran.out and "\x1b[2J" not in ran.out and "\u202e" not in ran.out


def test_what_a_spreadsheet_would_take_for_a_formula_is_text(it: Terminal) -> None:
    for ran in (
        it.call("-o", "csv", "audit", "list", *it.when, "-a", "evil"),
        it.call("audit", "export", *it.when, "-a", "evil", "--format", "csv"),
    ):
        (row,) = rows(ran.out)
        assert row["suspect_deployment_id"].startswith("'=cmd")
        assert row["suspect_revision"] == "'+1+1" and row["requested_by"] == "'@SUM(A1)"
        assert not any(value.startswith(("=", "+", "-", "@")) for value in row.values())


# --- export and stats ---


def test_an_export_has_every_attribute_and_its_steps_where_asked(it: Terminal, tmp_path: Any) -> None:
    target = tmp_path / "rollbacks.jsonl"
    ran = it.call("audit", "export", *it.when, "--application", "shop", "--steps", "--out", str(target))
    assert (ran.code, ran.out) == (0, "")
    assert "2 rollbacks exported" in ran.err
    heads = [json.loads(line) for line in target.read_text().splitlines()]
    assert [head["outcome"] for head in heads] == ["ROLLED_BACK", "DRY_RUN"]
    assert heads[0]["steps"][0]["sk"] == "STEP#0001" and heads[0]["schema_version"] == 1


def test_steps_do_not_fit_into_csv(it: Terminal) -> None:
    ran = it.call("audit", "export", *it.when, "--steps", "--format", "csv")
    assert ran.code == 2 and "JSON lines" in ran.err


def test_a_spreadsheet_says_who_asked_and_who_answered(it: Terminal) -> None:
    ran = it.call("audit", "export", *it.when, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert rows and {"requested_by", "approved_by", "rejected_by", "forced", "request_reason"} <= rows[0].keys()
    assert {row["opened_at"][-1] for row in rows} == {"Z"}


@pytest.mark.parametrize(("offset", "there"), [("+00:00", True), ("-00:01", False)])
def test_a_time_with_an_offset_is_compared_with_utc(it: Terminal, offset: str, there: bool) -> None:
    oldest = it.call("-o", "json", "audit", "list", *it.when).json[-1]
    since = oldest["opened_at"][:19] + offset
    found = it.call("-o", "json", "audit", "list", "--since", since, *it.when[2:]).json
    assert (oldest["rollback_id"] in [head["rollback_id"] for head in found]) is there


def test_where_nothing_happened_for_a_month_the_list_looks_further_back(it: Terminal) -> None:
    ran = it.call("audit", "show", session=Session(clock=lambda: it.sim.clock.now() + timedelta(days=200)))
    told = f"There is no rollback of the last 30 days in the table {it.table}. Try: lastgood audit list --since 400d"
    assert (ran.code, ran.err) == (3, f"lastgood: {told}\n")


def test_an_export_to_a_place_that_does_not_exist_is_one_line(it: Terminal) -> None:
    ran = it.call("audit", "export", "--out", "/nowhere/at/all.jsonl")
    assert ran.code == 2 and len(ran.err.splitlines()) == 1


def test_statistics_count_outcomes_and_time_from_the_alarm(it: Terminal) -> None:
    found = it.call("-o", "json", "audit", "stats", *it.when, "-a", "shop").json
    assert found["total"] == 2
    assert found["outcomes"] == {"ROLLED_BACK": 1, "DRY_RUN": 1}
    assert {"outcome": "ROLLED_BACK", "reason_code": "VERIFIED", "count": 1} in found["reasons"]
    recover = found["seconds"]["recover"]
    assert found["seconds"]["detect"]["count"] == 1  # from the release on
    assert recover["worst"] == 300.0 and recover["worst_rollback_id"] == it.ids["done"]
    assert "stop" not in found["seconds"]  # the release had succeeded: there was nothing to stop


def test_statistics_as_a_person_reads_them(it: Terminal) -> None:
    ran = it.call("audit", "stats", *it.when)
    assert ran.code == 0
    assert "called for people" in ran.out and "median" in ran.out and "5 min" in ran.out


def test_statistics_over_nothing_are_zero(it: Terminal) -> None:
    ran = it.call("audit", "stats", "--since", "2025-01-01", "--until", "2025-01-02")
    assert (ran.code, ran.out.strip()) == (0, "0 rollbacks, 0 of them called for people.")


# --- status ---


@pytest.mark.parametrize(("which", "code"), [("done", 0), ("refused", 11), ("tried", 13), ("under_way", 20)])
def test_the_exit_code_says_how_a_rollback_stands(it: Terminal, which: str, code: int) -> None:
    ran = it.call("-o", "json", "status", it.ids[which])
    assert ran.code == code
    assert ran.json["rollback_id"] == it.ids[which]


def test_a_skipped_rollback_has_its_own_exit_code(it: Terminal) -> None:
    assert it.call("status", "rb-hostile").code == 10


def test_waiting_gives_up_after_the_timeout_and_says_so(it: Terminal) -> None:
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        it.sim.advance(seconds)

    session = Session(clock=it.sim.clock.now, wait=wait)
    ran = it.call("status", it.ids["under_way"], "--wait", "--timeout", "10s", session=session)
    assert ran.code == 20 and "Not closed after 10 s" in ran.err
    assert sum(waited) >= 10


# --- the look of it ---


def test_there_is_colour_on_a_terminal_and_nowhere_else(it: Terminal) -> None:
    assert "\x1b[" in it.at_terminal("audit", "list", *it.when).out
    assert "\x1b[" not in it.run("audit", "list", *it.when).out
    assert "\x1b[3" not in it.at_terminal("audit", "list", *it.when, NO_COLOR="1").out


def test_a_terminals_width_is_kept_and_a_pipe_gets_whole_lines(it: Terminal) -> None:
    narrow = it.at_terminal("audit", "list", *it.when, NO_COLOR="1", TERM="dumb").out
    assert max(map(len, narrow.splitlines())) <= 100
    piped = it.call("audit", "list", *it.when, "-a", "shop").out
    assert len(piped.splitlines()) == 3


@pytest.mark.parametrize(
    "command", [("audit", "list"), ("audit", "show"), ("audit", "stats"), ("explain",), ("status",)]
)
def test_no_line_into_a_pipe_ends_with_blanks(it: Terminal, command: tuple[str, ...]) -> None:
    lines = it.call(*command).out.splitlines()
    assert lines and lines == [line.rstrip() for line in lines]


def test_an_address_is_never_broken_over_lines_however_narrow_the_terminal(it: Terminal) -> None:
    story = it.call("audit", "show", it.ids["done"], COLUMNS="60").out
    links = it.call("audit", "show", it.ids["done"], "-o", "json").json["links"]
    assert len(links) >= 3
    for address in links.values():
        assert any(line.endswith(address) for line in story.splitlines())


def test_what_became_of_the_alarm_stands_in_the_list_and_in_the_story(it: Terminal) -> None:
    head = it.call("audit", "show", it.ids["done"], "-o", "json").json
    said = "OK after" if head.get("alarm_recovered_at") else "still firing"
    row = next(line for line in it.call("audit", "list").out.splitlines() if it.ids["done"] in line)
    assert said in row
    assert f"{head['alarm_name']}, {said}" in it.call("audit", "show", it.ids["done"]).out
