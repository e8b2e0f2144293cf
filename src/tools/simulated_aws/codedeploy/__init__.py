"""CodeDeploy: applications, groups, deployments that move."""
