"""`refresh.freshness`: from a record's put on the stream to its row in the table."""
