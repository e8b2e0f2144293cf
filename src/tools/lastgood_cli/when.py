"""Times as people give them on a command line: `24h` ago, `2026-11-23`, `2026-11-23T10:04Z`, `now`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from lastgood.judgement.wording import duration
from lastgood.settings import parse_duration
from lastgood.times import parse_iso

if TYPE_CHECKING:
    from lastgood_cli.context import Session

RULE = "give a duration such as 90m, 24h or 30d, a day such as 2026-11-23, or a time such as 2026-11-23T10:04Z"
# Written exactly so: 30 h after midnight, week dates and the like are no times that an operator means.
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?")


def moment(text: str, now: datetime, *, clamped: bool = False) -> datetime:
    """The time that is meant, in UTC; without an offset UTC is meant. Raises ValueError with a sentence.

    A time in the future is refused, or, with `clamped`, means now.
    """
    text = text.strip()
    if text == "now":
        return now
    try:
        return now - parse_duration(text)
    except ValueError as error:
        if "at most" in str(error):
            raise
    if not _TIME.fullmatch(text):
        raise ValueError(RULE)
    try:
        found = datetime.fromisoformat(text)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"there is no such time; {RULE}") from None
    if found > now and not clamped:
        raise ValueError("it is in the future")
    return min(found, now)


class Moment(click.ParamType):
    """A time in the past. With `clamped`, a later one means now: `--until` tomorrow."""

    name = "time"

    def __init__(self, *, clamped: bool = False) -> None:
        self._clamped = clamped

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time that is meant, by the session's clock."""
        if isinstance(value, datetime):
            return value
        session: Session | None = ctx.find_root().obj if ctx else None
        try:
            return moment(str(value), session.now if session else datetime.now(UTC), clamped=self._clamped)
        except ValueError as error:
            self.fail(f"{value!r}: {error}.", param, ctx)


class Span(click.ParamType):
    """A duration."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """`90s`, `15m`, `2h`, `30d`."""
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(f"{value!r} {error}.", param, ctx)


def since_until[F: Callable[..., Any]](default: str = "24h") -> Callable[[F], F]:
    """The options `--since` and `--until`. `checked` looks whether they fit together."""

    def decorate(command: F) -> F:
        command = click.option(
            "--until", type=Moment(clamped=True), default="now", show_default=True, help="Up to when."
        )(command)
        about = "From when on: 24h, 30d, 2026-11-23, 2026-11-23T10:04Z."
        return click.option("--since", type=Moment(), default=default, show_default=True, help=about)(command)

    return decorate


def checked(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """Both. Raises BadParameter where the end is before the beginning."""
    if since > until:
        raise click.BadParameter("--since is after --until.")
    return since, until


def short(text: Any) -> str:
    """A stored time for a table: `2026-11-23 10:04:12`, UTC. What is no time stays as it is."""
    found = when(text)
    return found.strftime("%Y-%m-%d %H:%M:%S") if found else str(text or "")


def when(text: Any) -> datetime | None:
    """A stored time; None for anything else."""
    try:
        return parse_iso(text) if text else None
    except (TypeError, ValueError):
        return None


def counted(number: int, what: str) -> str:
    """`1 rollback`, `2 rollbacks`."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def span(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    whole = round(seconds)
    sign, whole = ("-" if whole < 0 else ""), abs(whole)
    for size, unit, smaller, rest in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            more = (whole % size) // smaller
            return f"{sign}{whole // size} {unit}" + (f" {more} {rest}" if more else "")
    return f"{sign}{whole} s"


def life(served_seconds: int | None, alarms_meanwhile: int | None) -> str:
    """How long a candidate served, and how quietly: `6 days, quiet`; empty where that is not known."""
    if served_seconds is None:
        return ""
    alarms = {None: "alarms unknown", 0: "quiet", 1: "1 alarm"}.get(alarms_meanwhile, f"{alarms_meanwhile} alarms")
    return f"{duration(timedelta(seconds=int(served_seconds)))}, {alarms}"
