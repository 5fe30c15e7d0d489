"""`loop.scale`: ten systems on one machine, and a table of 100 million rows that still refreshes."""
