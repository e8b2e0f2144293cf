"""Any Lambda event → typed signals. Unusable input becomes a `Refusal` with a reason.

`parse` is the way in, and `types` says what comes out. `envelopes` unpacks what a signal came in; `alarms`,
`eventbridge` and `requests` (operators) read one kind of content each; `fields` holds the readers that they share.
`actions` is the one table of what operators may ask for.
A signal carries no authority. It says where to look: the alarm's state and the deployment history are read from AWS,
never from it.
"""

from lastgood.signals.actions import ACTIONS, ECS_SERVICE, GROUP, OPENS, Act, Door
from lastgood.signals.envelopes import parse
from lastgood.signals.fields import name_problem
from lastgood.signals.types import (
    AlarmSignal,
    DeploymentSignal,
    DrillSignal,
    HealthRequest,
    Home,
    OperatorRequest,
    Refusal,
    ServiceDeploymentSignal,
    Signal,
    SweepSignal,
)

__all__ = [
    "ACTIONS",
    "ECS_SERVICE",
    "GROUP",
    "OPENS",
    "Act",
    "AlarmSignal",
    "DeploymentSignal",
    "Door",
    "DrillSignal",
    "HealthRequest",
    "Home",
    "OperatorRequest",
    "Refusal",
    "ServiceDeploymentSignal",
    "Signal",
    "SweepSignal",
    "name_problem",
    "parse",
]
