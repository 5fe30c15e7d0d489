"""The system that the tutorial makes: who survived the Titanic, in batches, without an endpoint."""
