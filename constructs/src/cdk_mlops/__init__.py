"""AWS CDK constructs for multi-account SageMaker MLOps."""
