"""`lastgood plan` says before anything happens what of an old AppSpec would not go back, or would go back with it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulated_aws import revisions
from terminal import Terminal, terminal


def released(it: Terminal, number: int, hooks: dict[str, str], *, settle: bool) -> None:
    body = revisions.lambda_appspec("shop", "live", str(number - 1), str(number))
    document: dict[str, Any] = json.loads(body["appSpecContent"]["content"])
    document |= {"Hooks": [hooks]} if hooks else {}
    made = {"revisionType": "AppSpecContent", "appSpecContent": {"content": json.dumps(document)}}
    it.sim.release("shop", "prod", made, settle=settle)


@pytest.mark.parametrize("over", [True, False], ids=["the suspect has succeeded", "the suspect is still deployed"])
def test_a_plan_says_which_hooks_are_left_out(over: bool) -> None:
    with terminal(NativeRollback="false") as it:
        it.sim.lambda_group("shop", "prod", config="CodeDeployDefault.LambdaCanary10Percent10Minutes")
        released(it, 2, {"BeforeAllowTraffic": "gone"}, settle=True)
        it.sim.advance(7200)
        released(it, 3, {}, settle=over)
        it.sim.advance(60)
        it.sim.hook("gone", "missing")
        (plan,) = it.call("plan", "--group", "shop/prod", "-o", "json").json
        assert plan["acts"] is True
        assert "Its hooks gone no longer exist and are left out." in plan["then"]
