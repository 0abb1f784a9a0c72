"""Executes SageMaker pipelines and jobs: steps as local processes under the roles of the pipeline and its jobs."""
