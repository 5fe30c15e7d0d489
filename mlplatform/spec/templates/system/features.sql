-- One row an example the model learns from. DuckDB's dialect, whatever the warehouse is.
SELECT id, happened_on, category, amount, target
FROM my_system_table
