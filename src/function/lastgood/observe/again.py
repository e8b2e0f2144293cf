"""The history once more, before anything is deployed: the choice is held against what AWS says of it now."""

from __future__ import annotations

from dataclasses import replace

from lastgood.model import BEFORE, AlarmHistory, Deployment, Observation
from lastgood.observe.look import ALARM_HISTORY_KEPT, Look, in_time
from lastgood.observe.search import with_evidence


def with_history(look: Look, seen: Observation, good: Deployment) -> Observation:
    """What was seen, with the history back to what goes back: a later visit reads that again, as closely as the first.

    A known bad revision goes back only where it healed, and for that a month is looked at.
    """
    if look.last is not None and look.last.history:
        history = _with_known(look.last.history, good)
        return replace(seen, history=history, alarm_history=look.last.alarm_history)
    healed = good.revision.identity in seen.controls.known_bad
    since = look.now - ALARM_HISTORY_KEPT if healed else min(good.created_at, look.now)
    reading = look.reading_alarm_history()
    found: tuple[Deployment, ...] = ()
    for part in look.deployer.survey(since, look.now)[1]:
        found += look.signed(part, seen.controls)
        if found[-1].created_at <= since:
            break
    seen = replace(seen, history=_with_known(found, good))
    between = [d for d in seen.history if d != good and d.created_at > since and d.status == "Succeeded"]
    return replace(with_evidence(look, seen, between), alarm_history=in_time(reading) or AlarmHistory())


def _with_known(history: tuple[Deployment, ...], good: Deployment) -> tuple[Deployment, ...]:
    """A history with what goes back as it was looked at closely; what no deployment made belongs to its end."""
    if good.deployment_id.endswith(BEFORE) and good not in history:
        return (*history, good)
    return tuple(good if d.deployment_id == good.deployment_id else d for d in history)
