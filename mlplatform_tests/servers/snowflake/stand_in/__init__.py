"""Snowflake's stand-in, run in the server's own environment: fakesnow, and around it what it leaves out of Snowflake."""
