"""The small data of botocore's: clients made from it are those that botocore makes from its own."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.loaders import Loader
from botocore.regions import EndpointResolver

from endpoints import text
from lastgood import aws_data
from lastgood.aws_data import OURS, SERVICES, SmallFiles, SmallLoader, use_small_data

FUNCTION = Path(__file__).resolve().parents[2] / "src" / "function" / "lastgood"
USED = sorted(
    {
        name
        for path in FUNCTION.rglob("*.py")
        for name in re.findall(r'(?:\.client|_on_first_use)\(\s*"([a-z0-9-]+)"', path.read_text())
    }
)
"""The services of which the function makes clients."""

INVENTED = ("us-south-9", "eu-north-9", "cn-south-9", "us-gov-north-9")


@cache
def full() -> dict[str, Any]:
    """botocore's own endpoints."""
    found: dict[str, Any] = Loader().load_data("endpoints")
    return found


def undocumented(model: Any) -> Any:
    """A model of botocore's with every text that documents it emptied."""
    if isinstance(model, dict):
        return {k: "" if k == "documentation" and isinstance(v, str) else undocumented(v) for k, v in model.items()}
    return [undocumented(each) for each in model] if isinstance(model, list) else model


def regions() -> list[str]:
    """Every region of every partition, and some that are not there yet."""
    return [region for partition in full()["partitions"] for region in partition["regions"]] + list(INVENTED)


def test_the_file_is_what_botocores_endpoints_are_cut_to() -> None:
    assert OURS.read_text() == text(), "botocore's endpoints have changed: make endpoints"


@pytest.mark.parametrize("service", SERVICES)
def test_every_endpoint_in_every_region_is_botocores(service: str) -> None:
    ours, theirs = EndpointResolver(json.loads(OURS.read_bytes())), EndpointResolver(full())
    assert len(regions()) > 40
    for region in regions():
        for fips in (False, True):
            asked: dict[str, Any] = {"service_name": service, "region_name": region, "use_fips_endpoint": fips}
            assert ours.construct_endpoint(**asked) == theirs.construct_endpoint(**asked), region


@pytest.mark.parametrize("service", ["cloudwatch", "codedeploy", "dynamodb", "lambda", "s3", "sns"])
@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"])
def test_a_client_calls_the_same_address_and_signs_for_the_same_region(service: str, region: str) -> None:
    def made(session: Any) -> Any:
        client = session.create_client(service, region_name=region)
        return client.meta.endpoint_url, client.meta.region_name, client._request_signer.signing_name

    small = botocore.session.get_session()
    use_small_data(small)
    assert made(small) == made(botocore.session.get_session())


def test_every_service_of_which_the_function_makes_a_client_is_in_the_list() -> None:
    loader = Loader()
    prefixes = {loader.load_service_model(name, "service-2")["metadata"]["endpointPrefix"] for name in USED}
    assert prefixes == set(SERVICES), "mend SERVICES, then: make endpoints"


@pytest.mark.parametrize("name", USED)
def test_a_services_model_and_rules_are_botocores_but_for_their_documentation(name: str) -> None:
    for kind in ("service-2", "endpoint-rule-set-1"):
        theirs, ours = Loader().load_service_model(name, kind), SmallLoader().load_service_model(name, kind)
        assert json.dumps(ours) == json.dumps(undocumented(theirs)), "in the same order, too"


def test_a_member_that_is_called_documentation_stays(tmp_path: Path) -> None:
    members = {"documentation": {"shape": "Text", "documentation": "<p>what it is</p>"}}
    (tmp_path / "service-2.json").write_text(json.dumps({"documentation": "<p>about</p>", "members": members}))
    assert SmallFiles().load_file(str(tmp_path / "service-2")) == {
        "documentation": "",
        "members": {"documentation": {"shape": "Text", "documentation": ""}},
    }
    assert SmallFiles().load_file(str(tmp_path / "waiters-2")) is None


def test_where_the_runtimes_data_is_of_another_version_its_own_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(SmallLoader().load_data("endpoints")["partitions"][0]["services"]) == len(SERVICES)
    monkeypatch.setattr(aws_data, "VERSION", 4)
    assert SmallLoader().load_data("endpoints") == Loader().load_data("endpoints")


def test_whoever_brings_data_of_their_own_gets_it_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    session = botocore.session.get_session()
    use_small_data(session)
    assert not isinstance(session.get_component("data_loader"), SmallLoader)


def test_a_service_that_is_in_no_list_still_has_a_client() -> None:
    session = botocore.session.get_session()
    use_small_data(session)
    assert (
        session.create_client("sqs", region_name="eu-west-1").meta.endpoint_url == "https://sqs.eu-west-1.amazonaws.com"
    )
    with pytest.raises(botocore.exceptions.UnknownServiceError):
        session.create_client("no-such-service", region_name="eu-west-1")
