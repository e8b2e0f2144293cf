"""CodePipeline: pipelines that run."""
