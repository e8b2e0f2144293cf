"""The plug into moto: boto3 clients reach the simulator in process and over HTTP.

moto looks its handlers up in the `url_paths` of each service every time, so swapping entries there is enough.
In-process calls and calls over HTTP may have different simulators; everything else in moto stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

from botocore import xform_name
from botocore.exceptions import ReadTimeoutError
from moto.awslambda import urls as lambda_urls
from moto.cloudformation import urls as cloudformation_urls
from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.codedeploy import urls as codedeploy_urls
from moto.codepipeline import urls as codepipeline_urls
from moto.core.request import Request, normalize_request
from moto.ecr import urls as ecr_urls
from moto.ecs import urls as ecs_urls
from moto.moto_api._internal import urls as control_urls
from moto.s3.models import s3_backends

from simulated_aws.alarm_edits import put_metric_alarm
from simulated_aws.alarm_history import describe_alarm_history
from simulated_aws.alarm_series import describe_alarm_contributors
from simulated_aws.cloudformation.api import error_to_xml, to_xml
from simulated_aws.control import command
from simulated_aws.model import NoAnswer, ServiceError
from simulated_aws.objects import StoredObject
from simulated_aws.simulator import Simulator

Response = tuple[int, dict[str, str], str]
Handler = Callable[[Any, str, Any], Any]

JSON_TYPE = "application/x-amz-json-1.1"
_FUNCTION_PATH = re.compile(
    r"/functions/(?P<function>[^/]+)(?:/aliases/(?P<alias>[^/]+)|/(?P<rest>configuration|versions))?/?$"
)
_plugged: dict[bool, Simulator] = {}
_originals: list[tuple[dict[str, Handler], str, Handler | None]] = []


def plug(simulator: Simulator, over_http: bool) -> None:
    """Make the simulator answer in process or over HTTP. Raises RuntimeError if another one does already."""
    if over_http in _plugged:
        raise RuntimeError("another simulator is plugged in")
    _plugged[over_http] = simulator
    if not _originals:
        _swap_handlers()


def unplug(over_http: bool) -> None:
    """Take the simulator out; when the last one is out, moto answers by itself again."""
    _plugged.pop(over_http, None)
    if not _plugged:
        while _originals:
            paths, path, original = _originals.pop()
            if original is None:
                del paths[path]
            else:
                paths[path] = original


def _swap_handlers() -> None:
    CloudWatchBackend.put_metric_alarm = put_metric_alarm  # type: ignore[method-assign,assignment]
    CloudWatchResponse.describe_alarm_history = describe_alarm_history  # type: ignore[attr-defined]
    CloudWatchResponse.describe_alarm_contributors = describe_alarm_contributors  # type: ignore[attr-defined]
    _swap(codedeploy_urls.url_paths, "{0}/$", _codedeploy)
    _swap(cloudformation_urls.url_paths, "{0}/$", _cloudformation)
    _swap(codepipeline_urls.url_paths, "{0}/$", _codepipeline)
    _swap(ecr_urls.url_paths, "{0}/$", _ecr)
    _swap(ecs_urls.url_paths, "{0}/$", _ecs)
    _swap(control_urls.url_paths, "{0}/moto-api/codedeploy", lambda moto: _control)
    for path in list(lambda_urls.url_paths):
        if re.search(r"\(\?P<function_name>\[[^]]+\]\+\)(/\?\$|/aliases/.*|/versions.*|/configuration.*)$", path):
            _swap(lambda_urls.url_paths, path, _lambda)


def _swap(paths: dict[str, Any], path: str, make: Callable[[Any], Handler]) -> None:
    original = paths.get(path)
    _originals.append((paths, path, original))
    paths[path] = make(original)


# --- one handler for each service ---------------------------------------------------------------------------


def _by_operation(service: str) -> Callable[[Handler], Handler]:
    """A service whose operations are the methods of the simulator's attribute of that name."""

    def make(moto: Handler) -> Handler:
        def simulated(request: Any, full_url: str, headers: Any) -> Any:
            asked = normalize_request(request)
            simulator, operation = _simulator(asked), _operation(asked)
            act = getattr(getattr(simulator, service), xform_name(operation), None) if simulator else None
            if simulator is None or act is None:
                return moto(request, full_url, headers)
            given = _body(asked)
            return _answered(asked, lambda: simulator.answer(service, operation, given, lambda: act(given)))

        return simulated

    return make


_codedeploy = _by_operation("codedeploy")
_codepipeline = _by_operation("codepipeline")
_ecr = _by_operation("ecr")


def _ecs(moto: Handler) -> Handler:
    def simulated_ecs(request: Any, full_url: str, headers: Any) -> Any:
        asked = normalize_request(request)
        simulator, operation, given = _simulator(asked), _operation(asked), _body(asked)
        if simulator is None or not simulator.ecs.knows(operation, given):
            return moto(request, full_url, headers)
        act = partial(simulator.ecs.answer, operation, given)
        return _answered(asked, lambda: simulator.answer("ecs", operation, given, act))

    return simulated_ecs


def _cloudformation(moto: Handler) -> Handler:
    def simulated_cloudformation(request: Any, full_url: str, headers: Any) -> Any:
        asked = normalize_request(request)
        simulator = _simulator(asked)
        form = {key: value for key, value in asked.form.items() if key not in {"Action", "Version"}}
        operation = asked.form.get("Action", "")
        if simulator is None or not simulator.cloudformation.knows(operation, form):
            return moto(request, full_url, headers)
        act = partial(simulator.cloudformation.answer, operation, form)
        answer = partial(simulator.answer, "cloudformation", operation, form, act)
        return _answered_in_xml(asked, operation, answer)

    return simulated_cloudformation


def _lambda(moto: Handler) -> Handler:
    def simulated_lambda(request: Any, full_url: str, headers: Any) -> Any:
        asked = normalize_request(request)
        simulator = _simulator(asked)
        found = _lambda_call(simulator, asked) if simulator else None
        if simulator is None or found is None:
            return moto(request, full_url, headers)
        operation, given, act = found
        return _answered(asked, lambda: simulator.answer("lambda", operation, given, act))

    return simulated_lambda


def _lambda_call(simulator: Simulator, asked: Request) -> tuple[str, dict[str, Any], Callable[[], Any]] | None:
    """Operation, parameters and what answers it; None if moto should."""
    url = urlparse(asked.raw_url)
    found = _FUNCTION_PATH.search(unquote(url.path))
    function, qualifier = _function_name(found["function"]) if found else ("", None)
    api = simulator.lambda_
    if found is None or not api.knows(function):
        hook = bool(found) and asked.method == "GET" and api.is_hook(function)
        return (
            ("GetFunctionConfiguration", {"FunctionName": function}, lambda: api.get_hook(function)) if hook else None
        )
    qualifier = parse_qs(url.query).get("Qualifier", [qualifier])[0]
    alias, rest, method = found["alias"], found["rest"], asked.method
    named = {"FunctionName": function}
    if alias and method == "GET":
        return "GetAlias", named | {"Name": alias}, lambda: api.get_alias(function, alias)
    if alias and method == "PUT":
        given = named | {"Name": alias} | _body(asked)
        return "UpdateAlias", given, lambda: api.update_alias(function, alias, given)
    if method != "GET" or alias:
        return None
    if rest == "versions":
        return "ListVersionsByFunction", named, lambda: api.list_versions(function)
    given = named | ({"Qualifier": qualifier} if qualifier else {})
    if rest == "configuration":
        return "GetFunctionConfiguration", given, lambda: api.get_function_configuration(function, qualifier)
    return "GetFunction", given, lambda: api.get_function(function, qualifier)


def _function_name(reference: str) -> tuple[str, str | None]:
    """Name and qualifier of a name, a partial ARN or an ARN."""
    name, _, qualifier = reference.rpartition("function:")[2].partition(":")
    return name, qualifier or None


def _control(request: Any, full_url: str, headers: Any) -> Response:
    asked = normalize_request(request)
    simulator = _simulator(asked)
    if simulator is None:
        return 404, {"content-type": "application/json"}, '{"error": "no simulator is plugged in"}'
    try:
        result = command(simulator, json.loads(asked.data or b"{}"))
    except (ServiceError, LookupError, TypeError, ValueError, TimeoutError) as error:
        return 400, {"content-type": "application/json"}, json.dumps({"error": str(error)})
    return 200, {"content-type": "application/json"}, json.dumps({"result": result}, default=str)


# --- requests and responses ---------------------------------------------------------------------------------


def _simulator(asked: Request) -> Simulator | None:
    return _plugged.get(bool(asked.from_wsgi_server))


def _operation(asked: Request) -> str:
    return (asked.headers.get("X-Amz-Target") or "").rpartition(".")[2]


def _body(asked: Request) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(asked.data or b"{}")
    return body


def _answered(asked: Request, act: Callable[[], Any]) -> Response:
    try:
        return 200, {"content-type": JSON_TYPE}, json.dumps(act(), default=_wire)
    except ServiceError as error:
        body = {"__type": error.code, "message": error.message}
        return error.status, {"content-type": JSON_TYPE, "x-amzn-errortype": error.code}, json.dumps(body)
    except NoAnswer as error:
        if not asked.from_wsgi_server:
            raise ReadTimeoutError(endpoint_url=asked.raw_url) from error
        body = {"__type": "InternalFailure", "message": "The request got no answer."}
        return 500, {"content-type": JSON_TYPE, "x-amzn-errortype": "InternalFailure"}, json.dumps(body)


def _answered_in_xml(asked: Request, operation: str, act: Callable[[], dict[str, Any]]) -> Response:
    try:
        return 200, {"content-type": "text/xml"}, to_xml(operation, act())
    except ServiceError as error:
        return error.status, {"content-type": "text/xml"}, error_to_xml(error.code, error.message)
    except NoAnswer as error:
        if not asked.from_wsgi_server:
            raise ReadTimeoutError(endpoint_url=asked.raw_url) from error
        return 500, {"content-type": "text/xml"}, error_to_xml("InternalFailure", "The request got no answer.")


def _wire(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} cannot be answered")


# --- what the simulator asks of moto ------------------------------------------------------------------------


def alarm_state(account: str, region: str) -> Callable[[str], str]:
    """The states of the alarms in moto's CloudWatch. One that is not there is not firing."""

    def state(name: str) -> str:
        alarm = cloudwatch_backends[account][region].alarms.get(name)
        return str(alarm.state_value) if alarm else "INSUFFICIENT_DATA"

    return state


class MotoObjects:
    """The bundles in moto's S3. A bucket that is not there is not looked into."""

    def __init__(self, account: str) -> None:
        self._account = account

    def knows(self, bucket: str) -> bool:
        """Whether moto has the bucket."""
        return bucket in s3_backends[self._account]["aws"].buckets

    def find(self, bucket: str, key: str, version: str) -> StoredObject | None:
        """The object, or None if it is gone or hidden under a delete marker."""
        found = s3_backends[self._account]["aws"].get_object(bucket, key, version_id=version or None)
        if found is None or not hasattr(found, "etag"):
            return None
        content = found.value.decode(errors="replace") if len(found.value) < 100_000 else None
        return StoredObject(key, str(found.version_id or ""), found.etag, content)

    def add(self, bucket: str, key: str, content: str, at: datetime) -> None:
        """Upload an object at that time, with its bucket if that is missing; one that is there stays as it is."""
        backend = s3_backends[self._account]["aws"]
        if not self.knows(bucket):
            backend.create_bucket(bucket, "us-east-1")
        if backend.get_object(bucket, key) is None:
            backend.put_object(bucket, key, content.encode()).last_modified = at.replace(tzinfo=None)
