"""Whether CloudWatch and CodeDeploy answer this role: small reads of each, which the sweep makes every minute.

So a failure is found before an alarm needs them, and the connections are already open when one comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

from lastgood.clients import Clients, call
from lastgood.errors import LastgoodError
from lastgood.model import AlarmPlace

PATIENCE = timedelta(seconds=5)
ANY_CONFIGURATION = "CodeDeployDefault.OneAtATime"
"""A deployment configuration that every account has."""


type Look = tuple[str, Future[object]]
"""A service, and the read of it."""


class Readiness:
    """Checks the services that are read before anything is stopped."""

    def __init__(
        self, clients: Clients, pool: ThreadPoolExecutor, regions: Iterable[str] = (), *, bundles: bool = False
    ) -> None:
        """`regions`: the other regions whose alarms are accepted. `bundles`: a rollback asks S3 about them."""
        self._clients = clients
        self._pool = pool
        self._regions = tuple(regions)
        self._prepared = ("sns", "events", *(("s3",) if bundles else ()))

    def begin(self) -> Sequence[Look]:
        """Ask each service in the background, CodeDeploy twice: a history is read over two connections at once.

        No connection is opened for what is created later. A write that meets one which AWS has closed meanwhile would
        not know whether it was received.
        """
        looks: tuple[tuple[str, Callable[[], object]], ...] = (
            ("cloudwatch", self._cloudwatch),
            ("codedeploy", self._codedeploy),
            ("codedeploy", self._codedeploy),
        )
        return [(service, self._pool.submit(look)) for service, look in looks]

    def problems(self, begun: Sequence[Look]) -> list[str]:
        """Which services did not answer, as sentences; empty if all did."""
        return list(dict.fromkeys(problem for service, look in begun if (problem := _problem(service, look))))

    def prepare(self) -> None:
        """Make the clients that a rollback would have to make, while nobody waits for it. Nothing is called."""
        self._clients.prepare(self._prepared)
        for region in self._regions:
            self._clients.cloudwatch_at(AlarmPlace(region=region))

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
