"""The figures, their goals, and what stands beside a goal that is missed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One row of the page. `key` names its rounds in the results; `why` if it is missed.

    The goal is an upper limit; None where the figure only stands beside another.
    """

    key: str
    title: str
    goal: float | None
    why: str = ""


_ROUNDS = (
    "The goal is that of one intent for both acts. The redeployment has an intent of its own, written after the stop: "
    "a round more, which leaves a single path after a crash. That people were told can be written only when they were, "
    "or a crash would lose the notice: so the record comes after the notices, and says in one write what was done and "
    "who was told."
)
_INIT = (
    "What each side pays is said above. What could still be had: the other platforms, pipelines and stacks on first "
    "use, which would be paid in the handler, with its share of a processor; Amazon's roots alone, which would trust "
    "fewer than botocore is told to; descriptions of services cut to what is called, which could come to differ from "
    "the runtime's own."
)
_SWEPT = (
    "Claim, lists, details and intent come before the stop, the stop and a second intent before the redeployment. "
    "Waiting for these answers alone takes 66 and 99 ms, which no machine makes shorter, while nearly all of BARE2's "
    "time is computing: where BARE2 needs less than 330 ms to its stop, or 412 to its redeployment, waiting alone is "
    "more than the goal, and the busier the machine that measures, the smaller the ratio. What is left is nearly all "
    "botocore's work for eleven calls, about two ms of a whole processor each (lastgood's own code is about a "
    "tenth of it), and two connections that the sweep does not open: a second one to CloudWatch, whose reads are paid "
    "for, and the one over which the redeployment is created, since a write over a connection that AWS has closed "
    "meanwhile would not know whether it was received."
)
_COLD = (
    "It makes the clients for notices on its way, opens connections to five services where BARE opens one, and has "
    "Python's own work to do between the calls. The floor counts none of that."
)

FIGURES = (
    Figure("swept_stop", "after a sweep, 1024 MB: StopDeployment on the wire, × BARE2 cold", 0.20, _SWEPT),
    Figure("swept_create", "after a sweep, 1024 MB: CreateDeployment on the wire, × BARE2 cold", 0.24, _SWEPT),
    Figure("swept_total", "after a sweep: the whole rollback, × lastgood cold", None),
    Figure("cold_stop", "cold, 1024 MB: StopDeployment on the wire, × BARE2 cold", None),
    Figure("cold_create", "cold, 1024 MB: CreateDeployment on the wire, × BARE2 cold", None),
    Figure("init", "initialisation of the handler's module until it is ready (CPU time), × BARE", 1.15, _INIT),
    Figure("cold", "cold start to the end of a full rollback, TLS, × the floor that the guards force", 1.25, _COLD),
    Figure("calls", "warm: calls of a rollback, without those that read evidence", 14, _ROUNDS),
    Figure("evidence_calls", "warm: calls that read evidence", None),
    Figure("stop_depth", "warm: StopDeployment comes in round", 5, _ROUNDS),
    Figure("create_depth", "warm: CreateDeployment comes in round", 7, _ROUNDS),
    Figure("rounds", "warm: dependent rounds", 8, _ROUNDS),
    Figure(
        "overhead",
        "warm: time ÷ (rounds × latency)",
        1.2,
        "What is left is Python's own work between the calls, which grows with what else the machine has to do.",
    ),
    Figure(
        "history",
        "history of 10,000 (500 failed on top) against 100: time",
        1.05,
        "The calls are the same; the difference is the machine's noise within a round.",
    ),
    Figure("history_calls", "the same: difference in calls", 0),
    Figure(
        "storm_calls",
        "storm: CodeDeploy calls for each group",
        5.5,
        "A rollback takes five: two lists and one batch of the history, the stop, the redeployment. What is above that "
        "comes of the token bucket: after a redeployment that was refused twice the group is looked at again, and a "
        "rollback whose reads are refused seven times gives up its turn and begins again a minute later.",
    ),
    Figure(
        "storm_last",
        "storm: last rollback under a token bucket, × reads first",
        0.5,
        "The fewer environments there are, the fewer reads are wasted by those that come too late.",
    ),
    Figure(
        "artifact",
        "the built artifact with SAM's file dates, × a freshly compiled tree",
        1.05,
        "The bytecode is valid in both, and both take the same number of instructions: what differs is noise.",
    ),
    Figure(
        "memory",
        "peak memory × BARE",
        1.10,
        "Five services instead of one. When it is ready, lastgood holds 1.02 of BARE. A rollback then makes clients "
        "for SNS and EventBridge (0.3 and 0.6 MB), and opens connections from several threads. The clients before it "
        "take 1.3 to 1.5 MB each, without the documentation in their models, which is not kept.",
    ),
)


@dataclass(frozen=True)
class Lever:
    """What one lever is worth: the ratio of the cold time without it to the time with it, and what was decided."""

    key: str
    title: str
    verdict: str


LEVERS = (
    Lever("lever_source", "bytecode in the artifact: imports without any ÷ with", "kept: `src/function/Makefile`"),
    Lever("lever_dated", "bytecode checked by date, in SAM's package ÷ by nothing", "kept: it is stale otherwise"),
    Lever(
        "lever_data",
        "all of botocore's data about services ÷ what is read of it: initialisation",
        "kept: `src/function/lastgood/aws_data.py`",
    ),
    Lever(
        "lever_methods",
        "methods of dataclasses compiled at each start ÷ in the build: initialisation",
        "kept: `src/function/lastgood/ready_methods.py`",
    ),
    Lever(
        "lever_boto3",
        "clients made by boto3's session ÷ by botocore's: initialisation",
        "kept: `src/function/lastgood/clients.py`",
    ),
    Lever("lever_gc", "collector at work while modules load ÷ resting, then frozen: initialisation", "kept"),
    Lever("lever_clients", "every platform's clients at start ÷ on first use: initialisation", "kept: on first use"),
    Lever(
        "lever_certificates",
        "trusted certificates read for each connection ÷ once: stop at 512 MB",
        "kept: `src/function/lastgood/tls.py`",
    ),
    Lever(
        "lever_roots",
        "all roots ÷ Amazon's roots only: stop at 512 MB",
        "not kept: read once, they cost little, and nothing has to be asked of whoever deploys the stack",
    ),
    Lever(
        "lever_connections",
        "connections as needed ÷ opened at start: stop at 512 MB",
        "not kept: opening them costs the start about what it saves later, and it needs botocore's private parts",
    ),
    Lever("lever_parallel", "reads one after the other ÷ side by side: warm rollback", "kept"),
    Lever("lever_claim", "reads first ÷ claim first: CodeDeploy calls until the storm's last rollback", "kept"),
    Lever("lever_bounded", "NAIVE ÷ lastgood: warm rollback on the longest history", "kept: bounded search"),
)

MEMORY_SIZES = (256, 512, 1024, 1769)
