"""A notice as a person reads it: what happened, what is live, whether the alarm recovered, what to do. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from lastgood import links
from lastgood.judgement.release_sets import left_to_people, the_release
from lastgood.judgement.wording import NOT_OK, listed, taken_over
from lastgood.model import REASONS, Meaning, Outcome, Phase, Reason, Rollback, parse_key, what_to_do
from lastgood.text import LINE, clean, one_line_of_several
from lastgood.times import iso

OPENED, NEEDS_HUMAN, CLOSED, NOT_RECOVERED = "opened", "needs_human", "closed", "not_recovered"
PIPELINE, HELD_UP, GOES_ON = "pipeline", "held_up", "goes_on"
MOST_OTHERS = 5
"""For this many other groups of a release, a notice has the command that rolls them back too."""

_SYMBOL = {
    Outcome.ROLLED_BACK: "✅",
    Outcome.SKIPPED: "⚪",
    Outcome.BLOCKED: "⛔",
    Outcome.FAILED: "🔥",
    Outcome.DRY_RUN: "🧪",
}
_SUBJECTS: Mapping[str, str] = {
    OPENED: "ROLLING BACK",
    NEEDS_HUMAN: "WAITS FOR APPROVAL:",
    NOT_RECOVERED: "NOT RECOVERED:",
    PIPELINE: "PIPELINE:",
    HELD_UP: "HELD UP:",
    GOES_ON: "GOES ON:",
}
"""How a subject begins, by the kind of notice; that of a rollback's end begins with the outcome."""


_WHO_AND_WHY: Mapping[str, str] = {"requested_by": "you", "reason": "…"}
"""What a test event says that people have to fill in."""

MOST_NAME = 40
"""This many characters of an account's name go into a subject, which has a hundred."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where people find what a notice is about, and until when they may answer. Empty values are left out."""

    account: str = ""
    account_name: str = ""
    region: str = ""
    stack: str = ""
    function: str = ""
    table: str = ""
    approval_expiry: timedelta = timedelta()

    def at(self, arn: str) -> Place:
        """The same, in the account and the region of an ARN."""
        parts = arn.split(":")
        return replace(self, account=parts[4], region=parts[3]) if len(parts) > 5 else self

    def command(self, *words: str) -> str:
        """A command line for people whose shell may be set to another region."""
        where = ["--region", self.region] if self.region else []
        stack = ["--stack", self.stack] if self.stack not in {"", "lastgood", "service_undefined"} else []
        return " ".join(["lastgood", *where, *stack, *(shlex.quote(word) if word != "…" else word for word in words)])


@dataclass(frozen=True, slots=True)
class Notice:
    """One message about one rollback. `kind` is one of `notices_due`."""

    notice_id: str
    kind: str
    title: str
    text: str
    next_steps: tuple[str, ...]
    subject: str = ""
    links: tuple[str, ...] = ()
    approve_until: str = ""
    account: str = ""
    region: str = ""


def compose(rollback: Rollback, kind: str, place: Place = Place()) -> Notice:
    """A notice as a person reads it."""
    where = rollback.group.key if rollback.application else "no deployment group"
    if kind == CLOSED and rollback.outcome:
        title = _meaning(rollback).title.format(where=where) or (
            f"{_SYMBOL[rollback.outcome]} {rollback.outcome} on {where}: {rollback.reason_code}"
        )
    elif kind == NEEDS_HUMAN:
        title = f"✋ {where} waits for approval"
    elif kind == NOT_RECOVERED:
        which = "another" if rollback.progress.not_recovered_alarm else "the"
        title = f"⚠️ {where} was rolled back, and {which} alarm {_not_ok(rollback)}"
    elif kind == HELD_UP:
        title = f"⏳ The rollback of {where} is held up"
    elif kind == GOES_ON:
        title = f"▶️ The rollback of {where} goes on"
    elif kind == PIPELINE:
        title = f"🔁 The pipeline {rollback.trail.pipeline} of {where}"
    else:
        title = f"⏪ Rolling back {where}"
    return Notice(
        notice_id=f"{rollback.rollback_id}:{kind}",
        kind=kind,
        title=clean(title, 240),
        text=clean(_story(rollback, kind, place), 3000),
        next_steps=_next_steps(rollback, kind, place),
        subject=_subject(rollback, kind, where, place),
        links=_links(rollback, place),
        approve_until=_until(rollback, kind, place),
        account=place.account,
        region=place.region,
    )


def _subject(rollback: Rollback, kind: str, where: str, place: Place) -> str:
    """The subject for a mailbox: ASCII, at most 100 characters, as SNS takes it."""
    ended = _meaning(rollback).subject or str(rollback.outcome or "")
    began = ended if kind == CLOSED else _SUBJECTS.get(kind, kind.upper())
    here = f" ({clean(place.account_name, MOST_NAME) or place.account}, {place.region})" if place.account else ""
    said = clean(f"{began} {where}", 100 - len(here))
    return f"{said}{here}".encode("ascii", "replace").decode()[:100]


def _meaning(rollback: Rollback) -> Meaning:
    return REASONS[rollback.reason_code or Reason.IN_PROGRESS]


def _until(rollback: Rollback, kind: str, place: Place) -> str:
    """Until when a plan can be approved; empty where that is not what the notice is about."""
    return iso(rollback.opened_at + place.approval_expiry) if kind == NEEDS_HUMAN and place.approval_expiry else ""


def _links(rollback: Rollback, place: Place) -> tuple[str, ...]:
    """Addresses of the console, each with what it shows."""
    if not place.region:
        return ()
    head = {
        "rollback_id": rollback.rollback_id,
        "application": rollback.application,
        "deployment_group": rollback.deployment_group,
        "controller": rollback.controller,
        "alarm_name": rollback.trigger.alarm_name,
        "alarm_arn": rollback.trigger.alarm_arn,
        "suspect_deployment_id": rollback.choice.suspect_deployment_id,
        "good_deployment_id": rollback.choice.good_deployment_id,
        "rollback_deployment_id": rollback.progress.rollback_deployment_id,
        "compare_url": rollback.trail.compare_url,
    }
    addresses = links.of_record(place.region, place.table, head) | links.test_events(place.region, place.function)
    return tuple(f"{what}: {address}" for what, address in addresses.items() if place.table or what != "record")


def _story(rollback: Rollback, kind: str, place: Place) -> str:
    trail, choice, progress = rollback.trail, rollback.choice, rollback.progress
    lines = [
        trail.pipeline_alert * (kind == PIPELINE),
        progress.held_up_by * (kind == HELD_UP),
        rollback.explanation,
        taken_over(rollback),
        _live(rollback),
        f"Suspect: {choice.suspect_deployment_id} ({choice.suspect_revision})" * bool(choice.suspect_deployment_id),
        f"Last good: {choice.good_deployment_id} ({choice.good_revision})" * bool(choice.good_deployment_id),
        f"Rollback deployment: {progress.rollback_deployment_id}" * bool(progress.rollback_deployment_id),
        _alarm(rollback, kind),
        f"Commits: {trail.suspect_commit or 'unknown'} is bad, {trail.good_commit or 'unknown'} is good"
        * bool(trail.suspect_commit or trail.good_commit),
        f"Pipeline {trail.pipeline}: runs again as {trail.rerun_execution_id}" * bool(trail.rerun_execution_id),
        f"Pipeline {trail.pipeline}: the stage {trail.hold_stage} is held"
        * bool(trail.held_at and not trail.released_at),
        trail.pipeline_problem,
        the_release(rollback),
        _stack(rollback),
        progress.stack_debt,
        f"Account {_account(place)}, region {place.region}" * bool(place.account),
        f"Rollback id: {rollback.rollback_id}",
    ]
    return LINE.join(one_line_of_several(line) for line in lines if line)


def _account(place: Place) -> str:
    return f"{place.account_name} ({place.account})" if place.account_name else place.account


def _live(rollback: Rollback) -> str:
    """What serves now, as far as the record proves it."""
    if rollback.outcome is Outcome.ROLLED_BACK:
        return f"Live: {rollback.choice.good_revision}" * bool(rollback.choice.good_revision)
    if rollback.outcome in {Outcome.FAILED, Outcome.BLOCKED}:
        return "Live: not proven; look at the deployment group"
    if rollback.phase is Phase.AWAITING_APPROVAL and rollback.choice.suspect_revision:
        return f"Live: {rollback.choice.suspect_revision}, until somebody approves"
    return ""


def _for_the_others(rollback: Rollback, place: Place) -> tuple[str, ...]:
    """How the other groups of the release go back too."""
    others, reason = left_to_people(rollback), f"the same release as {rollback.rollback_id}"
    rest = others[MOST_OTHERS:]
    steps = [
        _step(
            f"If {key} is to go back as well",
            place.command("rollback", key, "--reason", reason),
            {"action": "rollback", **parse_key(key).address, "requested_by": "you", "reason": reason},
        )
        for key in others[:MOST_OTHERS]
    ]
    return (*steps, *([f"The same for {listed(rest)}"] if rest else []))


def _stack(rollback: Rollback) -> str:
    """Which stack holds what is moved, or that this is unknown."""
    if rollback.choice.origin == "unknown":
        return "Stack: whether one holds this is unknown"
    state = f", {rollback.choice.stack_status}" * bool(rollback.choice.stack_status)
    return f"Stack: {rollback.choice.suspect_stack}{state}" * bool(rollback.choice.suspect_stack)


def _alarm(rollback: Rollback, kind: str) -> str:
    if not rollback.trigger.alarm_name:
        return f"Asked for by {rollback.trigger.requested_by}"
    other = rollback.progress.not_recovered_alarm if kind == NOT_RECOVERED else ""
    said = f"Alarm: {other or rollback.trigger.alarm_name}"
    if rollback.progress.alarm_recovered_at:
        return f"{said}, OK again since {_clock(rollback.progress.alarm_recovered_at)}"
    if kind == NOT_RECOVERED:
        return f"{said}, {_not_ok(rollback).removeprefix('is ')}"
    watched = rollback.outcome is Outcome.ROLLED_BACK
    return f"{said}, not OK yet; you are told if it does not recover" if watched else said


def _not_ok(rollback: Rollback) -> str:
    """The state of an alarm that did not recover, as a verb phrase."""
    return NOT_OK.get(rollback.progress.not_recovered_state, "is still firing")


def _go_further_back(rollback: Rollback, place: Place) -> tuple[str, ...]:
    """The next older good revision, ready to be approved: lastgood never goes there by itself."""
    if not rollback.progress.next_good_deployment_id:
        return ()
    reason = "the alarm did not recover after the rollback"
    event = {
        "action": "rollback",
        **rollback.group.address,
        "to_deployment_id": rollback.progress.next_good_deployment_id,
        "force": True,
        "requested_by": "you",
        "reason": reason,
    }
    arguments = ("--to", rollback.progress.next_good_deployment_id, "--force", "--reason", reason)
    command = place.command("rollback", rollback.group.key, *arguments)
    return (_step(f"If you approve, go further back to {rollback.progress.next_good_revision}", command, event),)


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M} UTC"


def _next_steps(rollback: Rollback, kind: str, place: Place) -> tuple[str, ...]:
    if rollback.reason_code is Reason.DRILL_FAILED:
        return (_step("Fix what it names, then try again", place.command("drill"), {"action": "drill"}),)
    named = {"rollback_id": rollback.rollback_id}
    show = _step("Its story", place.command("audit", "show", rollback.rollback_id), {"action": "status", **named})
    group = rollback.group.key
    if kind == NEEDS_HUMAN:
        until = f" until {_clock(rollback.opened_at + place.approval_expiry)}" if place.approval_expiry else ""
        approve = {"action": "approve", **named, "requested_by": "you"}
        reject = {"action": "reject", **named, **_WHO_AND_WHY}
        return (
            _step(f"Approve{until}", place.command("approve", rollback.rollback_id), approve),
            _step("Or reject", place.command("reject", rollback.rollback_id, "--reason", "…"), reject),
            show,
        )
    if rollback.reason_code is Reason.TOO_MANY_ROLLBACKS:
        resume = {"action": "resume", **rollback.group.address, **_WHO_AND_WHY}
        return (_step("When the cause is found", place.command("resume", group, "--reason", "…"), resume), show)
    if kind == OPENED:
        pause = {"action": "pause", **rollback.group.address, **_WHO_AND_WHY}
        return (_step("If it must not go on", place.command("pause", group, "--reason", "…"), pause), show)
    if rollback.reason_code is Reason.FLOOR_RELEASED:
        return (*_about_floor(rollback, place), show)
    ended = kind == CLOSED
    after = (*_for_the_others(rollback, place), *_for_the_pipeline(rollback, place)) if ended else ()
    if rollback.needs_human or kind == NOT_RECOVERED:
        further = _go_further_back(rollback, place) if kind == NOT_RECOVERED else ()
        for_stack = (f"For the stack: {rollback.choice.stack_command}",) if rollback.choice.stack_command else ()
        more = (*further, *_about_floor(rollback, place), *for_stack, *after)
        return ("Look at the service now: lastgood does nothing more by itself", *_todo(rollback, place), *more, show)
    return (*after, show)


def _about_floor(rollback: Rollback, place: Place) -> tuple[str, ...]:
    """How to remove the floor that keeps a rollback from going back, or to set one that does not count yet."""
    floor = rollback.choice.floor_deployment_id
    asked = rollback.choice.suspect_deployment_id if rollback.reason_code is Reason.FLOOR_RELEASED and not floor else ""
    if not (floor or asked):
        return ()
    words, action = (("floor", "set"), "set_floor") if asked else (("floor", "clear"), "clear_floor")
    what = "If older revisions must not go back" if asked else "If the database can go back that far after all"
    command = place.command(*words, rollback.group.key, floor or asked, "--reason", "…")
    named = {**rollback.group.address, "deployment_id": floor or asked}
    event = {"action": action, **named, "requested_by": "you", "reason": what[3:]}
    return (_step(what, command, event),)


def _todo(rollback: Rollback, place: Place) -> tuple[str, ...]:
    """What the catalogue advises for the reason, with commands as they are typed for this account and region."""
    if rollback.choice.floor_deployment_id:
        return ()  # `_about_floor` says it, with the floor's id.
    todo = what_to_do(rollback.reason_code or Reason.IN_PROGRESS, rollback.group if rollback.application else None)
    return (todo.replace("`lastgood ", f"`{place.command()} ").replace("`", ""),) if todo else ()


def _step(what: str, command: str, event: Mapping[str, Any]) -> str:
    """A next step as a command; and as a test event in Lambda's console, for people without the command."""
    return f"{what}: {command} (or the function's test event {json.dumps(event)})"


def _for_the_pipeline(rollback: Rollback, place: Place) -> tuple[str, ...]:
    """How to make the newest definition right again: at once by the pipeline, or more slowly and clearly in git."""
    steps, trail = [], rollback.trail
    if rollback.outcome is Outcome.ROLLED_BACK and trail.rerun_command and not trail.rerun_execution_id:
        steps.append(f"Run the pipeline for the good commit: {trail.rerun_command}")
    if trail.held_at and not trail.released_at:
        release = {"action": "release", **rollback.group.address, **_WHO_AND_WHY}
        command = place.command("release", rollback.group.key, "--reason", "…")
        steps.append(_step("When the fix is ready, release the pipeline", command, release))
    if trail.revert_command:
        steps.append(f"The slower, clearer way back: {trail.revert_command} (with -m 1 for a merge), and release that")
    return tuple(steps)
