"""What people and other systems are told: a notice on SNS and an event on EventBridge, from what is recorded.

A notice is due while the record says that it was not sent, so a crash before it only delays it. Its id is stable:
whoever gets it twice can tell. Failing to tell never fails a rollback.
(Amazon Q Developer in chat applications, "custom notifications": anything else on the topic is dropped silently.)
"""

from __future__ import annotations

import json
from collections.abc import Container
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from lastgood.clients import Clients, call
from lastgood.errors import LastgoodError
from lastgood.model import Outcome, Reason, Rollback
from lastgood.text import clean
from lastgood.times import iso

OPENED, NEEDS_HUMAN, CLOSED, NOT_RECOVERED = "opened", "needs_human", "closed", "not_recovered"
PIPELINE, HELD_UP, GOES_ON = "pipeline", "held_up", "goes_on"
_SYMBOL = {
    Outcome.ROLLED_BACK: "✅",
    Outcome.SKIPPED: "⚪",
    Outcome.BLOCKED: "⛔",
    Outcome.FAILED: "🔥",
    Outcome.DRY_RUN: "🧪",
}
_TITLES: dict[Reason | None, str] = {
    Reason.STORM: "⛈️ Too many deployment groups are in alarm at once: rollbacks rest",
    Reason.TOO_MANY_ROLLBACKS: "⛔ {where} has had its limit of rollbacks and is paused",
    Reason.KNOWN_BAD_RELEASED: "⚠️ A known-bad revision is being released to {where}",
    Reason.RELEASED_IN_ALARM: "⚠️ A release to {where} meets an alarm that fires already",
    Reason.DRILL_FAILED: "🧯 The daily drill failed: a rollback might fail today",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """One message about one rollback. `kind` is one of `Rollback.notices_due`."""

    notice_id: str
    kind: str
    title: str
    text: str
    next_steps: tuple[str, ...]


def compose(rollback: Rollback, kind: str) -> Notice:
    """A notice as a person reads it."""
    where = rollback.group.key if rollback.application else "no deployment group"
    if kind == CLOSED and rollback.outcome:
        title = _TITLES.get(rollback.reason_code, "{symbol} {outcome} on {where}: {reason}").format(
            symbol=_SYMBOL[rollback.outcome], outcome=rollback.outcome, where=where, reason=rollback.reason_code
        )
    elif kind == NEEDS_HUMAN:
        title = f"✋ {where} waits for approval"
    elif kind == NOT_RECOVERED:
        title = f"⚠️ {where} was rolled back, and the alarm is still firing"
    elif kind == HELD_UP:
        title = f"⏳ The rollback of {where} is held up"
    elif kind == GOES_ON:
        title = f"▶️ The rollback of {where} goes on"
    elif kind == PIPELINE:
        title = f"🔁 The pipeline {rollback.pipeline} of {where}"
    else:
        title = f"⏪ Rolling back {where}"
    return Notice(
        notice_id=f"{rollback.rollback_id}:{kind}",
        kind=kind,
        title=clean(title, 240),
        text=clean(_story(rollback, kind), 3000),
        next_steps=_next_steps(rollback, kind),
    )


def _story(rollback: Rollback, kind: str) -> str:
    lines = [
        rollback.pipeline_alert * (kind == PIPELINE),
        rollback.held_up_by * (kind == HELD_UP),
        rollback.explanation,
        f"Alarm: {rollback.alarm_name}" if rollback.alarm_name else f"Asked for by {rollback.requested_by}",
        f"Suspect: {rollback.suspect_deployment_id} ({rollback.suspect_revision})"
        * bool(rollback.suspect_deployment_id),
        f"Last good: {rollback.good_deployment_id} ({rollback.good_revision})" * bool(rollback.good_deployment_id),
        f"Rollback deployment: {rollback.rollback_deployment_id}" * bool(rollback.rollback_deployment_id),
        f"Commits: {rollback.suspect_commit or 'unknown'} is bad, {rollback.good_commit or 'unknown'} is good"
        * bool(rollback.suspect_commit or rollback.good_commit),
        f"Pipeline {rollback.pipeline}: runs again as {rollback.rerun_execution_id}"
        * bool(rollback.rerun_execution_id),
        f"Pipeline {rollback.pipeline}: the stage {rollback.hold_stage} is held"
        * bool(rollback.held_at and not rollback.released_at),
        rollback.pipeline_problem,
        f"Rollback id: {rollback.rollback_id}",
    ]
    return " | ".join(line for line in lines if line)


def _next_steps(rollback: Rollback, kind: str) -> tuple[str, ...]:
    if rollback.reason_code is Reason.DRILL_FAILED:
        return (f"Mend what it names, then try again: invoke the function with {json.dumps({'action': 'drill'})}",)
    show = f"Invoke the function with {json.dumps({'action': 'status', 'rollback_id': rollback.rollback_id})}"
    if kind == NEEDS_HUMAN:
        answer = {"action": "approve", "rollback_id": rollback.rollback_id, "requested_by": "you"}
        return (f"Approve with {json.dumps(answer)}, or send the same with reject and a reason", show)
    if rollback.reason_code is Reason.TOO_MANY_ROLLBACKS:
        answer = {"action": "resume", **rollback.group.address}
        return (f"When the cause is found, resume with {json.dumps(answer)} and your name and reason", show)
    for_git = _for_the_pipeline(rollback) if kind == CLOSED else ()
    if rollback.needs_human or kind == NOT_RECOVERED:
        return ("Look at the service now: lastgood does nothing more by itself", *for_git, show)
    return (*for_git, show)


def _for_the_pipeline(rollback: Rollback) -> tuple[str, ...]:
    """How the newest definition becomes right again: at once by the pipeline, more slowly and clearly in git."""
    steps = []
    if rollback.outcome is Outcome.ROLLED_BACK and rollback.rerun_command and not rollback.rerun_execution_id:
        steps.append(f"Run the pipeline for the good commit: {rollback.rerun_command}")
    if rollback.held_at and not rollback.released_at:
        release = {"action": "release", **rollback.group.address}
        steps.append(f"When the fix is ready, release the pipeline with {json.dumps(release)} and your name and reason")
    if rollback.revert_command:
        steps.append(
            f"The slower, clearer way back: {rollback.revert_command} (with -m 1 for a merge), and release that"
        )
    return tuple(steps)


class Notices:
    """The notification topic and the event bus. Either may be switched off by an empty setting."""

    def __init__(self, clients: Clients, topic_arn: str, event_bus: str, pool: ThreadPoolExecutor) -> None:
        self._clients = clients
        self._pool = pool
        self._topic_arn = topic_arn
        self._event_bus = event_bus

    def send(self, rollback: Rollback, kind: str) -> list[str]:
        """Tell everybody. Returns what failed, as sentences; empty if all was told."""
        return [problem for problem in self.tell(rollback, kind).values() if problem]

    def tell(self, rollback: Rollback, kind: str, heard: Container[str] = ()) -> dict[str, str]:
        """Tell each channel (`topic`, `bus`) that has not `heard` it. Returns the problem of each; empty: none."""
        notice = compose(rollback, kind)
        channels = {"topic": self._publish, "bus": self._put_event}
        telling = {
            channel: self._pool.submit(tell, rollback, notice)
            for channel, tell in channels.items()
            if channel not in heard
        }
        return {channel: _problem(told) for channel, told in telling.items()}

    def unheard(self) -> str:
        """Why a notice on the topic would reach nobody; empty if somebody listens, or notices are switched off.

        Publishes nothing. Raises RefusedError where the topic may not be read or is gone.
        """
        if not self._topic_arn:
            return ""
        found = call(self._clients.sns, "list_subscriptions_by_topic", TopicArn=self._topic_arn)["Subscriptions"]
        # Until it is confirmed, a subscription has a word in place of its ARN.
        if any(each["SubscriptionArn"].startswith("arn:") for each in found):
            return ""
        return f"Nobody has subscribed to {self._topic_arn}: no notice would reach anybody."

    def _publish(self, rollback: Rollback, notice: Notice) -> None:
        if not self._topic_arn:
            return
        call(
            self._clients.sns,
            "publish",
            TopicArn=self._topic_arn,
            Subject=f"lastgood: {notice.kind} {rollback.rollback_id}"[:100],
            MessageStructure="json",
            Message=json.dumps({"default": json.dumps(_chat_message(rollback, notice)), "email": _email(notice)}),
        )

    def _put_event(self, rollback: Rollback, notice: Notice) -> None:
        if not self._event_bus:
            return
        entry = {
            "Source": "lastgood",
            "DetailType": f"Rollback {notice.kind.replace('_', ' ').title()}",
            "Detail": json.dumps(_detail(rollback, notice)),
            "EventBusName": self._event_bus,
        }
        answer = call(self._clients.events, "put_events", Entries=[entry])
        # A partial failure is answered with 200.
        if answer.get("FailedEntryCount"):
            failed = answer.get("Entries", [{}])[0]
            raise LastgoodError(f"put_events failed: {failed.get('ErrorCode')} {failed.get('ErrorMessage')}")


def _problem(told: Future[None]) -> str:
    try:
        told.result()
    except LastgoodError as error:
        return str(error)
    return ""


def _email(notice: Notice) -> str:
    return "\n".join([notice.title, "", *notice.text.split(" | "), "", *notice.next_steps])


def _chat_message(rollback: Rollback, notice: Notice) -> dict[str, Any]:
    return {
        "version": "1.0",
        "source": "custom",
        "id": notice.notice_id,
        "content": {
            "textType": "client-markdown",
            "title": notice.title,
            "description": notice.text.replace(" | ", "\n"),
            "nextSteps": list(notice.next_steps),
            "keywords": [clean(k, 100) for k in (rollback.application, rollback.deployment_group) if k],
        },
        "metadata": {
            # One thread per rollback: what belongs together stands together.
            "threadId": rollback.rollback_id,
            "summary": notice.title,
            "eventType": f"lastgood.{notice.kind}",
            "relatedResources": [r for r in (rollback.alarm_arn,) if r],
            "additionalContext": {k: str(v) for k, v in _detail(rollback, notice).items() if v},
        },
    }


def _detail(rollback: Rollback, notice: Notice) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "notice_id": notice.notice_id,
        "rollback_id": rollback.rollback_id,
        "application": rollback.application,
        "deployment_group": rollback.deployment_group,
        "controller": rollback.controller,
        "phase": rollback.phase,
        "outcome": rollback.outcome or "",
        "reason": rollback.reason_code or "",
        "explanation": clean(rollback.explanation, 1000),
        "alarm_name": clean(rollback.alarm_name, 255),
        "suspect_deployment_id": rollback.suspect_deployment_id,
        "good_deployment_id": rollback.good_deployment_id,
        "rollback_deployment_id": rollback.rollback_deployment_id,
        "suspect_commit": rollback.suspect_commit,
        "good_commit": rollback.good_commit,
        "pipeline": rollback.pipeline,
        "rerun_execution_id": rollback.rerun_execution_id,
        "opened_at": iso(rollback.opened_at),
        "closed_at": iso(rollback.closed_at) if rollback.closed_at else "",
        "needs_human": rollback.needs_human,
    }
