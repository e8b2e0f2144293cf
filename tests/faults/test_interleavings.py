"""Random interleavings of everything that touches a group, a service, a pipeline, a stage or a stack.

Teams release and stop, alarms fire and recover, messages come late, twice and out of order, calls are throttled, lose
their answers or kill the environment, and other invocations run between any two calls of one. What must hold is in
`World`. The same examples are played every time; LASTGOOD_SOAK=1 plays twenty times as many from a seed that it prints.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from docs_from_code import fault_figures
from faults.places import ALARMS, Config
from faults.world import Plan, World, lose_answer, refusal, world

SOAK = os.environ.get("LASTGOOD_SOAK") == "1"
EXAMPLES = int(os.environ.get("LASTGOOD_SOAK_EXAMPLES", "400"))
STEPS = 30 if SOAK else 20
PATHS = ("sns", "eventbridge", "alarm_action")
CALL = st.integers(1, 24)
AFTER = st.sampled_from([5, 60, 400])
THROTTLED = (
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

THROTTLED_SERVICE = (
    "UpdateService",
    "StopServiceDeployment",
    "ListServiceDeployments",
    "DescribeServiceDeployments",
    "DescribeServiceRevisions",
    "DescribeServices",
    "DescribeTaskDefinition",
    "RegisterTaskDefinition",
)
THROTTLED_STAGE = (
    "RollbackStage",
    "StopPipelineExecution",
    "GetPipelineState",
    "GetPipeline",
    "GetPipelineExecution",
    "ListPipelineExecutions",
    "ListActionExecutions",
)
THROTTLED_STACK = (
    "DescribeStackResources",
    "DescribeStacks",
    "CancelUpdateStack",
    "StopDeployment",
    "ListDeployments",
    "GetDeployment",
    "GetAlias",
    *THROTTLED_STAGE,
)
THROTTLED_PIPELINE = (
    "StartPipelineExecution",
    "DisableStageTransition",
    "EnableStageTransition",
    "GetPipelineState",
    "GetPipeline",
    "GetPipelineExecution",
    "ListPipelineExecutions",
    "ListActionExecutions",
)


def configs(platforms: list[str], modes: list[str], **more: Any) -> st.SearchStrategy[Config]:
    """How an example may be set up."""
    return st.builds(
        Config,
        platform=st.sampled_from(platforms),
        slow=st.booleans(),
        native_alarm=st.booleans(),
        stop_pending=st.sampled_from([0.0, 0.0, 3.0, 60.0]),
        rollback_delay=st.sampled_from([0.0, 5.0]),
        list_order=st.sampled_from(["newest_first", "shuffled"]),
        settings=st.fixed_dictionaries(
            {
                "LASTGOOD_MODE": st.sampled_from(modes),
                "LASTGOOD_COOLDOWN": st.sampled_from(["30m", "30m", "1s"]),
                "LASTGOOD_NATIVE_ROLLBACK": st.sampled_from(["true", "false"]),
                "LASTGOOD_STOP_WITHOUT_TARGET": st.sampled_from(["never", "first-deployment", "always"]),
            }
        ),
        **more,
    )


MODES = ["auto", "auto", "auto", "auto", "approve", "observe"]
groups = configs(["Server", "Lambda", "ECS"], MODES)
services = configs(["Service"], MODES, breaker_goes_back=st.booleans())
pipelines = configs(
    ["Server"],
    ["auto", "auto", "auto", "approve"],
    pipeline=st.sampled_from([{"after_rollback": "rerun"}, {"after_rollback": "tell", "hold": "Deploy"}]),
)
stages = configs(
    ["Stage"],
    MODES,
    stage=st.fixed_dictionaries(
        {
            "mode": st.sampled_from(["SUPERSEDED", "QUEUED", "PARALLEL"]),
            "on_failure": st.sampled_from(["", "", "ROLLBACK"]),
            "on_success": st.sampled_from(
                [
                    {},
                    {},
                    {"alarm": ALARMS[0], "minutes": 5, "result": "ROLLBACK"},
                    {"alarm": ALARMS[1], "minutes": 15, "result": "FAIL"},
                ]
            ),
            "held_rollbacks_wait": st.booleans(),
            "tells": st.booleans(),
        }
    ),
)
stacks = configs(
    ["Stack"],
    MODES,
    stack=st.fixed_dictionaries(
        {
            "cancels": st.booleans(),
            "by_pipeline": st.booleans(),
            "linked": st.booleans(),
            "creator": st.sampled_from(["user", "CloudFormation"]),
            "monitoring_minutes": st.sampled_from([0, 30]),
            "disable_rollback": st.sampled_from([False, False, True]),
            "rollback_fails": st.sampled_from([False, False, False, True]),
        }
    ),
)
HISTORY = st.sampled_from([2, 3, 1])
ALARM = st.sampled_from(ALARMS)


@dataclass(frozen=True)
class Trouble:
    """What happens at the n-th call of an invocation: the environment dies, an answer is lost, somebody else acts."""

    what: str = ""
    call: int = 1
    after: bool = False


troubles = st.one_of(
    st.just(Trouble()),
    st.builds(Trouble, st.sampled_from(["crash", "lost"]), CALL, st.booleans()),
    st.builds(Trouble, st.sampled_from(["throttled", "release", "release_ends", "stop", "recovers"]), CALL),
    st.builds(Trouble, st.sampled_from(["again", "sweep", "time", "pause"]), CALL),
)
LATE_CALL = st.integers(1, 48)
pipeline_troubles = st.one_of(
    troubles,
    st.builds(Trouble, st.sampled_from(["crash", "lost"]), LATE_CALL, st.booleans()),
    st.builds(Trouble, st.sampled_from(["throttled", "release", "transition", "transition"]), LATE_CALL),
)
"""What follows for the pipeline comes after many calls."""


class Interleavings(RuleBasedStateMachine):
    """One deployment group through everything that can happen to it."""

    played: ClassVar[Counter[str]] = Counter()
    kind: ClassVar[str] = "deployment groups"

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.it: World = None  # type: ignore[assignment]
        self.newest = 0

    @initialize(config=groups, history=HISTORY, after=AFTER, alarm=ALARM, trouble=troubles)
    def begin(self, config: Config, history: int, after: int, alarm: str, trouble: Trouble) -> None:
        """A history, a release on top of it, an alarm, and its message, with or without trouble."""
        self.it = self.stack.enter_context(world(config))
        for _ in range(history):
            self._release_next()
            self.it.sim.settle()
            self.it.sim.advance(7200)
        self._release_next()
        self.it.sim.advance(after)
        self.it.alarm(alarm, "ALARM")
        self._plan(trouble)
        self.it.invoke(self.it.messages[-1].event("sns"))

    # --- teams --------------------------------------------------------------------------------------------------------

    @rule(what=st.sampled_from(["release", "release", "floor", "failing", "back", "stop"]), settled=st.booleans())
    def team_acts(self, what: str, settled: bool) -> None:
        match what:
            case "release":
                self._release_next()
            case "floor":
                self._release_next(floor=True)
            case "failing":
                self._release_next(failing=True)
            case "back":
                self.it.release(max(1, self.newest - 1))
            case "stop":
                self.it.place.stop()
        if settled:
            self.it.sim.settle()

    @rule(alarm=ALARM, after=AFTER, path=st.sampled_from(PATHS), trouble=troubles)
    def bad_release(self, alarm: str, after: int, path: str, trouble: Trouble) -> None:
        """The usual story in one step."""
        self._release_next()
        self.it.sim.advance(after)
        self.it.alarm(alarm, "ALARM")
        self._plan(trouble)
        self.it.invoke(self.it.messages[-1].event(path))

    def _release_next(self, *, floor: bool = False, failing: bool = False) -> None:
        if self.it.release(self.newest + 1, floor=floor, failing=failing):
            self.newest += 1

    # --- time and alarms ----------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0, 1, 20, 61, 300, 1000, 2000, 3700, 14400]))
    def time_passes(self, seconds: int) -> None:
        """Nothing means: until no deployment is under way."""
        if seconds:
            self.it.sim.advance(seconds)
        else:
            self.it.sim.settle()

    @rule(seconds=st.sampled_from([-25, 0, 25]))
    def host_clock_is_off(self, seconds: int) -> None:
        self.it.skew = timedelta(seconds=seconds)

    @rule(alarm=ALARM, state=st.sampled_from(["ALARM", "ALARM", "OK"]))
    def alarm_changes(self, alarm: str, state: str) -> None:
        self.it.alarm(alarm, state)

    # --- signals ------------------------------------------------------------------------------------------------------

    @rule(back=st.integers(1, 4), path=st.sampled_from(PATHS), times=st.sampled_from([1, 1, 2]), trouble=troubles)
    def message_comes(self, back: int, path: str, times: int, trouble: Trouble) -> None:
        """Any of the last messages, whether it came before or not."""
        self._plan(trouble)
        message = self.it.messages[-min(back, len(self.it.messages))]
        for _ in range(times):
            self.it.invoke(message.event(path))

    @rule(minutes=st.integers(1, 4), trouble=troubles)
    def sweeps(self, minutes: int, trouble: Trouble) -> None:
        self._plan(trouble)
        for _ in range(minutes):
            self.it.sim.advance(60)
            self.it.sweep()

    @precondition(lambda self: self.it.codedeploy_events)
    @rule(newest=st.booleans(), trouble=troubles)
    def codedeploy_event_comes(self, newest: bool, trouble: Trouble) -> None:
        """Many never come: nothing else delivers them."""
        self._plan(trouble)
        self.it.invoke(self.it.codedeploy_events.pop(-1 if newest else 0))

    @precondition(lambda self: self.it.unfinished)
    @rule(trouble=troubles)
    def lambda_repeats(self, trouble: Trouble) -> None:
        self._plan(trouble)
        self.it.retry()

    # --- operators ----------------------------------------------------------------------------------------------------

    @rule(dry_run=st.booleans(), trouble=troubles)
    def operator_asks_for_a_rollback(self, dry_run: bool, trouble: Trouble) -> None:
        self._plan(trouble)
        self.it.ask("rollback", dry_run=dry_run)

    @rule(
        action=st.sampled_from(["pause", "resume", "resume", "approve", "approve", "reject"]),
        everything=st.booleans(),
    )
    def operator_says(self, action: str, everything: bool) -> None:
        if action in {"pause", "resume"}:
            self.it.ask(action, **(dict.fromkeys(self.it.place.names) if everything else {}))
            return
        waiting = [h["rollback_id"] for h in self.it.heads() if h["phase"] == "AWAITING_APPROVAL"]
        if waiting:
            said = {"action": action, "rollback_id": waiting[0], "requested_by": "alex", "reason": "simulated"}
            self.it.invoke(said)

    @rule(action=st.sampled_from(["mark_bad", "mark_good", "set_floor"]), back=st.integers(1, 3))
    def operator_marks(self, action: str, back: int) -> None:
        made = self.it.place.deployments
        self.it.ask(action, deployment_id=made[-min(back, len(made))].id)

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    @rule(operation=st.sampled_from(THROTTLED), count=st.sampled_from([1, 2, 6]))
    def throttling(self, operation: str, count: int) -> None:
        self.it.sim.throttle(operation, count)

    @rule(operation=st.sampled_from(["CreateDeployment", "StopDeployment"]), effect=st.booleans())
    def no_answer(self, operation: str, effect: bool) -> None:
        fail = self.it.sim.effect_then_timeout if effect else self.it.sim.timeout_without_effect
        fail(operation)

    def _plan(self, trouble: Trouble) -> None:
        """Trouble at the n-th call of the next invocation."""
        it = self.it
        acts: dict[str, Callable[[], Any]] = {
            "crash": it.kill,
            "lost": lose_answer,
            "throttled": lambda: refusal("ThrottlingException"),
            "release": self._release_next,
            "release_ends": self._release_ends,
            "stop": it.place.stop,
            "recovers": self._recovers,
            "again": lambda: it.invoke(it.messages[-1].event("eventbridge")),
            "sweep": it.sweep,
            "time": lambda: it.sim.advance(25),
            "pause": lambda: it.ask("pause"),
            "transition": self._somebody_opens_or_closes,
        }
        if trouble.what:
            it.next_plans.append(Plan(trouble.call, acts[trouble.what], trouble.after))

    def _release_ends(self) -> None:
        self._release_next()
        self.it.sim.advance(20)

    def _somebody_opens_or_closes(self) -> None:
        if self.it.pipeline:
            self.it.set_transition(enabled=not self.it.transition.enabled)

    def _recovers(self) -> None:
        for alarm in ALARMS:
            self.it.alarm(alarm, "OK")
            self.it.invoke(self.it.messages[-1].event("sns"))

    # --- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        if self.it is not None:
            self.it.check()

    def teardown(self) -> None:
        try:
            if self.it is not None:
                self.it.quieten()
                heads = self.it.heads()
                self.played.update(plays=1, invocations=self.it.requests, rollbacks=len(heads))
        finally:
            self.stack.close()


class Services(Interleavings):
    """A service that ECS itself deploys: releases replace each other, and ECS goes back by itself."""

    played: ClassVar[Counter[str]] = Counter()
    kind: ClassVar[str] = "services"

    @initialize(config=services, history=HISTORY, after=AFTER, alarm=ALARM, trouble=troubles)
    def begin(self, config: Config, history: int, after: int, alarm: str, trouble: Trouble) -> None:
        """As above; the service has run for a day by then."""
        self.newest = 1
        super().begin(config, history, after, alarm, trouble)

    @rule(back=st.integers(1, 3))
    def somebody_tidies_up(self, back: int) -> None:
        """An old task definition becomes INACTIVE."""
        self.it.place.deregister(max(1, self.newest - back))

    @rule(alarm=ALARM, after=AFTER, path=st.sampled_from(PATHS), trouble=troubles)
    def failing_release(self, alarm: str, after: int, path: str, trouble: Trouble) -> None:
        """Its tasks do not start: the alarm and the circuit breaker find out side by side."""
        self._release_next(failing=True)
        self.it.sim.advance(after)
        self.it.alarm(alarm, "ALARM")
        self._plan(trouble)
        self.it.invoke(self.it.messages[-1].event(path))

    @rule(operation=st.sampled_from(THROTTLED_SERVICE), count=st.sampled_from([1, 2, 6]))
    def throttling(self, operation: str, count: int) -> None:
        self.it.sim.throttle(operation, count)

    @rule(operation=st.sampled_from(["UpdateService", "StopServiceDeployment"]), effect=st.booleans())
    def no_answer(self, operation: str, effect: bool) -> None:
        fail = self.it.sim.effect_then_timeout if effect else self.it.sim.timeout_without_effect
        fail(operation)


class Pipelines(Interleavings):
    """A deployment group that a pipeline releases to, which is run again, held, or both after a rollback."""

    played: ClassVar[Counter[str]] = Counter()
    kind: ClassVar[str] = "pipelines"

    @initialize(config=pipelines, history=HISTORY, after=AFTER, alarm=ALARM, trouble=pipeline_troubles)
    def begin(self, config: Config, history: int, after: int, alarm: str, trouble: Trouble) -> None:
        super().begin(config, history, after, alarm, trouble)

    @rule(alarm=ALARM, after=AFTER, path=st.sampled_from(PATHS), trouble=pipeline_troubles)
    def bad_release(self, alarm: str, after: int, path: str, trouble: Trouble) -> None:
        super().bad_release(alarm, after, path, trouble)

    @rule(minutes=st.integers(1, 8), trouble=pipeline_troubles)
    def sweeps(self, minutes: int, trouble: Trouble) -> None:
        super().sweeps(minutes, trouble)

    @rule(enabled=st.booleans())
    def somebody_changes_the_transition(self, enabled: bool) -> None:
        self.it.set_transition(enabled=enabled)

    @rule()
    def somebody_changes_the_pipeline(self) -> None:
        self.it.pipeline.version += 1

    @rule(newer=st.booleans())
    def a_commit_is_pushed(self, newer: bool) -> None:
        """It is on its way, and nobody waits for it."""
        self.newest += newer
        self.it.push(self.newest)

    @rule(trouble=pipeline_troubles)
    def operator_releases_the_stage(self, trouble: Trouble) -> None:
        self._plan(trouble)
        self.it.ask("release")

    @rule(operation=st.sampled_from(THROTTLED_PIPELINE), count=st.sampled_from([1, 6, 16]))
    def throttling(self, operation: str, count: int) -> None:
        self.it.sim.throttle(operation, count)

    @rule(operation=st.sampled_from(THROTTLED_PIPELINE[:3]), effect=st.booleans(), count=st.sampled_from([1, 5, 15]))
    def no_answer(self, operation: str, effect: bool, count: int) -> None:
        fail = self.it.sim.effect_then_timeout if effect else self.it.sim.timeout_without_effect
        fail(operation, count)


class Stages(Interleavings):
    """A stage of a pipeline: releases wait before it, people roll it back, and so does CodePipeline."""

    played: ClassVar[Counter[str]] = Counter()
    kind: ClassVar[str] = "stages"

    @initialize(config=stages, history=HISTORY, after=AFTER, alarm=ALARM, trouble=troubles)
    def begin(self, config: Config, history: int, after: int, alarm: str, trouble: Trouble) -> None:
        super().begin(config, history, after, alarm, trouble)

    @rule(back=st.integers(0, 3))
    def somebody_rolls_the_stage_back(self, back: int) -> None:
        self.it.place.goes_back(max(1, self.newest - back))

    @rule(enabled=st.booleans())
    def somebody_changes_the_transition(self, enabled: bool) -> None:
        self.it.place.let_in(enabled=enabled)

    @rule()
    def somebody_changes_the_pipeline(self) -> None:
        self.it.place.pipeline.version += 1

    @rule(operation=st.sampled_from(THROTTLED_STAGE), count=st.sampled_from([1, 2, 6]))
    def throttling(self, operation: str, count: int) -> None:
        self.it.sim.throttle(operation, count)

    @rule(operation=st.sampled_from(THROTTLED_STAGE[:2]), effect=st.booleans())
    def no_answer(self, operation: str, effect: bool) -> None:
        fail = self.it.sim.effect_then_timeout if effect else self.it.sim.timeout_without_effect
        fail(operation)


class Stacks(Interleavings):
    """A group whose alias a stack holds: by itself, with updates that may be cancelled, or behind a pipeline."""

    played: ClassVar[Counter[str]] = Counter()
    kind: ClassVar[str] = "stacks"

    @initialize(config=stacks, history=HISTORY, after=AFTER, alarm=ALARM, trouble=troubles)
    def begin(self, config: Config, history: int, after: int, alarm: str, trouble: Trouble) -> None:
        """As above; the stack was created with version 1."""
        self.newest = 1
        super().begin(config, history, after, alarm, trouble)

    @rule(what=st.sampled_from(["cancel", "mend", "mend"]))
    def somebody_sees_to_the_stack(self, what: str) -> None:
        getattr(self.it.place, what)()

    @rule(operation=st.sampled_from(THROTTLED_STACK), count=st.sampled_from([1, 2, 6]))
    def throttling(self, operation: str, count: int) -> None:
        self.it.sim.throttle(operation, count)

    @rule(
        operation=st.sampled_from(["CancelUpdateStack", "CancelUpdateStack", "StopDeployment", "RollbackStage"]),
        effect=st.booleans(),
        count=st.sampled_from([1, 5]),
    )
    def no_answer(self, operation: str, effect: bool, count: int) -> None:
        fail = self.it.sim.effect_then_timeout if effect else self.it.sim.timeout_without_effect
        fail(operation, count)


@pytest.mark.parametrize(
    ("machine", "examples"), [(Interleavings, 20), (Services, 12), (Pipelines, 8), (Stages, 6), (Stacks, 6)]
)
def test_what_is_promised_holds_whatever_happens_in_whatever_order(machine: type[Interleavings], examples: int) -> None:
    """Invariants: see `World.check`, `World.quieten` and the witnesses of every call that changes something."""
    examples = EXAMPLES * examples // 20 if SOAK else examples
    play = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        derandomize=not SOAK,
        database=None,
        deadline=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    if SOAK:
        number = int(os.environ.get("LASTGOOD_SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
        print(f"\nLASTGOOD_SOAK_SEED={number}, {machine.kind}: {examples} examples of {STEPS} steps")
        seed(number)(machine)
    run_state_machine_as_test(machine, settings=play)
    fault_figures.append("interleavings", of=machine.kind, **machine.played)


# --- what was found, each as its shortest story -----------------------------------------------------------------------


@contextmanager
def _alarmed(platform: str, *, after: int = 400, **options: Any) -> Iterator[World]:
    """Revisions 1 and 2 were good, 3 is bad, and its alarm fires; the message has not come yet."""
    with world(Config(platform=platform, **options)) as it:
        for number in (1, 2):
            it.release(number)
            it.sim.settle()
            it.sim.advance(7200)
        it.release(3)
        it.sim.advance(after)
        it.alarm(ALARMS[0], "ALARM")
        yield it


def _first_try_is_throttled(it: World) -> None:
    """The message comes, the plan is made, and CreateDeployment is throttled until the invocation gives up."""
    it.sim.throttle("CreateDeployment", 8)
    it.invoke(it.messages[0].event("sns"))
    it.unfinished.clear()
    assert [h["phase"] for h in it.heads()] == ["REDEPLOYING"]
    it.sim.advance(5)


@pytest.mark.parametrize("what", ["dies", "gets no answer", "meets its duplicate"])
def test_the_usual_rollback_with_trouble_at_each_of_its_calls(what: str) -> None:
    """The sweep comes minutes later, when whatever was created has ended and no longer occupies the group."""
    calls = 0
    for call in range(1, 30):
        with _alarmed("Server", slow=False) as it:
            event = it.messages[0].event("sns")
            acts: dict[str, Callable[[], Any]] = {
                "dies": it.kill,
                "gets no answer": lose_answer,
                "meets its duplicate": partial(it.invoke, event),
            }
            plan = Plan(call, acts[what], after=True)
            it.next_plans.append(plan)
            it.invoke(event)
            if not it.played:
                break
            calls += 1
            it.check()
            it.unfinished.clear()
            it.sim.advance(400)
            it.quieten()
            assert [h["outcome"] for h in it.heads()] in (["ROLLED_BACK"], []), (call, it.heads())
            assert len(it.created()) == len(it.heads())
    assert calls > 8


@pytest.mark.parametrize("platform", ["Server", "Lambda", "ECS"])
def test_a_fix_that_succeeded_between_two_visits_is_not_overwritten(platform: str) -> None:
    with _alarmed(platform, slow=False) as it:
        _first_try_is_throttled(it)
        assert it.release(4)
        it.sim.settle()
        it.sim.advance(60)
        it.sweep()
        it.quieten()
        assert not it.created()


def test_a_manual_rollback_leaves_alone_what_was_released_after_the_request() -> None:
    with _alarmed("Server") as it:
        it.sim.settle()
        it.sim.throttle("ListDeployments", 16)
        it.ask("rollback")
        it.sim.faults.clear()
        it.sim.advance(60)
        fix = it.release(4)
        it.sim.advance(5)
        it.sweep()
        it.quieten()
        assert it.sim.deployment(fix)["status"] != "Stopped"


@pytest.mark.parametrize(("action", "marked"), [("mark_bad", 2), ("set_floor", 3)])
def test_what_an_operator_marks_meanwhile_is_not_put_back(action: str, marked: int) -> None:
    with _alarmed("Server", slow=False) as it:
        _first_try_is_throttled(it)
        it.ask(action, deployment_id=it.place.deployments[marked - 1].id)
        it.sim.advance(60)
        it.sweep()
        it.quieten()
        assert not it.created()


def test_an_alarm_that_recovers_in_the_middle_does_not_leave_the_lease_behind() -> None:
    with _alarmed("Server", slow=False) as it:

        def recovers() -> None:
            it.alarm(ALARMS[0], "OK")
            it.invoke(it.messages[-1].event("sns"))

        it.next_plans.append(Plan(6, recovers))
        it.invoke(it.messages[0].event("sns"))
        (head,) = it.heads()
        assert head.get("outcome") or not head["lease_owner"], head["lease_until"]


@pytest.mark.parametrize("platform", ["Server", "Lambda", "ECS"])
def test_a_rollback_that_a_release_followed_is_still_a_success(platform: str) -> None:
    with _alarmed(platform, slow=False) as it:
        it.invoke(it.messages[0].event("sns"))
        it.sim.settle()
        assert it.release(4)
        it.sim.settle()
        it.sim.advance(400)
        it.sweep()
        assert [h["outcome"] for h in it.heads()] == ["ROLLED_BACK"]
