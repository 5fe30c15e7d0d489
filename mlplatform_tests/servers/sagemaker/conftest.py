"""One stand-in for every test of this folder, with an account and a bucket for each."""

from __future__ import annotations

from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_account, sagemaker_server, serving

__all__ = ["ministack_server", "sagemaker_account", "sagemaker_server", "serving"]
