"""A small substitute for what botocore reads before it can make a client: services, their endpoints, their models.

botocore looks into 400 directories for the names of all services, and reads 1.2 MB about the endpoints of each of them.
A few are needed here. So its data loader is replaced by one that lists directories without looking into each, and that
answers `endpoints` from a file with our services alone, which `make endpoints` cuts out of botocore's own. Everything
else, service models above all, comes from the runtime's botocore as ever, but for the models' documentation: more than
half of their text, kept in memory, and never read here.
What this gains, and how to take it out: docs/decisions/15-a-quick-start-by-private-parts.md.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from io import SEEK_END
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader, Loader
from botocore.session import Session

SERVICES = (
    "api.ecr",
    "cloudformation",
    "codedeploy",
    "codepipeline",
    "dynamodb",
    "ecs",
    "events",
    "lambda",
    "monitoring",
    "s3",
    "sns",
)
"""The services that clients are made for, under the names of their endpoints; a test checks the list.

A client of another service would get its partition's usual endpoint.
"""

OF_EVERY_SERVICE = {"service-2", "endpoint-rule-set-1"}
"""What is in each directory, and has to be loaded for each client."""

OURS = Path(__file__).with_name("endpoints.json")
VERSION = 3
_ENDPOINTS = "endpoints"


_ENDINGS: dict[str, Callable[..., Any]] = {".json": open, ".json.gz": gzip.open}


class SmallFiles(JSONFileLoader):
    """botocore's files, as plain dictionaries instead of ordered ones (both keep the order), undocumented."""

    def load_file(self, file_path: str) -> Any:
        """The data of a file that is named without its ending; None if there is none."""
        for ending, opened in _ENDINGS.items():
            with suppress(FileNotFoundError), opened(file_path + ending, "rb") as file:
                return json.loads(file.read(), object_hook=_undocumented)
        return super().load_file(file_path)


def _undocumented(part: dict[str, Any]) -> dict[str, Any]:
    """A part of a model without its documentation, which is text; a member of that name has a dictionary there."""
    if isinstance(part.get("documentation"), str):
        part["documentation"] = ""
    return part


class SmallLoader(Loader):
    """botocore's loader, with less to read."""

    FILE_LOADER_CLASS = SmallFiles

    def list_available_services(self, type_name: str) -> list[str]:
        """Every directory of the data, without looking inside: whether a service has the type shows on loading it."""
        if type_name not in OF_EVERY_SERVICE:
            return list(super().list_available_services(type_name))
        return self._directories

    @cached_property
    def _directories(self) -> list[str]:
        """The names of all services, read once: botocore asks for them twice for each service."""
        return next(Path(self.BUILTIN_DATA_PATH).walk())[1]

    def load_data_with_path(self, name: str) -> tuple[Any, str]:
        """The data of that name, and where it comes from."""
        path = Path(self.BUILTIN_DATA_PATH, _ENDPOINTS)
        if name == _ENDPOINTS and _is_known(path.with_suffix(".json")):
            return json.loads(OURS.read_bytes()), str(path)
        loaded: tuple[Any, str] = super().load_data_with_path(name)
        return loaded


def _is_known(path: Path) -> bool:
    """Whether the runtime's own endpoints are the version that ours were cut from: the file's end shows that."""
    try:
        with path.open("rb") as file:
            file.seek(-64, SEEK_END)
            return file.read().split()[-4:] == [b'"version"', b":", str(VERSION).encode(), b"}"]
    except OSError:
        return False


def use_small_data(session: Session) -> None:
    """Make a session's clients from the small data, unless the session is configured to read data from elsewhere."""
    if not session.get_config_variable("data_path"):
        session.register_component("data_loader", SmallLoader())


def cut(endpoints: dict[str, Any]) -> dict[str, Any]:
    """botocore's endpoints with our services alone."""
    partitions = [
        {
            **partition,
            "services": {name: partition["services"][name] for name in SERVICES if name in partition["services"]},
        }
        for partition in endpoints["partitions"]
    ]
    return {**endpoints, "partitions": partitions}
