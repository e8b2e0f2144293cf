"""Options of a deployment: what the settings say, and what a rollback takes over from what was released."""

from __future__ import annotations

from typing import Any

from lastgood.errors import RefusedError
from lastgood.model import ComputePlatform, Deployment, GroupFacts
from lastgood.settings import Settings

INSTANCES, SCALING = "targetInstances", "ec2DeploymentOptions"
OPTIONS = (INSTANCES, SCALING)
"""The fields of `DeploymentInfo`, and of `CreateDeployment`, that are kept of each deployment.
Not among them: `updateOutdatedInstancesOnly`, for a rollback goes to all; what the settings say (`fileExistsBehavior`,
`ignoreApplicationStopFailures`, the configuration, in which zones are taken one by one); alarms and automatic rollback.
"""


def options_again(facts: GroupFacts, good: Deployment, suspect: Deployment | None) -> dict[str, Any]:
    """The options of the released deployments that the deployment which puts `good` back has to be given too.

    Raises RefusedError where instances have to be named, and neither of them named any.
    """
    newest = [d for d in (suspect, good) if d is not None]
    if not facts.blue_green:
        scaling = next((d.options[SCALING] for d in newest if SCALING in d.options), None)
        return {SCALING: scaling} if scaling else {}
    if not facts.names_instances:
        return {}
    # The good revision's instances are still there, unless they were terminated: then only the live ones are known.
    there = newest if facts.ends_originals else newest[::-1]
    named = next((d.options[INSTANCES] for d in there if INSTANCES in d.options), None) or facts.own_instances
    if not named:
        raise RefusedError(
            "create_deployment",
            "NoInstancesNamed",
            "each deployment of this group has to name its replacement instances, and neither the suspect nor "
            f"{good.deployment_id} did. Deploy {good.revision.name} with --target-instances",
        )
    return {INSTANCES: named}


def own_options(facts: GroupFacts, settings: Settings) -> dict[str, Any]:
    """The options that the settings give each of our deployments."""
    options: dict[str, Any] = {}
    if settings.override_alarms:
        # The empty list must be there: CodeDeploy refuses a null one.
        options["overrideAlarmConfiguration"] = {"enabled": False, "ignorePollAlarmFailure": True, "alarms": []}
    if facts.compute_platform is ComputePlatform.SERVER:
        options["fileExistsBehavior"] = str(settings.file_exists_behavior)
        options["ignoreApplicationStopFailures"] = settings.ignore_application_stop_failures
    return options
