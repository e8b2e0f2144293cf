"""A crash at every step: what the application calls is taken from the run itself, and at each call the world splits.

A scenario plays a rollback from its alarm to its end, with Lambda's retries, CodeDeploy's events and the minute's sweep
as AWS delivers them. At every AWS call that the application makes, a forked copy of the process goes through one kind
of crash and then plays on to the end, while the original waits and then goes on to the next call. So no call can be
forgotten, and none is looked at that the application does not make.

Many crashes leave exactly the same world behind (whoever is killed while reading has changed nothing). Such a world is
played to its end once: `Figures.cases` counts the crashes, `Figures.worlds` the different worlds they led to.

A call here is what the application sees: botocore's own retries are below it, so "throttled" means throttled to the
last attempt.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import random
import threading
import traceback
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ReadTimeoutError
from moto.dynamodb.models import dynamodb_backends

from faults.tables import is_watched
from faults.wireless import Wireless, refused
from lastgood.clients import Clients
from scene import Scene, ServiceScene, StageScene, number_of, scene, service_scene, stage_scene
from stage.local import ACCOUNT, REGION, TABLE

EFFECTS = {
    "StopDeployment": "STOP",
    "CreateDeployment": "CREATE",
    "StopServiceDeployment": "STOP",
    "ContinueServiceDeployment": "STOP",
    "UpdateService": "CREATE",
    "UpdateAlias": "CLEAR_ALIAS",
    "RegisterTaskDefinition": "REGISTER_TASK_DEFINITION",
    "StopPipelineExecution": "STOP",
    "RollbackStage": "CREATE",
    "StartPipelineExecution": "RERUN",
    "DisableStageTransition": "HOLD",
    "EnableStageTransition": "RELEASE",
    "CancelUpdateStack": "CANCEL_UPDATE",
}
"""What changes something outside the audit table, and the action whose intent has to be written before it."""

RETRIES = (timedelta(minutes=1), timedelta(minutes=2))
"""Lambda invokes an event twice more when its function fails: after one minute, and after two more."""

SWEEP = {"action": "sweep"}
MINUTES = 45
"""A rollback that a crash held up for longer than this is not healed."""


class Killed(BaseException):
    """The process is gone. Nothing that catches errors may catch this."""


class Crash(Enum):
    """What happens at a call."""

    KILLED_BEFORE = "killed before the call"
    KILLED_AFTER = "killed after its effect, before its answer"
    NO_ANSWER = "connection lost after its effect"
    THROTTLED = "throttled, no effect"
    SERVER_ERROR = "answered with 500, no effect"


@dataclass
class Figures:
    """What was tried in one scenario."""

    scenario: str
    calls: int = 0
    """AWS calls of the undisturbed play."""
    cases: int = 0
    worlds: int = 0
    by_operation: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Inline:
    """The pool of threads, without threads: calls come in one order only, and a fork leaves nothing of them behind."""

    def __init__(self, size: int = 0) -> None:
        self.size = size

    def submit(self, work: Callable[..., Any], *given: Any, **named: Any) -> Future[Any]:
        """Do it now. An error waits in the future, as with threads; a kill does not wait."""
        future: Future[Any] = Future()
        try:
            future.set_result(work(*given, **named))
        except Exception as error:
            future.set_exception(error)
        return future

    def map(self, work: Callable[..., Any], *given: Iterable[Any]) -> Iterator[Any]:
        """Like `Executor.map`: all of it is done, then the results are handed out."""
        futures = [self.submit(work, *each) for each in zip(*given, strict=False)]
        return (future.result() for future in futures)

    def shutdown(self, wait: bool = True) -> None:
        """There is nothing to end."""


@dataclass(frozen=True)
class Scenario:
    """A rollback to crash: how the world stands, what the function is told, and what has to come out.

    `platform` is CodeDeploy's compute platform, `Service` for a service that ECS itself deploys, or `Stage` for a stage
    of a pipeline. `effects` are the operations that it needs, no more and no fewer. `then` are later messages, each
    sent once its function makes one: it is asked every minute. `groups`: so many go back, each by its own rollback.
    """

    name: str
    platform: str
    prepare: Callable[[Scene], Any]
    ends_well: Callable[[Scene], bool]
    effects: frozenset[str]
    settings: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    message: Callable[[Scene], dict[str, Any]] | None = None
    then: tuple[Callable[[Scene], dict[str, Any] | None], ...] = ()
    events_are_lost: bool = False
    outcome: str = "ROLLED_BACK"
    groups: int = 1

    def __str__(self) -> str:
        return f"{self.platform}: {self.name}"


class Run:
    """One play of a scenario; `crash` is None in the original and the kind of crash in a copy."""

    def __init__(self, scenario: Scenario, it: Scene, kinds: tuple[Crash, ...]) -> None:
        self.scenario, self.it, self.kinds = scenario, it, kinds
        self.before = frozenset(_deployed(it))
        self.wireless = Wireless(it.sim) if kinds else None
        self.figures = Figures(str(scenario))
        self.crash: Crash | None = None
        self.where = ""
        self.depth = 0
        self.requests = 0
        self.waiting: list[tuple[datetime, str, dict[str, Any], int]] = []
        self.attempts: Counter[str] = Counter()
        self.later = list(scenario.then)
        self.notices: list[tuple[str, str, str]] = []
        self.violations: list[str] = []
        self.known: dict[str, list[str]] = {}
        self.world = ""
        self.pipe = -1
        self.found: list[str] = []

    # --- AWS delivers -------------------------------------------------------------------------------------------------

    def invoke(self, event: dict[str, Any], request_id: str = "", tries_left: int = len(RETRIES)) -> bool:
        """Lambda invokes the function once; False if it failed, which is delivered again with the same request id.

        A person's request is answered at once or not at all: nobody repeats it but the person, who does so too if the
        answer is to try again.
        """
        if not request_id:
            self.requests += 1
            request_id = f"request-{self.requests}"
        answered = self._answers(event, request_id)
        if not answered and tries_left and "action" not in event:
            self.waiting.append((self.it.now() + RETRIES[-tries_left], request_id, event, tries_left - 1))
        if self.crash and not self.depth and not self.world:
            self.world = self.fingerprint(answered)
            if self.world in self.known:
                self.report(self.known[self.world])
        return answered

    def _answers(self, event: dict[str, Any], request_id: str) -> bool:
        self.depth += 1
        try:
            return not any("refused" in result for result in self.it.local.handle(event, request_id))
        except Killed:
            self.it.local.restart()
            return False
        except Exception:
            return False
        finally:
            self.depth -= 1

    def play(self) -> None:
        """From the message to the end: every minute the retries that are due, and the sweep."""
        it, scenario = self.it, self.scenario
        if not scenario.events_are_lost:
            it.sim.listen(self.invoke)
        event = scenario.message(it) if scenario.message else it.alarm_message()
        if not self.invoke(event) and "action" in event and not self._heads():
            self.invoke(event)
        for _ in range(MINUTES):
            it.rollback_id = next((head["rollback_id"] for head in self._heads()), "")
            more = self.later[0](it) if self.later and it.rollback_id else None
            if more is None and self._quiet():
                return
            if more is not None:
                self._say(more)
            it.sim.advance(60)
            while due := next((each for each in self.waiting if each[0] <= it.now()), None):
                self.waiting.remove(due)
                _, request_id, again, tries_left = due
                self.invoke(again, request_id, tries_left)
            self.invoke(SWEEP)

    def _say(self, more: dict[str, Any]) -> None:
        """A later message. A person repeats a request that was not answered; all else is repeated by Lambda."""
        said = self.later.pop(0)
        if not self.invoke(more) and "action" in more:
            self.later.insert(0, said)

    def _heads(self) -> list[dict[str, Any]]:
        return [item for item in self.rows() if item["sk"] == "META"]

    def _quiet(self) -> bool:
        heads = self._heads()
        told = bool(heads) and all(head.get("outcome") and "open_key" not in head for head in heads)
        return told and not self.waiting and not is_watched(self.rows())

    # --- the application calls ----------------------------------------------------------------------------------------

    def call(self, perform: Callable[[], Any], service: str, operation: str, parameters: dict[str, Any]) -> Any:
        """One AWS call of the application: the place where it crashes."""
        where = f"{service} {operation} #{self.figures.by_operation[operation] + 1}"
        if self.crash is None:
            self.figures.calls += 1
            self.figures.by_operation[operation] += 1
            for kind in self.kinds:
                if self._branch(kind, where):
                    return self._crashed(kind, perform, operation, parameters)
        return self._perform(perform, operation, parameters)

    def _perform(self, perform: Callable[[], Any], operation: str, parameters: dict[str, Any]) -> Any:
        self._look_for_the_intent(operation)
        answer = perform()
        if operation == "Publish":
            notice = json.loads(json.loads(parameters["Message"])["default"])
            about = notice["metadata"]
            self.notices.append((about["threadId"], about["eventType"], notice["id"]))
        return answer

    def _crashed(self, kind: Crash, perform: Callable[[], Any], operation: str, parameters: dict[str, Any]) -> Any:
        match kind:
            case Crash.KILLED_BEFORE:
                raise Killed
            case Crash.KILLED_AFTER:
                self._perform(perform, operation, parameters)
                raise Killed
            case Crash.NO_ANSWER:
                self._perform(perform, operation, parameters)
                raise ReadTimeoutError(endpoint_url="https://aws")
            case Crash.THROTTLED:
                self._look_for_the_intent(operation)
                # It had no effect for sure, so the same intent may stand for the next try.
                self.attempts[operation] -= 1
                raise refused(operation, "ThrottlingException")
            case Crash.SERVER_ERROR:
                self._look_for_the_intent(operation)
                raise refused(operation, "InternalFailure", 500)

    def _look_for_the_intent(self, operation: str) -> None:
        action = EFFECTS.get(operation)
        if action is None:
            return
        self.attempts[operation] += 1
        intents = sum(r.get("kind") == "intent" and r.get("step_name") == action for r in self.rows())
        if intents < self.attempts[operation]:
            self.violations.append(f"{operation} was called {self.attempts[operation]} times after {intents} intents")

    # --- the copies ---------------------------------------------------------------------------------------------------

    def _branch(self, kind: Crash, where: str) -> bool:
        """Fork. True in the copy; the original waits for what the copy found."""
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            # The test runner has threads of its own; the copy uses none of them, and ends by itself.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            os.close(reading)
            self.crash, self.where, self.pipe = kind, where, writing
            return True
        os.close(writing)
        with os.fdopen(reading) as pipe:
            text = pipe.read()
        os.waitpid(child, 0)
        report = json.loads(text) if text else {"world": "", "violations": ["the copy ended without a report"]}
        if report["world"] not in self.known:
            self.figures.worlds += 1
            self.known[report["world"]] = report["violations"]
        self.figures.cases += 1
        self.figures.failures += [f"{self.scenario}: {kind.value}: {where}: {each}" for each in report["violations"]]
        return False

    def report(self, violations: list[str]) -> None:
        """The copy's last act."""
        text = json.dumps({"world": self.world or f"{self.crash} {self.where}", "violations": violations})
        os.write(self.pipe, text.encode())
        os._exit(0)

    def fingerprint(self, answered: bool = True) -> str:
        """Everything on which the rest depends: the table, CodeDeploy and its clock, what is still said and delivered.

        `answered`: whether the last invocation was.
        """
        rows = sorted(self.rows(), key=lambda row: (row["pk"], row["sk"]))
        mine = (answered, self.waiting, len(self.later), self.requests, self.attempts, self.notices, self.violations)
        sim, races = self.it.sim, [race.count for race in self.it.sim.races]
        text = canonical((rows, sim.engine, sim.pipelines, sim.stacks.stacks, sim.clock, races, mine))
        return hashlib.sha256(text.encode()).hexdigest()

    # --- what there is to see -----------------------------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """The audit table, straight from moto's memory."""
        table = dynamodb_backends[ACCOUNT][REGION].tables[TABLE]
        return [{name: value.value for name, value in item.attrs.items()} for item in table.all_items()]

    def check(self) -> list[str]:
        """What must hold at the end of every play."""
        it, rows = self.it, self.rows()
        # A release that meets its alarm firing is recorded beside the rollback that follows from it, an alarm that does
        # not exist beside the one that had joined it, and what a stack holds beside the stage that is rolled back.
        beside = {"RELEASED_IN_ALARM", "ALARM_NOT_CONFIRMED", "RELEASED_BY_PIPELINE"}
        heads = [head for head in self._heads() if head.get("reason_code") not in beside]
        found = list(self.violations)
        if len(heads) != self.scenario.groups:
            return [*found, f"there are {len(heads)} rollbacks"]
        made = {name: what for name, what in _deployed(it).items() if name not in self.before}
        named, stopped = {head.get("rollback_deployment_id", "") for head in heads}, _stopped(it)
        # Of the groups of a release that go back well, people hear once: with the first of them that ends.
        tell_of = {_first(each) for each in self._heads() if not each.get("passed_on_to")}
        told = {_first(each) for each in self._heads() if each["rollback_id"] in self._told("lastgood.closed")}
        wrong = {
            f"{len(made)} deployments were created": len(made) > len(heads),
            f"the records name {named} and not what was created: {set(made)}": bool(made) and named != set(made),
            f"live is {it.live or 'split'}, or what was to come afterwards did not": not self.scenario.ends_well(it),
            f"not only the suspects were stopped: {stopped}": not stopped
            <= {head.get("suspect_deployment_id") for head in heads},
            "the deployment group is locked": any(row.get("open_rollback_id") for row in rows if row["sk"] == "LOCK"),
            "nobody was told of the end": bool(tell_of - told),
            f"a notice has two ids: {self.notices}": len({notice[:2] for notice in self.notices})
            != len(set(self.notices)),
        }
        story = " ".join(map(_story, heads))
        found += [text + story for text, is_wrong in wrong.items() if is_wrong]
        return found + [each for head in heads for each in self._wrong_with(head, rows, made)]

    def _wrong_with(self, head: dict[str, Any], rows: list[dict[str, Any]], made: dict[str, str]) -> list[str]:
        """What does not hold of one rollback; `made` are all deployments that were created."""
        good, deployed = str(head.get("good_revision")), made.get(head.get("rollback_deployment_id", ""))
        wrong = {
            f"{deployed} was put back, and {good} is good": bool(deployed) and not _same(self.it, str(deployed), good),
            f"the outcome is {head.get('outcome')}": head.get("outcome") != self.scenario.outcome,
            "it is still in the open index": "open_key" in head or "next_check_at" in head,
            f"{head.get('lease_owner')} holds a lease": bool(head.get("lease_owner")),
            "the steps have gaps": _step_numbers(rows, head) != list(range(1, len(_step_numbers(rows, head)) + 1)),
        }
        return [text + _story(head) for text, is_wrong in wrong.items() if is_wrong]

    def _told(self, kind: str) -> set[str]:
        return {rollback_id for rollback_id, told, _ in self.notices if told == kind}


def crash_everywhere(scenario: Scenario, kinds: Iterable[Crash] = Crash) -> Figures:
    """Play a scenario and crash it at every call in every way (or only in some)."""
    plain = _played(scenario, ())
    if plain.found:
        # Crashing what fails by itself takes long and tells nothing more.
        plain.figures.failures = [f"{scenario}: {each}, without any crash" for each in plain.found]
        return plain.figures
    run = _played(scenario, tuple(kinds))
    # As before the play: see `conftest.py`.
    gc.collect()
    gc.freeze()
    figures = run.figures
    missing = scenario.effects ^ {each for each in EFFECTS if figures.by_operation[each]}
    figures.failures += [f"{scenario}: the effects differ from what is expected: {sorted(missing)}"] * bool(missing)
    if (plain.figures.by_operation, plain.world) != (figures.by_operation, run.world):
        figures.failures.append(f"{scenario}: over the wire the world is another one")
    return figures


def _played(scenario: Scenario, kinds: tuple[Crash, ...]) -> Run:
    """One play: over the wire and undisturbed, or without the wire and splitting at every call for each kind."""
    with _world(scenario) as it:
        run = Run(scenario, it, kinds)
        gc.collect()
        gc.freeze()
        try:
            with patch.object(BaseClient, "_make_api_call", _splitting(run)):
                run.play()
            run.found = run.check()
            run.world = run.world or run.fingerprint()
        except BaseException:
            if run.crash is None:
                raise
            run.found = [traceback.format_exc(limit=-6)]
        finally:
            if run.crash is not None:
                run.report(run.found)
            gc.unfreeze()
        return run


make_clients = Clients.make


@cache
def _clients() -> Clients:
    made = make_clients()
    _ = made.events, made.s3, made.codepipeline, made.cloudformation
    return made


@contextmanager
def _world(scenario: Scenario) -> Iterator[Scene]:
    with (
        # boto3's clients keep nothing between calls, so a fresh execution environment may have the same ones.
        patch.object(Clients, "make", lambda session=None: _clients()),
        patch("lastgood.parts.ThreadPoolExecutor", Inline),
        _scene(scenario) as it,
    ):
        scenario.prepare(it)
        # moto makes its signing key with the first message; a copy of the process need not.
        it.local.sns.publish(TopicArn=it.local.topic_arn, Message="Are you there?")
        it.rollback_id = ""
        yield it


def _scene(scenario: Scenario) -> AbstractContextManager[Scene]:
    if scenario.platform == "Service":
        return service_scene(settings=scenario.settings, **scenario.options)
    if scenario.platform == "Stage":
        return stage_scene(settings=scenario.settings, **scenario.options)
    return scene(scenario.platform, settings=scenario.settings, **scenario.options)


def _splitting(run: Run) -> Callable[..., Any]:
    original = BaseClient._make_api_call

    def make_api_call(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if not run.depth:
            return original(client, operation, parameters)
        service = client.meta.service_model.service_name

        def perform() -> Any:
            answer = run.wireless.answer(service, operation, parameters) if run.wireless else None
            return original(client, operation, parameters) if answer is None else answer

        return run.call(perform, service, operation, parameters)

    return make_api_call


def _deployed(it: Scene) -> dict[str, str]:
    """What lastgood may have created, each with what it deploys: what carries its marker, else everything of the kind.

    ECS and CodePipeline keep no marker; but in a scenario nobody else updates the service, or rolls the stage back,
    once the play has begun.
    """
    if isinstance(it, StageScene):
        return {run.id: run.sources["Source"] for run in it.pipeline.runs if run.trigger[0] == "ManualRollback"}
    if isinstance(it, ServiceScene):
        return {each.id: each.target.task_definition for each in it.owner.deployments}
    made = it.sim.engine.group(it.application, it.group).deployments
    ours = [each for each in made if (each.request.get("description") or "").startswith("lastgood rb-")]
    runs = [run for pipeline in it.sim.pipelines.pipelines.values() for run in pipeline.runs]
    stages = {run.id: run.sources["Source"] for run in runs if run.trigger[0] == "ManualRollback"}
    services = it.sim.engine.service_deployments.services.values()
    updates = {each.id: each.target.task_definition for service in services for each in service.deployments}
    return {each.id: it.sim.engine.target(each) for each in ours} | stages | updates


def _stopped(it: Scene) -> set[str]:
    """The deployments that were asked to stop, and those that ECS rolled back because a person asked it to."""
    asked = {arrival.parameters["deploymentId"] for arrival in it.sim.calls("StopDeployment")}
    asks = (*it.sim.calls("StopServiceDeployment"), *it.sim.calls("ContinueServiceDeployment"))
    arns = {arrival.parameters["serviceDeploymentArn"] for arrival in asks}
    executions = {arrival.parameters["pipelineExecutionId"] for arrival in it.sim.calls("StopPipelineExecution")}
    return asked | executions | {arn.rpartition("/")[2] for arn in arns}


def _first(head: dict[str, Any]) -> str:
    """The rollback that this one follows, or itself."""
    return str(head.get("follows") or head["rollback_id"])


def _story(head: dict[str, Any]) -> str:
    return f" [{head.get('phase')} {head.get('outcome')} {head.get('reason_code')}: {head.get('explanation')}]"


def _same(it: Scene, deployed: str, good: str) -> bool:
    """Whether what was deployed is the good revision: itself, or a task definition that was registered like it."""
    if ":task-definition/" in deployed:
        definition = it.sim.engine.ecs_world.task_definition
        return bool(definition(deployed).content == definition(good).content)
    return number_of(deployed) == number_of(good)


def _step_numbers(rows: list[dict[str, Any]], head: dict[str, Any]) -> list[int]:
    mine = [row["sk"] for row in rows if row["pk"] == head["pk"]]
    return sorted(int(sk.removeprefix("STEP#")) for sk in mine if sk.startswith("STEP#"))


def canonical(value: object) -> str:
    """A text that is equal for equal worlds, whatever objects they are made of."""
    seen: dict[int, int] = {}
    kept: list[object] = []

    def text(each: Any) -> str:
        if each is None or isinstance(each, str | int | float | bool | bytes | datetime | timedelta | Enum):
            return repr(each)
        if isinstance(each, types.FunctionType | types.MethodType | types.BuiltinFunctionType | type):
            return each.__qualname__
        if isinstance(each, type(threading.Lock()) | type(threading.RLock())):
            return "lock"
        if id(each) in seen:
            return f"@{seen[id(each)]}"
        seen[id(each)] = len(seen)
        kept.append(each)
        if isinstance(each, random.Random):
            return repr(each.getstate())
        if isinstance(each, Iterator):
            return repr(each)
        if isinstance(each, dict):
            return "{" + ",".join(f"{text(k)}:{text(v)}" for k, v in sorted(each.items(), key=_by_name)) + "}"
        if isinstance(each, set | frozenset):
            return "{" + ",".join(sorted(text(part) for part in each)) + "}"
        if isinstance(each, Iterable) and not is_dataclass(each):
            return "[" + ",".join(text(part) for part in each) + "]"
        slots = {name: getattr(each, name) for name in getattr(each, "__slots__", ())}
        return f"{type(each).__qualname__}({text({**slots, **getattr(each, '__dict__', {})})})"

    return text(value)


def _by_name(pair: tuple[object, object]) -> str:
    return str(pair[0])
