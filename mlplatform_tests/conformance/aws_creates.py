"""What the platform asks SageMaker to make, behind a server that can be told to fail: how much of it there is, lists say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mlplatform.adapters.compute.sagemaker import SageMakerCompute
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.adapters.compute.sagemaker_transform import SageMakerTransforms
from mlplatform.adapters.endpoints.sagemaker_api import SageMakerApi
from mlplatform.adapters.tracking.sagemaker_packages_api import ModelPackageApi
from mlplatform.adapters.tracking.sagemaker_packages_requests import group_request, package_request
from mlplatform.adapters.tracking.sagemaker_packages_settings import ModelPackageSettings
from mlplatform.ports.compute import Channel, JobSpec
from mlplatform.ports.tracking import ModelVersion
from mlplatform_tests.adapters.sagemaker_deployments import NAME, deployment
from mlplatform_tests.conformance.aws_calls import Call
from mlplatform_tests.conformance.computes import SETTINGS, bucket_store, lay_programs
from mlplatform_tests.conformance.endpoint_places import IMAGES, SageMakerPlace
from mlplatform_tests.conformance.transforms import lay_rows, rows_of, spec_of
from mlplatform_tests.packages import make_package
from mlplatform_tests.servers.ministack.faults import Faults, faults_before
from mlplatform_tests.servers.sagemaker.server import SageMaker
from mlplatform_tests.serving.until import until

PROGRAM = """import os, pathlib
for name in ("SM_MODEL_DIR", "MLPLATFORM_OUTPUT_COUNTS"):
    if name in os.environ:
        pathlib.Path(os.environ[name], "done").write_text("1")
print(os.environ["MLPLATFORM_END_OF_LOG"], flush=True)
"""


def training(place: SageMakerPlace, faults: Faults) -> Call:
    return _job(place, faults, JobSpec("job-1", "works", {}, (Channel("train", "in/"),), "out/"), "TrainingJob")


def processing(place: SageMakerPlace, faults: Faults) -> Call:
    job = JobSpec("job-1", "works", {}, (Channel("rows", "in/"),), "out/", outputs=("counts",))
    return _job(place, faults, job, "ProcessingJob")


def transform(place: SageMakerPlace, faults: Faults) -> Call:
    store = bucket_store(place.ministack)
    lay_rows(store, {"a.jsonl": rows_of(3)})
    settings = SageMakerComputeSettings.model_validate({**SETTINGS, "metrics": {}})
    transforms = SageMakerTransforms(settings, place.root / "local", store, client_options=_options(place, faults))
    spec = spec_of(place.root)
    return _call(place, faults, lambda: transforms.run(spec), "Job 'score-1'", "TransformJob")


def endpoint(place: SageMakerPlace, faults: Faults) -> Call:
    digest = "0" * 64
    place.empty_packages(digest)
    endpoints, wanted = place.open(), deployment(1, digest)
    planned = endpoints._plan(wanted)
    endpoints._make_parts(wanted, planned)
    api = SageMakerApi(endpoints.settings, _options(place, faults))
    return _call(place, faults, lambda: api.create_endpoint(planned.create), f"Endpoint '{planned.name}'", "Endpoint")


def endpoint_update(place: SageMakerPlace, faults: Faults) -> Call:
    """To its second generation; the same asked for again, once it is there, changes nothing."""
    folder = place.root / "package"
    digest = make_package(folder)
    (place.root / "packages").mkdir(parents=True)
    (place.root / "packages" / digest).symlink_to(folder)
    endpoints, wanted = place.open(), deployment(2, digest)
    endpoints.deploy(deployment(1, digest))
    endpoints.wait(NAME, 1, timeout_s=60)
    planned = endpoints._plan(wanted)
    endpoints._make_parts(wanted, planned)
    api = SageMakerApi(endpoints.settings, _options(place, faults))

    def updated() -> int:
        """1 where the endpoint came to the configuration, and nothing else was made beside it."""
        until(lambda: place.control.describe_endpoint(EndpointName=planned.name)["EndpointStatus"] == "InService")
        found = place.control.describe_endpoint(EndpointName=planned.name)["EndpointConfigName"]
        there = len(place.control.list_endpoints()["Endpoints"])
        return there if found == planned.config["EndpointConfigName"] else 0

    what = f"Endpoint '{planned.name}'"
    action = "UpdateEndpoint"
    return Call(lambda: api.update_endpoint(planned.update), what, action, f"sagemaker:{action}", faults, updated)


def model_package(place: SageMakerPlace, faults: Faults) -> Call:
    settings = ModelPackageSettings(image=f"{IMAGES}/serve:1")
    version = ModelVersion("prices.model", 1, "0" * 64, "run-1", {"r2": 0.9}, {}, (), "2026-01-02T03:04:05+00:00")
    owner = place.store.url("")
    group = group_request(version.model, settings, owner=owner)
    place.control.create_model_package_group(**group)
    place.store.put("m/model.tar.gz", b"")
    request = package_request(version, {}, settings, data=f"{owner}m/model.tar.gz", metrics=f"{owner}m/quality.json")
    api, name = ModelPackageApi(settings, _options(place, faults)), group["ModelPackageGroupName"]
    return Call(
        lambda: api.create(request),
        f"A model package in group '{name}'",
        "CreateModelPackage",
        "sagemaker:CreateModelPackage",
        faults,
        lambda: len(place.control.list_model_packages(ModelPackageGroupName=name)["ModelPackageSummaryList"]),
    )


CREATES: dict[str, Callable[[SageMakerPlace, Faults], Call]] = {
    "training job": training,
    "processing job": processing,
    "transform job": transform,
    "endpoint": endpoint,
    "endpoint's update": endpoint_update,
    "model package": model_package,
}


@pytest.fixture(params=CREATES)
def create(
    request: pytest.FixtureRequest,
    sagemaker_place: SageMakerPlace,
    sagemaker_server: SageMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Call]:
    """A creating call by a client that tries twice, in an account where nothing of its kind is."""
    for name, value in sagemaker_place.account.env.items():
        monkeypatch.setenv(name, value)
    with faults_before(sagemaker_server.port) as faults:
        yield CREATES[request.param](sagemaker_place, faults)


def _job(place: SageMakerPlace, faults: Faults, job: JobSpec, kind: str) -> Call:
    # Jobs of an account find their images in its folder.
    containers = place.account.folder / "containers"
    lay_programs(containers, {"works": PROGRAM})
    store = bucket_store(place.ministack)
    store.put("in/a.csv", b"1,2\n")
    settings = SageMakerComputeSettings.model_validate({**SETTINGS, "metrics": {}})
    options = _options(place, faults)
    compute = SageMakerCompute(settings, place.root / "local", store, containers=[containers], client_options=options)
    return _call(place, faults, lambda: compute.run(job), f"Job '{job.name}'", kind)


def _call(place: SageMakerPlace, faults: Faults, do: Callable[[], object], what: str, kind: str) -> Call:
    """Of kinds whose lists are named as they are."""
    names = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind)

    def listed() -> int:
        summaries: Any = getattr(place.control, f"list{names}s")()
        return len(next(found for key, found in summaries.items() if key != "ResponseMetadata" and key != "NextToken"))

    return Call(do, what, f"Create{kind}", f"sagemaker:Create{kind}", faults, listed)


def _options(place: SageMakerPlace, faults: Faults) -> dict[str, Any]:
    return {**faults.impatient_options, "aws_access_key_id": place.account.key}
