"""What differs between CodeDeploy's compute platforms: what a revision is, what is live, how it is deployed again.

`platform` is the interface; `server`, `lambda_` and `ecs` implement it, one each.
"""
