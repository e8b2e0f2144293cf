"""What the command prints and reads, without AWS: cells, tables, times, figures, links, the template."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from botocore.parsers import ResponseParserError
from botocore.session import get_session
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from lastgood import links
from lastgood.errors import AmbiguousError, LastgoodError, RefusedError, RetryableError, SettingsError
from lastgood.model import DeploymentGroup
from lastgood_cli import output
from lastgood_cli.figures import rank, seconds_to, statistics
from lastgood_cli.output import Format, as_csv, as_json, as_table, brief, cell, harmless
from lastgood_cli.problems import Exit, Problem, problem_of
from lastgood_cli.stack_template import StackTemplate
from lastgood_cli.when import moment, short, span

NOW = datetime(2026, 11, 23, 10, 4, 12, tzinfo=UTC)
ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=200)


# --- harmless ---


@given(ANY_TEXT)
def test_no_text_can_steer_a_terminal(text: str) -> None:
    shown = harmless(text)
    assert {"Cc", "Cf", "Cs", "Zl", "Zp"}.isdisjoint(map(unicodedata.category, shown))
    shown.encode()


@given(ANY_TEXT)
def test_no_text_is_a_formula_in_a_spreadsheet(text: str) -> None:
    shown = cell(text)
    assert not shown.lstrip().startswith(tuple("=+-@"))
    (row,) = csv.reader(io.StringIO(as_csv([{"a": text, "b": 1}], ["a", "b"], header=False)))
    assert row == [shown, "1"]


@given(ANY_TEXT)
def test_json_is_ascii_and_loses_nothing(text: str) -> None:
    made = as_json({"text": text})
    assert made.isascii() and "\x1b" not in made
    assert json.loads(made) == {"text": text}


@settings(deadline=None)
@given(st.text(alphabet="[]/boldred \\", max_size=40))
def test_markup_is_text_in_a_table(text: str) -> None:
    out = io.StringIO()
    Console(file=out, width=500, color_system="truecolor", force_terminal=True).print(as_table([{"x": text}], ["x"]))
    assert harmless(text).strip() in out.getvalue()


@given(ANY_TEXT, ANY_TEXT)
@settings(deadline=None)
def test_a_narrow_terminal_gets_the_long_column_below(name: str, long: str) -> None:
    out = io.StringIO()
    rows = [{"name": name, "outcome": "FAILED", "long": long}]
    Console(file=out, width=1_000, markup=False, emoji=False).print(
        output.as_blocks(rows, ("name", "outcome"), ("long",))
    )
    header, first, *rest = out.getvalue().split("\n")
    assert header.split() == ["name", "outcome"] and "FAILED" in first
    assert all(line.startswith("    ") or not line for line in rest)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (Decimal("3"), "3"),
        (-5, "-5"),
        (NOW, "2026-11-23T10:04:12.000Z"),
        ({"a": Decimal("1")}, '{"a": 1}'),
        (["x", "y"], '["x", "y"]'),
        ("\ud800", "\ufffd"),
    ],
)
def test_a_value_of_any_type_is_shown_as_plain_text(value: object, shown: str) -> None:
    assert harmless(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("=1+1", "'=1+1"), (" =1", "' =1"), ("＝1", "'＝1"), ("\t=1", "' =1"), (-1, "-1"), ("a=1", "a=1")],
)
def test_a_formula_is_made_a_text_and_a_number_stays_one(value: object, shown: str) -> None:
    assert cell(value) == shown


def test_a_very_long_text_is_cut_with_an_ellipsis() -> None:
    assert len(harmless("x" * 10_000)) == output.LONGEST_CELL and harmless("x" * 10_000).endswith("…")


@pytest.mark.parametrize("form", Format)
def test_no_rows_are_printed_in_each_form(form: Format) -> None:
    out = io.StringIO()
    output.show_rows(output.console(file=out), form, [], ("a", "b"), empty="None at all.")
    assert out.getvalue() == {"table": "None at all.\n", "json": "[]\n", "csv": "a,b\n"}[form]


# --- times ---


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("now", NOW),
        ("90s", NOW - timedelta(seconds=90)),
        ("24h", NOW - timedelta(hours=24)),
        ("30d", NOW - timedelta(days=30)),
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        (" 2026-11-22 ", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22T10:04Z", datetime(2026, 11, 22, 10, 4, tzinfo=UTC)),
        ("2026-11-22 10:04", datetime(2026, 11, 22, 10, 4, tzinfo=UTC)),
        ("2026-11-22T10:04:05.5+02:00", datetime(2026, 11, 22, 8, 4, 5, 500_000, tzinfo=UTC)),
        ("2026-11-22T10:04+0200", datetime(2026, 11, 22, 8, 4, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_people_give_them(text: str, meant: datetime) -> None:
    assert moment(text, NOW) == meant


@given(ANY_TEXT)
def test_whatever_is_typed_is_a_time_in_the_past_or_refused_with_a_sentence(text: str) -> None:
    try:
        assert moment(text, NOW) <= NOW
    except ValueError as error:
        assert "give a duration" in str(error) or "future" in str(error) or "at most" in str(error)


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00", "2026-11-22T25:00Z", "2026-11-31"]
)
def test_times_at_and_beyond_the_calendars_ends_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        moment(text, NOW)


def test_a_clamped_time_in_the_future_means_now() -> None:
    assert moment("2026-12-24", NOW, clamped=True) == NOW


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7_500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
        (-5, "-5 s"),
    ],
)
def test_spans_are_two_units_at_most(seconds: float, shown: str) -> None:
    assert span(seconds) == shown


def test_what_is_no_time_is_shown_as_it_is() -> None:
    assert short("soon") == "soon" and short(None) == "" and short("2026-11-23T10:04:12.345Z") == "2026-11-23 10:04:12"


# --- figures ---


@pytest.mark.parametrize(("share", "value"), [(0.5, 5), (0.9, 9), (1.0, 10), (0.0, 1)])
def test_percentiles_are_by_nearest_rank(share: float, value: float) -> None:
    assert rank([float(n) for n in range(1, 11)], share) == value


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_median_p90_and_worst_are_measured_values_in_order(values: list[float]) -> None:
    ordered = sorted(values)
    found = [rank(ordered, share) for share in (0.5, 0.9, 1.0)]
    assert found == sorted(found) and set(found) <= set(values) and found[-1] == max(values)


def test_the_seconds_that_a_record_holds_are_believed() -> None:
    assert seconds_to({"seconds_to_stop": Decimal("7"), "stopped_at": "2026-11-23T10:00:12.000Z"}, "stop") == 7
    assert seconds_to({"seconds_to_detect": 90}, "detect") == 90
    assert seconds_to({"seconds_to_stop": "soon"}, "stop") is None


def test_without_them_seconds_count_from_the_alarm_else_from_the_opening() -> None:
    head = {"opened_at": "2026-11-23T10:00:10.000Z", "stopped_at": "2026-11-23T10:00:12.000Z"}
    assert seconds_to(head, "stop") == 2
    assert seconds_to({**head, "alarm_changed_at": "2026-11-23T10:00:00.000Z"}, "stop") == 12
    assert seconds_to(head, "redeploy") is None and seconds_to(head, "detect") is None
    assert seconds_to({**head, "stopped_at": "nonsense"}, "stop") is None


def test_an_open_rollback_counts_as_open() -> None:
    found = statistics([{"rollback_id": "rb-1"}, {"outcome": "FAILED", "reason_code": "X", "needs_human": True}])
    assert found.outcomes == {"open": 1, "FAILED": 1} and found.needs_human == 1 and found.times == {}


# --- links ---


@pytest.mark.parametrize(
    ("region", "domain"),
    [
        ("eu-west-1", "https://eu-west-1.console.aws.amazon.com/"),
        ("cn-north-1", "https://cn-north-1.console.amazonaws.cn/"),
        ("us-gov-west-1", "https://us-gov-west-1.console.amazonaws-us-gov.com/"),
        ("eusc-de-east-1", "https://eusc-de-east-1.console.amazonaws-eusc.eu/"),
    ],
)
def test_links_lead_to_the_console_of_the_regions_partition(region: str, domain: str) -> None:
    shown = links.of_deployment(region, DeploymentGroup("shop", "prod"), "d-A1B2C3D4E", "suspect")
    assert shown["suspect deployment"].startswith(domain)


@pytest.mark.parametrize("region", ["us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1"])
def test_where_the_consoles_address_is_not_published_there_is_no_link_but_to_the_commits(region: str) -> None:
    head = {"application": "shop", "deployment_group": "prod", "suspect_deployment_id": "d-A1B2C3D4E"}
    head |= {"rollback_id": "rb-1", "alarm_name": "errors", "compare_url": "https://example.com/compare/a...b"}
    assert links.of_record(region, "T", head) == {"commits": "https://example.com/compare/a...b"}
    assert len(links.of_record("us-east-1", "T", head)) == 5


def test_every_partition_that_botocore_knows_has_its_own_console_or_none() -> None:
    partitions = get_session().get_component("data_loader").load_data("partitions")["partitions"]
    regions = {each["id"]: next(name for name in each["regions"] if "global" not in name) for each in partitions}
    hosts = {name: links.alarm(region, "x").partition("/cloudwatch")[0] for name, region in regions.items()}
    known = [host.partition(".console.")[2] for host in hosts.values() if host]
    assert len(known) == len(set(known)) == 4
    assert {name for name, host in hosts.items() if not host} == {name for name in hosts if "-iso" in name}


def test_a_hostile_name_cannot_leave_its_place_in_a_link() -> None:
    assert links.alarm("us-east-1", "a/b?c#d e").endswith("alarm/a%2Fb%3Fc%23d%20e")
    (address,) = links.of_group("us-east-1", DeploymentGroup("shop", "prod?x=1")).values()
    assert "prod%3Fx%3D1" in address


def test_a_service_that_ecs_itself_deploys_is_linked_to_ecs() -> None:
    head = {"application": "production", "deployment_group": "shop", "controller": "ECS", "rollback_id": "rb-1"}
    found = links.of_record("us-east-1", "T", head)
    assert set(found) == {"service", "record"} and "/ecs/v2/clusters/production/services/shop/" in found["service"]


def test_only_what_a_record_names_is_linked() -> None:
    assert set(links.of_record("us-east-1", "T", {"rollback_id": "rb-1"})) == {"record"}
    head = {"application": "shop", "deployment_group": "prod", "suspect_deployment_id": "ecs-svc/1"}
    assert set(links.of_record("us-east-1", "T", head)) == {"deployment group", "record"}


def test_a_record_of_a_controller_that_this_version_does_not_know_is_linked_itself() -> None:
    head = {"application": "shop", "deployment_group": "prod", "controller": "BALLOON", "good_deployment_id": "b-1"}
    assert set(links.of_record("us-east-1", "T", head)) == {"record"}


# --- problems ---


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Query")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (Problem("x", "y", Exit.NOT_FOUND), Exit.NOT_FOUND, "x. Try: y"),
        (NoCredentialsError(), Exit.AWS, "no AWS credentials"),
        (EndpointConnectionError(endpoint_url="http://nowhere"), Exit.AWS, "cannot be reached"),
        (refused("ThrottlingException"), Exit.AWS, "throttling Query. Try: the same command again"),
        (refused("ResourceNotFoundException"), Exit.NOT_FOUND, "found nothing there"),
        (RetryableError("down"), Exit.AWS, "down"),
        (AmbiguousError("perhaps"), Exit.AWS, "perhaps"),
        (RefusedError("query", "AccessDenied", "no"), Exit.AWS, "You may not do this (query)"),
        (SettingsError(["LASTGOOD_MODE: wrong"]), Exit.AWS, "LASTGOOD_MODE: wrong. Try: lastgood doctor"),
        (LastgoodError("else"), Exit.UNEXPECTED, "else"),
        (ResponseParserError("<!doctype html>"), Exit.AWS, "is not AWS"),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "no"), Exit.USAGE, "character"),
        (KeyError("x"), Exit.UNEXPECTED, "mistake in lastgood"),
    ],
)
def test_every_error_is_one_line_with_an_exit_code(error: Exception, code: Exit, words: str) -> None:
    problem = problem_of(error)
    assert problem.exit_code is code
    assert words in problem.line() and "\n" not in problem.line()


def test_an_error_that_the_function_translated_is_told_from_its_cause() -> None:
    error = RefusedError("query", "NoCredentialsError", "Unable to locate credentials")
    error.__cause__ = NoCredentialsError()
    assert "no AWS credentials" in problem_of(error).line()


@given(ANY_TEXT)
def test_whatever_an_error_says_it_stays_one_harmless_line(text: str) -> None:
    line = Problem(text, text).line()
    assert "\n" not in line and "\x1b" not in line and len(line) < 900
    assert not set(line) & {"\x1b", "\u202e", "\r"}


# --- the template ---


def test_the_template_is_worked_out_as_far_as_is_known() -> None:
    made = StackTemplate({"EnableDashboard": "false"}, {"AuditTable.Arn": "arn:table"})
    resources = made.resources()
    assert "Dashboard" not in resources and "AuditTable" in resources
    assert made.resolve({"Fn::GetAtt": ["AuditTable", "Arn"]}) == "arn:table"
    assert made.resolve({"Ref": "AlarmTopic"}) == {"Ref": "AlarmTopic"}
    assert made.resolve({"Fn::Sub": "${AuditTable.Arn}/${AlarmTopic}"}) == {"Fn::Sub": "arn:table/${AlarmTopic}"}


def test_a_parameter_that_the_template_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no parameter Nope"):
        StackTemplate({"Nope": "1"})


@pytest.mark.parametrize(
    ("profile", "environ", "command"),
    [
        ("prod", "", "aws sso login --profile prod"),
        ("", "stage", "aws sso login --profile stage"),
        ("", "", "sso login"),
    ],
)
def test_expired_credentials_name_the_profile_to_sign_in_with(
    profile: str, environ: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", environ)
    error = ClientError({"Error": {"Code": "ExpiredToken", "Message": "old"}}, "ListDeployments")
    assert command in problem_of(error, profile).line()


def test_a_refusal_without_a_text_is_still_a_sentence() -> None:
    error = ClientError({"Error": {"Code": "400", "Message": "."}}, "ListDeployments")
    assert problem_of(error).line().startswith("lastgood: AWS refused ListDeployments with 400: it does not say why.")


DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("whole", "brief_"),
    [
        ("s3://b/shop.zip?etag=eba030e05423a4b12ef1b5af4b118be4 is live.", "s3://b/shop.zip?etag=eba030e0… is live."),
        ("s3://b/a.zip?versionId=PHtexPGjH2y.zBgT8LmB7wwLI2mpbz.k.", "s3://b/a.zip?versionId=PHtexPGj…."),
        (f"123.dkr.ecr/shop@{DIGEST}, and", "123.dkr.ecr/shop@sha256:0123456789ab…, and"),
        ("s3://b/a.zip?versionId=null, alias web:2", "s3://b/a.zip?versionId=null, alias web:2"),
    ],
)
def test_what_tells_versions_apart_is_shortened_for_people_and_whole_for_programs(whole: str, brief_: str) -> None:
    assert brief(whole) == brief_
    for form, shown in ((Format.TABLE, brief_), (Format.JSON, whole), (Format.CSV, whole)):
        out = io.StringIO()
        output.show_rows(output.console(file=out), form, [{"revision": whole}], ("revision",))
        assert shown in out.getvalue()
