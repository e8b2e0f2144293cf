"""A deployment group or service, two alarms and the real application: anything may happen between any two AWS calls.

The application's calls pass through a `Wire`: it can kill the execution environment before or after a call, lose an
answer, refuse a call, or let somebody else act in between. `World` watches every call that changes something, at the
moment at which it arrives, and keeps what was wrong in `violations`.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest.mock import patch

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ReadTimeoutError
from moto.dynamodb.models import dynamodb_backends

from codedeploy_simulator import ServiceError, Simulator, simulated_aws
from lastgood.clients import Clients
from lastgood.errors import LastgoodError
from lastgood.pipelines import holder
from lastgood_cli.local import REGION, TABLE, Local, alarm_event, event
from scene import SLOW

APPLICATION, GROUP = "shop", "prod"
ALARMS = ("shop-prod-error-rate", "shop-prod-latency")
CLUSTER, SERVICE = "main", "web"
PIPELINE, STAGE = "shop", "Deploy"
TIMEOUT = timedelta(seconds=60)
EFFECTS = {
    "StopDeployment": "STOP",
    "CreateDeployment": "CREATE",
    "UpdateAlias": "CLEAR_ALIAS",
    "RegisterTaskDefinition": "REGISTER_TASK_DEFINITION",
    "StopServiceDeployment": "STOP",
    "UpdateService": "CREATE",
}
FOLLOW_UPS = {"StartPipelineExecution": "RERUN", "DisableStageTransition": "HOLD", "EnableStageTransition": "RELEASE"}
_decode = TypeDeserializer().deserialize
FAST = {
    "Server": {"config": "CodeDeployDefault.AllAtOnce"},
    "Lambda": {"config": "CodeDeployDefault.LambdaAllAtOnce"},
    "ECS": {"config": "CodeDeployDefault.ECSAllAtOnce"},
}


class Killed(BaseException):
    """The execution environment is gone in the middle of a call. No handler of the application may see this."""


class SerialPool(Executor):
    """Work is done where it is submitted, so that the same example always plays the same way."""

    def __init__(self, *_: object) -> None:
        pass

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


# --- the wire ---------------------------------------------------------------------------------------------------------


@dataclass
class Plan:
    """What happens at the n-th AWS call of an invocation: before it, or after it took effect."""

    at_call: int
    act: Callable[[], Any]
    after: bool = False


@dataclass
class Frame:
    """One invocation that is under way."""

    started_at: datetime
    before: Memory
    plans: list[Plan]
    calls: int = 0
    dead: bool = False


@dataclass(frozen=True)
class Memory:
    """What operators and past rollbacks had left when an invocation began."""

    known_bad: frozenset[int]
    floor_at: datetime | None
    paused: bool
    closed_because: str = ""
    """Why the pipeline's transition was disabled; empty if it was not, or there is no pipeline."""


class Wire:
    """Sees every call of the application's clients, in the frame of the invocation that makes it."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.late: Callable[[Frame], bool] = lambda frame: False

    def before(self, model: Any, **_: Any) -> Any:
        """The handler of botocore's `before-call`: an answer from here means that nothing is sent."""
        frame = self._frame()
        if frame is None:
            return None
        if self.late(frame):
            frame.dead = True  # Lambda's own timeout
            raise Killed(model.name)
        frame.calls += 1
        return self._play(frame, after=False)

    def after(self, **_: Any) -> None:
        """The handler of `after-call`: the call has taken effect."""
        frame = self._frame()
        if frame is not None:
            self._play(frame, after=True)

    def _frame(self) -> Frame | None:
        frame = self.frames[-1] if self.frames else None
        if frame is not None and frame.dead:
            raise Killed("a dead environment makes no calls")
        return frame

    def _play(self, frame: Frame, after: bool) -> Any:
        due = [plan for plan in frame.plans if plan.at_call <= frame.calls and plan.after is after]
        answer = None
        for plan in due:
            frame.plans.remove(plan)
            said = plan.act()
            answer = said if isinstance(said, tuple) else answer
        return answer


_wire = Wire()


@functools.cache
def _clients() -> Clients:
    """The application's clients, made once: that takes most of the time that a fresh scene takes."""
    made = Clients.make()
    held = (made.codedeploy, made.codedeploy_writer, made.dynamodb, made.cloudwatch, made.sns)
    for client in (*held, made.lambda_, made.ecs, made.ecs_writer, made.s3, made.events, made.codepipeline):
        client.meta.events.register("before-call", lambda **given: _wire.before(**given))
        client.meta.events.register("after-call", lambda **given: _wire.after(**given))
    return made


def refusal(code: str) -> tuple[Any, dict[str, Any]]:
    """An answer with an error, for `Wire.before`."""
    error = {"Error": {"Code": code, "Message": "simulated"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return SimpleNamespace(status_code=400), error


def lose_answer() -> None:
    """The call took effect, or did not; nobody is told."""
    raise ReadTimeoutError(endpoint_url="https://simulated")


# --- the world --------------------------------------------------------------------------------------------------------


@dataclass
class Message:
    """One transition of an alarm, which CloudWatch tells in several ways."""

    alarm: str
    state: str
    at: datetime
    message_id: str

    def event(self, path: str) -> dict[str, Any]:
        """As SNS, EventBridge or the alarm's own Lambda action bring it."""
        if path == "sns":
            name = "alarm-in-alarm" if self.state == "ALARM" else "alarm-ok"
            return alarm_event(name, at=self.at, alarm=self.alarm, tags={}, message_id=self.message_id)
        made = event("alarm-eventbridge" if path == "eventbridge" else "alarm-to-lambda")
        arn = f"arn:aws:cloudwatch:{REGION}:123456789012:alarm:{self.alarm}"
        body = made["detail"] if path == "eventbridge" else made["alarmData"]
        body["alarmName"] = self.alarm
        body["state"] |= {"value": self.state, "timestamp": self.at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"}
        made |= {"resources": [arn]} if path == "eventbridge" else {"alarmArn": arn}
        return made


@dataclass
class Unfinished:
    """An invocation that failed, which Lambda repeats twice under the same request id."""

    event: object
    request_id: str
    retries: int = 2


@dataclass
class Config:
    """What is drawn for one example."""

    platform: str = "Server"
    pipeline: str = ""
    """What follows a rollback for the pipeline: `rerun` or `hold`; empty where there is no pipeline."""
    slow: bool = True
    native_alarm: bool = False
    stop_pending: float = 0.0
    rollback_delay: float = 0.0
    list_order: str = "newest_first"
    settings: dict[str, str] = field(default_factory=dict)


class World:
    """One deployment group `shop/prod`, everybody who touches it, and the function with two environments."""

    key = f"{APPLICATION}/{GROUP}"
    address: ClassVar[dict[str, str]] = {"application": APPLICATION, "deployment_group": GROUP}
    """How operators and routes name it."""
    writes = ("CreateDeployment", "StopDeployment")
    calls = (
        "CreateDeployment",
        "StopDeployment",
        "ListDeployments",
        "BatchGetDeployments",
        "GetDeployment",
        "GetDeploymentGroup",
        "GetApplicationRevision",
        "GetAlias",
        "UpdateAlias",
        "DescribeServices",
    )

    def __init__(self, sim: Simulator, config: Config) -> None:
        self.sim, self.config = sim, config
        self.violations: list[str] = []
        self.messages: list[Message] = []
        self.codedeploy_events: list[dict[str, Any]] = []
        self.unfinished: list[Unfinished] = []
        self.outcomes: dict[str, tuple[str, str]] = {}
        self.numbers: dict[str, int] = {}
        self.next_plans: list[Plan] = []
        self.skew = timedelta(0)
        self.played = False  # whether what was planned for the last invocation happened
        self.highest, self.requests = 1, 0
        self.answered: list[str] = []
        routes = json.dumps([{"alarm": "shop-prod-*", **self.address}])
        environment = {"LASTGOOD_ROUTES": routes, "LASTGOOD_STORM_GROUPS": "0", **config.settings, **self._pipelines()}
        self.local = Local(SimpleNamespace(now=self.host_time), self._wait, environment=environment)
        self.first = self.local.application
        self.local.restart()
        self.second = self.local.application
        self._make_group()
        self._watch()

    def _pipelines(self) -> dict[str, str]:
        rules = {"rerun": {"after_rollback": "rerun"}, "hold": {"hold": STAGE}}
        if not self.config.pipeline:
            return {}
        return {
            "LASTGOOD_PIPELINES": json.dumps([{**self.address, "pipeline": PIPELINE, **rules[self.config.pipeline]}])
        }

    def _make_group(self) -> None:
        config, sim = self.config, self.sim
        make = {"Server": sim.server_group, "Lambda": sim.lambda_group, "ECS": sim.ecs_group}[config.platform]
        options: dict[str, Any] = {**(SLOW if config.slow else FAST)[config.platform]}
        if config.native_alarm:
            options |= {"alarms": [ALARMS[0]], "rollback_events": ["DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_FAILURE"]}
        make(APPLICATION, GROUP, **options)
        sim.timing(
            stop_pending_seconds=config.stop_pending,
            native_rollback_delay_seconds=config.rollback_delay,
            alarm_poll_seconds=20.0,
        )
        sim.engine.list_order = config.list_order
        if config.pipeline:
            sim.pipeline(PIPELINE, APPLICATION, GROUP)

    def _watch(self) -> None:
        for alarm in ALARMS:
            self.local.alarm(alarm, "OK")
        self.sim.listen(self.codedeploy_events.append)
        _wire.frames.clear()
        _wire.late = lambda frame: self.host_time() - frame.started_at > TIMEOUT
        answer = self.sim.answer

        def answering(service: str, operation: str, parameters: dict[str, Any], act: Callable[[], Any]) -> Any:
            if operation in EFFECTS:
                self._witness(operation, parameters)
            if operation in FOLLOW_UPS:
                self._witness_follow_up(operation, parameters)
            return answer(service, operation, parameters, act)

        self.sim.answer = answering  # type: ignore[method-assign]
        self._watch_creations()

    def _watch_creations(self) -> None:
        create = self.sim.engine.create_deployment

        def creating(request: dict[str, Any], creator: str = "user", external_id: str = "") -> Any:
            made = create(request, creator, external_id)
            if (request.get("description") or "").startswith("lastgood "):
                self._witness_created(made)
            return made

        self.sim.engine.create_deployment = creating  # type: ignore[method-assign]

    # --- time ---------------------------------------------------------------------------------------------------------

    def host_time(self) -> datetime:
        """The clock of the host that the function runs on, which may be wrong by a little."""
        return self.sim.clock.now() + self.skew

    def _wait(self, seconds: float) -> None:
        self.sim.advance(seconds)

    # --- people -------------------------------------------------------------------------------------------------------

    def release(self, number: int, **request: Any) -> str:
        """A team's pipeline deploys revision n, if the group is free. Returns the deployment's id, or nothing."""
        platform = self.config.platform
        while number > self.highest:
            self.highest += 1
            if platform == "Lambda" and self.highest > 3:
                self.sim.publish_version("shop")
            elif platform == "ECS" and self.highest > 3:
                self.sim.register_task_definition("web")
        revision: int | str = f"v{number}.zip" if platform == "Server" else number
        if self.config.pipeline and not request.get("description") and not _wire.frames:
            return self._push(number, revision)
        try:
            return self.sim.release(APPLICATION, GROUP, revision, **request)
        except ServiceError:
            return ""

    def _push(self, number: int, revision: int | str) -> str:
        """A commit; a minute later the pipeline releases it, unless the stage is closed or busy."""
        self.sim.push(PIPELINE, f"{number:040x}", revision)
        self.sim.advance(66)
        run = self.sim.pipelines.pipeline(PIPELINE).runs[-1]
        return next((a.external_id for a in run.actions if a.stage == "Deploy"), "")

    def fail_next(self) -> None:
        """The next release will fail by itself."""
        self.sim.fail_next("HOOK_EXECUTION_FAILURE", "simulated")

    def close_the_stage(self, *, closed: bool) -> None:
        """Somebody disables or enables the pipeline's transition, for reasons of their own."""
        if self.config.pipeline:
            self.sim.pipelines.set_transition(PIPELINE, STAGE, enabled=not closed, by="alex", reason="a freeze")

    def stop_active(self) -> None:
        """Somebody stops what is running."""
        active = self.group.active
        if active is not None:
            self.sim.engine.stop_deployment(active, False)

    def alarm(self, name: str, state: str) -> None:
        """CloudWatch changes an alarm's state; its message may come at any time from now on."""
        self.local.alarm(name, state)
        at = self.sim.clock.now()
        self.messages.append(Message(name, state, at, f"message-{len(self.messages)}"))

    # --- the function -------------------------------------------------------------------------------------------------

    def invoke(self, what: object, request_id: str = "", *, retried: Unfinished | None = None) -> list[dict[str, Any]]:
        """One invocation. It may fail or be killed; then Lambda has it to repeat."""
        self.requests += 1
        request_id = request_id or f"request-{self.requests}"
        nested = bool(_wire.frames)
        plans, self.next_plans = (self.next_plans, []) if not nested else ([], self.next_plans)
        frame, planned = Frame(self.host_time(), self.memory(), plans), len(plans)
        _wire.frames.append(frame)
        application = self.second if nested else self.first
        try:
            answer = application.handle(what, request_id, TIMEOUT)
        except (LastgoodError, Killed):
            if retried is None:
                self.unfinished.append(Unfinished(what, request_id))
            elif retried.retries:
                self.unfinished.append(retried)
            if frame.dead:
                self._fresh_environment(nested)
            return []
        finally:
            self.played = len(_wire.frames.pop().plans) < planned
        results: list[dict[str, Any]] = answer["results"]
        self.answered += [r["rollback_id"] for r in results if r.get("rollback_id")]
        return results

    def retry(self) -> None:
        """Lambda repeats the invocation that failed first."""
        if self.unfinished:
            again = self.unfinished.pop(0)
            again.retries -= 1
            self.invoke(again.event, again.request_id, retried=again)

    def _fresh_environment(self, nested: bool) -> None:
        self.local.restart()
        if nested:
            self.second = self.local.application
        else:
            self.first = self.local.application

    def kill(self) -> None:
        """The environment is gone, now."""
        _wire.frames[-1].dead = True
        raise Killed("simulated")

    def sweep(self) -> None:
        """The minute's sweep."""
        self.invoke(event("scheduled-sweep"))

    def ask(self, action: str, **fields: Any) -> list[dict[str, Any]]:
        """An operator's request for the group."""
        said = {"action": action, "requested_by": "alex", "reason": "simulated"}
        asked = said | self.address | fields
        return self.invoke({name: value for name, value in asked.items() if value is not None})

    # --- what there is to see -----------------------------------------------------------------------------------------

    @property
    def group(self) -> Any:
        """The simulator's deployment group."""
        return self.sim.engine.group(APPLICATION, GROUP)

    def marker(self, deployment: Any) -> str:
        """The rollback that created a deployment; empty for anyone else's."""
        text = deployment.request.get("description") or ""
        return text.split()[1] if text.startswith("lastgood ") else ""

    def released(self, deployment: Any) -> bool:
        """Whether a team's pipeline made it."""
        return not self.marker(deployment) and not deployment.native_rollback

    def is_floor(self, deployment: Any) -> bool:
        """Whether a release brought a floor along."""
        text = deployment.request.get("description") or ""
        return "lastgood:floor" in text and not self.marker(deployment)

    def find(self, deployment_id: str) -> Any:
        """A deployment by its id; None where it is none of its own."""
        return self.sim.engine.deployment(deployment_id)

    def is_newest(self, deployment_id: str) -> bool:
        """Whether nothing came after it."""
        newest = self.group.last_attempted
        return newest is not None and newest.id == deployment_id

    def live(self) -> int:
        """The revision that has all the traffic; -1 while it is split."""
        target = self.sim.live(APPLICATION, GROUP).target
        return number_of(target.split("|")[1] if target.startswith("S3:") else target)

    def items(self) -> list[dict[str, Any]]:
        """The whole audit table, straight from moto's memory: it is looked at hundreds of times."""
        table = dynamodb_backends["123456789012"][REGION].get_table(TABLE)
        rows = [item.to_json()["Attributes"] for item in table.all_items()]
        return [{name: _decode(value) for name, value in row.items()} for row in rows]

    def heads(self) -> list[dict[str, Any]]:
        """Every rollback."""
        return [i for i in self.items() if i["sk"] == "META"]

    def created(self) -> list[Any]:
        """What lastgood created, oldest first."""
        return [d for d in self.group.deployments if self.marker(d)]

    def number(self, deployment: Any) -> int:
        """The revision that a deployment deploys."""
        target = self.sim.engine.target(deployment)
        return number_of(target.split("|")[1] if target.startswith("S3:") else target)

    def memory(self) -> Memory:
        """What the table holds against revisions now."""
        rows = [i for i in self.items() if i["pk"] in {f"GROUP#{self.key}", "CONTROL"}]
        bad = (r for r in rows if r["sk"].startswith("BAD#") and not r.get("marked_good_at"))
        cleared = {r["sk"].split("#")[1] for r in rows if r["sk"].startswith("FLOOR_CLEARED#")}
        floors = [datetime.fromisoformat(r["created_at"]) for r in rows if r["sk"] == "FLOOR" and "cleared_at" not in r]
        floors += [d.created_at for d in self.group.deployments if self.is_floor(d) and d.id not in cleared]
        paused = any(r["sk"] == "PAUSE" and not r.get("resumed_at") and not r.get("until") for r in rows)
        known_bad = frozenset(number_of(r["revision"]) for r in bad)
        return Memory(known_bad, max(floors, default=None), paused, self._closed_because())

    def _closed_because(self) -> str:
        if not self.config.pipeline:
            return ""
        found = self.sim.pipelines.transition(PIPELINE, STAGE)
        return "" if found.enabled else found.reason

    # --- watching -----------------------------------------------------------------------------------------------------

    def wrong(self, what: str) -> None:
        """Keep a violation; it is raised after the rule, where no handler can swallow it."""
        self.violations.append(what)

    def _witness(self, operation: str, parameters: dict[str, Any]) -> None:
        items = self.items()
        heads = [i for i in items if i["sk"] == "META" and i["phase"] != "CLOSED"]
        if len(heads) != 1:
            self.wrong(f"{operation} arrives while {len(heads)} rollbacks are open")
            return
        (head,) = heads
        steps = sorted(
            (i for i in items if i["pk"] == head["pk"] and i["sk"].startswith("STEP#")), key=lambda i: str(i["sk"])
        )
        told = [s for s in steps if s["kind"] != "note"]
        if not told or (told[-1]["kind"], told[-1]["step_name"]) != ("intent", EFFECTS[operation]):
            last = told[-1] if told else None
            self.wrong(f"{operation} without an intent just before it; the last step is {last}")
        if head.get("dry_run"):
            self.wrong(f"{operation} in a dry run")
        if _wire.frames and _wire.frames[-1].before.paused and not head.get("forced"):
            self.wrong(f"{operation} although everything was paused before the invocation began")
        if operation in {"StopDeployment", "StopServiceDeployment"}:
            named = parameters.get("deploymentId") or parameters["serviceDeploymentArn"].rsplit("/", 1)[-1]
            self._witness_stop(head, named)

    def _witness_stop(self, head: dict[str, Any], deployment_id: str) -> None:
        stopped = self.find(deployment_id)
        if not self.released(stopped):
            self.wrong(f"{head['rollback_id']} stops {deployment_id}, a rollback")
        since = datetime.fromisoformat(head.get("alarm_changed_at") or head["signal_at"])
        if stopped.created_at > since + timedelta(milliseconds=1) + abs(self.skew):
            self.wrong(f"{head['rollback_id']} of {since} stops {deployment_id}, created at {stopped.created_at}")

    def _witness_created(self, made: Any) -> None:
        head = next(h for h in self.heads() if h["rollback_id"] == self.marker(made))
        number, before = self.number(made), _wire.frames[-1].before
        if number in before.known_bad:
            self.wrong(f"{self.marker(made)} puts back revision {number}, which is known bad")
        if number in {number_of(r) for r in head.get("suspect_revisions", [])}:
            self.wrong(f"{self.marker(made)} puts back the suspect's own revision {number}")
        good = self.find(head["good_deployment_id"])
        if before.floor_at and good and good.created_at < before.floor_at - timedelta(milliseconds=1):
            self.wrong(
                f"{self.marker(made)} puts back {good.id} of {good.created_at}, below the floor {before.floor_at}"
            )
        self._witness_newer(made, head)
        self._witness_two_steps(made)

    def _witness_newer(self, made: Any, head: dict[str, Any]) -> None:
        """What a team released after the alarm may be the fix."""
        since = datetime.fromisoformat(head.get("alarm_changed_at") or head["signal_at"]) + abs(self.skew)
        started = _wire.frames[-1].started_at - abs(self.skew)
        newer = [d for d in self.group.deployments[:-1] if self.released(d) and since < d.created_at < started]
        if newer:
            told = ", ".join(f"{d.id} {d.status} of {d.created_at}" for d in newer)
            self.wrong(f"{self.marker(made)} of {since} is put over {told}, which came after its signal")

    def _witness_two_steps(self, made: Any) -> None:
        """Between two steps back somebody has released something, or the second goes back for nothing."""
        for other in reversed(self.group.deployments[:-1]):
            if self.released(other):
                return
            if self.marker(other):
                self.wrong(
                    f"{self.marker(made)} goes back once more after {self.marker(other)}, with no release between"
                )
                return

    def _witness_follow_up(self, operation: str, parameters: dict[str, Any]) -> None:
        """What is done to a pipeline is done for one rollback, after its intent, and never against somebody's hold."""
        before = _wire.frames[-1].before.closed_because
        now = self._closed_because()
        named = parameters.get("clientRequestToken") or holder(parameters.get("reason") or now)
        items = self.items()
        steps = [i for i in items if i["pk"] == f"ROLLBACK#{named}" and i["sk"].startswith("STEP#")]
        if ("intent", FOLLOW_UPS[operation]) not in {(s["kind"], s.get("step_name")) for s in steps}:
            self.wrong(f"{operation} for {named or now!r} without an intent")
        if operation != "StartPipelineExecution" and before and not holder(before):
            self.wrong(f"{operation} although somebody had closed the stage: {before}")
        if _wire.frames[-1].before.paused and operation != "EnableStageTransition":
            self.wrong(f"{operation} although everything was paused before the invocation began")

    # --- checks -------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """What must hold at any time."""
        assert not self.violations, "; ".join(self.violations)
        made = [self.marker(d) for d in self.created()]
        assert len(made) == len(set(made)), f"more than one deployment for one rollback: {made}"
        items = self.items()
        heads = {i["rollback_id"]: i for i in items if i["sk"] == "META"}
        opened = [i for i in heads.values() if i["phase"] != "CLOSED"]
        assert len(opened) <= 1, f"two rollbacks are open: {opened}"
        for rollback_id, (outcome, reason) in self.outcomes.items():
            now = heads[rollback_id]
            assert (now["outcome"], now["reason_code"]) == (outcome, reason), f"{rollback_id} changed its end: {now}"
        for rollback_id, head in heads.items():
            if head.get("outcome") and rollback_id not in self.outcomes:
                self.outcomes[rollback_id] = (head["outcome"], head["reason_code"])
                self._check_end(head)

    def _check_end(self, head: dict[str, Any]) -> None:
        assert head["phase"] == "CLOSED" and head["closed_at"] and head["explanation"], head
        if head["outcome"] != "ROLLED_BACK" or not self.is_newest(head.get("rollback_deployment_id", "")):
            return
        assert self.live() == number_of(head["good_revision"]), f"{self.live()} is live after {head}"

    def quieten(self) -> None:
        """Nothing goes wrong any more: repeats, then sweeps until nothing is left to do. Then look at the end."""
        self.sim.faults.clear()
        self.next_plans.clear()
        while self.unfinished:
            self.retry()
        if self._closed_because() and not holder(self._closed_because()):
            self.close_the_stage(closed=False)
        for pause in (*[20] * 6, *[60] * 8, *[600] * 20):
            if not any(i.get("open_key") for i in self.heads()):
                break
            if holder(self._closed_because()):
                self.ask("release")
            self.sim.advance(pause)
            self.sweep()
        self.check()
        assert not self.unfinished, f"an invocation fails in a quiet world: {self.unfinished}"
        items = self.items()
        heads = {i["rollback_id"]: i for i in items if i["sk"] == "META"}
        for head in heads.values():
            assert head.get("outcome"), f"no outcome: {head}"
            assert "open_key" not in head, f"the sweep still visits {head}"
            assert "closed" in head["notified"], f"nobody was told: {head}"
        locks = [i for i in items if i["sk"] == "LOCK" and i.get("open_rollback_id")]
        assert not locks, f"a lock stays behind: {locks}"
        if self.config.pipeline:
            self._check_the_pipeline(heads)
        missing = set(self.answered) - set(heads)
        assert not missing, f"answers name rollbacks that do not exist: {missing}"

    def _check_the_pipeline(self, heads: dict[str, dict[str, Any]]) -> None:
        """At the end: no run but for a rollback that is proven, and no stage closed that no record knows of."""
        pipeline = self.sim.pipelines.pipeline(PIPELINE)
        for token in pipeline.tokens:
            head = heads[token]
            assert head["outcome"] == "ROLLED_BACK" and head["after_rollback"] == "rerun", f"run again for {head}"
        ours = [run for run in pipeline.runs if run.trigger[0] == "StartPipelineExecution"]
        assert len(ours) == len(pipeline.tokens), f"{len(ours)} runs for {len(pipeline.tokens)} rollbacks"
        holding = holder(self._closed_because())
        if holding:
            head = heads[holding]
            assert head.get("held_at") and not head.get("released_at"), f"closed, and not on record: {head}"


def number_of(revision: str) -> int:
    """The n of `…:n`, of `vn.zip` and of both with a query behind. `vn.zip.m`, a later build of it, is another."""
    found = re.search(r"(\d+)(?:\.zip(?:\.(\d+))?)?(\?.*)?$", revision)
    return int(found[1]) + 1000 * int(found[2] or 0) if found else -1


class ServiceWorld(World):
    """The service `main/web`, which ECS itself deploys. A release takes the place of one that still runs."""

    key = f"ecs:{CLUSTER}/{SERVICE}"
    address: ClassVar[dict[str, str]] = {"ecs_service": f"{CLUSTER}/{SERVICE}"}
    writes = ("UpdateService", "StopServiceDeployment")
    calls = (
        *writes,
        "ListServiceDeployments",
        "DescribeServiceDeployments",
        "DescribeServiceRevisions",
        "DescribeServices",
        "DescribeTaskDefinition",
    )

    def _make_group(self) -> None:
        config, own = self.config, {"enable": True, "rollback": True}
        self.ours: dict[str, str] = {}
        settings: dict[str, Any] = {"deploymentCircuitBreaker": own} if config.rollback_delay else {}
        settings |= {"alarms": {"alarmNames": [ALARMS[0]], **own}} if config.native_alarm else {}
        self.owner = self.sim.rolling_service(CLUSTER, SERVICE, **settings)
        self.owner.timing.task_seconds = 20.0 if config.slow else 1.0
        self.owner.timing.rollback_requested_seconds = config.stop_pending or 1.0

    def _watch_creations(self) -> None:
        answer = self.sim.answer

        def answering(service: str, operation: str, parameters: dict[str, Any], act: Callable[[], Any]) -> Any:
            made = len(self.owner.deployments)
            try:
                return answer(service, operation, parameters, act)
            finally:
                if operation == "UpdateService" and len(self.owner.deployments) > made:
                    (head,) = [h for h in self.heads() if h["phase"] != "CLOSED"]
                    self.ours[self.owner.deployments[-1].id] = head["rollback_id"]
                    self._witness_created(self.owner.deployments[-1])

        self.sim.answer = answering  # type: ignore[method-assign]

    def release(self, number: int, **request: Any) -> str:
        """A team's pipeline updates the service to revision n."""
        while number > max(self.highest, 3):
            self.sim.register_task_definition(SERVICE)
            self.highest = max(self.highest, 3) + 1
        return self.sim.release_service(CLUSTER, SERVICE, f"{SERVICE}:{number}")

    def stop_active(self) -> None:
        """Somebody stops what is running: ECS goes back."""
        active = self.owner.active
        if active is not None:
            self.sim.engine.service_deployments.stop(active, "ROLLBACK")

    def fail_next(self) -> None:
        """The tasks of the next revision will not start; without a circuit breaker ECS would try for ever."""
        if not self.owner.breaker:
            return
        number = max(number_of(d.target.task_definition) for d in self.owner.deployments) + 1
        self.owner.bad.add(re.sub(r"\d+$", str(number), self.owner.deployments[0].target.task_definition))

    @property
    def group(self) -> Any:
        """The simulator's service."""
        return self.owner

    def marker(self, deployment: Any) -> str:
        """A service deployment says nothing of itself: who updated the service is remembered here."""
        return self.ours.get(deployment.id, "")

    def released(self, deployment: Any) -> bool:
        """Whether a team's pipeline made it."""
        return not self.marker(deployment)

    def is_floor(self, deployment: Any) -> bool:
        """Floors of a service are set by operators here."""
        return False

    def find(self, deployment_id: str) -> Any:
        """ECS's own rollbacks, and what was before its oldest deployment, have ids that only lastgood gives."""
        return next((d for d in self.owner.deployments if d.id == deployment_id), None)

    def is_newest(self, deployment_id: str) -> bool:
        """Whether nothing came after it; ECS's own rollback belongs to the deployment that it undoes."""
        return self.owner.deployments[-1].id == deployment_id.removesuffix("/rollback")

    def live(self) -> int:
        """The revision that all tasks run; -1 while there are two."""
        return number_of(self.sim.service_live(CLUSTER, SERVICE).target)

    def number(self, deployment: Any) -> int:
        """The revision that a deployment deploys."""
        return number_of(deployment.target.task_definition)

    def _witness_stop(self, head: dict[str, Any], deployment_id: str) -> None:
        """ECS's only stop brings back what was before: that has to be wanted as well."""
        super()._witness_stop(head, deployment_id)
        back, before = self.find(deployment_id).source, _wire.frames[-1].before
        number = number_of(back.task_definition) if back else -1
        if number in before.known_bad or number in {number_of(r) for r in head.get("suspect_revisions", [])}:
            self.wrong(f"{head['rollback_id']} stops {deployment_id}, which brings back revision {number}")


@contextmanager
def world(config: Config) -> Iterator[World]:
    """A fresh world; the clients and the parsed template are shared by all of them."""
    with ExitStack() as stack:
        sim = stack.enter_context(simulated_aws())
        clients = _clients()
        stack.enter_context(patch.object(Clients, "make", lambda *_: clients))
        stack.enter_context(patch("lastgood.app.ThreadPoolExecutor", SerialPool))
        stack.enter_context(patch("botocore.endpoint.time.sleep", lambda seconds: None))
        stack.enter_context(patch("moto.cloudwatch.models.utcnow", lambda: sim.clock.now().replace(tzinfo=None)))
        try:
            yield (ServiceWorld if config.platform == "Service" else World)(sim, config)
        finally:
            _wire.frames.clear()
