"""ECS: services, task definitions, service deployments."""
