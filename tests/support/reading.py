"""Events read as the function reads them, and variants of the example events."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lastgood.signals import AlarmSignal, Home, OperatorRequest, Refusal, Signal, parse

EVENTS = Path(__file__).parents[2] / "events"
NOW = datetime(2026, 3, 2, 10, 12, tzinfo=UTC)
HOME = Home("123456789012", "us-east-1")
TAGS = {"lastgood:application": "shop", "lastgood:deployment-group": "prod"}


def load(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


def sole(event: object, home: Home = HOME) -> Signal | Refusal:
    (result,) = parse(event, home, NOW)
    return result


def alarm(event: object, home: Home = HOME) -> AlarmSignal:
    result = sole(event, home)
    assert isinstance(result, AlarmSignal), result
    return result


def refusal(event: object, home: Home = HOME) -> Refusal:
    result = sole(event, home)
    assert isinstance(result, Refusal), result
    return result


def asked(event: object) -> OperatorRequest:
    result = sole(event)
    assert isinstance(result, OperatorRequest), result
    return result


def sns(**changes: Any) -> Any:
    """The SNS alarm with fields of its message replaced; None takes a field away."""
    event = load("alarm-in-alarm")
    message = json.loads(event["Records"][0]["Sns"]["Message"]) | changes
    kept = {name: value for name, value in message.items() if value is not None}
    event["Records"][0]["Sns"]["Message"] = json.dumps(kept)
    return event


def in_queue(body: object) -> Any:
    event = load("alarm-sqs-wrapped")
    event["Records"][0]["body"] = json.dumps(body)
    return event
