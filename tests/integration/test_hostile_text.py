"""Text that strangers wrote can name a revision, an alarm, a reason: none of it may steer whoever reads of it."""

from __future__ import annotations

import io
import json
import logging
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from scene import Scene, scene
from stage.local import event

STEERS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
HOSTILE = {
    "ansi": "v\x1b[31mred\x1b[0m",
    "carriage-return": "good\rbad",
    "new-line": "one\ntwo",
    "bidi": "v2\u202egnp.exe",
    "zero-width": "v\u200b2",
    "line-separator": "v\u20282",
    "c1": "v\x9b31m",
}
EVERY = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())


def texts(value: Any) -> Iterator[str]:
    """Every text in a structure, its keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from (*texts(key), *texts(each))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts(each)


def steering(value: Any) -> list[str]:
    return [text for text in texts(value) if not STEERS.isdisjoint(map(unicodedata.category, text))]


def rolled_back_past(text: str, it: Scene) -> None:
    """The last good revision and the suspect both carry the text in their names."""
    it.sim.release("shop", "prod", f"{text}-1.zip", settle=True)
    it.sim.advance(7200)
    it.sim.release("shop", "prod", f"{text}-2.zip", settle=True)
    it.sim.advance(600)
    it.alarm_fires()
    it.run_to_end()


@EVERY
def test_a_hostile_revision_name_is_harmless_in_explanations_steps_and_notices(text: str) -> None:
    with scene("Server") as it:
        rolled_back_past(text, it)
        assert it.head["outcome"] == "ROLLED_BACK"
        rows = it.local.items()
        told = [row["explanation"] for row in rows if "explanation" in row]
        told += [c["explanation"] for row in rows for c in row.get("candidates", [])]
        assert len(told) > 5
        assert steering(told) == []
        notices = it.local.notices()
        assert notices
        assert steering([n["content"]["title"] for n in notices]) == []
        # A description has lines of its own; nothing else in it may steer.
        assert steering([each.replace("\n", "") for n in notices for each in texts(n["content"])]) == []


@EVERY
def test_a_hostile_revision_name_stays_one_line_in_the_log(text: str) -> None:
    with scene("Server") as it:
        stream = io.StringIO()
        telemetry = it.local.application._parts.telemetry
        telemetry.logger = Logger(service=repr(text), stream=stream, level=logging.INFO)
        rolled_back_past(text, it)
        lines = stream.getvalue().splitlines()
        assert len(lines) > 3
        assert all(json.loads(line)["message"] for line in lines)
        assert steering(lines) == []


@EVERY
def test_an_operators_hostile_words_are_harmless_wherever_they_are_kept(text: str) -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        answer = it.deliver(event("manual-rollback") | {"reason": text, "requested_by": text, "dry_run": True})
        it.deliver(event("manual-pause") | {"reason": text, "requested_by": text})
        assert steering(answer) == []
        assert steering(it.local.items()) == []


@EVERY
def test_a_hostile_alarm_name_starts_nothing_and_is_harmless_in_the_answer(text: str) -> None:
    with scene("Server") as it:
        it.good_history(1, 2)
        answer = it.local.handle(it.alarm_message(alarm=text))[0]
        assert steering(answer) == []
        assert not it.calls("CreateDeployment")
