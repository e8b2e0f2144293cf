"""The incidents, as data: what was released, what is wrong with it, what else happens, and what is right in the end.

Revision 2 and 3 are good and old; 4 is the last release. Minutes count from the moment when the history ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.recovery.places import FUNCTION, NEW_FLEET, PLACES, ROLLING, SERVERS, TASK_SETS, Place

GOOD, BAD, NEXT = 3, 4, 5


# --- what happens, each at its minute ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Release:
    """A pipeline, or somebody, releases a revision."""

    number: int
    pace: str = "quick"
    fails: bool = False
    request: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outage:
    """Something else breaks for so many minutes: every request fails, whatever serves."""

    minutes: float


@dataclass(frozen=True)
class Throttled:
    """AWS refuses the next calls of these operations."""

    count: int
    operations: tuple[str, ...] = ("ListDeployments", "StopDeployment", "ListServiceDeployments", "DescribeServices")


@dataclass(frozen=True)
class Crash:
    """The function's environment dies when its next stop has taken effect."""


@dataclass(frozen=True)
class LostAnswer:
    """The next redeployment takes effect, and its answer is lost."""


@dataclass(frozen=True)
class Paused:
    """People announce maintenance, and pause what can be paused."""


@dataclass(frozen=True)
class Forged:
    """Somebody sends a message that the alarm fires. It does not."""


@dataclass(frozen=True)
class Gone:
    """A janitor takes a revision away: version, bundle or task definition."""

    number: int


@dataclass(frozen=True)
class Storm:
    """So many other deployment groups, released to half an hour ago, are in alarm at the same time."""

    groups: int


@dataclass(frozen=True)
class OtherFunction:
    """Another Lambda function is released through the same deployment group."""

    version: int


@dataclass(frozen=True)
class NativeRollbackFails:
    """From now on CodeDeploy's own rollbacks fail before anything moves."""


Happening = (
    Release
    | Outage
    | Throttled
    | Crash
    | LostAnswer
    | Paused
    | Forged
    | Gone
    | Storm
    | OtherFunction
    | NativeRollbackFails
)
Timeline = tuple[tuple[float, Happening], ...]


# --- what is right ----------------------------------------------------------------------------------------------------

BACK, HANDS_OFF, CALL, EITHER = "back", "hands off", "call people", "back, or call people"


@dataclass(frozen=True)
class Scenario:
    """One incident.

    `bad` maps a revision to the minutes that it serves well before every request to it fails. `good` is what may serve
    in the end. `right` is BACK (only `good` serves), HANDS_OFF (nobody touches anything), CALL (nobody touches
    anything, and people are called), or EITHER of BACK and CALL. `intermittent` is minutes of failing and of peace, in
    turn. `messages` are the seconds after which the alarm's message arrives, each time. `moving`: the kind of name
    under which everything is released, if it is one whose content moves.
    """

    name: str
    mix: str
    right: str
    timeline: Timeline
    good: frozenset[int] = frozenset({GOOD})
    bad: Mapping[int, float] = field(default_factory=dict)
    places: tuple[Place, ...] = PLACES
    history: tuple[int, ...] = (2, GOOD)
    rest_days: float = 1.0
    intermittent: tuple[float, float] | None = None
    messages: tuple[float, ...] = (1.0,)
    events_are_lost: bool = False
    moving: str = ""


CODEDEPLOY = (SERVERS, NEW_FLEET, FUNCTION, TASK_SETS)
GRADUAL = (SERVERS, FUNCTION, TASK_SETS, ROLLING)
FINISHED, DEPLOYING, NOT_IT = "bad and finished", "bad and deploying", "not the release"
REPEATED, NOTHING_SAFE, REST = "repeated alarms", "nothing safe to go back to", "faults and other hands"

MIX = {FINISHED: 40, DEPLOYING: 20, NOT_IT: 15, REPEATED: 8, NOTHING_SAFE: 10, REST: 7}
"""How often each kind happens, in percent: what public write-ups of incidents show, by judgement and not by count."""

_ANY = frozenset({GOOD, BAD})

SCENARIOS = (
    # --- bad and finished ---------------------------------------------------------------------------------------------
    Scenario("fails 20 minutes after it finished", FINISHED, BACK, ((0, Release(BAD)),), bad={BAD: 20}),
    Scenario("fails 50 minutes after it finished", FINISHED, BACK, ((0, Release(BAD)),), bad={BAD: 50}),
    Scenario("fails at once, quickly released", FINISHED, BACK, ((0, Release(BAD)),), bad={BAD: 0}),
    Scenario(
        "two bad ones in a row",
        FINISHED,
        BACK,
        ((0, Release(BAD)), (8, Release(NEXT))),
        bad={BAD: 7, NEXT: 0},
    ),
    Scenario(
        "three failed attempts on top",
        FINISHED,
        BACK,
        ((0, Release(BAD)), (10, Release(NEXT, fails=True)), (14, Release(NEXT, fails=True)),
         (18, Release(NEXT, fails=True))),
        bad={BAD: 22},
        places=CODEDEPLOY,
    ),
    # --- bad and deploying --------------------------------------------------------------------------------------------
    Scenario("gradual, fails from the first request", DEPLOYING, BACK, ((0, Release(BAD, "gradual")),), bad={BAD: 0},
             places=GRADUAL),
    Scenario("canary, fails from the first request", DEPLOYING, BACK, ((0, Release(BAD, "canary")),), bad={BAD: 0},
             places=(FUNCTION, TASK_SETS)),
    Scenario("first deployment of what is already live", DEPLOYING, BACK, ((0, Release(BAD, "canary")),), bad={BAD: 0},
             places=(FUNCTION, TASK_SETS, ROLLING), history=(), good=frozenset({1})),
    # --- not the release ----------------------------------------------------------------------------------------------
    Scenario("an outage, the last release three days old", NOT_IT, HANDS_OFF, ((5, Outage(25)),), rest_days=3),
    Scenario("a late message, the alarm is OK again", NOT_IT, HANDS_OFF,
             ((0, Release(BAD)), (40, Outage(5))), good=_ANY, messages=(600.0,)),
    Scenario("the alarm fires already when a release lands", NOT_IT, HANDS_OFF,
             ((5, Outage(25)), (15, Release(BAD))), good=_ANY, rest_days=3),
    Scenario("the fix is released after the onset", NOT_IT, HANDS_OFF,
             ((0, Release(BAD)), (22, Release(NEXT))), good=frozenset({GOOD, NEXT}), bad={BAD: 20}),
    Scenario("a storm: eight groups in alarm at once", NOT_IT, CALL,
             ((0, Release(BAD)), (30, Storm(7)), (30, Outage(25))), good=_ANY),
    # --- repeated alarms ----------------------------------------------------------------------------------------------
    Scenario("the message comes three times", REPEATED, BACK, ((0, Release(BAD)),), bad={BAD: 20},
             messages=(1.0, 20.0, 90.0)),
    Scenario("the alarm flaps: a fault that comes and goes", REPEATED, BACK, ((0, Release(BAD)),), bad={BAD: 20},
             intermittent=(4, 5)),
    Scenario("the alarm flaps, the last release three days old", REPEATED, HANDS_OFF,
             ((5, Outage(4)), (14, Outage(4)), (23, Outage(4))), rest_days=3),
    # --- nothing safe to go back to -----------------------------------------------------------------------------------
    Scenario("below the floor: the database cannot go back", NOTHING_SAFE, CALL,
             ((0, Release(BAD, request={"description": "drops the old column, lastgood:floor"})),),
             good=frozenset({BAD}), bad={BAD: 20}, places=CODEDEPLOY),
    Scenario("the good revision is gone", NOTHING_SAFE, BACK, ((0, Release(BAD)), (10, Gone(GOOD))), bad={BAD: 20},
             places=(FUNCTION, TASK_SETS, ROLLING), good=frozenset({2, GOOD})),
    Scenario("every release under the same key", NOTHING_SAFE, CALL, ((0, Release(BAD)),), bad={BAD: 20},
             places=(SERVERS, NEW_FLEET), good=frozenset({BAD}), moving="key"),
    Scenario("the same key, in a bucket with versions", NOTHING_SAFE, EITHER, ((0, Release(BAD)),), bad={BAD: 20},
             places=(SERVERS, NEW_FLEET), moving="versioned key"),
    Scenario("every release from a branch", NOTHING_SAFE, CALL, ((0, Release(BAD)),), bad={BAD: 20},
             places=(SERVERS, NEW_FLEET), good=frozenset({BAD}), moving="branch"),
    Scenario("every release under the same image tag", NOTHING_SAFE, EITHER, ((0, Release(BAD)),), bad={BAD: 20},
             places=(TASK_SETS, ROLLING), moving="tag"),
    # --- faults and other hands ---------------------------------------------------------------------------------------
    Scenario("AWS throttles", REST, BACK, ((0, Release(BAD)), (20, Throttled(4))), bad={BAD: 20}),
    Scenario("a crash between stop and redeployment", REST, BACK, ((0, Crash()), (0, Release(BAD, "gradual"))),
             bad={BAD: 0}, places=GRADUAL),
    Scenario("the redeployment's answer is lost", REST, BACK, ((0, Release(BAD)), (20, LostAnswer())), bad={BAD: 20}),
    Scenario("CodeDeploy's events get lost", REST, BACK, ((0, Release(BAD, "gradual")),), bad={BAD: 0},
             places=GRADUAL, events_are_lost=True),
    Scenario("maintenance was announced", REST, HANDS_OFF, ((0, Release(BAD)), (20, Paused()), (21, Outage(20))),
             good=_ANY),
    Scenario("a forged message", REST, HANDS_OFF, ((0, Release(BAD)), (15, Forged())), good=_ANY),
    Scenario("a bad release that calls itself a rollback", REST, BACK,
             ((0, Release(BAD, request={"description": "lastgood rb-20260101T000000000Z-0123456789ab: back"})),),
             bad={BAD: 20}, places=CODEDEPLOY),
    Scenario("a stack released it", REST, CALL, ((0, Release(BAD, request={"creator": "CloudFormation"})),),
             good=frozenset({BAD}), bad={BAD: 20}, places=(FUNCTION, TASK_SETS)),
    Scenario("several functions in one group", REST, BACK, ((0, OtherFunction(2)), (5, Release(BAD))), bad={BAD: 20},
             places=(FUNCTION,)),
    Scenario("CodeDeploy's own rollback fails", REST, BACK, ((0, NativeRollbackFails()), (0, Release(BAD, "gradual"))),
             bad={BAD: 0}, places=(SERVERS, FUNCTION, TASK_SETS)),
    Scenario("somebody is already rolling back", REST, BACK, ((0, Release(BAD)), (22, Release(GOOD))), bad={BAD: 20}),
)  # fmt: skip
