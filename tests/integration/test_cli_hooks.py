"""`lastgood doctor` says what of a service's own configuration holds a rollback up."""

from __future__ import annotations

from typing import Any

import pytest

from answering import answering
from integration.test_cli_judgement import unknown_to_moto
from terminal import terminal

SERVICE = "ecs:main/web"
PAUSE = {"targetType": "PAUSE", "lifecycleStages": ["POST_PRODUCTION_TRAFFIC_SHIFT"]}
FUNCTION = {
    "targetType": "AWS_LAMBDA",
    "hookTargetArn": "arn:aws:lambda:us-east-1:123456789012:function:smoke",
    "lifecycleStages": ["PRE_SCALE_UP"],
}


@pytest.mark.parametrize(
    ("hook", "pauses", "words"),
    [
        (
            PAUSE,
            "tell",
            "PAUSE at POST_PRODUCTION_TRAFFIC_SHIFT, ROLLBACK after 1440 min. A rollback's own deployment wai",
        ),
        (PAUSE, "continue", "A rollback that a pause holds is let go on (LASTGOOD_ROLLBACK_PAUSES)."),
        (
            PAUSE | {"timeoutConfiguration": {"timeoutInMinutes": 30, "action": "CONTINUE"}},
            "tell",
            "PAUSE at POST_PRODUCTION_TRAFFIC_SHIFT, CONTINUE after 30 min.",
        ),
        (FUNCTION, "tell", "function:smoke at PRE_SCALE_UP."),
    ],
)
def test_doctor_lists_the_hooks_of_a_service_and_what_they_do_to_a_rollback(
    hook: dict[str, Any], pauses: str, words: str
) -> None:
    with terminal(EcsServices="*/*", RollbackPauses=pauses) as it:
        it.sim.rolling_service("main", "web", strategy="BLUE_GREEN", lifecycleHooks=[hook])
        with answering(unknown_to_moto(it)):
            rows = it.call("-o", "json", "doctor", "--group", SERVICE).json
    (told,) = [row["detail"] for row in rows if row["check"] == "its lifecycle hooks are known"]
    assert words in told
