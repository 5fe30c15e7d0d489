"""Redshift by the Data API as a case of the warehouse's suite: ``MLPLATFORM_TEST_WAREHOUSES=redshift-data-api``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlplatform.adapters.warehouse import redshift_data_api
from mlplatform_tests.conformance.object_stores import s3_store
from mlplatform_tests.conformance.warehouses import Case
from mlplatform_tests.servers.redshift.ways import RedshiftOnAws, redshift_on_aws

_ON_AWS = pytest.StashKey[tuple[int, RedshiftOnAws]]()


def case(request: pytest.FixtureRequest, folder: Path, keep: Callable[[Any], Any]) -> Case:
    """Empty, on the module's server."""
    store = keep(s3_store(request.getfixturevalue("ministack_server")))
    on_aws = _on_aws(request, folder)
    first = keep(on_aws.warehouse("data-api"))
    return Case("redshift-data-api", first, store, lambda: keep(on_aws.warehouse("data-api", first.system)))


def _on_aws(request: pytest.FixtureRequest, folder: Path) -> RedshiftOnAws:
    """AWS in front of the module's server; the environment says where."""
    import boto3

    server, stash = request.getfixturevalue("redshift_server"), request.config.stash
    if _ON_AWS not in stash or stash[_ON_AWS][0] != server.proxy.port:
        client = boto3.client("s3", **request.getfixturevalue("ministack_server").client_options)
        stack = contextlib.ExitStack()
        made = stack.enter_context(redshift_on_aws(server, client, folder))
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in made.env.items():
            environment.setenv(name, value)
        # As long as a statement takes here, not over there.
        environment.setattr(redshift_data_api, "FIRST_PAUSE_S", 0.002)
        stack.callback(client.close)
        request.config.add_cleanup(stack.close)
        stash[_ON_AWS] = (server.proxy.port, made)
    return stash[_ON_AWS][1]
