"""EventBridge events in AWS's shape, told to listeners and kept to be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from codedeploy_simulator.model import Deployment

DETAIL_TYPE = "CodeDeploy Deployment State-change Notification"


class Events:
    """Every state-change notification. `detail.state` is START, READY, STOP, FAILURE or SUCCESS."""

    def __init__(self, account: str, region: str) -> None:
        self._account, self._region = account, region
        self._unread: list[dict[str, Any]] = []
        self._undelivered: list[dict[str, Any]] = []
        self.listeners: list[Callable[[dict[str, Any]], object]] = []
        self.all: list[dict[str, Any]] = []
        self.lost_count = 0

    def tell(self, deployment: Deployment, state: str, at: datetime, event_id: str) -> None:
        """Note that a deployment changed state. EventBridge is best effort: `lost_count` events get lost."""
        if self.lost_count:
            self.lost_count -= 1
            return
        event = self._event(deployment, state, at, event_id)
        self.all.append(event)
        self._unread.append(event)
        self._undelivered.append(event)

    def deliver(self) -> None:
        """Tell the listeners. Never inside an API call: a listener may make API calls of its own."""
        while self._undelivered:
            event = self._undelivered.pop(0)
            for listener in list(self.listeners):
                listener(event)

    def read(self) -> list[dict[str, Any]]:
        """The events since the last call."""
        unread, self._unread = self._unread, []
        return unread

    def _event(self, deployment: Deployment, state: str, at: datetime, event_id: str) -> dict[str, Any]:
        group, application = deployment.group.name, deployment.group.application.name
        arn = f"arn:aws:codedeploy:{self._region}:{self._account}"
        return {
            "account": self._account,
            "region": self._region,
            "detail-type": DETAIL_TYPE,
            "source": "aws.codedeploy",
            "version": "0",
            "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "id": event_id,
            "resources": [f"{arn}:application:{application}", f"{arn}:deploymentgroup:{application}/{group}"],
            "detail": {
                "instanceGroupId": deployment.group.id,
                "region": self._region,
                "application": application,
                "deploymentId": deployment.id,
                "state": state,
                "deploymentGroup": group,
            },
        }


def to_eventbridge(url: str, region: str) -> Callable[[dict[str, Any]], None]:
    """A listener that puts each event on the default bus of the EventBridge at `url`. What does not arrive is lost."""
    connect: Any = boto3.client  # its stubs want the service as a literal
    events = connect("events", endpoint_url=url, region_name=region)

    def put(event: dict[str, Any]) -> None:
        entry = {
            "Source": event["source"],
            "DetailType": event["detail-type"],
            "Detail": json.dumps(event["detail"]),
            "Resources": event["resources"],
            "Time": event["time"],
        }
        try:
            events.put_events(Entries=[entry])
        except (BotoCoreError, ClientError) as error:
            print(f"an event was lost: {error}", flush=True)

    return put
