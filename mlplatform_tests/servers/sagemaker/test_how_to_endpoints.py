"""What the page on serving by SageMaker shows works as it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from mlplatform.adapters.endpoints.sagemaker import SageMakerEndpoints
from mlplatform.adapters.endpoints.sagemaker_names import endpoint_name
from mlplatform.ports.endpoints import Deployment
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.profile import Profile
from mlplatform_tests.aws_calls.actions import actions_of
from mlplatform_tests.conformance.endpoint_places import SageMakerPlace, sagemaker_place
from mlplatform_tests.docs.walkthrough import blocks
from mlplatform_tests.packages import make_package

__all__ = ["sagemaker_place"]

PAGE = {b.title: b.text for b in blocks(Path(__file__).parents[3] / "docs" / "how-to" / "sagemaker-endpoints.md")}
NAME = "stock_prices/stock_prices"


def actions() -> set[str]:
    statements = json.loads(PAGE["runner"])["Statement"]
    return {a for s in statements for a in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])}


@pytest.mark.slow
def test_the_settings_that_are_shown_serve_and_the_actions_that_are_shown_suffice(
    sagemaker_place: SageMakerPlace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    digest = make_package(tmp_path / "model")
    (sagemaker_place.root / "packages").mkdir()
    (tmp_path / "model").rename(sagemaker_place.root / "packages" / digest)
    profile = Profile.model_validate({"name": "shown", **yaml.safe_load(PAGE["profile"])})
    settings = dict(profile.connections["endpoints"].settings)
    # What the page waits for, a test need not.
    settings["traffic"] = {**settings["traffic"], "wait_s": 0}
    endpoints: SageMakerEndpoints = sagemaker_place.open(**settings)
    spec = EndpointSpec(name="stock_prices", model="stock_model", prediction="price")
    for generation in (1, 2):
        endpoints.deploy(
            Deployment(
                endpoint=NAME,
                generation=generation,
                model="stock_prices.stock_model",
                version=1,
                digest=digest,
                reason="test",
                run_id="",
                created_at="",
                settings=spec.model_dump(mode="json"),
            )
        )
        endpoints.wait(NAME, generation, timeout_s=60)
    assert endpoints.state(NAME).workers == 4
    for name, value in sagemaker_place.account.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    names: dict[str, Any] = {"endpoint_name": endpoint_name("mlplatform", NAME)}
    exec(PAGE["call"], names)  # noqa: S102 - the page's own code
    assert 80 < names["price"] < 120
    endpoints.remove(NAME)
    scaling = ("RegisterScalableTarget", "PutScalingPolicy", "DeregisterScalableTarget")
    called = {
        f"{'application-autoscaling' if call in scaling else 'sagemaker'}:{call}"
        for call in sagemaker_place.account.calls
        if call != "ListEndpoints"
    }
    assert set(actions_of(called)) == actions()
