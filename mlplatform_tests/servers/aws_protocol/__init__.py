"""AWS's wire protocols for stand-ins: requests and answers read, checked and written by botocore's own models."""
