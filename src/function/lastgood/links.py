"""Addresses of the AWS console for what a record names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from lastgood.model import AlarmPlace, Controller

_DOMAINS = {"cn": "amazonaws.cn", "us-gov": "amazonaws-us-gov.com"}


def _console(region: str) -> str:
    """The console's address in a region's partition."""
    kind = next((prefix for prefix in _DOMAINS if region.startswith(f"{prefix}-")), "")
    if kind:
        return f"https://{region}.console.{_DOMAINS[kind]}"
    return f"https://{region}.console.aws.amazon.com"


def deployment(region: str, deployment_id: str) -> str:
    """A CodeDeploy deployment."""
    return f"{_console(region)}/codesuite/codedeploy/deployments/{quote(deployment_id, safe='')}?region={region}"


def deployment_group(region: str, application: str, group: str) -> str:
    """A CodeDeploy deployment group."""
    path = f"applications/{quote(application, safe='')}/deployment-groups/{quote(group, safe='')}"
    return f"{_console(region)}/codesuite/codedeploy/{path}?region={region}"


def service(region: str, cluster: str, name: str) -> str:
    """An ECS service with its deployments."""
    where = f"clusters/{quote(cluster, safe='')}/services/{quote(name, safe='')}"
    return f"{_console(region)}/ecs/v2/{where}/deployments?region={region}"


def stage(region: str, pipeline: str) -> str:
    """A pipeline with its stages."""
    return f"{_console(region)}/codesuite/codepipeline/pipelines/{quote(pipeline, safe='')}/view?region={region}"


def execution(region: str, pipeline: str, execution_id: str) -> str:
    """An execution of a pipeline."""
    where = f"pipelines/{quote(pipeline, safe='')}/executions/{quote(execution_id, safe='')}/timeline"
    return f"{_console(region)}/codesuite/codepipeline/{where}?region={region}"


def alarm(region: str, name: str) -> str:
    """A CloudWatch alarm."""
    return f"{_console(region)}/cloudwatch/home?region={region}#alarmsV2:alarm/{quote(name, safe='')}"


def record(region: str, table: str, rollback_id: str) -> str:
    """A rollback's head item in the audit table."""
    where = f"table={quote(table, safe='')}&pk={quote(f'ROLLBACK#{rollback_id}', safe='')}&sk=META"
    return f"{_console(region)}/dynamodbv2/home?region={region}#edit-item?itemMode=2&{where}"


_COMMIT_PAGE = re.compile(r"(https://[\w.-]+(?:/[\w.~-]+)+)/commits?/[0-9a-f]{7,64}/?")
_ON_GITHUB = re.compile(r"github:([\w.-]+/[\w.-]+)@[0-9a-f]{7,64}")


def compare(commit_page: str, good: str, bad: str) -> str:
    """What the bad commit brought on top of the good one, at GitHub, GitLab or Bitbucket; empty where that is unknown.

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
    """All that apply to a rollback, by what they show."""
    made: dict[str, str] = {}
    if head.get("alarm_name"):
        where = AlarmPlace.of(str(head.get("alarm_arn") or "")).region
        made["alarm"] = alarm(where or region, str(head["alarm_name"]))
    names = (str(head.get("application") or ""), str(head.get("deployment_group") or ""))
    controller = head.get("controller") or Controller.CODE_DEPLOY
    of_a_pipeline = controller == Controller.PIPELINE
    for name in ("suspect", "good", "rollback"):
        found = str(head.get(f"{name}_deployment_id") or "")
        if found.startswith("d-"):
            made[f"{name} deployment"] = deployment(region, found)
        elif found and of_a_pipeline:
            made[f"{name} execution"] = execution(region, names[0], found)
    if all(names) and of_a_pipeline:
        made["pipeline"] = stage(region, names[0])
    elif all(names) and controller == Controller.ECS:
        made["service"] = service(region, *names)
    elif all(names) and controller == Controller.CODE_DEPLOY:
        made["deployment group"] = deployment_group(region, *names)
    if head.get("compare_url"):
        made["commits"] = str(head["compare_url"])
    made["record"] = record(region, table, str(head.get("rollback_id", "")))
    return made
