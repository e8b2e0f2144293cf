"""The lifecycle stages of ECS's blue/green, linear and canary deployments, and the hooks that hold them up.

Sources: API reference (`DeploymentLifecycleHook`, `DeploymentLifecycleHookDetail`, `ContinueServiceDeployment`: without
an action it continues; a pause lasts 1440 minutes unless its timeout says otherwise, then ROLLBACK) and developer
guide, "Amazon ECS blue/green deployments". A pause tells EventBridge `ECS Hook State Change`. That a stop is accepted
while a hook pauses is not documented: `ServiceDeployments.stop_refused_while_paused` plays the other answer.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from simulated_aws.model import ServiceError

if TYPE_CHECKING:
    from simulated_aws.ecs.service_deployments import Host
    from simulated_aws.ecs.service_model import ServiceDeployment

PAUSE_MINUTES = 1440
BEFORE_TASKS = ("RECONCILE_SERVICE", "PRE_SCALE_UP")
STAGES = (
    *BEFORE_TASKS,
    "SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME",
    "CLEAN_UP",
)


@dataclass
class HookRun:
    """One hook of one deployment: `AWAITING_ACTION` or `IN_PROGRESS` until it is answered or times out."""

    id: str
    kind: str
    target: str
    status: str
    expires_at: datetime
    timeout_action: str
    then: Callable[[], None]


class Stages:
    """Takes a deployment from stage to stage. `finish` ends it well, `go_back` rolls it back."""

    def __init__(
        self,
        host: Host,
        finish: Callable[[ServiceDeployment], None],
        go_back: Callable[[ServiceDeployment, str], None],
    ) -> None:
        self._host, self._finish, self._go_back = host, finish, go_back

    def run(self, deployment: ServiceDeployment) -> None:
        """Begin with the first stage."""
        self._stage(deployment, 0)

    def before_tasks(self, deployment: ServiceDeployment, then: Callable[[], None]) -> None:
        """Of a rolling deployment: the hooks of the stages before its first task."""
        hooks = [hook for stage in BEFORE_TASKS for hook in _hooks(deployment, stage)]
        self._run_hooks(deployment, hooks, then)

    def _stage(self, deployment: ServiceDeployment, number: int) -> None:
        stage = STAGES[number]
        deployment.stage = stage
        then = partial(self._act, deployment, number)
        self._run_hooks(deployment, _hooks(deployment, stage), then)

    def _act(self, deployment: ServiceDeployment, number: int) -> None:
        seconds = self._effect(deployment, STAGES[number])
        if number + 1 == len(STAGES):
            self._while_going(deployment, seconds, lambda: self._finish(deployment))
        else:
            self._while_going(deployment, seconds, lambda: self._stage(deployment, number + 1))

    def _effect(self, deployment: ServiceDeployment, stage: str) -> float:
        """Do what the stage does. Returns how long it takes, in seconds."""
        owner, target = deployment.owner, deployment.target.id
        if stage == "SCALE_UP":
            owner.traffic = owner.traffic or {key: 1.0 for key, count in owner.tasks.items() if count}
            owner.tasks[target] = owner.service.desired_count
            return owner.timing.task_seconds
        if stage == "PRODUCTION_TRAFFIC_SHIFT":
            steps = _steps(owner.configuration)
            for at, share in steps:
                self._while_going(deployment, at, partial(self._shift, deployment, share))
            return steps[-1][0]
        if stage == "BAKE_TIME":
            return owner.bake_seconds
        if stage == "CLEAN_UP":
            owner.tasks = {target: owner.service.desired_count}
        return 0.0

    def _shift(self, deployment: ServiceDeployment, share: float) -> None:
        before = deployment.source.id if deployment.source else ""
        deployment.owner.traffic = {deployment.target.id: share} | ({before: 1.0 - share} if share < 1 else {})

    # --- hooks --------------------------------------------------------------------------------------------------------

    def _run_hooks(self, deployment: ServiceDeployment, hooks: list[dict[str, Any]], then: Callable[[], None]) -> None:
        if not hooks:
            then()
            return
        hook, rest = hooks[0], hooks[1:]
        timeout = hook.get("timeoutConfiguration") or {}
        seconds = 60.0 * timeout.get("timeoutInMinutes", PAUSE_MINUTES)
        paused = hook.get("targetType") == "PAUSE"
        made = HookRun(
            self._host.random_id(string.ascii_lowercase + string.digits, 16),
            hook.get("targetType") or "AWS_LAMBDA",
            hook.get("hookTargetArn", ""),
            "AWAITING_ACTION" if paused else "IN_PROGRESS",
            self._host.now() + timedelta(seconds=seconds),
            timeout.get("action", "ROLLBACK"),
            lambda: self._run_hooks(deployment, rest, then),
        )
        deployment.hooks.append(made)
        self._while_going(deployment, seconds, lambda: self._timed_out(deployment, made))
        if paused:
            self._host.tell_hook(deployment, made.id)
        else:
            self._ask_function(deployment, made)

    def _ask_function(self, deployment: ServiceDeployment, hook: HookRun) -> None:
        behaviour, seconds = self._host.hook_behaviour(hook.target)
        if behaviour == "hangs":
            return
        answer = "CONTINUE" if behaviour == "succeeds" else "ROLLBACK"
        self._while_going(deployment, seconds, lambda: self._answered(deployment, hook, answer))

    def _timed_out(self, deployment: ServiceDeployment, hook: HookRun) -> None:
        if hook.status in {"AWAITING_ACTION", "IN_PROGRESS"}:
            self._answered(deployment, hook, hook.timeout_action)
            hook.status = "TIMED_OUT"

    def _answered(self, deployment: ServiceDeployment, hook: HookRun, action: str) -> None:
        hook.status = "SUCCEEDED" if action == "CONTINUE" else "FAILED"
        if action == "CONTINUE":
            hook.then()
        else:
            self._go_back(
                deployment, f"The lifecycle hook at {deployment.stage or 'PRE_SCALE_UP'} asked for a rollback."
            )

    def answer(self, deployment: ServiceDeployment, hook_id: str, action: str) -> None:
        """ContinueServiceDeployment. Raises for a hook that does not wait."""
        hook = next((each for each in deployment.hooks if each.id == hook_id), None)
        if action not in {"CONTINUE", "ROLLBACK"}:
            raise ServiceError("InvalidParameterException", f"There is no action {action}.")
        if hook is None or hook.status != "AWAITING_ACTION" or deployment.status != "IN_PROGRESS":
            raise ServiceError("InvalidParameterException", "The lifecycle hook is not awaiting an action.")
        self._answered(deployment, hook, action)

    def _while_going(self, deployment: ServiceDeployment, seconds: float, act: Callable[[], None]) -> None:
        def still() -> None:
            if deployment.status == "IN_PROGRESS":
                act()

        if seconds:
            self._host.later(seconds, still)
        else:
            still()


def _hooks(deployment: ServiceDeployment, stage: str) -> list[dict[str, Any]]:
    every = deployment.owner.configuration.get("lifecycleHooks") or []
    return [hook for hook in every if stage in hook.get("lifecycleStages", [])]


def _steps(configuration: dict[str, Any]) -> list[tuple[float, float]]:
    """When, in seconds, how much of the traffic is on the new revision."""
    strategy = configuration.get("strategy")
    if strategy == "CANARY":
        canary = configuration.get("canaryConfiguration") or {}
        minutes = canary.get("canaryBakeTimeInMinutes", 10)
        return [(0.0, canary.get("canaryPercent", 5) / 100), (60.0 * minutes, 1.0)]
    if strategy == "LINEAR":
        linear = configuration.get("linearConfiguration") or {}
        percent, minutes = linear.get("stepPercent", 10), linear.get("stepBakeTimeInMinutes", 6)
        count = int(-(-100 // percent))
        return [(60.0 * minutes * n, min(1.0, percent * (n + 1) / 100)) for n in range(count)]
    return [(0.0, 1.0)]
