"""What is proved on AWS itself: `make test-aws`. Everywhere else it is skipped, with the reason."""
