"""Remote control: `POST /moto-api/codedeploy` with `{"command": …, …}` answers `{"result": …}`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from simulated_aws.model import ServiceError
from simulated_aws.simulator import Simulator

# Commands that are a method of the simulator, with its parameters, and answer nothing or something simple.
_METHODS = (
    "advance",
    "settle",
    "timing",
    "release",
    "push",
    "update_stack",
    "release_service",
    "service_deployments",
    "deployment",
    "deployments",
    "seed_history",
    "publish_version",
    "register_task_definition",
    "fail_next",
    "bad_revision",
    "throttle",
    "fail_call",
    "effect_then_timeout",
    "timeout_without_effect",
    "set_alarm",
    "read_events",
    "lose_events",
    "native_rollbacks",
    "service_rollbacks",
    "silent_instance",
    "answering_instance",
    "terminate_instance",
    "failing_stop_script",
    "hook",
    "push_image",
    "delete_image",
    "push_branch",
    "serving",
    "serving_by_target",
    "content",
    "content_of",
    "bad_share",
)
_SCENES = ("server_group", "lambda_group", "ecs_group", "rolling_service", "pipeline", "stack")


def command(simulator: Simulator, given: dict[str, Any]) -> Any:
    """Do one command. Raises LookupError for an unknown one, TypeError for parameters that do not fit."""
    name = str(given.get("command", ""))
    parameters = {key: value for key, value in given.items() if key != "command"}
    if name in _METHODS:
        return getattr(simulator, name)(**parameters)
    if name in _SCENES:
        getattr(simulator, name)(**parameters)
        return None
    if name not in _OTHERS:
        raise LookupError(f"no such command: {name}. There are {', '.join([*_METHODS, *_SCENES, *_OTHERS])}")
    return _OTHERS[name](simulator, **parameters)


def _now(simulator: Simulator) -> str:
    return simulator.clock.now().isoformat()


def _live(simulator: Simulator, application: str, group: str) -> dict[str, Any]:
    found = simulator.live(application, group)
    return {"target": found.target, "shares": found.shares}


def _arrivals(simulator: Simulator, operation: str = "") -> list[dict[str, Any]]:
    return [asdict(each) for each in simulator.arrivals if not operation or each.operation == operation]


def _clear_arrivals(simulator: Simulator) -> None:
    simulator.arrivals.clear()


def _list_order(simulator: Simulator, order: str) -> None:
    if order not in {"newest_first", "oldest_first", "shuffled"}:
        raise ServiceError("ValidationException", f"no such order: {order}")
    simulator.engine.list_order = order


def _create_function(simulator: Simulator, name: str, versions: int = 1) -> None:
    simulator.engine.lambda_world.create_function(name, versions)


def _create_alias(simulator: Simulator, function: str, name: str, version: str) -> None:
    simulator.engine.lambda_world.create_alias(function, name, str(version))


def _delete_version(simulator: Simulator, function: str, version: str) -> None:
    simulator.engine.lambda_world.delete_version(function, version)


def _create_service(simulator: Simulator, cluster: str, name: str, task_definition: str) -> None:
    simulator.engine.ecs_world.create_service(cluster, name, task_definition, simulator.clock.now())


def _deregister(simulator: Simulator, task_definition: str) -> None:
    simulator.engine.ecs_world.deregister(task_definition, simulator.clock.now())


def _put_object(simulator: Simulator, **parameters: str) -> None:
    simulator.engine.objects.put(**parameters)


def _declare_bad(simulator: Simulator, deployment_ids: list[str]) -> None:
    simulator.declare_bad(*deployment_ids)


_OTHERS: dict[str, Callable[..., Any]] = {
    "now": _now,
    "declare_bad": _declare_bad,
    "live": _live,
    "read_arrivals": _arrivals,
    "clear_arrivals": _clear_arrivals,
    "list_order": _list_order,
    "create_function": _create_function,
    "create_alias": _create_alias,
    "delete_version": _delete_version,
    "create_service": _create_service,
    "deregister_task_definition": _deregister,
    "put_object": _put_object,
}
