"""A stand-in for Amazon Kinesis Data Streams."""
