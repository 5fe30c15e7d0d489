"""MLflow's scoring server, https://mlflow.org/docs/latest/ml/deployment/."""
