"""`drift.*`: profile and verdict of a window, beside a bare DuckDB query, Evidently and NannyML."""
