"""Where AWS is, told to this process as an installation is told: by its environment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def environ(more: Mapping[str, str]) -> Iterator[None]:
    """This process's environment with `more` in it; boto3 forgets what it read before, then and afterwards."""
    import boto3

    before = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    boto3.DEFAULT_SESSION = None
    try:
        yield
    finally:
        boto3.DEFAULT_SESSION = None
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
