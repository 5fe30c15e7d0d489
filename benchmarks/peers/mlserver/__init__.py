"""MLServer with its XGBoost runtime, https://docs.seldon.ai/mlserver."""
