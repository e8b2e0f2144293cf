"""Every state change, put on the event bus of another AWS endpoint: a local stack hears of them as a real one does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError


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
