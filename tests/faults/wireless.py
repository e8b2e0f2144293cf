"""The same simulated AWS without the wire: no signing, no HTTP, no parsing, so that thousands of plays are cheap.

Calls go straight to what stands behind moto's handlers: the simulator, and moto's own implementation of DynamoDB. Every
scenario is also played over the wire, and both plays have to leave the same world behind.
"""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import datetime
from functools import partial
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError, ReadTimeoutError
from moto.core.exceptions import JsonRESTError
from moto.dynamodb.responses import DynamoHandler

from simulated_aws import Simulator
from simulated_aws.model import NoAnswer, ServiceError
from stage.local import ACCOUNT, REGION


def refused(operation: str, code: str, status: int = 400, message: str = "", **more: Any) -> ClientError:
    """An error as botocore raises it."""
    answer: Any = {
        "Error": {"Code": code, "Message": message or code},
        "ResponseMetadata": {"HTTPStatusCode": status},
        **more,
    }
    return ClientError(answer, operation)


class Wireless:
    """Answers the application's calls; None where a call has to take the wire."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self._handler = DynamoHandler()
        self._handler.current_account, self._handler.region = ACCOUNT, REGION

    def answer(self, service: str, operation: str, given: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to one call."""
        act = getattr(self, f"_{service}", None)
        return act(operation, given) if act else None

    def _codedeploy(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        act = getattr(self._sim.codedeploy, xform_name(operation))
        return self._simulated("codedeploy", operation, given, lambda: act(given))

    def _ecs(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        sent = _sent(given)
        return self._simulated("ecs", operation, sent, lambda: self._sim.ecs.answer(operation, sent))

    def _lambda(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        api, function, alias = self._sim.lambda_, given["FunctionName"], given.get("Name", "")
        acts = {
            "GetAlias": lambda: api.get_alias(function, alias),
            "UpdateAlias": lambda: api.update_alias(function, alias, given),
            "GetFunctionConfiguration": lambda: api.get_function_configuration(function, given.get("Qualifier")),
            "GetFunction": lambda: api.get_function(function, given.get("Qualifier")),
            "ListVersionsByFunction": lambda: api.list_versions(function),
        }
        return self._simulated("lambda", operation, given, acts[operation])

    def _cloudformation(self, operation: str, given: dict[str, Any]) -> dict[str, Any] | None:
        if not self._sim.cloudformation.knows(operation, given):
            return None
        act = partial(self._sim.cloudformation.answer, operation, given)
        return self._simulated("cloudformation", operation, given, act)

    def _ecr(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        act = getattr(self._sim.ecr, xform_name(operation))
        return self._simulated("ecr", operation, given, lambda: act(given))

    def _codepipeline(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        act = getattr(self._sim.codepipeline, xform_name(operation))
        return self._simulated("codepipeline", operation, given, lambda: act(given))

    def _simulated(self, service: str, operation: str, given: dict[str, Any], act: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = _copied(self._sim.answer(service, operation, given, act))
        except ServiceError as error:
            raise refused(operation, error.code, error.status, error.message) from error
        except NoAnswer as error:
            raise ReadTimeoutError(endpoint_url="https://aws") from error
        return answer

    def _dynamodb(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        self._handler.body = _copied(given)
        try:
            answer: dict[str, Any] = getattr(self._handler, xform_name(operation))().result
        except JsonRESTError as error:
            told = json.loads(error.description)
            more = {k: v for k, v in told.items() if k == "CancellationReasons"}
            raise refused(
                operation, error.error_type.rpartition("#")[2], 400, str(told.get("message")), **more
            ) from error
        return {name: plain(value) for name, value in answer.items()}

    def _sns(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        return {"MessageId": "sent"}

    def _events(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        return {"FailedEntryCount": 0, "Entries": [{}]}


def _copied(value: Any) -> Any:
    """A copy of what a call or an answer is made of: dictionaries, lists, and values that nothing changes."""
    if isinstance(value, dict):
        return {name: _copied(part) for name, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def _sent(value: Any) -> Any:
    """Parameters as the wire carries them: times are seconds."""
    if isinstance(value, dict):
        return {name: _sent(part) for name, part in value.items()}
    return value.timestamp() if isinstance(value, datetime) else value


def plain(value: Any) -> Any:
    """moto's own types as the wire would show them."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return plain(value.to_json()) if hasattr(value, "to_json") else value
