"""What people and other systems are told, when, and that telling never fails a rollback."""

from __future__ import annotations

import json
import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from builders import NOW, ROLLBACK_ID, at, by_operator, rollback
from lastgood.model import Controller, Outcome, Phase, Reason, Rollback, notices_due
from lastgood.notice_text import Place
from lastgood.notices import CLOSED, NEEDS_HUMAN, NOT_RECOVERED, OPENED, Notices, compose, email
from lastgood.signals import Home, OperatorRequest, Refusal, parse
from typing_it import can_be_typed

POOL = ThreadPoolExecutor(2)
TOPIC = "arn:aws:sns:eu-west-1:123456789012:told"
DONE = rollback(
    Phase.CLOSED,
    outcome=Outcome.ROLLED_BACK,
    reason_code=Reason.VERIFIED,
    explanation="d-BACK00003 succeeded and v1 is live.",
    alarm_arn="arn:aws:cloudwatch:eu-west-1:123456789012:alarm:shop-errors",
    suspect_deployment_id="d-BAD000002",
    suspect_revision="v2",
    good_deployment_id="d-GOOD00001",
    good_revision="v1",
    rollback_deployment_id="d-BACK00003",
    closed_at=at(5),
)
PLANNED = rollback(Phase.AWAITING_APPROVAL, reason_code=Reason.NEEDS_APPROVAL, explanation="The plan: back to v1.")
OPEN = rollback(Phase.STOPPING, reason_code=Reason.SUSPECT_ACTIVE, explanation="d-BAD000002 is stopped.")


@dataclass
class Ears:
    """SNS and EventBridge, of which each call is checked against AWS's own shapes, and what they heard."""

    sns: Any = field(default_factory=lambda: boto3.client("sns", region_name="eu-west-1", **KEYS))
    events: Any = field(default_factory=lambda: boto3.client("events", region_name="eu-west-1", **KEYS))
    published: list[dict[str, Any]] = field(default_factory=list)
    put: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.on_sns, self.on_events = Stubber(self.sns), Stubber(self.events)
        self.on_sns.activate()
        self.on_events.activate()
        self.sns.meta.events.register("provide-client-params.sns.Publish", self._heard(self.published))
        self.events.meta.events.register("provide-client-params.events.PutEvents", self._heard(self.put))

    def _heard(self, where: list[dict[str, Any]]) -> Any:
        return lambda params, **_: where.append(params)

    def ready(self) -> Ears:
        self.on_sns.add_response(
            "publish", {"MessageId": "m"}, _any("TopicArn", "Subject", "MessageStructure", "Message")
        )
        self.on_events.add_response(
            "put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "e"}]}, _any("Entries")
        )
        return self

    @property
    def chat(self) -> dict[str, Any]:
        return json.loads(json.loads(self.published[0]["Message"])["default"])

    @property
    def email(self) -> str:
        return json.loads(self.published[0]["Message"])["email"]

    @property
    def event(self) -> dict[str, Any]:
        (entry,) = self.put[0]["Entries"]
        return entry


KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


def _any(*names: str) -> dict[str, Any]:
    return dict.fromkeys(names, ANY)


def notices(ears: Ears, topic: str = TOPIC, bus: str = "default") -> Notices:
    return Notices(ears, topic, bus, POOL)  # type: ignore[arg-type]


def told(record: Rollback, kind: str) -> Ears:
    ears = Ears().ready()
    assert notices(ears).send(record, kind) == []
    return ears


# --- when -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "kinds"),
    [
        (rollback(Phase.CLAIMED), ()),
        (PLANNED, (NEEDS_HUMAN,)),
        (OPEN, (OPENED,)),
        (rollback(Phase.REDEPLOYING), (OPENED,)),
        (rollback(Phase.VERIFYING), (OPENED,)),
        (DONE, (CLOSED,)),
        (replace(DONE, outcome=Outcome.SKIPPED), (CLOSED,)),
        (DONE.changed(notified=(CLOSED,), not_recovered_at=DONE.opened_at), (NOT_RECOVERED,)),
    ],
)
def test_a_notice_is_due_once_there_is_something_to_say(record, kinds):
    assert notices_due(record) == kinds
    assert notices_due(record.changed(notified=(*record.bookkeeping.notified, *kinds))) == ()


def test_a_notice_that_was_sent_does_not_silence_the_next_one():
    assert notices_due(DONE.changed(notified=(OPENED, NEEDS_HUMAN))) == (CLOSED,)


def test_a_rollback_that_began_and_ended_in_one_visit_is_told_by_its_end():
    assert notices_due(DONE) == (CLOSED,)


# --- what -------------------------------------------------------------------------------------------------------------


def test_the_chat_message_has_the_schema_outside_of_which_everything_is_dropped():
    chat = told(DONE, CLOSED).chat
    assert (chat["version"], chat["source"]) == ("1.0", "custom")
    assert set(chat) <= {"version", "source", "id", "content", "metadata"}
    assert set(chat["content"]) <= {"textType", "title", "description", "nextSteps", "keywords"}
    assert chat["content"]["textType"] == "client-markdown"
    metadata = chat["metadata"]
    assert set(metadata) <= {
        "threadId", "summary", "eventType", "relatedResources", "additionalContext", "enableCustomActions",
    }  # fmt: skip
    for texts in (chat["content"]["nextSteps"], chat["content"]["keywords"], metadata["relatedResources"]):
        assert isinstance(texts, list)
        assert all(isinstance(text, str) and text for text in texts)
    assert all(isinstance(v, str) for v in metadata["additionalContext"].values())


def test_all_notices_of_one_rollback_stand_in_one_thread():
    threads = {told(record, kind).chat["metadata"]["threadId"] for record, kind in ((OPEN, OPENED), (DONE, CLOSED))}
    assert threads == {ROLLBACK_ID}


def test_a_notice_that_is_sent_again_has_the_same_id_and_every_kind_its_own():
    first, again = told(DONE, CLOSED), told(DONE.changed(version=9, notified=(OPENED,)), CLOSED)
    assert first.chat["id"] == again.chat["id"]
    assert json.loads(first.event["Detail"])["notice_id"] == json.loads(again.event["Detail"])["notice_id"]
    kinds = {compose(DONE, kind).notice_id for kind in (OPENED, NEEDS_HUMAN, CLOSED, "not_recovered")}
    assert len(kinds) == 4
    assert compose(replace(DONE, rollback_id="rb-2"), CLOSED).notice_id != compose(DONE, CLOSED).notice_id


def test_the_end_says_what_was_rolled_back_from_where_to_where_and_why():
    notice = compose(DONE, CLOSED)
    for word in ("ROLLED_BACK", "shop/prod", "VERIFIED"):
        assert word in notice.title
    for word in ("d-BACK00003 succeeded", "shop-errors", "d-BAD000002 (v2)", "d-GOOD00001 (v1)", ROLLBACK_ID):
        assert word in notice.text


@pytest.mark.parametrize("outcome", list(Outcome))
def test_each_outcome_is_told_by_its_name(outcome):
    assert str(outcome) in compose(replace(DONE, outcome=outcome), CLOSED).title


def test_what_is_not_known_is_not_mentioned():
    text = compose(rollback(Phase.CLOSED, outcome=Outcome.SKIPPED, reason_code=Reason.STALE_SIGNAL), CLOSED).text
    assert "Suspect" not in text
    assert "Last good" not in text
    assert "()" not in text


def test_a_rollback_that_a_person_asked_for_names_the_person():
    assert "ann" in compose(replace(by_operator(Phase.STOPPING), explanation="x"), OPENED).text


def test_people_are_called_where_lastgood_does_nothing_more():
    calling = compose(replace(DONE, people=True), CLOSED).next_steps
    assert any("Look at the service" in line for line in calling)
    assert not any("Look at the service" in line for line in compose(DONE, CLOSED).next_steps)
    assert any("Look at the service" in line for line in compose(DONE, "not_recovered").next_steps)


def test_people_who_are_called_read_what_to_do_about_the_reason() -> None:
    ended = replace(DONE, outcome=Outcome.BLOCKED, reason_code=Reason.KNOWN_BAD)
    place = Place().at("arn:aws:sns:eu-west-1:123456789012:topic")
    (todo,) = [line for line in compose(ended, CLOSED, place).next_steps if line.startswith("Fix forward")]
    assert "lastgood --region eu-west-1 mark good shop/prod DEPLOYMENT --reason …" in todo and "`" not in todo
    nowhere = replace(ended, application="", deployment_group="", reason_code=Reason.UNROUTED_ALARM)
    assert any("LASTGOOD_ROUTES" in line for line in compose(nowhere, CLOSED, place).next_steps)


PLACE = Place(stack="lastgood", table="audit", approval_expiry=timedelta(minutes=30)).at(TOPIC)
EVERY_NOTICE = [
    *((OPEN, OPENED), (PLANNED, NEEDS_HUMAN), (DONE, CLOSED), (DONE, NOT_RECOVERED)),
    (DONE.changed(held_at=NOW), CLOSED),
    (DONE.changed(next_good_deployment_id="d-A1B2C3D4E", next_good_revision="v0"), NOT_RECOVERED),
    (DONE.changed(release_groups=("shop/eu", "shop/prod"), release_deployments={"shop/eu": "d-A1B2C3D4E"}), CLOSED),
    (replace(DONE, reason_code=Reason.TOO_MANY_ROLLBACKS), CLOSED),
    (replace(DONE, reason_code=Reason.DRILL_FAILED), CLOSED),
    (replace(DONE, reason_code=Reason.FLOOR_RELEASED).changed(floor_deployment_id="d-A1B2C3D4E"), CLOSED),
    (replace(DONE, reason_code=Reason.FLOOR_RELEASED).changed(suspect_deployment_id="d-A1B2C3D4E"), CLOSED),
]


def events_in(record: Rollback, kind: str) -> list[dict[str, Any]]:
    lines = compose(record, kind, PLACE).next_steps
    return [json.loads(line[line.index("{") : line.index("}") + 1]) for line in lines if "{" in line]


@pytest.mark.parametrize(("record", "kind"), EVERY_NOTICE)
def test_the_events_that_a_notice_proposes_are_accepted_when_pasted(record: Rollback, kind: str) -> None:
    pasted = events_in(record, kind)
    taken = [parse(event, Home("123456789012", "eu-west-1"), NOW)[0] for event in pasted]
    assert pasted and not [signal for signal in taken if isinstance(signal, Refusal)]


@pytest.mark.parametrize(("record", "kind"), EVERY_NOTICE)
def test_whoever_has_only_the_console_can_do_whatever_a_notice_proposes(record: Rollback, kind: str) -> None:
    """Each command of lastgood's has its event beside it, and the page where it is pasted is linked."""
    notice = compose(record, kind, replace(PLACE, function="lastgood-RollbackFunction-1X"))
    commands = [line for line in notice.next_steps if ": lastgood --" in line]
    assert commands and all("or the function's test event {" in line for line in commands)
    page = (
        "https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/lastgood-RollbackFunction-1X"
    )
    assert f"test event: {page}?tab=testing" in notice.links
    assert not [line for line in compose(record, kind, PLACE).links if line.startswith("test event")]


def test_the_first_notice_says_how_the_rollback_is_kept_from_going_on() -> None:
    (pause, _) = events_in(OPEN, OPENED)
    assert pause == {
        "action": "pause",
        "application": "shop",
        "deployment_group": "prod",
        "requested_by": "you",
        "reason": "…",
    }


@pytest.mark.parametrize(
    ("record", "kind", "subject"),
    [
        (DONE, CLOSED, "ROLLED_BACK shop/prod (123456789012, eu-west-1)"),
        (PLANNED, NEEDS_HUMAN, "WAITS FOR APPROVAL: shop/prod (123456789012, eu-west-1)"),
        (OPEN, OPENED, "ROLLING BACK shop/prod (123456789012, eu-west-1)"),
        (DONE, NOT_RECOVERED, "NOT RECOVERED: shop/prod (123456789012, eu-west-1)"),
        (
            replace(DONE, outcome=Outcome.SKIPPED, reason_code=Reason.DRILL_FAILED),
            CLOSED,
            "DRILL FAILED: shop/prod (123456789012, eu-west-1)",
        ),
    ],
)
def test_the_subject_says_outcome_group_account_and_region(record: Rollback, kind: str, subject: str) -> None:
    assert told(record, kind).published[0]["Subject"] == subject


def test_an_account_with_a_name_is_called_by_it_in_the_subject_and_by_both_in_the_mail() -> None:
    notice = compose(DONE, CLOSED, replace(PLACE, account_name="prod-eu"))
    assert notice.subject == "ROLLED_BACK shop/prod (prod-eu, eu-west-1)"
    assert "Account prod-eu (123456789012), region eu-west-1" in email(notice).splitlines()


def test_the_mail_says_what_happened_what_is_live_whether_the_alarm_recovered_and_what_to_do_in_this_order() -> None:
    lines = told(DONE.changed(alarm_recovered_at=at(4)), CLOSED).email.splitlines()
    wanted = (
        "✅ ROLLED_BACK",
        "d-BACK00003 succeeded and v1 is live.",
        "Live: v1",
        "Suspect: d-BAD000002 (v2)",
        "Last good: d-GOOD00001 (v1)",
        "Alarm: shop-errors, OK again since 10:04 UTC",
        "Account 123456789012, region eu-west-1",
        f"Its story: lastgood --region eu-west-1 audit show {ROLLBACK_ID}",
        "alarm: https://eu-west-1.console.aws.amazon.com/cloudwatch/home",
        "suspect deployment: https://eu-west-1.console.aws.amazon.com/codesuite/codedeploy/deployments/d-BAD000002",
    )
    numbers = [next(n for n, line in enumerate(lines) if line.startswith(start)) for start in wanted]
    assert numbers == sorted(numbers)


def test_an_alarm_that_still_fires_is_told_as_such() -> None:
    assert "Alarm: shop-errors, still firing" in compose(DONE, NOT_RECOVERED).text
    assert "not OK yet" in compose(DONE, CLOSED).text


def test_an_approval_says_until_when_and_how() -> None:
    ears, place = Ears().ready(), replace(PLACE, account="", region="")
    assert Notices(ears, TOPIC, "default", POOL, place).send(PLANNED, NEEDS_HUMAN) == []  # type: ignore[arg-type]
    approve = f"Approve until 10:31 UTC: lastgood --region eu-west-1 approve {ROLLBACK_ID}"
    assert any(line.startswith(approve) for line in ears.email.splitlines())
    assert f"lastgood --region eu-west-1 reject {ROLLBACK_ID} --reason …" in ears.email
    context = ears.chat["metadata"]["additionalContext"]
    assert context["approve_until"] == "2026-03-02T10:31:00.000Z"
    assert (context["awaiting_approval"], context["rollback_id"]) == ("yes", ROLLBACK_ID)


def test_only_what_waits_for_approval_can_be_answered_by_a_button() -> None:
    for record, kind in ((OPEN, OPENED), (DONE, CLOSED), (DONE, NOT_RECOVERED)):
        assert "awaiting_approval" not in told(record, kind).chat["metadata"]["additionalContext"]


def test_the_commands_of_a_notice_can_be_typed() -> None:
    """They exist, with these options."""
    records = [(PLANNED, NEEDS_HUMAN), (DONE, CLOSED), (DONE.changed(held_at=NOW), CLOSED)]
    records += [(replace(DONE, reason_code=Reason.TOO_MANY_ROLLBACKS), CLOSED)]
    records += [(replace(DONE, reason_code=Reason.DRILL_FAILED), CLOSED)]
    place = replace(PLACE, stack="lastgood-eu")
    lines = [step for record, kind in records for step in compose(record, kind, place).next_steps]
    typed = [re.sub(r" \(or the .*", "", line).partition("lastgood ")[2] for line in lines if "lastgood --" in line]
    assert len(typed) >= 8
    for line in typed:
        can_be_typed(f"lastgood {line}")


def test_an_email_is_plain_text():
    email = told(DONE, CLOSED).email
    assert email.splitlines()[0] == compose(DONE, CLOSED).title
    assert not email.lstrip().startswith("{")
    assert "Suspect: d-BAD000002 (v2)" in email.splitlines()


def test_the_message_fits_what_sns_takes():
    long = DONE.changed(rollback_id="rb-" + "x" * 200, explanation="y" * 100_000, suspect_revisions=("z" * 100_000,))
    (message,) = told(long, CLOSED).published
    assert message["MessageStructure"] == "json"
    assert len(message["Subject"]) <= 100
    assert message["Subject"].isascii()
    assert "\n" not in message["Subject"]
    assert len(message["Message"].encode()) < 262_144


def test_the_event_says_what_happened_in_a_versioned_detail():
    event = told(DONE, CLOSED).event
    assert (event["Source"], event["DetailType"], event["EventBusName"]) == ("lastgood", "Rollback Closed", "default")
    detail = json.loads(event["Detail"])
    assert detail["schema_version"] == 1
    assert (detail["outcome"], detail["reason"], detail["phase"]) == ("ROLLED_BACK", "VERIFIED", "CLOSED")
    assert (detail["application"], detail["deployment_group"]) == ("shop", "prod")
    assert (detail["opened_at"], detail["closed_at"]) == ("2026-03-02T10:01:00.000Z", "2026-03-02T10:05:00.000Z")
    assert told(OPEN, OPENED).event["DetailType"] == "Rollback Opened"
    assert told(DONE, "not_recovered").event["DetailType"] == "Rollback Not Recovered"


# --- hostile text -----------------------------------------------------------------------------------------------------

HOSTILE = "\x1b[31mred\x1b[0m \x00 \u202egnp.exe \u200bzero \u2028line\r\nInjected: yes \ud800 end"


def hostile_in(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and c != "\n"}


@pytest.mark.parametrize(
    "name",
    ["explanation", "requested_by", "suspect_revisions", "good_revision"],
)
def test_hostile_text_steers_neither_chat_nor_mail_nor_events(name):
    record = DONE.changed(**{name: (HOSTILE,) if name == "suspect_revisions" else HOSTILE})
    if name == "requested_by":
        record = record.changed(alarm_name="")
    ears = told(record, CLOSED)

    def texts(node: Any) -> list[str]:
        if isinstance(node, dict):
            return [t for value in node.values() for t in texts(value)]
        return [t for value in node for t in texts(value)] if isinstance(node, list) else [str(node)]

    for text in (*texts(ears.chat), ears.email, *texts(json.loads(ears.event["Detail"])), ears.published[0]["Subject"]):
        assert hostile_in(text) == set()
    assert not any(line.startswith("Injected") for line in ears.email.splitlines())


# --- when telling fails -----------------------------------------------------------------------------------------------


def test_what_sns_refuses_is_reported_and_the_event_is_sent_all_the_same():
    ears = Ears()
    ears.on_sns.add_client_error("publish", "AuthorizationErrorException", "not yours", 403)
    ears.on_events.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "e"}]}, _any("Entries"))
    (problem,) = notices(ears).send(DONE, CLOSED)
    assert "AuthorizationErrorException" in problem
    ears.on_events.assert_no_pending_responses()


def test_an_event_that_is_refused_with_a_200_is_reported():
    ears = Ears()
    ears.on_sns.add_response("publish", {"MessageId": "m"})
    answer = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": "try later"}]}
    ears.on_events.add_response("put_events", answer)
    (problem,) = notices(ears).send(DONE, CLOSED)
    assert "InternalFailure" in problem


@pytest.mark.parametrize(("code", "status"), [("Throttling", 400), ("InternalError", 500), ("NotFound", 404)])
def test_nothing_that_aws_answers_is_raised(code, status):
    ears = Ears()
    ears.on_sns.add_client_error("publish", code, "no", status)
    ears.on_events.add_client_error("put_events", code, "no", status)
    assert len(notices(ears).send(DONE, CLOSED)) == 2


def test_an_empty_setting_switches_a_channel_off():
    ears = Ears()
    assert notices(ears, "", "").send(DONE, CLOSED) == []
    assert (ears.published, ears.put) == ([], [])


def test_a_rollback_of_no_group_is_told_as_such():
    unrouted = rollback(
        Phase.CLOSED,
        application="",
        deployment_group="",
        outcome=Outcome.SKIPPED,
        reason_code=Reason.UNROUTED_ALARM,
        explanation="It leads nowhere.",
    )
    assert "no deployment group" in compose(unrouted, CLOSED).title
    assert notices_due(unrouted) == (CLOSED,)
    assert told(unrouted, CLOSED).chat["content"]["keywords"] == []


@pytest.mark.parametrize("more", [{"reason_code": Reason.TOO_MANY_ROLLBACKS}, {"held_at": NOW}])
def test_what_a_notice_tells_people_to_send_names_a_service_as_a_service(more: dict[str, Any]) -> None:
    """Named by its parts, it would be the deployment group of the same names."""
    service = DONE.changed(application="main", deployment_group="web", controller=Controller.ECS, **more)
    (asked,) = [step for step in compose(service, CLOSED).next_steps if "resume" in step or "release" in step]
    request = json.loads(re.search(r"\{.*?\}", asked)[0]) | {"requested_by": "me", "reason": "done"}  # type: ignore[index]
    (signal,) = parse(request, Home("123456789012", "eu-west-1"), NOW)
    assert isinstance(signal, OperatorRequest) and signal.group == service.group
