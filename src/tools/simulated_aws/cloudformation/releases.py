"""How a stack moves what it owns: an alias through CodeDeploy, or a service that ECS itself deploys.

The task definition of a service that CodeDeploy deploys it cannot change: ECS refuses that
(cloudformation-coverage-roadmap#1529).
"""

from __future__ import annotations

from simulated_aws.cloudformation.stacks import Resource, Stack
from simulated_aws.codedeploy import revisions
from simulated_aws.codedeploy.engine import Engine
from simulated_aws.codedeploy.model import ALL_AT_ONCE, DeploymentGroup
from simulated_aws.model import ServiceError


class StackReleases:
    """A stack names its group, or the cluster and the name of its service."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def resources(self, group: tuple[str, str]) -> tuple[Resource, ...]:
        """What the template of such a stack holds."""
        arn = f"{self._engine.region}:{self._engine.account}"
        if group in self._engine.service_deployments.services:
            service = self._engine.ecs_world.arn(f"service/{group[0]}/{group[1]}")
            return (Resource("Service", service, "AWS::ECS::Service"),)
        found = self._group(group)
        if found.platform == "ECS":
            named = found.settings["ecsServices"][0]
            service = self._engine.ecs_world.arn(f"service/{named['clusterName']}/{named['serviceName']}")
            return (Resource("Service", service, "AWS::ECS::Service"),)
        function, alias = found.alias or ("", "")
        return (
            Resource("Function", function, "AWS::Lambda::Function"),
            Resource("FunctionAlias", f"arn:aws:lambda:{arn}:function:{function}:{alias}", "AWS::Lambda::Alias"),
            Resource("CodeDeployApplication", group[0], "AWS::CodeDeploy::Application"),
            Resource("DeploymentGroup", group[1], "AWS::CodeDeploy::DeploymentGroup"),
        )

    def deploy(self, stack: Stack, from_: str, to: str, creator: str) -> str:
        """The `CodeDeployLambdaAliasUpdate` policy: `CurrentVersion` is what the template before said."""
        service = self._engine.service_deployments.services.get(stack.group)
        if service:
            made = self._engine.service_deployments.update(service, to)
            return made.id if made else ""
        group = self._group(stack.group)
        if group.platform == "ECS":
            message = "Unable to update task definition on services with a CODE_DEPLOY deployment controller."
            raise ServiceError("InvalidParameterException", message)
        function, alias = group.alias or ("", "")
        request = {
            "applicationName": group.application.name,
            "deploymentGroupName": group.name,
            "revision": revisions.lambda_appspec(function, alias, from_, to),
        }
        if creator == "CloudFormationRollback":
            request["deploymentConfigName"] = ALL_AT_ONCE[group.platform]
        linked = stack.id if stack.linked else ""
        return self._engine.create_deployment(request, creator, linked).id

    def stop(self, stack: Stack) -> None:
        """The update was cancelled: what is going on for it ends, and goes back."""
        service = self._engine.service_deployments.services.get(stack.group)
        if service and service.active:
            self._engine.service_deployments.stop(service.active, "ROLLBACK")
            return
        active = None if service else self._group(stack.group).active
        if active:
            self._engine.end_for_stack(active)

    def live(self, stack: Stack) -> str:
        """What the alias points at, or the service's task definition; empty while there are two."""
        service = self._engine.service_deployments.services.get(stack.group)
        if service:
            shares = service.shares()
            return service.revisions[next(iter(shares))].task_definition if len(shares) == 1 else ""
        group = self._group(stack.group)
        if group.platform == "ECS":
            live = self._engine.platform_of(group).live(group)
            return next(iter(live)) if len(live) == 1 else ""
        function, name = group.alias or ("", "")
        alias = self._engine.lambda_world.alias(function, name)
        return "" if alias.weights else alias.version

    def native_rollback(self, stack: Stack) -> str:
        """The id of what still goes on in the group or service; empty if nothing does."""
        service = self._engine.service_deployments.services.get(stack.group)
        if service:
            return service.active.id if service.active else ""
        active = self._group(stack.group).active
        return active.id if active else ""

    def _group(self, group: tuple[str, str]) -> DeploymentGroup:
        return self._engine.group(*group)
