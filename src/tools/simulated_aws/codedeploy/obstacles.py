"""What holds a deployment up: lifecycle hooks, instances that do not answer, stop scripts that fail.

Sources: user guide, "AppSpec 'hooks' section" (a validation function has an hour to answer; ApplicationStop is the
script of the revision installed before); aws-codedeploy-agent#356 and acquia/moonshot#39 (an agent that is dead: 60 to
70 minutes until the deployment ends, a stop stays Pending as long); aws-codedeploy-agent#276 (a bad stop script fails
every later deployment); davidgf/serverless-plugin-canary-deployments#32 (a hook that never answers). Texts are our own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from simulated_aws.codedeploy import revisions
from simulated_aws.codedeploy.model import Deployment
from simulated_aws.timeline import Timeline

HOOK_TIMEOUT_SECONDS = 3600.0
BEFORE_TRAFFIC = ("BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic")
AFTER_TRAFFIC = ("AfterAllowTraffic",)
UNHEALTHY = (
    "HEALTH_CONSTRAINTS",
    "The overall deployment failed because too many individual instances failed deployment, or too few healthy "
    "instances are available for deployment.",
)


@dataclass(frozen=True)
class Hook:
    """How a validation function behaves: `succeeds`, `fails`, `hangs`, or is `missing` by now."""

    behaviour: str = "succeeds"
    seconds: float = 0.0


class Obstacles:
    """Every hook's behaviour, and what becomes of deployments that meet one."""

    def __init__(
        self,
        timeline: Timeline,
        content: Callable[[Deployment], str | None],
        hooks: dict[str, Hook],
        fail: Callable[[Deployment, str, str], None],
        go_on: Callable[[Deployment], None],
    ) -> None:
        self._timeline = timeline
        self._content, self._fail, self._go_on = content, fail, go_on
        self.hooks = hooks

    # --- hooks ------------------------------------------------------------------------------------------------

    def after_hooks(self, deployment: Deployment, events: tuple[str, ...], then: Callable[[], None]) -> None:
        """Run the hooks of these lifecycle events, then go on; one that fails or never answers ends it."""
        seconds = 0.0
        for event, function in self._named(deployment, events):
            hook = self.hooks.get(function, Hook())
            seconds += HOOK_TIMEOUT_SECONDS if hook.behaviour == "hangs" else hook.seconds
            if hook.behaviour != "succeeds":
                self._later(deployment, seconds, partial(self._fail, deployment, *_refusal(hook, event, function)))
                return
        self._later(deployment, seconds, then)

    def _named(self, deployment: Deployment, events: tuple[str, ...]) -> list[tuple[str, str]]:
        # A native rollback moves the traffic back within seconds (recorded: ECS 3 s, Lambda under 17 s).
        if deployment.group.platform == "Server" or deployment.native_rollback:
            return []
        named = revisions.hooks(self._content(deployment) or "")
        return [(event, function) for event in events for function in named.get(event.lower(), [])]

    def _later(self, deployment: Deployment, seconds: float, act: Callable[[], None]) -> None:
        def still() -> None:
            if not deployment.terminal and not deployment.stopping:
                act()

        if seconds:
            self._timeline.later(seconds, still)
        else:
            still()

    # --- instances that do not answer -------------------------------------------------------------------------

    def waiting(self, deployment: Deployment, reached: list[str]) -> bool:
        """Whether the deployment now waits for an instance that was reached and does not answer."""
        silent = [each for each in reached if each in deployment.group.silent]
        if silent and deployment.waits_until is None:
            seconds = max(deployment.group.silent[each] for each in silent)
            deployment.waits_until = self._timeline.now() + timedelta(seconds=seconds)
            self._later(deployment, seconds, lambda: self._give_up(deployment))
        return deployment.waits_until is not None

    def _give_up(self, deployment: Deployment) -> None:
        if deployment.waits_until is None:
            return
        deployment.waits_until = None
        served = deployment.overview.get("Succeeded", 0)
        if deployment.config == "CodeDeployDefault.AllAtOnce" and served:
            self._go_on(deployment)  # at least 0 healthy hosts are enough there
        else:
            self._fail(deployment, *UNHEALTHY)

    def stop_waits(self, deployment: Deployment) -> float:
        """How many seconds a stop has to wait for instances that do not answer."""
        if deployment.waits_until is None:
            return 0.0
        return (deployment.waits_until - self._timeline.now()).total_seconds()

    # --- stop scripts -----------------------------------------------------------------------------------------

    def stop_script_fails(self, deployment: Deployment) -> bool:
        """Whether an instance runs a revision whose ApplicationStop fails, and nothing says to ignore that."""
        group = deployment.group
        running = {revisions.identity(each) for each in group.instances.values() if each}
        ignored = deployment.request.get("ignoreApplicationStopFailures")
        return bool(running & group.failing_stop_scripts) and not ignored


def _refusal(hook: Hook, event: str, function: str) -> tuple[str, str]:
    told: dict[str, Any] = {
        "fails": f"The hook {event} failed: {function} reported Failed.",
        "hangs": f"The hook {event} timed out: {function} did not report within one hour.",
        "missing": f"The hook {event} failed: the function {function} was not found.",
    }
    return "HOOK_EXECUTION_FAILURE", told[hook.behaviour]
