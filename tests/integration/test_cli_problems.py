"""Whatever goes wrong: one line that says what is wrong and what to try next, an exit code, never a traceback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

import boto3
import click
import pytest

from lastgood_cli.context import REGION
from lastgood_cli.main import COMMANDS, cli
from lastgood_cli.problems import Exit
from terminal import Ran, Terminal, terminal

NO_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_SESSION_TOKEN": "",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    "AWS_CONFIG_FILE": "/nowhere",
}


@pytest.fixture(scope="module")
def it() -> Iterator[Terminal]:
    with terminal() as made:
        made.aws.client("dynamodb").create_table(
            TableName="somebody-elses",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield made


@contextmanager
def aws_that_refuses(code: str, message: str = "no", status: int = 400) -> Iterator[str]:
    """An AWS that answers every call with an error. Yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.dumps({"__type": f"com.amazonaws#{code}", "message": message, "Message": message}).encode()
            self.send_response(status)
            self.send_header("x-amzn-errortype", code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def is_one_line(ran: Ran, code: int, *words: str) -> None:
    """A problem as everybody should see it."""
    assert ran.code == code, ran.err
    assert ran.out == ""
    assert len(ran.err.splitlines()) == 1 and ran.err.startswith("lastgood: ")
    assert "Try: " in ran.err and "Traceback" not in ran.err and "\x1b" not in ran.err
    for word in words:
        assert word in ran.err, (word, ran.err)


# --- the wrong place ---


def test_an_unknown_table_is_named_with_its_region(it: Terminal) -> None:
    is_one_line(it.call("--table", "nope", "audit", "list"), 3, "no audit table nope in us-east-1")


def test_somebody_elses_table_is_not_taken_for_lastgoods(it: Terminal) -> None:
    is_one_line(it.call("--table", "somebody-elses", "audit", "list"), 3, "no audit table somebody-elses")


def test_a_table_without_the_indexes_is_refused_in_dynamodbs_own_words(it: Terminal) -> None:
    with aws_that_refuses("ValidationException", "The table does not have the specified index: by_day") as url:
        ran = it.call("--endpoint-url", url, "--table", "theirs", "audit", "list")
    is_one_line(ran, 3, "theirs in us-east-1 is not lastgood's audit table", "by_day")


def test_a_region_without_the_stack_is_named(it: Terminal) -> None:
    is_one_line(it.call("--region", "eu-west-1", "audit", "list"), 3, "no stack lastgood in eu-west-1", "--stack")


def test_without_a_region_the_option_for_it_is_shown(it: Terminal) -> None:
    environ = {"AWS_DEFAULT_REGION": "", "AWS_REGION": "", "AWS_CONFIG_FILE": "/nowhere"}
    is_one_line(it.call("audit", "list", **environ), 4, "No region", "--region us-east-1")


def test_a_region_that_cannot_exist_is_refused(it: Terminal) -> None:
    ran = it.call("--region", "mars/../1", "--table", "t", "audit", "list", LASTGOOD_ENDPOINT_URL="")
    is_one_line(ran, 4, "region")


@pytest.mark.parametrize(
    ("region", "meant"),
    [("\n", ""), ("us-esat-1", "us-east-1"), ("EU-WEST-3", "eu-west-3"), ("eu-west1", "eu-west-1"), ("mars", "")],
)
@pytest.mark.parametrize("option", [True, False], ids=["--region", "AWS_REGION"])
def test_what_is_no_regions_name_is_refused_before_the_network_is_asked(
    it: Terminal, region: str, meant: str, option: bool
) -> None:
    asked = ["--region", region] if option else []
    ran = it.call(*asked, "status", LASTGOOD_ENDPOINT_URL="", AWS_REGION="" if option else region)
    is_one_line(ran, 4, "is no region's name", meant or "--region us-east-1")


def test_every_region_that_botocore_knows_has_the_form_of_a_region() -> None:
    known = boto3.Session()
    regions = [each for part in known.get_available_partitions() for each in known.get_available_regions("ec2", part)]
    assert len(regions) > 40
    assert [each for each in regions if not REGION.fullmatch(each)] == []


def test_an_unknown_stack_is_named(it: Terminal) -> None:
    is_one_line(it.call("--stack", "nope", "status", "rb-1"), 3, "no stack nope")


def test_somebody_elses_stack_is_told_by_the_output_that_it_lacks(it: Terminal) -> None:
    body = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    it.aws.client("cloudformation").create_stack(StackName="another", TemplateBody=body)
    is_one_line(it.call("--stack", "another", "audit", "list"), 3, "another has no output AuditTableName")


def test_an_unknown_function_is_named(it: Terminal) -> None:
    is_one_line(it.call("--function", "nope", "audit", "list"), 3, "no function nope")
    is_one_line(it.call("--function", "nope", "resume", "--reason", "x", "--yes", "--as", "me"), 3, "nope")


def test_an_unknown_rollback_is_named(it: Terminal) -> None:
    for command in (("audit", "show"), ("status",), ("explain",)):
        is_one_line(it.call(*command, "rb-nope"), 3, "no rollback rb-nope")


def test_an_id_that_is_hostile_is_made_harmless(it: Terminal) -> None:
    ran = it.run("audit", "show", "\x1b[31mrb-\u202e[bold]")
    is_one_line(ran, 3, "\ufffd[31mrb-\ufffd[bold]")


# --- who asks ---


def test_without_credentials_a_profile_is_suggested(it: Terminal) -> None:
    is_one_line(it.run("audit", "list", **NO_CREDENTIALS), 4, "no AWS credentials", "--profile")


def test_an_unknown_profile_is_named_with_how_to_list_those_there_are(it: Terminal) -> None:
    is_one_line(it.call("--profile", "nope", "audit", "list"), 4, "nope", "aws configure list-profiles")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("AccessDeniedException", "lastgood permissions operator"),
        ("ExpiredTokenException", "expired"),
        ("UnrecognizedClientException", "does not know these credentials"),
        ("InvalidSignatureException", "does not know these credentials"),
        ("SomethingNewException", "SomethingNewException"),
    ],
)
def test_what_aws_refuses_is_explained_in_one_line(it: Terminal, code: str, words: str) -> None:
    with aws_that_refuses(code, "User \x1b[31m[red]jane may not Query") as url:
        ran = it.call("--endpoint-url", url, "--table", "t", "audit", "list")
    is_one_line(ran, 4, words)


def test_a_permission_that_is_missing_names_the_call(it: Terminal) -> None:
    with aws_that_refuses("AccessDeniedException", "jane is not authorized to perform: lambda:InvokeFunction") as url:
        ran = it.call("--endpoint-url", url, "--function", "f", "pause", "--reason", "x", "--yes", "--as", "jane")
    is_one_line(ran, 4, "You may not do this (Invoke)", "lambda:InvokeFunction", "permissions operator --acting")


# --- what cannot be meant ---


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--since", "2099-01-01"), "in the future"),
        (("--since", "2025-13-45"), "no such time"),
        (("--since", "2025-02-29"), "no such time"),
        (("--since", "yesterday"), "give a duration such as"),
        (("--since", "5x"), "give a duration such as"),
        (("--since", ""), "give a duration such as"),
        (("--since", "0000-00-00"), "no such time"),
        (("--since", "999999d"), "at most 3650d"),
        (("--since", "-3h"), "give a duration such as"),
        (("--since", "\x1b[31m"), "give a duration such as"),
        (("--since", "1h", "--until", "2h"), "--since is after --until"),
        (("--outcome", "great"), "'great' is not one of"),
        (("--limit", "0"), "0 is not in the range"),
        (("--every", "soon"), "must be a duration"),
        (("--colour",), "No such option"),
        (("surplus",), "unexpected extra argument"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused_with_the_help_to_read(
    it: Terminal, options: tuple[str, ...], words: str
) -> None:
    is_one_line(it.call("audit", "list", *options), 2, words, "lastgood audit list --help")


def test_a_command_that_does_not_exist_is_refused_by_name(it: Terminal) -> None:
    is_one_line(it.run("adit"), 2, "No such command 'adit'", "lastgood --help")


@pytest.mark.parametrize(
    "line",
    [
        ("--output", "json", "audit", "list"),
        ("audit", "--output", "json", "list"),
        ("audit", "list", "-o", "json"),
        ("--output", "csv", "audit", "list", "--output", "json"),
    ],
)
def test_a_global_option_is_taken_before_the_command_and_behind_it(it: Terminal, line: tuple[str, ...]) -> None:
    ran = it.call(*line)
    assert (ran.code, ran.json) == (0, [])


def test_a_wrong_value_is_refused_behind_the_command_too(it: Terminal) -> None:
    ran = it.call("audit", "list", "--output", "xml")
    is_one_line(ran, 2, "'xml' is not one of 'table', 'json', 'csv'", "lastgood audit list --help")


def test_the_region_of_aws_region_counts(it: Terminal) -> None:
    """Lambda, GitHub Actions and the newer SDKs set it; boto3 does not read it."""
    ran = it.call("audit", "list", *it.when, "-o", "json", AWS_DEFAULT_REGION="", AWS_REGION="us-east-1")
    assert (ran.code, ran.json) == (0, [])


@pytest.mark.parametrize(("typed", "meant"), [("stauts", "status"), ("rolback", "rollback"), ("doktor", "doctor")])
def test_a_command_that_is_misspelt_is_told_what_it_may_have_been(it: Terminal, typed: str, meant: str) -> None:
    ran = it.call(typed)
    assert (ran.code, f"there is {meant}" in ran.err, len(ran.err.splitlines())) == (2, True, 1), ran.err


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("mark bad shop/prod d-NONE12345 --reason x --yes", "lastgood plan --group shop/prod"),
        ("release shop/prod --reason x --yes", "lastgood plan --group shop/prod"),
    ],
)
def test_a_refusal_names_the_command_that_shows_why(it: Terminal, line: str, shown: str) -> None:
    ran = it.call(*line.split())
    assert (ran.code, f"Try: {shown}" in ran.err) == (1, True), ran.err


def test_where_no_rollback_waits_for_an_answer_the_list_shows_what_there_is(it: Terminal) -> None:
    ran = it.call("approve", "rb-20250303T090000000Z-0123456789ab", "--yes")
    is_one_line(ran, 3, "There is no rollback rb-20250303T090000000Z-0123456789ab", "lastgood audit list")


def test_a_plan_for_a_misspelt_group_says_which_there_is(it: Terminal) -> None:
    it.sim.server_group("shop", "prod")
    ran = it.call("plan", "--group", "shop/prd")
    assert (ran.code, "there is shop/prod" in ran.err) == (3, True), ran.err


def test_an_output_format_that_does_not_exist_is_refused_with_those_that_do(it: Terminal) -> None:
    is_one_line(it.call("--output", "xml", "audit", "list"), 2, "'xml' is not one of 'table', 'json', 'csv'")


# --- the environment's twins ---


def test_every_global_option_has_a_twin_in_the_environment(it: Terminal) -> None:
    ran = it.call("audit", "list", LASTGOOD_TABLE=it.table, LASTGOOD_STACK="nope", LASTGOOD_OUTPUT="json")
    assert (ran.code, ran.json) == (0, [])
    is_one_line(it.call("audit", "list", LASTGOOD_REGION="eu-west-1"), 3, "eu-west-1")
    is_one_line(it.call("audit", "list", LASTGOOD_PROFILE="nope"), 4, "nope")
    is_one_line(it.call("status", "rb-1", LASTGOOD_FUNCTION="nope"), 3, "no function nope")


def test_a_commands_own_option_has_a_twin_in_the_environment_too(it: Terminal) -> None:
    is_one_line(it.call("audit", "list", LASTGOOD_AUDIT_LIST_SINCE="soon"), 2, "'soon'")


def test_the_table_is_found_by_the_function_that_is_named(it: Terminal) -> None:
    ran = it.call("--function", it.function, "--stack", "nope", "-o", "json", "audit", "list")
    assert (ran.code, ran.json) == (0, [])


def test_an_option_stands_over_the_environment(it: Terminal) -> None:
    is_one_line(it.call("--stack", "option", "audit", "list", LASTGOOD_STACK="environment"), 3, "no stack option")


# --- a reader that goes away ---


def test_a_reader_that_goes_away_is_no_traceback(it: Terminal) -> None:
    process = it.start("permissions", "function")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.wait(timeout=60)
    assert "Traceback" not in err


def test_a_reader_that_has_seen_enough_is_no_mistake(it: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")  # so that the first line is refused, not the last flush
    process = it.start("events", "list", "-o", "json")
    assert process.stdout and process.stderr
    process.stdout.close()
    assert "lastgood:" not in process.stderr.read()
    process.wait()
    process.stderr.close()


# --- whatever is typed ---

NONSENSE = (
    *("", "shop/prod", "shop", "/", "//", "shop/", "a/b/c", "ecs:", "ecs:x", "pipeline:", "pipeline:a/b", "*/*", "["),
    *("last", "rb-", "d-ABCDEFGHI", "0", "-1", "1e9", "24h", "99999d", "2026-13-45", "9999-12-31T23:59:59Z", "é"),
    *("\udcff", "\x1b[2K", "\n", "x" * 5_000, "json", "auto", "arn:", "arn:aws:sns:::", "'; DROP", "{}", "-", "--"),
    *("=", "a=b", "Mode=auto", "../..", "bash", "manual-rollback", "None", "null"),
)


def leaves() -> list[tuple[tuple[str, ...], click.Command]]:
    """Every command with its words; `demo` takes long and no arguments."""
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        inner = command.commands.items() if isinstance(command, click.Group) else [("", command)]
        found += [((name, word) if word else (name,), each) for word, each in inner if name != "demo"]
    return found


def nonsense(command: click.Command, chance: Random) -> Iterator[str]:
    """Arguments that are likely to be taken for some, and values that nobody means."""
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            yield from [chance.choice(NONSENSE)] * (chance.random() < 0.9)
        elif chance.random() < (0.9 if parameter.required else 0.2):
            option = parameter.opts[0]
            if option in {"--watch", "--endpoint-url", "--region", "--out"}:
                continue
            yield option
            if not getattr(parameter, "is_flag", False):
                yield chance.choice(NONSENSE)


@pytest.mark.parametrize(("words", "command"), [pytest.param(*each, id=" ".join(each[0])) for each in leaves()])
def test_whatever_is_typed_is_answered_in_a_line_and_with_a_code(
    it: Terminal, words: tuple[str, ...], command: click.Command
) -> None:
    chance = Random(" ".join(words))
    for _ in range(8):
        line = [*words, *nonsense(command, chance)]
        ran = it.call(*line)
        assert ran.code in set(Exit) - {Exit.UNEXPECTED}, (line, ran.err)
        assert "Traceback" not in ran.err and "\x1b" not in ran.out + ran.err, line
        if ran.code in {Exit.USAGE, Exit.NOT_FOUND, Exit.AWS}:
            assert len([each for each in ran.err.splitlines() if each.startswith("lastgood: ")]) == 1, (line, ran.err)
