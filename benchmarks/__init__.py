"""Benchmarks of mlplatform, each beside a peer in one run: `python -m benchmarks --help`."""
