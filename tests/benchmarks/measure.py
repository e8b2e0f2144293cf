"""Measures everything, writes the page: `python -m benchmarks.measure quick|full|page [FOLDER]`.

`page` measures nothing and writes the page again from the results that are kept.
"""

from __future__ import annotations

import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import boto3

from benchmarks import page
from benchmarks.cpu_share import share_of
from benchmarks.figures import MEMORY_SIZES
from benchmarks.laboratory import BARE, BARE2, LASTGOOD, NAIVE, Laboratory, Run, Variant
from benchmarks.rounds import dependent_rounds, interleaved, ratios
from benchmarks.storm import Outcome, Storm, weather
from stage.local import ROOT

SEED = 7
AS_AWS = {"default": 0.025, "dynamodb": 0.008}
"""Seconds of a call, about what services in the same region take."""

GUARDED_CHAIN = (
    "dynamodb",  # the claim
    "codedeploy",  # the lists; alarm, operators and other groups beside them
    "codedeploy",  # what the listed deployments are
    "dynamodb",  # the intent
    "codedeploy",  # the stop
    "dynamodb",  # the intent of the redeployment
    "codedeploy",  # the redeployment
    "default",  # the notices
    "dynamodb",  # the record of what was done and who was told
)
"""Who is called in each round of a rollback on servers, when everything that need not wait is done beside the rest."""

EVIDENCE = {"DescribeAlarmHistory", "ListTagsForResource"}
"""What is read beside other reads, because the judgement weighs it: when the alarm fired before, and whose it is."""

TRIES = 3
TEMPLATE_MB = 1024
UNIFORM = {"default": 0.025}
WARM_LATENCY = UNIFORM["default"]

AMAZON_ROOTS = replace(LASTGOOD, name="amazon_roots", environment=(("AWS_CA_BUNDLE", "{bundle}"),))


def _with(variant: Variant, name: str, *more: tuple[str, str]) -> Variant:
    return replace(variant, name=name, environment=(*variant.environment, *more))


@dataclass(frozen=True)
class Profile:
    """How much is measured."""

    name: str
    swept_rounds: int
    start_rounds: int
    cold_rounds: int
    throttled_rounds: int
    warm_rounds: int
    size_rounds: int
    lengths: tuple[int, ...]
    naive_lengths: tuple[int, ...]
    storm: Storm
    storm_rounds: int


QUICK = Profile("quick", 5, 5, 5, 3, 5, 3, (100, 1000, 10_000), (100, 1000), Storm(100, 5, 10, 20, 20), 1)
FULL = Profile(
    "full", 15, 11, 11, 11, 11, 9, (10, 100, 1000, 10_000), (10, 100, 1000, 10_000), Storm(1000, 50, 20, 20, 20), 3
)

PROFILES = {profile.name: profile for profile in (QUICK, FULL)}

Results = dict[str, Any]


def measure(profile: Profile, say: Any = print) -> Results:
    """Everything, as plain values: each figure's rounds, and the points of the plots."""
    chance = random.Random(SEED)
    parts = (_swept, _starts, _colds, _throttled, _sizes, _warm, _storms)
    results: Results = {"profile": profile.name, "seed": SEED, "machine": machine(), "figures": {}}
    with tempfile.TemporaryDirectory() as folder, Laboratory(Path(folder)) as lab:
        for part in parts:
            begun = time.monotonic()
            found = part(lab, profile, chance)
            results["figures"] |= found.pop("figures")
            results |= found
            say(f"{part.__name__.strip('_')}: {time.monotonic() - begun:.0f} s")
    return results


def machine() -> dict[str, str]:
    """What the figures were taken on, as far as it matters."""
    return {
        "processors": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "boto3": boto3.__version__,
    }


def _least(lab: Laboratory, variant: Variant) -> float:
    """The least CPU time of some initialisations: whatever disturbs one of them only ever adds to it."""
    return min(lab.initialise(variant) for _ in range(TRIES))


def _starts(lab: Laboratory, profile: Profile, chance: random.Random) -> Results:
    variants = {"bare": BARE, "lastgood": LASTGOOD}
    variants |= {code: replace(LASTGOOD, code=code) for code in ("fresh", "dated", "source")}
    variants["data"] = _with(LASTGOOD, "data", ("BENCH_WITHOUT", "data"))
    variants["methods"] = _with(LASTGOOD, "methods", ("BENCH_WITHOUT", "methods"))
    variants["gc"] = _with(LASTGOOD, "gc", ("BENCH_WITHOUT", "gc"))
    variants["boto3"] = _with(LASTGOOD, "boto3", ("BENCH_WITH", "boto3"))
    variants["clients"] = _with(LASTGOOD, "clients", ("BENCH_WITH", "clients"))
    rounds = interleaved({n: partial(_least, lab, v) for n, v in variants.items()}, profile.start_rounds, chance)
    pairs = {
        "init": ("lastgood", "bare"),
        "artifact": ("lastgood", "fresh"),
        "lever_source": ("source", "lastgood"),
        "lever_dated": ("dated", "lastgood"),
        "lever_data": ("data", "lastgood"),
        "lever_methods": ("methods", "lastgood"),
        "lever_gc": ("gc", "lastgood"),
        "lever_boto3": ("boto3", "lastgood"),
        "lever_clients": ("clients", "lastgood"),
    }
    return {"figures": {key: ratios(rounds, *pair, float) for key, pair in pairs.items()}}


def _colds(lab: Laboratory, profile: Profile, chance: random.Random) -> Results:
    run = {v.name: partial(lab.cold, v, latency=AS_AWS, length=1000) for v in (BARE, LASTGOOD)}
    rounds = interleaved(run, profile.cold_rounds, chance)
    return {
        "figures": {
            "cold": [each["lastgood"].total / _floor(each["BARE"]) for each in rounds],
            "memory": ratios(rounds, "lastgood", "BARE", _peak),
        }
    }


def _swept(lab: Laboratory, profile: Profile, chance: random.Random) -> Results:
    """With the share of a CPU of the template's memory size: after a sweep, and cold, against BARE2 cold."""
    scene = {"share": share_of(TEMPLATE_MB), "latency": AS_AWS, "length": 1000}
    run = {
        "bare2": partial(lab.cold, BARE2, **scene),
        "cold": partial(lab.cold, LASTGOOD, **scene),
        "swept": partial(lab.cold, LASTGOOD, swept=True, **scene),
    }
    rounds = interleaved(run, profile.swept_rounds, chance)
    return {
        "figures": {
            "swept_stop": ratios(rounds, "swept", "bare2", _stop),
            "swept_create": ratios(rounds, "swept", "bare2", _create),
            "cold_stop": ratios(rounds, "cold", "bare2", _stop),
            "cold_create": ratios(rounds, "cold", "bare2", _create),
            "swept_total": ratios(rounds, "swept", "cold", _total),
        }
    }


def _throttled(lab: Laboratory, profile: Profile, chance: random.Random) -> Results:
    """With the share of a CPU that Lambda gives a function of 512 MB."""
    variants = {
        "bare2": BARE2,
        "naive": NAIVE,
        "lastgood": LASTGOOD,
        "certificates": _with(LASTGOOD, "certificates", ("BENCH_WITHOUT", "certificates")),
        "amazon_roots": AMAZON_ROOTS,
        "connections": _with(LASTGOOD, "connections", ("BENCH_WITH", "connections")),
    }
    share = share_of(512)
    run = {n: partial(lab.cold, v, share=share, latency=AS_AWS, length=1000) for n, v in variants.items()}
    rounds = interleaved(run, profile.throttled_rounds, chance)
    pairs = {
        "lever_certificates": ("certificates", "lastgood"),
        "lever_roots": ("lastgood", "amazon_roots"),
        "lever_connections": ("lastgood", "connections"),
    }
    return {
        "figures": {
            **{key: ratios(rounds, *pair, _stop) for key, pair in pairs.items()},
        },
        "yardsticks": {
            "stop": ratios(rounds, "naive", "bare2", _stop),
            "create": ratios(rounds, "naive", "bare2", _create),
        },
    }


def _sizes(lab: Laboratory, profile: Profile, chance: random.Random) -> Results:
    """What memory buys: the time to the redeployment at each size, over the time at 512 MB."""
    scene = {"latency": AS_AWS, "length": 1000}
    run = {str(mb): partial(lab.cold, LASTGOOD, share=share_of(mb), **scene) for mb in MEMORY_SIZES}
    rounds = interleaved(run, profile.size_rounds, chance)
    return {"figures": {}, "sizes": {size: ratios(rounds, size, "512", _create) for size in run}}


def _warm(lab: Laboratory, profile: Profile, chance: random.Random) -> Results:
    one_by_one = _with(LASTGOOD, "one_by_one", ("BENCH_WITHOUT", "parallel"))
    with ExitStack() as stack:
        # The emulator takes one call at a time, and each function has its own.
        ours, slow, naive = (stack.enter_context(_warmed(lab, v)) for v in (LASTGOOD, one_by_one, NAIVE))
        run = {f"lastgood {n}": partial(ours, length=n) for n in profile.lengths}
        run |= {"lastgood failed": partial(ours, length=10_000, failed=500), "slow 100": partial(slow, length=100)}
        run |= {f"naive {n}": partial(naive, length=n) for n in profile.naive_lengths if n < 10_000}
        rounds = interleaved(run, profile.warm_rounds, chance)
        # Half a minute for one: once is enough to see where the line goes.
        rare = {f"naive {n}": naive(length=n) for n in profile.naive_lengths if n >= 10_000}
    usual = [each["lastgood 100"] for each in rounds]
    depths = [dependent_rounds(each.arrivals) for each in usual]
    longest = max(profile.naive_lengths)
    bounded = [rare.get(f"naive {longest}", e.get(f"naive {longest}", e["lastgood 100"])) for e in rounds]
    return {
        "figures": {
            "calls": [_calls(each) - _evidence(each) for each in usual],
            "evidence_calls": [_evidence(each) for each in usual],
            "rounds": depths,
            "stop_depth": [_depth(each, "StopDeployment") for each in usual],
            "create_depth": [_depth(each, "CreateDeployment") for each in usual],
            "overhead": [e.total / (d * WARM_LATENCY) for e, d in zip(usual, depths, strict=True)],
            "history": ratios(rounds, "lastgood failed", "lastgood 100", _total),
            "history_calls": [abs(_calls(e["lastgood failed"]) - _calls(e["lastgood 100"])) for e in rounds],
            "lever_parallel": ratios(rounds, "slow 100", "lastgood 100", _total),
            "lever_bounded": [b.total / e[f"lastgood {longest}"].total for b, e in zip(bounded, rounds, strict=True)],
        },
        "history": {
            "lastgood": {str(n): _scaled(rounds, f"lastgood {n}") for n in profile.lengths},
            "naive": {
                str(n): [rare[f"naive {n}"].total / WARM_LATENCY] if n >= 10_000 else _scaled(rounds, f"naive {n}")
                for n in profile.naive_lengths
            },
        },
        "warm_calls": [f"{a['service']} {a['operation']}" for a in usual[0].arrivals],
    }


@dataclass(frozen=True)
class _Warm:
    total: float
    arrivals: tuple[Mapping[str, Any], ...]


@contextmanager
def _warmed(lab: Laboratory, variant: Variant) -> Iterator[Any]:
    with lab.warm(variant) as runtime:

        def once(**scene: Any) -> _Warm:
            return _Warm(*lab.rollback(runtime, variant, latency=UNIFORM, **scene))

        yield once


def _scaled(rounds: list[dict[str, _Warm]], name: str) -> list[float]:
    """Times as multiples of one call's latency: the machine's own speed hardly shows in them."""
    return [each[name].total / WARM_LATENCY for each in rounds]


def _storms(lab: Laboratory, profile: Profile, chance: random.Random) -> Results:
    run = {
        "claim": partial(weather, lab, profile.storm, SEED, reads_first=False),
        "reads": partial(weather, lab, profile.storm, SEED, reads_first=True),
    }
    rounds = interleaved(run, profile.storm_rounds, chance)
    return {
        "figures": {
            "storm_calls": [each["claim"].served / profile.storm.groups for each in rounds],
            "storm_last": ratios(rounds, "claim", "reads", _last),
            "lever_claim": ratios(rounds, "reads", "claim", _called),
        },
        "storm": {
            **vars(profile.storm),
            "claim": list(rounds[0]["claim"].created),
            "reads": list(rounds[0]["reads"].created),
        },
    }


def _floor(bare: Run) -> float:
    """What the guards force: BARE's cold start, with the chain of calls that wait for one another for its one call."""
    chain = sum(AS_AWS.get(service, AS_AWS["default"]) for service in GUARDED_CHAIN)
    return bare.total - AS_AWS["default"] + chain


def _total(run: Run | _Warm) -> float:
    return run.total


def _calls(run: _Warm) -> int:
    return len(run.arrivals)


def _evidence(run: _Warm) -> int:
    return sum(each["operation"] in EVIDENCE for each in run.arrivals)


def _depth(run: _Warm, operation: str) -> int:
    """In which round of calls that wait for one another an operation comes."""
    at = next(each["at"] for each in run.arrivals if each["operation"] == operation)
    return dependent_rounds(each for each in run.arrivals if each["at"] <= at)


def _stop(run: Run) -> float:
    return run.stop


def _create(run: Run) -> float:
    return run.create


def _peak(run: Run) -> float:
    return float(run.peak)


def _last(outcome: Outcome) -> float:
    return outcome.created[-1]


def _called(outcome: Outcome) -> float:
    return float(outcome.served + outcome.throttled)


def _main(what: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "performance.json"
    if what != "page":
        kept.write_text(json.dumps(page.rounded(measure(PROFILES[what])), indent=1) + "\n")
    results = json.loads(kept.read_text())
    for name, text in page.files(results).items():
        (folder / name).write_text(text)
    print(page.goals_table(results))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs")
