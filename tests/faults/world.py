"""A place to deploy to, two alarms and the real application, where anything may happen between any two AWS calls.

The application's calls pass through a `Wire`: it can kill the execution environment before or after a call, lose an
answer, refuse a call, or let somebody else act in between. `World` watches every call that changes something, at the
moment at which it arrives, and keeps what was wrong in `violations`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from botocore.exceptions import ReadTimeoutError

from faults.places import ALARMS, COMMIT_SECONDS, CodeDeployGroup, Config, EcsService, Place, Seen, commit
from faults.released_places import PIPELINE, STAGE, GroupOfAStack, StageOfAPipeline
from lastgood.clients import Clients
from lastgood.errors import LastgoodError
from simulated_aws import Simulator, simulated_aws
from simulated_aws.codepipeline.model import Pipeline, Transition
from stage.local import REGION, Local, alarm_event, event

SOMEBODY = "arn:aws:iam::123456789012:user/alex"
TIMEOUT = timedelta(seconds=60)
EFFECTS = {
    "StopDeployment": "STOP",
    "CreateDeployment": "CREATE",
    "UpdateAlias": "CLEAR_ALIAS",
    "RegisterTaskDefinition": "REGISTER_TASK_DEFINITION",
    "StopServiceDeployment": "STOP",
    "UpdateService": "CREATE",
    "RollbackStage": "CREATE",
    "StopPipelineExecution": "STOP",
    "CancelUpdateStack": "CANCEL_UPDATE",
}
CREATES = {"CreateDeployment", "UpdateService", "RollbackStage"}
OF_A_STAGE = {"RollbackStage", "StopPipelineExecution"}
PLACES: dict[str, type[Place]] = {"Service": EcsService, "Stage": StageOfAPipeline, "Stack": GroupOfAStack}
"""What is deployed to, where it is no group of CodeDeploy's by itself."""
_ENDED_BADLY = {"Failed", "Stopped", "STOPPED"}
FOLLOW_UPS = {"StartPipelineExecution": "RERUN", "DisableStageTransition": "HOLD", "EnableStageTransition": "RELEASE"}


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
    before: dict[str, Memory]
    plans: list[Plan]
    calls: int = 0
    dead: bool = False


@dataclass(frozen=True)
class Memory:
    """What operators, past rollbacks and the pipeline had left when an invocation began.

    `closed_by`: the rollback, or somebody, that had disabled the transition; empty where it was open.
    """

    known_bad: frozenset[int]
    floor_at: datetime | None
    paused: bool
    closed_by: str
    runs: frozenset[str]


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
    releasing = (made.codepipeline, made.codepipeline_writer, made.cloudformation)
    for client in (*held, made.lambda_, made.ecs, made.ecs_writer, made.s3, made.events, *releasing):
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


class World:
    """A place to deploy to, everybody who touches it, and the function with two environments."""

    def __init__(self, sim: Simulator, config: Config) -> None:
        self.sim, self.config = sim, config
        self.violations: list[str] = []
        self.messages: list[Message] = []
        self.codedeploy_events: list[dict[str, Any]] = []
        self.unfinished: list[Unfinished] = []
        self.outcomes: dict[str, tuple[str, str]] = {}
        self.next_plans: list[Plan] = []
        self.skew = timedelta(0)
        self.played = False  # whether what was planned for the last invocation happened
        self.requests = self.pushed = 0
        self.answered: list[str] = []
        self.place: Any = PLACES.get(config.platform, CodeDeployGroup)(sim, config)
        self.places: list[Any] = [each for each in (self.place, self.place.stage) if each]
        environment = {"LASTGOOD_STORM_GROUPS": "0", **self.place.settings, **config.settings}
        self.local = Local(SimpleNamespace(now=self.host_time), self._wait, environment=environment)
        self.first = self.local.application
        self.local.restart()
        self.second = self.local.application
        self.pipeline: Pipeline | None = sim.pipeline(PIPELINE, "shop", "prod") if config.pipeline else None
        sim.engine.list_order = config.list_order
        for alarm in ALARMS:
            self.local.alarm(alarm, "OK")
        sim.listen(self.codedeploy_events.append)
        self._watch()

    def _watch(self) -> None:
        _wire.frames.clear()
        _wire.late = lambda frame: self.host_time() - frame.started_at > TIMEOUT
        answer = self.sim.answer

        def answering(service: str, operation: str, parameters: dict[str, Any], act: Callable[[], Any]) -> Any:
            if operation in EFFECTS:
                self._witness(operation, parameters)
            if operation in FOLLOW_UPS:
                self._witness_follow_up(operation, parameters)
            making = partial(self._making, self._where(operation), act)
            return answer(service, operation, parameters, making if operation in CREATES else act)

        self.sim.answer = answering  # type: ignore[method-assign]

    def _where(self, operation: str) -> Any:
        """What a call changes: the stage, or what is released to."""
        return self.places[-1] if operation in OF_A_STAGE else self.place

    def _making(self, place: Any, act: Callable[[], Any]) -> Any:
        """A call that creates takes effect; what it made is looked at."""
        before = len(place.deployments)
        answer = act()
        if len(place.deployments) > before:
            (head,) = self._open(place)
            place.note(place.deployments[-1].id, head["rollback_id"])
            self._witness_created(place, place.deployments[-1], head)
        return answer

    def _open(self, place: Any) -> list[dict[str, Any]]:
        """The open rollbacks of a place."""
        return [h for h in self.heads() if h["phase"] != "CLOSED" and h["deployment_group_key"] == place.key]

    # --- time ---------------------------------------------------------------------------------------------------------

    def host_time(self) -> datetime:
        """The clock of the host that the function runs on, which may be wrong by a little."""
        return self.sim.clock.now() + self.skew

    def _wait(self, seconds: float) -> None:
        self.sim.advance(seconds)

    # --- people -------------------------------------------------------------------------------------------------------

    def release(self, number: int, *, floor: bool = False, failing: bool = False) -> str:
        """A team releases revision n, by its pipeline where it has one. Returns an id, or nothing."""
        if self.pipeline is None or floor:
            made = str(self.place.release(number, floor=floor, failing=failing))
            if self.place.release_takes and not _wire.frames:
                self.sim.advance(self.place.release_takes)
            return made
        if failing:
            self.sim.fail_next("HOOK_EXECUTION_FAILURE", "simulated")
        pushed = self.push(number)
        if not _wire.frames:
            self.sim.advance(COMMIT_SECONDS)
        return pushed

    def push(self, number: int) -> str:
        """A commit reaches the pipeline, which will build revision n from it. Returns the run's id."""
        self.pushed = max(self.pushed, number)
        return self.sim.push(PIPELINE, commit(number), f"v{number}.zip")

    def set_transition(self, *, enabled: bool) -> None:
        """Somebody opens or closes the way to the deployment."""
        why = "" if enabled else "a launch"
        self.sim.pipelines.set_transition(PIPELINE, STAGE, enabled=enabled, by=SOMEBODY, reason=why)

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
        before = {place.key: self.memory(place) for place in self.places}
        frame, planned = Frame(self.host_time(), before, plans), len(plans)
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
        asked = said | self.place.names | fields
        return self.invoke({name: value for name, value in asked.items() if value is not None})

    # --- what there is to see -----------------------------------------------------------------------------------------

    def items(self) -> list[dict[str, Any]]:
        """The whole audit table."""
        return self.local.items()

    def heads(self) -> list[dict[str, Any]]:
        """Every rollback."""
        return [i for i in self.items() if i["sk"] == "META"]

    def created(self) -> list[Seen]:
        """What lastgood created, oldest first."""
        return [d for place in self.places for d in place.deployments if d.by]

    @property
    def transition(self) -> Transition:
        """The way to the deployment; always open where there is no pipeline."""
        return self.pipeline.transitions[STAGE] if self.pipeline else Transition()

    def memory(self, place: Any) -> Memory:
        """What the table holds against revisions of a place now."""
        rows = [i for i in self.items() if i["pk"] in {f"GROUP#{place.key}", "CONTROL"}]
        bad = (r for r in rows if r["sk"].startswith("BAD#") and not r.get("marked_good_at"))
        cleared = {r["sk"].split("#")[1] for r in rows if r["sk"].startswith("FLOOR_CLEARED#")}
        floors = [datetime.fromisoformat(r["created_at"]) for r in rows if r["sk"] == "FLOOR" and "cleared_at" not in r]
        floors += [d.created_at for d in place.deployments if d.floor and d.id not in cleared]
        paused = any(r["sk"] == "PAUSE" and not r.get("resumed_at") and not r.get("until") for r in rows)
        known_bad = frozenset(place.number(r["revision"]) for r in bad)
        closed = "" if self.transition.enabled else holder(self.transition.reason) or SOMEBODY
        runs = frozenset(run.id for run in self.pipeline.runs) if self.pipeline else frozenset()
        return Memory(known_bad, max(floors, default=None), paused, closed, runs)

    # --- watching -----------------------------------------------------------------------------------------------------

    def wrong(self, what: str) -> None:
        """Keep a violation; it is raised after the rule, where no handler can swallow it."""
        self.violations.append(what)

    def _witness(self, operation: str, parameters: dict[str, Any]) -> None:
        items, place = self.items(), self._where(operation)
        heads = self._open(place)
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
        if _wire.frames and self._before(place).paused and not head.get("forced"):
            self.wrong(f"{operation} although everything was paused before the invocation began")
        if operation == "StopDeployment":
            self._witness_stop(place, head, parameters["deploymentId"])
        if operation == "StopServiceDeployment":
            self._witness_stop(place, head, parameters["serviceDeploymentArn"].rpartition("/")[2])
        if operation == "StopPipelineExecution":
            self._witness_stop(place, head, parameters["pipelineExecutionId"])
        if isinstance(place, GroupOfAStack):
            self._witness_stack(place, head, operation)

    def _before(self, place: Any) -> Memory:
        return _wire.frames[-1].before[place.key]

    def _witness_stack(self, place: GroupOfAStack, head: dict[str, Any], operation: str) -> None:
        """Nothing moves an alias behind its stack's back; and an update is cancelled for what it did, and no other."""
        if operation in {"CreateDeployment", "UpdateAlias"} and not head.get("forced"):
            self.wrong(f"{operation} for {head['rollback_id']} moves what a stack holds")
        if operation != "CancelUpdateStack":
            return
        since = datetime.fromisoformat(head.get("alarm_changed_at") or head["signal_at"])
        stack, began = place.stack, place.stack.updated_at
        if not place.cancels:
            self.wrong(f"{head['rollback_id']} cancels the update of a stack that the settings do not name")
        if stack.status != "UPDATE_IN_PROGRESS":
            return  # it comes too late, and is refused
        if began and began > since + timedelta(seconds=1) + abs(self.skew):
            self.wrong(f"{head['rollback_id']} of {since} cancels an update of {began}, which may be the fix")
        back = place.number(stack.believes)
        if back in self._before(place).known_bad | {place.number(r) for r in head["suspect_revisions"]}:
            self.wrong(f"{head['rollback_id']} has the stack put back {back}, which is blamed or known bad")

    def _witness_stop(self, place: Any, head: dict[str, Any], deployment_id: str) -> None:
        stopped = next(d for d in place.deployments if d.id == deployment_id)
        if not stopped.released:
            self.wrong(f"{head['rollback_id']} stops {deployment_id}, a rollback")
        since = datetime.fromisoformat(head.get("alarm_changed_at") or head["signal_at"])
        if stopped.created_at > since + timedelta(milliseconds=1) + abs(self.skew):
            self.wrong(f"{head['rollback_id']} of {since} stops {deployment_id}, created at {stopped.created_at}")
        back = place.goes_to(deployment_id)
        if back is not None and back in self._before(place).known_bad | {stopped.number}:
            self.wrong(f"{head['rollback_id']} stops {deployment_id}, which puts back {back}: the same, or known bad")

    def _witness_created(self, place: Any, made: Seen, head: dict[str, Any]) -> None:
        number, before = made.number, self._before(place)
        if made.by != head["rollback_id"]:
            self.wrong(f"{made.id} is marked {made.by!r} and made by {head['rollback_id']}")
        if number in before.known_bad:
            self.wrong(f"{made.by} puts back revision {number}, which is known bad")
        if number in {place.number(r) for r in head.get("suspect_revisions", [])}:
            self.wrong(f"{made.by} puts back the suspect's own revision {number}")
        good = head["good_deployment_id"]
        began = place.began(good)
        if before.floor_at and began < before.floor_at - timedelta(milliseconds=1):
            self.wrong(f"{made.by} puts back {good} of {began}, below the floor {before.floor_at}")
        self._witness_newer(place, made, head)
        self._witness_two_steps(place, made)

    def _witness_newer(self, place: Any, made: Seen, head: dict[str, Any]) -> None:
        """What a team released after the alarm may be the fix, unless it failed or AWS itself has taken it back."""
        since = datetime.fromisoformat(head.get("alarm_changed_at") or head["signal_at"]) + abs(self.skew)
        started = _wire.frames[-1].started_at - abs(self.skew)
        earlier = place.deployments[:-1]
        meant = [d for d in earlier if d.released and not d.undone and d.status not in _ENDED_BADLY]
        newer = [d for d in meant if since < d.created_at < started]
        if newer:
            told = ", ".join(f"{d.id} {d.status} of {d.created_at}" for d in newer)
            self.wrong(f"{made.by} of {since} is put over {told}, which came after its signal")

    def _witness_two_steps(self, place: Any, made: Seen) -> None:
        """Between two steps back somebody has released something, or the second goes back for nothing."""
        for other in reversed(place.deployments[:-1]):
            if other.released:
                return
            if other.by:
                self.wrong(f"{made.by} goes back once more after {other.by}, with no release between")
                return

    # --- watching the pipeline ----------------------------------------------------------------------------------------

    def _witness_follow_up(self, operation: str, parameters: dict[str, Any]) -> None:
        """A call that changes the pipeline: whose it is, that it was announced, and what it may not undo."""
        said = parameters.get("clientRequestToken") or holder(parameters.get("reason", ""))
        name = said or holder(self.transition.reason)
        before, heads = self._before(self.place), {each["rollback_id"]: each for each in self.heads()}
        if operation == "EnableStageTransition" and before.closed_by == SOMEBODY:
            self.wrong("a transition is enabled that somebody else had disabled before the invocation began")
        if operation == "DisableStageTransition" and before.closed_by not in {"", name}:
            self.wrong(f"{name} disables a transition that {before.closed_by} had disabled already")
        if name not in heads:
            # The transition was opened or closed by somebody since it was looked at: nothing says whose call it is.
            return
        head = heads[name]
        steps = sorted((i for i in self.items() if i["pk"] == head["pk"] and "kind" in i), key=lambda i: str(i["sk"]))
        last = next((s for s in reversed(steps) if s["kind"] == "intent"), None)
        if last is None or last["step_name"] != FOLLOW_UPS[operation]:
            self.wrong(f"{operation} for {name} without an intent before it; the last one is {last}")
        if head.get("dry_run") or not head.get("good_deployment_id"):
            self.wrong(f"{operation} for {name}, which puts nothing back")
        if before.paused and operation != "EnableStageTransition":
            self.wrong(f"{operation} for {name} although everything was paused before the invocation began")
        if operation == "StartPipelineExecution":
            self._witness_rerun(head, parameters, before)

    def _witness_rerun(self, head: dict[str, Any], parameters: dict[str, Any], before: Memory) -> None:
        assert self.pipeline is not None
        name, (asked,) = head["rollback_id"], (each["revisionValue"] for each in parameters["sourceRevisions"])
        if head.get("outcome") != "ROLLED_BACK":
            self.wrong(f"the pipeline runs again for {name}, which is {head.get('outcome')}")
        if asked != head.get("good_commit") or asked == head.get("suspect_commit"):
            self.wrong(f"the pipeline runs again for {asked}, and {head.get('good_commit')} is good")
        if name in self.pipeline.tokens:
            return
        runs = self.pipeline.runs
        suspect = next((n for n, run in enumerate(runs) if run.id == head.get("suspect_execution_id")), None)
        known = {asked, head.get("suspect_commit")}
        newer = [
            run
            for run in (runs[suspect + 1 :] if suspect is not None else [])
            if run.id in before.runs
            and run.status in {"InProgress", "Succeeded"}
            and run.sources["Source"] not in known
        ]
        if newer:
            self.wrong(f"the pipeline runs again for {name} over {newer[-1].id}, a newer commit")

    # --- checks -------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """What must hold at any time."""
        assert not self.violations, "; ".join(self.violations)
        made = [d.by for d in self.created()]
        assert len(made) == len(set(made)), f"more than one deployment for one rollback: {made}"
        items = self.items()
        heads = {i["rollback_id"]: i for i in items if i["sk"] == "META"}
        for place in self.places:
            opened = self._open(place)
            assert len(opened) <= 1, f"two rollbacks of {place.key} are open: {opened}"
        for rollback_id, (outcome, reason) in self.outcomes.items():
            now = heads[rollback_id]
            assert (now["outcome"], now["reason_code"]) == (outcome, reason), f"{rollback_id} changed its end: {now}"
        for rollback_id, head in heads.items():
            if head.get("outcome") and rollback_id not in self.outcomes:
                self.outcomes[rollback_id] = (head["outcome"], head["reason_code"])
                self._check_end(head)

    def _check_end(self, head: dict[str, Any]) -> None:
        assert head["phase"] == "CLOSED" and head["closed_at"] and head["explanation"], head
        place = next(each for each in self.places if each.key == head["deployment_group_key"])
        if head["outcome"] != "ROLLED_BACK" or place.newest != head.get("rollback_deployment_id"):
            return
        live = place.live
        assert live and place.is_good(live, head["good_revision"]), f"{live} is live after {head}"

    def quieten(self) -> None:
        """Nothing goes wrong any more: repeats, then sweeps until nothing is left to do. Then look at the end."""
        self.sim.faults.clear()
        self.next_plans.clear()
        while self.unfinished:
            self.retry()
        self._sweep_while(lambda head: bool(head.get("open_key")) and not self._holds(head))
        self._release_what_is_held()
        self._sweep_while(lambda head: bool(head.get("open_key")))
        self.check()
        assert not self.unfinished, f"an invocation fails in a quiet world: {self.unfinished}"
        items = self.items()
        heads = {i["rollback_id"]: i for i in items if i["sk"] == "META"}
        for head in heads.values():
            assert head.get("outcome"), f"no outcome: {head}"
            assert "open_key" not in head, f"the sweep still visits {head}"
            # What was passed on is told by the stage's own rollback.
            assert {"closed", "passed_on"} & {*head["notified"]}, f"nobody was told: {head}"
        locks = [i for i in items if i["sk"] == "LOCK" and i.get("open_rollback_id")]
        assert not locks, f"a lock stays behind: {locks}"
        missing = set(self.answered) - set(heads)
        assert not missing, f"answers name rollbacks that do not exist: {missing}"
        held = holder(self.transition.reason)
        assert not held, f"{held} still holds the stage, though it was to be released: {heads[held]}"
        if self.pipeline:
            self._check_reruns(self.pipeline, heads)
        if isinstance(self.place, GroupOfAStack):
            self.sim.settle()
            assert self.place.agrees, f"{self.place.stack} believes in what is not live"

    def _check_reruns(self, pipeline: Pipeline, heads: dict[str, dict[str, Any]]) -> None:
        ours = [run.id for run in pipeline.runs if run.trigger[0] == "StartPipelineExecution"]
        assert sorted(ours) == sorted(run.id for run in pipeline.tokens.values()), "a rollback ran the pipeline twice"
        for rollback_id, run in pipeline.tokens.items():
            assert heads[rollback_id].get("rerun_execution_id") in {None, "", run.id}, heads[rollback_id]

    def _sweep_while(self, due: Callable[[dict[str, Any]], bool]) -> None:
        for pause in (*[20] * 6, *[60] * 8, *[600] * 20, *[7200] * 14):
            if not any(due(head) for head in self.heads()):
                return
            self.sim.advance(pause)
            self.sweep()

    def _holds(self, head: dict[str, Any]) -> bool:
        """Whether nothing is left to do but to hold the pipeline, until somebody wants it open."""
        return "closed" in head["notified"] and "held_at" in head and "released_at" not in head

    def _release_what_is_held(self) -> None:
        """A newer commit comes, or where that is not enough, an operator asks."""
        if not holder(self.transition.reason):
            return
        if self.config.slow:
            self.ask("release")
            return
        # What comes at the very moment of the hold counts as there before.
        self.sim.advance(1)
        self.release(self.pushed + 1)


def holder(reason: str) -> str:
    """The rollback that closed a transition, by what it said; empty for anyone else, and where it is open."""
    found = re.match(r"lastgood (rb-\S+) ", reason)
    return found[1] if found else ""


@contextmanager
def world(config: Config) -> Iterator[World]:
    """A fresh world; the clients and the parsed template are shared by all of them."""
    with ExitStack() as stack:
        sim = stack.enter_context(simulated_aws())
        clients = _clients()
        stack.enter_context(patch.object(Clients, "make", lambda *_: clients))
        stack.enter_context(patch("lastgood.parts.ThreadPoolExecutor", SerialPool))
        stack.enter_context(patch("botocore.endpoint.time.sleep", lambda seconds: None))
        stack.enter_context(patch("moto.cloudwatch.models.utcnow", lambda: sim.clock.now().replace(tzinfo=None)))
        try:
            yield World(sim, config)
        finally:
            _wire.frames.clear()
