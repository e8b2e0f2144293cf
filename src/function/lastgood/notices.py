"""What people and other systems are told: a notice on SNS and an event on EventBridge, from what is recorded.

A notice is due while the record says that it was not sent, so a crash before it only delays it. Its id is stable, so
receivers can recognise a repetition. A notice that fails never fails a rollback.
(Amazon Q Developer in chat applications, "custom notifications": anything else on the topic is dropped silently.)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from typing import Any

from lastgood.clients import Clients, call
from lastgood.errors import LastgoodError
from lastgood.model import Rollback
from lastgood.notice_text import CLOSED as CLOSED
from lastgood.notice_text import GOES_ON as GOES_ON
from lastgood.notice_text import HELD_UP as HELD_UP
from lastgood.notice_text import NEEDS_HUMAN as NEEDS_HUMAN
from lastgood.notice_text import NOT_RECOVERED as NOT_RECOVERED
from lastgood.notice_text import OPENED as OPENED
from lastgood.notice_text import PIPELINE as PIPELINE
from lastgood.notice_text import Notice, Place
from lastgood.notice_text import compose as compose
from lastgood.text import LINE, clean, without_links
from lastgood.times import iso

PEOPLE = "topic"
"""The channel that people are subscribed to; other systems use the bus."""

Sending = Mapping[str, Future[None]]
"""A notice on its way, by channel."""


class Notices:
    """The notification topic and the event bus. An empty setting switches either of them off."""

    def __init__(
        self, clients: Clients, topic_arn: str, event_bus: str, pool: ThreadPoolExecutor, place: Place | None = None
    ) -> None:
        """`place`: where people find what a notice is about; derived from the topic's ARN if None."""
        self._clients = clients
        self._pool = pool
        self._topic_arn = topic_arn
        self._event_bus = event_bus
        self._place = (place or Place()).at(topic_arn)

    def send(self, rollback: Rollback, kind: str) -> list[str]:
        """Send a notice to every channel. Returns what failed, as sentences; empty if nothing did."""
        return [problem for problem in problems(self.begin(rollback, kind)).values() if problem]

    def begin(self, rollback: Rollback, kind: str, heard: Container[str] = ()) -> Sending:
        """Begin to send it to each channel (`topic`, `bus`) that does not have it yet (`heard`), in the background."""
        channels = {PEOPLE: self._publish, "bus": self._put_event}
        asked = {channel: send for channel, send in channels.items() if channel not in heard}
        return {channel: self._pool.submit(self._tell, send, rollback, kind) for channel, send in asked.items()}

    def _tell(self, send: Callable[[Rollback, Notice], None], rollback: Rollback, kind: str) -> None:
        send(rollback, compose(rollback, kind, self._place))

    def unheard(self) -> str:
        """Why a notice on the topic would reach nobody; empty if somebody has subscribed, or notices are switched off.

        Publishes nothing. Raises RefusedError where the topic may not be read or is gone.
        """
        if not self._topic_arn:
            return ""
        more: dict[str, Any] = {}
        while True:
            answer = call(self._clients.sns, "list_subscriptions_by_topic", TopicArn=self._topic_arn, **more)
            # An unconfirmed subscription has a word in place of its ARN.
            if any(subscription["SubscriptionArn"].startswith("arn:") for subscription in answer["Subscriptions"]):
                return ""
            if not answer.get("NextToken"):
                return f"Nobody has subscribed to {self._topic_arn}: no notice would reach anybody."
            more = {"NextToken": answer["NextToken"]}

    def _publish(self, rollback: Rollback, notice: Notice) -> None:
        if not self._topic_arn:
            return
        call(
            self._clients.sns,
            "publish",
            TopicArn=self._topic_arn,
            Subject=notice.subject,
            MessageStructure="json",
            Message=json.dumps({"default": json.dumps(chat_message(rollback, notice)), "email": email(notice)}),
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
        # EventBridge answers a partial failure with 200.
        if answer.get("FailedEntryCount"):
            failed = answer.get("Entries", [{}])[0]
            raise LastgoodError(f"put_events failed: {failed.get('ErrorCode')} {failed.get('ErrorMessage')}")


def all_done(sending: Sending, patience: timedelta) -> bool:
    """Wait until every channel is done, but no longer than that. Returns whether they all are."""
    return not wait(sending.values(), patience.total_seconds()).not_done


def problems(sending: Sending) -> dict[str, str]:
    """Wait until every channel is done. Returns for each what failed, as a sentence; empty where nothing did."""
    return {channel: _problem(told) for channel, told in sending.items()}


def _problem(told: Future[None]) -> str:
    try:
        told.result()
    except LastgoodError as error:
        return str(error)
    except Exception as error:
        # Not even a mistake in composing it may keep a rollback from going on.
        return f"{type(error).__name__}: {error}"
    return ""


def email(notice: Notice) -> str:
    """A notice as plain text."""
    return "\n".join([notice.title, "", *notice.text.split(LINE), "", *notice.next_steps, "", *notice.links])


def chat_message(rollback: Rollback, notice: Notice) -> dict[str, Any]:
    """A notice as Amazon Q Developer in chat applications takes it."""
    return {
        "version": "1.0",
        "source": "custom",
        "id": notice.notice_id,
        "content": {
            "textType": "client-markdown",
            "title": without_links(notice.title),
            "description": "\n".join([*map(without_links, notice.text.split(LINE)), *notice.links]),
            "nextSteps": [without_links(step) for step in notice.next_steps],
            "keywords": [clean(k, 100) for k in (rollback.application, rollback.deployment_group) if k],
        },
        "metadata": {
            # One thread per rollback, so that its notices stay together.
            "threadId": rollback.rollback_id,
            "summary": without_links(notice.title),
            "eventType": f"lastgood.{notice.kind}",
            "relatedResources": [r for r in (rollback.trigger.alarm_arn,) if r],
            "additionalContext": {k: str(v) for k, v in _context(rollback, notice).items() if v},
        },
    }


def _context(rollback: Rollback, notice: Notice) -> dict[str, Any]:
    """Values that a chat channel's own buttons can check and pass on: see docs/notices.md."""
    waits = {"awaiting_approval": "yes"} if notice.kind == NEEDS_HUMAN else {}
    return {**_detail(rollback, notice), **waits}


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
        "alarm_name": clean(rollback.trigger.alarm_name, 255),
        "suspect_deployment_id": rollback.choice.suspect_deployment_id,
        "good_deployment_id": rollback.choice.good_deployment_id,
        "rollback_deployment_id": rollback.progress.rollback_deployment_id,
        "suspect_commit": rollback.trail.suspect_commit,
        "good_commit": rollback.trail.good_commit,
        "pipeline": rollback.trail.pipeline,
        "rerun_execution_id": rollback.trail.rerun_execution_id,
        "opened_at": iso(rollback.opened_at),
        "closed_at": iso(rollback.closed_at) if rollback.closed_at else "",
        "needs_human": rollback.needs_human,
        "approve_until": notice.approve_until,
        "account": notice.account,
        "region": notice.region,
    }
