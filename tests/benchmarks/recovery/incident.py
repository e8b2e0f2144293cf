"""One incident: a place, a timeline, an alarm that measures what really serves, and somebody who answers it.

The alarm is an error rate over 5 %, two of three one-minute datapoints; fewer than two are OK. Everything that is
judged is written down here from the simulator's own state, never from what an actor says.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

from benchmarks.recovery import scenarios
from benchmarks.recovery.places import Place
from benchmarks.recovery.scenarios import Release, Scenario
from faults.world import SerialPool
from scene import ALARM, Scene
from stage.local import alarm_event, group_tags, tag_pairs

STEP_SECONDS = 5
PERIODS, DATAPOINTS, THRESHOLD = 3, 2, 0.05
LONGEST_MINUTES = 150
QUIET_MINUTES = 25
"""An incident is over when nothing has happened for so long; the watch over an alarm's recovery is shorter."""
UNKNOWN = -1
RETRIES = (60.0, 120.0)
"""After these seconds Lambda invokes a function again whose asynchronous invocation failed."""


class Crashed(BaseException):
    """The function's environment is gone. No handler of any actor may see this."""


@dataclass(frozen=True)
class Moment:
    """What served from `at` on: each revision's share."""

    at: datetime
    shares: dict[int, float]


@dataclass
class Incident:
    """What happened, for the judge.

    `released` maps the deployments that the scenario itself made to their revisions, `numbers` each content to the
    revision that brought it.
    """

    it: Scene
    scenario: Scenario
    place: Place
    moments: list[Moment] = field(default_factory=list)
    released: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    firing: bool = False
    alarms: int = 0
    fired_at: datetime | None = None
    paused: bool = False
    begun_at: datetime | None = None
    crash_is_due: bool = False
    _outages: list[tuple[datetime, datetime]] = field(default_factory=list)
    _first_served: dict[int, datetime] = field(default_factory=dict)
    _rates: list[float] = field(default_factory=list)
    _failing_seconds: float = 0.0
    _due: list[tuple[datetime, Callable[[], None]]] = field(default_factory=list)
    _last_event: datetime | None = None

    def now(self) -> datetime:
        """The simulated time."""
        return self.it.now()

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something so many seconds from now."""
        self._due.append((self.now() + timedelta(seconds=seconds), act))

    # --- what is true -------------------------------------------------------------------------------------------------

    def fails(self, number: int) -> bool:
        """Whether requests to a revision fail now, by its own fault."""
        begin = self.failing_since(number)
        if begin is None or self.now() < begin:
            return False
        if self.scenario.intermittent is None:
            return True
        on, off = self.scenario.intermittent
        return ((self.now() - begin).total_seconds() / 60) % (on + off) < on

    def failing_since(self, number: int) -> datetime | None:
        """From when on a revision is bad; None for one that is good or has not served."""
        minutes = self.scenario.bad.get(number)
        first = self._first_served.get(number)
        return first + timedelta(minutes=minutes) if minutes is not None and first else None

    def look(self) -> None:
        """Write down what serves."""
        shares = self._by_number(self.place.serving(self.it))
        for number in shares:
            self._first_served.setdefault(number, self.now())
        if not self.moments or self.moments[-1].shares != shares:
            self.moments.append(Moment(self.now(), shares))
            self._last_event = self.now()

    def _by_number(self, contents: dict[str, float]) -> dict[int, float]:
        """Shares of revisions. A content that is not known yet came with the last release, or was there before all."""
        found: dict[int, float] = {}
        for content, share in contents.items():
            number = self.number(content)
            found[number] = found.get(number, 0.0) + share
        return {number: share for number, share in found.items() if share}

    def number(self, content: str) -> int:
        """The revision that brought a content first; UNKNOWN for what no release of the scenario brought."""
        for deployment_id, number in self.released.items():
            if (brought := self.it.sim.content_of(deployment_id)) and brought not in self.numbers:
                self.numbers[brought] = number
        return self.numbers.get(content, UNKNOWN)

    def _error_rate(self) -> float:
        if any(begin <= self.now() < end for begin, end in self._outages):
            return 1.0
        return sum(share for number, share in self.moments[-1].shares.items() if self.fails(number))

    # --- time ---------------------------------------------------------------------------------------------------------

    def play(self, actor: Any) -> None:
        """From the end of the history until everything is over."""
        self.begun_at = self.now()
        for minute, happening in self.scenario.timeline:
            self.later(60 * minute, partial(self._happen, happening, actor))
        for _ in range(LONGEST_MINUTES):
            for _ in range(60 // STEP_SECONDS):
                self._do_what_is_due()
                self.it.sim.advance(STEP_SECONDS)
                self.look()
                self._failing_seconds += STEP_SECONDS * self._error_rate()
            self._evaluate(actor)
            actor.minute()
            self.look()
            if self._is_over():
                return

    def _do_what_is_due(self) -> None:
        while due := sorted((each for each in self._due if each[0] <= self.now()), key=lambda each: each[0]):
            self._due.remove(due[0])
            self._last_event = self.now()
            due[0][1]()
            self.look()

    def _is_over(self) -> bool:
        if self._due or self._changing() or self._to_come():
            return False
        return self._last_event is not None and self.now() - self._last_event > timedelta(minutes=QUIET_MINUTES)

    def _changing(self) -> bool:
        return len(self.moments[-1].shares) > 1 or bool(self.active())

    def _to_come(self) -> bool:
        """Whether a revision that serves well is still going to fail."""
        serving = (self.failing_since(number) for number in self.moments[-1].shares)
        return any(begin is not None and begin > self.now() for begin in serving)

    def active(self) -> list[str]:
        """The deployments that are going on."""
        if self.place.is_service:
            deployments = self.it.owner.deployments  # type: ignore[attr-defined]
            return [each.id for each in deployments if not each.ended]
        told = self.it.sim.deployments(self.it.application, self.it.group)
        return [each["deploymentId"] for each in told if each["status"] not in {"Succeeded", "Failed", "Stopped"}]

    # --- the alarm ----------------------------------------------------------------------------------------------------

    def _evaluate(self, actor: Any) -> None:
        before = self._rates[-1] if self._rates else 0.0
        self._rates.append(self._failing_seconds / 60)
        self._failing_seconds = 0.0
        if (before > THRESHOLD) != (self._rates[-1] > THRESHOLD):
            self._last_event = self.now()
        last = self._rates[-PERIODS:]
        breaching = sum(rate > THRESHOLD for rate in last) >= DATAPOINTS
        if breaching != self.firing:
            self._change("ALARM" if breaching else "OK", last, actor)

    def _change(self, state: str, datapoints: list[float], actor: Any) -> None:
        self.firing = state == "ALARM"
        self._last_event = self.now()
        self.fired_at = self.fired_at or self.now()
        self.alarms += (1 + len(self.others)) * self.firing
        set_alarm(self.it, ALARM, state, datapoints, self.it.tags)
        name = "alarm-in-alarm" if self.firing else "alarm-ok"
        for number, seconds in enumerate(self.scenario.messages if self.firing else (1.0,)):
            message = alarm_event(name, at=self.now(), alarm=ALARM, tags=self.it.tags, message_id=f"m-{self.now()}")
            self.later(seconds, partial(self.deliver, actor, message, f"alarm-{self.now()}-{number}"))
        if self.firing:
            for place, other in enumerate(self.others):
                tags = group_tags("fleet", other)
                set_alarm(self.it, other, state, datapoints, tags)
                message = alarm_event(name, at=self.now(), alarm=other, tags=tags, message_id=f"{other}-{self.now()}")
                self.later(0.5 * (place - 1), partial(self.deliver, actor, message, f"{other}-{self.now()}"))

    def deliver(self, actor: Any, message: dict[str, Any], request_id: str, attempt: int = 0) -> None:
        """Hand a message to the actor; an invocation that fails is repeated, as Lambda does it."""
        try:
            actor.hears(message, request_id)
        except (Exception, Crashed):
            if attempt < len(RETRIES):
                again = partial(self.deliver, actor, message, request_id, attempt + 1)
                self.later(RETRIES[attempt], again)

    # --- the timeline -------------------------------------------------------------------------------------------------

    def _happen(self, happening: Any, actor: Any) -> None:
        sim, it = self.it.sim, self.it
        match happening:
            case Release():
                self.release(happening)
            case scenarios.Outage(minutes):
                self._outages.append((self.now(), self.now() + timedelta(minutes=minutes)))
            case scenarios.Throttled(count, operations):
                for operation in operations:
                    sim.throttle(operation, count)
            case scenarios.Crash():
                self.crash_is_due = actor.is_function
            case scenarios.LostAnswer() if actor.is_function:
                sim.effect_then_timeout("UpdateService" if self.place.is_service else "CreateDeployment")
            case scenarios.Paused():
                self.paused = True
                actor.paused()
            case scenarios.Forged():
                self.alarms += 1
                forged = alarm_event("alarm-in-alarm", at=self.now(), alarm=ALARM, tags=it.tags, message_id="forged")
                self.deliver(actor, forged, "forged")
            case scenarios.Gone(number):
                self._take_away(number)
            case scenarios.Storm(groups):
                self._other_groups(groups)
            case scenarios.NativeRollbackFails() if not self.place.is_service:
                sim.native_rollbacks(it.application, it.group, fail=True)
            case scenarios.OtherFunction(version):
                self._release_other_function(version)

    def release(self, release: Release) -> None:
        """A pipeline releases a revision; while the group is busy, it tries again."""
        request = dict(release.request)
        if release.fails:
            self.it.sim.fail_next(after_seconds=2)
        self._remember(release.number)
        try:
            made = self.place.release(self.it, release.number, release.pace, self.scenario.moving, **request)
            self.released[made] = release.number
        except Exception:
            if release.fails:
                # It is this release that is to fail, not whichever comes next.
                self.it.sim.engine.failures.pop()
            self.later(60, partial(self.release, release))

    def _remember(self, number: int) -> None:
        """What a plainly named revision holds is known before it is released: a deployment may fail on the way."""
        if not self.scenario.moving:
            self.numbers[self.it.sim.content(self.it.application, self.it.group, self.revision(number))] = number

    def revision(self, number: int) -> Any:
        """Revision n under its own name."""
        return f"web:{number}" if self.place.is_service else self.it.revision(number)

    def _take_away(self, number: int) -> None:
        engine = self.it.sim.engine
        if self.place.platform == "Lambda":
            engine.lambda_world.delete_version("shop", str(number))
        else:
            engine.ecs_world.deregister(f"web:{number}", self.now())

    def _other_groups(self, count: int) -> None:
        """Other groups on servers, with a good release half an hour ago; put into the history by hand."""
        for n in range(count):
            name = f"other-{n}"
            self.it.sim.server_group("fleet", name)
            self.it.sim.seed_history("fleet", name, 3, every_seconds=1800)
            self.others.append(name)

    def _release_other_function(self, version: int) -> None:
        from simulated_aws import lambda_appspec

        world = self.it.sim.engine.lambda_world
        world.create_function("cart", 3)
        world.create_alias("cart", "live", "1")
        appspec = lambda_appspec("cart", "live", "1", str(version))
        self.released[self.it.sim.release(self.it.application, self.it.group, appspec, settle=True)] = UNKNOWN


def set_alarm(it: Scene, alarm: str, state: str, datapoints: list[float], tags: dict[str, str]) -> None:
    """What CloudWatch says of an alarm from now on, with its reason data and the tags that its messages carry."""
    cloudwatch = it.local.cloudwatch
    if not cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]:
        cloudwatch.put_metric_alarm(
            AlarmName=alarm, MetricName="ErrorRate", Namespace="shop", Statistic="Average", Period=60,
            EvaluationPeriods=PERIODS, DatapointsToAlarm=DATAPOINTS, Threshold=THRESHOLD,
            ComparisonOperator="GreaterThanThreshold", Tags=tag_pairs(tags),
        )  # fmt: skip
    now = it.now()
    times = [now - timedelta(minutes=len(datapoints) - n) for n in range(len(datapoints))]
    said = [f"{at:%Y-%m-%dT%H:%M:%S}.000+0000" for at in times]
    reason = {
        "version": "1.0",
        "queryDate": f"{now:%Y-%m-%dT%H:%M:%S}.000+0000",
        "startDate": said[0],
        "statistic": "Average",
        "period": 60,
        "recentDatapoints": datapoints,
        "threshold": THRESHOLD,
        "evaluatedDatapoints": [
            {"timestamp": at, "sampleCount": 60.0, "value": value}
            for at, value in sorted(zip(said, datapoints, strict=True), reverse=True)
        ],
    }
    cloudwatch.set_alarm_state(
        AlarmName=alarm, StateValue=state, StateReason="measured", StateReasonData=json.dumps(reason)
    )


@contextmanager
def incident(scenario: Scenario, place: Place, native: bool) -> Iterator[Incident]:
    """A scenario at a place, its history played. `native`: with AWS's own alarm rollback switched on."""
    random.seed(7)
    with ExitStack() as stack:
        stack.enter_context(patch("lastgood.parts.ThreadPoolExecutor", SerialPool))
        it = stack.enter_context(place.scene(native, {"LASTGOOD_MODE": "auto"}))
        stack.enter_context(patch("botocore.endpoint.time.sleep", lambda seconds: it.sim.advance(1)))
        made = Incident(it, scenario, place)
        stack.enter_context(patch.object(it.sim, "answer", _crashing(made, it.sim.answer)))
        set_alarm(it, ALARM, "OK", [0.0] * PERIODS, it.tags)
        made.numbers |= dict.fromkeys(place.serving(it), 1)
        place.at_its_pace(it, native)
        for number in scenario.history:
            made.release(Release(number))
            it.sim.settle()
            it.sim.advance(86_400 * scenario.rest_days)
        made.look()
        it.sim.read_events()
        it.sim.engine.events.deliver()
        yield made


def _crashing(made: Incident, answer: Callable[..., Any]) -> Callable[..., Any]:
    """A crash that is due comes when a stop has taken effect, before anybody hears its answer."""

    def answered(service: str, operation: str, *rest: Any) -> Any:
        result = answer(service, operation, *rest)
        if made.crash_is_due and operation in {"StopDeployment", "StopServiceDeployment"}:
            made.crash_is_due = False
            raise Crashed(operation)
        return result

    return answered
