"""SageMaker's control plane for the embedded cloud: registry, models, jobs, pipelines and their executions."""
