"""MLflow's own server for tests, and a front before it that asks for signatures as SageMaker's does."""
