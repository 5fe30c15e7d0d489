"""The adapters to AWS beside bare boto3, the way of a record through Kinesis, Firehose and COPY, and what a remote job costs beside itself."""
