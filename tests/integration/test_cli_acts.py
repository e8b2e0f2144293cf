"""What an operator does by hand: always through the deployed function, never without being asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ReadTimeoutError

from lastgood_cli import asking
from terminal import CTRL_C, Terminal, terminal

GROUP = "shop/prod"
NAMED = {"application": "shop", "deployment_group": "prod"}
WHY = ("--reason", "orders get lost")


@pytest.fixture(scope="module")
def it() -> Iterator[Terminal]:
    """Two releases of `shop/prod`; the second is live. Every test may pause, mark and ask; none rolls back for good."""
    with terminal() as made:
        made.sim.server_group("shop", "prod")
        made.ids["first"] = made.sim.release("shop", "prod", "v1.zip", settle=True)
        made.sim.advance(86_400)
        made.ids["second"] = made.sim.release("shop", "prod", "v2.zip", settle=True)
        made.sim.advance(300)
        yield made


@pytest.fixture(autouse=True)
def nothing_asked_yet(it: Terminal) -> None:
    it.invoked.clear()


# --- what is asked of the function ---


@pytest.mark.parametrize(
    "acts",
    [
        {
            ("pause", GROUP, "--until", "2h"): {"action": "pause", "until": "2h"},
            ("resume", GROUP): {"action": "resume"},
        },
        {
            ("mode", GROUP, "observe"): {"action": "set_mode", "mode": "observe"},
            ("mode", GROUP, "auto", "--until", "1h"): {"action": "set_mode", "mode": "auto", "until": "1h"},
        },
        {
            ("floor", "set", GROUP, "FIRST"): {"action": "set_floor", "deployment_id": "FIRST"},
            ("floor", "clear", GROUP, "FIRST"): {"action": "clear_floor", "deployment_id": "FIRST"},
        },
        {
            ("mark", "bad", GROUP, "SECOND"): {"action": "mark_bad", "deployment_id": "SECOND"},
            ("mark", "good", GROUP, "SECOND"): {"action": "mark_good", "deployment_id": "SECOND"},
        },
        {
            ("rollback", GROUP, "--dry-run", "--to", "FIRST"): {
                "action": "rollback",
                "dry_run": True,
                "to_deployment_id": "FIRST",
            },
        },
    ],
    ids=lambda acts: next(iter(acts))[0],
)
def test_each_act_is_one_request_to_the_function_with_who_and_why(
    it: Terminal, acts: dict[tuple[str, ...], dict[str, Any]]
) -> None:
    """The second act of a pair takes the first one back."""

    def named(text: Any) -> Any:
        return {"FIRST": it.ids["first"], "SECOND": it.ids["second"]}.get(text, text)

    common = {"application": "shop", "deployment_group": "prod", "reason": WHY[1], "requested_by": "jane"}
    for command, event in acts.items():
        ran = it.call(*map(named, command), *WHY, "--as", "jane", "--yes")
        assert ran.code == 0, ran.err
        assert it.invoked == [{**common, **{name: named(value) for name, value in event.items()}}]
        it.invoked.clear()


def test_a_service_that_ecs_itself_deploys_is_named_by_its_cluster(it: Terminal) -> None:
    shown = it.call("pause", "ecs:production/shop", *WHY, "--dry-run", "--as", "jane").json
    assert shown == {"action": "pause", "ecs_service": "production/shop", "reason": WHY[1], "requested_by": "jane"}


def test_a_pause_of_everything_names_no_group(it: Terminal) -> None:
    for command in ("pause", "resume"):
        assert it.call(command, *WHY, "--yes").code == 0
        assert "application" not in it.invoked[-1]


def test_a_process_acts_and_prints_what_the_function_answers(it: Terminal) -> None:
    ran = it.run("mark", "good", GROUP, it.ids["second"], *WHY, "--yes")
    assert (ran.code, ran.err) == (0, "")
    assert re.fullmatch(r"s3://bundles/v2\.zip\?etag=\w{8}… is marked good\.\n", ran.out)


def test_who_asks_is_whom_aws_says_where_nobody_is_named(it: Terminal) -> None:
    it.call("resume", GROUP, *WHY, "--yes")
    arn = it.aws.client("sts").get_caller_identity()["Arn"]
    assert it.invoked[0]["requested_by"] == arn.split(":", 5)[5]


def test_the_answer_as_json_is_the_functions(it: Terminal) -> None:
    answer = it.call("-o", "json", "resume", GROUP, *WHY, "--yes").json
    assert answer == {"action": "resume", "explanation": "Resumed shop/prod."}


# --- nothing without being asked ---


@pytest.mark.parametrize(
    "command",
    [
        ("pause",),
        ("resume", GROUP),
        ("mode", GROUP, "off"),
        ("rollback", GROUP),
        ("floor", "set", GROUP, "d-AAAAAAAAA"),
        ("mark", "bad", GROUP, "d-AAAAAAAAA"),
        ("reject", "rb-1"),
        ("approve", "rb-1"),
    ],
    ids=lambda command: command[0],
)
def test_a_write_off_a_terminal_needs_yes(it: Terminal, command: tuple[str, ...]) -> None:
    ran = it.call(*command, *WHY)
    assert ran.code == 2 and "--yes" in ran.err
    assert it.invoked == []


@pytest.mark.parametrize(
    "command", [("pause",), ("resume",), ("mode", GROUP, "off"), ("rollback", GROUP), ("reject", "rb-1")]
)
def test_a_write_without_a_reason_is_refused(it: Terminal, command: tuple[str, ...]) -> None:
    ran = it.call(*command, "--yes")
    assert ran.code == 2 and "--reason" in ran.err
    assert it.invoked == []


@pytest.mark.parametrize(("typed", "code"), [("n\n", 1), ("y\n", 0)])
def test_at_a_terminal_the_operator_is_asked(it: Terminal, typed: str, code: int) -> None:
    ran = it.at_terminal("pause", *WHY, "--until", "5m", typed=typed)
    assert ran.code == code
    assert "Pause EVERYTHING for 5m?" in ran.out and it.function in ran.out
    assert len(it.invoked) == (code == 0)
    it.call("resume", *WHY, "--yes")


def test_ctrl_c_at_the_question_does_nothing(it: Terminal) -> None:
    ran = it.at_terminal("pause", *WHY, typed=CTRL_C)
    assert ran.code == 130 and "nothing more is done" in ran.out
    assert it.invoked == []


@pytest.mark.parametrize(
    "command",
    [
        ("pause",),
        ("resume", GROUP),
        ("mode", GROUP, "off"),
        ("floor", "clear", GROUP, "d-AAAAAAAAA"),
        ("approve", "rb-1"),
    ],
    ids=lambda command: command[0],
)
def test_a_dry_run_shows_the_event_and_sends_nothing(it: Terminal, command: tuple[str, ...]) -> None:
    ran = it.call(*command, *WHY, "--dry-run")
    assert ran.code == 0 and "Nothing was sent" in ran.err
    assert ran.json["reason"] == WHY[1] and ran.json["requested_by"]
    assert it.invoked == []


def test_a_dry_run_of_a_rollback_is_decided_and_recorded_and_touches_nothing(it: Terminal) -> None:
    ran = it.call("-o", "json", "rollback", GROUP, *WHY, "--dry-run")
    assert ran.code == 0
    assert ran.json["outcome"] == "DRY_RUN" and ran.json["good_deployment_id"] == it.ids["first"]
    assert it.call("status", ran.json["rollback_id"]).code == 13
    assert it.sim.live("shop", "prod").target.split("|")[1] == "v2.zip"


# --- what is refused ---


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("pause", "--until", "yesterday"), "until must be a duration"),
        (("pause", "--until", "2020-01-01T00:00:00Z"), "in the future"),
        (("pause", "--until", "99999d"), "until"),
        (("pause", "shop"), "must be APPLICATION/DEPLOYMENT_GROUP"),
        (("pause", "shop/prod/eu"), "must be APPLICATION/DEPLOYMENT_GROUP"),
        (("pause", "shop/\x1b[31mprod"), "must be APPLICATION/DEPLOYMENT_GROUP"),
        (("pause", "ecs:production"), "must be cluster/service"),
        (("pause", "/"), "must be APPLICATION/DEPLOYMENT_GROUP"),
        (("mode", GROUP, "turbo"), "'turbo' is not one of 'auto'"),
        (("rollback", GROUP, "--to", "v1.zip"), "to_deployment_id must be a deployment's id"),
        (("mark", "bad", GROUP, "nonsense"), "deployment_id must be a deployment's id"),
        (("rollback", GROUP, "--force", "--reason", "x" * 5000), "reason"),
        (("resume", GROUP, "--as", " "), "requested_by"),
    ],
    ids=lambda value: " ".join(value)[:40].encode("unicode_escape").decode() if isinstance(value, tuple) else "",
)
def test_what_the_function_would_not_take_is_not_sent(it: Terminal, command: tuple[str, ...], words: str) -> None:
    ran = it.call(*command, *(() if "--reason" in command else WHY), "--yes")
    assert ran.code == 2 and words in ran.err and "\x1b" not in ran.err
    assert len(ran.err.splitlines()) == 1 and "Try: lastgood" in ran.err
    assert it.invoked == []


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("approve", "DONE"), "does not wait for approval"),
        (("mark", "bad", GROUP, "d-AAAAAAAAA"), "has no deployment d-AAAAAAAAA"),
    ],
)
def test_what_the_function_refuses_is_said_in_its_words(it: Terminal, command: tuple[str, ...], words: str) -> None:
    done = it.handle({"action": "rollback", **NAMED, "reason": "x", "requested_by": "jane", "dry_run": True})[0]
    ran = it.call(*(done["rollback_id"] if word == "DONE" else word for word in command), *WHY, "--yes")
    assert ran.code == 1 and ran.out == ""
    assert words in ran.err and len(ran.err.splitlines()) == 1


def test_a_function_that_fails_is_said_plainly(it: Terminal) -> None:
    with patch.object(it.application, "handle", side_effect=RuntimeError("\x1b[31mno table")):
        ran = it.call("resume", *WHY, "--yes")
    assert ran.code == 4
    assert ran.err == "lastgood: The function failed with RuntimeError: \ufffd[31mno table. Try: lastgood doctor\n"


def test_a_function_that_is_not_lastgood_is_seen(it: Terminal) -> None:
    with patch.object(Terminal, "handle", return_value=[]):
        ran = it.call("resume", *WHY, "--yes")
    assert ran.code == 3 and "does not answer as lastgood does" in ran.err


def test_a_function_that_does_not_answer_in_time_may_have_done_it(it: Terminal) -> None:
    class Silent:
        def invoke(self, **_: object) -> None:
            raise ReadTimeoutError(endpoint_url="https://lambda")

    with patch("lastgood_cli.context.Aws.client", lambda *_, **__: Silent()):
        ran = it.call("--function", "f", "--region", "us-east-1", "resume", *WHY, "--yes", "--as", "jane")
    assert ran.code == 4 and "may have done what was asked" in ran.err and "audit list" in ran.err


def test_the_function_is_asked_once_and_given_time() -> None:
    """A second attempt would be a second request; the function's own timeout is a minute."""
    options: dict[str, Any] = vars(asking.PATIENT)
    assert options["retries"] == {"mode": "standard", "total_max_attempts": 1}
    assert options["read_timeout"] > 60


# --- approval ---


@pytest.mark.parametrize(("answer", "code"), [("approve", 0), ("reject", 10)])
def test_a_plan_waits_until_it_is_approved_or_rejected(answer: str, code: int, it: Terminal) -> None:
    it.sim.server_group("asks", answer)
    it.sim.release("asks", answer, "a1.zip", settle=True)
    it.sim.advance(7_200)
    it.sim.release("asks", answer, "a2.zip", settle=True)
    it.sim.advance(300)
    assert it.call("mode", f"asks/{answer}", "approve", *WHY, "--yes").code == 0
    waiting = it.call("-o", "json", "rollback", f"asks/{answer}", *WHY, "--yes")
    assert waiting.code == 0 and waiting.json["phase"] == "AWAITING_APPROVAL"
    rollback_id = waiting.json["rollback_id"]
    assert it.call("status", rollback_id).code == 21
    assert "lastgood approve" in it.call("audit", "show", rollback_id).out
    assert it.call(answer, rollback_id, *WHY, "--yes", "--as", "jane").code == 0
    assert it.call("status", rollback_id, "--wait").code == code
    assert f"{answer.rstrip('e')}ed by" in it.call("audit", "show", rollback_id).out
    assert it.call(answer, rollback_id, *WHY, "--yes").code == 1


def test_a_pipeline_that_no_rollback_holds_is_not_released_and_one_line_says_so(it: Terminal) -> None:
    ran = it.call("release", GROUP, *WHY, "--yes")
    assert ran.code == 1
    assert "holds no stage for shop/prod; nothing was changed" in ran.err
    assert ran.err.count("\n") == 1
