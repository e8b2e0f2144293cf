"""Addresses of the AWS console for what a record names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from lastgood.model import AlarmPlace, Controller, DeploymentGroup

_DOMAINS = {
    "cn": "amazonaws.cn",
    "us-gov": "amazonaws-us-gov.com",
    "eusc": "amazonaws-eusc.eu",
    **dict.fromkeys(("us-iso", "us-isob", "eu-isoe", "us-isof"), ""),
}
"""How a partition's regions begin → the domain of its console; empty for the isolated ones, which publish none."""


def _console(region: str) -> str:
    """The console's address in a region's partition; empty where it is not known."""
    kind = next((prefix for prefix in _DOMAINS if region.startswith(f"{prefix}-")), "")
    domain = _DOMAINS.get(kind, "aws.amazon.com")
    return f"https://{region}.console.{domain}" if domain else ""


def of_group(region: str, group: DeploymentGroup) -> dict[str, str]:
    """The page of a deployment group, of a service with its deployments, or of a pipeline with its stages."""
    return _page(region, group.can().page, "{}", application=group.application, deployment_group=group.deployment_group)


def of_deployment(region: str, group: DeploymentGroup, deployment_id: str, who: str) -> dict[str, str]:
    """The page of one deployment, labelled `who`; none for an id that the group's controller did not give."""
    can = group.can()
    if can.deployment_ids is None or not can.deployment_ids.fullmatch(deployment_id):
        return {}
    return _page(region, can.deployment_page, f"{who} {{}}", application=group.application, id=deployment_id)


def _page(region: str, page: tuple[str, str], shown: str, **names: str) -> dict[str, str]:
    what, path = page
    address = path.format(**{name: quote(value, safe="") for name, value in names.items()})
    console = _console(region) if what else ""
    return {shown.format(what): f"{console}/{address}?region={region}"} if console else {}


def alarm(region: str, name: str) -> str:
    """A CloudWatch alarm; empty where the console's address is not known."""
    console = _console(region)
    return f"{console}/cloudwatch/home?region={region}#alarmsV2:alarm/{quote(name, safe='')}" if console else ""


def test_events(region: str, function: str) -> dict[str, str]:
    """The page of the function where a test event is pasted; none where the function or the console is unknown."""
    console = _console(region) if function else ""
    page = f"/lambda/home?region={region}#/functions/{quote(function, safe='')}?tab=testing"
    return {"test event": f"{console}{page}"} if console else {}


def record(region: str, table: str, rollback_id: str) -> str:
    """A rollback's head item in the audit table; empty where the console's address is not known."""
    console = _console(region)
    where = f"table={quote(table, safe='')}&pk={quote(f'ROLLBACK#{rollback_id}', safe='')}&sk=META"
    return f"{console}/dynamodbv2/home?region={region}#edit-item?itemMode=2&{where}" if console else ""


_COMMIT_PAGE = re.compile(r"(https://[\w.-]+(?:/[\w.~-]+)+)/commits?/[0-9a-f]{7,64}/?")
_ON_GITHUB = re.compile(r"github:([\w.-]+/[\w.-]+)@[0-9a-f]{7,64}")


def compare(commit_page: str, good: str, bad: str) -> str:
    """The page that compares two commits at GitHub, GitLab or Bitbucket; empty where it is unknown.

    `commit_page` is the address of one of their commits, as CodePipeline has it, or GitHub's name of a revision. GitLab
    has its `/-` before both.
    """
    on_github, page = _ON_GITHUB.match(commit_page), _COMMIT_PAGE.fullmatch(commit_page)
    if not (good and bad and good != bad and (on_github or page)):
        return ""
    repository = f"https://github.com/{on_github[1]}" if on_github else page[1] if page else ""
    if repository.startswith("https://bitbucket.org/"):
        return f"{repository}/branches/compare/{bad}%0D{good}"
    return f"{repository}/compare/{good}...{bad}"


def of_record(region: str, table: str, head: Mapping[str, Any]) -> dict[str, str]:
    """All addresses that apply to a rollback, each by what it shows."""
    made: dict[str, str] = {}
    if head.get("alarm_name"):
        where = AlarmPlace.of(str(head.get("alarm_arn") or "")).region
        made["alarm"] = alarm(where or region, str(head["alarm_name"]))
    group = _group_of(head)
    if group is not None:
        for name in ("suspect", "good", "rollback"):
            made |= of_deployment(region, group, str(head.get(f"{name}_deployment_id") or ""), name)
        made |= of_group(region, group)
    if head.get("compare_url"):
        made["commits"] = str(head["compare_url"])
    made["record"] = record(region, table, str(head.get("rollback_id", "")))
    return {what: address for what, address in made.items() if address}


def _group_of(head: Mapping[str, Any]) -> DeploymentGroup | None:
    """The group that a record names; None where it names none, or its controller is unknown to this version."""
    application, group = str(head.get("application") or ""), str(head.get("deployment_group") or "")
    try:
        controller = Controller(head.get("controller") or Controller.CODE_DEPLOY)
    except ValueError:
        return None
    return DeploymentGroup(application, group, controller) if application and group else None
