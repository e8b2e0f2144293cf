"""The pure parts of `plan`, `explain` and `doctor`: how questions are answered, and what each check says."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import click
import pytest

from builders import NOW, alarm, by_operator, group, native_rollback, observation, past, release, rollback, running
from lastgood.judgement import decide
from lastgood.judgement.case import Case
from lastgood.judgement.guards import GUARDS
from lastgood.model import (
    AfterRollback,
    AlarmState,
    ComputePlatform,
    Controller,
    Controls,
    DeploymentGroup,
    Floor,
    Image,
    Mode,
    Outcome,
    Pause,
    Phase,
    Policy,
    Reason,
    Revision,
)
from lastgood.pipelines.runs import hold_reason
from lastgood.settings import PipelineRule, Settings
from lastgood.times import iso
from lastgood_cli import by_hand, checks, fixes, group_checks
from lastgood_cli.alarm_paths import alarm_message
from lastgood_cli.checks import Part, healthy
from lastgood_cli.checks.table import INDEXES
from lastgood_cli.controllers.codedeploy import beside
from lastgood_cli.fix import Fix
from lastgood_cli.lookout import Plan, headline
from lastgood_cli.main import cli
from lastgood_cli.needed import needed_actions
from lastgood_cli.questions import ALONE, ROUTED, Answer, Verdict, answers, recorded
from lastgood_cli.stack_template import StackTemplate
from stage.local import ROOT

COMMAND = ROOT / "src" / "tools" / "lastgood_cli"

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:lastgood"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:AlarmTopic"
AUTO = Policy()
SHOP, SERVICE = DeploymentGroup("shop", "prod"), DeploymentGroup("main", "web", Controller.ECS)
RERUNS, HOLDS, TELLS = (
    json.dumps([{"application": "shop", "deployment_group": "*", "pipeline": "shop", **more}])
    for more in ({"after_rollback": "rerun"}, {"hold": "Deploy"}, {})
)
TABLE_ARN = "arn:aws:dynamodb:eu-central-1:123456789012:table/t"
HISTORY = (release("d-2", "v2", -10), release("d-1", "v1", -900))


def case(*history: Any, policy: Policy = AUTO, **more: Any) -> Case:
    """A rollback that an alarm opens now, with that history."""
    return Case(rollback(), observation(*(history or HISTORY), **more), policy, NOW)


def settings(**more: str) -> Settings:
    """The settings of a stack."""
    return Settings.from_env({"LASTGOOD_TABLE": "AuditTable", "LASTGOOD_ALARM_TOPIC_ARNS": TOPIC, **more})


# --- questions ---


def test_a_clear_case_answers_every_question_with_yes() -> None:
    assert [a.verdict for a in answers(case())] == [Verdict.YES] * len(GUARDS)


@pytest.mark.parametrize(
    "it",
    [
        case(policy=Policy(kill_switch=True)),
        case(policy=Policy(mode=Mode.OFF)),
        case(policy=Policy(mode=Mode.OBSERVE)),
        case(policy=Policy(mode=Mode.APPROVE)),
        case(alarm=alarm(AlarmState.OK, 0.5)),
        case(group=None),
        case(release("d-1", "v1", -10)),
        case(release("d-2", "v2", -10, floor=True), HISTORY[1]),
        case(release("d-3", "v3", 0.5), *HISTORY),
        case(controls=Controls(past=(past(-5),))),
        case(controls=Controls(pause_all=Pause("rush", "ann"))),
        case(running("d-2"), HISTORY[1]),
        case(native_rollback("d-3", of="d-2"), *HISTORY),
    ],
)
def test_the_first_objection_is_the_decision_and_there_is_only_one(it: Case) -> None:
    """The table of questions and the decision can never tell two stories."""
    decision = decide(it.rollback, it.seen, it.policy, it.now)
    objections = [a for a in answers(it) if a.verdict is Verdict.NO]
    if objections:
        (objection,) = objections
        assert (objection.reason, objection.explanation) == (str(decision.reason), decision.explanation)
    else:
        assert decision.action in {"STOP", "ADOPT", "PROCEED"}


def test_what_would_object_too_is_told_so_that_one_unpausing_is_not_the_next_surprise() -> None:
    paused = case(controls=Controls(pause_all=Pause("rush", "ann"), past=(past(-5),)))
    told = {a.reason: a.verdict for a in answers(paused) if a.reason}
    assert told == {"PAUSED": Verdict.NO, "COOLDOWN": Verdict.NO_TOO}


@pytest.mark.parametrize("it", [case(group=None), case(release("d-2", "v2", -500), HISTORY[1])])
def test_questions_without_a_subject_are_not_asked(it: Case) -> None:
    verdicts = [a.verdict for a in answers(it)]
    where = verdicts.index(Verdict.NO)
    assert set(verdicts[where + 1 :]) == {Verdict.NOT_ASKED}


@pytest.mark.parametrize(
    ("it", "said"),
    [
        (case(), "It would roll back to v1"),
        (case(running("d-2"), HISTORY[1]), "It would roll back to v1"),
        (case(policy=Policy(mode=Mode.APPROVE)), "It would ask for approval to roll back to v1"),
        (case(policy=Policy(mode=Mode.OBSERVE)), "It would only record that it would roll back to v1 (OBSERVE_MODE)"),
        (case(policy=Policy(mode=Mode.OFF)), "It would not roll back: SKIPPED (MODE_OFF)"),
        (
            case(running("d-1", "v1")),
            "It would stop the deployment, put nothing back, and call people (NO_GOOD_REVISION)",
        ),
        (
            case(native_rollback("d-3", of="d-2", status="InProgress"), *HISTORY),
            "It would adopt the rollback to v1 that is under way",
        ),
    ],
)
def test_the_headline_says_the_decision_in_a_few_words(it: Case, said: str) -> None:
    assert headline(decide(it.rollback, it.seen, it.policy, it.now)) == said


def test_the_message_of_a_plan_is_the_one_that_cloudwatch_would_send() -> None:
    described = {"AlarmName": "a", "AlarmArn": f"{TOPIC[:-10]}:alarm:a", "Period": 60, "EvaluationPeriods": 3}
    body = json.loads(alarm_message(described, NOW, TOPIC)["Records"][0]["Sns"]["Message"])
    assert body["StateChangeTime"] == "2026-03-02T10:01:00.000+0000"
    assert body["Trigger"] == {"Period": 60, "EvaluationPeriods": 3}


# --- explaining the past ---


def test_a_rollback_that_acted_had_every_question_answered_with_yes() -> None:
    done = rollback(Phase.CLOSED, outcome=Outcome.ROLLED_BACK, reason_code=Reason.VERIFIED, stop_requested_at=NOW)
    assert {a.verdict for a in recorded(done)} == {Verdict.YES}


def test_a_refusal_marks_its_question_and_none_after_it_was_asked() -> None:
    refused = rollback(Phase.CLOSED, outcome=Outcome.SKIPPED, reason_code=Reason.COOLDOWN, explanation="A rest.")
    told = recorded(refused)
    (no,) = [a for a in told if a.verdict is Verdict.NO]
    assert (no.reason, no.explanation) == ("COOLDOWN", "A rest.")
    after = told[told.index(no) + 1 :]
    assert after and {a.verdict for a in after} == {Verdict.NOT_ASKED}


def test_a_reason_that_several_questions_share_marks_each_of_them() -> None:
    shared = rollback(Phase.CLOSED, outcome=Outcome.SKIPPED, reason_code=Reason.ALREADY_LIVE)
    marked = [a for a in recorded(shared) if a.verdict is Verdict.NO]
    assert len(marked) == sum(Reason.ALREADY_LIVE in guard.reasons for guard in GUARDS) > 1


@pytest.mark.parametrize("reason", [Reason.UNROUTED_ALARM, Reason.NOT_ALLOWED])
def test_an_alarm_that_opened_nothing_is_explained_by_its_first_question(reason: Reason) -> None:
    nowhere = rollback(Phase.CLOSED, outcome=Outcome.SKIPPED, reason_code=reason)
    (answer,) = recorded(nowhere)
    assert (answer.verdict, answer.reason) == (Verdict.NO, reason)
    assert (answer.question == ROUTED) == (reason is Reason.UNROUTED_ALARM)


# --- checks: the alarm ---


def described(**more: Any) -> dict[str, Any]:
    """An alarm as CloudWatch tells it."""
    return {"AlarmName": "a", "ActionsEnabled": True, "AlarmActions": [TOPIC], "OKActions": [TOPIC], **more}


@pytest.mark.parametrize(
    ("alarm_", "wrong"),
    [
        (described(), []),
        (described(AlarmActions=[ARN]), []),
        (described(OKActions=[]), []),
        (described(ActionsEnabled=False), ["its actions are enabled"]),
        (described(AlarmActions=[]), ["going into ALARM reaches lastgood"]),
        (
            described(AlarmActions=["arn:aws:sns:eu-central-1:123456789012:Pager"]),
            ["going into ALARM reaches lastgood"],
        ),
    ],
)
def test_an_alarm_must_speak_to_the_topic_or_the_function(alarm_: dict[str, Any], wrong: list[str]) -> None:
    found = checks.alarm_actions(alarm_, settings(), ARN)
    assert [c.name for c in found if not c.ok] == wrong
    assert all(c.fix for c in found if not c.ok)


def test_a_suppressed_or_muted_alarm_is_wrong_and_says_by_what() -> None:
    assert checks.alarm_suppressed(described()).ok and checks.alarm_muted([], "").ok
    suppressed = checks.alarm_suppressed(described(ActionsSuppressedBy="Alarm"))
    rule = "arn:aws:cloudwatch:eu-central-1:1:alarm-mute-rule:nightly"
    muted = checks.alarm_muted([{"AlarmMuteRuleArn": rule}], "arn:aws:cloudwatch:eu-central-1:1:alarm:errors")
    assert not suppressed.ok and not muted.ok
    assert "nightly" in muted.detail


# --- checks: the topic ---


def policy(**statement: Any) -> str:
    """A topic policy with one statement."""
    allowing = {"Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": "sns:Publish"}
    return json.dumps({"Statement": [{**allowing, **statement}]})


def both(*policies: str) -> str:
    """Several policies as one."""
    return json.dumps({"Statement": [statement for p in policies for statement in json.loads(p)["Statement"]]})


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        (policy(), True),
        (policy(Action=["SNS:Publish"]), True),
        (policy(Action="sns:*"), True),
        (policy(Principal="*"), True),
        (policy(Principal={"AWS": "*"}), True),
        (
            policy(Condition={"ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:*"}}),
            True,
        ),
        (policy(Condition={"ArnLike": {"AWS:SourceArn": "arn:aws:cloudwatch:us-east-1:9:alarm:*"}}), False),
        (policy(Condition={"StringEquals": {"aws:SourceAccount": "123456789012"}}), True),
        (policy(Condition={"StringEquals": {"aws:SourceAccount": ["999999999999"]}}), False),
        (policy(Condition={"Bool": {"aws:SecureTransport": "true"}}), True),
        (policy(Effect="Deny"), False),
        (both(policy(), policy(Effect="Deny")), False),
        (policy(Principal="cloudwatch.amazonaws.com"), True),
        (policy(Principal={"AWS": "arn:aws:iam::123456789012:root"}), False),
        (policy(Principal=None, Action=None), False),
        ('{"Statement": ["odd", 3]}', False),
        ('{"Statement": {}}', False),
        (policy(Action="sns:Subscribe"), False),
        (policy(Principal={"Service": "events.amazonaws.com"}), False),
        ("", False),
        ("no json", False),
        ("[]", False),
    ],
)
def test_the_topics_policy_must_let_this_accounts_alarms_publish(text: str, ok: bool) -> None:
    assert checks.topic_policy(text, TOPIC).ok is ok


def test_the_policy_that_the_template_gives_the_topic_passes() -> None:
    place = {"AWS::Partition": "aws", "AWS::Region": "eu-central-1", "AWS::AccountId": "123456789012"}
    resources = StackTemplate(known=place).resources()
    document = resources["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]
    assert checks.topic_policy(json.dumps(document), TOPIC).ok


def test_a_key_that_cloudwatch_may_not_use_is_wrong_and_one_that_cannot_be_read_is_unknown() -> None:
    key = "arn:aws:kms:eu-central-1:123456789012:key/1"
    allowing = policy(Action=["kms:Decrypt", "kms:GenerateDataKey*"])
    assert checks.topic_key("", None, TOPIC).ok
    assert checks.topic_key(key, allowing, TOPIC).ok
    assert checks.topic_key(key, policy(Action="kms:Decrypt"), TOPIC).ok is False
    assert checks.topic_key(key, None, TOPIC).ok is None
    assert checks.topic_key("alias/aws/sns", None, TOPIC).ok is False


@pytest.mark.parametrize(
    ("subscriptions", "ok"),
    [
        ([], False),
        ([{"Endpoint": "someone@example.com", "SubscriptionArn": "arn"}], False),
        ([{"Endpoint": ARN, "SubscriptionArn": "PendingConfirmation"}], False),
        ([{"Endpoint": ARN, "SubscriptionArn": f"{TOPIC}:1"}], True),
    ],
)
def test_the_function_must_be_subscribed_and_confirmed(subscriptions: list[dict[str, str]], ok: bool) -> None:
    assert checks.subscription(subscriptions, ARN, TOPIC).ok is ok


def test_the_topic_must_be_allowed_to_invoke_the_function() -> None:
    granted = {"Principal": {"Service": "sns.amazonaws.com"}, "Action": "lambda:InvokeFunction"}
    this = {"Condition": {"ArnLike": {"AWS:SourceArn": TOPIC}}}
    other = {"Condition": {"ArnLike": {"AWS:SourceArn": f"{TOPIC}2"}}}
    assert checks.may_be_invoked(policy(**granted, **this), TOPIC, ARN).ok
    assert not checks.may_be_invoked(policy(**granted, **other), TOPIC, ARN).ok


# --- checks: the function ---


@pytest.mark.parametrize(
    ("configuration", "wrong"),
    [
        ({"State": "Active", "LastUpdateStatus": "Successful"}, 0),
        ({"State": "Inactive", "LastUpdateStatus": "Successful"}, 0),
        ({"State": "Failed", "StateReason": "no role", "LastUpdateStatus": "Successful"}, 1),
        ({"State": "Pending", "LastUpdateStatus": "InProgress"}, 2),
        ({"State": "Active", "LastUpdateStatus": "Failed"}, 1),
    ],
)
def test_a_function_must_be_able_to_run_what_was_deployed(configuration: dict[str, str], wrong: int) -> None:
    assert sum(not c.ok for c in checks.function_state(configuration)) == wrong


def test_every_problem_of_the_settings_and_every_unknown_variable_has_its_line() -> None:
    environ = {"LASTGOOD_MODE": "loud", "LASTGOOD_COOLDOWN": "soon", "LASTGOOD_MODUS": "auto"}
    wrong = [c.name + c.detail for c in checks.settings_valid(environ) if not c.ok]
    assert len(wrong) == 4  # the table is missing, too
    for name in (*environ, "LASTGOOD_TABLE"):
        assert any(name in line for line in wrong)
    assert all(c.ok for c in checks.settings_valid({"LASTGOOD_TABLE": "t"}))


@pytest.mark.parametrize(
    ("more", "ok"),
    [
        ({}, True),
        ({"LASTGOOD_MODE": "observe"}, True),
        ({"LASTGOOD_MODE": "off"}, False),
        ({"LASTGOOD_KILL_SWITCH": "true"}, False),
    ],
)
def test_a_function_that_is_switched_off_is_wrong_and_one_that_observes_is_not(more: dict[str, str], ok: bool) -> None:
    assert checks.switched_on(settings(**more), RIGHT).ok is ok


RIGHT = partial(fixes.set_right, ARN, {}, {})
ROLE = "arn:aws:iam::123456789012:role/lastgood-RollbackFunctionRole-1A"


def test_each_denied_action_is_named_with_where_to_look() -> None:
    allowed = {"EvalActionName": "sns:Publish", "EvalDecision": "allowed"}
    denied = {"EvalActionName": "codedeploy:StopDeployment", "EvalDecision": "explicitDeny", "EvalResourceName": "*"}
    (fine,) = checks.permissions([allowed], ROLE, ARN)
    (wrong,) = checks.permissions([allowed, denied], ROLE, ARN)
    assert fine.ok and not wrong.ok
    assert "codedeploy:StopDeployment" in wrong.name and "explicitDeny" in wrong.detail


def test_only_actions_that_the_template_grants_are_asked_for() -> None:
    """Otherwise doctor would call a good stack ill."""
    granted = (ROOT / "template.yaml").read_text()
    for groups in ((), (SHOP,), (SERVICE,), (SHOP, SERVICE)):
        for rules in (RERUNS, HOLDS):
            here = settings(LASTGOOD_NOTIFICATION_TOPIC_ARN=TOPIC, LASTGOOD_PIPELINES=rules)
            needed = needed_actions(groups, here, ARN, TABLE_ARN)
            assert {action for action, _ in needed if action not in granted} == set()
            assert len(needed) > 13 and len(set(needed)) == len(needed)


def test_a_services_actions_are_asked_for_on_its_own_arns_and_none_of_codedeploys() -> None:
    needed = needed_actions((SERVICE,), settings(), ARN, TABLE_ARN)
    ecs = "arn:aws:ecs:eu-central-1:123456789012"
    assert ("ecs:UpdateService", f"{ecs}:service/main/web") in needed
    assert ("ecs:StopServiceDeployment", f"{ecs}:service-deployment/main/web/any") in needed
    assert not [action for action, _ in needed if action.startswith("codedeploy:")]


@pytest.mark.parametrize(
    ("rules", "changes"),
    [
        (RERUNS, {("codepipeline:StartPipelineExecution", "shop")}),
        (
            HOLDS,
            {
                ("codepipeline:DisableStageTransition", "shop/Deploy"),
                ("codepipeline:EnableStageTransition", "shop/Deploy"),
            },
        ),
        (TELLS, set()),
    ],
)
def test_what_a_rule_does_with_the_pipeline_is_asked_for_on_the_pipeline_or_its_stage(
    rules: str, changes: set[tuple[str, str]]
) -> None:
    needed = needed_actions((SHOP,), settings(LASTGOOD_PIPELINES=rules), ARN, TABLE_ARN)
    asked = [(action, resource.rpartition(":")[2]) for action, resource in needed if action.startswith("codepipeline:")]
    reads = ("codepipeline:Get", "codepipeline:List")
    assert {each for each in asked if not each[0].startswith(reads)} == changes
    assert len(asked) == 5 + len(changes)


def test_what_lies_in_the_dead_letter_queue_is_counted() -> None:
    assert checks.dead_letters(0, ARN, "q").ok
    assert checks.dead_letters(3, ARN, "q").detail.startswith("3 ")


def test_failures_of_the_last_hour_are_counted() -> None:
    assert checks.recent_errors([{"Sum": 0.0}], ARN).ok
    assert checks.recent_errors([{"Sum": 1.0}, {"Sum": 2.0}], ARN).detail == "It failed 3 times."


@pytest.mark.parametrize(("minutes_ago", "ok"), [(None, False), (1, True), (5, True), (9, False)])
def test_a_sweep_that_has_fallen_silent_is_wrong(minutes_ago: int | None, ok: bool) -> None:
    points = [] if minutes_ago is None else [{"Timestamp": NOW - timedelta(minutes=minutes_ago), "Sum": 1}]
    assert checks.sweep_ran([*points, {"Timestamp": NOW, "Sum": 0}], NOW, ARN).ok is ok


# --- checks: the table ---


def test_a_table_must_be_whole_active_and_protected() -> None:
    whole = {
        "TableStatus": "ACTIVE",
        "DeletionProtectionEnabled": True,
        "GlobalSecondaryIndexes": [{"IndexName": n, "IndexStatus": "ACTIVE"} for n in INDEXES],
    }
    assert all(c.ok for c in checks.table_state(whole, ARN))
    broken = {**whole, "TableStatus": "UPDATING", "DeletionProtectionEnabled": False, "GlobalSecondaryIndexes": []}
    assert [c.ok for c in checks.table_state(broken, ARN)] == [False, False, False]


def test_recovery_and_expiry_must_be_enabled() -> None:
    on = {"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"}}
    assert checks.table_backups({"ContinuousBackupsDescription": on}, "t", ARN).ok
    assert not checks.table_backups({}, "t", ARN).ok
    assert checks.table_expiry(
        {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}}, "t", ARN
    ).ok
    assert not checks.table_expiry(
        {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}}, "t", ARN
    ).ok
    assert not checks.table_expiry({}, "t", ARN).ok


def test_an_open_rollback_that_nobody_visits_is_wrong() -> None:
    fresh = {"rollback_id": "rb-1", "next_check_at": iso(NOW)}
    late = {"rollback_id": "rb-2", "next_check_at": iso(NOW - timedelta(hours=1))}
    assert checks.nothing_overdue([fresh], NOW, ARN).ok
    found = checks.nothing_overdue([fresh, late], NOW, ARN)
    assert not found.ok and "rb-2" in found.detail


# --- checks: the deployment group ---


def planned(*history: Any, policy: Policy = AUTO, **more: Any) -> Plan:
    """What an operator's request would lead to now."""
    seen = observation(*(history or HISTORY), **more)
    it = Case(by_operator(), seen, policy, NOW)
    decision = decide(it.rollback, seen, policy, NOW)
    return Plan("", headline(decision), decision.explanation, answers(it), it.rollback.group, decision, mode="auto")


@pytest.mark.parametrize(
    ("plan", "wrong"),
    [
        (planned(), []),
        (planned(policy=Policy(mode=Mode.OBSERVE)), []),
        (planned(native_rollback("d-3", of="d-2"), *HISTORY), []),
        (planned(group=None), ["it exists"]),
        (planned(controls=Controls(pause_group=Pause("rush", "ann"))), ["nothing is paused"]),
        (planned(policy=Policy(mode=Mode.OFF)), ["its mode lets lastgood act"]),
        (planned(HISTORY[1]), ["a last good revision exists and can be deployed now"]),
        (
            planned(controls=Controls(floor=Floor("d-2", HISTORY[0].created_at))),
            ["a last good revision exists and can be deployed now"],
        ),
        (
            planned(controls=Controls(pause_all=Pause("rush", "ann"), known_bad={"v1": "it was bad"})),
            ["nothing is paused", "a last good revision exists and can be deployed now"],
        ),
    ],
)
def test_a_deployment_group_is_well_when_it_could_be_rolled_back_now(plan: Plan, wrong: list[str]) -> None:
    found = group_checks.group_checks(plan)
    assert [c.name for c in found if c.ok is False] == wrong
    assert all(c.fix for c in found if c.ok is False)


@pytest.mark.parametrize(
    "revision",
    [
        Revision("S3", "s3://bundles/latest.zip", "bundles/latest.zip", moves="latest.zip may hold another bundle now"),
        Revision("TaskDefinition", "web:1", images=(Image("app", "shop:latest"),)),
    ],
    ids=["a key without a version", "a tag that moves"],
)
def test_releases_that_do_not_say_what_they_contain_are_found_before_an_incident(revision: Revision) -> None:
    moving = replace(HISTORY[1], revision=revision)
    found = group_checks.group_checks(planned(HISTORY[0], moving))
    (named,) = [c for c in found if c.name == "its releases say what they contain"]
    assert named.ok is False and named.fix and ("latest" in named.detail)


def test_a_group_that_is_being_rolled_back_right_now_is_not_ill() -> None:
    busy = Plan("", "", "rb-1 is open.", (Answer(ALONE, Verdict.NO, Reason.ALREADY_OPEN, ""),))
    barred = Plan("", "", "Not allowed.", (Answer(ALONE, Verdict.NO, Reason.NOT_ALLOWED, ""),))
    assert [c.ok for c in group_checks.group_checks(busy)] == [True]
    assert [c.ok for c in group_checks.group_checks(barred)] == [False]


def test_what_could_not_be_looked_at_makes_nothing_ill_but_nothing_whole() -> None:
    unknown, fine, wrong = checks.Check("a", None), checks.Check("b", True), checks.Check("c", False)
    assert Part("", (fine,)).ok is True
    assert Part("", (fine, unknown)).ok is None
    assert Part("", (unknown, wrong)).ok is False
    assert healthy([Part("", (fine, unknown))]) and not healthy([Part("", (wrong,))])


# --- checks: fixes ---


@pytest.mark.parametrize(
    "reason", sorted({r for guard in GUARDS for r in guard.reasons} | {Reason.NOT_ALLOWED, Reason.ALREADY_OPEN})
)
def test_every_reason_for_which_a_rollback_could_not_begin_is_no_fault_or_has_its_fix(reason: Reason) -> None:
    if reason not in group_checks.NOT_WRONG:
        fix = by_hand.for_reason(reason, SERVICE)
        assert fix and "{" not in fix and "CodeDeploy" not in fix.replace("CodeDeploy's own", "")
        assert by_hand.for_reason(reason, None)


def test_a_fix_names_the_command_with_the_groups_name_in_it() -> None:
    assert "lastgood resume ecs:main/web " in by_hand.for_reason(Reason.PAUSED, SERVICE)
    assert "Release through ECS again" in by_hand.for_reason(Reason.LIVE_DIFFERS, SERVICE)


# --- checks: the pipeline ---


def rule(**more: str) -> PipelineRule:
    """A rule for `shop/prod` that re-runs and holds."""
    return PipelineRule(
        **{"groups": "shop/prod", "pipeline": "shop", "after_rollback": AfterRollback.RERUN, "hold": "Deploy", **more}
    )


def pipeline(provider: str = "CodeStarSourceConnection", kind: str = "V2") -> dict[str, Any]:
    """A pipeline with three stages, as CodePipeline tells it."""
    source = {"actions": [{"name": "App", "actionTypeId": {"category": "Source", "provider": provider}}]}
    build = {"actions": [{"name": "Build", "actionTypeId": {"category": "Build", "provider": "CodeBuild"}}]}
    stages = [{"name": "Source", **source}, {"name": "Build", **build}, {"name": "Deploy"}]
    return {"name": "shop", "version": 4, "pipelineType": kind, "stages": stages}


RUNS, HELD = "it can be run for the good commit", "the stage {} can be held"


@pytest.mark.parametrize(
    ("given", "told", "on", "wrong"),
    [
        ({}, pipeline(), SHOP, []),
        ({}, pipeline(kind="V1"), SHOP, [RUNS]),
        ({}, {**pipeline(), "pipelineType": None}, SHOP, [RUNS]),
        ({}, pipeline("GitHub"), SHOP, [RUNS]),
        ({}, pipeline(), SERVICE, [RUNS]),
        ({"after_rollback": "tell"}, pipeline(kind="V1"), SHOP, []),
        ({"after_rollback": "none"}, pipeline("GitHub"), SERVICE, []),
        ({"hold": "Production"}, pipeline(), SHOP, [HELD.format("Production")]),
        ({"hold": "Source"}, pipeline(), SHOP, [HELD.format("Source")]),
        ({"hold": ""}, pipeline(), SHOP, []),
    ],
)
def test_a_rule_that_its_pipeline_cannot_follow_is_wrong_and_has_its_fix(
    given: dict[str, str], told: dict[str, Any], on: DeploymentGroup, wrong: list[str]
) -> None:
    found = group_checks.pipeline_checks(rule(**given), on, told)
    assert [c.name for c in found if c.ok is False] == wrong
    assert all("LASTGOOD_PIPELINES" in c.fix for c in found if not c.ok)
    assert all(not c.fix for c in found if c.ok)


def test_people_who_are_only_told_learn_from_doctor_that_a_pipeline_cannot_be_run_again() -> None:
    (_, runs, _) = group_checks.pipeline_checks(rule(after_rollback=AfterRollback.TELL), SHOP, pipeline(kind="V1"))
    assert runs.ok and "cannot be run for a chosen commit" in runs.detail


def stage_state(**transition: Any) -> list[dict[str, Any]]:
    return [{"stageName": "Source"}, {"stageName": "Deploy", "inboundTransitionState": transition}]


def test_a_stage_that_is_held_says_by_whom_and_how_it_is_opened() -> None:
    opened = group_checks.stage_transition(rule(), SHOP, stage_state(enabled=True))
    assert (opened.ok, opened.detail) == (True, "")
    ours = stage_state(enabled=False, disabledReason=hold_reason("rb-1"), lastChangedBy="arn:lastgood")
    assert "rb-1 holds it" in group_checks.stage_transition(rule(), SHOP, ours).detail
    assert "lastgood release shop/prod" in group_checks.stage_transition(rule(), SHOP, ours).detail
    theirs = stage_state(enabled=False, disabledReason="a freeze", lastChangedBy="ann")
    assert group_checks.stage_transition(rule(), SHOP, theirs).detail.startswith("ann disabled it: a freeze.")
    assert group_checks.stage_transition(rule(hold="Nowhere"), SHOP, theirs).ok


# --- checks: what comes by itself ---

SWEEP = {"Name": "sweep", "ScheduleExpression": "rate(1 minute)", "State": "ENABLED"}
DRILL = {"Name": "drill", "ScheduleExpression": "rate(1 day)", "State": "ENABLED"}
EVENTS = {"Name": "moved", "EventPattern": '{"source": ["aws.codedeploy"]}', "State": "ENABLED"}
OFF = {"State": "DISABLED"}


@pytest.mark.parametrize(
    ("rules", "ok", "fix"),
    [
        ([DRILL, SWEEP], True, ""),
        ([DRILL, {**SWEEP, **OFF}], False, "aws events enable-rule --name sweep"),
        ([DRILL, EVENTS], False, "aws events put-targets --rule sweep"),
    ],
)
def test_the_drills_schedule_does_not_stand_in_for_the_sweeps(rules: list[dict[str, str]], ok: bool, fix: str) -> None:
    found = checks.sweep_scheduled(rules, Fix("aws events put-targets --rule sweep"))
    assert (found.ok, found.fix) == (ok, fix)


@pytest.mark.parametrize(
    ("rules", "ok", "fix"),
    [
        ([SWEEP, EVENTS], True, ""),
        ([SWEEP, {**EVENTS, **OFF}], False, "aws events enable-rule --name moved"),
        ([SWEEP], False, "aws events put-targets --rule moved"),
    ],
)
def test_a_rule_has_to_bring_codedeploys_events(rules: list[dict[str, str]], ok: bool, fix: str) -> None:
    found = checks.events_heard(rules, "aws.codedeploy", "CodeDeploy", Fix("aws events put-targets --rule moved"))
    assert (found.ok, found.fix) == (ok, fix)


@pytest.mark.parametrize(
    ("days_ago", "problems", "rules", "ok", "said"),
    [
        (None, [], [DRILL], None, "There was none yet."),
        (None, [], [{**DRILL, **OFF}], True, "switched off"),
        (1, [], [DRILL], True, "It was last 24 h ago."),
        (1, ["shop/prod: no such group"], [DRILL], False, "shop/prod: no such group"),
        (3, [], [DRILL], False, "3 days ago"),
        (3, [], [{**DRILL, **OFF}], True, "3 days ago"),
    ],
)
def test_a_drill_that_failed_or_that_is_long_overdue_is_wrong(
    days_ago: int | None, problems: list[str], rules: list[dict[str, str]], ok: bool | None, said: str
) -> None:
    last = {} if days_ago is None else {"occurred_at": iso(NOW - timedelta(days=days_ago)), "problems": problems}
    found = checks.drill(last, rules, NOW)
    assert (found.ok, bool(found.fix)) == (ok, not ok)
    assert said in found.detail


@pytest.mark.parametrize(
    ("more", "ok", "said"),
    [
        ({}, True, "People are told."),
        ({"LASTGOOD_RELEASE_IN_ALARM": "ignore"}, True, "Nobody is told"),
        ({"LASTGOOD_RELEASE_IN_ALARM": "rollback"}, True, "rolled back if the alarm still fires 10 min later"),
        ({"LASTGOOD_RELEASE_IN_ALARM": "rollback", "LASTGOOD_RELEASE_IN_ALARM_GRACE": "2m"}, False, "cannot recover"),
    ],
)
def test_a_grace_in_which_no_alarm_can_recover_is_wrong(more: dict[str, str], ok: bool, said: str) -> None:
    found = checks.release_in_alarm(settings(**more), RIGHT)
    assert (found.ok, bool(found.fix)) == (ok, not ok)
    assert said in found.detail


RELEASED_BY = '[{"application": "*", "deployment_group": "*", "pipeline": "shop"}]'


@pytest.mark.parametrize(
    ("more", "ok"),
    [
        ({}, True),
        ({"LASTGOOD_RELEASE_SET": "follow"}, False),
        ({"LASTGOOD_RELEASE_SET": "follow", "LASTGOOD_PIPELINES": RELEASED_BY}, True),
    ],
)
def test_what_no_pipeline_says_to_belong_together_cannot_follow(more: dict[str, str], ok: bool) -> None:
    found = checks.release_set(settings(**more), RIGHT)
    assert (found.ok, bool(found.fix)) == (ok, not ok)


def test_a_group_on_ecs_is_judged_alike() -> None:
    assert not [c for c in group_checks.group_checks(planned(group=group(ComputePlatform.ECS))) if not c.ok]


WORDED = ("by_hand", "fixes", "group_checks")


def test_every_command_that_a_fix_names_exists() -> None:
    places = [path for package in ("checks", "doctor") for path in (COMMAND / package).glob("*.py")]
    source = "".join(path.read_text() for path in (*places, *(COMMAND / f"{each}.py" for each in WORDED)))
    named = set(re.findall(r"[:\"] ?lastgood ([a-z]+(?: [a-z]+)?)", source))
    assert len(named) >= 4
    for command in named:
        first, _, second = command.partition(" ")
        found = cli.get_command(click.Context(cli), first)
        assert found is not None, command
        assert not second or (isinstance(found, click.Group) and second in found.commands), command


def test_what_a_platform_needs_beside_codedeploy_is_asked_of_iam() -> None:
    parameters = {
        "LambdaFunctionPattern": "shop-*",
        "TaskRoleArns": "arn:aws:iam::1:role/task-*",
        "ArtifactBucketArns": "arn:aws:s3:::bundles",
    }
    on = {p: dict(beside({p}, parameters, ARN)) for p in ComputePlatform}
    assert on[ComputePlatform.SERVER] == {}
    assert {"lambda:GetAlias", "lambda:UpdateAlias", "s3:GetObject"} <= set(on[ComputePlatform.LAMBDA])
    assert on[ComputePlatform.LAMBDA]["lambda:UpdateAlias"].endswith(":function:shop-any")
    assert on[ComputePlatform.ECS]["iam:PassRole"] == "arn:aws:iam::1:role/task-any"
    assert "ecs:RegisterTaskDefinition" in on[ComputePlatform.ECS]
