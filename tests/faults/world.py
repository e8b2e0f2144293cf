"""A deployment group, two alarms and the real application, where anything may happen between any two AWS calls.

The application's calls pass through a `Wire`: it can kill the execution environment before or after a call, lose an
answer, refuse a call, or let somebody else act in between. `World` watches every call that changes something, at the
moment at which it arrives, and keeps what was wrong in `violations`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ReadTimeoutError
from moto.dynamodb.models import dynamodb_backends

from codedeploy_simulator import ServiceError, Simulator, simulated_aws
from faults.tables import cheap_undo
from lastgood.clients import Clients
from lastgood.errors import LastgoodError
from lastgood_cli.local import REGION, TABLE, Local, alarm_event, event
from scene import SLOW, number_of

APPLICATION, GROUP = "shop", "prod"
ALARMS = ("shop-prod-error-rate", "shop-prod-latency")
ROUTES = json.dumps([{"alarm": "shop-prod-*", "application": APPLICATION, "deployment_group": GROUP}])
TIMEOUT = timedelta(seconds=60)
EFFECTS = {
    "StopDeployment": "STOP",
    "CreateDeployment": "CREATE",
    "UpdateAlias": "CLEAR_ALIAS",
    "RegisterTaskDefinition": "REGISTER_TASK_DEFINITION",
}
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
    slow: bool = True
    native_alarm: bool = False
    stop_pending: float = 0.0
    rollback_delay: float = 0.0
    list_order: str = "newest_first"
    settings: dict[str, str] = field(default_factory=dict)


class World:
    """One deployment group `shop/prod`, everybody who touches it, and the function with two environments."""

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
        environment = {"LASTGOOD_ROUTES": ROUTES, "LASTGOOD_STORM_GROUPS": "0", **config.settings}
        self.local = Local(SimpleNamespace(now=self.host_time), self._wait, environment=environment)
        self.first = self.local.application
        self.local.restart()
        self.second = self.local.application
        self._make_group()
        self._watch()

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
        for alarm in ALARMS:
            self.local.alarm(alarm, "OK")
        sim.listen(self.codedeploy_events.append)

    def _watch(self) -> None:
        _wire.frames.clear()
        _wire.late = lambda frame: self.host_time() - frame.started_at > TIMEOUT
        answer, create = self.sim.answer, self.sim.engine.create_deployment

        def answering(service: str, operation: str, parameters: dict[str, Any], act: Callable[[], Any]) -> Any:
            if operation in EFFECTS:
                self._witness(operation, parameters)
            return answer(service, operation, parameters, act)

        def creating(request: dict[str, Any], creator: str = "user", external_id: str = "") -> Any:
            made = create(request, creator, external_id)
            if (request.get("description") or "").startswith("lastgood "):
                self._witness_created(made)
            return made

        self.sim.answer = answering  # type: ignore[method-assign]
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
        try:
            return self.sim.release(APPLICATION, GROUP, revision, **request)
        except ServiceError:
            return ""

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
        asked = said | {"application": APPLICATION, "deployment_group": GROUP} | fields
        return self.invoke({name: value for name, value in asked.items() if value is not None})

    # --- what there is to see -----------------------------------------------------------------------------------------

    @property
    def group(self) -> Any:
        """The simulator's deployment group."""
        return self.sim.engine.group(APPLICATION, GROUP)

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
        return [d for d in self.group.deployments if marker(d)]

    def number(self, deployment: Any) -> int:
        """The revision that a deployment deploys."""
        return number_of(self.sim.engine.target(deployment))

    def memory(self) -> Memory:
        """What the table holds against revisions now."""
        rows = [i for i in self.items() if i["pk"] in {f"GROUP#{APPLICATION}/{GROUP}", "CONTROL"}]
        bad = (r for r in rows if r["sk"].startswith("BAD#") and not r.get("marked_good_at"))
        cleared = {r["sk"].split("#")[1] for r in rows if r["sk"].startswith("FLOOR_CLEARED#")}
        floors = [datetime.fromisoformat(r["created_at"]) for r in rows if r["sk"] == "FLOOR" and "cleared_at" not in r]
        floors += [d.created_at for d in self.group.deployments if is_floor(d) and d.id not in cleared]
        paused = any(r["sk"] == "PAUSE" and not r.get("resumed_at") and not r.get("until") for r in rows)
        return Memory(frozenset(number_of(r["revision"]) for r in bad), max(floors, default=None), paused)

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
        if operation == "StopDeployment":
            self._witness_stop(head, parameters["deploymentId"])

    def _witness_stop(self, head: dict[str, Any], deployment_id: str) -> None:
        stopped = self.sim.engine.deployment(deployment_id)
        if stopped.native_rollback or marker(stopped):
            self.wrong(f"{head['rollback_id']} stops {deployment_id}, a rollback")
        since = datetime.fromisoformat(head.get("alarm_changed_at") or head["signal_at"])
        if stopped.created_at > since + timedelta(milliseconds=1) + abs(self.skew):
            self.wrong(f"{head['rollback_id']} of {since} stops {deployment_id}, created at {stopped.created_at}")

    def _witness_created(self, made: Any) -> None:
        head = next(h for h in self.heads() if h["rollback_id"] == marker(made))
        number, before = self.number(made), _wire.frames[-1].before
        if number in before.known_bad:
            self.wrong(f"{marker(made)} puts back revision {number}, which is known bad")
        if number in {number_of(r) for r in head.get("suspect_revisions", [])}:
            self.wrong(f"{marker(made)} puts back the suspect's own revision {number}")
        good = self.sim.engine.deployment(head["good_deployment_id"])
        if before.floor_at and good.created_at < before.floor_at - timedelta(milliseconds=1):
            self.wrong(f"{marker(made)} puts back {good.id} of {good.created_at}, below the floor {before.floor_at}")
        self._witness_newer(made, head)
        self._witness_two_steps(made)

    def _witness_newer(self, made: Any, head: dict[str, Any]) -> None:
        """What a team released after the alarm may be the fix."""
        since = datetime.fromisoformat(head.get("alarm_changed_at") or head["signal_at"]) + abs(self.skew)
        started = _wire.frames[-1].started_at - abs(self.skew)
        newer = [d for d in self.group.deployments[:-1] if released(d) and since < d.created_at < started]
        if newer:
            told = ", ".join(f"{d.id} {d.status} of {d.created_at}" for d in newer)
            self.wrong(f"{marker(made)} of {since} is put over {told}, which came after its signal")

    def _witness_two_steps(self, made: Any) -> None:
        """Between two steps back somebody has released something, or the second goes back for nothing."""
        for other in reversed(self.group.deployments[:-1]):
            if released(other):
                return
            if marker(other):
                self.wrong(f"{marker(made)} goes back once more after {marker(other)}, with no release between")
                return

    # --- checks -------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """What must hold at any time."""
        assert not self.violations, "; ".join(self.violations)
        made = [marker(d) for d in self.created()]
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
        newest = self.group.last_attempted
        mine = head.get("rollback_deployment_id")
        if head["outcome"] != "ROLLED_BACK" or newest is None or newest.id != mine:
            return
        live = self.sim.live(APPLICATION, GROUP).target
        assert live and number_of(live) == number_of(head["good_revision"]), f"{live} is live after {head}"

    def quieten(self) -> None:
        """Nothing goes wrong any more: repeats, then sweeps until nothing is left to do. Then look at the end."""
        self.sim.faults.clear()
        self.next_plans.clear()
        while self.unfinished:
            self.retry()
        for pause in (*[20] * 6, *[60] * 8, *[600] * 20):
            if not any(i.get("open_key") for i in self.heads()):
                break
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
        missing = set(self.answered) - set(heads)
        assert not missing, f"answers name rollbacks that do not exist: {missing}"


def marker(deployment: Any) -> str:
    """The rollback that created a deployment; empty for anyone else's."""
    text = deployment.request.get("description") or ""
    return text.split()[1] if text.startswith("lastgood ") else ""


def is_floor(deployment: Any) -> bool:
    """Whether a release brought a floor along."""
    return "lastgood:floor" in (deployment.request.get("description") or "") and not marker(deployment)


def released(deployment: Any) -> bool:
    """Whether a team's pipeline made it."""
    return not marker(deployment) and not deployment.native_rollback


@contextmanager
def world(config: Config) -> Iterator[World]:
    """A fresh world; the clients and the parsed template are shared by all of them."""
    with ExitStack() as stack:
        sim = stack.enter_context(simulated_aws())
        clients = _clients()
        stack.enter_context(patch.object(Clients, "make", lambda *_: clients))
        stack.enter_context(cheap_undo())
        stack.enter_context(patch("lastgood.app.ThreadPoolExecutor", SerialPool))
        stack.enter_context(patch("botocore.endpoint.time.sleep", lambda seconds: None))
        stack.enter_context(patch("moto.cloudwatch.models.utcnow", lambda: sim.clock.now().replace(tzinfo=None)))
        try:
            yield World(sim, config)
        finally:
            _wire.frames.clear()
