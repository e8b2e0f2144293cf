"""Whatever call a rollback dies in, and however, it ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from docs_from_code import fault_figures
from faults.alone import crash_alone
from faults.crashes import SWEEP, Crash, Scenario
from lastgood.deployers import ecs
from lastgood.deployers.codedeploy import CodeDeploy
from lastgood.deployers.ecs import EcsService
from lastgood.draft import Draft
from lastgood.errors import RetryableError
from lastgood.ledger import Kind, Ledger
from lastgood.notices import problems
from lastgood.rollbacks import Rollbacks, telling
from scene import ALARM, Scene, ServiceScene, StageScene
from simulated_aws import Server, VirtualClock, serve
from simulated_aws.model import NoAnswer
from stage.local import ACCOUNT, ROOT, TABLE, alarm_arn, alarm_event, audit_table, event, group_tags, tag_pairs

SOAKS = os.environ.get("LASTGOOD_SOAK") == "1"
COMMITS = {2: "a2" * 20, 3: "b3" * 20}
MID_SHIFT = {"Server": 15, "Lambda": 60, "ECS": 60, "Service": 60}
BLUE_GREEN = {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"}
ELSEWHERE: dict[str, Any] = {"versions": 4, "current": 4}
OWN = {"LASTGOOD_NATIVE_ROLLBACK": "false"}
APPROVE = {"LASTGOOD_MODE": "approve"}
GROUP = {"application": "shop", "deployment_group": "prod"}
SERVICE = {"ecs_service": "main/web"}
PAUSES = {
    "strategy": "BLUE_GREEN",
    "lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["POST_PRODUCTION_TRAFFIC_SHIFT"]}],
}
LARGE: dict[str, Any] = {"desired_count": 12}
BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
ALARMED = {"alarms": {"alarmNames": [ALARM], "enable": True, "rollback": True}}
AFTER_GRACE = {
    "LASTGOOD_RELEASE_IN_ALARM": "rollback",
    "LASTGOOD_RELEASE_IN_ALARM_GRACE": "5m",
    "LASTGOOD_ROUTES": json.dumps([{"alarm": ALARM, **GROUP}]),
}
PIPELINE = {**GROUP, "pipeline": "shop"}
RERUNS = {"LASTGOOD_PIPELINES": json.dumps([{**PIPELINE, "after_rollback": "rerun"}])}
HOLDS = {"LASTGOOD_PIPELINES": json.dumps([{**PIPELINE, "hold": "Deploy"}])}
FINDS_STACKS = {"LASTGOOD_FIND_STACKS": "true", "LASTGOOD_ACCOUNT_ID": ACCOUNT}
CANCELS = {**FINDS_STACKS, "LASTGOOD_CANCEL_STACK_UPDATES": "app"}
FOLLOW = {"LASTGOOD_PIPELINES": json.dumps([PIPELINE]), "LASTGOOD_RELEASE_SET": "follow"}
BY_ITS_STAGE = {**FINDS_STACKS, "LASTGOOD_PIPELINES": json.dumps([{**PIPELINE, "stage": "Deploy"}])}
RERUN, HOLD, RELEASE = "StartPipelineExecution", "DisableStageTransition", "EnableStageTransition"
STOP, CREATE, CLEAR, REGISTER = "StopDeployment", "CreateDeployment", "UpdateAlias", "RegisterTaskDefinition"
STOP_SERVICE, UPDATE, ANSWER = "StopServiceDeployment", "UpdateService", "ContinueServiceDeployment"
STOP_EXECUTION, ROLL_STAGE, CANCEL = "StopPipelineExecution", "RollbackStage", "CancelUpdateStack"


def active(it: Scene) -> None:
    """The bad release is in the middle of its shift when the alarm fires."""
    it.good_history(1, 2)
    it.release(3)
    it.sim.advance(MID_SHIFT[it.platform])
    it.local.alarm(ALARM)


def at_its_hook(it: ServiceScene) -> None:
    """The bad release has all traffic, and waits for an answer to its hook. (The service was created with `web:1`.)"""
    it.release(2)
    it.sim.advance(180)
    it.local.alarm(ALARM)


def the_hook_was_answered_with_rollback(it: ServiceScene) -> bool:
    """ECS put the good revision back, and nobody ever said that the bad one may go on."""
    answers = {call["action"] for call in it.calls(ANSWER)}
    return it.is_live(1) and it.head["adopted"] is True and answers == {"ROLLBACK"}


def active_after_a_bad_one(it: Scene) -> None:
    """The same, and the revision before it is known bad, so that the alias's own version is not the good one."""
    _, also_bad = it.good_history(1, 2)
    where = SERVICE if it.platform == "Service" else GROUP
    it.local.handle({"action": "mark_bad", **where, "deployment_id": also_bad, "reason": "slow", "requested_by": "me"})
    it.release(3)
    it.sim.advance(MID_SHIFT[it.platform])
    it.local.alarm(ALARM)


def succeeded(it: Scene) -> None:
    """The bad release has been live for ten minutes."""
    it.good_history(1, 2)
    it.release(3, settle=True, rest=600)
    it.local.alarm(ALARM)


def in_the_stage(it: StageScene) -> None:
    """The bad release is in the stage still, whose condition will look at another alarm in four minutes."""
    it.good_history(1, 2)
    it.pipeline.on_success = {"alarm": "another", "minutes": 4}
    it.release(3)
    it.sim.advance(120)
    it.local.alarm(ALARM)


def in_the_monitoring_time_of_its_stack(it: Scene) -> None:
    """A stack released the bad version a quarter of an hour ago, and could take its update back for another hour."""
    it.sim.stack("app", "shop", "prod", monitoring_minutes=90)
    it.sim.update_stack("app", 2, settle=True)
    it.sim.advance(7200)
    it.sim.update_stack("app", 3)
    it.sim.advance(900)
    it.local.alarm(ALARM)


def released_through_a_stack(it: Scene) -> None:
    """A pipeline released the bad version by its stack, which holds the alias."""
    it.sim.stack("app", "shop", "prod")
    it.sim.pipeline("shop", "shop", "prod", deploys_with="CloudFormation", stack="app")
    for version, rest in ((2, 7200), (3, 600)):
        it.sim.push("shop", COMMITS[version], version, settle=True)
        it.sim.settle()
        it.sim.advance(rest)
    it.local.alarm(ALARM)


def too_late_to_cancel(it: Scene) -> None:
    """A pipeline's stage updates a stack in its monitoring time, which ends as the cancellation arrives."""
    it.sim.stack("app", "shop", "prod")
    it.sim.pipeline("shop", "shop", "prod", deploys_with="CloudFormation", stack="app")
    it.sim.push("shop", COMMITS[2], 2, settle=True)
    it.sim.settle()
    it.sim.advance(7200)
    it.sim.stacks.stack("app").monitoring_minutes = 20
    it.sim.push("shop", COMMITS[3], 3)
    it.sim.advance(900)
    it.local.alarm(ALARM)
    it.sim.meanwhile("CancelUpdateStack", lambda: it.sim.advance(1200))


def pushed_to_all(it: Scene) -> None:
    """One run of a pipeline released to a group, to a service that ECS deploys, and in its last stage to S3."""
    it.sim.rolling_service("main", "web")
    it.sim.pipeline("shop", "shop", "prod", beside=(("main", "web"),), last="Copy")
    for number, rest in ((2, 7200), (3, 600)):
        it.sim.push("shop", COMMITS[number], it.revision(number), settle=True)
        it.sim.settle()
        it.sim.advance(rest)
    it.local.alarm(ALARM)


def all_went_back(it: Scene) -> bool:
    """The group, the service and the stage have what was there before."""
    service = it.sim.service_live("main", "web").target.endswith("web:2")
    return it.is_live(2) and service and set(it.sim.serving("pipeline:shop", "Copy")) == {"v2.zip"}


def the_stack_agrees(it: Scene) -> bool:
    """The good version is live, and the stack believes in it."""
    it.sim.settle()
    return it.is_live(2) and it.sim.stacks.stack("app").believes == "2"


def stops_slowly(it: Scene) -> None:
    """The bad release is active, and will take two minutes to stop."""
    it.sim.timing("shop", "prod", stop_pending_seconds=120)
    active(it)


def paused(it: Scene) -> None:
    """The group is paused before anything happens."""
    succeeded(it)
    it.local.handle({"action": "pause", **GROUP, "reason": "a launch", "requested_by": "me"})


def held_by_nobodys(it: Scene) -> None:
    """The bad release has been live, and a rollback holds the group for an alarm that does not exist."""
    succeeded(it)
    it.sim.fail_call("ListDeployments", "InternalFailure", count=20, status=500)
    with suppress(RetryableError):
        it.local.handle(it.alarm_message(alarm="nobodys"))
    it.sim.faults.clear()


def released_in_alarm(it: Scene) -> None:
    """The alarm fires before the bad release and goes on firing, so that CloudWatch has nothing to say."""
    it.good_history(1, 2)
    it.local.alarm(ALARM)
    it.sim.advance(60)
    it.release(3, settle=True, rest=0)


def pushed(it: Scene) -> None:
    """A pipeline released a good commit, and then the bad one, which has been live for ten minutes."""
    it.sim.pipeline("shop", "shop", "prod")
    for number, rest in ((2, 7200), (3, 600)):
        it.sim.push("shop", COMMITS[number], it.revision(number), settle=True)
        it.sim.advance(rest)
    it.local.alarm(ALARM)


def inactive(it: Scene) -> None:
    """The last good task definition was deregistered meanwhile."""
    succeeded(it)
    it.sim.engine.ecs_world.task_definition("web:2").status = "INACTIVE"


def breaks(it: ServiceScene) -> None:
    """The bad release's tasks do not start, and ECS's circuit breaker is taking it back already."""
    it.good_history(1, 2)
    it.owner.bad.add(it.sim.engine.ecs_world.task_definition("web:3").arn)
    it.release(3)
    it.sim.advance(it.owner.timing.breaker_seconds + 5)
    it.local.alarm(ALARM)


def taken_back(it: ServiceScene) -> None:
    """The service's own alarm went off, and ECS is taking the bad release back already."""
    active(it)
    it.sim.advance(it.owner.timing.alarm_poll_seconds)


def taken_back_to_a_bad_one(it: ServiceScene) -> None:
    """The same, and what it goes back to is known bad."""
    active_after_a_bad_one(it)
    it.sim.advance(it.owner.timing.alarm_poll_seconds)


def stopped_half_way(it: Scene) -> None:
    """Somebody stopped the bad release, and the alias sends traffic to two versions."""
    active_after_a_bad_one(it)
    bad = it.sim.deployments("shop", "prod")[-1]["deploymentId"]
    it.sim.engine.stop_deployment(it.sim.engine.deployment(bad), None)
    it.sim.advance(20)


def live(number: int) -> Callable[[Scene], bool]:
    """Revision n has all the traffic."""
    return lambda it: it.is_live(number)


def registered_again(it: Scene) -> bool:
    """Live is a new revision of the family with the good one's image."""
    definitions = it.sim.engine.ecs_world.families["web"]
    good, found = definitions[1], next((d for d in definitions if d.arn == it.live), None)
    return found is not None and found.content["containerDefinitions"] == good.content["containerDefinitions"]


def the_recovery_is_noted(it: Scene) -> bool:
    """The good revision is live, and the record says when the alarm was OK again."""
    return it.is_live(2) and "alarm_recovered_at" in it.head


def runs_of(it: Scene) -> list[str]:
    """The commits that the pipeline ran for."""
    return [run.sources["Source"] for run in it.sim.pipelines.pipeline("shop").runs]


def the_pipeline_ran_again(it: Scene) -> bool:
    """Once, for the good commit, and the record knows how that ended; live is what it built anew."""
    again = it.head["rerun_status"] == "Succeeded" and not it.head["pipeline_problem"]
    return again and runs_of(it) == [COMMITS[2], COMMITS[3], COMMITS[2]] and it.live.startswith("v2.zip.")


def the_pipeline_was_held(it: Scene) -> bool:
    """As long as nobody released it; and nothing ran meanwhile."""
    held = "held_at" in it.head and "released_at" in it.head and not it.head["pipeline_problem"]
    is_open = it.sim.pipelines.transition("shop", "Deploy").enabled
    return held and is_open and runs_of(it) == [COMMITS[2], COMMITS[3]] and it.is_live(2)


def releases(it: Scene) -> dict[str, Any] | None:
    """Once people were told of the end, somebody releases the pipeline."""
    if "closed" not in it.head.get("notified", ()) or "held_at" not in it.head:
        return None
    return {"action": "release", **GROUP, "requested_by": "me", "reason": "the fix is ready"}


def recovers(it: Scene) -> dict[str, Any] | None:
    """Once the rollback is closed the alarm is OK again, and its message comes."""
    if not it.head.get("outcome"):
        return None
    it.local.alarm(ALARM, "OK")
    return it.alarm_message(name="alarm-ok")


def ecs_own_rollback_is_adopted(it: Scene) -> bool:
    """The good revision runs, and the record says that ECS put it back."""
    return it.is_live(2) and it.head["adopted"] is True


def approves(it: Scene) -> dict[str, Any] | None:
    """Once it waits for approval, somebody approves."""
    if it.head.get("phase") != "AWAITING_APPROVAL":
        return None
    return {"action": "approve", "rollback_id": it.rollback_id, "requested_by": "me", "reason": "yes"}


def by_hand(it: Scene) -> dict[str, Any]:
    """An operator asks."""
    return {"action": "rollback", **GROUP, "reason": "errors", "requested_by": "me"}


def release_succeeded(it: Scene) -> dict[str, Any]:
    """CodeDeploy's event of the bad release's success: with the alarm firing already, all that comes."""
    made = event("codedeploy-state-change")
    bad = it.sim.deployments("shop", "prod")[-1]["deploymentId"]
    made["detail"] |= {"application": "shop", "deploymentGroup": "prod", "deploymentId": bad, "state": "SUCCESS"}
    return made


def pauses(it: Scene) -> dict[str, Any] | None:
    """Somebody pauses the group while the bad release is stopping."""
    return (
        {"action": "pause", **GROUP, "reason": "wait", "requested_by": "me"} if it.head["phase"] == "STOPPING" else None
    )


def resumes(it: Scene) -> dict[str, Any] | None:
    """The bad release has stopped, nothing was done since, and the pause is over."""
    if it.sim.deployments("shop", "prod")[-1]["status"] == "InProgress":
        return None
    return {"action": "resume", **GROUP, "requested_by": "me", "reason": "go on"}


def scenario(name: str, platform: str, prepare: Any, ends_well: Any, *effects: str, **more: Any) -> Scenario:
    """A scenario whose good end is often just a live revision, given by its number."""
    return Scenario(
        name,
        platform,
        prepare,
        live(ends_well) if isinstance(ends_well, int) else ends_well,
        frozenset(effects),
        **more,
    )


ALWAYS = (
    scenario("active, redeployed", "Server", active, 2, STOP, CREATE, settings=OWN),
    scenario(
        "active, split, redeployed",
        "Lambda",
        active_after_a_bad_one,
        1,
        STOP,
        CLEAR,
        CREATE,
        settings=OWN,
        options=ELSEWHERE,
    ),
    scenario("succeeded, events are lost", "Service", succeeded, 2, UPDATE, events_are_lost=True),
    scenario("in the stage", "Stage", in_the_stage, 2, STOP_EXECUTION, ROLL_STAGE, events_are_lost=True),
)
"""Every kind of step that a rollback mostly takes: what every test run crashes."""

SOAK = (
    scenario("succeeded", "Stage", succeeded, 2, ROLL_STAGE, options={"tells": True}),
    scenario(
        "the stack's update is cancelled",
        "Lambda",
        in_the_monitoring_time_of_its_stack,
        the_stack_agrees,
        CANCEL,
        settings=CANCELS,
    ),
    scenario(
        "its stack goes back by the stage",
        "Lambda",
        released_through_a_stack,
        the_stack_agrees,
        ROLL_STAGE,
        settings=BY_ITS_STAGE,
    ),
    scenario(
        "too late to cancel its stack's update, which goes back by the stage",
        "Lambda",
        too_late_to_cancel,
        the_stack_agrees,
        CANCEL,
        ROLL_STAGE,
        settings=BY_ITS_STAGE | CANCELS,
    ),
    scenario(
        "a service and a stage follow",
        "Server",
        pushed_to_all,
        all_went_back,
        CREATE,
        UPDATE,
        ROLL_STAGE,
        settings=FOLLOW,
        groups=3,
    ),
    scenario("active, native", "Lambda", active, 2, STOP),
    scenario("inactive task definition", "ECS", inactive, registered_again, REGISTER, CREATE),
    scenario("the pipeline runs again", "Server", pushed, the_pipeline_ran_again, CREATE, RERUN, settings=RERUNS),
    scenario(
        "the pipeline is held",
        "Server",
        pushed,
        the_pipeline_was_held,
        CREATE,
        HOLD,
        RELEASE,
        settings=HOLDS,
        then=(releases,),
    ),
    scenario("active, events are lost", "Server", active, 2, STOP, CREATE, settings=OWN, events_are_lost=True),
    scenario("active, native", "Server", active, 2, STOP, options={"deploymentStyle": BLUE_GREEN}),
    scenario("succeeded", "Server", succeeded, 2, CREATE),
    scenario("paused half way", "Server", stops_slowly, 2, STOP, CREATE, settings=OWN, then=(pauses, resumes)),
    scenario("succeeded, the alarm recovers", "Lambda", succeeded, the_recovery_is_noted, CREATE, then=(recovers,)),
    scenario("stopped half way", "Lambda", stopped_half_way, 1, CLEAR, CREATE, options=ELSEWHERE),
    scenario("succeeded, needs approval", "Lambda", succeeded, 2, CREATE, settings=APPROVE, then=(approves,)),
    scenario("succeeded, asked by hand", "Lambda", succeeded, 2, CREATE, message=by_hand),
    scenario("active, redeployed", "ECS", active, 2, STOP, CREATE, settings=OWN),
    scenario("active, native", "ECS", active, 2, STOP),
    scenario("succeeded", "ECS", succeeded, 2, CREATE),
    scenario(
        "released in alarm",
        "Server",
        released_in_alarm,
        2,
        CREATE,
        settings=AFTER_GRACE,
        message=release_succeeded,
    ),
    scenario("succeeded, paused", "ECS", paused, 3, outcome="SKIPPED"),
    scenario("joined what nobody confirms", "Server", held_by_nobodys, 2, CREATE),
    scenario("active, native", "Service", active, ecs_own_rollback_is_adopted, STOP_SERVICE, options=LARGE),
    scenario("paused at its hook", "Service", at_its_hook, the_hook_was_answered_with_rollback, ANSWER, options=PAUSES),
    scenario(
        "the circuit breaker was quicker", "Service", breaks, ecs_own_rollback_is_adopted, options=BREAKER | LARGE
    ),
    scenario(
        "the service's alarm was quicker", "Service", taken_back, ecs_own_rollback_is_adopted, options=ALARMED | LARGE
    ),
    scenario("taken back to a bad one", "Service", taken_back_to_a_bad_one, 1, UPDATE, options=ALARMED | LARGE),
    scenario("active after a bad one, replaced", "Service", active_after_a_bad_one, 1, UPDATE, options=LARGE),
    scenario("active, replaced", "Service", active, 2, UPDATE, settings=OWN, options=LARGE),
    scenario("inactive task definition", "Service", inactive, registered_again, REGISTER, UPDATE),
    scenario(
        "active, events are lost",
        "Service",
        active,
        ecs_own_rollback_is_adopted,
        STOP_SERVICE,
        options=LARGE,
        events_are_lost=True,
    ),
    scenario("succeeded", "Service", succeeded, 2, UPDATE),
    scenario("succeeded, needs approval", "Service", succeeded, 2, UPDATE, settings=APPROVE, then=(approves,)),
    scenario(
        "active, needs approval", "Service", active, 2, STOP_SERVICE, settings=APPROVE, options=LARGE, then=(approves,)
    ),
)
"""All others: `make soak`."""


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the world splits by fork")


@needs_fork
@pytest.mark.parametrize("scenario", (*ALWAYS, *SOAK) if SOAKS else ALWAYS, ids=str)
def test_a_crash_at_any_call_changes_nothing_about_the_end(scenario: Scenario) -> None:
    tried = crash_alone(scenario)
    counted = {"calls": tried.calls, "crashes": tried.cases, "worlds": tried.worlds}
    fault_figures.append("crashes", scenario=str(scenario), platform=scenario.platform, **counted)
    assert not tried.failures, "\n" + "\n".join(tried.failures[:40]) + f"\n{len(tried.failures)} failures"
    assert tried.cases == tried.calls * len(Crash)


# --- what the harness would say of a worse function -------------------------------------------------------------------


def updates_by_force(patched: pytest.MonkeyPatch) -> None:
    """After an update without an answer it does not look, and ECS is made to deploy once more what runs already."""
    looks, call = EcsService.created_by, ecs.call
    patched.setattr(EcsService, "newest", lambda *given: None)
    patched.setattr("lastgood.judgement.way_back._there_already", lambda *given: False)

    def forced(client: Any, operation: str, **given: Any) -> Any:
        force = {"forceNewDeployment": True} if operation == "update_service" else {}
        return call(client, operation, **given, **force)

    def looks_once(self: EcsService, rollback: Any, now: datetime) -> Any:
        return looks(self, rollback, now) if rollback.create_attempted_at == now else None

    patched.setattr(EcsService, "created_by", looks_once)
    patched.setattr(ecs, "call", forced)


def never_looks_for_the_marker(patched: pytest.MonkeyPatch) -> None:
    """After a create without an answer it creates again, and does not look around first either."""
    patched.setattr(CodeDeploy, "created_by", lambda *given: None)
    patched.setattr(CodeDeploy, "newest", lambda *given: None)


def writes_no_intent(patched: pytest.MonkeyPatch) -> None:
    """What it is about to do is written together with the result."""
    save = Draft.save

    def later(draft: Draft, **more: Any) -> None:
        if not (draft._steps and draft._steps[-1].kind is Kind.INTENT):
            save(draft, **more)

    patched.setattr(Draft, "save", later)


def keeps_the_lock(patched: pytest.MonkeyPatch) -> None:
    """The end is recorded, the group stays locked."""
    closing = Ledger.closing
    patched.setattr(Ledger, "closing", lambda *given, **more: closing(*given, **more)[1:])


def forgets_a_notice(patched: pytest.MonkeyPatch) -> None:
    """A notice that failed counts as sent."""
    patched.setattr(telling, "problems", lambda sending: dict.fromkeys(problems(sending), ""))


def gives_up(patched: pytest.MonkeyPatch) -> None:
    """What was interrupted is taken up by nobody."""
    patched.setattr(Rollbacks, "resume", lambda self, rollback_id: self._parts.ledger.load(rollback_id))


SERVER = scenario("succeeded", "Server", succeeded, 2, CREATE)
ROLLING = scenario("succeeded", "Service", succeeded, 2, UPDATE)
WORSE = (
    (never_looks_for_the_marker, SERVER, "2 deployments were created"),
    (writes_no_intent, SERVER, "CreateDeployment was called 1 times after 0 intents"),
    (keeps_the_lock, SERVER, "the deployment group is locked"),
    (forgets_a_notice, SERVER, "nobody was told of the end"),
    (gives_up, SERVER, "the outcome is None"),
    (writes_no_intent, ROLLING, "UpdateService was called 1 times after 0 intents"),
    (updates_by_force, ROLLING, "2 deployments were created"),
)
SCENARIOS = {str(each): each for each in (*ALWAYS, *SOAK, SERVER, ROLLING)}


@needs_fork
@pytest.mark.parametrize(("worsen", "scenario", "complaint"), WORSE if SOAKS else WORSE[:1])
def test_a_function_that_is_worse_is_found_out(worsen: Any, scenario: Scenario, complaint: str) -> None:
    tried = crash_alone(scenario, (Crash.NO_ANSWER, Crash.THROTTLED), worsen=worsen.__name__)
    assert any(complaint in failure for failure in tried.failures), tried.failures[:10]


# --- a process that really dies --------------------------------------------------------------------------------------

ENVIRONMENT = """
import json, logging, os, sys
from datetime import datetime, timedelta
from aws_lambda_powertools import Logger, Metrics
from lastgood.app import Application

event, now, request_id = json.loads(sys.argv[1]), datetime.fromisoformat(sys.argv[2]), sys.argv[3]
application = Application.make(
    os.environ, Logger(service="lastgood", level=logging.CRITICAL), Metrics(namespace="lastgood", service="lastgood"),
    clock=lambda: now, wait=lambda seconds: None,
)
application.handle(event, request_id, timedelta(seconds=60))
"""
"""An execution environment: a process of its own, which handles one event at the time that it is told."""


class Environments:
    """Starts execution environments against a server, and kills the one that makes a certain call."""

    def __init__(self, server: Server) -> None:
        self.server, self.sim = server, server.simulator
        self._answer = self.sim.answer
        self._running: subprocess.Popen[bytes] | None = None

    def handle(self, event: dict[str, Any], request_id: str) -> int:
        """Handle one event in a fresh process. Returns how it ended."""
        environment = os.environ | {
            "AWS_ENDPOINT_URL": self.server.url,
            "LASTGOOD_TABLE": TABLE,
            "LASTGOOD_EVENT_BUS": "",
            "PYTHONPATH": str(ROOT / "src" / "function"),
        }
        told = [json.dumps(event), self.sim.clock.now().isoformat(), request_id]
        self._running = subprocess.Popen([sys.executable, "-c", ENVIRONMENT, *told], env=environment)
        return self._running.wait(timeout=120)

    def kill_in(self, operation: str, *, after_its_effect: bool) -> None:
        """The next process that makes this call gets a SIGKILL instead of the answer."""

        def answer(service: str, asked: str, given: dict[str, Any], act: Callable[[], Any]) -> Any:
            if asked != operation:
                return self._answer(service, asked, given, act)
            self.sim.answer = self._answer  # type: ignore[method-assign]
            if after_its_effect:
                self._answer(service, asked, given, act)
            assert self._running is not None
            self._running.kill()
            raise NoAnswer(operation)

        self.sim.answer = answer  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("operation", "after_its_effect"),
    [("StopDeployment", True), ("CreateDeployment", True), ("CreateDeployment", False)],
)
def test_a_process_that_is_killed_in_the_middle_of_a_call_is_finished_by_the_next(
    operation: str, after_its_effect: bool
) -> None:
    clock = VirtualClock(datetime(2026, 3, 2, 12, tzinfo=UTC))
    with serve(clock=clock) as server:
        sim, cloudwatch, table = server.simulator, server.client("cloudwatch"), server.client("dynamodb")
        audit_table(table)
        sim.server_group("shop", "prod", config="CodeDeployDefault.OneAtATime")
        for key in ("v1.zip", "v2.zip"):
            sim.release("shop", "prod", key, settle=True)
            sim.advance(7200)
        bad = sim.release("shop", "prod", "v3.zip")
        sim.advance(15)
        cloudwatch.put_metric_alarm(AlarmName=ALARM, EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold")
        cloudwatch.tag_resource(ResourceARN=alarm_arn(ALARM), Tags=tag_pairs(group_tags("shop", "prod")))
        cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue="ALARM", StateReason="simulated")
        message = alarm_event(at=clock.now(), alarm=ALARM, tags=group_tags("shop", "prod"))

        environments = Environments(server)
        environments.kill_in(operation, after_its_effect=after_its_effect)
        assert environments.handle(message, "alarm") == -signal.SIGKILL
        sim.advance(60)
        assert environments.handle(message, "alarm") == 0
        for minute in range(8):
            rows = table.scan(TableName=TABLE)["Items"]
            head = next(row for row in rows if row["sk"]["S"] == "META")
            if "outcome" in head:
                break
            sim.advance(60)
            assert environments.handle(SWEEP, f"sweep-{minute}") == 0
        assert head["outcome"]["S"] == "ROLLED_BACK"
        marked = [d for d in sim.deployments("shop", "prod") if str(d.get("description")).startswith("lastgood rb-")]
        assert len(marked) == 1
        assert sim.deployment(bad)["status"] == "Stopped"
        assert "v2.zip" in sim.live("shop", "prod").target
