"""The page about performance, made from the results alone: whoever has them can make it again."""

from __future__ import annotations

from typing import Any

from benchmarks.figures import FIGURES, LEVERS, MEMORY_SIZES, Figure
from benchmarks.plots import Axis, Series, chart, even_marks, powers_of_ten
from benchmarks.recovery.page import kept, lead
from benchmarks.rounds import Spread, spread

Results = dict[str, Any]


def files(results: Results) -> dict[str, str]:
    """Every file of the page, by name."""
    return {
        "performance.md": render(results),
        "performance-history.svg": history_plot(results),
        "performance-storm.svg": storm_plot(results),
    }


def rounded(value: Any) -> Any:
    """Four digits after the point are more than the rounds are worth."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value


def goals_table(results: Results) -> str:
    """Each figure against its goal."""
    rows = ["| figure | goal | measured | spread (p10 – p90) | rounds | |", "|---|---|---|---|---|---|"]
    for figure in FIGURES:
        found = spread(results["figures"][figure.key])
        verdict = "" if figure.goal is None else "hit" if _is_hit(figure, found) else "**miss**"
        goal = "" if figure.goal is None else f"≤ {figure.goal:g}"
        measured = f"{_number(found.middle)} | {_range(found)} | {found.rounds}"
        rows.append(f"| {figure.title} | {goal} | {measured} | {verdict} |")
    return "\n".join(rows)


def missed(results: Results) -> list[tuple[tuple[Figure, ...], str]]:
    """The figures that miss their goals, those with one reason together."""
    reasons: dict[str, list[Figure]] = {}
    for figure in FIGURES:
        if not _is_hit(figure, spread(results["figures"][figure.key])):
            reasons.setdefault(figure.why, []).append(figure)
    return [(tuple(figures), why) for why, figures in reasons.items()]


def levers_table(results: Results) -> str:
    """What each lever is worth."""
    rows = ["| lever | ratio | spread (p10 – p90) | decision |", "|---|---|---|---|"]
    for lever in LEVERS:
        found = spread(results["figures"][lever.key])
        rows.append(f"| {lever.title} | {_number(found.middle)} | {_range(found)} | {lever.verdict} |")
    return "\n".join(rows)


def sizes_table(results: Results) -> str:
    """What memory buys."""
    found = [_number(spread(results["sizes"][str(size)]).middle) for size in MEMORY_SIZES]
    rows = [[f"{size} MB" for size in MEMORY_SIZES], ["---"] * len(MEMORY_SIZES), found]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def history_plot(results: Results) -> str:
    """The time of a warm rollback against the length of the history, in multiples of one call's latency."""
    found = results["history"]
    series = [Series(name, _medians(found[key])) for key, name in (("lastgood", "lastgood"), ("naive", "NAIVE"))]
    values = [y for line in series for _, y in line.points]
    lengths = [x for line in series for x, _ in line.points]
    return chart(
        "A rollback against the length of the deployment group's history",
        Axis("deployments in the history", powers_of_ten(lengths), logarithmic=True),
        Axis("time, in multiples of one call's latency", powers_of_ten(values), logarithmic=True),
        series,
    )


def storm_plot(results: Results) -> str:
    """How many groups have their rollback, over time."""
    storm = results["storm"]
    series = [
        Series(name, [(0.0, 0.0), *((at, n) for n, at in enumerate(storm[key], start=1))])
        for key, name in (("claim", "lastgood: claims first"), ("reads", "variant that reads first"))
    ]
    latest = max(x for line in series for x, _ in line.points)
    return chart(
        f"A storm: {storm['messages']} messages, {storm['groups']} deployment groups",
        Axis("seconds since the first message", even_marks(latest)),
        Axis("groups whose rollback is created", even_marks(storm["groups"])),
        series,
    )


def render(results: Results) -> str:
    """The page as Markdown."""
    machine, storm = results["machine"], results["storm"]
    calls = "\n".join(f"{n}. `{call}`" for n, call in enumerate(results["warm_calls"], start=1))
    misses = "\n\n".join(f"**{_titles(figures)}.** {why}" for figures, why in missed(results))
    naive = {key: spread(values) for key, values in results["yardsticks"].items()}
    return _PAGE.format(
        recovery=lead(kept()),
        profile=results["profile"],
        command="make bench-full" if results["profile"] == "full" else "make bench",
        # What whoever measured has to say of how these results came about; a new run starts without.
        remarks="".join(f"\n{remark}\n" for remark in results.get("remarks", ())),
        goals=goals_table(results),
        misses=misses or "None.",
        levers=levers_table(results),
        sizes=sizes_table(results),
        calls=calls,
        naive_stop=_number(naive["stop"].middle),
        naive_create=_number(naive["create"].middle),
        **machine,
        messages=storm["messages"],
        groups=storm["groups"],
        environments=storm["environments"],
        rate=storm["rate"],
    )


def _titles(figures: tuple[Figure, ...]) -> str:
    return "; ".join(dict.fromkeys(figure.title for figure in figures))


def _is_hit(figure: Figure, found: Spread) -> bool:
    # What is shown decides, so that nobody reads a miss beside a number that meets the goal.
    return figure.goal is None or round(found.middle, 2) <= figure.goal


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.2f}"


def _range(found: Spread) -> str:
    return f"{_number(found.low)} – {_number(found.high)}"


def _medians(by_length: dict[str, list[float]]) -> list[tuple[float, float]]:
    return [(float(length), spread(values).middle) for length, values in by_length.items()]


_PAGE = """\
# Performance

What users feel of an incident is the time until only what is good serves. So this page begins with whole incidents. The
function's own time is one percent of them or less; it comes after.

## Whole incidents

{recovery}

[recovery.md](recovery.md) has every scenario, how the mix was weighted and chosen, and where lastgood is not right.

## The function

This part is written by `{command}`; what was measured is kept in `performance.json` beside it.

Every figure is a ratio inside one run. Each round runs every variant once, in shuffled order; the figure is the median
of the rounds' ratios, the spread is from their tenth to their ninetieth percentile. Absolute times are left out: they
say more about the machine than about the program. Measured on {processors} processors shared with other work, {system},
Python {python}, boto3 {boto3}, profile `{profile}`.
{remarks}
The yardsticks (`tests/benchmarks/yardsticks`): **BARE** is a boto3 handler with one client and one call. **BARE2** is
the smallest boto3 rollback: GetDeploymentGroup, StopDeployment, GetDeployment, CreateDeployment; no claim, no search,
no record, no notice. **NAIVE** is what samples on the web do. All run under Lambda's runtime interface emulator and
client, with valid bytecode, against the same endpoint: 25 ms a call, DynamoDB 8 ms, over TLS but where the function is
warm.

**An alarm hardly ever meets a cold start.** The sweep invokes the same function every minute, so its environment is
there and warm. Lambda replaces environments every few hours; the next sweep takes that cold start, unless an alarm
comes within the minute before it, which is one alarm in some hundreds. So the first figures are those of a function
that a sweep has visited, and has done nothing else. The sweep also reads from CloudWatch and CodeDeploy, which proves
each minute that both answer to this role. It leaves behind a connection to the table, one to CloudWatch, the two to
CodeDeploy over which a history is read, and the clients for notices. Cold starts remain in a storm: of many messages at
once, one meets the warm environment. They stand beside.

Measured is a stack as it is deployed by default, without access to S3. With access to the buckets of its bundles
(`ArtifactBucketArns`), S3 is asked before the stop whether those of the suspect and of what goes back are still there,
for after the stop it would be late to choose another: two calls, one round, and a client of 3.3 MB more.

**The floor** is what the guards force: BARE's cold start, with the chain of calls that wait for one another in its one
call's place: claim, lists, details, intent, stop, intent, redeployment, notices, and the record of what was done and
who was told. A rollback that makes fewer calls has given up a guard.

**Evidence** is counted apart, as its goal was set before it was read: when the alarm fired before
(DescribeAlarmHistory), and whether its tags in CloudWatch lead here (ListTagsForResource). Both are read beside other
reads and in no round of their own.

**What these figures were before.** Initialisation was measured to the end of the process, which Lambda never waits for:
tearing down costs BARE seven times what it costs lastgood, whose heap is frozen. It was said to be 1.17 × BARE, and was
1.48. The same exit flattered the collector's rest, said to be worth 1.38. Both are measured to readiness now, and so
are the artifact and the other levers of initialisation. The cold start was the only start shown, though few alarms meet
it, and was compared with a single call that guards nothing. BARE still reads whom TLS trusts in its first call,
lastgood while it loads: that counts against lastgood in the row of initialisation, and for it in the cold rows of 1024
MB, where loading has a whole processor and the handler a share of one. Initialisation was one reading of CPU time for
each variant and round; now it is the least of three, for whatever disturbs one only adds to it. Then initialisation was
1.37 and memory 1.13: a quarter of the classes had their methods compiled at each start, because the build, which has no
boto3, left out every module that imports it; and clients were made by boto3.

**What each side pays for initialisation**, in parts of BARE's time: lastgood pays 0.20 for its own modules, 0.03 for
Powertools, 0.07 for whom TLS trusts and 0.06 for three further clients. BARE pays 0.11 for boto3, which nearly every
handler loads and lastgood does without; 0.19 for what botocore knows of services that are not called; and 0.14 for the
collector, which rests while lastgood loads.

### Goals

{goals}

For comparison: NAIVE reaches StopDeployment after {naive_stop} × and CreateDeployment after {naive_create} × the time
of BARE2.

### What misses its goal, and why

{misses}

Nothing that makes a rollback right is traded for speed.

### The calls of a rollback

A warm rollback of a release that is still running, on servers, in order of arrival:

{calls}

## The length of the history

![cost against history length](performance-history.svg)

`ListDeployments` is asked for one page of a time range and one of successes. Where their order cannot be believed, the
range is halved until all of it fits on a page. The calls do not grow with the history; a test holds that on all three
platforms.

## A storm

![rollbacks over time](performance-storm.svg)

{messages} messages about {groups} deployment groups reach {environments} environments at once, while CodeDeploy lets
{rate:g} calls a second through. Who claims first spends CodeDeploy's calls on rollbacks; who reads first spends them on
finding out that somebody else is at it. (The storm brake is off here. With it, more than five groups in alarm at once,
or as many as its setting says, stop all rollbacks and call people, unless one release changed them all.)

## Levers

{levers}

## Memory size and architecture

Time from a cold start to CreateDeployment, × the time at 512 MB. A function has a whole processor at 1769 MB, and a
whole one in any case while it initialises.

{sizes}

1024 MB is the template's default: it is quicker than 512 MB, and idle the difference is two cents a month for the sweep
([cost.md](cost.md)); more buys less and less. `arm64` is chosen by price: what ships is pure Python, and no machine of
that kind was at hand to measure it.

## Alarms of other regions

Each region whose alarms are accepted besides the function's own has a client of CloudWatch: as much computing as one or
two calls, and 0.2 MB. The sweep makes it. To look for a storm, a rollback reads all accepted regions at once, beside
the lists: that opens a connection to each, and none is waited for longer than three seconds.

## How to measure it elsewhere

Linux, Python 3.13 and make; no AWS account, no privileges, no network once the development environment is there.

```console
$ make bench        # a quick look, under three minutes
$ make bench-full   # all rounds
```

Both write this page, its plots and `performance.json`. The machine may be busy: variants are interleaved, so what slows
one down slows the others in the same round. Compare ratios, never times. The share of a processor that a memory size
gives is kept by stopping and continuing the function's process every 20 ms, after it has initialised.

## What cannot be measured without AWS

- Finding a place for the function and loading its code: what `Init Duration` leaves out.
- Whether boto3 in Lambda's runtime has valid bytecode. Here it has, for every variant alike.
- The network: connections to the same machine cost no round trips, so a handshake is cheaper here than there.
- arm64 against x86_64.
- CodeDeploy's real limits and the order in which it lists deployments. The bucket of the storm is an assumption.
- How long AWS's services keep a connection open that nobody uses. The sweep's connections are a minute old when an
  alarm comes; one that was closed meanwhile is opened again.
- SnapStart. It is off, because it would save a start that hardly ever happens. It needs published versions, an alias
  and triggers that point at it, is billed for what it caches and for each restore with Python, and keeps credentials
  and connections over a restore. That a version which nobody invokes for two weeks is put aside does not count against
  it here: the sweep invokes it every minute.
"""
