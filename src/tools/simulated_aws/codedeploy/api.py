"""CodeDeploy's operations: parameters in, answer out, both in AWS's spelling with times as datetimes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from simulated_aws.codedeploy import revisions
from simulated_aws.codedeploy.answers import (
    Answer,
    answer,
    application_info,
    deployment_info,
    group_info,
    revision_info,
)
from simulated_aws.codedeploy.engine import Engine
from simulated_aws.codedeploy.model import (
    STATUSES,
    Deployment,
    DeploymentGroup,
    RegisteredRevision,
)
from simulated_aws.codedeploy.targets import Targets
from simulated_aws.model import ServiceError

PAGE_SIZE = 100
BATCH_SIZE = 25
Parameters = dict[str, Any]


class CodeDeployApi:
    """One method for each operation, named in Python style. Errors are ServiceErrors."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._targets = Targets(engine)

    # --- applications and groups ----------------------------------------------------------------------------

    def create_application(self, given: Parameters) -> Answer:
        """CreateApplication."""
        platform = given.get("computePlatform") or "Server"
        if platform not in {"Server", "Lambda", "ECS"}:
            raise ServiceError("InvalidComputePlatformException", f"No such compute platform: {platform}")
        return {"applicationId": self._engine.create_application(given["applicationName"], platform).id}

    def get_application(self, given: Parameters) -> Answer:
        """GetApplication."""
        return {"application": application_info(self._engine.application(given["applicationName"]))}

    def list_applications(self, given: Parameters) -> Answer:
        """ListApplications."""
        names, token = _page(sorted(self._engine.applications), given.get("nextToken"))
        return answer(applications=names, nextToken=token)

    def create_deployment_group(self, given: Parameters) -> Answer:
        """CreateDeploymentGroup."""
        settings = _without(given, "applicationName", "deploymentGroupName")
        group = self._engine.create_group(given["applicationName"], given["deploymentGroupName"], settings)
        return {"deploymentGroupId": group.id}

    def update_deployment_group(self, given: Parameters) -> Answer:
        """UpdateDeploymentGroup: what is not given stays."""
        group = self._engine.group(given["applicationName"], given["currentDeploymentGroupName"])
        names = ("applicationName", "currentDeploymentGroupName", "newDeploymentGroupName")
        settings = _without(given, *names)
        self._engine.check_settings(settings)
        new_name = given.get("newDeploymentGroupName")
        if new_name and new_name != group.name:
            self._rename(group, new_name)
        group.settings = group.settings | settings
        return {"hooksNotCleanedUp": []}

    def _rename(self, group: DeploymentGroup, name: str) -> None:
        groups = group.application.groups
        if name in groups:
            raise ServiceError("DeploymentGroupAlreadyExistsException", f"Deployment group already exists: {name}")
        groups[name] = groups.pop(group.name)
        group.name = name

    def get_deployment_group(self, given: Parameters) -> Answer:
        """GetDeploymentGroup."""
        group = self._engine.group(given["applicationName"], given["deploymentGroupName"])
        return {"deploymentGroupInfo": group_info(group)}

    def batch_get_deployment_groups(self, given: Parameters) -> Answer:
        """BatchGetDeploymentGroups: names that are unknown are told in `errorMessage`."""
        application = self._engine.application(given["applicationName"])
        names = _batch(given["deploymentGroupNames"], "DeploymentGroupNameRequiredException", 100)
        found = [group_info(application.groups[name]) for name in names if name in application.groups]
        missing = [name for name in names if name not in application.groups]
        message = f"No Deployment Group found for name: {', '.join(missing)}" if missing else None
        return answer(deploymentGroupsInfo=found, errorMessage=message)

    def list_deployment_groups(self, given: Parameters) -> Answer:
        """ListDeploymentGroups."""
        application = self._engine.application(given["applicationName"])
        names, token = _page(sorted(application.groups), given.get("nextToken"))
        return answer(applicationName=application.name, deploymentGroups=names, nextToken=token)

    def get_deployment_config(self, given: Parameters) -> Answer:
        """GetDeploymentConfig, of the predefined ones."""
        config = self._engine.config(given["deploymentConfigName"])
        hosts = config.healthy_hosts
        info = answer(
            deploymentConfigName=config.name,
            computePlatform=config.platform,
            minimumHealthyHosts={"type": hosts[0], "value": hosts[1]} if hosts else None,
            trafficRoutingConfig=None if config.platform == "Server" else config.routing(),
        )
        return {"deploymentConfigInfo": info}

    # --- deployments ----------------------------------------------------------------------------------------

    def create_deployment(self, given: Parameters) -> Answer:
        """CreateDeployment."""
        return {"deploymentId": self._engine.create_deployment(given).id}

    def get_deployment(self, given: Parameters) -> Answer:
        """GetDeployment."""
        return {"deploymentInfo": deployment_info(self._engine.deployment(given["deploymentId"]))}

    def batch_get_deployments(self, given: Parameters) -> Answer:
        """BatchGetDeployments: at most 25; ids that are unknown are left out."""
        found = []
        for deployment_id in _batch(given["deploymentIds"], "DeploymentIdRequiredException", BATCH_SIZE):
            try:
                found.append(deployment_info(self._engine.deployment(deployment_id)))
            except ServiceError as error:
                if error.code != "DeploymentDoesNotExistException":
                    raise
        return {"deploymentsInfo": found}

    def list_deployments(self, given: Parameters) -> Answer:
        """ListDeployments: ids only, a hundred a page."""
        wanted = set(given.get("includeOnlyStatuses") or STATUSES)
        if unknown := wanted - STATUSES:
            message = f"No such deployment status: {', '.join(sorted(unknown))}"
            raise ServiceError("InvalidDeploymentStatusException", message)
        after, before = _time_range(given.get("createTimeRange") or {})
        external_id = given.get("externalId")
        found = [
            each
            for each in self._candidates(given)
            if each.status in wanted
            and after <= each.created_at <= before
            and (not external_id or each.external_id == external_id)
        ]
        ids, token = _page([each.id for each in self._engine.listed(found)], given.get("nextToken"))
        return answer(deployments=ids, nextToken=token)

    def _candidates(self, given: Parameters) -> list[Deployment]:
        application, group = given.get("applicationName"), given.get("deploymentGroupName")
        if group and not application:
            raise ServiceError("ApplicationNameRequiredException", "The application name is required.")
        if application and not group:
            self._engine.application(application)
            raise ServiceError("DeploymentGroupNameRequiredException", "The deployment group name is required.")
        if application and group:
            return self._engine.group(application, group).deployments
        return list(self._engine.deployments.values())

    def stop_deployment(self, given: Parameters) -> Answer:
        """StopDeployment."""
        deployment = self._engine.deployment(given["deploymentId"])
        status = self._engine.stop_deployment(deployment, given.get("autoRollbackEnabled"))
        # The texts of two AWS examples (command line reference, Tools for PowerShell).
        message = {
            "Succeeded": "No more commands will be scheduled for execution in the deployment instances",
            "Pending": "Stopping Pending. Stopping to schedule commands in the deployment instances",
        }
        return {"status": status, "statusMessage": message[status]}

    def continue_deployment(self, given: Parameters) -> Answer:
        """ContinueDeployment."""
        if not given.get("deploymentId"):
            raise ServiceError("DeploymentIdRequiredException", "The deployment id is required.")
        deployment = self._engine.deployment(given["deploymentId"])
        self._engine.continue_deployment(deployment, given.get("deploymentWaitType") or "READY_WAIT")
        return {}

    # --- targets --------------------------------------------------------------------------------------------

    def list_deployment_targets(self, given: Parameters) -> Answer:
        """ListDeploymentTargets."""
        deployment = self._engine.deployment(given["deploymentId"])
        wanted = (given.get("targetFilters") or {}).get("TargetStatus")
        ids, token = _page(self._targets.ids(deployment, wanted), given.get("nextToken"))
        return answer(targetIds=ids, nextToken=token)

    def get_deployment_target(self, given: Parameters) -> Answer:
        """GetDeploymentTarget."""
        deployment = self._engine.deployment(given["deploymentId"])
        return {"deploymentTarget": self._targets.describe(deployment, given["targetId"])}

    def batch_get_deployment_targets(self, given: Parameters) -> Answer:
        """BatchGetDeploymentTargets: at most 25."""
        deployment = self._engine.deployment(given["deploymentId"])
        if len(given["targetIds"]) > BATCH_SIZE:
            message = f"At most {BATCH_SIZE} targets can be asked for."
            raise ServiceError("DeploymentTargetListSizeExceededException", message)
        return {"deploymentTargets": [self._targets.describe(deployment, each) for each in given["targetIds"]]}

    # --- revisions ------------------------------------------------------------------------------------------

    def register_application_revision(self, given: Parameters) -> Answer:
        """RegisterApplicationRevision."""
        application = self._engine.application(given["applicationName"])
        try:
            self._engine.register(application, given["revision"], given.get("description", ""))
        except ServiceError as error:
            if error.code == "RevisionDoesNotExistException":
                raise ServiceError("InvalidRevisionException", "A hash without content.") from error
            raise
        return {}

    def get_application_revision(self, given: Parameters) -> Answer:
        """GetApplicationRevision: the only operation that gives an AppSpec's content."""
        found = self._engine.revision(given["applicationName"], given["revision"])
        return {
            "applicationName": given["applicationName"],
            "revision": found.revision,
            "revisionInfo": revision_info(found),
        }

    def batch_get_application_revisions(self, given: Parameters) -> Answer:
        """BatchGetApplicationRevisions: at most 25; unknown ones are told in `errorMessage`."""
        wanted = _batch(given["revisions"], "RevisionRequiredException", BATCH_SIZE)
        self._engine.application(given["applicationName"])
        found, missing = [], 0
        for revision in wanted:
            try:
                known = self._engine.revision(given["applicationName"], revision)
                found.append({"revisionLocation": known.revision, "genericRevisionInfo": revision_info(known)})
            except ServiceError as error:
                if error.code != "RevisionDoesNotExistException":
                    raise
                missing += 1
        message = f"{missing} of the revisions are not registered." if missing else None
        return answer(applicationName=given["applicationName"], revisions=found, errorMessage=message)

    def list_application_revisions(self, given: Parameters) -> Answer:
        """ListApplicationRevisions: in no order unless `sortBy` is given."""
        application = self._engine.application(given["applicationName"])
        known = [each for each in application.revisions.values() if _matches(each, given)]
        if sort_by := given.get("sortBy"):
            known = sorted(known, key=_revision_time(sort_by), reverse=given.get("sortOrder") == "descending")
        by_key = {revisions.identity(each.revision): each.revision for each in known}
        keys, token = _page(list(by_key), given.get("nextToken"))
        return answer(revisions=[revisions.without_content(by_key[key]) for key in keys], nextToken=token)


def _matches(known: RegisteredRevision, given: Parameters) -> bool:
    location = known.revision.get("s3Location", {})
    deployed = given.get("deployed", "ignore")
    return (
        (not given.get("s3Bucket") or location.get("bucket") == given["s3Bucket"])
        and str(location.get("key", "")).startswith(given.get("s3KeyPrefix") or "")
        and (deployed == "ignore" or bool(known.groups) == (deployed == "include"))
    )


class _Comparable(Protocol):
    def __lt__(self, other: Any, /) -> bool: ...


def _revision_time(sort_by: str) -> Callable[[RegisteredRevision], _Comparable]:
    names = {
        "registerTime": "registered_at",
        "firstUsedTime": "first_used_at",
        "lastUsedTime": "last_used_at",
    }
    if sort_by not in names:
        raise ServiceError("InvalidSortByException", f"Revisions cannot be sorted by {sort_by}")
    return lambda known: getattr(known, names[sort_by]) or datetime.min.replace(tzinfo=UTC)


# --- requests -----------------------------------------------------------------------------------------------


def _without(given: Parameters, *names: str) -> Parameters:
    return {name: value for name, value in given.items() if name not in names}


def _batch(wanted: Sequence[Any], required: str, limit: int) -> Sequence[Any]:
    if not wanted:
        raise ServiceError(required, "The list is empty.")
    if len(wanted) > limit:
        raise ServiceError("BatchLimitExceededException", f"At most {limit} can be asked for, not {len(wanted)}.")
    return wanted


def _time_range(given: Parameters) -> tuple[datetime, datetime]:
    after = _moment(given.get("start"), datetime.min.replace(tzinfo=UTC))
    before = _moment(given.get("end"), datetime.max.replace(tzinfo=UTC))
    if after > before:
        raise ServiceError("InvalidTimeRangeException", "The time range ends before it starts.")
    return after, before


def _moment(value: Any, default: datetime) -> datetime:
    if value is None:
        return default
    return value if isinstance(value, datetime) else datetime.fromtimestamp(float(value), UTC)


def _page(names: list[str], token: str | None) -> tuple[list[str], str | None]:
    """One page after the name in `token`, and the token of the next; a stable anchor, unlike an offset."""
    start = 0
    if token:
        try:
            start = names.index(base64.urlsafe_b64decode(token.encode()).decode()) + 1
        except (ValueError, binascii.Error) as error:
            raise ServiceError("InvalidNextTokenException", "The next token is not valid.") from error
    page = names[start : start + PAGE_SIZE]
    more = start + PAGE_SIZE < len(names)
    return page, base64.urlsafe_b64encode(page[-1].encode()).decode() if more else None
