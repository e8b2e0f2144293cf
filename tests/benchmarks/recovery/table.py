"""From verdicts to the table: weighted figures for each actor, and Markdown. Rows are verdicts as JSON keeps them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.recovery.actors import ACTORS
from benchmarks.recovery.scenarios import BACK, MIX, SCENARIOS

Row = Mapping[str, Any]
_BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
OURS = ("lastgood", "lastgood+native")


@dataclass(frozen=True)
class Figures:
    """What an actor's worlds come to, weighted by the mix.

    Shares are of 1, wrong acts are for each alarm. Minutes are over the worlds in which something has to go back,
    infinite for never.
    """

    worlds: int
    right: float
    median: float
    ninetieth: float
    never: float
    wrong: float
    wrong_by_aws: float
    honest: float


def weight(row: Row) -> float:
    """The part of all incidents that one world stands for: its kind's, shared among scenarios, then among places."""
    scenario = _BY_NAME[row["scenario"]]
    siblings = sum(each.mix == scenario.mix for each in SCENARIOS)
    return MIX[scenario.mix] / siblings / len(scenario.places)


def figures(rows: Iterable[Row], weigh: Callable[[Row], float] = weight) -> Figures:
    """The figures of some worlds, all of one actor."""
    rows = list(rows)
    back = [row for row in rows if _BY_NAME[row["scenario"]].right == BACK]
    alarms = _mean(rows, lambda row: row["alarms"], weigh)
    return Figures(
        worlds=len(rows),
        right=_mean(rows, lambda row: float(row["right"]), weigh),
        median=quantile(back, 0.5, weigh),
        ninetieth=quantile(back, 0.9, weigh),
        never=_mean(back, lambda row: float(row["minutes"] is None), weigh),
        wrong=_mean(rows, lambda row: len(row["wrong"]), weigh) / alarms,
        wrong_by_aws=_mean(rows, lambda row: row["wrong_by_aws"], weigh) / alarms,
        honest=_mean(rows, lambda row: row["honest"], weigh),
    )


def _mean(rows: Sequence[Row], value: Callable[[Row], float], weigh: Callable[[Row], float]) -> float:
    total = sum(map(weigh, rows))
    return sum(weigh(row) * value(row) for row in rows) / total if total else math.nan


def quantile(rows: Sequence[Row], share: float, weigh: Callable[[Row], float]) -> float:
    """The minutes within which that share of the worlds had only what is good; infinite if fewer ever had."""
    if not rows:
        return math.nan
    reached, total = 0.0, sum(map(weigh, rows))
    for row in sorted(rows, key=_minutes):
        reached += weigh(row)
        if reached >= share * total - 1e-9:
            return _minutes(row)
    return math.inf


def _minutes(row: Row) -> float:
    return math.inf if row["minutes"] is None else float(row["minutes"])


def of_actor(rows: Iterable[Row], actor: str) -> list[Row]:
    """The worlds of one actor."""
    return [row for row in rows if row["actor"] == actor]


# --- Markdown ---------------------------------------------------------------------------------------------------------


def actors_table(rows: Sequence[Row]) -> str:
    """One line for each actor."""
    lines = [
        "| who answers the alarm | worlds | right in the end | median minutes | p90 | never "
        "| wrong acts per 100 alarms | honest endings |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for key, actor in ACTORS.items():
        if not (mine := of_actor(rows, key)):
            continue
        found = figures(mine)
        cells = [
            actor.name,
            str(found.worlds),
            _percent(found.right),
            _time(found.median),
            _time(found.ninetieth),
            _percent(found.never),
            _wrong(found),
            _percent(found.honest),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _wrong(found: Figures) -> str:
    everybody, aws = round(100 * found.wrong), round(100 * found.wrong_by_aws)
    return (
        f"{everybody}, all by AWS itself" if aws == everybody > 0 else f"{everybody}" + f" ({aws} by AWS)" * (aws > 0)
    )


def versus_native(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Minutes of AWS's own rollback and of lastgood beside it, in each world in which AWS's own puts things right."""
    ours = {(row["scenario"], row["place"]): row for row in of_actor(rows, "lastgood+native")}
    own = [*of_actor(rows, "native"), *of_actor(rows, "ecs")]
    return [
        (_minutes(row), _minutes(ours[row["scenario"], row["place"]]))
        for row in own
        if row["right"] and row["minutes"] is not None
    ]


def scenarios_table(rows: Sequence[Row]) -> str:
    """One line for each scenario: in how many of its worlds each actor ends right, and the median minutes."""
    keys = list(ACTORS)
    lines = [
        f"| scenario | right | {' | '.join(ACTORS[key].name.replace('**', '') for key in keys)} |",
        "|---|---|" + "---|" * len(keys),
    ]
    for mix in MIX:
        lines.append(f"| **{mix}, {MIX[mix]} %** |" + " |" * (len(keys) + 1))
        for scenario in (each for each in SCENARIOS if each.mix == mix):
            worlds = [row for row in rows if row["scenario"] == scenario.name]
            cells = [_cell(of_actor(worlds, key), scenario.right) for key in keys]
            lines.append(f"| {scenario.name} | {scenario.right} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(rows: Sequence[Row], right: str) -> str:
    if not rows:
        return "–"
    done = sum(bool(row["right"]) for row in rows)
    wrong = sum(len(row["wrong"]) for row in rows)
    text = f"{done}/{len(rows)}"
    if right == BACK and done:
        text += f", {_time(quantile([row for row in rows if row['right']], 0.5, lambda _: 1.0))} min"
    return text + f", {wrong} wrong" * (wrong > 0)


def not_right(rows: Sequence[Row]) -> str:
    """Where lastgood does not end right, or acts wrongly itself, with what it says of it."""
    lines = []
    for scenario in SCENARIOS:
        mine = [row for row in rows if row["scenario"] == scenario.name and row["actor"] in OURS]
        found = [row for row in mine if not row["right"] or len(row["wrong"]) > row["wrong_by_aws"]]
        if not found:
            continue
        lines += [f"**{scenario.name}** (right: {scenario.right})", ""]
        lines += [f"- {_one(row)}" for row in found] + [""]
    return "\n".join(lines).rstrip() or "Nowhere: it ends right in every world, and does nothing wrong in any."


def beside_aws(rows: Sequence[Row]) -> str:
    """Where AWS itself acts wrongly beside lastgood, and how that ends."""
    lines = []
    for scenario in SCENARIOS:
        mine = [row for row in rows if row["scenario"] == scenario.name and row["actor"] in OURS]
        found = [row for row in mine if row["wrong_by_aws"]]
        if found:
            did = ", ".join(sorted({act for row in found for act in row["wrong"]}))
            right = sum(bool(row["right"]) for row in found)
            lines.append(
                f"- **{scenario.name}** (right: {scenario.right}): AWS {did}; {right} of {len(found)} end right"
            )
    return "\n".join(lines) or "Nowhere."


def _one(row: Row) -> str:
    where = row["place"] + ", with AWS's own" * (row["actor"] != "lastgood")
    wrong = "; ".join(sorted(set(row["wrong"])))
    by = " (AWS itself)" if row["wrong_by_aws"] == len(row["wrong"]) else ""
    end = "ends right" if row["right"] else "ends wrong, people are called" if row["honest"] else "ends wrong"
    said = f"; it says: {row['said'][-1]}" if row["said"] else ""
    return f"{where}: {end}{f'; {wrong}{by}' if wrong else ''}{said}"


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.0f} %"


def _time(minutes: float) -> str:
    return "–" if math.isnan(minutes) else "never" if math.isinf(minutes) else f"{minutes:.1f}"
