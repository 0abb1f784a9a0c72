"""Programs that keep the contract of SageMaker's built-in XGBoost container 3.2-0."""
