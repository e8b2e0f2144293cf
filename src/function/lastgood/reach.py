"""Whether CloudWatch and CodeDeploy answer this role: one small read of each, which the sweep makes every minute.

So a failure is found before an alarm needs them, and the connections are already open when one comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

from lastgood.clients import Clients, call
from lastgood.errors import LastgoodError

PATIENCE = timedelta(seconds=5)
ANY_CONFIGURATION = "CodeDeployDefault.OneAtATime"
"""A deployment configuration that every account has."""


class Reach:
    """Checks the services that are read before anything is stopped."""

    def __init__(self, clients: Clients, pool: ThreadPoolExecutor) -> None:
        self._clients = clients
        self._pool = pool

    def begin(self) -> Mapping[str, Future[object]]:
        """Ask each service in the background."""
        looks: dict[str, Callable[[], object]] = {"cloudwatch": self._cloudwatch, "codedeploy": self._codedeploy}
        return {service: self._pool.submit(look) for service, look in looks.items()}

    def problems(self, begun: Mapping[str, Future[object]]) -> list[str]:
        """Which services did not answer, as sentences; empty if all did."""
        return [problem for service, look in begun.items() if (problem := _problem(service, look))]

    def _cloudwatch(self) -> object:
        return call(self._clients.cloudwatch, "describe_alarms", StateValue="ALARM", MaxRecords=1)

    def _codedeploy(self) -> object:
        return call(self._clients.codedeploy, "get_deployment_config", deploymentConfigName=ANY_CONFIGURATION)


def _problem(service: str, look: Future[object]) -> str:
    try:
        look.result(PATIENCE.total_seconds())
    except TimeoutError:
        return f"{service} has not answered for {PATIENCE.total_seconds():.0f} seconds."
    except LastgoodError as error:
        return f"{service}: {error}"
    return ""
