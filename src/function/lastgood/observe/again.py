"""The history is read once more before anything is deployed, to check the choice against what AWS says now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lastgood.alarms import HISTORY_KEPT
from lastgood.judgement.outdated import told_apart
from lastgood.model import BEFORE, AlarmHistory, Deployment, Observation
from lastgood.observe.look import Look, in_time
from lastgood.observe.search import with_evidence


def with_history(look: Look, seen: Observation, good: Deployment) -> Observation:
    """Add the history, as far back as the good deployment; a later visit reads it again, as closely as the first.

    A known-bad revision goes back only where it counts as good again; to see that, a month is read.
    """
    if look.last is not None and look.last.history:
        history = _with_known(look.last.history, good)
        past = look.last.alarm_history
        return replace(seen, history=history, alarm_history=past, unusable={**look.last.unusable, **seen.unusable})
    healed = bool(seen.controls.known_bad_as(good.revision))
    since = look.now - HISTORY_KEPT if healed else min(good.created_at, look.now)
    reading = look.reading_alarm_history()
    read: tuple[Deployment, ...] = ()
    for batch in look.deployer.survey(since, look.now)[1]:
        read += look.signed(batch, seen.controls)
        if read and read[-1].created_at <= since:
            break
    seen = replace(seen, history=_with_known(told_apart(read), good))
    between = [d for d in seen.history if d != good and d.created_at > since and d.status == "Succeeded"]
    seen = _without_renamed(look, with_evidence(look, seen, between), between)
    return replace(seen, alarm_history=in_time(reading) or AlarmHistory())


def _without_renamed(look: Look, seen: Observation, between: Sequence[Deployment]) -> Observation:
    """Deployments that were passed over because a tag of theirs means another image by now are so again."""
    asked = {d.deployment_id for d in between}
    renamed = {d.deployment_id: look.deployer.renamed(d.revision) for d in seen.history if d.deployment_id in asked}
    return replace(seen, unusable={**{name: why for name, why in renamed.items() if why}, **seen.unusable})


def _with_known(history: tuple[Deployment, ...], good: Deployment) -> tuple[Deployment, ...]:
    """The history with the good deployment as the closer look showed it; one that no deployment made comes last."""
    if good.deployment_id.endswith(BEFORE) and good not in history:
        return (*history, good)
    return tuple(good if d.deployment_id == good.deployment_id else d for d in history)
