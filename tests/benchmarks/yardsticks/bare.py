"""BARE: the smallest handler that talks to CodeDeploy at all. One client, made while the module loads, and one call."""

import boto3

codedeploy = boto3.client("codedeploy")


def handler(event, context):
    """Look at the deployment group."""
    found = codedeploy.get_deployment_group(applicationName="shop", deploymentGroupName=event["group"])
    return found["deploymentGroupInfo"]["lastAttemptedDeployment"]["deploymentId"]
