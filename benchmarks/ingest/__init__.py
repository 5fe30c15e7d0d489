"""`ingest.copy_ratio`: rows per second of a whole load, beside DuckDB's own COPY of the same CSV into a DuckDB file."""
