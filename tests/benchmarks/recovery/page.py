"""The page about whole incidents, and the part of it that leads the page of speed. Both come from the kept rows."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from statistics import median
from textwrap import fill

from benchmarks.recovery.scenarios import MIX, SCENARIOS
from benchmarks.recovery.table import (
    Row,
    actors_table,
    beside_aws,
    figures,
    not_right,
    of_actor,
    scenarios_table,
    versus_native,
)
from stage.local import ROOT

KEPT = ROOT / "docs" / "recovery.json"


def kept() -> list[Row]:
    """The rows of the last run."""
    rows: list[Row] = json.loads(KEPT.read_text())
    return rows


def lead(rows: Sequence[Row]) -> str:
    """The table of actors, with what has to be known to read it."""
    return "\n\n".join([actors_table(rows), *map(_wrapped, (_HOW_TO_READ, _against_native(rows)))])


def render(rows: Sequence[Row]) -> str:
    """The whole page as Markdown."""
    return _PAGE.format(
        lead=lead(rows),
        mix="\n".join(f"| {mix} | {share} % | {_names(mix)} |" for mix, share in MIX.items()),
        scenarios=scenarios_table(rows),
        not_right=not_right(rows),
        beside_aws=beside_aws(rows),
        unweighted=_wrapped(_unweighted(rows)),
    )


def _names(mix: str) -> str:
    return str(sum(scenario.mix == mix for scenario in SCENARIOS))


def _against_native(rows: Sequence[Row]) -> str:
    pairs = versus_native(rows)
    own, ours = (median(each) for each in zip(*pairs, strict=True))
    return (
        f"Where AWS's own rollback puts things right ({len(pairs)} worlds) it needs {_minutes(own)} minutes in the "
        f"median, lastgood beside it {_minutes(ours)}: it adopts that rollback instead of racing it."
    )


def _minutes(value: float) -> str:
    return "for ever" if math.isinf(value) else f"{value:.1f}"


def _unweighted(rows: Sequence[Row]) -> str:
    shares = [
        f"{name} {100 * figures(of_actor(rows, key), lambda _: 1.0).right:.0f} %"
        for key, name in (("sample", "the sample"), ("person", "the person"), ("lastgood", "lastgood"),
                          ("lastgood+native", "lastgood beside AWS's own"))
    ]  # fmt: skip
    return f"Every world counted once, without the mix, these end right: {', '.join(shares)}."


def _wrapped(text: str) -> str:
    return fill(text, 120, break_long_words=False, break_on_hyphens=False)


_HOW_TO_READ = (
    "A *world* is one scenario at one kind of place. Minutes count from the first failing request until only what is "
    "good serves, the alarm's own two to three minutes included; *never* is the share of incidents in which something "
    "has to go back and that does not come. A *wrong act* stops a good deployment or puts something into service that "
    "is not good. Where AWS itself did it, that is said, and it is not held against whoever answers beside it: where "
    "hands off is right, that one may put right what AWS did wrong, and nothing else. An *honest ending* is the right "
    "one; a wrong one of which people are told counts half. Judged is what the simulator knows to serve, never what "
    "anybody says."
)

_PAGE = """\
# Whole incidents

This page is written by `make bench-recovery`; the verdicts are kept in `recovery.json` beside it. It is exact: the
simulated clock moves everything, and the same code gives the same table on every machine.

{lead}

## Who answers

- **CodeDeploy's own alarm rollback**: the group names the alarm, and rolls back when it fires or a deployment fails.
- **ECS's own circuit breaker and alarms**: the same for services that ECS deploys.
- **a public sample**: the alarm invokes a function that stops what runs and deploys the newest earlier success
  (`tests/benchmarks/yardsticks/naive.py`); for a service it goes back to the task definition with the number before.
- **the sample, and AWS's own**: the same function, in a group that watches the alarm too.
- **a person with the procedure** comes ten minutes after the alarm. If it still fires: stop what runs, deploy again
  what was deployed before it, with the group's own configuration; once. The person obeys, and is not wise: the minutes
  are fair, the wrong acts are those of a procedure without a head.
- **lastgood**, with its default settings in mode `auto`, the minute's sweep and CodeDeploy's events; alone, and in
  groups that watch the alarm too.

## Where

| place | how long things take |
|---|---|
| servers in place | ten instances, 40 seconds a batch; all at once, half, or one at a time |
| servers blue/green | a new fleet: 380 seconds, of which 120 for rerouting |
| Lambda | 4 seconds for a hook, then the shift: all at once, a canary of ten minutes, or 10 % a minute |
| ECS blue/green | 110 seconds for a task set, the shift, 5 minutes of termination wait |
| ECS rolling | six tasks, 20 seconds each; five minutes of bake where ECS watches the alarm |

The alarm is an error rate over 5 %: two of three datapoints of a minute each. It measures what serves, so a canary of
10 % that fails shows as 10 %, and it recovers by itself when nothing that fails serves any more.

## The mix

| kind | share | scenarios |
|---|---|---|
{mix}

The shares are a judgement of what public write-ups of incidents show, not a count. Inside a kind every scenario counts
the same, and inside a scenario every place. The scenarios were chosen to have a right answer that can be known, among
them those in which lastgood failed until it was mended: they say that it handles these kinds, not that there are no
others. One kind is left out, because nobody could answer it: a good release that ended minutes before something else
broke. There lastgood goes back for nothing, as everybody in the table would. In a storm the other alarms fire in the
same minute; groups whose alarms fire before a storm can be seen are rolled back, as many as the limit allows.

{unweighted}

## Each scenario

In how many of its worlds each one ends right, the median minutes of those, and the wrong acts in all of them.

{scenarios}

## Where lastgood is not right

{not_right}

## Where AWS acts wrongly beside it

A group that watches the alarm stops whatever is deployed while that fires, a fix and a rollback too, and puts the last
success back, whatever the alarm says of that. lastgood cannot keep AWS from it; it puts right what came of it.

{beside_aws}

## How to play it

```console
$ make bench-recovery        # every world, a few minutes
```

`tests/benchmarks/recovery`: `scenarios.py` holds the incidents as data, `actors.py` who answers, `judge.py` what
counts. A test plays some of the worlds and compares them with what is kept.
"""
