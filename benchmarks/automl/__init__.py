"""What AutoML finds on the examples' rows, and what it costs, beside XGBoost with its small search."""
